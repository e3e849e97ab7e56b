//! How fast a lane is answered.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// A full lane whose answers take longer is slow: what it has no room for is put off rather than kept in memory.
const SLOW: Duration = Duration::from_secs(1);

/// How fast a lane is answered.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// How long answers took of late.
    usual: Duration,
    under_way: usize,
    /// When something was answered last, or the first of what is under way was asked.
    since: Option<Instant>,
}

impl Known {
    /// For how long answers have stayed away.
    fn silence(&self) -> Duration {
        let since = self.since.filter(|_| self.under_way > 0);
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

impl Pace {
    /// Notes that an answer is waited for.
    pub(super) fn asked(&self) {
        let mut known = self.known();
        if known.under_way == 0 {
            known.since = Some(Instant::now());
        }
        known.under_way += 1;
    }

    /// Notes an answer; of its time an eighth counts, of the earlier ones the rest.
    pub(super) fn answered(&self, took: Duration) {
        let mut known = self.known();
        known.usual = (known.usual * 7 + took) / 8;
        known.under_way = known.under_way.saturating_sub(1);
        known.since = Some(Instant::now());
    }

    /// How many answers are waited for.
    pub(super) fn under_way(&self) -> usize {
        self.known().under_way
    }

    /// Whether answers take long, or stay away.
    pub(super) fn is_slow(&self) -> bool {
        let known = self.known();
        known.usual > SLOW || known.silence() > SLOW
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lane_is_slow_where_answers_stay_away_and_not_where_nobody_asks() {
        let pace = Pace::default();
        let pass = tokio::time::advance;
        pass(Duration::from_secs(3600)).await;
        assert!(!pace.is_slow(), "nothing was asked");
        pace.asked();
        assert!(!pace.is_slow(), "it was asked just now");
        pass(Duration::from_secs(2)).await;
        assert!(pace.is_slow(), "no answer has come");
        pace.answered(Duration::from_secs(2));
        pass(Duration::from_secs(3600)).await;
        assert!(!pace.is_slow(), "one took long, and nothing is asked");
        for _ in 0..8 {
            pace.asked();
            pace.answered(Duration::from_secs(2));
        }
        assert!(pace.is_slow(), "they take long");
    }
}
