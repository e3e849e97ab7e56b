//! Tests through the public door: the real server, the real store, the doubles of the push services at the other end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed step fails the test"
)]
#![allow(
    missing_docs,
    unreachable_pub,
    reason = "a test's name says what it shows, and nothing here is reached from outside"
)]

mod audience;
mod audit;
mod bad_input;
mod bulkheads;
mod care;
mod chaos;
mod cli;
mod connections;
mod converge;
mod crash;
mod crowd;
mod demo;
mod digest;
mod docs;
mod durability;
mod erase;
mod export;
mod fallback;
mod faults;
mod guards;
mod hosts;
mod identity;
mod import;
mod isolation;
mod ladder;
mod logins;
mod logs;
mod observability;
mod openapi;
mod posting;
mod rates;
mod settings;
mod spine;
mod streams;
mod support;
mod sweep;
mod test_tap;
mod tidy;
mod tls;
mod waking;
