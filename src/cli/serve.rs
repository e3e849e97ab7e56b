//! `serve`: the hub, until a signal or until its store can write no more.

use std::{net::SocketAddr, process::ExitCode};

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{CommandContext, output, runtime};
use crate::{
    clock::Clock,
    log,
    serve::{self, Running},
};

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// The address and port to listen on, in place of the config's.
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Option<SocketAddr>,
    /// Go on where the end of the store was cut off; devices start over.
    #[arg(long)]
    pub(super) accept_loss: bool,
    /// Run a demo instead: an app of its own, simulated devices, and a page to play with; needs no config.
    #[arg(long, conflicts_with_all = ["accept_loss"])]
    pub(super) demo: bool,
    /// Empty the demo's folder first.
    #[arg(long, requires = "demo")]
    pub(super) fresh: bool,
}

/// Runs `beckon serve`.
pub(super) fn run(args: ServeArgs, context: &CommandContext) -> anyhow::Result<ExitCode> {
    let options = options(&args, context)?;
    log::start(&options.config.log).context("cannot start the log")?;
    let runtime = runtime()?;
    let ended = runtime.block_on(until_stopped(options, context));
    // Nothing is waited for any longer: what had to be kept is kept, or a second signal said so.
    runtime.shutdown_background();
    ended.map(|()| ExitCode::SUCCESS)
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
        extra: None,
    })
}

/// The signals that a hub heeds.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// What a signal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
}

impl Signals {
    /// Heeds them from now on, in place of what the system would do.
    pub(super) fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.terminate.recv() => Heard::Stop,
            _ = self.interrupt.recv() => Heard::Stop,
            _ = self.hang_up.recv() => Heard::Reload,
        }
    }

    /// Waits for one that means to stop.
    pub(super) async fn stop(&mut self) {
        while self.next().await != Heard::Stop {}
    }
}

async fn until_stopped(options: serve::Options, context: &CommandContext) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let running = tokio::select! {
        running = serve::start(options) => running?,
        () = signals.stop() => bail!("stopped before the hub had started"),
    };
    output::print(format!("listening on http://{}\n", running.addr).as_bytes())?;
    attend(running, &mut signals, context).await
}

/// Heeds signals while the hub runs, and stops it.
pub(super) async fn attend(
    running: Running,
    signals: &mut Signals,
    context: &CommandContext,
) -> anyhow::Result<()> {
    let store = running.hub.store().clone();
    let store_failed = loop {
        tokio::select! {
            heard = signals.next() => match heard {
                Heard::Stop => break false,
                Heard::Reload => reload(&running, context).await,
            },
            () = store.failed() => break true,
        }
    };
    tracing::info!("stopping");
    tokio::select! {
        () = running.stop() => {}
        () = signals.stop() => bail!("ended at once by a second signal; nothing acknowledged is lost"),
    }
    if store_failed {
        bail!(
            "the store cannot write any more and the hub has stopped; nothing acknowledged is lost. See the log for what the disk said, mend that, and start again"
        );
    }
    Ok(())
}

/// Reads the apps and their credentials anew. A config with a fault changes nothing.
async fn reload(running: &Running, context: &CommandContext) {
    let config = match context.config() {
        Ok(config) => config,
        Err(error) => {
            tracing::error!(%error, "the config was not taken; the apps stay as they were");
            return;
        }
    };
    let apps = config.apps.len();
    match running.reload(config.apps).await {
        Ok(()) => tracing::info!(apps, "the apps and their credentials were read anew"),
        Err(error) => tracing::error!(error = format!("{error:#}"), "the apps stay as they were"),
    }
}
