//! What is on disk: records, apart from the model so that renaming a field there changes nothing here. A record is
//! never changed: a new version gets a type of its own, and the old one stays readable.

mod access;
mod audit;
mod broadcast;
mod endpoint;
mod erasure;
mod marks;
mod notification;
mod push;
mod service;
mod tap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub(super) use access::{decode_once, encode_once};
pub(super) use broadcast::{
    StoredHeader, decode_broadcast, decode_listed, encode_broadcast, encode_listed,
};
pub(super) use endpoint::{decode_owners, encode_owners};
pub use notification::Standing;
pub(super) use notification::{
    PART_BYTES, StoredPlace, decode_notification, decode_row, decode_whole, encode_content,
    encode_notification, part_count, shared_part_count,
};

use super::{Error, codec, keys::broken};
use crate::model::{
    AppHost, Change, ChangeKind, EndpointId, FeedPosition, NotificationId, Platform, Removal,
    Subject, Timestamp, User, UserId,
};

/// A model value with a form on disk.
pub(in crate::store) trait Record: Sized {
    /// The form on disk.
    type Stored: Serialize + DeserializeOwned;
    /// The version byte of that form.
    const VERSION: u8 = 1;

    fn to_stored(&self) -> Self::Stored;
    fn from_stored(stored: Self::Stored) -> Result<Self, Error>;

    fn encode(&self) -> Result<Vec<u8>, Error> {
        codec::encode(Self::VERSION, &self.to_stored())
    }

    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_stored(codec::decode(Self::VERSION, bytes)?)
    }
}

fn time(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn times(millis: Option<u64>) -> Option<Timestamp> {
    millis.map(time)
}

fn millis(time: Option<Timestamp>) -> Option<u64> {
    time.map(Timestamp::as_millis)
}

fn host(text: &str) -> Result<AppHost, Error> {
    AppHost::parse(text).map_err(|_| broken("an app's host"))
}

fn endpoint_id(text: &str) -> Result<EndpointId, Error> {
    EndpointId::parse(text).map_err(|_| broken("an endpoint's id"))
}

fn platform_code(platform: &Platform) -> u8 {
    match platform {
        Platform::Windows => 1,
        Platform::Ios => 2,
        Platform::Android => 3,
        Platform::WebPush => 4,
    }
}

fn platform(code: u8) -> Result<Platform, Error> {
    Platform::ALL
        .into_iter()
        .find(|platform| platform_code(platform) == code)
        .ok_or_else(|| broken("a platform"))
}

fn platforms_of(codes: &[u8]) -> Result<Vec<Platform>, Error> {
    codes.iter().map(|code| platform(*code)).collect()
}

fn removal_code(removal: Removal) -> u8 {
    match removal {
        Removal::Deleted => 1,
        Removal::Expired => 2,
        Removal::ExpiredEarly => 3,
    }
}

fn removal(code: u8) -> Result<Removal, Error> {
    match code {
        1 => Ok(Removal::Deleted),
        2 => Ok(Removal::Expired),
        3 => Ok(Removal::ExpiredEarly),
        _ => Err(broken("a removal")),
    }
}

/// Set beside the kind of a change of what had been replaced.
const REPLACED: u8 = 0x10;

fn change_code(kind: ChangeKind) -> u8 {
    match kind {
        ChangeKind::Created => 1,
        ChangeKind::Changed => 2,
        ChangeKind::Removed(removal) => 2 + removal_code(removal),
    }
}

fn change_kind(code: u8) -> Result<ChangeKind, Error> {
    match code {
        1 => Ok(ChangeKind::Created),
        2 => Ok(ChangeKind::Changed),
        code => removal(code.saturating_sub(2)).map(ChangeKind::Removed),
    }
}

/// A subject as two texts.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct StoredSubject(String, String);

fn subject(stored: &StoredSubject) -> Result<Subject, Error> {
    let user = UserId::parse(&stored.1).map_err(|_| broken("a user's id"))?;
    Ok(Subject {
        app: host(&stored.0)?,
        user,
    })
}

impl Record for Subject {
    type Stored = StoredSubject;
    const VERSION: u8 = 1;

    fn to_stored(&self) -> StoredSubject {
        stored_subject(self)
    }

    fn from_stored(stored: StoredSubject) -> Result<Self, Error> {
        subject(&stored)
    }
}

fn stored_subject(subject: &Subject) -> StoredSubject {
    StoredSubject(
        subject.app.as_str().to_owned(),
        subject.user.as_str().to_owned(),
    )
}

#[derive(Serialize, Deserialize)]
pub(in crate::store) struct StoredUser {
    subject: StoredSubject,
    head: u64,
    floor: u64,
    live: u64,
    unread: u64,
    removals: u64,
}

impl Record for User {
    type Stored = StoredUser;

    fn to_stored(&self) -> StoredUser {
        StoredUser {
            subject: stored_subject(&self.subject),
            head: self.head.0,
            floor: self.floor.0,
            live: self.live,
            unread: self.unread,
            removals: self.removals,
        }
    }

    fn from_stored(stored: StoredUser) -> Result<Self, Error> {
        Ok(Self {
            subject: subject(&stored.subject)?,
            head: FeedPosition(stored.head),
            floor: FeedPosition(stored.floor),
            live: stored.live,
            unread: stored.unread,
            removals: stored.removals,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(in crate::store) struct StoredChange {
    position: u64,
    number: u64,
    notification: [u8; 16],
    kind: u8,
    at: u64,
    by: Option<String>,
}

impl Record for Change {
    type Stored = StoredChange;

    fn to_stored(&self) -> StoredChange {
        StoredChange {
            position: self.position.0,
            number: self.number.0,
            notification: self.notification.to_bytes(),
            kind: change_code(self.kind) | if self.replaced { REPLACED } else { 0 },
            at: self.at.as_millis(),
            by: self.by.as_ref().map(|id| id.as_str().to_owned()),
        }
    }

    fn from_stored(stored: StoredChange) -> Result<Self, Error> {
        Ok(Self {
            position: FeedPosition(stored.position),
            number: FeedPosition(stored.number),
            notification: NotificationId::from_bytes(stored.notification),
            kind: change_kind(stored.kind & !REPLACED)?,
            replaced: stored.kind & REPLACED != 0,
            at: time(stored.at),
            by: stored.by.as_deref().map(endpoint_id).transpose()?,
        })
    }
}
