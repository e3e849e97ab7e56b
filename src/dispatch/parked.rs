//! Who found a lane full: users wait in line for each lane, and are looked at again as it gets room.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::lanes::LaneKey;
use crate::model::Subject;

/// One of the two lines of a lane.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Line {
    pub(super) lane: Arc<LaneKey>,
    /// Whether it is that of the taps which go ahead.
    pub(super) ahead: bool,
}

/// Who stands in the lines.
#[derive(Debug, Default)]
pub(super) struct Parked(HashMap<Line, VecDeque<Subject>>);

impl Parked {
    /// How many stand in a line.
    pub(super) fn len(&self, line: &Line) -> usize {
        self.0.get(line).map_or(0, VecDeque::len)
    }

    /// Puts a user at the end of a line.
    pub(super) fn push(&mut self, line: Line, subject: Subject) {
        self.0.entry(line).or_default().push_back(subject);
    }

    /// Takes the first of a line.
    pub(super) fn pop(&mut self, line: &Line) -> Option<Subject> {
        let waiting = self.0.get_mut(line)?;
        let first = waiting.pop_front();
        if waiting.is_empty() {
            self.0.remove(line);
        }
        first
    }
}
