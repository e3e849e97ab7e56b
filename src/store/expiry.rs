//! Questions about what has come to its end.

use std::ops::{Bound, ControlFlow};

use super::{
    Error, Expiring, Reader,
    engine::Order,
    keys::{self, ExpiryKind},
};
use crate::model::{AppHost, BroadcastId, FeedPosition, Subject, Timestamp, UserToken};

/// What is over at some moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Over {
    /// What users have.
    pub of_users: Vec<Expired>,
    /// What apps have.
    pub of_apps: Vec<AppExpired>,
    /// When the next thing's time is over, where all were given.
    pub next: Option<Timestamp>,
}

/// Something of an app whose time is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppExpired {
    /// A broadcast.
    Broadcast(BroadcastId),
    /// An `Idempotency-Key` that was used for one: when, the hash of the app, that of the key.
    Once(Timestamp, [u8; 8], [u8; 32]),
    /// That someone was erased: when, and who, as keys name them.
    Erasure(Timestamp, [u8; 24]),
}

/// Something of a user whose time is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// Whose it is.
    pub subject: Subject,
    /// When its time was over.
    pub at: Timestamp,
    /// What it is.
    pub what: Expiring,
}

impl Reader {
    /// Up to `most` things whose time is over at `now`, oldest first.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn expired(&self, now: Timestamp, most: usize) -> Result<Over, Error> {
        let mut over = Over::default();
        let bounds = (
            Bound::Included(keys::expiries_from(Timestamp::default())),
            Bound::Excluded(keys::after(&keys::expiries())),
        );
        self.engine
            .scan(bounds.0, bounds.1, Order::Ascending, &mut |key, _| {
                let (at, kind, what) = keys::expiry_parts(key)?;
                if at > now || over.of_users.len() + over.of_apps.len() >= most {
                    over.next = Some(at);
                    return Ok(ControlFlow::Break(()));
                }
                match kind {
                    ExpiryKind::Broadcast => {
                        let id = keys::broadcast_at(what, 0)?;
                        over.of_apps.push(AppExpired::Broadcast(id));
                    }
                    ExpiryKind::AppOnce => over.of_apps.push(app_once_of(at, what)?),
                    ExpiryKind::Erasure => {
                        let user = keys::user_at(what, 0)?;
                        over.of_apps.push(AppExpired::Erasure(at, user));
                    }
                    _ => over.of_users.extend(self.expired_of(at, kind, what)?),
                }
                Ok(ControlFlow::Continue(()))
            })?;
        Ok(over)
    }

    /// The first `most` removals that are to be forgotten, where there are at least `enough`; none, where there are not.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn remembered(&self, most: usize, enough: u64) -> Result<Vec<Expired>, Error> {
        let (mut found, mut count) = (Vec::new(), 0);
        self.scan_prefix(&keys::expiries(), Order::Ascending, &mut |key, _| {
            let (at, kind, what) = keys::expiry_parts(key)?;
            if kind == ExpiryKind::Removal {
                count += 1;
                if found.len() < most {
                    found.extend(self.expired_of(at, kind, what)?);
                }
            }
            Ok(match found.len() < most || count < enough {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            })
        })?;
        if count < enough {
            found.clear();
        }
        Ok(found)
    }

    fn expired_of(
        &self,
        at: Timestamp,
        kind: ExpiryKind,
        raw: &[u8],
    ) -> Result<Option<Expired>, Error> {
        if kind == ExpiryKind::Token {
            let hash = raw
                .try_into()
                .map_err(|_| keys::broken("a token's expiry"))?;
            let token: Option<UserToken> = self.token(&hash)?;
            return Ok(token.map(|token| Expired {
                subject: token.subject,
                at,
                what: Expiring::Token(hash),
            }));
        }
        let Some(subject) = self.subject_of(&keys::user_at(raw, 0)?)? else {
            return Ok(None);
        };
        let rest = raw.get(keys::USER..).unwrap_or_default();
        let what = match kind {
            ExpiryKind::Notification => {
                Expiring::Notification(FeedPosition(keys::u64_at(rest, 0)?))
            }
            ExpiryKind::Removal => Expiring::Removal(FeedPosition(keys::u64_at(rest, 0)?)),
            ExpiryKind::Endpoint => Expiring::Endpoint(keys::endpoint_text(rest)?),
            ExpiryKind::Once
            | ExpiryKind::Token
            | ExpiryKind::Broadcast
            | ExpiryKind::AppOnce
            | ExpiryKind::Erasure => once_of(&subject.app, rest)?,
        };
        Ok(Some(Expired { subject, at, what }))
    }
}

fn app_once_of(at: Timestamp, what: &[u8]) -> Result<AppExpired, Error> {
    let (app, key) = what
        .split_first_chunk::<8>()
        .ok_or_else(|| keys::broken("an expiry row"))?;
    let key = key.try_into().map_err(|_| keys::broken("an expiry row"))?;
    Ok(AppExpired::Once(at, *app, key))
}

fn once_of(app: &AppHost, rest: &[u8]) -> Result<Expiring, Error> {
    let key = rest.get(8..).and_then(|raw| raw.try_into().ok());
    Ok(Expiring::Once(
        app.clone(),
        key.ok_or_else(|| keys::broken("an expiry row"))?,
    ))
}
