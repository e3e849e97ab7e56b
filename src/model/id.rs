//! Names of things. Each is parsed once, at the edge; what exists is valid.

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// The host name of an app (Graph: `targetHostName`), lower case, e.g. `todo.example.com`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppHost(String);

impl AppHost {
    /// Reads a host name of 1 to 253 bytes, in any case: labels of letters, digits, `-` and `_`, joined by dots.
    ///
    /// # Errors
    /// A sentence that says what a good one looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let label = |part: &str| {
            !part.is_empty()
                && part.len() <= 63
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if text.len() <= 253 && text.split('.').all(label) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(String::from("is not a host name such as todo.example.com"))
        }
    }

    /// The name in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A person within an app, named by the app's own id: 1 to 256 bytes of UTF-8 without control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(String);

impl UserId {
    /// Reads an id; `.` and `..` are refused, since a path cannot carry them.
    ///
    /// # Errors
    /// A sentence that names the rule that was broken.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > 256 {
            return Err(format!(
                "is {} bytes long; a user id has 1 to 256",
                text.len()
            ));
        }
        if text.chars().any(char::is_control) {
            return Err(String::from("holds a control character"));
        }
        if matches!(text, "." | "..") {
            return Err(String::from("may not be . or .."));
        }
        Ok(Self(text.to_owned()))
    }

    /// The id as the app gave it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whom an operation is about: one person within one app. The unit of consistency.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Subject {
    /// The app.
    pub app: AppHost,
    /// The person.
    pub user: UserId,
}

/// One installation of an app on a device, named by the client: 1 to 128 of `A-Z a-z 0-9 . _ ~ -`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(String);

impl EndpointId {
    /// Reads an id; `.` and `..` are refused.
    ///
    /// # Errors
    /// A sentence that says what a good one looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-');
        let good = (1..=128).contains(&text.len())
            && text.bytes().all(fits)
            && !matches!(text, "." | "..");
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(String::from(
                "is not 1 to 128 of A-Z a-z 0-9 . _ ~ - (and not . or ..)",
            ))
        }
    }

    /// The id as the client gave it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Ids that apps and clients give are never logged, so they do not show themselves in a debug print either.
macro_rules! hidden_debug {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )*};
}
hidden_debug!(UserId, EndpointId);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Reads the form that the hub writes: a UUID, lower case and hyphenated.
            pub fn parse(text: &str) -> Option<Self> {
                let id = Uuid::try_parse(text).ok()?;
                (id.as_hyphenated().to_string() == text).then_some(Self(id))
            }

            /// From its 16 bytes.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// Its 16 bytes.
            pub fn to_bytes(self) -> [u8; 16] {
                self.0.into_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }
    };
}

uuid_id!(
    /// A stored notification; made by the hub, stable over replacement.
    NotificationId
);
uuid_id!(
    /// A post to many; later ones sort behind earlier ones.
    BroadcastId
);
uuid_id!(
    /// The user notification subscription id (UNSID) of one endpoint, by which an app server may address its user.
    SubscriptionId
);
uuid_id!(
    /// What a tap calls an endpoint by: random, and without meaning to anyone but the device.
    TapId
);

impl FromStr for AppHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl FromStr for UserId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl FromStr for EndpointId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl fmt::Display for AppHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_ids() {
        for good in ["a", "a/b", "ünïcødé", "a b", "...", &"x".repeat(256)] {
            assert!(UserId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a\0b", "a\nb", "\u{85}", &"x".repeat(257)] {
            assert!(UserId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn endpoint_ids() {
        for good in ["phone-1", "A.b_c~d", &"x".repeat(128)] {
            assert!(EndpointId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "é", &"x".repeat(129)] {
            assert!(EndpointId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn hosts_are_lower_case() {
        assert_eq!(
            AppHost::parse("Todo.Example.COM").unwrap().as_str(),
            "todo.example.com"
        );
        for bad in ["", ".", "a..b", "a b", "https://a", "a:1", "ü.de"] {
            assert!(AppHost::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hub_ids_have_one_spelling() {
        let id = "0190a1b2-0000-7000-8000-000000000001";
        assert!(NotificationId::parse(id).is_some());
        assert!(NotificationId::parse(&id.to_uppercase().replace('0', "A")).is_none());
        assert!(NotificationId::parse(&id.replace('-', "")).is_none());
    }
}
