//! What a device tells of notifications: a replaced one is another than the one that it may have shown.

use crate::model::{FeedPosition, Notification};

/// What an endpoint tells of a notification.
#[derive(Debug, Clone, Copy)]
pub(super) enum Told {
    /// It read it as that change left it.
    Read(FeedPosition),
    /// It showed it; how far it holds the feed, where it says so.
    Shown(Option<FeedPosition>),
}

impl Told {
    /// Whether that is told of the notification as it is, and not as it was before it was replaced. `has_it` says whether
    /// the endpoint is known to have it as it is.
    pub(super) fn is_of(self, it: &Notification, has_it: bool) -> bool {
        match self {
            Self::Read(held) => held >= it.number,
            Self::Shown(_) if has_it || !it.was_replaced() || it.removed.is_some() => true,
            Self::Shown(Some(up_to)) => up_to >= it.number,
            // A push may have brought what is visible; what is not has to be fetched.
            Self::Shown(None) => it.draft.visual.is_some(),
        }
    }

    /// The latest change of it that the endpoint is known to hold by that.
    pub(super) fn holds(self) -> FeedPosition {
        match self {
            Self::Read(held) => held,
            Self::Shown(_) => FeedPosition::START,
        }
    }
}
