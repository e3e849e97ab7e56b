//! A provider's keys (JWK Set, RFC 7517).

use std::{collections::HashSet, sync::Arc};

use jsonwebtoken::{Algorithm, Validation, decode};
use serde_json::Value;

use crate::config::{SigningAlgorithm, SigningKey};

/// How many keys of one provider are kept: none rotates through more at a time.
const MOST: usize = 100;

/// A key that tokens are signed with.
pub(super) struct Key(SigningKey);

/// Those of a set that are of use here.
pub(super) fn usable(set: &[Value]) -> Vec<Arc<Key>> {
    let keys = set.iter().filter_map(SigningKey::read);
    keys.take(MOST).map(|key| Arc::new(Key(key))).collect()
}

impl Key {
    /// Whether it may have signed a token that names this key, or none.
    pub(super) fn fits(&self, (kid, algorithm): (Option<&str>, SigningAlgorithm)) -> bool {
        let is_named = kid.is_none_or(|kid| self.0.kid.as_deref() == Some(kid));
        is_named && self.0.algorithms.contains(&algorithm)
    }

    /// Whether it signed the token. Nothing that the token says is looked at.
    pub(super) fn signed(&self, token: &str, algorithm: SigningAlgorithm) -> bool {
        let mut rules = Validation::new(match algorithm {
            SigningAlgorithm::Rs256 => Algorithm::RS256,
            SigningAlgorithm::Ps256 => Algorithm::PS256,
            SigningAlgorithm::Es256 => Algorithm::ES256,
            SigningAlgorithm::EdDsa => Algorithm::EdDSA,
        });
        rules.required_spec_claims = HashSet::new();
        (rules.validate_exp, rules.validate_aud) = (false, false);
        decode::<Value>(token, &self.0.key, &rules).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_is_of_use_for_what_it_is_for() {
        let point = "A".repeat(43);
        let ec = json!({"kty": "EC", "crv": "P-256", "x": point, "y": point});
        let rsa = json!({"kty": "RSA", "n": "A".repeat(342), "e": "AQAB"});
        let with = |key: &Value, name: &str, value: Value| {
            let mut key = key.clone();
            key[name] = value;
            key
        };
        let fits = |key: &Value| {
            let keys = usable(std::slice::from_ref(key));
            let of = |it: &SigningAlgorithm| keys.iter().any(|key| key.fits((None, *it)));
            let found = SigningAlgorithm::ALL.into_iter().filter(of);
            found.map(SigningAlgorithm::as_str).collect::<Vec<_>>()
        };
        let check = |key: &Value, expected: &[&str]| assert_eq!(fits(key), expected, "{key}");
        check(&ec, &["ES256"]);
        check(&rsa, &["RS256", "PS256"]);
        check(&with(&rsa, "alg", "PS256".into()), &["PS256"]);
        check(&with(&rsa, "alg", "ES256".into()), &[]);
        check(&with(&rsa, "n", "A".repeat(171).into()), &[]);
        check(&with(&ec, "use", "sig".into()), &["ES256"]);
        check(&with(&ec, "use", "enc".into()), &[]);
        check(&with(&ec, "key_ops", json!(["verify"])), &["ES256"]);
        check(&with(&ec, "key_ops", json!(["sign"])), &[]);
        check(&with(&ec, "crv", "P-384".into()), &[]);
        check(
            &json!({"kty": "OKP", "crv": "Ed25519", "x": point}),
            &["EdDSA"],
        );
        check(&json!({"kty": "oct", "k": "c2VjcmV0"}), &[]);
        check(&json!("no key"), &[]);
    }
}
