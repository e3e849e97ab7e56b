//! Channels for which a push service refuses the operator's settings, though it takes pushes for others: it is they.

use std::{collections::VecDeque, time::Duration};

use crate::model::Timestamp;

/// For how long a push that was taken vouches for the settings.
const VOUCHED: Duration = Duration::from_secs(60);
/// For how many channels in a row they must be refused to be refused for all, though one was taken just before.
const MANY: usize = 5;
/// How many such channels are remembered.
const MOST: usize = 256;

/// What one service refused and took.
#[derive(Debug, Default)]
pub(super) struct Odd {
    /// For which channels it refused the settings since it took a push; no more than [`MANY`].
    refused: Vec<u64>,
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
        let others = self.refused.drain(..).filter(|other| *other != channel);
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
        if self.refused.len() < MANY && !self.refused.contains(&channel) {
            self.refused.push(channel);
        }
        let just_taken = self.taken <= now && self.taken.plus(VOUCHED) > now;
        just_taken && self.refused.len() < MANY
    }
}
