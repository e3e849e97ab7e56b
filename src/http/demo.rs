//! The demo's door: the page and its files, and what the page asks of the doubles. Only under `serve --demo`.
//!
//! No other page can drive it: `Host` must be a loopback name, which keeps out names that were made to resolve to us,
//! and writes are JSON from our own origin alone.

use std::{pin::Pin, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse,
    guard::GuardContext,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderValue, ORIGIN},
    web,
};
use bytes::Bytes;
use futures_util::stream;
use rust_embed::RustEmbed;
use serde_json::Value;

use super::{Answer, Error, body::Body, openapi::of::anyone::of_the_demo, query::Query, table::at};
use crate::hub;

/// A page that loads nothing from elsewhere and can be framed by nobody.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(RustEmbed)]
#[folder = "src/web/demo"]
struct Files;

/// What happened at the doubles, as the page's stream tells it.
#[derive(Debug, Clone)]
pub struct DemoEntry {
    /// Its place in the record.
    pub seq: u64,
    /// `arrival` or `push`.
    pub event: &'static str,
    /// What it was.
    pub data: Value,
}

/// Entries that are still to come.
pub type Entries = Pin<Box<dyn Future<Output = Vec<DemoEntry>> + Send>>;

/// Moves the switches of the device with this id; answers the device, or what is wrong.
pub type Patch = dyn Fn(&str, Value) -> Result<Value, hub::Error> + Send + Sync;

/// What the page may ask for; given by whoever runs the demo, so that this room needs to know no doubles.
#[derive(Clone)]
pub struct Backend {
    /// The people and devices; none, before all is ready.
    pub state: Arc<dyn Fn() -> Option<Value> + Send + Sync>,
    /// Moves a device's switches.
    pub patch: Arc<Patch>,
    /// What arrived for a device.
    pub arrivals: Arc<dyn Fn(&str) -> Value + Send + Sync>,
    /// The end of the record.
    pub place: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Waits a while for entries after a place.
    pub entries: Arc<dyn Fn(u64) -> Entries + Send + Sync>,
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Backend")
    }
}

/// Adds the demo's routes.
pub(super) fn configure(backend: Backend, routes: &mut web::ServiceConfig) {
    let read = [
        at("/").get(page, of_the_demo).head(page, of_the_demo),
        at("/demo/assets/{file}")
            .get(asset, of_the_demo)
            .head(asset, of_the_demo),
        at("/demo/state").get(state, of_the_demo),
        at("/demo/stream").get(stream_entries, of_the_demo),
        at("/demo/arrivals").get(arrivals, of_the_demo),
    ];
    routes.app_data(web::Data::new(backend));
    for line in read {
        routes.service(line.done().guard(loopback));
    }
    let devices = at("/demo/devices/{id}").patch(patch, of_the_demo).done();
    routes.service(devices.guard(own_origin));
}

fn host_of(value: Option<&HeaderValue>) -> Option<&str> {
    value.and_then(|value| value.to_str().ok())
}

fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|b| b.is_ascii_digit()) {
            name
        } else {
            host
        }
    });
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

fn loopback(context: &GuardContext<'_>) -> bool {
    host_of(context.head().headers().get(HOST)).is_some_and(is_loopback)
}

/// A write must come from our own page: a browser sends `Origin` with every one.
fn own_origin(context: &GuardContext<'_>) -> bool {
    let headers = context.head().headers();
    let host = host_of(headers.get(HOST)).filter(|host| is_loopback(host));
    let origin = host_of(headers.get(ORIGIN));
    host.is_some_and(|host| origin.is_none_or(|origin| origin == format!("http://{host}")))
}

async fn page() -> Answer {
    file("index.html")
}

async fn asset(name: web::Path<String>) -> Answer {
    file(&name)
}

fn file(name: &str) -> Answer {
    let media_type = match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let found = Files::get(name).ok_or(Error::NoPath)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .content_type(media_type)
        .body(found.data.into_owned()))
}

async fn state(backend: web::Data<Backend>) -> Answer {
    let state = (backend.state)().ok_or(Error::Unavailable)?;
    Ok(HttpResponse::Ok().json(state))
}

async fn arrivals(backend: web::Data<Backend>, request: HttpRequest) -> Answer {
    let query = Query::of(&request)?;
    let device = query
        .get("device")
        .ok_or_else(|| hub::Error::invalid("device", "is missing; give ?device=<its id>"))?;
    Ok(HttpResponse::Ok().json((backend.arrivals)(device)))
}

async fn patch(backend: web::Data<Backend>, id: web::Path<String>, body: Body) -> Answer {
    let device = (backend.patch)(&id, Value::Object(body.object))?;
    Ok(HttpResponse::Ok().json(device))
}

/// The record as server-sent events, from `Last-Event-ID` or `?after=`, else from now on.
async fn stream_entries(
    request: HttpRequest,
    backend: web::Data<Backend>,
    context: web::Data<super::Context>,
) -> HttpResponse {
    let last = request
        .headers()
        .get("last-event-id")
        .and_then(|value| value.to_str().ok());
    let query = request.query_string().strip_prefix("after=");
    let from = last.or(query).and_then(|text| text.parse().ok());
    let from = from.unwrap_or_else(|| (backend.place)());
    let stop = context.stop.clone();
    let opening = stream::iter([Ok::<_, actix_web::Error>(Bytes::from_static(b": here\n\n"))]);
    let events = stream::unfold((from, backend, stop), |(after, backend, stop)| async move {
        let entries = stop.run_until_cancelled((backend.entries)(after)).await?;
        let after = entries.last().map_or(after, |entry| entry.seq);
        let mut text: String = entries.iter().map(event).collect();
        if text.is_empty() {
            text.push_str(": still here\n\n");
        }
        Some((Ok(Bytes::from(text)), (after, backend, stop)))
    });
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(futures_util::StreamExt::chain(opening, events))
}

fn event(entry: &DemoEntry) -> String {
    format!(
        "event: {}\nid: {}\ndata: {}\n\n",
        entry.event, entry.seq, entry.data
    )
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_loopback_names_are_served() {
        for good in [
            "localhost",
            "localhost:8480",
            "127.0.0.1:8480",
            "[::1]",
            "[::1]:8480",
        ] {
            assert!(is_loopback(good), "{good}");
        }
        for bad in [
            "",
            "example.com",
            "127.0.0.1.example.com",
            "localhost.example.com:80",
            "10.0.0.1",
        ] {
            assert!(!is_loopback(bad), "{bad}");
        }
    }
}
