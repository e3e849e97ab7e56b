//! What keeps the folder safe: who may open it, and the `head` file that notices when the store's end was cut off.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{fs::FlockOperation, io::Errno};

use super::{Error, keys};

/// Makes the folder, for its owner alone; one that is there is closed to others.
pub(super) fn make_folder(folder: &Path) -> Result<(), Error> {
    if folder.is_dir() {
        if is_anothers(folder)? {
            return Err(Error::NotAStore(folder.to_owned()));
        }
        // Also where the operator made it: what lies in it is not for others.
        return close(folder, 0o700);
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(Error::io(format!(
            "cannot make the data folder {}",
            folder.display()
        )))?;
    let parent = folder
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    sync_folder(parent.unwrap_or(Path::new(".")))
}

/// Whether the folder holds something, and no store: it was named by mistake, and is not to be closed to anyone. What a
/// file system leaves does not count.
fn is_anothers(folder: &Path) -> Result<bool, Error> {
    // A swap that a kill broke off has a journal, and perhaps no store.
    let is_ours = |name: &str| folder.join(name).is_file();
    if ["db", "conf", "head", "swap"].into_iter().any(is_ours) || folder.join("making").is_dir() {
        return Ok(false);
    }
    let cannot = || Error::io(format!("cannot read the folder {}", folder.display()));
    for entry in fs::read_dir(folder).map_err(cannot())? {
        if entry.map_err(cannot())?.file_name() != "lost+found" {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Refuses a folder that has lost its `db`: a `head` is written only beside one.
pub(super) fn must_be_whole(folder: &Path) -> Result<(), Error> {
    if folder.join("head").exists() && !folder.join("db").exists() {
        return Err(Error::Corrupt(format!(
            "the file `db` in {} is gone; put it where it was, or put back the last backup with `beckon store restore FILE --force`, which keeps this folder's files aside",
            folder.display()
        )));
    }
    Ok(())
}

/// Closes what the store keeps in the folder to others, whatever the process makes its files with. What else lies there
/// is not the store's to close.
pub(super) fn close_files(folder: &Path) -> Result<(), Error> {
    let cannot = || Error::io(format!("cannot read the folder {}", folder.display()));
    for entry in fs::read_dir(folder).map_err(cannot())? {
        let entry = entry.map_err(cannot())?;
        match entry.file_name().to_str() {
            Some("db" | "conf" | "head") => close(&entry.path(), 0o600)?,
            Some("blobs") => close(&entry.path(), 0o700)?,
            Some(name) if name.starts_with("snap.") => close(&entry.path(), 0o600)?,
            _ => {}
        }
    }
    Ok(())
}

/// Takes from everybody but the owner what they may do there.
fn close(path: &Path, mode: u32) -> Result<(), Error> {
    let closed = fs::metadata(path).and_then(|found| {
        if found.permissions().mode() & 0o077 == 0 {
            return Ok(());
        }
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    });
    closed.map_err(Error::io(format!(
        "cannot close {} to others",
        path.display()
    )))
}

/// A folder that no other process uses meanwhile. Clones hold the same lock; it ends with the last of them.
#[derive(Debug)]
pub(super) struct FolderLock(File);

impl FolderLock {
    /// Takes a folder for this process.
    ///
    /// # Errors
    /// `InUse` where another has it.
    pub(super) fn take(folder: &Path) -> Result<Self, Error> {
        let opened = File::open(folder).map_err(Error::io(format!(
            "cannot open the folder {}",
            folder.display()
        )))?;
        match rustix::fs::flock(&opened, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self(opened)),
            Err(Errno::WOULDBLOCK) => Err(Error::InUse(folder.to_owned())),
            Err(error) => Err(Error::io(format!(
                "cannot lock the folder {}",
                folder.display()
            ))(error.into())),
        }
    }

    /// The same lock, held once more.
    pub(super) fn again(&self) -> Result<Self, Error> {
        let clone = self.0.try_clone();
        clone.map(Self).map_err(Error::io("cannot hold the folder"))
    }
}

/// Waits until the disk holds the names of a folder's files.
pub(super) fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(Error::io(format!(
            "cannot sync the folder {}",
            folder.display()
        )))
}

/// What the `head` file says: the store's epoch, and a number of commits that it must hold at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) epoch: u64,
    pub(super) commits: u64,
}

/// The `head` file beside the store.
#[derive(Debug)]
pub(super) struct HeadFile {
    path: PathBuf,
    /// What was written last, and when.
    written: Option<(Instant, Head)>,
}

impl HeadFile {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            path: folder.join("head"),
            written: None,
        }
    }

    /// Reads it; none where there is none, or where it was damaged itself.
    pub(super) fn read(&self) -> Result<Option<Head>, Error> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("cannot read the head file")(error)),
        };
        let Some((body, sum)) = bytes.split_last_chunk::<8>() else {
            return Ok(None);
        };
        if body.len() != 16 || keys::sha256(&[body])[..8] != sum[..] {
            return Ok(None);
        }
        Ok(Some(Head {
            epoch: keys::u64_at(body, 0)?,
            commits: keys::u64_at(body, 8)?,
        }))
    }

    /// Writes it if it says something else, and the last time is a second ago.
    pub(super) fn write_sometimes(&mut self, head: Head) -> Result<(), Error> {
        let fresh = |(at, written): (Instant, Head)| {
            written == head || at.elapsed() < Duration::from_secs(1)
        };
        if self.written.is_some_and(fresh) {
            return Ok(());
        }
        match self.write(head) {
            // Written late is as good: it only says how much there must be at the least.
            Err(Error::Io { source, .. }) if may_pass(&source) => {
                tracing::warn!(%source, "the head file is written later; make room on the disk, or raise the limit of open files");
                self.written = self.written.map(|(_, head)| (Instant::now(), head));
                Ok(())
            }
            other => other,
        }
    }

    /// Writes it, through to the disk.
    pub(super) fn write(&mut self, head: Head) -> Result<(), Error> {
        let mut bytes = [head.epoch.to_be_bytes(), head.commits.to_be_bytes()].concat();
        let sum = keys::sha256(&[&bytes]);
        bytes.extend_from_slice(&sum[..8]);
        let fresh = self.path.with_extension("new");
        write_synced(&fresh, &bytes)
            .and_then(|()| fs::rename(&fresh, &self.path))
            .map_err(Error::io("cannot write the head file"))?;
        self.written = Some((Instant::now(), head));
        Ok(())
    }
}

/// Whether too many files are open, in the process or on the machine, or the disk is full.
fn may_pass(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_io_error(error);
    errno.is_some_and(|it| [Errno::MFILE, Errno::NFILE, Errno::NOSPC, Errno::DQUOT].contains(&it))
}

/// Writes a small file, through to the disk.
pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file: File = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_data()
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
