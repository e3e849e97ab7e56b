//! Hosts that channels may name.

use url::Url;

/// Whether a name is one that can be looked up in full: labels of 1 to 63 characters with dots between, 253 at most
/// (RFC 1035, section 2.3.4), of letters, digits and hyphens, which stand within alone (RFC 1123, section 2.1); underscores
/// are met in the field. A dot at its end, which says that it is in full, is not written.
pub fn is_host_name(name: &str) -> bool {
    let fits = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || it == b'-' || it == b'_')
    };
    // An address of IPv6, as a URL writes it, has been read as one.
    name.starts_with('[') || (name.len() <= 253 && name.split('.').all(fits))
}

/// A host that channels may name: `example.net`, `*.example.net`, `127.0.0.1:9443`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRule {
    host: String,
    any_subdomain: bool,
    port: Option<u16>,
}

impl HostRule {
    /// Reads a name or an address, with a port or without; `*.` before a name allows its subdomains (and not the
    /// name itself).
    pub fn parse(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let (any_subdomain, rest) = match lower.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, lower.as_str()),
        };
        let url = Url::parse(&format!("https://{rest}/")).ok()?;
        let host = url.host_str()?.to_owned();
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && !host.contains('*')
            && is_host_name(&host);
        let port = match rest.rsplit_once(':') {
            Some((_, digits)) if !digits.contains(']') => Some(digits.parse().ok()?),
            _ => None,
        };
        bare.then_some(Self {
            host,
            any_subdomain,
            port,
        })
    }

    /// Whether the rule names one host rather than the subdomains of one.
    pub fn is_exact(&self) -> bool {
        !self.any_subdomain
    }

    /// Whether the rule names `host` (lower case) at `port`. A rule without a port allows 443 alone.
    pub fn allows(&self, host: &str, port: u16) -> bool {
        let host_fits = if self.any_subdomain {
            host.strip_suffix(self.host.as_str())
                .is_some_and(|head| head.len() > 1 && head.ends_with('.'))
        } else {
            host == self.host
        };
        host_fits && self.port.unwrap_or(443) == port
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_rules_are_bound_by_dots_and_ports() {
        let check = |rule: &str, host: &str, port: u16, expected: bool| {
            let rule = HostRule::parse(rule).unwrap();
            assert_eq!(rule.allows(host, port), expected, "{rule:?} {host} {port}");
        };
        check("*.notify.windows.com", "db5.notify.windows.com", 443, true);
        check("*.notify.windows.com", "notify.windows.com", 443, false);
        check("*.notify.windows.com", "xnotify.windows.com", 443, false);
        check(
            "*.notify.windows.com",
            "a.notify.windows.com.example.net",
            443,
            false,
        );
        check("fcm.googleapis.com", "fcm.googleapis.com", 443, true);
        check("fcm.googleapis.com", "fcm.googleapis.com", 8443, false);
        check("127.0.0.1:9443", "127.0.0.1", 9443, true);
        check("127.0.0.1:9443", "127.0.0.1", 443, false);
        check("[::1]:9443", "[::1]", 9443, true);
    }

    #[test]
    fn host_rules_are_names_and_nothing_more() {
        for bad in [
            "",
            "*",
            "a.*.b",
            "a/b",
            "a#b",
            "a?b",
            "ada@a",
            "a:x",
            "https://a",
            "a b",
            "a.",
            ".a",
            "a..b",
        ] {
            assert_eq!(HostRule::parse(bad), None, "{bad}");
        }
    }
}
