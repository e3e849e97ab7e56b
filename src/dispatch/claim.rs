//! Taking markers from the outbox: as many as can be worked on.

use std::time::Duration;

use super::{
    Dispatcher, PAGE, PAUSE,
    circuit::{SLOTS, STOPPED},
};
use crate::model::{Marker, Timestamp};

/// How far ahead markers are taken whose wait may be over: as far as any is put off that stands still.
const AHEAD: Duration = STOPPED.saturating_add(PAUSE).saturating_add(SLOTS);

/// How far the taking came.
enum Span {
    /// To its end; and when the next marker after it is due.
    Through(Option<Timestamp>),
    /// So far: there are as many in hand as there may be.
    Full(Timestamp),
    /// So far: the outbox cannot be read.
    Unread(Timestamp),
}

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
        let now = self.hub.now();
        self.early = Some((now, now.plus(AHEAD)));
        self.claim().await;
    }

    /// Takes the markers that are due; and those that are taken early, each once, as far as there is room.
    pub(super) async fn claim(&mut self) {
        let announced = self.hub.store().bells().take_earliest();
        let from = announced.map_or(self.read_up_to, |due| due.min(self.read_up_to));
        let now = self.hub.now();
        let (read_up_to, next_due) = match self.take_span(from, now).await {
            Span::Through(next) => (now, next),
            Span::Full(last) => (last, Some(now)),
            Span::Unread(from) => (from, Some(now.plus(PAUSE))),
        };
        (self.read_up_to, self.next_due) = (read_up_to, next_due);
        // What was begun in a leap that is undone is of no use.
        let early = self.early.filter(|(_, until)| *until <= now.plus(AHEAD));
        let Some((from, until)) = early.filter(|_| read_up_to == now) else {
            self.early = early;
            return;
        };
        self.early = match self.take_span(from.max(now), until).await {
            Span::Through(_) => None,
            Span::Full(last) => {
                self.next_due = Some(now);
                Some((last, until))
            }
            Span::Unread(from) => {
                self.next_due = Some(now.plus(PAUSE));
                Some((from, until))
            }
        };
    }

    /// Takes the markers of a span of time, until there are as many as there may be.
    async fn take_span(&mut self, mut from: Timestamp, until: Timestamp) -> Span {
        let mut most = PAGE;
        loop {
            let (markers, next) = match self.hub.due_markers(from, until, most).await {
                Ok(found) => found,
                Err(error) => {
                    tracing::error!(%error, "the outbox cannot be read; trying again in a moment");
                    return Span::Unread(from);
                }
            };
            let full = markers.len() == most;
            let last = markers.last().map(|marker| marker.due);
            let fresh = markers
                .into_iter()
                .filter(|marker| self.take(marker.clone()))
                .count();
            let Some(last) = last.filter(|_| full) else {
                return Span::Through(next);
            };
            if self.jobs.claimed() >= self.max_jobs {
                return Span::Full(last);
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
