//! A small HTTPS server for the unit tests of this room and of `push`: it speaks what is asked of it, keeps what it
//! got, and answers as a function says.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, Version,
    body::Incoming,
    header::{HeaderMap, HeaderName, HeaderValue},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;
use url::Url;

/// The server; it stops when dropped.
pub(crate) struct Server {
    /// `https://127.0.0.1:…/`.
    pub(crate) url: Url,
    /// The certificate to trust, PEM.
    pub(crate) ca: Vec<u8>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) version: Version,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// How many came before it.
    pub(crate) nth: usize,
    /// How many were under way when it came, itself included.
    pub(crate) under_way: usize,
}

/// An answer to give.
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

type Script = dyn Fn(&Seen) -> Reply + Send + Sync;

struct Shared {
    script: Box<Script>,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    under_way: AtomicUsize,
}

pub(crate) fn reply(status: u16, body: impl Into<Bytes>) -> Reply {
    Reply {
        status,
        headers: Vec::new(),
        body: body.into(),
    }
}

impl Reply {
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Server {
    /// Starts a server at a free port that offers `alpn` and answers by `script`.
    pub(crate) async fn start(
        alpn: &[&str],
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(identity(alpn), script).await
    }

    /// The same for clients alone that hold the certificate `client` (PEM).
    pub(crate) async fn start_for_certified(
        alpn: &[&str],
        client: &[u8],
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(client).unwrap())
            .unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .unwrap();
        Self::start_with(identity_for(alpn, verifier), script).await
    }

    async fn start_with(
        (tls, ca): (TlsAcceptor, Vec<u8>),
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            script: Box::new(script),
            seen: Mutex::default(),
            connections: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
        });
        Self {
            url: Url::parse(&format!("https://127.0.0.1:{port}/")).unwrap(),
            ca,
            task: tokio::spawn(accept(listener, tls, Arc::clone(&shared))),
            shared,
        }
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// How many TLS connections were opened.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn at(&self, path: &str) -> Url {
        self.url.join(path).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A server's side of TLS for 127.0.0.1 that offers `alpn`, and the certificate to trust.
pub(crate) fn identity(alpn: &[&str]) -> (TlsAcceptor, Vec<u8>) {
    identity_for(alpn, WebPkiClientVerifier::no_client_auth())
}

/// A certificate for a client, and its key: PEM both.
pub(crate) fn client_certificate() -> (Vec<u8>, Vec<u8>) {
    let issued = rcgen::generate_simple_self_signed([String::from("client")]).unwrap();
    let key = issued.signing_key.serialize_pem();
    (issued.cert.pem().into_bytes(), key.into_bytes())
}

fn identity_for(alpn: &[&str], clients: Arc<dyn ClientCertVerifier>) -> (TlsAcceptor, Vec<u8>) {
    let issued = rcgen::generate_simple_self_signed([String::from("127.0.0.1")]).unwrap();
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let mut tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .unwrap();
    tls.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    (
        TlsAcceptor::from(Arc::new(tls)),
        issued.cert.pem().into_bytes(),
    )
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>) {
    while let Ok((tcp, _)) = listener.accept().await {
        tokio::spawn(serve(tcp, tls.clone(), Arc::clone(&shared)));
    }
}

async fn serve(tcp: TcpStream, tls: TlsAcceptor, shared: Arc<Shared>) {
    let Ok(stream) = tls.accept(tcp).await else {
        return;
    };
    shared.connections.fetch_add(1, Ordering::SeqCst);
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
    let io = TokioIo::new(stream);
    // A client that goes away is no failure of the test.
    let _ = if http2 {
        http2::Builder::new(TokioExecutor::new())
            .serve_connection(io, service)
            .await
    } else {
        http1::Builder::new().serve_connection(io, service).await
    };
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let under_way = shared.under_way.fetch_add(1, Ordering::SeqCst) + 1;
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let seen = {
        let mut all = shared.seen.lock().unwrap();
        let seen = Seen {
            version: head.version,
            target: head.uri.to_string(),
            headers: head.headers,
            body,
            nth: all.len(),
            under_way,
        };
        all.push(seen.clone());
        seen
    };
    // Gives the others a chance to come while this one is under way.
    tokio::task::yield_now().await;
    let reply = (shared.script)(&seen);
    shared.under_way.fetch_sub(1, Ordering::SeqCst);
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = reply.status.try_into().unwrap();
    for (name, value) in reply.headers {
        let value = HeaderValue::from_str(&value).unwrap();
        response
            .headers_mut()
            .insert(HeaderName::from_static(name), value);
    }
    Ok(response)
}
