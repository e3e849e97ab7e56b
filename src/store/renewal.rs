//! On a disk that is nearly full, a store whose file is mostly empty inside moves to a new one while the hub runs.
//!
//! The engine makes its file shorter only from the end, and once most of it is free it moves the same few pages again
//! and again rather than those at the end: 9 MB of rows were seen to stay in 100 MB for good. So where a copy of the rows
//! fits beside the file, and would be much smaller, the committer makes one between its groups, a slice at a time. What
//! is written meanwhile goes to both. The copy is compared with what it is of before it takes the store's place.

use std::{ops::Bound, sync::atomic::Ordering};

use super::{
    Error, Options,
    commit::State,
    engine::{Engine, Op},
    fresh::Fresh,
    space::Space,
    tidying::Tidying,
};

/// How many rows are counted or compared at a time, and how many bytes.
const READ_SLICE: (usize, u64) = (2000, 2 << 20);
/// How many are copied at a time: few enough to be written within some milliseconds.
const COPY_SLICE: (usize, u64) = (500, 512 << 10);
/// What a copy takes on disk for four bytes of rows: 1.65 to 1.75 times as much, measured with posts of 50 bytes to 30 KB.
const COPY_BYTES_FOR_FOUR: u64 = 7;
/// What it takes beside that.
const COPY_BYTES_AT_LEAST: u64 = 1 << 20;
/// Of how many rows one is taken away before they are counted again.
const ROWS_OF_ONE_GONE: u64 = 16;
/// How many are taken away before that at the least.
const LEAST_GONE: u64 = 256;

/// A walk through all rows.
#[derive(Debug, Default)]
struct Walk {
    /// The last row that it has passed.
    after: Option<Vec<u8>>,
    rows: u64,
    bytes: u64,
}

impl Walk {
    /// The next rows; none at the end.
    fn next(&mut self, engine: &Engine, most: (usize, u64)) -> Result<Vec<Op>, Error> {
        let slice = engine.slice(self.from(), most)?;
        if let Some(Op::Put(last, _)) = slice.last() {
            self.after = Some(last.clone());
        }
        self.rows += slice.len() as u64;
        self.bytes += slice.iter().map(Op::bytes).sum::<u64>();
        Ok(slice)
    }

    fn from(&self) -> Bound<Vec<u8>> {
        self.after.clone().map_or(Bound::Unbounded, Bound::Excluded)
    }

    /// What a copy of what it has passed takes on disk.
    fn copy_bytes(&self) -> u64 {
        self.bytes / 4 * COPY_BYTES_FOR_FOUR + COPY_BYTES_AT_LEAST
    }

    fn has_passed(&self, key: &[u8]) -> bool {
        self.after.as_deref().is_some_and(|after| key <= after)
    }
}

/// What is to come before the rows are counted again: so many are taken away, or so much content, or there is room for so
/// large a copy.
#[derive(Debug, Clone, Copy)]
struct Left {
    rows: u64,
    content_bytes: u64,
    copy_bytes: u64,
}

impl Left {
    /// After a copy that was not whole, since there was too little room for it: there has to be a quarter more.
    fn of_a_copy(copy_bytes: u64) -> Self {
        Self {
            rows: LEAST_GONE,
            content_bytes: u64::MAX,
            copy_bytes: copy_bytes / 4 * 5,
        }
    }

    /// After so many rows of which a copy would have taken more than there was for it. Half of that in content is awaited:
    /// other rows go with it.
    fn of(rows: u64, copy_bytes: u64, most: u64) -> Self {
        let too_many = copy_bytes.saturating_sub(most);
        Self {
            rows: (rows / ROWS_OF_ONE_GONE).max(LEAST_GONE),
            content_bytes: (too_many / COPY_BYTES_FOR_FOUR * 2).max(LEAST_GONE),
            copy_bytes,
        }
    }

    fn without(self, rows: u64, content_bytes: u64) -> Self {
        Self {
            rows: self.rows.saturating_sub(rows),
            content_bytes: self.content_bytes.saturating_sub(content_bytes),
            ..self
        }
    }

    fn has_come(self, most_copy_bytes: u64) -> bool {
        self.rows == 0 || self.content_bytes == 0 || self.copy_bytes <= most_copy_bytes
    }
}

