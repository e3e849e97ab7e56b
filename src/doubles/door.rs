//! The listeners of the four services: TLS, and the protocol by ALPN. What happens to a request is in `passage`.
//!
//! Every task is tracked, so that stopping waits for all of them.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;

use super::device::Service;
use super::error::Error;
use super::exchange::Link;
use super::folder::Folder;
use super::passage::{Stream, respond};
use super::state::State;
use super::tally::Event;

const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a listener rests when the system has no file descriptor for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What each connection is told in SETTINGS.
const MAX_CONCURRENT_STREAMS: u32 = 100;

/// The listener of one service.
#[derive(Clone)]
pub(crate) struct Door {
    state: Arc<State>,
    service: Service,
    tls: TlsAcceptor,
    tasks: TaskTracker,
    connections: Arc<AtomicU64>,
}

impl Door {
    /// A door for a service. `connections` numbers the connections of all doors.
    ///
    /// # Errors
    /// [`Error::Key`] if the TLS library refuses the certificate.
    pub(crate) fn new(
        state: &Arc<State>,
        service: Service,
        tasks: &TaskTracker,
        connections: &Arc<AtomicU64>,
    ) -> Result<Self, Error> {
        Ok(Self {
            state: Arc::clone(state),
            service,
            tls: tls(&state.folder, service)?,
            tasks: tasks.clone(),
            connections: Arc::clone(connections),
        })
    }

    /// Takes connections until the doubles stop.
    pub(crate) async fn serve(self, listener: TcpListener) {
        let stopping = self.state.stopping.clone();
        while let Some(accepted) = stopping.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((tcp, _)) => {
                    let connection = self.clone().connection(tcp);
                    self.tasks.spawn(async move { drop(connection.await) });
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    async fn connection(self, tcp: TcpStream) -> io::Result<()> {
        let cut = self.state.stopping.child_token();
        tcp.set_nodelay(true)?;
        let handshake = tokio::time::timeout(HANDSHAKE, self.tls.accept(tcp));
        let Some(stream) = cut.run_until_cancelled(handshake).await else {
            return Ok(());
        };
        let stream = stream.map_err(io::Error::from)??;
        let id = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        self.state.tally.count(self.service, Event::Connection);
        let link = Arc::new(Link::new(id, self.service, cut.clone()));
        cut.run_until_cancelled(self.speak(stream, link)).await;
        Ok(())
    }

    /// Speaks the protocol that ALPN chose. APNs speaks HTTP/2 or nothing.
    async fn speak(self, stream: TlsStream<TcpStream>, link: Arc<Link>) {
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        if !http2 && self.service == Service::Apns {
            return;
        }
        let state = Arc::clone(&self.state);
        let service =
            service_fn(move |request| respond(Arc::clone(&state), Stream::begin(&link), request));
        if http2 {
            let mut http = hyper::server::conn::http2::Builder::new(Tracked(self.tasks.clone()));
            let limit = if self.state.strict {
                MAX_CONCURRENT_STREAMS
            } else {
                10 * MAX_CONCURRENT_STREAMS
            };
            http.timer(TokioTimer::new()).max_concurrent_streams(limit);
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        } else {
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new());
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        }
    }
}

/// The TLS side of a door: the doubles' certificate and the protocols that the service speaks.
fn tls(folder: &Folder, service: Service) -> Result<TlsAcceptor, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::key("a TLS configuration"))?
        .with_no_client_auth()
        .with_single_cert(vec![folder.certificate.clone()], folder.key.clone_key())
        .map_err(Error::key("a TLS configuration"))?;
    let protocols: &[&[u8]] = match service {
        Service::Apns => &[b"h2"],
        Service::Fcm | Service::WebPush => &[b"h2", b"http/1.1"],
        Service::Wns => &[b"http/1.1"],
    };
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Runs hyper's streams as tasks that are waited for at the end.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F> hyper::rt::Executor<F> for Tracked
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}
