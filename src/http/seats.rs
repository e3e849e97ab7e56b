//! How many connections may be open at once (`server.limits.connections`).
//!
//! The HTTP library would leave those beyond the limit unanswered, and a caller without a word to go by. So it takes a
//! few more than the limit; who comes over one of these is told so, and the connection is closed. Before that, those give
//! way of which no head of a request has come yet: a crowd of silent ones keeps nobody out who has something to say.

use std::{
    any::Any,
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
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
    /// How many silent ones can be had give way: of each there is a second handle.
    known: usize,
    silent: Mutex<Silents>,
}

/// Those of whom nothing was heard yet, the oldest first.
#[derive(Debug, Default)]
struct Silents {
    next: u64,
    seated: VecDeque<Silent>,
    standing: VecDeque<Silent>,
}

/// A connection of which nothing was heard yet.
#[derive(Debug)]
struct Silent {
    number: u64,
    handle: Handle,
    /// Whether its seat was taken from it.
    gone: Arc<AtomicBool>,
}

/// What a connection can be closed by, of its own: so it is closed, and no other one that has its descriptor by then.
#[derive(Debug)]
#[cfg(target_os = "linux")]
struct Handle(std::os::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl Handle {
    /// None where there are no files left: then others give way.
    fn of(connection: &dyn Any) -> Option<Self> {
        use std::os::fd::AsFd as _;
        let handle = super::plain(connection)?.as_fd().try_clone_to_owned();
        handle.ok().map(Self)
    }

    fn close(&self) {
        if let Err(error) = rustix::net::shutdown(&self.0, rustix::net::Shutdown::Both) {
            tracing::debug!(%error, "a silent connection had gone before it was closed");
        }
    }
}

#[derive(Debug)]
#[cfg(not(target_os = "linux"))]
struct Handle;

#[cfg(not(target_os = "linux"))]
impl Handle {
    fn of(_: &dyn Any) -> Option<Self> {
        None
    }

    fn close(&self) {}
}

/// A connection; where it has a seat, that is free again when this is dropped.
#[derive(Debug)]
struct Seat {
    seats: Arc<Seats>,
    number: u64,
    is_seated: bool,
    has_spoken: AtomicBool,
    gone: Arc<AtomicBool>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.forget(self.number, self.is_seated);
        if !self.gone.load(Ordering::SeqCst) {
            self.seats.taken.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Seats {
    pub(super) fn new(most: usize) -> Arc<Self> {
        let standing = standing(most);
        let spare = spare_files().saturating_sub(most.saturating_add(standing));
        Arc::new(Self {
            taken: AtomicUsize::new(0),
            most,
            known: most.min(spare).max(standing),
            silent: Mutex::default(),
        })
    }

    /// How many connections each of so many workers takes, those beyond the limit among them.
    pub(super) fn per_worker(&self, workers: usize) -> usize {
        self.most
            .saturating_add(standing(self.most))
            .div_ceil(workers)
    }

    /// Notes with a new connection whether it has a seat. Where there is none, the oldest silent one gives its own up.
    pub(super) fn take(self: &Arc<Self>, connection: &dyn Any, data: &mut Extensions) {
        // Taken first, so that two never share the last.
        let before = self.taken.fetch_add(1, Ordering::SeqCst);
        let is_seated = before < self.most || self.has_one_give_way();
        let gone = Arc::new(AtomicBool::new(false));
        let number = self.know_silent(connection, is_seated, &gone);
        data.insert(Seat {
            seats: Arc::clone(self),
            number,
            is_seated,
            has_spoken: AtomicBool::new(false),
            gone,
        });
    }

    /// Gives the number by which it is known from now on. Of those that stand only so many may, or nobody could be told.
    fn know_silent(&self, connection: &dyn Any, is_seated: bool, gone: &Arc<AtomicBool>) -> u64 {
        let mut silents = self.silents();
        let number = silents.next;
        silents.next += 1;
        let (most, silent) = match is_seated {
            true => (self.known, &mut silents.seated),
            false => (standing(self.most) / 2, &mut silents.standing),
        };
        if is_seated && silent.len() >= most {
            return number;
        }
        silent.extend(Handle::of(connection).map(|handle| Silent {
            number,
            handle,
            gone: Arc::clone(gone),
        }));
        if silent.len() > most
            && let Some(oldest) = silent.pop_front()
        {
            oldest.handle.close();
        }
        number
    }

    /// Closes the oldest silent one that has a seat; says whether there was one.
    fn has_one_give_way(&self) -> bool {
        let oldest = {
            let mut silents = self.silents();
            let oldest = silents.seated.pop_front();
            // Beneath the lock, so that its seat is given back once.
            if let Some(oldest) = &oldest {
                oldest.gone.store(true, Ordering::SeqCst);
                self.taken.fetch_sub(1, Ordering::SeqCst);
            }
            oldest
        };
        oldest.is_some_and(|it| {
            it.handle.close();
            true
        })
    }

    fn forget(&self, number: u64, is_seated: bool) {
        let mut silents = self.silents();
        let silent = match is_seated {
            true => &mut silents.seated,
            false => &mut silents.standing,
        };
        if let Ok(place) = silent.binary_search_by_key(&number, |it| it.number) {
            silent.remove(place);
        }
    }

    fn silents(&self) -> MutexGuard<'_, Silents> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many may stand where so many may sit.
fn standing(most: usize) -> usize {
    (most / 10).max(LEAST_STANDING)
}

/// How many files there are for connections: a quarter of all is for the rest.
#[cfg(target_os = "linux")]
fn spare_files() -> usize {
    use rustix::process::{Resource, getrlimit};
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(files / 4 * 3).unwrap_or(usize::MAX)
}

#[cfg(not(target_os = "linux"))]
fn spare_files() -> usize {
    0
}

/// Why nothing is answered on the connection of this request, if so.
pub(super) fn refusal(request: &HttpRequest) -> Option<Error> {
    let seat = request.conn_data::<Seat>()?;
    if !seat.has_spoken.swap(true, Ordering::Relaxed) {
        seat.seats.forget(seat.number, seat.is_seated);
    }
    (!seat.is_seated).then(|| {
        Error::Hub(hub::Error::Limit {
            name: "server.limits.connections",
            max: seat.seats.most,
            advice: "close connections that are not needed, or ask the operator for more",
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_seated(data: &Extensions) -> bool {
        data.get::<Seat>().unwrap().is_seated
    }

    #[test]
    fn a_seat_is_free_again_when_its_connection_ends() {
        let seats = Seats::new(1);
        let (mut first, mut second, mut third) =
            (Extensions::new(), Extensions::new(), Extensions::new());
        seats.take(&(), &mut first);
        seats.take(&(), &mut second);
        assert!(is_seated(&first) && !is_seated(&second));
        drop(first);
        drop(second);
        seats.take(&(), &mut third);
        assert!(is_seated(&third));
    }

    #[test]
    fn all_workers_together_take_the_limit_and_some_who_stand() {
        assert_eq!(Seats::new(10_000).per_worker(2), 5_500);
        assert_eq!(Seats::new(4).per_worker(1), 20);
        assert_eq!(Seats::new(usize::MAX).per_worker(1), usize::MAX);
    }
}
