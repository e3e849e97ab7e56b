//! The shapes of answers. A member without a value is left out.

use std::{collections::BTreeMap, fmt::Display};

use serde::{Serialize, Serializer};

use crate::{
    hub::{Item, Minted},
    model::{
        Endpoint as Registered, Fallback, Notification as Stored, NotificationId, Platform, Secret,
        Timestamp, UserToken, VisualContent,
    },
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
#[derive(Debug, Serialize)]
pub(in super::super) struct List<T> {
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

#[derive(Debug, Serialize)]
struct Visual<'a> {
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
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

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    visual_content: Option<Visual<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_content: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    platform_types: Vec<&'static str>,
}

fn names(platforms: &[Platform]) -> Vec<&'static str> {
    platforms.iter().map(|platform| platform.as_str()).collect()
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FallbackPolicy<'a> {
    endpoint_fallback: EndpointFallback<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EndpointFallback<'a> {
    platform_types: Vec<&'static str>,
    fallback_delay_in_seconds: Seconds,
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
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Notification<'a> {
    id: Text<crate::model::NotificationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_notification_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_name: Option<&'a str>,
    priority: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_time_to_live: Option<u32>,
    payload: Payload<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_policy: Option<Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback_policy: Option<FallbackPolicy<'a>>,
    created_date_time: Text<Timestamp>,
    last_modified_date_time: Text<Timestamp>,
    expiration_date_time: Text<Timestamp>,
    read_state: &'static str,
    user_action_state: &'static str,
    status: &'static str,
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
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct GraphNotification<'a> {
    #[serde(rename = "@odata.context")]
    context: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_time_to_live: Option<u32>,
    expiration_date_time: Text<Timestamp>,
    group_name: Option<&'a str>,
    id: Text<crate::model::NotificationId>,
    priority: &'static str,
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
#[derive(Debug, Serialize)]
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
#[derive(Debug, Serialize)]
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
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(in super::super) enum DeltaItem<'a> {
    /// It is there.
    Present(Box<Notification<'a>>),
    /// It is gone.
    Removed(Removed),
}

/// What is gone, and why.
#[derive(Debug, Serialize)]
pub(in super::super) struct Removed {
    id: Text<crate::model::NotificationId>,
    #[serde(rename = "@removed")]
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

#[derive(Debug, Serialize)]
struct ChannelType {
    #[serde(rename = "type")]
    kind: &'static str,
}

/// An endpoint; of its channel no more than the type.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Endpoint<'a> {
    id: &'a str,
    platform: &'static str,
    channel: ChannelType,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_gone_date_time: Option<Text<Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    locale: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    state_sync: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    shared: bool,
    user_notification_subscription_id: Text<crate::model::SubscriptionId>,
    tap_id: Text<crate::model::TapId>,
    created_date_time: Text<Timestamp>,
    last_seen_date_time: Text<Timestamp>,
    expiration_date_time: Text<Timestamp>,
}

impl<'a> From<&'a Registered> for Endpoint<'a> {
    fn from(it: &'a Registered) -> Self {
        Self {
            id: it.id.as_str(),
            platform: it.platform.as_str(),
            channel: ChannelType {
                kind: it.channel.kind().as_str(),
            },
            channel_gone_date_time: it.gone.map(Text),
            display_name: it.display_name.as_deref(),
            locale: it.locale.as_deref(),
            state_sync: it.state_sync,
            shared: it.shared,
            user_notification_subscription_id: Text(it.subscription),
            tap_id: Text(it.tap_id),
            created_date_time: Text(it.created),
            last_seen_date_time: Text(it.last_seen),
            expiration_date_time: Text(it.expires),
        }
    }
}

/// A minted user token, shown this once.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Token<'a> {
    token: &'a str,
    expires_date_time: Text<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_id: Option<&'a str>,
}

impl<'a> From<&'a Minted<UserToken>> for Token<'a> {
    fn from(minted: &'a Minted<UserToken>) -> Self {
        Self {
            token: minted.secret.expose(),
            expires_date_time: Text(minted.kept.expires),
            endpoint_id: minted
                .kept
                .endpoint
                .as_ref()
                .map(|endpoint| endpoint.as_str()),
        }
    }
}

/// A ticket, shown this once.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Ticket<'a> {
    ticket: &'a str,
    expires_date_time: Text<Timestamp>,
}

impl<'a> Ticket<'a> {
    /// With its end.
    pub(in super::super) fn of(ticket: &'a Secret<String>, expires: Timestamp) -> Self {
        Self {
            ticket: ticket.expose(),
            expires_date_time: Text(expires),
        }
    }
}

/// What is left to say of a notification that is gone: the answer to an `Idempotency-Key` outlives it.
#[derive(Debug, Serialize)]
pub(in super::super) struct Gone {
    id: String,
}

impl Gone {
    /// By its id.
    pub(in super::super) fn of(id: NotificationId) -> Self {
        Self { id: id.to_string() }
    }
}
