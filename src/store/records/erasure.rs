//! Erasures.

use serde::{Deserialize, Serialize};

use super::{super::Error, Record, StoredSubject, stored_subject, subject, time};
use crate::model::{Erasure, FeedPosition};

#[derive(Serialize, Deserialize)]
pub(in crate::store) struct StoredErasure {
    under_way: Option<StoredSubject>,
    at: u64,
    head: u64,
}

impl Record for Erasure {
    type Stored = StoredErasure;

    fn to_stored(&self) -> StoredErasure {
        StoredErasure {
            under_way: self.under_way.as_ref().map(stored_subject),
            at: self.at.as_millis(),
            head: self.head.0,
        }
    }

    fn from_stored(stored: StoredErasure) -> Result<Self, Error> {
        Ok(Self {
            under_way: stored.under_way.as_ref().map(subject).transpose()?,
            at: time(stored.at),
            head: FeedPosition(stored.head),
        })
    }
}
