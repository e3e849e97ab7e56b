//! Beckon.
pub mod doubles;
