//! The key-value engine: the only file that names sled. One ordered map of bytes, written by groups.
//!
//! How sled is used here is what it was measured to be safe with: one tree, one batch a group, and an `fdatasync`
//! of our own after its flush, which by itself reaches only the page cache.

use std::{
    collections::BTreeMap,
    fs::File,
    io::ErrorKind,
    ops::{Bound, ControlFlow},
    path::{Path, PathBuf},
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::fs::FlockOperation;

use super::{
    Error,
    caught::caught,
    damage::{damaged, unreadable},
    guard::{self, FolderLock},
};

/// One change of the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Op {
    Put(Vec<u8>, Vec<u8>),
    Remove(Vec<u8>),
}

impl Op {
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
    /// On disk.
    Sled(Box<Sled>),
    /// In memory, for tests and simulation: what is applied is there at once, and gone with the process.
    Memory(RwLock<BTreeMap<Vec<u8>, Vec<u8>>>),
}

#[derive(Debug)]
pub(super) struct Sled {
    /// None once it is let go of.
    tree: Option<sled::Db>,
    file: File,
    folder: PathBuf,
    /// Whether something could not be read.
    damaged: AtomicBool,
    /// Let go of after the tree.
    _lock: FolderLock,
}

impl Engine {
    pub(super) fn memory() -> Self {
        Self::Memory(RwLock::default())
    }

    /// Opens (and makes) the map in `folder`, which `lock` holds.
    pub(super) fn open(folder: &Path, cache_bytes: u64, lock: FolderLock) -> Result<Self, Error> {
        let config = sled::Config::new()
            .path(folder)
            .cache_capacity(cache_bytes)
            .flush_every_ms(None);
        // A damaged file makes sled panic as often as it answers an error.
        let tree = caught(|| config.open())
            .map_err(|_| damaged(folder))?
            .map_err(|error| open_error(error, folder))?;
        guard::close_files(folder)?;
        let db = folder.join("db");
        let file = File::open(&db).map_err(Error::io(format!("cannot open {}", db.display())))?;
        // A file that was just made is there after a power cut only once its folder is on disk too.
        guard::sync_folder(folder)?;
        Ok(Self::Sled(Box::new(Sled {
            tree: Some(tree),
            file,
            folder: folder.to_owned(),
            damaged: AtomicBool::new(false),
            _lock: lock,
        })))
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Sled(sled) => {
                let value = sled.read(|tree| tree.get(key))?;
                Ok(value.map(|value| value.to_vec()))
            }
            Self::Memory(map) => Ok(map
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .get(key)
                .cloned()),
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
            Self::Sled(sled) => {
                let mut rows = sled.tree()?.range::<Vec<u8>, _>((from, to));
                let mut next = |_: &sled::Db| match order {
                    Order::Ascending => rows.next().transpose(),
                    Order::Descending => rows.next_back().transpose(),
                };
                while let Some((key, value)) = sled.read(&mut next)? {
                    if visit(&key, &value)?.is_break() {
                        break;
                    }
                }
                Ok(())
            }
            Self::Memory(map) => scan_memory(map, (from, to), order, visit),
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
            Self::Sled(sled) => sled.commit(ops),
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
        }
    }

    /// Whether something could not be read since the store was opened.
    pub(super) fn is_damaged(&self) -> bool {
        match self {
            Self::Sled(sled) => sled.damaged.load(Ordering::Relaxed),
            Self::Memory(_) => false,
        }
    }

    /// How many bytes the store takes on disk.
    pub(super) fn size_bytes(&self) -> u64 {
        match self {
            Self::Sled(sled) => {
                let size = |tree: &sled::Db| tree.size_on_disk().ok();
                sled.tree.as_ref().and_then(size).unwrap_or(0)
            }
            Self::Memory(map) => map
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .iter()
                .map(|(key, value)| (key.len() + value.len()) as u64)
                .sum(),
        }
    }

    /// How many values lie in files of their own, which nothing syncs. Always 0 while every value is small.
    pub(super) fn stray_files(&self) -> usize {
        match self {
            Self::Sled(sled) => {
                std::fs::read_dir(sled.folder.join("blobs")).map_or(0, Iterator::count)
            }
            Self::Memory(_) => 0,
        }
    }
}

impl Sled {
    fn tree(&self) -> Result<&sled::Db, Error> {
        self.tree.as_ref().ok_or(Error::Closed)
    }

