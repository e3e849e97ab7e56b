//! A key of an identity provider (JWK, RFC 7517), as far as it is of use.

use std::fmt;

use jsonwebtoken::{
    DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde_json::Value;

use super::SigningAlgorithm;

/// The shortest RSA key that is taken (RFC 7518, section 3.3), in bytes.
const RSA_BYTES: usize = 256;

/// A key that tokens are signed with.
pub struct SigningKey {
    /// What tokens call it.
    pub kid: Option<String>,
    /// What it is for: one at least.
    pub algorithms: Vec<SigningAlgorithm>,
    /// What proves a signature.
    pub key: DecodingKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Reads a key; nothing, where it is of no use here.
    pub fn read(value: &Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
        let common = &jwk.common;
        let signs = common
            .public_key_use
            .as_ref()
            .is_none_or(|it| *it == PublicKeyUse::Signature);
        let verifies = common
            .key_operations
            .as_ref()
            .is_none_or(|all| all.contains(&KeyOperations::Verify));
        if !signs || !verifies {
            return None;
        }
        let mut algorithms = kind(&jwk.algorithm)?;
        if let Some(only) = common.key_algorithm {
            algorithms.retain(|it| named(*it) == only);
        }
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        (!algorithms.is_empty()).then(|| Self {
            kid: common.key_id.clone(),
            algorithms,
            key,
        })
    }
}

/// The algorithms that a key can be for.
fn kind(parameters: &AlgorithmParameters) -> Option<Vec<SigningAlgorithm>> {
    match parameters {
        AlgorithmParameters::RSA(rsa) => {
            let bytes = rsa.n.trim_end_matches('=').len() * 3 / 4;
            (bytes >= RSA_BYTES).then(|| vec![SigningAlgorithm::Rs256, SigningAlgorithm::Ps256])
        }
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => {
            Some(vec![SigningAlgorithm::Es256])
        }
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            Some(vec![SigningAlgorithm::EdDsa])
        }
        _ => None,
    }
}

fn named(algorithm: SigningAlgorithm) -> KeyAlgorithm {
    match algorithm {
        SigningAlgorithm::Rs256 => KeyAlgorithm::RS256,
        SigningAlgorithm::Ps256 => KeyAlgorithm::PS256,
        SigningAlgorithm::Es256 => KeyAlgorithm::ES256,
        SigningAlgorithm::EdDsa => KeyAlgorithm::EdDSA,
    }
}
