//! How much room the folder's disk has, and what it is enough for.

use std::path::PathBuf;

use super::engine::PIECE_BYTES;

/// What a byte of a row takes on disk until the engine has tidied up, measured and rounded up.
const DISK_BYTES_A_BYTE: u64 = 4;

/// What has become of the room on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Full,
    Roomy,
}

/// Watches how much room the folder's disk has.
#[derive(Debug)]
pub(super) struct Space {
    folder: Option<PathBuf>,
    min_free_bytes: u64,
    free: u64,
    /// How much content was taken away in whose place nothing came since: room within the file, which the system does not
    /// see.
    let_go: u64,
    /// Whether it was said that there is too little.
    is_told_full: bool,
    /// What a test says is free.
    #[cfg(test)]
    told: Option<std::sync::Arc<std::sync::atomic::AtomicU64>>,
}

impl Space {
    pub(super) fn new(folder: Option<PathBuf>, min_free_bytes: u64) -> Self {
        Self {
            folder,
            min_free_bytes,
            free: u64::MAX,
            let_go: 0,
            is_told_full: false,
            #[cfg(test)]
            told: None,
        }
    }

    /// A disk of which a test says how much is free.
    #[cfg(test)]
    pub(super) fn told(
        free: std::sync::Arc<std::sync::atomic::AtomicU64>,
        min_free_bytes: u64,
    ) -> Self {
        Self {
            told: Some(free),
            ..Self::new(None, min_free_bytes)
        }
    }

    /// Asks the system; before each group, since a fast hub fills in a second what was free a second ago.
    pub(super) fn look(&mut self) {
        #[cfg(test)]
        if let Some(told) = &self.told {
            self.free = told.load(std::sync::atomic::Ordering::SeqCst);
        }
        if let Some(folder) = &self.folder {
            // Where the system does not say, the write itself will.
            self.free = rustix::fs::statvfs(folder)
                .map_or(u64::MAX, |stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        }
    }

    /// Says once that there is too little room, and once that there is enough again.
    pub(super) fn tell(&mut self) {
        let folder = self.folder.clone().unwrap_or_default();
        let (folder, free_bytes) = (folder.display(), self.free);
        let min_free_bytes = self.min_free_bytes;
        match self.turn() {
            Some(Turn::Full) => tracing::error!(
                %folder,
                free_bytes,
                min_free_bytes,
                "the disk is nearly full: less is free than store.min_free_bytes, so what is new is refused with 503. Reading goes on, and so does what settles or takes away, as long as a sixteenth of that is free. New content may come in the place of what was taken away, as long as half of it is. Make room on the folder's disk and all goes on by itself, or lower store.min_free_bytes and start the hub again"
            ),
            Some(Turn::Roomy) => tracing::warn!(
                %folder,
                free_bytes,
                min_free_bytes,
                "the disk has room again: nothing is refused for want of it any more"
            ),
            None => {}
        }
    }

    /// There must be somewhat more than the mark for enough, or of a disk that stands just at it would be told again and
    /// again.
    fn enough(&self) -> u64 {
        self.min_free_bytes.saturating_add(self.min_free_bytes / 16)
    }

    fn turn(&mut self) -> Option<Turn> {
        let more = self.min_free_bytes / 16;
        let within = self.let_go >= more.max(1) && self.free >= self.floor(2, 3);
        let turn = match self.is_told_full {
            false if !self.room(0).0 => Turn::Full,
            true if self.free >= self.enough() || within => Turn::Roomy,
            _ => return None,
        };
        self.is_told_full = turn == Turn::Full;
        Some(turn)
    }

    /// How low the disk may be for a part of the reserve to be used, `pieces` being the least that is left.
    fn floor(&self, part: u64, pieces: u64) -> u64 {
        let mark = self.min_free_bytes;
        (mark / part).max(pieces * PIECE_BYTES).min(mark / 2)
    }

    /// Takes note of a group that was written, and of how much content it took away.
    pub(super) fn note(&mut self, written_bytes: u64, let_go_bytes: u64) {
        let all = self.let_go.saturating_add(let_go_bytes);
        self.let_go = all.saturating_sub(written_bytes);
    }

    /// Whether there is room for new content, and whether for what only settles and frees, once so many bytes more
    /// are written.
    pub(super) fn room(&self, gathered_bytes: u64) -> (bool, bool) {
        let taken = gathered_bytes.saturating_mul(DISK_BYTES_A_BYTE);
        let free = self.free.saturating_sub(taken);
        let within = self.let_go > gathered_bytes && free >= self.floor(2, 3);
        (
            free >= self.min_free_bytes || within,
            free >= self.floor(16, 4),
        )
    }

    /// Whether the disk is below the mark, or not far from it.
    pub(super) fn is_close(&self) -> bool {
        self.free < self.min_free_bytes.saturating_mul(2)
    }

    /// How much a copy of the store may take beside it, so that taking away and settling can go on: a piece more than that
    /// needs.
    pub(super) fn room_for_copy(&self) -> u64 {
        self.free.saturating_sub(self.floor(16, 5))
    }

    /// Forgets what was taken away: there is no room within the file any more.
    pub(super) fn renew(&mut self) {
        self.let_go = 0;
    }

    /// Whether so much can be written, and something is left.
    pub(super) fn holds(&self, bytes: u64) -> bool {
        self.free.saturating_sub(bytes) >= PIECE_BYTES.min(self.min_free_bytes / 2)
    }

    /// How much more would have to be free for new content to be taken; 0 where it is.
    pub(super) fn lacking_bytes(&self) -> u64 {
        match self.room(0).0 {
            true => 0,
            false => self.enough().saturating_sub(self.free),
        }
    }

    /// Whether the disk is below the mark.
    pub(super) fn is_short(&self) -> bool {
        self.free < self.min_free_bytes
    }

    /// Whether there is room for tidying, by which what was taken away makes room: also where that itself has taken so much
    /// that no more may be taken away.
    pub(super) fn may_tidy(&self) -> bool {
        self.free >= self.floor(32, 2)
    }
}

#[cfg(test)]
#[path = "space_tests.rs"]
mod tests;
