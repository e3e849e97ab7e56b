//! What the listeners, the API and the tests share, and the ways to look at it and to change it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::device::{Device, DevicePatch, NewDevice, Push, Service};
use super::error::Error;
use super::fault::{Fault, FaultSpec, Faults};
use super::folder::Folder;
use super::journal::{Arrival, Entry, HandedOver, Journal};
use super::registry::Registry;
use super::settings::Settings;

/// How many distinct credentials are told apart; beyond that they are not counted.
const MAX_CREDENTIALS: usize = 10_000;

/// Everything behind the listeners.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) clock: Clock,
    pub(crate) folder: Folder,
    pub(crate) settings: Settings,
    pub(crate) devices: Registry,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    pub(crate) tally: Tally,
    pub(crate) fcm_tokens: AccessTokens,
    pub(crate) wns_tokens: AccessTokens,
    pub(crate) strict: bool,
    pub(crate) stopping: CancellationToken,
}

impl State {
    /// Writes down that a device has a push.
    pub(crate) fn hand_over(&self, service: Service, device: &str, waited: bool, push: Push) {
        let at_ms = self.clock.now_ms();
        self.journal.handed_over(HandedOver {
            seq: 0,
            at_ms,
            service,
            device: device.to_owned(),
            waited,
            push,
        });
    }
}

/// Access tokens given out by one of the token endpoints. They do not outlive the process: the sender gets a 401 and asks anew.
#[derive(Debug, Default)]
pub(crate) struct AccessTokens {
    expiry_secs: Mutex<HashMap<String, i64>>,
}

impl AccessTokens {
    /// Makes a token that is good until then.
    ///
    /// # Errors
    /// [`Error::Key`].
    pub(crate) fn issue(&self, until_secs: i64) -> Result<String, Error> {
        let token = format!("ya29.{}", super::random::token(48)?);
        let mut expiry = self
            .expiry_secs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        expiry.insert(token.clone(), until_secs);
        Ok(token)
    }

    /// Whether the token was given out here and is still good.
    pub(crate) fn holds(&self, token: &str, now_secs: i64) -> bool {
        let expiry = self
            .expiry_secs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        expiry.get(token).is_some_and(|until| *until > now_secs)
    }

