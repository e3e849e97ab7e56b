//! The headers of requests and answers.

use serde_json::{Map, Value, json};

use super::super::{body, wire};

/// Headers that components hold: the name on the wire, whether it is always there, its schema, and what it says.
const HEADERS: [(&str, bool, &str, &str); 15] = [
    (
        "request-id",
        true,
        r#"{"type":"string","format":"uuid"}"#,
        "The hub's id of the request, by which its log has it.",
    ),
    (
        "client-request-id",
        false,
        r#"{"type":"string"}"#,
        "The caller's own id, if it sent one.",
    ),
    (
        "Cache-Control",
        true,
        r#"{"type":"string"}"#,
        "Who may keep the answer; `no-store` for all that is a person's.",
    ),
    (
        "X-Content-Type-Options",
        true,
        r#"{"type":"string","const":"nosniff"}"#,
        "That it is what it says.",
    ),
    (
        "RateLimit-Policy",
        false,
        r#"{"type":"string"}"#,
        "The rates that were counted, where any is set: `\"user\";q=600;w=60` is 600 in 60 seconds.",
    ),
    (
        "RateLimit",
        false,
        r#"{"type":"string"}"#,
        "Where the caller stands with each: `\"user\";r=598;t=1` is 598 left, and all again after a second.",
    ),
    (
        "Vary",
        true,
        r#"{"type":"string"}"#,
        "That the answer differs by `Origin`.",
    ),
    (
        "Access-Control-Allow-Origin",
        false,
        r#"{"type":"string"}"#,
        "The caller's origin, where it is one of the app's.",
    ),
    (
        "WWW-Authenticate",
        true,
        r#"{"type":"string"}"#,
        "How to authenticate.",
    ),
    (
        "Retry-After",
        true,
        r#"{"type":"integer","minimum":1}"#,
        "After how many seconds to come again.",
    ),
    (
        "Allow",
        true,
        r#"{"type":"string"}"#,
        "The methods that the path takes.",
    ),
    (
        "Location",
        false,
        r#"{"type":"string","format":"uri"}"#,
        "Where it is.",
    ),
    (
        "OData-Version",
        false,
        r#"{"type":"string","const":"4.0"}"#,
        "As the retired service said.",
    ),
    (
        "Content-Security-Policy",
        true,
        r#"{"type":"string"}"#,
        "What the page may load and run.",
    ),
    (
        "X-Accel-Buffering",
        true,
        r#"{"type":"string","const":"no"}"#,
        "Asks proxies to pass the stream on as it comes.",
    ),
];

/// Those of every answer.
const OF_ALL: [&str; 6] = [
    "request-id",
    "client-request-id",
    "Cache-Control",
    "X-Content-Type-Options",
    "RateLimit-Policy",
    "RateLimit",
];
/// And of those that pages of other origins may read.
const OF_PAGES: [&str; 2] = ["Vary", "Access-Control-Allow-Origin"];

/// All of them, as components.
pub(super) fn components() -> Value {
    let all = HEADERS.iter().map(|(name, required, schema, words)| {
        let schema: Value = serde_json::from_str(schema).unwrap_or_default();
        let header = json!({ "description": words, "required": required, "schema": schema });
        ((*name).to_owned(), header)
    });
    Value::Object(all.collect())
}

/// A reference to one.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

/// The headers of an answer: those of every one, and these.
pub(super) fn of(names: &[&str]) -> Value {
    let all = OF_ALL.iter().chain(names);
    let all = all.map(|name| ((*name).to_owned(), reference(name)));
    Value::Object(all.collect::<Map<_, _>>())
}

/// Adds to an answer what those that pages may read have beside.
pub(super) fn readable_by_pages(answer: &mut Value) {
    for name in OF_PAGES {
        answer["headers"][name] = reference(name);
    }
}

/// The headers of a refusal with this status.
pub(super) fn of_refusal(status: u16) -> Value {
    match status {
        401 => of(&["WWW-Authenticate"]),
        405 => of(&["Allow"]),
        503 => of(&["Retry-After"]),
        429 => {
            let mut headers = of(&[]);
            headers["Retry-After"] = json!({
                "description": "After how many seconds to come again; not with `limitReached`.",
                "schema": { "type": "integer", "minimum": 1 },
            });
            headers
        }
        _ => of(&[]),
    }
}

/// What packs a body; empty is the same as left out.
fn encoding() -> Value {
    let mut schema = wire::schema::word(&body::ENCODINGS);
    if let Some(alternatives) = schema["anyOf"].as_array_mut() {
        alternatives.push(json!({ "type": "string", "maxLength": 0 }));
    }
    schema
}

/// A header of requests.
pub(super) fn parameter(name: &str) -> Value {
    let (schema, words, example) = match name {
        "X-Endpoint-Id" => (
            json!({ "type": "string", "pattern": wire::schema::ENDPOINT_ID }),
            "The device that calls, where the token is bound to none: its pulls count as its fetches, its own changes do not tap it. One that is not registered is `404`; another than the token's is `403`.",
            None,
        ),
        "Idempotency-Key" => (
            json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$" }),
            "Makes the post safe to retry for 24 hours: the same again is answered as the first time. With another request, or while the first is under way, `409`.",
            None,
        ),
        "X-UNS-ID" => (
            json!({ "type": "string" }),
            "The subscription id of one of the user's devices, which names the user. An app's server must send it; a user token names its own user.",
            None,
        ),
        "Content-Encoding" => (
            encoding(),
            "How the body is packed, if it is. Its limit is of what comes out.",
            None,
        ),
        "Last-Event-ID" => (
            json!({ "type": "string" }),
            "The `id` of the last event, after which the stream goes on; wins over `$deltatoken`. One that is too old is `410`.",
            None,
        ),
        _ => (
            json!({ "type": "string" }),
            "The caller's own id of the request, of at most 1024 printable ASCII characters, which the answer repeats; one that is not is passed over.",
            Some("7a0e"),
        ),
    };
    let mut parameter =
        json!({ "name": name, "in": "header", "description": words, "schema": schema });
    if let Some(example) = example {
        parameter["example"] = example.into();
    }
    parameter
}
