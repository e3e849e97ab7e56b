//! When the service at the end of a lane may be asked: pure.
//!
//! Closed, everything passes. It opens for a wait that the service demanded of everyone, for settings that it refuses,
//! and after [`TRIP`] failures in a row; what comes meanwhile is held. When the wait is over one push goes ahead as a
//! probe, alone; the answer to it closes the circuit, or opens it for longer. What was held comes back spread over
//! time, so that a service that returns meets a backlog at a bounded rate.

use std::time::Duration;

use super::{
    PAUSE,
    odd::{InARow, Odd},
    signal::{Signal, signal},
};
use crate::{
    model::{Demand, ServiceAnswer, Timestamp},
    push::outcome::Outcome,
};

/// How many failures in a row open it.
pub(super) const TRIP: u32 = 5;
/// How long it stays open for settings that the service refused, unless they are read anew.
pub(super) const STOPPED: Duration = Duration::from_secs(60);
/// The longest wait between two probes of a service that fails.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// How long what comes during a probe is held at least.
const PROBING: Duration = Duration::from_secs(1);
/// The distance of two proven channels that try a guard.
const PROOF: Duration = Duration::from_secs(1);
/// The distance of two held taps: 500 a second.
const SLOT: Duration = Duration::from_millis(2);
/// How far apart the first and the last slot may lie: those beyond come with the first again.
pub(super) const SLOTS: Duration = Duration::from_secs(30);

/// A demand is kept through a restart if it lasts longer than one, and so much longer than what is kept.
const RESTART: Duration = Duration::from_secs(10);

/// Why it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The service demanded it of everyone.
    Demanded,
    /// It refuses the operator's settings, since then.
    Stopped(Timestamp),
    /// Since then it calls so many channels dead that the settings may be wrong.
    Guarded(Timestamp),
    /// It fails, or does not answer.
    Failing,
}

/// An open circuit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) why: Why,
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
    /// What stands in the way, in the service's words.
    pub(super) answer: ServiceAnswer,
    /// When it said so, which may be later than it began to stand; not known of an earlier life of the process.
    pub(super) answered: Option<Timestamp>,
    trips: u32,
}

impl Standing {
    fn demanded(demand: &Demand) -> Self {
        Self {
            why: Why::Demanded,
            since: demand.since,
            until: demand.until,
            answer: demand.answer.clone(),
            answered: None,
            trips: 0,
        }
    }
}

/// A tap that does not leave now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hold {
    /// When it comes back.
    pub(super) until: Timestamp,
    /// Since when the settings are what stands in the way.
    pub(super) stopped: Option<Timestamp>,
    /// What the service said last, where it did.
    pub(super) answer: Option<ServiceAnswer>,
}

/// What is to happen with a tap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Admission {
    /// It leaves.
    Go,
    /// It leaves, and decides whether others may.
    Probe,
    /// It waits.
    Hold(Hold),
}

/// The circuit of one service, or of one host where channels name their own.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    /// How many pushes are under way.
    pub(super) under_way: usize,
    failures: u32,
    /// Which channels in a row it wanted to be left alone with.
    busy: InARow,
    /// Since when a probe is under way.
    probing: Option<Timestamp>,
    /// For which channels it refuses the settings.
    odd: Odd,
    standing: Option<Standing>,
    /// What the service demanded last. While that lasts, something stands in the way; what that is may be something else,
    /// and end sooner.
    demanded: Option<Demand>,
    next_slot: Timestamp,
    /// When the next proven channel may try a guard, or settings that are refused.
    next_proof: Timestamp,
    /// Until when the demand lasts that the store has.
    kept: Timestamp,
}

impl Circuit {
    /// One that begins with what the service demanded before.
    pub(super) fn demanded(demand: Demand) -> Self {
        Self {
            kept: demand.until,
            standing: Some(Standing::demanded(&demand)),
            demanded: Some(demand),
            ..Self::default()
        }
    }

    /// What the service demanded of everyone, until it is over.
    pub(super) fn demand(&self, now: Timestamp) -> Option<Demand> {
        let demanded = self.demanded.as_ref().filter(|it| it.until > now);
        // One of a clock that had leapt would stand for as long as that had.
        demanded.filter(|it| !it.since.is_to_come(now)).cloned()
    }

    /// The same where it is to be kept through a restart, and is not yet.
    pub(super) fn unkept(&mut self, now: Timestamp) -> Option<Demand> {
        let demand = self.demand(now)?;
        let from = now.max(self.kept);
        if demand.until.since(from) < RESTART {
            return None;
        }
        self.kept = demand.until;
        Some(demand)
    }

