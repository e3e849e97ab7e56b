//! Endpoints that are free again: their tap is settled, and their lane has room for another.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Dispatcher, PAUSE, lanes::LaneKey, parked::Line};
use crate::{
    hub::Tested,
    model::{EndpointId, FeedPosition, Subject, Timestamp},
};

/// Told to the dispatcher when an endpoint is free again.
#[derive(Debug)]
pub(super) struct Freed {
    pub(super) subject: Subject,
    pub(super) endpoint: EndpointId,
    /// Which lane may have room for another.
    pub(super) lane: Arc<LaneKey>,
    /// What it left to be done.
    pub(super) left: Left,
}

/// What a tap leaves to be done for its endpoint.
#[derive(Debug)]
pub(super) enum Left {
    /// What became of it is not on disk: it is due again in a moment.
    Unkept,
    /// The endpoint is to be looked at.
    Unknown,
    /// It was a test, and this came of it.
    Tested(Tested),
    /// It was taken, and the endpoint lacks nothing of the feed up to `covers` that was not told; at `repeat` it may be
    /// due again.
    Nothing {
        covers: FeedPosition,
        repeat: Timestamp,
    },
}

/// Frees the endpoint when it is dropped, however the push ended.
pub(super) struct Freeing {
    pub(super) to: mpsc::UnboundedSender<Freed>,
    pub(super) freed: Option<Freed>,
}

impl Drop for Freeing {
    fn drop(&mut self) {
        if let Some(freed) = self.freed.take() {
            // The dispatcher may have stopped; nobody needs to hear it then.
            let _dispatcher_may_be_gone = self.to.send(freed);
        }
    }
}

/// What is to be done with a job of which a tap was settled.
enum Next {
    Look,
    Close,
    Wait,
    Nothing,
}

impl Dispatcher {
    /// Goes on with a job of which a tap is settled.
    pub(super) fn free(&mut self, freed: Freed) {
        self.call(&freed.lane);
        let subject = freed.subject;
        let next = self.jobs.change(&subject, |job| {
            job.busy.remove(&freed.endpoint);
            match freed.left {
                Left::Unkept => Next::Wait,
                Left::Nothing { covers, repeat }
                    if job.spares_look(&freed.endpoint, (covers, repeat)) =>
                {
                    match job.is_at_rest() {
                        true => Next::Close,
                        false => Next::Nothing,
                    }
                }
                Left::Tested(tested) => {
                    job.answer(&freed.endpoint, tested);
                    Next::Look
                }
                Left::Unknown | Left::Nothing { .. } => Next::Look,
            }
        });
        match next {
            Some(Next::Look) => self.look(&subject),
            Some(Next::Close) => self.close(subject),
            Some(Next::Wait) => self.wake_at(subject, self.hub.now().plus(PAUSE)),
            Some(Next::Nothing) | None => {}
        }
    }

    /// Looks at the first of those who wait in each line of a lane for which it has room.
    fn call(&mut self, lane: &Arc<LaneKey>) {
        for ahead in [true, false] {
            let line = Line {
                lane: Arc::clone(lane),
                ahead,
            };
            while self.lanes.has_room(&line)
                && let Some(subject) = self.parked.pop(&line)
            {
                if self.jobs.change(&subject, |job| job.is_called(&line)) == Some(true) {
                    self.look(&subject);
                    break;
                }
            }
        }
    }
}
