//! The devices that the doubles know, and the pushes that wait for them; kept in `devices.json`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::ciphers::{self, BrowserKeys};
use super::device::{
    Channel, Device, DevicePatch, Environment, NewDevice, Push, Service, Switches,
};
use super::error::Error;
use super::folder;
use super::retention::{self, Fate, Waiting};
use super::settings::Settings;
use super::wns::Login;

const MAX_NAME_CHARACTERS: usize = 100;

/// A device with its secrets.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    /// The double's id of it.
    pub(crate) id: String,
    /// The service that taps it.
    pub(crate) service: Service,
    /// Its name for people.
    pub(crate) name: Option<String>,
    /// What stands in its channel.
    pub(crate) token: String,
    /// The state of its switches.
    pub(crate) switches: Switches,
    /// Web Push: what opens its pushes.
    pub(crate) browser: Option<BrowserKeys>,
    /// Web Push: the key that its subscription is bound to, base64url.
    pub(crate) vapid_public_key: Option<String>,
    /// WNS: whether its app is the Partner Center's.
    #[serde(default)]
    pub(crate) partner_center: bool,
    /// APNs: which of the two services gave its token out.
    #[serde(default)]
    pub(crate) environment: Environment,
    /// WNS: since when its channel's life is counted, in milliseconds since 1970.
    #[serde(default)]
    pub(crate) renewed_at_ms: Option<i64>,
    /// When it was removed, in milliseconds since 1970: its channel stays known as one that is gone.
    pub(crate) gone_at_ms: Option<i64>,
    /// What waits for it.
    pub(crate) waiting: Vec<Waiting>,
}

/// All devices. In the benches' mode nothing is written after the devices were made.
#[derive(Debug)]
pub(crate) struct Registry {
    file: PathBuf,
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    records: Vec<Record>,
    by_id: HashMap<String, usize>,
    by_token: HashMap<(Service, String), usize>,
}

impl Shelf {
    fn insert(&mut self, record: Record) {
        let place = self.records.len();
        self.by_id.insert(record.id.clone(), place);
        self.by_token
            .insert((record.service, record.token.clone()), place);
        self.records.push(record);
    }

    fn living(&mut self, id: &str) -> Result<&mut Record, Error> {
        let place = self.by_id.get(id).copied();
        let record = place
            .and_then(|place| self.records.get_mut(place))
            .filter(|record| record.gone_at_ms.is_none());
        record.ok_or_else(|| Error::NoSuchDevice(id.to_owned()))
    }
}

impl Registry {
    /// Reads the file, if it is there. A channel whose file does not say since when it is there is new.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Damaged`].
    pub(crate) fn open(file: PathBuf, now_ms: i64) -> Result<Self, Error> {
        let mut shelf = Shelf::default();
        if file.exists() {
            let records: Vec<Record> = serde_json::from_str(&folder::read(&file)?)
                .map_err(|error| Error::damaged(&file, error))?;
            for mut record in records {
                record.renewed_at_ms.get_or_insert(now_ms);
                shelf.insert(record);
            }
        }
        Ok(Self {
            file,
            shelf: Mutex::new(shelf),
        })
    }

    /// Makes devices, all or none.
    ///
    /// # Errors
    /// [`Error::VapidPublicKey`], [`Error::NameTooLong`], [`Error::Key`], [`Error::File`].
    pub(crate) fn add(
        &self,
        wanted: Vec<NewDevice>,
        now_ms: i64,
        settings: &Settings,
    ) -> Result<Vec<Device>, Error> {
        let records = wanted
            .into_iter()
            .map(|wanted| Record::make(wanted, now_ms))
            .collect::<Result<Vec<_>, _>>()?;
        let devices = records
            .iter()
            .map(|record| record.view(settings, now_ms))
            .collect();
        let mut shelf = self.shelf();
        records.into_iter().for_each(|record| shelf.insert(record));
        self.save(&shelf)?;
        Ok(devices)
    }

    /// The devices that were not removed, oldest first.
    pub(crate) fn list(&self, settings: &Settings, now_ms: i64) -> Vec<Device> {
        let shelf = self.shelf();
        shelf
            .records
            .iter()
            .filter(|record| record.gone_at_ms.is_none())
            .map(|record| record.view(settings, now_ms))
            .collect()
    }

    /// One device.
    ///
    /// # Errors
    /// [`Error::NoSuchDevice`].
    pub(crate) fn get(&self, id: &str, settings: &Settings, now_ms: i64) -> Result<Device, Error> {
        let mut shelf = self.shelf();
        shelf.living(id).map(|record| record.view(settings, now_ms))
    }

    /// Changes a device, and renews its channel as an app does that runs; gives it and the pushes that it can have now.
    ///
    /// # Errors
    /// [`Error::NoSuchDevice`], [`Error::NameTooLong`], [`Error::File`].
    pub(crate) fn patch(
        &self,
        id: &str,
        patch: DevicePatch,
        now_ms: i64,
        settings: &Settings,
    ) -> Result<(Device, Vec<Push>), Error> {
        let mut shelf = self.shelf();
        let record = shelf.living(id)?;
        record.renewed_at_ms = Some(now_ms);
        record.switches = patch.apply(record.switches);
        if let Some(name) = patch.name {
            record.name = Some(checked_name(name)?);
        }
        let pushes =
            retention::release(record.service, record.switches, &mut record.waiting, now_ms);
        let device = record.view(settings, now_ms);
        self.save(&shelf)?;
        Ok((device, pushes))
    }

    /// Removes a device: as if the app had been uninstalled.
    ///
    /// # Errors
    /// [`Error::NoSuchDevice`], [`Error::File`].
    pub(crate) fn remove(&self, id: &str, now_ms: i64) -> Result<(), Error> {
        let mut shelf = self.shelf();
        let record = shelf.living(id)?;
        record.gone_at_ms = Some(now_ms);
        record.waiting.clear();
        self.save(&shelf)
    }

