//! The hub behind a command: the running one, asked through its admin socket, or else the stopped one, its store
//! opened in process. Commands cannot tell which.
//!
//! A folder that another user owns is not used: what answers there could be anyone. Root may ask a hub of another
//! user, but does not open its store, since files that root made there would lock the hub's own user out.

use std::{
    fs, io,
    os::unix::{ffi::OsStringExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::{Bytes, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::UnixStream,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    config::{Apps, Config},
    dispatch::{Dispatcher, VapidKeys},
    hub::{
        Hub,
        admin::{AdminError, BACKUP_PATH, POINTER_FILE, Request, SOCKET_FILE},
    },
    metrics::Metrics,
    serve,
    store::{self, Store, backup::Backup},
};

/// How long a hub that starts or stops, or another command, is waited for: a hub stops within 10 s.
const PATIENCE: Duration = Duration::from_secs(11);
const PAUSE: Duration = Duration::from_millis(50);
/// How long what was sent may take to be written down.
const GRACE: Duration = Duration::from_secs(2);

/// The way to a hub.
#[derive(Debug)]
pub(super) enum Door {
    /// It runs.
    Running(Knock),
    /// It is stopped, so its store is open here.
    Stopped(Hub),
}

/// Where a running hub answers, and who it must be.
#[derive(Debug)]
pub(super) struct Knock {
    socket: PathBuf,
    owner: u32,
}

/// What the user of a command may do with a data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    /// It is their own.
    Open,
    /// It is another's, and they are root.
    Ask,
    /// It is another's.
    Nothing,
}

impl Right {
    fn of(me: u32, owner: u32) -> Self {
        match (me, owner) {
            (me, owner) if me == owner => Self::Open,
            (0, _) => Self::Ask,
            _ => Self::Nothing,
        }
    }

    /// Refuses whoever must not open the store.
    fn open(self, folder: &Path, owner: u32) -> anyhow::Result<()> {
        if self == Self::Open {
            return Ok(());
        }
        bail!(
            "the data folder {} belongs to uid {owner} and no hub runs on it; run the command as that user: sudo -u '#{owner}' beckon …",
            folder.display()
        );
    }
}

/// What who runs the command may do with a data folder, and whose it is.
fn right(folder: &Path) -> anyhow::Result<(Right, u32)> {
    let me = rustix::process::geteuid().as_raw();
    let owner = match fs::metadata(folder) {
        Ok(found) => found.uid(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => me,
        Err(error) => {
            return Err(error).with_context(|| format!("cannot use {}", folder.display()));
        }
    };
    let right = Right::of(me, owner);
    if right == Right::Nothing {
        return Err(anothers(folder, owner));
    }
    Ok((right, owner))
}

fn anothers(folder: &Path, owner: u32) -> anyhow::Error {
    anyhow!(
        "the data folder {} belongs to another user (uid {owner}); run the command as that user, or name your own folder with --data",
        folder.display()
    )
}

/// Refuses a data folder that another user owns, also to root: what root writes there would lock its owner out.
pub(super) fn must_be_own(folder: &Path) -> anyhow::Result<()> {
    match right(folder)? {
        (Right::Open, _) => Ok(()),
        (_, owner) => Err(anothers(folder, owner)),
    }
}

impl Door {
    /// The way to the hub whose data folder the config names. Where there is no store, the folder was mistyped rather
    /// than meant: nothing is made there.
    pub(super) async fn open(config: &Config) -> anyhow::Result<Self> {
        Self::open_within(config, (false, PATIENCE)).await
    }

    /// The same for what begins something with an app: without a store, one is made there, unless the app is a slip, too.
    pub(super) async fn open_or_make(config: &Config, app: &str) -> anyhow::Result<Self> {
        let known = config.apps.iter().any(|it| it.host.as_str() == app);
        Self::open_within(config, (known, PATIENCE)).await
    }

    async fn open_within(
        config: &Config,
        (make, patience): (bool, Duration),
    ) -> anyhow::Result<Self> {
        let folder = &config.store.path;
        let (right, owner) = right(folder)?;
        let deadline = Instant::now() + patience;
        loop {
            if let Some(knock) = find(folder, owner).await? {
                return Ok(Self::Running(knock));
            }
            right.open(folder, owner)?;
            if !make {
                must_exist(folder)?;
            }
            match open_store(config).await {
                Ok(store) => {
                    let hub = hub(store, config);
                    // What is done for someone who is half erased would go, too.
                    if let Err(error) = hub.finish_erasures().await {
                        tracing::warn!(%error, "an erasure that was begun cannot be finished yet");
                    }
                    return Ok(Self::Stopped(hub));
                }
                Err(store::Error::InUse(_)) if Instant::now() < deadline => sleep(PAUSE).await,
                Err(store::Error::InUse(_)) => bail!(
                    "the data folder {} is in use by another process, but no hub answers at its admin socket; if it is a hub that starts or stops, try again in a moment, else end that process",
                    folder.display()
                ),
                Err(other) => return Err(other.into()),
            }
        }
    }

    /// Makes sure that no hub answers for the data folder, and that its store may be opened by who asks.
    pub(super) async fn must_be_closed(config: &Config, what: &str) -> anyhow::Result<()> {
        let folder = &config.store.path;
        let (right, owner) = right(folder)?;
        if find(folder, owner).await?.is_some() {
            bail!(
                "a hub runs on {}; stop it first: a store is {what} only while nobody uses it",
                folder.display()
            );
        }
        right.open(folder, owner)
    }

    /// Whether the hub runs, so that what is stored is acted upon at once.
    pub(super) fn is_running(&self) -> bool {
        matches!(self, Self::Running(_))
    }

    /// Asks the hub one thing.
    pub(super) async fn ask(&self, request: Request) -> anyhow::Result<Value> {
        match self {
            Self::Running(knock) => knock.ask(&request).await,
            Self::Stopped(hub) => Ok(hub.admin(request).await?),
        }
    }

    /// Asks one thing for which something is sent: a stopped hub is lent a dispatcher that sends nothing else.
    pub(super) async fn ask_to_send(&self, request: Request) -> anyhow::Result<Value> {
        let Self::Stopped(hub) = self else {
            return self.ask(request).await;
        };
        let vapid = VapidKeys::default();
        vapid.load(hub, &hub.apps().all()).await?;
        let dispatcher =
            Dispatcher::new(hub.clone(), Metrics::default(), (vapid, Default::default()));
        let stop = CancellationToken::new();
        let asked = async {
            let answer = hub.admin(request).await;
            stop.cancel();
            answer
        };
        let (answer, ()) = tokio::join!(asked, dispatcher.run_tests(stop.clone(), GRACE));
        Ok(answer?)
    }

    /// Asks to register devices.
    pub(super) async fn ask_to_register(&self, request: Request) -> anyhow::Result<Value> {
        if let Self::Stopped(hub) = self {
            let vapid = VapidKeys::default();
            vapid.load(hub, &hub.apps().all()).await?;
            hub.read_registrations(serve::registrations(vapid));
        }
        self.ask(request).await
    }

    /// Begins a backup.
    pub(super) async fn backup(&self) -> anyhow::Result<Pieces> {
        match self {
            Self::Running(knock) => Ok(Pieces::Socket(knock.backup().await?)),
            Self::Stopped(hub) => Ok(Pieces::Store(hub.backup().await?)),
        }
    }

    /// Leaves: a store that was opened here is closed.
    pub(super) async fn close(self) {
        if let Self::Stopped(hub) = self {
            let store = hub.store().clone();
            // It can only fail by panicking, and everything answered is on disk already.
            let _ = tokio::task::spawn_blocking(move || store.close()).await;
        }
    }
}

/// Refuses a folder that holds no store.
pub(super) fn must_exist(folder: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(
        store::exists(folder),
        "there is no store in {}; name its folder with --data",
        folder.display()
    );
    Ok(())
}

fn hub(store: Store, config: &Config) -> Hub {
    let rules = (config.delivery.clone(), config.server.limits);
    Hub::new(
        store,
        Apps::new(config.apps.clone()),
        rules,
        Clock::system(),
    )
}

/// How the config has the store opened.
pub(super) fn store_options(config: &Config) -> store::Options {
    store::Options {
        folder: config.store.path.clone(),
        min_free_bytes: config.store.min_free_bytes,
        cache_bytes: config.store.cache_bytes,
        accept_loss: false,
    }
}

async fn open_store(config: &Config) -> Result<Store, store::Error> {
    let options = store_options(config);
    let opened = tokio::task::spawn_blocking(move || Store::open(&options)).await;
    opened.unwrap_or(Err(store::Error::Closed))
}

/// The running hub of a data folder, if one answers.
async fn find(folder: &Path, owner: u32) -> anyhow::Result<Option<Knock>> {
    let Ok(folder) = fs::canonicalize(folder) else {
        return Ok(None);
    };
    let socket = match fs::read(folder.join(POINTER_FILE)) {
        Ok(path) => PathBuf::from(std::ffi::OsString::from_vec(path)),
        Err(_) => folder.join(SOCKET_FILE),
    };
    let knock = Knock { socket, owner };
    // A socket that nobody listens at was left behind by a hub that was killed.
    match knock.connect().await {
        Ok(Some(_)) => Ok(Some(knock)),
        Ok(None) => bail!(
            "the process at {} is another user's, not the hub's; remove that file",
            knock.socket.display()
        ),
        Err(_) => Ok(None),
    }
}

/// The bytes of a backup on its way.
#[derive(Debug)]
pub(super) enum Pieces {
    /// From a running hub.
    Socket(Incoming),
    /// From the store that is open here.
    Store(Backup),
}

impl Pieces {
    /// The next bytes; none after the last.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Bytes>> {
        match self {
            Self::Store(backup) => Ok(backup.next().await.map(Bytes::from)),
            Self::Socket(body) => loop {
                let Some(frame) = body.frame().await else {
                    return Ok(None);
                };
                let frame = frame.context("the hub ended before the backup did")?;
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            },
        }
    }
}

impl Knock {
    /// A connection; none where somebody else than the folder's owner (or root) answers.
    async fn connect(&self) -> io::Result<Option<UnixStream>> {
        let stream = UnixStream::connect(&self.socket).await?;
        let uid = stream.peer_cred()?.uid();
        Ok((uid == self.owner || uid == 0).then_some(stream))
    }

    async fn ask(&self, request: &Request) -> anyhow::Result<Value> {
        let (status, body) = self.exchange(serde_json::to_vec(request)?).await.context(
            "the hub ended the connection before it had answered; see what was done before you try again",
        )?;
        let answer: Value = serde_json::from_slice(&body).context("the hub's answer is no JSON")?;
        if status.is_success() {
            return Ok(answer);
        }
        let refusal: AdminError = serde_json::from_value(answer["error"].clone())
            .with_context(|| format!("the hub answered {status} without a reason"))?;
        Err(refusal.into())
    }

    async fn backup(&self) -> anyhow::Result<Incoming> {
        let response = self.send(BACKUP_PATH, Vec::new()).await?;
        if response.status().is_success() {
            return Ok(response.into_body());
        }
        let body = response.into_body().collect().await?.to_bytes();
        let answer: Value = serde_json::from_slice(&body).context("the hub's answer is no JSON")?;
        let refusal: AdminError = serde_json::from_value(answer["error"].clone())
            .context("the hub takes no backup; is it of an earlier version?")?;
        Err(refusal.into())
    }

    async fn exchange(&self, body: Vec<u8>) -> anyhow::Result<(hyper::StatusCode, Bytes)> {
        let response = self.send("/admin", body).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, body))
    }

    async fn send(&self, path: &str, body: Vec<u8>) -> anyhow::Result<hyper::Response<Incoming>> {
        let stream = self
            .connect()
            .await?
            .context("another user's process answers")?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the answer's body, or when that is let go of.
        tokio::spawn(connection);
        let request = hyper::Request::post(path)
            .header("host", "beckon")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        Ok(sender.send_request(request).await?)
    }
}

#[cfg(test)]
#[path = "door_tests.rs"]
mod tests;
