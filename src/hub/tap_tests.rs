//! Taps between a look and their end: what is planned, what still leaves, what is told of it.

use std::{collections::HashSet, time::Duration};

use super::{
    tests::{MINUTE, ada, agrees, draft, hub, iphone, post},
    *,
};
use crate::model::{Draft, EndpointId, Priority, ReadState, StateChange, VisualContent};

/// A look at Ada, of some of whose endpoints a test is asked.
async fn look(hub: &Hub, tests: Vec<EndpointId>) -> Look {
    let at = LookAt {
        subject: ada(),
        busy: HashSet::new(),
        tests,
    };
    let mut looks = hub.look_at(vec![at]).await;
    looks.pop().unwrap().1.unwrap()
}

/// Falls back after a minute.
fn urgent() -> Draft {
    Draft {
        raw: Some(String::from("r")),
        visual: None,
        priority: Priority::High,
        fallback: Some(crate::model::Fallback {
            platforms: vec![crate::model::Platform::Ios],
            delay: MINUTE,
            visual: VisualContent {
                title: String::from("Look"),
                body: None,
            },
        }),
        ..draft(None, "", None)
    }
}

#[tokio::test]
async fn a_test_of_an_endpoint_that_waits_leaves_its_wait_as_it_was() {
    let hub = hub(10);
    let phone = iphone().id;
    hub.register(ada(), iphone()).await.unwrap();
    post(&hub, draft(None, "one", None)).await;
    let look = async |tests| look(&hub, tests).await;
    let due = look(Vec::new()).await.taps.pop().expect("it is due");
    let mut refused = due.state.clone();
    refused.attempts = 1;
    refused.not_before = hub.now().plus(5 * MINUTE);
    refused.demanded = refused.not_before;
    hub.settle(&due, refused.clone(), None).await.unwrap();
    let found = look(vec![phone]).await;
    assert_eq!(found.tested.len(), 1, "it is told to wait: {found:?}");
    assert_eq!(found.next, Some(refused.not_before));
    agrees(&hub);
}

#[tokio::test]
async fn what_was_refused_is_told_in_the_words_of_its_refusal() {
    let hub = hub(10);
    hub.register(ada(), iphone()).await.unwrap();
    hub.clock().advance(Duration::from_secs(1));
    let settle = async |status: u16| {
        let look = look(&hub, Vec::new()).await;
        let due = look.taps.into_iter().next().expect("it is due");
        let (mut state, covers) = (due.state.clone(), due.tap.covers);
        state.covered = covers;
        let answer = crate::model::ServiceAnswer {
            status,
            reason: None,
            id: None,
        };
        let push = crate::model::Push {
            covers,
            alone: false,
            at: hub.now(),
            kind: due.tap.kind,
            shows: due.tap.shows,
            accepted: status == 200,
            attempts: 1,
            size_bytes: 1,
            answer,
        };
        hub.settle(&due, state, Some(push)).await.unwrap();
        hub.clock().advance(MINUTE);
    };
    let refused = post(&hub, draft(None, "one", None)).await;
    settle(400).await;
    let read = StateChange {
        read: Some(ReadState::Read),
        action: None,
    };
    hub.set(ada(), refused, read, (None, None)).await.unwrap();
    hub.clock().advance(MINUTE);
    post(&hub, draft(None, "two", None)).await;
    settle(200).await;
    let line = hub.deliveries(ada(), refused).await.unwrap().remove(0);
    assert_eq!(line.status, crate::model::DeliveryStatus::Failed);
    assert_eq!(line.answer.map(|answer| answer.status), Some(400));
}

