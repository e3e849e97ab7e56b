//! The committer: one thread that gathers the units waiting, writes them as one batch, waits for the disk once, and
//! answers all. Nothing else writes.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use tokio::sync::{Notify, OwnedMutexGuard, oneshot};

use super::{
    AppRow, Bells, Error, Row, Unit,
    engine::{Engine, Op},
    guard::{Head, HeadFile, Space},
    keys,
    records::Record,
    rows,
};
use crate::model::{Subject, User};

/// How many units one group takes at most; more would make the first of them wait for too long.
const GROUP_UNITS: usize = 512;
/// How many units may wait; beyond, callers wait for room.
const QUEUE_UNITS: usize = 4096;

/// What is to be committed.
pub(super) enum Work {
    Unit(Unit),
    App(AppRow),
    /// Writes nothing; has the committer look at the disk's room.
    Look,
    /// Answers once all before it is done; the committer then ends.
    Stop,
}

pub(super) struct Request {
    pub(super) work: Work,
    /// The locks that the plan was made under, held until the disk has answered even if the caller has gone away.
    pub(super) hold: Vec<OwnedMutexGuard<()>>,
    pub(super) answer: oneshot::Sender<Result<(), Error>>,
}

/// The committer's counters, for metrics and for the start-up check.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) commits: AtomicU64,
    pub(super) units: AtomicU64,
    pub(super) full: AtomicBool,
    pub(super) failed: AtomicBool,
    pub(super) failure: Notify,
}

/// The way to the committer.
#[derive(Debug, Clone)]
pub(super) struct Committer {
    queue: mpsc::SyncSender<Request>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Request")
    }
}

pub(super) struct State {
    pub(super) engine: Arc<Engine>,
    pub(super) progress: Arc<Progress>,
    pub(super) bells: Arc<Bells>,
    pub(super) space: Space,
    pub(super) head_file: Option<HeadFile>,
    pub(super) head: Head,
}

impl Committer {
    pub(super) fn start(state: State) -> Result<(Self, thread::JoinHandle<()>), Error> {
        let (queue, waiting) = mpsc::sync_channel(QUEUE_UNITS);
        let thread = thread::Builder::new()
            .name(String::from("committer"))
            .spawn(move || run(state, &waiting))
            .map_err(Error::io("cannot start the committer"))?;
        Ok((Self { queue }, thread))
    }

    /// Hands a request over; waits where the queue is full.
    pub(super) async fn send(&self, request: Request) -> Result<(), Error> {
        match self.queue.try_send(request) {
            Ok(()) => Ok(()),
            Err(mpsc::TrySendError::Disconnected(_)) => Err(Error::Closed),
            Err(mpsc::TrySendError::Full(request)) => {
                let queue = self.queue.clone();
                tokio::task::spawn_blocking(move || queue.send(request).map_err(|_| Error::Closed))
                    .await
                    .map_err(|_| Error::Closed)?
            }
        }
    }

    pub(super) fn send_blocking(&self, request: Request) -> Result<(), Error> {
        self.queue.send(request).map_err(|_| Error::Closed)
    }
}

fn run(mut state: State, waiting: &mpsc::Receiver<Request>) {
    while let Ok(first) = waiting.recv() {
        let mut group = vec![first];
        while group.len() < GROUP_UNITS
            && let Ok(next) = waiting.try_recv()
        {
            group.push(next);
        }
        match state.commit(group) {
            Ok(Next::GoOn) => {}
            Ok(Next::Stop) => return,
            Err(error) => {
                tracing::error!(%error, "the store cannot be written; stopping rather than going on in doubt");
                state.progress.failed.store(true, Ordering::SeqCst);
                state.progress.failure.notify_waiters();
                return;
            }
        }
    }
}

enum Next {
    GoOn,
    Stop,
}

/// What a group has gathered so far.
#[derive(Default)]
struct Group {
    ops: Vec<Op>,
    bytes: u64,
    planned_on: HashSet<Subject>,
    accepted: Vec<Request>,
    stop: Option<Request>,
}

impl State {
    /// Writes one group. An error here is the engine's, and final.
    fn commit(&mut self, requests: Vec<Request>) -> Result<Next, Error> {
        self.space.look();
        let (room, _) = self.space.room(0);
        self.progress.full.store(!room, Ordering::Relaxed);
        let mut group = Group::default();
        for request in requests {
            self.take_in(request, &mut group);
        }
        if !group.ops.is_empty() {
            self.head.commits += 1;
            let commits = self.head.commits.to_be_bytes().to_vec();
            group.ops.push(Op::Put(keys::meta("commits"), commits));
            self.engine.commit(std::mem::take(&mut group.ops))?;
            self.progress
                .commits
                .store(self.head.commits, Ordering::Relaxed);
            self.progress
                .units
                .fetch_add(group.accepted.len() as u64, Ordering::Relaxed);
            if let Some(file) = &mut self.head_file {
                file.write_sometimes(self.head)?;
            }
        }
        for request in group.accepted {
            self.answer(request);
        }
        match group.stop {
            None => Ok(Next::GoOn),
            Some(request) => {
                if let Some(file) = &mut self.head_file {
                    file.write(self.head)?;
                }
                let _asker_may_be_gone = request.answer.send(Ok(()));
                Ok(Next::Stop)
            }
        }
    }

    fn take_in(&self, request: Request, group: &mut Group) {
        let room = self.space.room(group.bytes);
        let planned = match &request.work {
            Work::Stop => {
                group.stop = Some(request);
                return;
            }
            Work::Look => Ok(Vec::new()),
            Work::App(row) if room.1 => rows::app_op(row).map(|op| vec![op]),
            Work::Unit(unit) if room.0 || (room.1 && !unit.brings_content()) => self
                .check(unit, &mut group.planned_on)
                .and_then(|()| rows::ops_of(unit)),
            Work::App(_) | Work::Unit(_) => Err(Error::Full),
        };
        match planned {
            Ok(ops) => {
                group.bytes += ops.iter().map(Op::bytes).sum::<u64>();
                group.ops.extend(ops);
                group.accepted.push(request);
            }
            Err(error) => {
                let _asker_may_be_gone = request.answer.send(Err(error));
            }
        }
    }

    /// Whether the feed still stands where the plan saw it.
    fn check(&self, unit: &Unit, planned_on: &mut HashSet<Subject>) -> Result<(), Error> {
        let Some(expected) = unit.expects else {
            return Ok(());
        };
        let key = keys::user(&keys::user_key(&unit.subject));
        let head = match self.engine.get(&key)? {
            Some(bytes) => User::decode(&bytes)?.head,
            None => User::new(unit.subject.clone()).head,
        };
        if head == expected && planned_on.insert(unit.subject.clone()) {
            Ok(())
        } else {
            Err(Error::Conflict)
        }
    }

    fn answer(&self, request: Request) {
        drop(request.hold);
        if let Work::Unit(unit) = &request.work {
            let due = unit.rows.iter().filter_map(|row| match row {
                Row::Marker(marker) => Some(marker.due),
                _ => None,
            });
            if let Some(due) = due.min() {
                self.bells.ring_outbox(due);
            }
            if unit.expects.is_some() {
                self.bells.ring_feed(&unit.subject);
            }
        }
        let _asker_may_be_gone = request.answer.send(Ok(()));
    }
}
