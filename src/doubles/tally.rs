//! What each service has seen, in numbers.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::device::Service;

/// How many distinct credentials are told apart; beyond that they are not counted.
const MAX_CREDENTIALS: usize = 10_000;

/// Counts since the start, by service.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    services: [ServiceTally; 4],
    accepted: Notify,
}

#[derive(Debug, Default)]
struct ServiceTally {
    connections: AtomicU64,
    requests: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    faulted: AtomicU64,
    token_requests: AtomicU64,
    credentials: Mutex<HashSet<String>>,
}

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event {
    Connection,
    Request,
    Accepted,
    Refused,
    Faulted,
    TokenRequest,
}

/// What one service has seen since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Connections that got through the TLS handshake.
    pub connections: u64,
    /// Requests to any path.
    pub requests: u64,
    /// Pushes accepted, those that a fault then struck not among them.
    pub accepted: u64,
    /// Requests refused by a rule.
    pub refused: u64,
    /// Requests struck by a scripted fault.
    pub faulted: u64,
    /// Requests for an access token (FCM, WNS), good or bad: more than one a lifetime is a sender's fault.
    pub token_requests: u64,
    /// Distinct credentials that were verified (APNs and VAPID tokens): a new one for each push is a sender's fault.
    pub distinct_credentials: u64,
}

impl Tally {
    /// Counts one.
    pub(crate) fn count(&self, service: Service, event: Event) {
        let of = self.of(service);
        let counter = match event {
            Event::Connection => &of.connections,
            Event::Request => &of.requests,
            Event::Accepted => &of.accepted,
            Event::Refused => &of.refused,
            Event::Faulted => &of.faulted,
            Event::TokenRequest => &of.token_requests,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if matches!(event, Event::Accepted) {
            self.accepted.notify_waiters();
        }
    }

    /// The next acceptance of any service, from this call on.
    pub(crate) fn next_accepted(&self) -> Notified<'_> {
        self.accepted.notified()
    }

    /// Takes note of a credential that was verified.
    pub(crate) fn credential(&self, service: Service, credential: &str) {
        let mut seen = self
            .of(service)
            .credentials
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if seen.len() < MAX_CREDENTIALS && !seen.contains(credential) {
            seen.insert(credential.to_owned());
        }
    }

    fn of(&self, service: Service) -> &ServiceTally {
        let [apns, fcm, web_push, wns] = &self.services;
        match service {
            Service::Apns => apns,
            Service::Fcm => fcm,
            Service::WebPush => web_push,
            Service::Wns => wns,
        }
    }

    /// The numbers of one service.
    pub(crate) fn read(&self, service: Service) -> Counters {
        let of = self.of(service);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let credentials = of
            .credentials
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len();
        Counters {
            connections: read(&of.connections),
            requests: read(&of.requests),
            accepted: read(&of.accepted),
            refused: read(&of.refused),
            faulted: read(&of.faulted),
            token_requests: read(&of.token_requests),
            distinct_credentials: u64::try_from(credentials).unwrap_or(u64::MAX),
        }
    }
}
