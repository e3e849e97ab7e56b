//! The key-value engine: one ordered map of bytes, written by groups.

mod disk;
mod leavings;

use std::{
    collections::BTreeMap,
    ops::{Bound, ControlFlow},
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

pub(super) use disk::wait_until_closed;
pub(super) use leavings::PIECE_BYTES;

use self::disk::Sled;
use super::{Error, backup::View, guard::FolderLock};

/// One change of the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Op {
    Put(Vec<u8>, Vec<u8>),
    Remove(Vec<u8>),
}

impl Op {
    /// The row that it is about.
    pub(super) fn key(&self) -> &[u8] {
        match self {
            Self::Put(key, _) | Self::Remove(key) => key,
        }
    }

    /// How much it writes.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Put(key, value) => (key.len() + value.len()) as u64,
            Self::Remove(key) => key.len() as u64,
        }
    }
}

/// Which way a scan walks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Ascending,
    Descending,
}

/// Takes a row of a scan and says whether to go on.
pub(super) type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, Error>;

/// Where the rows are.
#[derive(Debug)]
pub(super) enum Engine {
    /// On disk, in a file that another one may take the place of.
    Sled(RwLock<Arc<Sled>>),
    /// In memory, for tests and simulation: what is applied is there at once, and gone with the process.
    Memory(RwLock<BTreeMap<Vec<u8>, Vec<u8>>>),
    /// In the file of a backup, to be read only.
    Backup(View),
}

impl Engine {
    pub(super) fn memory() -> Self {
        Self::Memory(RwLock::default())
    }

    /// Opens (and makes) the map in `folder`, which `lock` holds.
    pub(super) fn open(folder: &Path, cache_bytes: u64, lock: FolderLock) -> Result<Self, Error> {
        Sled::open(folder, cache_bytes, lock).map(|sled| Self::Sled(RwLock::new(Arc::new(sled))))
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Sled(sled) => present(sled).get(key),
            Self::Memory(map) => Ok(map
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .get(key)
                .cloned()),
            Self::Backup(view) => view.get(key),
        }
    }

    /// Walks the rows from `from` to `to` (both bounds as they say) in key order, or against it.
    pub(super) fn scan(
        &self,
        from: Bound<Vec<u8>>,
        to: Bound<Vec<u8>>,
        order: Order,
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        if is_empty(&from, &to) {
            return Ok(());
        }
        match self {
            Self::Sled(sled) => present(sled).scan((from, to), order, visit),
            Self::Memory(map) => scan_memory(map, (from, to), order, visit),
            Self::Backup(view) => view.scan((from, to), order, visit),
        }
    }

    /// The next rows after `from`, as they are to be put: so many, and not many more bytes. None at the end.
    pub(super) fn slice(
        &self,
        from: Bound<Vec<u8>>,
        (most_rows, most_bytes): (usize, u64),
    ) -> Result<Vec<Op>, Error> {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        self.scan(
            from,
            Bound::Unbounded,
            Order::Ascending,
            &mut |key, value| {
                let row = Op::Put(key.to_vec(), value.to_vec());
                bytes += row.bytes();
                rows.push(row);
                Ok(if rows.len() < most_rows && bytes < most_bytes {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                })
            },
        )?;
        Ok(rows)
    }

    /// Applies a whole group at once and waits until the disk holds it. Any error is final for the process.
    pub(super) fn commit(&self, ops: Vec<Op>) -> Result<(), Error> {
        match self {
            Self::Sled(sled) => present(sled).commit(ops),
            Self::Memory(map) => {
                let mut map = map.write().unwrap_or_else(PoisonError::into_inner);
                for op in ops {
                    match op {
                        Op::Put(key, value) => map.insert(key, value),
                        Op::Remove(key) => map.remove(&key),
                    };
                }
                Ok(())
            }
            Self::Backup(_) => Err(Error::Closed),
        }
    }

    /// Has the engine move up to so many pages out of the way of what is new. Any error is final for the process.
    pub(super) fn tidy(&self, pages: u32) -> Result<(), Error> {
        match self {
            Self::Sled(sled) => present(sled).tidy(pages),
            Self::Memory(_) | Self::Backup(_) => Ok(()),
        }
    }

    /// The same, through to the disk: what has become free may be used. Says whether there was anything to move.
    pub(super) fn tidy_through(&self, pages: u32) -> Result<bool, Error> {
        match self {
            Self::Sled(sled) => present(sled).tidy_through(pages),
            Self::Memory(_) | Self::Backup(_) => Ok(false),
        }
    }

    /// Syncs as is done once more when the engine is let go of, which cannot say that it failed.
    pub(super) fn sync_all(&self) -> Result<(), Error> {
        match self {
            Self::Sled(sled) => present(sled).sync_all(),
            Self::Memory(_) | Self::Backup(_) => Ok(()),
        }
    }

    /// Has a file that lies elsewhere hold this one's folder, too, whose files it is to become.
    ///
    /// # Errors
    /// `Closed` where either is in memory, or somebody else has the other one; `Io`.
    pub(super) fn ready(&self, heir: &mut Self) -> Result<(), Error> {
        let (Self::Sled(old), Self::Sled(heir)) = (self, heir) else {
            return Err(Error::Closed);
        };
        let heir = heir.get_mut().unwrap_or_else(PoisonError::into_inner);
        Arc::get_mut(heir)
            .ok_or(Error::Closed)?
            .hold_as(&present(old))
    }

    /// Goes on in a file that was [readied](Self::ready), and whose rows are the same. Who reads meanwhile reads on in the
    /// old one, which is let go of with the last of them.
    pub(super) fn give_way(&self, heir: Self) {
        if let (Self::Sled(old), Self::Sled(heir)) = (self, heir) {
            let heir = heir.into_inner().unwrap_or_else(PoisonError::into_inner);
            *old.write().unwrap_or_else(PoisonError::into_inner) = heir;
        }
    }

    /// Whether something could not be read since the store was opened.
    pub(super) fn is_damaged(&self) -> bool {
        match self {
            Self::Sled(sled) => present(sled).is_damaged(),
            Self::Memory(_) | Self::Backup(_) => false,
        }
    }

    /// How many bytes the store takes on disk.
    pub(super) fn size_bytes(&self) -> u64 {
        match self {
            Self::Sled(sled) => present(sled).size_bytes(),
            Self::Memory(map) => map
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .iter()
                .map(|(key, value)| (key.len() + value.len()) as u64)
                .sum(),
            Self::Backup(view) => view.size_bytes(),
        }
    }

    /// How many values lie in files of their own, which nothing syncs. Always 0 while every value is small.
    pub(super) fn stray_files(&self) -> usize {
        match self {
            Self::Sled(sled) => present(sled).stray_files(),
            Self::Memory(_) | Self::Backup(_) => 0,
        }
    }
}

