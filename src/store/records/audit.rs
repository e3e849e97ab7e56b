//! Entries of the audit log.

use serde::{Deserialize, Serialize};

use super::{
    super::{Error, keys::broken},
    Record, host, time,
};
use crate::model::{Act, ActOutcome, Actor, UserId};

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

#[derive(Serialize, Deserialize)]
enum StoredOutcome {
    Begun,
    Done,
    Refused(String),
}

impl Record for Act {
    type Stored = StoredAct;

    fn to_stored(&self) -> StoredAct {
        StoredAct {
            number: self.number,
            at: self.at.as_millis(),
            key: match &self.by {
                Actor::Operator => None,
                Actor::Key(id) => Some(id.clone()),
            },
            deed: self.deed.clone(),
            app: self.app.as_ref().map(ToString::to_string),
            user: self.user.as_ref().map(|user| user.as_str().to_owned()),
            of: self.of.clone(),
            outcome: match &self.outcome {
                ActOutcome::Begun => StoredOutcome::Begun,
                ActOutcome::Done => StoredOutcome::Done,
                ActOutcome::Refused(code) => StoredOutcome::Refused(code.clone()),
            },
        }
    }

    fn from_stored(stored: StoredAct) -> Result<Self, Error> {
        let user = stored.user.as_deref().map(UserId::parse).transpose();
        Ok(Self {
            number: stored.number,
            at: time(stored.at),
            by: stored.key.map_or(Actor::Operator, Actor::Key),
            deed: stored.deed,
            app: stored.app.as_deref().map(host).transpose()?,
            user: user.map_err(|_| broken("an act's user"))?,
            of: stored.of,
            outcome: match stored.outcome {
                StoredOutcome::Begun => ActOutcome::Begun,
                StoredOutcome::Done => ActOutcome::Done,
                StoredOutcome::Refused(code) => ActOutcome::Refused(code),
            },
        })
    }
}
