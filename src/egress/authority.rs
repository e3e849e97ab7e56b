//! The connections to one authority (host and port): one shared HTTP/2 connection, or a bounded set of HTTP/1.1
//! ones, whichever the server speaks. Opening is paced, since a server that sees a client open and close
//! connections takes it for an attack (Apple, "Establishing a connection to APNs").

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};

use super::{
    Failure,
    credential::Keeper,
    dial::{Dialed, Dialer},
};

/// The most HTTP/1.1 connections to one authority.
const MAX_HTTP1: usize = 16;

/// How long an unused HTTP/1.1 connection is kept: less than the usual patience of servers, so that a request is
/// not written into a connection that is just being closed.
const MAX_HTTP1_IDLE: Duration = Duration::from_secs(30);

/// The shortest time between two openings of an HTTP/2 connection.
const PACE: Duration = Duration::from_secs(1);

/// The longest wait after failures.
const MAX_PACE: Duration = Duration::from_secs(60);

/// One host and port, and what is open to it.
pub(super) struct Authority {
    host: String,
    port: u16,
    /// Held while the first connection is opened, so that a burst opens one and not hundreds.
    opening: tokio::sync::Mutex<()>,
    permits: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many HTTP/2 connections there have been; the last one's number.
    opened: u64,
    shared: Option<Arc<Shared>>,
    /// Whether the server chose HTTP/1.1 last.
    http1: bool,
    idle: Vec<(http1::SendRequest<Full<Bytes>>, Instant)>,
    failures: u32,
    not_before: Option<Instant>,
    /// What became of the last connection, where it came to nothing.
    last_fault: Option<String>,
}

/// An HTTP/2 connection, shared by all requests.
pub(super) struct Shared {
    pub(super) number: u64,
    pub(super) sender: http2::SendRequest<Full<Bytes>>,
    /// Held by the one request that goes alone.
    pub(super) alone: tokio::sync::Mutex<()>,
    /// Whether an answer has shown that the server takes our credential.
    pub(super) proven: AtomicBool,
    /// How often it refused that of a request that went alone.
    pub(super) refusals: AtomicU64,
    /// Which credential it keeps to.
    pub(super) kept: Keeper,
    retired: AtomicBool,
    heard: Mutex<Option<Instant>>,
}

/// An HTTP/1.1 connection, for one request at a time.
pub(super) struct Own {
    pub(super) sender: http1::SendRequest<Full<Bytes>>,
    _permit: OwnedSemaphorePermit,
}

/// A connection to send one request on.
pub(super) enum Lease {
    Shared(Arc<Shared>),
    Own(Own),
}

