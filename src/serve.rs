//! The wiring, in order: config, store, hub, dispatch, doors. Stopping goes the other way.

mod files;
mod listener;

pub use listener::bind;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    config::{Apps, Config, Limits, Server, apps::App},
    dispatch::{Dispatcher, Load, VapidKeys},
    http::{self, Readiness},
    hub::{Hub, admin::ReadRegistration},
    identity::Identities,
    metrics::Metrics,
    model::{Channel, Fault},
    push,
    store::{self, Store},
    task::{self, Task},
};

/// How long each part may take to end; together less than the 10 s that a supervisor grants.
const DOOR_GRACE: Duration = Duration::from_secs(4);
const PART_GRACE: Duration = Duration::from_secs(2);
const CUT_GRACE: Duration = Duration::from_millis(200);

/// Threads for questions to the store. They are bound by the processor or the disk, so that more would only wait for
/// each other: with hundreds of looks under way, a thread for each took half of the time to switch between them.
const READERS: usize = 8;

/// How many connections may wait to be taken.
const BACKLOG: i32 = 4096;
/// How many connections the listener of `/metrics` takes.
const SCRAPERS: usize = 32;

/// How long a start waits for a store that another process holds.
const STORE_PATIENCE: Duration = Duration::from_secs(2);

/// What a hub is started with.
#[derive(Debug)]
pub struct Options {
    /// The operator's settings.
    pub config: Config,
    /// What time it is.
    pub clock: Clock,
    /// Go on where the end of the store was cut off.
    pub accept_loss: bool,
    /// How many threads answer requests.
    pub workers: usize,
    /// What the demo's page asks for, under `--demo`.
    pub demo: Option<http::Backend>,
    /// Who looks up the names of push services.
    pub resolver: push::Resolver,
}

/// A running hub.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The hub itself, for the admin door and for tests.
    pub hub: Hub,
    /// The apps' Web Push keys.
    pub vapid: VapidKeys,
    identities: Identities,
    /// What it counts.
    pub metrics: Metrics,
    ready: Readiness,
    door: Door,
    tls: Option<http::Shown>,
    metrics_door: Option<MetricsDoor>,
    stopping: CancellationToken,
    background: Background,
}

/// What runs beside the doors.
#[derive(Debug)]
struct Background {
    recorder: Task,
    dispatcher: Task,
    sweep: Task,
    look_over: Option<Task>,
    broadcasts: Task,
    certificate: Option<Task>,
    admin: Task,
}

/// The listener of `/metrics`, where it has one of its own.
#[derive(Debug)]
struct MetricsDoor {
    addr: SocketAddr,
    door: Door,
}

impl MetricsDoor {
    fn open(context: http::Context, listener: TcpListener, limits: &Limits) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        // They come out of the files that are kept from the other listener.
        let limits = &Limits {
            connections: limits.connections.min(SCRAPERS),
            ..*limits
        };
        Ok(Self {
            addr,
            door: Door::open(http::listen_for_metrics(context, listener, limits)?),
        })
    }
}

/// A listener with its server.
#[derive(Debug)]
struct Door {
    handle: actix_web::dev::ServerHandle,
    served: tokio::task::JoinHandle<io::Result<()>>,
}

impl Door {
    fn open(server: actix_web::dev::Server) -> Self {
        Self {
            handle: server.handle(),
            served: tokio::spawn(server),
        }
    }

    async fn close(self) {
        let served = self.served;
        let closing = async {
            self.handle.stop(true).await;
            if let Ok(Err(error)) = served.await {
                tracing::error!(%error, "the listener ended badly");
            }
        };
        if tokio::time::timeout(DOOR_GRACE, closing).await.is_err() {
            tracing::warn!("some requests were still running; their connections are cut");
            let cutting = self.handle.stop(false);
            let _cut_or_not = tokio::time::timeout(CUT_GRACE, cutting).await;
        }
    }
}

/// The threads that a hub runs on.
///
/// # Errors
/// Where the system grants none.
pub fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(READERS)
        .enable_all()
        .build()
}

/// Starts a hub and returns once it answers.
///
/// # Errors
/// With what to do about it: a data folder in use or damaged, an address taken, a key that cannot be read.
pub async fn start(options: Options) -> anyhow::Result<Running> {
    let listener = bind(options.config.server.listen)?;
    start_at(listener, options).await
}

