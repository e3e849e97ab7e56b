//! The shapes of the smaller answers: of probes, of a change of many, and of those that are the same for anyone.

use schemars::JsonSchema;
use serde::Serialize;

use super::schema;

/// How the hub is.
#[derive(Debug, Serialize, JsonSchema)]
pub(in super::super) struct Status {
    /// In one word.
    pub(in super::super) status: &'static str,
}

/// What a change of many came to.
#[derive(Debug, Serialize, JsonSchema)]
pub(in super::super) struct Changed {
    /// How many are another than before.
    pub(in super::super) changed: usize,
}

/// What browsers subscribe with.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct PublicKey {
    /// The app's VAPID public key (RFC 8292) in base64url: 87 characters.
    pub(in super::super) public_key: String,
}

/// What an app key was changed for (RFC 6749, section 5.1).
#[derive(Serialize, JsonSchema)]
pub(in super::super) struct AccessToken {
    /// Always `Bearer`.
    pub(in super::super) token_type: &'static str,
    /// For how many seconds it is good.
    pub(in super::super) expires_in: u64,
    /// The secret.
    pub(in super::super) access_token: String,
}

/// A refusal in OAuth's words (RFC 6749, section 5.2).
#[derive(Debug, Serialize, JsonSchema)]
pub(in super::super) struct OAuthError<'a> {
    /// In one word.
    pub(in super::super) error: &'a str,
    /// In a sentence.
    pub(in super::super) error_description: &'a str,
}

/// Where clients of OpenID Connect find the token endpoint. One grant is there; the rest is named since clients ask
/// for it.
#[derive(Debug, Serialize, JsonSchema)]
pub(in super::super) struct Configuration {
    /// Whose this is.
    pub(in super::super) issuer: String,
    /// Where an app key is changed for an access token.
    pub(in super::super) token_endpoint: String,
    /// Nobody signs in here.
    pub(in super::super) authorization_endpoint: String,
    /// Where the keys would be.
    pub(in super::super) jwks_uri: String,
    /// The one grant.
    pub(in super::super) grant_types_supported: [&'static str; 1],
    /// How the client says who it is.
    pub(in super::super) token_endpoint_auth_methods_supported: [&'static str; 2],
    /// None is.
    pub(in super::super) response_types_supported: [&'static str; 1],
    /// Of no use here.
    pub(in super::super) subject_types_supported: [&'static str; 1],
    /// Of no use here.
    pub(in super::super) id_token_signing_alg_values_supported: [&'static str; 1],
}

/// The keys to check tokens by.
#[derive(Debug, Serialize, JsonSchema)]
pub(in super::super) struct KeySet {
    /// None: the hub's tokens are its own affair.
    #[schemars(schema_with = "schema::no_keys")]
    pub(in super::super) keys: [(); 0],
}
