//! The demo's folder: one for each user of the machine, used again at the next start.

use std::{
    fs::{self, File},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use rustix::{fs::FlockOperation, io::Errno};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Says that a demo made the folder.
const MARK: &str = "demo.json";

/// The folder of one demo, which no other demo uses meanwhile.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Holds the folder's lock.
    _lock: File,
}

impl Folder {
    /// Opens `folder`, or the one in the temporary directory; makes it where it is not there. With `fresh`, what lies
    /// in it goes, once it is known that no other demo lives there.
    pub(super) fn open(folder: Option<PathBuf>, fresh: bool) -> anyhow::Result<Self> {
        let uid = rustix::process::geteuid().as_raw();
        let path =
            folder.unwrap_or_else(|| std::env::temp_dir().join(format!("beckon-demo-{uid}")));
        if let Ok(meta) = fs::symlink_metadata(&path) {
            anyhow::ensure!(
                meta.is_dir() && meta.uid() == uid,
                "{} is not a folder of yours; name another with --data",
                path.display()
            );
            let is_empty = fs::read_dir(&path)?.next().is_none();
            anyhow::ensure!(
                is_empty || path.join(MARK).exists(),
                "{} was not made by a demo and is left alone; name another folder with --data",
                path.display()
            );
        }
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        let lock = lock(&path)?;
        if fresh {
            empty(&path).with_context(|| format!("cannot empty {}", path.display()))?;
        }
        let it = Self { path, _lock: lock };
        if !it.path.join(MARK).exists() {
            it.write(MARK, "{}")?;
        }
        Ok(it)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file whole, or not at all.
    pub(super) fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let (path, fresh) = (self.path.join(name), self.path.join(format!("{name}.new")));
        fs::write(&fresh, text)
            .and_then(|()| fs::rename(&fresh, &path))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// What was noted last.
    pub(super) fn noted<T: DeserializeOwned + Default + for<'a> Deserialize<'a>>(&self) -> T {
        let text = fs::read_to_string(self.path.join(MARK)).unwrap_or_default();
        // What an earlier version noted is no use to this one: the demo begins anew with what is missing.
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub(super) fn note<T: Serialize>(&self, value: &T) -> anyhow::Result<()> {
        self.write(MARK, &serde_json::to_string_pretty(value)?)?;
        Ok(())
    }
}

/// Takes the folder for this demo, until the file is let go of.
fn lock(path: &Path) -> anyhow::Result<File> {
    let opened = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    match rustix::fs::flock(&opened, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(opened),
        Err(Errno::WOULDBLOCK) => anyhow::bail!(
            "a demo runs in {}; stop it first, or name another folder with --data",
            path.display()
        ),
        Err(error) => {
            Err(error).with_context(|| format!("cannot take {} for this demo", path.display()))
        }
    }
}

/// Removes what lies in the folder, the mark last: what is left half empty is still a demo's.
fn empty(path: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else if entry.file_name() != MARK {
            fs::remove_file(entry.path())?;
        }
    }
    match fs::remove_file(path.join(MARK)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