/// What is being done.
enum Phase {
    /// Nothing, until as much more was taken away: there was no room for a copy, or it would not have been much smaller.
    Resting(Left),
    /// Nothing any more.
    Done,
    Counting(Walk),
    Copying(Walk, Fresh),
    Comparing(Walk, Fresh),
}

/// What came of a slice.
enum Step {
    GoOn(Phase),
    /// The copy is whole, and the same.
    Whole(Fresh),
}

/// Why a slice was not done.
enum Failure {
    /// The copy comes to nothing; the store is as it was.
    Copy(Error),
    /// The engine cannot write, which is final.
    Engine(Error),
}

impl Failure {
    fn of_loading(error: Error) -> Self {
        match error {
            Error::NoRoomForCopy(_) => Self::Copy(error),
            _ => Self::Engine(error),
        }
    }
}

/// Whether the store is moving, and how far it is.
pub(super) struct Renewal {
    /// Where the store lies; none, where it is in memory.
    options: Option<Options>,
    phase: Phase,
    /// What a copy takes, as it was counted last.
    copy_bytes: u64,
}

impl Renewal {
    pub(super) fn of(options: Option<Options>) -> Self {
        Self {
            options,
            phase: Phase::Counting(Walk::default()),
            copy_bytes: 0,
        }
    }

    /// Whether there is a copy.
    pub(super) fn is_under_way(&self) -> bool {
        matches!(self.phase, Phase::Copying(..) | Phase::Comparing(..))
    }

    /// Whether there is something to go on with at leisure.
    pub(super) fn has_more(&self, space: &Space) -> bool {
        let counts = matches!(self.phase, Phase::Counting(_)) && self.options.is_some();
        self.is_under_way() || (counts && space.is_close())
    }

    /// Takes note of what a group took away.
    pub(super) fn note(&mut self, removed_rows: u64, let_go_bytes: u64) {
        if let Phase::Resting(left) = &mut self.phase {
            *left = left.without(removed_rows, let_go_bytes);
        }
    }

    /// Writes to the copy, too, what was written to the store, as far as the copy has come.
    ///
    /// # Errors
    /// The engine's, which are final.
    pub(super) fn follow(&mut self, ops: &[Op]) -> Result<(), Error> {
        let (walk, fresh) = match &mut self.phase {
            Phase::Copying(walk, fresh) => (Some(walk), fresh),
            Phase::Comparing(_, fresh) => (None, fresh),
            _ => return Ok(()),
        };
        let is_there = |op: &&Op| walk.as_ref().is_none_or(|walk| walk.has_passed(op.key()));
        let ops: Vec<Op> = ops.iter().filter(is_there).cloned().collect();
        if ops.is_empty() {
            return Ok(());
        }
        match fresh.load_beside(ops) {
            Ok(()) => Ok(()),
            Err(error) => self.failed(Failure::of_loading(error)),
        }
    }

    fn failed(&mut self, failure: Failure) -> Result<(), Error> {
        self.phase = match failure {
            Failure::Engine(error) => return Err(error),
            Failure::Copy(error @ Error::NoRoomForCopy(_)) => {
                tracing::info!(%error, "the store stays in its file until more was taken away");
                Phase::Resting(Left::of_a_copy(self.copy_bytes))
            }
            Failure::Copy(error) => {
                tracing::error!(%error, "the store stays in its file until the hub is started again");
                Phase::Done
            }
        };
        Ok(())
    }

    /// Does the next slice; gives the copy, once it is whole.
    fn step(&mut self, engine: &Engine, space: &Space) -> Result<Option<Fresh>, Error> {
        let Some(options) = &self.options else {
            return Ok(None);
        };
        let phase = std::mem::replace(&mut self.phase, Phase::Done);
        let stepped = match phase {
            Phase::Resting(left) if left.has_come(most_copy_bytes(engine, space)) => {
                Ok(Step::GoOn(Phase::Counting(Walk::default())))
            }
            rests @ (Phase::Resting(_) | Phase::Done) => Ok(Step::GoOn(rests)),
            Phase::Counting(walk) => {
                self.copy_bytes = walk.copy_bytes();
                count(walk, engine, space, options)
            }
            Phase::Copying(walk, fresh) => copy(walk, fresh, engine),
            Phase::Comparing(walk, fresh) => compare(walk, fresh, engine),
        };
        match stepped {
            Ok(Step::GoOn(phase)) => self.phase = phase,
            Ok(Step::Whole(fresh)) => {
                self.phase = Phase::Resting(Left::of_a_copy(self.copy_bytes));
                return Ok(Some(fresh));
            }
            Err(failure) => self.failed(failure)?,
        }
        Ok(None)
    }
}

