//! Tests through the public door: the real server, the real store, the doubles of the push services at the other end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed step fails the test"
)]
#![allow(
    unreachable_pub,
    reason = "what tests share is public to them, and nothing is public beyond"
)]
#![allow(missing_docs, reason = "a test's name says what it shows")]

mod converge;
mod crash;
mod durability;
mod fallback;
mod spine;
mod support;
mod tidy;