impl Authority {
    pub(super) fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            opening: tokio::sync::Mutex::new(()),
            permits: Arc::new(Semaphore::new(MAX_HTTP1)),
            state: Mutex::new(State::default()),
        }
    }

    /// A connection that seems to be alive; a new one where there is none.
    pub(super) async fn lease(&self, dialer: &Dialer) -> Result<Lease, Failure> {
        if let Some(shared) = self.shared() {
            return Ok(Lease::Shared(shared));
        }
        // Boxed, like all that is rare on the way of a push: each push under way would else have room for it.
        Box::pin(self.lease_anew(dialer)).await
    }

    async fn lease_anew(&self, dialer: &Dialer) -> Result<Lease, Failure> {
        if !self.state().http1 {
            let _opening = self.opening.lock().await;
            if let Some(shared) = self.shared() {
                return Ok(Lease::Shared(shared));
            }
            // Those who waited for a first connection that turned out to be HTTP/1.1 go on to open their own.
            if !self.state().http1 {
                match self.open(dialer).await? {
                    Dialed::Http2(sender) => return Ok(Lease::Shared(self.share(sender))),
                    Dialed::Http1(sender) => self.keep(sender),
                }
            }
        }
        self.own(dialer).await
    }

    /// Takes an HTTP/1.1 connection back after a whole answer.
    pub(super) fn give_back(&self, own: Own) {
        // Unless the server has turned to HTTP/2 meanwhile.
        if self.state().http1 {
            self.keep(own.sender);
        }
    }

    /// Stops using connection `number` for new requests; those under way may still be answered.
    pub(super) fn retire(&self, number: u64) {
        if let Some(shared) = &self.state().shared
            && shared.number == number
        {
            shared.retire();
        }
    }

    /// Notes that the server answered: the next opening needs no patience.
    pub(super) fn answered(&self) {
        let mut state = self.state();
        state.last_fault = None;
        if state.failures > 0 {
            state.failures = 0;
            state.not_before = Some(Instant::now() + PACE);
        }
    }

    /// Notes what became of a request that was not answered, for those who are told to wait.
    pub(super) fn failed(&self, fault: String) {
        self.state().last_fault = Some(fault);
    }

    /// What became of the last connection, where that was of no use.
    pub(super) fn fault(&self) -> String {
        let fault = self.state().last_fault.clone();
        fault.unwrap_or_else(|| String::from("it was of no use"))
    }

    fn shared(&self) -> Option<Arc<Shared>> {
        self.state()
            .shared
            .as_ref()
            .filter(|shared| shared.is_usable())
            .cloned()
    }

    fn share(&self, sender: http2::SendRequest<Full<Bytes>>) -> Arc<Shared> {
        let mut state = self.state();
        state.opened += 1;
        let shared = Arc::new(Shared {
            number: state.opened,
            sender,
            alone: tokio::sync::Mutex::new(()),
            proven: AtomicBool::new(false),
            refusals: AtomicU64::new(0),
            kept: Keeper::default(),
            retired: AtomicBool::new(false),
            heard: Mutex::new(None),
        });
        state.http1 = false;
        state.shared = Some(Arc::clone(&shared));
        // Until it has answered, an opened connection counts as a failure: some servers accept and close at once.
        state.failures = state.failures.saturating_add(1);
        state.not_before = Some(Instant::now() + pace(state.failures));
        shared
    }

    async fn own(&self, dialer: &Dialer) -> Result<Lease, Failure> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|e| Failure::Connection(e.to_string()))?;
        while let Some(mut sender) = self.take_idle() {
            if sender.ready().await.is_ok() {
                return Ok(Lease::Own(Own {
                    sender,
                    _permit: permit,
                }));
            }
        }
        match self.open(dialer).await? {
            Dialed::Http1(sender) => Ok(Lease::Own(Own {
                sender,
                _permit: permit,
            })),
            Dialed::Http2(sender) => Ok(Lease::Shared(self.share(sender))),
        }
    }

    fn take_idle(&self) -> Option<http1::SendRequest<Full<Bytes>>> {
        let mut state = self.state();
        state
            .idle
            .retain(|(sender, since)| !sender.is_closed() && since.elapsed() < MAX_HTTP1_IDLE);
        state.idle.pop().map(|(sender, _)| sender)
    }

    fn keep(&self, sender: http1::SendRequest<Full<Bytes>>) {
        let mut state = self.state();
        state.http1 = true;
        state.shared = None;
        state.idle.push((sender, Instant::now()));
    }

    async fn open(&self, dialer: &Dialer) -> Result<Dialed, Failure> {
        self.wait_for_turn().await?;
        let started = Instant::now();
        let dialed = dialer.dial(&self.host, self.port).await;
        let mut state = self.state();
        if let Err(failure) = &dialed {
            state.last_fault = Some(words(failure));
        }
        // Of a burst of HTTP/1.1 connections that fail together, one counts.
        let first = state.not_before.is_none_or(|moment| moment <= started);
        if dialed.is_err() && first {
            state.failures = state.failures.saturating_add(1);
            state.not_before = Some(Instant::now() + pace(state.failures));
        }
        drop(state);
        dialed
    }

    /// Waits for up to a second until a connection may be opened again.
    async fn wait_for_turn(&self) -> Result<(), Failure> {
        let (not_before, fault) = {
            let state = self.state();
            (state.not_before, state.last_fault.clone())
        };
        let Some(moment) = not_before else {
            return Ok(());
        };
        let left = moment.saturating_duration_since(Instant::now());
        if left > PACE {
            let fault = fault.unwrap_or_else(|| String::from("the last one failed"));
            return Err(Failure::Connection(format!(
                "{fault}; the next is opened in {} s",
                left.as_secs() + 1
            )));
        }
        sleep_until(moment).await;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    pub(super) fn is_usable(&self) -> bool {
        !self.retired.load(Ordering::Relaxed) && !self.sender.is_closed()
    }

    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Notes that something came back.
    pub(super) fn hear(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether nothing has come back since `moment`: the connection may be dead without knowing it.
    pub(super) fn silent_since(&self, moment: Instant) -> bool {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.is_none_or(|heard| heard < moment)
    }
}

/// What is wrong with a connection, without that it is one.
fn words(failure: &Failure) -> String {
    match failure {
        Failure::NoWay(why) | Failure::Connection(why) => why.clone(),
        other => other.to_string(),
    }
}

/// The wait after `failures` in a row: 1 s, doubling to a minute.
fn pace(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(6);
    (PACE * 2_u32.pow(doublings)).min(MAX_PACE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_doubles_to_a_minute() {
        let paces = [0, 1, 2, 3, 6, 7, u32::MAX].map(|failures| pace(failures).as_secs());
        assert_eq!(paces, [1, 1, 2, 4, 32, 60, 60]);
    }
}
