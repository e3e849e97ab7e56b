//! Channels that are dead though nobody says so: for days their pushes came to nothing but what may pass.

use crate::{
    hub::DueTap,
    model::Timestamp,
    push::outcome::{Outcome, Verdict},
};

/// How many pushes in a row must have failed before: a hub that was off for weeks has learnt nothing meanwhile.
const TRIES: u32 = 3;

/// Whether a channel is given up with this outcome: for longer than the service may be waited for its pushes came to
/// nothing else. Time that is doubted does not count.
pub(super) fn is_worn_out(due: &DueTap, outcome: &Outcome, now: Timestamp) -> bool {
    let believed = now.min(due.level.believed);
    let failing = due.state.failing.zip(outcome.patience);
    failing.is_some_and(|(since, patience)| {
        due.state.attempts >= TRIES && since.plus(patience) <= believed
    })
}

/// Since when they come to nothing else, with this outcome.
pub(super) fn failing(due: &DueTap, outcome: &Outcome, now: Timestamp) -> Option<Timestamp> {
    outcome.patience.map(|_| due.state.failing.unwrap_or(now))
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
    use std::time::Duration;

    use super::*;
    use crate::{
        hub::due::testing::{at, due},
        model::{Platform, ServiceAnswer},
        push::outcome::Scope,
    };

    const DAY: u64 = 24 * 3600;

    fn no_way() -> Outcome {
        let wait = Verdict::Retry {
            after: None,
            scope: Scope::Unsaid,
        };
        Outcome {
            patience: Some(Duration::from_secs(14 * DAY)),
            ..Outcome::new(wait, ServiceAnswer::default())
        }
    }

    #[test]
    fn a_channel_is_given_up_after_days_of_nothing_else() {
        let mut browser = due(Platform::WebPush, false);
        assert_eq!(failing(&browser, &no_way(), at(0)), Some(at(0)));
        let worn = |due: &DueTap, days: u64| is_worn_out(due, &no_way(), at(days * DAY));
        assert!(!worn(&browser, 14), "the first says nothing");
        browser.state.failing = Some(at(0));
        browser.state.attempts = TRIES;
        assert!(!worn(&browser, 13));
        assert!(worn(&browser, 14));
        assert_eq!(failing(&browser, &no_way(), at(DAY)), Some(at(0)));
        browser.level.believed = at(DAY);
        assert!(!worn(&browser, 14), "the clock is doubted");
        browser.level.believed = Timestamp::MAX;
        browser.state.attempts = TRIES - 1;
        assert!(!worn(&browser, 14), "the hub was off");
    }

    #[test]
    fn anything_else_begins_the_count_anew() {
        let mut browser = due(Platform::WebPush, false);
        browser.state.failing = Some(at(0));
        browser.state.attempts = 100;
        let other = Outcome {
            patience: None,
            ..no_way()
        };
        assert_eq!(failing(&browser, &other, at(20 * DAY)), None);
        assert!(!is_worn_out(&browser, &other, at(20 * DAY)));
    }

    #[test]
    fn what_is_given_up_is_dead_to_its_endpoint_and_failing_to_all() {
        let mut browser = due(Platform::WebPush, false);
        let (same, heard) = of_channel(&browser, no_way(), at(0));
        assert_eq!((same, heard), (no_way(), None));
        browser.state.failing = Some(at(0));
        browser.state.attempts = TRIES;
        let (given_up, heard) = of_channel(&browser, no_way(), at(14 * DAY));
        assert_eq!(given_up.verdict, Verdict::Gone { since: None });
        assert_eq!(heard, Some(no_way()));
    }
}
