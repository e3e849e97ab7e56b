//! A line of a delivery report, with a sentence for people.

use serde::Serialize;

use super::answer::Text;
use crate::model::{self, ChannelKind, DeliveryStatus, Reason, ServiceAnswer, Timestamp};

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
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_date_time: Option<Text<Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    push_service: Option<PushService>,
}

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
            explanation: explanation(&it),
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
            attempts: it.attempts,
            next_attempt_date_time: it.next_attempt.map(Text),
            push_service: it.answer.map(|answer| PushService {
                // 0 is no status: no answer came.
                status: Some(answer.status).filter(|status| *status != 0),
                reason: answer.reason,
                id: answer.id,
            }),
        }
    }
}

/// What happened, in the order that it happened, and why nothing more did.
fn explanation(it: &model::Delivery) -> String {
    let mut steps: Vec<String> = [
        (it.tapped, "tapped at"),
        (it.fell_back, "the fallback was sent at"),
        (it.fetched, "the device fetched it at"),
        (it.shown, "it was shown at"),
        (it.acted, "the person acted on it there at"),
    ]
    .into_iter()
    .filter_map(|(at, what)| at.map(|at| format!("{what} {at}")))
    .collect();
    steps.extend(standing(it));
    if let Some(next) = it.next_attempt {
        steps.push(format!("next look at {next}"));
    }
    steps.join("; ")
}

/// Why it stands where it stands, where the times alone do not say so.
fn standing(it: &model::Delivery) -> Option<String> {
    let because = it.reason.map(why);
    match it.status {
        DeliveryStatus::Pending => {
            let since = it.pending;
            let because = because.unwrap_or("a tap is about to leave");
            Some(format!(
                "nothing has left since {since}: {because}{}",
                answered(it)
            ))
        }
        DeliveryStatus::Skipped => Some(format!("no tap: {}", because.unwrap_or("none was due"))),
        DeliveryStatus::Failed => Some(format!(
            "the push service refused the tap for good{}",
            answered(it)
        )),
        DeliveryStatus::Gone => Some(format!(
            "the channel is dead; the app has to register again{}",
            answered(it)
        )),
        DeliveryStatus::Expired => Some(String::from("its time was over first")),
        DeliveryStatus::Tapped if it.reason == Some(Reason::Coalesced) => {
            Some(String::from(why(Reason::Coalesced)))
        }
        DeliveryStatus::Tapped => Some(String::from("the device has not pulled since")),
        // Only where no step of its own says how it came there.
        DeliveryStatus::Fetched if it.fetched.is_none() => {
            Some(String::from("the device holds it already"))
        }
        DeliveryStatus::Fetched | DeliveryStatus::Shown | DeliveryStatus::Acted => None,
    }
}

fn why(reason: Reason) -> &'static str {
    match reason {
        Reason::NotTargeted => "targetPolicy does not name this platform",
        Reason::NoChannel => "the endpoint has no push channel; it streams or pulls",
        Reason::OwnChange => "the endpoint itself made the change",
        Reason::EndpointExpired => "the endpoint was not heard of for too long",
        Reason::ChannelGone => "the push service said that the channel is dead",
        Reason::Handled => "it was dealt with elsewhere before a tap left",
        Reason::Coalescing => "a tap is about to leave, together with others",
        Reason::Streaming => "the endpoint has an open stream and is given a moment to fetch",
        Reason::Unanswered => "an earlier tap has not been answered yet",
        Reason::SilentBudget => "the platform allows no more silent pushes for now",
        Reason::Retry => "the push service could not take it and is tried again",
        Reason::ServiceStopped => "pushes to this service stand still until the operator acts",
        Reason::Coalesced => "a later tap covers it",
    }
}

fn answered(it: &model::Delivery) -> String {
    let Some(ServiceAnswer { status, reason, .. }) = &it.answer else {
        return String::new();
    };
    let service = match it.channel {
        ChannelKind::Apns => "APNs",
        ChannelKind::Fcm => "FCM",
        ChannelKind::WebPush => "the browser's push service",
        ChannelKind::Wns => "WNS",
        ChannelKind::None => "the push service",
    };
    match (status, reason) {
        (0, Some(reason)) => format!(" ({service} did not answer: {reason})"),
        (0, None) => format!(" ({service} did not answer)"),
        (status, Some(reason)) => format!(" ({service} answered {status} {reason})"),
        (status, None) => format!(" ({service} answered {status})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EndpointId, Platform};

    fn delivery(status: DeliveryStatus, reason: Option<Reason>) -> model::Delivery {
        model::Delivery {
            endpoint: EndpointId::parse("phone").unwrap(),
            platform: Platform::Ios,
            channel: ChannelKind::Apns,
            status,
            reason,
            pending: Timestamp::from_millis(0),
            tapped: None,
            fetched: None,
            shown: None,
            acted: None,
            fell_back: None,
            attempts: 0,
            next_attempt: None,
            answer: None,
        }
    }

    fn check(it: &model::Delivery, expected: &str) {
        assert_eq!(explanation(it), expected);
    }

    #[test]
    fn sentences() {
        let at = |secs: u64| Some(Timestamp::from_millis(secs * 1000));
        check(
            &model::Delivery {
                tapped: at(1),
                fetched: at(2),
                ..delivery(DeliveryStatus::Fetched, None)
            },
            "tapped at 1970-01-01T00:00:01.000Z; the device fetched it at 1970-01-01T00:00:02.000Z",
        );
        check(
            &model::Delivery {
                tapped: at(1),
                ..delivery(DeliveryStatus::Tapped, None)
            },
            "tapped at 1970-01-01T00:00:01.000Z; the device has not pulled since",
        );
        check(
            &model::Delivery {
                next_attempt: at(9),
                answer: Some(ServiceAnswer {
                    status: 503,
                    reason: Some("ServiceUnavailable".into()),
                    id: None,
                }),
                ..delivery(DeliveryStatus::Pending, Some(Reason::Retry))
            },
            "nothing has left since 1970-01-01T00:00:00.000Z: the push service could not take it and is tried again \
             (APNs answered 503 ServiceUnavailable); next look at 1970-01-01T00:00:09.000Z",
        );
        check(
            &delivery(DeliveryStatus::Skipped, Some(Reason::NotTargeted)),
            "no tap: targetPolicy does not name this platform",
        );
        check(
            &delivery(DeliveryStatus::Gone, Some(Reason::ChannelGone)),
            "the channel is dead; the app has to register again",
        );
    }
}
