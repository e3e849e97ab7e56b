//! One adapter a push service: a request out, an answer in. Knows no app rule, no store, and no clock of its own.

pub mod message;
pub mod outcome;
