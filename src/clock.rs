//! The one place that asks what time it is, or waits for a time to come. Tests hold a clock that they move.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::sync::Notify;

use crate::model::Timestamp;

/// What time it is: the machine's, or a test's. Cheap to clone; clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock(Kind);

#[derive(Debug, Clone)]
enum Kind {
    System,
    Manual(Arc<Manual>),
    #[cfg(test)]
    Simulated {
        start: Timestamp,
        began: tokio::time::Instant,
    },
}

#[derive(Debug)]
struct Manual {
    now_millis: AtomicU64,
    moved: Notify,
}

impl Manual {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now_millis.load(Ordering::SeqCst))
    }

    async fn sleep_until(&self, moment: Timestamp) {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if self.now() >= moment {
                return;
            }
            moved.await;
        }
    }
}

impl Clock {
    /// The machine's own.
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// A clock that stands at `start` until [`Clock::advance`] moves it.
    pub fn manual(start: Timestamp) -> Self {
        Self(Kind::Manual(Arc::new(Manual {
            now_millis: AtomicU64::new(start.as_millis()),
            moved: Notify::new(),
        })))
    }

    /// A clock that shows `start` now and follows the runtime's own time, which a simulation runs ahead.
    #[cfg(test)]
    pub(crate) fn simulated(start: Timestamp) -> Self {
        let began = tokio::time::Instant::now();
        Self(Kind::Simulated { start, began })
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Kind::System => system_now(),
            Kind::Manual(manual) => manual.now(),
            #[cfg(test)]
            Kind::Simulated { start, began } => start.plus(began.elapsed()),
        }
    }

    /// Moves a manual clock; the machine's own cannot be moved.
    pub fn advance(&self, span: Duration) {
        if let Kind::Manual(manual) = &self.0 {
            let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
            manual.now_millis.fetch_add(millis, Ordering::SeqCst);
            manual.moved.notify_waiters();
        }
    }

    /// Waits until `moment` has come.
    pub async fn sleep_until(&self, moment: Timestamp) {
        match &self.0 {
            Kind::Manual(manual) => manual.sleep_until(moment).await,
            _ => loop {
                let left = moment.since(self.now());
                if left.is_zero() {
                    return;
                }
                // In slices, so that a wall clock set forward is noticed within a minute.
                tokio::time::sleep(left.min(Duration::from_secs(60))).await;
            },
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn system_now() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_its_sleepers() {
        let clock = Clock::manual(Timestamp::from_millis(1_000));
        let sleeper = {
            let clock = clock.clone();
            tokio::spawn(async move { clock.sleep_until(Timestamp::from_millis(5_000)).await })
        };
        clock.advance(Duration::from_millis(3_999));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_millis(1));
        sleeper.await.unwrap();
        assert_eq!(clock.now(), Timestamp::from_millis(5_000));
    }
}
