//! What anyone on the listener may ask: health, readiness, metrics, an app's Web Push key.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix_web::{HttpMessage, HttpRequest, HttpResponse, web::Data};

use super::{Answer, Context, Error, auth::CallerApp, path, wire};
use crate::{
    hub::{self, LaneFault},
    metrics::{Figures, LaneLabels},
    model::ChannelKind,
};

/// What `prometheus-client` writes.
pub(super) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether requests are taken; cheap to clone. It begins closed.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<State>);

#[derive(Debug, Default)]
struct State {
    open: AtomicBool,
    degraded: AtomicBool,
}

impl Readiness {
    /// From now on requests are taken.
    pub fn open(&self) {
        self.0.open.store(true, Ordering::SeqCst);
    }

    /// From now on only probes are answered.
    pub fn close(&self) {
        self.0.open.store(false, Ordering::SeqCst);
    }

    /// Notes whether something is amiss that the store does not know of, such as a lane that stands still.
    pub fn degrade(&self, degraded: bool) {
        self.0.degraded.store(degraded, Ordering::SeqCst);
    }

    /// Whether requests are taken.
    pub fn is_open(&self) -> bool {
        self.0.open.load(Ordering::SeqCst)
    }

    fn is_degraded(&self) -> bool {
        self.0.degraded.load(Ordering::SeqCst)
    }
}

/// `GET /healthz`: the process answers.
pub(super) async fn health() -> HttpResponse {
    HttpResponse::Ok().json(wire::Status { status: "ok" })
}

/// `GET /readyz`: the hub takes requests and its store answers.
pub(super) async fn ready(context: Data<Context>) -> Answer {
    if !context.ready.is_open() {
        return Err(Error::Unavailable);
    }
    let hub = &context.hub;
    if hub.store().is_damaged() {
        return Err(Error::Unreadable);
    }
    hub.reads().await?;
    let degraded = context.ready.is_degraded()
        || hub.store().stats().full
        || hub.disagrees()
        || hub.is_stopped()
        || hub.doubted_until().is_some();
    let status = if degraded { "degraded" } else { "ready" };
    Ok(HttpResponse::Ok().json(wire::Status { status }))
}

/// `GET /metrics`.
pub(super) async fn metrics(context: Data<Context>) -> Answer {
    let hub = &context.hub;
    let store = hub.store();
    let outbox = store
        .ask(|reader| Ok::<_, hub::Error>(reader.outbox_depth()?))
        .await?;
    let stats = store.stats();
    let oldest_due = outbox
        .oldest_due
        .map_or(Duration::ZERO, |due| hub.now().since(due));
    let figures = Figures {
        outbox_depth: outbox.markers,
        oldest_due,
        streams_open: hub.streams_open(),
        store_bytes: stats.size_bytes,
        store_commits: stats.commits,
        created: hub.created(),
    };
    count_lanes(&context);
    if let Some(shown) = &context.tls {
        let expires = shown.facts().expires.as_millis() / 1000;
        context.metrics.certificate(expires);
    }
    let text = context
        .metrics
        .render(figures)
        .map_err(|_| Error::Unavailable)?;
    Ok(HttpResponse::Ok().content_type(OPEN_METRICS).body(text))
}

/// Sets how many lanes of each service stand still, and why: those that none does to 0.
fn count_lanes(context: &Context) {
    let at_rest = context.hub.lanes_at_rest();
    for service in ChannelKind::SERVICES {
        for fault in LaneFault::ALL {
            let such = at_rest
                .iter()
                .filter(|(name, state)| name.service == service && state.fault == fault);
            let labels = LaneLabels {
                service: service.as_str(),
                fault: fault.as_str(),
            };
            context.metrics.lanes_at_rest(labels, such.count());
        }
    }
}

/// `GET /v1/apps/{host}/webpush`.
pub(super) async fn web_push(request: HttpRequest, context: Data<Context>) -> Answer {
    let host = path::app(&request)?;
    let app = context.hub.app(&host).filter(|app| app.web_push.is_some());
    let key = app.and_then(|app| (context.vapid)(&app.host).into_iter().next());
    let public_key = key.ok_or(hub::Error::NotFound("app with [app.webpush]"))?;
    // There is no caller here; the pages that may read this are those of the app that is asked about.
    request.extensions_mut().insert(CallerApp(host));
    Ok(HttpResponse::Ok().json(wire::PublicKey { public_key }))
}
