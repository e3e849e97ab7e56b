//! Whether the wall's time can be believed: pure, asked with what the wall says and how much time has passed.

use std::time::Duration;

use crate::model::Timestamp;

/// A wall that is further than this from where it should be has leapt.
const LEAP: Duration = Duration::from_secs(5 * 60);
/// How long the time is doubted after a leap.
const DOUBT: Duration = Duration::from_secs(15 * 60);

/// A smaller step back, while the time is doubted, is no leap that was undone.
const STEP: Duration = Duration::from_secs(1);

/// A reading of the wall's clock, and when on the clock that only goes on.
type Reading = (Timestamp, Duration);

/// Watches the wall's time.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// What the wall said last.
    seen: Option<Reading>,
    /// What was last taken for true.
    trusted: Reading,
    doubted_until: Option<Duration>,
    /// The last answer while in doubt: what is less has gone back.
    given: Timestamp,
    /// How often a leap was undone, and how many of these were asked for.
    undone: u64,
    undone_told: u64,
}

/// What there is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// The wall should say `expected`.
    Leap { expected: Timestamp },
    /// The doubt is over.
    Trusted,
}

impl Watch {
    pub(super) fn going_on_from(stored: Timestamp, passed: Duration) -> Self {
        Self {
            seen: Some((stored, passed)),
            trusted: (stored, passed),
            ..Self::default()
        }
    }

    /// The time to live by.
    pub(super) fn read(&mut self, wall: Timestamp, passed: Duration) -> (Timestamp, Option<Heard>) {
        let seen = *self.seen.get_or_insert((wall, passed));
        // Another thread may have read later and come first.
        let passed = passed.max(seen.1);
        let expected = gone_on(seen, passed);
        self.seen = Some((wall, passed));
        let mut heard = None;
        if wall.since(expected).max(expected.since(wall)) > LEAP {
            if self.doubted_until.is_none() {
                self.given = expected;
            }
            self.doubted_until = Some(passed + DOUBT);
            heard = Some(Heard::Leap { expected });
        } else if self.doubted_until.is_some_and(|until| passed >= until) {
            // What it says now may be less than it said in doubt.
            self.time(wall, passed);
            self.trust(passed);
            heard = Some(Heard::Trusted);
        }
        (self.time(wall, passed), heard)
    }

    fn time(&mut self, wall: Timestamp, passed: Duration) -> Timestamp {
        if self.doubted_until.is_some() {
            let now = wall.max(gone_on(self.trusted, passed));
            if now < self.given && self.given.since(now) < STEP {
                return self.given;
            }
            self.undone += u64::from(now < self.given);
            self.given = now;
            return now;
        }
        // Nothing is gained where the wall is ahead, as it should be; where it is behind, half of what passes.
        let (from, since) = self.trusted;
        let least = from.plus(passed.saturating_sub(since) / 2);
        let now = wall.max(least);
        if now > from {
            self.trusted = (now, passed);
        }
        now
    }

    pub(super) fn doubted_for(&self, passed: Duration) -> Option<Duration> {
        self.doubted_until.map(|until| until.saturating_sub(passed))
    }

    /// Ends the doubt: the time as it was last given is true.
    pub(super) fn trust(&mut self, passed: Duration) {
        if self.doubted_until.take().is_some() {
            let wall = self.seen.map_or(Timestamp::default(), |seen| seen.0);
            let now = wall.max(gone_on(self.trusted, passed));
            self.trusted = (now.max(self.given), passed);
        }
    }

    pub(super) fn trusted(&self, passed: Duration) -> Timestamp {
        match self.doubted_until {
            Some(_) => gone_on(self.trusted, passed),
            None => self.trusted.0,
        }
    }

    pub(super) fn take_undone(&mut self) -> bool {
        let undone = self.undone > self.undone_told;
        self.undone_told = self.undone;
        undone
    }

    pub(super) fn undone(&self) -> u64 {
        self.undone
    }
}