    /// The device of a channel, also one that is gone.
    pub(crate) fn by_token(&self, service: Service, token: &str) -> Option<Record> {
        let shelf = self.shelf();
        let place = *shelf.by_token.get(&(service, token.to_owned()))?;
        shelf.records.get(place).cloned()
    }

    /// FCM: the device of a Firebase installation, also one that is gone.
    pub(crate) fn by_installation(&self, fid: &str) -> Option<Record> {
        let shelf = self.shelf();
        let mut records = shelf.records.iter();
        records
            .find(|record| record.service == Service::Fcm && record.installation() == fid)
            .cloned()
    }

    /// Hands a push to a device's line, and says what became of it.
    ///
    /// # Errors
    /// [`Error::NoSuchDevice`] if it was removed meanwhile, [`Error::File`].
    pub(crate) fn offer(&self, id: &str, item: &Waiting, now_ms: i64) -> Result<Fate, Error> {
        let mut shelf = self.shelf();
        let record = shelf.living(id)?;
        let fate = retention::offer(
            record.service,
            record.switches,
            &mut record.waiting,
            (item, now_ms),
        );
        if matches!(fate, Fate::Waiting | Fate::Overflowed) {
            self.save(&shelf)?;
        }
        Ok(fate)
    }

    /// Takes a waiting push back by its id (Web Push's `DELETE`); false if it waits nowhere.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(crate) fn cancel(&self, message_id: &str) -> Result<bool, Error> {
        let mut shelf = self.shelf();
        let mut found = false;
        for record in shelf
            .records
            .iter_mut()
            .filter(|record| record.service == Service::WebPush)
        {
            let before = record.waiting.len();
            record
                .waiting
                .retain(|item| item.push.message_id != message_id);
            found |= record.waiting.len() < before;
        }
        if found {
            self.save(&shelf)?;
        }
        Ok(found)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called with the lock held, so that an older state never overwrites a newer one.
    fn save(&self, shelf: &Shelf) -> Result<(), Error> {
        let text = serde_json::to_vec(&shelf.records)
            .map_err(|error| Error::damaged(&self.file, error))?;
        folder::write(&self.file, &text)
    }
}

impl Record {
    fn make(wanted: NewDevice, now_ms: i64) -> Result<Self, Error> {
        let vapid_public_key = match wanted.service {
            Service::WebPush => wanted.vapid_public_key.map(checked_key).transpose()?,
            _ => None,
        };
        Ok(Self {
            id: super::random::hex(8)?,
            service: wanted.service,
            name: wanted.name.map(checked_name).transpose()?,
            token: token(wanted.service)?,
            switches: Switches::default(),
            browser: (wanted.service == Service::WebPush)
                .then(BrowserKeys::generate)
                .transpose()?,
            vapid_public_key,
            partner_center: wanted.partner_center,
            environment: wanted.environment,
            renewed_at_ms: Some(now_ms),
            gone_at_ms: None,
            waiting: Vec::new(),
        })
    }

    /// FCM: the installation, with which its token begins.
    pub(crate) fn installation(&self) -> &str {
        self.token.split(':').next().unwrap_or_default()
    }

    /// WNS: whose tokens its channel takes.
    pub(crate) fn login(&self) -> Login {
        if self.partner_center {
            Login::PartnerCenter
        } else {
            Login::Entra
        }
    }

    fn view(&self, settings: &Settings, now_ms: i64) -> Device {
        Device {
            id: self.id.clone(),
            service: self.service,
            name: self.name.clone(),
            channel: self.channel(settings),
            environment: (self.service == Service::Apns).then_some(self.environment),
            switches: self.switches,
            waiting: retention::waiting(&self.waiting, now_ms),
        }
    }

    fn channel(&self, settings: &Settings) -> Channel {
        let token = &self.token;
        match (self.service, &self.browser) {
            (Service::Apns, _) => Channel::Apns {
                device_token: token.clone(),
            },
            (Service::Fcm, _) => Channel::Fcm {
                registration_token: token.clone(),
            },
            (Service::Wns, _) => Channel::Wns {
                channel_uri: format!("https://{}/?token={token}", settings.wns.host),
            },
            (Service::WebPush, browser) => {
                let version = if self.vapid_public_key.is_some() {
                    "v2"
                } else {
                    "v1"
                };
                let empty = || super::device::Keys {
                    p256dh: String::new(),
                    auth: String::new(),
                };
                Channel::WebPush {
                    endpoint: format!("https://{}/wpush/{version}/{token}", settings.web_push.host),
                    expiration_time: None,
                    keys: browser.as_ref().map_or_else(empty, BrowserKeys::public),
                }
            }
        }
    }
}

/// A channel's secret in the form that the service gives it.
fn token(service: Service) -> Result<String, Error> {
    match service {
        Service::Apns => super::random::hex(32),
        Service::Fcm => Ok(format!(
            "{}:APA91b{}",
            super::random::token(16)?,
            super::random::token(99)?
        )),
        Service::WebPush => super::random::token(60),
        Service::Wns => super::random::token(72),
    }
}

fn checked_name(name: String) -> Result<String, Error> {
    let characters = name.chars().count();
    if characters > MAX_NAME_CHARACTERS {
        Err(Error::NameTooLong(characters))
    } else {
        Ok(name)
    }
}

fn checked_key(key: String) -> Result<String, Error> {
    let point = URL_SAFE_NO_PAD.decode(&key).unwrap_or_default();
    if ciphers::is_p256_point(&point) {
        Ok(key)
    } else {
        Err(Error::VapidPublicKey)
    }
}
