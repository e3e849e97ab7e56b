//! Each invariant broken once: `verify` names it.

use super::super::engine::{Engine, Op};
use super::*;
use crate::{
    model::{
        Act, ActOutcome, Actor, AppHost, Channel, Endpoint, EndpointId, FetchMark, NotificationId,
        Once, OnceAnswer, Owner, Platform, Push, Receipt, ServiceAnswer, Subject, SubscriptionId,
        TapId, TapKind, TapState, Timestamp, UserId, UserToken,
    },
    store::{
        Expiring, Row, Store, Unit,
        records::{Record, encode_once, encode_owners},
        tests::post,
    },
};
use std::{ops::Bound, sync::Arc};

#[path = "verify/surplus_tests.rs"]
mod surplus;

fn subject() -> Subject {
    Subject {
        app: AppHost::parse("todo.example").unwrap(),
        user: UserId::parse("ada").unwrap(),
    }
}

fn token() -> UserToken {
    UserToken {
        hash: [7; 32],
        subject: subject(),
        endpoint: None,
        expires: Timestamp::from_millis(1_800_000_000_000),
        life: UserToken::usual_life(None),
        minted_by: None,
    }
}

/// What verify says of these rows.
fn said(rows: Vec<Op>) -> Vec<String> {
    let engine = Arc::new(Engine::memory());
    engine.commit(rows).unwrap();
    let findings = Reader::over(engine).verify().unwrap();
    findings.into_iter().map(|it| it.message).collect()
}

fn put(key: Vec<u8>, it: &impl Record) -> Op {
    Op::Put(key, it.encode().unwrap())
}

