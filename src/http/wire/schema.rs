//! Pieces of JSON Schema (2020-12) by which readers and writers of JSON describe themselves.
//!
//! A schema counts a text's characters, the hub the bytes of its UTF-8: where both differ the schema's `maxLength` is
//! the most that could ever pass, and the words beside it say bytes.
//!
//! Generators of clients make a type of each object that has a name, and pass over `if` and `then`. So an object that is
//! one of several, or that may be `null`, has a name; what is one of several stands alone, with no members beside it;
//! what depends on other members is told by `if`, and in words; and lists have `items`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::answer::Text;
use crate::{
    hub::TestResult,
    model::{
        ActionState, BroadcastId, BroadcastStatus, ChannelKind, DeliveryStatus, NotificationId,
        Platform, Priority, ReadState, Reason, Removal, SubscriptionId, TapId, Timestamp,
    },
};

/// What an endpoint's id is made of; `.` and `..` are none.
pub(in super::super) const ENDPOINT_ID: &str = "^(?!\\.{1,2}$)[A-Za-z0-9._~-]{1,128}$";

/// What a user's id is made of; `.` and `..` are none.
const USER_ID: &str = "^(?!\\.{1,2}$)[^\\u0000-\\u001f\\u007f-\\u009f]*$";
/// The same in words.
pub(in super::super) const USER_WORDS: &str = "The app's own id of the user: 1 to 256 bytes of UTF-8 without control characters, not `.` or `..`.";

macro_rules! closed_sets {
    ($($name:ident $all:expr),*) => {$(
        #[doc = concat!("A ", stringify!($name), ", as the hub writes it.")]
        pub(super) fn $name(_: &mut SchemaGenerator) -> Schema {
            let words: Vec<&str> = $all.iter().map(|it| it.as_str()).collect();
            json_schema!({ "type": "string", "enum": words })
        }
    )*};
}

closed_sets!(
    platform Platform::ALL,
    channel_kind ChannelKind::ALL,
    priority Priority::ALL,
    read_state ReadState::ALL,
    action_state ActionState::ALL,
    delivery_status DeliveryStatus::ALL,
    reason Reason::ALL,
    broadcast_status BroadcastStatus::SEEN,
    test_result TestResult::ALL
);

/// A list of platforms, as the hub writes it.
pub(super) fn platforms(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": platform(generator) })
}

/// The one status that is ever shown.
pub(super) fn active(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "const": "active" })
}

/// Why something is gone.
pub(super) fn removed(_: &mut SchemaGenerator) -> Schema {
    let reasons = [Removal::Deleted, Removal::Expired].map(Removal::as_str);
    json_schema!({
        "type": "object",
        "required": ["reason"],
        "properties": { "reason": { "type": "string", "enum": reasons } },
    })
}

/// A list of keys that has none.
pub(super) fn no_keys(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "type": "object" }, "maxItems": 0 })
}

/// A whole number of seconds, or a part of one.
pub(super) fn seconds(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "number", "minimum": 0 })
}

