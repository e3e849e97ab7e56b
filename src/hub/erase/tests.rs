//! Erasing a person who did everything, broken off after each of its steps.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    super::{
        due::testing,
        tests::{MINUTE, agrees, draft, iphone},
        *,
    },
    names::struck_off,
};
use crate::{
    clock::Clock,
    config::{Apps, Delivery, Limits},
    model::{
        Actor, AppHost, Audience, BroadcastStatus, Channel, Deed, Draft, EndpointId, FeedPosition,
        Push, ReadState, ServiceAnswer, StateChange, UserId, Whom,
    },
    store::{ActsOf, AppRow, Row, Unit, pseudonym},
};

const NAME: &str = "ada-lovelace-1815";

fn hub_on(store: Store, clock: Clock) -> Hub {
    let apps = Apps::new(vec![Arc::new(testing::app())]);
    let limits = Limits::default();
    Hub::new(store, apps, (Delivery::default(), limits), clock)
}

fn user(name: &str) -> Subject {
    Subject {
        app: testing::app().host,
        user: UserId::parse(name).unwrap(),
    }
}

fn ada() -> Subject {
    user(NAME)
}

fn none(id: &str) -> Registration {
    Registration {
        id: EndpointId::parse(id).unwrap(),
        channel: Channel::None,
        ..iphone()
    }
}

fn deed(name: &'static str, of: Option<&str>) -> Deed {
    Deed {
        name,
        app: Some(ada().app),
        user: Some(ada().user),
        of: of.map(str::to_owned),
    }
}

/// Sends whatever is due, which the service takes.
async fn tap(hub: &Hub) {
    let at = LookAt {
        subject: ada(),
        busy: HashSet::new(),
        tests: Vec::new(),
    };
    let look = hub.look_at(vec![at]).await.pop().unwrap().1.unwrap();
    for due in look.taps {
        let mut state = due.state.clone();
        state.covered = due.tap.covers;
        let push = Push {
            covers: due.tap.covers,
            alone: false,
            at: hub.now(),
            kind: due.tap.kind,
            shows: due.tap.shows,
            accepted: true,
            attempts: 1,
            size_bytes: 1,
            answer: ServiceAnswer {
                status: 200,
                reason: None,
                id: None,
            },
        };
        assert!(hub.settle(&due, state, Some(push)).await.unwrap());
    }
}

/// Has Ada do all that a person can do, beside Bob, who did a little of it.
async fn live(hub: &Hub) {
    for who in [ada(), user("bob")] {
        let shared = |it: Registration| Registration { shared: true, ..it };
        hub.register(who.clone(), shared(iphone())).await.unwrap();
        hub.create(who, draft(Some("name"), "first", None), None)
            .await
            .unwrap();
    }
    for id in ["tablet", "left"] {
        hub.register(ada(), none(id)).await.unwrap();
    }
    for nth in 0..3 {
        tap(hub).await;
        hub.clock().advance(MINUTE);
        let once = OnceKey {
            key: [nth; 32],
            request: [nth; 32],
        };
        let long = Draft {
            raw: Some("r".repeat(9000)),
            ..draft(Some(&format!("n{nth}")), "next", None)
        };
        hub.create(ada(), long, Some(once)).await.unwrap();
    }
    for nth in 0..120 {
        let bound = (nth % 2 == 0).then(|| iphone().id);
        hub.mint_token(ada(), bound, None, None).await.unwrap();
        hub.create(ada(), draft(None, &format!("{nth}"), None), None)
            .await
            .unwrap();
    }
    act(hub).await;
    let left = EndpointId::parse("left").unwrap();
    hub.remove_endpoint(ada(), left).await.unwrap();
    be_among_many(hub).await;
    // The same app on the same phone, installed anew: the channel is that one's from then on.
    let anew = Registration {
        id: EndpointId::parse("anew").unwrap(),
        shared: true,
        ..iphone()
    };
    hub.register(ada(), anew).await.unwrap();
    let noted = deed("token mint", Some("phone"));
    let act = hub.begin_act(Actor::Operator, noted).await.unwrap();
    hub.end_act(act, crate::model::ActOutcome::Done).await;
}

