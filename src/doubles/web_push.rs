//! The Web Push double: RFC 8030, 8291 and 8292 in the dress of Mozilla's autopush.
//!
//! Statuses, `errno` and messages marked *observed* are those recorded from autopush 1.83.1.
//!
#![doc = include_str!("behaviour/web_push.md")]

mod vapid;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::device::{Body, Push, Service};
use super::exchange::{Accepted, Answer, Judged, Request};
use super::fault::FaultKind;
use super::registry::Record;
use super::retention::Waiting;
use super::state::State;

const MAX_TTL_SECS: i64 = 30 * 24 * 3600;
const MAX_TOPIC_CHARACTERS: usize = 32;
const MAX_BODY_BYTES: usize = 4096;
const MESSAGES: &str = "/m/";

/// A refusal: status, autopush's `errno`, and its message.
type Refusal = (u16, Option<u16>, String);

/// Holds a request to the rules.
pub(crate) fn judge(state: &State, request: &Request) -> Judged {
    let path = request.uri.path();
    if let Some(id) = path.strip_prefix(MESSAGES) {
        return Judged::Answered(cancel(state, request, id));
    }
    let Some(device) = find(state, path) else {
        return Judged::Answered(
            Answer::empty(StatusCode::NOT_FOUND).because("no device has this endpoint"),
        );
    };
    if request.method != Method::POST {
        let answer =
            Answer::empty(StatusCode::METHOD_NOT_ALLOWED).because("the method must be POST");
        return Judged::AnsweredFor(device.id, answer);
    }
    match check(state, request, &device) {
        Err(refusal) => {
            let answer = refused(refusal);
            Judged::AnsweredFor(device.id, answer)
        }
        Ok(plaintext) => Judged::Accepted(Box::new(accept(state, request, device, plaintext))),
    }
}

/// The answer to a push that was taken.
pub(crate) fn success(state: &State, request: &Request, id: &str) -> Answer {
    let location = format!("https://{}{MESSAGES}{id}", state.settings.web_push.host);
    Answer::empty(StatusCode::CREATED)
        .with("location", location)
        .with("ttl", ttl_secs(request).unwrap_or_default())
}

/// A scripted fault in the dress of autopush.
pub(crate) fn fault(kind: FaultKind) -> Answer {
    match kind {
        FaultKind::Gone => gone(),
        FaultKind::Throttled => body(429, None, "Too many requests"),
        FaultKind::CredentialRefused => body(401, Some(109), "InvalidSignature"),
        _ => body(500, Some(999), "Internal server error"),
    }
}

fn cancel(state: &State, request: &Request, id: &str) -> Answer {
    if request.method != Method::DELETE {
        return Answer::empty(StatusCode::METHOD_NOT_ALLOWED)
            .because("a message can only be deleted");
    }
    match state.devices.cancel(id) {
        Ok(_) => Answer::empty(StatusCode::NO_CONTENT),
        Err(error) => Answer::empty(StatusCode::SERVICE_UNAVAILABLE).because(error.to_string()),
    }
}

/// The device of an endpoint. Keyless subscriptions live under `/v1/`, keyed ones under `/v2/`; one is not found under the other.
fn find(state: &State, path: &str) -> Option<Record> {
    let (keyed, token) = match path.strip_prefix("/wpush/v2/") {
        Some(token) => (true, token),
        None => (false, path.strip_prefix("/wpush/v1/")?),
    };
    let device = state.devices.by_token(Service::WebPush, token)?;
    (device.vapid_public_key.is_some() == keyed).then_some(device)
}

/// Checks a push in autopush's order; gives the decrypted body, if there is one.
fn check(state: &State, request: &Request, device: &Record) -> Result<Option<Vec<u8>>, Refusal> {
    let origin = format!("https://{}", state.settings.web_push.host);
    vapid::check(
        request,
        device.vapid_public_key.as_deref(),
        &origin,
        state.clock.now_secs(),
    )?
    .inspect(|token| state.tally.credential(Service::WebPush, token));
    if device.gone_at_ms.is_some() {
        return Err((410, Some(106), GONE.to_owned()));
    }
    check_ttl(request)?;
    check_topic(request)?;
    check_urgency(request)?;
    check_encoding(request)?;
    if request.size() > MAX_BODY_BYTES {
        return Err((413, Some(104), "payload reached size limit".to_owned()));
    }
    match (request.bytes(), &device.browser) {
        ([], _) => Ok(None),
        (bytes, Some(browser)) => {
            let opened = browser.open(bytes);
            opened
                .map(Some)
                .map_err(|why| (400, Some(110), format!("the body cannot be opened: {why}")))
        }
        (_, None) => Err((
            400,
            Some(110),
            "the body cannot be opened: the device has no keys".to_owned(),
        )),
    }
}