#[tokio::test]
async fn a_fallback_whose_moment_is_that_of_a_fetch_is_spared() {
    let hub = hub(10);
    let registration = iphone();
    let phone = registration.id.clone();
    hub.register(ada(), registration).await.unwrap();
    let posted = hub.create(ada(), urgent(), None).await.unwrap();
    let number = posted.notification.unwrap().number;
    hub.clock().advance(MINUTE);
    let look = async || look(&hub, Vec::new()).await;
    let due = look().await.taps.pop().expect("the fallback is due");
    assert_eq!(due.tap.kind, crate::model::TapKind::Fallback);
    assert!(hub.still_due(&due).unwrap());
    let now = hub.now();
    hub.fetched(ada(), phone, number, now).await.unwrap();
    assert!(!hub.still_due(&due).unwrap(), "it has just been fetched");
    assert!(look().await.taps.is_empty());
    agrees(&hub);
}

#[tokio::test]
async fn what_waited_in_its_lane_while_a_leap_was_undone_is_planned_anew() {
    let hub = hub(10);
    hub.register(ada(), iphone()).await.unwrap();
    hub.create(ada(), urgent(), None).await.unwrap();
    let (clock, began) = (hub.clock(), hub.now());
    clock.set_wall(began.plus(60 * MINUTE));
    let look = async || look(&hub, Vec::new()).await;
    let due = look()
        .await
        .taps
        .pop()
        .expect("the minute seems to be over");
    assert_eq!(due.tap.kind, crate::model::TapKind::Fallback);
    assert!(hub.still_due(&due).unwrap());
    clock.set_wall(began);
    assert!(!hub.still_due(&due).unwrap(), "the minute has just begun");
    let due = look().await.taps.pop().expect("nobody was told of it");
    assert_eq!(due.tap.kind, crate::model::TapKind::Created);
    assert!(hub.still_due(&due).unwrap());
}

#[tokio::test]
async fn a_tap_whose_time_was_over_in_its_lane_does_not_leave() {
    let hub = hub(10);
    hub.register(ada(), iphone()).await.unwrap();
    let short = Draft {
        raw: Some(String::from("r")),
        visual: None,
        expires: Some(hub.now().plus(MINUTE)),
        ..draft(None, "", None)
    };
    hub.create(ada(), short, None).await.unwrap();
    let look = async || look(&hub, Vec::new()).await;
    let due = look().await.taps.pop().expect("a silent tap");
    assert!(!due.tap.visible);
    // It waits in a lane whose answers take 30 s.
    assert!(hub.still_due(&due).unwrap());
    hub.clock().advance(2 * MINUTE);
    assert!(look().await.taps.is_empty(), "nobody would plan it now");
    assert!(!hub.still_due(&due).unwrap());
}

/// Data for the app, which is tapped for in silence.
fn silent(expires: Option<crate::model::Timestamp>) -> Draft {
    Draft {
        raw: Some(String::from("r")),
        visual: None,
        ..draft(None, "", expires)
    }
}

/// A hub with the phone of Ada.
async fn hub_with_a_phone() -> Hub {
    let hub = hub(10_000);
    hub.register(ada(), iphone()).await.unwrap();
    hub.clock().advance(Duration::from_secs(1));
    hub
}

/// The tap that is due to the phone.
async fn due_tap(hub: &Hub) -> DueTap {
    look(hub, Vec::new()).await.taps.pop().expect("it is due")
}

/// Has the push service take the tap that is due, and much come after it that is not worth one.
async fn tapped_long_ago(hub: &Hub) {
    let due = due_tap(hub).await;
    let mut taken = due.state.clone();
    (taken.covered, taken.tapped) = (due.tap.covers, due.tap.covers);
    taken.tapped_at = hub.now();
    hub.settle(&due, taken, None).await.unwrap();
    much_for_others(hub).await;
    hub.clock().advance(16 * MINUTE);
}

/// Posts so much that is not for the phone that what it is owed lies far behind in the feed.
async fn much_for_others(hub: &Hub) {
    for _ in 0..2100 {
        let others = Draft {
            platforms: Some(vec![crate::model::Platform::Android]),
            ..silent(None)
        };
        post(hub, others).await;
    }
}

