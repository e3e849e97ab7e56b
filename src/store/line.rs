//! The line before the committer: who goes into the next group.

use std::{collections::VecDeque, sync::mpsc};

use super::commit::{Request, Work};

/// How many units one group takes at most; more would make the first of them wait for too long.
pub(super) const GROUP_UNITS: usize = 512;
/// How many groups a patient batch lets go first at most.
const PATIENCE: u32 = 4;

/// Who is next: everyone in the order of their coming, but the patient.
#[derive(Default)]
pub(super) struct Line {
    patient: VecDeque<Request>,
    passed: u32,
}

impl Line {
    /// The next group; none, once nobody can come any more.
    pub(super) fn next_group(&mut self, waiting: &mpsc::Receiver<Request>) -> Option<Vec<Request>> {
        let mut group = Vec::new();
        if self.patient.is_empty() {
            self.sort(waiting.recv().ok()?, &mut group);
        }
        while group.len() < GROUP_UNITS
            && let Ok(next) = waiting.try_recv()
        {
            self.sort(next, &mut group);
        }
        if group.is_empty() || self.passed >= PATIENCE {
            group.extend(self.patient.pop_front());
            self.passed = 0;
        } else if !self.patient.is_empty() {
            self.passed += 1;
        }
        Some(group)
    }

    fn sort(&mut self, request: Request, group: &mut Vec<Request>) {
        match &request.work {
            Work::Batch(batch) if batch.patient => self.patient.push_back(request),
            _ => group.push(request),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::{
        model::{AppHost, Subject, UserId},
        store::{Batch, Unit},
    };

    fn request(work: Work) -> Request {
        let (answer, _nobody_waits) = oneshot::channel();
        Request {
            work,
            hold: Vec::new(),
            answer,
        }
    }

    fn single() -> Request {
        request(Work::Unit(Unit::of(Subject {
            app: AppHost::parse("a.example").unwrap(),
            user: UserId::parse("ada").unwrap(),
        })))
    }

    fn patient() -> Request {
        request(Work::Batch(Batch {
            patient: true,
            ..Batch::default()
        }))
    }

    /// How many of the next group are not patient, and how many are.
    fn next(line: &mut Line, waiting: &mpsc::Receiver<Request>) -> (usize, usize) {
        let group = line.next_group(waiting).unwrap();
        let is_patient = |it: &&Request| matches!(&it.work, Work::Batch(batch) if batch.patient);
        let patient = group.iter().filter(is_patient).count();
        (group.len() - patient, patient)
    }

    #[test]
    fn a_patient_batch_lets_others_go_first_but_not_for_ever() {
        let (queue, waiting) = mpsc::sync_channel(16);
        let mut line = Line::default();
        for it in [patient(), single(), single(), patient()] {
            queue.send(it).unwrap();
        }
        assert_eq!(next(&mut line, &waiting), (2, 0));
        assert_eq!(next(&mut line, &waiting), (0, 1), "nobody else waits");
        for passed in 0..PATIENCE {
            queue.send(single()).unwrap();
            assert_eq!(next(&mut line, &waiting), (1, 0), "after {passed}");
        }
        queue.send(single()).unwrap();
        assert_eq!(next(&mut line, &waiting), (1, 1), "it has waited enough");
        drop(queue);
        assert!(line.next_group(&waiting).is_none());
    }
}
