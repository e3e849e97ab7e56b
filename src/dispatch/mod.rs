//! The outgoing door: takes markers from the outbox, has the hub decide who is due a tap, hands the taps to their
//! lanes, and closes each look when they are settled.
//!
//! The bell and the time wake it; a step reads the outbox and is safe to run twice. What is under way is known in
//! memory alone: after a crash the markers are still there, and everything that was not settled is due again.

mod bodies;
pub(crate) mod chance;
mod circuit;
mod claim;
mod compose;
mod freed;
mod gate;
mod guard;
mod handing;
mod job;
mod jobs;
mod lane;
mod lanes;
mod load;
mod odd;
mod pace;
mod parked;
mod push_id;
mod queue;
mod retry;
mod signal;
mod test_tap;
mod timers;
mod told;
mod vapid;
mod worn;

use std::{collections::BTreeSet, time::Duration};

use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub use lanes::adapter;
pub use load::{Held, Load};
pub use vapid::VapidKeys;

use freed::Freed;
use handing::hand_over;
use job::{Closing, Found, Job};
use jobs::Jobs;
use lanes::Lanes;
use parked::Parked;
use told::Told;

use crate::{
    hub::{Error, Hub, Look, LookAt, TestRequest},
    metrics::Metrics,
    model::{Marker, Subject, TapKind, Timestamp},
    push::Resolver,
};

/// How many users who wait at no lane are claimed at the same time, for each push that a lane may have under way; the rest
/// wait in the outbox.
const JOBS: usize = 64;
/// The most of them, whatever the lanes may do.
const MAX_JOBS: usize = 16 * 1024;
/// How many users are looked at in one go at most.
const LOOKS: usize = 32;
/// How many markers are read at once.
const PAGE: usize = 512;
/// How long a failed look waits.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a user waits in the line of a full lane who is not called.
const UNCALLED: Duration = Duration::from_secs(5);

/// The dispatcher of one hub.
#[derive(Debug)]
pub struct Dispatcher {
    hub: Hub,
    lanes: Lanes,
    freed: mpsc::UnboundedReceiver<Freed>,
    /// Tests asked for; none, where another dispatcher of the hub has them.
    tests: Option<mpsc::Receiver<TestRequest>>,
    /// Whether nothing else is to be sent.
    tests_alone: bool,
    jobs: Jobs,
    parked: Parked,
    max_jobs: usize,
    /// Jobs to be looked at again when the time has come.
    timers: BTreeSet<(Timestamp, Subject)>,
    /// Who is to be looked at before it sleeps.
    looks: Vec<LookAt>,
    steps: JoinSet<Stepped>,
    /// Markers due before this were read, but for those that the bell announces.
    read_up_to: Timestamp,
    /// Of when to when markers are yet to be taken before they are due.
    early: Option<(Timestamp, Timestamp)>,
    next_due: Option<Timestamp>,
    /// Looks that failed, or could not be closed.
    failed: Told,
    load: Load,
}

/// A background step that ended.
#[derive(Debug)]
enum Stepped {
    Looked(Vec<(Subject, Result<Look, Error>)>),
    Closed(Subject, Result<(), Error>, Unclosed),
}

/// What a close that fails leaves.
#[derive(Debug)]
struct Unclosed {
    taken: Vec<Marker>,
    next: Option<Timestamp>,
}

impl Dispatcher {
    /// A dispatcher; it does nothing until it is run. `ways` is what its ways to the push services share: the apps' Web Push
    /// keys, and who looks up the services' names.
    pub fn new(hub: Hub, metrics: Metrics, ways: (VapidKeys, Resolver)) -> Self {
        let (free, freed) = mpsc::unbounded_channel();
        let max_jobs = hub
            .delivery()
            .concurrency
            .saturating_mul(JOBS)
            .min(MAX_JOBS);
        let load = Load::default();
        Self {
            lanes: Lanes::new(hub.clone(), metrics, ways, (free, load.clone())),
            tests: hub.take_tests(),
            tests_alone: false,
            hub,
            freed,
            jobs: Jobs::default(),
            parked: Parked::default(),
            max_jobs,
            timers: BTreeSet::new(),
            looks: Vec::new(),
            steps: JoinSet::new(),
            read_up_to: Timestamp::default(),
            early: None,
            next_due: None,
            failed: Told::default(),
            load,
        }
    }

    /// Tells how much it holds, also while it runs.
    pub fn load(&self) -> Load {
        self.load.clone()
    }

    /// Works until `stop`; then finishes what is under way, at most for `grace`.
    pub async fn run(mut self, stop: CancellationToken, grace: Duration) {
        self.hub.begin_sending();
        self.begin_anew().await;
        while self.wait_and_step(&stop).await {}
        self.finish(grace).await;
    }

    /// Sends the tests that the hub is asked for, and nothing else, until `stop`: for a hub that does not run.
    pub async fn run_tests(mut self, stop: CancellationToken, grace: Duration) {
        self.tests_alone = true;
        while self.wait_and_step(&stop).await {}
        self.finish(grace).await;
    }

    async fn finish(mut self, grace: Duration) {
        self.lanes.finish(tokio::time::Instant::now() + grace).await;
        self.steps.shutdown().await;
    }