fn check_ttl(request: &Request) -> Result<(), Refusal> {
    match request
        .header("ttl")
        .filter(|text| !text.starts_with('+'))
        .and_then(|text| text.parse::<i64>().ok())
    {
        None => Err((400, Some(111), "Missing TTL value".to_owned())),
        Some(..0) => Err((400, Some(114), "ttl: TTL must be greater than 0".to_owned())),
        Some(_) => Ok(()),
    }
}

fn check_topic(request: &Request) -> Result<(), Refusal> {
    let Some(value) = request.headers.get("topic") else {
        return Ok(());
    };
    let refuse = |text: &str| Err((400, Some(113), format!("topic: {text}")));
    let topic = value.as_bytes();
    if topic.len() > MAX_TOPIC_CHARACTERS {
        return refuse("Topic must be no greater than 32 characters");
    }
    if !topic
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    {
        return refuse("Topic must be URL and Filename safe Base64 alphabet");
    }
    if topic.is_empty() || topic.len() % 4 == 1 {
        return refuse("Topic must decode as base64url");
    }
    Ok(())
}

fn check_urgency(request: &Request) -> Result<(), Refusal> {
    let mut values = request.headers.get_all("urgency").iter();
    match (values.next().map(|value| value.as_bytes()), values.next()) {
        (None | Some(b"very-low" | b"low" | b"normal" | b"high"), None) => Ok(()),
        _ => Err((
            400,
            Some(108),
            "urgency: one of very-low, low, normal, high".to_owned(),
        )),
    }
}

fn check_encoding(request: &Request) -> Result<(), Refusal> {
    let refuse = |text: &str| Err((400, Some(110), text.to_owned()));
    let mut values = request.headers.get_all("content-encoding").iter();
    match (values.next().map(|value| value.as_bytes()), values.next()) {
        (None, _) if request.size() == 0 => Ok(()),
        (None, _) => refuse("Missing Content-Encoding header"),
        (Some(b"aesgcm"), None) => refuse("Missing Encryption header"),
        (Some(b"aes128gcm"), None) if request.has("encryption") || request.has("crypto-key") => {
            refuse("Encryption and Crypto-Key do not go with aes128gcm")
        }
        (Some(b"aes128gcm"), None) => Ok(()),
        _ => refuse("Unknown Content-Encoding header"),
    }
}

fn accept(
    state: &State,
    request: &Request,
    device: Record,
    plaintext: Option<Vec<u8>>,
) -> Accepted {
    let message_id = Uuid::new_v4().simple().to_string();
    let ttl = ttl_secs(request).unwrap_or_default();
    let plaintext = plaintext.map(|bytes| Body::of(&bytes));
    let push = Push {
        message_id: message_id.clone(),
        kind: "push".to_owned(),
        collapse: request.header("topic").map(str::to_owned),
        body: plaintext.clone(),
    };
    let item = Waiting {
        push,
        expires_ms: Some(state.clock.now_ms() + ttl * 1000),
        storable: ttl > 0,
        urgent: request.header("urgency") == Some("high"),
    };
    Accepted {
        device: Some(device),
        item: Some(item),
        message_id,
        plaintext,
    }
}

/// `TTL`, no longer than the service keeps anything.
fn ttl_secs(request: &Request) -> Option<i64> {
    request
        .header("ttl")?
        .parse::<i64>()
        .ok()
        .map(|ttl| ttl.min(MAX_TTL_SECS))
}

const GONE: &str = "No such subscription";

fn gone() -> Answer {
    body(410, Some(106), GONE).with("cache-control", "max-age=86400")
}

fn refused((status, errno, message): Refusal) -> Answer {
    let answer = if status == 410 {
        gone()
    } else {
        body(status, errno, &message)
    };
    let number = errno.map_or(String::new(), |errno| format!("errno {errno}: "));
    answer.because(format!("{number}{message}"))
}

fn body(status: u16, errno: Option<u16>, message: &str) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let error = status.canonical_reason().unwrap_or_default();
    let errno = errno.map_or(Value::Null, Value::from);
    Answer::json(
        status,
        &json!({ "code": status.as_u16(), "errno": errno, "error": error, "message": message }),
    )
}

/// The body of a push to this path, decrypted with the keys of whom it is for.
#[cfg(test)]
pub(crate) fn opened(state: &State, path: &str, body: &[u8]) -> Option<Vec<u8>> {
    find(state, path)?.browser?.open(body).ok()
}
