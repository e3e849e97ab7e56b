//! Tests through the public door: the real server, the real store, the doubles of the push services at the other end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed step fails the test"
)]
#![allow(unreachable_pub, reason = "nothing here is reached from outside")]
#![allow(missing_docs, reason = "a test's name says what it shows")]

mod bad_input;
mod fallback;
mod isolation;
mod posting;
mod spine;
mod streams;
mod support;
mod tidy;
