mod fallback;
mod life;

use super::{
    testing::{app, at, id, level, notification, posted},
    *,
};
use crate::config::apps::Privacy;
use crate::model::{
    ChangeKind, Channel, EndpointId, NotificationId, Platform, Priority, ReadState, Removal,
    TapKind,
};

fn visual(number: u64) -> Step {
    posted(notification(number, true, Priority::High))
}

fn raw(number: u64) -> Step {
    posted(notification(number, false, Priority::None))
}

fn urgent(number: u64) -> Step {
    posted(notification(number, false, Priority::High))
}

/// `of`, read at `position`, by nobody's device or one's.
fn read(of: u64, position: u64, by: Option<&str>) -> Step {
    let mut it = notification(of, true, Priority::High);
    it.read = ReadState::Read;
    it.changed_at = FeedPosition(position);
    Step {
        change: Change {
            position: FeedPosition(position),
            number: FeedPosition(of),
            notification: id(of),
            kind: ChangeKind::Changed,
            replaced: false,
            at: at(0),
            by: by.map(|id| EndpointId::parse(id).unwrap()),
        },
        notification: Some(it),
    }
}

fn decide(level: &Level, steps: &[Step], now: Timestamp) -> Verdict {
    decide_for(level, steps, &app(), now)
}

fn decide_for(level: &Level, steps: &[Step], app: &App, now: Timestamp) -> Verdict {
    let head = steps
        .iter()
        .map(|step| step.change.position)
        .max()
        .unwrap_or_default();
    let head = head.max(level.state.covered).max(level.mark.position);
    level.decide(steps, head, (app, &Delivery::default(), at(0)), now)
}

/// What leaves: kind, what it shows, and up to where it covers.
fn tap_of(verdict: &Verdict) -> Option<(TapKind, Option<NotificationId>, u64)> {
    match &verdict.decision {
        Decision::Push(tap) => Some((tap.kind, tap.shows, tap.covers.0)),
        _ => None,
    }
}

fn wait_of(verdict: &Verdict) -> Option<(Reason, Timestamp)> {
    match &verdict.decision {
        Decision::Wait(reason, until) => Some((*reason, *until)),
        _ => None,
    }
}

#[test]
fn a_post_taps_each_platform_once_and_names_what_is_seen() {
    let check = |platform, step: Step, expected| {
        assert_eq!(
            tap_of(&decide(&level(platform), &[step], at(0))),
            Some(expected),
            "{platform:?}"
        );
    };
    for platform in Platform::ALL {
        check(platform, visual(1), (TapKind::Created, Some(id(1)), 1));
    }
    check(Platform::Ios, raw(1), (TapKind::Created, None, 1));
    check(Platform::Android, raw(1), (TapKind::Created, None, 1));
    check(
        Platform::WebPush,
        raw(1),
        (TapKind::Created, Some(id(1)), 1),
    );
}

#[test]
fn an_endpoint_is_left_alone_that_has_fetched_is_not_meant_or_did_it_itself() {
    let mut fetched = level(Platform::Ios);
    fetched.mark.position = FeedPosition(1);
    assert_eq!(
        decide(&fetched, &[visual(1)], at(0)).decision,
        Decision::Idle
    );

    let mut elsewhere = notification(1, true, Priority::High);
    elsewhere.draft.platforms = Some(vec![Platform::Android]);
    let phone = level(Platform::Ios);
    assert_eq!(
        decide(&phone, &[posted(elsewhere)], at(0)).decision,
        Decision::Idle
    );

    let mut reader = level(Platform::Ios);
    reader.mark.position = FeedPosition(1);
    assert_eq!(
        decide(&reader, &[read(1, 2, Some("mine"))], at(0)).decision,
        Decision::Idle
    );

    let mut silent = level(Platform::Ios);
    silent.endpoint.channel = Channel::None;
    assert_eq!(
        decide(&silent, &[visual(1)], at(0)).decision,
        Decision::Idle
    );
}