/// What is done with notifications: read, deleted, replaced, fetched, over.
async fn act(hub: &Hub) {
    let all = hub
        .history(ada(), Filter::default(), 100, None)
        .await
        .unwrap();
    let ids: Vec<_> = all.items.iter().map(|it| it.id).collect();
    let read = StateChange {
        read: Some(ReadState::Read),
        action: None,
    };
    let by = Some(iphone().id);
    hub.set(ada(), ids[0], read, (None, by)).await.unwrap();
    hub.set(ada(), ids[1], read, (None, None)).await.unwrap();
    for id in &ids[2..12] {
        hub.delete(ada(), *id, None).await.unwrap();
    }
    hub.create(ada(), draft(Some("n1"), "replaced", None), None)
        .await
        .unwrap();
    let tablet = EndpointId::parse("tablet").unwrap();
    hub.fetched(ada(), tablet, FeedPosition(20), hub.now())
        .await
        .unwrap();
    let short = hub.now().plus(MINUTE);
    hub.create(ada(), draft(None, "short", Some(short)), None)
        .await
        .unwrap();
    hub.clock().advance(2 * MINUTE);
    hub.sweep().await.unwrap();
}

/// Posts to many: one that has come to her, one that comes next, one that is yet to come.
async fn be_among_many(hub: &Hub) {
    for audience in [
        Audience::Named(vec![ada().user, user("bob").user]),
        Audience::All,
    ] {
        let posted = draft(None, "to many", None);
        hub.broadcast(ada().app, audience, posted, None)
            .await
            .unwrap();
    }
    let step = &mut Turns::default();
    hub.step_broadcasts(step).await.unwrap();
    // One that was cancelled, with the hub killed before its list was gone.
    let last = draft(None, "to nobody", None);
    let named = Audience::Named(vec![ada().user]);
    let job = hub.broadcast(ada().app, named, last, None).await.unwrap();
    let mut job = hub.store().reader().broadcast(job.id).unwrap().unwrap();
    job.status = BroadcastStatus::Cancelled;
    job.completed = Some(hub.now());
    let row = AppRow::Broadcast(Box::new(job));
    hub.store().commit_app(row).await.unwrap();
    let posted = draft(None, "to many more", None);
    let both = Audience::Named(vec![user("bob").user, ada().user]);
    hub.broadcast(ada().app, both, posted, None).await.unwrap();
}

/// Nothing of Ada is there but that she was erased, and the store is sound.
async fn is_erased(hub: &Hub) {
    agrees(hub);
    let reader = hub.store().reader();
    let words = [NAME.as_bytes().to_vec()];
    assert_eq!(reader.rows_that_hold(&words), Vec::<String>::new());
    let kept = reader.rows_that_hold(&[Reader::key_of(&ada())]);
    assert_eq!(kept.len(), 2, "the memory of it, and its end: {kept:?}");
    let erasure = reader.erasure(&ada()).unwrap().unwrap();
    assert_eq!(erasure.under_way, None);
    let gone = hub.erase_user(ada()).await;
    assert!(matches!(gone, Err(Error::NotFound("user"))), "{gone:?}");
    let page = hub.history(user("bob"), Filter::default(), 10, None).await;
    assert!(!page.unwrap().items.is_empty(), "Bob has what is his");
    let acts = reader.acts(&ActsOf::default(), 10).unwrap();
    assert_eq!(acts[0].user, Some(Whom::Erased(pseudonym(&ada().user))));
    assert_eq!(acts[0].of, None);
}

async fn work_off(hub: &Hub) {
    let turns = &mut Turns::default();
    while hub.step_broadcasts(turns).await.unwrap() == Step::Worked {}
}

#[tokio::test]
async fn an_erasure_that_breaks_off_after_any_step_leaves_the_store_sound_and_is_finished() {
    let mut steps = 0;
    loop {
        let store = Store::in_memory().unwrap();
        let clock = Clock::manual(Timestamp::from_millis(1_800_000_000_000));
        let hub = hub_on(store.clone(), clock.clone());
        hub.finish_erasures().await.unwrap();
        live(&hub).await;
        agrees(&hub);
        hub.strike_off_lists(&ada()).await.unwrap();
        hub.note_erasure(&ada()).await.unwrap();
        let mut more = true;
        for _ in 0..steps {
            more = hub.erase_step(&ada()).await.unwrap();
            agrees(&hub);
        }
        drop(hub);
        // The next start.
        let hub = hub_on(store, clock);
        hub.finish_erasures().await.unwrap();
        is_erased(&hub).await;
        work_off(&hub).await;
        is_erased(&hub).await;
        if !more {
            break;
        }
        steps += 1;
    }
    assert!(steps > 5, "{steps}");
}

