//! The demo's folder: one for each user of the machine, used again at the next start.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Says that a demo made the folder.
const MARK: &str = "demo.json";

/// The folder of one demo.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Opens `folder`, or the one in the temporary directory; makes it where it is not there.
    pub(super) fn open(folder: Option<PathBuf>, fresh: bool) -> anyhow::Result<Self> {
        let uid = rustix::process::geteuid().as_raw();
        let path =
            folder.unwrap_or_else(|| std::env::temp_dir().join(format!("beckon-demo-{uid}")));
        let there = fs::symlink_metadata(&path).ok();
        if let Some(meta) = &there {
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
        if fresh && there.is_some() {
            fs::remove_dir_all(&path)
                .with_context(|| format!("cannot empty {}", path.display()))?;
        }
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        let it = Self(path);
        if !it.0.join(MARK).exists() {
            it.write(MARK, "{}")?;
        }
        Ok(it)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file whole, or not at all.
    pub(super) fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let (path, fresh) = (self.0.join(name), self.0.join(format!("{name}.new")));
        fs::write(&fresh, text)
            .and_then(|()| fs::rename(&fresh, &path))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// What was noted last.
    pub(super) fn noted<T: DeserializeOwned + Default + for<'a> Deserialize<'a>>(&self) -> T {
        let text = fs::read_to_string(self.0.join(MARK)).unwrap_or_default();
        // What an earlier version noted is no use to this one: the demo begins anew with what is missing.
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub(super) fn note<T: Serialize>(&self, value: &T) -> anyhow::Result<()> {
        self.write(MARK, &serde_json::to_string_pretty(value)?)?;
        Ok(())
    }
}
