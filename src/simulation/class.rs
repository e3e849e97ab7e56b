//! What each answer of a push service asks of the hub: read from the vendors' pages anew, apart from the hub's own tables.

use crate::{
    doubles::Service,
    egress::{Answer, Failure},
};

/// What an answer asks of the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Taken,
    /// Taken and dropped (WNS).
    Dropped,
    /// The credential or another setting is wrong.
    Operator,
    /// This push will never be taken.
    Refused,
    /// The channel is dead, or, where no push of ours was ever taken, a setting is wrong.
    Dead,
    /// Anything else: it is tried again.
    Other,
}

impl Class {
    pub(super) fn of(
        service: Service,
        is_token: bool,
        answer: &Result<Answer, Failure>,
        words: &str,
    ) -> Self {
        let dropped = |answer: &Answer| answer.header("x-wns-status") == Some("dropped");
        let status = answer.as_ref().map_or(0, |answer| answer.status);
        match (status, answer) {
            (200, Ok(answer)) if service == Service::Wns && dropped(answer) => Self::Dropped,
            (200, _) if service == Service::Wns && words.contains("channelthrottled") => {
                Self::Other
            }
            _ if is_token => Self::Other,
            (200..300, Ok(answer)) if !says_who_it_is(service, answer, words) => Self::Other,
            (200..300, _) => Self::Taken,
            _ if blames_settings(service, status, words) => Self::Operator,
            _ if is_refused(service, status, words) => Self::Refused,
            _ if may_be_dead(service, status, words) => Self::Dead,
            _ => Self::Other,
        }
    }
}

/// Whether it is the service that took a push, and not somebody else with a page: Apple and Google name what they take,
/// Microsoft has headers of its own. Of browsers' services no more is known than that they show no pages.
fn says_who_it_is(service: Service, answer: &Answer, words: &str) -> bool {
    match service {
        Service::Apns => answer.header("apns-id").is_some(),
        Service::Fcm => words.contains("\"name\""),
        Service::WebPush => answer.header("content-type") != Some("text/html"),
        Service::Wns => answer.header("x-wns-status").is_some(),
    }
}

/// Whether a service refuses the credential, also at the second attempt with a fresh one.
fn blames_settings(service: Service, status: u16, words: &str) -> bool {
    match service {
        Service::Apns => {
            let topics = ["BadTopic", "MissingTopic", "TopicDisallowed"];
            status == 403 || status == 400 && topics.iter().any(|topic| words.contains(topic))
        }
        Service::Fcm => status == 401,
        Service::WebPush => {
            let signature = ["InvalidSignature", "ExpiredSignature", "BadJwtToken"];
            is_blocked(words) || signature.iter().any(|word| words.contains(word))
        }
        Service::Wns => is_blocked(words) || status == 401,
    }
}

/// Whether it is the sender's domain that a service does not want.
fn is_blocked(words: &str) -> bool {
    words.to_ascii_lowercase().contains("domain blocked")
}

/// Whether a service will never take such a push.
fn is_refused(service: Service, status: u16, words: &str) -> bool {
    let but = |names: &[&str]| !names.iter().any(|name| words.contains(name));
    match (service, status) {
        (_, 300..400 | 405 | 413) => true,
        (Service::Apns, 404) => true,
        (Service::Apns, 400) => but(&["BadDeviceToken", "DeviceTokenNotForTopic", "IdleTimeout"]),
        (Service::Fcm, 400) => but(&["registration token", "message.token"]),
        (Service::WebPush, 400) => but(&["Mismatch", "mismatch", "UnauthorizedRegistration"]),
        (Service::Wns, 400) => true,
        _ => false,
    }
}

/// Whether a service says for sure that a channel is dead: it must be dropped.
pub(super) fn calls_dead(service: Service, status: u16, words: &str) -> bool {
    let says = |text: &str| words.contains(text);
    match (service, status) {
        (Service::Apns, 410) => says("Unregistered") || says("ExpiredToken"),
        (Service::Apns, 400) => says("BadDeviceToken") || says("DeviceTokenNotForTopic"),
        (Service::Fcm, 404) => says("UNREGISTERED"),
        (Service::WebPush | Service::Wns, 404 | 410) => !is_blocked(words),
        _ => false,
    }
}

/// Whether a channel may be dropped for what a service says: that it is dead, or another sender's. If no push of ours was
/// ever taken, some of that blames the settings.
fn may_be_dead(service: Service, status: u16, words: &str) -> bool {
    let says = |text: &str| words.contains(text);
    let another_key = || says("ismatch") || says("do not correspond");
    match (service, status) {
        (Service::Fcm, 400) => says("registration token") || says("message.token"),
        (Service::Fcm, 403) => says("SENDER_ID_MISMATCH"),
        (Service::Fcm, 404) | (Service::Wns, 403) => true,
        (Service::WebPush, 400 | 401 | 403) => another_key(),
        _ => calls_dead(service, status, words),
    }
}
