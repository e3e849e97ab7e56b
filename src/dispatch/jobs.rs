//! All jobs, and how many of them nothing but the dispatcher itself bounds: the others wait at a lane, which takes only so
//! many.

use std::collections::HashMap;

use super::job::Job;
use crate::model::Subject;

/// The jobs of a dispatcher.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    all: HashMap<Subject, Job>,
    at_lanes: usize,
}

impl Jobs {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// How many wait at no lane.
    pub(super) fn claimed(&self) -> usize {
        self.all.len() - self.at_lanes
    }

    /// Whose they are.
    pub(super) fn subjects(&self) -> Vec<Subject> {
        let mut subjects: Vec<Subject> = self.all.keys().cloned().collect();
        subjects.sort();
        subjects
    }

    /// The user's job, a new one where there is none, has something done to it.
    pub(super) fn begin<T>(&mut self, subject: &Subject, act: impl FnOnce(&mut Job) -> T) -> T {
        let job = self.all.entry(subject.clone()).or_default();
        counting(&mut self.at_lanes, job, act)
    }

    /// The same to a job that is there.
    pub(super) fn change<T>(
        &mut self,
        subject: &Subject,
        act: impl FnOnce(&mut Job) -> T,
    ) -> Option<T> {
        let job = self.all.get_mut(subject)?;
        Some(counting(&mut self.at_lanes, job, act))
    }

    /// Ends a job, and gives it.
    pub(super) fn end(&mut self, subject: &Subject) -> Option<Job> {
        let job = self.all.remove(subject)?;
        self.at_lanes -= usize::from(job.is_at_a_lane());
        Some(job)
    }
}

fn counting<T>(at_lanes: &mut usize, job: &mut Job, act: impl FnOnce(&mut Job) -> T) -> T {
    *at_lanes -= usize::from(job.is_at_a_lane());
    let done = act(job);
    *at_lanes += usize::from(job.is_at_a_lane());
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AppHost, EndpointId, UserId};

    #[test]
    fn who_waits_at_a_lane_takes_no_place_from_others() {
        let subject = |user: &str| Subject {
            app: AppHost::parse("todo.example").unwrap(),
            user: UserId::parse(user).unwrap(),
        };
        let (ada, bob) = (subject("ada"), subject("bob"));
        let phone = EndpointId::parse("phone").unwrap();
        let mut jobs = Jobs::default();
        jobs.begin(&ada, |job| job.busy.insert(phone.clone()));
        jobs.begin(&bob, |_| ());
        assert_eq!((jobs.len(), jobs.claimed()), (2, 1));
        jobs.change(&ada, |job| job.busy.remove(&phone));
        assert_eq!(jobs.claimed(), 2);
        jobs.change(&bob, |job| job.park(&[]));
        assert_eq!(jobs.claimed(), 1);
        jobs.end(&bob);
        jobs.end(&ada);
        assert_eq!((jobs.len(), jobs.claimed()), (0, 0));
    }
}
