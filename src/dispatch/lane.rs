//! A lane: the way of one app's pushes to one service (and, where channels name their own hosts, one host). Lanes are
//! bounded and know nothing of each other, so that a slow one holds up no other.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::{JoinError, JoinHandle, JoinSet},
    time::Instant,
};
use uuid::Uuid;

use super::{
    chance,
    circuit::Hold,
    compose,
    freed::{Freed, Freeing, Left},
    gate::{Demands, Gate, Pass},
    lanes::LaneKey,
    load::Load,
    pace::Pace,
    parked::Line,
    push_id::push_id,
    queue::{Entrance, Exit, queue},
    retry, worn,
};
use crate::{
    config::apps::App,
    hub::{self, DueTap, Hub, Tested, due},
    metrics::{Metrics, PushLabels},
    model::{Channel, Passing, Push, TapKind, TapState, Timestamp},
    push::{
        Adapter,
        message::Message,
        outcome::{Outcome, Verdict},
    },
};

/// How many taps may wait in a lane for each that is under way, and as many that go ahead; those beyond stay in the
/// outbox.
const QUEUE: usize = 8;
/// How many may be settled at a time for each that is under way: they wait for the disk together.
const UNSETTLED: usize = 4;
/// How long settling waits for room on the disk before it asks again.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// What all pushes of a lane share.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) hub: Hub,
    pub(super) metrics: Metrics,
    pub(super) app: Arc<App>,
    pub(super) adapter: Arc<Adapter>,
    pub(super) freed: mpsc::UnboundedSender<Freed>,
    pub(super) gate: Gate,
    pub(super) pace: Arc<Pace>,
    pub(super) key: Arc<LaneKey>,
    /// Whether the service ever took a push of it.
    pub(super) taken: AtomicBool,
}

/// A running lane.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) app: Arc<App>,
    pub(super) key: Arc<LaneKey>,
    way: Arc<Way>,
    queue: Entrance,
    task: JoinHandle<()>,
}

impl Lane {
    pub(super) fn start(way: Way, load: &Load) -> Self {
        let (queue, waiting) = queue();
        let (app, key) = (Arc::clone(&way.app), Arc::clone(&way.key));
        let way = Arc::new(way);
        load.add_lane(&way.pace, queue.counted());
        let task = tokio::spawn(run(Arc::clone(&way), waiting));
        Self {
            app,
            key,
            way,
            queue,
            task,
        }
    }

    /// What the services at its end demanded of everyone, if they are reached as by `adapter`.
    pub(super) fn demands(&self, adapter: &Arc<Adapter>) -> Demands {
        if Arc::ptr_eq(&self.way.adapter, adapter) {
            self.way.gate.demands(self.way.hub.now())
        } else {
            Demands::new()
        }
    }

    /// How many taps of each line may wait in it, and as many users for it.
    pub(super) fn room(&self) -> usize {
        QUEUE * self.way.hub.delivery().concurrency
    }

    /// One of its two lines.
    pub(super) fn line(&self, ahead: bool) -> Line {
        Line {
            lane: Arc::clone(&self.key),
            ahead,
        }
    }

    /// Whether it takes one more user's taps that go ahead, or that do not.
    pub(super) fn has_room(&self, ahead: bool) -> bool {
        self.queue.waiting(ahead) < self.room()
    }

    /// Whether it is to be waited for at all.
    pub(super) fn is_slow(&self) -> bool {
        self.way.pace.is_slow()
    }

    /// Whether the service at its end ever took a push of it.
    pub(super) fn has_taken(&self) -> bool {
        self.way.taken.load(Ordering::Relaxed)
    }

    /// Whether another may have its place: it has nothing to do, and knows nothing that another would have to.
    pub(super) fn may_end(&self, now: Timestamp) -> bool {
        // Each push under way holds on to the way, as its task and this do.
        let idle = Arc::strong_count(&self.way) <= 2;
        let empty = self.queue.waiting(true) == 0 && self.queue.waiting(false) == 0;
        idle && empty && self.way.gate.is_forgettable(self.has_taken(), now)
    }

    /// Takes a tap; says whether it did, which it does until it ends.
    pub(super) fn take(&self, due: DueTap) -> bool {
        self.queue.take(due)
    }

