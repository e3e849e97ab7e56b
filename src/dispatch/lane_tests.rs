use super::*;
use crate::model::ServiceAnswer;

#[test]
fn a_service_is_believed_where_a_channel_was_registered_by_a_clock_that_had_leapt() {
    let at = Timestamp::from_millis;
    let check = |registered: u64, expected: Option<Timestamp>| {
        let answer = ServiceAnswer {
            status: 410,
            reason: None,
            id: None,
        };
        let since = Some(at(1_000));
        let outcome = Outcome::new(Verdict::Gone { since }, answer);
        let outcome = comparable(outcome, at(registered), at(2_000));
        assert_eq!(outcome.verdict, Verdict::Gone { since: expected });
    };
    check(500, Some(at(1_000)));
    check(1_500, Some(at(1_000)));
    check(2_001, None);
}

#[test]
fn what_was_registered_since_it_died_is_given_up_only_after_days() {
    let at = |secs: u64| Timestamp::from_millis(1000 * secs);
    let answer = ServiceAnswer {
        status: 410,
        reason: None,
        id: None,
    };
    for (died, passing) in [(999, Some(Passing::Invalid)), (1000, None)] {
        let since = Some(at(died));
        let outcome = Outcome::new(Verdict::Gone { since }, answer.clone());
        let outcome = comparable(outcome, at(1_000), at(1_000_000));
        assert_eq!(outcome.verdict, Verdict::Gone { since });
        assert_eq!(outcome.passing, passing, "died at {died}");
    }
}

#[test]
fn a_push_under_way_takes_little_memory() {
    fn size<W, D, P, F>(_: fn(W, D, P) -> F) -> usize {
        std::mem::size_of::<F>()
    }
    let bytes = size(push);
    assert!(bytes < 4096, "{bytes}: box what is rare on its way");
}
