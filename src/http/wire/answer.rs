//! The shapes of answers. A member without a value is left out.

use std::{collections::BTreeMap, fmt::Display};

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::schema;
use crate::{
    hub::Item,
    model::{Fallback, Notification as Stored, NotificationId, Platform, Timestamp, VisualContent},
};

/// Written as its text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<T>(pub(super) T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// `{"value":[…]}`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ListOf{T}")]
pub(in super::super) struct List<T> {
    /// What there is.
    value: Vec<T>,
}

impl<T> List<T> {
    /// Of these.
    pub(in super::super) fn of(value: impl IntoIterator<Item = T>) -> Self {
        Self {
            value: value.into_iter().collect(),
        }
    }
}

/// What a platform can show by itself.
#[derive(Debug, Serialize, JsonSchema)]
struct Visual<'a> {
    /// One line.
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// What stands below it.
    body: Option<&'a str>,
}

impl<'a> Visual<'a> {
    fn of(content: &'a VisualContent) -> Self {
        Self {
            title: &content.title,
            body: content.body.as_deref(),
        }
    }
}

/// What was posted.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    /// What the platform can show.
    #[serde(skip_serializing_if = "Option::is_none")]
    visual_content: Option<Visual<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// What the app itself reads, of any form.
    raw_content: Option<&'a str>,
}

/// For which platforms it is meant.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Target {
    /// Those named, each once.
    #[schemars(schema_with = "schema::platforms")]
    platform_types: Vec<&'static str>,
}

fn names(platforms: &[Platform]) -> Vec<&'static str> {
    platforms.iter().map(|platform| platform.as_str()).collect()
}

/// What is shown where raw content is not fetched in time.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct FallbackPolicy<'a> {
    /// On the endpoints.
    endpoint_fallback: EndpointFallback<'a>,
}

/// Where, when and what.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct EndpointFallback<'a> {
    /// Where.
    #[schemars(schema_with = "schema::platforms")]
    platform_types: Vec<&'static str>,
    /// When, counted from the posting.
    #[schemars(schema_with = "schema::seconds")]
    fallback_delay_in_seconds: Seconds,
    /// What.
    visual_content: Visual<'a>,
}

/// A whole number where it is one.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Seconds {
    Whole(u64),
    Part(f64),
}

impl<'a> FallbackPolicy<'a> {
    fn of(fallback: &'a Fallback) -> Self {
        let delay = match fallback.delay.subsec_nanos() {
            0 => Seconds::Whole(fallback.delay.as_secs()),
            _ => Seconds::Part(fallback.delay.as_secs_f64()),
        };
        Self {
            endpoint_fallback: EndpointFallback {
                platform_types: names(&fallback.platforms),
                fallback_delay_in_seconds: delay,
                visual_content: Visual::of(&fallback.visual),
            },
        }
    }
}

/// A notification on `/v1`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Notification<'a> {
    /// The hub's id; it stays when the notification is replaced.
    id: Text<crate::model::NotificationId>,
    /// The app's own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    app_notification_id: Option<&'a str>,
    /// What the app puts it together with.
    #[serde(skip_serializing_if = "Option::is_none")]
    group_name: Option<&'a str>,
    /// How soon it is to interrupt.
    #[schemars(schema_with = "schema::priority")]
    priority: &'static str,
    /// How long it stays on the screen, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    display_time_to_live: Option<u32>,
    /// What was posted.
    payload: Payload<'a>,
    /// For which platforms; for all, where it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    target_policy: Option<Target>,
    /// What is shown where it is not fetched in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback_policy: Option<FallbackPolicy<'a>>,
    /// When it was posted first.
    created_date_time: Text<Timestamp>,
    /// When it was changed last.
    last_modified_date_time: Text<Timestamp>,
    /// When it is over.
    expiration_date_time: Text<Timestamp>,
    /// Whether the person has read it.
    #[schemars(schema_with = "schema::read_state")]
    read_state: &'static str,
    /// What the person did with it.
    #[schemars(schema_with = "schema::action_state")]
    user_action_state: &'static str,
    /// `active` wherever one is shown.
    #[schemars(schema_with = "schema::active")]
    status: &'static str,
    /// Raised by each change.
    version: u64,
}