    /// Puts off what it has no room for, so that nothing of it stays in memory.
    pub(super) fn put_off(&self, channel: &Channel, now: Timestamp) -> Hold {
        self.way.gate.hold(channel, now)
    }

    /// Takes no more taps, and waits for those under way at most until `deadline`.
    pub(super) async fn finish(self, deadline: tokio::time::Instant) {
        drop((self.queue, self.way));
        let mut task = self.task;
        if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
            // What was under way is unsettled and stays due.
            task.abort();
        }
    }
}

async fn run(way: Arc<Way>, mut waiting: Exit) {
    let concurrency = way.hub.delivery().concurrency;
    let places = Arc::new(Semaphore::new(concurrency));
    let mut under_way = JoinSet::new();
    loop {
        while under_way.len() >= concurrency * UNSETTLED {
            log_ended(under_way.join_next().await);
        }
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        // Not before there is a place: who leaves next may have come meanwhile.
        let Some(due) = waiting.next().await else {
            break;
        };
        while let Some(ended) = under_way.try_join_next() {
            log_ended(Some(ended));
        }
        under_way.spawn(push(Arc::clone(&way), due, place));
    }
    while let Some(ended) = under_way.join_next().await {
        log_ended(Some(ended));
    }
}

fn log_ended(ended: Option<Result<(), JoinError>>) {
    if let Some(Err(error)) = ended {
        tracing::error!(%error, "a push failed by a fault of ours; it stays due");
    }
}

async fn push(way: Arc<Way>, due: Box<DueTap>, place: OwnedSemaphorePermit) {
    let is_test = due.tap.kind == TapKind::Test;
    let failed = if is_test {
        Left::Tested(Tested::unsent(
            "the test failed by a fault of ours; see the hub's log",
        ))
    } else {
        Left::Unkept
    };
    let mut freeing = Freeing {
        to: way.freed.clone(),
        freed: Some(Freed {
            subject: due.subject.clone(),
            endpoint: due.level.endpoint.id.clone(),
            lane: Arc::clone(&way.key),
            left: failed,
        }),
    };
    let left = if is_test {
        Left::Tested(Box::pin(way.test(&due)).await)
    } else {
        way.push(&due, place).await
    };
    if let Some(freed) = &mut freeing.freed {
        freed.left = left;
    }
}

impl Way {
    /// Sends one tap and keeps what became of it; says what it leaves to be done. Its place is another's as soon as the
    /// service has answered.
    async fn push(&self, due: &DueTap, place: OwnedSemaphorePermit) -> Left {
        if due.tap.kind == TapKind::Fallback {
            // What was fetched in time may not be written down yet.
            let endpoint = &due.level.endpoint.id;
            Box::pin(self.hub.pages_are_known(&due.subject, endpoint)).await;
        }
        let now = self.hub.now();
        let proven = due.state.tapped_at > Timestamp::default();
        let pass = match self.gate.admit(&due.level.endpoint.channel, proven, now) {
            Ok(pass) => pass,
            Err(hold) => return self.keep(due, retry::held(due, hold, now), None).await,
        };
        match self.hub.still_due(due) {
            Ok(true) => {}
            Ok(false) => return Left::Unknown,
            Err(error) => {
                tracing::error!(%error, "a tap cannot be looked at again before it leaves");
                return Left::Unkept;
            }
        }
        let Some((message, size_bytes)) =
            compose::compose(due, &self.app, self.hub.delivery(), now)
        else {
            return Left::Unknown;
        };
        // The service checks credentials by a clock of its own.
        let wall = self.hub.clock().wall();
        let outcome = self.send(due, &message, (push_id(due), wall), &pass).await;
        drop((pass, place));
        let now = self.hub.now();
        if outcome.verdict == Verdict::Held {
            let hold = self.gate.hold(&due.level.endpoint.channel, now);
            // Where the lane has yet to learn of it.
            let answer = hold.answer.or(Some(outcome.answer));
            let hold = Hold { answer, ..hold };
            return self.keep(due, retry::held(due, hold, now), None).await;
        }
        let chance = (size_bytes, chance::throw());
        let settled = retry::next(due, &outcome, chance, self.hub.delivery(), now);
        self.keep(due, settled.state, settled.push).await
    }

