//! What is kept, in the hub's words: domain questions, and [`Store::commit`]. When that returns, the unit is on disk.
//!
//! No type of the engine leaves this room, and nothing above it assumes a key-value store. Questions run beside the
//! writing; each sees whole units only.

mod audit;
pub mod backup;
mod bells;
mod broadcasts;
mod caught;
mod codec;
mod commit;
mod compact;
mod credentials;
mod damage;
mod endpoints;
mod engine;
mod erasures;
mod error;
mod expiry;
mod feed;
mod figures;
mod fresh;
mod group;
mod guard;
mod identity;
mod ids;
mod keys;
mod line;
mod notifications;
mod outbox;
mod parts;
mod patience;
mod records;
mod renewal;
mod restore;
mod revived;
mod rows;
mod shared;
#[cfg(test)]
mod simulated;
mod space;
mod stamps;
mod swap;
mod tidying;
mod unit;
mod verify;
mod work;
mod writing;

use std::{
    ops::{Bound, ControlFlow},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::Ordering},
    thread::JoinHandle,
    time::Instant,
};

use tokio::sync::oneshot;

pub use audit::ActsOf;
pub use bells::{Bells, FeedBell};
pub use broadcasts::{Turn, list_rows};
pub use compact::{Compacted, compact};
pub use erasures::{ActsFound, pseudonym};
pub use error::Error;
pub use expiry::{AppExpired, Expired, Over};
pub use feed::{Feed, Told};
pub use figures::Held;
pub use outbox::{Depth, FirstMarkers};
pub use records::Standing;
pub use restore::{Restore, Restored, restore};
pub use revived::Revived;
pub use stamps::Stamp;
pub use unit::{AppRow, Batch, Expiring, LEFT_BY_AN_ENDPOINT, Row, Unit};
pub use verify::Finding;
pub use writing::Submitted;

#[cfg(test)]
pub(crate) use simulated::Rows;

use commit::{Committer, Progress};
use engine::{Engine, Order};
use guard::{FolderLock, HeadFile};
use identity::Identity;
use ids::Ids;
use patience::Patience;
use space::Space;
use stamps::Stamps;
use work::{Request, Work};

use crate::model::Subject;

/// How to open a store.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data folder; made if absent, for its owner alone.
    pub folder: PathBuf,
    /// Writing stops while the disk has less room than this.
    pub min_free_bytes: u64,
    /// How much of the store is held in memory.
    pub cache_bytes: u64,
    /// Go on where the end of the store was cut off; starts a new epoch.
    pub accept_loss: bool,
}

/// The store: cheap to clone, one for the process.
#[derive(Debug, Clone)]
pub struct Store {
    reader: Reader,
    committer: Committer,
    progress: Arc<Progress>,
    bells: Arc<Bells>,
    stamps: Arc<Stamps>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
    identity: Arc<Identity>,
    patience: Arc<Patience>,
    /// Held while a backup is taken.
    backing_up: Arc<tokio::sync::Mutex<()>>,
}

/// Answers questions; given to [`Store::ask`]. Every answer is of what is on disk at that moment.
#[derive(Debug, Clone)]
pub struct Reader {
    engine: Arc<Engine>,
    ids: Arc<OnceLock<Ids>>,
}

/// Figures about a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Bytes on disk.
    pub size_bytes: u64,
    /// Groups written since the store was made.
    pub commits: u64,
    /// Units written since the process began.
    pub units: u64,
    /// Rows written since the process began: one a put or a removal.
    pub rows: u64,
    /// Whether writing is refused for want of room.
    pub full: bool,
}

impl Store {
    /// Opens the store in a folder, which must be on a local disk.
    ///
    /// # Errors
    /// `InUse` where another process holds it, `Corrupt` where it is damaged, `Lost` where its end was cut off,
    /// `TooNew` where a later version wrote it, `Io` where the disk refuses.
    pub fn open(options: &Options) -> Result<Self, Error> {
        guard::make_folder(&options.folder)?;
        Self::open_holding(options, FolderLock::take(&options.folder)?)
    }

    fn open_holding(options: &Options, lock: FolderLock) -> Result<Self, Error> {
        swap::finish(&options.folder)?;
        fresh::remove_left(&options.folder)?;
        // The engine would begin an empty one beside the old one's head.
        if !options.accept_loss {
            guard::must_be_whole(&options.folder)?;
        }
        let engine = Engine::open(&options.folder, options.cache_bytes, lock)?;
        let head_file = HeadFile::new(&options.folder);
        let space = Space::new(Some(options.folder.clone()), options.min_free_bytes);
        Self::start(engine, Some((head_file, options)), space)
    }

    /// A store in memory, for tests and simulation.
    ///
    /// # Errors
    /// `Io` where no thread can be started.
    pub fn in_memory() -> Result<Self, Error> {
        Self::start(Engine::memory(), None, Space::new(None, 0))
    }

    fn start(
        engine: Engine,
        on_disk: Option<(HeadFile, &Options)>,
        space: Space,
    ) -> Result<Self, Error> {
        let (state, parts) = parts::begin(Arc::new(engine), on_disk, space)?;
        let (committer, thread) = Committer::start(state)?;
        Ok(parts.into_store(committer, Some(thread)))
    }

    /// Answers questions, off the async workers where they may wait for a disk.
    ///
    /// # Errors
    /// What the questions answer, and `Closed` where the runtime is stopping.
    pub async fn ask<T, E, F>(&self, questions: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&Reader) -> Result<T, E> + Send + 'static,
    {
        if matches!(*self.reader.engine, Engine::Memory(_)) {
            return questions(&self.reader);
        }
        let reader = self.reader.clone();
        tokio::task::spawn_blocking(move || questions(&reader))
            .await
            .unwrap_or_else(|error| {
                tracing::error!(%error, "a question to the store was not answered");
                Err(E::from(Error::Closed))
            })
    }

