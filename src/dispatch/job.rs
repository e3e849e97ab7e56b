//! What is under way for one user: which markers were taken, which endpoints are being tapped.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::sync::oneshot;

use super::{PAUSE, parked::Line};
use crate::{
    hub::Tested,
    model::{EndpointId, FeedPosition, Marker, TapState, Timestamp},
};

/// How often the pause after a failure is doubled at most.
const DOUBLED: u32 = 5;

/// The state of a user's job. One look or one close at a time; what comes meanwhile has it look again.
#[derive(Debug, Default)]
pub(super) struct Job {
    taken: Vec<Marker>,
    /// Those that a close under way takes from the outbox: a page that was read before may still hold them.
    closing: Vec<Marker>,
    pub(super) busy: HashSet<EndpointId>,
    /// Endpoints that a test is asked of, and who waits for what comes of it.
    pub(super) tests: HashMap<EndpointId, oneshot::Sender<Tested>>,
    /// When it is to be looked at again, where only time can tell.
    pub(super) wake: Option<Timestamp>,
    stepping: bool,
    again: bool,
    /// How many looks or closes in a row failed.
    pub(super) failures: u32,
    /// Whether a lane had no room for a tap of its last look.
    is_parked: bool,
    /// The lines in which it stands.
    lines: Vec<Line>,
    /// Those that the last look left out, busy as they were: each is looked at when it is free.
    left_out: HashSet<EndpointId>,
    /// What the last look left to be kept when all its taps are settled; nothing, where another has to come first.
    found: Option<Found>,
}

/// What a look leaves, beside its taps.
#[derive(Debug)]
pub(super) struct Found {
    /// Where the feed stood.
    pub(super) head: FeedPosition,
    /// When to look again at the latest.
    pub(super) next: Option<Timestamp>,
    /// What became known about endpoints that get no tap now.
    pub(super) states: Vec<(EndpointId, TapState)>,
}

/// What is settled by a close.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) taken: Vec<Marker>,
    pub(super) next: Option<Timestamp>,
    pub(super) states: Vec<(EndpointId, TapState)>,
}

impl Job {
    /// Takes a marker in; says whether it is new. One that a close writes (tag 0) may come again under the same key.
    pub(super) fn take(&mut self, marker: Marker) -> bool {
        let on_its_way_out = marker.tag != 0 && self.closing.contains(&marker);
        let is_new = !on_its_way_out && !self.taken.contains(&marker);
        if is_new {
            self.taken.push(marker);
        }
        is_new
    }

    /// Begins a look, with the endpoints to leave out; none, while another step runs.
    pub(super) fn begin_look(&mut self) -> Option<HashSet<EndpointId>> {
        if self.stepping {
            self.again = true;
            return None;
        }
        self.stepping = true;
        self.is_parked = false;
        self.found = None;
        self.left_out.clone_from(&self.busy);
        Some(self.busy.clone())
    }

    /// Notes that a tap is settled that left nothing to its endpoint of the feed up to `covers`, and what it may be
    /// due at `repeat`. Says whether that spares a look: none is under way, the last one is what the tap came of, and it
    /// saw no more.
    pub(super) fn spares_look(
        &mut self,
        endpoint: &EndpointId,
        (covers, repeat): (FeedPosition, Timestamp),
    ) -> bool {
        let left_out = self.left_out.contains(endpoint);
        let found = self.found.as_mut().filter(|found| found.head <= covers);
        match found {
            Some(found) if !self.stepping && !left_out => {
                found.next = found.next.into_iter().chain([repeat]).min();
                true
            }
            _ => false,
        }
    }

    /// Keeps what the last look left until its taps are settled.
    pub(super) fn keep(&mut self, found: Found) {
        self.found = Some(found);
    }

    /// Whether nothing is under way for it any more.
    pub(super) fn is_at_rest(&self) -> bool {
        self.busy.is_empty() && self.tests.is_empty() && self.found.is_some()
    }

    /// The endpoints whose test may leave now. One that nobody waits for any more is none.
    pub(super) fn open_tests(&mut self) -> Vec<EndpointId> {
        self.tests.retain(|_, answer| !answer.is_closed());
        let open = self.tests.keys().filter(|id| !self.busy.contains(*id));
        open.cloned().collect()
    }