#[test]
fn a_change_of_state_taps_those_who_saw_it() {
    let mut saw = level(Platform::Ios);
    saw.mark.position = FeedPosition(1);
    let verdict = decide(&saw, &[read(1, 2, Some("other"))], at(0));
    assert_eq!(tap_of(&verdict), Some((TapKind::Changed, None, 2)));

    let never_saw = level(Platform::Ios);
    assert_eq!(
        decide(&never_saw, &[read(1, 2, None)], at(0)).decision,
        Decision::Idle
    );

    let mut web = level(Platform::WebPush);
    web.mark.position = FeedPosition(1);
    assert_eq!(
        decide(&web, &[read(1, 2, None)], at(0)).decision,
        Decision::Idle
    );
    web.endpoint.state_sync = true;
    let verdict = decide(&web, &[read(1, 2, None)], at(0));
    assert_eq!(tap_of(&verdict), Some((TapKind::Changed, None, 2)));
}

#[test]
fn what_replaced_something_that_may_be_shown_is_told_even_where_it_is_not_to_be_announced() {
    let mut elsewhere = visual(5);
    let it = elsewhere.notification.as_mut().unwrap();
    (it.created, it.posted) = (at(10), at(20));
    it.draft.platforms = Some(vec![Platform::WebPush]);
    let mut handled = read(5, 6, Some("other"));
    let it = handled.notification.as_mut().unwrap();
    (it.created, it.posted) = (at(10), at(20));
    for step in [elsewhere, handled] {
        let covers = step.change.position.0;
        let told = |level: &Level| tap_of(&decide(level, std::slice::from_ref(&step), at(30)));
        let mut phone = level(Platform::Ios);
        assert_eq!(told(&phone), None, "it never had the older one");
        phone.mark.at = at(9);
        assert_eq!(
            told(&phone),
            None,
            "it has not fetched since the older one was posted"
        );
        phone.mark.at = at(15);
        assert_eq!(told(&phone), Some((TapKind::Changed, None, covers)));
        phone.mark.at = Timestamp::default();
        phone.state.tapped_at = at(15);
        assert_eq!(told(&phone), Some((TapKind::Changed, None, covers)));
    }
}

#[test]
fn what_is_dealt_with_or_over_interrupts_nobody() {
    let phone = level(Platform::Ios);
    let mut deleted = read(1, 2, None);
    deleted.change.kind = ChangeKind::Removed(Removal::Deleted);
    assert_eq!(decide(&phone, &[deleted], at(0)).decision, Decision::Idle);
    assert_eq!(
        decide(&phone, &[visual(1)], at(8 * 24 * 3600)).decision,
        Decision::Idle
    );
    let mut expired = read(1, 2, None);
    expired.change.kind = ChangeKind::Removed(Removal::Expired);
    let mut saw = level(Platform::Ios);
    saw.mark.position = FeedPosition(1);
    assert_eq!(decide(&saw, &[expired], at(0)).decision, Decision::Idle);
}

#[test]
fn silent_taps_coalesce_while_one_is_unanswered_and_are_repeated_ever_later() {
    let mut phone = level(Platform::Android);
    phone.state.covered = FeedPosition(1);
    phone.state.tapped = FeedPosition(1);
    phone.state.tapped_at = at(0);
    phone.state.tapped_silently = true;
    let steps = [raw(1), raw(2)];
    let quarter = 15 * 60;
    let verdict = decide(&phone, &steps, at(10));
    assert_eq!(wait_of(&verdict), Some((Reason::Unanswered, at(quarter))));
    assert_eq!(verdict.look, Some(at(quarter)));
    let verdict = decide(&phone, &steps, at(quarter));
    assert_eq!(tap_of(&verdict), Some((TapKind::Created, None, 2)));

    phone.state.covered = FeedPosition(2);
    phone.state.tapped = FeedPosition(2);
    phone.state.repeats = 2;
    let verdict = decide(&phone, &steps, at(quarter));
    assert_eq!(
        (verdict.decision, verdict.look),
        (Decision::Idle, Some(at(4 * quarter)))
    );
    assert_eq!(
        phone.wants_from(&Delivery::default(), at(4 * quarter)),
        FeedPosition(0)
    );
    assert!(tap_of(&decide(&phone, &steps, at(4 * quarter))).is_some());

    phone.state.repeats = 30;
    assert_eq!(
        decide(&phone, &steps, at(quarter)).look,
        Some(at(24 * 3600)),
        "a day at most"
    );
    phone.mark.position = FeedPosition(2);
    let verdict = decide(&phone, &steps, at(24 * 3600));
    assert_eq!(
        (verdict.decision, verdict.look),
        (Decision::Idle, None),
        "answered"
    );
}

