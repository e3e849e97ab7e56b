//! The WNS double, with the token endpoints of Entra ID (Windows App SDK) and of the older login (Partner Center).
//!
#![doc = include_str!("behaviour/wns.md")]

mod login;

use hyper::{Method, StatusCode};
use uuid::Uuid;

use super::device::{Body, Push, Service, Switches};
use super::exchange::{Accepted, Answer, Judged, Request};
use super::fault::FaultKind;
use super::registry::Record;
use super::retention::{Fate, Waiting};
use super::state::State;
use super::tally::Event;
use super::xml;

pub(crate) use login::Login;

/// The Entra tenant of the doubles.
pub(crate) const TENANT_ID: &str = "5d0b1e50-0000-4000-8000-000000000001";
/// The app registration.
pub(crate) const CLIENT_ID: &str = "5d0b1e50-0000-4000-8000-000000000002";

/// The app of the Partner Center: its Package SID, which is the client's id at the older login.
pub(crate) const PACKAGE_SID: &str = "ms-app://S-1-15-2-1000000001-1000000002-1000000003-1000000004-1000000005-1000000006-1000000007";
/// Where the older login gives out access tokens.
pub(crate) const OLDER_TOKEN_PATH: &str = "/accesstoken.srf";

const MAX_BODY_BYTES: usize = 5000;
const MAX_TAG_CHARACTERS: usize = 16;
const MAX_MESSAGE_ID_CHARACTERS: usize = 16;
/// How long a channel lives unless its app asks for it anew.
const CHANNEL_LIFE_MS: i64 = 30 * 24 * 3600 * 1000;

/// Where Entra gives out access tokens.
pub(crate) fn token_path() -> String {
    format!("/{TENANT_ID}/oauth2/v2.0/token")
}

/// Holds a request to either endpoint to its rules.
pub(crate) fn judge(state: &State, request: &Request) -> Judged {
    if super::passage::is_token_request(Service::Wns, request) {
        state.tally.count(Service::Wns, Event::TokenRequest);
        let login = Login::at(request.uri.path());
        return match login.refusal(state, request) {
            Some(refusal) => Judged::Answered(refusal),
            None => Judged::Token(login.grant(state)),
        };
    }
    let refuse =
        |status: StatusCode, why: &str| dressed(request, Answer::empty(status)).because(why);
    let token = request.bearer().unwrap_or_default();
    let Some(login) = Login::that_gave(state, token) else {
        return Judged::Answered(refuse(
            StatusCode::UNAUTHORIZED,
            "the access token was not given out here or is expired",
        ));
    };
    if request.method != Method::POST {
        return Judged::Answered(refuse(
            StatusCode::METHOD_NOT_ALLOWED,
            "the method must be POST",
        ));
    }
    let Some(device) = find(state, request) else {
        return Judged::Answered(refuse(StatusCode::NOT_FOUND, "no device has this channel"));
    };
    if device.login() != login {
        let answer = refuse(StatusCode::FORBIDDEN, "the token is of another app")
            .with("x-wns-error-description", "The token is of another app");
        return Judged::AnsweredFor(device.id, answer);
    }
    if device.gone_at_ms.is_some() {
        return Judged::AnsweredFor(
            device.id,
            refuse(StatusCode::GONE, "the device was removed"),
        );
    }
    if has_expired(state, &device) {
        let answer = refuse(
            StatusCode::GONE,
            "the channel is 30 days old and was not renewed",
        );
        let answer = answer
            .with("x-wns-error-description", "The channel has expired")
            .with("x-wns-status", "dropped")
            .with("x-wns-notificationstatus", "dropped");
        return Judged::AnsweredFor(device.id, answer);
    }
    match check_push(request) {
        Err((status, why)) => {
            let answer = refuse(status, &why)
                .with("x-wns-error-description", why.as_str())
                .with("x-wns-status", "dropped");
            Judged::AnsweredFor(device.id, answer)
        }
        Ok(kind) => Judged::Accepted(Box::new(accept(state, request, device, kind))),
    }
}

/// The answer to a push that was taken.
pub(crate) fn success(request: &Request, accepted: &Accepted, fate: Fate) -> Answer {
    let status = if matches!(fate, Fate::Dropped | Fate::Swallowed) {
        "dropped"
    } else {
        "received"
    };
    let mut answer = Answer::empty(StatusCode::OK)
        .with("x-wns-status", status)
        .with("x-wns-notificationstatus", status)
        .with("x-wns-msg-id", &accepted.message_id);
    if request
        .header("x-wns-requestforstatus")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    {
        let switches = accepted
            .device
            .as_ref()
            .map(|device| device.switches)
            .unwrap_or_default();
        answer = answer.with("x-wns-deviceconnectionstatus", connection_status(switches));
    }
    dressed(request, answer)
}

/// The answer of the benches' mode.
pub(crate) fn waved_through() -> Answer {
    Answer::empty(StatusCode::OK).with("x-wns-status", "received")
}

/// A scripted fault in the dress of WNS.
pub(crate) fn fault(request: &Request, kind: FaultKind) -> Answer {
    let answer = match kind {
        FaultKind::Gone => Answer::empty(StatusCode::GONE),
        FaultKind::Throttled => {
            Answer::empty(StatusCode::NOT_ACCEPTABLE).with("x-wns-status", "channelthrottled")
        }
        FaultKind::CredentialRefused => Answer::empty(StatusCode::UNAUTHORIZED),
        _ => Answer::empty(StatusCode::INTERNAL_SERVER_ERROR),
    };
    dressed(request, answer)
}