/// As [`start`], at a listener that is open already.
///
/// # Errors
/// As [`start`].
pub async fn start_at(listener: TcpListener, options: Options) -> anyhow::Result<Running> {
    let config = options.config;
    let tls = listener::settings(&config.server, &listener)?;
    let metrics_listener = listener::for_metrics(&config.server)?;
    let store = open_store(&config, options.accept_loss).await?;
    let (hub, vapid) = open_hub(store, &config, options.clock).await?;
    let (metrics, ready) = (Metrics::default(), Readiness::default());
    let stopping = CancellationToken::new();

    let (fetches, recorder) = http::fetches(hub.clone());
    let identities = identities(&hub, options.resolver.clone())?;
    let ways = (vapid.clone(), options.resolver);
    let dispatcher = Dispatcher::new(hub.clone(), metrics.clone(), ways);
    let (load, socket) = (dispatcher.load(), http::admin::bind(&config.store.path)?);
    let background = Background {
        recorder: Task::start("fetch recorder", |stop| recorder.run(stop)),
        dispatcher: Task::start("dispatcher", |stop| dispatcher.run(stop, PART_GRACE)),
        sweep: Task::start("sweep", |stop| task::sweep(hub.clone(), stop)),
        look_over: look_over(&hub, config.store.verify_on_start),
        broadcasts: broadcasts(&hub, load),
        certificate: listener::watch(&hub, tls.clone()),
        admin: admin_door(&hub, socket),
    };

    let context = http::Context {
        hub: hub.clone(),
        metrics: metrics.clone(),
        public_url: config.server.public_url.clone(),
        ready: ready.clone(),
        check_channel,
        vapid: public_keys(vapid.clone()),
        identities: identities.clone(),
        fetches,
        rates: http::Rates::new(&config.server.limits),
        proxies: proxies(&config.server),
        metrics_here: config.server.metrics_listen.is_none(),
        pieces: http::Pieces::default(),
        stop: stopping.clone(),
        tls: tls.clone(),
        demo: options.demo,
    };
    let limits = &files::seated(config.server.limits, files::open_files());
    let metrics_door = metrics_listener
        .map(|listener| MetricsDoor::open(context.clone(), listener, limits))
        .transpose()?;
    let addr = listener.local_addr()?;
    let door = Door::open(http::listen(context, listener, limits, options.workers)?);
    ready.open();
    Ok(Running {
        addr,
        tls,
        hub,
        vapid,
        identities,
        metrics,
        ready,
        door,
        metrics_door,
        stopping,
        background,
    })
}

async fn open_hub(store: Store, config: &Config, clock: Clock) -> anyhow::Result<(Hub, VapidKeys)> {
    let rules = (config.delivery.clone(), config.server.limits);
    let hub = Hub::new(store, Apps::new(config.apps.clone()), rules, clock);
    tell_time(&hub).await;
    note_settings(&hub).await;
    finish_erasures(&hub).await;
    let vapid = VapidKeys::default();
    vapid.load(&hub, &hub.apps().all()).await?;
    hub.read_registrations(registrations(vapid.clone()));
    Ok((hub, vapid))
}

fn identities(hub: &Hub, resolver: push::Resolver) -> anyhow::Result<Identities> {
    let identities = Identities::new(resolver, hub.clock().clone());
    checked(&identities, &hub.apps().all())?;
    Ok(identities)
}

/// Whether the apps' identity providers can be used.
fn checked(identities: &Identities, apps: &[Arc<App>]) -> anyhow::Result<()> {
    identities.check_settings(apps).map_err(anyhow::Error::msg)
}

fn proxies(server: &Server) -> http::Proxies {
    http::Proxies::new(&server.trusted_proxies, server.forwarded_header)
}

fn public_keys(vapid: VapidKeys) -> http::Vapid {
    Arc::new(move |app| vapid.public_keys(app))
}

fn admin_door(hub: &Hub, socket: http::admin::Socket) -> Task {
    let hub = hub.clone();
    Task::start("admin door", |stop| http::admin::serve(hub, socket, stop))
}

