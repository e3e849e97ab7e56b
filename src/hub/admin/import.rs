//! Devices that come by the file: each is what a client would register, checked alike.

use std::{fmt, sync::Arc};

use futures_util::{StreamExt as _, stream};
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

/// How many are registered at a time, so that they share their commits.
const AT_A_TIME: usize = 64;

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

    /// Registers devices, or says what would come of it; one line for each, in their order.
    pub(super) async fn admin_import(
        &self,
        app: &str,
        devices: Vec<Device>,
        dry_run: bool,
    ) -> Result<Value, AdminError> {
        let host = self.known(app)?;
        let lines = stream::iter(devices)
            .map(|device| self.import(&host, device, dry_run))
            .buffered(AT_A_TIME)
            .collect::<Vec<_>>()
            .await;
        let mut told = Vec::new();
        for line in lines {
            told.push(match line {
                Ok(created) => json!({ "created": created }),
                // The disk's affair, not the device's.
                Err(refused) if refused.code == "serviceUnavailable" => return Err(refused),
                Err(refused) => json!({ "message": refused.message }),
            });
        }
        Ok(show::list(told.into_iter()))
    }

    /// Says whether the device is new.
    async fn import(
        &self,
        host: &AppHost,
        device: Device,
        dry_run: bool,
    ) -> Result<bool, AdminError> {
        let subject = Subject {
            app: host.clone(),
            user: user_id(&device.user)?,
        };
        let id = endpoint_id(&device.endpoint)?;
        let app = self.app(host).ok_or(Error::NotFound("app"))?;
        let reader = self.registrations.get().ok_or(Error::NotFound("reader"))?;
        let registration = (reader.0)(id.clone(), &device.registration, &app, self.now())?;
        if dry_run {
            let known = self.endpoints(subject).await?;
            return Ok(known.iter().all(|endpoint| endpoint.id != id));
        }
        Ok(self.register(subject, registration).await?.created)
    }
}
