//! Credentials, as the hub keeps them: hashes, never the secrets.

use std::time::Duration;

use super::{AppHost, BroadcastId, EndpointId, NotificationId, Subject, Timestamp};

/// What an app key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Post, retract, read deliveries.
    Send,
    /// Tokens and endpoints, export and erase.
    Users,
    /// Both.
    All,
}

impl Scope {
    /// Reads `send`, `users` or `all`.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Send, Self::Users, Self::All]
            .into_iter()
            .find(|scope| scope.as_str() == text)
    }

    /// The name as the contract writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Users => "users",
            Self::All => "all",
        }
    }

    /// Whether it includes `needed`.
    pub fn includes(self, needed: Self) -> bool {
        self == Self::All || self == needed
    }
}

/// An app key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppKey {
    /// Its public name, which stands in the key itself.
    pub id: String,
    /// Whose it is.
    pub app: AppHost,
    /// What the operator calls it.
    pub name: Option<String>,
    /// What it may do.
    pub scope: Scope,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// When it was made.
    pub created: Timestamp,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

/// A user token that the hub minted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserToken {
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// Whom it speaks for.
    pub subject: Subject,
    /// The one endpoint that it is bound to.
    pub endpoint: Option<EndpointId>,
    /// The app key that minted it, if one did.
    pub minted_by: Option<String>,
    /// When it ends.
    pub expires: Timestamp,
    /// How long it was to live, in whole seconds: one that renews it lives as long.
    pub life: Duration,
}

impl UserToken {
    /// How long one lives where nobody says: an hour; 90 days, where it is bound to an endpoint.
    pub fn usual_life(endpoint: Option<&EndpointId>) -> Duration {
        match endpoint {
            Some(_) => Duration::from_secs(90 * 24 * 3600),
            None => Duration::from_secs(3600),
        }
    }
}

/// What an `Idempotency-Key` was used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// The app that used it.
    pub app: AppHost,
    /// SHA-256 of the key as sent.
    pub key: [u8; 32],
    /// SHA-256 of the request.
    pub request: [u8; 32],
    /// What was answered.
    pub answer: OnceAnswer,
    /// When it is forgotten.
    pub expires: Timestamp,
}

/// The answer to the first request with an `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnceAnswer {
    /// To a post to a person.
    Posted {
        /// Whom it was about.
        subject: Subject,
        /// Whether the answer was "created" rather than "known".
        created: bool,
        /// What it answered with.
        notification: NotificationId,
    },
    /// To a post to many.
    Accepted {
        /// What it answered with.
        broadcast: BroadcastId,
        /// How many people it was for.
        accepted: u64,
    },
}
