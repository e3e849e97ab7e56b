//! The committer: one thread that gathers the units waiting, writes them as one batch, waits for the disk once, and
//! answers all. Nothing else writes.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use tokio::sync::Notify;

use super::{
    Bells, Error, Reader, Row,
    backup::ChangeLog,
    engine::Op,
    group::Group,
    guard::{Head, HeadFile},
    keys,
    line::Line,
    renewal::Renewal,
    space::Space,
    stamps::Stamps,
    tidying::Tidying,
    work::{Request, Work},
};

/// How many units may wait; beyond, callers wait for room.
const QUEUE_UNITS: usize = 4096;

/// The committer's counters, for metrics and for the start-up check.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) commits: AtomicU64,
    pub(super) units: AtomicU64,
    pub(super) rows: AtomicU64,
    pub(super) full: AtomicBool,
    pub(super) short: AtomicBool,
    pub(super) lacking: AtomicU64,
    /// Whether a row was met that cannot be read.
    pub(super) damaged: AtomicBool,
    pub(super) failed: AtomicBool,
    pub(super) failure: Notify,
}

impl Progress {
    /// From now on nothing is written any more.
    fn fail(&self) {
        self.failed.store(true, Ordering::SeqCst);
        self.failure.notify_waiters();
    }
}

/// The way to the committer.
#[derive(Debug, Clone)]
pub(super) struct Committer {
    queue: mpsc::SyncSender<Request>,
    /// Where a simulation's committer waits, in place of the thread.
    #[cfg(test)]
    simulated: Option<tokio::sync::mpsc::UnboundedSender<Request>>,
}

pub(super) struct State {
    pub(super) reader: Reader,
    pub(super) progress: Arc<Progress>,
    pub(super) bells: Arc<Bells>,
    pub(super) stamps: Arc<Stamps>,
    pub(super) space: Space,
    pub(super) head_file: Option<HeadFile>,
    pub(super) head: Head,
    pub(super) tidying: Tidying,
    pub(super) renewal: Renewal,
    /// Where a backup that is under way wants to read what is committed.
    pub(super) log: Weak<ChangeLog>,
}

impl Committer {
    pub(super) fn start(state: State) -> Result<(Self, thread::JoinHandle<()>), Error> {
        let (queue, waiting) = mpsc::sync_channel(QUEUE_UNITS);
        let thread = thread::Builder::new()
            .name(String::from("committer"))
            .spawn(move || run(state, &waiting))
            .map_err(Error::io("cannot start the committer"))?;
        let committer = Self {
            queue,
            #[cfg(test)]
            simulated: None,
        };
        Ok((committer, thread))
    }

    /// A committer on a task of the present runtime, with a disk that takes its time: what waits is gone with the
    /// runtime, as by a kill.
    #[cfg(test)]
    pub(super) fn simulated(
        mut state: State,
        mut disk: impl FnMut() -> std::time::Duration + Send + 'static,
    ) -> Self {
        let (simulated, mut waiting) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut group = Vec::new();
            while waiting
                .recv_many(&mut group, super::line::GROUP_UNITS)
                .await
                > 0
            {
                tokio::time::sleep(disk()).await;
                let committed = state.commit(std::mem::take(&mut group));
                assert!(committed.is_ok(), "memory takes everything");
            }
        });
        let (queue, _no_thread) = mpsc::sync_channel(0);
        Self {
            queue,
            simulated: Some(simulated),
        }
    }

    /// Hands a request over; waits where the queue is full.
    pub(super) async fn send(&self, request: Request) -> Result<(), Error> {
        #[cfg(test)]
        if let Some(simulated) = &self.simulated {
            return simulated.send(request).map_err(|_| Error::Closed);
        }
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

/// Tells of a committer that ends by a panic, as of one that cannot write.
struct Alarm(Arc<Progress>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!("the committer ended badly; stopping rather than going on in doubt");
            self.0.fail();
        }
    }
}

