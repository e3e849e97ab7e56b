//! Browsers of other origins, at the client doors alone (Fetch standard, section 3.2), and what the retired service's
//! call told them.
//!
//! A preflight carries no credential, so the origin of any app passes it. The answer itself names an origin only if
//! it is the caller's app's. A 401 has no caller and says nothing: like the preflight it names any app's, else a page
//! could not tell that its token's time is over.

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    body::BoxBody,
    dev::ServiceResponse,
    http::{
        Method,
        header::{self, HeaderValue},
    },
};

use super::{Context, Error, auth::CallerApp};
use crate::hub;

const METHODS: &str = "GET, POST, PUT, PATCH, DELETE";
const REQUEST_HEADERS: &str = "authorization, content-type, content-encoding, x-endpoint-id, last-event-id, \
                               client-request-id, cache-control, x-uns-id, idempotency-key";
const EXPOSED: &str =
    "Location, request-id, client-request-id, Retry-After, RateLimit, RateLimit-Policy";
/// How long a browser may remember a preflight, in seconds.
const MAX_AGE: &str = "7200";

/// The retired service's call, whose answers could be read by pages; the origin that it named was any.
fn is_graph_call(path: &str) -> bool {
    path.starts_with("/beta/")
}

/// What pages of an app's origins may call and read.
pub(super) fn is_read_by_pages(path: &str) -> bool {
    is_client_door(path) || is_graph_call(path)
}

fn is_client_door(path: &str) -> bool {
    path.starts_with("/v1/me/") || path.starts_with("/v1/apps/")
}

/// The answer to a preflight; nothing, where the request is none.
pub(super) fn preflight(request: &HttpRequest, context: &Context) -> Option<HttpResponse> {
    let headers = request.headers();
    let asked = headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if request.method() != Method::OPTIONS || !asked || !is_read_by_pages(request.path()) {
        return None;
    }
    let origin = headers.get(header::ORIGIN)?;
    if !some_app_names(context, origin) {
        let error =
            hub::Error::Forbidden("no app of this hub has this origin; add it to `origins`");
        return Some(HttpResponse::from_error(Error::from(error)));
    }
    Some(
        HttpResponse::NoContent()
            .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()))
            .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, METHODS))
            .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS))
            .insert_header((header::ACCESS_CONTROL_MAX_AGE, MAX_AGE))
            .insert_header((header::VARY, "Origin"))
            .finish(),
    )
}

/// Lets the page read the answer, where its origin is one of the caller's app.
pub(super) fn name_origin(response: &mut ServiceResponse<BoxBody>, context: &Context) {
    let path = response.request().path();
    if !is_read_by_pages(path) {
        return;
    }
    let origin = readable_by(response.request(), context);
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let exposed = HeaderValue::from_static(EXPOSED);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
}

fn some_app_names(context: &Context, origin: &HeaderValue) -> bool {
    let apps = context.hub.apps().all();
    apps.iter().any(|app| names(&app.origins, origin))
}

/// The request's origin, where its pages may read the answer: those of the caller's app; those of any app where nobody is
/// known to have called, since a page has to see that its credential is no good, or that it is to come again later.
fn readable_by(request: &HttpRequest, context: &Context) -> Option<HeaderValue> {
    let origin = request.headers().get(header::ORIGIN)?;
    let extensions = request.extensions();
    let named = match extensions.get::<CallerApp>() {
        Some(CallerApp(host)) => names(&context.hub.app(host)?.origins, origin),
        None => some_app_names(context, origin),
    };
    named.then(|| origin.clone())
}

fn names(origins: &[String], origin: &HeaderValue) -> bool {
    origins
        .iter()
        .any(|known| known.as_bytes() == origin.as_bytes())
}
