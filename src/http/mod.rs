//! The incoming door: HTTP over the hub's operations. It holds no rule and keeps nothing; it never sends a push.
//!
//! Each handler is: extract the caller and the request, call one operation of the hub, wrap the answer. This is the
//! only room that names actix, and `error` the only file that knows the status of a failure. From outside in: `layers`
//! (ids, log, metrics) around the route table below, `auth` and `body` as preconditions in the handlers' signatures,
//! `wire` for JSON.

pub mod admin;
mod app_client;
mod app_server;
mod auth;
mod body;
mod broadcasts;
mod client;
mod cors;
mod demo;
mod discovery;
mod docs;
mod error;
mod fetch;
mod graph;
mod layers;
mod links;
mod meta;
mod oauth;
mod openapi;
mod path;
mod pieces;
mod query;
mod rates;
mod reading;
mod seats;
mod stream;
mod table;
mod tls;
mod unread;
mod wire;

#[cfg(test)]
mod tests;

use std::{any::Any, fmt, net::TcpListener, sync::Arc, time::Duration};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::Server,
    middleware::from_fn,
    web::{self, Data, ServiceConfig},
};
use tokio_util::sync::CancellationToken;
use url::Url;

pub use demo::{Backend, DemoEntry, Entries, Patch};
pub use error::Error;
pub use fetch::{FetchRecorder, Fetches, fetches};
pub use meta::Readiness;

use crate::{
    config::{self, Limits},
    hub::{Hub, admin::ReadRegistration},
    identity::Identities,
    metrics::Metrics,
    model::{AppHost, Channel, Fault},
};
pub use client::Proxies;
use openapi::{Description, of, reference};
pub use pieces::Pieces;
pub use rates::Rates;
use seats::Seats;
use table::{Line, at};
pub use tls::Shown;

/// What every handler may ask for; cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The hub.
    pub hub: Hub,
    /// Where requests are counted.
    pub metrics: Metrics,
    /// What links begin with; none: the request's own origin.
    pub public_url: Option<Url>,
    /// Whether requests are taken.
    pub ready: Readiness,
    /// What an app's push service has against a channel.
    pub check_channel: fn(&Channel, &config::App) -> Vec<Fault>,
    /// An app's VAPID public keys in base64url, the present one first.
    pub vapid: Vapid,
    /// Whose tokens speak for users beside the hub's own.
    pub identities: Identities,
    /// Where fetches are reported.
    pub fetches: Fetches,
    /// How often one may ask.
    pub rates: Rates,
    /// Whose word is taken for who a client is.
    pub proxies: Proxies,
    /// Whether `/metrics` is served here, rather than on a listener of its own.
    pub metrics_here: bool,
    /// What the streams of each user share.
    pub pieces: Pieces,
    /// Ends the streams.
    pub stop: CancellationToken,
    /// The certificate that the listener shows; none: it speaks plain HTTP.
    pub tls: Option<Shown>,
    /// What the demo's page asks for, under `--demo`.
    pub demo: Option<Backend>,
}

/// Asks for an app's VAPID public keys.
pub type Vapid = Arc<dyn Fn(&AppHost) -> Vec<String> + Send + Sync>;

/// What reads the body of a registration for other doors, as the clients' does.
pub fn registrations(
    check_channel: fn(&Channel, &config::App) -> Vec<Fault>,
    vapid: Vapid,
) -> ReadRegistration {
    ReadRegistration::by(move |id, body, app, now| {
        let rules = wire::RegistrationRules {
            app,
            check_channel,
            vapid: vapid(&app.host),
            now,
        };
        wire::registration(id, body, &rules)
    })
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Context")
    }
}

impl Context {
    fn of(request: &HttpRequest) -> Result<&Self, Error> {
        let context = request.app_data::<Data<Self>>();
        context.map(|data| &***data).ok_or(Error::Unavailable)
    }

    /// What links of this request begin with.
    fn base(&self, request: &HttpRequest) -> String {
        links::base(self.public_url.as_ref(), request)
    }
}

/// What a handler answers.
type Answer = Result<HttpResponse, Error>;

