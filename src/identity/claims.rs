//! What a token says (RFC 7519, section 4.1).

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::Refusal;
use crate::model::{Timestamp, UserId};

/// How far the provider's clock may be from ours.
const SKEW: Duration = Duration::from_secs(60);

/// How old a token may be: an erasure is remembered for longer.
const MAX_AGE: Duration = Duration::from_secs(365 * 24 * 3600);

/// The claims of a token.
#[derive(Debug)]
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    /// Reads them, whoever signed them.
    pub(super) fn unproved(token: &str) -> Result<Self, Refusal> {
        let payload = token.split('.').nth(1).unwrap_or_default();
        let bytes = URL_SAFE_NO_PAD.decode(payload).ok();
        let claims = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        claims
            .map(Self)
            .ok_or(Refusal::Bad("the claims of this token are no JSON object"))
    }

    pub(super) fn is_by(&self, issuer: &str) -> bool {
        self.0.get("iss").and_then(Value::as_str) == Some(issuer)
    }

    pub(super) fn is_for(&self, audience: &str) -> bool {
        match self.0.get("aud") {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(several)) => several.iter().any(|it| it.as_str() == Some(audience)),
            _ => false,
        }
    }

    /// Whether its time is now; says when it was issued, and when it ends.
    pub(super) fn check(&self, now: Timestamp) -> Result<(Timestamp, Timestamp), Refusal> {
        let expires = self
            .time("exp")?
            .ok_or(Refusal::Bad("this token has no exp"))?
            .plus(SKEW);
        if expires <= now {
            return Err(Refusal::Bad("the time of this token is over"));
        }
        if self.time("nbf")?.is_some_and(|from| from > now.plus(SKEW)) {
            return Err(Refusal::Bad("the time of this token has not come"));
        }
        // Without it nobody could tell whether its person was erased since.
        let issued = self
            .time("iat")?
            .ok_or(Refusal::Bad("this token has no iat"))?;
        if issued > now.plus(SKEW) {
            return Err(Refusal::Bad("this token was issued in a time to come"));
        }
        if issued.plus(MAX_AGE) <= now {
            return Err(Refusal::Bad("this token was issued more than a year ago"));
        }
        Ok((issued, expires))
    }

    /// A NumericDate: seconds, perhaps with a fraction.
    fn time(&self, name: &str) -> Result<Option<Timestamp>, Refusal> {
        const BAD: Refusal = Refusal::Bad("exp, nbf or iat of this token is no time");
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        let seconds = value.as_f64().filter(|it| it.is_finite() && *it >= 0.0);
        let millis = seconds.ok_or(BAD)? * 1000.0;
        Ok(Some(
            Timestamp::from_millis(millis as u64).min(Timestamp::MAX),
        ))
    }

    /// The user whom a claim names.
    pub(super) fn user(&self, claim: &str) -> Result<UserId, Refusal> {
        let named = self.0.get(claim).and_then(Value::as_str);
        named
            .and_then(|text| UserId::parse(text).ok())
            .ok_or(Refusal::Bad(
                "this token names no user that can be one here",
            ))
    }
}
