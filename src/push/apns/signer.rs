//! The provider token: signed once and kept (Apple, "Establishing a token-based connection to APNs").

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use crate::{
    egress::Credential,
    model::{Secret, Timestamp},
};

/// How long a token is used.
const TOKEN_LIFE: Duration = Duration::from_secs(50 * 60);

/// How long Apple wants a token to be used at least.
const MIN_TOKEN_LIFE: Duration = Duration::from_secs(20 * 60);

/// By how much the clock may be set back without a new token being signed.
const CLOCK_STEP: Duration = Duration::from_secs(60);

/// Signs tokens and keeps the one in use.
pub(super) struct Signer {
    key: EncodingKey,
    key_id: String,
    team_id: String,
    tokens: Mutex<Tokens>,
}

/// The token in use.
#[derive(Default)]
struct Tokens {
    held: Option<Signed>,
    /// How many were signed so far.
    count: u64,
    /// When one that was not old was last replaced.
    replaced_early: Option<Timestamp>,
}

struct Signed {
    number: u64,
    bearer: Secret<String>,
    at: Timestamp,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    iat: u64,
}

impl Signer {
    pub(super) fn new(key: &Secret<Vec<u8>>, key_id: &str, team_id: &str) -> Result<Self, String> {
        let key = EncodingKey::from_ec_pem(key.expose())
            .map_err(|e| format!("key_file is not a .p8 key of Apple (PEM, PKCS#8, P-256): {e}"))?;
        let signer = Self {
            key,
            key_id: key_id.to_owned(),
            team_id: team_id.to_owned(),
            tokens: Mutex::default(),
        };
        let tried = signer.sign(Timestamp::default());
        tried.map_err(|e| format!("key_file holds a key that cannot sign ES256: {e}"))?;
        Ok(signer)
    }

    /// The token in use; signs one only when there is none or it is about to be too old.
    pub(super) fn token(&self, now: Timestamp) -> Result<Credential, String> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signed) = &tokens.held
            && signed.at <= now.plus(CLOCK_STEP)
            && now.since(signed.at) < TOKEN_LIFE
        {
            return Ok(signed.credential(now));
        }
        let jwt = self.sign(now)?;
        tokens.count += 1;
        let signed = Signed {
            number: tokens.count,
            bearer: Secret::new(format!("bearer {jwt}")),
            at: now,
        };
        Ok(tokens.held.insert(signed).credential(now))
    }

    /// Gives the token of this number up, which Apple calls too old; says whether a new one may be had: one that is
    /// younger than 20 minutes is replaced once in that time.
    pub(super) fn discard(&self, number: u64, now: Timestamp) -> bool {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(held) = tokens.held.as_ref().filter(|held| held.number == number) else {
            // Another push was told so, too.
            return true;
        };
        if now.since(held.at) < MIN_TOKEN_LIFE {
            let recent = |at: &Timestamp| now.since(*at) < MIN_TOKEN_LIFE;
            if tokens.replaced_early.as_ref().is_some_and(recent) {
                return false;
            }
            tokens.replaced_early = Some(now);
        }
        tokens.held = None;
        true
    }

    /// ES256 with the raw 64-byte signature (RFC 7518, section 3.4) over `iss` and `iat`; no `exp`.
    fn sign(&self, now: Timestamp) -> Result<String, String> {
        let header = Header {
            typ: None,
            kid: Some(self.key_id.clone()),
            ..Header::new(Algorithm::ES256)
        };
        let claims = Claims {
            iss: &self.team_id,
            iat: now.as_secs(),
        };
        jsonwebtoken::encode(&header, &claims, &self.key).map_err(|e| e.to_string())
    }
}

impl Signed {
    fn credential(&self, now: Timestamp) -> Credential {
        Credential {
            number: self.number,
            value: self.bearer.expose().clone(),
            now: Duration::from_millis(now.as_millis()),
            kept_for: MIN_TOKEN_LIFE,
        }
    }
}