fn find(state: &State, request: &Request) -> Option<Record> {
    let query = request.uri.query()?;
    let token = url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "token")?
        .1;
    state.devices.by_token(Service::Wns, &token)
}

fn has_expired(state: &State, device: &Record) -> bool {
    let now_ms = state.clock.now_ms();
    device
        .renewed_at_ms
        .is_some_and(|since| now_ms.saturating_sub(since) >= CHANNEL_LIFE_MS)
}

/// Checks headers and body of a push; gives its type.
fn check_push(request: &Request) -> Result<&'static str, (StatusCode, String)> {
    let bad = |why: &str| (StatusCode::BAD_REQUEST, why.to_owned());
    if request.has("transfer-encoding") || !request.has("content-length") || request.has("expect") {
        return Err(bad(
            "Content-Length must be there, Transfer-Encoding and Expect must not",
        ));
    }
    let kind = ["wns/toast", "wns/raw", "wns/badge", "wns/tile"]
        .into_iter()
        .find(|kind| {
            request
                .header("x-wns-type")
                .is_some_and(|named| named.eq_ignore_ascii_case(kind))
        })
        .ok_or_else(|| bad("X-WNS-Type is not wns/toast, wns/raw, wns/badge or wns/tile"))?;
    let wanted = if kind == "wns/raw" {
        "application/octet-stream"
    } else {
        "text/xml"
    };
    if request.media_type() != wanted {
        return Err(bad(&format!("Content-Type must be {wanted} with {kind}")));
    }
    check_options(request, kind).map_err(|why| bad(&why))?;
    if request.size() > MAX_BODY_BYTES {
        return Err((
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is over {MAX_BODY_BYTES} bytes"),
        ));
    }
    if kind == "wns/raw" {
        return if request.bytes().is_empty() {
            Err(bad("a raw body must not be empty"))
        } else {
            Ok(kind)
        };
    }
    xml::check(request.bytes(), kind.trim_start_matches("wns/")).map_err(|why| bad(&why))?;
    Ok(kind)
}

fn check_options(request: &Request, kind: &str) -> Result<(), String> {
    if let Some(phone) = ["x-wns-group", "x-wns-suppresspopup", "x-wns-match"]
        .into_iter()
        .find(|name| request.has(name))
    {
        return Err(format!("{phone} is for phones"));
    }
    let policy = request
        .header("x-wns-cache-policy")
        .map(str::to_ascii_lowercase);
    match policy.as_deref() {
        None if request.has("x-wns-cache-policy") => {
            return Err("X-WNS-Cache-Policy is no text".to_owned());
        }
        None | Some("cache" | "no-cache") if kind != "wns/toast" || policy.is_none() => {}
        _ => {
            return Err(
                "X-WNS-Cache-Policy must be cache or no-cache, and not with a toast".to_owned(),
            );
        }
    }
    if request.has("x-wns-ttl") && ttl_secs(request).is_none() {
        return Err("X-WNS-TTL is no whole number".to_owned());
    }
    if request.has("x-wns-priority")
        && !matches!(
            request.header("x-wns-priority"),
            Some("1" | "2" | "3" | "4")
        )
    {
        return Err("X-WNS-Priority is not 1 to 4".to_owned());
    }
    let tag_fits = |tag: &str| {
        kind == "wns/tile"
            && tag.len() <= MAX_TAG_CHARACTERS
            && tag.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    if request.has("x-wns-tag") && !request.header("x-wns-tag").is_some_and(tag_fits) {
        return Err("X-WNS-Tag is for tiles, at most 16 alphanumeric characters".to_owned());
    }
    Ok(())
}

/// `X-WNS-TTL` in seconds.
fn ttl_secs(request: &Request) -> Option<i64> {
    let text = request.header("x-wns-ttl")?;
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

fn accept(state: &State, request: &Request, device: Record, kind: &str) -> Accepted {
    let id = Uuid::new_v4().simple().to_string().to_uppercase();
    let message_id: String = id.chars().take(MAX_MESSAGE_ID_CHARACTERS).collect();
    let cached = request
        .header("x-wns-cache-policy")
        .map(|policy| policy.eq_ignore_ascii_case("cache"));
    let push = Push {
        message_id: message_id.clone(),
        kind: kind.to_owned(),
        collapse: request.header("x-wns-tag").map(str::to_owned),
        body: Some(Body::of(request.bytes())),
    };
    let item = Waiting {
        push,
        expires_ms: ttl_secs(request).map(|ttl| {
            state
                .clock
                .now_ms()
                .saturating_add(ttl.saturating_mul(1000))
        }),
        storable: cached.unwrap_or(kind != "wns/raw"),
        urgent: request
            .header("x-wns-priority")
            .is_none_or(|priority| priority == "1"),
    };
    Accepted {
        device: Some(device),
        item: Some(item),
        message_id,
        plaintext: None,
    }
}

fn connection_status(switches: Switches) -> &'static str {
    if switches.online {
        "connected"
    } else {
        "disconnected"
    }
}

/// What every answer to a push carries, for support.
pub(crate) fn dressed(request: &Request, answer: Answer) -> Answer {
    let trace = format!("DOUBLE-{}", Uuid::new_v4().simple());
    let answer = answer.with("x-wns-debug-trace", trace);
    match request.header("ms-cv") {
        Some(vector) => answer.with("ms-cv", vector),
        None => answer,
    }
}
