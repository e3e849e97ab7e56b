//! The sender's provider token (Apple: "Establishing a token-based connection to APNs").

use serde_json::Value;

use super::super::jwt::Jwt;
use super::super::state::State;
use super::{KEY_ID, Refusal, TEAM_ID};

const MAX_TOKEN_AGE_SECS: i64 = 3600;
const MAX_CLOCK_SKEW_SECS: i64 = 60;

/// Checks a token by itself: form, key, team, signature and age.
pub(super) fn check(state: &State, token: &str) -> Result<(), Refusal> {
    let invalid = |why: &str| (403, "InvalidProviderToken", why.to_owned());
    let jwt = Jwt::parse(token).ok_or_else(|| invalid("the token is no JWT"))?;
    if jwt.alg() != "ES256" {
        return Err(invalid("alg is not ES256"));
    }
    if jwt.header.get("kid").and_then(Value::as_str) != Some(KEY_ID) {
        return Err(invalid("kid is unknown"));
    }
    if jwt.text("iss") != Some(TEAM_ID) {
        return Err(invalid("iss is not the team of the key"));
    }
    if !jwt.is_es256_of(&state.folder.apns_public_key) {
        return Err(invalid(
            "the signature is not of this key, or not 64 raw bytes",
        ));
    }
    let iat = jwt
        .seconds("iat")
        .ok_or_else(|| invalid("iat is no whole number"))?;
    let age = state.clock.now_secs().saturating_sub(iat);
    if age < -MAX_CLOCK_SKEW_SECS {
        return Err(invalid("iat lies in the future"));
    }
    if age > MAX_TOKEN_AGE_SECS {
        return Err((
            403,
            "ExpiredProviderToken",
            format!("iat is {age} s ago; the limit is {MAX_TOKEN_AGE_SECS}"),
        ));
    }
    Ok(())
}
