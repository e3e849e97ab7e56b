//! The line before the committer: who goes into the next group.

use std::{
    collections::VecDeque,
    sync::mpsc::{self, RecvTimeoutError},
    time::{Duration, Instant},
};

use super::work::{Request, Work};

/// How many units one group takes at most; more would make the first of them wait for too long.
pub(super) const GROUP_UNITS: usize = 512;
/// How many groups a patient batch lets go first at most.
const PATIENCE: u32 = 4;

/// How long what nobody waits for stays in the line at most, for others to share a sync of the disk with.
const LEISURE: Duration = Duration::from_millis(5);

/// What came of waiting.
enum Wait {
    Came,
    Nobody,
    NoMore,
}

/// Who is next: everyone in the order of their coming, but the patient.
#[derive(Default)]
pub(super) struct Line {
    patient: VecDeque<Request>,
    passed: u32,
}

impl Line {
    /// The next group; empty where nobody comes within `pause`, and none once nobody can come any more.
    pub(super) fn next_group(
        &mut self,
        waiting: &mpsc::Receiver<Request>,
        pause: Option<Duration>,
    ) -> Option<Vec<Request>> {
        let mut group = Vec::new();
        if self.patient.is_empty() {
            match self.wait(waiting, pause, &mut group) {
                Wait::Came => {}
                Wait::Nobody => return Some(group),
                Wait::NoMore => return None,
            }
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

    /// Waits for the first who is in a hurry, until those who are not have waited enough, or for `pause`.
    fn wait(
        &mut self,
        waiting: &mpsc::Receiver<Request>,
        pause: Option<Duration>,
        group: &mut Vec<Request>,
    ) -> Wait {
        let first = match pause {
            None => waiting.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(pause) => waiting.recv_timeout(pause),
        };
        let mut next = match first {
            Ok(next) => next,
            Err(RecvTimeoutError::Timeout) => return Wait::Nobody,
            Err(RecvTimeoutError::Disconnected) => return Wait::NoMore,
        };
        let until = Instant::now() + LEISURE;
        loop {
            let hurries = !next.at_leisure;
            self.sort(next, group);
            let left = until.saturating_duration_since(Instant::now());
            if hurries || group.len() >= GROUP_UNITS {
                return Wait::Came;
            }
            next = match waiting.recv_timeout(left) {
                Ok(next) => next,
                Err(_) => return Wait::Came,
            };
        }
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
            at_leisure: false,
            answer,
        }
    }

    fn at_leisure() -> Request {
        Request {
            at_leisure: true,
            ..single()
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
        let group = line.next_group(waiting, None).unwrap();
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
        assert!(line.next_group(&waiting, None).is_none());
    }

    #[test]
    fn where_nobody_comes_for_a_while_the_group_is_empty() {
        let (queue, waiting) = mpsc::sync_channel(16);
        let mut line = Line::default();
        let pause = Some(Duration::from_millis(1));
        assert!(line.next_group(&waiting, pause).unwrap().is_empty());
        for it in [single(), patient()] {
            queue.send(it).unwrap();
        }
        for _ in 0..2 {
            assert_eq!(line.next_group(&waiting, pause).unwrap().len(), 1);
        }
        drop(queue);
        assert!(line.next_group(&waiting, pause).is_none());
    }

    #[test]
    fn what_is_at_leisure_goes_with_the_next_who_is_not_or_alone_after_a_while() {
        let (queue, waiting) = mpsc::sync_channel(16);
        let mut line = Line::default();
        for it in [at_leisure(), at_leisure(), single(), at_leisure()] {
            queue.send(it).unwrap();
        }
        assert_eq!(next(&mut line, &waiting), (4, 0));
        queue.send(at_leisure()).unwrap();
        assert_eq!(next(&mut line, &waiting), (1, 0), "nobody else comes");
        queue.send(at_leisure()).unwrap();
        drop(queue);
        assert_eq!(next(&mut line, &waiting), (1, 0), "nobody can come");
        assert!(line.next_group(&waiting, None).is_none());
    }
}
