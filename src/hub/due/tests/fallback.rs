//! Fallbacks: when, once, and among what else is shown.

use super::*;
use crate::model::{ActionState, Fallback, StateChange, VisualContent};

pub(super) fn with_fallback(number: u64) -> Step {
    let mut it = notification(number, false, Priority::High);
    it.draft.fallback = Some(Fallback {
        platforms: vec![Platform::Ios, Platform::WebPush],
        delay: Duration::from_secs(60),
        visual: VisualContent {
            title: "Look".into(),
            body: None,
        },
    });
    posted(it)
}

#[test]
fn a_fallback_is_shown_once_where_the_raw_one_was_not_fetched_in_time() {
    let mut phone = level(Platform::Ios);
    let steps = [with_fallback(1)];
    let verdict = decide(&phone, &steps, at(0));
    assert_eq!(
        tap_of(&verdict),
        Some((TapKind::Created, None, 1)),
        "the raw one first"
    );
    assert_eq!(verdict.fallbacks, [FeedPosition(1)]);

    // The raw tap was taken; what is left of it is the fallback, which the state remembers.
    phone.state.covered = FeedPosition(1);
    phone.state.tapped = FeedPosition(1);
    phone.state.tapped_at = at(0);
    phone.state.tapped_silently = true;
    phone.fallbacks = vec![steps[0].notification.clone().unwrap()];
    let verdict = decide(&phone, &[], at(59));
    assert_eq!(
        (&verdict.decision, verdict.look),
        (&Decision::Idle, Some(at(60)))
    );
    let verdict = decide(&phone, &[], at(60));
    assert_eq!(tap_of(&verdict), Some((TapKind::Fallback, Some(id(1)), 1)));

    // It was taken; when the raw tap comes up for repetition the feed is read again from what was fetched.
    phone.fallbacks = Vec::new();
    phone.state.noticed = verdict.noticed;
    phone.state.tapped_at = at(60);
    assert_eq!(tap_of(&decide(&phone, &[], at(61))), None, "once");
    let again = decide(&phone, &steps, at(3600));
    assert_eq!(tap_of(&again), Some((TapKind::Created, None, 1)));
    assert_eq!(again.fallbacks, []);
}

#[test]
fn a_fallback_is_spared_where_it_was_fetched_or_dealt_with() {
    let mut phone = level(Platform::Ios);
    phone.state.covered = FeedPosition(1);
    phone.state.tapped = FeedPosition(1);
    phone.state.tapped_at = at(0);
    phone.fallbacks = vec![with_fallback(1).notification.unwrap()];
    let mut fetched = phone.clone();
    fetched.mark.position = FeedPosition(1);
    assert_eq!(decide(&fetched, &[], at(60)).decision, Decision::Idle);
    phone.fallbacks[0].action = ActionState::Snoozed;
    let put_off = decide(&phone, &[], at(60));
    assert_eq!(
        tap_of(&put_off).map(|(kind, ..)| kind),
        Some(TapKind::Fallback),
        "put off is not dealt with"
    );
    let sets = |phone: &mut Level, action: ActionState| {
        let change = StateChange {
            action: Some(action),
            ..StateChange::default()
        };
        phone.fallbacks[0] = phone.fallbacks[0].clone().with(change);
    };
    for action in [ActionState::Dismissed, ActionState::NoInteraction] {
        sets(&mut phone, action);
        let decision = decide(&phone, &[], at(60)).decision;
        assert_eq!(decision, Decision::Idle, "{action:?}, undone or not");
    }
    let mut android = level(Platform::Android);
    android.state.covered = FeedPosition(1);
    android.fallbacks = vec![with_fallback(1).notification.unwrap()];
    assert_eq!(
        decide(&android, &[], at(60)).decision,
        Decision::Idle,
        "not named"
    );
}

#[test]
fn a_fallback_is_spared_where_it_was_fetched_before_the_device_began_anew() {
    let mut phone = level(Platform::Ios);
    phone.fallbacks = vec![with_fallback(2).notification.unwrap()];
    phone.mark.move_to(FeedPosition(2), at(30));
    phone.mark.move_to(FeedPosition(1), at(59));
    assert_eq!(decide(&phone, &[], at(60)).decision, Decision::Idle);
}

#[test]
fn a_fallback_of_the_longest_delay_is_not_due_before_it_whatever_was_the_time_as_it_was_posted() {
    let mut phone = level(Platform::Ios);
    phone.state.covered = FeedPosition(1);
    let mut it = with_fallback(1).notification.unwrap();
    it.draft.fallback.as_mut().unwrap().delay = Duration::from_secs(600);
    it.posted = at(10);
    phone.fallbacks = vec![it];
    let verdict = decide(&phone, &[], at(9));
    assert_eq!(verdict.decision, Decision::Idle);
    assert_eq!(verdict.look, Some(at(610)));
}