    /// The guard is over, whatever told so; says whether it stood under it. A wait that the service demanded is kept.
    pub(super) fn unguard(&mut self, now: Timestamp) -> bool {
        let standing = self.standing.as_ref();
        let guarded = standing.is_some_and(|it| matches!(it.why, Why::Guarded(_)));
        if guarded {
            self.standing = self.demand(now).as_ref().map(Standing::demanded);
        }
        guarded
    }

    /// What stands in the way, if anything does.
    pub(super) fn standing(&self) -> Option<&Standing> {
        self.standing.as_ref()
    }

    /// Whether it says nothing that a new one would not.
    pub(super) fn is_blank(&self, now: Timestamp) -> bool {
        let idle = self.under_way == 0 && self.failures == 0 && self.standing.is_none();
        idle && self.next_slot <= now
    }

    /// Asks for a push to leave; one that does is under way until [`Circuit::leave`].
    /// A channel that was `proven` by a push that the service took tells at once whether a guard is of use, and whether the
    /// settings are refused for all.
    pub(super) fn admit(&mut self, proven: bool, now: Timestamp) -> Admission {
        self.forget_what_is_to_come(now);
        let Some(standing) = &self.standing else {
            self.under_way += 1;
            return Admission::Go;
        };
        let demanded = self.demanded.as_ref().map(|it| it.until);
        let demanded = demanded.filter(|until| *until > now);
        let is_guarded = matches!(standing.why, Why::Guarded(_));
        let distance = match standing.why {
            Why::Guarded(_) => Some(PROOF),
            // Once a pause: it may be the channels that were asked so far, but it may as well be the settings.
            Why::Stopped(_) => Some(STOPPED),
            Why::Demanded | Why::Failing => None,
        };
        let distance = distance.filter(|_| proven && self.next_proof <= now && demanded.is_none());
        let tells = distance.is_some();
        if (standing.until > now && !tells) || self.probing.is_some() || demanded.is_some() {
            let waits = match demanded {
                Some(until) if proven && is_guarded => until,
                // A demand that was over holds again where the clock was set back a little.
                _ => standing.until.max(demanded.unwrap_or_default()),
            };
            // The longer it takes, the less often what waits is put off anew.
            let probed_for = self
                .probing
                .map_or(Duration::ZERO, |began| now.since(began));
            let until = waits.max(now.plus(probed_for.clamp(PROBING, MAX_WAIT)));
            return Admission::Hold(self.hold(until));
        }
        if let Some(distance) = distance {
            self.next_proof = now.plus(distance);
        }
        self.probing = Some(now);
        self.under_way += 1;
        Admission::Probe
    }

    /// Forgets what a clock told that had leapt: it would stand in the way for as long as that had, and whatever it puts off
    /// meanwhile.
    pub(super) fn forget_what_is_to_come(&mut self, now: Timestamp) {
        let to_come = |at: Timestamp| at.is_to_come(now);
        let of_a_leap = |it: &Standing| to_come(it.since) || it.answered.is_some_and(to_come);
        if self.standing.as_ref().is_some_and(of_a_leap) {
            self.failures = 0;
            self.standing = self.demand(now).as_ref().map(Standing::demanded);
        }
        self.demanded = self.demanded.take().filter(|it| !to_come(it.since));
        self.probing = self.probing.filter(|at| !to_come(*at));
        self.next_proof = Some(self.next_proof)
            .filter(|at| *at <= now.plus(STOPPED))
            .unwrap_or(now);
    }

    /// Holds one tap that nobody asked to leave.
    pub(super) fn put_off(&mut self, now: Timestamp) -> Hold {
        self.forget_what_is_to_come(now);
        let standing = self.standing.as_ref();
        let until = standing.map_or(now, |standing| standing.until);
        self.hold(until.max(now.plus(PAUSE)))
    }

    /// Holds one tap until `until` at the earliest: each comes back in a slot of its own.
    pub(super) fn hold(&mut self, until: Timestamp) -> Hold {
        // What others wait for may be long over, or lie far ahead of what this one waits for.
        let until = if self.next_slot > until.plus(SLOTS) {
            until
        } else {
            until.max(self.next_slot)
        };
        self.next_slot = until.plus(SLOT);
        let standing = self.standing.as_ref();
        Hold {
            until,
            stopped: standing.and_then(|standing| match standing.why {
                Why::Stopped(since) | Why::Guarded(since) => Some(since),
                Why::Demanded | Why::Failing => None,
            }),
            answer: standing.map(|standing| standing.answer.clone()),
        }
    }

