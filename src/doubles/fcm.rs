//! The FCM double: Google's HTTP v1 API, with its OAuth token endpoint.
//!
#![doc = include_str!("behaviour/fcm.md")]

mod assertion;
mod message;
mod rates;
mod schema;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::device::{Body, Push, Service};
use super::exchange::{Accepted, Answer, Judged, Request};
use super::fault::FaultKind;
use super::registry::Record;
use super::retention::Waiting;
use super::state::State;
use super::tally::Event;
use super::token;
use message::{Message, Target};
use rates::Spent;

pub(crate) use rates::Rates;

/// Where assertions are exchanged.
pub(crate) const TOKEN_PATH: &str = "/token";
/// The package of the app on the devices.
pub(crate) const PACKAGE: &str = "com.example.todo";

const PROJECT_NUMBER: &str = "100000000001";
const TOKEN_LIFE_SECS: i64 = 3599;

/// A field that is wrong, and why: `google.rpc.BadRequest.FieldViolation`.
pub(crate) type Violation = (String, String);

/// Holds a request to either endpoint to its rules.
pub(crate) fn judge(state: &State, request: &Request) -> Judged {
    if request.uri.path() == TOKEN_PATH {
        state.tally.count(Service::Fcm, Event::TokenRequest);
        return match assertion::check(state, request) {
            Some(refusal) => Judged::Answered(refusal),
            None => Judged::Token(grant(state)),
        };
    }
    if let Some(refusal) = check_head(state, request) {
        return Judged::Answered(refusal);
    }
    let message = match Message::read(request.bytes(), request.size()) {
        Ok(message) => message,
        Err(refusal) => return Judged::Answered(refusal),
    };
    let device = match find(state, &message.target) {
        Ok(device) => device,
        Err(refusal) => return Judged::Answered(refusal),
    };
    if let Some(device) = device.as_ref().filter(|it| it.gone_at_ms.is_some()) {
        let answer = unregistered().because("UNREGISTERED: the device was removed");
        return Judged::AnsweredFor(device.id.clone(), answer);
    }
    let accepted = accept(state, device, message);
    let refusal = within_rates(&accepted, |id, collapsible| {
        let now_ms = state.clock.now_ms();
        state.fcm_rates.spent(id, collapsible, now_ms)
    });
    match (refusal, &accepted.device) {
        (Err(refusal), Some(device)) => Judged::AnsweredFor(device.id.clone(), refusal),
        _ => Judged::Accepted(Box::new(accepted)),
    }
}

/// Counts a message that is about to reach its device; the error is FCM's answer to the one too many.
pub(crate) fn count(state: &State, accepted: &Accepted) -> Result<(), Answer> {
    within_rates(accepted, |id, collapsible| {
        let now_ms = state.clock.now_ms();
        state.fcm_rates.count(id, collapsible, now_ms)
    })
}

fn within_rates(
    accepted: &Accepted,
    spent: impl FnOnce(&str, bool) -> Option<Spent>,
) -> Result<(), Answer> {
    let (Some(device), Some(item)) = (&accepted.device, &accepted.item) else {
        return Ok(());
    };
    match spent(&device.id, item.push.collapse.is_some()) {
        None => Ok(()),
        Some(spent) => {
            let subject = format!("device:{}", device.installation());
            let answer = quota_exceeded(&subject, "Device message rate exceeded.");
            Err(answer.because(format!("QUOTA_EXCEEDED: {}", spent.words())))
        }
    }
}

/// A new access token.
pub(crate) fn grant(state: &State) -> Answer {
    grant_for(state, TOKEN_LIFE_SECS)
}

/// A new access token that lives so many seconds.
pub(crate) fn grant_for(state: &State, life_secs: i64) -> Answer {
    let until = state.clock.now_secs().saturating_add(life_secs);
    match state.fcm_tokens.issue(until) {
        Ok(token) => {
            let body =
                json!({ "access_token": token, "expires_in": life_secs, "token_type": "Bearer" });
            Answer::json(StatusCode::OK, &body)
        }
        Err(error) => Answer::empty(StatusCode::INTERNAL_SERVER_ERROR).because(error.to_string()),
    }
}

/// The answer to a message that was taken.
pub(crate) fn success(name: &str) -> Answer {
    Answer::json(StatusCode::OK, &json!({ "name": name }))
}

/// A scripted fault in Google's dress.
pub(crate) fn fault(kind: FaultKind) -> Answer {
    match kind {
        FaultKind::Gone => unregistered(),
        FaultKind::Throttled => throttled(),
        FaultKind::CredentialRefused => unauthenticated(),
        _ => error(
            500,
            "INTERNAL",
            "Internal error encountered.",
            &[fcm_error("INTERNAL")],
        ),
    }
}

