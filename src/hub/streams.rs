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
/// How many of all users may wait before those are looked for that nobody came for.
const TICKETS_SWEPT: usize = 1024;

const NO_TICKET: Error =
    Error::Unauthenticated("this ticket is unknown, was used, or is over a minute old");

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
    /// How many were left when those were taken away last that nobody came for.
    kept: usize,
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

    /// For whom a ticket was given that waits to be used.
    ///
    /// # Errors
    /// `Unauthenticated`, as [`Hub::listen_by_ticket`].
    pub fn ticket_holder(&self, text: &str) -> Result<UserCaller, Error> {
        let now = self.now();
        let listening = self.streams.locked();
        let ticket = listening.tickets.get(text);
        let ticket = ticket.filter(|ticket| ticket.expires > now);
        ticket.map(|ticket| ticket.caller.clone()).ok_or(NO_TICKET)
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
            .ok_or(NO_TICKET)?;
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
        self.drop_ended(now);
        let subject = ticket.caller.subject.clone();
        let waiting = self.waiting.entry(subject).or_default();
        if waiting.len() >= TICKETS_PER_USER
            && let Some(oldest) = waiting.pop_front()
        {
            self.tickets.remove(&oldest);
        }
        waiting.push_back(text.clone());
        self.tickets.insert(text, ticket);
    }

    /// Takes away what nobody came for in time, whoever asked for it: once there are twice as many as were left last.
    fn drop_ended(&mut self, now: Timestamp) {
        if self.tickets.len() < (2 * self.kept).max(TICKETS_SWEPT) {
            return;
        }
        let all = self.tickets.iter();
        let ended: Vec<String> = all
            .filter(|(_, ticket)| ticket.expires <= now)
            .map(|(text, _)| text.clone())
            .collect();
        for text in ended {
            self.take(&text);
        }
        self.kept = self.tickets.len();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        hub::Proof,
        model::{AppHost, UserId},
    };

    #[test]
    fn tickets_that_nobody_came_for_are_not_kept_whoever_asked_for_them() {
        let mut listening = Listening::default();
        let at = |secs: u64| Timestamp::from_millis(1000 * secs);
        for nth in 0..10 * TICKETS_SWEPT {
            let subject = Subject {
                app: AppHost::parse("todo.example").unwrap(),
                user: UserId::parse(&nth.to_string()).unwrap(),
            };
            let now = at(nth as u64);
            let ticket = Ticket {
                caller: UserCaller {
                    subject,
                    endpoint: None,
                    expires: Timestamp::MAX,
                    proof: Proof::Token([0; 32]),
                },
                from: None,
                expires: now.plus(TICKET_LIFE),
            };
            listening.keep(nth.to_string(), ticket, now);
            let held = (listening.tickets.len(), listening.waiting.len());
            assert!(held.0 <= TICKETS_SWEPT && held.0 == held.1, "{held:?}");
        }
    }
}
