//! What a refusal is called over HTTP: status, code and text of every failure stand in one table, [`Error::row`].
//!
//! An error becomes a [`Complaint`] that travels with the answer; the outermost layer, which knows the request's id,
//! writes it. What went wrong inside goes to the log under that id, never to the caller.

use actix_web::{
    HttpResponse, ResponseError,
    body::BoxBody,
    http::{StatusCode, header},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    config::Rate,
    hub,
    model::{Fault, Timestamp},
    store,
};

/// How long a caller is asked to wait, in seconds, where the hub is about to be there again.
const SOON_SECS: u32 = 5;
/// How long where the operator has to act first.
const LATER_SECS: u32 = 60;

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The hub refused.
    #[error(transparent)]
    Hub(#[from] hub::Error),
    /// There is no such path.
    #[error("there is nothing at this path")]
    NoPath,
    /// The path is there, but not for this method.
    #[error("this path takes {0}")]
    Method(String),
    /// The body is too long.
    #[error("the body is longer than {max} bytes, which {name} allows (after inflating)")]
    TooLarge {
        /// The limit's key.
        name: &'static str,
        /// Its value.
        max: usize,
    },
    /// The body is in a form that the hub does not read.
    #[error("{0}")]
    MediaType(&'static str),
    /// Who asks has asked too often.
    #[error(
        "these are more requests than {name} = \"{rate}\" allows; wait for the seconds in Retry-After"
    )]
    TooMany {
        /// The limit's key.
        name: &'static str,
        /// Its value.
        rate: Rate,
        /// After how many seconds one more may come.
        wait_secs: u32,
    },
    /// The body did not arrive in time.
    #[error("the body did not arrive within 30 s")]
    Slow,
    /// The hub is asked whether it is ready, and cannot read a part of its store.
    #[error(
        "the hub is unable to read a part of its store; its operator finds in the log what to do"
    )]
    Unreadable,
    /// The keys of the app's identity provider are not to be had.
    #[error("the keys of the app's identity provider cannot be fetched; try again in a moment")]
    NoKeys,
    /// The hub starts or stops.
    #[error("the hub is starting or stopping; try again in a moment")]
    Unavailable,
}

/// What the outermost layer writes into the answer's body.
#[derive(Debug, Clone)]
pub(super) struct Complaint {
    code: &'static str,
    message: String,
    details: Vec<Fault>,
    /// For the log alone.
    pub(super) cause: Option<String>,
    /// Whether that is damage of the store.
    pub(super) is_damage: bool,
}

impl Error {
    /// Status, code, and the seconds after which to try again: the one table.
    fn row(&self) -> (StatusCode, &'static str, Option<u32>) {
        use hub::Error as H;
        match self {
            Self::Hub(H::Invalid(_)) | Self::Slow => {
                (StatusCode::BAD_REQUEST, "invalidRequest", None)
            }
            Self::Hub(H::Unauthenticated(_)) => (StatusCode::UNAUTHORIZED, "unauthenticated", None),
            Self::Hub(H::Forbidden(_)) => (StatusCode::FORBIDDEN, "accessDenied", None),
            Self::Hub(H::NotFound(_)) | Self::NoPath => {
                (StatusCode::NOT_FOUND, "itemNotFound", None)
            }
            Self::Hub(H::EndpointNotFound) => (StatusCode::NOT_FOUND, "endpointNotFound", None),
            Self::Method(_) => (StatusCode::METHOD_NOT_ALLOWED, "methodNotAllowed", None),
            Self::Hub(H::Conflict(_)) => (StatusCode::CONFLICT, "conflict", None),
            Self::Hub(H::CursorTooOld) => (StatusCode::GONE, "syncStateNotFound", None),
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "payloadTooLarge", None),
            Self::MediaType(_) => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupportedMediaType",
                None,
            ),
            Self::Hub(H::Limit { .. }) => (StatusCode::TOO_MANY_REQUESTS, "limitReached", None),
            Self::TooMany { wait_secs, .. } => (
                StatusCode::TOO_MANY_REQUESTS,
                "tooManyRequests",
                Some(*wait_secs),
            ),
            Self::Hub(H::Store(
                store::Error::Full | store::Error::Corrupt(_) | store::Error::Unreadable(_),
            ))
            | Self::Unreadable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "serviceUnavailable",
                Some(LATER_SECS),
            ),
            Self::Hub(H::Store(_)) | Self::NoKeys | Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "serviceUnavailable",
                Some(SOON_SECS),
            ),
        }
    }

    /// The text that the caller reads.
    fn message(&self) -> String {
        match self {
            Self::Hub(hub::Error::Invalid(faults)) => summary(faults),
            Self::Hub(hub::Error::Store(store::Error::Full)) => String::from(
                "the hub's disk is nearly full; nothing new is stored until there is room",
            ),
            Self::Hub(hub::Error::Store(error)) if error.is_damage() => String::from(
                "the hub cannot read this in its store until its operator has mended it",
            ),
            Self::Hub(hub::Error::Store(_)) => {
                String::from("the hub cannot reach its store; try again in a moment")
            }
            other => other.to_string(),
        }
    }

    /// How it is answered: status, code, after how many seconds to come again, and the body, for those who describe it.
    pub(super) fn shown(&self, now: Timestamp) -> (StatusCode, &'static str, Option<u32>, Vec<u8>) {
        let (status, code, retry_after) = self.row();
        let id = "3f1c0a52-6d1e-4a57-9c0b-2b7d0f6c9a11";
        (status, code, retry_after, self.complaint().write(id, now))
    }

    fn complaint(&self) -> Complaint {
        let (_, code, _) = self.row();
        let details = match self {
            Self::Hub(hub::Error::Invalid(faults)) => faults.clone(),
            Self::Slow => vec![Fault::new("body", "did not arrive within 30 s")],
            _ => Vec::new(),
        };
        let cause = match self {
            // The store says once by itself that it is full.
            Self::Hub(hub::Error::Store(error)) if !error.is_full() => Some(error.to_string()),
            _ => None,
        };
        Complaint {
            code,
            message: self.message(),
            details,
            cause,
            is_damage: matches!(self, Self::Hub(hub::Error::Store(error)) if error.is_damage()),
        }
    }
}