/// What a clock says that goes on from a reading.
fn gone_on((from, since): Reading, passed: Duration) -> Timestamp {
    from.plus(passed.saturating_sub(since))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: u64 = 1_800_000_000_000;
    const MINUTE: u64 = 60_000;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(START + millis)
    }

    fn passed(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn small_steps_are_followed_and_never_backwards() {
        let mut watch = Watch::default();
        assert_eq!(watch.read(at(0), passed(0)), (at(0), None));
        assert_eq!(
            watch.read(at(5 * MINUTE), passed(0)),
            (at(5 * MINUTE), None)
        );
        // Back by four minutes: half speed until the wall has caught up.
        assert_eq!(watch.read(at(MINUTE), passed(0)), (at(5 * MINUTE), None));
        let halfway = watch.read(at(3 * MINUTE), passed(2 * MINUTE));
        assert_eq!(halfway, (at(6 * MINUTE), None));
        let caught_up = watch.read(at(12 * MINUTE), passed(11 * MINUTE));
        assert_eq!(caught_up, (at(12 * MINUTE), None));
        assert_eq!(watch.doubted_for(passed(11 * MINUTE)), None);
    }

    #[test]
    fn a_leap_forward_is_doubted_and_then_trusted() {
        let mut watch = Watch::default();
        watch.read(at(0), passed(0));
        let leapt = watch.read(at(5 * MINUTE + 1), passed(0));
        assert_eq!(
            leapt,
            (at(5 * MINUTE + 1), Some(Heard::Leap { expected: at(0) }))
        );
        assert_eq!(watch.doubted_for(passed(0)), Some(DOUBT));
        assert_eq!(
            watch.trusted(passed(MINUTE)),
            at(MINUTE),
            "not yet the leapt one"
        );
        let still = watch.read(at(20 * MINUTE), passed(15 * MINUTE - 1));
        assert_eq!(still.1, None);
        assert!(watch.doubted_for(passed(15 * MINUTE - 1)).is_some());
        let trusted = watch.read(at(20 * MINUTE + 1), passed(15 * MINUTE));
        assert_eq!(trusted, (at(20 * MINUTE + 1), Some(Heard::Trusted)));
        assert_eq!(watch.doubted_for(passed(15 * MINUTE)), None);
        assert_eq!(watch.trusted(passed(15 * MINUTE)), at(20 * MINUTE + 1));
        assert!(!watch.take_undone());
    }

    #[test]
    fn a_leap_forward_that_is_undone_leaves_the_time_as_it_would_have_been() {
        let year = 365 * 24 * 60 * MINUTE;
        let mut watch = Watch::default();
        watch.read(at(0), passed(0));
        assert_eq!(watch.read(at(year), passed(0)).0, at(year));
        let back = watch.read(at(3 * MINUTE), passed(3 * MINUTE));
        assert_eq!(back.0, at(3 * MINUTE));
        assert!(back.1.is_some(), "that was a leap too");
        assert!(watch.take_undone() && !watch.take_undone());
        // Further back than where it was is not gone: what was trusted goes on.
        assert_eq!(watch.read(at(0), passed(4 * MINUTE)).0, at(4 * MINUTE));
    }

    #[test]
    fn a_small_step_back_in_doubt_undoes_nothing() {
        let mut watch = Watch::default();
        watch.read(at(0), passed(0));
        watch.read(at(60 * MINUTE), passed(0));
        assert_eq!(
            watch.read(at(60 * MINUTE + 10), passed(10)).0,
            at(60 * MINUTE + 10)
        );
        let earlier = watch.read(at(60 * MINUTE + 9), passed(9));
        assert_eq!(earlier.0, at(60 * MINUTE + 10), "another thread's reading");
        assert!(!watch.take_undone());
        watch.read(at(60 * MINUTE - 1_000), passed(11));
        assert!(watch.take_undone());
    }

    #[test]
    fn a_step_back_as_the_doubt_ends_is_told_or_does_not_show() {
        for (step, goes_back) in [(2 * MINUTE, true), (500, false)] {
            let mut watch = Watch::default();
            watch.read(at(0), passed(0));
            watch.read(at(60 * MINUTE), passed(0));
            let last = watch.read(at(74 * MINUTE), passed(14 * MINUTE)).0;
            let (now, heard) = watch.read(at(74 * MINUTE - step), passed(15 * MINUTE));
            assert_eq!(heard, Some(Heard::Trusted));
            assert_eq!((now < last, watch.take_undone()), (goes_back, goes_back));
        }
    }

    #[test]
    fn a_leap_back_goes_on_from_what_was_trusted() {
        let hour = 60 * MINUTE;
        let mut watch = Watch::default();
        watch.read(at(hour), passed(0));
        let back = watch.read(at(0), passed(0));
        assert_eq!(back, (at(hour), Some(Heard::Leap { expected: at(hour) })));
        assert_eq!(
            watch.read(at(10 * MINUTE), passed(10 * MINUTE)).0,
            at(hour + 10 * MINUTE)
        );
        let trusted = watch.read(at(15 * MINUTE), passed(15 * MINUTE));
        assert_eq!(trusted, (at(hour + 15 * MINUTE), Some(Heard::Trusted)));
        let slower = watch.read(at(35 * MINUTE), passed(35 * MINUTE));
        assert_eq!(slower.0, at(hour + 25 * MINUTE));
        assert_eq!(watch.read(at(4 * hour), passed(4 * hour)).0, at(4 * hour));
        assert!(!watch.take_undone());
    }

    #[test]
    fn what_a_store_was_told_is_gone_on_from() {
        let mut watch = Watch::going_on_from(at(0), passed(50));
        assert_eq!(watch.read(at(MINUTE), passed(50)), (at(MINUTE), None));
        let mut watch = Watch::going_on_from(at(0), passed(0));
        assert!(
            matches!(watch.read(at(6 * MINUTE), passed(0)), (now, Some(_)) if now == at(6 * MINUTE))
        );
        let mut watch = Watch::going_on_from(at(10 * MINUTE), passed(0));
        assert!(matches!(watch.read(at(0), passed(0)), (now, Some(_)) if now == at(10 * MINUTE)));
        watch.trust(passed(0));
        assert_eq!(watch.doubted_for(passed(0)), None);
        assert_eq!(
            watch.read(at(1), passed(1)).0,
            at(10 * MINUTE),
            "nor does it go back when trusted"
        );
    }

    proptest! {
        /// Whatever the wall says: never behind what was trusted, never back but where a leap is undone, and a leap is
        /// doubted for all of its time.
        #[test]
        fn the_time_only_goes_back_to_undo_a_leap(
            steps in proptest::collection::vec((0u64..20 * MINUTE, 0u64..200 * MINUTE), 1..40),
        ) {
            let mut watch = Watch::default();
            let (mut mono, mut last) = (0, Timestamp::default());
            for (step, wall) in steps {
                mono += step;
                let trusted = watch.trusted(passed(mono));
                let (now, heard) = watch.read(at(wall), passed(mono));
                prop_assert!(now >= trusted);
                let undone = watch.take_undone();
                prop_assert!(now >= last || undone, "{now} after {last}");
                if let Some(Heard::Leap { .. }) = heard {
                    prop_assert_eq!(watch.doubted_for(passed(mono)), Some(DOUBT));
                }
                last = now;
            }
        }
    }
}
