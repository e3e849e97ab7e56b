//! A store for simulations: it runs on the simulation's own runtime and clock, over rows that outlive it.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use super::{Error, Store, commit::Committer, engine::Engine, parts, space::Space};

/// The rows of a simulated store, as a disk that a process may be killed over.
pub(crate) struct Rows(Arc<Engine>);

impl Rows {
    /// None.
    pub(crate) fn none() -> Self {
        Self(Arc::new(Engine::memory()))
    }

    /// How many there are, by the letter that their keys begin with.
    pub(crate) fn count(&self) -> BTreeMap<char, usize> {
        let mut counted = BTreeMap::new();
        if let Engine::Memory(rows) = &*self.0 {
            for key in rows.read().unwrap().keys() {
                *counted.entry(char::from(key[0])).or_insert(0) += 1;
            }
        }
        counted
    }
}

impl Store {
    /// A store in memory on a disk of which the test says how much is free, and which must not have less than a number
    /// of bytes.
    ///
    /// # Errors
    /// As [`Store::in_memory`].
    pub(crate) fn in_memory_beside(free: Arc<AtomicU64>, min_free: u64) -> Result<Self, Error> {
        Self::start(Engine::memory(), None, Space::told(free, min_free))
    }

    /// A store over `rows`; `disk` says how long the next sync takes. What waits to be written is gone with the runtime
    /// that it was opened on.
    ///
    /// # Errors
    /// `Corrupt`, where the rows are no store's.
    pub(crate) fn simulated(
        rows: &Rows,
        disk: impl FnMut() -> Duration + Send + 'static,
    ) -> Result<Self, Error> {
        let (state, parts) = parts::begin(Arc::clone(&rows.0), None, Space::new(None, 0))?;
        let committer = Committer::simulated(state, disk);
        Ok(parts.into_store(committer, None))
    }
}
