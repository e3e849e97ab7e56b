//! Tests through the public door.
fn main() {}
