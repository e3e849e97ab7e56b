//! What the operator set.

pub mod apps;
