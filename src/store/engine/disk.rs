//! The engine on disk: the only file that names sled.
//!
//! How sled is used here is what it was measured to be safe with: one tree, one batch a group, and an `fdatasync`
//! of our own after its flush, which by itself reaches only the page cache.

use std::{
    fs::File,
    io::ErrorKind,
    ops::Bound,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::fs::FlockOperation;

use super::{Op, Order, Visit, leavings};
use crate::store::{
    Error,
    caught::caught,
    damage::{damaged, unreadable},
    guard::{self, FolderLock},
};

#[derive(Debug)]
pub(in crate::store) struct Sled {
    /// None once it is let go of.
    tree: Option<sled::Db>,
    file: File,
    folder: PathBuf,
    /// Whether something could not be read.
    damaged: AtomicBool,
    /// Let go of after the tree.
    lock: FolderLock,
}

impl Sled {
    /// Opens (and makes) the map in `folder`, which `lock` holds.
    pub(super) fn open(folder: &Path, cache_bytes: u64, lock: FolderLock) -> Result<Self, Error> {
        let config = sled::Config::new()
            .path(folder)
            .cache_capacity(cache_bytes)
            .flush_every_ms(None);
        leavings::clear(folder)?;
        // A damaged file makes sled panic as often as it answers an error.
        let tree = caught(|| config.open())
            .map_err(|_| damaged(folder))?
            .map_err(|error| open_error(error, folder))?;
        let db = folder.join("db");
        let file = File::open(&db).map_err(Error::io(format!("cannot open {}", db.display())))?;
        let it = Self {
            tree: Some(tree),
            file,
            folder: folder.to_owned(),
            damaged: AtomicBool::new(false),
            lock,
        };
        guard::close_files(folder)?;
        // A file that was just made is there after a power cut only once its folder is on disk too.
        guard::sync_folder(folder)?;
        Ok(it)
    }

    /// Holds the folder that another one holds, where its files are to lie from now on.
    pub(super) fn hold_as(&mut self, other: &Self) -> Result<(), Error> {
        self.lock = other.lock.again()?;
        self.folder.clone_from(&other.folder);
        Ok(())
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let value = self.read(|tree| tree.get(key))?;
        Ok(value.map(|value| value.to_vec()))
    }

    pub(super) fn scan(
        &self,
        bounds: (Bound<Vec<u8>>, Bound<Vec<u8>>),
        order: Order,
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        let mut rows = self.tree()?.range::<Vec<u8>, _>(bounds);
        let mut next = |_: &sled::Db| match order {
            Order::Ascending => rows.next().transpose(),
            Order::Descending => rows.next_back().transpose(),
        };
        while let Some((key, value)) = self.read(&mut next)? {
            if visit(&key, &value)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    pub(super) fn size_bytes(&self) -> u64 {
        // The file may end with a hole, or have room set aside for it by the system.
        self.file
            .metadata()
            .map_or(0, |file| file.len().min(file.blocks().saturating_mul(512)))
    }

    pub(super) fn stray_files(&self) -> usize {
        std::fs::read_dir(self.folder.join("blobs")).map_or(0, Iterator::count)
    }

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

    pub(super) fn commit(&self, ops: Vec<Op>) -> Result<(), Error> {
        let mut batch = sled::Batch::default();
        for op in ops {
            match op {
                Op::Put(key, value) => batch.insert(key, value),
                Op::Remove(key) => batch.remove(key),
            }
        }
        self.write(|tree| {
            tree.apply_batch(batch)?;
            tree.flush()
        })?;
        self.sync()
    }

    /// Has it moved up to so many pages, through to the disk; says whether there was anything to move.
    pub(super) fn tidy_through(&self, pages: u32) -> Result<bool, Error> {
        let written = self.write(|tree| {
            // What was written before does not count.
            tree.flush()?;
            tidy(tree, pages)?;
            tree.flush()
        })?;
        self.sync()?;
        Ok(written > pages as usize * BYTES_A_VAIN_PAGE)
    }

    /// Writes. A panic is as final as an error: how far it got is not known.
    fn write<T>(&self, write: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, Error> {
        let tree = self.tree()?;
        match caught(|| write(tree)) {
            Ok(Ok(written)) => Ok(written),
            Ok(Err(sled::Error::Io(source))) => Err(Error::io("cannot write the store")(source)),
            Ok(Err(error)) => Err(unreadable(&self.folder, &error.to_string())),
            Err(said) => Err(unreadable(&self.folder, &said)),
        }
    }

    /// Has it move up to so many pages.
    pub(super) fn tidy(&self, pages: u32) -> Result<(), Error> {
        self.write(|tree| tidy(tree, pages))
    }

    fn sync(&self) -> Result<(), Error> {
        self.file
            .sync_data()
            .map_err(Error::io("cannot sync the store to disk"))
    }

    /// Syncs as the engine does when it is let go of.
    pub(super) fn sync_all(&self) -> Result<(), Error> {
        self.file
            .sync_all()
            .map_err(Error::io("cannot sync the store to disk"))
    }
}

/// Where [`tidy`] writes: beside the rows, so that nobody who reads those ever sees it.
const TIDY_TREE: &[u8] = b"tidy";
/// How often a page is written before the engine puts it together anew. It then moves one page that is in the way, which
/// it does at no other time, without a timer of its own that would sync beside ours.
const WRITES_A_MOVE: u32 = 11;
/// What so many writes take where there is nothing to move: measured 206 bytes, and more by half, since the numbers in it
/// grow longer with all that was ever written. A few small pages among many that had moved already are not noticed then.
const BYTES_A_VAIN_PAGE: usize = 309;

fn tidy(tree: &sled::Db, pages: u32) -> sled::Result<()> {
    let tidy = tree.open_tree(TIDY_TREE)?;
    for write in 0..pages * WRITES_A_MOVE {
        tidy.insert([], &write.to_be_bytes())?;
    }
    Ok(())
}

/// The engine syncs once more as it is let go of, and panics where the disk refuses, on whichever of its threads was the last
/// to use it. So where the disk refuses it is kept until the process ends. All that was acknowledged is on disk by then.
impl Drop for Sled {
    fn drop(&mut self) {
        let tree = self.tree.take();
        if let Err(error) = self.sync_all() {
            tracing::warn!(
                %error,
                "the store could not be closed as it should; nothing acknowledged is lost"
            );
            std::mem::forget(tree);
            return;
        }
        if let Err(said) = caught(|| drop(tree)) {
            tracing::error!(
                said,
                "the store could not be closed as it should; nothing acknowledged is lost"
            );
        }
    }
}

/// Waits until the engine has let go of the files in `folder`, whose handles are all dropped.
pub(in crate::store) fn wait_until_closed(folder: &Path) -> Result<(), Error> {
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
    fn where_the_disk_refuses_to_sync_the_engine_is_not_let_go_of() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FolderLock::take(folder.path()).unwrap();
        let mut engine = Sled::open(folder.path(), 8 << 20, lock).unwrap();
        engine.sync_all().unwrap();
        // It cannot be synced on any system.
        engine.file = File::open("/dev/null").unwrap();
        let said = engine.sync_all().unwrap_err().to_string();
        assert!(said.contains("cannot sync the store to disk"), "{said}");
        drop(engine);
        let file = File::open(folder.path().join("db")).unwrap();
        let locked = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
        assert!(locked.is_err(), "the engine was asked to sync once more");
    }

    #[test]
    fn a_panic_in_a_read_is_an_answer_and_what_lies_elsewhere_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FolderLock::take(folder.path()).unwrap();
        let engine = Sled::open(folder.path(), 8 << 20, lock).unwrap();
        let row = Op::Put(b"key".to_vec(), b"value".to_vec());
        engine.commit(vec![row]).unwrap();
        assert!(!engine.is_damaged());
        let read = engine.read(|_| -> sled::Result<()> { panic!("expected pid 7") });
        let said = read.unwrap_err().to_string();
        assert!(said.contains("expected pid 7"), "{said}");
        assert!(said.contains("beckon store restore"), "{said}");
        assert!(engine.is_damaged());
        assert_eq!(engine.get(b"key").unwrap().as_deref(), Some(&b"value"[..]));
        let cut = engine.read(|_| -> sled::Result<()> {
            Err(sled::Error::Io(ErrorKind::UnexpectedEof.into()))
        });
        let said = cut.unwrap_err().to_string();
        assert!(said.contains("beckon store restore"), "{said}");
    }
}
