//! Who listens right now: open streams, and the tickets that open one. In memory; a restart ends both.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Error, Hub, UserCaller};
use crate::model::{EndpointId, FeedPosition, Secret, Subject, Timestamp};

/// How long a ticket may wait to be used.
const TICKET_LIFE: Duration = Duration::from_secs(60);
/// How many tickets of one user may wait; a further one ends the oldest.
const TICKETS_PER_USER: usize = 20;

/// Open streams and waiting tickets.
#[derive(Debug, Default, Clone)]
pub(super) struct Streams(Arc<Mutex<Listening>>);

#[derive(Debug, Default)]
struct Listening {
    open: HashMap<Subject, Vec<Option<EndpointId>>>,
    total: usize,
    tickets: HashMap<String, Ticket>,
    /// Each user's waiting tickets, oldest first.
    waiting: HashMap<Subject, VecDeque<String>>,
}

/// What a ticket opens.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// For whom.
    pub caller: UserCaller,
    /// From where; from now, where nothing.
    pub from: Option<FeedPosition>,
    /// Until when it may be used.
    pub expires: Timestamp,
}

/// An open stream; it is closed when this is dropped.
#[derive(Debug)]
pub struct Listener {
    streams: Streams,
    subject: Subject,
    endpoint: Option<EndpointId>,
}

impl Hub {
    /// Counts a stream in.
    ///
    /// # Errors
    /// `Limit` where the user has as many open as there may be.
    pub fn listen(
        &self,
        subject: &Subject,
        endpoint: Option<EndpointId>,
    ) -> Result<Listener, Error> {
        let max = self.limits().streams_per_user;
        let mut listening = self.streams.locked();
        let open = listening.open.entry(subject.clone()).or_default();
        if open.len() >= max {
            return Err(Error::Limit {
                name: "server.limits.streams_per_user",
                max,
                advice: "close another stream first",
            });
        }
        open.push(endpoint.clone());
        listening.total += 1;
        Ok(Listener {
            streams: self.streams.clone(),
            subject: subject.clone(),
            endpoint,
        })
    }

    /// How many streams are open.
    pub fn streams_open(&self) -> usize {
        self.streams.locked().total
    }

    /// Gives a ticket that opens one stream within a minute.
    pub fn ticket(
        &self,
        caller: UserCaller,
        from: Option<FeedPosition>,
    ) -> (Secret<String>, Timestamp) {
        let now = self.now();
        let expires = now.plus(TICKET_LIFE).min(caller.expires);
        let text = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let ticket = Ticket {
            caller,
            from,
            expires,
        };
        self.streams.locked().keep(text.clone(), ticket, now);
        (Secret::new(text), expires)
    }

    /// Counts a stream in by a ticket, which is gone then; it stays good where there is no room for the stream yet.
    ///
    /// # Errors
    /// `Unauthenticated` where it is unknown, was used, or waited for too long; as [`Hub::listen`].
    pub fn listen_by_ticket(&self, text: &str) -> Result<(Ticket, Listener), Error> {
        let now = self.now();
        let ticket = self.streams.locked().take(text);
        let ticket = ticket
            .filter(|ticket| ticket.expires > now && self.still_good(&ticket.caller))
            .ok_or(Error::Unauthenticated(
                "this ticket is unknown, was used, or is over a minute old",
            ))?;
        let caller = &ticket.caller;
        match self.listen(&caller.subject, caller.endpoint.clone()) {
            Ok(listener) => Ok((ticket, listener)),
            Err(full) => {
                self.streams.locked().keep(text.to_owned(), ticket, now);
                Err(full)
            }
        }
    }

    /// Which of a user's endpoints have a stream open.
    pub(super) fn listening(&self, subject: &Subject) -> Vec<EndpointId> {
        let listening = self.streams.locked();
        listening
            .open
            .get(subject)
            .into_iter()
            .flatten()
            .flatten()
            .cloned()
            .collect()
    }
}

impl Listening {
    fn keep(&mut self, text: String, ticket: Ticket, now: Timestamp) {
        let subject = ticket.caller.subject.clone();
        let waiting = self.waiting.entry(subject).or_default();
        while let Some(oldest) = waiting.front() {
            let is_over = self
                .tickets
                .get(oldest)
                .is_none_or(|ticket| ticket.expires <= now);
            if !is_over && waiting.len() < TICKETS_PER_USER {
                break;
            }
            self.tickets.remove(oldest);
            waiting.pop_front();
        }
        waiting.push_back(text.clone());
        self.tickets.insert(text, ticket);
    }

    fn take(&mut self, text: &str) -> Option<Ticket> {
        let ticket = self.tickets.remove(text)?;
        if let Some(waiting) = self.waiting.get_mut(&ticket.caller.subject) {
            waiting.retain(|other| other != text);
            if waiting.is_empty() {
                self.waiting.remove(&ticket.caller.subject);
            }
        }
        Some(ticket)
    }
}

impl Streams {
    fn locked(&self) -> std::sync::MutexGuard<'_, Listening> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut listening = self.streams.locked();
        listening.total -= 1;
        let Some(open) = listening.open.get_mut(&self.subject) else {
            return;
        };
        if let Some(at) = open.iter().position(|endpoint| *endpoint == self.endpoint) {
            open.swap_remove(at);
        }
        if open.is_empty() {
            listening.open.remove(&self.subject);
        }
    }
}
