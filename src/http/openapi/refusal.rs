//! The refusals that operations are described with. Status, code and text are those that the hub answers: each stands
//! for an [`Error`], and is written as that one is.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
};

use serde_json::{Value, json};

use super::{super::Error, headers};
use crate::{
    config::{Limits, Rate},
    hub,
    model::Timestamp,
};

/// A kind of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refusal {
    Invalid,
    Unauthenticated,
    Forbidden,
    NotFound,
    EndpointNotFound,
    Method,
    Conflict,
    CursorTooOld,
    TooLarge,
    MediaType,
    TooMany,
    Limit,
    Unavailable,
}

impl Refusal {
    pub(super) const ALL: [Self; 13] = [
        Self::Invalid,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::EndpointNotFound,
        Self::Method,
        Self::Conflict,
        Self::CursorTooOld,
        Self::TooLarge,
        Self::MediaType,
        Self::TooMany,
        Self::Limit,
        Self::Unavailable,
    ];

    /// One such refusal.
    fn error(self, limits: &Limits) -> Error {
        match self {
            Self::Invalid => {
                hub::Error::invalid("priority", "is not one of None, High, Low").into()
            }
            Self::Unauthenticated => {
                hub::Error::Unauthenticated("send a credential: Authorization: Bearer …").into()
            }
            Self::Forbidden => {
                hub::Error::Forbidden("the scope of this app key does not include this").into()
            }
            Self::NotFound => hub::Error::NotFound("notification").into(),
            Self::EndpointNotFound => hub::Error::EndpointNotFound.into(),
            Self::Method => Error::Method(String::from("GET, POST")),
            Self::Conflict => hub::Error::Conflict("it contradicts what is there").into(),
            Self::CursorTooOld => hub::Error::CursorTooOld.into(),
            Self::TooLarge => Error::TooLarge {
                name: "server.limits.body",
                max: limits.body,
            },
            Self::MediaType => Error::MediaType("Content-Type is not application/json"),
            Self::TooMany => Error::TooMany {
                name: "server.limits.requests_per_key",
                rate: limits
                    .requests_per_key
                    .unwrap_or(Rate::per_minute(NonZeroU32::MIN)),
                wait_secs: 1,
            },
            Self::Limit => hub::Error::Limit {
                name: "server.limits.connections",
                max: limits.connections,
                advice: "close one first",
            }
            .into(),
            Self::Unavailable => Error::Unavailable,
        }
    }

    /// What its code is.
    pub(super) fn code(self) -> &'static str {
        self.error(&Limits::default()).shown(Timestamp::MAX).1
    }

    fn words(self) -> &'static str {
        match self {
            Self::Invalid => "The request is not valid; `details` names each fault with its field.",
            Self::Unauthenticated => "No credential, or one that is not good.",
            Self::Forbidden => "The credential is good, but not for this.",
            Self::NotFound => "There is no such thing, or none of this caller's.",
            Self::EndpointNotFound => {
                "The device that calls is not registered; it registers again."
            }
            Self::Method => "The path takes other methods, which `Allow` names.",
            Self::Conflict => "It contradicts what is there.",
            Self::CursorTooOld => {
                "The cursor reaches no longer, or is none of this feed's; the client starts over without one."
            }
            Self::TooLarge => "The body is longer than the limit; the connection is closed.",
            Self::MediaType => {
                "Content-Type is not application/json in UTF-8, or Content-Encoding none of gzip, deflate, identity."
            }
            Self::TooMany => {
                "More requests than a rate allows; `Retry-After` says when to come again."
            }
            Self::Limit => "So many are there already; waiting alone does not help.",
            Self::Unavailable => "The hub starts, stops, or cannot reach its store.",
        }
    }
}

/// An answer that many operations share: what it is called, and what it is.
pub(super) type Shared = (String, Value);

/// The answers to these refusals, by status: the code of each, what it says, and its headers.
pub(super) fn answers(refusals: &BTreeSet<Refusal>, limits: &Limits) -> BTreeMap<u16, Shared> {
    let mut by_status: BTreeMap<u16, Vec<Refusal>> = BTreeMap::new();
    for refusal in refusals {
        let (status, ..) = refusal.error(limits).shown(Timestamp::MAX);
        by_status.entry(status.as_u16()).or_default().push(*refusal);
    }
    let answers = by_status.into_iter().map(|(status, refusals)| {
        let codes: Vec<&str> = refusals.iter().map(|refusal| refusal.code()).collect();
        let schema = json!({
            "allOf": [{ "$ref": "#/components/schemas/Error" }],
            "properties": { "error": { "properties": { "code": { "enum": codes } } } },
        });
        let examples = refusals.iter().map(|refusal| {
            let (_, code, _, body) = refusal.error(limits).shown(example_time());
            let value: Value = serde_json::from_slice(&body).unwrap_or_default();
            (
                code.to_owned(),
                json!({ "summary": refusal.words(), "value": value }),
            )
        });
        let examples: serde_json::Map<_, _> = examples.collect();
        let words: Vec<String> = refusals
            .iter()
            .map(|refusal| format!("`{}`: {}", refusal.code(), refusal.words()))
            .collect();
        let answer = json!({
            "description": words.join("\n\n"),
            "headers": headers::of_refusal(status),
            "content": { "application/json": { "schema": schema, "examples": examples } },
        });
        (status, (codes.join("."), answer))
    });
    answers.collect()
}

/// The same where errors are OAuth's.
pub(super) fn oauth_answers() -> BTreeMap<u16, Shared> {
    let answer = |status: u16, words: &str, error: &str| {
        let value = json!({ "error": error, "error_description": words });
        let answer = json!({
            "description": words,
            "headers": headers::of_refusal(status),
            "content": { "application/json": {
                "schema": { "$ref": "#/components/schemas/OAuthError" },
                "example": value,
            } },
        });
        (status, (format!("oauth.{status}"), answer))
    };
    let unavailable = "temporarily_unavailable";
    BTreeMap::from([
        answer(400, "The request is not valid.", "invalid_request"),
        answer(
            401,
            "client_id or client_secret is wrong.",
            "invalid_client",
        ),
        answer(
            413,
            "The body is longer than the limit; the connection is closed.",
            "invalid_request",
        ),
        answer(429, "Too many requests or connections.", unavailable),
        answer(
            503,
            "The hub starts, stops, or cannot reach its store.",
            unavailable,
        ),
    ])
}

/// A moment to show.
fn example_time() -> Timestamp {
    Timestamp::from_millis(1_795_521_600_000)
}
