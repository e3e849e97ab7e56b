//! Push services, as apps reach them.

use super::{AppHost, ChannelKind, Timestamp};

/// A push service of an app; Apple's sandbox is one of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppService {
    /// Whose settings it is reached with.
    pub app: AppHost,
    /// Which service.
    pub kind: ChannelKind,
    /// Whether it is Apple's for development.
    pub sandbox: bool,
}

/// The channels that a service called dead in a row, without one success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drops {
    /// How many.
    pub count: u32,
    /// When that was written down.
    pub at: Timestamp,
}
