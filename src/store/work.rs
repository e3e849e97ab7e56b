//! What the committer is handed, and by whom it is waited for.

use std::sync::Weak;

use tokio::sync::{OwnedMutexGuard, oneshot};

use super::{Batch, Error, Unit, backup::ChangeLog, records::PART_BYTES};

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

/// What a row that is written or taken away may take on disk until the engine has tidied up: of a page of many rows, those
/// that stay are written anew. 3 to 10 KiB, measured.
const DISK_BYTES_A_ROW: u64 = 8 << 10;

impl Work {
    /// How much content it takes away.
    pub(super) fn let_go_bytes(&self) -> u64 {
        match self {
            Self::Unit(unit) => unit.let_go_bytes(),
            Self::Batch(batch) => batch.units.iter().map(Unit::let_go_bytes).sum(),
            Self::Look | Self::Note(_) | Self::Stop => 0,
        }
    }

    /// What it may take on disk until the engine has tidied up.
    pub(super) fn disk_bytes(&self) -> u64 {
        let rows = match self {
            Self::Unit(unit) => unit.rows.len(),
            Self::Batch(batch) => {
                let units = batch.units.iter().map(|unit| unit.rows.len());
                units.sum::<usize>() + batch.rows.len()
            }
            Self::Look | Self::Note(_) | Self::Stop => 0,
        };
        let parts = self.let_go_bytes().div_ceil(PART_BYTES as u64);
        (rows as u64 + parts) * DISK_BYTES_A_ROW
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
