//! One decision about one endpoint: what it lacks, and which tap, if any, leaves for it now.

use std::time::Duration;

use super::{Decision, Level, Step, burst_left, gap_until, retap_at, shows::Shows};
use crate::{
    config::{Delivery, apps::App},
    model::{
        ChangeKind, ChannelKind, FeedPosition, Notification, Platform, Priority, Reason, Removal,
        ServiceAnswer, Tap, TapKind, TapState, Timestamp,
    },
};

/// How many pushes that the platform shows may leave at once, before it is one a second.
const BURST: u32 = 5;
/// What an endpoint lacks.
#[derive(Debug, Default)]
struct Needs<'a> {
    /// Visible notifications to announce, oldest first.
    visible: Vec<&'a Step>,
    /// The newest change that wants a silent tap.
    silent: Option<(TapKind, &'a Step)>,
    /// Whether a raw one of High priority is among them.
    urgent: bool,
    /// The highest priority of what is new.
    priority: Option<Priority>,
    /// Whether something that goes ahead is among what is new.
    ahead: bool,
    /// Until when a silent tap is of use for any of it.
    lasts: Timestamp,
    /// When the first of it happened.
    since: Option<Timestamp>,
    /// When the last of it happened.
    until: Option<Timestamp>,
}

/// A silent tap: what kind, and about which change.
type Silent<'a> = (TapKind, &'a Step);

/// How long a tap about a change of state is of use.
const STATE_LIFE: Duration = Duration::from_secs(24 * 3600);

/// One decision in the making.
pub(super) struct Due<'a> {
    pub(super) level: &'a Level,
    pub(super) state: &'a TapState,
    pub(super) steps: &'a [Step],
    pub(super) head: FeedPosition,
    pub(super) app: &'a App,
    pub(super) delivery: &'a Delivery,
    pub(super) now: Timestamp,
    /// Since when the app's settings stand.
    pub(super) configured: Timestamp,
}

impl<'a> Due<'a> {
    /// Decides; `shows` are the fallbacks that are due, and learns which of them are passed over.
    pub(super) fn decide(&self, shows: &mut Shows<'_>) -> Decision {
        let needs = self.needs(self.level.base());
        let repeat = self.repeat();
        let owed = !needs.visible.is_empty() || needs.silent.is_some() || repeat.is_some();
        if !owed && shows.is_empty() {
            return Decision::Idle;
        }
        if let Some(wait) = self.held_back() {
            return wait;
        }
        let grace = self
            .stream_grace(&needs)
            .or_else(|| self.paging(needs.until));
        let ready: &[&Step] = if grace.is_some() { &[] } else { &needs.visible };
        let one_by_one = self.is_displayed(TapKind::Created);
        let skipped = shows.bound(if one_by_one { ready } else { &[] });
        if let Some(it) = shows.turn(ready.get(skipped).copied()) {
            let covers = self.after_fallback(&needs);
            let urgency = (it.draft.priority, it.goes_ahead());
            return self.show(TapKind::Fallback, it, covers, urgency);
        }
        if let Some(wait) = grace {
            return wait;
        }
        if !needs.visible.is_empty() {
            return self.visible(&needs, skipped);
        }
        match (needs.silent, repeat) {
            (Some(silent), _) => self.silent(silent, &needs, needs.urgent),
            (None, Some((repeated, lacks))) => self
                .paging(lacks.until)
                .unwrap_or_else(|| self.silent(repeated, &lacks, false)),
            (None, None) => Decision::Idle,
        }
    }

    /// A wait that the service demanded, or that wrong settings did: those only until the settings are read anew, or the lane
    /// was taken up again since.
    fn held_back(&self) -> Option<Decision> {
        let until = self.state.not_before;
        let reason = match self.state.stopped {
            Some(since) if since < self.configured => return None,
            Some(_) if self.state.put_off_at < self.level.resumed => return None,
            Some(_) => Reason::ServiceStopped,
            None => Reason::Retry,
        };
        (until > self.now).then_some(Decision::Wait(reason, until))
    }

    /// Whether any of the steps is to be told.
    pub(super) fn is_owed(&self) -> bool {
        self.needs(self.level.base()).since.is_some()
    }

