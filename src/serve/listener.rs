//! The listener: its address, and the certificate that it shows.

use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use tokio_util::sync::CancellationToken;

use super::{BACKLOG, Running};
use crate::{
    config::{Certificate, Facts, Server},
    http,
    hub::Hub,
    model::Timestamp,
    task::Task,
};

const DAY: Duration = Duration::from_hours(24);

/// Listens on an address.
///
/// # Errors
/// With what to do about it, where it is taken.
pub fn bind(addr: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(addr).with_context(|| {
        format!("cannot listen on {addr}; is a hub running there already? set server.listen or --listen to another address")
    })?;
    // All streams come back at once after a restart. It listens already; this makes its queue longer.
    rustix::net::listen(&listener, BACKLOG).context("cannot make the listener's queue longer")?;
    Ok(listener)
}

/// What it shows.
///
/// # Errors
/// Where it would speak plain HTTP to others unasked, or its key does not fit its certificate.
pub(super) fn settings(
    server: &Server,
    listener: &TcpListener,
) -> anyhow::Result<Option<http::Shown>> {
    must_be_private(server, listener)?;
    shown(server)
}

/// Where others reach the listener, credentials cross the network as they are unless something speaks TLS for it.
fn must_be_private(server: &Server, listener: &TcpListener) -> anyhow::Result<()> {
    let addr = listener.local_addr()?;
    if addr.ip().to_canonical().is_loopback() || server.tls.is_some() {
        return Ok(());
    }
    if !server.plain_http {
        bail!(
            "{addr} can be reached from other machines, and keys and tokens would cross the network as they are; \
             write [server.tls] with cert_file and key_file, or server.plain_http = true where a proxy speaks TLS for the hub"
        );
    }
    tracing::warn!(%addr, "plain HTTP where other machines can reach it (server.plain_http): a proxy has to speak TLS for it");
    Ok(())
}

/// The listener for metrics, where there is one. It speaks no TLS, and metrics say how much goes on.
///
/// # Errors
/// Where it cannot listen, or others would reach it unasked.
pub(super) fn for_metrics(server: &Server) -> anyhow::Result<Option<TcpListener>> {
    let Some(listener) = server.metrics_listen.map(super::bind).transpose()? else {
        return Ok(None);
    };
    let addr = listener.local_addr()?;
    if addr.ip().to_canonical().is_loopback() || server.plain_http {
        return Ok(Some(listener));
    }
    bail!(
        "{addr} can be reached from other machines, and metrics would cross the network as they are; \
         write a loopback address into server.metrics_listen, or server.plain_http = true where that is meant"
    )
}

fn shown(server: &Server) -> anyhow::Result<Option<http::Shown>> {
    let shown = server.tls.as_ref().map(|it| http::Shown::new(it));
    shown
        .transpose()
        .map_err(|reason| anyhow!("[server.tls]: {reason}"))
}

/// Tells the operator what is wrong with the certificate, and in time that it ends.
pub(super) fn watch(hub: &Hub, shown: Option<http::Shown>) -> Option<Task> {
    let hub = hub.clone();
    shown.map(|shown| Task::start("certificate", |stop| tell_each_day(hub, shown, stop)))
}

/// Tells of the listener's certificate in the log, once a day, until `stop`.
async fn tell_each_day(hub: Hub, shown: http::Shown, stop: CancellationToken) {
    loop {
        tell_once(&shown, hub.now());
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(DAY) => {}
        }
    }
}

fn tell_once(shown: &http::Shown, now: Timestamp) {
    let Facts {
        begins,
        expires,
        astray,
    } = shown.facts();
    if expires <= now {
        tracing::error!(%expires, "the listener's certificate is over; put a new one into the files of [server.tls] and send SIGHUP");
    } else if begins > now {
        tracing::warn!(%begins, "the listener's certificate is not valid yet; see that the machine's time is right, or put another one into the files of [server.tls] and send SIGHUP");
    } else if expires.since(now) < Certificate::NEAR_ITS_END {
        tracing::warn!(%expires, "the listener's certificate is about to end; put a new one into the files of [server.tls] and send SIGHUP");
    }
    if let Some(place) = astray {
        tracing::warn!(
            place,
            "the chain of the listener's certificate is not in order: the one at this place did not sign the one before it, so that clients may refuse it; \
             put the hub's own first into server.tls.cert_file, then each that signed the one before, and send SIGHUP"
        );
    }
}

impl Running {
    /// How links to it begin: `https`, where it speaks TLS.
    pub fn scheme(&self) -> &'static str {
        match self.tls {
            Some(_) => "https",
            None => "http",
        }
    }

    /// Shows the certificate of a config read anew, from the next connection on.
    ///
    /// # Errors
    /// Where it cannot be shown: then the one before is shown on. TLS itself begins and ends with the process.
    pub fn show(&self, certificate: Option<&Certificate>) -> anyhow::Result<()> {
        match (&self.tls, certificate) {
            (Some(tls), Some(certificate)) => {
                tls.replace(certificate).map_err(|reason| anyhow!(reason))?;
                tell_once(tls, self.hub.now());
                Ok(())
            }
            (None, None) => Ok(()),
            _ => bail!("TLS on the listener begins, or ends, when the hub is started anew"),
        }
    }
}
