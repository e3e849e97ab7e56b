//! Opening a connection: look up, check, connect, TLS, and whatever HTTP was agreed upon.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls_pki_types::ServerName;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Failure, Reach, own, resolve::LookUps};

/// How long a connection may take to be there, the look-up and TLS included.
const MAX_CONNECT: Duration = Duration::from_secs(5);

/// How long an HTTP/2 connection is silent before a PING asks whether it still lives. Shorter than the memory of the
/// usual address translators, longer than what a push service would take for impatience.
const PING_AFTER: Duration = Duration::from_secs(300);

/// How long the answer to that PING may take.
const MAX_PING: Duration = Duration::from_secs(20);

/// What connections of one client have in common.
pub(super) struct Dialer {
    pub(super) tls: TlsConnector,
    pub(super) look_ups: LookUps,
    pub(super) reach: Reach,
    /// Whether nothing but HTTP/2 will do.
    pub(super) http2_only: bool,
}

/// A new connection, by what was agreed upon.
pub(super) enum Dialed {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Dialer {
    /// Opens a connection to `host` (as a URL writes it) within five seconds.
    pub(super) async fn dial(&self, host: &str, port: u16) -> Result<Dialed, Failure> {
        let deadline = Instant::now() + MAX_CONNECT;
        let stream = timeout_at(deadline, self.connect(host, port, deadline))
            .await
            .map_err(|_| broken("connect timed out"))??;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        if self.http2_only && !http2 {
            return Err(broken("the server did not agree to HTTP/2"));
        }
        if http2 {
            open_http2(stream).await
        } else {
            open_http1(stream).await
        }
    }

    /// The addresses of `host`, all of them checked. One bad address condemns the rest: an honest service has none.
    pub(super) async fn addresses(&self, host: &str, port: u16) -> Result<Vec<IpAddr>, Failure> {
        let found = self.look_ups.addresses(host).await;
        let found = found.map_err(|e| broken(format!("look-up failed: {e}")))?;
        if found.is_empty() {
            return Err(broken("look-up found no address"));
        }
        let Reach::Checked(policy) = &self.reach else {
            return Ok(found);
        };
        let may = |ip: &IpAddr| policy.reaches(host, port, (*ip, own::is_ours));
        if found.iter().all(may) {
            Ok(found)
        } else {
            Err(Failure::Address)
        }
    }

    async fn connect(
        &self,
        host: &str,
        port: u16,
        deadline: Instant,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let addresses = self.addresses(host, port).await?;
        let tcp = connect_any(&addresses, port, deadline).await?;
        // Every request is one small write that waits for an answer, so there is nothing to gather.
        tcp.set_nodelay(true).map_err(broken)?;
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(name.to_owned()).map_err(broken)?;
        self.tls
            .connect(name, tcp)
            .await
            .map_err(|e| broken(format!("TLS: {e}")))
    }
}

/// Tries the addresses in turn; each gets its fair share of the time left.
async fn connect_any(
    addresses: &[IpAddr],
    port: u16,
    deadline: Instant,
) -> Result<TcpStream, Failure> {
    let mut fault = broken("connect timed out");
    for (tried, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let untried = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let until = Instant::now() + left / untried;
        match timeout_at(until, TcpStream::connect(SocketAddr::new(*address, port))).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(e)) => fault = broken(e),
            Err(_) => {}
        }
    }
    Err(fault)
}

// Each connection is driven by a task of its own, which ends with the connection: when the server closes it, or when
// the last handle to it is dropped. It owns nothing else, so nobody needs to wait for it.

async fn open_http1(stream: TlsStream<TcpStream>) -> Result<Dialed, Failure> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    tokio::spawn(connection);
    Ok(Dialed::Http1(sender))
}

async fn open_http2(stream: TlsStream<TcpStream>) -> Result<Dialed, Failure> {
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(MAX_PING)
        .keep_alive_while_idle(true)
        // Until the server's SETTINGS say how many streams it takes, one: a refused stream costs more than the wait.
        .initial_max_send_streams(1)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    tokio::spawn(connection);
    Ok(Dialed::Http2(sender))
}

fn broken(why: impl std::fmt::Display) -> Failure {
    Failure::NoWay(why.to_string())
}