macro_rules! written_as_text {
    ($($id:ty, $schema:expr;)*) => {$(
        impl JsonSchema for Text<$id> {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($id).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )*};
}

written_as_text!(
    Timestamp, json_schema!({ "type": "string", "format": "date-time" });
    NotificationId, json_schema!({ "type": "string" });
    BroadcastId, json_schema!({ "type": "string" });
    SubscriptionId, json_schema!({ "type": "string" });
    TapId, json_schema!({ "type": "string" });
);

/// The shapes that have names.
#[derive(Debug, Default)]
pub(in super::super) struct Shapes(pub(in super::super) Map<String, Value>);

impl Shapes {
    /// Keeps a shape under a name, and refers to it.
    pub(in super::super) fn named(&mut self, name: &str, shape: Value) -> Value {
        self.0.insert(name.to_owned(), shape);
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }
}

/// An object with these members. Others are ignored.
pub(in super::super) fn object(required: &[&str], members: Value) -> Value {
    json!({ "type": "object", "required": required, "properties": members })
}

/// The same schema with words beside it.
pub(in super::super) fn said(mut schema: Value, words: &str) -> Value {
    schema["description"] = words.into();
    schema
}

/// What may be left out, which is the same as `null`.
pub(in super::super) fn optional(mut schema: Value) -> Value {
    if let Some(alternatives) = schema.get_mut("anyOf").and_then(Value::as_array_mut) {
        alternatives.push(json!({ "type": "null" }));
    } else if schema.get("format").is_some() || schema.get("$ref").is_some() {
        // What is told of a format is not of `null`, nor is what has a name.
        let words = schema.get("description").cloned();
        schema = json!({ "anyOf": [schema, { "type": "null" }] });
        if let Some(words) = words {
            schema["description"] = words;
        }
    } else if let Some(kind) = schema.get("type").cloned() {
        schema["type"] = json!([kind, "null"]);
    }
    schema
}

/// What may not be there beside something else.
pub(super) fn absent() -> Value {
    json!({ "type": "null" })
}

/// A string of any length that the body has room for.
pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

/// A string of at most so many bytes, as a key allows.
pub(super) fn text_within((key, max): (&str, usize)) -> Value {
    let by = match key.contains('.') {
        true => format!(" (`{key}`)"),
        false => String::new(),
    };
    let words = format!("At most {max} bytes of UTF-8{by}.");
    json!({ "type": "string", "maxLength": max, "description": words })
}

/// The same, and not empty.
pub(super) fn filled_text(limit: (&str, usize)) -> Value {
    let mut schema = text_within(limit);
    schema["minLength"] = 1.into();
    schema
}

/// One of these words, in any case.
pub(in super::super) fn word(words: &[&str]) -> Value {
    let any_case = |word: &&str| -> String {
        let letters = word.chars().map(|c| match c.is_ascii_alphabetic() {
            true => format!("[{}{}]", c.to_ascii_uppercase(), c.to_ascii_lowercase()),
            false => c.to_string(),
        });
        letters.collect()
    };
    let patterns: Vec<String> = words.iter().map(any_case).collect();
    json!({ "anyOf": [
        { "type": "string", "enum": words },
        { "type": "string", "description": "The same in any case.", "pattern": format!("^({})$", patterns.join("|")) },
    ] })
}

/// `true` or `false`.
pub(super) fn flag() -> Value {
    json!({ "type": "boolean" })
}

/// A moment, as requests say it.
pub(super) fn moment(words: &str) -> Value {
    json!({
        "type": "string",
        "format": "date-time",
        "pattern": "([Zz]|[+-]00:00)$",
        "description": format!("RFC 3339 in UTC; {words}."),
    })
}

/// An endpoint's id.
pub(in super::super) fn endpoint_id() -> Value {
    json!({ "type": "string", "pattern": ENDPOINT_ID })
}

/// A user's id.
pub(in super::super) fn user_id() -> Value {
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": 256,
        "pattern": USER_ID,
        "description": USER_WORDS,
    })
}

/// One of these, of which each says for its own part what is there and what is not.
pub(super) fn any_of(alternatives: &[Value]) -> Value {
    json!({ "anyOf": alternatives })
}

/// An object of which one of two members must be there: where the first is not, the second, which is of this kind.
pub(super) fn either(object: Value, first: &str, (second, kind): (&str, &str)) -> Value {
    let without = json!({ "properties": { first: absent() } });
    where_so(object, without, with(second, json!({ "type": kind })))
}

/// An object that, where the first holds, is as the second says as well.
pub(super) fn where_so(mut object: Value, holds: Value, then: Value) -> Value {
    object["if"] = holds;
    object["then"] = then;
    object
}

/// A member that must be there, and be of this schema.
pub(super) fn with(name: &str, schema: Value) -> Value {
    object(
        &[name],
        Value::Object(Map::from_iter([(name.to_owned(), schema)])),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_in_any_case() {
        let schema = word(&["iOS", "webPush"]);
        assert_eq!(schema["anyOf"][0]["enum"], json!(["iOS", "webPush"]));
        let pattern = &schema["anyOf"][1]["pattern"];
        assert_eq!(pattern, "^([Ii][Oo][Ss]|[Ww][Ee][Bb][Pp][Uu][Ss][Hh])$");
    }

    #[test]
    fn what_may_be_left_out_may_be_null() {
        assert_eq!(optional(text())["type"], json!(["string", "null"]));
        let schema = optional(word(&["a"]));
        assert_eq!(schema["anyOf"][2], absent());
        let named = Shapes::default().named("A", object(&[], json!({})));
        assert_eq!(optional(named.clone())["anyOf"], json!([named, absent()]));
    }
}
