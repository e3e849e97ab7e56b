//! Broadcasts on a store in memory and a clock that the test moves, step by step.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    clock::Clock,
    config::{Apps, Delivery, Limits},
    hub::{Filter, due::testing},
    model::{Marker, NotificationId, Priority, Subject, UserId},
    store::{Row, Store, Unit},
};

const APP: &str = "todo.example";

fn hub_with(limits: Limits) -> Hub {
    hub_on(Store::in_memory().unwrap(), limits)
}

fn hub_on(store: Store, limits: Limits) -> Hub {
    let clock = Clock::manual(Timestamp::from_millis(1_800_000_000_000));
    let apps = Apps::new(vec![Arc::new(testing::app())]);
    Hub::new(store, apps, (Delivery::default(), limits), clock)
}

fn hub() -> Hub {
    hub_with(Limits::default())
}

fn app(host: &str) -> AppHost {
    AppHost::parse(host).unwrap()
}

fn subject(user: &str) -> Subject {
    Subject {
        app: app(APP),
        user: UserId::parse(user).unwrap(),
    }
}

fn named(count: usize) -> Audience {
    let users = (0..count).map(|nth| UserId::parse(&format!("u{nth}")).unwrap());
    Audience::Named(users.collect())
}

fn draft(raw: &str) -> Draft {
    Draft {
        app_id: None,
        group: None,
        platforms: None,
        raw: Some(raw.to_owned()),
        visual: None,
        display_ttl: None,
        expires: None,
        priority: Priority::None,
        fallback: None,
    }
}

fn under(name: &str, raw: &str) -> Draft {
    Draft {
        app_id: Some(name.to_owned()),
        ..draft(raw)
    }
}

async fn post(hub: &Hub, audience: Audience, draft: Draft) -> BroadcastId {
    let accepted = hub.broadcast(app(APP), audience, draft, None).await;
    accepted.unwrap().id
}

