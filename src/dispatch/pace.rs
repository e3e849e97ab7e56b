//! How fast a lane is answered.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// A full lane whose answers take longer is slow: what it has no room for is put off rather than kept in memory.
const SLOW: Duration = Duration::from_secs(1);

/// How fast a lane is answered.
#[derive(Debug)]
pub(super) struct Pace(Mutex<(Instant, Duration)>);

impl Default for Pace {
    fn default() -> Self {
        Self(Mutex::new((Instant::now(), Duration::ZERO)))
    }
}

impl Pace {
    /// Notes an answer; of its time an eighth counts, of the earlier ones the rest.
    pub(super) fn answered(&self, took: Duration) {
        let mut pace = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *pace = (Instant::now(), (pace.1 * 7 + took) / 8);
    }

    /// Whether answers take long, or stay away.
    pub(super) fn is_slow(&self) -> bool {
        let (last, usual) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        usual > SLOW || last.elapsed() > SLOW
    }

    /// How long an answer takes, or has not come for.
    pub(super) fn usual(&self) -> Duration {
        let (last, usual) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if usual > SLOW {
            usual
        } else {
            usual.max(last.elapsed())
        }
    }
}
