//! How much the engine is made to tidy up, and when.
//!
//! The engine uses the place of rows that are gone once it has moved what still lives beside them, and by itself it moves
//! one page for each that it writes anew. That is too little for long content, which comes and goes in few, large
//! pages: 300 posts of 30 000 bytes that expired again and again left 6 MB behind each time. So the committer has it
//! move more: a little for what is written, and the rest while nobody waits.

use std::time::Duration;

use super::{Error, commit::State, engine::Engine};

/// How many pages are moved at a time: well under a millisecond, where there are so many.
pub(super) const TURN_PAGES: u32 = 32;
/// The same on a full disk: what is moved is written elsewhere first, and a page of long content has 128 KiB.
const TURN_PAGES_WHERE_FULL: u32 = 4;
/// For how many bytes written there one turn is taken at once.
const BYTES_A_TURN_WHERE_FULL: u64 = 16 << 10;
/// For how many rows that are taken away there one turn is taken at once.
const REMOVED_ROWS_A_TURN: u64 = 2;
/// For how many bytes written one page is moved at once. Twice as many let the file grow for ever.
const BYTES_A_PAGE: u64 = 3 << 10;
/// The same at leisure.
const BYTES_A_PAGE_AT_LEISURE: u64 = 1 << 10;
/// The same for what the file holds as it is opened, where the process before may have left much.
const FOUND_BYTES_A_PAGE: u64 = 8 << 10;
/// How long nobody has to come for the committer to be at leisure.
const LEISURE: Duration = Duration::from_millis(2);
/// After how many turns in a row that found nothing there is nothing left: the engine counts what has moved by itself.
const VAIN_TURNS: u32 = 4;
/// The same on a full disk, where only a smaller file is something found. The engine cuts its end off where half of it is
/// free, a piece of 512 KiB for each that is written: some hundreds of turns.
const VAIN_TURNS_WHERE_FULL: u32 = 1024;

/// What is left to be tidied.
#[derive(Debug, Default)]
pub(super) struct Tidying {
    /// Bytes written since the last turn beside the writing.
    written: u64,
    /// Pages that may be moved at leisure.
    at_leisure: u64,
    vain: u32,
    /// The smallest that the file was on a full disk, since something was written.
    smallest: Option<u64>,
}

impl Tidying {
    /// For a store that takes so many bytes on disk.
    pub(super) fn of(size_bytes: u64) -> Self {
        Self {
            at_leisure: size_bytes / FOUND_BYTES_A_PAGE,
            ..Self::default()
        }
    }

    /// Takes note of a group, and says how many turns are due at once.
    pub(super) fn note(&mut self, bytes: u64, removed_rows: u64) -> u64 {
        self.at_leisure += bytes / BYTES_A_PAGE_AT_LEISURE + removed_rows;
        (self.vain, self.smallest) = (0, None);
        self.turns(bytes, BYTES_A_PAGE)
    }

    /// How many turns it takes at once where nobody waits, as a store is made.
    pub(super) fn turns_of_copying(&mut self, bytes: u64) -> u64 {
        self.turns(bytes, BYTES_A_PAGE_AT_LEISURE)
    }

    fn turns(&mut self, bytes: u64, bytes_a_page: u64) -> u64 {
        let turn_bytes = u64::from(TURN_PAGES) * bytes_a_page;
        self.written += bytes;
        let turns = self.written / turn_bytes;
        self.written %= turn_bytes;
        turns
    }

    /// How long to wait for somebody before a turn at leisure; none where none is due.
    pub(super) fn pause(&self) -> Option<Duration> {
        (self.at_leisure >= u64::from(TURN_PAGES)).then_some(LEISURE)
    }

    /// Takes note of a turn at leisure: of whether it found something to move.
    pub(super) fn took_turn(&mut self, found: bool) {
        self.at_leisure = self.at_leisure.saturating_sub(u64::from(TURN_PAGES));
        self.count(found, VAIN_TURNS);
    }

    /// The same where the disk is full: of how large the file is now. It goes on for as long as that becomes less than it
    /// ever was; a turn makes it larger as often as smaller.
    pub(super) fn took_turn_where_full(&mut self, size_bytes: u64) {
        let smaller = self.smallest.is_some_and(|smallest| size_bytes < smallest);
        let smallest = self.smallest.unwrap_or(size_bytes);
        self.smallest = Some(smallest.min(size_bytes));
        self.count(smaller, VAIN_TURNS_WHERE_FULL);
    }

    fn count(&mut self, found: bool, patience: u32) {
        self.vain = if found { 0 } else { self.vain + 1 };
        if self.vain >= patience {
            self.at_leisure = 0;
        }
    }
}

