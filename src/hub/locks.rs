//! One lock a user: operations on one user are planned and committed one after another. Channels have locks of their own,
//! since users may take them from each other.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// How many locks are kept before those that nobody holds are thrown out.
const KEPT: usize = 4096;

/// The locks of everything that someone works on.
#[derive(Debug)]
pub(super) struct Locks<K>(Mutex<HashMap<K, Arc<AsyncMutex<()>>>>);

impl<K> Default for Locks<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq + Clone> Locks<K> {
    /// Waits for the lock of `of`.
    pub(super) async fn lock(&self, of: &K) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if locks.len() >= KEPT {
                locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            }
            Arc::clone(locks.entry(of.clone()).or_default())
        };
        lock.lock_owned().await
    }
}

#[cfg(test)]
impl<K> Locks<K> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}
