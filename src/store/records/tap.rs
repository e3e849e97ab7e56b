//! What dispatch knows of an endpoint.

use serde::{Deserialize, Serialize};

use super::{
    super::{Error, codec, keys::broken},
    Record, millis, time, times,
};
use crate::model::{Failing, FeedPosition, Passing, ServiceAnswer, TapState, Timestamp};

#[derive(Serialize, Deserialize)]
pub(in crate::store) struct StoredAnswer(
    pub(super) u16,
    pub(super) Option<String>,
    pub(super) Option<String>,
);

pub(super) fn stored_answer(answer: &ServiceAnswer) -> StoredAnswer {
    StoredAnswer(answer.status, answer.reason.clone(), answer.id.clone())
}

pub(super) fn answer(stored: StoredAnswer) -> ServiceAnswer {
    ServiceAnswer {
        status: stored.0,
        reason: stored.1,
        id: stored.2,
    }
}

#[derive(Serialize, Deserialize)]
pub(in crate::store) struct StoredTapState {
    generation: u64,
    covered: u64,
    tapped: u64,
    tapped_at: u64,
    tapped_silently: bool,
    repeats: u32,
    attempts: u32,
    not_before: u64,
    stopped: Option<u64>,
    last_push: u64,
    /// The first in milliseconds, the others as the milliseconds since the one before: a full budget stays small.
    silent: Vec<u64>,
    burst: u32,
    burst_at: u64,
    /// Likewise.
    fallbacks: Vec<u64>,
    gone: Option<u64>,
    toast: bool,
    answer: Option<StoredAnswer>,
    tap_expires: u64,
    put_off_at: u64,
    noticed: u64,
}

/// The form of version 3: that of version 2, and what came later.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct ThirdTapState(StoredTapState, Later);

/// The form of version 4: that, and what came later again.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct FourthTapState(ThirdTapState, Latest);

#[derive(Serialize, Deserialize)]
struct Latest {
    repeat_refused_at: u64,
    repeat_after: u64,
    repeat_from: u64,
    tried_at: u64,
}

/// An older form. What was put off last may have been tried then.
fn before_fourth(third: ThirdTapState) -> FourthTapState {
    let latest = Latest {
        repeat_refused_at: 0,
        repeat_after: 0,
        repeat_from: 0,
        tried_at: third.0.put_off_at,
    };
    FourthTapState(third, latest)
}

#[derive(Default, Serialize, Deserialize)]
struct Later {
    failing: Option<StoredFailing>,
    lost: u64,
    demanded: u64,
}

/// An older form. What it waits for may be what the service demanded.
fn before_third(stored: StoredTapState) -> ThirdTapState {
    let demanded = match stored.stopped {
        Some(_) => 0,
        None => stored.not_before,
    };
    let later = Later {
        demanded,
        ..Later::default()
    };
    ThirdTapState(stored, later)
}

/// What with, since when, and when last.
#[derive(Serialize, Deserialize)]
struct StoredFailing(u8, u64, u64);

fn stored_failing(failing: Failing) -> StoredFailing {
    let with = match failing.with {
        Passing::NoWay => 1,
        Passing::Invalid => 2,
    };
    StoredFailing(with, failing.since.as_millis(), failing.last.as_millis())
}

fn failing(stored: &StoredFailing) -> Result<Failing, Error> {
    Ok(Failing {
        with: match stored.0 {
            1 => Passing::NoWay,
            2 => Passing::Invalid,
            _ => return Err(broken("what pushes came to nothing with")),
        },
        since: time(stored.1),
        last: time(stored.2),
    })
}

/// The form of version 1.
#[derive(Serialize, Deserialize)]
struct FirstTapState {
    generation: u64,
    covered: u64,
    tapped: u64,
    tapped_at: u64,
    tapped_silently: bool,
    repeats: u32,
    attempts: u32,
    not_before: u64,
    stopped: Option<u64>,
    last_push: u64,
    silent: Vec<u64>,
    burst: u32,
    burst_at: u64,
    fallbacks: Vec<u64>,
    /// Those of which one was sent.
    fell_back: Vec<u64>,
    gone: Option<u64>,
    toast: bool,
    answer: Option<StoredAnswer>,
}

impl From<FirstTapState> for StoredTapState {
    fn from(first: FirstTapState) -> Self {
        let fallbacks = positions(first.fallbacks);
        // What a tap covers was looked through before that left.
        let noticed = first.fell_back.iter().chain([&first.covered]).max();
        let noticed = noticed.copied().unwrap_or_default();
        let last = fallbacks.last().map_or(0, |last| last.0);
        Self {
            generation: first.generation,
            covered: first.covered,
            tapped: first.tapped,
            tapped_at: first.tapped_at,
            tapped_silently: first.tapped_silently,
            repeats: first.repeats,
            attempts: first.attempts,
            not_before: first.not_before,
            stopped: first.stopped,
            last_push: first.last_push,
            silent: first.silent,
            burst: first.burst,
            burst_at: first.burst_at,
            fallbacks: raw_positions(&fallbacks),
            gone: first.gone,
            toast: first.toast,
            answer: first.answer,
            tap_expires: 0,
            put_off_at: 0,
            noticed: noticed.max(last),
        }
    }
}

fn deltas(times: &[Timestamp]) -> Vec<u64> {
    let mut last = 0;
    times
        .iter()
        .map(|time| {
            let delta = time.as_millis().saturating_sub(last);
            last = time.as_millis();
            delta
        })
        .collect()
}

