//! A row too many, added to those of a sound store: `verify` names it.

use super::*;
use crate::{
    model::{AppService, ChannelKind, Drops},
    store::LEFT_BY_AN_ENDPOINT,
};

/// A row's key and value, and what is said of it.
type Surplus = (Vec<u8>, Vec<u8>, &'static str);

fn soon() -> Timestamp {
    Timestamp::from_millis(5)
}

fn ada() -> UserKey {
    keys::user_key(&subject())
}

fn endpoint(id: &str) -> EndpointId {
    EndpointId::parse(id).unwrap()
}

fn leads(to: u64) -> Vec<u8> {
    to.to_be_bytes().to_vec()
}

/// All rows of [`someone`], and a token of theirs.
async fn rows_of_someone() -> Vec<Op> {
    let store = someone().await;
    let engine = &store.reader().engine;
    let mut rows = engine.slice(Bound::Unbounded, (1000, 1 << 20)).unwrap();
    rows.extend(rows_of_a_token());
    rows
}

fn of_notifications() -> Vec<Surplus> {
    let user = ada();
    let id = keys::id(NotificationId::from_bytes([9; 16]));
    let part = |number, part| keys::part(&user, FeedPosition(number), part);
    let not_so = [
        "a name leads to 2, which is not called so",
        "a name leads to 3, which is not called so",
    ];
    vec![
        (
            id,
            [&user[..], &leads(1)].concat(),
            "an id leads to 1, which has another",
        ),
        (keys::name(&user, "supper"), leads(2), not_so[0]),
        (keys::name(&user, "gone"), leads(3), not_so[1]),
        (part(1, 9), vec![1], "a part of 1 is left over"),
        (part(2, 0), vec![1], "a part of 2 is left over"),
    ]
}

fn of_expiries_and_tokens() -> Vec<Surplus> {
    let user = ada();
    let of_phone = keys::token_of(&user, Some(&endpoint("phone")), &token().hash);
    let elsewhere = "a token is found by another than its user or endpoint";
    let mut found = vec![(of_phone, Vec::new(), elsewhere)];
    for (kind, what, says) in [
        (
            ExpiryKind::Notification,
            [&user[..], &leads(1)].concat(),
            "an expiry of kind Notification is left over",
        ),
        (
            ExpiryKind::Endpoint,
            [&user[..], b"phone"].concat(),
            "an expiry of kind Endpoint is left over",
        ),
        (
            ExpiryKind::Removal,
            [&user[..], &leads(4)].concat(),
            "the removal at 4 is forgotten twice",
        ),
        (
            ExpiryKind::Token,
            token().hash.to_vec(),
            "an expiry of kind Token is left over",
        ),
    ] {
        found.push((keys::expiry(soon(), kind, &[&what]), Vec::new(), says));
    }
    found
}

fn of_taps() -> Vec<Surplus> {
    let (user, phone) = (ada(), endpoint("phone"));
    let sent = |id: &str, covers| keys::push(&user, &endpoint(id), FeedPosition(covers), soon());
    let told = |number| keys::receipt(&user, FeedPosition(number), &phone);
    let push = push(FeedPosition(1), soon()).encode().unwrap();
    let receipt = Receipt::default().encode().unwrap();
    let damaged = || vec![255];
    vec![
        (
            sent("tablet", 1),
            push.clone(),
            "a push is to no endpoint that is there",
        ),
        (sent("phone", 2), push, "a push stands under another's key"),
        (sent("phone", 1), damaged(), "a push cannot be read: "),
        (told(9), receipt, "a receipt of 9 is left over"),
        (told(1), damaged(), "a receipt of 1 cannot be read: "),
        (
            keys::tap_state(&user, &phone),
            damaged(),
            "a tap state cannot be read: ",
        ),
        (
            keys::fetch_mark(&user, &phone),
            damaged(),
            "a fetch mark cannot be read: ",
        ),
    ]
}

fn of_nobody() -> Vec<Surplus> {
    let guard = b"Gtodo.example\0pigeon".to_vec();
    vec![
        (
            keys::meta("other"),
            vec![0; 8],
            "nothing is known as the store's other",
        ),
        (guard, Vec::new(), "the guard of an app's channels: "),
        (
            b"Dtodo.example\0pigeon\0".to_vec(),
            vec![255],
            "what a push service demanded: ",
        ),
        (keys::rules(&subject().app), vec![255], "an app's rules: "),
        (
            b"Zoo".to_vec(),
            vec![1],
            "a row stands under `Z`, where nothing is kept",
        ),
    ]
}

#[tokio::test]
async fn each_row_that_is_too_many_is_named() {
    let whole = rows_of_someone().await;
    assert_eq!(said(whole.clone()), [""; 0]);
    let all = [
        of_notifications(),
        of_expiries_and_tokens(),
        of_taps(),
        of_nobody(),
    ];
    for (key, value, says) in all.concat() {
        let mut rows = whole.clone();
        rows.push(Op::Put(key, value));
        let said = said(rows);
        assert!(
            said.len() == 1 && said[0].starts_with(says),
            "{says}: {said:?}"
        );
    }
}

#[tokio::test]
async fn what_may_stand_beside_is_not_named() {
    let (user, tablet) = (ada(), endpoint("tablet"));
    let number = FeedPosition(1);
    let left = keys::expiry(
        LEFT_BY_AN_ENDPOINT,
        ExpiryKind::Endpoint,
        &[&user, b"tablet"],
    );
    let service = |sandbox| AppService {
        app: subject().app,
        kind: ChannelKind::Apns,
        sandbox,
    };
    let drops = Drops {
        count: 3,
        at: soon(),
    };
    let mut rows = rows_of_someone().await;
    rows.extend([
        put(keys::receipt(&user, number, &tablet), &Receipt::default()),
        put(
            keys::push(&user, &tablet, number, soon()),
            &push(number, soon()),
        ),
        Op::Put(left, Vec::new()),
        Op::Put(keys::guard(&service(false)), Vec::new()),
        put(keys::guard(&service(true)), &drops),
    ]);
    assert_eq!(said(rows), [""; 0]);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_named_and_the_walk_goes_on() {
    let user = ada();
    let part = keys::part(&user, FeedPosition(1), 0);
    let mut rows = rows_of_someone().await;
    rows.retain(|op| op.key() != part);
    rows.push(Op::Put(keys::user(&user), vec![255]));
    rows.push(Op::Put(b"Zoo".to_vec(), vec![1]));
    let said = said(rows);
    for wanted in [
        "the row `n` 1 or what it leads to: a part of a notification cannot be read",
        "the row `u` or what it leads to: a record is of unknown version 255",
        "a row stands under `Z`, where nothing is kept",
    ] {
        assert!(said.iter().any(|it| it == wanted), "{wanted}: {said:?}");
    }
}
