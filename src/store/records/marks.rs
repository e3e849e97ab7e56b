//! What the client doors leave behind: fetch marks, receipts; and by what rules the taps were planned.

use serde::{Deserialize, Serialize};

use super::{
    super::{Error, codec},
    Record, millis, time, times,
};
use crate::model::{FeedPosition, FetchMark, Receipt, TapId, TapRules};

#[derive(Serialize, Deserialize)]
pub(in crate::store) struct StoredFetchMark {
    position: u64,
    at: u64,
    recent: Vec<(u64, u64)>,
}

impl Record for FetchMark {
    type Stored = StoredFetchMark;

    fn to_stored(&self) -> StoredFetchMark {
        StoredFetchMark {
            position: self.position.0,
            at: self.at.as_millis(),
            recent: self
                .recent
                .iter()
                .map(|(held, at)| (held.0, at.as_millis()))
                .collect(),
        }
    }

    fn from_stored(stored: StoredFetchMark) -> Result<Self, Error> {
        Ok(Self {
            position: FeedPosition(stored.position),
            at: time(stored.at),
            recent: stored
                .recent
                .iter()
                .map(|(held, at)| (FeedPosition(*held), time(*at)))
                .collect(),
        })
    }
}

/// The form of version 2: that of version 1, who told, and what they have.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct SecondReceipt(StoredReceipt, Option<[u8; 16]>, u64);

#[derive(Serialize, Deserialize)]
pub(in crate::store) struct StoredReceipt(Option<u64>, Option<u64>, Option<u64>);

impl Record for Receipt {
    type Stored = SecondReceipt;
    const VERSION: u8 = 2;

    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_stored(match bytes.first() {
            Some(1) => SecondReceipt(codec::decode(1, bytes)?, None, 0),
            _ => codec::decode(Self::VERSION, bytes)?,
        })
    }

    fn to_stored(&self) -> SecondReceipt {
        let before = StoredReceipt(millis(self.fetched), millis(self.shown), millis(self.acted));
        SecondReceipt(before, self.by.map(TapId::to_bytes), self.held.0)
    }

    fn from_stored(SecondReceipt(stored, by, held): SecondReceipt) -> Result<Self, Error> {
        Ok(Self {
            by: by.map(TapId::from_bytes),
            held: FeedPosition(held),
            fetched: times(stored.0),
            shown: times(stored.1),
            acted: times(stored.2),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(in crate::store) struct StoredTapRules(u64, u64, u64);

impl Record for TapRules {
    type Stored = StoredTapRules;

    fn to_stored(&self) -> StoredTapRules {
        StoredTapRules(
            self.stream_grace_millis,
            self.silent_per_hour,
            self.retap_after_millis,
        )
    }

    fn from_stored(stored: StoredTapRules) -> Result<Self, Error> {
        Ok(Self {
            stream_grace_millis: stored.0,
            silent_per_hour: stored.1,
            retap_after_millis: stored.2,
        })
    }
}
