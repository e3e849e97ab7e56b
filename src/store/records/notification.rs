//! Notifications: a row with the state, and the content in it, in parts beside it, or with the broadcast that it is
//! shared with.

mod earlier;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    super::{Error, codec, keys::broken},
    millis, platform_code, platforms_of, removal, removal_code, time, times,
};
use crate::model::{
    ActionState, BroadcastId, Change, ChangeKind, Draft, Fallback, FeedPosition, Notification,
    NotificationId, Platform, Priority, ReadState, Timestamp, Ttl, VisualContent,
};

/// Texts of a notification, apart from its state: `raw`, visual title and body, fallback title and body.
#[derive(Serialize, Deserialize, Default)]
pub(in crate::store) struct StoredContent {
    raw: Option<String>,
    visual: Option<(String, Option<String>)>,
    fallback: Option<(String, Option<String>)>,
}

/// Where a notification's content lies.
#[derive(Serialize, Deserialize)]
pub(in crate::store) enum StoredPlace {
    Inline(Vec<u8>),
    Parts(u16),
    /// With this broadcast, in so many parts.
    Shared([u8; 16], u16),
}

/// What an app posted, apart from its texts.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct StoredDraft {
    app_id: Option<String>,
    group: Option<String>,
    platforms: Option<Vec<u8>>,
    display_ttl: Option<u32>,
    asked_expiry: Option<u64>,
    priority: u8,
    fallback: Option<(Vec<u8>, u64)>,
}

/// The form of version 1, which knew no versions of a notification; later ones put more around it.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct StoredState {
    id: [u8; 16],
    number: u64,
    changed_at: u64,
    app_id: Option<String>,
    group: Option<String>,
    platforms: Option<Vec<u8>>,
    display_ttl: Option<u32>,
    asked_expiry: Option<u64>,
    priority: u8,
    fallback: Option<(Vec<u8>, u64)>,
    created: u64,
    posted: u64,
    modified: u64,
    expires: u64,
    read: bool,
    action: u8,
    removed: Option<u8>,
    pub(in crate::store) content: StoredPlace,
}

/// The form of versions 6 and 7.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct StoredNotification {
    version: u64,
    pub(in crate::store) state: StoredState,
    handled: bool,
    handled_since: Option<u64>,
}

/// What a row says without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Which notification.
    pub id: NotificationId,
    /// Where in the feed it was posted, or posted anew.
    pub number: FeedPosition,
    /// Which state of it.
    pub version: u64,
    /// Where in the feed its latest change stands.
    pub changed_at: FeedPosition,
    /// When it was first posted.
    pub created: Timestamp,
    /// When it was posted as it is.
    pub posted: Timestamp,
    /// When it leaves the store.
    pub expires: Timestamp,
    /// Whether it was deleted before its time.
    pub removed: bool,
}

impl Standing {
    /// The change that its posting was, where nothing came after it.
    pub(in crate::store) fn posting(self) -> Option<Change> {
        (self.changed_at == self.number).then_some(Change {
            position: self.number,
            number: self.number,
            notification: self.id,
            kind: ChangeKind::Created,
            replaced: self.created < self.posted,
            at: self.posted,
            by: None,
        })
    }
}

impl StoredNotification {
    /// What the app calls it, while it is there.
    pub(in crate::store) fn name(&self) -> Option<&str> {
        let name = self.state.app_id.as_deref();
        name.filter(|_| self.state.removed.is_none())
    }

    /// In how many parts its content stands beside it.
    pub(in crate::store) fn parts(&self) -> u16 {
        match self.state.content {
            StoredPlace::Parts(count) => count,
            StoredPlace::Inline(_) | StoredPlace::Shared(..) => 0,
        }
    }

