//! The APNs double: Apple's provider API over HTTP/2.
//!
#![doc = include_str!("behaviour/apns.md")]

pub(crate) mod certificate;
mod provider_token;

use std::sync::atomic::Ordering;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::device::{Body, Environment, Push, Service};
use super::exchange::{Accepted, Answer, Judged, Link, Request};
use super::fault::{FaultKind, Struck};
use super::registry::Record;
use super::retention::Waiting;
use super::state::State;

use certificate::Issued;

/// The `kid` of the doubles' signing key.
pub(crate) const KEY_ID: &str = "DOUBLEKEY1";
/// The team that it belongs to.
pub(crate) const TEAM_ID: &str = "DOUBLETEAM";
/// The bundle id of the app.
pub(crate) const TOPIC: &str = "com.example.todo";

const PATH: &str = "/3/device/";
const MIN_TOKEN_CHANGE_SECS: i64 = 20 * 60;
const MAX_COLLAPSE_ID_BYTES: usize = 64;
/// How long APNs keeps a push without `apns-expiration`.
const DEFAULT_LIFE_SECS: i64 = 30 * 24 * 3600;

/// Push types, what each adds to the topic, and the largest body (Apple: "Sending notification requests to APNs").
const PUSH_TYPES: [(&str, &str, usize); 11] = [
    ("alert", "", 4096),
    ("background", "", 4096),
    ("voip", ".voip", 5120),
    ("liveactivity", ".push-type.liveactivity", 4096),
    ("widgets", ".push-type.widgets", 4096),
    ("controls", ".push-type.controls", 4096),
    ("location", ".location-query", 4096),
    ("fileprovider", ".pushkit.fileprovider", 4096),
    ("complication", ".complication", 4096),
    ("pushtotalk", ".voip-ptt", 4096),
    ("mdm", ".mdm", 4096),
];

