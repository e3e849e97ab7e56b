//! The token endpoint's check of an assertion (RFC 7523; Google: "Using OAuth 2.0 for server to server applications").

use hyper::StatusCode;
use serde_json::Value;

use super::super::exchange::{Answer, Request};
use super::super::folder::GOOGLE_TOKEN_URI;
use super::super::jwt::Jwt;
use super::super::state::State;
use super::super::token;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const SCOPES: [&str; 2] = [
    "https://www.googleapis.com/auth/firebase.messaging",
    "https://www.googleapis.com/auth/cloud-platform",
];
const MAX_LIFE_SECS: i64 = 3600;
const MAX_CLOCK_SKEW_SECS: i64 = 60;

/// Why a request for a token is refused; `None` if it is not.
pub(super) fn check(state: &State, request: &Request) -> Option<Answer> {
    if let Some(refusal) = token::check_form(request) {
        return Some(refusal);
    }
    let form = request.form();
    let refuse =
        |error: &str, text: &str| Some(token::refusal(StatusCode::BAD_REQUEST, error, text));
    if form.get("grant_type").map(String::as_str) != Some(GRANT_TYPE) {
        return refuse("unsupported_grant_type", "Invalid grant_type");
    }
    let Some(assertion) = form.get("assertion").and_then(|text| Jwt::parse(text)) else {
        return refuse("invalid_grant", "Bad Request: the assertion is no JWT");
    };
    if let Some(text) = fault_of(state, &assertion) {
        return refuse("invalid_grant", text);
    }
    let scope = assertion.text("scope").unwrap_or_default();
    if !scope.split(' ').any(|one| SCOPES.contains(&one)) {
        return refuse(
            "invalid_scope",
            "Invalid OAuth scope or ID token audience provided.",
        );
    }
    None
}

fn fault_of(state: &State, assertion: &Jwt<'_>) -> Option<&'static str> {
    let account = &state.folder.service_account;
    let kid = assertion.header.get("kid");
    let known = kid.is_none_or(|kid| kid.as_str() == Some(account.private_key_id.as_str()));
    if assertion.alg() != "RS256" || !known || !assertion.is_rs256_of(&account.public_key) {
        return Some("Invalid JWT Signature.");
    }
    if assertion.text("iss") != Some(account.client_email.as_str()) {
        return Some("Invalid grant: account not found");
    }
    if assertion.claims.get("aud").and_then(Value::as_str) != Some(GOOGLE_TOKEN_URI) {
        return Some(
            "Invalid JWT: Failed audience check. The right audience is the account's token_uri",
        );
    }
    let now = state.clock.now_secs();
    let times = assertion.seconds("iat").zip(assertion.seconds("exp"));
    let fresh = times.is_some_and(|(iat, exp)| {
        iat <= now + MAX_CLOCK_SKEW_SECS && exp > now && exp.saturating_sub(iat) <= MAX_LIFE_SECS
    });
    if fresh {
        return None;
    }
    Some(
        "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.",
    )
}
