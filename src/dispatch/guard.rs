//! What guards the channels of an app at a service against wrong settings (contract 3.6). All lanes to the service share
//! it, and so do those that come after a reload of the same settings.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::{
    model::Timestamp,
    push::outcome::{Outcome, Verdict},
};

/// How many channels are dropped in a row without one success.
pub(super) const DROPS: u32 = 20;

/// The guard.
#[derive(Debug)]
pub(super) struct Guard {
    /// How many channels were called dead since the last success.
    drops: AtomicU32,
    /// Whether it is kept through a restart.
    kept: AtomicBool,
}

/// What an outcome was to the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guarded {
    /// Nothing: what guards does not, or has nothing to do with it.
    No,
    /// It is the one after which nothing more is dropped.
    Begins,
    /// Nothing was dropped for it.
    Yes,
    /// It ends.
    Ends,
}

impl Guard {
    /// One that guards from the start, or not yet; an earlier one may be `kept`.
    pub(super) fn new(guards: bool, kept: bool) -> Self {
        let drops = if guards { DROPS } else { 0 };
        Self {
            drops: AtomicU32::new(drops),
            kept: AtomicBool::new(kept),
        }
    }

    /// Takes in what became of a push to a channel that was last `registered` then. A channel that was registered since
    /// it died is not dropped, and does not count; under guard none is.
    pub(super) fn take(&self, outcome: &mut Outcome, registered: Timestamp) -> Guarded {
        match outcome.verdict {
            Verdict::Accepted => {
                self.drops.store(0, Ordering::Relaxed);
                match self.kept.swap(false, Ordering::Relaxed) {
                    true => Guarded::Ends,
                    false => Guarded::No,
                }
            }
            verdict if verdict.drops(registered) => {
                match self.drops.fetch_add(1, Ordering::Relaxed) + 1 {
                    ..DROPS => Guarded::No,
                    DROPS => {
                        self.kept.store(true, Ordering::Relaxed);
                        Guarded::Begins
                    }
                    _ => {
                        outcome.verdict = Verdict::Misconfigured;
                        Guarded::Yes
                    }
                }
            }
            _ => Guarded::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServiceAnswer;

    fn outcome(verdict: Verdict) -> Outcome {
        let answer = ServiceAnswer {
            status: 410,
            reason: None,
            id: None,
        };
        Outcome::new(verdict, answer)
    }

    #[test]
    fn twenty_drops_in_a_row_begin_it_and_one_success_ends_it() {
        let (guard, long_ago) = (Guard::new(false, false), Timestamp::default());
        let gone = Verdict::Gone { since: None };
        for _ in 0..3 {
            for nth in 1..=DROPS {
                let mut it = outcome(gone);
                let expected = if nth < DROPS {
                    Guarded::No
                } else {
                    Guarded::Begins
                };
                assert_eq!(guard.take(&mut it, long_ago), expected);
                assert_eq!(it.verdict, gone, "it is dropped");
            }
            let mut more = outcome(gone);
            assert_eq!(guard.take(&mut more, long_ago), Guarded::Yes);
            assert_eq!(more.verdict, Verdict::Misconfigured, "it is not dropped");
            let mut taken = outcome(Verdict::Accepted);
            assert_eq!(guard.take(&mut taken, long_ago), Guarded::Ends);
            assert_eq!(guard.take(&mut taken, long_ago), Guarded::No);
        }
    }

    #[test]
    fn one_that_has_begun_before_drops_nothing() {
        let guard = Guard::new(true, true);
        let mut it = outcome(Verdict::Gone { since: None });
        assert_eq!(guard.take(&mut it, Timestamp::default()), Guarded::Yes);
    }

    #[test]
    fn what_was_registered_since_it_died_does_not_count() {
        let guard = Guard::new(false, false);
        let since = Some(Timestamp::from_millis(1));
        for _ in 0..3 * DROPS {
            let mut it = outcome(Verdict::Gone { since });
            let registered = Timestamp::from_millis(2);
            assert_eq!(guard.take(&mut it, registered), Guarded::No);
        }
    }
}
