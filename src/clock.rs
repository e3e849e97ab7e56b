//! The one place that asks what time it is, or waits for a time to come. Tests hold a clock that they move.

mod watch;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::sync::Notify;

use crate::model::Timestamp;
use watch::{Heard, Watch};

/// What time it is: the machine's, or a test's. Cheap to clone; clones show the same time.
///
/// The wall's time is watched against a clock that only ever goes on, since it may lie: see [`Clock::now`].
#[derive(Debug, Clone)]
pub struct Clock(Arc<Watched>);

#[derive(Debug)]
struct Watched {
    kind: Kind,
    watch: Mutex<Watch>,
}

#[derive(Debug)]
enum Kind {
    System {
        began: Instant,
    },
    Manual(Manual),
    #[cfg(test)]
    Simulated(Simulated),
}

#[derive(Debug)]
struct Manual {
    wall_millis: AtomicU64,
    passed_millis: AtomicU64,
    moved: Notify,
}

/// Follows the runtime's own time, which a simulation runs ahead; its wall may be off.
#[cfg(test)]
#[derive(Debug)]
struct Simulated {
    start: Timestamp,
    began: tokio::time::Instant,
    /// By how much the wall is ahead of what it would be, in milliseconds.
    ahead_ms: std::sync::atomic::AtomicI64,
}

#[cfg(test)]
impl Simulated {
    fn wall(&self) -> Timestamp {
        let ahead = self.ahead_ms.load(Ordering::SeqCst);
        let millis = self.start.plus(self.began.elapsed()).as_millis();
        Timestamp::from_millis(millis.saturating_add_signed(ahead))
    }
}

impl Manual {
    async fn sleep_until(&self, is_over: impl Fn() -> bool) {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if is_over() {
                return;
            }
            moved.await;
        }
    }
}

impl Clock {
    /// The machine's own.
    pub fn system() -> Self {
        Self::of(Kind::System {
            began: Instant::now(),
        })
    }

    /// A clock that stands at `start` until [`Clock::advance`] moves it.
    pub fn manual(start: Timestamp) -> Self {
        Self::of(Kind::Manual(Manual {
            wall_millis: AtomicU64::new(start.as_millis()),
            passed_millis: AtomicU64::new(0),
            moved: Notify::new(),
        }))
    }

    fn of(kind: Kind) -> Self {
        Self(Arc::new(Watched {
            kind,
            watch: Mutex::default(),
        }))
    }

    /// A clock that shows `start` now and follows the runtime's own time, which a simulation runs ahead.
    #[cfg(test)]
    pub(crate) fn simulated(start: Timestamp) -> Self {
        Self::of(Kind::Simulated(Simulated {
            start,
            began: tokio::time::Instant::now(),
            ahead_ms: std::sync::atomic::AtomicI64::new(0),
        }))
    }

    /// Has the wall of a simulated clock leap.
    #[cfg(test)]
    pub(crate) fn leap(&self, by_ms: i64) {
        if let Kind::Simulated(simulated) = &self.0.kind {
            simulated.ahead_ms.fetch_add(by_ms, Ordering::SeqCst);
        }
    }

    /// The present moment, by which the hub lives. It is what the wall says, but it never goes back behind what was
    /// taken for true: where the wall does, it goes on from there, at half speed, until the wall has caught up. Only a
    /// leap forward that nobody has accepted yet can be undone.
    pub fn now(&self) -> Timestamp {
        let mut watch = self.watch();
        // Read in the order in which they are taken in: else one thread's time would be behind another's.
        let (wall, passed) = (self.wall(), self.passed());
        let (now, heard) = watch.read(wall, passed);
        drop(watch);
        if let Some(heard) = heard {
            tell(heard, wall);
        }
        now
    }

    /// What the wall says, true or not: for what is shown to others who have clocks of their own.
    pub fn wall(&self) -> Timestamp {
        match &self.0.kind {
            Kind::System { .. } => system_now(),
            Kind::Manual(manual) => {
                Timestamp::from_millis(manual.wall_millis.load(Ordering::SeqCst))
            }
            #[cfg(test)]
            Kind::Simulated(simulated) => simulated.wall(),
        }
    }

    fn passed(&self) -> Duration {
        match &self.0.kind {
            Kind::System { began } => began.elapsed(),
            Kind::Manual(manual) => {
                Duration::from_millis(manual.passed_millis.load(Ordering::SeqCst))
            }
            #[cfg(test)]
            Kind::Simulated(simulated) => simulated.began.elapsed(),
        }
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.0.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on from the last time that a store was told, in an earlier life: a wall that says something else has leapt,
    /// or long stood still, which cannot be told apart.
    pub fn go_on_from(&self, stored: Timestamp) {
        *self.watch() = Watch::going_on_from(stored, self.passed());
    }

    /// How much longer nothing is deleted for expiry, because the clock has leapt.
    pub fn doubted_for(&self) -> Option<Duration> {
        self.now();
        self.watch().doubted_for(self.passed())
    }

    /// Takes the present time for true.
    pub fn trust(&self) {
        self.now();
        self.watch().trust(self.passed());
    }

    /// The last time that was taken for true, gone on from: what a store is told, so that a leap is seen through a stop.
    pub fn trusted(&self) -> Timestamp {
        self.now();
        self.watch().trusted(self.passed())
    }

    /// Whether the time has gone back since this was last asked, since a leap forward was undone: what was put off in
    /// the meantime was put off for too long.
    pub fn take_undone(&self) -> bool {
        self.watch().take_undone()
    }

    /// Moves a manual clock on; the machine's own cannot be moved.
    pub fn advance(&self, span: Duration) {
        if let Kind::Manual(manual) = &self.0.kind {
            let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
            manual.passed_millis.fetch_add(millis, Ordering::SeqCst);
            manual.wall_millis.fetch_add(millis, Ordering::SeqCst);
            manual.moved.notify_waiters();
        }
    }

    /// Sets what the wall of a manual clock says, while no time passes.
    pub fn set_wall(&self, wall: Timestamp) {
        if let Kind::Manual(manual) = &self.0.kind {
            manual.wall_millis.store(wall.as_millis(), Ordering::SeqCst);
            manual.moved.notify_waiters();
        }
    }

    /// Waits until `moment` has come, or until a leap was undone, after which it may be years away.
    pub async fn sleep_until(&self, moment: Timestamp) {
        let undone = self.watch().undone();
        let is_over = || self.now() >= moment || self.watch().undone() != undone;
        match &self.0.kind {
            Kind::Manual(manual) => manual.sleep_until(is_over).await,
            _ => {
                while !is_over() {
                    let left = moment.since(self.now());
                    // In slices, so that a wall clock set forward is noticed within a minute.
                    tokio::time::sleep(left.min(Duration::from_secs(60))).await;
                }
            }
        }
    }
}

fn tell(heard: Heard, wall: Timestamp) {
    match heard {
        Heard::Leap { expected } => tracing::warn!(
            %expected,
            found = %wall,
            "the clock has leapt, or the hub was stopped for so long; nothing is deleted for expiry for 15 minutes. If the time found is right, `beckon store expire --now` ends the wait; if not, set the clock"
        ),
        Heard::Trusted => tracing::info!(now = %wall, "the time is taken for true again"),
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
