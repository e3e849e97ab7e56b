//! Beckon.
pub mod clock;
pub mod config;
pub mod doubles;
pub mod egress;
pub mod model;
pub mod push;
