//! The doubles' own door, for app teams and demo pages: JSON over plain HTTP/1.1 on 127.0.0.1.
//!
//! | request | does | answer |
//! |---|---|---|
//! | `GET /v1/settings` | how a sender reaches the doubles; secrets as files only | 200 [`Settings`](super::Settings) |
//! | `GET /v1/app.toml` | the same as the service sections of a hub's `[[app]]` | 200, TOML |
//! | `GET /v1/devices` | the devices that were not removed | 200 `{"value":[Device]}` |
//! | `POST /v1/devices` `{"service":"webPush","name":"Ada's browser","vapidPublicKey":"B…"}` | makes a device; only `service` is needed (`apns`, `fcm`, `webPush`, `wns`); `"partnerCenter":true` makes one of WNS whose app uses the older login, `"environment":"sandbox"` one of APNs whose token the sandbox gave out | 201 [`Device`](super::Device); its `channel` is what the app registers at the hub |
//! | `GET /v1/devices/{id}` | one device | 200 `Device` |
//! | `PATCH /v1/devices/{id}` `{"online":false,"lowPower":true,"doze":true,"tabClosed":true,"name":"…"}` | moves its switches; what waited and can now be had is handed over; at WNS its channel lives for 30 days from now, also with `{}` | 200 `Device` |
//! | `DELETE /v1/devices/{id}` | uninstalls: the channel is gone (410, `UNREGISTERED`) | 204 |
//! | `GET /v1/arrivals?after=SEQ&device=ID` | the requests that arrived, refused ones with the `reason`; Web Push with `plaintext` | 200 `{"value":[Arrival]}` |
//! | `GET /v1/handed-over?after=SEQ&device=ID` | what the devices got, when, and whether it had `waited` | 200 `{"value":[HandedOver]}` |
//! | `GET /v1/stream?device=ID` | both, as they happen: server-sent events `arrival` and `push` with `id` = `seq`; `Last-Event-ID` or `?after=SEQ` goes on from a place, without either from now | 200, `text/event-stream` |
//! | `GET /v1/faults` | the script | 200 `{"value":[Fault]}` |
//! | `POST /v1/faults` `{"service":"fcm","device":"ID","kind":"throttled","retryAfterSeconds":5,"times":2}` | scripts a fault, by a name that the page of behaviour has for the service; without `device` for all, without `times` until cleared; `"at":"token"` for the token endpoints; further fields are those of [`FaultSpec`] | 201 [`Fault`](super::Fault) with its `id` |
//! | `DELETE /v1/faults`, `DELETE /v1/faults/{id}` | clears all, or one; what they hold goes on | 204 |
//! | `GET /v1/faults/known` | the names of all faults, by service and door | 200 `{"apns":{"push":[…],"token":[]},…}` |
//! | `GET /v1/behaviour` | the page of all rules and faults: what is documented, observed, assumed, with the sources | 200, Markdown |
//! | `DELETE /v1/access-tokens` | voids all access tokens of FCM and WNS | 204 |
//! | `POST /v1/certificates` `{"topics":["com.example.todo"],"sandbox":false,"endsAtSecs":1800000000}` | makes a client certificate for APNs; only `topics` is needed | 201 `{"file"}`: PEM, with its key |
//! | `DELETE /v1/certificates` | revokes all of them | 204 |
//! | `GET /v1/clock`, `PUT /v1/clock` `{"offsetSeconds":3600}` | how far the doubles are ahead of the system's clock | 200 |
//! | `GET /v1/counters` | by service: connections, requests, accepted, refused, faulted, token requests, distinct credentials | 200 |
//!
//! Errors are `{"error":{"code","message"}}`: 400 `badRequest`, 403 `forbidden`, 404 `notFound`, 405 `methodNotAllowed`, 413 `tooLarge`,
//! 415 `unsupportedMediaType`, 500 `failed`. `seq` grows over restarts too.
//!
//! No other page can drive this door: `Host` must be `localhost`, `127.0.0.1` or `[::1]`, which keeps out names that were made to
//! resolve to us; a write with an `Origin` other than ours is refused; and a body must be `application/json`, which a page of
//! another origin cannot send without being asked first, and nothing here answers such a question.

mod stream;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

use super::apns::certificate::NewCertificate;
use super::behaviour::behaviour;
use super::device::{DevicePatch, NewDevice, Service};
use super::error::Error;
use super::fault::{At, FaultKind, FaultSpec};
use super::handle::Handle;

const MAX_BODY_BYTES: usize = 64 * 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

type Response = hyper::Response<UnsyncBoxBody<Bytes, Infallible>>;

