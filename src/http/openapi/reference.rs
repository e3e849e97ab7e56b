//! `/docs/api`: the description as a page, by Swagger UI. The page runs its scripts and nothing else, and asks for nothing
//! from elsewhere.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY},
};

use super::{
    super::{Answer, Error, docs},
    KEPT,
    packed::Packed,
};

/// The files, by their names.
pub(super) const NAMES: [&str; 4] = [
    "swagger-ui-bundle.js",
    "swagger-ui.css",
    "reference.js",
    "reference.css",
];

/// What the page may load and run. Its icons stand in its stylesheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Swagger UI, as its release has it; see `build.rs`.
static BUNDLE: Packed = Packed::of(include_bytes!(concat!(
    env!("OUT_DIR"),
    "/swagger-ui-bundle.js.gz"
)));
/// Its stylesheet.
static STYLE: Packed = Packed::of(include_bytes!(concat!(
    env!("OUT_DIR"),
    "/swagger-ui.css.gz"
)));

/// `GET /docs/api`.
pub(in super::super) async fn page() -> Answer {
    Ok(HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((CACHE_CONTROL, KEPT))
        .body(docs::reference()))
}

/// `GET /docs/api/{file}`.
pub(in super::super) async fn file(request: HttpRequest) -> Answer {
    let name = request.match_info().get("file").unwrap_or_default();
    let kind = match name.rsplit_once('.') {
        Some((_, "js")) => "text/javascript; charset=utf-8",
        _ => "text/css; charset=utf-8",
    };
    let mut answer = match name {
        "swagger-ui-bundle.js" => BUNDLE.answer(&request, kind)?,
        "swagger-ui.css" => STYLE.answer(&request, kind)?,
        "reference.js" | "reference.css" => HttpResponse::Ok()
            .content_type(kind)
            .body(docs::file(name)?),
        _ => return Err(Error::NoPath),
    };
    let kept = HeaderValue::from_static(KEPT);
    answer.headers_mut().insert(CACHE_CONTROL, kept);
    Ok(answer)
}
