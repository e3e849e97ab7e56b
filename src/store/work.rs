//! What the committer is handed, and by whom it is waited for.

use std::sync::Weak;

use tokio::sync::{OwnedMutexGuard, oneshot};

use super::{Batch, Error, Unit, backup::ChangeLog};

/// What is to be committed.
pub(super) enum Work {
    Unit(Unit),
    Batch(Batch),
    /// Writes nothing; has the committer look at the disk's room.
    Look,
    /// Writes nothing; from now on what is committed is noted there too, for as long as somebody holds it.
    Note(Weak<ChangeLog>),
    /// Answers once all before it is done; the committer then ends.
    Stop,
}

impl Work {
    /// How much content it takes away.
    pub(super) fn let_go_bytes(&self) -> u64 {
        match self {
            Self::Unit(unit) => unit.let_go_bytes(),
            Self::Batch(batch) => batch.units.iter().map(Unit::let_go_bytes).sum(),
            Self::Look | Self::Note(_) | Self::Stop => 0,
        }
    }
}

pub(super) struct Request {
    pub(super) work: Work,
    /// The locks that the plan was made under, held until the disk has answered even if the caller has gone away.
    pub(super) hold: Vec<OwnedMutexGuard<()>>,
    /// Whether nobody waits for it: it may wait for others.
    pub(super) at_leisure: bool,
    pub(super) answer: oneshot::Sender<Result<(), Error>>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Request")
    }
}
