//! Taps: pushes that say "pull from your cursor".

use std::time::Duration;

use super::{
    Endpoint, FeedPosition, NotificationId, Priority, ServiceAnswer, Subject, TapId, Timestamp,
};

/// What a tap tells the client before it has pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TapKind {
    /// Something was posted or replaced.
    Created,
    /// A state changed, or something was deleted.
    Changed,
    /// Something was not fetched in time.
    Fallback,
    /// Nothing: the operator asked for it.
    Test,
}

impl TapKind {
    /// The `k` of the tap (see the format in `dispatch::compose`).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Fallback => "fallback",
            Self::Test => "test",
        }
    }
}

/// One tap for one endpoint, as planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tap {
    /// What it tells.
    pub kind: TapKind,
    /// The notification that it shows, where it shows one (every Web Push but a state one names one too).
    pub shows: Option<NotificationId>,
    /// Whether the person is to see something by it.
    pub visible: bool,
    /// The feed's position that it speaks for: everything up to here is covered once the device pulls.
    pub covers: FeedPosition,
    /// The priority of what it is about.
    pub priority: Priority,
    /// Whether it goes before those that come by the thousand: something of High priority that was posted to this person,
    /// not by a broadcast, is among what it tells; or somebody waits for what comes of it.
    pub ahead: bool,
    /// When it is of no more use.
    pub expires: Timestamp,
    /// Since when it is owed.
    pub since: Timestamp,
}

/// What may pass, so that nobody calls the channel dead; but if nothing else comes for days, it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passing {
    /// There is no way to its host: no name, nobody who listens, no TLS.
    NoWay,
    /// Its service calls it invalid, as FCM does now and then with subscriptions that are well; or dead since before it was
    /// registered.
    Invalid,
}

/// A row of pushes to a channel that came to nothing but that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing {
    /// What they came to.
    pub with: Passing,
    /// When the first did.
    pub since: Timestamp,
    /// When the last did.
    pub last: Timestamp,
}

/// What of the operator's settings decides when a tap leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TapRules {
    /// How long an endpoint with an open stream has to fetch first.
    pub stream_grace_millis: u64,
    /// Silent pushes that one endpoint gets in an hour.
    pub silent_per_hour: u64,
    /// How long a tap may stay unanswered before the next one.
    pub retap_after_millis: u64,
}

/// Nobody is put off for longer: a push service may demand a day, and in the line of a full lane some minutes are added.
const PUT_OFF_AT_MOST: Duration = Duration::from_hours(25);

/// What dispatch knows of one endpoint. Written by dispatch alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TapState {
    /// The registration that it speaks of; a later one starts anew.
    pub generation: u64,
    /// Everything up to here needs no further tap: a push service took one, or none was due.
    pub covered: FeedPosition,
    /// The position of the last tap that a push service took; unanswered while the endpoint has not fetched it.
    pub tapped: FeedPosition,
    /// When that was.
    pub tapped_at: Timestamp,
    /// Until when its push service keeps it for a device that is away.
    pub tap_expires: Timestamp,
    /// Whether that tap was a silent one; only those are repeated.
    pub tapped_silently: bool,
    /// How often it was repeated unanswered.
    pub repeats: u32,
    /// When its repetition was refused for good, where the last one was.
    pub repeat_refused_at: Timestamp,
    /// Up to where nothing was found that is worth a repetition, though one was due.
    pub repeat_after: FeedPosition,
    /// Where the endpoint stood then.
    pub repeat_from: FeedPosition,
    /// Failed attempts in a row.
    pub attempts: u32,
    /// When the last of them was.
    pub tried_at: Timestamp,
    /// Up to where a push may have arrived whose answer never came.
    pub lost: FeedPosition,
    /// Until when the push service itself wants to be left alone with this channel.
    pub demanded: Timestamp,
    /// That pushes come to nothing but what a channel is given up for in the end.
    pub failing: Option<Failing>,
    /// Nothing leaves before.
    pub not_before: Timestamp,
    /// When that was found.
    pub put_off_at: Timestamp,
    /// Since when the operator's settings are what stands in the way.
    pub stopped: Option<Timestamp>,
    /// When the last push left, whatever became of it.
    pub last_push: Timestamp,
    /// When silent pushes left within the last hour, in order.
    pub silent: Vec<Timestamp>,
    /// Pushes that the platform shows, of the present burst.
    pub burst: u32,
    /// When the burst was last counted.
    pub burst_at: Timestamp,
    /// Numbers of notifications whose fallback is still to be decided.
    pub fallbacks: Vec<FeedPosition>,
    /// Up to where the feed was looked through for fallbacks: of what was posted before, all others are decided.
    pub noticed: FeedPosition,
    /// The channel of this generation is dead, since when we know.
    pub gone: Option<Timestamp>,
    /// A raw push was dropped on the device: the next visible one is a toast (WNS).
    pub toast: bool,
    /// What the push service said last.
    pub answer: Option<ServiceAnswer>,
}

impl TapState {
    /// What is left of it for a new channel. The device stays the same: a fallback is sent to it once, its platform grants it
    /// only so much, and it may show what it was tapped for by the old one.
    pub fn anew(&self, generation: u64) -> Self {
        Self {
            generation,
            fallbacks: self.fallbacks.clone(),
            noticed: self.noticed,
            last_push: self.last_push,
            silent: self.silent.clone(),
            burst: self.burst,
            burst_at: self.burst_at,
            lost: self.covered.max(self.lost),
            put_off_at: match self.lost > FeedPosition::START {
                true => self.tapped_at.max(self.put_off_at),
                false => self.tapped_at,
            },
            ..Self::default()
        }
    }

