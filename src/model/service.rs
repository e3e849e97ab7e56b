//! Push services, as apps reach them.

use super::{AppHost, ChannelKind, ServiceAnswer, Timestamp};

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

/// Which lane: an app, a push service, and an APNs environment or the host that channels name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LaneName {
    /// The app.
    pub app: AppHost,
    /// The push service.
    pub service: ChannelKind,
    /// `production`, `sandbox`, `updates.example.net:443`; empty where there is nothing to tell apart.
    pub authority: String,
}

/// A wait that a push service demanded of everyone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// Since when it waits for the service.
    pub since: Timestamp,
    /// When it may be asked again.
    pub until: Timestamp,
    /// In which words it was demanded.
    pub answer: ServiceAnswer,
}
