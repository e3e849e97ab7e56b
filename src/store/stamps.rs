//! Whether anything was written about a user since: so that what was read a moment ago need not be read again.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

use super::{Row, Unit};
use crate::model::Subject;

/// How many counters there are. Users who share one make each other be read again, which costs time alone.
const COUNTERS: usize = 4096;

/// A moment in what was written about a user. Two that are equal have nothing between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    own: u64,
    all: u64,
}

/// Counts what is committed, by users.
#[derive(Debug)]
pub(super) struct Stamps {
    hasher: RandomState,
    counters: Box<[AtomicU64]>,
    /// What is about a channel may concern whoever had it before.
    all: AtomicU64,
}

impl Default for Stamps {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            counters: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect(),
            all: AtomicU64::new(0),
        }
    }
}

impl Stamps {
    /// The present moment. To be asked before one reads what is to be compared.
    pub(super) fn now(&self, subject: &Subject) -> Stamp {
        Stamp {
            own: self.counter(subject).load(Ordering::SeqCst),
            all: self.all.load(Ordering::SeqCst),
        }
    }

    /// Notes a unit that readers see by now, and before anyone is told that it is written. What dispatch writes about
    /// its own taps is no news.
    pub(super) fn note(&self, unit: &Unit) {
        if unit.rows.iter().any(is_news) {
            self.counter(&unit.subject).fetch_add(1, Ordering::SeqCst);
        }
        if unit.rows.iter().any(|row| matches!(row, Row::Owners(..))) {
            self.all.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn counter(&self, subject: &Subject) -> &AtomicU64 {
        let nth = self.hasher.hash_one(subject) % COUNTERS as u64;
        &self.counters[nth as usize]
    }
}

fn is_news(row: &Row) -> bool {
    !matches!(
        row,
        Row::TapState(..) | Row::Push(..) | Row::Marker(_) | Row::DropMarker(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AppHost, EndpointId, FeedPosition, FetchMark, TapState, Timestamp, UserId};

    fn unit(user: &str, rows: Vec<Row>) -> Unit {
        let subject = Subject {
            app: AppHost::parse("a.example").unwrap(),
            user: UserId::parse(user).unwrap(),
        };
        Unit {
            subject,
            expects: None,
            rows,
        }
    }

    #[test]
    fn what_is_news_moves_the_stamp_of_its_user_and_a_channel_that_of_everyone() {
        let stamps = Stamps::default();
        let phone = EndpointId::parse("phone").unwrap();
        let ada = unit("ada", Vec::new()).subject;
        let moved = |rows: Vec<Row>, user: &str| {
            let before = stamps.now(&ada);
            stamps.note(&unit(user, rows));
            stamps.now(&ada) != before
        };
        let mark = FetchMark {
            position: FeedPosition(1),
            at: Timestamp::from_millis(1),
            ..FetchMark::default()
        };
        let settled = Row::TapState(phone.clone(), Box::<TapState>::default());
        assert!(!moved(vec![settled.clone()], "ada"));
        let fetched = Row::FetchMark(phone, mark);
        assert!(moved(vec![settled, fetched], "ada"));
        assert!(moved(vec![Row::Owners(vec![1], Vec::new())], "grace"));
    }
}
