//! The `beckon` command.
fn main() {}
