//! Keys, tokens, and what an `Idempotency-Key` was used for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    super::{Error, codec, keys::broken},
    Record, StoredSubject, endpoint_id, host, millis, stored_subject, subject, time, times,
};
use crate::model::{AppKey, BroadcastId, NotificationId, Once, OnceAnswer, Scope, UserToken};

#[derive(Serialize, Deserialize)]
pub(in crate::store) struct StoredKey {
    id: String,
    app: String,
    name: Option<String>,
    scope: u8,
    hash: [u8; 32],
    created: u64,
    revoked: Option<u64>,
}

impl Record for AppKey {
    type Stored = StoredKey;

    fn to_stored(&self) -> StoredKey {
        StoredKey {
            id: self.id.clone(),
            app: self.app.as_str().to_owned(),
            name: self.name.clone(),
            scope: match self.scope {
                Scope::Send => 1,
                Scope::Users => 2,
                Scope::All => 3,
            },
            hash: self.hash,
            created: self.created.as_millis(),
            revoked: millis(self.revoked),
        }
    }

    fn from_stored(stored: StoredKey) -> Result<Self, Error> {
        Ok(Self {
            id: stored.id,
            app: host(&stored.app)?,
            name: stored.name,
            scope: match stored.scope {
                1 => Scope::Send,
                2 => Scope::Users,
                3 => Scope::All,
                _ => return Err(broken("a key's scope")),
            },
            hash: stored.hash,
            created: time(stored.created),
            revoked: times(stored.revoked),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(in crate::store) struct StoredToken {
    hash: [u8; 32],
    subject: StoredSubject,
    endpoint: Option<String>,
    minted_by: Option<String>,
    expires: u64,
}

/// The first version's fields, and how many seconds it was to live.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct StoredTokenWithLife(StoredToken, u64);

impl Record for UserToken {
    type Stored = StoredTokenWithLife;
    const VERSION: u8 = 2;

    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.first() == Some(&1) {
            let first: StoredToken = codec::decode(1, bytes)?;
            let endpoint = first.endpoint.as_deref().map(endpoint_id).transpose()?;
            let life = Self::usual_life(endpoint.as_ref()).as_secs();
            return Self::from_stored(StoredTokenWithLife(first, life));
        }
        Self::from_stored(codec::decode(Self::VERSION, bytes)?)
    }

    fn to_stored(&self) -> StoredTokenWithLife {
        let first = StoredToken {
            hash: self.hash,
            subject: stored_subject(&self.subject),
            endpoint: self.endpoint.as_ref().map(|id| id.as_str().to_owned()),
            minted_by: self.minted_by.clone(),
            expires: self.expires.as_millis(),
        };
        StoredTokenWithLife(first, self.life.as_secs())
    }

    fn from_stored(StoredTokenWithLife(stored, life): StoredTokenWithLife) -> Result<Self, Error> {
        Ok(Self {
            hash: stored.hash,
            subject: subject(&stored.subject)?,
            endpoint: stored.endpoint.as_deref().map(endpoint_id).transpose()?,
            minted_by: stored.minted_by,
            expires: time(stored.expires),
            life: Duration::from_secs(life),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(in crate::store) struct StoredOnce {
    key: [u8; 32],
    request: [u8; 32],
    subject: StoredSubject,
    created: bool,
    notification: [u8; 16],
    expires: u64,
}

/// The same of a post to many: version 2.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct StoredAppOnce {
    app: String,
    key: [u8; 32],
    request: [u8; 32],
    broadcast: [u8; 16],
    accepted: u64,
    expires: u64,
}

/// The version of an `Idempotency-Key` that was used for a post to a person, and for one to many.
const POSTED: u8 = 1;
const ACCEPTED: u8 = 2;

pub(in crate::store) fn encode_once(it: &Once) -> Result<Vec<u8>, Error> {
    match &it.answer {
        OnceAnswer::Posted {
            subject,
            created,
            notification,
        } => {
            let stored = StoredOnce {
                key: it.key,
                request: it.request,
                subject: stored_subject(subject),
                created: *created,
                notification: notification.to_bytes(),
                expires: it.expires.as_millis(),
            };
            codec::encode(POSTED, &stored)
        }
        OnceAnswer::Accepted {
            broadcast,
            accepted,
        } => {
            let stored = StoredAppOnce {
                app: it.app.as_str().to_owned(),
                key: it.key,
                request: it.request,
                broadcast: broadcast.to_bytes(),
                accepted: *accepted,
                expires: it.expires.as_millis(),
            };
            codec::encode(ACCEPTED, &stored)
        }
    }
}

pub(in crate::store) fn decode_once(bytes: &[u8]) -> Result<Once, Error> {
    if bytes.first() == Some(&ACCEPTED) {
        let stored: StoredAppOnce = codec::decode(ACCEPTED, bytes)?;
        return Ok(Once {
            app: host(&stored.app)?,
            key: stored.key,
            request: stored.request,
            answer: OnceAnswer::Accepted {
                broadcast: BroadcastId::from_bytes(stored.broadcast),
                accepted: stored.accepted,
            },
            expires: time(stored.expires),
        });
    }
    let stored: StoredOnce = codec::decode(POSTED, bytes)?;
    let subject = subject(&stored.subject)?;
    Ok(Once {
        app: subject.app.clone(),
        key: stored.key,
        request: stored.request,
        answer: OnceAnswer::Posted {
            subject,
            created: stored.created,
            notification: NotificationId::from_bytes(stored.notification),
        },
        expires: time(stored.expires),
    })
}