    /// The same for questions about a few rows: on this thread as long as such are in memory, since another one takes longer
    /// to be woken than to answer; and elsewhere for a while after one had to wait for the disk.
    ///
    /// # Errors
    /// As [`Store::ask`].
    pub async fn ask_little<T, E, F>(&self, questions: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&Reader) -> Result<T, E> + Send + 'static,
    {
        if self.patience.is_over() {
            return self.ask(questions).await;
        }
        let began = Instant::now();
        let answer = questions(&self.reader);
        self.patience.took(began.elapsed());
        answer
    }

    /// Answers questions at once, on this thread: for single rows that are hot, and where nothing else runs.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// What is heard after commits.
    pub fn bells(&self) -> &Arc<Bells> {
        &self.bells
    }

    /// The present moment in what was written about a user: to be asked before one reads, and compared later. Where it
    /// is the same, so is what was read, but for what dispatch writes.
    pub fn stamp(&self, subject: &Subject) -> Stamp {
        self.stamps.now(subject)
    }

    /// The store's epoch: cursors of another one reach nowhere.
    pub fn epoch(&self) -> u64 {
        self.identity.epoch
    }

    /// 32 random bytes, made with the store, to sign what the hub hands out.
    pub fn secret(&self) -> &[u8; 32] {
        &self.identity.secret
    }

    /// Figures.
    pub fn stats(&self) -> Stats {
        Stats {
            size_bytes: self.reader.engine.size_bytes(),
            commits: self.progress.commits.load(Ordering::Relaxed),
            units: self.progress.units.load(Ordering::Relaxed),
            rows: self.progress.rows.load(Ordering::Relaxed),
            full: self.progress.full.load(Ordering::Relaxed),
        }
    }

    /// Whether the disk is nearly full: what takes away does so in small units then.
    pub fn is_short(&self) -> bool {
        self.progress.short.load(Ordering::Relaxed)
    }

    /// How many bytes more would have to be free for what is new to be taken; 0 where it is.
    pub fn lacking_bytes(&self) -> u64 {
        self.progress.lacking.load(Ordering::Relaxed)
    }

    /// Whether something could not be read since the store was opened.
    pub fn is_damaged(&self) -> bool {
        self.reader.engine.is_damaged() || self.progress.damaged.load(Ordering::Relaxed)
    }

    /// Takes note that a request met something that cannot be read. It is told once in the log.
    pub fn met_damage(&self, error: &str) {
        // Of a part of the file the engine has told it.
        if !self.reader.engine.is_damaged() && !self.progress.damaged.swap(true, Ordering::Relaxed)
        {
            tracing::error!(
                %error,
                "a row of the store cannot be read: what needs it is refused, the rest goes on, and /readyz answers 503 until the hub is started again. `beckon store verify` names it; put back the last backup with `beckon store restore FILE --force`, and keep what is left with `beckon store backup FILE --damaged`"
            );
        }
    }

    /// Waits until a write fails, which is final: the process should end and be started again.
    pub async fn failed(&self) {
        loop {
            let failure = self.progress.failure.notified();
            tokio::pin!(failure);
            failure.as_mut().enable();
            if self.progress.failed.load(Ordering::SeqCst) {
                return;
            }
            failure.await;
        }
    }

    /// Writes what is waiting, and ends. Later commits answer `Closed`.
    pub fn close(&self) {
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(thread) = thread else {
            return;
        };
        let (answer, _answered) = oneshot::channel();
        let stop = Request {
            at_leisure: false,
            work: Work::Stop,
            hold: Vec::new(),
            answer,
        };
        // Where the committer has failed there is nobody to stop.
        if self.committer.send_blocking(stop).is_ok() && thread.join().is_err() {
            tracing::error!("the committer ended badly");
        }
    }
}

impl Reader {
    fn over(engine: Arc<Engine>) -> Self {
        let ids = Arc::default();
        Self { engine, ids }
    }

    /// How ids are made, read when it is first wanted.
    fn ids(&self) -> Result<&Ids, Error> {
        match self.ids.get() {
            Some(ids) => Ok(ids),
            None => {
                let ids = Ids::of(&self.engine)?;
                Ok(self.ids.get_or_init(|| ids))
            }
        }
    }

    /// All rows whose key begins with `prefix`, from its start or from `from` on.
    fn scan_prefix(
        &self,
        prefix: &[u8],
        order: Order,
        visit: engine::Visit<'_>,
    ) -> Result<(), Error> {
        let (from, to) = (
            Bound::Included(prefix.to_vec()),
            Bound::Excluded(keys::after(prefix)),
        );
        self.engine.scan(from, to, order, visit)
    }

    /// The value of one row, decoded.
    fn record<T: records::Record>(&self, key: &[u8]) -> Result<Option<T>, Error> {
        self.engine.get(key)?.as_deref().map(T::decode).transpose()
    }

    /// All rows under `prefix`, decoded with `decode`.
    fn collect<T>(
        &self,
        prefix: &[u8],
        mut decode: impl FnMut(&[u8], &[u8]) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut found = Vec::new();
        self.scan_prefix(prefix, Order::Ascending, &mut |key, value| {
            found.push(decode(key, value)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }
}

/// Whether `folder` holds a store already, or what is left of one.
pub fn exists(folder: &Path) -> bool {
    folder.join("db").exists() || folder.join("head").exists() || swap::is_begun(folder)
}

#[cfg(test)]
mod tests;
