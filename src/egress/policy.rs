//! Which hosts and addresses a URL that came from outside may lead to.
//!
//! A client hands in the address of its push resource, so without this anyone could make the hub call its own
//! network. Two walls: the host must be on a list, or where the operator lets it a name of the public internet, and the addresses behind a listed name must be public ones at
//! every single connection. Only a host that the operator has listed exactly may lie on a private network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::config::apps::{HostRule, Hosts, is_host_name};

/// The longest URL taken from outside, in bytes.
const MAX_URL_BYTES: usize = 2048;

/// The hosts that URLs from outside may name.
#[derive(Debug, Clone)]
pub struct Policy {
    known: Vec<HostRule>,
    operator: Vec<HostRule>,
    others: Hosts,
}

impl Policy {
    /// Allows the `known` hosts (`example.net`, `*.example.net`) of a service and those that the operator listed.
    /// A known host that is no host rule is left out, so it allows nothing.
    pub fn new(known: &[&str], operator: &[HostRule]) -> Self {
        Self {
            known: known
                .iter()
                .filter_map(|host| HostRule::parse(host))
                .collect(),
            operator: operator.to_vec(),
            others: Hosts::Known,
        }
    }

    /// The same, with `others` beside: of any name at the usual port, where it leads to public addresses alone.
    pub fn and(self, others: Hosts) -> Self {
        Self { others, ..self }
    }

