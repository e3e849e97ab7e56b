//! Doubles in a temporary folder, and clients that trust their authority.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::header::HeaderMap;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::{Device, Doubles, Handle, NewDevice, Options, Service, Settings, start};

/// How long a test waits for what must come.
pub(super) const SOON: Duration = Duration::from_secs(10);

/// Running doubles.
pub(super) struct Rig {
    pub(super) doubles: Doubles,
    pub(super) folder: TempDir,
}

/// An answer, read whole.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// A request in the making: method, headers and body of a good one, to be spoilt.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) method: &'static str,
    pub(super) uri: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl std::fmt::Debug for Draft {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body: String = String::from_utf8_lossy(&self.body)
            .chars()
            .take(200)
            .collect();
        write!(
            out,
            "{} {} {:?} {body}",
            self.method, self.uri, self.headers
        )
    }
}

impl Draft {
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    pub(super) fn twice(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(super) fn method(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    pub(super) fn uri(mut self, uri: impl Into<String>) -> Self {
        self.uri = uri.into();
        self
    }

    pub(super) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) fn json(self, body: &Value) -> Self {
        self.body(body.to_string())
    }

    pub(super) fn request(&self, absolute: bool) -> Request<Full<Bytes>> {
        let (authority, path) = self
            .uri
            .trim_start_matches("https://")
            .trim_start_matches("http://")
            .split_once('/')
            .unwrap();
        let uri = if absolute {
            self.uri.clone()
        } else {
            format!("/{path}")
        };
        let mut request = Request::builder().method(self.method).uri(uri);
        if !absolute && !self.headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", authority);
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request
            .body(Full::new(Bytes::from(self.body.clone())))
            .unwrap()
    }

    pub(super) fn authority(&self) -> &str {
        self.uri
            .split_once("://")
            .unwrap()
            .1
            .split('/')
            .next()
            .unwrap()
    }
}

/// An HTTP/2 connection.
pub(super) type Http2 = http2::SendRequest<Full<Bytes>>;

impl Rig {
    pub(super) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let doubles = start(Options::strict(folder.path())).await.unwrap();
        Self { doubles, folder }
    }

    /// Stops and starts in the same folder.
    pub(super) async fn restart(self) -> Self {
        let Self { doubles, folder } = self;
        doubles.stop().await;
        let doubles = start(Options::strict(folder.path())).await.unwrap();
        Self { doubles, folder }
    }

    pub(super) fn handle(&self) -> &Handle {
        self.doubles.handle()
    }

    pub(super) fn settings(&self) -> &Settings {
        self.doubles.settings()
    }

    pub(super) fn device(&self, service: Service) -> Device {
        self.handle().add_device(NewDevice::of(service)).unwrap()
    }

    pub(super) async fn tls(
        &self,
        authority: &str,
        protocols: &[&str],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        self.tls_as(None, authority, protocols).await
    }

    /// The same for a client that shows the certificate in this file, if in any.
    pub(super) async fn tls_as(
        &self,
        certificate: Option<&Path>,
        authority: &str,
        protocols: &[&str],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let ca =
            CertificateDer::from_pem_slice(&fs::read(&self.settings().ca_file).unwrap()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = builder.with_root_certificates(roots);
        let mut config = match certificate {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let pem = fs::read(file).unwrap();
                let certificate = CertificateDer::from_pem_slice(&pem).unwrap();
                let key = PrivateKeyDer::from_pem_slice(&pem).unwrap();
                builder
                    .with_client_auth_cert(vec![certificate], key)
                    .unwrap()
            }
        };
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let tcp = TcpStream::connect(authority).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
    }

    pub(super) async fn http2(&self, draft: &Draft) -> Http2 {
        let stream = self.tls(draft.authority(), &["h2"]).await.unwrap();
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        sender
    }

    /// Sends over a new HTTP/2 connection.
    pub(super) async fn send2(&self, draft: &Draft) -> Reply {
        send_on(&mut self.http2(draft).await, draft).await.unwrap()
    }

    /// Sends over a new HTTP/1.1 connection with TLS.
    pub(super) async fn send1(&self, draft: &Draft) -> hyper::Result<Reply> {
        let stream = self.tls(draft.authority(), &["http/1.1"]).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let response = sender.send_request(draft.request(false)).await?;
        Ok(read(response).await)
    }

    /// Sends without TLS, and gives the response unread.
    pub(super) async fn open_plain(&self, draft: &Draft) -> hyper::Response<Incoming> {
        let stream = TcpStream::connect(draft.authority()).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(draft.request(false)).await.unwrap()
    }
}

pub(super) async fn send_on(sender: &mut Http2, draft: &Draft) -> hyper::Result<Reply> {
    Ok(read(sender.send_request(draft.request(true)).await?).await)
}

/// Sends over a new connection of the newest protocol that the service speaks; an error says how it broke.
pub(super) async fn attempt(
    rig: &Rig,
    service: Service,
    draft: &Draft,
) -> Result<Reply, Box<dyn std::error::Error + Send + Sync>> {
    let response = if service == Service::Wns {
        let stream = rig.tls(draft.authority(), &["http/1.1"]).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        sender.send_request(draft.request(false)).await?
    } else {
        let stream = rig.tls(draft.authority(), &["h2"]).await?;
        let (mut sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        sender.send_request(draft.request(true)).await?
    };
    let (head, body) = response.into_parts();
    let bytes = body.collect().await?.to_bytes();
    Ok(Reply {
        status: head.status.as_u16(),
        headers: head.headers,
        body: String::from_utf8_lossy(&bytes).into_owned(),
    })
}

pub(super) async fn read(response: hyper::Response<Incoming>) -> Reply {
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Reply {
        status: head.status.as_u16(),
        headers: head.headers,
        body: String::from_utf8_lossy(&bytes).into_owned(),
    }
}