    /// Reads. What cannot be read is told once in the log; what lies elsewhere can be read as before.
    fn read<T>(&self, read: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, Error> {
        let tree = self.tree()?;
        let error = match caught(|| read(tree)) {
            Ok(Ok(found)) => return Ok(found),
            // A file that was cut off is damaged.
            Ok(Err(sled::Error::Io(source))) if source.kind() != ErrorKind::UnexpectedEof => {
                Error::io("cannot read the store")(source)
            }
            Ok(Err(error)) => unreadable(&self.folder, &error.to_string()),
            Err(said) => unreadable(&self.folder, &said),
        };
        if !self.damaged.swap(true, Ordering::Relaxed) {
            tracing::error!(
                %error,
                "a part of the store cannot be read: what needs it is refused, the rest goes on, and /readyz answers 503 until the hub is started again. `beckon store verify` says whether the store can be read once more"
            );
        }
        Err(error)
    }

    /// Writes. A panic is as final as an error: how far the group got is not known.
    fn commit(&self, ops: Vec<Op>) -> Result<(), Error> {
        let mut batch = sled::Batch::default();
        for op in ops {
            match op {
                Op::Put(key, value) => batch.insert(key, value),
                Op::Remove(key) => batch.remove(key),
            }
        }
        let tree = self.tree()?;
        let written = caught(|| {
            tree.apply_batch(batch)?;
            tree.flush()
        });
        match written {
            Ok(Ok(_bytes)) => {}
            Ok(Err(sled::Error::Io(source))) => {
                return Err(Error::io("cannot write the store")(source));
            }
            Ok(Err(error)) => return Err(unreadable(&self.folder, &error.to_string())),
            Err(said) => return Err(unreadable(&self.folder, &said)),
        }
        self.file
            .sync_data()
            .map_err(Error::io("cannot sync the store to disk"))
    }
}

/// The engine syncs once more as it is let go of, and panics where the disk refuses. All that was acknowledged is on disk by
/// then.
impl Drop for Sled {
    fn drop(&mut self) {
        let tree = self.tree.take();
        if let Err(said) = caught(|| drop(tree)) {
            tracing::error!(
                said,
                "the store could not be closed as it should; nothing acknowledged is lost"
            );
        }
    }
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

/// Waits until the engine has let go of the files in `folder`, whose handles are all dropped.
pub(super) fn wait_until_closed(folder: &Path) -> Result<(), Error> {
    const TRIES: u32 = 500;
    let file = File::open(folder.join("db")).map_err(Error::io(format!(
        "cannot open the store in {}",
        folder.display()
    )))?;
    for _ in 0..TRIES {
        // Let go of at once, with `file`.
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Err(Error::InUse(folder.to_owned()))
}

fn is_empty(from: &Bound<Vec<u8>>, to: &Bound<Vec<u8>>) -> bool {
    match (from, to) {
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Excluded(to))
        | (Bound::Excluded(from), Bound::Included(to)) => from >= to,
        _ => false,
    }
}

fn open_error(error: sled::Error, folder: &Path) -> Error {
    match error {
        sled::Error::Io(source) if source.to_string().contains("lock") => {
            Error::InUse(folder.to_owned())
        }
        sled::Error::Io(source) => Error::Io {
            context: format!("cannot open the store in {}", folder.display()),
            source,
        },
        _ => damaged(folder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_a_read_is_an_answer_and_what_lies_elsewhere_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FolderLock::take(folder.path()).unwrap();
        let engine = Engine::open(folder.path(), 8 << 20, lock).unwrap();
        let row = Op::Put(b"key".to_vec(), b"value".to_vec());
        engine.commit(vec![row]).unwrap();
        let Engine::Sled(sled) = &engine else {
            panic!("{engine:?}");
        };
        assert!(!engine.is_damaged());
        let read = sled.read(|_| -> sled::Result<()> { panic!("expected pid 7") });
        let said = read.unwrap_err().to_string();
        assert!(said.contains("expected pid 7"), "{said}");
        assert!(said.contains("beckon store restore"), "{said}");
        assert!(engine.is_damaged());
        assert_eq!(engine.get(b"key").unwrap().as_deref(), Some(&b"value"[..]));
        let cut = sled.read(|_| -> sled::Result<()> {
            Err(sled::Error::Io(ErrorKind::UnexpectedEof.into()))
        });
        let said = cut.unwrap_err().to_string();
        assert!(said.contains("beckon store restore"), "{said}");
    }
}
