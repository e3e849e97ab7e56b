//! Time in a simulation. There is a true one, by which devices, push services and the network live, and which goes on
//! while the process is down; and there is what the wall of the hub's machine says, which leaps and is set right again.
//!
//! The hub knows its wall alone. What may be taken from that for true is reckoned here anew, apart from the hub's own
//! watch.

use std::time::Duration;

use rand::{Rng as _, rngs::StdRng};
use tokio::time::Instant;

use super::world::World;
use crate::{hub::Hub, model::Timestamp};

/// A wall that is further off than this has leapt, and for how long it is doubted then (contract 3.8).
const LEAP: Duration = Duration::from_mins(5);
const DOUBT: Duration = Duration::from_mins(15);
/// A wall that is off by more than this is set right rather than moved once more.
const FAR_OFF_MS: u64 = 200 * DAY_MS;
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
/// How soon after a leap the sweeper has looked: it does so every two seconds.
const SWEPT: Duration = Duration::from_secs(2);

/// The true time while a process runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Truth {
    from: Timestamp,
    began: Instant,
}

impl Truth {
    pub(super) fn beginning_at(from: Timestamp) -> Self {
        let began = Instant::now();
        Self { from, began }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.from.plus(self.began.elapsed())
    }
}

/// A moment: what time it is, and what the hub's clock says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) truth: Timestamp,
    pub(super) hub: Timestamp,
}

/// What may be taken for true of what the hub's wall says.
#[derive(Debug, Default)]
pub(super) struct Belief {
    /// By how much the wall is ahead of the truth.
    ahead_ms: i64,
    /// The time that is believed in this life of the process, and the latest that was in any: what is over by that may
    /// be deleted.
    here: Timestamp,
    ever: Timestamp,
    /// Since when, by the truth, the wall is doubted, and what was believed then.
    doubt: Option<(Timestamp, Timestamp)>,
    /// The latest that the hub's clock ever said.
    latest: Timestamp,
    /// What the store was told last.
    told: Timestamp,
}

impl Belief {
    pub(super) fn ahead_ms(&self) -> i64 {
        self.ahead_ms
    }

    pub(super) fn ever(&self) -> Timestamp {
        self.ever
    }

    pub(super) fn latest(&self) -> Timestamp {
        self.latest
    }

    /// What the wall says.
    pub(super) fn wall(&self, truth: Timestamp) -> Timestamp {
        Timestamp::from_millis(truth.as_millis().saturating_add_signed(self.ahead_ms))
    }

    /// A process starts over a store that was told the time `told`: a wall that says something else is doubted.
    pub(super) fn start(&mut self, truth: Timestamp, told: Option<Timestamp>) {
        let wall = self.wall(truth);
        self.doubt = told
            .filter(|told| wall.since(*told).max(told.since(wall)) > LEAP)
            .map(|told| (truth, told));
        self.here = told.unwrap_or_default();
    }

    /// The wall moves, while no process runs.
    pub(super) fn move_wall(&mut self, by_ms: i64) {
        self.ahead_ms += by_ms;
    }

    /// The wall moves while the hub looks at it.
    fn leap(&mut self, by_ms: i64, now: Moment) {
        self.see(now);
        self.move_wall(by_ms);
        if Duration::from_millis(by_ms.unsigned_abs()) > LEAP {
            self.doubt = Some((now.truth, self.here));
        }
    }

    /// Takes in what time it is.
    pub(super) fn see(&mut self, now: Moment) {
        self.latest = self.latest.max(now.hub);
        match self.doubt {
            Some((since, believed)) if now.truth < since.plus(DOUBT) => {
                self.here = self.here.max(believed.plus(now.truth.since(since)));
            }
            _ => {
                self.doubt = None;
                self.here = self.here.max(now.hub);
            }
        }
        self.ever = self.ever.max(self.here);
    }

    /// Whether nothing may be deleted for what the wall says.
    pub(super) fn is_doubted(&self) -> bool {
        self.doubt.is_some()
    }

    /// What must be so of the hub's clock, and of what the store was told.
    fn check(&mut self, now: Moment, told: Option<Timestamp>) {
        self.see(now);
        let (hub, here) = (now.hub, self.here);
        assert!(hub >= here, "the hub's time went back to {hub} from {here}");
        let told = told.unwrap_or_default();
        assert!(told >= self.told, "the stored time went back to {told}");
        assert!(told <= here, "{told} was stored before it was believed");
        self.told = told;
    }
}