impl<'a> From<&'a Stored> for Notification<'a> {
    fn from(it: &'a Stored) -> Self {
        let draft = &it.draft;
        Self {
            id: Text(it.id),
            app_notification_id: draft.app_id.as_deref(),
            group_name: draft.group.as_deref(),
            priority: draft.priority.as_str(),
            display_time_to_live: draft.display_ttl.map(crate::model::Ttl::as_secs),
            payload: Payload {
                visual_content: draft.visual.as_ref().map(Visual::of),
                raw_content: draft.raw.as_deref(),
            },
            target_policy: draft.platforms.as_deref().map(|platforms| Target {
                platform_types: names(platforms),
            }),
            fallback_policy: draft.fallback.as_ref().map(FallbackPolicy::of),
            created_date_time: Text(it.created),
            last_modified_date_time: Text(it.modified),
            expiration_date_time: Text(it.expires),
            read_state: it.read.as_str(),
            user_action_state: it.action.as_str(),
            // What is not active is shown nowhere.
            status: "active",
            version: it.version,
        }
    }
}

/// A notification as the retired service answered a post: raw content and what the caller sent beside it are not
/// echoed.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct GraphNotification<'a> {
    /// Where its metadata would be.
    #[serde(rename = "@odata.context")]
    context: String,
    /// How long it stays on the screen, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    display_time_to_live: Option<u32>,
    /// When it is over.
    expiration_date_time: Text<Timestamp>,
    /// What the app puts it together with.
    group_name: Option<&'a str>,
    /// The hub's id.
    id: Text<crate::model::NotificationId>,
    /// How soon it is to interrupt.
    #[schemars(schema_with = "schema::priority")]
    priority: &'static str,
    /// What was posted, without raw content.
    payload: Payload<'a>,
}

impl<'a> GraphNotification<'a> {
    /// With the address of its metadata.
    pub(in super::super) fn of(it: &'a Stored, context: String) -> Self {
        Self {
            context,
            display_time_to_live: it.draft.display_ttl.map(crate::model::Ttl::as_secs),
            expiration_date_time: Text(it.expires),
            group_name: it.draft.group.as_deref(),
            id: Text(it.id),
            priority: it.draft.priority.as_str(),
            payload: Payload {
                visual_content: it.draft.visual.as_ref().map(Visual::of),
                raw_content: None,
            },
        }
    }
}

/// A page of history.
#[derive(Debug, Serialize, JsonSchema)]
pub(in super::super) struct History<'a> {
    /// Newest first.
    pub(in super::super) value: Vec<Notification<'a>>,
    /// How many unread ones there are, whatever is shown.
    #[serde(rename = "unreadCount")]
    pub(in super::super) unread: u64,
    /// Where the next page is.
    #[serde(rename = "@odata.nextLink", skip_serializing_if = "Option::is_none")]
    pub(in super::super) next: Option<String>,
}

/// A page of changes; one of the two links is there.
#[derive(Debug, Serialize, JsonSchema)]
pub(in super::super) struct Delta<'a> {
    /// Oldest first.
    pub(in super::super) value: Vec<DeltaItem<'a>>,
    /// Where more is right now.
    #[serde(rename = "@odata.nextLink", skip_serializing_if = "Option::is_none")]
    pub(in super::super) next: Option<String>,
    /// Where to ask again later.
    #[serde(rename = "@odata.deltaLink", skip_serializing_if = "Option::is_none")]
    pub(in super::super) delta: Option<String>,
    /// What a client must hold that has taken in all up to here, where it asked: base64url without padding.
    #[serde(rename = "@beckon.digest", skip_serializing_if = "Option::is_none")]
    pub(in super::super) digest: Option<String>,
}

/// One change.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(in super::super) enum DeltaItem<'a> {
    /// It is there.
    Present(Box<Notification<'a>>),
    /// It is gone.
    Removed(Removed),
}

/// What is gone, and why.
#[derive(Debug, Serialize, JsonSchema)]
pub(in super::super) struct Removed {
    /// Which.
    id: Text<crate::model::NotificationId>,
    /// Why.
    #[serde(rename = "@removed")]
    #[schemars(schema_with = "schema::removed")]
    removed: BTreeMap<&'static str, &'static str>,
}

impl<'a> From<&'a Item> for DeltaItem<'a> {
    fn from(item: &'a Item) -> Self {
        match item {
            Item::Present(it) => Self::Present(Box::new(Notification::from(&**it))),
            Item::Removed(id, removal, _) => Self::Removed(Removed {
                id: Text(*id),
                removed: BTreeMap::from([("reason", removal.as_str())]),
            }),
        }
    }
}

/// What is left to say of a notification that is gone: the answer to an `Idempotency-Key` outlives it.
#[derive(Debug, Serialize, JsonSchema)]
pub(in super::super) struct Gone {
    /// The hub's id of what was posted.
    id: String,
}

impl Gone {
    /// By its id.
    pub(in super::super) fn of(id: NotificationId) -> Self {
        Self { id: id.to_string() }
    }
}
