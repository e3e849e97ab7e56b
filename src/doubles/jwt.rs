//! JSON web tokens, taken apart and checked without the library that the senders sign with.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// A token in compact form (RFC 7515, section 7.1), its signature unchecked.
#[derive(Debug)]
pub(crate) struct Jwt<'a> {
    /// The JOSE header.
    pub(crate) header: Map<String, Value>,
    /// The claims.
    pub(crate) claims: Map<String, Value>,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Jwt<'a> {
    /// Takes a token apart; `None` unless it is three parts of base64url without padding, the first two JSON objects.
    pub(crate) fn parse(compact: &'a str) -> Option<Self> {
        let (signed, signature) = compact.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        Some(Self {
            header: object(header)?,
            claims: object(claims)?,
            signed,
            signature: decode(signature)?,
        })
    }

    /// The `alg` of the header; empty if it is none.
    pub(crate) fn alg(&self) -> &str {
        self.header
            .get("alg")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// A claim that is a string.
    pub(crate) fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim).and_then(Value::as_str)
    }

    /// A claim that is a time in whole seconds.
    pub(crate) fn seconds(&self, claim: &str) -> Option<i64> {
        self.claims.get(claim).and_then(Value::as_i64)
    }

    /// Whether ES256 with this key (65 bytes) made the signature, in the raw form of 64 bytes that RFC 7518, section 3.4, demands.
    pub(crate) fn is_es256_of(&self, public_key: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public_key);
        key.verify(self.signed.as_bytes(), &self.signature).is_ok()
    }

    /// Whether RS256 with this key (DER of RFC 8017) made the signature.
    pub(crate) fn is_rs256_of(&self, public_key: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key);
        key.verify(self.signed.as_bytes(), &self.signature).is_ok()
    }
}

fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&decode(part)?).ok()
}
