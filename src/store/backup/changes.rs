//! What is committed while a backup reads the rows.

use std::sync::{Mutex, PoisonError};

use super::super::engine::Op;

/// How much may wait to be written to the backup; a backup that is slower gives up, since nothing waits for it.
const MAX_BYTES: u64 = 64 << 20;

/// Filled by the committer, emptied by the backup; always whole groups.
#[derive(Debug, Default)]
pub(in crate::store) struct ChangeLog(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    ops: Vec<Op>,
    bytes: u64,
    overflowed: bool,
}

/// More was committed than the backup could take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct TooSlow;

impl ChangeLog {
    /// Notes what a group has written.
    pub(in crate::store) fn note(&self, ops: Vec<Op>) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.bytes += ops.iter().map(Op::bytes).sum::<u64>();
        noted.overflowed |= noted.bytes > MAX_BYTES;
        if noted.overflowed {
            noted.ops = Vec::new();
        } else {
            noted.ops.extend(ops);
        }
    }

    /// Takes out what was noted since it was last asked.
    pub(super) fn take(&self) -> Result<Vec<Op>, TooSlow> {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.overflowed {
            return Err(TooSlow);
        }
        noted.bytes = 0;
        Ok(std::mem::take(&mut noted.ops))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_that_is_too_slow_is_told_so_and_takes_no_more_memory() {
        let log = ChangeLog::default();
        let group = || vec![Op::Put(vec![1; 8], vec![2; 1 << 20])];
        for _ in 0..60 {
            log.note(group());
        }
        assert_eq!(log.take().unwrap().len(), 60);
        for _ in 0..65 {
            log.note(group());
        }
        assert_eq!(log.take(), Err(TooSlow));
        log.note(group());
        assert_eq!(log.take(), Err(TooSlow), "what is missing stays missing");
        assert!(log.0.lock().unwrap().ops.is_empty());
    }
}
