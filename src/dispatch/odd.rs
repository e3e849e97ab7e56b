//! Channels for which a push service refuses the operator's settings, though it takes pushes for others: it is they.

use std::collections::VecDeque;

use super::circuit::{STOPPED, TRIP};
use crate::model::Timestamp;

/// How many such channels are remembered.
const MOST: usize = 256;

/// What one service refused and took.
#[derive(Debug, Default)]
pub(super) struct Odd {
    /// For which channels it refused the settings since it took a push.
    refused: InARow,
    /// For which it did so before it took one for another.
    known: VecDeque<u64>,
    /// When it took a push last.
    taken: Timestamp,
}

impl Odd {
    /// A push to a channel was taken: for whichever others the settings were refused, it is they.
    pub(super) fn vouch(&mut self, channel: u64, now: Timestamp) {
        self.taken = now;
        self.known.retain(|other| *other != channel);
        let others = self.refused.0.drain(..).filter(|other| *other != channel);
        self.known.extend(others);
        let over = self.known.len().saturating_sub(MOST);
        self.known.drain(..over);
    }

    /// Takes in that the settings are refused for a channel; says whether that says nothing of others: it is known for
    /// that, or a push was taken just before and few others are refused since.
    pub(super) fn is_it(&mut self, channel: u64, now: Timestamp) -> bool {
        if self.known.contains(&channel) {
            return true;
        }
        let many = self.refused.take(channel);
        let just_taken = self.taken <= now && self.taken.plus(STOPPED) > now;
        just_taken && !many
    }
}

/// Different channels in a row of which a service says the same; no more than [`TRIP`].
#[derive(Debug, Default)]
pub(super) struct InARow(Vec<u64>);

impl InARow {
    /// Takes a channel in; says whether they are so many that all are meant.
    pub(super) fn take(&mut self, channel: u64) -> bool {
        let many = TRIP as usize;
        if self.0.len() < many && !self.0.contains(&channel) {
            self.0.push(channel);
        }
        self.0.len() >= many
    }

    /// Something else came.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
