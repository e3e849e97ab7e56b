//! Every metric, its name and unit. Labels are closed sets: no app, user, host or id is ever one.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// Labels of requests.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RequestLabels {
    /// The route's template, e.g. `/v1/users/{user}/notifications`.
    pub route: String,
    /// The method.
    pub method: String,
    /// The status, e.g. `201`.
    pub status: u16,
}

/// Labels of pushes.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct PushLabels {
    /// `apns`, `fcm`, `webPush` or `wns`.
    pub service: &'static str,
    /// What became of it.
    pub outcome: &'static str,
}

/// Labels of what is only told apart by service.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ServiceLabels {
    /// `apns`, `fcm`, `webPush` or `wns`.
    pub service: &'static str,
}

/// Labels of lanes that stand still.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct LaneLabels {
    /// `apns`, `fcm`, `webPush` or `wns`.
    pub service: &'static str,
    /// `stopped`, `failing` or `throttled`.
    pub fault: &'static str,
}

/// Figures that are read when they are asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    /// Markers in the outbox.
    pub outbox_depth: u64,
    /// How long the oldest due marker has been waiting.
    pub oldest_due: Duration,
    /// Open streams.
    pub streams_open: usize,
    /// Bytes of the store on disk.
    pub store_bytes: u64,
    /// Groups committed since the store was made.
    pub store_commits: u64,
    /// Notifications posted or replaced since the hub began.
    pub created: u64,
}

/// All metrics of one hub; cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Histogram,
    created: Counter,
    pushes: Family<PushLabels, Counter>,
    push_seconds: Family<ServiceLabels, Histogram>,
    owed_to_push_seconds: Histogram,
    outbox_depth: Gauge,
    outbox_oldest: Gauge<f64, AtomicU64>,
    streams_open: Gauge,
    store_bytes: Gauge,
    store_commits: Gauge,
    lanes: Family<LaneLabels, Gauge>,
    certificate_expires: Family<NoLabels, Gauge>,
}

/// The labels of what there is one of, or none.
type NoLabels = [(&'static str, &'static str); 0];

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

fn latency() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 16))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut inner = Inner {
            registry: Registry::with_prefix("beckon"),
            requests: Family::default(),
            request_seconds: latency(),
            created: Counter::default(),
            pushes: Family::default(),
            push_seconds: Family::new_with_constructor(latency),
            owed_to_push_seconds: latency(),
            outbox_depth: Gauge::default(),
            outbox_oldest: Gauge::default(),
            streams_open: Gauge::default(),
            store_bytes: Gauge::default(),
            store_commits: Gauge::default(),
            lanes: Family::default(),
            certificate_expires: Family::default(),
        };
        inner.register();
        Self(Arc::new(inner))
    }
}

impl Inner {
    fn register(&mut self) {
        let it = &mut self.registry;
        it.register("http_requests", "Requests answered", self.requests.clone());
        it.register_with_unit(
            "http_request",
            "Time from the head of a request to the head of its answer",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
        it.register(
            "notifications_created",
            "Notifications posted or replaced",
            self.created.clone(),
        );
        it.register("pushes", "Answers of push services", self.pushes.clone());
        it.register_with_unit(
            "push",
            "Time that a push service took to answer",
            Unit::Seconds,
            self.push_seconds.clone(),
        );
        it.register_with_unit(
            "owed_to_push",
            "Time from a change, or a fallback's time, to the push service taking the tap for it",
            Unit::Seconds,
            self.owed_to_push_seconds.clone(),
        );
        it.register(
            "outbox_depth",
            "Markers that wait",
            self.outbox_depth.clone(),
        );
        it.register_with_unit(
            "outbox_oldest_due",
            "How long the oldest due marker has been waiting",
            Unit::Seconds,
            self.outbox_oldest.clone(),
        );
        it.register("streams_open", "Open streams", self.streams_open.clone());
        it.register_with_unit(
            "store",
            "Size of the store on disk",
            Unit::Bytes,
            self.store_bytes.clone(),
        );
        it.register(
            "store_commits",
            "Groups committed",
            self.store_commits.clone(),
        );
        it.register(
            "lanes_at_rest",
            "Lanes to push services that stand still, and why",
            self.lanes.clone(),
        );
        it.register_with_unit(
            "tls_certificate_expires",
            "When the listener's certificate ends, since 1970",
            Unit::Seconds,
            self.certificate_expires.clone(),
        );
    }
}

impl Metrics {
    /// Notes when the listener's certificate ends, in seconds since 1970.
    pub fn certificate(&self, expires_secs: u64) {
        let secs = i64::try_from(expires_secs).unwrap_or(i64::MAX);
        self.0.certificate_expires.get_or_create(&[]).set(secs);
    }