    pub(in crate::store) fn standing(&self) -> Standing {
        Standing {
            id: NotificationId::from_bytes(self.state.id),
            number: FeedPosition(self.state.number),
            version: self.version,
            changed_at: FeedPosition(self.state.changed_at),
            created: time(self.state.created),
            posted: time(self.state.posted),
            expires: time(self.state.expires),
            removed: self.state.removed.is_some(),
        }
    }
}

/// The version of a row with content of its own, and of one that shares it, which differs in that place alone.
const OWN: u8 = 6;
const SHARING: u8 = 7;
/// How many bytes of content may stand in the notification's own row, and in one part. No value may exceed 4 KiB,
/// and the rest of the row takes up to 1 KiB.
pub(in crate::store) const INLINE_BYTES: usize = 2_900;
pub(in crate::store) const PART_BYTES: usize = 3_900;

fn visual(pair: (String, Option<String>)) -> VisualContent {
    VisualContent {
        title: pair.0,
        body: pair.1,
    }
}

fn pair(visual: &VisualContent) -> (String, Option<String>) {
    (visual.title.clone(), visual.body.clone())
}

pub(in crate::store) fn encode_content(draft: &Draft) -> Result<Vec<u8>, Error> {
    let content = StoredContent {
        raw: draft.raw.clone(),
        visual: draft.visual.as_ref().map(pair),
        fallback: draft
            .fallback
            .as_ref()
            .map(|fallback| pair(&fallback.visual)),
    };
    codec::encode(1, &content)
}

/// How many part rows shared content of this length takes.
pub(in crate::store) fn shared_part_count(content_bytes: usize) -> u16 {
    u16::try_from(content_bytes.div_ceil(PART_BYTES)).unwrap_or(u16::MAX)
}

/// How many part rows content of this length takes; none where it stands in the notification's own row.
pub(in crate::store) fn part_count(content_bytes: usize) -> u16 {
    if content_bytes <= INLINE_BYTES {
        0
    } else {
        u16::try_from(content_bytes.div_ceil(PART_BYTES)).unwrap_or(u16::MAX)
    }
}

pub(in crate::store) fn encode_notification(it: &Notification) -> Result<Vec<u8>, Error> {
    let content = encode_content(&it.draft)?;
    let (form, place) = match (it.broadcast, part_count(content.len())) {
        (Some(id), _) => (
            SHARING,
            StoredPlace::Shared(id.to_bytes(), shared_part_count(content.len())),
        ),
        (None, 0) => (OWN, StoredPlace::Inline(content)),
        (None, parts) => (OWN, StoredPlace::Parts(parts)),
    };
    let draft = stored_draft(&it.draft);
    let state = StoredState {
        id: it.id.to_bytes(),
        number: it.number.0,
        changed_at: it.changed_at.0,
        app_id: draft.app_id,
        group: draft.group,
        platforms: draft.platforms,
        display_ttl: draft.display_ttl,
        asked_expiry: draft.asked_expiry,
        priority: draft.priority,
        fallback: draft.fallback,
        created: it.created.as_millis(),
        posted: it.posted.as_millis(),
        modified: it.modified.as_millis(),
        expires: it.expires.as_millis(),
        read: it.read == ReadState::Read,
        action: it.action as u8,
        removed: it.removed.map(removal_code),
        content: place,
    };
    let stored = StoredNotification {
        version: it.version,
        state,
        handled: it.handled,
        handled_since: millis(it.handled_since),
    };
    codec::encode(form, &stored)
}

pub(in crate::store) fn decode_row(bytes: &[u8]) -> Result<StoredNotification, Error> {
    if let Some(earlier) = earlier::decode(bytes) {
        return earlier;
    }
    match bytes.first() {
        Some(&SHARING) => codec::decode(SHARING, bytes),
        _ => codec::decode(OWN, bytes),
    }
}

