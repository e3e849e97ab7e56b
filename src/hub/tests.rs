//! Rules that time and limits make delicate, on a store in memory and a clock that the test moves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{due::testing, *};
use crate::{
    config::{Delivery, Limits},
    model::{
        Draft, EndpointId, FeedPosition, NotificationId, Priority, Push, ReadState, ServiceAnswer,
        StateChange, TapKind, VisualContent,
    },
    store::{Expiring, Row, Unit},
};

pub(super) const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn hub(limit: usize) -> Hub {
    hub_over(Store::in_memory().unwrap(), limit)
}

fn hub_over(store: Store, limit: usize) -> Hub {
    let limits = Limits {
        notifications_per_user: limit,
        ..Limits::default()
    };
    let clock = Clock::manual(Timestamp::from_millis(1_800_000_000_000));
    let apps = Apps::new(vec![Arc::new(testing::app())]);
    Hub::new(store, apps, (Delivery::default(), limits), clock)
}

pub(super) fn ada() -> Subject {
    Subject {
        app: testing::app().host,
        user: crate::model::UserId::parse("ada").unwrap(),
    }
}

pub(super) fn draft(name: Option<&str>, title: &str, expires: Option<Timestamp>) -> Draft {
    Draft {
        app_id: name.map(str::to_owned),
        group: None,
        platforms: None,
        raw: None,
        visual: Some(VisualContent {
            title: title.to_owned(),
            body: None,
        }),
        display_ttl: None,
        expires,
        priority: Priority::None,
        fallback: None,
    }
}

pub(super) async fn post(hub: &Hub, draft: Draft) -> NotificationId {
    hub.create(ada(), draft, None).await.unwrap().id
}

#[tokio::test]
async fn while_the_first_request_runs_its_key_is_taken() {
    let hub = hub(10);
    let once = OnceKey {
        key: [1; 32],
        request: [2; 32],
    };
    let running = hub.running.begin(&ada().app, once).unwrap();
    let taken = |answer: Result<(), Error>| assert!(matches!(answer, Err(Error::Conflict(_))));
    taken(hub.posted_before(&ada(), once).await.map(drop));
    taken(hub.accepted_before(&ada().app, once).await.map(drop));
    drop(running);
    assert_eq!(hub.posted_before(&ada(), once).await.unwrap(), None);
    assert_eq!(hub.accepted_before(&ada().app, once).await.unwrap(), None);
}

#[track_caller]
pub(super) fn agrees(hub: &Hub) {
    let findings = hub.store().reader().verify().unwrap();
    assert!(findings.is_empty(), "{findings:#?}");
}

#[tokio::test]
async fn what_is_over_takes_no_room_though_the_sweep_is_yet_to_come() {
    let hub = hub(2);
    let soon = hub.now().plus(MINUTE);
    post(&hub, draft(None, "one", Some(soon))).await;
    post(&hub, draft(None, "two", None)).await;
    let third = || hub.create(ada(), draft(None, "three", None), None);
    let full = third().await.unwrap_err();
    assert!(matches!(full, Error::Limit { .. }), "{full}");
    hub.clock().advance(2 * MINUTE);
    third().await.unwrap();
    agrees(&hub);
    assert!(matches!(third().await, Err(Error::Limit { .. })));
}

#[tokio::test]
async fn the_sweep_leaves_a_name_to_the_notification_that_has_it_now() {
    let hub = hub(100);
    let soon = hub.now().plus(MINUTE);
    let first = post(&hub, draft(Some("order-7"), "one", Some(soon))).await;
    hub.clock().advance(2 * MINUTE);
    let second = post(&hub, draft(Some("order-7"), "two", None)).await;
    assert_ne!(first, second, "the name was free");
    hub.sweep().await.unwrap();
    let third = post(&hub, draft(Some("order-7"), "three", None)).await;
    assert_eq!(third, second, "the name still leads to it");
    agrees(&hub);
}