    /// Counts a request in.
    pub fn request(&self, labels: RequestLabels, took: Duration) {
        self.0.requests.get_or_create(&labels).inc();
        self.0.request_seconds.observe(took.as_secs_f64());
    }

    /// Counts the answer to a push.
    pub fn push(&self, labels: PushLabels, took: Duration) {
        let service = ServiceLabels {
            service: labels.service,
        };
        self.0.pushes.get_or_create(&labels).inc();
        self.0
            .push_seconds
            .get_or_create(&service)
            .observe(took.as_secs_f64());
    }

    /// How many pushes ended so.
    pub fn pushes(&self, labels: &PushLabels) -> u64 {
        self.0.pushes.get_or_create(labels).get()
    }

    /// Counts an answer that had the push sent again at once.
    pub fn push_again(&self, labels: PushLabels) {
        self.0.pushes.get_or_create(&labels).inc();
    }

    /// Notes how long a tap was owed until a push service took it.
    pub fn owed_to_push(&self, took: Duration) {
        self.0.owed_to_push_seconds.observe(took.as_secs_f64());
    }

    /// Sets how many lanes stand still for one reason.
    pub fn lanes_at_rest(&self, labels: LaneLabels, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.0.lanes.get_or_create(&labels).set(count);
    }

    /// Writes all in the Prometheus text format, with `figures` as they stand.
    ///
    /// # Errors
    /// Where the text cannot be written, which does not happen in memory.
    pub fn render(&self, figures: Figures) -> Result<String, fmt::Error> {
        let it = &self.0;
        it.outbox_depth
            .set(i64::try_from(figures.outbox_depth).unwrap_or(i64::MAX));
        it.outbox_oldest.set(figures.oldest_due.as_secs_f64());
        it.streams_open
            .set(i64::try_from(figures.streams_open).unwrap_or(i64::MAX));
        it.store_bytes
            .set(i64::try_from(figures.store_bytes).unwrap_or(i64::MAX));
        it.store_commits
            .set(i64::try_from(figures.store_commits).unwrap_or(i64::MAX));
        // Of two that ask at once, the later figure holds.
        it.created
            .inner()
            .fetch_max(figures.created, Ordering::Relaxed);
        let mut text = String::new();
        encode(&mut text, &it.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_contract_are_there() {
        let metrics = Metrics::default();
        let labels = RequestLabels {
            route: "/healthz".into(),
            method: "GET".into(),
            status: 200,
        };
        metrics.request(labels, Duration::from_millis(1));
        metrics.push(
            PushLabels {
                service: "apns",
                outcome: "accepted",
            },
            Duration::from_millis(5),
        );
        let figures = Figures {
            created: 2,
            ..Figures::default()
        };
        metrics.render(figures).unwrap();
        let text = metrics.render(Figures::default()).unwrap();
        for name in [
            "beckon_http_requests_total",
            "beckon_notifications_created_total 2",
            "beckon_pushes_total{service=\"apns\",outcome=\"accepted\"} 1",
            "beckon_push_seconds",
            "beckon_outbox_depth",
            "beckon_outbox_oldest_due_seconds",
            "beckon_streams_open",
            "beckon_store_bytes",
        ] {
            assert!(text.contains(name), "{name} is not in\n{text}");
        }
    }
}
