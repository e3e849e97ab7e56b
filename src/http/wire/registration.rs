//! A registration: JSON into a [`Registration`].

use base64::{
    Engine as _, alphabet,
    engine::{
        DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::URL_SAFE_NO_PAD,
    },
};
use serde_json::{Map, Value, json};
use url::Url;

use super::{
    fields::{Faults, Fields},
    schema::{self, Shapes, object, optional, said},
};
use crate::{
    config::App,
    hub::{self, Registration},
    model::{
        ApnsEnvironment, Channel, ChannelKind, DeviceToken, EndpointId, Fault, Platform, Secret,
        Timestamp, WebPushKeys,
    },
};

/// Limits that no key sets: what the texts of a registration are at most, in bytes.
const NAME: (&str, usize) = ("the hub", 256);
const LOCALE: (&str, usize) = ("the hub", 64);
const TOKEN: (&str, usize) = ("the hub", 2048);
const ADDRESS: (&str, usize) = ("the hub", 2048);

/// Browsers write base64url without padding, some libraries with it, or in the standard alphabet: see [`decode`].
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The bytes of base64 in either alphabet, padded or not.
fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.replace('+', "-").replace('/', "_");
    BASE64URL.decode(text).ok()
}

/// What a registration is checked against.
#[derive(Debug, Clone)]
pub(in super::super) struct RegistrationRules<'a> {
    /// Whose it is.
    pub(in super::super) app: &'a App,
    /// Whether the app's push service would take the channel.
    pub(in super::super) check_channel: fn(&Channel, &App) -> Vec<Fault>,
    /// The app's VAPID public keys in base64url, older ones too.
    pub(in super::super) vapid: Vec<String>,
    /// The present moment.
    pub(in super::super) now: Timestamp,
}

/// Reads a registration of the endpoint `id`.
///
/// # Errors
/// `Invalid` with all its faults.
pub(in super::super) fn registration(
    id: EndpointId,
    body: &Map<String, Value>,
    rules: &RegistrationRules<'_>,
) -> Result<Registration, hub::Error> {
    let faults = Faults::default();
    let fields = Fields::of(body, &faults);
    fields.require("channel");
    let channel = fields.object("channel").and_then(|it| channel(&it, rules));
    let platform = platform(&fields, channel.as_ref().map(Channel::kind));
    let optional = Optional::read(&fields, rules.now);
    if let Some(channel) = &channel {
        faults.extend((rules.check_channel)(channel, rules.app));
    }
    let registration = channel
        .zip(platform)
        .map(|(channel, platform)| Registration {
            id,
            platform,
            channel,
            present_vapid: rules.vapid.first().and_then(|key| decode(key)),
            display_name: optional.display_name,
            locale: optional.locale,
            state_sync: optional.state_sync && platform == Platform::WebPush,
            shared: optional.shared,
            expires: optional.expires,
        });
    faults.finish(registration)
}

/// What [`registration()`] takes.
pub(in super::super) fn registration_schema(shapes: &mut Shapes) -> Value {
    let locale = json!({ "type": "string", "maxLength": LOCALE.1, "pattern": "^[A-Za-z0-9_-]+$" });
    let members = json!({
        "displayName": said(optional(schema::text_within(NAME)), &format!("What the person calls it; at most {} bytes.", NAME.1)),
        "locale": said(optional(locale), "A language tag such as de-CH."),
        "stateSync": said(optional(schema::flag()), "Whether a browser is told of changes by push."),
        "shared": said(optional(schema::flag()), "Whether several people share the channel."),
        "expirationDateTime": optional(schema::moment("in the future")),
    });
    let kinds = ChannelKind::ALL.map(|kind| {
        let (required, named): (&[&str], Value) = match kind.platform() {
            Some(platform) => (&["channel"], optional(schema::word(&[platform.as_str()]))),
            None => (
                &["channel", "platform"],
                schema::word(&Platform::ALL.map(Platform::as_str)),
            ),
        };
        let name = channel_name(kind);
        let mut members = members.clone();
        members["channel"] = shapes.named(&format!("{name}Channel"), channel_schema(kind));
        members["platform"] = named;
        shapes.named(&format!("{name}Registration"), object(required, members))
    });
    schema::any_of(&kinds)
}

/// What a kind of channel is called in the names of shapes.
fn channel_name(kind: ChannelKind) -> &'static str {
    match kind {
        ChannelKind::Apns => "Apns",
        ChannelKind::Fcm => "Fcm",
        ChannelKind::WebPush => "WebPush",
        ChannelKind::Wns => "Wns",
        ChannelKind::None => "NoPush",
    }
}

