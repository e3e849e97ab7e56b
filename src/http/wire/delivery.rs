//! A line of a delivery report.

use schemars::JsonSchema;
use serde::Serialize;

use super::{answer::Text, schema};
use crate::{
    hub,
    model::{self, EndpointId, Reason, ServiceAnswer, Timestamp},
};

/// One line of a delivery report.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Delivery {
    /// The device.
    endpoint_id: String,
    /// What it runs on.
    #[schemars(schema_with = "schema::platform")]
    platform: &'static str,
    /// Its push service.
    #[schemars(schema_with = "schema::channel_kind")]
    channel: &'static str,
    /// How it stands.
    #[schemars(schema_with = "schema::delivery_status")]
    status: &'static str,
    /// Why it stands so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::reason")]
    reason: Option<&'static str>,
    /// In one sentence, what happened and why.
    explanation: String,
    /// Since when it has been due there.
    pending_date_time: Text<Timestamp>,
    /// When the push service took a tap at or after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    tapped_date_time: Option<Text<Timestamp>>,
    /// When the device pulled it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fetched_date_time: Option<Text<Timestamp>>,
    /// When the device put it before the person's eyes.
    #[serde(skip_serializing_if = "Option::is_none")]
    shown_date_time: Option<Text<Timestamp>>,
    /// When the person did something with it there.
    #[serde(skip_serializing_if = "Option::is_none")]
    acted_date_time: Option<Text<Timestamp>>,
    /// When a visible push took its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    fell_back_date_time: Option<Text<Timestamp>>,
    /// A visible push that is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback: Option<OwedPush>,
    /// A second tap that is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    repeat: Option<OwedPush>,
    /// How the device is told of a later change.
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<ToldChange>,
    /// When the device last fetched anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_fetched_date_time: Option<Text<Timestamp>>,
    /// Since when its channel is dead.
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_gone_date_time: Option<Text<Timestamp>>,
    /// How often its push service was asked.
    attempts: u32,
    /// When the hub tries next.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_date_time: Option<Text<Timestamp>>,
    /// What the push service said.
    #[serde(skip_serializing_if = "Option::is_none")]
    push_service: Option<PushService>,
}

/// A push that is due beside a tap that was taken, and that itself was not.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct OwedPush {
    /// How it stands.
    #[schemars(schema_with = "schema::delivery_status")]
    status: &'static str,
    /// Why it stands so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::reason")]
    reason: Option<&'static str>,
    /// How often its push service was asked.
    attempts: u32,
    /// What the push service said.
    #[serde(skip_serializing_if = "Option::is_none")]
    push_service: Option<PushService>,
}

impl From<model::OwedPush> for OwedPush {
    fn from(it: model::OwedPush) -> Self {
        Self {
            status: it.status().as_str(),
            reason: it.told_reason().map(Reason::as_str),
            attempts: it.attempts,
            push_service: it.answer.map(PushService::from),
        }
    }
}

/// How an endpoint is told of a change.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ToldChange {
    /// When it was changed.
    date_time: Text<Timestamp>,
    /// How it stands.
    #[schemars(schema_with = "schema::delivery_status")]
    status: &'static str,
    /// Why it stands so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::reason")]
    reason: Option<&'static str>,
    /// When the push service took a tap at or after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    tapped_date_time: Option<Text<Timestamp>>,
    /// How often its push service was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    /// What the push service said.
    #[serde(skip_serializing_if = "Option::is_none")]
    push_service: Option<PushService>,
}

impl From<model::ToldChange> for ToldChange {
    fn from(it: model::ToldChange) -> Self {
        let telling = it.telling;
        Self {
            date_time: Text(it.at),
            status: telling.status().as_str(),
            reason: telling.told_reason().map(Reason::as_str),
            tapped_date_time: telling.tapped().map(Text),
            attempts: telling.attempts(),
            push_service: telling.answer().cloned().map(PushService::from),
        }
    }
}

/// What a push service said.
#[derive(Debug, Serialize, JsonSchema)]
struct PushService {
    /// Its HTTP status; none, where no answer came.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Its reason, in its own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The push service's own id of the push.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

impl From<model::Delivery> for Delivery {
    fn from(it: model::Delivery) -> Self {
        Self {
            explanation: hub::explanation(&it),
            endpoint_id: it.endpoint.as_str().to_owned(),
            platform: it.platform.as_str(),
            channel: it.channel.as_str(),
            status: it.status.as_str(),
            reason: it.told_reason().map(Reason::as_str),
            pending_date_time: Text(it.pending),
            tapped_date_time: it.tapped.map(Text),
            fetched_date_time: it.fetched.map(Text),
            shown_date_time: it.shown.map(Text),
            acted_date_time: it.acted.map(Text),
            fell_back_date_time: it.fell_back.map(Text),
            fallback: it.fallback.map(OwedPush::from),
            repeat: it.repeat.map(OwedPush::from),
            change: it.change.map(ToldChange::from),
            last_fetched_date_time: it.last_fetched.map(Text),
            channel_gone_date_time: it.gone.map(Text),
            attempts: it.attempts,
            next_attempt_date_time: it.next_attempt.map(Text),
            push_service: it.answer.map(PushService::from),
        }
    }
}

/// What came of a test.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Tested {
    /// The device.
    endpoint_id: String,
    /// What came of it, in one word.
    #[schemars(schema_with = "schema::test_result")]
    result: &'static str,
    /// In one sentence, what happened and why.
    explanation: String,
    /// What the push service said.
    #[serde(skip_serializing_if = "Option::is_none")]
    push_service: Option<PushService>,
}

impl Tested {
    /// Of one endpoint.
    pub(in super::super) fn of(endpoint: &EndpointId, tested: hub::Tested) -> Self {
        Self {
            endpoint_id: endpoint.as_str().to_owned(),
            result: tested.result.as_str(),
            explanation: tested.explanation,
            push_service: tested.answer.map(PushService::from),
        }
    }
}

impl From<ServiceAnswer> for PushService {
    fn from(answer: ServiceAnswer) -> Self {
        Self {
            // 0 is no status: no answer came.
            status: Some(answer.status).filter(|status| *status != 0),
            reason: answer.reason,
            id: answer.id,
        }
    }
}