    /// Checks all of a URL that can be checked without a look-up: `https`, no user, no fragment, at most 2 KiB, and
    /// a host and port that are listed.
    ///
    /// # Errors
    /// What is wrong and what would be right, without the URL itself.
    pub fn check(&self, url: &Url) -> Result<(), String> {
        if url.as_str().len() > MAX_URL_BYTES {
            return Err(format!(
                "is {} bytes long; the limit is {MAX_URL_BYTES}",
                url.as_str().len()
            ));
        }
        if url.scheme() != "https" {
            return Err(String::from("must begin with https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(String::from("must not hold a user name or password"));
        }
        if url.fragment().is_some() {
            return Err(String::from("must not hold a fragment (#…)"));
        }
        if !matches!(url.host_str(), Some(host) if is_host_name(host)) {
            return Err(String::from(
                "names a host that is none: a name has parts of 1 to 63 letters, digits and hyphens with dots between, and none at its end",
            ));
        }
        match (url.host_str(), url.port_or_known_default()) {
            (Some(host), Some(port)) if self.allows(host, port) => Ok(()),
            _ if self.others == Hosts::Public => is_a_name_at_the_usual_port(url),
            _ => Err(String::from(
                "names a host that is neither a known push service nor in the app's allowed_hosts",
            )),
        }
    }

    /// Whether `host` may be reached at `address`: any public one that is not this machine's, or any at all where the
    /// operator listed exactly this host and port.
    pub fn reaches(
        &self,
        host: &str,
        port: u16,
        (address, is_ours): (IpAddr, impl Fn(IpAddr) -> bool),
    ) -> bool {
        let listed = |rule: &HostRule| rule.is_exact() && rule.allows(host, port);
        (is_public(address) && !is_ours(address)) || self.operator.iter().any(listed)
    }

    fn allows(&self, host: &str, port: u16) -> bool {
        let mut rules = self.known.iter().chain(&self.operator);
        rules.any(|rule| rule.allows(host, port))
    }
}

/// What it leads to is looked at with every connection; an address has no name that could be looked up anew.
fn is_a_name_at_the_usual_port(url: &Url) -> Result<(), String> {
    let is_name = matches!(url.host(), Some(Host::Domain(name)) if name.contains('.'));
    match (is_name, url.port_or_known_default()) {
        (true, Some(443)) => Ok(()),
        (true, _) => Err(String::from("names a port; only 443 is allowed")),
        (false, _) => Err(String::from(
            "names no host of the public internet; a full name is needed, no address",
        )),
    }
}

/// Whether an address belongs to the public internet: none of the special-purpose ranges of RFC 6890 and its
/// registries, also not when wrapped as IPv4-mapped (RFC 4291), NAT64 (RFC 6052) or 6to4 (RFC 3056).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let special = match address.octets() {
        [0 | 10 | 127, ..] => true,
        [100, b, ..] => (64..128).contains(&b),
        [169, 254, ..] | [192, 168, ..] => true,
        [172, b, ..] => (16..32).contains(&b),
        [192, 0, 0 | 2, _] | [192, 88, 99, _] => true,
        [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => true,
        [a, ..] => a >= 224,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let bytes = address.octets();
    let inner = |from: usize| {
        Ipv4Addr::new(
            bytes[from],
            bytes[from + 1],
            bytes[from + 2],
            bytes[from + 3],
        )
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => is_public_v4(inner(12)),
        [0x2002, ..] => is_public_v4(inner(2)),
        // Teredo, ORCHID and other assignments of 2001::/23; then documentation.
        [0x2001, b, ..] if b < 0x200 || b == 0xdb8 => false,
        [0x3fff, b, ..] if b < 0x1000 => false,
        // Global unicast is 2000::/3 alone: so neither ::1, fc00::/7, fe80::/10 nor ff00::/8.
        [a, ..] => (0x2000..0x4000).contains(&a),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses() {
        for public in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "2606:4700::1",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for special in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "100.64.0.1",
            "100.127.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::808:808",
            "2002:7f00:1::",
            "2002:c0a8:101::1",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
    }

    #[test]
    fn urls_are_checked_without_a_look_up() {
        let operator =
            ["127.0.0.1:9443", "*.lan.example", "[::1]"].map(|r| HostRule::parse(r).unwrap());
        let policy = Policy::new(&["fcm.googleapis.com", "*.push.apple.com"], &operator);
        let check = |url: &str| policy.check(&Url::parse(url).unwrap());
        for good in [
            "https://fcm.googleapis.com/fcm/send/x",
            "https://FCM.googleapis.com:443/fcm/send/x",
            "https://web.push.apple.com/x",
            "https://127.0.0.1:9443/x",
            "https://127.1:9443/x",
            "https://a.lan.example/x?y",
            "https://[::1]/x",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "http://fcm.googleapis.com/x",
            "https://fcm.googleapis.com:8443/x",
            "https://user@fcm.googleapis.com/x",
            "https://user:pw@fcm.googleapis.com/x",
            "https://fcm.googleapis.com/x#y",
            "https://fcm.googleapis.com./x",
            "https://push.apple.com/x",
            "https://xpush.apple.com/x",
            "https://web.push.apple.com.example.net/x",
            "https://127.0.0.1/x",
            "https://10.0.0.1/x",
            "ftp://fcm.googleapis.com/x",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
        let long = format!("https://fcm.googleapis.com/{}", "x".repeat(2048));
        assert!(check(&long).unwrap_err().contains("2048"));
    }

    #[test]
    fn a_host_is_a_name_whoever_lists_it() {
        let operator = [HostRule::parse("*.lan.example").unwrap()];
        let policy = Policy::new(&["*.push.apple.com"], &operator).and(Hosts::Public);
        let check = |host: &str| policy.check(&Url::parse(&format!("https://{host}/x")).unwrap());
        let longest = "a".repeat(63);
        assert_eq!(check(&format!("{longest}.example.net")), Ok(()));
        for bad in [
            "push.example.",
            "push.example..",
            "*.push.example",
            "-push.example",
            "push-.example",
            ".push.example",
            "a..push.apple.com",
            "a..lan.example",
            &format!("{longest}a.example.net"),
            &"a."
                .repeat(127)
                .chars()
                .chain("aa".chars())
                .collect::<String>(),
        ] {
            let found = check(bad).unwrap_err();
            assert!(found.contains("1 to 63 letters"), "{bad}: {found}");
        }
    }

    #[test]
    fn a_private_address_or_one_of_this_machine_needs_an_exact_rule() {
        let operator = ["ntfy.lan:8443", "*.lan.example"].map(|r| HostRule::parse(r).unwrap());
        let policy = Policy::new(&[], &operator);
        let ours: IpAddr = "9.9.9.10".parse().unwrap();
        let reaches = |host: &str, port: u16, address: &str| {
            let address = address.parse().unwrap();
            policy.reaches(host, port, (address, |it| it == ours))
        };
        for address in ["192.168.1.9", "9.9.9.10"] {
            assert!(reaches("ntfy.lan", 8443, address), "{address}");
            assert!(!reaches("ntfy.lan", 443, address), "{address}");
            assert!(!reaches("a.lan.example", 443, address), "{address}");
        }
        assert!(reaches("a.lan.example", 443, "9.9.9.9"));
    }
}
