//! A person within an app, as far as the hub keeps a row for them.

use super::{FeedPosition, Subject};

/// The head of a user's feed and the counts that would be dear to gather anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Who.
    pub subject: Subject,
    /// The position of the latest change.
    pub head: FeedPosition,
    /// Cursors before this no longer reach: removals up to here have been forgotten.
    pub floor: FeedPosition,
    /// How many notifications are there to see.
    pub live: u64,
    /// How many of them are unread.
    pub unread: u64,
    /// How many removals the feed still remembers.
    pub removals: u64,
}

impl User {
    /// Someone of whom nothing is kept yet.
    pub fn new(subject: Subject) -> Self {
        Self {
            subject,
            head: FeedPosition::START,
            floor: FeedPosition::START,
            live: 0,
            unread: 0,
            removals: 0,
        }
    }
}
