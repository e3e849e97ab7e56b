//! What fails again and again is told at once, and from then on now and then with how often it was: a log that grows by a
//! line each time would hide everything else.

use std::time::Duration;

use tokio::time::Instant;

/// How long nothing more is told at first, and at last.
const FIRST: Duration = Duration::from_secs(60);
const LAST: Duration = Duration::from_secs(3600);

/// What was told of one kind of failure.
#[derive(Debug, Default)]
pub(super) struct Told {
    last: Option<(Instant, Duration)>,
    untold: u64,
}

impl Told {
    /// Notes one more; says how many there were since it was told last, where it is to be told now.
    pub(super) fn again(&mut self) -> Option<u64> {
        self.untold += 1;
        let rest = match self.last {
            Some((at, rest)) if at.elapsed() < rest => return None,
            Some((at, rest)) if at.elapsed() < rest * 2 => (rest * 2).min(LAST),
            _ => FIRST,
        };
        self.last = Some((Instant::now(), rest));
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_fails_all_the_time_is_told_less_and_less_often() {
        let mut told = Told::default();
        let mut lines = Vec::new();
        for second in 0..4 * 3600 {
            lines.extend(told.again().map(|count| (second, count)));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let begin = [(0, 1), (60, 60), (180, 120), (420, 240)];
        assert_eq!(lines[..4], begin);
        assert!(lines.len() < 12, "{lines:?}");
        tokio::time::advance(LAST * 2).await;
        assert!(told.again().is_some());
        assert_eq!(told.again(), None);
        tokio::time::advance(FIRST).await;
        assert_eq!(told.again(), Some(2), "after a rest it begins anew");
    }
}
