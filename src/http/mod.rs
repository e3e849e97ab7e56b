//! The incoming door.

pub mod admin;
