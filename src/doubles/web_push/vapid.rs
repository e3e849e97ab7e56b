//! The sender's voluntary identification (RFC 8292), refused in autopush's words.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::super::exchange::Request;
use super::super::jwt::Jwt;
use super::Refusal;

const MAX_LIFE_SECS: i64 = 24 * 3600;
/// How long after `exp` autopush still takes a token.
const LEEWAY_SECS: i64 = 60;
const MISSING_KEY: &str = "Missing VAPID public key";
const BAD_CLAIM: &str = "Invalid VAPID token: A value in the vapid claims is either missing or incorrectly specified (e.g. \"exp\":\"12345\" or \"sub\":null). Please correct and retry.";

/// Checks `Authorization` for a subscription bound to this key (base64url), or to none; gives the token, if there was one.
pub(super) fn check<'a>(
    request: &'a Request,
    bound_to: Option<&str>,
    origin: &str,
    now_secs: i64,
) -> Result<Option<&'a str>, Refusal> {
    let Some(value) = request.header("authorization") else {
        return if bound_to.is_some() {
            Err(refused(MISSING_KEY))
        } else {
            Ok(None)
        };
    };
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    if scheme.eq_ignore_ascii_case("webpush") {
        return Err((400, Some(110), "Missing Crypto-Key header".to_owned()));
    }
    let parts = (parameter(rest, "t"), parameter(rest, "k"));
    let (true, (Some(token), Some(key))) = (scheme.eq_ignore_ascii_case("vapid"), parts) else {
        return Err(refused(MISSING_KEY));
    };
    let point = URL_SAFE_NO_PAD
        .decode(key)
        .map_err(|_| refused(MISSING_KEY))?;
    if bound_to.is_some_and(|bound_to| bound_to != key) {
        return Err(refused("VAPID public key mismatch"));
    }
    check_token(token, &point, origin, now_secs)?;
    Ok(Some(token))
}

fn check_token(token: &str, key: &[u8], origin: &str, now_secs: i64) -> Result<(), Refusal> {
    let jwt = Jwt::parse(token).ok_or_else(|| refused(BAD_CLAIM))?;
    if jwt.alg() != "ES256" {
        return Err(refused(BAD_CLAIM));
    }
    if !jwt.is_es256_of(key) {
        return Err(refused("InvalidSignature"));
    }
    let exp = jwt
        .claims
        .get("exp")
        .and_then(Value::as_i64)
        .ok_or_else(|| refused(BAD_CLAIM))?;
    if exp < now_secs - LEEWAY_SECS {
        return Err(refused("ExpiredSignature"));
    }
    if exp > now_secs + MAX_LIFE_SECS {
        return Err(refused("The VAPID token expiration is too long"));
    }
    match jwt.text("aud") {
        None => return Err(refused("Invalid VAPID token: Missing required aud")),
        Some(aud) if aud != origin => return Err(refused("Invalid VAPID audience")),
        Some(_) => {}
    }
    if !jwt.text("sub").is_some_and(is_contact) {
        return Err(refused(
            "Invalid VAPID token: sub must be mailto: or https:",
        ));
    }
    Ok(())
}

/// A value of `t=…, k=…`, in any order (RFC 8292, section 3).
fn parameter<'a>(list: &'a str, wanted: &str) -> Option<&'a str> {
    list.split(',')
        .filter_map(|part| part.trim().split_once('='))
        .find(|(name, _)| *name == wanted)
        .map(|(_, value)| value)
}

/// Apple refuses blanks, brackets and hosts that nobody can write to; autopush looks at none of it.
fn is_contact(sub: &str) -> bool {
    let address = sub
        .strip_prefix("mailto:")
        .filter(|address| address.contains('@'));
    let unroutable = sub.ends_with("@localhost") || sub.ends_with(".invalid");
    let plain = !sub.contains([' ', '<', '>']);
    plain && !unroutable && (address.is_some() || sub.starts_with("https://"))
}

fn refused(message: &str) -> Refusal {
    (401, Some(109), message.to_owned())
}
