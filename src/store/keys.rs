//! The byte layout of every key. Numbers are big-endian and of fixed width, texts stand last or are ended by a zero
//! byte that they cannot hold, so that keys sort as the questions want them.
//!
//! | prefix | then | holds |
//! |---|---|---|
//! | `u` | user | the user row |
//! | `n` | user, number | a notification |
//! | `p` | user, number, part (2) | what of a notification did not fit its row |
//! | `i` | notification id (16) | user, number, where the id itself does not lead there |
//! | `a` | user, hash of `appNotificationId` (16) | number |
//! | `f` | user, position | a change, but for a posting that nothing came after |
//! | `x` | time, kind (1), what expires | – |
//! | `m` | due time, user, tag (8) | – |
//! | `t` | user, endpoint | tap state |
//! | `g` | user, endpoint | fetch mark |
//! | `l` | user, endpoint, 0, position, time | a push |
//! | `r` | user, number, endpoint | a receipt |
//! | `e` | user, endpoint | an endpoint |
//! | `c` | hash of app and channel (32) | who owns the channel |
//! | `s` | subscription id (16) | user, endpoint |
//! | `k` | key id | an app key |
//! | `o` | hash of a token (32) | a user token |
//! | `q` | user, endpoint or nothing, 0, hash of a token (32) | – |
//! | `d` | app (8), hash of an `Idempotency-Key` (32) | what it was used for |
//! | `v` | app host | the app's VAPID key |
//! | `y` | app host | by which rules its people were looked at |
//! | `b` | broadcast id (16) | a broadcast |
//! | `B` | app (8), broadcast id | one that is not finished |
//! | `w` | broadcast id, row (4) | some of the people that it is still for |
//! | `h` | broadcast id | how many share its content, and in how many parts it is |
//! | `h` | broadcast id, part (2) | a part of the content |
//! | `A` | number | an administrative act |
//! | `E` | user | an erasure |
//! | `D` | app host, 0, push service, 0, lane | a wait that the service demanded |
//! | `G` | app host, 0, push service | how many channels in a row it called dead |
//! | `M` | name | meta |
//!
//! *user* is 24 bytes: 8 of the hash of the app's host, 16 of the hash of the user id, so that the users of an app
//! stand together. *number*, *position* and *time* are 8 bytes.

mod broadcasts;
mod expiry;
mod services;

pub(super) use broadcasts::*;
pub(super) use expiry::*;
pub(super) use services::*;

use aws_lc_rs::digest::{SHA256, digest};

use crate::model::{
    AppHost, EndpointId, FeedPosition, Marker, NotificationId, Subject, SubscriptionId, Timestamp,
};

use super::Error;

/// How many bytes name a user.
pub(super) const USER: usize = 24;

/// A user, as keys name them.
pub(super) type UserKey = [u8; USER];

pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, &parts.concat()).as_ref());
    hash
}

pub(super) fn app_hash(app: &AppHost) -> [u8; 8] {
    let mut short = [0; 8];
    short.copy_from_slice(&sha256(&[app.as_str().as_bytes()])[..8]);
    short
}

pub(super) fn user_key(subject: &Subject) -> UserKey {
    let mut key = [0; USER];
    key[..8].copy_from_slice(&app_hash(&subject.app));
    key[8..].copy_from_slice(&sha256(&[subject.user.as_str().as_bytes()])[..16]);
    key
}