/// Tidies until nothing is found any more, nor the file becomes smaller.
pub(super) fn tidy_up(engine: &Engine) -> Result<(), Error> {
    let mut left = Tidying::of(
        engine
            .size_bytes()
            .max(FOUND_BYTES_A_PAGE * u64::from(TURN_PAGES)),
    );
    while left.pause().is_some() {
        let found = engine.tidy_through(TURN_PAGES)?;
        left.took_turn(found);
    }
    let mut shrinking = Tidying::of(u64::MAX);
    while shrinking.pause().is_some() {
        engine.tidy_through(TURN_PAGES)?;
        shrinking.took_turn_where_full(engine.size_bytes());
    }
    Ok(())
}

impl State {
    /// How long to wait for somebody before the store is tidied.
    pub(super) fn pause(&self) -> Option<Duration> {
        let moves = self.renewal.has_more(&self.space).then_some(LEISURE);
        self.tidying.pause().or(moves)
    }

    /// Tidies while nobody waits.
    pub(super) fn tidy(&mut self) -> Result<(), Error> {
        self.look();
        if self.tidying.pause().is_some() {
            self.take_turn()?;
        }
        self.renew()
    }

    fn take_turn(&mut self) -> Result<(), Error> {
        let (engine, is_short) = (&self.reader.engine, self.space.is_short());
        // What is moved is written elsewhere first.
        let pages = if is_short {
            TURN_PAGES_WHERE_FULL
        } else {
            TURN_PAGES
        };
        let found = self.space.may_tidy() && engine.tidy_through(pages)?;
        if is_short {
            self.tidying.took_turn_where_full(engine.size_bytes());
        } else {
            self.tidying.took_turn(found);
        }
        Ok(())
    }

    /// Tidies a little for what a group has written.
    pub(super) fn tidy_for(&mut self, bytes: u64, removed_rows: u64) -> Result<(), Error> {
        let turns = self.tidying.note(bytes, removed_rows);
        if self.space.is_short() {
            return self.tidy_where_short(bytes, removed_rows);
        }
        for _ in 0..turns {
            self.reader.engine.tidy(TURN_PAGES)?;
        }
        Ok(())
    }

    /// What is taken away makes the file longer, too, until what it leaves is tidied up: on a full disk that is done at
    /// once, before more is taken away.
    fn tidy_where_short(&mut self, bytes: u64, removed_rows: u64) -> Result<(), Error> {
        let mut turns = 1 + removed_rows / REMOVED_ROWS_A_TURN + bytes / BYTES_A_TURN_WHERE_FULL;
        while turns > 0 && self.space.may_tidy() {
            if !self.reader.engine.tidy_through(TURN_PAGES_WHERE_FULL)? {
                return Ok(());
            }
            self.space.look();
            turns -= 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_tidied_for_a_little_at_once_and_the_rest_at_leisure() {
        let mut tidying = Tidying::default();
        assert_eq!(tidying.note(1 << 10, 0), 0);
        assert_eq!(tidying.pause(), None, "too little to begin for");
        let turns: u64 = (0..96).map(|_| tidying.note(1 << 10, 1)).sum();
        assert_eq!(turns, 1);
        assert_eq!(tidying.note(96 << 10, 0), 1);
        assert_eq!(tidying.note(960 << 10, 0), 10);
        assert_eq!(tidying.pause(), Some(LEISURE));
    }

    #[test]
    fn tidying_at_leisure_ends_with_what_there_is_and_with_what_it_was_granted() {
        let turns = |mut tidying: Tidying, found: fn(u32) -> bool| {
            let mut turns = 0;
            while tidying.pause().is_some() {
                tidying.took_turn(found(turns));
                turns += 1;
            }
            turns
        };
        let store = || Tidying::of(64 << 20);
        assert_eq!(turns(store(), |_| true), 256, "granted");
        assert_eq!(turns(store(), |_| false), VAIN_TURNS);
        assert_eq!(turns(store(), |nth| nth < 10), 10 + VAIN_TURNS);
        assert_eq!(
            turns(store(), |nth| nth % 3 == 0),
            256,
            "some find nothing in between"
        );
        let mut full = store();
        for nth in 0.. {
            let swings = u64::from(nth % 2);
            full.took_turn_where_full(10_000 + swings - u64::from(nth.min(1000)));
            if full.pause().is_none() {
                assert_eq!(nth, 1000 + VAIN_TURNS_WHERE_FULL);
                break;
            }
        }
        let mut empty = store();
        (0..VAIN_TURNS).for_each(|_| empty.took_turn(false));
        assert_eq!(empty.pause(), None);
        empty.note(32 << 10, 0);
        assert_eq!(empty.pause(), Some(LEISURE), "there is something new");
    }
}