fn broadcasts(hub: &Hub, load: Load) -> Task {
    let hub = hub.clone();
    let leaving = move || load.about_to_leave();
    Task::start("broadcasts", |stop| task::broadcasts(hub, leaving, stop))
}

fn look_over(hub: &Hub, wanted: bool) -> Option<Task> {
    let hub = hub.clone();
    wanted.then(|| Task::start("look over", |stop| task::look_over(hub, stop)))
}

/// So that the next start sees whether the clock has leapt; a full disk is no reason not to start.
async fn tell_time(hub: &Hub) {
    if let Err(error) = hub.tell_time().await {
        tracing::warn!(%error, "the store cannot be told the time");
    }
}

/// Before anything is put off since its app is not in the config; if the disk is full, that is put off, too.
async fn note_settings(hub: &Hub) {
    if let Err(error) = hub.note_settings().await {
        tracing::warn!(%error, "it cannot be noted which apps the config has; trying again in a moment");
    }
}

/// Before anything is done for whoever is half erased; where the disk is full, the sweep tries it again.
async fn finish_erasures(hub: &Hub) {
    if let Err(error) = hub.finish_erasures().await {
        tracing::warn!(%error, "an erasure that was begun cannot be finished; trying again in a moment");
    }
}

async fn open_store(config: &Config, accept_loss: bool) -> anyhow::Result<Store> {
    let options = store::Options {
        folder: config.store.path.clone(),
        min_free_bytes: config.store.min_free_bytes,
        cache_bytes: config.store.cache_bytes,
        accept_loss,
    };
    let deadline = tokio::time::Instant::now() + STORE_PATIENCE;
    loop {
        let options = options.clone();
        let opened = tokio::task::spawn_blocking(move || Store::open(&options)).await?;
        match opened {
            // A command of the command line may hold it for a moment.
            Err(store::Error::InUse(_)) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            other => return Ok(other?),
        }
    }
}

/// How the operators' door reads a registration, which is how the clients' does.
pub fn registrations(vapid: VapidKeys) -> ReadRegistration {
    http::registrations(check_channel, public_keys(vapid))
}

fn check_channel(channel: &Channel, app: &App) -> Vec<Fault> {
    let faults = push::check_channel(channel, app).err().unwrap_or_default();
    faults
        .into_iter()
        .map(|(target, message)| Fault::new(target, message))
        .collect()
}

impl Running {
    /// Where the metrics are, if they have a listener of their own.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics_door.as_ref().map(|door| door.addr)
    }

    /// Swaps the apps for those of a config read anew; lanes follow with the next push.
    ///
    /// # Errors
    /// Where a key cannot be read, or the store refuses; the apps stay as they were.
    pub async fn reload(&self, apps: Vec<Arc<App>>) -> anyhow::Result<()> {
        checked(&self.identities, &apps)?;
        self.vapid.load(&self.hub, &apps).await?;
        self.hub.reconfigure(apps).await?;
        Ok(())
    }

    /// Stops: no new requests, those in flight are answered, pushes under way are settled, the store is closed.
    pub async fn stop(self) {
        self.ready.close();
        self.stopping.cancel();
        let metrics_door = async {
            if let Some(metrics) = self.metrics_door {
                metrics.door.close().await;
            }
        };
        let background = self.background;
        tokio::join!(
            self.door.close(),
            metrics_door,
            background.admin.stop(PART_GRACE),
            background.dispatcher.stop(PART_GRACE * 2),
            background.sweep.stop(PART_GRACE),
            async {
                for task in [background.look_over, background.certificate]
                    .into_iter()
                    .flatten()
                {
                    task.stop(PART_GRACE).await;
                }
            },
            background.broadcasts.stop(PART_GRACE),
        );
        // The last answers report fetches, so the recorder outlives the doors.
        background.recorder.stop(PART_GRACE).await;
        if let Err(error) = self.hub.tell_last_time().await {
            tracing::warn!(%error, "the store cannot be told the time; the next start may think that the clock has leapt");
        }
        let store = self.hub.store().clone();
        if tokio::task::spawn_blocking(move || store.close())
            .await
            .is_err()
        {
            tracing::error!("the store did not close cleanly; nothing acknowledged is lost");
        }
    }
}