#[tokio::test]
async fn a_person_who_comes_back_begins_behind_what_was() {
    let store = Store::in_memory().unwrap();
    let clock = Clock::manual(Timestamp::from_millis(1_800_000_000_000));
    let hub = hub_on(store, clock);
    live(&hub).await;
    let before = hub.store().reader().user(&ada()).unwrap().head;
    let held = hub.cursor(&ada(), before);
    hub.open_cursor(&ada(), &held).await.unwrap();
    let at = hub.now();
    hub.erase_user(ada()).await.unwrap();
    is_erased(&hub).await;
    let too_old = async || {
        let opened = hub.open_cursor(&ada(), &held).await;
        assert!(matches!(opened, Err(Error::CursorTooOld)), "{opened:?}");
        let since = Some(Since::Cursor(before));
        let delta = hub.delta(ada(), since, 10).await;
        assert!(matches!(delta, Err(Error::CursorTooOld)), "{delta:?}");
    };
    too_old().await;
    for _ in 0..2 {
        hub.create(ada(), draft(Some("name"), "anew", None), None)
            .await
            .unwrap();
    }
    agrees(&hub);
    let page = hub
        .history(ada(), Filter::default(), 10, None)
        .await
        .unwrap();
    assert_eq!(page.items.len(), 1);
    assert!(page.items[0].number > before);
    too_old().await;
    hub.clock().advance(Duration::from_secs(1));
    hub.erase_user(ada()).await.unwrap();
    is_erased(&hub).await;
    let erasure = hub.store().reader().erasure(&ada()).unwrap().unwrap();
    assert!(erasure.at > at && erasure.head > before);
    hub.clock().advance(Duration::from_secs(367 * 24 * 3600));
    while hub.sweep().await.unwrap().ended > 0 {}
    agrees(&hub);
    assert_eq!(hub.store().reader().erasure(&ada()).unwrap(), None);
}

#[tokio::test]
async fn a_look_that_was_begun_before_leaves_nothing_after() {
    let store = Store::in_memory().unwrap();
    let clock = Clock::manual(Timestamp::from_millis(1_800_000_000_000));
    let hub = hub_on(store, clock);
    live(&hub).await;
    let at = LookAt {
        subject: ada(),
        busy: HashSet::new(),
        tests: Vec::new(),
    };
    let look = hub.look_at(vec![at]).await.pop().unwrap().1.unwrap();
    hub.erase_user(ada()).await.unwrap();
    for due in &look.taps {
        assert!(!hub.still_due(due).unwrap());
        assert!(!hub.settle(due, due.state.clone(), None).await.unwrap());
    }
    let next = Some(hub.now().plus(MINUTE));
    hub.close_look(ada(), Vec::new(), next, look.states.clone())
        .await
        .unwrap();
    let known: AppHost = ada().app;
    assert_eq!(
        hub.store().reader().users(&known, None, 10).unwrap().len(),
        1
    );
    is_erased(&hub).await;
}

