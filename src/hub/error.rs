//! Why an operation was refused.

use crate::{model::Fault, store};

/// A refusal, in the hub's words; what it is called over HTTP is the doors' affair.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is wrong; every fault is named.
    #[error("the request is not valid")]
    Invalid(Vec<Fault>),
    /// No credential, or one that is not good (any more).
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// A good credential, which may not do this.
    #[error("{0}")]
    Forbidden(&'static str),
    /// There is no such thing, or none of this caller's.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The device that calls is not registered (any more): it should register again.
    #[error("this endpoint is not registered; register it with PUT /v1/me/endpoints/{{id}}")]
    EndpointNotFound,
    /// It contradicts what is there.
    #[error("{0}")]
    Conflict(&'static str),
    /// The cursor reaches no longer, or was never this feed's.
    #[error("the cursor is too old or of another feed; start over without one")]
    CursorTooOld,
    /// So many are there already.
    #[error("{name} allows {max}; {advice}")]
    Limit {
        /// The limit's key, e.g. `server.limits.streams_per_user`.
        name: &'static str,
        /// Its value.
        max: usize,
        /// What to do about it.
        advice: &'static str,
    },
    /// The store cannot, now or at all.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// What the API calls it.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalidRequest",
            Self::Unauthenticated(_) => "unauthenticated",
            Self::Forbidden(_) => "accessDenied",
            Self::NotFound(_) => "itemNotFound",
            Self::EndpointNotFound => "endpointNotFound",
            Self::Conflict(_) => "conflict",
            Self::CursorTooOld => "syncStateNotFound",
            Self::Limit { .. } => "limitReached",
            Self::Store(_) => "serviceUnavailable",
        }
    }

    /// One fault of one field.
    pub fn invalid(target: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![Fault::new(target, message)])
    }
}