/// Both, or the faults of both.
pub(super) fn both<A, B>(
    first: Result<A, Error>,
    second: Result<B, impl Into<Error>>,
) -> Result<(A, B), Error> {
    match second {
        Ok(second) => Ok((first?, second)),
        Err(error) => Err(joined(first, error.into())),
    }
}

/// An error, with the faults of what else was asked.
pub(super) fn and_also<B>(first: Error, second: Result<B, Error>) -> Error {
    match second {
        Ok(_) => first,
        Err(second) => joined(Err::<(), _>(first), second),
    }
}

/// The faults of `first`, if it has some, and those of `second`.
pub(super) fn joined<A>(first: Result<A, Error>, second: Error) -> Error {
    use hub::Error::Invalid;
    match (first.err(), second) {
        (Some(Error::Hub(Invalid(mut faults))), Error::Hub(Invalid(more))) => {
            faults.extend(more);
            Invalid(faults).into()
        }
        // What is no fault of a field says more than one that is.
        (None | Some(Error::Hub(Invalid(_))), second) => second,
        (Some(first), _) => first,
    }
}

/// The first fault in words, and how many more there are.
fn summary(faults: &[Fault]) -> String {
    let first = faults
        .first()
        .map(|fault| format!("{} {}", fault.target, fault.message))
        .unwrap_or_default();
    match faults.len() {
        0 | 1 => first,
        many => format!("{first} (and {} more)", many - 1),
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        self.row().0
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let (status, _, retry_after) = self.row();
        let mut response = HttpResponse::build(status);
        if let Some(secs) = retry_after {
            response.insert_header((header::RETRY_AFTER, secs));
        }
        match self {
            Self::Hub(hub::Error::Unauthenticated(_)) => {
                response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
            }
            Self::Method(allowed) => {
                response.insert_header((header::ALLOW, allowed.as_str()));
            }
            // Reading on would cost what the limit is to save.
            Self::TooLarge { .. } | Self::Slow => {
                response.force_close();
            }
            _ => {}
        }
        let mut response = response.finish();
        response.extensions_mut().insert(self.complaint());
        response
    }
}

/// A refusal.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub(super) struct Envelope<'a> {
    /// What was wrong.
    error: Written<'a>,
}

/// What was wrong.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ErrorContent")]
struct Written<'a> {
    /// In one word, which stays.
    #[schemars(schema_with = "super::openapi::code")]
    code: &'a str,
    /// In a sentence, which says what to do.
    message: &'a str,
    /// Each fault of the request, with its field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Detail<'a>>,
    /// By what it is found in the hub's log.
    inner_error: InnerError<'a>,
}

/// A fault of the request.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ErrorDetail")]
struct Detail<'a> {
    /// The path of the field, the parameter or the header.
    target: &'a str,
    /// What is wrong with it.
    message: &'a str,
}

/// By what a refusal is found in the hub's log.
#[derive(Serialize, JsonSchema)]
struct InnerError<'a> {
    /// The same as the header's.
    #[serde(rename = "request-id")]
    request_id: &'a str,
    /// When it was.
    #[schemars(extend("format" = "date-time"))]
    date: String,
}

impl Complaint {
    /// The body of the answer in OAuth's words (RFC 6749, section 5.2): of its codes those two fit what the hub says of
    /// any door.
    pub(super) fn write_for_oauth(&self, status: StatusCode) -> Vec<u8> {
        let error = if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            "temporarily_unavailable"
        } else {
            "invalid_request"
        };
        let refusal = super::wire::OAuthError {
            error,
            error_description: &self.message,
        };
        // Strings alone cannot fail to be written.
        serde_json::to_vec(&refusal).unwrap_or_default()
    }

    /// The body of the answer.
    pub(super) fn write(&self, request_id: &str, now: Timestamp) -> Vec<u8> {
        let details = self.details.iter().map(|fault| Detail {
            target: &fault.target,
            message: &fault.message,
        });
        let envelope = Envelope {
            error: Written {
                code: self.code,
                message: &self.message,
                details: details.collect(),
                inner_error: InnerError {
                    request_id,
                    date: now.to_string(),
                },
            },
        };
        // Strings alone cannot fail to be written.
        serde_json::to_vec(&envelope).unwrap_or_default()
    }
}
