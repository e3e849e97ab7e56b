//! That a person was erased: what has to be remembered so that nothing of them comes back by itself.

use std::time::Duration;

use super::{FeedPosition, Subject, Timestamp, User};

/// How long an erasure is remembered. A token of an app's identity provider is taken for a year, so none that is older
/// than the erasure outlives the memory of it.
const KEPT: Duration = Duration::from_secs(366 * 24 * 3600);

/// An erasure. It is kept under a hash of the user's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Who is being erased; nobody, once it is done.
    pub under_way: Option<Subject>,
    /// When it was begun. What speaks for the person must have been issued later.
    pub at: Timestamp,
    /// Where the feed stood. A person of the same id begins behind it, so that a cursor or an id from before leads
    /// nowhere.
    pub head: FeedPosition,
}

impl Erasure {
    /// When it is forgotten, once it is done.
    pub fn ends(&self) -> Timestamp {
        self.at.plus(KEPT)
    }

    /// Someone of whom nothing is kept but this.
    pub fn user_after(&self, subject: Subject) -> User {
        // Whose cursor stands at the very end does not hold what the feed is now either.
        let begins = self.head.next();
        User {
            head: begins,
            floor: begins,
            ..User::new(subject)
        }
    }
}
