//! Questions about broadcasts: the jobs, their lists, and whose turn it is.

use std::ops::{Bound, ControlFlow};

use super::{
    Error, Reader,
    engine::Order,
    keys,
    records::{self, StoredHeader},
};
use crate::model::{AppHost, Broadcast, BroadcastId, Listed, Subject, Timestamp};

/// The app whose turn it was. Apps take turns in an order of no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Turn([u8; 8]);

impl Reader {
    /// A broadcast, with its content.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn broadcast(&self, id: BroadcastId) -> Result<Option<Broadcast>, Error> {
        let header: Option<StoredHeader> = self.record(&keys::shared(id))?;
        let Some(row) = self.engine.get(&keys::broadcast(id))? else {
            return Ok(None);
        };
        let parts = header.map_or(0, |header| header.parts);
        let content = self.shared_content(id.to_bytes(), parts)?;
        let content = content.filter(|_| header.is_some());
        let content = content.ok_or_else(|| keys::broken("the content of a broadcast"))?;
        records::decode_broadcast(&row, &content).map(Some)
    }

    /// How many broadcasts of an app are not finished, counted up to `most`.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn unfinished(&self, app: &AppHost, most: usize) -> Result<usize, Error> {
        let (prefix, mut count) = (keys::unfinished_of(&keys::app_hash(app)), 0);
        self.scan_prefix(&prefix, Order::Ascending, &mut |_, _| {
            count += 1;
            Ok(flow(count < most))
        })?;
        Ok(count)
    }

    /// The broadcasts of all apps that have a list, or some of it.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn listing(&self) -> Result<Vec<BroadcastId>, Error> {
        let (mut found, mut from) = (Vec::new(), keys::all_listed());
        let to = keys::after(&keys::all_listed());
        loop {
            let mut next = None;
            let bounds = (Bound::Included(from), Bound::Excluded(to.clone()));
            self.engine
                .scan(bounds.0, bounds.1, Order::Ascending, &mut |key, _| {
                    next = Some(keys::broadcast_at(key, 1)?);
                    Ok(ControlFlow::Break(()))
                })?;
            let Some(id) = next else {
                return Ok(found);
            };
            found.push(id);
            from = keys::after(&keys::listed_of(id));
        }
    }

    /// The oldest unfinished broadcast of the app whose turn comes after `last`; none, where no app has one.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn next_turn(&self, last: Turn) -> Result<Option<(Turn, BroadcastId)>, Error> {
        let all = keys::all_unfinished();
        let behind = keys::after(&keys::unfinished_of(&last.0));
        let mut found = None;
        for from in [behind, all.clone()] {
            let bounds = (Bound::Included(from), Bound::Excluded(keys::after(&all)));
            let visit = &mut |key: &[u8], _: &[u8]| {
                let (app, id) = keys::unfinished_parts(key)?;
                found = Some((Turn(app), id));
                Ok(ControlFlow::Break(()))
            };
            self.engine
                .scan(bounds.0, bounds.1, Order::Ascending, visit)?;
            if found.is_some() {
                break;
            }
        }
        Ok(found)
    }

    /// The people in a row of a broadcast's list; none, where the row is gone.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn listed(&self, id: BroadcastId, row: u32) -> Result<Option<Vec<Listed>>, Error> {
        let bytes = self.engine.get(&keys::listed(id, row))?;
        bytes.as_deref().map(records::decode_listed).transpose()
    }

    /// The first rows that are left of a broadcast's list, up to `most`.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn listed_rows(&self, id: BroadcastId, most: usize) -> Result<Vec<u32>, Error> {
        let mut found = Vec::new();
        self.scan_prefix(&keys::listed_of(id), Order::Ascending, &mut |key, _| {
            found.push(keys::listed_row(key)?);
            Ok(flow(found.len() < most))
        })?;
        Ok(found)
    }

    /// Everyone whom an app has, as a list names them: up to `most`, after `after`.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn everyone(
        &self,
        app: &AppHost,
        after: Option<[u8; 16]>,
        most: usize,
    ) -> Result<Vec<[u8; 16]>, Error> {
        let prefix = keys::users_of(app);
        let from = match after {
            Some(hash) => Bound::Excluded([&prefix[..], &hash].concat()),
            None => Bound::Included(prefix.clone()),
        };
        let to = Bound::Excluded(keys::after(&prefix));
        let mut found = Vec::new();
        self.engine
            .scan(from, to, Order::Ascending, &mut |key, _| {
                let hash = key.get(prefix.len()..).and_then(|raw| raw.try_into().ok());
                found.push(hash.ok_or_else(|| keys::broken("a user in a key"))?);
                Ok(flow(found.len() < most))
            })?;
        Ok(found)
    }

    /// Whom a list means; nobody, where they are gone since.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn listed_subject(&self, app: &AppHost, who: &Listed) -> Result<Option<Subject>, Error> {
        match who {
            Listed::Named(user) => Ok(Some(Subject {
                app: app.clone(),
                user: user.clone(),
            })),
            Listed::Known(hash) => {
                let mut user = [0; keys::USER];
                user[..8].copy_from_slice(&keys::app_hash(app));
                user[8..].copy_from_slice(hash);
                self.subject_of(&user)
            }
        }
    }

    /// How many markers are due at `now`, counted up to `most`.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn overdue(&self, now: Timestamp, most: usize) -> Result<usize, Error> {
        let mut count = 0;
        self.scan_prefix(&keys::markers(), Order::Ascending, &mut |key, _| {
            if keys::marker_parts(key)?.0 > now {
                return Ok(ControlFlow::Break(()));
            }
            count += 1;
            Ok(flow(count < most))
        })?;
        Ok(count)
    }
}

fn flow(go_on: bool) -> ControlFlow<()> {
    if go_on {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}

/// One row of a list holds so many people of `All`, or names of so many bytes: well under 4 KiB, encoded.
const ROW_BYTES: usize = 3_600;
/// The kind, and a hash.
const KNOWN_BYTES: usize = 17;

/// Cuts a list into what fits a row each.
pub fn list_rows(people: Vec<Listed>) -> Vec<Vec<Listed>> {
    let (mut rows, mut row, mut bytes) = (Vec::new(), Vec::new(), 0);
    for one in people {
        let takes = match &one {
            // The kind, and a length of up to three bytes; or a hash, once they are struck off.
            Listed::Named(user) => (user.as_str().len() + 4).max(KNOWN_BYTES),
            Listed::Known(_) => KNOWN_BYTES,
        };
        if bytes + takes > ROW_BYTES {
            rows.push(std::mem::take(&mut row));
            bytes = 0;
        }
        bytes += takes;
        row.push(one);
    }
    if !row.is_empty() {
        rows.push(row);
    }
    rows
}
