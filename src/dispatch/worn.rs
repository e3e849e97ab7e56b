//! Channels that are dead though nobody says so: for days their pushes came to nothing but what may pass.

use std::time::Duration;

use crate::{
    hub::DueTap,
    model::{Failing, Passing, Timestamp},
    push::outcome::{Outcome, Scope, Verdict},
};

/// How far apart two pushes that failed may lie: of a longer time between them nothing is known.
const APART: Duration = Duration::from_hours(24);

/// For how long nothing else may come before the channel is given up.
fn patience(with: Passing) -> Duration {
    match with {
        Passing::NoWay => Duration::from_hours(14 * 24),
        Passing::Invalid => Duration::from_hours(3 * 24),
    }
}

/// The row of failures that an outcome goes on with or begins; none, where it ends it. What no answer came to says neither
/// that the channel is well nor that it is not; nor does what the service says of itself, or of our credentials, where it
/// has called the channel invalid.
pub(super) fn failing(due: &DueTap, outcome: &Outcome, now: Timestamp) -> Option<Failing> {
    let before = due.state.failing;
    let Some(with) = outcome.passing else {
        let of_itself = matches!(
            outcome.verdict,
            Verdict::Misconfigured
                | Verdict::Retry {
                    scope: Scope::Lane | Scope::Unsaid,
                    ..
                }
        );
        return before
            .filter(|it| outcome.answer.status == 0 || of_itself && it.with == Passing::Invalid);
    };
    let before = before.filter(|it| it.with == with && it.last.plus(APART) >= now);
    Some(Failing {
        with,
        since: before.map_or(now, |it| it.since),
        last: now,
    })
}

/// Whether the channel is given up with this outcome. Time that is doubted does not count.
fn is_worn_out(due: &DueTap, outcome: &Outcome, now: Timestamp) -> bool {
    let believed = now.min(due.level.believed);
    let failing = outcome.passing.and_then(|_| failing(due, outcome, now));
    failing.is_some_and(|it| it.since.plus(patience(it.with)) <= believed)
}

/// The outcome as it is for the channel; and, where that is another, what the service said to all.
pub(super) fn of_channel(
    due: &DueTap,
    mut outcome: Outcome,
    now: Timestamp,
) -> (Outcome, Option<Outcome>) {
    if !is_worn_out(due, &outcome, now) {
        return (outcome, None);
    }
    let heard = outcome.clone();
    outcome.verdict = Verdict::Gone { since: None };
    (outcome, Some(heard))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        hub::due::testing::{at, due},
        model::{Platform, ServiceAnswer},
    };

    const HOUR: u64 = 3600;

    fn outcome(passing: Option<Passing>) -> Outcome {
        let wait = Verdict::Retry {
            after: None,
            scope: Scope::Unsaid,
        };
        let answer = ServiceAnswer {
            status: if passing.is_some() { 0 } else { 503 },
            ..ServiceAnswer::default()
        };
        Outcome {
            passing,
            ..Outcome::new(wait, answer)
        }
    }

    /// After how many hours a channel is given up whose pushes come to these, so many hours apart.
    fn given_up(
        due: &mut DueTap,
        apart: u64,
        fails: impl Fn(u64) -> Option<Passing>,
    ) -> Option<u64> {
        due.state.failing = None;
        let mut times = (0..40 * 24).step_by(usize::try_from(apart).unwrap());
        times.find(|hours| {
            let (outcome, now) = (outcome(fails(*hours)), at(hours * HOUR));
            let heard = of_channel(due, outcome.clone(), now);
            due.state.failing = failing(due, &outcome, now);
            let gone = heard.0.verdict == Verdict::Gone { since: None };
            assert_eq!(heard.1, gone.then_some(outcome), "all hear what was said");
            gone
        })
    }

    #[test]
    fn a_channel_is_given_up_after_days_of_nothing_else() {
        let mut browser = due(Platform::WebPush, false);
        let (no_way, invalid) = (Passing::NoWay, Passing::Invalid);
        assert_eq!(given_up(&mut browser, 1, |_| Some(no_way)), Some(14 * 24));
        assert_eq!(given_up(&mut browser, 24, |_| Some(invalid)), Some(3 * 24));
        assert_eq!(
            given_up(&mut browser, 25, |_| Some(invalid)),
            None,
            "too far apart"
        );
        let between = |hours| (hours % (13 * 24) != 1).then_some(no_way);
        assert_eq!(given_up(&mut browser, 1, between), None, "it was there");
        let held = |hours| (hours % 20 != 1).then_some(invalid);
        let despite = given_up(&mut browser, 1, held);
        assert_eq!(despite, Some(3 * 24), "it was throttled now and then");
        let mixed = |hours| Some(if hours < 4 * 24 { no_way } else { invalid });
        assert_eq!(given_up(&mut browser, 1, mixed), Some(7 * 24));
        // After a failed dial the next is put off, and for the while no push is tried.
        browser.state.failing = failing(&browser, &outcome(Some(no_way)), at(0));
        let before = browser.state.failing;
        let mut untried = outcome(None);
        untried.answer.status = 0;
        assert_eq!(failing(&browser, &untried, at(HOUR)), before);
        browser.level.believed = at(HOUR);
        assert_eq!(
            given_up(&mut browser, 1, |_| Some(no_way)),
            None,
            "the clock is doubted"
        );
    }
}
