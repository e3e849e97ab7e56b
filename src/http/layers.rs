//! What stands around every handler: ids, the access log, metrics, the body of a refusal, a few headers.
//!
//! A log line names the route's template and never the path: paths hold user ids, queries hold tickets.

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        ConnectionType, Method,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
};
use futures_util::future::LocalBoxFuture;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Context, Error, cors, error::Complaint, oauth, rates, seats, unread::Unread};
use crate::metrics::RequestLabels;

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");
/// How long a caller's own id of a request may be, in bytes.
const MAX_CLIENT_REQUEST_ID: usize = 1024;

/// Wraps a request and its answer. Boxed, since a connection has room for it as long as it is open, a stream for hours.
pub(super) fn around<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> LocalBoxFuture<'static, Result<ServiceResponse<BoxBody>, actix_web::Error>> {
    Box::pin(wrapped(request, next))
}

async fn wrapped(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let began = Instant::now();
    let id = Uuid::new_v4().as_hyphenated().to_string();
    let context = Context::of(request.request())?.clone();
    let echoed = client_request_id(request.headers());
    let unread = Unread::hold(&mut request);
    let client = context.proxies.client(request.request());
    request.extensions_mut().insert(client);
    let mut response = answer(request, next, &context).await?;
    write_complaint(&mut response, &context, &id);
    cors::name_origin(&mut response, &context);
    rates::write(&mut response);
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    if let Some(value) = echoed {
        headers.insert(CLIENT_REQUEST_ID, value);
    }
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    note(&response, &context, (&id, began));
    Ok(match unread {
        Some(unread) => unread.until_answered(response),
        None => response,
    })
}

async fn answer(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    context: &Context,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    if let Some(preflight) = cors::preflight(request.request(), context) {
        return Ok(request.into_response(preflight));
    }
    // Probes and metrics are answered whatever the hub does.
    let probe = matches!(request.path(), "/healthz" | "/readyz" | "/metrics");
    if !probe && !context.ready.is_open() {
        let refused = HttpResponse::from_error(Error::Unavailable);
        return Ok(request.into_response(refused));
    }
    let seated = seats::refusal(request.request()).map_or(Ok(()), Err);
    let Err(refusal) = seated else {
        if !probe && let Err(refusal) = context.rates.count_address(request.request()) {
            return Ok(request.into_response(HttpResponse::from_error(refusal)));
        }
        let response = next.call(request).await?.map_into_boxed_body();
        if probe {
            return Ok(response);
        }
        return Ok(match context.hub.hold_time().await {
            Err(error) => response.into_response(HttpResponse::from_error(Error::from(error))),
            Ok(()) => response,
        });
    };
    let mut response = if probe {
        next.call(request).await?.map_into_boxed_body()
    } else {
        request.into_response(HttpResponse::from_error(refusal))
    };
    response
        .response_mut()
        .head_mut()
        .set_connection_type(ConnectionType::Close);
    Ok(response)
}

/// Writes the body of a refusal, now that the request's id is known.
fn write_complaint(response: &mut ServiceResponse<BoxBody>, context: &Context, id: &str) {
    let complaint = response
        .response_mut()
        .extensions_mut()
        .remove::<Complaint>();
    let Some(complaint) = complaint else {
        return;
    };
    match &complaint.cause {
        Some(cause) if complaint.is_damage => {
            context.hub.store().met_damage(cause);
            tracing::debug!(request_id = id, cause, "a request met damage");
        }
        Some(cause) => tracing::error!(request_id = id, cause, "a request failed in the store"),
        None => {}
    }
    let body = if oauth::is_door(response.request().path()) {
        complaint.write_for_oauth(response.status())
    } else {
        complaint.write(id, context.hub.now())
    };
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    let empty = HttpResponse::new(response.status());
    let refusal = std::mem::replace(response.response_mut(), empty);
    *response.response_mut() = refusal.set_body(BoxBody::new(body));
}

fn client_request_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let value = headers.get(CLIENT_REQUEST_ID)?;
    let printable = |byte: &u8| (b' '..=b'~').contains(byte);
    let fits = (1..=MAX_CLIENT_REQUEST_ID).contains(&value.len());
    (fits && value.as_bytes().iter().all(printable)).then(|| value.clone())
}

fn note(response: &ServiceResponse<BoxBody>, context: &Context, (id, began): (&str, Instant)) {
    let request = response.request();
    let (route, method) = (template(request), method(request.method()));
    let (status, took) = (response.status().as_u16(), began.elapsed());
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(request_id = id, method, route, status, ms, "answered");
    let labels = RequestLabels {
        route,
        method: method.to_owned(),
        status,
    };
    context.metrics.request(labels, took);
}

fn template(request: &HttpRequest) -> String {
    request
        .match_pattern()
        .unwrap_or_else(|| String::from("none"))
}

/// A closed set: callers may invent methods.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
