//! The parameters in paths.

use serde_json::{Value, json};

use super::super::{docs, wire::schema};

/// Those of a path's template, in its order.
pub(super) fn parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| {
        part.strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'))
    });
    names.map(|name| parameter(path, name)).collect()
}

fn parameter(path: &str, name: &str) -> Value {
    let (schema, words, example) = match name {
        "user" => (schema::user_id(), schema::USER_WORDS, Some("ada")),
        "endpoint" => (
            schema::endpoint_id(),
            "The device, by the id that its client made.",
            Some("phone"),
        ),
        "host" => (
            json!({ "type": "string", "minLength": 1 }),
            "The app.",
            Some("todo.example.com"),
        ),
        "tenant" => (
            json!({ "type": "string", "minLength": 1 }),
            "Any; for clients that put one there.",
            Some("common"),
        ),
        "page" => (
            json!({ "type": "string", "enum": docs::names() }),
            "Which page.",
            None,
        ),
        "file" => (
            json!({ "type": "string", "enum": super::reference::NAMES }),
            "Which file.",
            None,
        ),
        // `{id}`
        _ if path.starts_with("/v1/notifications/") => (
            json!({ "type": "string", "minLength": 1 }),
            "The job, by the id that the post to many was answered with.",
            None,
        ),
        _ => (
            json!({ "type": "string", "minLength": 1 }),
            "The notification, by the hub's id.",
            None,
        ),
    };
    let mut parameter = json!({ "name": name, "in": "path", "required": true, "description": words, "schema": schema });
    if let Some(example) = example {
        parameter["example"] = example.into();
    }
    parameter
}

/// Whether the hub decodes it strictly: what does not decode is invalid. The others are matched as they stand.
pub(super) fn is_decoded(parameter: &Value) -> bool {
    let name = parameter["name"].as_str().unwrap_or_default();
    matches!(name, "user" | "endpoint" | "id" | "host")
}
