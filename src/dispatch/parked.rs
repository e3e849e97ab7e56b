//! Who found a lane full: users wait in line for each lane, and are looked at again as it gets room.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::lanes::LaneKey;
use crate::model::Subject;

/// The lines.
#[derive(Debug, Default)]
pub(super) struct Parked(HashMap<Arc<LaneKey>, VecDeque<Subject>>);

impl Parked {
    /// How many wait for a lane.
    pub(super) fn len(&self, lane: &Arc<LaneKey>) -> usize {
        self.0.get(lane).map_or(0, VecDeque::len)
    }

    /// Puts a user at the end of a line.
    pub(super) fn push(&mut self, lane: &Arc<LaneKey>, subject: Subject) {
        self.0
            .entry(Arc::clone(lane))
            .or_default()
            .push_back(subject);
    }

    /// Takes the first of a line.
    pub(super) fn pop(&mut self, lane: &Arc<LaneKey>) -> Option<Subject> {
        let line = self.0.get_mut(lane)?;
        let first = line.pop_front();
        if line.is_empty() {
            self.0.remove(lane);
        }
        first
    }
}