#[tokio::test]
async fn what_is_owed_stays_owed_however_much_comes_after_it() {
    let hub = hub_with_a_phone().await;
    let one = post(&hub, draft(None, "one", None)).await;
    post(&hub, draft(None, "two", None)).await;
    much_for_others(&hub).await;
    let due = due_tap(&hub).await;
    assert_eq!(due.tap.shows, Some(one));
    let shown = due.notification.unwrap().draft.visual.clone();
    assert_eq!(shown.unwrap().title, "one");
    agrees(&hub);
}

#[tokio::test]
async fn a_fallback_that_nobody_could_write_down_is_found_however_much_comes_after_it() {
    let hub = hub_with_a_phone().await;
    post(&hub, silent(None)).await;
    let due = due_tap(&hub).await;
    let mut refused = due.state.clone();
    refused.attempts = 1;
    refused.not_before = hub.now().plus(MINUTE / 2);
    hub.settle(&due, refused, None).await.unwrap();
    let urgent = post(&hub, urgent()).await;
    assert!(look(&hub, Vec::new()).await.taps.is_empty(), "it waits");
    much_for_others(&hub).await;
    hub.clock().advance(MINUTE);
    let due = due_tap(&hub).await;
    assert_eq!(due.tap.kind, crate::model::TapKind::Fallback);
    assert_eq!(due.tap.shows, Some(urgent));
    let shown = due.notification.unwrap().draft.fallback.clone();
    assert_eq!(shown.unwrap().visual.title, "Look");
    agrees(&hub);
}

#[tokio::test]
async fn an_unanswered_tap_is_repeated_however_much_comes_after_it() {
    let hub = hub_with_a_phone().await;
    post(&hub, silent(None)).await;
    tapped_long_ago(&hub).await;
    let due = due_tap(&hub).await;
    assert_eq!(due.tap.kind, crate::model::TapKind::Created);
    agrees(&hub);
}

#[tokio::test]
async fn what_is_not_worth_a_repetition_is_looked_through_once() {
    let hub = hub_with_a_phone().await;
    post(&hub, silent(Some(hub.now().plus(10 * MINUTE)))).await;
    tapped_long_ago(&hub).await;
    let found = look(&hub, Vec::new()).await;
    let [(_, state)] = found.states.as_slice() else {
        panic!("nothing is kept of it: {found:?}");
    };
    assert_eq!(state.repeat_after, found.head);
    hub.close_look(ada(), Vec::new(), None, found.states.clone())
        .await
        .unwrap();
    let again = look(&hub, Vec::new()).await;
    assert!(
        again.states.is_empty(),
        "it is looked through again: {again:?}"
    );
    // What comes later is tapped for as ever.
    post(&hub, silent(None)).await;
    assert_eq!(look(&hub, Vec::new()).await.taps.len(), 1);
    agrees(&hub);
}

#[tokio::test]
async fn an_attempt_is_counted_for_what_was_there_when_it_was_made() {
    let hub = hub(10);
    hub.register(ada(), iphone()).await.unwrap();
    hub.clock().advance(MINUTE);
    let first = post(&hub, draft(None, "one", None)).await;
    let due = look(&hub, Vec::new()).await.taps.pop().expect("it is due");
    let mut waits = due.state.clone();
    (waits.attempts, waits.tried_at) = (1, hub.now());
    waits.answer = Some(crate::model::ServiceAnswer {
        status: 500,
        ..Default::default()
    });
    hub.clock().advance(MINUTE);
    let second = post(&hub, draft(None, "two", None)).await;
    // Held again, for another's sake, after the second was posted.
    waits.put_off_at = hub.now();
    waits.not_before = hub.now().plus(60 * MINUTE);
    hub.settle(&due, waits, None).await.unwrap();
    let line = async |id| hub.deliveries(ada(), id).await.unwrap().remove(0);
    assert_eq!(line(first).await.attempts, 1);
    assert_eq!(line(second).await.attempts, 0);
    hub.delete(ada(), second, None).await.unwrap();
    let gone = line(second).await;
    assert_eq!((gone.attempts, gone.answer), (0, None));
}