#[tokio::test]
async fn the_word_of_a_client_that_waited_is_none_any_more() {
    let store = Store::in_memory().unwrap();
    let clock = Clock::manual(Timestamp::from_millis(1_800_000_000_000));
    let hub = hub_on(store, clock);
    let minted = hub.mint_token(ada(), None, None, None).await.unwrap();
    let Caller::User(caller) = hub.authenticate(minted.secret.expose()).unwrap() else {
        panic!("it is a user's");
    };
    hub.register(caller.clone(), iphone()).await.unwrap();
    hub.erase_user(ada()).await.unwrap();
    let registered = hub.register(caller.clone(), iphone()).await;
    assert!(matches!(registered, Err(Error::Unauthenticated(_))));
    let posted = hub
        .create(caller.clone(), draft(None, "x", None), None)
        .await;
    assert!(matches!(posted, Err(Error::Unauthenticated(_))));
    assert!(!hub.still_good(&caller));
    assert_eq!(hub.store().reader().known_user(&ada()).unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_that_an_erasure_overtakes_finds_nothing() {
    let store = Store::in_memory().unwrap();
    let clock = Clock::manual(Timestamp::from_millis(1_800_000_000_000));
    let hub = hub_on(store, clock);
    for nth in 0..600 {
        let post = draft(None, &format!("{nth}"), None);
        hub.create(ada(), post, None).await.unwrap();
    }
    let runtime = tokio::runtime::Handle::current();
    let (erasing, once) = (hub.clone(), Arc::new(std::sync::Once::new()));
    let go_on = move || {
        once.call_once(|| {
            let (runtime, erasing) = (runtime.clone(), erasing.clone());
            let erased = std::thread::spawn(move || runtime.block_on(erasing.erase_user(ada())));
            erased.join().unwrap().unwrap();
        });
        true
    };
    let found = hub.look_over(go_on).await.unwrap();
    assert_eq!(found, Some(Vec::new()));
    assert_eq!(hub.store().reader().known_user(&ada()).unwrap(), None);
}

/// A hub on a disk that has so much free of what it must have, once Ada has lived there, with much of everything.
async fn hub_beside(mark: u64) -> (Hub, Arc<AtomicU64>) {
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let store = Store::in_memory_beside(Arc::clone(&free), mark).unwrap();
    let clock = Clock::manual(Timestamp::from_millis(1_800_000_000_000));
    let hub = hub_on(store, clock);
    live(&hub).await;
    for nth in 0..100 {
        let long = Draft {
            raw: Some("r".repeat(60_000)),
            ..draft(None, &format!("long {nth}"), None)
        };
        hub.create(ada(), long, None).await.unwrap();
        for _ in 0..3 {
            let noted = deed("token mint", Some("phone"));
            hub.begin_act(Actor::Operator, noted).await.unwrap();
        }
    }
    for nth in 0..300 {
        let push = Push {
            covers: FeedPosition(nth),
            alone: false,
            at: hub.now(),
            kind: crate::model::TapKind::Created,
            shows: None,
            accepted: true,
            attempts: 1,
            size_bytes: 1,
            answer: ServiceAnswer {
                status: 200,
                reason: None,
                id: None,
            },
        };
        let mut unit = Unit::of(ada());
        unit.push(Row::Push(iphone().id, push));
        hub.store().commit(unit).await.unwrap();
    }
    (hub, free)
}

#[tokio::test]
async fn on_a_nearly_full_disk_a_person_is_erased_as_long_as_anything_may_be_taken_away() {
    const MIB: u64 = 1 << 20;
    for (mark, left) in [
        (16 * MIB, 16 * MIB - 1),
        (16 * MIB, 9 * MIB),
        (16 * MIB, 2 * MIB),
        (MIB, 850 << 10),
    ] {
        let (hub, free) = hub_beside(mark).await;
        free.store(left, Ordering::SeqCst);
        hub.store().look_for_room().await.unwrap();
        let erased = hub.erase_user(ada()).await;
        assert!(erased.is_ok(), "{left} of {mark}: {erased:?}");
        is_erased(&hub).await;
        free.store(u64::MAX, Ordering::SeqCst);
        work_off(&hub).await;
        is_erased(&hub).await;
    }
}

/// The titles of what a person has that was posted to many.
async fn has_of_many(hub: &Hub, who: Subject) -> Vec<String> {
    let page = hub
        .history(who, Filter::default(), 100, None)
        .await
        .unwrap();
    let titles = page
        .items
        .into_iter()
        .map(|it| it.draft.visual.unwrap().title);
    titles.filter(|it| it.starts_with("many")).collect()
}

#[tokio::test]
async fn a_kill_between_the_lists_that_name_someone_has_nobody_skipped_or_posted_to_twice() {
    for asked_again in [false, true] {
        let store = Store::in_memory().unwrap();
        let clock = Clock::manual(Timestamp::from_millis(1_800_000_000_000));
        let hub = hub_on(store.clone(), clock.clone());
        hub.create(ada(), draft(None, "first", None), None)
            .await
            .unwrap();
        let both = || Audience::Named(vec![user("bob").user, ada().user]);
        for title in ["many 1", "many 2"] {
            let posted = draft(None, title, None);
            hub.broadcast(ada().app, both(), posted, None)
                .await
                .unwrap();
        }
        let rows = struck_off(hub.store().reader(), &ada().app, &ada().user).unwrap();
        assert_eq!(rows.len(), 2);
        hub.store().commit_app(rows[0].clone()).await.unwrap();
        drop(hub);
        // The next start.
        let hub = hub_on(store, clock);
        hub.finish_erasures().await.unwrap();
        if asked_again {
            hub.erase_user(ada()).await.unwrap();
        }
        work_off(&hub).await;
        agrees(&hub);
        let expected = ["many 2", "many 1"];
        assert_eq!(has_of_many(&hub, user("bob")).await, expected);
        let hers = if asked_again { &[][..] } else { &expected };
        assert_eq!(has_of_many(&hub, ada()).await, hers);
    }
}

#[tokio::test]
async fn whoever_is_on_a_list_of_short_names_can_be_erased() {
    let store = Store::in_memory().unwrap();
    let clock = Clock::manual(Timestamp::from_millis(1_800_000_000_000));
    let hub = hub_on(store, clock);
    let all: Vec<Subject> = (0..500).map(|nth| user(&format!("u{nth}"))).collect();
    for one in &all {
        hub.create(one.clone(), draft(None, "first", None), None)
            .await
            .unwrap();
    }
    let named = Audience::Named(all.iter().map(|one| one.user.clone()).collect());
    hub.broadcast(ada().app, named, draft(None, "many", None), None)
        .await
        .unwrap();
    for one in &all {
        let erased = hub.erase_user(one.clone()).await;
        assert!(erased.is_ok(), "{one:?}: {erased:?}");
    }
    work_off(&hub).await;
    agrees(&hub);
}