/// By how much a wall leaps: by less than what counts as a leap, by minutes, hours or days; rather forwards.
fn some_leap(random: &mut StdRng) -> i64 {
    let span = match random.random_range(0..10) {
        0..=2 => random.random_range(1_000..5 * MINUTE_MS),
        3..=5 => random.random_range(6 * MINUTE_MS..HOUR_MS),
        6..=7 => random.random_range(HOUR_MS..2 * DAY_MS),
        _ => random.random_range(2 * DAY_MS..100 * DAY_MS),
    };
    let forward = random.random_range(0..10) < 6;
    if forward {
        span.cast_signed()
    } else {
        -span.cast_signed()
    }
}

impl World {
    /// The present moment, in a process.
    pub(super) fn moment(&self) -> Moment {
        self.network.moment().expect("a process runs")
    }

    /// By how much the wall leaps next: often back to where it should be.
    fn next_leap(&mut self) -> i64 {
        let ahead = self.belief.ahead_ms();
        let is_far = ahead.unsigned_abs() > FAR_OFF_MS;
        if is_far || ahead != 0 && self.random.random_range(0..2) == 0 {
            -ahead
        } else {
            some_leap(&mut self.random)
        }
    }

    /// The wall of the hub's machine leaps.
    pub(super) async fn leap(&mut self, hub: &Hub) {
        let by_ms = self.next_leap();
        self.move_wall(hub, by_ms).await;
    }

    /// The wall is set right, where it is off.
    pub(super) async fn set_right(&mut self, hub: &Hub) {
        let ahead = self.belief.ahead_ms();
        if ahead != 0 {
            self.move_wall(hub, -ahead).await;
        }
    }

    async fn move_wall(&mut self, hub: &Hub, by_ms: i64) {
        let before = self.moment();
        self.belief.leap(by_ms, before);
        hub.clock().leap(by_ms);
        let after = self.moment();
        self.belief.see(after);
        self.network.leapt((before, after));
        self.note(
            before.hub,
            format!("the wall leaps by {} s: {after:?}", by_ms / 1000),
        );
        tokio::time::sleep(SWEPT).await;
        self.uncover(hub).await;
    }

    /// What happens while no process runs: mostly nothing, sometimes time passes, and the wall leaps or is set right.
    pub(super) fn be_down(&mut self) {
        let longest_ms = match self.random.random_range(0..100) {
            0..=79 => 1,
            80..=89 => 10 * MINUTE_MS,
            90..=96 => 5 * HOUR_MS,
            _ => 3 * DAY_MS,
        };
        let span = self.random.random_range(0..longest_ms);
        self.now = self.now.plus(Duration::from_millis(span));
        let off = self.belief.ahead_ms() != 0;
        let leaps = self.random.random_range(0..100) < if off { 40 } else { 6 };
        let by_ms = if leaps { self.next_leap() } else { 0 };
        self.belief.move_wall(by_ms);
        if span > 0 || by_ms != 0 {
            let what = format!(
                "down for {} s, the wall leaps by {} s",
                span / 1000,
                by_ms / 1000
            );
            self.note(self.now, what);
        }
    }

    /// What must be so of the hub's clock at every moment; and nothing was deleted for a time that is doubted.
    pub(super) fn check_time(&mut self, hub: &Hub) {
        let reader = hub.store().reader();
        let told = reader.last_time().expect("the store can be read");
        let now = self.moment();
        self.belief.check(now, told);
        if !self.belief.is_doubted() {
            return;
        }
        let sure = self.belief.ever();
        for (user, kept) in &self.kept {
            let subject = super::world::subject(user);
            for id in kept
                .iter()
                .filter(|(_, it)| it.expires > sure)
                .map(|(id, _)| id)
            {
                let number = reader
                    .number_of(&subject, *id)
                    .expect("the store can be read");
                let there =
                    number.and_then(|number| reader.notification(&subject, number).unwrap());
                let there = there.is_some_and(|it| it.removed.is_none());
                assert!(
                    there,
                    "{id} was deleted while the time was doubted, at {now:?}"
                );
            }
        }
    }
}