#[test]
fn what_the_platform_shows_by_itself_is_no_tap_that_the_app_could_answer() {
    let quarter = 15 * 60;
    let held = |platform, privacy, silently| {
        let mut phone = level(platform);
        phone.state.covered = FeedPosition(1);
        phone.state.tapped = FeedPosition(1);
        phone.state.tapped_at = at(0);
        phone.state.tapped_silently = silently;
        phone.state.toast = platform == Platform::Windows;
        let app = App { privacy, ..app() };
        wait_of(&decide_for(&phone, &[raw(1), raw(2)], &app, at(10)))
    };
    let waits = Some((Reason::Unanswered, at(quarter)));
    for platform in [Platform::Ios, Platform::Android, Platform::Windows] {
        let by_tap = held(platform, Privacy::Tap, false);
        let toasts = platform == Platform::Windows;
        assert_eq!(by_tap, waits.filter(|_| !toasts), "{platform:?}");
        assert_eq!(held(platform, Privacy::Direct, false), None, "{platform:?}");
        assert_eq!(held(platform, Privacy::Direct, true), waits, "{platform:?}");
    }
    let web = held(Platform::WebPush, Privacy::Direct, false);
    assert_eq!(web, waits, "its worker runs for each");
}

#[test]
fn urgent_and_visible_taps_are_held_back_by_neither_silence_nor_budget() {
    let mut phone = level(Platform::Ios);
    phone.state.covered = FeedPosition(1);
    phone.state.tapped = FeedPosition(1);
    phone.state.tapped_at = at(0);
    phone.state.tapped_silently = true;
    phone.state.silent = vec![at(0), at(1), at(2)];
    assert!(tap_of(&decide(&phone, &[urgent(2)], at(10))).is_some());
    assert!(tap_of(&decide(&phone, &[visual(2)], at(10))).is_some());
}

#[test]
fn the_budget_of_silent_pushes_is_an_hour_wide() {
    let mut phone = level(Platform::Ios);
    phone.state.silent = vec![at(0), at(600), at(1200)];
    let steps = [raw(1)];
    assert_eq!(
        wait_of(&decide(&phone, &steps, at(1300))),
        Some((Reason::SilentBudget, at(3600)))
    );
    assert!(tap_of(&decide(&phone, &steps, at(3600))).is_some());
    let mut android = level(Platform::Android);
    android.state.silent = phone.state.silent;
    assert!(
        tap_of(&decide(&android, &steps, at(1300))).is_some(),
        "only Apple has this budget"
    );
}

#[test]
fn what_the_platform_shows_leaves_in_order_five_at_once_then_one_a_second() {
    let mut phone = level(Platform::Ios);
    let steps: Vec<Step> = (1..=8).map(visual).collect();
    let verdict = decide(&phone, &steps, at(0));
    assert_eq!(tap_of(&verdict), Some((TapKind::Created, Some(id(1)), 1)));
    phone.state.covered = FeedPosition(5);
    phone.state.burst = 5;
    phone.state.burst_at = at(0);
    let verdict = decide(&phone, &steps, at(0));
    assert_eq!(wait_of(&verdict), Some((Reason::Coalescing, at(1))));
    assert_eq!(
        tap_of(&decide(&phone, &steps, at(1))),
        Some((TapKind::Created, Some(id(6)), 6))
    );
    phone.state.covered = FeedPosition(7);
    let verdict = decide(&phone, &steps, at(60));
    assert_eq!(tap_of(&verdict), Some((TapKind::Created, Some(id(8)), 8)));
}

#[test]
fn of_many_waiting_the_newest_ten_leave() {
    let phone = level(Platform::Ios);
    let steps: Vec<Step> = (1..=25).map(visual).collect();
    assert_eq!(
        tap_of(&decide(&phone, &steps, at(0))),
        Some((TapKind::Created, Some(id(16)), 16))
    );
    let web = level(Platform::WebPush);
    assert_eq!(
        tap_of(&decide(&web, &steps, at(0))),
        Some((TapKind::Created, Some(id(25)), 25))
    );
}