#[tokio::test]
async fn a_first_delta_comes_to_its_end_though_the_feed_forgets_meanwhile() {
    let hub = hub(8);
    for number in 0..6 {
        post(&hub, draft(None, &format!("kept {number}"), None)).await;
    }
    for number in 0..30 {
        let id = post(&hub, draft(None, &format!("gone {number}"), None)).await;
        hub.delete(ada(), id, None).await.unwrap();
    }
    let (mut since, mut found) = (None, 0);
    for _ in 0..10 {
        let page = hub.delta(ada(), since, 2).await.unwrap();
        found += page.items.len();
        let token = hub.after(&ada(), &page);
        since = Some(hub.open_since(&ada(), &token).await.unwrap());
        if !page.more {
            break;
        }
    }
    assert_eq!(found, 6);
    assert!(
        matches!(since, Some(Since::Cursor(_))),
        "and ends with a cursor"
    );
    agrees(&hub);
}

#[tokio::test]
async fn removals_are_forgotten_once_by_number_and_once_by_time() {
    let hub = hub(3);
    for round in 0..4 {
        let id = post(&hub, draft(None, &format!("round {round}"), None)).await;
        hub.delete(ada(), id, None).await.unwrap();
    }
    let last = hub.now().plus(29 * 24 * 60 * MINUTE);
    post(&hub, draft(None, "over on the last day", Some(last))).await;
    hub.clock().advance(31 * 24 * 60 * MINUTE);
    while hub.sweep().await.unwrap().ended > 0 {}
    agrees(&hub);
}

#[tokio::test]
async fn on_a_full_disk_removals_are_forgotten_before_their_time_where_that_makes_room() {
    const MARK: u64 = 2 << 20;
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let store = Store::in_memory_beside(Arc::clone(&free), MARK).unwrap();
    let hub = hub_over(store, 1000);
    for nth in 0..500 {
        let id = post(&hub, draft(None, &format!("number {nth}"), None)).await;
        hub.delete(ada(), id, None).await.unwrap();
    }
    let before = Some(Since::Cursor(FeedPosition(1)));
    post(&hub, draft(None, &"long ".repeat(4000), None)).await;
    assert_eq!(hub.forget_for_room().await.unwrap(), 0, "there is room");
    for (left, expected) in [(0, 0), (MARK - 1, 500)] {
        hub.delta(ada(), before, 10).await.unwrap();
        free.store(left, Ordering::SeqCst);
        hub.store().look_for_room().await.unwrap();
        let refused = hub.create(ada(), draft(None, "new", None), None).await;
        assert!(refused.is_err(), "{refused:?}");
        assert_eq!(hub.forget_for_room().await.unwrap(), expected, "{left}");
        agrees(&hub);
    }
    assert_eq!(hub.forget_for_room().await.unwrap(), 0, "all is forgotten");
    let reaches = hub.delta(ada(), before, 10).await;
    assert!(matches!(reaches, Err(Error::CursorTooOld)), "{reaches:?}");
}

#[tokio::test]
async fn an_id_leads_to_its_notification_and_that_of_a_replaced_one_too() {
    let hub = hub(100);
    let it = post(&hub, draft(None, "Lunch?", None)).await;
    let soon = hub.now().plus(MINUTE);
    let named = |title| draft(Some("order-7"), title, Some(soon));
    let replaced = post(&hub, named("one")).await;
    assert_eq!(post(&hub, named("two")).await, replaced);
    for id in [it, replaced] {
        assert_eq!(hub.notification(ada(), id).await.unwrap().id, id);
        let whose = hub.store().reader().whose(id).unwrap();
        assert_eq!(whose, Some(ada()));
        let user = crate::model::UserId::parse("bob").unwrap();
        let bob = Subject { user, ..ada() };
        assert!(matches!(
            hub.notification(bob, id).await,
            Err(Error::NotFound(_))
        ));
    }
    agrees(&hub);
    hub.clock().advance(2 * MINUTE);
    hub.sweep().await.unwrap();
    assert_eq!(hub.store().reader().whose(replaced).unwrap(), None);
    agrees(&hub);
}

#[tokio::test]
async fn who_makes_room_is_still_reported_on() {
    let hub = hub(2);
    let old = post(&hub, draft(None, "old", None)).await;
    let read = crate::model::StateChange {
        read: Some(crate::model::ReadState::Read),
        action: None,
    };
    hub.set(ada(), old, read, (None, None)).await.unwrap();
    post(&hub, draft(None, "new", None)).await;
    post(&hub, draft(None, "newer", None)).await;
    assert!(matches!(
        hub.notification(ada(), old).await,
        Err(Error::NotFound(_))
    ));
    assert_eq!(hub.deliveries(ada(), old).await.unwrap(), []);
    let full = hub.create(ada(), draft(None, "newest", None), None).await;
    assert!(matches!(full, Err(Error::Limit { .. })), "{full:?}");
    agrees(&hub);
}

