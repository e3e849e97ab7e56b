//! Notifications: what an app posts, and what the hub keeps of it.

use std::time::Duration;

use super::{BroadcastId, FeedPosition, NotificationId, Platform, Removal, Timestamp, Ttl};

/// How soon, and how visibly, a notification matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Priority {
    /// Nothing said.
    #[default]
    None,
    /// Now.
    High,
    /// Whenever it suits the device.
    Low,
}

impl Priority {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::None, Self::High, Self::Low];

    /// The higher of two: what is Low comes after what says nothing.
    #[must_use]
    pub fn or_higher(self, other: Self) -> Self {
        match (self, other) {
            (Self::High, _) | (_, Self::High) => Self::High,
            (Self::Low, Self::Low) => Self::Low,
            _ => Self::None,
        }
    }

    /// Reads `None`, `High` or `Low`, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|priority| priority.as_str().eq_ignore_ascii_case(text))
    }

    /// The name as the contract writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::High => "High",
            Self::Low => "Low",
        }
    }
}

/// What the platform can show by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisualContent {
    /// Never empty.
    pub title: String,
    /// May be absent.
    pub body: Option<String>,
}

/// What to show where a raw notification was not fetched in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// On which platforms; never empty.
    pub platforms: Vec<Platform>,
    /// How long after the posting.
    pub delay: Duration,
    /// What to show.
    pub visual: VisualContent,
}

/// A checked post: what the app server sent, all fields valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The app's own id; a second post with it replaces the first.
    pub app_id: Option<String>,
    /// The app's group.
    pub group: Option<String>,
    /// Which platforms are meant; `None` is all.
    pub platforms: Option<Vec<Platform>>,
    /// Data for the app.
    pub raw: Option<String>,
    /// What to show; at least one of this and `raw` is there.
    pub visual: Option<VisualContent>,
    /// How long it stays on the screen.
    pub display_ttl: Option<Ttl>,
    /// When it leaves the store; `None` is the default.
    pub expires: Option<Timestamp>,
    /// How soon it matters.
    pub priority: Priority,
    /// What to show where it was not fetched; only with `High` and without `visual`.
    pub fallback: Option<Fallback>,
}

impl Draft {
    /// Whether endpoints of `platform` are meant.
    pub fn targets(&self, platform: Platform) -> bool {
        self.platforms
            .as_ref()
            .is_none_or(|platforms| platforms.contains(&platform))
    }
}

/// Whether the person has read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadState {
    /// Not yet.
    #[default]
    Unread,
    /// Yes.
    Read,
}

impl ReadState {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Unread, Self::Read];

    /// Reads `unread` or `read`, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str().eq_ignore_ascii_case(text))
    }

    /// The name as the contract writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unread => "unread",
            Self::Read => "read",
        }
    }
}

/// What the person did with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ActionState {
    /// Nothing yet.
    #[default]
    NoInteraction,
    /// Opened it.
    Activated,
    /// Put it away.
    Dismissed,
    /// Put it off.
    Snoozed,
}

impl ActionState {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::NoInteraction,
        Self::Activated,
        Self::Dismissed,
        Self::Snoozed,
    ];

    /// Reads one of the four names, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str().eq_ignore_ascii_case(text))
    }

    /// The name as the contract writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoInteraction => "noInteraction",
            Self::Activated => "activated",
            Self::Dismissed => "dismissed",
            Self::Snoozed => "snoozed",
        }
    }
}

/// How a notification was dealt with, so that it interrupts nobody any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// It was read.
    Read,
    /// It was opened.
    Activated,
    /// It was put away.
    Dismissed,
    /// It was put off.
    Snoozed,
    /// It was deleted.
    TakenBack,
}

impl Handling {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Activated => "activated",
            Self::Dismissed => "dismissed",
            Self::Snoozed => "snoozed",
            Self::TakenBack => "taken back",
        }
    }
}

/// What to set of a notification's state; at least one is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateChange {
    /// The new read state.
    pub read: Option<ReadState>,
    /// The new action state.
    pub action: Option<ActionState>,
}

