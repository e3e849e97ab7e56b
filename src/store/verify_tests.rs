//! Each invariant broken once: `verify` names it.

use super::super::engine::{Engine, Op};
use super::*;
use crate::{
    model::{AppHost, EndpointId, Owner, Subject, Timestamp, UserId},
    store::records::{Record, encode_owners},
};
use std::sync::Arc;

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
        minted_by: None,
    }
}

/// What verify says of these rows.
fn said(rows: Vec<Op>) -> Vec<String> {
    let engine = Arc::new(Engine::memory());
    engine.commit(rows).unwrap();
    let findings = Reader { engine }.verify().unwrap();
    findings.into_iter().map(|it| it.message).collect()
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
            Op::Put([&b"t"[..], &user, b"phone"].concat(), Vec::new()),
            "a tap state is of no endpoint",
        ),
        (
            Op::Put([&b"g"[..], &user, b"phone"].concat(), Vec::new()),
            "a fetch mark is of no endpoint",
        ),
        (
            Op::Put(keys::receipt(&user, number, &phone), Vec::new()),
            "a receipt of 7 is left over",
        ),
        (
            Op::Put(keys::push(&user, &phone, number, now), Vec::new()),
            "a push is to nobody's endpoint",
        ),
        (
            Op::Put([&b"c"[..], &[1; 32]].concat(), owners),
            "a channel is an endpoint's that does not have it",
        ),
    ]);
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