/// The notification of a row that holds its content itself; none, where that stands elsewhere.
pub(in crate::store) fn decode_whole(
    mut row: StoredNotification,
) -> Result<Option<Notification>, Error> {
    match &mut row.state.content {
        StoredPlace::Inline(content) => {
            let content = std::mem::take(content);
            decode_notification(row, &content).map(Some)
        }
        StoredPlace::Parts(_) | StoredPlace::Shared(..) => Ok(None),
    }
}

pub(in crate::store) fn stored_draft(draft: &Draft) -> StoredDraft {
    let codes = |platforms: &Vec<Platform>| platforms.iter().map(platform_code).collect();
    StoredDraft {
        app_id: draft.app_id.clone(),
        group: draft.group.clone(),
        platforms: draft.platforms.as_ref().map(codes),
        display_ttl: draft.display_ttl.map(Ttl::as_secs),
        asked_expiry: millis(draft.expires),
        priority: draft.priority as u8,
        fallback: draft.fallback.as_ref().map(|fallback| {
            let delay = u64::try_from(fallback.delay.as_millis()).unwrap_or(u64::MAX);
            (codes(&fallback.platforms), delay)
        }),
    }
}

/// Puts what an app posted together from its rest and its encoded texts.
pub(in crate::store) fn draft_of(stored: StoredDraft, content: &[u8]) -> Result<Draft, Error> {
    let content: StoredContent = codec::decode(1, content)?;
    let fallback = match (stored.fallback, content.fallback) {
        (Some((platforms, delay)), Some(text)) => Some(Fallback {
            platforms: platforms_of(&platforms)?,
            delay: Duration::from_millis(delay),
            visual: visual(text),
        }),
        _ => None,
    };
    Ok(Draft {
        app_id: stored.app_id,
        group: stored.group,
        platforms: stored.platforms.as_deref().map(platforms_of).transpose()?,
        raw: content.raw,
        visual: content.visual.map(visual),
        display_ttl: stored
            .display_ttl
            .and_then(|secs| Ttl::from_secs(i64::from(secs))),
        expires: times(stored.asked_expiry),
        priority: priority(stored.priority)?,
        fallback,
    })
}

/// Puts a notification together from its row and its content.
pub(in crate::store) fn decode_notification(
    StoredNotification {
        version,
        state: stored,
        handled,
        handled_since,
    }: StoredNotification,
    content: &[u8],
) -> Result<Notification, Error> {
    let broadcast = match stored.content {
        StoredPlace::Shared(id, _) => Some(BroadcastId::from_bytes(id)),
        StoredPlace::Inline(_) | StoredPlace::Parts(_) => None,
    };
    let draft = StoredDraft {
        app_id: stored.app_id,
        group: stored.group,
        platforms: stored.platforms,
        display_ttl: stored.display_ttl,
        asked_expiry: stored.asked_expiry,
        priority: stored.priority,
        fallback: stored.fallback,
    };
    Ok(Notification {
        id: NotificationId::from_bytes(stored.id),
        number: FeedPosition(stored.number),
        changed_at: FeedPosition(stored.changed_at),
        version,
        draft: draft_of(draft, content)?,
        created: time(stored.created),
        posted: time(stored.posted),
        modified: time(stored.modified),
        expires: time(stored.expires),
        read: if stored.read {
            ReadState::Read
        } else {
            ReadState::Unread
        },
        action: action(stored.action)?,
        handled,
        handled_since: times(handled_since),
        removed: stored.removed.map(removal).transpose()?,
        broadcast,
    })
}

fn priority(code: u8) -> Result<Priority, Error> {
    [Priority::None, Priority::High, Priority::Low]
        .into_iter()
        .find(|priority| *priority as u8 == code)
        .ok_or_else(|| broken("a priority"))
}

fn action(code: u8) -> Result<ActionState, Error> {
    [
        ActionState::NoInteraction,
        ActionState::Activated,
        ActionState::Dismissed,
        ActionState::Snoozed,
    ]
    .into_iter()
    .find(|action| *action as u8 == code)
    .ok_or_else(|| broken("an action state"))
}