    /// Makes all tokens void, as if the account's key had been changed.
    pub(crate) fn revoke(&self) {
        self.expiry_secs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// Counts since the start, by service.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    services: [ServiceTally; 4],
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

    fn read(&self, service: Service) -> Counters {
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

/// The doubles, to be looked at and driven from the same process. Cheap to clone; it does not keep them running.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(crate) state: Arc<State>,
}

impl Handle {
    /// How a sender reaches the doubles.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.state.settings
    }

    /// Makes a device; its `channel` is what the app registers at the hub.
    ///
    /// # Errors
    /// [`Error::VapidPublicKey`], [`Error::NameTooLong`], [`Error::Key`] or [`Error::File`].
    pub fn add_device(&self, wanted: NewDevice) -> Result<Device, Error> {
        let id = self.add_devices(vec![wanted])?.pop();
        id.ok_or_else(|| Error::NoSuchDevice(String::new()))
    }

    /// Makes many devices with one write of the file, all or none, in the order asked for.
    ///
    /// # Errors
    /// As [`Handle::add_device`].
    pub fn add_devices(&self, wanted: Vec<NewDevice>) -> Result<Vec<Device>, Error> {
        self.state.devices.add(wanted, &self.state.settings)
    }

    /// The devices that were not removed, oldest first.
    #[must_use]
    pub fn devices(&self) -> Vec<Device> {
        self.state.devices.list(&self.state.settings)
    }

    /// One device by the double's id.
    ///
    /// # Errors
    /// [`Error::NoSuchDevice`].
    pub fn device(&self, id: &str) -> Result<Device, Error> {
        self.state.devices.get(id, &self.state.settings)
    }

    /// Changes a device's switches or name. What it can have now of what waited is handed over at once.
    ///
    /// # Errors
    /// [`Error::NoSuchDevice`], [`Error::NameTooLong`] or [`Error::File`].
    pub fn patch_device(&self, id: &str, patch: DevicePatch) -> Result<Device, Error> {
        let now_ms = self.state.clock.now_ms();
        let (device, pushes) = self
            .state
            .devices
            .patch(id, patch, now_ms, &self.state.settings)?;
        for push in pushes {
            self.state.hand_over(device.service, id, true, push);
        }
        Ok(device)
    }

    /// Removes a device, as an uninstallation does: its channel is gone from now on.
    ///
    /// # Errors
    /// [`Error::NoSuchDevice`] or [`Error::File`].
    pub fn remove_device(&self, id: &str) -> Result<(), Error> {
        self.state.devices.remove(id, self.state.clock.now_ms())
    }

    /// The place of the newest entry of the record, to ask later for what came after.
    #[must_use]
    pub fn place(&self) -> u64 {
        *self.state.journal.newest().borrow()
    }

    /// The entries of the record after this place, oldest first; 0 is the beginning.
    #[must_use]
    pub fn entries(&self, after: u64) -> Vec<Entry> {
        self.state.journal.after(after)
    }

    /// The requests that arrived after this place, refused ones among them.
    #[must_use]
    pub fn arrivals(&self, after: u64) -> Vec<Arc<Arrival>> {
        self.entries(after)
            .iter()
            .filter_map(|entry| entry.arrival().cloned())
            .collect()
    }

    /// What a device was handed after this place.
    #[must_use]
    pub fn handed_over(&self, after: u64, device: &str) -> Vec<Arc<HandedOver>> {
        let entries = self.entries(after);
        let handed = entries
            .iter()
            .filter_map(|entry| entry.handed_over().cloned());
        handed.filter(|handed| handed.device == device).collect()
    }

    /// Waits for entries after this place and gives them all; empty if none came within the time.
    pub async fn next_entries(&self, after: u64, within: Duration) -> Vec<Entry> {
        let everything = |entries: Vec<Entry>| (!entries.is_empty()).then_some(entries);
        self.wait(within, || everything(self.entries(after)))
            .await
            .unwrap_or_default()
    }

    /// Waits for the first arrival after this place that is as wanted; `None` if none came within the time.
    pub async fn await_arrival(
        &self,
        after: u64,
        within: Duration,
        wanted: impl Fn(&Arrival) -> bool,
    ) -> Option<Arc<Arrival>> {
        self.wait(within, || {
            self.arrivals(after)
                .into_iter()
                .find(|arrival| wanted(arrival))
        })
        .await
    }

    /// Waits until the device was handed a push after this place that is as wanted; `None` if none came within the time.
    pub async fn await_handed_over(
        &self,
        device: &str,
        after: u64,
        within: Duration,
        wanted: impl Fn(&Push) -> bool,
    ) -> Option<Arc<HandedOver>> {
        self.wait(within, || {
            self.handed_over(after, device)
                .into_iter()
                .find(|handed| wanted(&handed.push))
        })
        .await
    }

    /// Scripts a fault; it strikes after those scripted before. Gives its number.
    #[must_use]
    pub fn script(&self, spec: FaultSpec) -> u64 {
        self.state.faults.add(spec).id
    }

    /// The script as it stands.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        self.state.faults.list()
    }

    /// Clears one fault and lets go of the requests that it holds in silence; false if there is none of this number.
    pub fn clear_fault(&self, id: u64) -> bool {
        self.state.faults.clear(|fault| fault.id == id) > 0
    }

    /// Clears all faults.
    pub fn clear_faults(&self) {
        self.state.faults.clear(|_| true);
    }

    /// Sets how many seconds the doubles are ahead of the system's clock; negative is behind.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.state.clock.set_offset_seconds(seconds);
    }

    /// How many seconds the doubles are ahead.
    #[must_use]
    pub fn clock_offset(&self) -> i64 {
        self.state.clock.offset_seconds()
    }

    /// Makes all access tokens of FCM and WNS void: the next push gets a 401 in mid-stream.
    pub fn revoke_access_tokens(&self) {
        self.state.fcm_tokens.revoke();
        self.state.wns_tokens.revoke();
    }

    /// What a service has seen since the start.
    #[must_use]
    pub fn counters(&self, service: Service) -> Counters {
        self.state.tally.read(service)
    }

    async fn wait<T>(&self, within: Duration, look: impl Fn() -> Option<T>) -> Option<T> {
        let mut newest = self.state.journal.newest();
        let seen = async {
            loop {
                newest.borrow_and_update();
                if let Some(found) = look() {
                    return Some(found);
                }
                newest.changed().await.ok()?;
            }
        };
        tokio::time::timeout(within, seen).await.ok().flatten()
    }
}
