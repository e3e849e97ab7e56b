//! Beckon.
pub mod clock;
pub mod config;
pub mod doubles;
pub mod model;
pub mod push;
pub mod store;