/// The file that is open now. Whoever reads in it may go on to, once another one has taken its place.
fn present(sled: &RwLock<Arc<Sled>>) -> Arc<Sled> {
    Arc::clone(&sled.read().unwrap_or_else(PoisonError::into_inner))
}

/// How many rows are read at a time from memory.
const PAGE_ROWS: usize = 16;

/// Reads page by page, so that a visitor may ask for other rows: a lock held meanwhile would never be had twice where
/// the committer waits for it in between.
fn scan_memory(
    map: &RwLock<BTreeMap<Vec<u8>, Vec<u8>>>,
    (mut from, mut to): (Bound<Vec<u8>>, Bound<Vec<u8>>),
    order: Order,
    visit: Visit<'_>,
) -> Result<(), Error> {
    while !is_empty(&from, &to) {
        let page: Vec<(Vec<u8>, Vec<u8>)> = {
            let map = map.read().unwrap_or_else(PoisonError::into_inner);
            let rows = map.range((from.clone(), to.clone()));
            let owned = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
            match order {
                Order::Ascending => rows.take(PAGE_ROWS).map(owned).collect(),
                Order::Descending => rows.rev().take(PAGE_ROWS).map(owned).collect(),
            }
        };
        let Some((last, _)) = page.last() else {
            return Ok(());
        };
        match order {
            Order::Ascending => from = Bound::Excluded(last.clone()),
            Order::Descending => to = Bound::Excluded(last.clone()),
        }
        for (key, value) in &page {
            if visit(key, value)?.is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn is_empty(from: &Bound<Vec<u8>>, to: &Bound<Vec<u8>>) -> bool {
    match (from, to) {
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Excluded(to))
        | (Bound::Excluded(from), Bound::Included(to)) => from >= to,
        _ => false,
    }
}
