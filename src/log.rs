//! Where log lines go, and which. Other crates are heard from `warn` on at most: some of them would write headers
//! and bodies at lower levels, and no log of ours holds content. What actix says of a connection is left out: any stranger
//! who sends what is no HTTP would fill the log.

use tracing_subscriber::{EnvFilter, fmt, prelude::*};

use crate::config::{Log, LogFormat, LogLevel};

/// Sends log lines to stderr, as text or JSON, from the configured level on.
///
/// # Errors
/// Where the process logs already.
pub fn start(log: &Log) -> Result<(), tracing_subscriber::util::TryInitError> {
    let registry = tracing_subscriber::registry().with(filter(log.level));
    match log.format {
        LogFormat::Text => registry
            .with(
                fmt::layer()
                    .with_writer(std::io::stderr)
                    .with_ansi(false)
                    .with_target(false),
            )
            .try_init(),
        LogFormat::Json => registry
            .with(
                fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_writer(std::io::stderr),
            )
            .try_init(),
    }
}

fn filter(level: LogLevel) -> EnvFilter {
    let others = if level == LogLevel::Error {
        "error"
    } else {
        "warn"
    };
    EnvFilter::new(format!("{others},actix_http=off,beckon={}", level.as_str()))
}
