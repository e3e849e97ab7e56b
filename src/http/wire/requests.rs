//! The smaller bodies: changes of state, receipts, tokens, tickets.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    fields::{Faults, Fields, whole},
    schema::{self, Shapes, absent, any_of, either, object, optional, said},
};
use crate::{
    hub::{self, Selection},
    model::{ActionState, EndpointId, NotificationId, ReadState, StateChange},
};

/// How long a token may live at most, in seconds.
const MAX_TOKEN_SECS: i64 = 31_536_000;

/// A change of one notification, and the cursor that it was made at.
pub(in super::super) fn patch(
    body: &Map<String, Value>,
) -> Result<(StateChange, Option<String>), hub::Error> {
    let faults = Faults::default();
    let fields = Fields::of(body, &faults);
    let up_to = owned(fields.text("upTo"));
    let change = change(&fields);
    faults.finish(Some((change, up_to)))
}

/// What [`patch()`] takes.
pub(in super::super) fn patch_schema() -> Value {
    let mut schema = change_schema();
    schema["properties"]["upTo"] = optional(cursor_schema("made at"));
    schema
}

/// A change of many: which, what, and the cursor that it was made at.
pub(in super::super) fn many(
    body: &Map<String, Value>,
    max_ids: usize,
) -> Result<(Selection, StateChange, Option<String>), hub::Error> {
    let faults = Faults::default();
    let fields = Fields::of(body, &faults);
    let up_to = owned(fields.text("upTo"));
    fields.require("set");
    let change = fields.object("set").map(|set| change(&set));
    let selection = selection(&fields, max_ids);
    let all = selection.zip(change);
    faults.finish(all.map(|(selection, change)| (selection, change, up_to)))
}

/// What [`many()`] takes.
pub(in super::super) fn many_schema(max_ids: usize, shapes: &mut Shapes) -> Value {
    let states = shapes.named("ChangedStates", change_schema());
    let kinds = [
        ("ChangeByIds", "ids", ids_schema(max_ids)),
        ("ChangeByGroup", "groupName", schema::text()),
        (
            "ChangeOfAll",
            "all",
            json!({ "type": "boolean", "const": true }),
        ),
    ];
    let names = kinds.each_ref().map(|(_, name, _)| *name);
    let one_of = kinds.map(|(title, name, kind)| {
        let mut members =
            json!({ "set": states.clone(), "upTo": optional(cursor_schema("made at")) });
        for other in names {
            members[other] = absent();
        }
        members[name] = kind;
        shapes.named(title, object(&["set", name], members))
    });
    any_of(&one_of)
}

/// What a device put before the person's eyes, and the cursor up to which it holds everything.
pub(in super::super) fn receipts(
    body: &Map<String, Value>,
    max_ids: usize,
) -> Result<(Vec<NotificationId>, Option<String>), hub::Error> {
    let faults = Faults::default();
    let fields = Fields::of(body, &faults);
    let up_to = owned(fields.text("upTo"));
    let shown = ids(&fields, "shown", max_ids);
    if !fields.has("shown") && !fields.has("upTo") {
        fields.fault("shown", "is missing, and so is upTo; send at least one");
    }
    faults.finish(Some((shown.unwrap_or_default(), up_to)))
}

/// What [`receipts()`] takes.
pub(in super::super) fn receipts_schema(max_ids: usize) -> Value {
    let members = json!({
        "shown": optional(ids_schema(max_ids)),
        "upTo": optional(cursor_schema("up to which the device holds everything")),
    });
    let receipts = either(object(&[], members), "shown", ("upTo", "string"));
    said(receipts, "At least one of the two.")
}

/// The endpoint that a token is to be bound to, and how long it is to live.
pub(in super::super) fn token(
    body: &Map<String, Value>,
) -> Result<(Option<EndpointId>, Option<Duration>), hub::Error> {
    let faults = Faults::default();
    let fields = Fields::of(body, &faults);
    let what = "1 to 128 of A-Z a-z 0-9 . _ ~ -";
    let endpoint = fields.word("endpointId", what, |text| EndpointId::parse(text).ok());
    let what = format!("a whole number of seconds from 1 to {MAX_TOKEN_SECS}");
    let life = fields.typed("expiresInSeconds", &what, |value| {
        let secs = whole(value.as_number()?)?;
        let secs = (1..=MAX_TOKEN_SECS).contains(&secs).then_some(secs)?;
        Some(Duration::from_secs(u64::try_from(secs).ok()?))
    });
    faults.finish(Some((endpoint, life)))
}

/// What [`token()`] takes.
pub(in super::super) fn token_schema() -> Value {
    let life = json!({ "type": "integer", "minimum": 1, "maximum": MAX_TOKEN_SECS });
    let members = json!({
        "endpointId": said(optional(schema::endpoint_id()), "The device that it is to be bound to."),
        "expiresInSeconds": said(optional(life), "An hour where it is left out; 90 days for one that is bound to a device."),
    });
    object(&[], members)
}

/// The cursor that a stream is to begin at.
pub(in super::super) fn ticket(body: &Map<String, Value>) -> Result<Option<String>, hub::Error> {
    let faults = Faults::default();
    let token = owned(Fields::of(body, &faults).text("deltaToken"));
    faults.finish(Some(token))
}

