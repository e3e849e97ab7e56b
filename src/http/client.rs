//! Who a client is, where a proxy stands before the hub: its address, and whether it came by TLS.
//!
//! What a request says of this is believed as far as it was written by the proxies that the operator trusts
//! (`server.trusted_proxies`): each adds at the end whom it was called by, so the list is read from its end, up to
//! the first that is none of them.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use actix_web::{
    HttpMessage, HttpRequest,
    http::header::{HeaderMap, HeaderName},
};
use ipnet::IpNet;
use rfc7239::NodeName;

use crate::config::ForwardedHeader;

const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Those whose word is taken for who a client is, and the header in which they say it; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Arc<[IpNet]>, ForwardedHeader);

/// A client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Client {
    /// Where it is; none where the connection does not say.
    pub(super) address: Option<IpAddr>,
    /// Whether it came by TLS to the first of the proxies.
    pub(super) secure: bool,
}

/// One step of a request's way: by whom a proxy was called, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hop {
    /// None: it does not say, or not by an address.
    from: Option<IpAddr>,
    secure: bool,
}

impl Proxies {
    /// Those of these networks. What stands in the other header a proxy may have passed on as a client wrote it.
    pub fn new(networks: &[IpNet], header: ForwardedHeader) -> Self {
        Self(networks.into(), header)
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whom a request comes from.
    pub(super) fn client(&self, request: &HttpRequest) -> Client {
        let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
        let Some(peer) = peer.filter(|peer| self.trust(*peer)) else {
            return Client {
                address: peer,
                secure: request.app_config().secure(),
            };
        };
        let hops = match self.1 {
            ForwardedHeader::Forwarded => standard(request.headers()),
            ForwardedHeader::XForwardedFor => usual(request.headers()),
        };
        self.walk(peer, &hops)
    }

    /// Goes back along the way from the hub, as long as those who tell of it are trusted.
    fn walk(&self, peer: IpAddr, hops: &[Hop]) -> Client {
        let mut client = Client {
            address: Some(peer),
            secure: false,
        };
        for hop in hops.iter().rev() {
            client.secure = hop.secure;
            let Some(from) = hop.from else {
                break;
            };
            client.address = Some(from);
            if !self.trust(from) {
                break;
            }
        }
        client
    }
}

impl Client {
    /// The client of a request, once it was noted there.
    pub(super) fn of(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().copied()
    }
}

/// By `Forwarded` (RFC 7239, section 4).
fn standard(headers: &HeaderMap) -> Vec<Hop> {
    let lines = lines(headers, &FORWARDED);
    let lines: Vec<_> = lines.iter().map(|it| without_hidden_ports(it)).collect();
    let elements = lines.iter().flat_map(|line| rfc7239::parse(line));
    let elements = elements.map(|element| {
        let element = element.unwrap_or_default();
        let proto = element.protocol.unwrap_or_default().trim_matches('"');
        Hop {
            from: element.forwarded_for.and_then(|node| match node.name {
                NodeName::Ip(address) => Some(address.to_canonical()),
                _ => None,
            }),
            secure: proto.eq_ignore_ascii_case("https"),
        }
    });
    elements.collect()
}

/// The line without ports that are hidden (RFC 7239, section 6.3), for which the parser would give up an address.
fn without_hidden_ports(line: &str) -> String {
    let hides = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let mut pieces = line.split(":_");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |line, piece| line + piece.trim_start_matches(hides))
}

/// By `X-Forwarded-For` and `X-Forwarded-Proto`, which no standard describes: of two lists of one length the members
/// belong together, else the last word on the protocol holds for all.
fn usual(headers: &HeaderMap) -> Vec<Hop> {
    let (callers, protocols) = (
        lines(headers, &FORWARDED_FOR),
        lines(headers, &FORWARDED_PROTO),
    );
    let (callers, protocols) = (members(&callers), members(&protocols));
    let paired = callers.len() == protocols.len();
    let hops = callers.iter().enumerate().map(|(index, caller)| {
        let protocol = if paired {
            protocols.get(index)
        } else {
            protocols.last()
        };
        Hop {
            from: address(caller),
            secure: protocol.is_some_and(|it| it.eq_ignore_ascii_case("https")),
        }
    });
    hops.collect()
}

fn members(lines: &[String]) -> Vec<&str> {
    let members = lines.iter().flat_map(|line| line.split(','));
    members.map(str::trim).collect()
}

/// The lines of a header. What a client wrote that is no text stands before what a proxy added, which is.
fn lines(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let values = headers.get_all(name);
    let lines = values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    lines.collect()
}

