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

use rustls::server::WebPkiClientVerifier;
use rustls::time_provider::TimeProvider;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;

use super::apns::certificate::fingerprint;
use super::device::Service;
use super::error::Error;
use super::exchange::Link;
use super::fault::{FaultKind, Moment};
use super::folder;
use super::state::State;
use super::tally::Event;
use wire::Wire;

pub(crate) use http2::MAX_CONCURRENT_STREAMS;
pub(crate) use wire::Orders;

const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a listener rests when the system has no file descriptor for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a sender may take to read why its certificate was refused.
const FAREWELL: Duration = Duration::from_secs(1);
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
            tls: acceptor(state, service, shown(state))?,
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
                let mut link = Link::new(id, self.service, cut.clone());
                let shown = stream.get_ref().1.peer_certificates();
                let shown = shown.and_then(|chain| chain.first());
                link.certificate = shown.map(|certificate| fingerprint(certificate));
                let link = Arc::new(link);
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
            Some((
                _,
                kind @ (FaultKind::WrongCertificate
                | FaultKind::ExpiredCertificate
                | FaultKind::MisnamedCertificate),
            )) => {
                let identity = self.wrong_identity(kind).map_err(io::Error::other)?;
                acceptor(&self.state, self.service, identity).map_err(io::Error::other)?
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
        let accepting = tls.accept(tcp).into_fallible();
        match tokio::time::timeout(HANDSHAKE, accepting).await? {
            Ok(stream) => Ok(Some(stream)),
            Err((error, tcp)) => {
                part_from(tcp).await;
                Err(error)
            }
        }
    }

    fn wrong_identity(&self, kind: FaultKind) -> Result<Identity, Error> {
        let folder = &self.state.folder;
        let signed = match kind {
            FaultKind::ExpiredCertificate => &folder.expired_certificate,
            FaultKind::MisnamedCertificate => &folder.misnamed_certificate,
            _ => return folder::strange_certificate(),
        };
        Ok((signed.clone(), folder.key.clone_key()))
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

/// A certificate and its key.
type Identity = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// The doubles' own.
fn shown(state: &State) -> Identity {
    let folder = &state.folder;
    (folder.certificate.clone(), folder.key.clone_key())
}

/// The TLS side of a door: its certificate, the protocols that the service speaks, and whether it asks senders for theirs.
fn acceptor(
    state: &Arc<State>,
    service: Service,
    (certificate, key): Identity,
) -> Result<TlsAcceptor, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clock = Arc::new(DoublesTime(Arc::clone(state)));
    let clients = match service {
        Service::Apns => state.certificates.verifier()?,
        _ => WebPkiClientVerifier::no_client_auth(),
    };
    let mut config = rustls::ServerConfig::builder_with_details(provider, clock)
        .with_safe_default_protocol_versions()
        .map_err(Error::key("a TLS configuration"))?
        .with_client_cert_verifier(clients)
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

/// Ends a connection whose handshake failed. What the sender had on its way is read, since a close over unread bytes is a reset,
/// which would take the alert that says why from it.
async fn part_from(mut tcp: TcpStream) {
    let reading = async {
        tcp.shutdown().await?;
        while tcp.read(&mut [0; 1024]).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    // It ends in any case: the sender goes, breaks off, or has had its time.
    let _gone = tokio::time::timeout(FAREWELL, reading).await;
}

/// The doubles' clock for the ends of certificates.
#[derive(Debug)]
struct DoublesTime(Arc<State>);

impl TimeProvider for DoublesTime {
    fn current_time(&self) -> Option<UnixTime> {
        let now_secs = u64::try_from(self.0.clock.now_secs()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(now_secs)))
    }
}
