//! From a tap to a message: pure, and the only place that decides what leaves the hub.
//!
//! The hub's own part of a push is an object named `beckon`: beside `aps` (APNs), in the body (WNS raw, Web Push), in
//! the `launch` attribute of a toast, flat in FCM's data. Its members: `e`, the endpoint's tap id, so that a device
//! knows for whom to pull; `k`, the kind; `n`, the notification's id, with a visible push and with every Web Push but
//! a state one; `v`, 1. With privacy `tap` nothing of the content leaves.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use quick_xml::escape::escape;

use super::{
    bodies::{ApnsBody, Aps, Beckon, RawBody, Text, written},
    retry,
};
use crate::{
    config::{
        Delivery,
        apps::{App, Badge, Privacy},
    },
    hub::DueTap,
    model::{Channel, ChannelKind, Priority, TapKind, Timestamp, VisualContent},
    push::message::{
        ApnsMessage, ApnsPushType, FcmMessage, FcmNotification, Message, Urgency, WebPushMessage,
        WnsKind, WnsMessage,
    },
};

/// How many bytes each service takes: APNs and FCM their whole payload, WNS a body, Web Push a plaintext (RFC 8291
/// with a record of 4096).
const APNS_BYTES: usize = 4096;
const FCM_BYTES: usize = 4096;
const WNS_BYTES: usize = 5000;
const WEB_PUSH_BYTES: usize = 3993;

/// The longest lives that FCM (four weeks) and the others (30 days) take, and the shortest that all browsers' services
/// do.
const FCM_LIFE: Duration = Duration::from_secs(28 * 24 * 3600);
const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
const MIN_LIFE: Duration = Duration::from_secs(60);

/// Hosts where a `Topic` becomes a collapse key that is throttled.
const NO_TOPIC_HOSTS: [&str; 2] = ["fcm.googleapis.com:443", "jmt17.google.com:443"];

/// The message for a tap, and how many bytes of payload it has; nothing, for an endpoint without a channel.
pub(super) fn compose(
    due: &DueTap,
    app: &App,
    delivery: &Delivery,
    now: Timestamp,
) -> Option<(Message, usize)> {
    let repeated = retry::until_repeated(due, delivery, now);
    let parts = Parts {
        due,
        app,
        now,
        repeated,
    };
    Some(match due.level.endpoint.channel.kind() {
        ChannelKind::Apns => parts.apns(),
        ChannelKind::Fcm => parts.fcm(),
        ChannelKind::WebPush => parts.web_push(),
        ChannelKind::Wns => parts.wns(),
        ChannelKind::None => return None,
    })
}

struct Parts<'a> {
    due: &'a DueTap,
    app: &'a App,
    now: Timestamp,
    /// When it will be repeated, where it is.
    repeated: Option<Duration>,
}

