//! One adapter a push service: a request out, an answer in. Knows no app rule, no store, and no clock of its own.
//!
//! Every answer becomes an [`Outcome`] by one table a service, the function `step` in its file. Where the service asks
//! for it (a spent credential, a connection bound to another key, a topic it cannot read) a push goes out a second time
//! at once, never a third. All waiting is dispatch's.

mod admission;
mod answer;
pub mod apns;
pub mod encrypt;
pub mod fcm;
pub mod message;
pub mod outcome;
mod redact;
mod token;
mod vapid;
pub mod web_push;
pub mod wns;

use uuid::Uuid;

use self::{
    message::Message,
    outcome::{Outcome, Verdict},
};
pub use crate::egress::Resolver;
pub use admission::{ChannelFault, check_channel};

use crate::model::{Channel, Timestamp};

/// The way to one push service with one set of credentials. It owns its connections and tokens, so make one and keep it.
#[derive(Debug)]
pub enum Adapter {
    /// To Apple, in one environment.
    Apns(apns::Apns),
    /// To Google.
    Fcm(fcm::Fcm),
    /// To the browsers' services.
    WebPush(web_push::WebPush),
    /// To Microsoft.
    Wns(wns::Wns),
}

impl Adapter {
    /// Sends one push and says what became of it, in words that name no channel; takes at most a minute (a token
    /// and the push, twice, each with its own limit). `id` names the push
    /// in the service's logs and stays the same when it is sent again; `now` is when the push leaves.
    pub async fn send(
        &self,
        channel: &Channel,
        message: &Message,
        id: Uuid,
        now: Timestamp,
    ) -> Outcome {
        let mut outcome = self.send_unread(channel, message, id, now).await;
        let answer = &mut outcome.answer;
        let (reason, id) = (answer.reason.take(), answer.id.take());
        answer.reason = reason.map(|reason| redact::words(&reason, channel));
        answer.id = id.map(|id| redact::id(&id, channel));
        outcome
    }

    async fn send_unread(
        &self,
        channel: &Channel,
        message: &Message,
        id: Uuid,
        now: Timestamp,
    ) -> Outcome {
        match (self, channel, message) {
            (
                Self::Apns(apns),
                Channel::Apns {
                    device_token,
                    topic,
                    ..
                },
                Message::Apns(message),
            ) => {
                let device = apns::Device {
                    token: device_token,
                    topic: topic.as_deref(),
                };
                apns.send(device, message, id, now).await
            }
            (Self::Fcm(fcm), Channel::Fcm { registration_token }, Message::Fcm(message)) => {
                fcm.send(registration_token.expose(), message, now).await
            }
            (
                Self::WebPush(web_push),
                Channel::WebPush {
                    endpoint,
                    keys,
                    vapid_public_key,
                    ..
                },
                Message::WebPush(message),
            ) => {
                let subscription = web_push::Subscription {
                    endpoint: endpoint.expose(),
                    keys,
                    vapid_public_key: vapid_public_key.as_deref(),
                };
                web_push.send(subscription, message, now).await
            }
            (Self::Wns(wns), Channel::Wns { channel_uri }, Message::Wns(message)) => {
                wns.send(channel_uri.expose(), message, id, now).await
            }
            _ => answer::unsent(
                Verdict::Rejected,
                "the message is for another service than the channel",
            ),
        }
    }

    /// The operator has the settings tried again, the same as before: a token endpoint that refused them is asked again.
    pub fn try_again(&self) {
        match self {
            Self::Fcm(fcm) => fcm.try_again(),
            Self::Wns(wns) => wns.try_again(),
            Self::Apns(_) | Self::WebPush(_) => {}
        }
    }

    /// Asks the service whether it takes our credentials, without reaching any device; gives one line that says what was
    /// proved.
    ///
    /// # Errors
    /// One line: what is wrong and what to do about it.
    pub async fn check(&self, now: Timestamp) -> Result<String, String> {
        match self {
            Self::Apns(apns) => apns.check(now).await,
            Self::Fcm(fcm) => fcm.check(now).await,
            Self::WebPush(web_push) => web_push.check(now),
            Self::Wns(wns) => wns.check(now).await,
        }
    }
}
