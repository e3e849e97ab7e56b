//! The keys of expiries: what ends, and when.

use super::{broken, join, u64_at};
use crate::{model::Timestamp, store::Error};

/// What an expiry row speaks of; its `kind` byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum ExpiryKind {
    Notification = 1,
    Removal = 2,
    Endpoint = 3,
    Token = 4,
    Once = 5,
    Broadcast = 6,
    /// Of an `Idempotency-Key` that was used for a broadcast.
    AppOnce = 7,
    Erasure = 8,
}

pub(in crate::store) fn expiries() -> Vec<u8> {
    vec![b'x']
}

pub(in crate::store) fn expiries_from(time: Timestamp) -> Vec<u8> {
    join(b'x', &[&time.as_millis().to_be_bytes()])
}

pub(in crate::store) fn expiry(time: Timestamp, kind: ExpiryKind, what: &[&[u8]]) -> Vec<u8> {
    join(
        b'x',
        &[
            &time.as_millis().to_be_bytes(),
            &[kind as u8],
            &what.concat(),
        ],
    )
}

/// What an expiry row's key says: when, of which kind, and what.
pub(in crate::store) fn expiry_parts(key: &[u8]) -> Result<(Timestamp, ExpiryKind, &[u8]), Error> {
    let kind = match key.get(9) {
        Some(1) => ExpiryKind::Notification,
        Some(2) => ExpiryKind::Removal,
        Some(3) => ExpiryKind::Endpoint,
        Some(4) => ExpiryKind::Token,
        Some(5) => ExpiryKind::Once,
        Some(6) => ExpiryKind::Broadcast,
        Some(7) => ExpiryKind::AppOnce,
        Some(8) => ExpiryKind::Erasure,
        _ => return Err(broken("an expiry row")),
    };
    let what = key.get(10..).ok_or_else(|| broken("an expiry row"))?;
    Ok((Timestamp::from_millis(u64_at(key, 1)?), kind, what))
}