/// What may be left out.
struct Optional {
    display_name: Option<String>,
    locale: Option<String>,
    state_sync: bool,
    shared: bool,
    expires: Option<Timestamp>,
}

impl Optional {
    fn read(fields: &Fields<'_>, now: Timestamp) -> Self {
        let tag = |text: &str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            (!text.is_empty() && text.bytes().all(fits)).then(|| text.to_owned())
        };
        let locale = fields.text_within("locale", LOCALE);
        let expires = fields.moment("expirationDateTime");
        if expires.is_some_and(|expires| expires <= now) {
            fields.fault("expirationDateTime", "is not in the future");
        }
        Self {
            display_name: fields.text_within("displayName", NAME).map(str::to_owned),
            locale: locale.and_then(|_| fields.word("locale", "a language tag such as de-CH", tag)),
            state_sync: fields.flag("stateSync").unwrap_or_default(),
            shared: fields.flag("shared").unwrap_or_default(),
            expires,
        }
    }
}

/// The platform as given, or as the channel says; they may not contradict each other.
fn platform(fields: &Fields<'_>, kind: Option<ChannelKind>) -> Option<Platform> {
    let what = "one of windows, iOS, android, webPush";
    let given = fields.word("platform", what, Platform::parse);
    let said = kind?.platform();
    match (given, said) {
        (Some(given), Some(said)) if given != said => {
            fields.fault(
                "platform",
                format!("contradicts the channel, which says {}", said.as_str()),
            );
            None
        }
        (None, None) => {
            fields.require("platform");
            None
        }
        (given, said) => given.or(said),
    }
}

fn channel(fields: &Fields<'_>, rules: &RegistrationRules<'_>) -> Option<Channel> {
    fields.require("type");
    let kind = fields.word("type", "one of apns, fcm, webPush, wns, none", |text| {
        ChannelKind::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
    })?;
    if !rules.app.reaches(kind) {
        let section = kind.as_str().to_ascii_lowercase();
        fields.fault(
            "type",
            format!("is not configured for this app; its operator adds [app.{section}]"),
        );
        return None;
    }
    match kind {
        ChannelKind::Apns => apns(fields),
        ChannelKind::Fcm => {
            fields.require("registrationToken");
            let token = fields.filled_text("registrationToken", TOKEN)?;
            Some(Channel::Fcm {
                registration_token: Secret::new(token.to_owned()),
            })
        }
        ChannelKind::WebPush => web_push(fields, rules),
        ChannelKind::Wns => Some(Channel::Wns {
            channel_uri: address(fields, "channelUri")?,
        }),
        ChannelKind::None => Some(Channel::None),
    }
}

/// What a channel of a kind is, in words of JSON Schema. Which hosts a push service has, and which keys are an app's,
/// no schema can say; `format` names what it is about.
fn channel_schema(kind: ChannelKind) -> Value {
    let address = |format: &str| {
        json!({
            "type": "string",
            "format": format,
            "minLength": 1,
            "maxLength": ADDRESS.1,
            "description": "An https URL, without user and fragment, at a host of the push service.",
        })
    };
    let (required, mut members): (&[&str], Value) = match kind {
        ChannelKind::Apns => (
            &["type", "deviceToken"],
            json!({
                "deviceToken": { "type": "string", "pattern": "^([0-9A-Fa-f]{2}){1,200}$" },
                "topic": optional(json!({ "type": "string", "maxLength": 255, "pattern": "^[A-Za-z0-9._-]+$" })),
                "environment": optional(json!({ "type": "string", "pattern": format!("^({})$", ApnsEnvironment::ALL.map(ApnsEnvironment::as_str).join("|")) })),
            }),
        ),
        ChannelKind::Fcm => (
            &["type", "registrationToken"],
            json!({ "registrationToken": { "type": "string", "maxLength": TOKEN.1, "pattern": "^[!-~]+$" } }),
        ),
        ChannelKind::WebPush => (
            &["type", "endpoint", "keys"],
            json!({
                "endpoint": address("web-push-endpoint"),
                "expirationTime": optional(json!({ "type": "number", "format": "future-milliseconds", "minimum": 0, "description": "In milliseconds since 1970, in the future." })),
                "keys": object(&["p256dh", "auth"], json!({
                    "p256dh": { "type": "string", "format": "p256-point", "description": "An uncompressed point on P-256 in base64url." },
                    "auth": { "type": "string", "pattern": "^[A-Za-z0-9_/+-]{21}[AQgw](==)?$", "description": "16 bytes in base64url." },
                })),
                "vapidPublicKey": optional(json!({ "type": "string", "format": "vapid-public-key", "description": "The app's key that the subscription was made with, where it is an older one." })),
            }),
        ),
        ChannelKind::Wns => (
            &["type", "channelUri"],
            json!({ "channelUri": address("wns-channel-uri") }),
        ),
        ChannelKind::None => (&["type"], json!({})),
    };
    members["type"] = schema::word(&[kind.as_str()]);
    said(object(required, members), channel_words(kind))
}