    /// A push is under way no more, whatever came of it.
    pub(super) fn leave(&mut self, was_probe: bool) {
        self.under_way = self.under_way.saturating_sub(1);
        if was_probe {
            self.probing = None;
        }
    }

    /// Learns from the outcome of a push to a channel. `first` is the wait after the first trip, `random` from 0 to 1.
    pub(super) fn learn(
        &mut self,
        (outcome, channel): (&Outcome, u64),
        was_probe: bool,
        (first, random): (Duration, f64),
        now: Timestamp,
    ) {
        self.forget_what_is_to_come(now);
        match signal(outcome) {
            Signal::Nothing => {}
            Signal::Alive { took } => {
                if took {
                    self.odd.vouch(channel, now);
                }
                self.hear(took, was_probe, now);
            }
            Signal::Failing { after } => {
                self.failures = self.failures.saturating_add(1);
                // Those that were under way when it opened say nothing new.
                let trips = match &self.standing {
                    Some(standing) if was_probe => standing.trips + 1,
                    Some(_) => return,
                    None if self.failures >= TRIP => 1,
                    None => return,
                };
                let wait = backoff(first, trips, random).max(first).max(after);
                self.open(Why::Failing, now.plus(wait), outcome, now);
                self.count(trips);
            }
            // What it says of one channel after another it means of all.
            Signal::Busy(after) if self.busy.take(channel) => {
                self.heed(now.plus(after), outcome, now);
            }
            Signal::Busy(_) => self.hear(false, was_probe, now),
            Signal::Demanded(after) => self.heed(now.plus(after), outcome, now),
            Signal::Refused if !outcome.answer.is_of_login() && self.odd.is_it(channel, now) => {
                self.hear(false, was_probe, now);
            }
            Signal::Refused => self.open(Why::Stopped(now), now.plus(STOPPED), outcome, now),
        }
    }

    /// Stands still since too many channels are called dead.
    pub(super) fn guard(&mut self, outcome: &Outcome, now: Timestamp) {
        self.forget_what_is_to_come(now);
        self.open(Why::Guarded(now), now.plus(STOPPED), outcome, now);
    }

    /// It answers. A success ends what was only a guess; a wait that the service demanded is kept to its end.
    fn hear(&mut self, took: bool, was_probe: bool, now: Timestamp) {
        self.failures = 0;
        if took {
            self.busy.clear();
        }
        let ends = self.standing.as_ref().is_some_and(|standing| {
            let over = was_probe && standing.until <= now;
            match standing.why {
                Why::Demanded => over,
                Why::Failing => took || over,
                Why::Stopped(_) | Why::Guarded(_) => took,
            }
        });
        if ends {
            let demanded = self.demanded.as_ref().filter(|it| it.until > now);
            self.standing = demanded.map(Standing::demanded);
        }
    }

    /// The service demands to be left alone until then.
    fn heed(&mut self, until: Timestamp, outcome: &Outcome, now: Timestamp) {
        let before = self.demanded.take().filter(|it| it.until > now);
        self.demanded = Some(match before {
            Some(before) if before.until > until => before,
            before => Demand {
                since: before.map_or(now, |before| before.since),
                until,
                answer: outcome.answer.clone(),
            },
        });
        self.open(Why::Demanded, until, outcome, now);
    }

    /// A shorter wait never ends a longer one.
    fn open(&mut self, why: Why, until: Timestamp, outcome: &Outcome, now: Timestamp) {
        let old = self.standing.take();
        let since = old.as_ref().map_or(now, |old| old.since);
        let trips = old.as_ref().map_or(0, |old| old.trips);
        self.standing = Some(match old {
            Some(old) if old.until > until => old,
            _ => Standing {
                why,
                since,
                until,
                answer: outcome.answer.clone(),
                answered: Some(now),
                trips,
            },
        });
    }

    fn count(&mut self, trips: u32) {
        if let Some(standing) = &mut self.standing {
            standing.trips = trips;
        }
    }
}

/// Doubling to a minute, the upper half of it by chance: a probe that comes too soon helps nobody.
fn backoff(first: Duration, trips: u32, random: f64) -> Duration {
    let doublings = trips.saturating_sub(1).min(16);
    let ceiling = first.saturating_mul(1 << doublings).min(MAX_WAIT);
    ceiling.mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0))
}

#[cfg(test)]
#[path = "circuit_tests.rs"]
mod tests;