/// How long a keep-alive connection may rest.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long the head of a request may take to arrive.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// How long a handshake of TLS may take.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(5);
/// How long a reader may block before its connection is given up.
const READER_PATIENCE: Duration = Duration::from_secs(30);
/// How long open requests may take when the server stops, in seconds.
const SHUTDOWN_SECS: u64 = 8;
/// Threads for questions to the store, a worker.
const BLOCKING_THREADS: usize = 8;
/// A body is asked for more once less than this waits for the socket. Small, so that what counts as handed over has
/// left; large enough that a short answer goes out with its head in one write.
const WRITE_BUFFER_BYTES: usize = 2048;

/// Every path of the hub, one line each: what answers a method there, and what describes that. Words win over `{…}`
/// because they stand first.
#[rustfmt::skip]
fn table(metrics_here: bool) -> Vec<Line> {
    let mut lines = vec![
        at("/v1/users/{user}").delete(app_server::erase, of::app_server::erase),
        at("/v1/users/{user}/notifications").get(app_server::history, of::app_server::history).post(app_server::create, of::app_server::create),
        at("/v1/users/{user}/notifications/{id}").get(app_server::one, of::app_server::one).delete(app_server::retract, of::app_server::retract),
        at("/v1/users/{user}/notifications/{id}/deliveries").get(app_server::deliveries, of::app_server::deliveries),
        at("/v1/users/{user}/export").get(app_server::export, of::app_server::export),
        at("/v1/users/{user}/endpoints").get(app_server::endpoints, of::app_server::endpoints),
        at("/v1/users/{user}/endpoints/{endpoint}").put(app_server::register, of::app_server::register).delete(app_server::remove_endpoint, of::app_server::remove_endpoint),
        at("/v1/users/{user}/endpoints/{endpoint}/test").post(app_server::test_endpoint, of::app_server::test_endpoint),
        at("/v1/users/{user}/tokens").post(app_server::mint, of::app_server::mint).delete(app_server::revoke, of::app_server::revoke),
        at("/v1/notifications").post(broadcasts::post, of::app_server::post_to_many),
        at("/v1/notifications/{id}").get(broadcasts::one, of::app_server::job).delete(broadcasts::cancel, of::app_server::cancel),
        at("/beta/me/notifications").post(graph::create, of::app_server::graph),
        at("/beta/me/notifications/").post(graph::create, of::app_server::graph),
        at("/oauth2/v2.0/token").post(oauth::token, of::anyone::access_token),
        at("/v1/me/endpoints").get(app_client::endpoints, of::app_client::endpoints),
        at("/v1/me/endpoints/{endpoint}").put(app_client::register, of::app_client::register).delete(app_client::sign_out, of::app_client::sign_out),
        at("/v1/me/notifications").get(app_client::history, of::app_client::history),
        at("/v1/me/notifications/delta").get(app_client::delta, of::app_client::delta),
        at("/v1/me/notifications/stream").get(stream::open, of::app_client::stream),
        at("/v1/me/notifications/stream/ticket").post(stream::ticket, of::app_client::ticket),
        at("/v1/me/notifications/state").post(app_client::set_many, of::app_client::set_many),
        at("/v1/me/notifications/receipts").post(app_client::receipts, of::app_client::receipts),
        at("/v1/me/notifications/{id}").get(app_client::one, of::app_client::one).patch(app_client::set, of::app_client::set).delete(app_client::delete, of::app_client::delete),
        at("/v1/me/token").post(app_client::renew, of::app_client::renew),
        at("/v1/apps/{host}/webpush").get(meta::web_push, of::anyone::web_push),
        at("/openapi.json").get(openapi::description, of::anyone::description).head(openapi::description, of::anyone::description),
        at("/docs").get(docs::index, of::anyone::docs).head(docs::index, of::anyone::docs),
        at("/docs/docs.css").get(docs::style, of::anyone::docs_style).head(docs::style, of::anyone::docs_style),
        at("/docs/api").get(reference::page, of::anyone::reference).head(reference::page, of::anyone::reference),
        at("/docs/api/{file}").get(reference::file, of::anyone::reference_file).head(reference::file, of::anyone::reference_file),
        at("/docs/{page}").get(docs::one, of::anyone::docs_page).head(docs::one, of::anyone::docs_page),
        at("/healthz").get(meta::health, of::anyone::health).head(meta::health, of::anyone::health),
        at("/readyz").get(meta::ready, of::anyone::ready).head(meta::ready, of::anyone::ready),
        at("/v2.0/.well-known/openid-configuration").get(discovery::configuration, of::anyone::configuration),
        at("/discovery/v2.0/keys").get(discovery::keys, of::anyone::keys),
        at("/{tenant}/oauth2/v2.0/token").post(oauth::token, of::anyone::access_token),
        at("/{tenant}/v2.0/.well-known/openid-configuration").get(discovery::configuration, of::anyone::configuration),
        at("/{tenant}/discovery/v2.0/keys").get(discovery::keys, of::anyone::keys),
    ];
    if metrics_here {
        lines.push(metrics());
    }
    lines
}

