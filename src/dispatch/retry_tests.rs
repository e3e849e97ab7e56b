use super::*;
use crate::{
    hub::due::{
        Decision,
        testing::{app, at, due, level, notification, posted},
    },
    model::{FeedPosition, Platform, Priority, ServiceAnswer},
    push::outcome::Scope,
};

fn outcome(verdict: Verdict) -> Outcome {
    let answer = ServiceAnswer {
        status: 200,
        reason: Some("words".into()),
        id: None,
    };
    Outcome::new(verdict, answer)
}

fn settle(due: &DueTap, verdict: Verdict, random: f64) -> Settled {
    next(
        due,
        &outcome(verdict),
        (100, random),
        &Delivery::default(),
        at(10),
    )
}

#[test]
fn what_was_accepted_is_covered_and_awaits_its_answer() {
    let settled = settle(&due(Platform::Android, false), Verdict::Accepted, 0.5);
    let state = &settled.state;
    assert_eq!(
        (state.covered, state.tapped),
        (FeedPosition(9), FeedPosition(9))
    );
    assert_eq!((state.tapped_at, state.tapped_silently), (at(10), true));
    assert_eq!(state.silent, [at(10)]);
    let push = settled.push.unwrap();
    assert!(push.accepted && push.attempts == 1 && push.size_bytes == 100);
    assert_eq!(
        state.answer.as_ref().unwrap().reason.as_deref(),
        Some("words")
    );
}

#[test]
fn an_unanswered_silent_tap_that_is_sent_again_counts_as_a_repetition() {
    let mut again = due(Platform::Android, false);
    again.state.tapped = FeedPosition(5);
    again.state.tapped_silently = true;
    again.level.state = again.state.clone();
    assert_eq!(settle(&again, Verdict::Accepted, 0.0).state.repeats, 1);
    again.level.mark.position = FeedPosition(5);
    assert_eq!(
        settle(&again, Verdict::Accepted, 0.0).state.repeats,
        0,
        "it was answered"
    );
}

#[test]
fn a_dead_channel_is_dropped_unless_it_was_registered_since() {
    let phone = due(Platform::Ios, true);
    let gone = settle(&phone, Verdict::Gone { since: None }, 0.5);
    assert_eq!(gone.state.gone, Some(at(10)));
    assert!(!gone.push.unwrap().accepted);
    let before = at(0).minus(Duration::from_secs(1));
    let earlier = settle(
        &phone,
        Verdict::Gone {
            since: Some(before),
        },
        0.5,
    );
    assert_eq!((earlier.state.gone, earlier.push), (None, None));
}

#[test]
fn waits_double_with_full_jitter_and_heed_the_service() {
    let check = |platform, attempts: u32, random, after, expected_ms: u64| {
        let mut it = due(platform, false);
        it.state.attempts = attempts;
        let verdict = Verdict::Retry {
            after,
            scope: Scope::Unsaid,
        };
        let settled = settle(&it, verdict, random);
        assert_eq!(settled.push, None);
        assert_eq!(settled.state.attempts, attempts + 1);
        assert_eq!(settled.state.covered, FeedPosition(0), "it stays due");
        let wait = settled.state.not_before.since(at(10));
        assert_eq!(
            wait,
            Duration::from_millis(expected_ms),
            "{platform:?} {attempts}"
        );
    };
    check(Platform::WebPush, 0, 1.0, None, 1_000);
    check(Platform::WebPush, 3, 1.0, None, 8_000);
    check(Platform::WebPush, 3, 0.5, None, 4_000);
    check(Platform::Ios, 0, 1.0, None, 2_500);
    check(Platform::Android, 0, 0.0, None, 10_000);
    check(Platform::Android, 0, 0.5, None, 15_000);
    check(Platform::WebPush, 40, 1.0, None, 15 * 60 * 1000);
    check(
        Platform::WebPush,
        0,
        1.0,
        Some(Duration::from_secs(77)),
        77_000,
    );
    check(
        Platform::WebPush,
        40,
        1.0,
        Some(Duration::from_secs(5)),
        15 * 60 * 1000,
    );
}

