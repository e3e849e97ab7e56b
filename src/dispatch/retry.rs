//! From an outcome to an endpoint's next state: pure.

use std::time::Duration;

use super::{
    PAUSE,
    circuit::{Hold, STOPPED},
    worn,
};
use crate::{
    config::Delivery,
    hub::{
        DueTap,
        due::{burst_left, retap_at, retap_wait},
    },
    model::{ChannelKind, FeedPosition, Push, ServiceAnswer, TapKind, TapState, Timestamp},
    push::outcome::{Outcome, Verdict},
};

/// What is to be kept of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settled {
    pub(super) state: TapState,
    /// The push, where it is settled; none, where it will be tried again.
    pub(super) push: Option<Push>,
}

/// Settles one push. `random` is from 0 to 1, for full jitter; `size_bytes` is the payload's.
pub(super) fn next(
    due: &DueTap,
    outcome: &Outcome,
    (size_bytes, random): (usize, f64),
    delivery: &Delivery,
    now: Timestamp,
) -> Settled {
    let mut state = due.state.clone();
    let at = since_last(&state, now);
    state.answer = Some(outcome.answer.clone());
    state.failing = worn::failing(due, outcome, now);
    if !due.displayed {
        state.last_push = now;
    }
    let attempts = state.attempts + 1;
    let (covers, alone) = speaks_for(due);
    let push = |accepted: bool| {
        Some(Push {
            covers,
            alone,
            at,
            kind: due.tap.kind,
            shows: due.tap.shows,
            accepted,
            attempts,
            size_bytes: u32::try_from(size_bytes).unwrap_or(u32::MAX),
            answer: outcome.answer.clone(),
        })
    };
    let left = due.tap.expires.since(now);
    let pause = backoff(due, (attempts, left), random, delivery);
    let registered = due.level.endpoint.registered;
    let push = match outcome.verdict {
        Verdict::Accepted => {
            accept(&mut state, due, delivery, at);
            push(true)
        }
        // The device did not take the raw push of something visible: it is shown as a toast then.
        Verdict::Dropped if due.tap.visible && !due.displayed => {
            state.toast = true;
            state.attempts = attempts;
            state.tried_at = at;
            None
        }
        Verdict::Dropped => {
            accept(&mut state, due, delivery, at);
            push(false)
        }
        verdict if verdict.drops(registered) => {
            state.gone = Some(at);
            push(false)
        }
        Verdict::Rejected => {
            give_up(&mut state, due, delivery, at);
            push(false)
        }
        other => {
            if outcome.answer.is_lost() {
                state.lost = state.lost.max(covers);
            }
            wait(&mut state, other, pause, now);
            None
        }
    };
    Settled { state, push }
}

/// When a push came to its end: after the one before, whose place in the store it would take if it had the same time.
fn since_last(state: &TapState, now: Timestamp) -> Timestamp {
    let last = state.tapped_at.max(state.put_off_at);
    match last >= now && !last.is_to_come(now) {
        true => last.plus(Duration::from_millis(1)),
        false => now,
    }
}

/// Up to where a push speaks for the feed, and whether for what it shows alone: of a fallback that is told in any case.
fn speaks_for(due: &DueTap) -> (FeedPosition, bool) {
    let shown = due.notification.as_ref().map(|it| it.number);
    match shown.filter(|_| due.tap.kind == TapKind::Fallback) {
        Some(number) if number > due.tap.covers => (number, true),
        _ => (due.tap.covers, false),
    }
}

/// Gives a tap back that its lane did not try.
pub(super) fn held(due: &DueTap, hold: Hold, now: Timestamp) -> TapState {
    let mut state = due.state.clone();
    state.put_off_at = now;
    state.not_before = hold.until;
    let was_stopped = state.stopped.is_some();
    state.stopped = hold.stopped;
    // What was said to another says why this one waits, but not what was said to it; refused settings are another reason.
    let others = hold
        .answer
        .map(|answer| ServiceAnswer { id: None, ..answer });
    let tried = state.attempts > 0 && hold.stopped.is_none() && !was_stopped;
    state.answer = match tried {
        true => state.answer.or(others),
        // By now its settings are not what it waits for.
        false if was_stopped && hold.stopped.is_none() && state.attempts == 0 => others,
        false => others.or(state.answer),
    };
    state
}

/// What a test leaves behind: the service's demands are kept, and the platform counts it as it counts any push; what
/// the endpoint is owed is as it was.
pub(super) fn tested(
    due: &DueTap,
    outcome: &Outcome,
    delivery: &Delivery,
    now: Timestamp,
) -> TapState {
    let mut state = due.state.clone();
    if outcome.verdict != Verdict::Held {
        state.last_push = now;
    }
    let registered = due.level.endpoint.registered;
    match outcome.verdict {
        Verdict::Accepted => {
            state.failing = None;
            note_silent(&mut state, delivery, now);
        }
        verdict if verdict.drops(registered) => {
            state.gone = Some(now);
            state.answer = Some(outcome.answer.clone());
        }
        Verdict::Retry {
            after: Some(after), ..
        } => {
            state.demanded = now.plus(after);
            state.not_before = state.not_before.max(state.demanded);
            state.put_off_at = now;
            state.answer = Some(outcome.answer.clone());
        }
        _ => {}
    }
    state
}

