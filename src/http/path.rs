//! Ids from the raw path. The router matches a decoded copy in which a broken byte has been mended, so what a caller
//! meant is read from the path as it was sent.

use actix_web::HttpRequest;
use percent_encoding::percent_decode_str;

use super::Error;
use crate::{
    hub,
    model::{AppHost, BroadcastId, EndpointId, NotificationId, UserId},
};

/// The user of `/v1/users/{user}/…`.
pub(super) fn user(request: &HttpRequest) -> Result<UserId, Error> {
    let text = segment(request.uri().path(), 2)?;
    UserId::parse(&text).map_err(|message| invalid("user", message))
}

/// The notification at the segment `nth`, counted from 0; one that cannot be is one that is not there.
pub(super) fn notification(request: &HttpRequest, nth: usize) -> Result<NotificationId, Error> {
    let text = segment(request.uri().path(), nth)?;
    NotificationId::parse(&text).ok_or(hub::Error::NotFound("notification").into())
}

/// The post to many at the segment `nth`; one that cannot be is one that is not there.
pub(super) fn broadcast(request: &HttpRequest, nth: usize) -> Result<BroadcastId, Error> {
    let text = segment(request.uri().path(), nth)?;
    BroadcastId::parse(&text).ok_or(hub::Error::NotFound("job").into())
}

/// The endpoint at the segment `nth`; one that cannot be is one that is not there.
pub(super) fn endpoint(request: &HttpRequest, nth: usize) -> Result<EndpointId, Error> {
    let text = segment(request.uri().path(), nth)?;
    EndpointId::parse(&text).map_err(|_| hub::Error::NotFound("endpoint").into())
}

/// The endpoint at the segment `nth`, which is to be made.
pub(super) fn new_endpoint(request: &HttpRequest, nth: usize) -> Result<EndpointId, Error> {
    let text = segment(request.uri().path(), nth)?;
    EndpointId::parse(&text).map_err(|message| invalid("endpointId", message))
}

/// The app of `/v1/apps/{host}/…`.
pub(super) fn app(request: &HttpRequest) -> Result<AppHost, Error> {
    let text = segment(request.uri().path(), 2)?;
    AppHost::parse(&text).map_err(|_| hub::Error::NotFound("app").into())
}

fn invalid(target: &'static str, message: String) -> Error {
    hub::Error::invalid(target, message).into()
}

fn segment(path: &str, nth: usize) -> Result<String, Error> {
    let raw = path.split('/').nth(nth + 1).unwrap_or_default();
    decode(raw).ok_or_else(|| {
        let message = format!("does not decode to UTF-8 in its segment {}", nth + 1);
        invalid("path", message)
    })
}

/// Decodes `%XX`; nothing, where an escape is broken or the bytes are no UTF-8.
pub(super) fn decode(raw: &str) -> Option<String> {
    let hex = |at: usize| raw.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    let whole = raw
        .bytes()
        .enumerate()
        .all(|(at, byte)| byte != b'%' || hex(at + 1) && hex(at + 2));
    if !whole {
        return None;
    }
    percent_decode_str(raw)
        .decode_utf8()
        .ok()
        .map(|text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_decoded_strictly() {
        let check = |raw: &str, expected: Option<&str>| {
            let path = format!("/v1/users/{raw}/notifications");
            assert_eq!(segment(&path, 2).ok().as_deref(), expected, "{raw}");
        };
        check("ada", Some("ada"));
        check("a%2Fb", Some("a/b"));
        check("a%252Fb", Some("a%2Fb"));
        check("a+b", Some("a+b"));
        check("a%20b", Some("a b"));
        check("%C3%BC", Some("ü"));
        check("a%00", Some("a\0"));
        check("%FF", None);
        check("%zz", None);
        check("%4", None);
        check("%", None);
        check("%C3", None);
        check(".", Some("."));
        check("%2e%2E", Some(".."));
    }
}