#[tokio::test(start_paused = true)]
async fn a_job_waits_for_room_and_goes_on_by_itself() {
    const MARK: u64 = 1 << 20;
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let store = Store::in_memory_beside(Arc::clone(&free), MARK).unwrap();
    let hub = hub_on(store, Limits::default());
    let id = post(&hub, named(40), draft("r")).await;
    let mut turns = Turns::default();
    hub.step_broadcasts(&mut turns).await.unwrap();
    free.store(MARK - 1, Ordering::SeqCst);
    let before = hub.broadcast_of(&app(APP), id).await.unwrap();
    assert!((1..40).contains(&before.done), "{before:?}");
    let full = |error: Error| matches!(error, Error::Store(store::Error::Full));
    assert!(full(hub.step_broadcasts(&mut turns).await.unwrap_err()));
    let another = hub.broadcast(app(APP), named(1), draft("another"), None);
    assert!(full(another.await.unwrap_err()));

    let stop = CancellationToken::new();
    let working = crate::task::broadcasts(hub.clone(), || 0, stop.clone());
    let working = tokio::spawn(working);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let waiting = hub.broadcast_of(&app(APP), id).await.unwrap();
    assert_eq!(
        waiting, before,
        "nobody is posted to, and the job is running"
    );
    free.store(MARK, Ordering::SeqCst);
    while hub.broadcast_of(&app(APP), id).await.unwrap().status == BroadcastStatus::Running {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let done = hub.broadcast_of(&app(APP), id).await.unwrap();
    assert_eq!((done.done, done.failed), (40, 0));
    for nth in 0..40 {
        let held = history(&hub, &format!("u{nth}")).await;
        assert_eq!(held.len(), 1, "u{nth}: {held:?}");
    }
    stop.cancel();
    working.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_job_waits_for_taps_that_are_about_to_leave_and_not_for_those_of_a_slow_service() {
    let hub = hub_on(Store::in_memory().unwrap(), Limits::default());
    for nth in 0..40 {
        let user = UserId::parse(&format!("u{nth}")).unwrap();
        let subject = Subject {
            app: app(APP),
            user,
        };
        let mut unit = Unit::of(subject.clone());
        unit.push(Row::Marker(Marker {
            due: hub.now(),
            subject,
            tag: 1,
        }));
        hub.store().commit(unit).await.unwrap();
    }
    for (leaving, waits) in [(0, false), (1000, true)] {
        let began = tokio::time::Instant::now();
        hub.let_taps_go_first(|| leaving).await.unwrap();
        assert_eq!(!began.elapsed().is_zero(), waits, "{leaving}");
    }
}

/// Steps until nothing runs; says how many notifications were stored.
async fn work_off(hub: &Hub) -> u64 {
    let (mut turns, before) = (Turns::default(), hub.created());
    while hub.step_broadcasts(&mut turns).await.unwrap() == Step::Worked {}
    hub.created() - before
}

async fn history(hub: &Hub, user: &str) -> Vec<(NotificationId, Option<String>)> {
    let page = hub
        .history(subject(user), Filter::default(), 100, None)
        .await
        .unwrap();
    let items = page.items.into_iter();
    items.map(|it| (it.id, it.draft.raw)).collect()
}

async fn state(hub: &Hub, id: BroadcastId) -> (&'static str, u64, u64, u64) {
    let it = hub.broadcast_of(&app(APP), id).await.unwrap();
    (it.status.as_str(), it.accepted, it.done, it.failed)
}

#[track_caller]
fn agrees(hub: &Hub) {
    let findings = hub.store().reader().verify().unwrap();
    assert!(findings.is_empty(), "{findings:#?}");
}

async fn sweep_all(hub: &Hub) {
    while hub.sweep().await.unwrap().ended > 0 {}
}

/// How long a job can be asked for after its notifications.
const KEPT: Duration = Duration::from_hours(24);

#[tokio::test]
async fn everyone_on_the_list_gets_one_and_the_content_lies_there_once() {
    let hub = hub();
    let long = "x".repeat(20_000);
    let id = post(&hub, named(50), draft(&long)).await;
    assert_eq!(state(&hub, id).await, ("running", 50, 0, 0));
    agrees(&hub);
    assert_eq!(work_off(&hub).await, 50);
    assert_eq!(state(&hub, id).await, ("completed", 50, 50, 0));
    agrees(&hub);
    let bytes = hub.store().stats().size_bytes;
    assert!(bytes < 20_000 + 50 * 1_000, "{bytes} bytes for 50 people");
    for nth in 0..50 {
        let found = history(&hub, &format!("u{nth}")).await;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].1.as_deref(), Some(long.as_str()));
    }
}

#[tokio::test]
async fn the_content_goes_with_the_last_who_shares_it() {
    let hub = hub();
    let long = "x".repeat(20_000);
    let id = post(&hub, named(20), under("n", &long)).await;
    work_off(&hub).await;
    let first = history(&hub, "u0").await[0].0;
    hub.delete(subject("u0"), first, None).await.unwrap();
    hub.create(subject("u1"), under("n", "other"), None)
        .await
        .unwrap();
    agrees(&hub);
    assert_eq!(history(&hub, "u1").await[0].1.as_deref(), Some("other"));
    assert_eq!(
        history(&hub, "u2").await[0].1.as_deref(),
        Some(long.as_str()),
        "the others still have it"
    );
    hub.clock().advance(DEFAULT_EXPIRY + KEPT);
    for _ in 0..5 {
        hub.sweep().await.unwrap();
        agrees(&hub);
    }
    sweep_all(&hub).await;
    agrees(&hub);
    assert!(matches!(
        hub.broadcast_of(&app(APP), id).await,
        Err(Error::NotFound(_))
    ));
    assert_eq!(hub.store().reader().broadcast(id).unwrap(), None);
    let bytes = hub.store().stats().size_bytes;
    assert!(bytes < 15_000, "{bytes} bytes are left");
}

