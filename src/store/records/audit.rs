//! Entries of the audit log.

use serde::{Deserialize, Serialize};

use super::{
    super::{Error, codec, keys::broken},
    Record, host, time,
};
use crate::model::{Act, ActOutcome, Actor, UserId, Whom};

#[derive(Serialize, Deserialize)]
pub(in crate::store) struct StoredAct {
    number: u64,
    at: u64,
    /// The id of a key; the operator without it.
    key: Option<String>,
    deed: String,
    app: Option<String>,
    user: Option<String>,
    of: Option<String>,
    outcome: StoredOutcome,
}

/// The form of version 2: that of version 1, and who it is about where they were erased.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct SecondAct(StoredAct, Option<[u8; 16]>);

#[derive(Serialize, Deserialize)]
enum StoredOutcome {
    Begun,
    Done,
    Refused(String),
}

impl Record for Act {
    type Stored = SecondAct;
    const VERSION: u8 = 2;

    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_stored(match bytes.first() {
            Some(1) => SecondAct(codec::decode(1, bytes)?, None),
            _ => codec::decode(Self::VERSION, bytes)?,
        })
    }

    fn to_stored(&self) -> SecondAct {
        let (named, erased) = match &self.user {
            None => (None, None),
            Some(Whom::Named(user)) => (Some(user.as_str().to_owned()), None),
            Some(Whom::Erased(hash)) => (None, Some(*hash)),
        };
        let stored = StoredAct {
            number: self.number,
            at: self.at.as_millis(),
            key: match &self.by {
                Actor::Operator => None,
                Actor::Key(id) => Some(id.clone()),
            },
            deed: self.deed.clone(),
            app: self.app.as_ref().map(ToString::to_string),
            user: named,
            of: self.of.clone(),
            outcome: match &self.outcome {
                ActOutcome::Begun => StoredOutcome::Begun,
                ActOutcome::Done => StoredOutcome::Done,
                ActOutcome::Refused(code) => StoredOutcome::Refused(code.clone()),
            },
        };
        SecondAct(stored, erased)
    }

    fn from_stored(SecondAct(stored, erased): SecondAct) -> Result<Self, Error> {
        let user = stored.user.as_deref().map(UserId::parse).transpose();
        let named = user.map_err(|_| broken("an act's user"))?.map(Whom::Named);
        Ok(Self {
            number: stored.number,
            at: time(stored.at),
            by: stored.key.map_or(Actor::Operator, Actor::Key),
            deed: stored.deed,
            app: stored.app.as_deref().map(host).transpose()?,
            user: named.or(erased.map(Whom::Erased)),
            of: stored.of,
            outcome: match stored.outcome {
                StoredOutcome::Begun => ActOutcome::Begun,
                StoredOutcome::Done => ActOutcome::Done,
                StoredOutcome::Refused(code) => ActOutcome::Refused(code),
            },
        })
    }
}