fn sums(deltas: &[u64]) -> Vec<Timestamp> {
    deltas
        .iter()
        .scan(0u64, |sum, delta| {
            *sum = sum.saturating_add(*delta);
            Some(time(*sum))
        })
        .collect()
}

/// Ascending positions, each as what lies between it and the one before.
fn raw_positions(positions: &[FeedPosition]) -> Vec<u64> {
    let mut last = 0;
    let since_last = |position: &FeedPosition| {
        let delta = position.0.saturating_sub(last);
        last = position.0;
        delta
    };
    positions.iter().map(since_last).collect()
}

fn summed(deltas: Vec<u64>) -> Vec<FeedPosition> {
    let mut sum = 0u64;
    let add = |delta: u64| {
        sum = sum.saturating_add(delta);
        FeedPosition(sum)
    };
    deltas.into_iter().map(add).collect()
}

fn positions(raw: Vec<u64>) -> Vec<FeedPosition> {
    raw.into_iter().map(FeedPosition).collect()
}

impl Record for TapState {
    type Stored = FourthTapState;
    const VERSION: u8 = 4;

    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let stored = match bytes.first() {
            Some(1) => {
                let first: FirstTapState = codec::decode(1, bytes)?;
                before_fourth(before_third(first.into()))
            }
            Some(2) => before_fourth(before_third(codec::decode(2, bytes)?)),
            Some(3) => before_fourth(codec::decode(3, bytes)?),
            _ => codec::decode(Self::VERSION, bytes)?,
        };
        Self::from_stored(stored)
    }

    fn to_stored(&self) -> FourthTapState {
        let before = StoredTapState {
            generation: self.generation,
            covered: self.covered.0,
            tapped: self.tapped.0,
            tapped_at: self.tapped_at.as_millis(),
            tapped_silently: self.tapped_silently,
            repeats: self.repeats,
            attempts: self.attempts,
            not_before: self.not_before.as_millis(),
            stopped: millis(self.stopped),
            last_push: self.last_push.as_millis(),
            silent: deltas(&self.silent),
            burst: self.burst,
            burst_at: self.burst_at.as_millis(),
            fallbacks: raw_positions(&self.fallbacks),
            gone: millis(self.gone),
            toast: self.toast,
            answer: self.answer.as_ref().map(stored_answer),
            tap_expires: self.tap_expires.as_millis(),
            put_off_at: self.put_off_at.as_millis(),
            noticed: self.noticed.0,
        };
        let later = Later {
            failing: self.failing.map(stored_failing),
            lost: self.lost.0,
            demanded: self.demanded.as_millis(),
        };
        let latest = Latest {
            repeat_refused_at: self.repeat_refused_at.as_millis(),
            repeat_after: self.repeat_after.0,
            repeat_from: self.repeat_from.0,
            tried_at: self.tried_at.as_millis(),
        };
        FourthTapState(ThirdTapState(before, later), latest)
    }

    fn from_stored(stored: FourthTapState) -> Result<Self, Error> {
        let FourthTapState(ThirdTapState(stored, later), latest) = stored;
        Ok(Self {
            repeat_refused_at: time(latest.repeat_refused_at),
            repeat_after: FeedPosition(latest.repeat_after),
            repeat_from: FeedPosition(latest.repeat_from),
            tried_at: time(latest.tried_at),
            failing: later.failing.as_ref().map(failing).transpose()?,
            lost: FeedPosition(later.lost),
            demanded: time(later.demanded),
            generation: stored.generation,
            covered: FeedPosition(stored.covered),
            tapped: FeedPosition(stored.tapped),
            tapped_at: time(stored.tapped_at),
            tapped_silently: stored.tapped_silently,
            repeats: stored.repeats,
            attempts: stored.attempts,
            not_before: time(stored.not_before),
            stopped: times(stored.stopped),
            last_push: time(stored.last_push),
            silent: sums(&stored.silent),
            burst: stored.burst,
            burst_at: time(stored.burst_at),
            fallbacks: summed(stored.fallbacks),
            gone: times(stored.gone),
            toast: stored.toast,
            answer: stored.answer.map(answer),
            tap_expires: time(stored.tap_expires),
            put_off_at: time(stored.put_off_at),
            noticed: FeedPosition(stored.noticed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_older_forms_what_came_later_is_as_it_is_where_nothing_happened() {
        let state = TapState {
            generation: 7,
            covered: FeedPosition(5),
            tapped: FeedPosition(4),
            tapped_at: Timestamp::from_millis(9),
            lost: FeedPosition(2),
            demanded: Timestamp::from_millis(8),
            repeat_refused_at: Timestamp::from_millis(10),
            repeat_after: FeedPosition(5),
            repeat_from: FeedPosition(3),
            put_off_at: Timestamp::from_millis(11),
            tried_at: Timestamp::from_millis(3),
            ..TapState::default()
        };
        let FourthTapState(third, _) = state.to_stored();
        let of_the_third = TapState::decode(&codec::encode(3, &third).unwrap()).unwrap();
        let before_fourth = TapState {
            repeat_refused_at: Timestamp::default(),
            repeat_after: FeedPosition::START,
            repeat_from: FeedPosition::START,
            tried_at: state.put_off_at,
            ..state
        };
        assert_eq!(of_the_third, before_fourth);
        let of_the_second = TapState::decode(&codec::encode(2, &third.0).unwrap()).unwrap();
        let before_third = TapState {
            lost: FeedPosition::START,
            // What it waits for may have been demanded.
            demanded: before_fourth.not_before,
            ..before_fourth
        };
        assert_eq!(of_the_second, before_third);
    }
}