/// An address, with a port or without.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let bare = bare.parse::<IpAddr>().ok();
    let address = bare.or_else(|| text.parse::<SocketAddr>().ok().map(|it| it.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::{http::header::HeaderValue, test::TestRequest};

    use super::*;

    fn client(lines: &[(&HeaderName, &str)]) -> (String, bool) {
        let header = match lines.first() {
            Some((name, _)) if **name == FORWARDED => ForwardedHeader::Forwarded,
            _ => ForwardedHeader::XForwardedFor,
        };
        let proxies = ["127.0.0.1/32", "10.0.0.0/8", "2001:db8:1::/48"];
        let proxies = proxies.map(|network| network.parse().unwrap());
        let mut request = TestRequest::default().peer_addr("127.0.0.1:1".parse().unwrap());
        for (name, value) in lines {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            request = request.append_header(((*name).clone(), value));
        }
        let client = Proxies::new(&proxies, header).client(&request.to_http_request());
        (client.address.unwrap().to_string(), client.secure)
    }

    #[test]
    fn the_last_address_that_is_no_trusted_proxy_is_the_client() {
        let check = |lines: &[(&HeaderName, &str)], address: &str, secure: bool| {
            assert_eq!(client(lines), (address.into(), secure), "{lines:?}");
        };
        check(&[], "127.0.0.1", false);
        check(&[(&FORWARDED_FOR, "192.0.2.7")], "192.0.2.7", false);
        check(
            &[(&FORWARDED_FOR, "[2001:db8::7]:4711")],
            "2001:db8::7",
            false,
        );
        check(&[(&FORWARDED_FOR, "192.0.2.7:4711")], "192.0.2.7", false);
        check(&[(&FORWARDED_FOR, "::ffff:192.0.2.7")], "192.0.2.7", false);
        // What the client wrote itself stands before what the proxy added.
        check(
            &[(&FORWARDED_FOR, "198.51.100.1, 192.0.2.7")],
            "192.0.2.7",
            false,
        );
        let two = [
            (&FORWARDED_FOR, "198.51.100.1"),
            (&FORWARDED_FOR, "192.0.2.7, 10.1.2.3"),
        ];
        check(&two, "192.0.2.7", false);
        check(
            &[(&FORWARDED_FOR, "192.0.2.7, unknown")],
            "127.0.0.1",
            false,
        );
        check(&[(&FORWARDED_FOR, "10.0.0.1, 10.0.0.2")], "10.0.0.1", false);
        let by_tls = [(&FORWARDED_FOR, "192.0.2.7"), (&FORWARDED_PROTO, "https")];
        check(&by_tls, "192.0.2.7", true);
        let paired = [
            (&FORWARDED_FOR, "192.0.2.7, 10.0.0.1"),
            (&FORWARDED_PROTO, "https, http"),
        ];
        check(&paired, "192.0.2.7", true);
    }

    #[test]
    fn the_standard_header_is_read_as_well() {
        let forwarded = |value: &str| client(&[(&FORWARDED, value)]);
        assert_eq!(
            forwarded("for=192.0.2.7;proto=https"),
            ("192.0.2.7".into(), true)
        );
        assert_eq!(
            forwarded("For=\"[2001:db8::7]:4711\";Proto=\"HTTPS\""),
            ("2001:db8::7".into(), true)
        );
        assert_eq!(
            forwarded("for=198.51.100.1, for=192.0.2.7;proto=https, for=10.0.0.1"),
            ("192.0.2.7".into(), true)
        );
        let hidden = [
            ("for=\"6.0.0.1:_p\"", "6.0.0.1"),
            ("for=\"[2001:db8:9::1]:_x.y-z_\"", "2001:db8:9::1"),
            (
                "for=1.1.1.1, for=\"6.0.0.1:_p\";by=\"10.0.0.1:_q\"",
                "6.0.0.1",
            ),
        ];
        for (value, address) in hidden {
            assert_eq!(
                forwarded(&format!("{value};proto=https")),
                (address.into(), true)
            );
        }
        assert_eq!(forwarded("for=_hidden, for=10.0.0.1").0, "10.0.0.1");
        assert_eq!(forwarded("nonsense").0, "127.0.0.1");
    }

    #[test]
    fn what_a_client_wrote_into_the_other_header_is_not_read() {
        let both = [
            (&FORWARDED_FOR, "192.0.2.7"),
            (&FORWARDED, "for=198.51.100.1;proto=https"),
        ];
        assert_eq!(client(&both), ("192.0.2.7".into(), false));
        // Nor where it breaks the line that the proxy goes on with.
        let broken = [(&FORWARDED_FOR, "\u{ff}, 192.0.2.7"), both[1]];
        assert_eq!(client(&broken), ("192.0.2.7".into(), false));
        let quoted = "for=\"\u{ff}, for=198.51.100.1, for=192.0.2.7;proto=https";
        let quoted = [(&FORWARDED, quoted), (&FORWARDED_FOR, "198.51.100.1")];
        assert_eq!(client(&quoted), ("192.0.2.7".into(), true));
    }
}
