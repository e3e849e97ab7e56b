//! One lock a user: operations on one user are planned and committed one after another.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::model::Subject;

/// How many locks are kept before those that nobody holds are thrown out.
const KEPT: usize = 4096;

/// The locks of all users that someone works on.
#[derive(Debug, Default)]
pub(super) struct Locks(Mutex<HashMap<Subject, Arc<AsyncMutex<()>>>>);

impl Locks {
    /// Waits for the user's lock.
    pub(super) async fn lock(&self, subject: &Subject) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if locks.len() >= KEPT {
                locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            }
            Arc::clone(locks.entry(subject.clone()).or_default())
        };
        lock.lock_owned().await
    }
}