/// A stored notification of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Its id, stable over replacement.
    pub id: NotificationId,
    /// Where in the feed it was posted, or last replaced: its place in history.
    pub number: FeedPosition,
    /// Where in the feed its latest change stands.
    pub changed_at: FeedPosition,
    /// Which state of it this is: 1 as first posted, raised by every change.
    pub version: u64,
    /// What was posted; emptied of its content once removed.
    pub draft: Draft,
    /// When it was first posted.
    pub created: Timestamp,
    /// When it was posted or last replaced.
    pub posted: Timestamp,
    /// When it last changed.
    pub modified: Timestamp,
    /// When it leaves the store.
    pub expires: Timestamp,
    /// Whether it was read.
    pub read: ReadState,
    /// What was done with it.
    pub action: ActionState,
    /// Whether anyone has dealt with it since it was posted or last replaced, also where that was undone.
    pub handled: bool,
    /// Since when [`Self::handling`] says something.
    pub handled_since: Option<Timestamp>,
    /// Set when it was deleted before its time; what is left then serves the delivery reports alone.
    pub removed: Option<Removal>,
    /// The broadcast that it came by, whose one content it shares with others.
    pub broadcast: Option<BroadcastId>,
}

impl Notification {
    /// How many bytes of content it has.
    pub fn content_bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let shown = |it: &VisualContent| it.title.len() + text(&it.body);
        let fallback = self.draft.fallback.as_ref();
        text(&self.draft.raw)
            + self.draft.visual.as_ref().map_or(0, shown)
            + fallback.map_or(0, |fallback| shown(&fallback.visual))
    }

    /// Whether it is there for anyone to see at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.removed.is_none() && now < self.expires
    }

    /// Whether nobody has dealt with it: live, unread and not acted upon. Only then does it interrupt anyone.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.is_live(now)
            && self.read == ReadState::Unread
            && self.action == ActionState::NoInteraction
    }

    /// How it was dealt with, where it was: by the person, or by its removal.
    pub fn handling(&self) -> Option<Handling> {
        match (self.action, self.read) {
            (ActionState::Activated, _) => Some(Handling::Activated),
            (ActionState::Dismissed, _) => Some(Handling::Dismissed),
            (_, ReadState::Read) => Some(Handling::Read),
            (ActionState::Snoozed, _) => Some(Handling::Snoozed),
            (ActionState::NoInteraction, _) => self.removed.map(|_| Handling::TakenBack),
        }
    }

    /// The same, changed at `now`.
    #[must_use]
    pub fn as_changed(mut self, now: Timestamp) -> Self {
        self.modified = now;
        let since = self.handled_since.unwrap_or(now);
        self.handled_since = self.handling().map(|_| since);
        self
    }

    /// Whether the tap that tells of it goes before those that come by the thousand.
    pub fn goes_ahead(&self) -> bool {
        self.draft.priority == Priority::High && self.broadcast.is_none()
    }

    /// Whether its fallback may still be sent: nobody has dealt with it.
    pub fn may_fall_back(&self, now: Timestamp) -> bool {
        self.is_live(now) && !self.handled
    }

    /// Whether a change of state changes anything about it.
    pub fn is_changed_by(&self, change: StateChange) -> bool {
        change.read.is_some_and(|read| read != self.read)
            || change.action.is_some_and(|action| action != self.action)
    }

    /// The same with its state set.
    #[must_use]
    pub fn with(mut self, change: StateChange) -> Self {
        self.read = change.read.unwrap_or(self.read);
        self.action = change.action.unwrap_or(self.action);
        self.handled |= self.is_dealt_with();
        self
    }

    /// Whether it stands as dealt with: who put it off has not done so.
    pub fn is_dealt_with(&self) -> bool {
        let acted = matches!(self.action, ActionState::Activated | ActionState::Dismissed);
        self.read == ReadState::Read || acted
    }

    /// Whether it is not any more what was first posted; the clock may have gone back in between, where a leap was undone.
    pub fn was_replaced(&self) -> bool {
        self.created != self.posted
    }

    /// When its fallback is due, where it has one.
    pub fn fallback_due(&self) -> Option<Timestamp> {
        self.draft
            .fallback
            .as_ref()
            .map(|fallback| self.posted.plus(fallback.delay))
    }
}