    /// Waits for what comes first and does it; says whether to go on.
    async fn wait_and_step(&mut self, stop: &CancellationToken) -> bool {
        self.begin_looks();
        self.load.note(Held {
            jobs: self.jobs.len(),
            claimed: self.jobs.claimed(),
            timers: self.timers.len(),
            steps: self.steps.len(),
            lanes: self.lanes.len(),
        });
        let may_claim = self.jobs.claimed() < self.max_jobs && !self.tests_alone;
        let timer = self.timers.first().map(|(at, _)| *at);
        let due = self.next_due.filter(|_| may_claim);
        let wake = timer.into_iter().chain(due).min();
        let hub = self.hub.clone();
        // In this order, so that what is under way ends before more is begun, and a run can be repeated.
        tokio::select! {
            biased;
            () = stop.cancelled() => return false,
            Some(stepped) = self.steps.join_next(), if !self.steps.is_empty() => match stepped {
                Ok(stepped) => self.stepped(stepped),
                Err(error) => tracing::error!(%error, "a step of the dispatcher failed"),
            },
            Some(freed) = self.freed.recv() => self.free(freed),
            Some(request) = test_tap::next(&mut self.tests) => self.test(request),
            () = hub.reconfigured(), if !self.tests_alone => self.begin_anew().await,
            () = hub.lane_resumed(), if !self.tests_alone => self.take_up_again().await,
            () = hub.clock().sleep_until(wake.unwrap_or(Timestamp::MAX)), if wake.is_some() => {
                self.ring_timers();
                if may_claim {
                    self.claim().await;
                }
            }
            () = hub.store().bells().outbox(), if may_claim => self.claim().await,
        }
        true
    }

    fn look(&mut self, subject: &Subject) {
        let begins = self.jobs.change(subject, |job| {
            let busy = job.begin_look()?;
            Some((busy, job.open_tests()))
        });
        if let Some((busy, tests)) = begins.flatten() {
            self.looks.push(LookAt {
                subject: subject.clone(),
                busy,
                tests,
            });
        }
    }

    fn begin_looks(&mut self) {
        while !self.looks.is_empty() {
            let some = self.looks.drain(..LOOKS.min(self.looks.len())).collect();
            let hub = self.hub.clone();
            self.steps
                .spawn(async move { Stepped::Looked(hub.look_at(some).await) });
        }
    }

    fn stepped(&mut self, stepped: Stepped) {
        match stepped {
            Stepped::Looked(looks) => {
                for (subject, look) in looks {
                    self.ended(subject, look);
                }
            }
            Stepped::Closed(subject, closed, left) => self.closed(subject, closed, left),
        }
    }

    fn ended(&mut self, subject: Subject, look: Result<Look, Error>) {
        match look {
            Ok(look) => self.looked(subject, look),
            Err(error) => {
                self.jobs.change(&subject, |job| job.end_look());
                self.try_again(subject, &error, None);
            }
        }
    }

    fn looked(&mut self, subject: Subject, mut look: Look) {
        let now = self.hub.now();
        if self.tests_alone {
            look.taps.retain(|due| due.tap.kind == TapKind::Test);
        }
        let (lanes, parked) = (&mut self.lanes, &mut self.parked);
        let done = self.jobs.change(&subject, |job| {
            let again = job.end_look();
            let full = hand_over((lanes, parked), job, &mut look, now);
            if full.is_empty() {
                job.keep(Found {
                    head: look.head,
                    next: look.next,
                    states: look.states,
                });
            } else {
                // The job stays, so that waiting for the lane writes nothing.
                look.next = look.next.into_iter().chain([now.plus(UNCALLED)]).min();
                for line in job.park(&full) {
                    parked.push(line, subject.clone());
                }
            }
            (again, job.is_at_rest(), look.next)
        });
        let Some((again, at_rest, next)) = done else {
            return;
        };
        if again {
            self.look(&subject);
        } else if at_rest {
            self.close(subject);
        } else if let Some(at) = next {
            self.wake_at(subject, at);
        }
    }

    fn close(&mut self, subject: Subject) {
        if self.tests_alone {
            self.end(&subject);
            return;
        }
        let Some(closing) = self.jobs.change(&subject, |job| job.begin_close()) else {
            return;
        };
        let Closing {
            taken,
            next,
            states,
        } = closing;
        let hub = self.hub.clone();
        self.steps.spawn(async move {
            let closed = hub
                .close_look(subject.clone(), taken.clone(), next, states)
                .await;
            Stepped::Closed(subject, closed, Unclosed { taken, next })
        });
    }

    fn closed(&mut self, subject: Subject, closed: Result<(), Error>, left: Unclosed) {
        match closed {
            Ok(()) => {
                let is_done = self.jobs.change(&subject, |job| {
                    job.failures = 0;
                    job.end_close(Vec::new())
                });
                match is_done {
                    Some(true) => self.end(&subject),
                    Some(false) => self.look(&subject),
                    None => {}
                }
            }
            Err(error) => {
                self.jobs.change(&subject, |job| job.end_close(left.taken));
                self.try_again(subject, &error, left.next);
            }
        }
    }

    /// Looks again at a user whose look failed or could not be closed: later and later, but not after `next`, when it is
    /// due by itself.
    fn try_again(&mut self, subject: Subject, error: &Error, next: Option<Timestamp>) {
        tracing::debug!(%error, "a look at a user is to be done again");
        if let Some(looks) = self.failed.again() {
            tracing::error!(%error, looks, "looks at users cannot be kept; they are done again");
        }
        let now = self.hub.now();
        let pause = self.jobs.change(&subject, Job::failed).unwrap_or(PAUSE);
        let next = next.map(|next| next.max(now.plus(PAUSE)));
        let at = next.into_iter().chain([now.plus(pause)]).min();
        self.wake_at(subject, at.unwrap_or(now));
    }
}