fn push(covers: FeedPosition, at: Timestamp) -> Push {
    Push {
        covers,
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

/// A token with its index and its expiry.
fn rows_of_a_token() -> Vec<Op> {
    let (it, user) = (token(), keys::user_key(&subject()));
    let expiry = keys::expiry(it.expires, ExpiryKind::Token, &[&it.hash]);
    vec![
        Op::Put(keys::token(&it.hash), it.encode().unwrap()),
        Op::Put(keys::token_of(&user, None, &it.hash), Vec::new()),
        Op::Put(expiry, Vec::new()),
    ]
}

#[test]
fn each_row_of_a_token_is_missed_by_the_others() {
    assert_eq!(said(rows_of_a_token()), [""; 0]);
    let missed = [
        &[
            "an expiry of kind Token is left over",
            "a user's token is not there",
        ][..],
        &["a token is not found by its user"],
        &["a token never expires"],
    ];
    for (nth, missed) in missed.iter().enumerate() {
        let mut rows = rows_of_a_token();
        rows.remove(nth);
        assert_eq!(said(rows), *missed, "without row {nth}");
    }
}

/// What an `Idempotency-Key` was used for, its expiry, and, for a post to a person, the person.
fn rows_of_a_used_key(answer: OnceAnswer) -> Vec<Op> {
    let (app, user) = (subject().app, keys::user_key(&subject()));
    let it = Once {
        app: app.clone(),
        key: [3; 32],
        request: [4; 32],
        answer,
        expires: Timestamp::from_millis(86_400_000),
    };
    let place = (keys::app_hash(&app), [3; 32]);
    let expires = |kind, of: &[&[u8]]| {
        let what = [of, &[&place.0[..], &place.1]].concat();
        Op::Put(keys::expiry(it.expires, kind, &what), Vec::new())
    };
    let row = Op::Put(keys::once(&app, &it.key), encode_once(&it).unwrap());
    match &it.answer {
        OnceAnswer::Posted { .. } => {
            let person = User::new(subject()).encode().unwrap();
            let person = Op::Put(keys::user(&user), person);
            vec![row, expires(ExpiryKind::Once, &[&user]), person]
        }
        OnceAnswer::Accepted { .. } => vec![row, expires(ExpiryKind::AppOnce, &[])],
    }
}

fn posted_to(user: &str) -> OnceAnswer {
    let user = UserId::parse(user).unwrap();
    OnceAnswer::Posted {
        subject: Subject { user, ..subject() },
        created: true,
        notification: NotificationId::from_bytes([5; 16]),
    }
}

fn accepted() -> OnceAnswer {
    OnceAnswer::Accepted {
        broadcast: BroadcastId::from_bytes([6; 16]),
        accepted: 2,
    }
}

#[test]
fn each_row_of_a_used_key_is_missed_by_the_others() {
    let missed_by_single = [
        "an expiry of kind Once is left over",
        "an Idempotency-Key never expires",
        "an Idempotency-Key is nobody's",
    ];
    let missed_by_many = [
        "an expiry of kind AppOnce is left over",
        "an Idempotency-Key never expires",
    ];
    for (answer, missed) in [
        (posted_to("ada"), &missed_by_single[..]),
        (accepted(), &missed_by_many),
    ] {
        let whole = rows_of_a_used_key(answer);
        assert_eq!(said(whole.clone()), [""; 0]);
        assert_eq!(whole.len(), missed.len());
        for (nth, missed) in missed.iter().enumerate() {
            let mut rows = whole.clone();
            rows.remove(nth);
            assert_eq!(said(rows), [*missed], "without row {nth}");
        }
    }
}

#[test]
fn a_damaged_used_key_and_an_expiry_that_is_not_its_own_are_named() {
    for (answer, kind) in [(posted_to("ada"), "Once"), (accepted(), "AppOnce")] {
        let mut damaged = rows_of_a_used_key(answer.clone());
        let Op::Put(_, value) = &mut damaged[0] else {
            panic!("{damaged:?}");
        };
        value.truncate(value.len() / 2);
        let found = said(damaged);
        assert!(
            found.len() == 1 && found[0].starts_with("an Idempotency-Key's row: "),
            "{found:?}"
        );
        let mut moved = rows_of_a_used_key(answer.clone());
        let Op::Put(key, _) = &mut moved[0] else {
            panic!("{moved:?}");
        };
        key[1] ^= 1;
        let left = format!("an expiry of kind {kind} is left over");
        let stands = "an Idempotency-Key stands under another's hash";
        assert_eq!(said(moved), [left.as_str(), stands]);
        let mut twice = rows_of_a_used_key(answer);
        let Op::Put(expiry, _) = &twice[1] else {
            panic!("{twice:?}");
        };
        let mut earlier = expiry.clone();
        earlier[8] ^= 1;
        twice.push(Op::Put(earlier, Vec::new()));
        assert_eq!(said(twice), [left], "a second expiry, at another time");
    }
}

#[test]
fn what_leads_nowhere_and_what_is_counted_wrongly_is_named() {
    let user = keys::user_key(&subject());
    let mut row = User::new(subject());
    row.live = 3;
    let leads = [&user[..], &7u64.to_be_bytes()].concat();
    let number = FeedPosition(7);
    let now = Timestamp::from_millis(5);
    let cases = [
        (
            Op::Put(keys::user(&user), row.encode().unwrap()),
            "the user row says 3 live",
        ),
        (
            Op::Put([&b"i"[..], &[1; 16]].concat(), leads),
            "an id leads to 7",
        ),
        (
            Op::Put(keys::name(&user, "x"), 7u64.to_be_bytes().to_vec()),
            "a name leads to 7",
        ),
        (
            Op::Put(keys::part(&user, number, 0), vec![1]),
            "a part of 7 is left over",
        ),
        (
            Op::Put(
                [&b"s"[..], &[1; 16]].concat(),
                [&user[..], b"phone"].concat(),
            ),
            "a subscription id leads to no endpoint",
        ),
        (
            Op::Put(
                keys::expiry(now, ExpiryKind::Removal, &[&user, &7u64.to_be_bytes()]),
                Vec::new(),
            ),
            "an expiry of kind Removal is left over",
        ),
    ];
    assert_each_named(cases);
}

#[test]
fn what_outlived_its_endpoint_or_notification_is_named() {
    let user = keys::user_key(&subject());
    let number = FeedPosition(7);
    let phone = EndpointId::parse("phone").unwrap();
    let now = Timestamp::from_millis(5);
    let owner = Owner {
        subject: subject(),
        endpoint: phone.clone(),
        generation: 1,
        shared: false,
    };
    let owners = encode_owners(&[owner]).unwrap();
    assert_each_named([
        (
            put(keys::tap_state(&user, &phone), &TapState::default()),
            "a tap state is of no endpoint",
        ),
        (
            put(keys::fetch_mark(&user, &phone), &FetchMark::default()),
            "a fetch mark is of no endpoint",
        ),
        (
            put(keys::receipt(&user, number, &phone), &Receipt::default()),
            "a receipt of 7 is left over",
        ),
        (
            put(keys::push(&user, &phone, number, now), &push(number, now)),
            "a push is to no endpoint that is there",
        ),
        (
            Op::Put([&b"c"[..], &[1; 32]].concat(), owners),
            "a channel is an endpoint's that does not have it",
        ),
    ]);
}

/// A person with a phone, a long notification, a named one and one that was deleted.
async fn someone() -> Store {
    let store = Store::in_memory().unwrap();
    let ada = subject();
    for (number, raw) in (1..).zip(["a".repeat(9_000), "b".into(), "c".into()]) {
        store.commit(post(&ada, number, raw).0).await.unwrap();
    }
    let now = Timestamp::from_millis(1_800_000_000_000);
    let held = store.reader().notification(&ada, FeedPosition(2)).unwrap();
    let mut named = held.unwrap();
    named.draft.app_id = Some("lunch".into());
    let mut gone = store.reader().notification(&ada, FeedPosition(3)).unwrap();
    let gone = gone.as_mut().unwrap();
    (gone.removed, gone.changed_at) = (Some(Removal::Deleted), FeedPosition(4));
    let phone = Endpoint {
        id: EndpointId::parse("phone").unwrap(),
        platform: Platform::Android,
        channel: Channel::None,
        generation: 7,
        tap_id: TapId::from_bytes([1; 16]),
        subscription: SubscriptionId::from_bytes([2; 16]),
        display_name: None,
        locale: None,
        state_sync: false,
        shared: false,
        created: now,
        registered: now,
        last_seen: now,
        expires: now,
        asked_expires: None,
        told_until: None,
        gone: None,
        registered_at: FeedPosition(0),
    };
    let mut user = User::new(ada.clone());
    (user.head, user.live, user.unread, user.removals) = (FeedPosition(4), 2, 2, 1);
    let mut unit = Unit::of(ada);
    unit.rows.extend([
        Row::User(user),
        Row::Notification(Box::new(named)),
        Row::Name("lunch".into(), FeedPosition(2)),
        Row::Notification(Box::new(gone.clone())),
        Row::Change(Change {
            position: FeedPosition(4),
            number: FeedPosition(3),
            notification: gone.id,
            kind: ChangeKind::Removed(Removal::Deleted),
            replaced: false,
            at: now,
            by: None,
        }),
        Row::Expiry(now, Expiring::Removal(FeedPosition(4))),
        Row::Subscription(phone.subscription, phone.id.clone()),
        Row::Expiry(phone.expires, Expiring::Endpoint(phone.id.clone())),
        Row::Endpoint(Box::new(phone)),
    ]);
    store.commit(unit).await.unwrap();
    store
}

#[tokio::test]
async fn each_row_that_is_lost_is_missed() {
    let store = someone().await;
    let all = store
        .reader()
        .engine
        .slice(Bound::Unbounded, (1000, 1 << 20));
    let all = all.unwrap();
    assert_eq!(said(all.clone()), [""; 0]);
    let mut tried = 0;
    for nth in 0..all.len() {
        let mut rows = all.clone();
        let Op::Put(key, _) = rows.remove(nth) else {
            panic!("a removal is no row");
        };
        // The outbox is the hub's to judge; what the store is known by is made anew.
        if matches!(key[0], b'm' | b'M') {
            continue;
        }
        let engine = Arc::new(Engine::memory());
        engine.commit(rows).unwrap();
        // A part that is missing is an error of its own.
        let missed = Reader::over(engine).verify();
        assert!(!missed.is_ok_and(|it| it.is_empty()), "{key:?}");
        tried += 1;
    }
    assert!(tried > 15, "{tried}");
}

#[test]
fn what_is_the_operators_and_cannot_be_read_is_named() {
    let app = AppHost::parse("todo.example").unwrap();
    assert_each_named([
        (
            Op::Put(keys::app_key("k1"), vec![255]),
            "an app key's row: ",
        ),
        (
            Op::Put(keys::act(1), vec![255]),
            "an act of the audit log: ",
        ),
        (
            Op::Put(keys::act(2), act(1).encode().unwrap()),
            "an act of the audit log stands under another's number",
        ),
        (
            Op::Put(keys::vapid(&app), vec![1, 2]),
            "an app's VAPID key is no PKCS#8",
        ),
        (
            Op::Put(keys::meta("epoch"), vec![1]),
            "the store's epoch has 1 bytes",
        ),
    ]);
}

fn act(number: u64) -> Act {
    Act {
        number,
        at: Timestamp::default(),
        by: Actor::Operator,
        deed: String::from("key create"),
        app: None,
        user: None,
        of: None,
        outcome: ActOutcome::Done,
    }
}

#[test]
fn what_is_said_of_two_rows_alike_is_told_apart() {
    let engine = Arc::new(Engine::memory());
    let rows = [1, 2].map(|number| Op::Put(keys::act(number), vec![255]));
    engine.commit(rows.to_vec()).unwrap();
    let found = Reader::over(engine).verify().unwrap();
    assert_eq!(found[0].message, found[1].message);
    assert_ne!(found[0], found[1]);
}

#[track_caller]
fn assert_each_named<const MANY: usize>(cases: [(Op, &str); MANY]) {
    for (row, says) in cases {
        let said = said(vec![row]);
        assert!(
            said.len() == 1 && said[0].starts_with(says),
            "{says}: {said:?}"
        );
    }
}

#[tokio::test]
async fn a_row_that_says_what_an_id_says_itself_is_too_many() {
    let store = Store::in_memory().unwrap();
    let (ada, reader) = (subject(), store.reader());
    let (mut unit, mut it) = post(&ada, 1, "a".into());
    let of_another = it.id;
    it.id = reader.new_id(&ada, it.number).unwrap();
    unit.rows
        .retain(|row| !matches!(row, Row::Id(..) | Row::Change(_)));
    unit.rows[0] = Row::Notification(Box::new(it.clone()));
    unit.push(Row::Id(it.id, it.number));
    store.commit(unit).await.unwrap();
    assert_eq!(reader.verify().unwrap(), []);
    assert_eq!(reader.number_of(&ada, it.id).unwrap(), Some(it.number));
    assert_eq!(reader.number_of(&ada, of_another).unwrap(), None);

    let leads = [&keys::user_key(&ada)[..], &it.number.0.to_be_bytes()].concat();
    let row = Op::Put(keys::id(it.id), leads);
    reader.engine.commit(vec![row]).unwrap();
    let found = reader.verify().unwrap();
    let says: Vec<&str> = found.iter().map(|it| &*it.message).collect();
    assert_eq!(says, ["the id of 1 has a row that it does not need"]);
}
