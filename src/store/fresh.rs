//! A store in the making, in a folder within the data folder, which later takes the store's place.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Error, Options, Reader,
    engine::{self, Engine, Op},
    guard::{FolderLock, Head, HeadFile},
    space::Space,
    swap::{self, Swap},
    tidying::{self, TURN_PAGES, Tidying},
};
use crate::model::Timestamp;

/// Where it is made; nothing else is called so.
pub(super) const FOLDER: &str = "making";

/// Where the store goes whose place it takes, until that is gone; nothing else is called so.
const REPLACED: &str = "replaced";

/// Removes what a process left behind that was killed with a store in the making. A swap that it had begun is finished.
pub(super) fn remove_left(folder: &Path) -> Result<(), Error> {
    remove(&folder.join(FOLDER))?;
    remove(&folder.join(REPLACED))?;
    swap::remove_left(folder)
}

/// It is gone when this is dropped before [`Fresh::take_over`].
pub(super) struct Fresh {
    data: PathBuf,
    reader: Option<Reader>,
    space: Space,
    tidying: Tidying,
}

impl Fresh {
    /// Begins, within the data folder that the caller has locked.
    pub(super) fn begin(options: &Options) -> Result<Self, Error> {
        let folder = options.folder.join(FOLDER);
        remove(&folder)?;
        let opened = swap::make(&folder)
            .and_then(|()| FolderLock::take(&folder))
            .and_then(|lock| Engine::open(&folder, options.cache_bytes, lock));
        let engine = opened.inspect_err(|_| {
            // It says more than that the folder stays behind, which the next attempt removes.
            let _ = remove(&folder);
        })?;
        Ok(Self {
            data: options.folder.clone(),
            reader: Some(Reader::over(Arc::new(engine))),
            space: Space::new(Some(options.folder.clone()), options.min_free_bytes),
            tidying: Tidying::default(),
        })
    }

    /// Writes rows, and waits for the disk.
    pub(super) fn load(&mut self, ops: Vec<Op>) -> Result<(), Error> {
        let bytes = ops.iter().map(Op::bytes).sum();
        self.space.look();
        if !self.space.room(bytes).0 {
            return Err(Error::NoRoomForCopy(self.data.clone()));
        }
        self.write(ops, bytes)
    }

    /// The same on a disk that is nearly full, of which it may take all but what the store itself needs.
    pub(super) fn load_beside(&mut self, ops: Vec<Op>) -> Result<(), Error> {
        let bytes = ops.iter().map(Op::bytes).sum();
        self.space.look();
        if self.space.room_for_copy() < 2 * bytes {
            return Err(Error::NoRoomForCopy(self.data.clone()));
        }
        self.write(ops, bytes)
    }

    fn write(&mut self, ops: Vec<Op>, bytes: u64) -> Result<(), Error> {
        let engine = &self.reader.as_ref().ok_or(Error::Closed)?.engine;
        engine.commit(ops)?;
        for _ in 0..self.tidying.turns_of_copying(bytes) {
            engine.tidy(TURN_PAGES)?;
        }
        Ok(())
    }

    /// Makes it as small as it can be.
    pub(super) fn tidy_up(&self) -> Result<(), Error> {
        tidying::tidy_up(&self.reader()?.engine)
    }

    /// What is there so far.
    pub(super) fn reader(&self) -> Result<&Reader, Error> {
        self.reader.as_ref().ok_or(Error::Closed)
    }

    /// Takes the place of the store in the data folder, whose files nobody has open any more; they go to a folder that
    /// is named for why and when. Gives that folder, unless nothing was there to keep.
    pub(super) fn take_over(
        mut self,
        head: Head,
        (why, now): (&str, Timestamp),
    ) -> Result<Option<PathBuf>, Error> {
        let fresh = self.data.join(FOLDER);
        self.reader()?.engine.sync_all()?;
        HeadFile::new(&fresh).write(head)?;
        // The engine is asked to end before anybody moves its files.
        self.reader = None;
        engine::wait_until_closed(&fresh)?;
        if self.data.join("db").exists() {
            engine::wait_until_closed(&self.data)?;
        }
        let swap = Swap {
            fresh: FOLDER.to_owned(),
            kept: swap::unused(&self.data, &format!("before-{why}-{}", plain(now))),
        };
        swap::run(&self.data, &swap)?;
        let kept = self.data.join(&swap.kept);
        // It can be removed only where it is empty.
        Ok(fs::remove_dir(&kept).is_err().then_some(kept))
    }

    /// Takes the place of the store in the data folder, which is open and has the same rows; it goes with the last who
    /// reads in it.
    ///
    /// # Errors
    /// What comes of them shows only at the next start: nobody may go on writing.
    pub(super) fn take_over_open(mut self, head: Head, open: &Engine) -> Result<(), Error> {
        HeadFile::new(&self.data.join(FOLDER)).write(head)?;
        let engine = self.reader.take().map(|reader| reader.engine);
        let mut engine = engine.and_then(Arc::into_inner).ok_or(Error::Closed)?;
        open.ready(&mut engine)?;
        let swap = Swap {
            fresh: FOLDER.to_owned(),
            kept: REPLACED.to_owned(),
        };
        swap::run(&self.data, &swap)?;
        open.give_way(engine);
        remove(&self.data.join(REPLACED))
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        self.reader = None;
        // Where a swap was begun it is the store that is to come, and has been moved or will be.
        if !swap::is_begun(&self.data)
            && let Err(error) = remove(&self.data.join(FOLDER))
        {
            tracing::warn!(%error, "a store that was not finished stays behind; the next attempt removes it");
        }
    }
}

/// Removes a folder, if it is there.
pub(super) fn remove(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(format!(
            "cannot remove {}",
            folder.display()
        ))(error)),
        _ => Ok(()),
    }
}

/// A moment as a name of a file: without what some systems do not take.
fn plain(now: Timestamp) -> String {
    let text = now.to_string();
    let seconds = text.split('.').next().unwrap_or(&text);
    let seconds = seconds.strip_suffix('Z').unwrap_or(seconds);
    format!("{}Z", seconds.replace(':', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_folder_is_named_for_its_time_and_never_for_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let name = format!(
            "before-x-{}",
            plain(Timestamp::from_millis(1_800_000_000_123))
        );
        assert_eq!(name, "before-x-2027-01-15T08-00-00Z");
        assert_eq!(swap::unused(folder.path(), &name), name);
        fs::create_dir(folder.path().join(&name)).unwrap();
        assert_eq!(swap::unused(folder.path(), &name), format!("{name}-2"));
    }
}
