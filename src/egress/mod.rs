//! The only way out: an HTTP client for services that the operator configured ([`Reach::Trusted`]) and for URLs that
//! came from outside ([`Reach::Checked`]).
//!
//! It promises: TLS with verified names; no redirect followed, no proxy taken from the environment; five seconds to
//! connect, fifteen in all; no more of an answer read than asked for; one connection an authority where the server
//! speaks HTTP/2, up to sixteen where it speaks HTTP/1.1; no rapid reopening. A request is sent a second time only if
//! the server provably did not look at the first. Where a request names the source of its credential, that is asked as
//! the request leaves, and an HTTP/2 connection keeps to what came by it. It never decides what an answer means, and
//! never logs a URL: the path of a push resource is a secret.

mod authorities;
mod authority;
mod credential;
mod dial;
mod exchange;
#[cfg(test)]
pub(crate) mod in_process;
mod own;
pub mod policy;
mod resolve;
#[cfg(test)]
pub(crate) mod testing;
mod tls;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::{
    Method,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use thiserror::Error;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use url::Url;

use crate::config::Certificate;

use self::{
    authorities::Authorities,
    authority::{Authority, Lease},
    dial::Dialer,
    exchange::Broken,
    resolve::LookUps,
};
pub use self::{
    credential::Credential,
    policy::Policy,
    resolve::{LookUp, Resolver},
};

/// How long a request may wait for a connection, and how long its answer may take once it has left.
pub const MAX_REQUEST: Duration = Duration::from_secs(15);

/// How much of an answer is read unless the request says otherwise, in bytes.
pub const MAX_ANSWER_BYTES: usize = 4096;

/// Which version of HTTP to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 alone (WNS).
    Http1,
    /// HTTP/2 alone, agreed by ALPN (APNs).
    Http2,
    /// HTTP/2 where the server has it.
    Either,
}

/// Where a client may go.
#[derive(Debug, Clone)]
pub enum Reach {
    /// Wherever it is sent, since the operator says where: any address, but `https` alone.
    Trusted,
    /// Where the policy allows: the URLs come from outside.
    Checked(Policy),
}

/// How a client is to behave.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which version of HTTP it speaks.
    pub protocol: Protocol,
    /// Where it may go.
    pub reach: Reach,
    /// Who looks names up.
    pub resolver: Resolver,
    /// Whether on a new HTTP/2 connection requests go one by one until one was answered by anything but 403: APNs
    /// allows a single stream until it has seen a valid token.
    pub first_alone: bool,
}

/// A client with its connections. Cheap to clone; clones share them. Its connections belong to one credential.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    dialer: Dialer,
    first_alone: bool,
    authorities: Authorities,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    max_answer: usize,
    leaves_by: Option<Instant>,
    source: Option<credential::Source>,
    fault: Option<String>,
}

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The reason phrase of an HTTP/1.1 answer, where it is not the usual one.
    pub phrase: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Whether that is all of it: it may be too long, or, after a status of success, break off.
    pub whole: bool,
    /// The HTTP/2 connection that it came by, for [`Client::retire`]; 0 for HTTP/1.1.
    pub connection: u64,
    /// The number of the [`Credential`] that the request left with; 0 where it named no source of one.
    pub credential: u64,
}

/// Why no answer came.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// The request cannot be written as HTTP; it says where.
    #[error("not sent: the request {0}")]
    Invalid(String),
    /// There is no credential to send it with; nothing was sent.
    #[error("{0}")]
    Credential(String),
    /// The policy does not allow the URL; nothing was sent.
    #[error("not sent: the URL {0}")]
    Forbidden(String),
    /// The host leads to an address that is not public; nothing was sent.
    #[error("not sent: the host leads to an address that is not public")]
    Address,
    /// There is no way to the host: no name, nobody who listens, no TLS; nothing was sent.
    #[error("connection: {0}")]
    NoWay(String),
    /// There is no connection; nothing was sent.
    #[error("connection: {0}")]
    Connection(String),
    /// The connection broke; the request may or may not have been processed.
    #[error("answer lost: {0}")]
    Lost(String),
    /// What it is about was over before it could leave; nothing was sent.
    #[error("not sent: its time was over before it could leave")]
    Late,
    /// The server refused the credential of the one before it, for which it waited; nothing was sent.
    #[error("not sent: the one before it was refused")]
    Held,
    /// Others took all connections for too long; nothing was sent.
    #[error("not sent: it waited too long for others to be answered")]
    Crowded,
    /// Time was over; the request may or may not have been processed.
    #[error("timeout")]
    Timeout,
}

impl Client {
    /// A client that trusts the public roots and the certificates in `ca` (PEM).
    ///
    /// # Errors
    /// A sentence about `ca`, when it cannot be used.
    pub fn new(settings: Settings, ca: Option<&[u8]>) -> Result<Self, String> {
        let tls = tls::config(settings.protocol, ca, None)?;
        Ok(Self::with_tls(settings, tls))
    }

    /// The same, for a client that proves by a certificate who it is.
    ///
    /// # Errors
    /// A sentence about `ca`, or about `certificate_file` and its key, when they cannot be used.
    pub fn with_certificate(
        settings: Settings,
        ca: Option<&[u8]>,
        certificate: &Certificate,
    ) -> Result<Self, String> {
        let tls = tls::config(settings.protocol, ca, Some(certificate))?;
        Ok(Self::with_tls(settings, tls))
    }