#[tokio::test]
async fn all_are_those_whom_the_app_has_when_it_posts() {
    let hub = hub();
    for user in ["ada", "bob", "cleo"] {
        hub.create(subject(user), draft("hello"), None)
            .await
            .unwrap();
    }
    let elsewhere = Subject {
        app: app("other.example"),
        user: UserId::parse("eve").unwrap(),
    };
    hub.create(elsewhere.clone(), draft("hello"), None)
        .await
        .unwrap();
    let id = post(&hub, Audience::All, draft("to all")).await;
    assert_eq!(state(&hub, id).await, ("running", 3, 0, 0));
    hub.create(subject("late"), draft("hello"), None)
        .await
        .unwrap();
    // Bob is erased, which takes his user row.
    let mut gone = Unit::of(subject("bob"));
    gone.push(Row::DropUser);
    hub.store().commit(gone).await.unwrap();
    assert_eq!(work_off(&hub).await, 2);
    assert_eq!(state(&hub, id).await, ("completed", 3, 2, 1));
    assert_eq!(history(&hub, "ada").await.len(), 2);
    assert_eq!(history(&hub, "late").await.len(), 1, "came too late");
    assert_eq!(
        hub.store().reader().known_user(&subject("bob")).unwrap(),
        None,
        "who is gone does not come back"
    );
    let eves = hub.history(elsewhere, Filter::default(), 10, None).await;
    assert_eq!(eves.unwrap().items.len(), 1, "another app's people");
    let nobody = hub
        .broadcast(app("empty.example"), Audience::All, draft("x"), None)
        .await;
    assert!(matches!(nobody, Err(Error::Invalid(_))), "{nobody:?}");
}

#[tokio::test]
async fn what_is_known_taps_nobody_and_what_has_no_room_fails() {
    let hub = hub_with(Limits {
        notifications_per_user: 2,
        ..Limits::default()
    });
    hub.create(subject("u0"), under("n", "same"), None)
        .await
        .unwrap();
    hub.create(subject("u1"), under("n", "older"), None)
        .await
        .unwrap();
    for text in ["a", "b"] {
        hub.create(subject("u2"), draft(text), None).await.unwrap();
    }
    let head = |user: &str| hub.store().reader().user(&subject(user)).unwrap().head;
    let before = head("u0");
    let kept = history(&hub, "u1").await[0].0;
    let id = post(&hub, named(4), under("n", "same")).await;
    assert_eq!(work_off(&hub).await, 2);
    assert_eq!(state(&hub, id).await, ("completed", 4, 3, 1));
    assert_eq!(head("u0"), before, "the same content is no news");
    let replaced = history(&hub, "u1").await;
    assert_eq!(replaced, [(kept, Some("same".to_owned()))]);
    assert_eq!(history(&hub, "u2").await.len(), 2);
    agrees(&hub);
}

#[tokio::test]
async fn apps_take_turns_and_an_apps_oldest_job_is_first() {
    let hub = hub();
    let first = post(&hub, named(64), draft("1")).await;
    let second = post(&hub, named(64), draft("2")).await;
    let other = app("other.example");
    let theirs = hub
        .broadcast(other.clone(), named(64), draft("3"), None)
        .await
        .unwrap()
        .id;
    let mut turns = Turns::default();
    for _ in 0..4 {
        hub.step_broadcasts(&mut turns).await.unwrap();
    }
    assert_eq!(state(&hub, first).await.2, 16);
    assert_eq!(state(&hub, second).await.2, 0);
    let theirs = hub.broadcast_of(&other, theirs).await.unwrap();
    assert_eq!(theirs.done, 16);
    work_off(&hub).await;
    assert_eq!(state(&hub, second).await, ("completed", 64, 64, 0));
    agrees(&hub);
}

#[tokio::test]
async fn as_many_run_as_may() {
    let hub = hub_with(Limits {
        broadcasts_per_app: 2,
        ..Limits::default()
    });
    let first = post(&hub, named(40), draft("1")).await;
    post(&hub, named(40), draft("2")).await;
    let refused = hub
        .broadcast(app(APP), named(1), draft("3"), None)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, Error::Limit { max: 2, name, .. } if name.ends_with("broadcasts_per_app")),
        "{refused}"
    );
    hub.broadcast(app("other.example"), named(1), draft("4"), None)
        .await
        .unwrap();
    hub.cancel_broadcast(&app(APP), first).await.unwrap();
    post(&hub, named(1), draft("3")).await;
    work_off(&hub).await;
    agrees(&hub);
}

