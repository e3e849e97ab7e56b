//! Beckon.
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod dispatch;
pub mod doubles;
pub mod egress;
pub mod http;
pub mod hub;
pub mod log;
pub mod metrics;
pub mod model;
pub mod push;
pub mod serve;
pub mod store;
pub mod task;
