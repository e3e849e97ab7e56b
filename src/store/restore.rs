//! Puts a backup back: into a folder of its own first, which takes the store's place once it is whole.

use std::{
    ops::{Bound, ControlFlow},
    path::{Path, PathBuf},
};

use super::{
    Error, Options, Reader, Store,
    backup::{self, Frame},
    engine::{Op, Order},
    fresh::{self, Fresh},
    guard::{self, FolderLock, Head},
    identity,
    keys::{self, ExpiryKind},
    revived::Revived,
    swap,
};
use crate::model::Timestamp;

/// How many rows are written at once.
const GROUP: usize = 2000;

/// What is to be put back, and how.
#[derive(Debug, Clone)]
pub struct Restore {
    /// The backup.
    pub file: PathBuf,
    /// The store's place.
    pub into: Options,
    /// Whether a store that is there gives way.
    pub force: bool,
    /// Whether all tokens end.
    pub new_secrets: bool,
    /// What time it is.
    pub now: Timestamp,
}

/// What was put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// When the backup was taken.
    pub taken: Timestamp,
    /// How many rows the store has now.
    pub rows: u64,
    /// Where the store that was there is kept.
    pub kept: Option<PathBuf>,
    /// What is back that had ended since; unknown, where no store was there or it could not be read.
    pub revived: Option<Revived>,
    /// How many rows disagree, as they did when the backup was taken.
    pub findings: usize,
}

/// The store that is to give way.
enum Old {
    Nothing,
    Empty,
    Readable(Store),
    Unreadable,
}

/// Puts a backup in a store's place. Nothing is changed unless all of it can be read; `progress` hears how many rows
/// were written.
///
/// The store gets an epoch of its own: every cursor that was handed out before is too old, since a cursor does not say
/// whether it is of before the backup or of the life that is given up.
///
/// # Errors
/// `InUse` while a hub runs; `NotEmpty` where there is a store and no force; `Backup` where the file is cut off, damaged
/// or of a later version, or its store is; `NoRoomForCopy`, `Io`.
pub fn restore(asked: &Restore, progress: &mut dyn FnMut(u64)) -> Result<Restored, Error> {
    // All of it is looked at before anything is touched.
    let contents = backup::check(&asked.file, &mut |_| {})?;
    guard::make_folder(&asked.into.folder)?;
    let lock = FolderLock::take(&asked.into.folder)?;
    match swap::finish(&asked.into.folder) {
        // It is written anew when the restored store takes its place; until then no start takes the folder for a new one.
        Err(error @ Error::Corrupt(_)) if asked.force => {
            let aside = swap::set_aside(&asked.into.folder, fresh::FOLDER)?;
            tracing::warn!(%error, aside, "going on without it");
        }
        finished => finished?,
    }
    let old = Old::open(&asked.into, &lock)?;
    if !asked.force && matches!(old, Old::Readable(_) | Old::Unreadable) {
        return Err(Error::NotEmpty(asked.into.folder.clone()));
    }
    let Made {
        making,
        head,
        findings,
        rows,
    } = make(asked, progress).map_err(|error| of_the_backup(error, &asked.file))?;
    let revived = match &old {
        // What is damaged on either side must not keep what can be read from being put back.
        Old::Readable(store) => Revived::of(making.reader()?, store.reader(), asked.now)
            .inspect_err(|error| tracing::warn!(%error, "what is back cannot be told"))
            .ok(),
        _ => None,
    };
    let was_empty = matches!(old, Old::Empty);
    old.close();
    let mut kept = making.take_over(head, ("restore", asked.now))?;
    if let Some(folder) = kept.take_if(|_| was_empty) {
        fresh::remove(&folder)?;
    }
    Ok(Restored {
        taken: contents.taken,
        rows,
        kept,
        revived,
        findings,
    })
}

impl Old {
    fn open(options: &Options, lock: &FolderLock) -> Result<Self, Error> {
        if !super::exists(&options.folder) {
            return Ok(Self::Nothing);
        }
        let opened = Store::open_holding(options, lock.again()?);
        match opened {
            // Where that cannot be read, there is something.
            Ok(store) if matches!(store.reader().holds_nothing(), Ok(true)) => {
                store.close();
                Ok(Self::Empty)
            }
            Ok(store) => Ok(Self::Readable(store)),
            Err(error @ Error::InUse(_)) => Err(error),
            Err(error) => {
                tracing::warn!(%error, "the store that is to give way cannot be read");
                Ok(Self::Unreadable)
            }
        }
    }

