//! Copies the rows of a store that rests to a new file, which takes its place: it is as small as it can be, and never had
//! the bytes of what is gone.

use std::ops::Bound;

use aws_lc_rs::digest::{Context, SHA256};

use super::{
    Error, Options, Store,
    engine::{Engine, Op},
    fresh::{self, Fresh},
    guard::{self, FolderLock, Head},
};
use crate::model::Timestamp;

/// How many rows are copied at once, and how many bytes, not counting the last of them.
const SLICE: (usize, u64) = (2000, 4 << 20);

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// How many rows were copied.
    pub rows: u64,
    /// Bytes on disk before.
    pub bytes_before: u64,
    /// Bytes on disk now.
    pub bytes_after: u64,
}

/// Copies a store's rows to a new file, reads them back, and puts it in the old one's place, which then goes. The store stays the same: cursors go on. Nothing is changed unless all of it was copied, and all rows agree.
///
/// # Errors
/// As [`Store::open`]; `Disagrees` where it is damaged; `NoRoomForCopy` where the disk has no room for both at once.
pub fn compact(
    options: &Options,
    now: Timestamp,
    progress: &mut dyn FnMut(u64),
) -> Result<Compacted, Error> {
    guard::make_folder(&options.folder)?;
    let lock = FolderLock::take(&options.folder)?;
    let store = Store::open_holding(options, lock.again()?)?;
    let bytes_before = store.stats().size_bytes;
    let copied = copy(&store, options, progress);
    let head = Head {
        epoch: store.epoch(),
        commits: store.stats().commits,
    };
    store.close();
    drop(store);
    let (fresh, rows) = copied?;
    let bytes_after = fresh.reader()?.engine.size_bytes();
    // Also where it is no smaller: the old one may still have the bytes of what was erased.
    if let Some(folder) = fresh.take_over(head, ("compact", now))? {
        fresh::remove(&folder)?;
    }
    drop(lock);
    Ok(Compacted {
        rows,
        bytes_before,
        bytes_after,
    })
}

/// The copy, and how many rows it has.
fn copy(
    store: &Store,
    options: &Options,
    progress: &mut dyn FnMut(u64),
) -> Result<(Fresh, u64), Error> {
    let mut fresh = Fresh::begin(options)?;
    let mut rows = 0;
    let copied = walk(&store.reader().engine, &mut |slice| {
        rows += slice.len() as u64;
        fresh.load(slice)?;
        progress(rows);
        Ok(())
    })?;
    fresh.tidy_up()?;
    if walk(&fresh.reader()?.engine, &mut |_| Ok(()))? != copied {
        return Err(Error::Corrupt(String::from(
            "the copy is not what was copied; the store is left as it was",
        )));
    }
    let findings = fresh.reader()?.verify()?;
    if let Some(first) = findings.first() {
        return Err(Error::Disagrees {
            count: findings.len(),
            first: first.to_string(),
        });
    }
    Ok((fresh, rows))
}

/// Hands out all rows in slices, and gives a hash of them.
fn walk(
    engine: &Engine,
    visit: &mut dyn FnMut(Vec<Op>) -> Result<(), Error>,
) -> Result<Vec<u8>, Error> {
    let (mut from, mut hash) = (Bound::Unbounded, Context::new(&SHA256));
    loop {
        let slice = engine.slice(from, SLICE)?;
        let Some(Op::Put(last, _)) = slice.last() else {
            return Ok(hash.finish().as_ref().to_vec());
        };
        from = Bound::Excluded(last.clone());
        for row in &slice {
            if let Op::Put(key, value) = row {
                hash.update(&(key.len() as u64).to_be_bytes());
                hash.update(key);
                hash.update(&(value.len() as u64).to_be_bytes());
                hash.update(value);
            }
        }
        visit(slice)?;
    }
}
