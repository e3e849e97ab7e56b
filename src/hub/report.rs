//! The ladder: what became of one notification on each endpoint. Computed when it is asked for.

mod change;
mod pushes;

use pushes::Pushes;

use super::{
    Error,
    due::{Decision, Level, Verdict},
    lanes::LaneName,
    levels::{Levels, Rules},
};
use std::collections::BTreeSet;

use crate::{
    model::{
        Change, ChannelKind, Delivery, DeliveryStatus, EndpointId, FeedPosition, Notification,
        NotificationId, OwedPush, Reason, Receipt, ServiceAnswer, Subject, Timestamp,
    },
    store::Reader,
};

/// What became of each of these notifications on each endpoint; nothing of one that is not there.
pub(super) fn deliveries(
    reader: &Reader,
    subject: &Subject,
    ids: &[NotificationId],
    (listening, stopped, rules): (&[EndpointId], &BTreeSet<LaneName>, &Rules<'_>),
) -> Result<Vec<Option<Vec<Delivery>>>, Error> {
    let mut found = Vec::new();
    let mut levels = None;
    for id in ids {
        let it = reader
            .notification_of(subject, *id)?
            // What is over and not yet swept did not make it in time.
            .filter(|it| it.expires > rules.now || it.removed.is_none());
        let Some(it) = it else {
            found.push(None);
            continue;
        };
        let levels = match &levels {
            Some(levels) => levels,
            None => levels.insert(Levels::read(reader, subject, listening, rules)?),
        };
        found.push(Some(lines(reader, subject, &it, (levels, stopped, rules))?));
    }
    Ok(found)
}

fn lines(
    reader: &Reader,
    subject: &Subject,
    it: &Notification,
    (levels, stopped, rules): (&Levels, &BTreeSet<LaneName>, &Rules<'_>),
) -> Result<Vec<Delivery>, Error> {
    let change = reader.change(subject, it.changed_at)?;
    let receipts = reader.receipts(subject, it.number)?;
    let (from, mut found) = ((reader, subject), Vec::new());
    for level in &levels.levels {
        let receipt = receipts
            .iter()
            .find(|(endpoint, _)| *endpoint == level.endpoint.id);
        let case = Case {
            it,
            change: change.as_ref(),
            level,
            receipt: receipt
                .map_or_else(Receipt::default, |(_, receipt)| receipt.of(&level.endpoint)),
            pushes: {
                let found = Pushes::read(from, &level.endpoint, it, over(it, rules.now))?;
                // A tap about something else is none of one that is not meant for the platform.
                match it.draft.targets(level.endpoint.platform) {
                    true => found,
                    false => found.for_the_change(),
                }
            },
            stands_still: stopped.contains(&rules.lane_of(&level.endpoint)),
            rules,
            now: rules.now,
        };
        found.push(case.report(&levels.decide(level, rules)));
    }
    found.sort_by_key(|delivery| delivery.pending);
    Ok(found)
}

/// All that is known of one notification on one endpoint.
struct Case<'a> {
    it: &'a Notification,
    change: Option<&'a Change>,
    level: &'a Level,
    receipt: Receipt,
    pushes: Pushes,
    /// Whether the lane of the endpoint does, for the operator's settings.
    stands_still: bool,
    rules: &'a Rules<'a>,
    now: Timestamp,
}

impl Case<'_> {
    fn report(&self, verdict: &Verdict) -> Delivery {
        let pushes = &self.pushes;
        let accepted = pushes.accepted.as_ref();
        let taken = pushes.own.as_ref().or(accepted);
        let (status, reason) = self.status(&verdict.decision);
        let untaken = match status {
            DeliveryStatus::Gone => &pushes.died,
            _ => &pushes.refused,
        };
        let last = taken.or(untaken.as_ref());
        let fetched = self.fetched();
        Delivery {
            endpoint: self.level.endpoint.id.clone(),
            platform: self.level.endpoint.platform,
            channel: self.level.endpoint.channel.kind(),
            status,
            reason,
            handling: self.it.handling(),
            late: self.was_handled_before_it(),
            pending: self.it.posted.max(self.level.endpoint.created),
            tapped: accepted.map(|push| push.at),
            fetched,
            shown: self.receipt.shown,
            acted: self.receipt.acted,
            fell_back: pushes.fell_back.as_ref().map(|push| push.at),
            fallback: self.owed_fallback(status, verdict),
            repeat: self.owed_repeat(status, verdict),
            change: self.told_change(status, verdict),
            attempts: match last {
                Some(push) => push.attempts,
                None if reason == Some(Reason::NotTargeted) => 0,
                None if matches!(status, DeliveryStatus::Pending | DeliveryStatus::Expired) => {
                    self.tried_in_vain()
                }
                None if reason == Some(Reason::Handled) => self.tried_in_vain(),
                None => 0,
            },
            last_fetched: self.last_fetched(),
            gone: self.level.endpoint.gone,
            next_attempt: self.next_attempt(status, verdict),
            answer: last
                .map(|push| push.answer.clone())
                .or_else(|| self.refusal(reason)),
            of_others: self.waits_behind_others(),
            alone: !self.stands_still,
            leaves: true,
        }
    }

    /// Whether the notification was dealt with before the endpoint was registered.
    fn was_handled_before_it(&self) -> bool {
        let since = self.it.handled_since;
        since.is_some_and(|since| since < self.level.endpoint.created)
    }

    /// How often a tap was tried in vain so far, or before it was over, the last one after it was posted.
    fn tried_in_vain(&self) -> u32 {
        let state = self.level.current_state();
        let until = over(self.it, self.now).unwrap_or(self.now);
        let is_own = (self.it.posted..=until).contains(&state.tried_at);
        if is_own { state.attempts } else { 0 }
    }

    /// Whether nothing was said to the endpoint itself since a tap was taken, not even to a test.
    fn waits_behind_others(&self) -> bool {
        let state = self.level.current_state();
        state.attempts == 0 && state.demanded <= self.now
    }

    /// What the service said as it did not take a tap: of this endpoint's, or of another's for which all wait. What it
    /// said as it took an earlier one is nothing about one that has not been tried.
    fn refusal(&self, reason: Option<Reason>) -> Option<ServiceAnswer> {
        let state = self.level.current_state();
        let held = matches!(
            reason,
            Some(Reason::Retry | Reason::ServiceStopped | Reason::ChannelGone)
        );
        let refused = |answer: &ServiceAnswer| !(200..300).contains(&answer.status);
        state
            .answer
            .filter(|_| reason != Some(Reason::NotTargeted))
            .filter(|answer| self.tried_in_vain() > 0 || (held && refused(answer)))
    }

    /// When the endpoint got it. A pull that came when it was gone already passed it, but did not bring it.
    fn fetched(&self) -> Option<Timestamp> {
        let gone = self.it.removed.map(|_| self.it.modified);
        let passed = self.level.mark.passed(self.it.number);
        let passed = passed.filter(|at| gone.is_none_or(|gone| *at <= gone));
        passed.or(self.receipt.fetched)
    }

    /// Whether the endpoint got it, be it too long ago to say when. Of what is gone a receipt says so.
    fn is_fetched(&self) -> bool {
        let holds = self.it.removed.is_none() && self.level.mark.position >= self.it.number;
        holds || self.fetched().is_some()
    }

    /// When the endpoint was there last to fetch, as the store knows it: a pull that brought nothing is noted once an
    /// hour at most.
    fn last_fetched(&self) -> Option<Timestamp> {
        let endpoint = &self.level.endpoint;
        let brought = Some(self.level.mark.at).filter(|at| *at > Timestamp::default());
        let seen = Some(endpoint.last_seen).filter(|at| *at > endpoint.registered);
        brought.max(seen)
    }

    /// When the hub does something about it by itself: what waits leaves, a silent tap is repeated, or it falls back.
    fn next_attempt(&self, status: DeliveryStatus, verdict: &Verdict) -> Option<Timestamp> {
        if !self.level.is_reachable(self.now) {
            return None;
        }
        let open = self.it.is_open(self.now);
        let change = self.told_change(status, verdict);
        let next = match (status, &verdict.decision) {
            _ if change.is_some_and(|it| it.telling.goes_on()) => verdict.look,
            (DeliveryStatus::Pending, Decision::Wait(_, until)) => Some(*until),
            (DeliveryStatus::Pending, Decision::Idle) if open => verdict.look,
            (DeliveryStatus::Tapped, _) if open => verdict.look,
            // Its fallback is yet to leave.
            (DeliveryStatus::Failed, _) if verdict.fallbacks.contains(&self.it.number) => {
                verdict.look
            }
            _ => None,
        };
        // What is over by then is not tried any more.
        next.filter(|at| *at < self.it.expires)
    }

    /// Where a tap was settled, and the fallback is due beside it: how that stands. Before, what is told of the tap is told
    /// of both.
    fn owed_fallback(&self, status: DeliveryStatus, verdict: &Verdict) -> Option<OwedPush> {
        if self.pushes.fell_back.is_some() {
            return None;
        }
        if let Some(push) = &self.pushes.refused_fallback {
            return Some(OwedPush {
                refused: Some(push.at),
                reason: None,
                attempts: push.attempts,
                answer: Some(push.answer.clone()),
            });
        }
        let settled = matches!(status, DeliveryStatus::Tapped | DeliveryStatus::Failed);
        let due = self.it.fallback_due().is_some_and(|due| due <= self.now);
        let waits =
            verdict.fallbacks.contains(&self.it.number) && self.level.is_reachable(self.now);
        if !(settled && due && waits && over(self.it, self.now).is_none()) {
            return None;
        }
        let reason = match verdict.decision {
            Decision::Wait(reason, _) => Some(reason),
            Decision::Push(_) | Decision::Idle => None,
        };
        // What was tried before it came due was another tap.
        let state = self.level.current_state();
        let tried = self
            .it
            .fallback_due()
            .is_some_and(|due| state.tried_at >= due);
        Some(OwedPush {
            refused: None,
            reason,
            attempts: if tried { state.attempts } else { 0 },
            answer: self.refusal(reason),
        })
    }

    /// Where a tap was taken and nothing came of it, or another channel was registered since, and another is due: how that
    /// stands.
    fn owed_repeat(&self, status: DeliveryStatus, verdict: &Verdict) -> Option<OwedPush> {
        let open = status == DeliveryStatus::Tapped && over(self.it, self.now).is_none();
        if !open
            || !self.level.is_reachable(self.now)
            || self.owed_fallback(status, verdict).is_some()
        {
            return None;
        }
        let state = self.level.current_state();
        let anew = state.tapped == FeedPosition::START;
        let refused = self.pushes.refused.as_ref();
        let refused = refused.filter(|push| anew || push.at == state.repeat_refused_at);
        if let Some(push) = refused {
            return Some(OwedPush {
                refused: Some(push.at),
                reason: None,
                attempts: push.attempts,
                answer: Some(push.answer.clone()),
            });
        }
        if !anew && !self.level.may_repeat(&state, self.rules.delivery, self.now) {
            return None;
        }
        match verdict.decision {
            Decision::Wait(
                reason @ (Reason::Retry | Reason::ServiceStopped | Reason::SilentBudget),
                _,
            ) => Some(OwedPush {
                refused: None,
                reason: Some(reason),
                attempts: state.attempts,
                answer: self.refusal(Some(reason)),
            }),
            _ => None,
        }
    }

    fn status(&self, decision: &Decision) -> (DeliveryStatus, Option<Reason>) {
        let (below, reason) = self.status_of_taps(decision);
        let raised = [
            (self.receipt.acted.is_some(), DeliveryStatus::Acted),
            (self.receipt.shown.is_some(), DeliveryStatus::Shown),
            (self.is_fetched(), DeliveryStatus::Fetched),
        ];
        let waits = matches!(below, DeliveryStatus::Pending | DeliveryStatus::Tapped);
        match raised.iter().find(|(reached, _)| *reached) {
            // What the endpoint waits for now is for something else.
            Some((_, status)) => (*status, reason.filter(|reason| reason.stays())),
            None if waits && self.it.expires <= self.now => (DeliveryStatus::Expired, reason),
            None => (below, reason),
        }
    }

    fn status_of_taps(&self, decision: &Decision) -> (DeliveryStatus, Option<Reason>) {
        let endpoint = &self.level.endpoint;
        if !self.it.draft.targets(endpoint.platform) {
            return (DeliveryStatus::Skipped, Some(Reason::NotTargeted));
        }
        if let Some(push) = &self.pushes.accepted {
            let mine = push.shows == Some(self.it.id);
            let later = push.shows.is_some() || push.covers > self.it.changed_at;
            let reason = (!mine && later).then_some(Reason::Coalesced);
            return (DeliveryStatus::Tapped, reason);
        }
        if endpoint.gone.is_some() {
            return (DeliveryStatus::Gone, Some(Reason::ChannelGone));
        }
        match &self.pushes.refused {
            Some(push) if !push.answer.is_dropped() => return (DeliveryStatus::Failed, None),
            // Taken and dropped: it is tapped again as one that does not answer, as long as it is wanted.
            Some(_) if self.level.is_reachable(self.now) && self.it.handling().is_none() => {
                return (DeliveryStatus::Pending, Some(Reason::Retry));
            }
            _ => {}
        }
        if endpoint
            .over_since()
            .is_some_and(|over| over <= self.it.posted)
        {
            return (DeliveryStatus::Skipped, Some(Reason::EndpointExpired));
        }
        if endpoint.channel.kind() == ChannelKind::None && endpoint.told_until.is_none() {
            return (DeliveryStatus::Skipped, Some(Reason::NoChannel));
        }
        let own_change = self.change.is_some_and(|change| change.is_by(endpoint));
        if own_change {
            return (DeliveryStatus::Skipped, Some(Reason::OwnChange));
        }
        if self.it.handling().is_some() {
            return (DeliveryStatus::Skipped, Some(Reason::Handled));
        }
        if endpoint.expires <= self.now {
            return (DeliveryStatus::Skipped, Some(Reason::EndpointExpired));
        }
        match decision {
            // What the endpoint waits for now is for something else.
            _ if over(self.it, self.now).is_some() => (DeliveryStatus::Pending, None),
            Decision::Wait(reason, _) => (DeliveryStatus::Pending, Some(*reason)),
            Decision::Push(_) | Decision::Idle => (DeliveryStatus::Pending, None),
        }
    }
}

/// When nobody was to be tapped for it any more: it was dealt with, or its time was over.
fn over(it: &Notification, now: Timestamp) -> Option<Timestamp> {
    let over = (it.expires <= now).then_some(it.expires);
    it.handled_since.or(over)
}
