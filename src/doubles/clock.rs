//! The time as the doubles see it: the system's clock and an offset that a test or an app team may set.
//!
//! Only this file of the room asks the system for the time, so that an expired credential can be had without waiting for it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serializer;

/// The doubles' clock. Times are UNIX times; those of the queue and the journal are in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    offset_seconds: AtomicI64,
    /// Where a simulation says what time it is; 0 elsewhere.
    #[cfg(test)]
    simulated_ms: AtomicI64,
}

impl Clock {
    /// The time in milliseconds since 1970, offset included.
    pub(crate) fn now_ms(&self) -> i64 {
        #[cfg(test)]
        if let simulated @ 1.. = self.simulated_ms.load(Ordering::Relaxed) {
            return simulated;
        }
        system_ms().saturating_add(self.offset_seconds().saturating_mul(1000))
    }

    /// From now on it is this time.
    #[cfg(test)]
    pub(crate) fn simulate_ms(&self, now_ms: i64) {
        self.simulated_ms.store(now_ms, Ordering::Relaxed);
    }

    /// The time in whole seconds since 1970, offset included.
    pub(crate) fn now_secs(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }

    /// How many seconds the doubles are ahead of the system.
    pub(crate) fn offset_seconds(&self) -> i64 {
        self.offset_seconds.load(Ordering::Relaxed)
    }

    /// Sets how many seconds the doubles are ahead of the system; negative is behind.
    pub(crate) fn set_offset_seconds(&self, seconds: i64) {
        self.offset_seconds.store(seconds, Ordering::Relaxed);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this room that asks the system for the time; it may not use the hub's clock"
)]
fn system_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
}

/// Writes milliseconds since 1970 as an RFC 3339 time with milliseconds, for `serde(serialize_with)`.
///
/// # Errors
/// Those of the serializer. A time beyond the year 9999 is written as the empty string.
pub(crate) fn rfc3339<S: Serializer>(ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    let text = jiff::Timestamp::from_millisecond(*ms).map(|time| format!("{time:.3}"));
    serializer.serialize_str(&text.unwrap_or_default())
}

/// Milliseconds since 1970 as an HTTP date (RFC 9110, section 5.6.7); empty for a time beyond the year 9999.
pub(crate) fn http_date(ms: i64) -> String {
    let text = jiff::Timestamp::from_millisecond(ms).and_then(|time| {
        jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time)
    });
    text.unwrap_or_default()
}