impl Parts<'_> {
    fn beckon(&self) -> Beckon {
        Beckon {
            e: self.due.level.endpoint.tap_id.to_string(),
            k: self.due.tap.kind.as_str(),
            n: self.due.tap.shows.map(|id| id.to_string()),
            v: 1,
        }
    }

    fn raw(&self, text: Option<&VisualContent>) -> String {
        written(&RawBody {
            beckon: self.beckon(),
            text: text.map(Text::from),
        })
    }

    fn is_direct(&self) -> bool {
        self.app.privacy == Privacy::Direct
    }

    /// What the person is to read at once: the content where it may leave, else the placeholder.
    fn text(&self) -> VisualContent {
        let placeholder = self
            .app
            .placeholder
            .for_locale(self.due.level.endpoint.locale.as_deref());
        let draft = self.due.notification.as_ref().map(|it| &it.draft);
        let content =
            draft
                .filter(|_| self.is_direct())
                .and_then(|draft| match self.due.tap.kind {
                    TapKind::Fallback => draft.fallback.as_ref().map(|fallback| &fallback.visual),
                    _ => draft.visual.as_ref(),
                });
        content.unwrap_or(placeholder).clone()
    }

    fn is_low(&self) -> bool {
        self.due.tap.priority == Priority::Low
    }

    fn is_high(&self) -> bool {
        self.due.tap.priority == Priority::High
    }

    /// How long it is still of use.
    fn life(&self, at_most: Duration) -> Duration {
        self.due.tap.expires.since(self.now).min(at_most)
    }

    /// The same at a service that keeps each push for a device that is away: no longer than until it is repeated, so
    /// that there is one when the device comes back.
    fn life_of_one(&self, at_most: Duration) -> Duration {
        let repeated = self.repeated.unwrap_or(Duration::MAX).max(MIN_LIFE);
        self.life(at_most).min(repeated)
    }

    /// The id that a device replaces and removes what is shown by.
    fn tag(&self) -> String {
        self.due
            .tap
            .shows
            .map_or_else(|| String::from("tap"), |id| id.to_string())
    }

    fn apns(&self) -> (Message, usize) {
        if !self.due.tap.visible {
            let aps = Aps {
                content_available: Some(1),
                ..Aps::default()
            };
            return self.apns_message(ApnsPushType::Background, 5, self.apns_body(aps));
        }
        let priority = if self.is_low() { 5 } else { 10 };
        let body = fit(self.text(), APNS_BYTES, |text| self.apns_alert(text));
        self.apns_message(ApnsPushType::Alert, priority, body)
    }

    fn apns_alert(&self, text: &VisualContent) -> String {
        let settings = self.app.apns.as_ref();
        let sound = settings.and_then(|settings| settings.sound.as_deref());
        self.apns_body(Aps {
            alert: Some(text.into()),
            badge: (self.app.badge == Badge::Unread).then_some(self.due.unread),
            category: settings.and_then(|settings| settings.category.as_deref()),
            content_available: (!self.is_direct()).then_some(1),
            mutable_content: Some(1),
            sound: sound.filter(|_| !self.is_low()),
        })
    }

    fn apns_body(&self, aps: Aps<'_>) -> String {
        let beckon = self.beckon();
        written(&ApnsBody { aps, beckon })
    }

    fn apns_message(
        &self,
        push_type: ApnsPushType,
        priority: u8,
        body: String,
    ) -> (Message, usize) {
        let size = body.len();
        let message = ApnsMessage {
            push_type,
            priority,
            collapse_id: if push_type == ApnsPushType::Alert {
                self.tag()
            } else {
                "tap".into()
            },
            ttl: self.life(LIFE),
            payload: Bytes::from(body),
        };
        (Message::Apns(message), size)
    }

    fn fcm(&self) -> (Message, usize) {
        let tap = &self.due.tap;
        let mut data = vec![
            ("beckon", String::from("1")),
            ("e", self.due.level.endpoint.tap_id.to_string()),
            ("k", tap.kind.as_str().to_owned()),
        ];
        data.extend(tap.shows.map(|id| ("n", id.to_string())));
        data.push(("v", String::from("1")));
        let data_bytes: usize = data
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        let channel_id = self
            .app
            .fcm
            .as_ref()
            .and_then(|settings| settings.channel_id.clone());
        let notification = self.due.displayed.then(|| {
            let tag = self.tag();
            let fixed = data_bytes + tag.len() + channel_id.as_ref().map_or(0, String::len) + 64;
            let text = cut(self.text(), FCM_BYTES.saturating_sub(fixed));
            FcmNotification {
                title: text.title,
                body: text.body,
                tag,
                channel_id,
            }
        });
        let shown_bytes = notification.as_ref().map_or(0, |shown| {
            shown.title.len() + shown.body.as_ref().map_or(0, String::len) + shown.tag.len()
        });
        let high = if tap.visible {
            !self.is_low()
        } else {
            self.is_high()
        };
        let message = FcmMessage {
            high: high || tap.kind == TapKind::Fallback,
            ttl: self.life_of_one(FCM_LIFE),
            data,
            notification,
        };
        (Message::Fcm(message), data_bytes + shown_bytes)
    }

    fn web_push(&self) -> (Message, usize) {
        let tap = &self.due.tap;
        let bare = self.raw(None);
        let with_text = (tap.visible && self.is_direct())
            .then(|| fit(self.text(), WEB_PUSH_BYTES, |text| self.raw(Some(text))));
        let (plaintext, bare) = match with_text {
            Some(text) => (text, Some(Bytes::from(bare))),
            None => (bare, None),
        };
        let size = plaintext.len();
        let message = WebPushMessage {
            urgency: self.urgency(),
            topic: self.topic(),
            ttl: self.life_of_one(LIFE).max(MIN_LIFE),
            plaintext: Bytes::from(plaintext),
            bare,
        };
        (Message::WebPush(message), size)
    }

    fn urgency(&self) -> Urgency {
        match (self.due.tap.kind, self.due.tap.priority) {
            (TapKind::Changed, _) => Urgency::VeryLow,
            (TapKind::Fallback, _) | (_, Priority::High) => Urgency::High,
            (_, Priority::None) => Urgency::Normal,
            (_, Priority::Low) => Urgency::Low,
        }
    }

    fn topic(&self) -> Option<String> {
        let authority = self.due.level.endpoint.channel.authority()?;
        if NO_TOPIC_HOSTS.contains(&authority.as_str()) {
            return None;
        }
        let hash = digest(&SHA256, self.tag().as_bytes());
        Some(URL_SAFE_NO_PAD.encode(&hash.as_ref()[..24]))
    }

    fn wns(&self) -> (Message, usize) {
        let tap = &self.due.tap;
        let (kind, body) = if self.due.displayed {
            (
                WnsKind::Toast,
                fit(self.text(), WNS_BYTES, |text| self.toast(text)),
            )
        } else {
            (WnsKind::Raw, self.raw(None))
        };
        let size = body.len();
        let message = WnsMessage {
            kind,
            priority: match (tap.kind, self.is_high()) {
                (TapKind::Changed, _) => 3,
                (TapKind::Fallback, _) | (_, true) => 1,
                (_, false) => 2,
            },
            ttl: self.life(LIFE),
            body: Bytes::from(body),
        };
        (Message::Wns(message), size)
    }

    fn toast(&self, text: &VisualContent) -> String {
        let launch = self.raw(None);
        let lines: String = std::iter::once(&text.title)
            .chain(&text.body)
            .map(|line| format!("<text>{}</text>", escape(xml_text(line))))
            .collect();
        let quiet = if self.is_low() {
            r#"<audio silent="true"/>"#
        } else {
            ""
        };
        format!(
            r#"<toast launch="{}"><visual><binding template="ToastGeneric">{lines}</binding></visual>{quiet}</toast>"#,
            escape(&launch)
        )
    }
}