fn join(prefix: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(prefix);
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

pub(super) fn user(user: &UserKey) -> Vec<u8> {
    join(b'u', &[user])
}

/// The users of one app.
pub(super) fn users_of(app: &AppHost) -> Vec<u8> {
    join(b'u', &[&app_hash(app)])
}

/// All notifications of a user.
pub(super) fn notifications(user: &UserKey) -> Vec<u8> {
    join(b'n', &[user])
}

pub(super) fn notification(user: &UserKey, number: FeedPosition) -> Vec<u8> {
    join(b'n', &[user, &number.0.to_be_bytes()])
}

pub(super) fn part(user: &UserKey, number: FeedPosition, part: u16) -> Vec<u8> {
    join(b'p', &[user, &number.0.to_be_bytes(), &part.to_be_bytes()])
}

pub(super) fn id(id: NotificationId) -> Vec<u8> {
    join(b'i', &[&id.to_bytes()])
}

pub(super) fn name(user: &UserKey, app_id: &str) -> Vec<u8> {
    join(b'a', &[user, &sha256(&[app_id.as_bytes()])[..16]])
}

pub(super) fn feed(user: &UserKey) -> Vec<u8> {
    join(b'f', &[user])
}

pub(super) fn change(user: &UserKey, position: FeedPosition) -> Vec<u8> {
    join(b'f', &[user, &position.0.to_be_bytes()])
}

pub(super) fn tap_states(user: &UserKey) -> Vec<u8> {
    join(b't', &[user])
}

pub(super) fn tap_state(user: &UserKey, endpoint: &EndpointId) -> Vec<u8> {
    join(b't', &[user, endpoint.as_str().as_bytes()])
}

pub(super) fn fetch_marks(user: &UserKey) -> Vec<u8> {
    join(b'g', &[user])
}

pub(super) fn fetch_mark(user: &UserKey, endpoint: &EndpointId) -> Vec<u8> {
    join(b'g', &[user, endpoint.as_str().as_bytes()])
}

pub(super) fn pushes(user: &UserKey, endpoint: &EndpointId) -> Vec<u8> {
    join(b'l', &[user, endpoint.as_str().as_bytes(), &[0]])
}

pub(super) fn pushes_of(user: &UserKey) -> Vec<u8> {
    join(b'l', &[user])
}

pub(super) fn push(
    user: &UserKey,
    endpoint: &EndpointId,
    covers: FeedPosition,
    at: Timestamp,
) -> Vec<u8> {
    let (covers, at) = (covers.0.to_be_bytes(), at.as_millis().to_be_bytes());
    join(
        b'l',
        &[user, endpoint.as_str().as_bytes(), &[0], &covers, &at],
    )
}

/// The position that a push covers, read from its key.
pub(super) fn push_covers(key: &[u8]) -> Result<FeedPosition, Error> {
    let tail = key.len().checked_sub(16).and_then(|at| key.get(at..at + 8));
    Ok(FeedPosition(u64_at(tail.unwrap_or_default(), 0)?))
}

/// The endpoint that a push went to, read from its key.
pub(super) fn push_endpoint(key: &[u8]) -> Result<EndpointId, Error> {
    let end = key.len().checked_sub(17);
    endpoint_text(
        end.and_then(|end| key.get(1 + USER..end))
            .unwrap_or_default(),
    )
}

pub(super) fn receipts(user: &UserKey, number: FeedPosition) -> Vec<u8> {
    join(b'r', &[user, &number.0.to_be_bytes()])
}

pub(super) fn receipt(user: &UserKey, number: FeedPosition, endpoint: &EndpointId) -> Vec<u8> {
    join(
        b'r',
        &[user, &number.0.to_be_bytes(), endpoint.as_str().as_bytes()],
    )
}

/// The endpoint that a receipt is of, read from its key.
pub(super) fn receipt_endpoint(key: &[u8]) -> Result<EndpointId, Error> {
    endpoint_text(key.get(1 + USER + 8..).unwrap_or_default())
}

pub(super) fn endpoints(user: &UserKey) -> Vec<u8> {
    join(b'e', &[user])
}

pub(super) fn endpoint(user: &UserKey, endpoint: &EndpointId) -> Vec<u8> {
    join(b'e', &[user, endpoint.as_str().as_bytes()])
}

pub(super) fn channel(app: &AppHost, identity: &[u8]) -> Vec<u8> {
    join(b'c', &[&sha256(&[app.as_str().as_bytes(), &[0], identity])])
}

pub(super) fn subscription(id: SubscriptionId) -> Vec<u8> {
    join(b's', &[&id.to_bytes()])
}

/// The audit log.
pub(super) fn acts() -> Vec<u8> {
    vec![b'A']
}

pub(super) fn act(number: u64) -> Vec<u8> {
    join(b'A', &[&number.to_be_bytes()])
}

/// All erasures.
pub(super) fn erasures() -> Vec<u8> {
    vec![b'E']
}

pub(super) fn erasure(user: &UserKey) -> Vec<u8> {
    join(b'E', &[user])
}

pub(super) fn app_keys() -> Vec<u8> {
    vec![b'k']
}

pub(super) fn app_key(id: &str) -> Vec<u8> {
    join(b'k', &[id.as_bytes()])
}

pub(super) fn token(hash: &[u8; 32]) -> Vec<u8> {
    join(b'o', &[hash])
}

pub(super) fn tokens() -> Vec<u8> {
    vec![b'o']
}

pub(super) fn tokens_of(user: &UserKey, endpoint: Option<&EndpointId>) -> Vec<u8> {
    let endpoint = endpoint.map_or(&[][..], |id| id.as_str().as_bytes());
    join(b'q', &[user, endpoint, &[0]])
}

/// Those of a user, whatever they are bound to.
pub(super) fn all_tokens_of(user: &UserKey) -> Vec<u8> {
    join(b'q', &[user])
}

pub(super) fn token_of(user: &UserKey, endpoint: Option<&EndpointId>, hash: &[u8; 32]) -> Vec<u8> {
    let endpoint = endpoint.map_or(&[][..], |id| id.as_str().as_bytes());
    join(b'q', &[user, endpoint, &[0], hash])
}

/// All `Idempotency-Key`s of an app.
pub(super) fn onces_of(app: &AppHost) -> Vec<u8> {
    join(b'd', &[&app_hash(app)])
}

pub(super) fn once(app: &AppHost, key: &[u8; 32]) -> Vec<u8> {
    once_at(&app_hash(app), key)
}

pub(super) fn once_at(app: &[u8; 8], key: &[u8; 32]) -> Vec<u8> {
    join(b'd', &[app, key])
}

pub(super) fn vapid(app: &AppHost) -> Vec<u8> {
    join(b'v', &[app.as_str().as_bytes()])
}

/// The rows of all apps that were looked at.
pub(super) fn all_rules() -> Vec<u8> {
    vec![b'y']
}

/// The app at the end of such a key.
pub(super) fn host_at_end(key: &[u8]) -> Result<AppHost, Error> {
    let text = std::str::from_utf8(&key[1..]).ok();
    text.and_then(|text| AppHost::parse(text).ok())
        .ok_or_else(|| broken("an app in a key"))
}

pub(super) fn rules(app: &AppHost) -> Vec<u8> {
    join(b'y', &[app.as_str().as_bytes()])
}

pub(super) fn meta(name: &str) -> Vec<u8> {
    join(b'M', &[name.as_bytes()])
}

pub(super) fn markers() -> Vec<u8> {
    vec![b'm']
}

pub(super) fn markers_from(due: Timestamp) -> Vec<u8> {
    join(b'm', &[&due.as_millis().to_be_bytes()])
}

pub(super) fn marker(marker: &Marker) -> Vec<u8> {
    let due = marker.due.as_millis().to_be_bytes();
    join(
        b'm',
        &[&due, &user_key(&marker.subject), &marker.tag.to_be_bytes()],
    )
}

/// What a marker's key says: when, at whom, and its tag.
pub(super) fn marker_parts(key: &[u8]) -> Result<(Timestamp, UserKey, u64), Error> {
    let due = Timestamp::from_millis(u64_at(key, 1)?);
    Ok((due, user_at(key, 9)?, u64_at(key, 9 + USER)?))
}

/// The number at the end of a `n` or `f` key.
pub(super) fn number_at_end(key: &[u8]) -> Result<FeedPosition, Error> {
    let at = key
        .len()
        .checked_sub(8)
        .ok_or_else(|| broken("a feed key"))?;
    Ok(FeedPosition(u64_at(key, at)?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Result<u64, Error> {
    let raw = bytes.get(at..at + 8).and_then(|raw| raw.try_into().ok());
    raw.map(u64::from_be_bytes)
        .ok_or_else(|| broken("a number in a key"))
}

pub(super) fn user_at(bytes: &[u8], at: usize) -> Result<UserKey, Error> {
    bytes
        .get(at..at + USER)
        .and_then(|raw| raw.try_into().ok())
        .ok_or_else(|| broken("a user in a key"))
}

pub(super) fn endpoint_text(bytes: &[u8]) -> Result<EndpointId, Error> {
    std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| EndpointId::parse(text).ok())
        .ok_or_else(|| broken("an endpoint in a key"))
}

/// The first key after all those that begin with `prefix`.
pub(super) fn after(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![u8::MAX; prefix.len() + 1]
}

pub(super) fn broken(what: &str) -> Error {
    Error::Corrupt(format!("{what} cannot be read"))
}
