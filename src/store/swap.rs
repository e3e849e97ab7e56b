//! Puts a store that was made in a folder within the data folder in the place of the one there, which is kept in another
//! one. The data folder itself stays: it may be a mount, and its parent may be closed to us.
//!
//! Several files have to move, so a crash may come between. A small file says how far it is; [`finish`] goes on from
//! there, at the next start if need be: first everything old goes away, then everything new comes in. Whoever calls
//! holds the folder's lock.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use super::{Error, guard};

const JOURNAL: &str = "swap";
/// The same, until it is whole.
const HALF_WRITTEN: &str = "swap.new";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// What lies in the folder is old and goes to the kept one.
    Away,
    /// What lies in the fresh one is new and comes into the folder.
    In,
}

/// What is swapped, by the names of folders within the data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Swap {
    pub(super) fresh: String,
    pub(super) kept: String,
}

/// Swaps. The fresh store is whole and on disk, and nobody has either open.
pub(super) fn run(folder: &Path, swap: &Swap) -> Result<(), Error> {
    note(folder, Stage::Away, swap)?;
    finish(folder)
}

/// Finishes a swap that was begun, if one was.
pub(super) fn finish(folder: &Path) -> Result<(), Error> {
    let Some((stage, swap)) = noted(folder)? else {
        return Ok(());
    };
    let (fresh, kept) = (folder.join(&swap.fresh), folder.join(&swap.kept));
    if stage == Stage::Away {
        make(&kept)?;
        move_all(folder, &kept)?;
        note(folder, Stage::In, &swap)?;
    }
    // It went away with the last of its files if the crash came after that.
    if fresh.is_dir() {
        move_all(&fresh, folder)?;
    }
    let gone = |path: PathBuf, removed: io::Result<()>| match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(format!(
            "cannot remove {}",
            path.display()
        ))(error)),
        _ => Ok(()),
    };
    gone(fresh.clone(), fs::remove_dir_all(&fresh))?;
    let journal = folder.join(JOURNAL);
    gone(journal.clone(), fs::remove_file(&journal))?;
    guard::sync_folder(folder)
}

/// Removes what is left of noting a swap that was then not begun.
pub(super) fn remove_left(folder: &Path) -> Result<(), Error> {
    match fs::remove_file(folder.join(HALF_WRITTEN)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(format!(
            "cannot remove {}",
            folder.join(HALF_WRITTEN).display()
        ))(error)),
        _ => Ok(()),
    }
}

/// Whether a swap was begun and not finished.
pub(super) fn is_begun(folder: &Path) -> bool {
    folder.join(JOURNAL).exists()
}

/// Makes a folder for its owner alone, unless it is there.
pub(super) fn make(folder: &Path) -> Result<(), Error> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(Error::io(format!(
            "cannot make the folder {}",
            folder.display()
        ))(error)),
        _ => Ok(()),
    }
}

/// Whether a file of this name belongs to a store.
pub(super) fn is_store_file(name: &str) -> bool {
    matches!(name, "db" | "conf" | "blobs" | "head") || name.starts_with("snap.")
}

fn move_all(from: &Path, to: &Path) -> Result<(), Error> {
    let failed = || format!("cannot move the store's files from {}", from.display());
    for entry in fs::read_dir(from).map_err(Error::io(failed()))? {
        let name = entry.map_err(Error::io(failed()))?.file_name();
        if name.to_str().is_some_and(is_store_file) {
            fs::rename(from.join(&name), to.join(&name)).map_err(Error::io(failed()))?;
        }
    }
    guard::sync_folder(to)?;
    guard::sync_folder(from)
}

fn note(folder: &Path, stage: Stage, swap: &Swap) -> Result<(), Error> {
    let stage = match stage {
        Stage::Away => "away",
        Stage::In => "in",
    };
    let text = format!("{stage}\n{}\n{}\n", swap.fresh, swap.kept);
    let fresh = folder.join(HALF_WRITTEN);
    guard::write_synced(&fresh, text.as_bytes())
        .and_then(|()| fs::rename(&fresh, folder.join(JOURNAL)))
        .map_err(Error::io("cannot note how far the store was moved"))?;
    guard::sync_folder(folder)
}

/// Sets a store aside that was to come in, if one lies there, where nobody can tell any more whether it did. Gives the
/// name that it has now.
pub(super) fn set_aside(folder: &Path, fresh: &str) -> Result<Option<String>, Error> {
    let aside = unused(folder, &format!("{fresh}-before"));
    match fs::rename(folder.join(fresh), folder.join(&aside)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(format!("cannot set `{fresh}` aside"))(error)),
        Ok(()) => guard::sync_folder(folder).map(|()| Some(aside)),
    }
}

