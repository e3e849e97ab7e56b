//! Fan-out throughput.
fn main() {}
