//! Strict stand-ins for the four push services, on loopback: APNs, FCM with its token endpoint, Web Push, and WNS with its own.
//!
//! They are a tool for app teams (`beckon doubles`) and the other end of every test. A double refuses what the real service
//! refuses, with the real service's status and words, and where the real service looks away and leaves a mistake to the device,
//! it refuses too and says so: the page [`behaviour()`] has each check and each fault, with what is documented, what was observed and
//! what is assumed. A push that passes goes to a device that lives here: it may be offline, in Doze or in low power mode, and
//! what waits for it waits by the service's own rule. Faults can be scripted. What arrived and what the devices got can be read
//! and followed, in process through [`Handle`] and from outside through the JSON door of `api`.
//!
//! The room depends on nothing else of the project and shares no code with the adapters that push, so that a mistake cannot cancel
//! itself out: Web Push is decrypted by another implementation than encrypts it, tokens are verified by other code than signs them.
//!
//! Everything that must outlive a kill lies in one folder: keys, secrets, devices, what waits for them, and the ports. Access
//! tokens, FCM's count of what a device was sent, and the record of what arrived do not: a sender meets a 401 and asks for a new
//! token, as it must be able to.
//!
//! ```text
//! mod.rs        start, stop            settings.rs  what a sender must be told   handle.rs  look and drive, in process
//! door.rs       listeners, TLS         passage.rs   a request's way: judged, struck by a fault, delivered, written down
//! apns.rs fcm.rs web_push.rs wns.rs    one service each: its rules as functions from request to answer
//! exchange.rs   request, answer, verdict           token.rs  what both token endpoints share
//! jwt.rs        signed tokens taken apart          ciphers.rs  a browser's keys     xml.rs  toasts
//! device.rs     what a device is       registry.rs  all devices   retention.rs  what waits for one that is away
//! fault.rs      the script of faults   suffer.rs    what a struck request suffers
//! saying.rs     what only one service says                             journal.rs   what arrived, what was handed over
//! api.rs        the JSON door          state.rs     what all share   tally.rs     counters
//! behaviour.rs  the page of all that, with its sources
//! folder.rs     keys and files         clock.rs random.rs error.rs
//! ```

mod api;
mod apns;
mod behaviour;
mod ciphers;
mod clock;
mod device;
mod door;
mod error;
mod exchange;
mod fault;
mod fcm;
mod folder;
mod handle;
#[cfg(test)]
pub(crate) mod inside;
mod journal;
mod jwt;
mod passage;
mod random;
mod registry;
mod retention;
mod saying;
mod settings;
mod state;
mod suffer;
mod tally;
#[cfg(test)]
mod tests;
mod token;
mod web_push;
mod wns;
mod xml;

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use apns::certificate::{self, Certificates};
use clock::Clock;
use door::Door;
use folder::Folder;
use journal::Journal;
use registry::Registry;
use state::State;

pub use apns::certificate::{Certificate, NewCertificate};
pub use behaviour::behaviour;
pub use device::{
    Body, Channel, Device, DevicePatch, Environment, Keys, NewDevice, Push, Service, Switches,
};
pub use error::Error;
pub use fault::{At, Fault, FaultKind, FaultSpec};
pub use handle::Handle;
pub use journal::{Arrival, Entry, HandedOver};
pub use retention::Fate;
pub use saying::Saying;
pub use settings::{ApnsSettings, FcmSettings, Ports, Settings, WebPushSettings, WnsSettings};
pub use tally::Counters;

const PORTS_FILE: &str = "ports.json";

/// How to start the doubles.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where keys, secrets and devices lie; made if absent, with rights for its owner only, and used again if there.
    pub folder: PathBuf,
    /// The ports.
    pub ports: Ports,
    /// False for benches: every push is accepted as fast as possible, unseen, and only counted. No device gets it, no fault strikes.
    pub strict: bool,
}

impl Options {
    /// Strict doubles in this folder, on ports of their own choice.
    #[must_use]
    pub fn strict(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            ports: Ports::default(),
            strict: true,
        }
    }
}

/// Running doubles. Dropped without [`Doubles::stop`] they stop too, but nobody waits for it.
#[derive(Debug)]
pub struct Doubles {
    handle: Handle,
    tasks: TaskTracker,
    /// Held here and not in what is shared, so that a forgotten [`Handle`] does not keep the folder closed.
    _lock: File,
}

/// Starts the four services and the JSON door on the current tokio runtime.
///
/// # Errors
/// [`Error::File`], [`Error::Damaged`], [`Error::Key`] or [`Error::InUse`] for the folder, [`Error::Listen`] for a port.
pub async fn start(options: Options) -> Result<Doubles, Error> {
    let folder = Folder::open(&options.folder)?;
    let lock = folder::lock(&folder.path)?;
    let listeners = Listeners::open(&folder, options.ports).await?;
    let state = Arc::new(State {
        strict: options.strict,
        ..state_of(folder, listeners.ports)?
    });
    let doubles = Doubles {
        handle: Handle {
            state: Arc::clone(&state),
        },
        tasks: TaskTracker::new(),
        _lock: lock,
    };
    let connections = Arc::new(AtomicU64::new(0));
    let services = [
        listeners.apns,
        listeners.fcm,
        listeners.web_push,
        listeners.wns,
    ];
    for (service, listener) in Service::ALL.into_iter().zip(services) {
        let door = Door::new(&state, service, &doubles.tasks, &connections)?;
        doubles.tasks.spawn(door.serve(listener));
    }
    doubles.tasks.spawn(api::serve(
        doubles.handle.clone(),
        listeners.api,
        doubles.tasks.clone(),
    ));
    Ok(doubles)
}

