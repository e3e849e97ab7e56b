//! Devices that come by the file: each is what a client would register, checked alike.

use std::{fmt, ops::ControlFlow, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    super::{Error, Hub, Registration},
    AdminError, endpoint_id,
    foresight::{Became, Looked, Standing},
    show, user_id,
};
use crate::{
    config::apps::App,
    model::{AppHost, EndpointId, Subject, Timestamp},
    store::Reader,
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

    /// Registers devices; one line for each. One after the other: of two with one channel the first has it, or the last where
    /// known ones are registered anew.
    pub(super) async fn admin_import(
        &self,
        app: &str,
        devices: Vec<Device>,
        overwrite: bool,
    ) -> Result<Value, AdminError> {
        let host = self.known(app)?;
        let mut told = Vec::new();
        for device in devices {
            let became = self.import(&host, device, overwrite).await;
            told.push(match of_the_device(became)? {
                Ok(became) => became,
                Err(refused) => Became::refused(refused),
            });
        }
        Ok(show::list(told.into_iter().map(|it| json!(it))))
    }

    /// How devices stand, for a [`Foresight`](super::Foresight); one line for each.
    pub(super) async fn admin_look(
        &self,
        app: &str,
        devices: Vec<Device>,
    ) -> Result<Value, AdminError> {
        let host = self.known(app)?;
        let mut told = Vec::new();
        for device in devices {
            let looked = self.look_at_device(&host, &device).await;
            told.push(match of_the_device(looked)? {
                Ok(standing) => Looked::Stands(standing),
                Err(refused) => Looked::Refused(refused.message),
            });
        }
        Ok(show::list(told.into_iter().map(|it| json!(it))))
    }

    async fn import(
        &self,
        host: &AppHost,
        device: Device,
        overwrite: bool,
    ) -> Result<Became, AdminError> {
        let (subject, registration) = self.read_device(host, &device)?;
        let (whose, at) = (subject.clone(), self.measure());
        let judge = move |reader: &Reader, asked: &Registration| {
            let standing = Standing::of(reader, &whose, asked, at)?;
            Ok(match standing.becomes(whose.user.as_str(), overwrite) {
                became if became.is_taken_in() => ControlFlow::Continue(became),
                became => ControlFlow::Break(became),
            })
        };
        let judged = self.register_if(subject.into(), registration, judge);
        match judged.await? {
            ControlFlow::Break(became) | ControlFlow::Continue((became, _)) => Ok(became),
        }
    }

    async fn look_at_device(
        &self,
        host: &AppHost,
        device: &Device,
    ) -> Result<Standing, AdminError> {
        let (subject, asked) = self.read_device(host, device)?;
        let at = self.measure();
        let standing = move |reader: &Reader| Standing::of(reader, &subject, &asked, at);
        Ok(self.store().ask(standing).await?)
    }

    fn read_device(
        &self,
        host: &AppHost,
        device: &Device,
    ) -> Result<(Subject, Registration), AdminError> {
        let subject = Subject {
            app: host.clone(),
            user: user_id(&device.user)?,
        };
        let id = endpoint_id(&device.endpoint)?;
        let app = self.app(host).ok_or(Error::NotFound("app"))?;
        let reader = self.registrations.get().ok_or(Error::NotFound("reader"))?;
        let registration = (reader.0)(id, &device.registration, &app, self.now())?;
        Ok((subject, registration))
    }

    /// By what a standing is measured.
    fn measure(&self) -> (Timestamp, usize) {
        (self.now(), self.limits().endpoints_per_user)
    }
}

/// What refuses a device; all ends where it is the disk's affair, not the device's.
fn of_the_device<T>(looked: Result<T, AdminError>) -> Result<Result<T, AdminError>, AdminError> {
    match looked {
        Err(refused) if refused.code == "serviceUnavailable" => Err(refused),
        looked => Ok(looked),
    }
}
