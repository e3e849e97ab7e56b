//! How urgent a tap is, how long it is of use, and what a clock that leapt makes of it.

use super::*;

#[test]
fn a_removal_is_told_though_its_time_is_over_and_what_is_over_alone_is_not() {
    let later = at(8 * 24 * 3600);
    let mut saw = level(Platform::Ios);
    saw.mark.position = FeedPosition(1);
    let changed = read(1, 2, Some("other"));
    assert_eq!(decide(&saw, &[changed], later).decision, Decision::Idle);
    let mut deleted = read(1, 2, Some("other"));
    deleted.change.kind = ChangeKind::Removed(Removal::Deleted);
    deleted.notification.as_mut().unwrap().removed = Some(Removal::Deleted);
    let Decision::Push(tap) = decide(&saw, &[deleted], later).decision else {
        panic!("nobody is told");
    };
    assert_eq!((tap.kind, tap.expires > later), (TapKind::Changed, true));
}

#[test]
fn a_tap_that_speaks_for_many_is_as_urgent_as_the_most_urgent_of_them() {
    let low = |number, visible| posted(notification(number, visible, Priority::Low));
    let high = |number, visible| posted(notification(number, visible, Priority::High));
    for (platform, steps) in [
        (Platform::Android, [high(1, true), low(2, true)]),
        (Platform::WebPush, [high(1, true), low(2, true)]),
        (Platform::Android, [high(1, false), low(2, true)]),
        (Platform::Ios, [high(1, false), low(2, true)]),
        (Platform::Ios, [high(1, false), low(2, false)]),
    ] {
        let Decision::Push(tap) = decide(&level(platform), &steps, at(0)).decision else {
            panic!("{platform:?} is not tapped");
        };
        assert_eq!(tap.priority, Priority::High, "{platform:?}");
    }
    // What the platform shows by itself is each as urgent as it is.
    let shown = decide(&level(Platform::Ios), &[low(1, true), high(2, true)], at(0));
    let Decision::Push(tap) = shown.decision else {
        panic!("nothing is shown");
    };
    assert_eq!((tap.priority, tap.covers), (Priority::Low, FeedPosition(1)));
}

#[test]
fn a_silent_tap_is_kept_as_long_as_anything_that_it_speaks_for() {
    let mut short = raw(2);
    short.notification.as_mut().unwrap().expires = at(5);
    let phone = level(Platform::Android);
    let Decision::Push(tap) = decide(&phone, &[raw(1), short], at(0)).decision else {
        panic!("nothing is told");
    };
    assert_eq!(tap.expires, raw(1).notification.unwrap().expires);
}

#[test]
fn a_tap_that_its_service_keeps_no_longer_holds_back_no_other() {
    let mut phone = level(Platform::Android);
    phone.state.covered = FeedPosition(1);
    phone.state.tapped = FeedPosition(1);
    phone.state.tapped_at = at(1);
    phone.state.tapped_silently = true;
    phone.state.tap_expires = at(4);
    let mut over = raw(1);
    over.notification.as_mut().unwrap().expires = at(4);
    let mut later = raw(2);
    later.notification.as_mut().unwrap().draft.priority = Priority::None;
    let steps = [over, later];
    let verdict = decide(&phone, &steps[1..], at(3));
    assert_eq!(wait_of(&verdict), Some((Reason::Unanswered, at(4))));
    let verdict = decide(&phone, &steps, at(4));
    assert_eq!(tap_of(&verdict), Some((TapKind::Created, None, 2)));
}

#[test]
fn a_device_that_begins_anew_in_pages_is_not_tapped_between_them_for_what_it_had() {
    let mut phone = level(Platform::Android);
    phone.state.covered = FeedPosition(2);
    phone.state.tapped = FeedPosition(2);
    phone.state.tapped_at = at(1);
    phone.mark.move_to(FeedPosition(2), at(2));
    phone.mark.move_to(FeedPosition(1), at(5000));
    let steps = [visual(2)];
    let until = at(5000).plus(Delivery::default().stream_grace);
    let verdict = decide(&phone, &steps, at(5001));
    assert_eq!(wait_of(&verdict), Some((Reason::Coalescing, until)));
    let verdict = decide(&phone, &steps, until);
    assert!(tap_of(&verdict).is_some(), "it stopped on its way");
}

#[test]
fn a_fetch_in_a_leap_that_was_undone_answers_no_later_tap() {
    let mut phone = level(Platform::Android);
    // Fetched on a clock that was a day ahead; then the leap was undone and a tap was taken.
    phone.mark.move_to(FeedPosition(1), at(24 * 3600));
    phone.state.covered = FeedPosition(2);
    phone.state.tapped = FeedPosition(2);
    phone.state.tapped_at = at(1);
    phone.state.tapped_silently = true;
    phone.state.tap_expires = at(901);
    phone.state.last_push = at(1);
    let verdict = decide(&phone, &[raw(3)], at(10));
    assert_eq!(wait_of(&verdict), Some((Reason::Unanswered, at(901))));
}
