//! How many connections may be open at once (`server.limits.connections`).
//!
//! The HTTP library would leave those beyond the limit unanswered, and a caller without a word to go by. So it takes a
//! few more than the limit; who comes over one of these is told so, and the connection is closed.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use actix_web::{HttpRequest, dev::Extensions};

use super::Error;
use crate::hub;

/// How many stand beyond the limit, to be told: a tenth of it, at least these.
const LEAST_STANDING: usize = 16;

/// The seats of a listener.
#[derive(Debug)]
pub(super) struct Seats {
    taken: AtomicUsize,
    most: usize,
}

/// A connection within the limit; the seat is free again when it is dropped.
#[derive(Debug)]
struct Seat(Arc<Seats>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection beyond the limit.
#[derive(Debug)]
struct Standing {
    most: usize,
}

impl Seats {
    pub(super) fn new(most: usize) -> Arc<Self> {
        let taken = AtomicUsize::new(0);
        Arc::new(Self { taken, most })
    }

    /// How many connections each of so many workers takes, those beyond the limit among them.
    pub(super) fn per_worker(&self, workers: usize) -> usize {
        let standing = (self.most / 10).max(LEAST_STANDING);
        self.most.saturating_add(standing).div_ceil(workers)
    }

    /// Notes with a new connection whether it has a seat.
    pub(super) fn take(self: &Arc<Self>, connection: &mut Extensions) {
        // Taken first and given back if there was none, so that two never share the last.
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        let seat = Seat(Arc::clone(self));
        if before < self.most {
            connection.insert(seat);
        } else {
            connection.insert(Standing { most: self.most });
        }
    }
}

/// Why nothing is answered on the connection of this request, if so.
pub(super) fn refusal(request: &HttpRequest) -> Option<Error> {
    let standing = request.conn_data::<Standing>()?;
    Some(Error::Hub(hub::Error::Limit {
        name: "server.limits.connections",
        max: standing.most,
        advice: "close connections that are not needed, or ask the operator for more",
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_free_again_when_its_connection_ends() {
        let seats = Seats::new(1);
        let (mut first, mut second, mut third) =
            (Extensions::new(), Extensions::new(), Extensions::new());
        seats.take(&mut first);
        seats.take(&mut second);
        assert!(first.contains::<Seat>() && second.contains::<Standing>());
        drop(first);
        seats.take(&mut third);
        assert!(third.contains::<Seat>());
    }

    #[test]
    fn all_workers_together_take_the_limit_and_some_who_stand() {
        assert_eq!(Seats::new(10_000).per_worker(2), 5_500);
        assert_eq!(Seats::new(4).per_worker(1), 20);
        assert_eq!(Seats::new(usize::MAX).per_worker(1), usize::MAX);
    }
}
