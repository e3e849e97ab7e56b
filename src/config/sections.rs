//! The sections about the hub itself: all but the apps.

use std::{path::Path, sync::Arc, time::Duration};

use toml::{Spanned, Value};

use super::{
    Certificate, Delivery, ForwardedHeader, Limits, Log, LogFormat, LogLevel, Server, Store,
    certificate,
    files::file,
    rate::rate,
    raw,
    raw::Leaf,
    reader::{Reader, needs},
    value::{address, bytes, choice, count, flag, list, network, public_url, span, text},
};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const YEAR: Duration = Duration::from_hours(365 * 24);
/// What the API takes as the longest delay of a fallback.
const LONGEST_FALLBACK_DELAY: Duration = Duration::from_secs(600);

const FORWARDED: &[(&str, ForwardedHeader)] = &[
    ("X-Forwarded-For", ForwardedHeader::XForwardedFor),
    ("Forwarded", ForwardedHeader::Forwarded),
];

/// Reads `[server]`.
pub(super) fn server(reader: &mut Reader<'_>, raw: raw::Server) -> Server {
    let mut server = Server::default();
    let metrics_at = offset(&raw.metrics_listen);
    reader.set(&mut server.listen, "server.listen", raw.listen, address);
    server.public_url = reader.optional("server.public_url", raw.public_url, public_url);
    server.metrics_listen = reader.optional("server.metrics_listen", raw.metrics_listen, address);
    server.tls = raw.tls.and_then(|raw| tls(reader, raw)).map(Arc::new);
    let plain = "server.plain_http";
    reader.set(&mut server.plain_http, plain, raw.plain_http, flag);
    let key = "server.trusted_proxies";
    reader.set(
        &mut server.trusted_proxies,
        key,
        raw.trusted_proxies,
        list(network),
    );
    reader.set(
        &mut server.forwarded_header,
        "server.forwarded_header",
        raw.forwarded_header,
        choice(FORWARDED),
    );
    // Port 0 is any free one, so two listeners may both ask for it.
    let same = server.metrics_listen == Some(server.listen) && server.listen.port() != 0;
    if let Some(at) = metrics_at.filter(|_| same) {
        let reason = "is the address of server.listen; write another port";
        reader.fault(at, "server.metrics_listen", reason);
    }
    server.limits = limits(reader, raw.limits);
    server
}

/// Reads `[server.tls]`.
fn tls(reader: &mut Reader<'_>, raw: Spanned<raw::Tls>) -> Option<Certificate> {
    let (folder, section_at) = (reader.folder(), raw.span().start);
    let needed = needs(&raw);
    let raw = raw.into_inner();
    let certificate = needed(
        "server.tls.cert_file",
        r#"the path of the certificate with its chain, for instance "fullchain.pem""#,
    );
    let looked = file(folder, |pem| {
        certificate::listeners(&pem).map(|facts| (pem, facts))
    });
    let chain = reader.required(certificate, raw.cert_file, looked);
    let key = needed(
        "server.tls.key_file",
        r#"the path of its private key, for instance "privkey.pem""#,
    );
    let key_at = offset(&raw.key_file);
    let read = reader.required(key, raw.key_file, file(folder, certificate::private_key));
    let ((chain, facts), read) = (chain?, read?);
    let certificate = Certificate {
        chain: chain.expose().clone(),
        key: read,
        facts,
    };
    if let Err(reason) = certificate.fits() {
        reader.fault(key_at.unwrap_or(section_at), key.key, reason);
        return None;
    }
    Some(certificate)
}

/// Reads `[server.limits]`.
fn limits(reader: &mut Reader<'_>, raw: raw::Limits) -> Limits {
    let mut limits = Limits::default();
    let to = &mut limits;
    for (target, key, leaf) in [
        (&mut to.body, "body", raw.body),
        (&mut to.audience_body, "audience_body", raw.audience_body),
        (&mut to.raw_content, "raw_content", raw.raw_content),
        (&mut to.title, "title", raw.title),
        (&mut to.visual_body, "visual_body", raw.visual_body),
        (&mut to.app_id, "app_id", raw.app_id),
    ] {
        let key = format!("server.limits.{key}");
        reader.set(target, &key, leaf, bytes(1..=longest(&key)));
    }
    for (target, key, leaf) in [
        (
            &mut to.endpoints_per_user,
            "endpoints_per_user",
            raw.endpoints_per_user,
        ),
        (
            &mut to.streams_per_user,
            "streams_per_user",
            raw.streams_per_user,
        ),
        (
            &mut to.notifications_per_user,
            "notifications_per_user",
            raw.notifications_per_user,
        ),
        (
            &mut to.tokens_per_user,
            "tokens_per_user",
            raw.tokens_per_user,
        ),
        (&mut to.batch_ids, "batch_ids", raw.batch_ids),
        (&mut to.audience, "audience", raw.audience),
        (
            &mut to.broadcasts_per_app,
            "broadcasts_per_app",
            raw.broadcasts_per_app,
        ),
        (&mut to.connections, "connections", raw.connections),
    ] {
        let key = format!("server.limits.{key}");
        reader.set(target, &key, leaf, count(1..=1_000_000));
    }
    let address = (&mut to.requests_per_address, raw.requests_per_address);
    let key = (&mut to.requests_per_key, raw.requests_per_key);
    let user = (&mut to.requests_per_user, raw.requests_per_user);
    for (of, (target, leaf)) in [("address", address), ("key", key), ("user", user)] {
        let key = format!("server.limits.requests_per_{of}");
        *target = reader.optional(&key, leaf, rate);
    }
    nesting(reader, &mut to.nesting, raw.nesting);
    limits
}

