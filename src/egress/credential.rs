//! Credentials that are asked for only as a request leaves, and to which an HTTP/2 connection keeps for a while.
//!
//! A request may wait for its connection, and its credential be replaced meanwhile. A service that counts how often a
//! connection changes its credential would take those that waited for senders of one too many.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue};

use super::{Failure, Request};

/// What shows a service who sends.
pub struct Credential {
    /// Tells it from the others of its source; never 0.
    pub number: u64,
    /// The value of `authorization`.
    pub value: String,
    /// What time it is to its source as it is asked for, since 1970.
    pub now: Duration,
    /// For how long an HTTP/2 connection that it has come by takes no other.
    pub kept_for: Duration,
}

/// Whom to ask for the credential in use: one call never gives an older one than a call before it.
#[derive(Clone)]
pub(super) struct Source(Arc<Ask>);

type Ask = dyn Fn() -> Result<Credential, String> + Send + Sync;

/// The credential that an HTTP/2 connection keeps to.
#[derive(Default)]
pub(super) struct Keeper(Mutex<Option<Kept>>);

/// Its number, and since when and for how long.
pub(super) struct Kept {
    number: u64,
    since: Duration,
    span: Duration,
}

impl Request {
    /// Adds `authorization` at the moment when the request leaves, as `source` says then; [`super::Answer::credential`]
    /// tells which one that was. What `source` gives as an error is [`Failure::Credential`].
    #[must_use]
    pub fn authorized_by(
        mut self,
        source: impl Fn() -> Result<Credential, String> + Send + Sync + 'static,
    ) -> Self {
        self.source = Some(Source(Arc::new(source)));
        self
    }

    /// Asks for the credential and puts its value among `headers`; none, where the request names no source.
    pub(super) fn authorize(&self, headers: &mut HeaderMap) -> Result<Option<Credential>, Failure> {
        let Some(Source(ask)) = &self.source else {
            return Ok(None);
        };
        let mut credential = ask().map_err(Failure::Credential)?;
        let value = HeaderValue::try_from(std::mem::take(&mut credential.value));
        let fault = "authorization holds a character that no header may";
        let value = value.map_err(|_| Failure::Invalid(String::from(fault)))?;
        headers.insert(AUTHORIZATION, value);
        Ok(Some(credential))
    }
}

impl Keeper {
    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Whether a connection takes `credential`, which it keeps to from then on: the first that comes, the same again, and
    /// another once the time of the one before is over.
    pub(super) fn takes(kept: &mut Option<Self>, credential: &Credential) -> bool {
        let Credential { number, now, .. } = *credential;
        match kept {
            Some(kept) if kept.number == number => return true,
            Some(kept) if now.saturating_sub(kept.since) < kept.span => return false,
            _ => {}
        }
        *kept = Some(Self {
            number,
            since: now,
            span: credential.kept_for,
        });
        true
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source(…)")
    }
}
