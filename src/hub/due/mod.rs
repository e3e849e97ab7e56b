//! Who is due a tap, and what kind: pure. It compares levels (where the feed stands, what an endpoint has fetched,
//! what the push services took) and never remembers an event, so running it twice is harmless and a crash needs no
//! repair.

mod decision;
mod shows;
mod waking;

use std::{collections::HashSet, time::Duration};

use crate::{
    config::{Delivery, apps::App},
    model::{
        Change, ChannelKind, Endpoint, FeedPosition, FetchMark, Notification, Reason, Tap,
        TapState, Timestamp, VisualContent,
    },
};

/// The longest wait before an unanswered tap is repeated.
const RETAP_MAX: Duration = Duration::from_secs(24 * 3600);

/// The least distance of two pushes that the platform does not itself show.
const GAP: Duration = Duration::from_secs(1);

/// A change, with the notification that it is of where that is still kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The change.
    pub change: Change,
    /// The notification, deleted ones as stubs.
    pub notification: Option<Notification>,
}

impl Step {
    /// Forgets what is to be shown, by which nothing is decided; that there is something stays known.
    pub(super) fn drop_content(&mut self) {
        let Some(it) = &mut self.notification else {
            return;
        };
        let nothing = || VisualContent {
            title: String::new(),
            body: None,
        };
        it.draft.raw = None;
        it.draft.visual = it.draft.visual.as_ref().map(|_| nothing());
        if let Some(fallback) = &mut it.draft.fallback {
            fallback.visual = nothing();
        }
    }
}

/// Where one endpoint stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// The endpoint, its channel as it stands.
    pub endpoint: Endpoint,
    /// What dispatch knows of it.
    pub state: TapState,
    /// How far it has pulled.
    pub mark: FetchMark,
    /// Whether it has a stream open.
    pub streaming: bool,
    /// Notifications whose fallback is still open there, and that it has not read singly.
    pub fallbacks: Vec<Notification>,
    /// What it has read without pulling the feed, by number.
    pub read_singly: Vec<ReadSingly>,
    /// The time as far as it is believed: what is over only by a later one may be wanted yet.
    pub believed: Timestamp,
    /// When its lane was taken up again that had stood still for the settings.
    pub resumed: Timestamp,
}

/// A notification that an endpoint has read without pulling the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadSingly {
    /// Its number.
    pub number: FeedPosition,
    /// The latest change of it that was read.
    pub held: FeedPosition,
}

/// What is to happen at one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// This tap leaves now.
    Push(Tap),
    /// Something is owed, and waits for this reason until then.
    Wait(Reason, Timestamp),
    /// Nothing is owed.
    Idle,
}

/// A decision, and what is to be kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What is to happen now.
    pub decision: Decision,
    /// When to look again at the latest, where time alone can change the decision.
    pub look: Option<Timestamp>,
    /// The fallbacks that are still open at this endpoint.
    pub fallbacks: Vec<FeedPosition>,
    /// Up to where the feed has been looked through for them.
    pub noticed: FeedPosition,
}

use decision::Due;
use shows::Shows;

impl Level {
    /// What dispatch knows of the present registration; nothing, of an earlier one.
    pub fn current_state(&self) -> TapState {
        match self.known() {
            Some(known) => known.clone(),
            None => self.state.anew(self.endpoint.generation),
        }
    }

    /// The same where there is something of the present registration.
    fn known(&self) -> Option<&TapState> {
        (self.state.generation == self.endpoint.generation).then_some(&self.state)
    }

    /// Whether anything can leave for the endpoint.
    pub fn is_reachable(&self, now: Timestamp) -> bool {
        self.endpoint.channel.kind() != ChannelKind::None && self.endpoint.expires > now
    }

    /// Everything up to here is settled for the endpoint: fetched, tapped for, or found not to concern it.
    pub fn base(&self) -> FeedPosition {
        let covered = self.known().map(|state| state.covered);
        self.mark.position.max(covered.unwrap_or_default())
    }

    /// Whether a push service took a tap that the endpoint has not answered by a fetch.
    pub fn is_unanswered(&self) -> bool {
        let tapped = self.known().map(|state| state.tapped);
        tapped.unwrap_or_default() > self.mark.position
    }

    /// From where on the feed is wanted to decide: the base, or, where an unanswered tap may be repeated, what
    /// the endpoint has fetched.
    pub fn wants_from(&self, delivery: &Delivery, now: Timestamp) -> FeedPosition {
        let state = self.current_state();
        if self.may_repeat(&state, delivery, now) {
            self.repeats_after(&state)
        } else {
            self.base()
        }
    }

