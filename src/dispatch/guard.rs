//! What guards the channels of an app at a service against wrong settings (contract 3.6). All lanes to the service share
//! it, and so do those that come after a reload of the same settings.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::{
    hub::DROPS,
    model::{AppHost, AppService, ChannelKind, Timestamp},
    push::outcome::{Outcome, Verdict},
};

/// The guard.
#[derive(Debug)]
pub(super) struct Guard {
    /// Of what.
    pub(super) service: AppService,
    /// How many channels were called dead since the last success.
    drops: AtomicU32,
    /// What the store has of one with other settings, until a success: these are tried, and may be no better.
    earlier: AtomicU32,
}

/// What an outcome was to the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guarded {
    /// Nothing: what guards does not, or has nothing to do with it.
    No,
    /// One channel more is dropped.
    Counts,
    /// It is the one after which nothing more is dropped.
    Begins,
    /// Nothing was dropped for it.
    Yes,
    /// What was counted is over with it.
    Ends,
}

impl Guard {
    /// One that goes on from `drops`, where the store may have what one with `earlier` settings counted.
    pub(super) fn new(service: AppService, drops: u32, earlier: u32) -> Self {
        Self {
            service,
            drops: AtomicU32::new(drops),
            earlier: AtomicU32::new(earlier),
        }
    }

    /// Whether nothing more is dropped until a push was taken.
    pub(super) fn stands(&self) -> bool {
        self.drops.load(Ordering::Relaxed) >= DROPS
    }

    /// How many channels were called dead since the last success, as it is to be kept.
    pub(super) fn to_keep(&self) -> u32 {
        let drops = self.drops.load(Ordering::Relaxed);
        drops.max(self.earlier.load(Ordering::Relaxed))
    }

    /// Takes in what became of a push to a channel that was last `registered` then. A channel that was registered since
    /// it died is not dropped, and does not count; under guard none is.
    pub(super) fn take(&self, outcome: &mut Outcome, registered: Timestamp) -> Guarded {
        match outcome.verdict {
            Verdict::Accepted => {
                let earlier = self.earlier.swap(0, Ordering::Relaxed);
                match self.drops.swap(0, Ordering::Relaxed) {
                    0 if earlier == 0 => Guarded::No,
                    _ => Guarded::Ends,
                }
            }
            verdict if verdict.drops(registered) => {
                match self.drops.fetch_add(1, Ordering::Relaxed) + 1 {
                    ..DROPS => Guarded::Counts,
                    DROPS => Guarded::Begins,
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

/// Says in the log that a guard is engaged, and what to do.
pub(super) fn tell(app: &AppHost, service: ChannelKind) {
    let service = service.as_str();
    tracing::error!(
        %app, service,
        "{DROPS} channels in a row were called dead without one success; no more are dropped until one was taken. Check the credentials and topics, send SIGHUP, and bring back what was dropped with `beckon endpoint revive`"
    );
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

    fn guard(drops: u32, earlier: u32) -> Guard {
        let service = AppService {
            app: AppHost::parse("todo.example").unwrap(),
            kind: ChannelKind::Fcm,
            sandbox: false,
        };
        Guard::new(service, drops, earlier)
    }

    #[test]
    fn twenty_drops_in_a_row_begin_it_and_one_success_ends_it() {
        let (guard, long_ago) = (guard(0, 0), Timestamp::default());
        let gone = Verdict::Gone { since: None };
        for _ in 0..3 {
            for nth in 1..=DROPS {
                let mut it = outcome(gone);
                let expected = if nth < DROPS {
                    Guarded::Counts
                } else {
                    Guarded::Begins
                };
                assert_eq!(guard.take(&mut it, long_ago), expected);
                assert_eq!(it.verdict, gone, "it is dropped");
                assert_eq!(guard.to_keep(), nth);
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
    fn one_that_has_counted_before_counts_on() {
        let gone = || outcome(Verdict::Gone { since: None });
        let long_ago = Timestamp::default();
        let engaged = guard(DROPS, 0);
        assert_eq!(engaged.take(&mut gone(), long_ago), Guarded::Yes);
        let nearly = guard(DROPS - 1, 0);
        assert_eq!(nearly.take(&mut gone(), long_ago), Guarded::Begins);
    }

    #[test]
    fn a_success_ends_what_earlier_settings_counted() {
        let guard = guard(0, DROPS);
        let mut gone = outcome(Verdict::Gone { since: None });
        assert_eq!(
            guard.take(&mut gone, Timestamp::default()),
            Guarded::Counts,
            "these are tried"
        );
        assert_eq!(guard.to_keep(), DROPS);
        let mut taken = outcome(Verdict::Accepted);
        let long_ago = Timestamp::default();
        assert_eq!(guard.take(&mut taken, long_ago), Guarded::Ends);
        assert_eq!(guard.to_keep(), 0);
        assert_eq!(guard.take(&mut taken, long_ago), Guarded::No);
    }

    #[test]
    fn what_was_registered_since_it_died_does_not_count() {
        let guard = guard(0, 0);
        let since = Some(Timestamp::from_millis(1));
        for _ in 0..3 * DROPS {
            let mut it = outcome(Verdict::Gone { since });
            let registered = Timestamp::from_millis(2);
            assert_eq!(guard.take(&mut it, registered), Guarded::No);
        }
    }
}
