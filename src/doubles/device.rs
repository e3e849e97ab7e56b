//! A device as the app team sees it, and what it is handed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// One of the four push services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Service {
    /// Apple's push service.
    Apns,
    /// Google's, HTTP v1.
    Fcm,
    /// RFC 8030, in the dress of Mozilla's autopush.
    WebPush,
    /// Microsoft's, for native Windows apps.
    Wns,
}

impl Service {
    /// All four, in the order of their counters.
    pub const ALL: [Self; 4] = [Self::Apns, Self::Fcm, Self::WebPush, Self::Wns];

    /// Its name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Apns => "apns",
            Self::Fcm => "fcm",
            Self::WebPush => "webPush",
            Self::Wns => "wns",
        }
    }
}

/// One of Apple's two services, for an app as its users have it and for one that is being worked on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Environment {
    /// The one that the double stands for.
    #[default]
    Production,
    /// The other one, whose tokens the double does not know.
    Sandbox,
}

/// What is asked for when a device is made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewDevice {
    /// The service that will tap it.
    pub service: Service,
    /// A name for people, at most 100 characters.
    #[serde(default)]
    pub name: Option<String>,
    /// Web Push: the application server key given to `pushManager.subscribe`, 65 bytes in base64url without padding.
    /// The subscription is bound to it for life (RFC 8292, section 4). Absent: a keyless subscription, which takes any sender.
    #[serde(default)]
    pub vapid_public_key: Option<String>,
    /// WNS: whether its app is the Partner Center's, so that its channel takes tokens of the older login alone; else it takes
    /// Entra's alone.
    #[serde(default)]
    pub partner_center: bool,
    /// APNs: where its token comes from. One of the sandbox's is refused, as Apple refuses a token of the other environment.
    #[serde(default)]
    pub environment: Environment,
}

impl NewDevice {
    /// A device of a service that needs nothing further.
    #[must_use]
    pub fn of(service: Service) -> Self {
        Self {
            service,
            name: None,
            vapid_public_key: None,
            partner_center: false,
            environment: Environment::Production,
        }
    }

    /// A browser that subscribed with this key (base64url, 65 bytes).
    #[must_use]
    pub fn browser(vapid_public_key: impl Into<String>) -> Self {
        Self {
            vapid_public_key: Some(vapid_public_key.into()),
            ..Self::of(Service::WebPush)
        }
    }

    /// A Windows device whose app is the Partner Center's.
    #[must_use]
    pub fn of_partner_center() -> Self {
        Self {
            partner_center: true,
            ..Self::of(Service::Wns)
        }
    }

    /// An Apple device whose token is the sandbox's.
    #[must_use]
    pub fn of_sandbox() -> Self {
        Self {
            environment: Environment::Sandbox,
            ..Self::of(Service::Apns)
        }
    }

    /// The same with a name.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            ..self
        }
    }
}

/// A device that a double knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// The double's own id of it.
    pub id: String,
    /// The service that taps it.
    pub service: Service,
    /// Its name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The channel, exactly as a hub's registration wants it.
    pub channel: Channel,
    /// APNs: where its token comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// What the person did to it.
    #[serde(flatten)]
    pub switches: Switches,
    /// How many pushes wait for it at the service.
    pub waiting: usize,
}

/// Where a push service finds a device, in the form of the hub's contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Channel {
    /// APNs: the device token in hex.
    Apns {
        /// 64 hex digits.
        device_token: String,
    },
    /// FCM: the registration token.
    Fcm {
        /// Of the form `<instance>:<secret>`.
        registration_token: String,
    },
    /// Web Push: a subscription as `JSON.stringify(subscription)` gives it.
    WebPush {
        /// `https://127.0.0.1:PORT/wpush/v2/<token>`, or `/v1/` for a keyless one.
        endpoint: String,
        /// Always null: the double's subscriptions do not expire.
        expiration_time: Option<i64>,
        /// What to encrypt with.
        keys: Keys,
    },
    /// WNS: the channel URI.
    Wns {
        /// `https://127.0.0.1:PORT/?token=<token>`.
        channel_uri: String,
    },
}

/// The public half of what a browser encrypts with (RFC 8291, section 2), base64url without padding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// 65 bytes, an uncompressed P-256 point.
    pub p256dh: String,
    /// 16 bytes.
    pub auth: String,
}

/// What a person can do to a device. All are off but `online`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Switches {
    /// Off: pushes wait at the service, by the service's own rule.
    pub online: bool,
    /// APNs only: background pushes are swallowed.
    pub low_power: bool,
    /// FCM only: pushes of normal priority wait until it is over.
    pub doze: bool,
    /// Web Push only: told to the page; the service worker gets its pushes all the same.
    pub tab_closed: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            online: true,
            low_power: false,
            doze: false,
            tab_closed: false,
        }
    }
}

/// A change of a device; what is absent stays. At WNS any, also one of nothing, is the app's start: its channel lives for 30 days
/// from now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DevicePatch {
    /// See [`Switches::online`].
    pub online: Option<bool>,
    /// See [`Switches::low_power`].
    pub low_power: Option<bool>,
    /// See [`Switches::doze`].
    pub doze: Option<bool>,
    /// See [`Switches::tab_closed`].
    pub tab_closed: Option<bool>,
    /// A new name.
    pub name: Option<String>,
}

impl DevicePatch {
    /// Only the connection, the switch that is used most.
    #[must_use]
    pub fn online(online: bool) -> Self {
        Self {
            online: Some(online),
            ..Self::default()
        }
    }

    /// The switches after the change.
    pub(crate) fn apply(&self, old: Switches) -> Switches {
        Switches {
            online: self.online.unwrap_or(old.online),
            low_power: self.low_power.unwrap_or(old.low_power),
            doze: self.doze.unwrap_or(old.doze),
            tab_closed: self.tab_closed.unwrap_or(old.tab_closed),
        }
    }
}

/// What a device gets to see of a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Push {
    /// The service's id of the message: `apns-id`, FCM's `name`, the id in Web Push's `Location`, `X-WNS-Msg-ID`.
    pub message_id: String,
    /// APNs: the push type; FCM: `data`, `notification` or `deletedMessages`; Web Push: `push`; WNS: `wns/raw`, `wns/toast` …
    pub kind: String,
    /// APNs: the collapse id; FCM: the collapse key; Web Push: the topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collapse: Option<String>,
    /// The payload: APNs the whole JSON, FCM `{"from","data","notification"}`, Web Push decrypted, WNS the body. Absent: a push without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
}

/// Bytes for a reader: as text where they are text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Body {
    /// UTF-8.
    Text(String),
    /// Anything else, standard base64.
    Base64(String),
}

impl Body {
    /// Shows bytes as text if they are UTF-8 without control characters but white space.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) if text.chars().all(is_readable) => Self::Text(text.to_owned()),
            _ => Self::Base64(STANDARD.encode(bytes)),
        }
    }

    /// The bytes again. Empty if the base64 is none, which [`Body::of`] never makes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Base64(text) => STANDARD.decode(text).unwrap_or_default(),
        }
    }
}

fn is_readable(character: char) -> bool {
    !character.is_control() || matches!(character, '\n' | '\r' | '\t')
}