fn run(mut state: State, waiting: &mpsc::Receiver<Request>) {
    let _alarm = Alarm(Arc::clone(&state.progress));
    let mut line = Line::default();
    while let Some(group) = line.next_group(waiting, state.pause()) {
        let done = if group.is_empty() {
            state.tidy().map(|()| Next::GoOn)
        } else {
            state.commit(group)
        };
        match done {
            Ok(Next::GoOn) => {}
            Ok(Next::Stop) => return,
            Err(error) => {
                tracing::error!(%error, "the store cannot be written; stopping rather than going on in doubt");
                state.progress.fail();
                return;
            }
        }
    }
}

enum Next {
    GoOn,
    Stop,
}

impl State {
    /// Writes those who are next; where the disk is nearly full, in several groups. An error here is the engine's, and
    /// final.
    fn commit(&mut self, requests: Vec<Request>) -> Result<Next, Error> {
        let mut waiting = VecDeque::from(requests);
        loop {
            let next = self.commit_some(&mut waiting)?;
            if waiting.is_empty() || matches!(next, Next::Stop) {
                return Ok(next);
            }
        }
    }

    /// Writes one group.
    fn commit_some(&mut self, waiting: &mut VecDeque<Request>) -> Result<Next, Error> {
        self.look();
        let mut group = Group::default();
        while let Some(request) = waiting.pop_front() {
            if !self.has_place_for(&request.work, &group) {
                waiting.push_front(request);
                break;
            }
            self.take_in(request, &mut group);
        }
        let counts = std::mem::take(&mut group.counts);
        group.ops.extend(counts.into_ops()?);
        let is_removal = |op: &&Op| matches!(op, Op::Remove(_));
        let removed_rows = group.ops.iter().filter(is_removal).count() as u64;
        if !group.ops.is_empty() {
            self.head.commits += 1;
            let rows = group.ops.len() as u64;
            self.progress.rows.fetch_add(rows, Ordering::Relaxed);
            let commits = self.head.commits.to_be_bytes().to_vec();
            group.ops.push(Op::Put(keys::meta("commits"), commits));
            self.write(std::mem::take(&mut group.ops))?;
            self.progress
                .commits
                .store(self.head.commits, Ordering::Relaxed);
            self.progress
                .units
                .fetch_add(group.units(), Ordering::Relaxed);
        }
        // Also where nothing is written, so that the last commits of a burst are guarded, too.
        if let Some(file) = &mut self.head_file {
            file.write_sometimes(self.head)?;
        }
        for request in group.accepted {
            self.answer(request);
        }
        self.space.note(group.bytes, group.let_go_bytes);
        self.tidy_for(group.bytes, removed_rows)?;
        self.renewal.note(removed_rows, group.let_go_bytes);
        self.renew()?;
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

    /// Looks at the disk, and tells of it.
    pub(super) fn look(&mut self) {
        self.space.look();
        self.space.tell();
        let (room, _) = self.space.room(0);
        self.progress.full.store(!room, Ordering::Relaxed);
        let short = self.space.is_short();
        self.progress.short.store(short, Ordering::Relaxed);
        let lacking = self.space.lacking_bytes();
        self.progress.lacking.store(lacking, Ordering::Relaxed);
    }

    pub(super) fn write(&mut self, ops: Vec<Op>) -> Result<(), Error> {
        let log = self.log.upgrade();
        if log.is_none() && !self.renewal.is_under_way() {
            return self.reader.engine.commit(ops);
        }
        self.reader.engine.commit(ops.clone())?;
        self.renewal.follow(&ops)?;
        if let Some(log) = log {
            log.note(ops);
        }
        Ok(())
    }

    fn answer(&self, request: Request) {
        let units = match &request.work {
            Work::Unit(unit) => std::slice::from_ref(unit),
            Work::Batch(batch) => &batch.units,
            Work::Look | Work::Note(_) | Work::Stop => &[],
        };
        for unit in units {
            self.stamps.note(unit);
        }
        drop(request.hold);
        for unit in units {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_committer_that_panics_is_told_of_as_one_that_cannot_write() {
        for (panics, told) in [(false, false), (true, true)] {
            let progress = Arc::new(Progress::default());
            let alarm = Alarm(Arc::clone(&progress));
            let ended = thread::spawn(move || {
                let _alarm = alarm;
                assert!(!panics, "as a test wants it");
            });
            assert_eq!(ended.join().is_err(), panics);
            assert_eq!(progress.failed.load(Ordering::SeqCst), told);
        }
    }
}
