//! What arrived at the doubles and what the devices were handed: a bounded record that can be read and followed.
//!
//! Both kinds of entry share one sequence, which begins at the time of the start in milliseconds, so that a reader that
//! remembers its place goes on after a restart. Credentials are not kept, only their kind.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

use super::clock::rfc3339;
use super::device::{Body, Push, Service};
use super::fault::FaultKind;
use super::retention::Fate;

/// How many entries are kept; the oldest go first.
const MAX_ENTRIES: usize = 16_384;

/// A request that a service saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Arrival {
    /// Its place in the sequence.
    pub seq: u64,
    /// When it had been read, milliseconds since 1970; RFC 3339 in JSON, under `at`.
    #[serde(rename = "at", serialize_with = "rfc3339")]
    pub at_ms: i64,
    /// The service.
    pub service: Service,
    /// The double's id of the device, if the request got as far as naming one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The number of the connection, counted from 1 over all services.
    pub connection: u64,
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Header names in lower case and values, in order; of `authorization` only the scheme.
    pub headers: Vec<(String, String)>,
    /// The body as it came, its first 8 KiB; secrets of token requests are left out. Absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// Web Push: the body decrypted with the device's keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plaintext: Option<Body>,
    /// The status answered; absent while, or because, none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it was refused, in the double's words, which say more than the service's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The scripted fault that struck it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultKind>,
    /// What became of the push, if it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fate: Option<Fate>,
}

/// A push that a device was handed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HandedOver {
    /// Its place in the sequence.
    pub seq: u64,
    /// When, milliseconds since 1970; RFC 3339 in JSON, under `at`.
    #[serde(rename = "at", serialize_with = "rfc3339")]
    pub at_ms: i64,
    /// The service.
    pub service: Service,
    /// The double's id of the device.
    pub device: String,
    /// Whether it had to wait at the service.
    pub waited: bool,
    /// What the device got.
    pub push: Push,
}

/// An entry of the record.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A request arrived.
    Arrival(Arc<Arrival>),
    /// A device was handed a push.
    HandedOver(Arc<HandedOver>),
}

impl Entry {
    /// Its place in the sequence.
    #[must_use]
    pub fn seq(&self) -> u64 {
        match self {
            Self::Arrival(arrival) => arrival.seq,
            Self::HandedOver(handed) => handed.seq,
        }
    }

    /// The device it is about, if it is about one.
    #[must_use]
    pub fn device(&self) -> Option<&str> {
        match self {
            Self::Arrival(arrival) => arrival.device.as_deref(),
            Self::HandedOver(handed) => Some(&handed.device),
        }
    }

    /// The arrival, if it is one.
    #[must_use]
    pub fn arrival(&self) -> Option<&Arc<Arrival>> {
        match self {
            Self::Arrival(arrival) => Some(arrival),
            Self::HandedOver(_) => None,
        }
    }

    /// What was handed over, if something was.
    #[must_use]
    pub fn handed_over(&self) -> Option<&Arc<HandedOver>> {
        match self {
            Self::Arrival(_) => None,
            Self::HandedOver(handed) => Some(handed),
        }
    }
}

/// The record.
#[derive(Debug)]
pub(crate) struct Journal {
    ring: Mutex<Ring>,
    newest: watch::Sender<u64>,
}

#[derive(Debug)]
struct Ring {
    entries: VecDeque<Entry>,
    last: u64,
}

impl Journal {
    /// An empty record whose sequence begins after this number.
    pub(crate) fn starting_after(last: u64) -> Self {
        let ring = Ring {
            entries: VecDeque::new(),
            last,
        };
        Self {
            ring: Mutex::new(ring),
            newest: watch::Sender::new(last),
        }
    }

    /// Appends an arrival; its `seq` is set here.
    pub(crate) fn arrived(&self, mut arrival: Arrival) {
        self.append(|seq| {
            arrival.seq = seq;
            Entry::Arrival(Arc::new(arrival))
        });
    }

    /// Appends what was handed over; its `seq` is set here.
    pub(crate) fn handed_over(&self, mut handed: HandedOver) {
        self.append(|seq| {
            handed.seq = seq;
            Entry::HandedOver(Arc::new(handed))
        });
    }

    /// The entries after this place, oldest first.
    pub(crate) fn after(&self, seq: u64) -> Vec<Entry> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let first = ring.entries.partition_point(|entry| entry.seq() <= seq);
        ring.entries.range(first..).cloned().collect()
    }

    /// The place of the newest entry, to be watched.
    pub(crate) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    fn append(&self, entry: impl FnOnce(u64) -> Entry) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.last += 1;
        let last = ring.last;
        if ring.entries.len() >= MAX_ENTRIES {
            ring.entries.pop_front();
        }
        ring.entries.push_back(entry(last));
        self.newest.send_replace(last);
    }
}