#[tokio::test]
async fn a_cancelled_job_stops_where_it_is() {
    let hub = hub();
    let id = post(&hub, named(40), draft("1")).await;
    hub.step_broadcasts(&mut Turns::default()).await.unwrap();
    hub.cancel_broadcast(&app(APP), id).await.unwrap();
    assert_eq!(state(&hub, id).await, ("cancelled", 40, 8, 0));
    assert_eq!(work_off(&hub).await, 0);
    agrees(&hub);
    assert!(hub.store().reader().listed_rows(id, 1).unwrap().is_empty());
    assert!(matches!(
        hub.cancel_broadcast(&app(APP), id).await,
        Err(Error::NotFound(_))
    ));
    let done = post(&hub, named(1), draft("2")).await;
    work_off(&hub).await;
    assert!(matches!(
        hub.cancel_broadcast(&app(APP), done).await,
        Err(Error::Conflict(_))
    ));
}

#[tokio::test]
async fn a_job_with_a_long_list_is_cancelled_on_a_nearly_full_disk() {
    const MARK: u64 = 16 << 20;
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let store = Store::in_memory_beside(Arc::clone(&free), MARK).unwrap();
    let hub = hub_on(store, Limits::default());
    let long = |nth: usize| UserId::parse(&format!("{nth:0>250}")).unwrap();
    let id = post(
        &hub,
        Audience::Named((0..10_000).map(long).collect()),
        draft("1"),
    )
    .await;
    hub.step_broadcasts(&mut Turns::default()).await.unwrap();
    free.store(MARK / 8, Ordering::SeqCst);
    hub.store().look_for_room().await.unwrap();
    hub.cancel_broadcast(&app(APP), id).await.unwrap();
    assert_eq!(state(&hub, id).await, ("cancelled", 10_000, 8, 0));
    assert!(hub.store().reader().listed_rows(id, 1).unwrap().is_empty());
    agrees(&hub);
}

#[tokio::test]
async fn what_is_over_before_it_is_done_reaches_nobody_more() {
    let hub = hub();
    let mut short = draft("1");
    short.expires = Some(hub.now().plus(Duration::from_secs(60)));
    let id = post(&hub, named(40), short).await;
    hub.step_broadcasts(&mut Turns::default()).await.unwrap();
    hub.clock().advance(Duration::from_secs(60));
    assert_eq!(work_off(&hub).await, 0);
    agrees(&hub);
    sweep_all(&hub).await;
    agrees(&hub);
    assert_eq!(state(&hub, id).await, ("completed", 40, 8, 32));
    assert!(hub.store().reader().listed_rows(id, 1).unwrap().is_empty());
    hub.clock().advance(KEPT);
    assert!(matches!(
        hub.broadcast_of(&app(APP), id).await,
        Err(Error::NotFound(_))
    ));
    sweep_all(&hub).await;
    agrees(&hub);
    assert_eq!(hub.store().reader().broadcast(id).unwrap(), None);
}

#[tokio::test]
async fn a_list_of_many_rows_is_accepted_whole() {
    let hub = hub();
    let long = |nth: usize| UserId::parse(&format!("{nth:0>250}")).unwrap();
    let users: Vec<UserId> = (0..10_000).map(long).collect();
    let id = post(&hub, Audience::Named(users.clone()), draft("1")).await;
    let it = hub.broadcast_of(&app(APP), id).await.unwrap();
    assert_eq!(it.accepted, 10_000);
    assert!(it.rows as usize > LIST_ROWS, "{} rows", it.rows);
    agrees(&hub);
    let mut listed = BTreeSet::new();
    for row in 0..it.rows {
        let people = hub.store().reader().listed(id, row).unwrap().unwrap();
        for one in people {
            let Listed::Named(user) = one else {
                panic!("{one:?}");
            };
            listed.insert(user);
        }
    }
    assert_eq!(listed, users.into_iter().collect());
    hub.cancel_broadcast(&app(APP), id).await.unwrap();
    agrees(&hub);
}

#[tokio::test]
async fn an_acceptance_that_broke_off_leaves_nothing() {
    let hub = hub();
    let id = post(&hub, named(40), draft("1")).await;
    let mut job = hub.broadcast_of(&app(APP), id).await.unwrap();
    job.status = BroadcastStatus::Accepting;
    let row = AppRow::Broadcast(Box::new(job));
    hub.store()
        .commit_batch(row.into(), Vec::new())
        .await
        .unwrap();
    agrees(&hub);
    assert!(
        hub.broadcast_of(&app(APP), id).await.is_err(),
        "nobody sees it"
    );
    assert_eq!(work_off(&hub).await, 0);
    assert_eq!(hub.store().reader().broadcast(id).unwrap(), None);
    agrees(&hub);
    assert_eq!(
        hub.store().reader().known_user(&subject("u0")).unwrap(),
        None
    );
}

