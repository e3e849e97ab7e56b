//! One request and its answer, in a form that the services' rules can be written over without a network.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use hyper::body::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode, Uri};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::device::{Body, Service};
use super::door::{MAX_CONCURRENT_STREAMS, Orders};
use super::registry::Record;
use super::retention::Waiting;

/// A request, read whole.
#[derive(Debug)]
pub(crate) struct Request {
    /// The method.
    pub(crate) method: Method,
    /// Path and query, as they came.
    pub(crate) uri: Uri,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body; `None` if it was longer than any service takes.
    pub(crate) body: Option<Bytes>,
}

impl Request {
    /// The body, empty if it was too long to be read.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }

    /// The size of the body in bytes; the largest number if it was too long to be read.
    pub(crate) fn size(&self) -> usize {
        self.body.as_ref().map_or(usize::MAX, Bytes::len)
    }

    /// The one value of a header, as text. `None` if it is absent or is not ASCII.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether a header stands there at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    /// The media type in lower case, without parameters.
    pub(crate) fn media_type(&self) -> String {
        let value = self.header("content-type").unwrap_or_default();
        value
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
    }

    /// The credential after `Bearer`, which is compared without regard to case (RFC 9110, section 11.1).
    pub(crate) fn bearer(&self) -> Option<&str> {
        let (scheme, rest) = self.header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim())
    }

    /// The fields of a form body.
    pub(crate) fn form(&self) -> HashMap<String, String> {
        url::form_urlencoded::parse(self.bytes())
            .into_owned()
            .collect()
    }
}

/// What is sent back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// Names in lower case and values.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The body.
    pub(crate) body: Bytes,
    /// Why it is a refusal, for the journal.
    pub(crate) reason: Option<String>,
}

impl Answer {
    /// An answer without a body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
            reason: None,
        }
    }

    /// An answer with a JSON body.
    pub(crate) fn json(status: StatusCode, body: &Value) -> Self {
        let body = Bytes::from(body.to_string());
        Self {
            body,
            ..Self::empty(status)
        }
        .with("content-type", "application/json")
    }

    /// The same with one more header.
    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// The same as a refusal for this reason.
    pub(crate) fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Puts its headers among others.
    pub(crate) fn fill(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            // A value that is no header value cannot be sent; all ours are ASCII but what is echoed, which came in as one.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.append(HeaderName::from_static(name), value);
            }
        }
    }
}

/// A push that passed every check.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// The device, if it is for a single one.
    pub(crate) device: Option<Record>,
    /// What to deliver; `None` when there is nothing to.
    pub(crate) item: Option<Waiting>,
    /// The service's id of the message.
    pub(crate) message_id: String,
    /// Web Push: the body, decrypted.
    pub(crate) plaintext: Option<Body>,
}

/// What a service's rules say of a request.
#[derive(Debug)]
pub(crate) enum Judged {
    /// It is refused, or it was no push and is answered.
    Answered(Answer),
    /// The same, for a device that is known: its id.
    AnsweredFor(String, Answer),
    /// The push is taken.
    Accepted(Box<Accepted>),
    /// A request for an access token that is granted; the answer is ready.
    Token(Answer),
}

/// Which streams of a connection were processed, and which still may be.
#[derive(Debug, Default)]
struct Processed {
    highest: u32,
    last: Option<u32>,
}

/// A connection, as far as the rules look beyond one request.
#[derive(Debug)]
pub(crate) struct Link {
    /// Counted from 1.
    pub(crate) id: u64,
    /// The service at its other end.
    pub(crate) service: Service,
    /// Closes the connection at once.
    pub(crate) cut: CancellationToken,
    /// Requests under way.
    pub(crate) streams: AtomicUsize,
    /// How many at once it takes since it was told so, by a fault or because it proved itself.
    pub(crate) stream_limit: AtomicU32,
    /// APNs: the certificate that its sender showed, by its fingerprint.
    pub(crate) certificate: Option<String>,
    /// APNs: whether a request with a valid token was accepted.
    pub(crate) proven: AtomicBool,
    /// What goes out below HTTP.
    pub(crate) orders: Orders,
    tokens: Mutex<Vec<(String, i64)>>,
    processed: Mutex<Processed>,
}

impl Link {
    /// A connection that has just come up.
    pub(crate) fn new(id: u64, service: Service, cut: CancellationToken) -> Self {
        Self {
            id,
            service,
            cut,
            streams: AtomicUsize::new(0),
            stream_limit: AtomicU32::new(u32::MAX),
            orders: Orders::default(),
            processed: Mutex::default(),
            certificate: None,
            proven: AtomicBool::new(false),
            tokens: Mutex::new(Vec::new()),
        }
    }

    /// APNs: a request with a valid token was accepted; from the first one on the connection takes more than one stream.
    pub(crate) fn prove(&self) {
        if !self.proven.swap(true, Ordering::AcqRel) {
            self.stream_limit
                .store(MAX_CONCURRENT_STREAMS, Ordering::Release);
            self.orders.announce_streams(MAX_CONCURRENT_STREAMS);
        }
    }

    /// Whether a request on this stream may still be processed; it counts as processed from now on if so.
    pub(crate) fn processes(&self, stream: u32) -> bool {
        let mut processed = self
            .processed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let may = processed.last.is_none_or(|last| stream <= last);
        if may {
            processed.highest = processed.highest.max(stream);
        }
        may
    }

    /// From now on no stream after this one is processed, nor after the highest that was. Gives the last that is.
    pub(crate) fn stop_after(&self, stream: u32) -> u32 {
        let mut processed = self
            .processed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let last = stream.max(processed.highest);
        *processed.last.get_or_insert(last)
    }

    /// Takes note of a credential; false if it is a new one and the one before is younger than so many seconds.
    pub(crate) fn admits(&self, token: &str, now_secs: i64, min_age_secs: i64) -> bool {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.iter().any(|(known, _)| known == token) {
            return true;
        }
        if tokens
            .last()
            .is_some_and(|(_, since)| now_secs - since < min_age_secs)
        {
            return false;
        }
        tokens.push((token.to_owned(), now_secs));
        true
    }
}
