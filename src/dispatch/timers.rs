//! Jobs that are looked at again when the time has come.

use super::{Dispatcher, job::Job};
use crate::model::{Subject, Timestamp};

impl Dispatcher {
    /// Ends a job, and its timer with it.
    pub(super) fn end(&mut self, subject: &Subject) {
        let wake = self.jobs.end(subject).and_then(|job| job.wake);
        if let Some(at) = wake {
            self.timers.remove(&(at, subject.clone()));
        }
    }

    /// Has a job looked at again at the latest then. One timer a job: an earlier one stands.
    pub(super) fn wake_at(&mut self, subject: Subject, at: Timestamp) {
        let is_woken = |job: &mut Job| match job.wake {
            Some(wake) if wake <= at => None,
            later => {
                job.wake = Some(at);
                Some(later)
            }
        };
        let Some(earlier) = self.jobs.change(&subject, is_woken).flatten() else {
            return;
        };
        if let Some(later) = earlier {
            self.timers.remove(&(later, subject.clone()));
        }
        self.timers.insert((at, subject));
    }

    pub(super) fn ring_timers(&mut self) {
        let now = self.hub.now();
        while let Some((at, _)) = self.timers.first()
            && *at <= now
            && let Some((_, subject)) = self.timers.pop_first()
        {
            self.jobs.change(&subject, |job| job.wake = None);
            self.look(&subject);
        }
    }
}