/// Something that an app, a person or the time does.
#[derive(Debug, Clone)]
enum Deed {
    Broadcast {
        people: usize,
        name: Option<u8>,
        secs: u64,
    },
    All {
        content: u8,
    },
    Step,
    Post {
        person: usize,
        name: u8,
    },
    Retract {
        person: usize,
    },
    Read {
        person: usize,
    },
    Cancel,
    Wait {
        secs: u64,
    },
}

fn deeds() -> impl Strategy<Value = Deed> {
    prop_oneof![
        2 => (1usize..40, proptest::option::of(0u8..3), 1u64..500)
            .prop_map(|(people, name, secs)| Deed::Broadcast { people, name, secs }),
        1 => (0u8..3).prop_map(|content| Deed::All { content }),
        6 => Just(Deed::Step),
        3 => (0usize..40, 0u8..3).prop_map(|(person, name)| Deed::Post { person, name }),
        2 => (0usize..40).prop_map(|person| Deed::Retract { person }),
        1 => (0usize..40).prop_map(|person| Deed::Read { person }),
        1 => Just(Deed::Cancel),
        1 => (1u64..200).prop_map(|secs| Deed::Wait { secs }),
    ]
}

async fn act(hub: &Hub, deed: Deed, jobs: &mut Vec<BroadcastId>) {
    match deed {
        Deed::Broadcast { people, name, secs } => {
            let mut content = draft(&"x".repeat(5_000));
            content.app_id = name.map(|name| name.to_string());
            content.expires = Some(hub.now().plus(Duration::from_secs(secs)));
            let posted = hub.broadcast(app(APP), named(people), content, None).await;
            jobs.extend(posted.ok().map(|posted| posted.id));
        }
        Deed::All { content } => {
            let content = under("all", &content.to_string());
            let posted = hub.broadcast(app(APP), Audience::All, content, None).await;
            jobs.extend(posted.ok().map(|posted| posted.id));
        }
        Deed::Step => {
            hub.step_broadcasts(&mut Turns::default()).await.unwrap();
        }
        Deed::Post { person, name } => {
            let to = subject(&format!("u{person}"));
            let _may_have_no_room = hub.create(to, under(&name.to_string(), "p"), None).await;
        }
        Deed::Retract { person } => {
            let user = format!("u{person}");
            if let Some((id, _)) = history(hub, &user).await.first() {
                hub.delete(subject(&user), *id, None).await.unwrap();
            }
        }
        Deed::Read { person } => {
            let read = crate::model::StateChange {
                read: Some(crate::model::ReadState::Read),
                action: None,
            };
            let whose = subject(&format!("u{person}"));
            hub.set_many(whose, crate::hub::Selection::All, read, (None, None))
                .await
                .unwrap();
        }
        Deed::Cancel => {
            if let Some(id) = jobs.last() {
                let _may_be_over = hub.cancel_broadcast(&app(APP), *id).await;
            }
        }
        Deed::Wait { secs } => {
            hub.clock().advance(Duration::from_secs(secs));
            hub.sweep().await.unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_is_done_contents_stay_as_long_as_someone_shares_them(
        deeds in proptest::collection::vec(deeds(), 1..60)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let hub = hub_with(Limits {
                notifications_per_user: 3,
                broadcasts_per_app: 3,
                ..Limits::default()
            });
            let mut jobs = Vec::new();
            for deed in deeds {
                act(&hub, deed, &mut jobs).await;
                agrees(&hub);
            }
            work_off(&hub).await;
            agrees(&hub);
            hub.clock().advance(DEFAULT_EXPIRY + KEPT);
            sweep_all(&hub).await;
            agrees(&hub);
            for id in jobs {
                assert_eq!(hub.store().reader().broadcast(id).unwrap(), None);
            }
        });
    }
}
