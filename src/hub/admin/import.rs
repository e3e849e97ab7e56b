//! Devices that come by the file: each is what a client would register, checked alike.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    super::{Error, Hub, Registration},
    AdminError, endpoint_id, show, user_id,
};
use crate::{
    config::apps::App,
    model::{AppHost, EndpointId, Subject, Timestamp},
};

/// One device of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Device {
    /// Whose it is.
    pub user: String,
    /// The endpoint's id.
    pub endpoint: String,
    /// The body of its registration, as a client would send it.
    pub registration: Map<String, Value>,
}

/// How devices are taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct How {
    /// Only says what would come of it.
    pub dry_run: bool,
    /// Registers those anew that are known: they may have registered themselves since.
    pub overwrite: bool,
}

/// What became of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Became {
    /// It is new.
    Registered,
    /// It was known, and is as the file says now.
    Overwritten,
    /// It was known, and is as it was.
    Left,
}

type Read = dyn Fn(EndpointId, &Map<String, Value>, &App, Timestamp) -> Result<Registration, Error>
    + Send
    + Sync;

/// Reads the body of a registration, as the clients' door does.
#[derive(Clone)]
pub struct ReadRegistration(Arc<Read>);

impl ReadRegistration {
    /// By this reader.
    pub fn by(
        read: impl Fn(EndpointId, &Map<String, Value>, &App, Timestamp) -> Result<Registration, Error>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self(Arc::new(read))
    }
}

impl fmt::Debug for ReadRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadRegistration")
    }
}

impl Hub {
    /// Has the operators' door read registrations as the clients' does; once.
    pub fn read_registrations(&self, reader: ReadRegistration) {
        self.registrations.get_or_init(|| reader);
    }

    /// Registers devices, or says what would come of it; one line for each. One after the other: of two with one channel the
    /// last has it.
    pub(super) async fn admin_import(
        &self,
        app: &str,
        devices: Vec<Device>,
        how: How,
    ) -> Result<Value, AdminError> {
        let host = self.known(app)?;
        let mut told = Vec::new();
        for device in devices {
            told.push(match self.import(&host, device, how).await {
                Ok(became) => json!({ "became": became }),
                // The disk's affair, not the device's.
                Err(refused) if refused.code == "serviceUnavailable" => return Err(refused),
                Err(refused) => json!({ "message": refused.message }),
            });
        }
        Ok(show::list(told.into_iter()))
    }

    async fn import(&self, host: &AppHost, device: Device, how: How) -> Result<Became, AdminError> {
        let subject = Subject {
            app: host.clone(),
            user: user_id(&device.user)?,
        };
        let id = endpoint_id(&device.endpoint)?;
        let app = self.app(host).ok_or(Error::NotFound("app"))?;
        let reader = self.registrations.get().ok_or(Error::NotFound("reader"))?;
        let registration = (reader.0)(id.clone(), &device.registration, &app, self.now())?;
        let known = self.endpoints(subject.clone()).await?;
        let became = match known.iter().any(|endpoint| endpoint.id == id) {
            true if how.overwrite => Became::Overwritten,
            true => Became::Left,
            false => Became::Registered,
        };
        let max = self.limits().endpoints_per_user;
        if became == Became::Registered && known.len() >= max {
            let message = format!(
                "the user has {} endpoints; server.limits.endpoints_per_user allows {max}, and none gives way to a file",
                known.len()
            );
            return Err(AdminError::new("limitReached", message));
        }
        if !how.dry_run && became != Became::Left {
            self.register(subject, registration).await?;
        }
        Ok(became)
    }
}