/// How much a copy may take: what there is room for, and half of what the file has, or it would not be worth it.
fn most_copy_bytes(engine: &Engine, space: &Space) -> u64 {
    space.room_for_copy().min(engine.size_bytes() / 2)
}

fn count(
    mut walk: Walk,
    engine: &Engine,
    space: &Space,
    options: &Options,
) -> Result<Step, Failure> {
    let slice = walk.next(engine, READ_SLICE).map_err(Failure::Copy)?;
    if !slice.is_empty() {
        return Ok(Step::GoOn(Phase::Counting(walk)));
    }
    let size_bytes = engine.size_bytes();
    let most = most_copy_bytes(engine, space);
    if walk.copy_bytes() > most {
        let left = Left::of(walk.rows, walk.copy_bytes(), most);
        return Ok(Step::GoOn(Phase::Resting(left)));
    }
    tracing::warn!(
        folder = %options.folder.display(),
        size_bytes,
        rows_bytes = walk.bytes,
        "the disk is nearly full, and the store's file mostly empty inside: the store moves to a new file while the hub goes on"
    );
    let fresh = Fresh::begin(options).map_err(Failure::Copy)?;
    Ok(Step::GoOn(Phase::Copying(Walk::default(), fresh)))
}

fn copy(mut walk: Walk, mut fresh: Fresh, engine: &Engine) -> Result<Step, Failure> {
    let slice = walk.next(engine, COPY_SLICE).map_err(Failure::Copy)?;
    if slice.is_empty() {
        return Ok(Step::GoOn(Phase::Comparing(Walk::default(), fresh)));
    }
    fresh.load_beside(slice).map_err(Failure::of_loading)?;
    Ok(Step::GoOn(Phase::Copying(walk, fresh)))
}

fn compare(mut walk: Walk, fresh: Fresh, engine: &Engine) -> Result<Step, Failure> {
    let from = walk.from();
    let copied = fresh
        .reader()
        .and_then(|copy| copy.engine.slice(from, READ_SLICE));
    let copied = copied.map_err(Failure::Copy)?;
    let slice = walk.next(engine, READ_SLICE).map_err(Failure::Copy)?;
    if slice != copied {
        return Err(Failure::Copy(Error::Corrupt(String::from(
            "a copy of the store is not what was copied; the store is left as it was",
        ))));
    }
    Ok(if slice.is_empty() {
        Step::Whole(fresh)
    } else {
        Step::GoOn(Phase::Comparing(walk, fresh))
    })
}

impl State {
    /// Does a slice of moving the store to a new file, where the disk is nearly full or will soon be, and that would make room.
    pub(super) fn renew(&mut self) -> Result<(), Error> {
        if !self.space.is_close() && !self.renewal.is_under_way() {
            return Ok(());
        }
        // What cannot be read would be gone with the old file.
        if self.reader.engine.is_damaged() || self.progress.damaged.load(Ordering::Relaxed) {
            self.renewal.phase = Phase::Done;
            return Ok(());
        }
        match self.renewal.step(&self.reader.engine, &self.space)? {
            Some(fresh) => self.move_to(fresh),
            None => Ok(()),
        }
    }

    /// Goes on in the new file. From when the disk is told of it no error can be gone on from.
    fn move_to(&mut self, fresh: Fresh) -> Result<(), Error> {
        let engine = &self.reader.engine;
        let bytes_before = engine.size_bytes();
        fresh.take_over_open(self.head, engine)?;
        self.tidying = Tidying::default();
        self.space.renew();
        self.look();
        tracing::warn!(
            bytes_before,
            bytes_now = self.reader.engine.size_bytes(),
            "the store has moved to a new file, and the old one has made room on the disk"
        );
        Ok(())
    }
}

#[cfg(test)]
#[path = "renewal_tests.rs"]
mod tests;
