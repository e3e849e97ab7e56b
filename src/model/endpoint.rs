//! Endpoints and the channels that reach them.

use std::time::Duration;

use url::Url;

use super::{EndpointId, Secret, Subject, SubscriptionId, TapId, Timestamp};

/// How long it is told what became of notifications on an endpoint whose time is over: as long as one may be kept.
const TOLD: Duration = Duration::from_hours(30 * 24);

/// The kind of device that an endpoint is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Platform {
    /// Windows.
    Windows,
    /// iPhone and iPad.
    Ios,
    /// Android.
    Android,
    /// A browser.
    WebPush,
}

impl Platform {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Windows, Self::Ios, Self::Android, Self::WebPush];

    /// Reads `windows`, `iOS`, `android` or `webPush`, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|platform| platform.as_str().eq_ignore_ascii_case(text))
    }

    /// The name as the contract writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Ios => "iOS",
            Self::Android => "android",
            Self::WebPush => "webPush",
        }
    }
}

/// How a push service reaches an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Channel {
    /// Apple Push Notification service.
    Apns {
        /// The device token.
        device_token: DeviceToken,
        /// The bundle id, where it is not the app's default.
        topic: Option<String>,
        /// Where the token was issued, where it is not the app's default.
        environment: Option<ApnsEnvironment>,
    },
    /// Firebase Cloud Messaging.
    Fcm {
        /// The registration token.
        registration_token: Secret<String>,
    },
    /// Web Push (RFC 8030).
    WebPush {
        /// The subscription's resource: a capability URL.
        endpoint: Secret<String>,
        /// The keys of the user agent.
        keys: WebPushKeys,
        /// The app's VAPID key that the subscription was made with, where it is not the present one.
        vapid_public_key: Option<Vec<u8>>,
        /// When the subscription ends, where the browser says so.
        expires: Option<Timestamp>,
    },
    /// Windows Push Notification Services.
    Wns {
        /// The channel URI: a capability URL.
        channel_uri: Secret<String>,
    },
    /// No push at all: streams and pulls only.
    None,
}

/// Which push service a channel belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChannelKind {
    /// Apple.
    Apns,
    /// Google.
    Fcm,
    /// A browser's.
    WebPush,
    /// Microsoft.
    Wns,
    /// None.
    None,
}

impl ChannelKind {
    /// The kinds that a push service is behind.
    pub const SERVICES: [Self; 4] = [Self::Apns, Self::Fcm, Self::WebPush, Self::Wns];

    /// All of them.
    pub const ALL: [Self; 5] = [Self::Apns, Self::Fcm, Self::WebPush, Self::Wns, Self::None];

    /// The `type` of a channel on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apns => "apns",
            Self::Fcm => "fcm",
            Self::WebPush => "webPush",
            Self::Wns => "wns",
            Self::None => "none",
        }
    }

    /// Whether the service keeps only the newest push for a device that is away; others keep it beside those before
    /// (Apple, "Sending notification requests to APNs"; Microsoft, "WNS overview", caching).
    pub fn keeps_the_last_alone(self) -> bool {
        matches!(self, Self::Apns | Self::Wns)
    }

    /// The platform that the channel says, if it says one.
    pub fn platform(self) -> Option<Platform> {
        match self {
            Self::Apns => Some(Platform::Ios),
            Self::Fcm => Some(Platform::Android),
            Self::WebPush => Some(Platform::WebPush),
            Self::Wns => Some(Platform::Windows),
            Self::None => None,
        }
    }
}

impl Channel {
    /// Which push service it belongs to.
    pub fn kind(&self) -> ChannelKind {
        match self {
            Self::Apns { .. } => ChannelKind::Apns,
            Self::Fcm { .. } => ChannelKind::Fcm,
            Self::WebPush { .. } => ChannelKind::WebPush,
            Self::Wns { .. } => ChannelKind::Wns,
            Self::None => ChannelKind::None,
        }
    }

    /// What makes the channel this one and no other: the token or address, with its service's tag before it. Two
    /// registrations with the same identity reach the same place. `None` has none.
    pub fn identity(&self) -> Option<Vec<u8>> {
        let (tag, secret): (u8, &[u8]) = match self {
            Self::Apns { device_token, .. } => (1, device_token.as_hex().as_bytes()),
            Self::Fcm { registration_token } => (2, registration_token.expose().as_bytes()),
            Self::WebPush { endpoint, .. } => (3, endpoint.expose().as_bytes()),
            Self::Wns { channel_uri } => (4, channel_uri.expose().as_bytes()),
            Self::None => return None,
        };
        Some([&[tag], secret].concat())
    }