#[test]
fn who_registers_before_a_fallback_is_due_is_shown_it_and_who_comes_later_is_not() {
    let mut phone = level(Platform::Ios);
    phone.endpoint.registered_at = FeedPosition(1);
    phone.state.covered = FeedPosition(1);
    phone.fallbacks = vec![with_fallback(1).notification.unwrap()];
    let shown = |phone: &Level| tap_of(&decide(phone, &[], at(61))).map(|(kind, ..)| kind);
    phone.endpoint.created = at(59);
    assert_eq!(shown(&phone), Some(TapKind::Fallback));
    phone.endpoint.created = at(60);
    assert_eq!(shown(&phone), None);
}

#[test]
fn a_fallback_is_spared_where_it_was_read_singly_and_not_sent_twice_to_a_new_channel() {
    let mut phone = level(Platform::Ios);
    phone.fallbacks = vec![with_fallback(1).notification.unwrap()];
    phone.state.covered = FeedPosition(1);
    phone.read_singly = vec![ReadSingly {
        number: FeedPosition(1),
        held: FeedPosition(1),
    }];
    assert_eq!(decide(&phone, &[], at(60)).decision, Decision::Idle);

    let mut renewed = level(Platform::Ios);
    renewed.state.noticed = FeedPosition(1);
    renewed.endpoint.generation = 2;
    let verdict = decide(&renewed, &[with_fallback(1)], at(60));
    assert_ne!(
        tap_of(&verdict).map(|(kind, ..)| kind),
        Some(TapKind::Fallback)
    );
}

/// A device whose raw taps were all taken, and whose fallbacks come due at 60.
fn unanswered(platform: Platform, fallbacks: u64) -> Level {
    let mut device = level(platform);
    device.state.covered = FeedPosition(fallbacks);
    device.state.tapped = FeedPosition(fallbacks);
    device.state.tapped_at = at(0);
    let all = (1..=fallbacks).filter_map(|number| with_fallback(number).notification);
    device.fallbacks = all.collect();
    device
}

fn visual_at(number: u64, posted_at: Timestamp) -> Step {
    let mut it = notification(number, true, Priority::High);
    it.posted = posted_at;
    posted(it)
}

fn positions(numbers: std::ops::RangeInclusive<u64>) -> Vec<FeedPosition> {
    numbers.map(FeedPosition).collect()
}

#[test]
fn of_many_fallbacks_waiting_the_newest_ten_leave_the_oldest_first() {
    for platform in [Platform::Ios, Platform::WebPush] {
        let device = unanswered(platform, 12);
        let verdict = decide(&device, &[], at(60));
        assert_eq!(
            tap_of(&verdict).map(|(kind, shows, _)| (kind, shows)),
            Some((TapKind::Fallback, Some(id(3)))),
            "{platform:?}"
        );
        assert_eq!(verdict.fallbacks, positions(3..=12));
    }
}

#[test]
fn what_the_platform_shows_leaves_in_the_order_in_which_it_came_due() {
    let phone = unanswered(Platform::Ios, 3);
    let shown_first = |step: Step| {
        let verdict = decide(&phone, &[step], at(80));
        tap_of(&verdict).map(|(kind, shows, _)| (kind, shows))
    };
    let visible = Some((TapKind::Created, Some(id(4))));
    assert_eq!(shown_first(visual_at(4, at(59))), visible);
    let fallback = Some((TapKind::Fallback, Some(id(1))));
    assert_eq!(shown_first(visual_at(4, at(61))), fallback);
}

#[test]
fn something_visible_waits_for_no_more_than_ten_fallbacks() {
    let phone = unanswered(Platform::Ios, 60);
    let urgent = visual_at(61, at(64));
    let verdict = decide(&phone, &[urgent], at(64));
    assert_eq!(
        tap_of(&verdict).map(|(kind, shows, _)| (kind, shows)),
        Some((TapKind::Fallback, Some(id(52)))),
        "nine of them, and it"
    );
    assert_eq!(verdict.fallbacks, positions(52..=60));
}

#[test]
fn what_the_app_shows_by_itself_is_announced_by_one_push_in_its_turn() {
    let browser = unanswered(Platform::WebPush, 3);
    let steps: Vec<Step> = (4..=30).map(|number| visual_at(number, at(59))).collect();
    let verdict = decide(&browser, &steps, at(60));
    assert_eq!(
        tap_of(&verdict),
        Some((TapKind::Created, Some(id(30)), 30)),
        "the newest for all"
    );
    assert_eq!(verdict.fallbacks, positions(1..=3));
}