/// What all share, over a folder.
fn state_of(folder: Folder, ports: Ports) -> Result<State, Error> {
    let clock = Clock::default();
    Ok(State {
        settings: settings(ports, &folder),
        devices: Registry::open(folder.path.join("devices.json"), clock.now_ms())?,
        certificates: Certificates::open(folder.path.clone())?,
        journal: Journal::starting_after(u64::try_from(clock.now_ms()).unwrap_or_default()),
        faults: fault::Faults::default(),
        tally: tally::Tally::default(),
        fcm_tokens: state::AccessTokens::default(),
        fcm_rates: fcm::Rates::default(),
        wns_tokens: state::AccessTokens::default(),
        wns_older_tokens: state::AccessTokens::default(),
        strict: true,
        stopping: CancellationToken::new(),
        clock,
        folder,
    })
}

impl Doubles {
    /// How a sender reaches the doubles.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        self.handle.settings()
    }

    /// To look at the doubles and to drive them from the same process.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Closes all listeners and connections and waits until every task is gone. Silent requests end with their connection.
    pub async fn stop(self) {
        self.handle.state.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Doubles {
    fn drop(&mut self) {
        self.handle.state.stopping.cancel();
    }
}

/// The open ports.
struct Listeners {
    apns: TcpListener,
    fcm: TcpListener,
    web_push: TcpListener,
    wns: TcpListener,
    api: TcpListener,
    ports: Ports,
}

impl Listeners {
    /// Opens the ports asked for; where none was, that of the last time, since Web Push and WNS channels contain it, or any.
    async fn open(folder: &Folder, wanted: Ports) -> Result<Self, Error> {
        let file = folder.path.join(PORTS_FILE);
        let last: Ports = folder::read(&file)
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        let (apns, apns_port) = listen(wanted.apns, last.apns).await?;
        let (fcm, fcm_port) = listen(wanted.fcm, last.fcm).await?;
        let (web_push, web_push_port) = listen(wanted.web_push, last.web_push).await?;
        let (wns, wns_port) = listen(wanted.wns, last.wns).await?;
        let (api, api_port) = listen(wanted.api, last.api).await?;
        let ports = Ports {
            apns: apns_port,
            fcm: fcm_port,
            web_push: web_push_port,
            wns: wns_port,
            api: api_port,
        };
        let text = serde_json::to_vec(&ports).map_err(|error| Error::damaged(&file, error))?;
        folder::write(&file, &text)?;
        Ok(Self {
            apns,
            fcm,
            web_push,
            wns,
            api,
            ports,
        })
    }
}

fn settings(ports: Ports, folder: &Folder) -> Settings {
    let https = |port: u16| format!("https://127.0.0.1:{port}");
    let file = |name: &str| folder.path.join(name);
    Settings {
        ca_file: file("ca.pem"),
        api: format!("http://127.0.0.1:{}", ports.api),
        apns: ApnsSettings {
            endpoint: https(ports.apns),
            key_file: file("AuthKey.p8"),
            key_id: apns::KEY_ID.to_owned(),
            team_id: apns::TEAM_ID.to_owned(),
            certificate_file: file(certificate::FILE),
            topic: apns::TOPIC.to_owned(),
        },
        fcm: FcmSettings {
            endpoint: https(ports.fcm),
            token_endpoint: https(ports.fcm) + fcm::TOKEN_PATH,
            service_account_file: file("service-account.json"),
        },
        web_push: WebPushSettings {
            host: format!("127.0.0.1:{}", ports.web_push),
        },
        wns: WnsSettings {
            token_endpoint: https(ports.wns) + &wns::token_path(),
            tenant_id: wns::TENANT_ID.to_owned(),
            client_id: wns::CLIENT_ID.to_owned(),
            client_secret_file: file("wns-client-secret"),
            older_token_endpoint: https(ports.wns) + wns::OLDER_TOKEN_PATH,
            package_sid: wns::PACKAGE_SID.to_owned(),
            package_secret_file: file("wns-package-secret"),
            host: format!("127.0.0.1:{}", ports.wns),
        },
    }
}

async fn listen(wanted: u16, last: u16) -> Result<(TcpListener, u16), Error> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let opened = match wanted {
        0 => match bind(last).await {
            Ok(listener) => Ok(listener),
            Err(_) => bind(0).await,
        },
        port => bind(port).await,
    };
    let failed = |source| Error::Listen {
        port: wanted,
        source,
    };
    let listener = opened.map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    Ok((listener, port))
}