fn accept(state: &mut TapState, due: &DueTap, delivery: &Delivery, now: Timestamp) {
    let tap = &due.tap;
    state.repeats = repeats(due, delivery, now);
    state.tapped = state.tapped.max(tap.covers);
    state.covered = state.covered.max(tap.covers);
    state.tapped_at = now;
    state.repeat_refused_at = Timestamp::default();
    state.tap_expires = kept_until(due, delivery, now);
    state.tapped_silently = !tap.visible;
    state.attempts = 0;
    state.not_before = Timestamp::default();
    state.stopped = None;
    state.toast = false;
    if due.displayed {
        state.burst = burst_left(state, now) + 1;
        state.burst_at = now;
    }
    if !tap.visible {
        note_silent(state, delivery, now);
    }
    if tap.kind == TapKind::Fallback {
        note_fallback(state, due);
    }
}

/// How often it will have been repeated, when it is accepted now. Only what comes after the wait is a repetition; what
/// is urgent does not make the wait longer.
fn repeats(due: &DueTap, delivery: &Delivery, now: Timestamp) -> u32 {
    let state = &due.state;
    match due.level.is_unanswered() && !due.tap.visible {
        true if retap_at(state, delivery, now) <= now => state.repeats + 1,
        true => state.repeats,
        false => 0,
    }
}

/// How long a silent tap that leaves now is of use to a service that keeps several for a device that is away: until it
/// is repeated, so that the device finds one when it comes back. What is seen, and a test, has no such end.
pub(super) fn until_repeated(
    due: &DueTap,
    delivery: &Delivery,
    now: Timestamp,
) -> Option<Duration> {
    let silent = !due.tap.visible && due.tap.kind != TapKind::Test;
    silent.then(|| retap_wait(repeats(due, delivery, now), delivery))
}

/// Until when its service keeps a tap that it takes now, or one before that was not answered either.
fn kept_until(due: &DueTap, delivery: &Delivery, now: Timestamp) -> Timestamp {
    let repeated = until_repeated(due, delivery, now).map(|life| now.plus(life));
    let own = repeated.map_or(due.tap.expires, |at| at.min(due.tap.expires));
    let beside = !due.level.endpoint.channel.kind().keeps_the_last_alone();
    if beside && due.level.is_unanswered() {
        own.max(due.state.tap_expires)
    } else {
        own
    }
}

fn note_silent(state: &mut TapState, delivery: &Delivery, now: Timestamp) {
    let hour = Duration::from_secs(3600);
    state.silent.retain(|at| at.plus(hour) > now);
    state.silent.push(now);
    let over = state
        .silent
        .len()
        .saturating_sub(usize::from(delivery.silent_per_hour));
    state.silent.drain(..over);
}

fn note_fallback(state: &mut TapState, due: &DueTap) {
    let Some(number) = due.notification.as_ref().map(|it| it.number) else {
        return;
    };
    state.fallbacks.retain(|other| *other != number);
}

/// What the service will never take is not owed any more; the report says that it failed. Where that repeated a tap which
/// is unanswered, the next repetition is as far off as if it had been taken.
fn give_up(state: &mut TapState, due: &DueTap, delivery: &Delivery, now: Timestamp) {
    let repeats = repeats(due, delivery, now);
    if repeats > state.repeats {
        state.repeats = repeats;
        state.repeat_refused_at = now;
    }
    state.put_off_at = now;
    state.covered = state.covered.max(due.tap.covers);
    state.attempts = 0;
    state.not_before = Timestamp::default();
    if due.tap.kind == TapKind::Fallback {
        note_fallback(state, due);
    }
}

/// Tries again later: for wrong settings after a fixed time, else after the service's floor or our own pause.
fn wait(state: &mut TapState, verdict: Verdict, pause: Duration, now: Timestamp) {
    let pause = match verdict {
        // After those that it holds up: another channel tells whether it is the settings.
        Verdict::Misconfigured => STOPPED + PAUSE,
        Verdict::Retry { after, .. } => pause.max(after.unwrap_or_default()),
        _ => pause,
    };
    if let Verdict::Retry {
        after: Some(after), ..
    } = verdict
    {
        state.demanded = now.plus(after);
    }
    state.attempts += 1;
    state.tried_at = now;
    state.not_before = now.plus(pause);
    state.put_off_at = now;
    state.stopped = (verdict == Verdict::Misconfigured).then_some(now);
}

/// The first pause of each service (FCM wants ten seconds before any repeat).
pub(super) fn first_pause(service: ChannelKind, delivery: &Delivery) -> Duration {
    match service {
        ChannelKind::Apns => delivery.retry_base.mul_f64(2.5),
        ChannelKind::Fcm => delivery.retry_base * 10,
        _ => delivery.retry_base,
    }
}

/// Exponential, with full jitter, at FCM on top of its first pause; within the time `left` until the tap is of no
/// more use, so that it gets its last chance.
fn backoff(
    due: &DueTap,
    (attempts, left): (u32, Duration),
    random: f64,
    delivery: &Delivery,
) -> Duration {
    let service = due.level.endpoint.channel.kind();
    let first = first_pause(service, delivery);
    let least = match service {
        ChannelKind::Fcm => first.min(left),
        _ => Duration::ZERO,
    };
    let ceiling = first
        .saturating_mul(1 << attempts.saturating_sub(1).min(16))
        .min(delivery.retry_max)
        .min(left.max(first));
    (least + ceiling.mul_f64(random.clamp(0.0, 1.0))).min(left.max(first))
}

#[cfg(test)]
#[path = "retry_tests.rs"]
mod tests;