fn metrics() -> Line {
    at("/metrics").get(meta::metrics, of::anyone::metrics)
}

fn routes(config: &mut ServiceConfig, lines: Vec<Line>) {
    for line in lines {
        config.service(line.done());
    }
    config.default_service(web::to(nothing));
}

async fn nothing() -> Answer {
    Err(Error::NoPath)
}

/// The server on a listener, with `workers` threads. It runs while the answer is polled, and stops by its handle.
///
/// # Errors
/// Where the listener cannot be used.
pub fn listen(
    context: Context,
    listener: TcpListener,
    limits: &Limits,
    workers: usize,
) -> std::io::Result<Server> {
    let metrics_here = context.metrics_here;
    let demo = context.demo.clone();
    let tls = context.tls.clone();
    let description = Data::new(Description::of(&table(metrics_here), &context));
    serve(context, (listener, tls), (limits, workers), move |config| {
        config.app_data(description.clone());
        if let Some(backend) = &demo {
            demo::configure(backend.clone(), config);
        }
        routes(config, table(metrics_here));
    })
}

/// A server for `/metrics` alone (`server.metrics_listen`).
///
/// # Errors
/// Where the listener cannot be used.
pub fn listen_for_metrics(
    context: Context,
    listener: TcpListener,
    limits: &Limits,
) -> std::io::Result<Server> {
    serve(context, (listener, None), (limits, 1), |config| {
        routes(config, vec![metrics()]);
    })
}

fn serve(
    context: Context,
    (listener, tls): (TcpListener, Option<Shown>),
    (limits, workers): (&Limits, usize),
    routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> std::io::Result<Server> {
    let workers = workers.max(1);
    let seats = Seats::new(limits.connections);
    let seated = seats.per_worker(workers);
    // Built once, so that all workers share it.
    let context = Data::new(context);
    let app = move || {
        App::new()
            .app_data(context.clone())
            .wrap(from_fn(layers::around))
            .configure(routes.clone())
    };
    let server = HttpServer::new(app)
        .workers(workers)
        .max_connections(seated)
        .worker_max_blocking_threads(BLOCKING_THREADS)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_PATIENCE)
        // Who closes its half is gone: a stream that has nothing to say would not notice for two heartbeats, count
        // against its person's limit, and hold back taps.
        .h1_allow_half_closed(false)
        .h1_write_buffer_size(WRITE_BUFFER_BYTES)
        .tcp_nodelay(true)
        .on_connect(move |connection, data| {
            give_up_on_blocked_readers(connection);
            seats.take(connection, data);
        })
        .shutdown_timeout(SHUTDOWN_SECS)
        .disable_signals();
    let server = match tls {
        None => server.listen(listener)?,
        Some(tls) => {
            let settings = tls.settings().map_err(std::io::Error::other)?;
            // Whoever says nothing takes the place of nobody else, and has gone soon.
            server
                .max_connection_rate(seated)
                .tls_handshake_timeout(HANDSHAKE_PATIENCE)
                .listen_rustls_0_23(listener, settings)?
        }
    };
    Ok(server.run())
}

/// The connection beneath TLS, or without it.
#[cfg(target_os = "linux")]
fn plain(connection: &dyn Any) -> Option<&tokio::net::TcpStream> {
    let over_tls = connection.downcast_ref::<TlsStream<tokio::net::TcpStream>>();
    let beneath = over_tls.map(|stream| stream.get_ref().0);
    beneath.or_else(|| connection.downcast_ref())
}

/// Has the system end a connection whose reader takes nothing: no body is asked for more while its connection is
/// blocked, so none could notice.
fn give_up_on_blocked_readers(connection: &dyn Any) {
    #[cfg(target_os = "linux")]
    if let Some(stream) = plain(connection) {
        let millis = u32::try_from(READER_PATIENCE.as_millis()).unwrap_or(u32::MAX);
        if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, millis) {
            tracing::debug!(%error, "blocked readers of this connection are not given up");
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = connection;
}
