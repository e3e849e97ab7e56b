//! A line of a delivery report.

use serde::Serialize;

use super::answer::Text;
use crate::{
    hub,
    model::{self, EndpointId, Reason, ServiceAnswer, Timestamp},
};

/// One line of a delivery report.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Delivery {
    endpoint_id: String,
    platform: &'static str,
    channel: &'static str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    explanation: String,
    pending_date_time: Text<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tapped_date_time: Option<Text<Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fetched_date_time: Option<Text<Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shown_date_time: Option<Text<Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acted_date_time: Option<Text<Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fell_back_date_time: Option<Text<Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback: Option<OwedPush>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeat: Option<OwedPush>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<ToldChange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_fetched_date_time: Option<Text<Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_gone_date_time: Option<Text<Timestamp>>,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_date_time: Option<Text<Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    push_service: Option<PushService>,
}

/// A push that is due beside a tap that was taken, and that itself was not.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OwedPush {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    push_service: Option<PushService>,
}

impl From<model::OwedPush> for OwedPush {
    fn from(it: model::OwedPush) -> Self {
        Self {
            status: it.status().as_str(),
            reason: it.reason.map(Reason::as_str),
            attempts: it.attempts,
            push_service: it.answer.map(PushService::from),
        }
    }
}

/// How an endpoint is told of a change.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ToldChange {
    date_time: Text<Timestamp>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tapped_date_time: Option<Text<Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    push_service: Option<PushService>,
}

impl From<model::ToldChange> for ToldChange {
    fn from(it: model::ToldChange) -> Self {
        let telling = it.telling;
        Self {
            date_time: Text(it.at),
            status: telling.status().as_str(),
            reason: telling.reason().map(Reason::as_str),
            tapped_date_time: telling.tapped().map(Text),
            attempts: telling.attempts(),
            push_service: telling.answer().cloned().map(PushService::from),
        }
    }
}

/// What a push service said.
#[derive(Debug, Serialize)]
struct PushService {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
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
            reason: it.reason.map(Reason::as_str),
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
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Tested {
    endpoint_id: String,
    result: &'static str,
    explanation: String,
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
