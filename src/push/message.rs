//! All that may leave the hub in a push, one shape a service. `dispatch::compose` alone decides what stands in it;
//! an adapter adds only what the transport needs.

use std::time::Duration;

use bytes::Bytes;

/// One push, ready to be sent.
#[derive(Debug, Clone)]
pub enum Message {
    /// To Apple.
    Apns(ApnsMessage),
    /// To Google.
    Fcm(FcmMessage),
    /// To a browser's service.
    WebPush(WebPushMessage),
    /// To Microsoft.
    Wns(WnsMessage),
}

/// A request to `/3/device/…`.
#[derive(Debug, Clone)]
pub struct ApnsMessage {
    /// `apns-push-type`.
    pub push_type: ApnsPushType,
    /// `apns-priority`: 10 or 5.
    pub priority: u8,
    /// `apns-collapse-id`, at most 64 bytes.
    pub collapse_id: String,
    /// How long it is of use, which makes `apns-expiration`; nothing: now or never.
    pub ttl: Duration,
    /// The JSON body, at most 4096 bytes.
    pub payload: Bytes,
}

/// The two push types that a hub needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApnsPushType {
    /// Shown to the person.
    Alert,
    /// Wakes the app, perhaps.
    Background,
}

impl ApnsPushType {
    /// The header's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Background => "background",
        }
    }
}

/// A `message` of FCM HTTP v1, without its token.
#[derive(Debug, Clone)]
pub struct FcmMessage {
    /// Whether `android.priority` is high.
    pub high: bool,
    /// `android.ttl`, whole seconds up to four weeks.
    pub ttl: Duration,
    /// `data`: strings only.
    pub data: Vec<(&'static str, String)>,
    /// What Android shows by itself.
    pub notification: Option<FcmNotification>,
}

/// What Android shows by itself.
#[derive(Debug, Clone)]
pub struct FcmNotification {
    /// `title`.
    pub title: String,
    /// `body`.
    pub body: Option<String>,
    /// `android.notification.tag`: replaces what is shown with the same tag.
    pub tag: String,
    /// `android.notification.channel_id`.
    pub channel_id: Option<String>,
}

/// A message for a subscription, before encryption.
#[derive(Debug, Clone)]
pub struct WebPushMessage {
    /// `Urgency` (RFC 8030, section 5.3).
    pub urgency: Urgency,
    /// `Topic` (RFC 8030, section 5.4): 32 characters of the base64url alphabet.
    pub topic: Option<String>,
    /// `TTL`, whole seconds, at least 60.
    pub ttl: Duration,
    /// What the service worker reads, at most 3993 bytes.
    pub plaintext: Bytes,
    /// The same without title and body, where it has them: for a service that takes less.
    pub bare: Option<Bytes>,
}

/// The four urgencies of RFC 8030, section 5.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// On power and Wi-Fi.
    VeryLow,
    /// On power or Wi-Fi.
    Low,
    /// On neither.
    Normal,
    /// On low battery, too.
    High,
}

impl Urgency {
    /// The header's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VeryLow => "very-low",
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

/// A notification for a WNS channel.
#[derive(Debug, Clone)]
pub struct WnsMessage {
    /// `X-WNS-Type`, and the body's media type with it.
    pub kind: WnsKind,
    /// `X-WNS-Priority`: 1 high to 4 very low.
    pub priority: u8,
    /// `X-WNS-TTL`, whole seconds.
    pub ttl: Duration,
    /// At most 5000 bytes.
    pub body: Bytes,
}

/// The two types that a hub needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WnsKind {
    /// `wns/raw`, kept for a device that is away (`X-WNS-Cache-Policy: cache`).
    Raw,
    /// `wns/toast`, which takes no cache policy.
    Toast,
}
