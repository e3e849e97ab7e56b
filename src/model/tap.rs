//! Taps: pushes that say "pull from your cursor".

use super::{FeedPosition, NotificationId};

/// What a tap tells the client before it has pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TapKind {
    /// Something was posted or replaced.
    Created,
    /// A state changed, or something was deleted.
    Changed,
    /// Something was not fetched in time.
    Fallback,
    /// Nothing: the operator asked for it.
    Test,
}

impl TapKind {
    /// The `k` of the tap (see the format in `dispatch::compose`).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Fallback => "fallback",
            Self::Test => "test",
        }
    }
}

/// One tap for one endpoint, as planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tap {
    /// What it tells.
    pub kind: TapKind,
    /// The notification that it shows, where it shows one (every Web Push but a state one names one too).
    pub shows: Option<NotificationId>,
    /// Whether the person is to see something by it.
    pub visible: bool,
    /// The feed's position that it speaks for: everything up to here is covered once the device pulls.
    pub covers: FeedPosition,
}
