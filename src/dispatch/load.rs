//! How much a dispatcher holds in memory: what is bounded can be seen to be; and how many taps are about to leave.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, Weak,
    atomic::{AtomicUsize, Ordering},
};

use super::{pace::Pace, queue::Waiting};

/// What a dispatcher holds at present. Cheap to clone; it goes on telling as long as the dispatcher runs.
#[derive(Debug, Clone, Default)]
pub struct Load(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    counts: [AtomicUsize; 5],
    lanes: Mutex<Vec<LaneLoad>>,
}

/// What is known of a lane, for as long as it is there.
#[derive(Debug)]
struct LaneLoad {
    pace: Weak<Pace>,
    waiting: Waiting,
}

impl LaneLoad {
    /// How many taps it has, unless it is too slow to be waited for.
    fn moves(&self) -> usize {
        let pace = self.pace.upgrade().filter(|pace| !pace.is_slow());
        pace.map_or(0, |pace| pace.under_way() + self.waiting.all())
    }
}

/// The counts of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// Users who are looked at, or of whom taps are under way.
    pub jobs: usize,
    /// Those of them who wait at no lane.
    pub claimed: usize,
    /// Moments at which one of them is looked at again.
    pub timers: usize,
    /// Steps under way.
    pub steps: usize,
    /// Lanes.
    pub lanes: usize,
}

impl Load {
    /// What it held when it went to sleep last.
    pub fn held(&self) -> Held {
        let [jobs, claimed, timers, steps, lanes] =
            [0, 1, 2, 3, 4].map(|at| self.0.counts[at].load(Ordering::Relaxed));
        Held {
            jobs,
            claimed,
            timers,
            steps,
            lanes,
        }
    }

    /// About how many taps leave within moments: of users who are looked at, and at lanes that get on. What waits for a slow
    /// service is none of them.
    pub fn about_to_leave(&self) -> usize {
        let at_lanes: usize = self.lanes().iter().map(LaneLoad::moves).sum();
        self.held().claimed + at_lanes
    }

    pub(super) fn note(&self, held: Held) {
        let counts = [held.jobs, held.claimed, held.timers, held.steps, held.lanes];
        for (place, count) in self.0.counts.iter().zip(counts) {
            place.store(count, Ordering::Relaxed);
        }
    }

    pub(super) fn add_lane(&self, pace: &Arc<Pace>, waiting: Waiting) {
        let mut lanes = self.lanes();
        lanes.retain(|lane| lane.pace.strong_count() > 0);
        let pace = Arc::downgrade(pace);
        lanes.push(LaneLoad { pace, waiting });
    }

    fn lanes(&self) -> MutexGuard<'_, Vec<LaneLoad>> {
        self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{dispatch::queue::queue, hub::due::testing::due, model::Platform};

    #[tokio::test(start_paused = true)]
    async fn what_waits_for_a_slow_service_is_not_about_to_leave() {
        let load = Load::default();
        load.note(Held {
            claimed: 5,
            ..Held::default()
        });
        let lanes = [0, 1].map(|_| (Arc::new(Pace::default()), queue()));
        for (pace, (entrance, _)) in &lanes {
            load.add_lane(pace, entrance.counted());
            assert!(entrance.take(due(Platform::Ios, true)));
            pace.asked();
        }
        assert_eq!(load.about_to_leave(), 5 + 2 + 2);
        tokio::time::advance(Duration::from_secs(2)).await;
        lanes[0].0.answered(Duration::from_millis(9));
        lanes[0].0.asked();
        assert_eq!(load.about_to_leave(), 5 + 2);
        drop(lanes);
        assert_eq!(load.about_to_leave(), 5);
    }
}
