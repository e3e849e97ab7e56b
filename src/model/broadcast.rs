//! One notification to many people of an app, as a job that the hub works off person by person.

use std::time::Duration;

use super::{AppHost, BroadcastId, Draft, Timestamp, UserId};

/// Whom a broadcast is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// These people, each once; never empty.
    Named(Vec<UserId>),
    /// Everyone whom the app has at the time of the posting.
    All,
}

/// A person as a broadcast's list names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// By the app's own id. Someone of whom nothing is kept yet begins to exist.
    Named(UserId),
    /// Someone who was there at the posting, by a hash of their id. Who is gone since is passed over.
    Known([u8; 16]),
}

/// How far a broadcast is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BroadcastStatus {
    /// Its list is being written, and nothing is promised yet.
    Accepting,
    /// On its way.
    Running,
    /// Everyone on the list was looked at.
    Completed,
    /// The app took it back before that.
    Cancelled,
}

impl BroadcastStatus {
    /// Those that are seen.
    pub const SEEN: [Self; 3] = [Self::Running, Self::Completed, Self::Cancelled];

    /// The name as the contract writes it; one that is still being accepted is seen by nobody.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepting | Self::Running => "running",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether there is something left to do.
    pub fn is_unfinished(self) -> bool {
        matches!(self, Self::Accepting | Self::Running)
    }
}

/// A place in a broadcast's list, which is kept in rows of some hundred people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListPlace {
    /// The row, counted from 0.
    pub row: u32,
    /// The person within the row, counted from 0.
    pub at: u32,
}

/// A broadcast, with its content, and without its list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broadcast {
    /// Its id.
    pub id: BroadcastId,
    /// Whose it is.
    pub app: AppHost,
    /// What everyone gets.
    pub draft: Draft,
    /// How far it is.
    pub status: BroadcastStatus,
    /// How many people the list names.
    pub accepted: u64,
    /// How many of them have it, for certain.
    pub done: u64,
    /// How many of them cannot have it: they are at their limit, or gone, or its time was over first.
    pub failed: u64,
    /// How many rows the list was written in.
    pub rows: u32,
    /// Who is next. Rows before this are gone.
    pub next: ListPlace,
    /// When it was posted.
    pub created: Timestamp,
    /// When it was completed or cancelled.
    pub completed: Option<Timestamp>,
    /// When its notifications are over.
    pub expires: Timestamp,
}

/// How long after its notifications a job can still be asked for what became of it.
const KEPT: Duration = Duration::from_hours(24);

impl Broadcast {
    /// When it leaves the store.
    pub fn ends(&self) -> Timestamp {
        self.expires.plus(KEPT)
    }

    /// How many people are still to be looked at.
    pub fn remaining(&self) -> u64 {
        self.accepted.saturating_sub(self.done + self.failed)
    }
}
