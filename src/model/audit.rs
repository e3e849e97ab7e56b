//! Administrative acts: who did what, and when. Never content.

use super::{AppHost, Timestamp, UserId};

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Whoever may use the admin socket, or the data folder while no hub runs.
    Operator,
    /// An app's server, by the id of its key.
    Key(String),
}

/// What came of an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActOutcome {
    /// It was begun. Where that stays so, the process ended before it did, or the caller went away.
    Begun,
    /// It was done.
    Done,
    /// It was refused, with this code of the API.
    Refused(String),
}

/// To whom something was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// A user, by their id.
    Named(UserId),
    /// One who was erased since: the first 16 bytes of the SHA-256 of the id, by which who knows the id finds them.
    Erased([u8; 16]),
}

/// What is to be done, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// In the words of the command line, as `key revoke`.
    pub name: &'static str,
    /// The app.
    pub app: Option<AppHost>,
    /// The user.
    pub user: Option<UserId>,
    /// The id of what it is done to: a key, an endpoint, a notification.
    pub of: Option<String>,
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Its place in the log, from 1 on.
    pub number: u64,
    /// When it was begun.
    pub at: Timestamp,
    /// Who acted.
    pub by: Actor,
    /// [`Deed::name`], as the version wrote it that did it.
    pub deed: String,
    /// The app.
    pub app: Option<AppHost>,
    /// The user.
    pub user: Option<Whom>,
    /// The id of what it was done to.
    pub of: Option<String>,
    /// What came of it.
    pub outcome: ActOutcome,
}
