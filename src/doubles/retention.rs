//! What each service does with a push for a device that is away: pure rules over one device's waiting line.
//!
//! | service | rule | source |
//! |---|---|---|
//! | APNs | one push waits, the newest; `apns-expiration` 0 or past: none; low power swallows background pushes | documented; low power: assumed |
//! | FCM | 100 wait, the next one throws all away and leaves a `deletedMessages`; a collapse key replaces, at most four keys; `ttl` 0: none; Doze holds normal priority | documented; which key goes as the fifth comes: assumed (the oldest) |
//! | FCM | a notification message without a key collapses under the app's package | documented |
//! | Web Push | all wait until `TTL`; a topic replaces; `TTL` 0: none | RFC 8030, 5.2 and 5.4; observed |
//! | WNS | one of each type waits, raw only with `cache` | documented, and contradicted for toasts on the same page |

use serde::{Deserialize, Serialize};

use super::device::{Body, Push, Service, Switches};

/// How many FCM messages wait for a device before all are thrown away.
pub(crate) const FCM_MAX_WAITING: usize = 100;
/// How many collapse keys FCM keeps for a device.
const FCM_MAX_COLLAPSE_KEYS: usize = 4;
/// What an app gets in the place of messages that were thrown away.
const DELETED_MESSAGES: &str = "deletedMessages";
/// A bound on memory, far beyond what a real service keeps.
const WEB_PUSH_MAX_WAITING: usize = 1000;

/// A push and what decides how it waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Waiting {
    /// What the device gets.
    pub(crate) push: Push,
    /// When it is not worth delivering any more, in milliseconds since 1970; absent: never.
    pub(crate) expires_ms: Option<i64>,
    /// Whether it may wait at all.
    pub(crate) storable: bool,
    /// Whether it wakes a device that sleeps.
    pub(crate) urgent: bool,
}

/// What became of an accepted push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Fate {
    /// The device has it.
    HandedOver,
    /// It waits at the service until the device can take it.
    Waiting,
    /// The device swallowed it: a background push in low power mode.
    Swallowed,
    /// The device is away and the push may not wait.
    Dropped,
    /// It was the one too many: everything that waited was thrown away (FCM).
    Overflowed,
    /// Nothing was to be delivered: FCM's `validate_only`, or a target that is no single device.
    NotForDevice,
}

/// Decides what happens to a push on arrival at `now_ms`; keeps it in the line if it waits.
pub(crate) fn offer(
    service: Service,
    switches: Switches,
    line: &mut Vec<Waiting>,
    (item, now_ms): (&Waiting, i64),
) -> Fate {
    forget(line, now_ms);
    if swallows(service, switches, item) && switches.online {
        return Fate::Swallowed;
    }
    if reaches(service, switches, item) {
        return Fate::HandedOver;
    }
    if !item.storable {
        return Fate::Dropped;
    }
    match service {
        Service::Apns => line.clear(),
        Service::Fcm => return enqueue_fcm(line, item),
        Service::WebPush => replace(line, |old| {
            item.push.collapse.is_some() && old.push.collapse == item.push.collapse
        }),
        Service::Wns => replace(line, |old| old.push.kind == item.push.kind),
    }
    if line.len() >= WEB_PUSH_MAX_WAITING {
        line.remove(0);
    }
    line.push(item.clone());
    Fate::Waiting
}

/// What leaves the line now that the switches are as they are: the pushes for the device, in order. What expired goes without a trace.
pub(crate) fn release(
    service: Service,
    switches: Switches,
    line: &mut Vec<Waiting>,
    now_ms: i64,
) -> Vec<Push> {
    forget(line, now_ms);
    let (leaving, staying): (Vec<_>, Vec<_>) = line
        .drain(..)
        .partition(|item| reaches(service, switches, item));
    *line = staying;
    leaving
        .into_iter()
        .filter(|item| !swallows(service, switches, item))
        .map(|item| item.push)
        .collect()
}

/// Has what is over wait no longer.
fn forget(line: &mut Vec<Waiting>, now_ms: i64) {
    line.retain(|item| item.waits(now_ms));
}

/// How many wait.
pub(crate) fn waiting(line: &[Waiting], now_ms: i64) -> usize {
    line.iter().filter(|item| item.waits(now_ms)).count()
}

impl Waiting {
    fn waits(&self, now_ms: i64) -> bool {
        self.expires_ms.is_none_or(|expires| expires > now_ms)
    }
}

fn reaches(service: Service, switches: Switches, item: &Waiting) -> bool {
    let asleep = service == Service::Fcm && switches.doze && !item.urgent;
    switches.online && !asleep
}

fn swallows(service: Service, switches: Switches, item: &Waiting) -> bool {
    service == Service::Apns && switches.low_power && item.push.kind == "background"
}

fn replace(line: &mut Vec<Waiting>, same: impl Fn(&Waiting) -> bool) {
    line.retain(|old| !same(old));
}

fn enqueue_fcm(line: &mut Vec<Waiting>, item: &Waiting) -> Fate {
    if item.push.collapse.is_some() {
        replace(line, |old| old.push.collapse == item.push.collapse);
        let keys: Vec<usize> = (0..line.len())
            .filter(|&at| line[at].push.collapse.is_some())
            .collect();
        if keys.len() >= FCM_MAX_COLLAPSE_KEYS {
            line.remove(keys[0]);
        }
    } else if line.iter().filter(|old| is_plain(old)).count() >= FCM_MAX_WAITING {
        line.clear();
        line.push(deleted_messages());
        return Fate::Overflowed;
    }
    line.push(item.clone());
    Fate::Waiting
}

/// A message that collapses with none; only these are counted.
fn is_plain(item: &Waiting) -> bool {
    item.push.collapse.is_none() && item.push.kind != DELETED_MESSAGES
}

/// What an Android app gets instead of the messages that were thrown away.
fn deleted_messages() -> Waiting {
    let push = Push {
        message_id: String::new(),
        kind: DELETED_MESSAGES.to_owned(),
        collapse: None,
        body: Some(Body::Text(
            "{\"message_type\":\"deleted_messages\"}".to_owned(),
        )),
    };
    Waiting {
        push,
        expires_ms: None,
        storable: true,
        urgent: false,
    }
}
