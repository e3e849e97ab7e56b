//! The fallbacks that are due at an endpoint, among all that waits to be shown there.

use super::{Step, fallback_due};
use crate::model::{FeedPosition, Notification, Timestamp};

/// Of more than these waiting to be shown, the newest leave; a later push covers the rest.
const WAITING: usize = 10;

/// Fallbacks in the order in which they came due.
pub(super) struct Shows<'a> {
    fallbacks: Vec<&'a Notification>,
    /// Those that are not shown, because a later push covers them.
    pub(super) passed: Vec<FeedPosition>,
}

impl<'a> Shows<'a> {
    /// Those of `open` that are due at `now`.
    pub(super) fn of(open: &[&'a Notification], now: Timestamp) -> Self {
        let is_due = |it: &&&Notification| fallback_due(it, now).is_some_and(|due| due <= now);
        let mut fallbacks: Vec<&Notification> = open.iter().filter(is_due).copied().collect();
        fallbacks.sort_by_key(|it| (it.fallback_due(), it.number));
        Self {
            fallbacks,
            passed: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fallbacks.is_empty()
    }

    /// Leaves out the oldest where too many wait beside those `visible`, and says how many of these are left out.
    pub(super) fn bound(&mut self, visible: &[&Step]) -> usize {
        let mut over = (self.fallbacks.len() + visible.len()).saturating_sub(WAITING);
        let mut skipped = 0;
        while over > 0 {
            match self.turn(visible.get(skipped).copied()) {
                Some(it) => {
                    self.passed.push(it.number);
                    self.fallbacks.remove(0);
                }
                None => skipped += 1,
            }
            over -= 1;
        }
        skipped
    }

    /// The fallback whose turn it is: the first, unless `visible` was there before it came due.
    pub(super) fn turn(&self, visible: Option<&Step>) -> Option<&'a Notification> {
        let first = self.fallbacks.first()?;
        let comes_after = visible
            .is_some_and(|step| first.fallback_due().is_some_and(|due| step.change.at < due));
        (!comes_after).then_some(*first)
    }
}
