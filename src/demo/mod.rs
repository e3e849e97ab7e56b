//! `serve --demo`: a hub, the doubles of the push services, and one person with four devices, ready to be watched.
//!
//! Everything lies in one folder, so that after a kill the same devices go on; the hub, the doubles and the page's
//! server start and stop together.

mod folder;
mod people;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::{
    clock::Clock,
    config::{self, Config},
    doubles::{self, DevicePatch, Doubles, Entry, Handle, Options as DoublesOptions, Ports},
    http::{Backend, DemoEntry},
    hub,
    serve::{self, Running},
};

use folder::Folder;

/// The demo's app and person.
const APP: &str = "todo.example";
const USER: &str = "ada";
/// How many silent pushes an hour the demo's iPhone grants; a real one grants about three.
const SILENT_PER_HOUR: u16 = 600;
/// The shortest fallback that the demo's posts may ask for.
const MIN_FALLBACK: Duration = Duration::from_secs(5);
/// How long the page's stream waits before it says that it is still there.
const BEAT: Duration = Duration::from_secs(10);

/// How to start a demo.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; a loopback address.
    pub listen: SocketAddr,
    /// A folder of its own, in place of the one in the temporary directory.
    pub folder: Option<PathBuf>,
    /// Begin with an empty folder.
    pub fresh: bool,
}

/// A running demo.
#[derive(Debug)]
pub struct Demo {
    /// The hub.
    pub running: Running,
    doubles: Doubles,
    /// Held until all has stopped.
    _folder: Folder,
}

/// Starts the doubles and the hub, and makes the person's devices known to both.
///
/// # Errors
/// With what to do about it: a folder that no demo made or that is in use, an address that is taken or not loopback.
pub async fn start(options: Options) -> anyhow::Result<Demo> {
    anyhow::ensure!(
        options.listen.ip().is_loopback(),
        "the demo listens on loopback only, since anyone who reaches it can drive it; leave --listen out or use 127.0.0.1"
    );
    // Before anything is emptied: a demo that cannot start leaves all as it is.
    let listener = serve::bind(options.listen)?;
    let folder = Folder::open(options.folder, options.fresh)?;
    let doubles = doubles::start(DoublesOptions {
        folder: folder.path().join("doubles"),
        ports: Ports::default(),
        strict: true,
    })
    .await
    .context("cannot start the doubles of the push services")?;
    let config = config_of(&folder, &doubles, options.listen)?;
    let stage = Arc::new(OnceLock::new());
    let start = serve::Options {
        config,
        clock: Clock::system(),
        accept_loss: false,
        workers: 2,
        demo: Some(backend(doubles.handle().clone(), Arc::clone(&stage))),
        resolver: Default::default(),
    };
    let running = serve::start_at(listener, start).await?;
    let cast = people::assemble(&running, doubles.handle(), &folder).await?;
    let _set_once = stage.set(cast);
    Ok(Demo {
        running,
        doubles,
        _folder: folder,
    })
}

impl Demo {
    /// Stops the hub, then the doubles.
    pub async fn stop(self) {
        self.running.stop().await;
        self.doubles.stop().await;
    }
}

/// The hub's config, written into the folder as an operator would write it.
fn config_of(folder: &Folder, doubles: &Doubles, listen: SocketAddr) -> anyhow::Result<Config> {
    let services = doubles.settings().app_toml();
    let text = format!("[[app]]\nhost = \"{APP}\"\n\n{services}");
    let file = folder.write("config.toml", &text)?;
    let mut config = config::load(Some(&file), std::iter::empty())?;
    config.server.listen = listen;
    config.store.path = folder.path().join("store");
    config.delivery.silent_per_hour = SILENT_PER_HOUR;
    config.delivery.min_fallback_delay = MIN_FALLBACK;
    Ok(config)
}

/// What the page asks of the doubles, through the hub's origin: no browser knows their CA.
fn backend(handle: Handle, stage: Arc<OnceLock<people::Cast>>) -> Backend {
    let (states, patches, arrivals, entries) =
        (handle.clone(), handle.clone(), handle.clone(), handle);
    Backend {
        state: Arc::new(move || stage.get().map(|cast| cast.state(&states))),
        patch: Arc::new(move |id, patch| patch_device(&patches, id, patch)),
        arrivals: Arc::new(move |device| {
            let all = arrivals.arrivals(0);
            let of_device = all.iter().filter(|it| it.device.as_deref() == Some(device));
            json!({"value": of_device.map(|it| json!(**it)).collect::<Vec<Value>>()})
        }),
        place: {
            let entries = entries.clone();
            Arc::new(move || entries.place())
        },
        entries: Arc::new(move |after| {
            let entries = entries.clone();
            Box::pin(async move {
                entries
                    .next_entries(after, BEAT)
                    .await
                    .iter()
                    .map(entry)
                    .collect()
            })
        }),
    }
}

fn entry(entry: &Entry) -> DemoEntry {
    let (event, data) = match entry {
        Entry::Arrival(arrival) => ("arrival", json!(**arrival)),
        Entry::HandedOver(handed) => ("push", json!(**handed)),
    };
    DemoEntry {
        seq: entry.seq(),
        event,
        data,
    }
}

fn patch_device(handle: &Handle, id: &str, patch: Value) -> Result<Value, hub::Error> {
    let invalid = |error: &dyn std::fmt::Display| hub::Error::invalid("body", error.to_string());
    let patch: DevicePatch = serde_json::from_value(patch).map_err(|error| invalid(&error))?;
    match handle.patch_device(id, patch) {
        Ok(device) => Ok(json!(device)),
        Err(doubles::Error::NoSuchDevice(_)) => Err(hub::Error::NotFound("device")),
        Err(error) => Err(invalid(&error)),
    }
}