    fn close(self) {
        if let Self::Readable(store) = self {
            store.close();
        }
    }
}

/// The store that is to come, and how many rows of it there are and disagree.
struct Made {
    making: Fresh,
    head: Head,
    findings: usize,
    rows: u64,
}

fn make(asked: &Restore, progress: &mut dyn FnMut(u64)) -> Result<Made, Error> {
    let mut making = Fresh::begin(&asked.into)?;
    let mut written = 0;
    fill(&asked.file, &mut making, &mut |rows| {
        written += rows;
        progress(written);
    })?;
    if asked.new_secrets {
        end_tokens(&mut making)?;
    }
    let head = renew(&mut making, asked.new_secrets)?;
    identity::upgrade(&making.reader()?.engine, None)?;
    making.tidy_up()?;
    let reader = making.reader()?;
    let (findings, rows) = (reader.verify()?.len(), reader.count_rows()?);
    Ok(Made {
        making,
        head,
        findings,
        rows,
    })
}

/// What cannot be read in the making was damaged when the backup was taken.
fn of_the_backup(error: Error, file: &Path) -> Error {
    match error {
        Error::Corrupt(what) => Error::Backup {
            file: file.to_owned(),
            fault: format!("is of a damaged store: {what}; put an earlier one back"),
        },
        other => other,
    }
}

/// First all rows, then all changes.
fn fill(file: &Path, fresh: &mut Fresh, written: &mut dyn FnMut(u64)) -> Result<(), Error> {
    for wants_changes in [false, true] {
        let (_, mut decoder) = backup::decoder(file)?;
        let mut group = Vec::new();
        loop {
            let ops = match decoder
                .next()
                .map_err(|fault| backup::broken(file, &fault))?
            {
                Frame::Rows(rows) if !wants_changes => rows,
                Frame::Changes(changes) if wants_changes => changes,
                Frame::End(..) => break,
                _ => continue,
            };
            group.extend(ops);
            if group.len() >= GROUP {
                written(group.len() as u64);
                fresh.load(std::mem::take(&mut group))?;
            }
        }
        written(group.len() as u64);
        fresh.load(group)?;
    }
    Ok(())
}

/// Takes away every user token.
fn end_tokens(fresh: &mut Fresh) -> Result<(), Error> {
    let mut ended = Vec::new();
    let reader = fresh.reader()?;
    for prefix in [b'o', b'q', b'x'] {
        let found = reader.collect(&[prefix], |key, _| {
            let expires = prefix == b'x' && keys::expiry_parts(key)?.1 != ExpiryKind::Token;
            Ok((!expires).then(|| Op::Remove(key.to_vec())))
        })?;
        ended.extend(found.into_iter().flatten());
    }
    ended
        .chunks(GROUP)
        .try_for_each(|group| fresh.load(group.to_vec()))
}

/// Begins a new epoch, and where all tokens end, with a new secret: cursors and access tokens are signed with it.
fn renew(fresh: &mut Fresh, new_secrets: bool) -> Result<Head, Error> {
    let (epoch, commits, secret) = identity::known(&fresh.reader()?.engine)?;
    let secret = if new_secrets { rand::random() } else { secret };
    let head = Head {
        epoch: identity::epoch_after(epoch),
        commits: commits + 1,
    };
    fresh.load(identity::rows(head, &secret))?;
    Ok(head)
}

impl Reader {
    /// Whether there is nothing but what a store knows about itself.
    fn holds_nothing(&self) -> Result<bool, Error> {
        let mut nothing = true;
        let all = (Bound::Unbounded, Bound::Unbounded);
        self.engine
            .scan(all.0, all.1, Order::Ascending, &mut |key, _| {
                nothing = key.starts_with(b"M");
                Ok(if nothing {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                })
            })?;
        Ok(nothing)
    }

    fn count_rows(&self) -> Result<u64, Error> {
        let mut rows = 0;
        let all = (Bound::Unbounded, Bound::Unbounded);
        self.engine
            .scan(all.0, all.1, Order::Ascending, &mut |_, _| {
                rows += 1;
                Ok(ControlFlow::Continue(()))
            })?;
        Ok(rows)
    }
}