    /// The host and port that the channel itself names (Web Push and WNS), e.g. `updates.example.net:443`.
    pub fn authority(&self) -> Option<String> {
        let text = match self {
            Self::WebPush { endpoint, .. } => endpoint.expose(),
            Self::Wns { channel_uri } => channel_uri.expose(),
            _ => return None,
        };
        let url = Url::parse(text).ok()?;
        Some(format!(
            "{}:{}",
            url.host_str()?,
            url.port_or_known_default()?
        ))
    }
}

/// An APNs device token, as lower-case hex. Its length is Apple's to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceToken(Secret<String>);

impl DeviceToken {
    /// Reads an even number of hex digits, 2 to 400 of them, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (2..=400).contains(&text.len())
            && text.len().is_multiple_of(2)
            && text.bytes().all(|b| b.is_ascii_hexdigit());
        fits.then(|| Self(Secret::new(text.to_ascii_lowercase())))
    }

    /// The digits.
    pub fn as_hex(&self) -> &str {
        self.0.expose()
    }
}

/// Which of Apple's two worlds a token belongs to; the other one answers `BadDeviceToken`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApnsEnvironment {
    /// The App Store and TestFlight.
    Production,
    /// Builds from Xcode.
    Sandbox,
}

impl ApnsEnvironment {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Production, Self::Sandbox];

    /// Reads `production` or `sandbox`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "production" => Some(Self::Production),
            "sandbox" => Some(Self::Sandbox),
            _ => None,
        }
    }

    /// The name as the contract writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Sandbox => "sandbox",
        }
    }
}

/// A user agent's keys for message encryption (RFC 8291, section 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebPushKeys {
    /// The public key: an uncompressed point on P-256, 65 bytes.
    pub p256dh: [u8; 65],
    /// The authentication secret.
    pub auth: Secret<[u8; 16]>,
}

/// One installation of an app on one device of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The client's name for it, unique per user.
    pub id: EndpointId,
    /// The kind of device.
    pub platform: Platform,
    /// How to reach it, as last registered.
    pub channel: Channel,
    /// Counts registrations of a channel: what dispatch learns of an earlier one does not touch a later one.
    pub generation: u64,
    /// What taps call it by.
    pub tap_id: TapId,
    /// Its subscription id (UNSID).
    pub subscription: SubscriptionId,
    /// What the person calls it.
    pub display_name: Option<String>,
    /// The language that it shows, as a BCP 47 tag.
    pub locale: Option<String>,
    /// Whether it wants silent pushes of state changes (web only; others always get them).
    pub state_sync: bool,
    /// Whether it shares its channel with other people on the same installation.
    pub shared: bool,
    /// When it was first registered.
    pub created: Timestamp,
    /// When its channel was last registered.
    pub registered: Timestamp,
    /// When it was last heard of; moves at most hourly.
    pub last_seen: Timestamp,
    /// When it is forgotten.
    pub expires: Timestamp,
    /// When the device itself asked to be forgotten; no later pull moves `expires` past it.
    pub asked_expires: Option<Timestamp>,
    /// Its time is over, and was over at any `expires`: until then it is still told what became of notifications there.
    pub told_until: Option<Timestamp>,
    /// When its push service said that the channel is dead; the channel is then `None`. Learnt by dispatch, merged
    /// in when read.
    pub gone: Option<Timestamp>,
    /// The head of the feed when it was first registered: what is older needs no visible push.
    pub registered_at: super::FeedPosition,
}

impl Endpoint {
    /// When the sweep comes for it.
    pub fn swept(&self) -> Timestamp {
        self.told_until.unwrap_or(self.expires)
    }

    /// Since when its time is over for good.
    pub fn over_since(&self) -> Option<Timestamp> {
        self.told_until.map(|until| until.minus(TOLD))
    }

    /// The endpoint once its time is over: it is told of for as long as a notification may last, and no clock that goes back
    /// brings it back.
    pub fn over(self, now: Timestamp) -> Self {
        Self {
            channel: Channel::None,
            display_name: None,
            locale: None,
            expires: Timestamp::EPOCH,
            asked_expires: None,
            told_until: Some(now.plus(TOLD)),
            ..self
        }
    }

    /// The endpoint as it stands at a moment: a subscription whose end the browser had named is gone from then on.
    pub fn at(mut self, now: Timestamp) -> Self {
        if let Channel::WebPush { expires, .. } = self.channel
            && let Some(ended) = expires.filter(|ended| *ended <= now)
        {
            self.gone = Some(ended);
            self.channel = Channel::None;
        }
        self
    }
}

/// Whose a channel is. A channel has one owner, or several who said that they share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The person.
    pub subject: Subject,
    /// Their endpoint.
    pub endpoint: EndpointId,
    /// The registration that claimed it.
    pub generation: u64,
    /// Whether it is shared.
    pub shared: bool,
}