/// A request that is refused: status, code and text.
type Refusal = (StatusCode, &'static str, String);

/// Takes connections until the doubles stop.
pub(crate) async fn serve(handle: Handle, listener: TcpListener, tasks: TaskTracker) {
    let stopping = handle.state.stopping.clone();
    while let Some(accepted) = stopping.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((tcp, _)) => {
                tasks.spawn(connection(handle.clone(), tcp));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn connection(handle: Handle, tcp: TcpStream) {
    let stopping = handle.state.stopping.clone();
    let service = service_fn(move |request| {
        let handle = handle.clone();
        async move { Ok::<_, Infallible>(answer(&handle, request).await) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new());
    stopping
        .run_until_cancelled(http.serve_connection(TokioIo::new(tcp), service))
        .await;
}

async fn answer(handle: &Handle, request: hyper::Request<Incoming>) -> Response {
    let answered = match guard(&request) {
        Ok(()) => route(handle, request).await,
        Err(refusal) => Err(refusal),
    };
    answered.unwrap_or_else(|(status, code, message)| {
        json_response(
            status,
            &json!({ "error": { "code": code, "message": message } }),
        )
    })
}

/// Keeps other pages out; see the module's head.
fn guard(request: &hyper::Request<Incoming>) -> Result<(), Refusal> {
    let text = |name: &str| {
        request
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap_or("\u{fffd}"))
    };
    let host = text("host").unwrap_or_default();
    let forbidden = |why: &str| Err((StatusCode::FORBIDDEN, "forbidden", why.to_owned()));
    if !is_loopback(host) {
        return forbidden("Host must be localhost, 127.0.0.1 or [::1]");
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let foreign = text("origin").is_some_and(|origin| origin != format!("http://{host}"));
    if !reads && foreign {
        return forbidden("a page of another origin must not write here");
    }
    let is_json = text("content-type").is_some_and(|media_type| {
        media_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .eq_ignore_ascii_case("application/json")
    });
    if matches!(
        *request.method(),
        Method::POST | Method::PATCH | Method::PUT
    ) && !is_json
    {
        let text = "Content-Type must be application/json".to_owned();
        return Err((
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupportedMediaType",
            text,
        ));
    }
    Ok(())
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(
        name.to_ascii_lowercase().as_str(),
        "localhost" | "127.0.0.1" | "[::1]"
    )
}

async fn route(handle: &Handle, request: hyper::Request<Incoming>) -> Result<Response, Refusal> {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let place = stream::Place::of(&request)?;
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let ["v1", rest @ ..] = segments.as_slice() else {
        return Err(not_found(&path));
    };
    match (method.as_str(), rest) {
        ("GET", ["stream"]) => Ok(stream::open(handle, place)),
        ("GET", _) => read(handle, rest, &place).ok_or_else(|| not_found(&path))?,
        ("DELETE", _) => remove(handle, rest, &path),
        ("POST", ["devices"]) => {
            let device = handle
                .add_device(body::<NewDevice>(request).await?)
                .map_err(refused)?;
            Ok(json_response(StatusCode::CREATED, &device))
        }
        ("PATCH", ["devices", id]) => {
            let device = handle
                .patch_device(id, body::<DevicePatch>(request).await?)
                .map_err(refused)?;
            Ok(json_response(StatusCode::OK, &device))
        }
        ("POST", ["certificates"]) => {
            let wanted = body::<NewCertificate>(request).await?;
            let issued = handle.issue_certificate(&wanted).map_err(refused)?;
            Ok(json_response(StatusCode::CREATED, &issued))
        }
        ("POST", ["faults"]) => {
            let fault = handle.state.faults.add(body::<FaultSpec>(request).await?);
            Ok(json_response(StatusCode::CREATED, &fault))
        }
        ("PUT", ["clock"]) => {
            handle.set_clock_offset(body::<Offset>(request).await?.offset_seconds);
            Ok(clock(handle))
        }
        _ => Err((
            StatusCode::METHOD_NOT_ALLOWED,
            "methodNotAllowed",
            format!("{method} is not for {path}"),
        )),
    }
}

/// The answers to `GET`; `None` if there is nothing at this path.
fn read(
    handle: &Handle,
    rest: &[&str],
    place: &stream::Place,
) -> Option<Result<Response, Refusal>> {
    let ok = |value: &Value| Some(Ok(json_response(StatusCode::OK, value)));
    let entries = handle.entries(place.after.unwrap_or_default());
    let entries = entries.iter().filter(|entry| place.is_about(entry));
    match rest {
        ["settings"] => Some(Ok(json_response(StatusCode::OK, handle.settings()))),
        ["app.toml"] => Some(Ok(respond(
            StatusCode::OK,
            "application/toml",
            handle.settings().app_toml(),
        ))),
        ["devices"] => ok(&json!({ "value": handle.devices() })),
        ["devices", id] => Some(
            handle
                .device(id)
                .map(|device| json_response(StatusCode::OK, &device))
                .map_err(refused),
        ),
        ["arrivals"] => {
            let arrivals: Vec<_> = entries
                .filter_map(|entry| entry.arrival().map(Arc::as_ref))
                .collect();
            ok(&json!({ "value": arrivals }))
        }
        ["handed-over"] => {
            let handed: Vec<_> = entries
                .filter_map(|entry| entry.handed_over().map(Arc::as_ref))
                .collect();
            ok(&json!({ "value": handed }))
        }
        ["faults", "known"] => ok(&known_faults()),
        ["behaviour"] => Some(Ok(respond(
            StatusCode::OK,
            "text/markdown; charset=utf-8",
            behaviour(),
        ))),
        ["faults"] => ok(&json!({ "value": handle.faults() })),
        ["clock"] => Some(Ok(clock(handle))),
        ["counters"] => ok(&counters(handle)),
        _ => None,
    }
}

fn remove(handle: &Handle, rest: &[&str], path: &str) -> Result<Response, Refusal> {
    match rest {
        ["devices", id] => handle.remove_device(id).map_err(refused)?,
        ["faults"] => handle.clear_faults(),
        ["faults", id] if id.parse().is_ok_and(|id| handle.clear_fault(id)) => {}
        ["access-tokens"] => handle.revoke_access_tokens(),
        ["certificates"] => handle.revoke_certificates().map_err(refused)?,
        _ => return Err(not_found(path)),
    }
    Ok(respond(
        StatusCode::NO_CONTENT,
        "application/json",
        Bytes::new(),
    ))
}

/// The body of `PUT /v1/clock`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Offset {
    offset_seconds: i64,
}

fn clock(handle: &Handle) -> Response {
    let now = jiff::Timestamp::from_millisecond(handle.state.clock.now_ms()).unwrap_or_default();
    json_response(
        StatusCode::OK,
        &json!({ "offsetSeconds": handle.clock_offset(), "now": format!("{now:.3}") }),
    )
}

fn counters(handle: &Handle) -> Value {
    let [apns, fcm, web_push, wns] = Service::ALL.map(|service| handle.counters(service));
    json!({ "apns": apns, "fcm": fcm, "webPush": web_push, "wns": wns })
}

fn known_faults() -> Value {
    let names = |service, at| -> Vec<&str> {
        let known = FaultKind::known(service, at);
        known.into_iter().map(FaultKind::name).collect()
    };
    let services = Service::ALL.into_iter().map(|service| {
        let doors = json!({ "push": names(service, At::Push), "token": names(service, At::Token) });
        (service.name().to_owned(), doors)
    });
    Value::Object(services.collect())
}

async fn body<T: DeserializeOwned>(request: hyper::Request<Incoming>) -> Result<T, Refusal> {
    let bytes = Limited::new(request.into_body(), MAX_BODY_BYTES)
        .collect()
        .await
        .map_err(|_| {
            let text = format!("the body could not be read, or is over {MAX_BODY_BYTES} bytes");
            (StatusCode::PAYLOAD_TOO_LARGE, "tooLarge", text)
        })?;
    serde_json::from_slice(&bytes.to_bytes())
        .map_err(|error| (StatusCode::BAD_REQUEST, "badRequest", error.to_string()))
}

fn not_found(path: &str) -> Refusal {
    (
        StatusCode::NOT_FOUND,
        "notFound",
        format!("there is nothing at {path}"),
    )
}

/// The status of a failure.
fn refused(error: Error) -> Refusal {
    let (status, code) = match error {
        Error::NoSuchDevice(_) => (StatusCode::NOT_FOUND, "notFound"),
        Error::VapidPublicKey | Error::NameTooLong(_) | Error::Topics => {
            (StatusCode::BAD_REQUEST, "badRequest")
        }
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "failed"),
    };
    (status, code, error.to_string())
}

fn json_response(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => respond(status, "application/json", bytes),
        Err(_) => respond(
            StatusCode::INTERNAL_SERVER_ERROR,
            "application/json",
            Bytes::new(),
        ),
    }
}

fn respond(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response {
    dressed(status, media_type, Full::new(body.into()).boxed_unsync())
}

fn dressed(
    status: StatusCode,
    media_type: &'static str,
    body: UnsyncBoxBody<Bytes, Infallible>,
) -> Response {
    let mut response = hyper::Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