/// A refusal: status, Apple's reason, and the double's own words for the journal.
type Refusal = (u16, &'static str, String);

/// Whether the connection has not yet carried an accepted request with a valid token, and needs to.
pub(crate) fn is_unproven(link: &Link) -> bool {
    let by_token = link.service == Service::Apns && link.certificate.is_none();
    by_token && !link.proven.load(Ordering::Acquire)
}

/// Holds a request to Apple's rules.
pub(crate) fn judge(state: &State, link: &Link, request: &Request) -> Judged {
    let id = message_id(request);
    let wanted = match check_request(state, link, request) {
        Ok(wanted) => wanted,
        Err(refusal) => return Judged::Answered(refused(&id, refusal)),
    };
    let device = match find(state, request) {
        Ok(device) => device,
        Err(refusal) => return Judged::Answered(refused(&id, refusal)),
    };
    if let Err(refusal) = check_device(&device, &wanted) {
        return Judged::AnsweredFor(device.id, refused(&id, refusal));
    }
    if let Some(gone_at_ms) = device.gone_at_ms {
        let answer = unregistered(&id, gone_at_ms).because("the device was removed");
        return Judged::AnsweredFor(device.id, answer);
    }
    let expires_secs = wanted
        .expiration
        .unwrap_or(state.clock.now_secs() + DEFAULT_LIFE_SECS);
    let push = Push {
        message_id: id.clone(),
        kind: wanted.push_type.to_owned(),
        collapse: request.header("apns-collapse-id").map(str::to_owned),
        body: Some(Body::of(request.bytes())),
    };
    let item = Waiting {
        push,
        expires_ms: Some(expires_secs.saturating_mul(1000)),
        storable: expires_secs > state.clock.now_secs(),
        urgent: wanted.priority == 10,
    };
    Judged::Accepted(Box::new(Accepted {
        device: Some(device),
        item: Some(item),
        message_id: id,
        plaintext: None,
    }))
}

/// The answer to a push that was taken.
pub(crate) fn success(id: &str) -> Answer {
    Answer::empty(StatusCode::OK).with("apns-id", id)
}

/// A scripted fault in Apple's dress.
pub(crate) fn fault(state: &State, request: &Request, struck: &Struck) -> Answer {
    let id = message_id(request);
    match struck.kind() {
        FaultKind::Gone => unregistered(
            &id,
            struck.spec.timestamp_ms.unwrap_or(state.clock.now_ms()),
        ),
        FaultKind::Throttled => reason(&id, 429, "TooManyRequests"),
        FaultKind::CredentialRefused => reason(&id, 403, "InvalidProviderToken"),
        _ => reason(&id, 500, "InternalServerError"),
    }
}

/// An answer with what Apple puts on every one.
pub(crate) fn dressed(request: &Request, answer: Answer) -> Answer {
    answer.with("apns-id", message_id(request))
}

/// What the headers ask for.
struct Wanted {
    push_type: &'static str,
    suffix: &'static str,
    priority: u8,
    expiration: Option<i64>,
}

fn check_request(state: &State, link: &Link, request: &Request) -> Result<Wanted, Refusal> {
    if request.method != Method::POST {
        return Err((
            405,
            "MethodNotAllowed",
            format!("method {}", request.method),
        ));
    }
    if !request.uri.path().starts_with(PATH) {
        return Err((
            404,
            "BadPath",
            "the path is not /3/device/<token>".to_owned(),
        ));
    }
    check_duplicates(request)?;
    let certificate = match &link.certificate {
        // Beside a certificate `authorization` is ignored.
        Some(shown) => Some(certificate::check(state, shown)?),
        None => {
            check_token(state, link, request)?;
            None
        }
    };
    let wanted = check_headers(request, certificate.as_ref())?;
    check_body(request, wanted.push_type)?;
    Ok(wanted)
}

fn check_token(state: &State, link: &Link, request: &Request) -> Result<(), Refusal> {
    let token =
        request
            .bearer()
            .ok_or((403, "MissingProviderToken", "no bearer token".to_owned()))?;
    provider_token::check(state, token)?;
    if !link.admits(token, state.clock.now_secs(), MIN_TOKEN_CHANGE_SECS) {
        let why = "another token within 20 minutes on one connection".to_owned();
        return Err((429, "TooManyProviderTokenUpdates", why));
    }
    state.tally.credential(Service::Apns, token);
    link.prove();
    Ok(())
}

fn check_duplicates(request: &Request) -> Result<(), Refusal> {
    let twice = request.headers.keys().find(|name| {
        let ours = name.as_str() == "authorization" || name.as_str().starts_with("apns-");
        ours && request.headers.get_all(*name).iter().count() > 1
    });
    match twice {
        Some(name) => Err((
            400,
            "DuplicateHeaders",
            format!("{name} stands there twice"),
        )),
        None => Ok(()),
    }
}

fn check_headers(request: &Request, certificate: Option<&Issued>) -> Result<Wanted, Refusal> {
    let bad = |reason: &'static str, why: &str| (400, reason, why.to_owned());
    if request.has("apns-id") && given_id(request).is_none() {
        return Err(bad("BadMessageId", "apns-id is no UUID in lower case"));
    }
    let expiration = match request.headers.get("apns-expiration") {
        None => None,
        Some(_) => Some(expiration(request).ok_or_else(|| {
            bad(
                "BadExpirationDate",
                "apns-expiration is no count of seconds",
            )
        })?),
    };
    let priority = match (
        request.has("apns-priority"),
        request.header("apns-priority"),
    ) {
        (false, _) | (true, Some("10")) => 10,
        (true, Some("5")) => 5,
        (true, Some("1")) => 1,
        _ => return Err(bad("BadPriority", "apns-priority is not 1, 5 or 10")),
    };
    let collapse = request
        .headers
        .get("apns-collapse-id")
        .map_or(1, |value| value.as_bytes().len());
    if collapse == 0 || collapse > MAX_COLLAPSE_ID_BYTES {
        return Err(bad(
            "BadCollapseId",
            "apns-collapse-id is not 1 to 64 bytes",
        ));
    }
    let named = request.header("apns-push-type").unwrap_or_default();
    let (push_type, suffix, _) =
        kind(named).ok_or_else(|| bad("InvalidPushType", "apns-push-type is absent or unknown"))?;
    if push_type == "background" && priority != 5 {
        return Err(bad("BadPriority", "a background push must have priority 5"));
    }
    if push_type == "location" && certificate.is_some() {
        return Err(bad("InvalidPushType", "a location push needs a token"));
    }
    check_topic(request, suffix, certificate)?;
    Ok(Wanted {
        push_type,
        suffix,
        priority,
        expiration,
    })
}

fn check_topic(
    request: &Request,
    suffix: &str,
    certificate: Option<&Issued>,
) -> Result<(), Refusal> {
    let bad = |reason: &'static str, why: &str| Err((400, reason, why.to_owned()));
    let topics = certificate.map(|issued| issued.topics.as_slice());
    let topic = match (request.header("apns-topic").unwrap_or_default(), topics) {
        // The certificate says it.
        ("", Some([only])) => only,
        ("", _) => return bad("MissingTopic", "apns-topic is absent"),
        (named, Some(topics)) if topics.iter().all(|topic| topic != named) => {
            return bad("TopicDisallowed", "the certificate is not for this topic");
        }
        (named, _) => named,
    };
    match topic.strip_prefix(TOPIC) {
        Some(rest) if rest == suffix => Ok(()),
        Some(rest) if PUSH_TYPES.iter().any(|(_, known, _)| *known == rest) => {
            bad("BadTopic", "apns-topic is not that of the push type")
        }
        _ if certificate.is_some() => bad(
            "DeviceTokenNotForTopic",
            "the certificate is another app's, and so is no token here",
        ),
        _ => bad("TopicDisallowed", "the key is not for this topic"),
    }
}

fn check_body(request: &Request, push_type: &str) -> Result<(), Refusal> {
    let empty = |why: &str| (400, "PayloadEmpty", why.to_owned());
    let invalid = |why: &str| (400, "InvalidPushType", why.to_owned());
    let limit = kind(push_type).map_or(0, |(_, _, limit)| limit);
    if request.size() == 0 {
        return Err(empty("there is no body"));
    }
    if request.size() > limit {
        return Err((
            413,
            "PayloadTooLarge",
            format!("the body is over {limit} bytes"),
        ));
    }
    if request.has("content-encoding") {
        return Err(empty("the body must not be encoded"));
    }
    let body: Value = serde_json::from_slice(request.bytes()).unwrap_or_default();
    let aps = body
        .get("aps")
        .and_then(Value::as_object)
        .ok_or_else(|| empty("the body is no JSON object with aps"))?;
    let visible = ["alert", "badge", "sound"]
        .iter()
        .any(|key| aps.contains_key(*key));
    match push_type {
        "background" if aps.get("content-available") != Some(&json!(1)) => {
            Err(invalid("content-available is not 1"))
        }
        "background" if visible => Err(invalid(
            "a background push must not have alert, badge or sound",
        )),
        "alert" if !visible => Err(invalid("an alert push must have alert, badge or sound")),
        _ => Ok(()),
    }
}

fn find(state: &State, request: &Request) -> Result<Record, Refusal> {
    let token = request.uri.path().strip_prefix(PATH).unwrap_or_default();
    if token.is_empty() {
        return Err((
            400,
            "MissingDeviceToken",
            "there is no token in the path".to_owned(),
        ));
    }
    let bad = |why: &str| (400, "BadDeviceToken", why.to_owned());
    if !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(bad("the token is no hex"));
    }
    let device = state
        .devices
        .by_token(Service::Apns, &token.to_ascii_lowercase());
    device.ok_or_else(|| bad("no device has this token"))
}