    fn with_tls(settings: Settings, tls: Arc<rustls::ClientConfig>) -> Self {
        Self(Arc::new(Inner {
            dialer: Dialer {
                tls: TlsConnector::from(tls),
                look_ups: LookUps::new(settings.resolver),
                reach: settings.reach,
                http2_only: settings.protocol == Protocol::Http2,
            },
            first_alone: settings.first_alone,
            authorities: Authorities::default(),
        }))
    }

    /// Sends `request` and waits for its answer, each for at most [`MAX_REQUEST`]. Redirects are answers like any other.
    ///
    /// # Errors
    /// [`Failure`], when there is no answer.
    pub async fn send(&self, request: &Request) -> Result<Answer, Failure> {
        if let Some(fault) = &request.fault {
            return Err(Failure::Invalid(fault.clone()));
        }
        self.admits(&request.url).map_err(Failure::Forbidden)?;
        #[cfg(test)]
        if request.is_late() {
            return Err(Failure::Late);
        }
        #[cfg(test)]
        if let Some(answering) = in_process::answer(request) {
            return answering.await;
        }
        let deadline = Instant::now() + MAX_REQUEST;
        let authority = self.0.authorities.of(&request.url)?;
        match self.attempt(&authority, request, deadline).await {
            Err(Broken::Unprocessed(_)) => {}
            Err(Broken::Failed(failure)) => return Err(failure),
            Ok(answer) => return Ok(answer),
        }
        match Box::pin(self.attempt(&authority, request, deadline)).await {
            Err(Broken::Unprocessed(why)) => Err(Failure::Connection(why)),
            Err(Broken::Failed(failure)) => Err(failure),
            Ok(answer) => Ok(answer),
        }
    }

    /// Whether it would send to `url`; looks nothing up.
    ///
    /// # Errors
    /// What is wrong with the URL, to be put behind its name.
    pub fn admits(&self, url: &Url) -> Result<(), String> {
        match &self.0.dialer.reach {
            Reach::Checked(policy) => policy.check(url),
            Reach::Trusted if url.scheme() == "https" => Ok(()),
            Reach::Trusted => Err(String::from("must begin with https://")),
        }
    }

    /// Stops using HTTP/2 connection `number` for new requests to the authority of `url`, because an answer by it
    /// said that it is spent. Does nothing if another has taken its place.
    pub fn retire(&self, url: &Url, number: u64) {
        if let Ok(authority) = self.0.authorities.of(url) {
            authority.retire(number);
        }
    }

    /// Sends once. What meets a connection that is of no use to it has not left, and takes the next.
    async fn attempt(
        &self,
        authority: &Authority,
        request: &Request,
        deadline: Instant,
    ) -> Result<Answer, Broken> {
        let mut has_moved = false;
        let answer = loop {
            let lease = timeout_at(deadline, authority.lease(&self.0.dialer)).await;
            let lease = lease.unwrap_or(Err(Failure::Crowded));
            if request.is_late() {
                return Err(Broken::Failed(Failure::Late));
            }
            let answer = match lease.map_err(Broken::Failed)? {
                Lease::Shared(shared) => {
                    exchange::on_shared(&shared, request, self.0.first_alone, deadline).await
                }
                Lease::Own(own) => {
                    let sending = Box::pin(exchange::on_own(own, request));
                    sending.await.map(|(answer, own)| {
                        own.into_iter().for_each(|own| authority.give_back(own));
                        Some(answer)
                    })
                }
            };
            match answer.transpose() {
                Some(answer) => break answer,
                None if has_moved => {
                    break Err(Broken::Unprocessed(authority.fault()));
                }
                None => has_moved = true,
            }
        };
        match &answer {
            Ok(_) => authority.answered(),
            Err(Broken::Failed(failure)) => authority.failed(failure.to_string()),
            Err(Broken::Unprocessed(why)) => authority.failed(why.clone()),
        }
        answer
    }
}

impl Request {
    /// A POST of `body` to `url`.
    pub fn post(url: Url, body: Bytes) -> Self {
        Self {
            body,
            ..Self::new(Method::POST, url)
        }
    }

    /// A GET of `url`.
    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            max_answer: MAX_ANSWER_BYTES,
            leaves_by: None,
            source: None,
            fault: None,
        }
    }

    /// Adds a header; `name` in lower case. A value that HTTP cannot carry makes the request fail when it is sent.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        match HeaderValue::from_str(value.as_ref()) {
            Ok(value) => {
                self.headers.insert(HeaderName::from_static(name), value);
            }
            Err(_) => self.fault = Some(format!("{name} holds a character that no header may")),
        }
        self
    }

    /// Leaves within `span` of now or not at all: a credential or a connection may have to be waited for.
    #[must_use]
    pub fn within(mut self, span: Duration) -> Self {
        self.leaves_by = Instant::now().checked_add(span);
        self
    }

    fn is_late(&self) -> bool {
        self.leaves_by.is_some_and(|by| Instant::now() > by)
    }

    /// Reads up to `bytes` of the answer instead of [`MAX_ANSWER_BYTES`].
    #[must_use]
    pub fn max_answer(mut self, bytes: usize) -> Self {
        self.max_answer = bytes;
        self
    }

    /// Where it goes.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The value of `Host`: the port only where it is not 443.
    fn authority(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        match self.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }
}

impl Answer {
    /// The value of a header, where it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Failure {
    /// Whether the request itself is at fault, so that sending it again is useless.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Invalid(_) | Self::Forbidden(_))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client(…)")
    }
}

#[cfg(test)]
mod tests;