    /// Since when the last tap that a push service took waits for its answer, or to be repeated again.
    pub fn waits_since(&self, now: Timestamp) -> Timestamp {
        let refused = Some(self.repeat_refused_at).filter(|at| !at.is_to_come(now));
        self.tapped_at.max(refused.unwrap_or_default())
    }

    /// Forgets what was noted in a time that is [to come](Timestamp::is_to_come).
    pub fn forget_what_is_to_come(&mut self, now: Timestamp) {
        let of_a_leap = self.last_push.is_to_come(now) || self.put_off_at.is_to_come(now);
        if of_a_leap || self.not_before > now.plus(PUT_OFF_AT_MOST) {
            self.not_before = now;
            self.demanded = self.demanded.min(now);
        }
        // Not now: nothing is to be waited for anew with every look.
        for at in [&mut self.last_push, &mut self.burst_at] {
            if at.is_to_come(now) {
                *at = Timestamp::default();
            }
        }
        self.silent.retain(|at| !at.is_to_come(now));
        self.failing = self.failing.filter(|it| !it.last.is_to_come(now));
    }
}

/// One push that a push service took or refused for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// Everything up to here is covered by it, unless it speaks for what it shows alone.
    pub covers: FeedPosition,
    /// Whether it does: a fallback that left before all that was posted earlier was announced.
    pub alone: bool,
    /// When the answer came.
    pub at: Timestamp,
    /// What it told.
    pub kind: TapKind,
    /// What it showed.
    pub shows: Option<NotificationId>,
    /// Whether the service took it.
    pub accepted: bool,
    /// How many attempts it took.
    pub attempts: u32,
    /// How many bytes of payload left.
    pub size_bytes: u32,
    /// The service's words.
    pub answer: ServiceAnswer,
}

/// How far one endpoint has pulled. Written by the client doors alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FetchMark {
    /// The position that it holds.
    pub position: FeedPosition,
    /// When it last moved, or the endpoint read something without moving it.
    pub at: Timestamp,
    /// Where it stood after each of the last fetches, oldest first, at most [`FetchMark::KEPT`].
    pub recent: Vec<(FeedPosition, Timestamp)>,
}

impl FetchMark {
    /// How many fetches are remembered.
    pub const KEPT: usize = 50;

    /// Takes in a fetch that left the endpoint at `position`; an earlier position sets it back.
    pub fn move_to(&mut self, position: FeedPosition, now: Timestamp) {
        self.position = position;
        self.at = now;
        self.recent.push((position, now));
        if self.recent.len() > Self::KEPT {
            self.recent.remove(0);
        }
    }

    /// When it first held `position`; none, where it never did, or that is too long ago to be remembered.
    pub fn passed(&self, position: FeedPosition) -> Option<Timestamp> {
        let forgets = self.recent.len() >= Self::KEPT;
        let first = self.recent.iter().position(|(held, _)| *held >= position)?;
        (first > 0 || !forgets).then(|| self.recent[first].1)
    }

    /// When it last moved; what was read without moving it does not count.
    pub fn moved(&self) -> Option<Timestamp> {
        self.recent.last().map(|(_, at)| *at)
    }
}

/// What one endpoint told of one notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Receipt {
    /// Which registration of the endpoint told; none in older stores.
    pub by: Option<TapId>,
    /// The latest change of the notification that was read singly; the endpoint holds all of it up to there.
    pub held: FeedPosition,
    /// When it was read singly, without moving the endpoint's position.
    pub fetched: Option<Timestamp>,
    /// When it was put before the person's eyes.
    pub shown: Option<Timestamp>,
    /// When the person did something with it there.
    pub acted: Option<Timestamp>,
}

impl Receipt {
    /// The same as an endpoint tells it that is registered now; nothing, where one of its name did that was signed out
    /// since.
    #[must_use]
    pub fn of(self, endpoint: &Endpoint) -> Self {
        let by = Some(endpoint.tap_id);
        match self.by {
            Some(_) if self.by != by => Self {
                by,
                ..Self::default()
            },
            Some(_) => self,
            // Older ones tell when alone.
            None => {
                let since = |at: &Timestamp| *at >= endpoint.created;
                Self {
                    by,
                    held: self.held,
                    fetched: self.fetched.filter(since),
                    shown: self.shown.filter(since),
                    acted: self.acted.filter(since),
                }
            }
        }
    }
}

/// A note to look at a user, at the earliest when it is due. The outbox is made of these.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Marker {
    /// When.
    pub due: Timestamp,
    /// At whom.
    pub subject: Subject,
    /// Tells apart two of the same moment, so that settling one never takes another away.
    pub tag: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_forgotten_where_it_was_found_in_a_time_that_has_not_come() {
        let at = |secs: u64| Timestamp::from_millis(1000 * secs);
        let waits_until = |put_off_at: u64, now: u64| {
            let mut state = TapState {
                not_before: at(put_off_at + 3600),
                put_off_at: at(put_off_at),
                ..TapState::default()
            };
            state.forget_what_is_to_come(at(now));
            state.not_before
        };
        assert_eq!(waits_until(10_000, 10_001), at(13_600));
        assert_eq!(waits_until(10_000, 9_990), at(13_600), "a little behind");
        assert_eq!(waits_until(10_000, 9_000), at(9_000));
    }
}
