//! The shapes of answers about devices, and of what they call by. A member without a value is left out.

use schemars::JsonSchema;
use serde::Serialize;

use super::{answer::Text, schema};
use crate::{
    hub::Minted,
    model::{Endpoint as Registered, Secret, Timestamp, UserToken},
};

/// A channel, of which no more is told.
#[derive(Debug, Serialize, JsonSchema)]
struct ChannelType {
    /// The push service; `none`, where there is none, or none any more.
    #[serde(rename = "type")]
    #[schemars(schema_with = "schema::channel_kind")]
    kind: &'static str,
}

/// An endpoint; of its channel no more than the type.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Endpoint<'a> {
    /// The client's own id of it.
    id: &'a str,
    /// What it runs on.
    #[schemars(schema_with = "schema::platform")]
    platform: &'static str,
    /// How its push service reaches it.
    channel: ChannelType,
    /// Since when its channel is dead.
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_gone_date_time: Option<Text<Timestamp>>,
    /// What the person calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<&'a str>,
    /// Its language.
    #[serde(skip_serializing_if = "Option::is_none")]
    locale: Option<&'a str>,
    /// Whether a browser is told of changes by push.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    state_sync: bool,
    /// Whether several people share its channel.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    shared: bool,
    /// By which an app's server may address the user (`X-UNS-ID`).
    user_notification_subscription_id: Text<crate::model::SubscriptionId>,
    /// What taps name it by.
    tap_id: Text<crate::model::TapId>,
    /// When it was registered.
    created_date_time: Text<Timestamp>,
    /// When it was last heard of, to the hour.
    last_seen_date_time: Text<Timestamp>,
    /// When it is over unless it is heard of.
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
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Token<'a> {
    /// The secret.
    token: &'a str,
    /// When it is over.
    expires_date_time: Text<Timestamp>,
    /// The device that it is bound to.
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
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Ticket<'a> {
    /// The secret; it opens one stream.
    ticket: &'a str,
    /// When it is over.
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
