//! The ways to look at the doubles and to drive them from the same process.

use std::sync::Arc;
use std::time::Duration;

use super::apns::certificate::{Certificate, NewCertificate};
use super::device::{Device, DevicePatch, NewDevice, Push, Service};
use super::error::Error;
use super::fault::{Fault, FaultSpec};
use super::journal::{Arrival, Entry, HandedOver};
use super::settings::Settings;
use super::state::State;
use super::tally::Counters;

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
        let now_ms = self.state.clock.now_ms();
        self.state.devices.add(wanted, now_ms, &self.state.settings)
    }

    /// The devices that were not removed, oldest first.
    #[must_use]
    pub fn devices(&self) -> Vec<Device> {
        let now_ms = self.state.clock.now_ms();
        self.state.devices.list(&self.state.settings, now_ms)
    }

    /// One device by the double's id.
    ///
    /// # Errors
    /// [`Error::NoSuchDevice`].
    pub fn device(&self, id: &str) -> Result<Device, Error> {
        let now_ms = self.state.clock.now_ms();
        self.state.devices.get(id, &self.state.settings, now_ms)
    }

    /// Changes a device's switches or name, and renews its channel at WNS. What it can have now of what waited is handed over at once.
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

    /// Makes a client certificate, as Apple's developer site does.
    ///
    /// # Errors
    /// [`Error::Topics`], [`Error::Key`] or [`Error::File`].
    pub fn issue_certificate(&self, wanted: &NewCertificate) -> Result<Certificate, Error> {
        self.state.certificates.issue(wanted)
    }

    /// Revokes all client certificates made so far: APNs refuses them from the next push on.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn revoke_certificates(&self) -> Result<(), Error> {
        self.state.certificates.revoke()
    }

    /// Scripts a fault; it strikes after those scripted before. Gives its number.
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
        self.state.wns_older_tokens.revoke();
    }

    /// What a service has seen since the start.
    #[must_use]
    pub fn counters(&self, service: Service) -> Counters {
        self.state.tally.read(service)
    }

    /// Waits until a service has accepted so many pushes since the start, also in the benches' mode, which keeps no record.
    /// False if it had not within the time.
    pub async fn await_accepted(&self, service: Service, count: u64, within: Duration) -> bool {
        let reached = async {
            loop {
                // Registered before the look, so that no push between look and wait is missed.
                let next = self.state.tally.next_accepted();
                if self.counters(service).accepted >= count {
                    return;
                }
                next.await;
            }
        };
        tokio::time::timeout(within, reached).await.is_ok()
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