    /// Tells who asked what came of a test.
    pub(super) fn answer(&mut self, endpoint: &EndpointId, tested: Tested) {
        if let Some(answer) = self.tests.remove(endpoint) {
            // Who asked may have gone away.
            let _nobody_waits = answer.send(tested);
        }
    }

    /// Notes for which lines there was no room; gives those in which it does not stand yet.
    pub(super) fn park(&mut self, full: &[Line]) -> Vec<Line> {
        self.is_parked = true;
        let mut anew = full.to_vec();
        anew.retain(|line| !self.lines.contains(line));
        self.lines.extend(anew.iter().cloned());
        anew
    }

    /// Its turn has come in a line; says whether it waits for one.
    pub(super) fn is_called(&mut self, line: &Line) -> bool {
        self.lines.retain(|other| other != line);
        self.is_parked
    }

    /// Whether it waits at a lane, which takes only so many.
    pub(super) fn is_at_a_lane(&self) -> bool {
        self.is_parked || !self.busy.is_empty()
    }

    /// Ends a look; says whether to look again.
    pub(super) fn end_look(&mut self) -> bool {
        self.stepping = false;
        std::mem::take(&mut self.again)
    }

    /// Begins to close, with what the last look left.
    pub(super) fn begin_close(&mut self) -> Closing {
        self.stepping = true;
        self.closing = std::mem::take(&mut self.taken);
        let found = self.found.take();
        let (next, states) = found.map_or((None, Vec::new()), |it| (it.next, it.states));
        Closing {
            taken: self.closing.clone(),
            next,
            states,
        }
    }

    /// Notes that a look failed or could not be closed; says how long to wait before the next.
    pub(super) fn failed(&mut self) -> Duration {
        let pause = PAUSE * (1 << self.failures.min(DOUBLED));
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// Ends a close, with the markers that it could not settle; says whether the job is done.
    pub(super) fn end_close(&mut self, unsettled: Vec<Marker>) -> bool {
        self.stepping = false;
        self.closing.clear();
        self.taken.extend(unsettled);
        let again = std::mem::take(&mut self.again);
        self.taken.is_empty() && !again && self.busy.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn phone() -> EndpointId {
        EndpointId::parse("phone").unwrap()
    }

    fn looked(head: u64, next: Option<Timestamp>) -> Job {
        let mut job = Job::default();
        job.begin_look().unwrap();
        assert!(!job.end_look());
        job.keep(Found {
            head: FeedPosition(head),
            next,
            states: Vec::new(),
        });
        job
    }

    #[test]
    fn a_tap_that_left_nothing_spares_a_look_and_brings_its_repetition() {
        let mut job = looked(7, Some(at(60)));
        assert!(job.spares_look(&phone(), (FeedPosition(7), at(900))));
        assert!(job.spares_look(&phone(), (FeedPosition(7), at(30))));
        assert!(job.is_at_rest());
        assert_eq!(job.begin_close().next, Some(at(30)));
    }

    #[test]
    fn a_look_is_not_spared_where_the_last_one_saw_more_or_another_runs() {
        let mut job = looked(8, None);
        let spares = |job: &mut Job, covers| {
            let settled = (FeedPosition(covers), at(900));
            job.spares_look(&phone(), settled)
        };
        assert!(!spares(&mut job, 7), "it saw more");
        job.begin_look().unwrap();
        assert!(!spares(&mut job, 9), "one runs");
        job.end_look();
        assert!(!spares(&mut job, 9), "a lane was full");
        assert!(!job.is_at_rest());
    }

    #[test]
    fn a_look_is_not_spared_to_whom_the_last_one_left_out() {
        let mut job = looked(7, None);
        job.busy.insert(phone());
        job.begin_look().unwrap();
        job.end_look();
        job.keep(Found {
            head: FeedPosition(7),
            next: None,
            states: Vec::new(),
        });
        job.busy.remove(&phone());
        let settled = (FeedPosition(7), at(900));
        assert!(
            !job.spares_look(&phone(), settled),
            "its time may have come"
        );
        let tablet = EndpointId::parse("tablet").unwrap();
        assert!(job.spares_look(&tablet, settled));
    }

    #[test]
    fn who_cannot_be_looked_at_is_tried_later_and_later() {
        let mut job = Job::default();
        let pauses: Vec<u64> = (0..7).map(|_| job.failed().as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 32]);
    }
}
