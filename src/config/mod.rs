//! What the operator set: a file, overridden by the environment, read once and typed.
//!
//! [`load()`] answers a [`Config`] in which every value is valid and every file that it names was read, or an
//! [`Error`] with all that is wrong, each fault with its place, its key and what to write instead. `Default` is what
//! holds where nothing is set; `config.example.toml` says the same, and a test holds the two together.
//! This room never looks at the network and never changes a file.

pub mod apps;
mod certificate;
mod error;
mod files;
mod host_rule;
mod identity;
pub mod init;
mod jwk;
mod load;
mod rate;
mod raw;
mod reader;
mod sections;
mod services;
mod tenants;
pub mod value;
mod x509;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use ipnet::IpNet;
use url::Url;

pub use apps::{App, Apps};
pub use certificate::{Certificate, Facts};
pub use error::{Error, Problem};
pub use identity::{Identity, KeySource, SigningAlgorithm};
pub use jwk::SigningKey;
pub use load::load;
pub use rate::{AppLimits, Rate};
pub use services::is_contact;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// All that the operator set, with the defaults filled in.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The incoming door.
    pub server: Server,
    /// What is kept, and where.
    pub store: Store,
    /// How taps are sent.
    pub delivery: Delivery,
    /// What is logged.
    pub log: Log,
    /// The apps, in the order of the file; no two have one host. None by default.
    pub apps: Vec<Arc<App>>,
}

/// The section `[server]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Where the hub listens; `127.0.0.1:8480`.
    pub listen: SocketAddr,
    /// What links begin with: `http` or `https`, without query, fragment and credentials. None: the request's origin.
    pub public_url: Option<Url>,
    /// A listener of its own for the metrics. None: no such listener.
    pub metrics_listen: Option<SocketAddr>,
    /// The section `[server.tls]`: the listener's certificate. None: it speaks plain HTTP.
    pub tls: Option<Arc<Certificate>>,
    /// Whether it may do so on an address that others reach; no.
    pub plain_http: bool,
    /// Whose word is taken for who a client is; none.
    pub trusted_proxies: Vec<IpNet>,
    /// In which header they say it; `X-Forwarded-For`.
    pub forwarded_header: ForwardedHeader,
    /// The section `[server.limits]`.
    pub limits: Limits,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8480)),
            public_url: None,
            metrics_listen: None,
            tls: None,
            plain_http: false,
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::default(),
            limits: Limits::default(),
        }
    }
}

/// Where proxies say whom they were called by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForwardedHeader {
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// `X-Forwarded-For`, with `X-Forwarded-Proto`.
    #[default]
    XForwardedFor,
}

/// The section `[server.limits]`: sizes in bytes, numbers as they are; each at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body after inflating; 64 KiB.
    pub body: usize,
    /// Bytes of the body of a post to an audience; 4 MiB.
    pub audience_body: usize,
    /// How deep the JSON of a body may be nested, at most 128; 64.
    pub nesting: usize,
    /// Endpoints of one user; 50.
    pub endpoints_per_user: usize,
    /// Open streams of one user; 20.
    pub streams_per_user: usize,
    /// Stored notifications of one user; 10 000.
    pub notifications_per_user: usize,
    /// Live tokens of one user that are bound to no endpoint; 1000.
    pub tokens_per_user: usize,
    /// Ids in one request about many notifications; 1000.
    pub batch_ids: usize,
    /// Users in one post to an audience; 10 000.
    pub audience: usize,
    /// Posts to an audience that run at once for one app; 10.
    pub broadcasts_per_app: usize,
    /// Bytes of `payload.rawContent`; 32 KiB.
    pub raw_content: usize,
    /// Bytes of a visual content's `title`; 256.
    pub title: usize,
    /// Bytes of a visual content's `body`; 4096.
    pub visual_body: usize,
    /// Bytes of an id that the app gives: `appNotificationId`, `groupName`; 256.
    pub app_id: usize,
    /// Open connections; 10 000.
    pub connections: usize,
    /// Requests that come from one address. None: as many as it likes.
    pub requests_per_address: Option<Rate>,
    /// Requests with one app key, or with what was got for it; an app may have a rate of its own. None: as many as it
    /// likes.
    pub requests_per_key: Option<Rate>,
    /// Requests of one user's devices; an app may have a rate of its own. None: as many as they like.
    pub requests_per_user: Option<Rate>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 64 * KIB,
            audience_body: 4 * MIB,
            nesting: 64,
            endpoints_per_user: 50,
            streams_per_user: 20,
            notifications_per_user: 10_000,
            tokens_per_user: 1000,
            batch_ids: 1000,
            audience: 10_000,
            broadcasts_per_app: 10,
            raw_content: 32 * KIB,
            title: 256,
            visual_body: 4 * KIB,
            app_id: 256,
            connections: 10_000,
            requests_per_address: None,
            requests_per_key: None,
            requests_per_user: None,
        }
    }
}

/// The section `[store]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// The folder of the store; `data`. [`load()`] has put the folder of the config file before a relative one.
    pub path: PathBuf,
    /// Below this many free bytes on the folder's disk nothing new is written; 256 MiB. 0 turns the guard off.
    pub min_free_bytes: u64,
    /// Memory for the store's cache, in bytes; 64 MiB, at least 1 MiB.
    pub cache_bytes: u64,
    /// Whether the store is looked over in the background once the hub has started; yes.
    pub verify_on_start: bool,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            path: PathBuf::from("data"),
            min_free_bytes: 256 << 20,
            cache_bytes: 64 << 20,
            verify_on_start: true,
        }
    }
}

/// The section `[delivery]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// How long an endpoint with an open stream has to fetch before it is tapped; 5 s, at most 1 h, may be 0.
    pub stream_grace: Duration,
    /// Silent pushes that one endpoint gets in an hour; 3, from 1 to 600.
    pub silent_per_hour: u16,
    /// How long a tap may stay unanswered before the next one; 15 min, at most 30 days.
    pub retap_after: Duration,
    /// The shortest delay that a `fallbackPolicy` may ask for; 60 s, at most 600 s.
    pub min_fallback_delay: Duration,
    /// How long an endpoint is kept after it was last heard of; 90 days, from 1 s to 365 days.
    pub endpoint_expiry: Duration,
    /// The wait before the first retry; 1 s, at most [`Delivery::retry_max`].
    pub retry_base: Duration,
    /// The longest wait between two retries; 15 min, at most 1 day.
    pub retry_max: Duration,
    /// Pushes in flight in one lane; 64, from 1 to 10 000.
    pub concurrency: usize,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            stream_grace: Duration::from_secs(5),
            silent_per_hour: 3,
            retap_after: Duration::from_mins(15),
            min_fallback_delay: Duration::from_secs(60),
            endpoint_expiry: Duration::from_hours(90 * 24),
            retry_base: Duration::from_secs(1),
            retry_max: Duration::from_mins(15),
            concurrency: 64,
        }
    }
}

/// The section `[log]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Log {
    /// How a line is written; text.
    pub format: LogFormat,
    /// The least that is worth a line; info.
    pub level: LogLevel,
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The least that is worth a line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// Only what failed.
    Error,
    /// Also what may fail soon.
    Warn,
    /// Also what happens rarely.
    #[default]
    Info,
    /// Also each step.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The name as the config writes it, which is also what a log filter takes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}
