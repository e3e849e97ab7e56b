//! Keys, tokens, and what an `Idempotency-Key` was used for.

use serde::{Deserialize, Serialize};

use super::{
    super::{Error, keys::broken},
    Record, StoredSubject, endpoint_id, host, millis, stored_subject, subject, time, times,
};
use crate::model::{AppKey, NotificationId, Once, Scope, UserToken};

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

impl Record for UserToken {
    type Stored = StoredToken;

    fn to_stored(&self) -> StoredToken {
        StoredToken {
            hash: self.hash,
            subject: stored_subject(&self.subject),
            endpoint: self.endpoint.as_ref().map(|id| id.as_str().to_owned()),
            minted_by: self.minted_by.clone(),
            expires: self.expires.as_millis(),
        }
    }

    fn from_stored(stored: StoredToken) -> Result<Self, Error> {
        Ok(Self {
            hash: stored.hash,
            subject: subject(&stored.subject)?,
            endpoint: stored.endpoint.as_deref().map(endpoint_id).transpose()?,
            minted_by: stored.minted_by,
            expires: time(stored.expires),
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

impl Record for Once {
    type Stored = StoredOnce;

    fn to_stored(&self) -> StoredOnce {
        StoredOnce {
            key: self.key,
            request: self.request,
            subject: stored_subject(&self.subject),
            created: self.created,
            notification: self.notification.to_bytes(),
            expires: self.expires.as_millis(),
        }
    }

    fn from_stored(stored: StoredOnce) -> Result<Self, Error> {
        let subject = subject(&stored.subject)?;
        Ok(Self {
            app: subject.app.clone(),
            key: stored.key,
            request: stored.request,
            subject,
            created: stored.created,
            notification: NotificationId::from_bytes(stored.notification),
            expires: time(stored.expires),
        })
    }
}
