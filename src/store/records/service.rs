//! What is known of push services.

use serde::{Deserialize, Serialize};

use super::{Error, Record, time};
use crate::model::{Demand, Drops, ServiceAnswer};

#[derive(Serialize, Deserialize)]
pub(in crate::store) struct StoredDrops {
    count: u32,
    at: u64,
}

impl Record for Drops {
    type Stored = StoredDrops;

    fn to_stored(&self) -> StoredDrops {
        StoredDrops {
            count: self.count,
            at: self.at.as_millis(),
        }
    }

    fn from_stored(stored: StoredDrops) -> Result<Self, Error> {
        Ok(Self {
            count: stored.count,
            at: time(stored.at),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(in crate::store) struct StoredDemand {
    since: u64,
    until: u64,
    status: u16,
    reason: Option<String>,
}

impl Record for Demand {
    type Stored = StoredDemand;

    fn to_stored(&self) -> StoredDemand {
        StoredDemand {
            since: self.since.as_millis(),
            until: self.until.as_millis(),
            status: self.answer.status,
            reason: self.answer.reason.clone(),
        }
    }

    fn from_stored(stored: StoredDemand) -> Result<Self, Error> {
        Ok(Self {
            since: time(stored.since),
            until: time(stored.until),
            answer: ServiceAnswer {
                status: stored.status,
                reason: stored.reason,
                id: None,
            },
        })
    }
}
