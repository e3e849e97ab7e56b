//! What is known of push services.

use serde::{Deserialize, Serialize};

use super::{Error, Record, time};
use crate::model::Drops;

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
