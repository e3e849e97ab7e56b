//! The ordered changes of one user.

use super::{Endpoint, EndpointId, NotificationId, Timestamp};

/// A place in a user's feed; the first change is at 1, so 0 is "before everything". Never a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FeedPosition(pub u64);

impl FeedPosition {
    /// Before the first change.
    pub const START: Self = Self(0);

    /// The next place.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The latest change of one notification. A feed holds one for each, so superseded ones are not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where it stands in the feed.
    pub position: FeedPosition,
    /// Where the notification was posted (or last replaced): its number within the user.
    pub number: FeedPosition,
    /// Which notification.
    pub notification: NotificationId,
    /// What happened.
    pub kind: ChangeKind,
    /// Whether it had been replaced by then: some may show what it was before.
    pub replaced: bool,
    /// When.
    pub at: Timestamp,
    /// The endpoint that did it; it needs no tap for it.
    pub by: Option<EndpointId>,
}

impl Change {
    /// Whether an endpoint did it, as it is registered now; not one of the same name that was signed out since.
    pub fn is_by(&self, endpoint: &Endpoint) -> bool {
        self.by.as_ref() == Some(&endpoint.id) && self.position > endpoint.registered_at
    }
}

/// What happened to a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was posted, or replaced.
    Created,
    /// Its read or action state changed.
    Changed,
    /// It is gone.
    Removed(Removal),
}

/// Why a notification is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// Deleted by the person, or retracted by the app.
    Deleted,
    /// Its time was over.
    Expired,
    /// The same, where a device may hold it with a later time: it was replaced by one that lived shorter, or gave way
    /// to newer ones.
    ExpiredEarly,
}

impl Removal {
    /// The `reason` on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Expired | Self::ExpiredEarly => "expired",
        }
    }
}