#[test]
fn a_stream_that_acknowledges_in_time_spares_the_tap() {
    let mut browser = level(Platform::WebPush);
    browser.streaming = true;
    assert_eq!(
        wait_of(&decide(&browser, &[visual(1)], at(1))),
        Some((Reason::Streaming, at(5)))
    );
    assert!(tap_of(&decide(&browser, &[visual(1)], at(5))).is_some());
    browser.mark.position = FeedPosition(1);
    assert_eq!(
        decide(&browser, &[visual(1)], at(1)).decision,
        Decision::Idle
    );
}

#[test]
fn a_wait_that_the_service_demanded_holds_for_all() {
    let mut phone = level(Platform::Ios);
    phone.state.not_before = at(30);
    assert_eq!(
        wait_of(&decide(&phone, &[urgent(1)], at(10))),
        Some((Reason::Retry, at(30)))
    );
    phone.state.stopped = Some(at(0));
    assert_eq!(
        wait_of(&decide(&phone, &[visual(1)], at(10))),
        Some((Reason::ServiceStopped, at(30)))
    );
    assert!(tap_of(&decide(&phone, &[visual(1)], at(30))).is_some());
}

#[test]
fn two_pushes_that_nothing_shows_are_a_second_apart() {
    let mut phone = level(Platform::Android);
    phone.state.last_push = at(10);
    phone.state.covered = FeedPosition(1);
    let half = Timestamp::from_millis(at(10).as_millis() + 500);
    assert_eq!(
        wait_of(&decide(&phone, &[raw(2)], half)),
        Some((Reason::Coalescing, at(11)))
    );
    assert!(tap_of(&decide(&phone, &[raw(2)], at(11))).is_some());
    phone.state.attempts = 1;
    assert_eq!(
        wait_of(&decide(&phone, &[raw(2)], half)),
        Some((Reason::Retry, at(11))),
        "the last was the same one, in vain"
    );
}

#[test]
fn what_was_seen_and_never_answered_is_repeated_by_a_silent_tap() {
    let mut phone = level(Platform::Ios);
    phone.state.covered = FeedPosition(1);
    phone.state.tapped = FeedPosition(1);
    phone.state.tapped_at = at(0);
    let steps = [visual(1)];
    let waits = decide(&phone, &steps, at(899));
    assert_eq!(
        (&waits.decision, waits.look),
        (&Decision::Idle, Some(at(900)))
    );
    let Decision::Push(tap) = decide(&phone, &steps, at(900)).decision else {
        panic!("it is not repeated");
    };
    assert!(!tap.visible, "nobody is disturbed twice");
    assert_eq!(tap.covers, FeedPosition(1));
    assert_eq!(tap.expires, visual(1).notification.unwrap().expires);
}

#[test]
fn a_channel_registered_anew_is_owed_what_the_old_one_was_tapped_for() {
    let mut phone = level(Platform::Ios);
    phone.state.covered = FeedPosition(1);
    phone.state.tapped = FeedPosition(1);
    phone.state.tapped_at = at(0);
    assert_eq!(decide(&phone, &[visual(1)], at(0)).decision, Decision::Idle);
    phone.endpoint.generation = 2;
    assert!(tap_of(&decide(&phone, &[visual(1)], at(0))).is_some());
}

#[test]
fn what_is_older_than_the_registration_comes_without_a_sound() {
    let mut phone = level(Platform::Ios);
    phone.endpoint.registered_at = FeedPosition(3);
    let steps = [visual(1), visual(2), raw(3)];
    assert_eq!(
        tap_of(&decide(&phone, &steps, at(0))),
        Some((TapKind::Created, None, 3))
    );
}

