//! How much a dispatcher holds in memory: what is bounded can be seen to be.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// What a dispatcher holds at present. Cheap to clone; it goes on telling as long as the dispatcher runs.
#[derive(Debug, Clone, Default)]
pub struct Load(Arc<[AtomicUsize; 4]>);

/// The counts of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// Users who are looked at, or of whom taps are under way.
    pub jobs: usize,
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
        let [jobs, timers, steps, lanes] =
            [0, 1, 2, 3].map(|at| self.0[at].load(Ordering::Relaxed));
        Held {
            jobs,
            timers,
            steps,
            lanes,
        }
    }

    pub(super) fn note(&self, held: Held) {
        let counts = [held.jobs, held.timers, held.steps, held.lanes];
        for (place, count) in self.0.iter().zip(counts) {
            place.store(count, Ordering::Relaxed);
        }
    }
}
