//! Questions about the outbox: which users are to be looked at, and when.

use std::ops::{Bound, ControlFlow};

use super::{Error, Reader, engine::Order, keys};
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
            .scan(bounds.0, bounds.1, Order::Ascending, &mut |key, _| {
                let (due, user, tag) = keys::marker_parts(key)?;
                if due > now || found.len() >= most {
                    next = Some(due);
                    return Ok(ControlFlow::Break(()));
                }
                // A marker of a user who was erased meanwhile is of nobody; `verify` names it.
                if let Some(subject) = self.subject_of(&user)? {
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
