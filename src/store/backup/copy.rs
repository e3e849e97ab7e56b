//! Takes a backup: bytes for whoever writes them, in pieces, on a thread of its own.

use std::{
    ops::Bound,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{OwnedMutexGuard, mpsc, oneshot};

use super::{ChangeLog, Header, format::Encoder};
use crate::{
    model::Timestamp,
    store::{
        Error, Store,
        commit::Committer,
        engine::{Engine, Op},
        identity,
        work::{Request, Work},
    },
};

/// How many rows are read at once, and how many bytes a frame holds at most but for its last row.
const SLICE_ROWS: usize = 256;
const FRAME_BYTES: u64 = 128 * 1024;
/// How many pieces may wait to be written.
const PIECES: usize = 4;
/// How long the reading rests after a slice, as a part of how long that took: so that it takes no more than about half
/// of one processor from the requests.
const REST: u32 = 1;

/// A backup on its way: its bytes, piece by piece. To let go of it ends it.
#[derive(Debug)]
pub struct Backup(mpsc::Receiver<Vec<u8>>);

impl Backup {
    /// The next bytes; none after the last. Whether they make a whole backup, [`super::check`] says.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        self.0.recv().await
    }
}

/// Why no more is written.
enum End {
    /// Nobody takes the bytes any more.
    Gone,
    /// It cannot be finished.
    GivenUp(String),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::GivenUp(error.to_string())
    }
}

impl Store {
    /// Begins a backup of all that is kept; `now` is written into it.
    ///
    /// # Errors
    /// `BackingUp` where one is under way; `Closed` where the store has stopped.
    pub async fn backup(&self, now: Timestamp) -> Result<Backup, Error> {
        let turn = Arc::clone(&self.backing_up)
            .try_lock_owned()
            .map_err(|_| Error::BackingUp)?;
        let log = Arc::new(ChangeLog::default());
        let note = Work::Note(Arc::downgrade(&log));
        self.hand_over(note, Vec::new()).await?;
        let (pieces, taken) = mpsc::channel(PIECES);
        let copy = Copy {
            engine: Arc::clone(&self.reader.engine),
            committer: self.committer.clone(),
            log,
            pieces,
            _turn: turn,
        };
        let header = Header {
            format: identity::FORMAT,
            epoch: self.epoch(),
            commits: self.stats().commits,
            taken: now,
        };
        tokio::task::spawn_blocking(move || copy.run(&header));
        Ok(Backup(taken))
    }
}

struct Copy {
    engine: Arc<Engine>,
    committer: Committer,
    log: Arc<ChangeLog>,
    pieces: mpsc::Sender<Vec<u8>>,
    _turn: OwnedMutexGuard<()>,
}

impl Copy {
    fn run(self, header: &Header) {
        let (mut encoder, head) = Encoder::begin(header);
        let ended = self.send(head).and_then(|()| self.all(&mut encoder));
        if let Err(End::GivenUp(why)) = ended {
            tracing::error!(%why, "a backup was given up");
            // Who takes it sees that its end is missing, if not why.
            let _ = self.send(encoder.given_up(&why));
        }
    }

    fn all(&self, encoder: &mut Encoder) -> Result<(), End> {
        let mut from = Bound::Unbounded;
        loop {
            let began = Instant::now();
            let rows = self.engine.slice(from, (SLICE_ROWS, FRAME_BYTES))?;
            let Some(Op::Put(last, _)) = rows.last() else {
                break;
            };
            from = Bound::Excluded(last.clone());
            self.send(encoder.rows(&rows))?;
            self.changes(encoder)?;
            std::thread::sleep((began.elapsed() * REST).min(Duration::from_millis(20)));
        }
        // What was being committed when the last row was read is noted once the committer answers.
        self.wait_for_the_committer()?;
        self.changes(encoder)?;
        self.send(encoder.end())
    }

    fn changes(&self, encoder: &mut Encoder) -> Result<(), End> {
        let noted = self.log.take().map_err(|_| {
            End::GivenUp(String::from(
                "the hub writes faster than the backup is taken; take it at a quieter time or to a faster disk",
            ))
        })?;
        let mut rest = &noted[..];
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = rest.iter().take_while(|op| {
                bytes += op.bytes();
                bytes <= FRAME_BYTES
            });
            let (frame, others) = rest.split_at(fits.count().max(1));
            self.send(encoder.changes(frame))?;
            rest = others;
        }
        Ok(())
    }

    fn wait_for_the_committer(&self) -> Result<(), End> {
        let (answer, answered) = oneshot::channel();
        self.committer.send_blocking(Request {
            at_leisure: false,
            work: Work::Look,
            hold: Vec::new(),
            answer,
        })?;
        answered.blocking_recv().map_err(|_| Error::Closed)??;
        Ok(())
    }

    fn send(&self, piece: Vec<u8>) -> Result<(), End> {
        self.pieces.blocking_send(piece).map_err(|_| End::Gone)
    }
}