fn check_device(device: &Record, wanted: &Wanted) -> Result<(), Refusal> {
    let bad = |reason: &'static str, why: &str| Err((400, reason, why.to_owned()));
    if device.environment == Environment::Sandbox {
        return bad("BadDeviceToken", "the token is the sandbox's");
    }
    if !wanted.suffix.is_empty() {
        return bad(
            "DeviceTokenNotForTopic",
            "the token is for the app's own topic",
        );
    }
    Ok(())
}

fn kind(name: &str) -> Option<(&'static str, &'static str, usize)> {
    PUSH_TYPES.into_iter().find(|(known, _, _)| *known == name)
}

fn expiration(request: &Request) -> Option<i64> {
    let text = request.header("apns-expiration")?;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn given_id(request: &Request) -> Option<String> {
    let text = request.header("apns-id")?;
    let id = Uuid::try_parse(text).ok()?;
    (id.hyphenated().to_string() == text).then(|| text.to_owned())
}

/// The sender's id of the message, or a new one.
fn message_id(request: &Request) -> String {
    given_id(request).unwrap_or_else(|| Uuid::new_v4().to_string())
}

fn refused(id: &str, (status, name, why): Refusal) -> Answer {
    reason(id, status, name).because(format!("{name}: {why}"))
}

fn reason(id: &str, status: u16, name: &str) -> Answer {
    body(id, status, &json!({ "reason": name }))
}

fn unregistered(id: &str, timestamp_ms: i64) -> Answer {
    body(
        id,
        410,
        &json!({ "reason": "Unregistered", "timestamp": timestamp_ms }),
    )
}

fn body(id: &str, status: u16, value: &Value) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Answer::json(status, value).with("apns-id", id)
}