fn channel_words(kind: ChannelKind) -> &'static str {
    match kind {
        ChannelKind::Apns => "Apple Push Notification service.",
        ChannelKind::Fcm => "Firebase Cloud Messaging.",
        ChannelKind::WebPush => "Web Push: what `PushSubscription.toJSON()` gives.",
        ChannelKind::Wns => "Windows Push Notification Services.",
        ChannelKind::None => "No push: the device follows the stream, or asks by itself.",
    }
}

fn apns(fields: &Fields<'_>) -> Option<Channel> {
    fields.require("deviceToken");
    let token = fields.word(
        "deviceToken",
        "2 to 400 hex digits, an even number",
        DeviceToken::parse,
    );
    let topic = fields.filled_text("topic", NAME).map(str::to_owned);
    let what = "production or sandbox";
    let environment = fields.word("environment", what, ApnsEnvironment::parse);
    Some(Channel::Apns {
        device_token: token?,
        topic,
        environment,
    })
}

/// A `PushSubscription.toJSON()` (Push API, section 8).
fn web_push(fields: &Fields<'_>, rules: &RegistrationRules<'_>) -> Option<Channel> {
    let endpoint = address(fields, "endpoint");
    fields.require("keys");
    let keys = fields.object("keys").and_then(|keys| web_push_keys(&keys));
    let what = "a P-256 public key: 65 bytes in base64url";
    let vapid = fields.word("vapidPublicKey", what, point);
    if vapid.is_some_and(|key| !rules.vapid.contains(&URL_SAFE_NO_PAD.encode(key))) {
        let message =
            "is no key of this app; subscribe with the one that GET /v1/apps/{host}/webpush gives";
        fields.fault("vapidPublicKey", message);
    }
    let expires = fields.typed("expirationTime", "a number of milliseconds", |value| {
        let millis = value.as_f64().filter(|millis| *millis >= 0.0)?;
        Some(Timestamp::from_millis(millis as u64))
    });
    if expires.is_some_and(|expires| expires <= rules.now) {
        fields.fault("expirationTime", "has passed; subscribe again");
    }
    Some(Channel::WebPush {
        endpoint: endpoint?,
        keys: keys?,
        vapid_public_key: vapid.map(Vec::from),
        expires,
    })
}

fn web_push_keys(keys: &Fields<'_>) -> Option<WebPushKeys> {
    keys.require("p256dh");
    keys.require("auth");
    let p256dh = keys.word("p256dh", "a P-256 public key: 65 bytes in base64url", point);
    let auth = keys.word("auth", "16 bytes in base64url", |text| {
        <[u8; 16]>::try_from(decode(text)?).ok()
    });
    Some(WebPushKeys {
        p256dh: p256dh?,
        auth: Secret::new(auth?),
    })
}

/// An uncompressed point begins with 4 (SEC 1, section 2.3.3).
fn point(text: &str) -> Option<[u8; 65]> {
    let bytes = <[u8; 65]>::try_from(decode(text)?).ok()?;
    (bytes[0] == 4).then_some(bytes)
}

/// Whether a URL names a user, be it an empty one, of which the parser leaves no trace.
fn has_user_info(text: &str) -> bool {
    // The parser does not see these (WHATWG URL, "basic URL parser").
    let text = text.replace(['\t', '\n', '\r'], "");
    let behind = text.split_once(':').map_or(&*text, |(_, behind)| behind);
    let authority = behind.trim_start_matches(['/', '\\']);
    let authority = authority.split(['/', '\\', '?', '#']).next();
    authority.is_some_and(|authority| authority.contains('@'))
}

fn address(fields: &Fields<'_>, name: &str) -> Option<Secret<String>> {
    fields.require(name);
    fields.filled_text(name, ADDRESS)?;
    fields.word(name, "an https URL without user and fragment", |text| {
        let url = Url::parse(text).ok()?;
        let plain = !has_user_info(text) && url.password().is_none() && url.fragment().is_none();
        // As the standard writes it: one address in two spellings is one channel.
        (url.scheme() == "https" && url.has_host() && plain).then(|| Secret::new(url.into()))
    })
}