pub(super) fn iphone() -> Registration {
    Registration {
        id: crate::model::EndpointId::parse("phone").unwrap(),
        platform: crate::model::Platform::Ios,
        channel: testing::level(crate::model::Platform::Ios).endpoint.channel,
        display_name: None,
        locale: None,
        present_vapid: None,
        state_sync: false,
        shared: false,
        expires: None,
    }
}

#[tokio::test]
async fn the_answer_to_an_idempotency_key_outlives_the_notification() {
    let hub = hub(10);
    let once = OnceKey {
        key: [1; 32],
        request: [2; 32],
    };
    let first = hub
        .create(ada(), draft(None, "once", None), Some(once))
        .await
        .unwrap();
    hub.delete(ada(), first.id, None).await.unwrap();
    let again = hub
        .create(ada(), draft(None, "once", None), Some(once))
        .await
        .unwrap();
    assert_eq!((again.id, again.created), (first.id, true));
    assert_eq!((again.notification, again.stored), (None, false));
    agrees(&hub);
}

#[tokio::test]
async fn a_post_costs_four_rows_and_one_less_for_whom_no_device_waits() {
    let rows = crate::store::Rows::none();
    let store = Store::simulated(&rows, || Duration::ZERO).unwrap();
    let hub = hub_over(store, 100);
    let posted = async || {
        let before = rows.count();
        let id = post(&hub, draft(None, "one", None)).await;
        let mut added = rows.count();
        for (kind, count) in before {
            *added.get_mut(&kind).unwrap() -= count;
        }
        added.retain(|_, count| *count > 0);
        (id, added.into_keys().collect::<String>())
    };
    // The person's own row is written once.
    assert_eq!(posted().await.1, "nux");
    hub.register(ada(), iphone()).await.unwrap();
    let (id, added) = posted().await;
    assert_eq!(added, "mnx");
    let read = StateChange {
        read: Some(ReadState::Read),
        action: None,
    };
    hub.set(ada(), id, read, (None, None)).await.unwrap();
    assert_eq!(rows.count().get(&'f'), Some(&1));
    agrees(&hub);
}

#[tokio::test]
async fn a_feed_reads_the_same_by_pages_of_any_size_from_anywhere() {
    let hub = hub(100);
    let mut ids = Vec::new();
    for number in 0..12 {
        ids.push(post(&hub, draft(Some(&format!("order-{number}")), "one", None)).await);
    }
    let read = StateChange {
        read: Some(ReadState::Read),
        action: None,
    };
    for at in [1, 2, 5, 11] {
        hub.set(ada(), ids[at], read, (None, None)).await.unwrap();
    }
    post(&hub, draft(Some("order-5"), "two", None)).await;
    post(&hub, draft(Some("order-6"), "two", None)).await;
    hub.delete(ada(), ids[0], None).await.unwrap();
    hub.delete(ada(), ids[2], None).await.unwrap();
    agrees(&hub);
    let reader = hub.store().reader();
    let all = reader.changes(&ada(), FeedPosition::START, 100).unwrap();
    assert_eq!(all.len(), 12, "one each");
    let last: Vec<u64> = all.iter().map(|change| change.position.0).collect();
    assert_eq!(last, [4, 5, 8, 9, 10, 11, 13, 16, 17, 18, 19, 20]);
    for after in 0..=20 {
        for most in 0..=13 {
            let page = reader.changes(&ada(), FeedPosition(after), most).unwrap();
            let mut expected = all.clone();
            expected.retain(|change| change.position.0 > after);
            expected.truncate(most);
            assert_eq!(page, expected, "{most} after {after}");
        }
    }
}