#[test]
fn a_wait_of_our_own_ends_before_the_tap_is_of_no_more_use() {
    let mut it = due(Platform::WebPush, false);
    it.state.attempts = 40;
    it.tap.expires = at(70);
    let verdict = Verdict::Retry {
        after: None,
        scope: Scope::Channel,
    };
    let settled = settle(&it, verdict, 1.0);
    assert_eq!(settled.state.not_before, at(70));
    // What the service demands is kept all the same, for whatever comes next.
    let demanded = Verdict::Retry {
        after: Some(Duration::from_secs(600)),
        scope: Scope::Channel,
    };
    let settled = settle(&it, demanded, 1.0);
    assert_eq!(settled.state.not_before, at(610));
}

#[test]
fn what_the_service_never_takes_is_owed_no_more() {
    let settled = settle(&due(Platform::Ios, true), Verdict::Rejected, 0.5);
    assert_eq!(settled.state.covered, FeedPosition(9));
    assert_eq!(settled.state.tapped, FeedPosition(0));
    assert!(!settled.push.unwrap().accepted);
}

#[test]
fn wrong_settings_stop_and_keep_the_tap_due() {
    let settled = settle(&due(Platform::Ios, true), Verdict::Misconfigured, 0.5);
    assert!(settled.state.stopped == Some(at(10)) && settled.push.is_none());
    assert_eq!(settled.state.not_before, at(10).plus(STOPPED + PAUSE));
    let hold = Hold {
        until: at(60),
        stopped: Some(at(10)),
        answer: Some(outcome(Verdict::Misconfigured).answer),
    };
    let held = held(&due(Platform::Ios, true), hold, at(10));
    assert_eq!((held.attempts, held.stopped), (0, Some(at(10))));
    assert_eq!((held.not_before, held.put_off_at), (at(60), at(10)));
    assert_eq!(held.answer.unwrap().reason.as_deref(), Some("words"));
}

#[test]
fn what_settings_were_refused_with_is_not_told_once_they_are_not() {
    let mut stood = due(Platform::Ios, true);
    stood.state.stopped = Some(at(5));
    stood.state.answer = Some(outcome(Verdict::Misconfigured).answer);
    let full = Hold {
        until: at(11),
        stopped: None,
        answer: None,
    };
    assert_eq!(held(&stood, full, at(10)).answer, None);
}

#[test]
fn what_was_said_to_another_is_not_told_as_said_to_one_that_was_tried() {
    let hold = || Hold {
        until: at(60),
        stopped: None,
        answer: Some(ServiceAnswer {
            id: Some("of another".into()),
            ..outcome(Verdict::Rejected).answer
        }),
    };
    let mut tried = due(Platform::Ios, true);
    let own = ServiceAnswer {
        status: 500,
        ..ServiceAnswer::default()
    };
    (tried.state.attempts, tried.state.tried_at) = (1, at(5));
    tried.state.answer = Some(own.clone());
    let waiting = held(&tried, hold(), at(10));
    assert_eq!(waiting.answer, Some(own));
    assert_eq!((waiting.attempts, waiting.tried_at), (1, at(5)));
    let waiting = held(&due(Platform::Ios, true), hold(), at(10));
    let said = waiting.answer.unwrap();
    assert_eq!((said.reason.as_deref(), said.id), (Some("words"), None));
}

#[test]
fn a_raw_push_that_the_device_dropped_is_shown_as_a_toast() {
    let mut visible = due(Platform::Windows, true);
    visible.displayed = false;
    let settled = settle(&visible, Verdict::Dropped, 0.5);
    assert!(settled.state.toast && settled.push.is_none());
    assert_eq!(settled.state.covered, FeedPosition(0));
    let silent = settle(&due(Platform::Windows, false), Verdict::Dropped, 0.5);
    assert_eq!(
        silent.state.tapped,
        FeedPosition(9),
        "repeated later, not at once"
    );
    assert!(!silent.push.unwrap().accepted);
}