/// What [`ticket()`] takes.
pub(in super::super) fn ticket_schema() -> Value {
    object(
        &[],
        json!({ "deltaToken": optional(cursor_schema("that the stream begins at")) }),
    )
}

/// A cursor, which only the hub can make.
fn cursor_schema(words: &str) -> Value {
    said(
        schema::text(),
        &format!(
            "The cursor (`$deltatoken`, or a stream's `id`) {words}; one that is too old, or none of this user's feed, is `410`."
        ),
    )
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

/// At least one of the two states.
fn change(fields: &Fields<'_>) -> StateChange {
    if !fields.has("readState") && !fields.has("userActionState") {
        fields.fault(
            "readState",
            "is missing, and so is userActionState; send at least one",
        );
    }
    let actions = "one of noInteraction, activated, dismissed, snoozed";
    StateChange {
        read: fields.word("readState", "unread or read", ReadState::parse),
        action: fields.word("userActionState", actions, ActionState::parse),
    }
}

fn change_schema() -> Value {
    let read = schema::word(&ReadState::ALL.map(ReadState::as_str));
    let action = schema::word(&ActionState::ALL.map(ActionState::as_str));
    let members = json!({ "readState": optional(read), "userActionState": optional(action) });
    let action = ("userActionState", "string");
    let states = either(object(&[], members), "readState", action);
    said(states, "At least one of the two states.")
}

fn selection(fields: &Fields<'_>, max_ids: usize) -> Option<Selection> {
    let named = ["ids", "groupName", "all"];
    let found: Vec<&str> = named.into_iter().filter(|name| fields.has(name)).collect();
    match found[..] {
        ["ids"] => ids(fields, "ids", max_ids).map(Selection::Ids),
        ["groupName"] => owned(fields.text("groupName")).map(Selection::Group),
        ["all"] => fields.typed("all", "true", |value| {
            (value.as_bool() == Some(true)).then_some(Selection::All)
        }),
        [] => {
            fields.fault("ids", "is missing; send one of ids, groupName, all");
            None
        }
        [_, second, ..] => {
            fields.fault(second, "is one too many; send one of ids, groupName, all");
            None
        }
        _ => None,
    }
}

/// Ids that cannot be are passed over like others that are not there.
fn ids(fields: &Fields<'_>, name: &str, max: usize) -> Option<Vec<NotificationId>> {
    let texts = fields.texts(name)?;
    if texts.len() > max {
        let len = texts.len();
        fields.fault(
            name,
            format!("has {len} entries; server.limits.batch_ids allows {max}"),
        );
        return None;
    }
    Some(
        texts
            .into_iter()
            .filter_map(NotificationId::parse)
            .collect(),
    )
}

fn ids_schema(max: usize) -> Value {
    json!({
        "type": "array",
        "items": { "type": "string" },
        "maxItems": max,
        "description": format!("At most {max} ids (`server.limits.batch_ids`); those that are not there are passed over."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    fn targets<T>(result: Result<T, hub::Error>) -> Vec<String> {
        match result {
            Ok(_) => Vec::new(),
            Err(hub::Error::Invalid(faults)) => faults
                .into_iter()
                .map(|fault| fault.target.into_owned())
                .collect(),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn changes_of_one() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(targets(patch(&body(text))), expected, "{text}");
        };
        check(r#"{"readState":"READ"}"#, &[]);
        check(r#"{"userActionState":"dismissed","upTo":"x"}"#, &[]);
        check("{}", &["readState"]);
        check(r#"{"upTo":"x"}"#, &["readState"]);
        check(
            r#"{"readState":"seen","userActionState":1}"#,
            &["readState", "userActionState"],
        );
        check(r#"{"readState":"read","upTo":1}"#, &["upTo"]);
    }

    #[test]
    fn changes_of_many() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(targets(many(&body(text), 2)), expected, "{text}");
        };
        check(r#"{"all":true,"set":{"readState":"read"}}"#, &[]);
        check(r#"{"ids":["odd"],"set":{"readState":"read"}}"#, &[]);
        check(r#"{"groupName":"g","set":{"readState":"read"}}"#, &[]);
        check(r#"{"all":false,"set":{"readState":"read"}}"#, &["all"]);
        check(
            r#"{"ids":["a","b","c"],"set":{"readState":"read"}}"#,
            &["ids"],
        );
        check(r#"{"ids":[1],"set":{"readState":"read"}}"#, &["ids"]);
        check(
            r#"{"ids":[],"all":true,"set":{"readState":"read"}}"#,
            &["all"],
        );
        check(r#"{"set":{"readState":"read"}}"#, &["ids"]);
        check(r#"{"all":true}"#, &["set"]);
        check(r#"{"all":true,"set":{}}"#, &["set.readState"]);
    }

    #[test]
    fn receipts_and_tokens() {
        assert_eq!(targets(receipts(&body("{}"), 2)), ["shown"]);
        assert_eq!(
            targets(receipts(&body(r#"{"shown":["a","b","c"]}"#), 2)),
            ["shown"]
        );
        assert!(targets(receipts(&body(r#"{"upTo":"x"}"#), 2)).is_empty());
        assert!(targets(token(&body(r#"{"endpointId":"a","expiresInSeconds":1}"#))).is_empty());
        assert_eq!(
            targets(token(&body(
                r#"{"endpointId":"a/b","expiresInSeconds":31536001}"#
            ))),
            ["endpointId", "expiresInSeconds"]
        );
    }
}