/// Reading JSON recurses: much deeper, and a body could end the process for want of stack.
fn nesting(reader: &mut Reader<'_>, target: &mut usize, leaf: Leaf) {
    let key = "server.limits.nesting";
    reader.set(target, key, leaf, count(1..=128));
}

/// How long a text may be allowed to be. What a notification holds must fit the store's rows, all texts together.
fn longest(key: &str) -> u64 {
    match key {
        "server.limits.raw_content" => 128 * 1024,
        "server.limits.visual_body" => 16 * 1024,
        "server.limits.title" => 1024,
        "server.limits.app_id" => 400,
        _ => GIB,
    }
}

/// Reads `[store]`.
pub(super) fn store(reader: &mut Reader<'_>, raw: raw::Store) -> Store {
    let folder = reader.folder();
    let mut store = Store::default();
    store.path = folder.join(&store.path);
    let path = |value: &Value| text(value).map(|text| folder.join(Path::new(&text)));
    reader.set(&mut store.path, "store.path", raw.path, path);
    reader.set(
        &mut store.min_free_bytes,
        "store.min_free_bytes",
        raw.min_free_bytes,
        bytes(0..=1024 * 1024 * GIB),
    );
    reader.set(
        &mut store.cache_bytes,
        "store.cache_bytes",
        raw.cache_bytes,
        bytes(MIB..=1024 * GIB),
    );
    reader.set(
        &mut store.verify_on_start,
        "store.verify_on_start",
        raw.verify_on_start,
        flag,
    );
    store
}

/// Reads `[delivery]`.
pub(super) fn delivery(reader: &mut Reader<'_>, raw: raw::Delivery) -> Delivery {
    let mut delivery = Delivery::default();
    let to = &mut delivery;
    let retry_at = offset(&raw.retry_base).or(offset(&raw.retry_max));
    let grace = span(Duration::ZERO..=HOUR);
    reader.set(
        &mut to.stream_grace,
        "delivery.stream_grace",
        raw.stream_grace,
        grace,
    );
    let retap = span(MILLISECOND..=DAY * 30);
    reader.set(
        &mut to.retap_after,
        "delivery.retap_after",
        raw.retap_after,
        retap,
    );
    let delay = span(MILLISECOND..=LONGEST_FALLBACK_DELAY);
    let key = "delivery.min_fallback_delay";
    reader.set(
        &mut to.min_fallback_delay,
        key,
        raw.min_fallback_delay,
        delay,
    );
    let key = "delivery.endpoint_expiry";
    reader.set(
        &mut to.endpoint_expiry,
        key,
        raw.endpoint_expiry,
        span(SECOND..=YEAR),
    );
    let retry = span(MILLISECOND..=DAY);
    reader.set(
        &mut to.retry_base,
        "delivery.retry_base",
        raw.retry_base,
        &retry,
    );
    reader.set(
        &mut to.retry_max,
        "delivery.retry_max",
        raw.retry_max,
        &retry,
    );
    // Not 0: an endpoint's silent taps would wait for ever.
    let key = "delivery.silent_per_hour";
    reader.set(
        &mut to.silent_per_hour,
        key,
        raw.silent_per_hour,
        count(1..=600),
    );
    let key = "delivery.concurrency";
    reader.set(&mut to.concurrency, key, raw.concurrency, count(1..=10_000));
    if let Some(at) = retry_at.filter(|_| delivery.retry_base > delivery.retry_max) {
        let reason = "is longer than delivery.retry_max; write a shorter one, or raise that";
        reader.fault(at, "delivery.retry_base", reason);
    }
    delivery
}

/// Reads `[log]`.
pub(super) fn log(reader: &mut Reader<'_>, raw: raw::Log) -> Log {
    const FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];
    const LEVELS: &[(&str, LogLevel)] = &[
        (LogLevel::Error.as_str(), LogLevel::Error),
        (LogLevel::Warn.as_str(), LogLevel::Warn),
        (LogLevel::Info.as_str(), LogLevel::Info),
        (LogLevel::Debug.as_str(), LogLevel::Debug),
        (LogLevel::Trace.as_str(), LogLevel::Trace),
    ];
    let mut log = Log::default();
    reader.set(&mut log.format, "log.format", raw.format, choice(FORMATS));
    reader.set(&mut log.level, "log.level", raw.level, choice(LEVELS));
    log
}

fn offset(leaf: &Leaf) -> Option<usize> {
    leaf.as_ref().map(|leaf| leaf.span().start)
}
