//! The listeners of the four services: TLS, and the protocol by ALPN. What happens to a request is in `passage`.
//!
//! Faults of the handshake strike here, before anything is known of a request.
//!
//! Every task is tracked, so that stopping waits for all of them.

mod http1;
mod http2;
mod wire;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;

use super::device::Service;
use super::error::Error;
use super::exchange::Link;
use super::fault::{FaultKind, Moment};
use super::folder::{self, Folder};
use super::state::State;
use super::tally::Event;
use wire::Wire;

pub(crate) use wire::Orders;

const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a listener rests when the system has no file descriptor for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const NO_TLS: &[u8] = b"\x00\xff no TLS is spoken here\r\n";

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
        match cut.run_until_cancelled(self.shake_hands(tcp)).await {
            Some(Ok(Some(stream))) => {
                let id = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
                self.state.tally.count(self.service, Event::Connection);
                let link = Arc::new(Link::new(id, self.service, cut.clone()));
                cut.run_until_cancelled(self.speak(stream, link)).await;
                // What still waits for its answer learns that there will be none.
                cut.cancel();
                Ok(())
            }
            Some(Ok(None)) | None => Ok(()),
            Some(Err(error)) => Err(error),
        }
    }

    /// The TLS handshake; `None` if a fault came in between.
    async fn shake_hands(&self, mut tcp: TcpStream) -> io::Result<Option<TlsStream<TcpStream>>> {
        let struck = if self.state.strict {
            self.state
                .faults
                .strike(self.service, Moment::Handshake, None)
        } else {
            None
        };
        if struck.is_some() {
            self.state.tally.count(self.service, Event::Faulted);
        }
        let tls = match struck.as_ref().map(|struck| (struck, struck.kind())) {
            None => self.tls.clone(),
            Some((_, FaultKind::WrongCertificate)) => {
                let (certificate, key) = folder::strange_certificate().map_err(io::Error::other)?;
                acceptor(self.service, certificate, key).map_err(io::Error::other)?
            }
            Some((struck, FaultKind::HandshakeSilence)) => {
                struck.cleared.cancelled().await;
                return Ok(None);
            }
            Some((_, FaultKind::HandshakeGarbage)) => {
                tcp.write_all(NO_TLS).await?;
                return Ok(None);
            }
            Some(_) => return Ok(None),
        };
        let stream = tokio::time::timeout(HANDSHAKE, tls.accept(tcp)).await??;
        Ok(Some(stream))
    }

    /// Speaks the protocol that ALPN chose. APNs speaks HTTP/2 or nothing.
    async fn speak(&self, stream: TlsStream<TcpStream>, link: Arc<Link>) {
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let wire = Wire::new(stream, link.orders.clone(), http2);
        let state = Arc::clone(&self.state);
        if http2 {
            http2::serve(state, link, wire, self.tasks.clone()).await;
        } else if self.service != Service::Apns {
            http1::serve(state, link, wire).await;
        }
    }
}

/// The TLS side of a door: the doubles' certificate and the protocols that the service speaks.
fn tls(folder: &Folder, service: Service) -> Result<TlsAcceptor, Error> {
    acceptor(service, folder.certificate.clone(), folder.key.clone_key())
}

fn acceptor(
    service: Service,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<TlsAcceptor, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::key("a TLS configuration"))?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .map_err(Error::key("a TLS configuration"))?;
    let protocols: &[&[u8]] = match service {
        Service::Apns => &[b"h2"],
        Service::Fcm | Service::WebPush => &[b"h2", b"http/1.1"],
        Service::Wns => &[b"http/1.1"],
    };
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(TlsAcceptor::from(Arc::new(config)))
}
