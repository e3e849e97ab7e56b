//! Absolute links: on `server.public_url`, else on the origin that the request itself came to.

use actix_web::{HttpRequest, http::header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::client::Client;

/// All but the unreserved characters and `$`, which OData's names begin with.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'$');

/// What links of this request begin with, without a slash at the end.
pub(super) fn base(public_url: Option<&Url>, request: &HttpRequest) -> String {
    match public_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => {
            let secure = Client::of(request).is_some_and(|client| client.secure);
            let scheme = if secure { "https" } else { "http" };
            format!("{scheme}://{}", authority(request))
        }
    }
}

/// The request's own authority. No forwarding header is read for it: a proxy passes `Host` on, or its operator sets
/// `server.public_url`.
fn authority(request: &HttpRequest) -> String {
    if let Some(authority) = request.uri().authority() {
        return authority.to_string();
    }
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).filter(|host| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:[]".contains(&byte);
        !host.is_empty() && host.bytes().all(plain)
    });
    match host {
        Some(host) => host.to_owned(),
        None => request.app_config().local_addr().to_string(),
    }
}

/// Percent-encodes one name, value or segment.
pub(super) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// A link to another place of the list that was asked for: same path, `name=value` as the query's last parameter.
pub(super) fn page(base: &str, path: &str, kept: &str, (name, value): (&str, &str)) -> String {
    format!("{base}{path}?{kept}{name}={}", escaped(value))
}
