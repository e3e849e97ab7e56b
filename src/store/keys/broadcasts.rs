//! The keys of broadcasts: the jobs, their lists, and the content that they share.

use super::{broken, join};
use crate::{model::BroadcastId, store::Error};

pub(in crate::store) fn broadcast(id: BroadcastId) -> Vec<u8> {
    join(b'b', &[&id.to_bytes()])
}

/// The broadcasts that are not finished.
pub(in crate::store) fn all_unfinished() -> Vec<u8> {
    vec![b'B']
}

pub(in crate::store) fn unfinished_of(app: &[u8; 8]) -> Vec<u8> {
    join(b'B', &[app])
}

pub(in crate::store) fn unfinished(app: &[u8; 8], id: BroadcastId) -> Vec<u8> {
    join(b'B', &[app, &id.to_bytes()])
}

/// What the key of an unfinished broadcast says: the app, and which one.
pub(in crate::store) fn unfinished_parts(key: &[u8]) -> Result<([u8; 8], BroadcastId), Error> {
    let app = key.get(1..9).and_then(|raw| raw.try_into().ok());
    let app = app.ok_or_else(|| broken("an app in a key"))?;
    Ok((app, broadcast_at(key, 9)?))
}

/// The lists of all broadcasts.
pub(in crate::store) fn all_listed() -> Vec<u8> {
    vec![b'w']
}

pub(in crate::store) fn listed_of(id: BroadcastId) -> Vec<u8> {
    join(b'w', &[&id.to_bytes()])
}

pub(in crate::store) fn listed(id: BroadcastId, row: u32) -> Vec<u8> {
    join(b'w', &[&id.to_bytes(), &row.to_be_bytes()])
}

/// The row at the end of a `w` key.
pub(in crate::store) fn listed_row(key: &[u8]) -> Result<u32, Error> {
    let raw = key.get(17..).and_then(|raw| raw.try_into().ok());
    raw.map(u32::from_be_bytes)
        .ok_or_else(|| broken("a row of a list"))
}

pub(in crate::store) fn shared(id: BroadcastId) -> Vec<u8> {
    join(b'h', &[&id.to_bytes()])
}

pub(in crate::store) fn shared_part(id: BroadcastId, part: u16) -> Vec<u8> {
    join(b'h', &[&id.to_bytes(), &part.to_be_bytes()])
}

/// The part at the end of an `h` key; none, where the key is that of the counts.
pub(in crate::store) fn shared_part_at(key: &[u8]) -> Option<u16> {
    let raw = key.get(17..).and_then(|raw| raw.try_into().ok());
    raw.map(u16::from_be_bytes)
}

pub(in crate::store) fn broadcast_at(bytes: &[u8], at: usize) -> Result<BroadcastId, Error> {
    let raw = bytes.get(at..at + 16).and_then(|raw| raw.try_into().ok());
    raw.map(BroadcastId::from_bytes)
        .ok_or_else(|| broken("a broadcast in a key"))
}