/// XML 1.0 (section 2.2) knows no control characters but tab and line ends.
fn xml_text(text: &str) -> String {
    let is_char = |c: &char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    text.chars()
        .filter(is_char)
        .filter(|c| !matches!(c, '\u{fffe}' | '\u{ffff}'))
        .collect()
}

/// Writes `text` so that the whole is at most `limit` bytes, cutting the body first and then the title; the client
/// fetches the rest.
fn fit(text: VisualContent, limit: usize, write: impl Fn(&VisualContent) -> String) -> String {
    let mut text = text;
    let mut written = write(&text);
    while written.len() > limit {
        let length = text.title.len() + text.body.as_ref().map_or(0, String::len);
        let over = written.len() - limit;
        let shorter = cut(text.clone(), length.saturating_sub(over.div_ceil(6).max(1)));
        if shorter == text {
            break;
        }
        text = shorter;
        written = write(&text);
    }
    written
}

/// Cuts a text to `limit` bytes of title and body at a character, with `…` where something is left out.
fn cut(text: VisualContent, limit: usize) -> VisualContent {
    let title_bytes = text.title.len();
    let body = match text.body {
        Some(body) if title_bytes + body.len() > limit => {
            Some(cut_text(&body, limit.saturating_sub(title_bytes))).filter(|body| !body.is_empty())
        }
        other => other,
    };
    let title = if title_bytes > limit {
        cut_text(&text.title, limit)
    } else {
        text.title
    };
    VisualContent { title, body }
}

fn cut_text(text: &str, limit: usize) -> String {
    const MORE: &str = "…";
    let Some(room) = limit.checked_sub(MORE.len()) else {
        return String::new();
    };
    let whole = text.trim_end_matches('…');
    format!(
        "{}{MORE}",
        &whole[..whole.floor_char_boundary(room.min(whole.len()))]
    )
}

/// Which of a lane's services a channel belongs to, as metrics and lanes name it.
pub(super) fn authority(channel: &Channel) -> String {
    channel.authority().unwrap_or_default()
}

#[cfg(test)]
#[path = "compose_tests.rs"]
mod tests;