#[test]
fn the_burst_is_used_up_and_comes_back() {
    let mut phone = due(Platform::Ios, true);
    phone.state.burst = 4;
    phone.state.burst_at = at(10);
    assert_eq!(settle(&phone, Verdict::Accepted, 0.5).state.burst, 5);
    phone.state.burst_at = at(7);
    assert_eq!(settle(&phone, Verdict::Accepted, 0.5).state.burst, 2);
}

#[test]
fn what_is_urgent_does_not_make_the_next_repetition_later() {
    let mut urgent = due(Platform::Android, false);
    urgent.state.tapped = FeedPosition(5);
    urgent.state.tapped_silently = true;
    urgent.state.tapped_at = at(0);
    urgent.state.repeats = 1;
    urgent.level.state = urgent.state.clone();
    assert_eq!(settle(&urgent, Verdict::Accepted, 0.0).state.repeats, 1);
}

#[test]
fn what_a_test_was_answered_is_known_where_it_found_the_channel_dead() {
    let mut due = due(Platform::Ios, false);
    let earlier = outcome(Verdict::Rejected).answer;
    due.state.answer = Some(ServiceAnswer {
        status: 500,
        ..earlier
    });
    let dead = outcome(Verdict::Gone { since: None });
    let kept = tested(&due, &dead, &Delivery::default(), at(5));
    assert_eq!((kept.gone, kept.answer), (Some(at(5)), Some(dead.answer)));
}

#[test]
fn a_device_that_is_off_is_not_tapped_for_everything_that_is_soon_over() {
    let (rules, app) = (Delivery::default(), app());
    let (mut level, mut pushes) = (level(Platform::Android), 0);
    for minute in 1..=1440 {
        let now = at(minute * 60);
        let mut it = notification(minute, false, Priority::None);
        (it.created, it.posted, it.expires) = (now, now, at(minute * 60 + 30));
        let mut step = posted(it);
        step.change.at = now;
        let verdict = level.decide(&[step], FeedPosition(minute), (&app, &rules, at(0)), now);
        if let Decision::Push(tap) = verdict.decision {
            pushes += 1;
            let due = DueTap {
                level: level.clone(),
                state: level.current_state(),
                tap,
                notification: None,
                ..due(Platform::Android, false)
            };
            let accepted = outcome(Verdict::Accepted);
            level.state = next(&due, &accepted, (1, 0.0), &rules, now).state;
        }
    }
    assert!(pushes < 15, "{pushes} in a day");
}

#[test]
fn a_tap_that_was_over_as_its_answer_came_is_repeated_at_once() {
    let mut slow = due(Platform::Android, true);
    slow.tap.expires = at(5);
    let state = settle(&slow, Verdict::Accepted, 0.0).state;
    assert_eq!(retap_at(&state, &Delivery::default(), at(10)), at(10));
}

#[test]
fn a_fallback_that_left_before_what_was_posted_earlier_is_told_of_itself_alone() {
    let mut early = due(Platform::Android, true);
    early.tap.kind = TapKind::Fallback;
    let covers = |due: &DueTap| {
        let settled = settle(due, Verdict::Accepted, 0.0);
        let push = settled.push.unwrap();
        (push.covers, push.alone, settled.state.covered)
    };
    let (all, base) = (FeedPosition(9), FeedPosition(2));
    assert_eq!(covers(&early), (all, false, all));
    early.tap.covers = base;
    let number = early.notification.as_ref().unwrap().number;
    assert_eq!(covers(&early), (number, true, base));
}

#[test]
fn no_push_takes_the_place_of_another_that_ended_in_the_same_moment() {
    let mut it = due(Platform::Android, true);
    let mut last = at(9);
    for verdict in [
        Verdict::Accepted,
        Verdict::Rejected,
        Verdict::Rejected,
        Verdict::Accepted,
        Verdict::Gone { since: None },
    ] {
        let settled = settle(&it, verdict, 0.5);
        let ended = settled.push.unwrap().at;
        assert!(ended > last, "{verdict:?}");
        (last, it.state) = (ended, settled.state);
    }
    assert_eq!(
        it.state.gone,
        Some(last),
        "by it the report finds what was said"
    );
}