#[tokio::test]
async fn what_a_client_was_told_to_be_over_stays_so_through_a_kill_and_a_wall_set_back() {
    let rows = crate::store::Rows::none();
    let hub = hub_over(Store::simulated(&rows, || Duration::ZERO).unwrap(), 100);
    hub.tell_time().await.unwrap();
    let soon = hub.now().plus(MINUTE);
    let id = post(&hub, draft(None, "one", Some(soon))).await;
    hub.clock().advance(MINUTE);
    let page = hub.delta_with_digest(ada(), None, 10).await.unwrap();
    assert!(
        matches!(page.items[..], [delta::Item::Removed(over, ..)] if over == id),
        "{page:?}"
    );
    let again = hub_over(Store::simulated(&rows, || Duration::ZERO).unwrap(), 100);
    assert!(again.now() >= soon, "its clock begins before that");
    let page_again = again.delta_with_digest(ada(), None, 10).await.unwrap();
    assert_eq!(page_again.digest, page.digest);
}

fn push(covers: u64, at: Timestamp) -> Push {
    Push {
        covers: FeedPosition(covers),
        alone: false,
        at,
        kind: TapKind::Created,
        shows: None,
        accepted: true,
        attempts: 1,
        size_bytes: 1,
        answer: ServiceAnswer {
            status: 200,
            reason: None,
            id: None,
        },
    }
}

#[tokio::test]
async fn an_expiry_that_is_not_its_own_ends_nothing() {
    let hub = hub(100);
    let id = post(&hub, draft(Some("order-7"), "one", None)).await;
    let once = OnceKey {
        key: [1; 32],
        request: [2; 32],
    };
    let posted = hub.create(ada(), draft(None, "two", None), Some(once));
    posted.await.unwrap();
    let mut unit = Unit::of(ada());
    let soon = hub.now().plus(MINUTE);
    for what in [
        Expiring::Notification(FeedPosition(1)),
        Expiring::Once(ada().app, once.key),
    ] {
        unit.push(Row::Expiry(soon, what));
    }
    hub.store().commit(unit).await.unwrap();
    assert_eq!(hub.store().reader().verify().unwrap().len(), 2);
    hub.clock().advance(2 * MINUTE);
    while hub.sweep().await.unwrap().ended > 0 {}
    assert!(hub.notification(ada(), id).await.is_ok());
    assert!(hub.posted_before(&ada(), once).await.unwrap().is_some());
    agrees(&hub);
}

/// More than one unit takes; and one that was on its way to the disk when the device signed out.
#[tokio::test]
async fn what_a_device_leaves_that_signs_out_is_taken_by_the_sweep() {
    let hub = hub(100);
    hub.register(ada(), iphone()).await.unwrap();
    post(&hub, draft(None, "one", None)).await;
    let id = iphone().id;
    let tap = |nth| {
        Row::Push(
            id.clone(),
            push(1, hub.now().plus(Duration::from_secs(nth))),
        )
    };
    for part in 0..3 {
        let mut unit = Unit::of(ada());
        unit.rows.extend((0..200).map(|nth| tap(200 * part + nth)));
        hub.store().commit(unit).await.unwrap();
    }
    hub.remove_endpoint(ada(), id.clone()).await.unwrap();
    let mut late = Unit::of(ada());
    late.push(tap(1_000));
    hub.store().commit(late).await.unwrap();
    agrees(&hub);
    while hub.sweep().await.unwrap().ended > 0 {
        agrees(&hub);
    }
    let left = hub.store().reader().pushes_of(&ada(), &id).unwrap();
    assert_eq!(left, []);
    hub.register(ada(), iphone()).await.unwrap();
    agrees(&hub);
}

#[tokio::test]
async fn all_pushes_go_with_what_they_announced_however_many() {
    let hub = hub(100);
    let end = hub.now().plus(MINUTE * 60);
    for nth in 0..40 {
        post(&hub, draft(None, &format!("n{nth}"), Some(end))).await;
    }
    let phone = |nth: u32| EndpointId::parse(&format!("phone-{nth}")).unwrap();
    for nth in 0..20 {
        let mut unit = Unit::of(ada());
        for covers in 1..=40 {
            let at = hub.now().plus(Duration::from_secs(covers));
            let push = push(covers, at);
            unit.push(Row::Push(phone(nth), push));
        }
        hub.store().commit(unit).await.unwrap();
    }
    hub.clock().advance(MINUTE * 61);
    hub.clock().trust();
    while hub.sweep().await.unwrap().ended > 0 {}
    for nth in 0..20 {
        let left = hub.store().reader().pushes_of(&ada(), &phone(nth)).unwrap();
        assert_eq!(left, []);
    }
}

