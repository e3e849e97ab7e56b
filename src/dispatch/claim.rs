//! Taking markers from the outbox: as many as can be worked on.

use super::{Dispatcher, PAGE, PAUSE, circuit};
use crate::model::{Marker, Timestamp};

impl Dispatcher {
    /// What stood still for wrong settings is tried with the present ones: those who wait in the outbox, and those
    /// whom a look is under way for that began with the old ones.
    pub(super) async fn begin_anew(&mut self) {
        self.lanes.tell_anew();
        self.take_up_again().await;
    }

    /// The same where a lane that stood still is tried with success.
    pub(super) async fn take_up_again(&mut self) {
        for subject in self.jobs.subjects() {
            self.look(&subject);
        }
        let ahead = circuit::STOPPED + PAUSE + circuit::SLOTS;
        self.horizon = self.hub.now().plus(ahead);
        self.claim().await;
    }

    /// Takes the markers that are due now, or will be by the horizon, until that has been reached: looking too early is no
    /// harm.
    pub(super) async fn claim(&mut self) {
        let announced = self.hub.store().bells().take_earliest();
        let mut from = announced.map_or(self.read_up_to, |due| due.min(self.read_up_to));
        let now = self.hub.now();
        let (mut most, until) = (PAGE, self.horizon.max(now));
        loop {
            let (markers, next) = match self.hub.due_markers(from, until, most).await {
                Ok(found) => found,
                Err(error) => {
                    tracing::error!(%error, "the outbox cannot be read; trying again in a moment");
                    self.read_up_to = from;
                    self.next_due = Some(now.plus(PAUSE));
                    return;
                }
            };
            let full = markers.len() == most;
            let last = markers.last().map(|marker| marker.due);
            let fresh = markers
                .into_iter()
                .filter(|marker| self.take(marker.clone()))
                .count();
            let Some(last) = last.filter(|_| full) else {
                self.horizon = Timestamp::default();
                self.read_up_to = now;
                self.next_due = next;
                return;
            };
            if self.jobs.claimed() >= self.max_jobs {
                self.read_up_to = last;
                self.next_due = Some(now);
                return;
            }
            // Many of one moment: read more at once, or this would not get on.
            most = if fresh == 0 { most * 2 } else { PAGE };
            from = last;
        }
    }

    fn take(&mut self, marker: Marker) -> bool {
        let subject = marker.subject.clone();
        let is_new = self.jobs.begin(&subject, |job| job.take(marker));
        if is_new {
            self.look(&subject);
        }
        is_new
    }
}