    /// Sends one message, and has the lane learn from what became of it.
    pub(super) async fn send(
        &self,
        due: &DueTap,
        message: &Message,
        (id, now): (Uuid, Timestamp),
        pass: &Pass<'_>,
    ) -> Outcome {
        let began = Instant::now();
        let channel = &due.level.endpoint.channel;
        self.pace.asked();
        let outcome = self.adapter.send(channel, message, id, now).await;
        let registered = due.level.endpoint.registered;
        let outcome = comparable(outcome, registered, now);
        let (mut outcome, heard) = worn::of_channel(due, outcome, self.hub.now());
        let guarded = self.gate.guarded(&mut outcome, registered).await;
        let took = began.elapsed();
        self.pace.answered(took);
        // What has never left is no push.
        if outcome.verdict != Verdict::Held || outcome.again.is_some() {
            self.note(due, &outcome, took);
        }
        pass.learn(heard.as_ref().unwrap_or(&outcome), guarded)
            .await;
        outcome
    }

    /// Keeps what became of a tap, and says what it leaves to be done. Where the disk is full it waits for room, with
    /// the endpoint held: what was shown once must not be shown again only because that cannot be written down.
    pub(super) async fn keep(&self, due: &DueTap, state: TapState, push: Option<Push>) -> Left {
        let accepted = push.as_ref().is_some_and(|push| push.accepted);
        loop {
            match self.hub.settle(due, state.clone(), push.clone()).await {
                // A fallback that has come due waits for its turn, for which somebody has to look.
                Ok(true) if accepted && state.fallbacks.is_empty() => {
                    return Left::Nothing {
                        covers: due.tap.covers,
                        repeat: due::retap_at(&state, self.hub.delivery(), self.hub.now()),
                    };
                }
                Ok(_) => return Left::Unknown,
                Err(hub::Error::Store(store_error)) if store_error.is_full() => {
                    tracing::debug!("what became of a push waits for room on the disk");
                    tokio::time::sleep(FULL_PAUSE).await;
                }
                Err(error) => {
                    tracing::error!(%error, "what became of a push cannot be kept; it stays due");
                    return Left::Unkept;
                }
            }
        }
    }

    fn note(&self, due: &DueTap, outcome: &Outcome, took: Duration) {
        let service = due.level.endpoint.channel.kind().as_str();
        let verdict = outcome.verdict.as_str();
        if let Some(again) = outcome.again {
            self.metrics.push_again(PushLabels {
                service,
                outcome: again.as_str(),
            });
        }
        self.metrics.push(
            PushLabels {
                service,
                outcome: verdict,
            },
            took,
        );
        let answer = &outcome.answer;
        let (status, reason) = (answer.status, answer.code());
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        match outcome.verdict {
            Verdict::Accepted => {
                self.taken.store(true, Ordering::Relaxed);
                if let Some(since) = owed_since(due) {
                    self.metrics.owed_to_push(self.hub.now().since(since));
                }
                tracing::debug!(service, status, took_ms, "push accepted");
            }
            Verdict::Rejected => tracing::error!(service, status, reason, "push refused as wrong"),
            _ => tracing::info!(service, status, reason, verdict, "push not accepted"),
        }
    }
}

/// Since when the device was owed what the tap is the first to tell it of. Nothing, where it repeats what was told, or is
/// a test.
fn owed_since(due: &DueTap) -> Option<Timestamp> {
    let tells = due.tap.kind != TapKind::Test && due.tap.covers > due.state.tapped;
    tells.then(|| due.tap.since.max(due.level.endpoint.registered))
}

/// What a service says of when a channel died is compared with when it was registered, but for a registration in a time
/// that, to the service, has not come: the hub's clock had leapt. A channel that was registered since may be alive; one
/// that its service goes on to call dead for days is given up all the same.
fn comparable(mut outcome: Outcome, registered: Timestamp, wall: Timestamp) -> Outcome {
    if let Verdict::Gone { since } = &mut outcome.verdict {
        *since = since.filter(|_| registered <= wall);
        if since.is_some_and(|since| since < registered) {
            outcome.passing = Some(Passing::Invalid);
        }
    }
    outcome
}

#[cfg(test)]
#[path = "lane_tests.rs"]
mod tests;
