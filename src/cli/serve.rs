//! `serve`: the hub, until a signal or until its store can write no more.

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{CommandContext, door, output, runtime};
use crate::{
    clock::Clock,
    config::{Config, Delivery, Log, LogLevel, Server, Store},
    demo, log,
    serve::{self, Running},
    store,
};

/// How long a stop may take after the store has failed.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// The address and port to listen on, in place of the config's.
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Option<SocketAddr>,
    /// Go on where the end of the store was cut off; devices start over.
    #[arg(long)]
    pub(super) accept_loss: bool,
    /// Copy the store's rows to a new, smaller file first.
    #[arg(long)]
    pub(super) compact: bool,
    /// Run a demo instead: an app of its own, simulated devices, and a page to play with; needs no config.
    #[arg(long, conflicts_with_all = ["accept_loss", "compact"])]
    pub(super) demo: bool,
    /// Empty the demo's folder first.
    #[arg(long, requires = "demo")]
    pub(super) fresh: bool,
}

/// Runs `beckon serve`.
pub(super) fn run(args: ServeArgs, context: &CommandContext) -> anyhow::Result<ExitCode> {
    if args.demo {
        return run_demo(&args, context);
    }
    let options = options(&args, context)?;
    door::must_be_own(&options.config.store.path)?;
    log::start(&options.config.log).context("cannot start the log")?;
    if args.compact && store::exists(&options.config.store.path) {
        compact(&options)?;
    }
    let runtime = runtime()?;
    let ended = runtime.block_on(until_stopped(options, context));
    // Nothing is waited for any longer: what had to be kept is kept, or a second signal said so.
    runtime.shutdown_background();
    ended.map(|()| ExitCode::SUCCESS)
}

fn compact(options: &serve::Options) -> anyhow::Result<()> {
    let store = store::Options {
        accept_loss: options.accept_loss,
        ..door::store_options(&options.config)
    };
    let it = store::compact(&store, options.clock.now(), &mut |_| {})
        .context("the store was not compacted; it is as it was")?;
    tracing::info!(
        rows = it.rows,
        bytes_before = it.bytes_before,
        bytes = it.bytes_after,
        "the store was compacted"
    );
    Ok(())
}

/// Runs `beckon serve --demo`.
fn run_demo(args: &ServeArgs, context: &CommandContext) -> anyhow::Result<ExitCode> {
    // Only what matters: a page that pulls all the time would fill the terminal with its requests.
    let log = Log {
        level: LogLevel::Warn,
        ..Log::default()
    };
    log::start(&log).context("cannot start the log")?;
    let options = demo::Options {
        listen: args.listen.unwrap_or(Server::default().listen),
        folder: context.common.data.clone(),
        fresh: args.fresh,
    };
    let runtime = runtime()?;
    let ended = runtime.block_on(demo_until_stopped(options));
    runtime.shutdown_background();
    ended.map(|()| ExitCode::SUCCESS)
}

async fn demo_until_stopped(options: demo::Options) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let demo = tokio::select! {
        demo = demo::start(options) => demo?,
        () = signals.stops.stop() => bail!("stopped before the demo had started"),
    };
    output::print(format!("listening on http://{}\n", demo.running.addr).as_bytes())?;
    let store = demo.running.hub.store().clone();
    tokio::select! {
        () = signals.stops.stop() => {}
        () = store.failed() => tracing::error!("the demo's store cannot write any more"),
    }
    tokio::select! {
        () = demo.stop() => Ok(()),
        () = signals.stops.stop() => bail!("ended at once by a second signal"),
    }
}

fn options(args: &ServeArgs, context: &CommandContext) -> anyhow::Result<serve::Options> {
    let mut config = context.config()?;
    if let Some(listen) = args.listen {
        config.server.listen = listen;
    }
    Ok(serve::Options {
        config,
        clock: Clock::system(),
        accept_loss: args.accept_loss,
        workers: std::thread::available_parallelism().map_or(1, usize::from),
        demo: None,
        resolver: Default::default(),
    })
}

/// The signals that a hub heeds.
pub(super) struct Signals {
    stops: Stops,
    hang_up: Signal,
}

/// Those that mean to stop.
pub(super) struct Stops {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            stops: Stops::listen()?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }
}

fn listen(kind: SignalKind) -> anyhow::Result<Signal> {
    signal(kind).context("cannot listen for signals")
}

impl Stops {
    pub(super) fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// Waits for one of them.
    pub(super) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn until_stopped(options: serve::Options, context: &CommandContext) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let running = tokio::select! {
        running = serve::start(options) => running?,
        () = signals.stops.stop() => bail!("stopped before the hub had started"),
    };
    let address = format!("{}://{}", running.scheme(), running.addr);
    output::print(format!("listening on {address}\n").as_bytes())?;
    attend(running, &mut signals, context).await
}

/// Heeds signals while the hub runs, and stops it.
pub(super) async fn attend(
    running: Running,
    signals: &mut Signals,
    context: &CommandContext,
) -> anyhow::Result<()> {
    let store = running.hub.store().clone();
    let started_with = context.config().ok();
    let store_failed = loop {
        tokio::select! {
            () = signals.stops.stop() => break false,
            () = store.failed() => break true,
            _ = signals.hang_up.recv() => reload(&running, context, started_with.as_ref()).await,
        }
    };
    tracing::info!("stopping");
    if store_failed {
        end_in_any_case();
    }
    tokio::select! {
        () = running.stop() => {}
        () = signals.stops.stop() => bail!("ended at once by a second signal; nothing acknowledged is lost"),
    }
    if store_failed {
        bail!(
            "the store cannot write any more and the hub has stopped; the log says why. Where the disk failed, mend that and start again: nothing acknowledged is lost. Where the store is damaged, `beckon store verify` says more, and `beckon store restore` takes a backup"
        );
    }
    Ok(())
}

/// After a failed write the store's reads may hang for ever, and all threads of the runtime with them: a thread of its
/// own ends the process, so that whoever supervises it can start it again.
fn end_in_any_case() {
    std::thread::spawn(|| {
        std::thread::sleep(STOP_PATIENCE);
        output::failure(&anyhow::anyhow!(
            "the store hangs after a failed write; ended without waiting for it, nothing acknowledged is lost"
        ));
        std::process::exit(1);
    });
}

/// What holds as long as the process lives.
fn fixed(config: &Config) -> (Server, &Store, &Delivery, Log) {
    let server = Server {
        tls: None,
        ..config.server.clone()
    };
    (server, &config.store, &config.delivery, config.log)
}

/// Reads the apps and their credentials anew. A config with a fault changes nothing.
async fn reload(running: &Running, context: &CommandContext, started_with: Option<&Config>) {
    let config = match context.config() {
        Ok(config) => config,
        Err(error) => {
            tracing::error!(%error, "the config was not taken; the apps stay as they were");
            return;
        }
    };
    if let Err(error) = running.show(config.server.tls.as_deref()) {
        tracing::error!(
            error = format!("{error:#}"),
            "the listener's certificate stays as it was"
        );
    }
    if started_with.is_some_and(|before| fixed(before) != fixed(&config)) {
        tracing::warn!(
            "beside the apps and the certificate, the config has changed: that takes effect when the hub is started anew"
        );
    }
    let apps = config.apps.len();
    match running.reload(config.apps).await {
        Ok(()) => tracing::info!(apps, "the apps and their credentials were read anew"),
        Err(error) => tracing::error!(error = format!("{error:#}"), "the apps stay as they were"),
    }
}
