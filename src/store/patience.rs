//! Whether what is read has to be waited for: it is in memory as a rule, and then no other thread is woken to read it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// What takes longer has waited for the disk, or for a core.
const LONG: Duration = Duration::from_millis(2);
/// For how long others read after that.
const REST: Duration = Duration::from_millis(100);

/// How a worker's own reads went of late.
#[derive(Debug)]
pub(super) struct Patience {
    began: Instant,
    /// Until when it is over, in milliseconds since the beginning.
    over_until: AtomicU64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            over_until: AtomicU64::new(0),
        }
    }
}

impl Patience {
    /// Whether a worker is not to read by itself for now.
    pub(super) fn is_over(&self) -> bool {
        let until = self.over_until.load(Ordering::Relaxed);
        until > 0 && millis(self.began.elapsed()) < until
    }

    /// Takes note of how long a worker read.
    pub(super) fn took(&self, span: Duration) {
        if span > LONG {
            let until = millis(self.began.elapsed() + REST);
            self.over_until.store(until, Ordering::Relaxed);
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_long_read_others_read_for_a_while() {
        let patience = Patience::default();
        patience.took(LONG);
        assert!(!patience.is_over());
        patience.took(LONG + Duration::from_nanos(1));
        assert!(patience.is_over());
        patience.over_until.store(1, Ordering::Relaxed);
        let past = Patience {
            began: Instant::now() - REST,
            ..patience
        };
        assert!(!past.is_over());
    }
}
