//! Questions about the outbox: which users are to be looked at, and when.

use std::{
    collections::HashMap,
    ops::{Bound, ControlFlow},
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{
    Error, Reader,
    engine::Order,
    keys::{self, UserKey},
    records::Record,
};
use crate::model::{Marker, Subject, Timestamp};

/// How far the outbox is counted.
const COUNTED: u64 = 100_000;

/// Figures of the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// How many markers wait, counted up to a bound.
    pub markers: u64,
    /// Since when the oldest one has been due.
    pub oldest_due: Option<Timestamp>,
}

/// The first marker of each user as it once was, so that a check of many does not walk the outbox for each.
#[derive(Debug, Default)]
pub struct FirstMarkers {
    /// Each with its key.
    of_users: HashMap<UserKey, (Timestamp, Vec<u8>)>,
    walks: AtomicUsize,
}

impl FirstMarkers {
    /// How often they did not help, and the outbox was walked: then they are too old.
    pub fn walks(&self) -> usize {
        self.walks.load(Ordering::Relaxed)
    }
}

impl Reader {
    /// Up to `most` markers that are due at `now`, from due time `from` on, in order; and the due time of the
    /// first one that is not due yet, where all due ones were given.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn due(
        &self,
        from: Timestamp,
        now: Timestamp,
        most: usize,
    ) -> Result<(Vec<Marker>, Option<Timestamp>), Error> {
        let (mut found, mut next) = (Vec::new(), None);
        let bounds = (
            Bound::Included(keys::markers_from(from)),
            Bound::Excluded(keys::after(&keys::markers())),
        );
        self.engine
            .scan(bounds.0, bounds.1, Order::Ascending, &mut |key, value| {
                let (due, user, tag) = keys::marker_parts(key)?;
                if due > now || found.len() >= most {
                    next = Some(due);
                    return Ok(ControlFlow::Break(()));
                }
                let named = Subject::decode(value).ok();
                let subject = match named.filter(|named| keys::user_key(named) == user) {
                    Some(subject) => Some(subject),
                    // As earlier versions wrote it; or a damaged one, which `verify` names.
                    None => self.subject_of(&user)?,
                };
                if let Some(subject) = subject {
                    found.push(Marker { due, subject, tag });
                }
                Ok(ControlFlow::Continue(()))
            })?;
        Ok((found, next))
    }

    /// When the first of a user's markers is due. Walks the outbox: for checks, not for work.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn first_marker(&self, subject: &Subject) -> Result<Option<Timestamp>, Error> {
        let (wanted, mut first) = (keys::user_key(subject), None);
        self.scan_prefix(&keys::markers(), Order::Ascending, &mut |key, _| {
            let (due, user, _) = keys::marker_parts(key)?;
            if user == wanted {
                first = Some(due);
                return Ok(ControlFlow::Break(()));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(first)
    }

    /// The first marker of each user.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn first_markers(&self) -> Result<FirstMarkers, Error> {
        let mut first = FirstMarkers::default();
        self.scan_prefix(&keys::markers(), Order::Ascending, &mut |key, _| {
            let (due, user, _) = keys::marker_parts(key)?;
            first.of_users.entry(user).or_insert((due, key.to_vec()));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(first)
    }

    /// Whether a marker of a user is due by then. The outbox is walked only where what was known before does not say.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn has_marker_by(
        &self,
        by: Timestamp,
        subject: &Subject,
        known: &FirstMarkers,
    ) -> Result<bool, Error> {
        if let Some((due, key)) = known.of_users.get(&keys::user_key(subject))
            && *due <= by
            && self.engine.get(key)?.is_some()
        {
            return Ok(true);
        }
        known.walks.fetch_add(1, Ordering::Relaxed);
        let first = self.first_marker(subject)?;
        Ok(first.is_some_and(|first| first <= by))
    }

    /// How many groups were committed: where it stands still, so did everything else.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn commits(&self) -> Result<u64, Error> {
        let bytes = self.engine.get(&keys::meta("commits"))?;
        bytes.map_or(Ok(0), |bytes| keys::u64_at(&bytes, 0))
    }

    /// How deep the outbox is.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn outbox_depth(&self) -> Result<Depth, Error> {
        let mut depth = Depth::default();
        self.scan_prefix(&keys::markers(), Order::Ascending, &mut |key, _| {
            if depth.markers == 0 {
                depth.oldest_due = Some(keys::marker_parts(key)?.0);
            }
            depth.markers += 1;
            Ok(if depth.markers < COUNTED {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            })
        })?;
        Ok(depth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Row, Store, Unit, tests::subject};

    #[tokio::test]
    async fn what_was_known_of_markers_is_believed_as_long_as_it_is_so() {
        let store = Store::in_memory().unwrap();
        let (ada, at) = (subject("ada"), Timestamp::from_millis);
        let marker = |due| Marker {
            due: at(due),
            subject: ada.clone(),
            tag: 1,
        };
        let write = async |row| {
            let mut unit = Unit::of(ada.clone());
            unit.push(row);
            store.commit(unit).await.unwrap();
        };
        write(Row::Marker(marker(5))).await;
        write(Row::Marker(marker(9))).await;
        let known = store.reader().first_markers().unwrap();
        let has_by = |due| {
            let found = store.reader().has_marker_by(at(due), &ada, &known);
            (found.unwrap(), known.walks())
        };
        assert_eq!(has_by(5), (true, 0));
        assert_eq!(has_by(4), (false, 1));
        write(Row::DropMarker(marker(5))).await;
        assert_eq!(has_by(5), (false, 2));
        assert_eq!(has_by(9), (true, 3));
        write(Row::Marker(marker(3))).await;
        assert_eq!(has_by(4), (true, 4), "one that came since");
    }
}
