//! A send request, read and held to the rules that the types do not express (Google: "REST Resource: projects.messages").

use serde_json::{Map, Value, json};

use super::super::exchange::Answer;
use super::schema::{self, field};
use super::{PACKAGE, Violation, invalid, invalid_without_details};

const MAX_PAYLOAD_BYTES: usize = 4096;
const MAX_TTL_SECS: i64 = 4 * 7 * 24 * 3600;

/// Whom a message is for.
#[derive(Debug)]
pub(super) enum Target {
    /// The device with this registration token.
    Token(String),
    /// The device of this Firebase installation.
    Fid(String),
    /// A topic or a condition.
    Many,
}

/// What the double needs of a message that keeps the rules.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) target: Target,
    pub(super) validate_only: bool,
    pub(super) high: bool,
    pub(super) ttl_ms: i64,
    collapse_key: Option<String>,
    data: Map<String, Value>,
    notification: Map<String, Value>,
}

impl Message {
    /// Reads a body; the error is FCM's answer.
    pub(super) fn read(body: &[u8], size_bytes: usize) -> Result<Self, Answer> {
        if size_bytes > body.len() {
            return Err(invalid_without_details(
                "Request payload size exceeds the limit.",
            ));
        }
        let request: Value = serde_json::from_slice(body)
            .map_err(|error| invalid(&format!("Invalid JSON payload received. {error}"), &[]))?;
        let mut found = Vec::new();
        schema::check(&request, schema::REQUEST, "", &mut found);
        complain(&found)?;
        let root = request.as_object().cloned().unwrap_or_default();
        let message = object(&root, "message");
        let android = object(&message, "android");
        let target = target(&message)?;
        let mut data = object(&message, "data");
        data.extend(object(&android, "data"));
        let mut notification = object(&message, "notification");
        notification.extend(object(&android, "notification"));
        check_data(&data)?;
        check_android(&android)?;
        let ttl_ms = field(&android, "ttl").map_or(Ok(MAX_TTL_SECS * 1000), ttl_ms)?;
        if weight(&data) + weight(&notification) > MAX_PAYLOAD_BYTES {
            return Err(invalid_without_details(
                "Message payload size exceeds the limit of 4096 bytes.",
            ));
        }
        Ok(Self {
            target,
            validate_only: field(&root, "validate_only") == Some(&json!(true)),
            high: text(&android, "priority")
                .is_some_and(|priority| priority.eq_ignore_ascii_case("high")),
            ttl_ms,
            collapse_key: text(&android, "collapse_key"),
            data,
            notification,
        })
    }

    /// `notification` if Android itself shows it, else `data`.
    pub(super) fn kind(&self) -> &'static str {
        if self.notification.is_empty() {
            "data"
        } else {
            "notification"
        }
    }

    /// The collapse key; notification messages without one share the package's.
    pub(super) fn collapse_key(&self) -> Option<String> {
        let shared = (!self.notification.is_empty()).then(|| PACKAGE.to_owned());
        self.collapse_key.clone().or(shared)
    }

    /// What the app's `RemoteMessage` holds.
    pub(super) fn for_device(&self, from: &str) -> Value {
        let priority = if self.high { "high" } else { "normal" };
        let mut message = json!({ "from": from, "originalPriority": priority, "data": self.data });
        if !self.notification.is_empty() {
            message["notification"] = Value::Object(self.notification.clone());
        }
        if let Some(key) = &self.collapse_key {
            message["collapseKey"] = json!(key);
        }
        message
    }
}

fn complain(found: &[Violation]) -> Result<(), Answer> {
    match found.first() {
        None => Ok(()),
        Some((_, first)) => Err(invalid(first, found)),
    }
}

fn one(place: &str, text: &str) -> Answer {
    invalid(text, &[(place.to_owned(), text.to_owned())])
}

fn target(message: &Map<String, Value>) -> Result<Target, Answer> {
    let named = ["token", "fid", "topic", "condition"]
        .into_iter()
        .filter_map(|name| Some((name, text(message, name)?)));
    let mut named = named.collect::<Vec<_>>().into_iter();
    match (named.next(), named.next()) {
        (None, _) => Err(one("message", "Recipient of the message is not set.")),
        (Some(("token", token)), None) => Ok(Target::Token(token)),
        (Some(("fid", fid)), None) => Ok(Target::Fid(fid)),
        (Some(("topic", topic)), None) if !is_topic(&topic) => Err(one(
            "message.topic",
            "Invalid topic name: [a-zA-Z0-9-_.~%]+, without /topics/.",
        )),
        (Some(_), None) => Ok(Target::Many),
        (Some(_), Some(_)) => Err(one(
            "message",
            "Exactly one of token, fid, topic and condition must be set.",
        )),
    }
}

fn is_topic(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~%".contains(&byte);
    !name.is_empty() && name.bytes().all(fits)
}

fn check_data(data: &Map<String, Value>) -> Result<(), Answer> {
    let reserved = |key: &str| {
        matches!(key, "from" | "message_type")
            || key.starts_with("google")
            || key.starts_with("gcm")
    };
    match data.keys().find(|key| reserved(key)) {
        Some(key) => Err(one(
            "message.data",
            &format!("Invalid data payload key: {key}"),
        )),
        None => Ok(()),
    }
}

fn check_android(android: &Map<String, Value>) -> Result<(), Answer> {
    match text(android, "restricted_package_name") {
        Some(package) if package != PACKAGE => Err(one(
            "message.android.restricted_package_name",
            "The package name does not match that of the registration token.",
        )),
        _ => Ok(()),
    }
}

/// A duration of proto3 JSON: seconds with at most nine decimals and an `s`; fractions are cut for FCM.
fn ttl_ms(value: &Value) -> Result<i64, Answer> {
    let refuse = || {
        one(
            "message.android.ttl",
            "Invalid TTL: a duration like 3600s from 0s to 2419200s.",
        )
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = value
        .as_str()
        .and_then(|text| text.strip_suffix('s'))
        .ok_or_else(refuse)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return Err(refuse());
    }
    let seconds: i64 = whole.parse().map_err(|_| refuse())?;
    if seconds > MAX_TTL_SECS {
        Err(refuse())
    } else {
        Ok(seconds * 1000)
    }
}

/// Bytes of keys and values. Values that are no strings count as their JSON.
fn weight(map: &Map<String, Value>) -> usize {
    map.iter()
        .map(|(key, value)| {
            key.len()
                + value
                    .as_str()
                    .map_or_else(|| value.to_string().len(), str::len)
        })
        .sum()
}

fn object(map: &Map<String, Value>, name: &str) -> Map<String, Value> {
    field(map, name)
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default()
}

fn text(map: &Map<String, Value>, name: &str) -> Option<String> {
    field(map, name).and_then(Value::as_str).map(str::to_owned)
}
