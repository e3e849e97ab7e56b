//! Broadcasts: the job, the list of people that it is for, and how many share its content.

use serde::{Deserialize, Serialize};

use super::{
    super::{Error, codec, keys::broken},
    Record, host, millis,
    notification::{StoredDraft, draft_of, stored_draft},
    time, times,
};
use crate::model::{Broadcast, BroadcastId, BroadcastStatus, ListPlace, Listed, UserId};

#[derive(Serialize, Deserialize)]
pub(in crate::store) struct StoredBroadcast {
    id: [u8; 16],
    app: String,
    draft: StoredDraft,
    status: u8,
    accepted: u64,
    done: u64,
    failed: u64,
    rows: u32,
    next: (u32, u32),
    created: u64,
    completed: Option<u64>,
    expires: u64,
}

const STATUSES: [(BroadcastStatus, u8); 4] = [
    (BroadcastStatus::Accepting, 1),
    (BroadcastStatus::Running, 2),
    (BroadcastStatus::Completed, 3),
    (BroadcastStatus::Cancelled, 4),
];

fn status_code(status: BroadcastStatus) -> u8 {
    let found = STATUSES.iter().find(|(it, _)| *it == status);
    found.map_or(0, |(_, code)| *code)
}

fn status(code: u8) -> Result<BroadcastStatus, Error> {
    let found = STATUSES.iter().find(|(_, it)| *it == code);
    found
        .map(|(status, _)| *status)
        .ok_or_else(|| broken("a broadcast's status"))
}

/// The job without its content, which stands in rows of its own.
pub(in crate::store) fn encode_broadcast(it: &Broadcast) -> Result<Vec<u8>, Error> {
    let stored = StoredBroadcast {
        id: it.id.to_bytes(),
        app: it.app.as_str().to_owned(),
        draft: stored_draft(&it.draft),
        status: status_code(it.status),
        accepted: it.accepted,
        done: it.done,
        failed: it.failed,
        rows: it.rows,
        next: (it.next.row, it.next.at),
        created: it.created.as_millis(),
        completed: millis(it.completed),
        expires: it.expires.as_millis(),
    };
    codec::encode(1, &stored)
}

pub(in crate::store) fn decode_broadcast(bytes: &[u8], content: &[u8]) -> Result<Broadcast, Error> {
    let stored: StoredBroadcast = codec::decode(1, bytes)?;
    Ok(Broadcast {
        id: BroadcastId::from_bytes(stored.id),
        app: host(&stored.app)?,
        draft: draft_of(stored.draft, content)?,
        status: status(stored.status)?,
        accepted: stored.accepted,
        done: stored.done,
        failed: stored.failed,
        rows: stored.rows,
        next: ListPlace {
            row: stored.next.0,
            at: stored.next.1,
        },
        created: time(stored.created),
        completed: times(stored.completed),
        expires: time(stored.expires),
    })
}

#[derive(Serialize, Deserialize)]
enum StoredListed {
    Named(String),
    Known([u8; 16]),
}

/// One row of a list.
pub(in crate::store) fn encode_listed(people: &[Listed]) -> Result<Vec<u8>, Error> {
    let stored = people.iter().map(|it| match it {
        Listed::Named(user) => StoredListed::Named(user.as_str().to_owned()),
        Listed::Known(hash) => StoredListed::Known(*hash),
    });
    codec::encode(1, &stored.collect::<Vec<_>>())
}

pub(in crate::store) fn decode_listed(bytes: &[u8]) -> Result<Vec<Listed>, Error> {
    let stored: Vec<StoredListed> = codec::decode(1, bytes)?;
    let people = stored.into_iter().map(|it| match it {
        StoredListed::Named(user) => UserId::parse(&user)
            .map(Listed::Named)
            .map_err(|_| broken("a user's id")),
        StoredListed::Known(hash) => Ok(Listed::Known(hash)),
    });
    people.collect()
}

/// How many share a content, the broadcast itself among them, and in how many parts it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) struct StoredHeader {
    pub(in crate::store) sharers: u64,
    pub(in crate::store) parts: u16,
}

impl Record for StoredHeader {
    type Stored = Self;

    fn to_stored(&self) -> Self {
        *self
    }

    fn from_stored(stored: Self) -> Result<Self, Error> {
        Ok(stored)
    }
}
