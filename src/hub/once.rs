//! `Idempotency-Key`: what each was used for is kept in the same unit of work as what it did.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::Error;
use crate::{
    model::{AppHost, Once},
    store::Reader,
};

/// How long an `Idempotency-Key` is remembered.
pub(super) const ONCE_KEPT: Duration = Duration::from_secs(24 * 3600);

/// The hashes of an `Idempotency-Key` and of the request that it came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnceKey {
    /// SHA-256 of the key.
    pub key: [u8; 32],
    /// SHA-256 of method, path and body.
    pub request: [u8; 32],
}

/// What the key was used for before, if it was.
///
/// # Errors
/// `Conflict` where that was another request.
pub(super) fn used_before(
    reader: &Reader,
    app: &AppHost,
    once: OnceKey,
) -> Result<Option<Once>, Error> {
    let known = reader.once(app, &once.key)?;
    match known {
        Some(known) if known.request != once.request => Err(OTHER_REQUEST),
        other => Ok(other),
    }
}

/// The refusal of a key that was used for something else.
pub(super) const OTHER_REQUEST: Error = Error::Conflict(
    "this Idempotency-Key was used for another request; use a new key for each request",
);

/// The `Idempotency-Key`s whose first request is still running.
#[derive(Debug, Default, Clone)]
pub(super) struct Running(Arc<Mutex<HashSet<Entry>>>);

/// An app, and the hash of the key that it used.
type Entry = (AppHost, [u8; 32]);

/// Ends the entry of its request when dropped.
#[derive(Debug)]
pub(super) struct RunningGuard {
    running: Running,
    entry: Entry,
}

const STILL_RUNNING: Error = Error::Conflict(
    "the first request with this Idempotency-Key is still running; try again in a moment",
);

impl Running {
    /// Sees that no request with this key is running.
    pub(super) fn nobody(&self, app: &AppHost, once: OnceKey) -> Result<(), Error> {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if running.contains(&(app.clone(), once.key)) {
            return Err(STILL_RUNNING);
        }
        Ok(())
    }

    pub(super) fn begin(&self, app: &AppHost, once: OnceKey) -> Result<RunningGuard, Error> {
        let entry = (app.clone(), once.key);
        if self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(entry.clone())
        {
            Ok(RunningGuard {
                running: self.clone(),
                entry,
            })
        } else {
            Err(STILL_RUNNING)
        }
    }
}

impl Drop for RunningGuard {
    fn drop(&mut self) {
        let mut running = self
            .running
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        running.remove(&self.entry);
    }
}