/// A scripted fault of the token endpoint.
pub(crate) fn token_fault(kind: FaultKind) -> Answer {
    let refuse = |status, error: &str| token::refusal(status, error, "scripted fault");
    match kind {
        FaultKind::Gone | FaultKind::CredentialRefused => {
            refuse(StatusCode::BAD_REQUEST, "invalid_grant")
        }
        FaultKind::Throttled => refuse(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded"),
        _ => refuse(StatusCode::INTERNAL_SERVER_ERROR, "internal_failure"),
    }
}

/// A 400 that names the fields that are wrong.
pub(crate) fn invalid(message: &str, violations: &[Violation]) -> Answer {
    let fields: Vec<Value> = violations
        .iter()
        .map(|(field, description)| json!({ "field": field, "description": description }))
        .collect();
    let violated =
        json!({ "@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": fields });
    error(
        400,
        "INVALID_ARGUMENT",
        message,
        &[violated, fcm_error("INVALID_ARGUMENT")],
    )
    .because(message)
}

/// A 400 with no word on the cause, which is how FCM refuses what is too large.
pub(crate) fn invalid_without_details(message: &str) -> Answer {
    error(400, "INVALID_ARGUMENT", message, &[]).because(message)
}

fn check_head(state: &State, request: &Request) -> Option<Answer> {
    let Some(project) = project(request.uri.path()) else {
        let page =
            Answer::empty(StatusCode::NOT_FOUND).with("content-type", "text/html; charset=UTF-8");
        let html = "<!DOCTYPE html><html lang=en><title>Error 404 (Not Found)</title><p>The requested URL was not found.</html>";
        return Some(
            Answer {
                body: html.into(),
                ..page
            }
            .because("the path is not that of messages:send"),
        );
    };
    if request.method != Method::POST {
        return Some(
            Answer::empty(StatusCode::METHOD_NOT_ALLOWED).because("the method must be POST"),
        );
    }
    if !request
        .bearer()
        .is_some_and(|token| state.fcm_tokens.holds(token, state.clock.now_secs()))
    {
        return Some(
            unauthenticated().because("the access token was not given out here or is expired"),
        );
    }
    if project != state.folder.service_account.project_id && project != PROJECT_NUMBER {
        let answer = error(404, "NOT_FOUND", "Requested entity was not found.", &[]);
        return Some(answer.because("the project is not the account's"));
    }
    if request.media_type() != "application/json" {
        return Some(invalid("Content-Type must be application/json", &[]));
    }
    None
}

/// The project of a send path.
fn project(path: &str) -> Option<&str> {
    let project = path
        .strip_prefix("/v1/projects/")?
        .strip_suffix("/messages:send")?;
    (!project.is_empty() && !project.contains('/')).then_some(project)
}

/// The device that a message is for; none if it is for no single one.
fn find(state: &State, target: &Target) -> Result<Option<Record>, Answer> {
    let refuse =
        |field: &str, text: &str| Err(invalid(text, &[(field.to_owned(), text.to_owned())]));
    let (device, what) = match target {
        Target::Many => return Ok(None),
        Target::Token(token) if !is_token(token) => {
            let text = "The registration token is not a valid FCM registration token";
            return refuse("message.token", text);
        }
        Target::Fid(fid) if !is_installation(fid) => {
            return refuse("message.fid", "The Firebase Installation ID is not valid");
        }
        Target::Token(token) => (state.devices.by_token(Service::Fcm, token), "token"),
        Target::Fid(fid) => (state.devices.by_installation(fid), "installation"),
    };
    match device {
        Some(device) => Ok(Some(device)),
        None => Err(unregistered().because(format!("UNREGISTERED: no device has this {what}"))),
    }
}

fn is_token(text: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(installation, secret)| !installation.is_empty() && secret.len() >= 100)
}

/// Whether the text has the form of a Firebase Installation ID: 17 bytes in base64url, whose last character is cut off.
fn is_installation(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.len() == 22 && text.bytes().all(fits)
}

fn accept(state: &State, device: Option<Record>, message: Message) -> Accepted {
    let project = &state.folder.service_account.project_id;
    let id = if message.validate_only {
        "fake_message_id".to_owned()
    } else {
        format!("0:{}", Uuid::new_v4().simple())
    };
    let message_id = format!("projects/{project}/messages/{id}");
    let push = Push {
        message_id: message_id.clone(),
        kind: message.kind().to_owned(),
        collapse: message.collapse_key(),
        body: Some(Body::Text(message.for_device(PROJECT_NUMBER).to_string())),
    };
    let item = Waiting {
        push,
        expires_ms: Some(state.clock.now_ms() + message.ttl_ms),
        storable: message.ttl_ms > 0,
        urgent: message.high,
    };
    Accepted {
        device,
        item: (!message.validate_only).then_some(item),
        message_id,
        plaintext: None,
    }
}

fn unregistered() -> Answer {
    error(
        404,
        "NOT_FOUND",
        "Requested entity was not found.",
        &[fcm_error("UNREGISTERED")],
    )
}

fn unauthenticated() -> Answer {
    let text = "Request had invalid authentication credentials. Expected OAuth 2 access token.";
    error(401, "UNAUTHENTICATED", text, &[]).with(
        "www-authenticate",
        "Bearer realm=\"https://accounts.google.com/\", error=\"invalid_token\"",
    )
}

fn throttled() -> Answer {
    quota_exceeded(
        &format!("project:{PROJECT_NUMBER}"),
        "Message rate exceeded.",
    )
}

fn quota_exceeded(subject: &str, description: &str) -> Answer {
    let quota = json!({
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{ "subject": subject, "description": description }],
    });
    error(
        429,
        "RESOURCE_EXHAUSTED",
        "Quota exceeded.",
        &[fcm_error("QUOTA_EXCEEDED"), quota],
    )
}

fn fcm_error(code: &str) -> Value {
    json!({ "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code })
}

fn error(code: u16, status: &str, message: &str, details: &[Value]) -> Answer {
    let mut body = json!({ "error": { "code": code, "message": message, "status": status } });
    if !details.is_empty() {
        body["error"]["details"] = details.into();
    }
    Answer::json(
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        &body,
    )
}