#[test]
fn a_device_in_the_middle_of_its_pages_is_left_alone_for_a_moment() {
    let mut phone = level(Platform::Android);
    phone.mark.move_to(FeedPosition(1), at(2));
    let steps = [visual(1), visual(2), visual(3)];
    assert_eq!(
        wait_of(&decide(&phone, &steps, at(3))),
        Some((Reason::Coalescing, at(7)))
    );
    assert!(
        tap_of(&decide(&phone, &steps, at(7))).is_some(),
        "it stopped half-way"
    );
    phone.mark = FetchMark::default();
    phone.mark.move_to(FeedPosition(1), at(0));
    assert!(
        tap_of(&decide(&phone, &steps, at(0))).is_some(),
        "this came after its fetch"
    );
    phone.mark.at = at(8);
    assert!(
        tap_of(&decide(&phone, &steps, at(9))).is_some(),
        "to read one of them is not to page through them"
    );
}

#[test]
fn settings_that_were_read_anew_end_the_wait_for_the_old_ones() {
    let mut phone = level(Platform::Ios);
    phone.state.not_before = at(90);
    phone.state.stopped = Some(at(30));
    let decide = |configured| {
        phone.decide(
            &[visual(1)],
            FeedPosition(1),
            (&app(), &Delivery::default(), configured),
            at(40),
        )
    };
    assert_eq!(
        wait_of(&decide(at(0))),
        Some((Reason::ServiceStopped, at(90)))
    );
    assert!(tap_of(&decide(at(35))).is_some());
}

#[test]
fn somebody_looks_when_a_read_of_a_time_to_come_begins_to_count() {
    // Tapped a minute ago, and read singly in a leap that was undone.
    let mut phone = level(Platform::Android);
    phone.state.covered = FeedPosition(1);
    phone.state.tapped = FeedPosition(1);
    phone.state.tapped_at = at(60);
    phone.mark.at = at(700);
    let look = |now| match decide(&phone, &[raw(1), raw(2)], at(now)).decision {
        Decision::Wait(Reason::Unanswered, until) => Some(until),
        _ => None,
    };
    let counts = at(700).nears();
    assert_eq!(look(120), Some(counts));
    assert_eq!(look(counts.as_millis() / 1000), None, "it has answered");
}

#[test]
fn what_was_noted_by_a_clock_that_had_leapt_puts_nobody_off_once_the_leap_is_undone() {
    let later = at(40 * 24 * 3600);
    let now = at(60);
    // It answered no tap that left in that time.
    let mut phone = level(Platform::Android);
    phone.state.covered = FeedPosition(1);
    phone.state.tapped = FeedPosition(1);
    phone.state.tapped_at = later;
    phone.state.tapped_silently = true;
    let verdict = decide(&phone, &[raw(1)], now);
    assert_eq!(tap_of(&verdict), Some((TapKind::Created, None, 1)));

    // It fetched in that time.
    let mut phone = level(Platform::Android);
    phone.mark.position = FeedPosition(1);
    phone.mark.at = later;
    let verdict = decide(&phone, &[raw(1), raw(2)], now);
    assert_eq!(tap_of(&verdict), Some((TapKind::Created, None, 2)));

    // It streams, and what it lacks was posted in that time.
    let mut phone = level(Platform::Android);
    phone.streaming = true;
    let mut step = raw(1);
    step.change.at = later;
    let verdict = decide(&phone, &[step], now);
    assert_eq!(tap_of(&verdict), Some((TapKind::Created, None, 1)));

    // So was what falls back.
    let mut phone = level(Platform::Ios);
    let mut step = fallback::with_fallback(1);
    let it = step.notification.as_mut().unwrap();
    (it.created, it.posted, it.expires) = (later, later, later.plus(Duration::from_secs(3600)));
    phone.state.covered = FeedPosition(1);
    phone.fallbacks = vec![it.clone()];
    let verdict = decide(&phone, &[], now);
    assert_eq!(tap_of(&verdict), Some((TapKind::Fallback, Some(id(1)), 1)));
}

#[test]
fn a_fallback_is_kept_while_only_a_clock_that_is_doubted_says_that_it_is_over() {
    let mut phone = level(Platform::Ios);
    phone.state.covered = FeedPosition(1);
    phone.fallbacks = vec![fallback::with_fallback(1).notification.unwrap()];
    phone.believed = at(10);
    let verdict = decide(&phone, &[], at(8 * 24 * 3600));
    assert_eq!(verdict.decision, Decision::Idle);
    assert_eq!(verdict.fallbacks, [FeedPosition(1)]);
}
