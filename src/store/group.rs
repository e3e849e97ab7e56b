//! A group in the making: what is written at once, and who waits for it.

use std::collections::HashSet;

use super::{
    AppRow, Error, Unit,
    commit::State,
    engine::Op,
    rows,
    shared::{self, Counts},
    work::{Request, Work},
};
use crate::model::Subject;

/// What a group has gathered so far.
#[derive(Default)]
pub(super) struct Group {
    pub(super) ops: Vec<Op>,
    pub(super) bytes: u64,
    /// What it may take on a disk that is nearly full.
    disk_bytes: u64,
    /// How much content it takes away.
    pub(super) let_go_bytes: u64,
    planned_on: HashSet<Subject>,
    pub(super) counts: Counts,
    pub(super) accepted: Vec<Request>,
    pub(super) stop: Option<Request>,
}

impl Group {
    pub(super) fn units(&self) -> u64 {
        let units = self.accepted.iter().map(|request| match &request.work {
            Work::Batch(batch) => batch.units.len().max(1),
            Work::Unit(_) | Work::Note(_) | Work::Look | Work::Stop => 1,
        });
        units.sum::<usize>() as u64
    }
}

impl State {
    /// Whether a request may go with a group. Where the disk is nearly full it waits for the next one, if this one may
    /// take what room there is: what is taken away is written first, and makes room only once it is tidied up.
    pub(super) fn has_place_for(&self, work: &Work, group: &Group) -> bool {
        group.accepted.is_empty() || self.fits(work, group)
    }

    fn fits(&self, work: &Work, group: &Group) -> bool {
        let taken = group.disk_bytes + work.disk_bytes();
        !self.space.is_short() || taken == 0 || self.space.holds(taken)
    }

    /// Has a request go with a group, or refuses it.
    pub(super) fn take_in(&mut self, request: Request, group: &mut Group) {
        let room = self.space.room(group.bytes);
        let planned = match &request.work {
            Work::Stop => {
                group.stop = Some(request);
                return;
            }
            Work::Look => Ok(Vec::new()),
            Work::Note(log) => {
                self.log.clone_from(log);
                Ok(Vec::new())
            }
            work if !self.fits(work, group) => Err(Error::Full),
            Work::Unit(unit) if room.0 || (room.1 && !unit.brings_new()) => {
                self.plan(std::slice::from_ref(unit), &[], group)
            }
            Work::Batch(batch) if room.0 || (room.1 && !batch.brings_new()) => {
                self.plan(&batch.units, &batch.rows, group)
            }
            Work::Batch(_) | Work::Unit(_) => Err(Error::Full),
        };
        match planned {
            Ok(ops) => {
                group.bytes += ops.iter().map(Op::bytes).sum::<u64>();
                group.let_go_bytes += request.work.let_go_bytes();
                group.disk_bytes += request.work.disk_bytes();
                group.ops.extend(ops);
                group.accepted.push(request);
            }
            Err(error) => {
                let _asker_may_be_gone = request.answer.send(Err(error));
            }
        }
    }

    /// What a request writes; where it answers an error, the group is as it was.
    fn plan(&self, units: &[Unit], rows: &[AppRow], group: &mut Group) -> Result<Vec<Op>, Error> {
        let mut ops = Vec::new();
        for unit in units {
            self.check(unit, &group.planned_on)?;
            ops.extend(rows::ops_of(unit, self.reader.ids()?)?);
        }
        for row in rows {
            rows::app_ops(row, &mut ops)?;
        }
        let sharing = shared::sharing(units, rows)?;
        group.counts.take_in(&self.reader.engine, &sharing)?;
        let planned = units.iter().filter(|unit| unit.expects.is_some());
        let planned = planned.map(|unit| unit.subject.clone());
        group.planned_on.extend(planned);
        Ok(ops)
    }

    /// Whether the feed still stands where the plan saw it.
    fn check(&self, unit: &Unit, planned_on: &HashSet<Subject>) -> Result<(), Error> {
        let Some(expected) = unit.expects else {
            return Ok(());
        };
        let head = self.reader.user(&unit.subject)?.head;
        if head == expected && !planned_on.contains(&unit.subject) {
            Ok(())
        } else {
            Err(Error::Conflict)
        }
    }
}
