//! What became of a push.

use std::time::Duration;

use crate::model::{Passing, ServiceAnswer, Timestamp};

/// A push service's verdict, in its own words and in ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What to do about it.
    pub verdict: Verdict,
    /// What the service said.
    pub answer: ServiceAnswer,
    /// Why the push went out a second time at once, where it did.
    pub again: Option<Again>,
    /// What the channel is given up for, if nothing else comes for days.
    pub passing: Option<Passing>,
}

/// Why a push goes out a second time at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// The credential was spent; a new one was taken.
    NewCredential,
    /// The connection was bound to something else; a new one was opened (APNs).
    NewConnection,
    /// The service cannot read our topic; it was left out (Web Push).
    WithoutTopic,
    /// The service finds it too long; title and body were left out (Web Push).
    WithoutText,
}

impl Again {
    /// The label of metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NewCredential => "refreshed",
            Self::NewConnection => "reconnected",
            Self::WithoutTopic => "withoutTopic",
            Self::WithoutText => "withoutText",
        }
    }
}

impl Outcome {
    /// An outcome at the first attempt.
    pub fn new(verdict: Verdict, answer: ServiceAnswer) -> Self {
        Self {
            verdict,
            answer,
            again: None,
            passing: None,
        }
    }
}

/// What an answer means for us. A refused push is no error of ours, so this is no `Result`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The service took it. Never to be called "delivered".
    Accepted,
    /// The service took the request and dropped the push (WNS answers 200 and `dropped`).
    Dropped,
    /// The channel is dead; `since` when, where the service says so (APNs `timestamp`).
    Gone {
        /// The moment the service confirmed it.
        since: Option<Timestamp>,
    },
    /// Not now: try again, at the earliest `after`.
    Retry {
        /// The service's floor (`Retry-After`), from the moment of the answer.
        after: Option<Duration>,
        /// Whom it concerns.
        scope: Scope,
    },
    /// Our request is wrong: this push fails for good.
    Rejected,
    /// The operator's settings are wrong: the lane stops, the push stays due.
    Misconfigured,
    /// It has not left, since the credential of one before it was refused: what came of that says what is to happen.
    Held,
}

/// Whom a demand to wait concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// This channel alone, whatever others of its kind are told.
    Channel,
    /// The service does not say: this channel, and all of the lane where others get the same.
    Unsaid,
    /// Every channel of the lane.
    Lane,
}

impl Verdict {
    /// The label of metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Dropped => "dropped",
            Self::Gone { .. } => "gone",
            Self::Retry { .. } => "retry",
            Self::Rejected => "rejected",
            Self::Misconfigured => "misconfigured",
            Self::Held => "held",
        }
    }

    /// Whether it drops a channel that was last `registered` then: it is dead, and was not registered since.
    pub fn drops(self, registered: Timestamp) -> bool {
        matches!(self, Self::Gone { since } if since.is_none_or(|since| since >= registered))
    }
}