    /// Whether the last tap is unanswered, and has been for long enough.
    pub fn may_repeat(&self, state: &TapState, delivery: &Delivery, now: Timestamp) -> bool {
        self.is_unanswered() && retap_at(state, delivery, now) <= now
    }

    /// From where on something may be worth a repetition.
    pub fn repeats_after(&self, state: &TapState) -> FeedPosition {
        // A device that was set back lacks what it did not then.
        let stands = self.mark.position >= state.repeat_from;
        let looked_through = Some(state.repeat_after).filter(|_| stands);
        self.mark.position.max(looked_through.unwrap_or_default())
    }

    /// What it read of a notification without pulling the feed.
    fn read_of(&self, number: FeedPosition) -> Option<&ReadSingly> {
        let found = self
            .read_singly
            .binary_search_by_key(&number, |it| it.number);
        found.ok().and_then(|at| self.read_singly.get(at))
    }

    /// Decides. `steps` are the changes after [`Level::wants_from`], in order; `head` is the feed's; with the app come the
    /// rules of delivery, and since when the app's settings stand.
    pub fn decide(
        &self,
        steps: &[Step],
        head: FeedPosition,
        (app, delivery, configured): (&App, &Delivery, Timestamp),
        now: Timestamp,
    ) -> Verdict {
        let state = self.current_state();
        let fallbacks = self.open_fallbacks(steps, &state, now);
        // For one that is not, the feed may not have been read as far back.
        let reachable = self.is_reachable(now);
        let to_come = fallbacks.iter().filter_map(|it| fallback_due(it, now));
        let next_fallback = to_come.filter(|due| reachable && *due > now).min();
        let mut passed = Vec::new();
        let decision = if !reachable {
            Decision::Idle
        } else {
            let due = Due {
                level: self,
                state: &state,
                steps,
                head,
                app,
                delivery,
                now,
                configured,
            };
            let mut come = Shows::of(&fallbacks, now);
            let decision = due.decide(&mut come);
            passed = come.passed;
            decision
        };
        let look = match &decision {
            Decision::Wait(_, until) => Some(next_fallback.map_or(*until, |due| due.min(*until))),
            Decision::Push(_) => next_fallback,
            Decision::Idle => next_fallback
                .into_iter()
                .chain(self.repeat_look(&state, delivery, now))
                .min(),
        };
        let kept = self.open_fallbacks(steps, &state, now.min(self.believed));
        let waiting = kept.iter().map(|it| it.number);
        Verdict {
            decision,
            look,
            fallbacks: waiting.filter(|it| !passed.contains(it)).collect(),
            noticed: if reachable { head } else { state.noticed },
        }
    }

    /// Whether the endpoint, which is reachable, is due a tap for a change that comes after all that is settled for it.
    pub fn is_due(
        &self,
        step: &Step,
        (app, delivery, configured): (&App, &Delivery, Timestamp),
        now: Timestamp,
    ) -> bool {
        let state = self.current_state();
        let due = Due {
            level: self,
            state: &state,
            steps: std::slice::from_ref(step),
            head: step.change.position,
            app,
            delivery,
            now,
            configured,
        };
        due.is_owed()
    }

    /// When an unanswered tap comes up for repetition.
    fn repeat_look(
        &self,
        state: &TapState,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let due = retap_at(state, delivery, now);
        (self.is_unanswered() && due > now).then_some(due)
    }

