//! From a look to the lanes: each tap to its own, where that has room.

use super::{
    circuit::{Hold, STOPPED},
    job::Job,
    lanes::Lanes,
    parked::{Line, Parked},
    retry,
};
use crate::{
    hub::{DueTap, Look, Tested},
    model::{ServiceAnswer, TapKind, Timestamp},
};

/// What became of a tap that was handed over.
#[derive(Debug)]
enum Handed {
    /// Its lane has it.
    Taken,
    /// Its lane is full; the tap stays in the outbox until its turn in this line comes.
    Full(Line),
    /// Its lane is full and slow, or too many wait for it; the tap is put off.
    Held(Box<DueTap>, Hold),
    /// There is no way to the service with the present settings, and why.
    NoLane(Box<DueTap>, String),
}

/// Hands what a look found to the lanes; gives the lines for which they have no room.
pub(super) fn hand_over(
    (lanes, parked): (&mut Lanes, &Parked),
    job: &mut Job,
    look: &mut Look,
    now: Timestamp,
) -> Vec<Line> {
    let mut giving = Giving {
        lanes,
        parked,
        admitted: Vec::new(),
        now,
    };
    let mut full = Vec::new();
    for (endpoint, tested) in std::mem::take(&mut look.tested) {
        job.answer(&endpoint, tested);
    }
    for due in std::mem::take(&mut look.taps) {
        let endpoint = due.level.endpoint.id.clone();
        match giving.give(due) {
            Handed::Taken => {
                job.busy.insert(endpoint);
            }
            Handed::Full(line) => {
                if !full.contains(&line) {
                    full.push(line);
                }
            }
            Handed::Held(due, hold) if due.tap.kind == TapKind::Test => {
                let text = format!(
                    "the push service is slow, and many taps wait for it; the next leaves at {}",
                    hold.until
                );
                job.answer(&endpoint, Tested::unsent(text));
            }
            Handed::Held(due, hold) => {
                look.next = look.next.into_iter().chain([hold.until]).min();
                look.states.push((endpoint, retry::held(&due, hold, now)));
            }
            Handed::NoLane(due, reason) if due.tap.kind == TapKind::Test => {
                let text = format!(
                    "there is no way to the push service with the present settings: {reason}"
                );
                job.answer(&endpoint, Tested::unsent(text));
            }
            Handed::NoLane(due, reason) => {
                let state = retry::held(&due, no_way(reason, now), now);
                look.next = look.next.into_iter().chain([state.not_before]).min();
                look.states.push((endpoint, state));
            }
        }
    }
    full
}

fn no_way(reason: String, now: Timestamp) -> Hold {
    Hold {
        until: now.plus(STOPPED),
        stopped: Some(now),
        answer: Some(ServiceAnswer {
            status: 0,
            reason: Some(reason),
            id: None,
        }),
    }
}

/// One look's taps on their way to the lanes.
struct Giving<'a> {
    lanes: &'a mut Lanes,
    parked: &'a Parked,
    /// The lines of lanes that had room when the first of them came: they take the others, too, so that nobody with many
    /// devices is looked at for each few of them.
    admitted: Vec<Line>,
    now: Timestamp,
}

impl Giving<'_> {
    fn give(&mut self, due: DueTap) -> Handed {
        let lane = match self.lanes.lane_for(&due) {
            Ok(lane) => lane,
            Err(reason) => return Handed::NoLane(Box::new(due), reason),
        };
        let line = lane.line(due.tap.ahead);
        let admitted = self.admitted.contains(&line);
        if admitted || lane.has_room(line.ahead) {
            if !lane.take(due) {
                return Handed::Full(line);
            }
            if !admitted {
                self.admitted.push(line);
            }
            return Handed::Taken;
        }
        if lane.is_slow() || self.parked.len(&line) >= lane.room() {
            let hold = lane.put_off(&due.level.endpoint.channel, self.now);
            return Handed::Held(Box::new(due), hold);
        }
        Handed::Full(line)
    }
}