    /// What the endpoint lacks after `base`.
    fn needs(&self, base: FeedPosition) -> Needs<'a> {
        let mut needs = Needs::default();
        for step in self.steps.iter().filter(|step| step.change.position > base) {
            if self.take_in(step, base, &mut needs) {
                needs.since = needs.since.or(Some(step.change.at));
                needs.until = needs.until.max(Some(step.change.at));
            }
        }
        needs
    }

    fn take_in(&self, step: &'a Step, base: FeedPosition, needs: &mut Needs<'a>) -> bool {
        let (change, endpoint) = (&step.change, &self.level.endpoint);
        if change.is_by(endpoint) || change.kind == ChangeKind::Removed(Removal::Expired) {
            return false;
        }
        // What is over, though the feed does not say so yet, each client takes away by itself.
        let is_over = |it: &Notification| it.removed.is_none() && it.expires <= self.now;
        if step.notification.as_ref().is_some_and(is_over) {
            return false;
        }
        let is_new = change.kind == ChangeKind::Created || change.number > base;
        if is_new && self.take_in_new(step, needs) {
            return true;
        }
        let wants = endpoint.platform != Platform::WebPush || endpoint.state_sync;
        let outdated = self.level.saw(self.state, step)
            || is_new && self.level.may_show_an_older(self.state, step);
        if !wants || !outdated {
            return false;
        }
        needs.silent = Some(match needs.silent {
            Some((TapKind::Created, created)) => (TapKind::Created, created),
            _ => (TapKind::Changed, step),
        });
        let latest = self.now.plus(STATE_LIFE);
        // Its removal is told as long as the feed remembers it.
        let of_use = match &step.notification {
            Some(it) if it.expires > self.now => it.expires.min(latest),
            _ => latest,
        };
        needs.lasts = needs.lasts.max(of_use);
        true
    }

    /// Only what nobody has dealt with interrupts anyone.
    fn take_in_new(&self, step: &'a Step, needs: &mut Needs<'a>) -> bool {
        let endpoint = &self.level.endpoint;
        let Some(it) = step.notification.as_ref() else {
            return false;
        };
        if !it.draft.targets(endpoint.platform) || !it.is_open(self.now) {
            return false;
        }
        needs.lasts = needs.lasts.max(it.expires);
        let since_registered = it.number > endpoint.registered_at;
        if since_registered {
            let highest = needs.priority.unwrap_or(it.draft.priority);
            needs.priority = Some(highest.or_higher(it.draft.priority));
            needs.ahead |= it.goes_ahead();
        }
        if it.draft.visual.is_some() && since_registered {
            needs.visible.push(step);
        } else {
            needs.silent = Some((TapKind::Created, step));
            needs.urgent |= it.draft.priority == Priority::High && since_registered;
        }
        true
    }

    /// What an unanswered tap was about, where it may be repeated and something of it is still wanted.
    fn repeat(&self) -> Option<(Silent<'a>, Needs<'a>)> {
        let (level, state) = (self.level, self.state);
        if !level.may_repeat(state, self.delivery, self.now) {
            return None;
        }
        let lacks = self.needs(level.repeats_after(state));
        let visible = lacks.visible.last().map(|step| (TapKind::Created, *step));
        Some((visible.or(lacks.silent)?, lacks))
    }

    fn stream_grace(&self, needs: &Needs<'_>) -> Option<Decision> {
        let since = needs.since?;
        let until = since.plus(self.delivery.stream_grace);
        // What happened in a time that has not come, since a leap was undone, had its grace.
        (self.level.streaming && !since.is_to_come(self.now) && self.now < until)
            .then_some(Decision::Wait(Reason::Streaming, until))
    }

    /// A device that just fetched, and lacks only what was there by then, is on its way through the pages: it is
    /// left alone for a moment.
    fn paging(&self, lacks_until: Option<Timestamp>) -> Option<Decision> {
        let fetched = self.level.mark.moved()?;
        let until = fetched.plus(self.delivery.stream_grace);
        let all_there = lacks_until.is_some_and(|last| last < fetched);
        (all_there && !fetched.is_to_come(self.now) && self.now < until)
            .then_some(Decision::Wait(Reason::Coalescing, until))
    }

    /// Announces what is visible: the newest where the app shows it by itself, else one after another, but for the
    /// first `skipped`.
    fn visible(&self, needs: &Needs<'_>, skipped: usize) -> Decision {
        if !self.is_displayed(TapKind::Created) {
            return match needs
                .visible
                .last()
                .and_then(|step| step.notification.as_ref())
            {
                Some(newest) => {
                    let highest = needs.priority.unwrap_or(newest.draft.priority);
                    self.show(TapKind::Created, newest, self.head, (highest, needs.ahead))
                }
                None => Decision::Idle,
            };
        }
        let waiting = &needs.visible;
        let covers = match waiting.get(skipped + 1) {
            None => self.head,
            Some(next) => FeedPosition(next.change.position.0 - 1),
        };
        match waiting
            .get(skipped)
            .and_then(|step| step.notification.as_ref())
        {
            Some(it) => {
                let own = it.draft.priority;
                let priority = if needs.urgent { Priority::High } else { own };
                self.show(TapKind::Created, it, covers, (priority, needs.ahead))
            }
            None => Decision::Idle,
        }
    }

    /// A fallback speaks for all that is owed, unless others are still to be shown one by one.
    fn after_fallback(&self, needs: &Needs<'_>) -> FeedPosition {
        if needs.visible.is_empty() {
            self.head
        } else {
            self.level.base()
        }
    }

    fn show(
        &self,
        kind: TapKind,
        it: &Notification,
        covers: FeedPosition,
        (priority, ahead): (Priority, bool),
    ) -> Decision {
        let wait = if self.is_displayed(kind) {
            self.burst_until()
        } else {
            self.gap_until()
        };
        match wait {
            Some(until) => Decision::Wait(self.gap_reason(), until),
            None => Decision::Push(Tap {
                kind,
                shows: Some(it.id),
                visible: true,
                covers,
                priority,
                ahead,
                expires: it.expires,
                since: match kind {
                    TapKind::Fallback => it.fallback_due().unwrap_or(it.posted),
                    _ => it.posted,
                },
            }),
        }
    }

    fn burst_until(&self) -> Option<Timestamp> {
        let state = self.state;
        let over = (state.burst + 1).saturating_sub(BURST);
        (burst_left(state, self.now) >= BURST)
            .then(|| state.burst_at.plus(Duration::from_secs(u64::from(over))))
    }

    /// Why a tap keeps its distance from the last: it leaves together with others, or that was the same one, in vain.
    fn gap_reason(&self) -> Reason {
        // What stood still for the settings is about to be tried with new ones.
        if self.state.attempts > 0 && self.state.stopped.is_none() {
            Reason::Retry
        } else {
            Reason::Coalescing
        }
    }

    fn gap_until(&self) -> Option<Timestamp> {
        gap_until(self.state, self.now)
    }

    fn silent(&self, (kind, step): Silent<'_>, needs: &Needs<'_>, urgent: bool) -> Decision {
        // Who has read something since, singly or in the history, has answered, though its position stands where it was.
        let read = self.level.mark.at;
        let heard = read >= self.state.tapped_at && !read.is_to_come(self.now);
        // One that its service dropped cannot be answered; it is repeated in its time, and holds back nothing new.
        let dropped = self
            .state
            .answer
            .as_ref()
            .is_some_and(ServiceAnswer::is_dropped);
        if !urgent && self.awaits_an_answer() && !heard && !dropped {
            let repeated = retap_at(self.state, self.delivery, self.now);
            // A read of a time that has not come counts as soon as that is near.
            let until = match read >= self.state.tapped_at && read.is_to_come(self.now) {
                true => repeated.min(read.nears()),
                false => repeated,
            };
            if until > self.now {
                return Decision::Wait(Reason::Unanswered, until);
            }
        }
        if !urgent && let Some(until) = self.budget_until() {
            return Decision::Wait(Reason::SilentBudget, until);
        }
        if let Some(until) = self.gap_until() {
            return Decision::Wait(self.gap_reason(), until);
        }
        let created = kind == TapKind::Created;
        let web = self.level.endpoint.platform == Platform::WebPush;
        let named = step.notification.as_ref().filter(|_| web && created);
        let shows = named.map(|it| it.id);
        // What names a notification is of use as long as that is.
        let expires = named.map_or_else(|| self.lasts(kind, needs), |it| it.expires);
        let priority = needs.priority.filter(|_| created).unwrap_or_default();
        Decision::Push(Tap {
            kind,
            shows,
            visible: false,
            covers: self.head,
            priority: if urgent { Priority::High } else { priority },
            ahead: needs.ahead,
            expires,
            since: step.change.at,
        })
    }

    /// Until when a silent tap is of use: for what it tells, and for what was told by one that it takes the place of.
    fn lasts(&self, kind: TapKind, needs: &Needs<'_>) -> Timestamp {
        let keeps_the_last = self.level.endpoint.channel.kind().keeps_the_last_alone();
        let replaces = keeps_the_last && self.level.is_unanswered();
        let before = Some(self.state.tap_expires).filter(|_| replaces);
        let before = before.map(|before| match kind {
            TapKind::Changed => before.min(self.now.plus(STATE_LIFE)),
            _ => before,
        });
        needs.lasts.max(before.unwrap_or_default())
    }

    /// Apple grants an app few background pushes; the hub keeps to that by itself.
    fn budget_until(&self) -> Option<Timestamp> {
        if self.level.endpoint.channel.kind() != ChannelKind::Apns {
            return None;
        }
        let hour = Duration::from_secs(3600);
        let budget = usize::from(self.delivery.silent_per_hour);
        let recent: Vec<Timestamp> = self
            .state
            .silent
            .iter()
            .copied()
            .filter(|at| at.plus(hour) > self.now)
            .collect();
        let over = recent.len().checked_sub(budget)?;
        recent.get(over).map(|at| at.plus(hour))
    }
}
