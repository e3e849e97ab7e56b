//! A post to many: whom it is for, and how far it is.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    answer::Text,
    draft::{self, DraftRules},
    fields::{Faults, Fields},
    schema::{self, Shapes, absent, object},
};
use crate::{
    hub,
    model::{Audience, Broadcast as Job, BroadcastId, Draft, Timestamp, UserId},
};

/// How many wrong ids are named one by one; who sends more has one mistake in all of them.
const NAMED_FAULTS: usize = 20;

/// Whom a post is for, and what it says.
///
/// # Errors
/// `Forbidden` where it names another app; `Invalid` with all its faults.
pub(in super::super) fn broadcast(
    body: &Map<String, Value>,
    rules: &DraftRules<'_>,
) -> Result<(Audience, Draft), hub::Error> {
    let faults = Faults::default();
    let fields = Fields::of(body, &faults);
    fields.require("audience");
    fields.require("notification");
    let audience = fields.object("audience");
    let audience = audience.and_then(|it| audience_of(&it, rules.limits.audience));
    let draft = fields.object("notification");
    let draft = draft.map(|it| draft::read(&it, rules)).transpose()?;
    faults.finish(audience.zip(draft))
}

/// What [`broadcast()`] takes; `draft` is what a post is.
pub(in super::super) fn broadcast_schema(max: usize, draft: Value, shapes: &mut Shapes) -> Value {
    let users = json!({
        "type": "array",
        "minItems": 1,
        "items": schema::user_id(),
        "description": format!("At most {max} users (`server.limits.audience`); one who is named twice counts once."),
    });
    let all =
        json!({ "type": "boolean", "const": true, "description": "Everyone whom the app has." });
    let named = object(&["users"], json!({ "users": users, "all": absent() }));
    let all = object(&["all"], json!({ "all": all, "users": absent() }));
    let audience = schema::any_of(&[
        shapes.named("AudienceOfNamed", named),
        shapes.named("AudienceOfAll", all),
    ]);
    let audience = shapes.named("Audience", audience);
    let members = json!({ "audience": audience, "notification": draft });
    object(&["audience", "notification"], members)
}

fn audience_of(fields: &Fields<'_>, max: usize) -> Option<Audience> {
    match (fields.has("users"), fields.has("all")) {
        (true, false) => users(fields, max),
        (false, true) => fields.typed("all", "true", |value| {
            (value.as_bool() == Some(true)).then_some(Audience::All)
        }),
        (true, true) => {
            fields.fault("all", "is one too many; send one of users, all");
            None
        }
        (false, false) => {
            fields.fault("users", "is missing; send one of users, all");
            None
        }
    }
}

/// The users, each once. One of whom nothing is kept yet begins to exist by a post, so only what can be no user's id
/// is wrong.
fn users(fields: &Fields<'_>, max: usize) -> Option<Audience> {
    let texts = fields.texts("users")?;
    if texts.is_empty() {
        fields.fault("users", "is empty; name at least one, or send all");
        return None;
    }
    let (mut seen, mut users, mut wrong) = (HashSet::new(), Vec::new(), 0);
    for (nth, text) in texts.into_iter().enumerate() {
        if !seen.insert(text) {
            continue;
        }
        match UserId::parse(text) {
            Ok(user) => users.push(user),
            Err(message) => {
                wrong += 1;
                if wrong <= NAMED_FAULTS {
                    fields.fault(&format!("users[{nth}]"), message);
                }
            }
        }
    }
    if wrong > NAMED_FAULTS {
        let more = wrong - NAMED_FAULTS;
        fields.fault("users", format!("has {more} more that can be no user's id"));
    }
    if seen.len() > max {
        let len = seen.len();
        fields.fault(
            "users",
            format!("names {len} users; server.limits.audience allows {max}"),
        );
    }
    Some(Audience::Named(users))
}

/// The answer to a post to many.
#[derive(Debug, Serialize, JsonSchema)]
pub(in super::super) struct Accepted {
    /// What to ask for its progress by.
    id: Text<BroadcastId>,
    /// How many people it is for.
    accepted: u64,
}

impl From<&hub::Accepted> for Accepted {
    fn from(it: &hub::Accepted) -> Self {
        Self {
            id: Text(it.id),
            accepted: it.accepted,
        }
    }
}

/// How far a post to many is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Broadcast {
    /// Which.
    id: Text<BroadcastId>,
    /// How it stands.
    #[schemars(schema_with = "schema::broadcast_status")]
    status: &'static str,
    /// How many people it is for.
    accepted: u64,
    /// For how many it is on disk.
    done: u64,
    /// For how many it could not be.
    failed: u64,
    /// When it was posted.
    created_date_time: Text<Timestamp>,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_date_time: Option<Text<Timestamp>>,
}

impl From<&Job> for Broadcast {
    fn from(it: &Job) -> Self {
        Self {
            id: Text(it.id),
            status: it.status.as_str(),
            accepted: it.accepted,
            done: it.done,
            failed: it.failed,
            created_date_time: Text(it.created),
            completed_date_time: it.completed.map(Text),
        }
    }
}
