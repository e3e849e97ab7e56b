//! What the token endpoints of FCM and WNS have in common: forms, refusals and what is kept of a request (RFC 6749, section 5.2).

use hyper::{Method, StatusCode};
use serde_json::json;

use super::exchange::{Answer, Request};

const FORM: &str = "application/x-www-form-urlencoded";

/// A refusal in the form of RFC 6749, section 5.2.
pub(crate) fn refusal(status: StatusCode, error: &str, description: &str) -> Answer {
    Answer::json(
        status,
        &json!({ "error": error, "error_description": description }),
    )
    .because(format!("{error}: {description}"))
}

/// What both endpoints ask of any request: `POST` and a form.
pub(crate) fn check_form(request: &Request) -> Option<Answer> {
    if request.method != Method::POST {
        return Some(
            Answer::empty(StatusCode::METHOD_NOT_ALLOWED).because("a token is asked for with POST"),
        );
    }
    if request.media_type() != FORM {
        let text = format!("the body must be {FORM}");
        return Some(refusal(StatusCode::BAD_REQUEST, "invalid_request", &text));
    }
    None
}

/// The form for the journal: the names and harmless values, but neither assertion nor secret.
pub(crate) fn without_secrets(request: &Request) -> String {
    let mut fields: Vec<(String, String)> = request.form().into_iter().collect();
    fields.sort();
    let shown = fields.into_iter().map(|(name, value)| match name.as_str() {
        "grant_type" | "scope" | "client_id" => format!("{name}={value}"),
        _ => format!("{name}=…"),
    });
    shown.collect::<Vec<_>>().join("&")
}