    /// What still waits for its fallback here: those known, and those that the steps bring.
    fn open_fallbacks<'a>(
        &'a self,
        steps: &'a [Step],
        state: &TapState,
        now: Timestamp,
    ) -> Vec<&'a Notification> {
        let posted = steps.iter().filter_map(|step| step.notification.as_ref());
        let posted = posted.filter(|it| it.number > state.noticed);
        let (mut open, mut known) = (Vec::new(), HashSet::new());
        for it in self.fallbacks.iter().chain(posted) {
            let named = it
                .draft
                .fallback
                .as_ref()
                .is_some_and(|fallback| fallback.platforms.contains(&self.endpoint.platform));
            let waits = named
                && it.may_fall_back(now)
                && it.number > self.mark.position
                && self.mark.passed(it.number).is_none()
                && self.was_there_in_time(it, now)
                && self.read_of(it.number).is_none();
            if waits && known.insert(it.number) {
                open.push(it);
            }
        }
        open
    }

    /// Whether the endpoint was registered before the fallback of a notification was due.
    fn was_there_in_time(&self, it: &Notification, now: Timestamp) -> bool {
        it.number > self.endpoint.registered_at
            || fallback_due(it, now).is_some_and(|due| due > self.endpoint.created)
    }

    /// Whether what a change is about has ever reached the endpoint as it was before, or a tap for it has, or may have. Of
    /// what has left the store nobody knows whom it was meant for; its time is over, which needs no tap.
    fn saw(&self, state: &TapState, step: &Step) -> bool {
        let number = step.change.number;
        let targeted = step
            .notification
            .as_ref()
            .is_some_and(|it| it.draft.targets(self.endpoint.platform));
        // What it read in the state that the change left it in it need not be told.
        let outdated = |read: &ReadSingly| read.held < step.change.position;
        self.mark.position >= number
            || (state.covered.max(state.lost) >= number && targeted)
            || self.read_of(number).is_some_and(outdated)
    }

    /// Whether the endpoint may show what the notification was before it was replaced: it fetched, or was tapped, since
    /// that was posted. Of one that has left the store that is not known any more, so whoever ever heard of anything may.
    fn may_show_an_older(&self, state: &TapState, step: &Step) -> bool {
        // One whose answer was lost may have been shown by then.
        let lost = (state.lost > FeedPosition::START).then_some(state.put_off_at);
        let heard = self
            .mark
            .at
            .max(state.tapped_at)
            .max(lost.unwrap_or_default());
        match &step.notification {
            // It may have been posted in a time that had not come when it was replaced, since a leap was undone.
            Some(it) => it.was_replaced() && (heard >= it.created || it.created > it.posted),
            None => step.change.replaced && heard > Timestamp::default(),
        }
    }
}

/// When a tap that is not answered may be repeated. One that was seen is repeated by a silent one: it may have been lost
/// with what its service keeps no longer, and it spoke for changes that nobody sees.
/// One of a time that has not come, since a leap was undone, may be repeated at once: how long ago it was nobody knows.
/// The first that its push service does not keep any more is repeated then, since it can be answered no longer; not those
/// after it, or a device that is off would be tapped for everything that is soon over.
pub fn retap_at(state: &TapState, delivery: &Delivery, now: Timestamp) -> Timestamp {
    if state.tapped_at.is_to_come(now) {
        return now;
    }
    let since = state.waits_since(now);
    let by_wait = since.plus(retap_wait(state.repeats, delivery));
    if state.repeats == 0 && state.tap_expires > Timestamp::default() {
        by_wait.min(state.tap_expires.max(since))
    } else {
        by_wait
    }
}

/// How long a tap that was repeated so often waits for its answer.
pub fn retap_wait(repeats: u32, delivery: &Delivery) -> Duration {
    delivery
        .retap_after
        .saturating_mul(1 << repeats.min(16))
        .min(RETAP_MAX.max(delivery.retap_after))
}

/// When the fallback of a notification is due, where it has one; now, where that was posted by a clock that had leapt.
fn fallback_due(it: &Notification, now: Timestamp) -> Option<Timestamp> {
    let due = it.fallback_due()?;
    Some(if it.posted.is_to_come(now) { now } else { due })
}

/// Until when a push that the platform does not itself show has to keep its distance from the last one.
pub fn gap_until(state: &TapState, now: Timestamp) -> Option<Timestamp> {
    let until = state.last_push.plus(GAP);
    (state.last_push > Timestamp::default() && until > now).then_some(until)
}

/// How much of the burst is used up at `now`; one of it comes back each second.
pub fn burst_left(state: &TapState, now: Timestamp) -> u32 {
    let back = u32::try_from(now.since(state.burst_at).as_secs()).unwrap_or(u32::MAX);
    state.burst.saturating_sub(back)
}

/// Whether a tap to this endpoint is one that the platform itself shows.
pub fn is_displayed(level: &Level, tap: &Tap, app: &App) -> bool {
    let state = level.current_state();
    let delivery = Delivery::default();
    let due = Due {
        level,
        state: &state,
        steps: &[],
        head: tap.covers,
        app,
        delivery: &delivery,
        now: Timestamp::default(),
        configured: Timestamp::default(),
    };
    tap.visible && due.is_displayed(tap.kind)
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