/// Posts by some names, and deletes now and then.
async fn write_until(hub: Hub, nth: usize, stop: tokio_util::sync::CancellationToken) {
    let mut turn = 0;
    while !stop.is_cancelled() {
        turn += 1;
        let name = format!("{}", (nth + turn) % 30);
        let named = draft(Some(&name), &format!("{nth} {turn}"), None);
        let it = hub.create(ada(), named, None).await.unwrap();
        if turn.is_multiple_of(3) {
            // Another writer may have been first.
            let _gone_already = hub.delete(ada(), it.id, None).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_store_that_is_written_to_is_called_sound() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&crate::store::Options {
        folder: folder.path().to_owned(),
        min_free_bytes: 0,
        cache_bytes: 8 << 20,
        accept_loss: false,
    });
    let hub = hub_over(store.unwrap(), 10_000);
    let stop = tokio_util::sync::CancellationToken::new();
    let mut writers = tokio::task::JoinSet::new();
    for nth in 0..4 {
        let (hub, stop) = (hub.clone(), stop.clone());
        writers.spawn(write_until(hub, nth, stop));
    }
    for _ in 0..30 {
        let found = hub.look_over(|| true).await.unwrap().unwrap();
        assert!(found.is_empty(), "{found:#?}");
        assert!(!hub.disagrees());
    }
    stop.cancel();
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
    hub.store().close();
}

#[tokio::test]
async fn who_marks_all_as_read_does_not_mean_what_is_posted_meanwhile() {
    let hub = hub(1000);
    for nth in 0..250 {
        post(&hub, draft(None, &nth.to_string(), None)).await;
    }
    let read = StateChange {
        read: Some(ReadState::Read),
        action: None,
    };
    let marking = hub.set_many(ada(), Selection::All, read, (None, None));
    let posting = async {
        let mut posted = Vec::new();
        for _ in 0..5 {
            posted.push(post(&hub, draft(None, "late", None)).await);
        }
        posted
    };
    let (changed, late) = futures_util::future::join(marking, posting).await;
    assert_eq!(changed.unwrap(), 250);
    for id in late {
        let it = hub.notification(ada(), id).await.unwrap();
        assert_eq!(it.read, ReadState::Unread);
    }
    agrees(&hub);
}

#[tokio::test]
async fn what_a_device_fetched_that_is_signed_out_by_now_leaves_no_trace() {
    let hub = hub(10);
    let phone = iphone().id;
    hub.register(ada(), iphone()).await.unwrap();
    let id = post(&hub, draft(None, "one", None)).await;
    let number = hub.notification(ada(), id).await.unwrap().number;
    hub.remove_endpoint(ada(), phone.clone()).await.unwrap();
    // Its page had left before, and is told of only now.
    let now = hub.now();
    hub.fetched(ada(), phone, number, now).await.unwrap();
    agrees(&hub);
}

#[tokio::test]
async fn one_token_more_ends_that_which_was_minted_first_and_never_the_one_it_renews() {
    let hub = hub(10);
    let phone = || Some(iphone().id);
    let year = Duration::from_secs(365 * 24 * 3600);
    let mut secrets = Vec::new();
    for _ in 0..100 {
        let minted = hub
            .mint_token(ada(), phone(), Some(year), None)
            .await
            .unwrap();
        secrets.push(minted.secret);
        hub.clock().advance(Duration::from_secs(1));
    }
    let is_good = |nth: usize, secrets: &[crate::model::Secret<String>]| {
        hub.authenticate(secrets[nth].expose()).is_ok()
    };
    let hour = Duration::from_hours(1);
    // One of an hour would end before all of them.
    secrets.push(
        hub.mint_token(ada(), phone(), Some(hour), None)
            .await
            .unwrap()
            .secret,
    );
    hub.clock().advance(Duration::from_secs(1));
    assert!(!is_good(0, &secrets) && is_good(1, &secrets));
    secrets.push(
        hub.mint_token(ada(), phone(), Some(hour), None)
            .await
            .unwrap()
            .secret,
    );
    assert!(!is_good(1, &secrets) && is_good(100, &secrets));
    let Ok(Caller::User(first)) = hub.authenticate(secrets[2].expose()) else {
        panic!("it is good")
    };
    hub.renew_token(first).await.unwrap();
    assert!(is_good(2, &secrets) && !is_good(3, &secrets));
    agrees(&hub);
}
