//! What can go wrong with the store.

use std::{io, path::PathBuf};

/// Why a question or a unit of work was not answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Someone else changed the same user meanwhile: plan again.
    #[error("the user was changed meanwhile")]
    Conflict,
    /// The disk is nearly full; writing resumes by itself when there is room again.
    #[error("the disk is nearly full")]
    Full,
    /// The disk has no room for a store in the making beside the one that is there.
    #[error(
        "the disk of {0} has no room for a copy of the store and store.min_free_bytes beside it; make room there, or for this once lower store.min_free_bytes. The store is as it was"
    )]
    NoRoomForCopy(PathBuf),
    /// The store has stopped: it is closing, or a write failed and nothing more is risked.
    #[error("the store has stopped")]
    Closed,
    /// A row cannot be read.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// A part of the file cannot be read, whatever lies there.
    #[error("the store is damaged: {0}")]
    Unreadable(String),
    /// Rows disagree, so that a copy of them is no whole one.
    #[error(
        "the store is damaged: {count} rows disagree or cannot be read, the first is of {first}. It is left as it was. `beckon store verify` names them; put back the last backup with `beckon store restore FILE --force`, or keep what is left with `beckon store backup FILE --damaged` and restore that"
    )]
    Disagrees {
        /// How many.
        count: usize,
        /// The first of them, in words.
        first: String,
    },
    /// Another process holds the folder.
    #[error(
        "the data folder {0} is in use by another process; stop it first, or talk to the running hub with the commands of `beckon --help`"
    )]
    InUse(PathBuf),
    /// The folder holds other things than a store.
    #[error(
        "the folder {0} holds no store, and is not empty: it is left as it is; name an empty folder, or one that is not there yet"
    )]
    NotAStore(PathBuf),
    /// The folder was written by a later version.
    #[error("the data folder is of format {found}, this version knows {known}; use a later beckon")]
    TooNew {
        /// What the folder says.
        found: u32,
        /// What we know.
        known: u32,
    },
    /// The store's end was cut off behind our back.
    #[error(
        "the store in {folder} has lost {missing} commits that were already on disk (cut off, or an old copy); put back the last backup with `beckon store restore FILE --force`, or start once with `beckon serve --accept-loss` to go on without them"
    )]
    Lost {
        /// Where.
        folder: PathBuf,
        /// How many.
        missing: u64,
    },
    /// The file that would tell whether the store's end was cut off is missing or damaged.
    #[error(
        "the file `head` in {folder} is missing or damaged, so nobody can tell whether the store beside it is whole; put back the last backup with `beckon store restore FILE --force`, or start once with `beckon serve --accept-loss` to go on with what is there"
    )]
    NoHead {
        /// Where.
        folder: PathBuf,
    },
    /// A backup is under way already.
    #[error("a backup is under way already; wait until it has ended")]
    BackingUp,
    /// A backup cannot be used.
    #[error("the backup {file} {fault}; nothing was changed")]
    Backup {
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// There is a store already where one is to be put.
    #[error(
        "the folder {0} holds a store already; add --force to put the backup in its place (the store is kept aside), or name another folder with --data"
    )]
    NotEmpty(PathBuf),
    /// The disk does not do what was asked.
    #[error("{context}: {source}")]
    Io {
        /// What was tried.
        context: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// Whether something that was kept cannot be read any more.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupt(_) | Self::Unreadable(_))
    }

    /// Whether it is the want of room, which passes.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full)
    }

    pub(super) fn io(context: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let context = context.into();
        move |source| Self::Io { context, source }
    }
}