/// The name, or the first numbered one that nothing has yet.
pub(super) fn unused(folder: &Path, name: &str) -> String {
    let numbered = (2..).map(|nth| format!("{name}-{nth}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    names
        .find(|name| !folder.join(name).exists())
        .unwrap_or_else(|| name.to_owned())
}

fn noted(folder: &Path) -> Result<Option<(Stage, Swap)>, Error> {
    let text = match fs::read(folder.join(JOURNAL)) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("cannot read how far the store was moved")(error)),
    };
    let damaged = || {
        Error::Corrupt(format!(
            "the file `{JOURNAL}` in {}, which says how far a store was being put in the place of another one, cannot be read; put back the last backup with `beckon store restore FILE --force`, which keeps aside all that lies there",
            folder.display()
        ))
    };
    let mut lines = text.lines();
    let stage = match lines.next() {
        Some("away") => Stage::Away,
        Some("in") => Stage::In,
        _ => return Err(damaged()),
    };
    // A name, not a path: nothing outside the folder is touched, whoever wrote this.
    let mut name = || {
        let line = lines.next().filter(|name| !name.is_empty())?;
        (!line.contains('/') && line != "." && line != "..").then(|| line.to_owned())
    };
    match (name(), name()) {
        (Some(fresh), Some(kept)) => Ok(Some((stage, Swap { fresh, kept }))),
        _ => Err(damaged()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [&str; 4] = ["db", "conf", "head", "snap.1"];

    fn swap() -> Swap {
        Swap {
            fresh: "restoring".into(),
            kept: "before".into(),
        }
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("restoring")).unwrap();
        for name in FILES {
            fs::write(folder.path().join(name), "old").unwrap();
        }
        for name in ["db", "conf", "head", "snap.2"] {
            fs::write(folder.path().join("restoring").join(name), "new").unwrap();
        }
        fs::write(folder.path().join("notes.txt"), "the operator's").unwrap();
        folder
    }

    #[track_caller]
    fn is_swapped(folder: &Path) {
        let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
        for name in ["db", "conf", "head", "snap.2"] {
            assert_eq!(read(name).as_deref(), Some("new"), "{name}");
        }
        for name in FILES {
            let kept = read(&format!("before/{name}"));
            assert_eq!(kept.as_deref(), Some("old"), "{name}");
        }
        assert_eq!(read("snap.1"), None);
        assert_eq!(read("notes.txt").as_deref(), Some("the operator's"));
        assert!(!folder.join("restoring").exists() && !folder.join(JOURNAL).exists());
    }

    #[test]
    fn the_new_comes_in_and_the_old_is_kept() {
        let folder = folder();
        run(folder.path(), &swap()).unwrap();
        is_swapped(folder.path());
        finish(folder.path()).unwrap();
        is_swapped(folder.path());
    }

    /// As many files as a crash let move, in either stage: the next start does the rest.
    #[test]
    fn a_crash_at_any_moment_is_gone_on_from() {
        for moved in 0..=FILES.len() {
            let folder = folder();
            note(folder.path(), Stage::Away, &swap()).unwrap();
            make(&folder.path().join("before")).unwrap();
            for name in &FILES[..moved] {
                let to = folder.path().join("before").join(name);
                fs::rename(folder.path().join(name), to).unwrap();
            }
            finish(folder.path()).unwrap();
            is_swapped(folder.path());
        }
        for moved in 0..=4 {
            let folder = folder();
            let before = folder.path().join("before");
            make(&before).unwrap();
            move_all(folder.path(), &before).unwrap();
            note(folder.path(), Stage::In, &swap()).unwrap();
            for name in &["db", "conf", "head", "snap.2"][..moved] {
                let from = folder.path().join("restoring").join(name);
                fs::rename(from, folder.path().join(name)).unwrap();
            }
            if moved == 4 {
                fs::remove_dir(folder.path().join("restoring")).unwrap();
            }
            finish(folder.path()).unwrap();
            is_swapped(folder.path());
        }
    }

    #[test]
    fn a_journal_that_names_another_place_is_refused() {
        let folder = folder();
        for text in [
            &b""[..],
            b"away\n../x\nbefore\n",
            b"in\nrestoring\n..\n",
            b"x\na\nb\n",
            b"\xff\n",
        ] {
            fs::write(folder.path().join(JOURNAL), text).unwrap();
            let said = finish(folder.path()).unwrap_err().to_string();
            assert!(said.contains("beckon store restore FILE --force"), "{said}");
        }
        assert_eq!(fs::read_to_string(folder.path().join("db")).unwrap(), "old");
    }
}
