//! Voluntary application server identification for Web Push (RFC 8292): the app's key and the tokens signed with it.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde::Serialize;
use url::Url;

use crate::model::{Secret, Timestamp};

/// How long a token is good for: at most 24 h are allowed (RFC 8292, section 2).
const TOKEN_LIFE: Duration = Duration::from_secs(12 * 3600);

/// How long a token is used before a new one is signed: services ask not to see new ones all the time.
const TOKEN_USE: Duration = Duration::from_secs(6 * 3600);

/// How many tokens are kept; one more, and all are signed anew when next needed.
const MAX_TOKENS: usize = 1024;

/// An app's key pair, EC P-256. Subscriptions are bound to it for life (RFC 8292, section 4). Cheap to clone.
#[derive(Clone)]
pub struct VapidKey {
    signing: EncodingKey,
    public: [u8; 65],
}

impl VapidKey {
    /// Makes a new key pair: PKCS#8, DER, to be kept by the caller.
    ///
    /// # Errors
    /// When there are no random numbers.
    pub fn generate() -> Result<Secret<Vec<u8>>, String> {
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map(|pkcs8| Secret::new(pkcs8.as_ref().to_vec()))
            .map_err(|_| String::from("no VAPID key can be made: no random numbers"))
    }

    /// Reads a key pair in PKCS#8, DER.
    ///
    /// # Errors
    /// A sentence that says what a good key is.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, String> {
        let bad = || String::from("key is not an EC key on P-256 in PKCS#8");
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map_err(|_| bad())?;
        Ok(Self {
            signing: EncodingKey::from_ec_der(der),
            public: pair.public_key().as_ref().try_into().map_err(|_| bad())?,
        })
    }

    /// Reads a key pair in PKCS#8, PEM (`BEGIN PRIVATE KEY`).
    ///
    /// # Errors
    /// A sentence that says what a good key is.
    pub fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem)
            .map_err(|e| format!("key is not PEM with a PRIVATE KEY (PKCS#8): {e}"))?;
        Self::from_pkcs8(der.secret_pkcs8_der())
    }

    /// The public key: an uncompressed point.
    pub fn public_key(&self) -> [u8; 65] {
        self.public
    }

    /// The public key as browsers want it (`applicationServerKey`) and as `k` carries it: base64url, 87 characters.
    pub fn public_key_base64url(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.public)
    }

    fn sign(&self, origin: &str, subject: &str, now: Timestamp) -> Result<String, String> {
        let claims = Claims {
            aud: origin,
            exp: now.plus(TOKEN_LIFE).as_secs(),
            sub: subject,
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &self.signing);
        token.map_err(|e| format!("no VAPID token can be signed: {e}"))
    }
}

impl fmt::Debug for VapidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VapidKey({})", self.public_key_base64url())
    }
}

/// RFC 8292, sections 2 and 2.1.
#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    exp: u64,
    sub: &'a str,
}

/// The value of `Authorization` for one origin, as used by one request.
#[derive(Clone)]
pub(super) struct Credential {
    pub(super) header: Arc<Secret<String>>,
    signed: Timestamp,
    /// Whether the origin refused it.
    spent: bool,
    /// Whether the origin ever took a push that was signed with this key.
    pub(super) proven: bool,
}

/// The tokens in use, by origin and public key.
#[derive(Default)]
pub(super) struct Credentials(Mutex<HashMap<(String, [u8; 65]), Credential>>);

impl Credentials {
    /// The credential of `key` for `origin`: the one in use, or a new one.
    pub(super) fn get(
        &self,
        key: &VapidKey,
        origin: &str,
        subject: &str,
        now: Timestamp,
    ) -> Result<Credential, String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (origin.to_owned(), key.public);
        let old = known.get(&name);
        if let Some(old) = old
            && !old.spent
            && old.signed <= now
            && now.since(old.signed) < TOKEN_USE
        {
            return Ok(old.clone());
        }
        let token = key.sign(origin, subject, now)?;
        let header = format!("vapid t={token}, k={}", key.public_key_base64url());
        let credential = Credential {
            header: Arc::new(Secret::new(header)),
            signed: now,
            spent: false,
            proven: old.is_some_and(|old| old.proven),
        };
        if known.len() >= MAX_TOKENS {
            known.clear();
        }
        known.insert(name, credential.clone());
        Ok(credential)
    }

    /// Has a new token signed next time, unless a newer one than `spent` is already there.
    pub(super) fn discard(&self, key: &VapidKey, origin: &str, spent: &Credential) {
        self.with(key, origin, |held| {
            held.spent |= Arc::ptr_eq(&held.header, &spent.header);
        });
    }

    /// Notes that `origin` took a push that was signed with `key`.
    pub(super) fn prove(&self, key: &VapidKey, origin: &str) {
        self.with(key, origin, |held| held.proven = true);
    }

    fn with(&self, key: &VapidKey, origin: &str, change: impl FnOnce(&mut Credential)) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = known.get_mut(&(origin.to_owned(), key.public)) {
            change(held);
        }
    }
}

/// The origin of a URL as `aud` wants it: no slash, and a port only where it is not 443 (RFC 6454, section 6.2).
pub(super) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use serde_json::{Value, json};

    use super::*;

    fn part(text: &str) -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
    }

    /// Takes `vapid t=…, k=…` apart and verifies the signature; gives header and claims.
    fn verified(header: &str) -> (Value, Value) {
        let (token, key) = header
            .strip_prefix("vapid t=")
            .and_then(|rest| rest.split_once(", k="))
            .unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert_eq!(signature.len(), 64);
        let key = URL_SAFE_NO_PAD.decode(key).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
            .verify(signed.as_bytes(), &signature)
            .unwrap();
        let (head, claims) = signed.split_once('.').unwrap();
        (part(head), part(claims))
    }

    /// RFC 8292, section 2.4: what verifies the RFC's own example must verify ours, and both have the same form.
    #[test]
    fn the_form_of_rfc_8292() {
        let (head, claims) = verified(concat!(
            "vapid t=eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3",
            "B1c2guZXhhbXBsZS5uZXQiLCJleHAiOjE0NTM1MjM3NjgsInN1YiI6Im1ha",
            "Wx0bzpwdXNoQGV4YW1wbGUuY29tIn0.i3CYb7t4xfxCDquptFOepC9GAu_H",
            "LGkMlMuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjjvW2L9OkSSHzvoD1oA, ",
            "k=BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dR",
            "uU_RCPCfA5aq9ojSwk5Y2EmClBPs",
        ));
        let now = Timestamp::from_millis(1_453_480_568_000);
        let key = VapidKey::from_pkcs8(VapidKey::generate().unwrap().expose()).unwrap();
        let ours = Credentials::default()
            .get(
                &key,
                "https://push.example.net",
                "mailto:push@example.com",
                now,
            )
            .unwrap();
        let (our_head, our_claims) = verified(ours.header.expose());
        assert_eq!(our_head, head);
        assert_eq!(
            claims,
            json!({"aud": "https://push.example.net", "exp": 1_453_523_768, "sub": "mailto:push@example.com"})
        );
        assert_eq!(our_claims, claims);
    }

    #[test]
    fn one_token_an_origin_and_key_for_six_hours() {
        let [a, b] =
            [(); 2].map(|()| VapidKey::from_pkcs8(VapidKey::generate().unwrap().expose()).unwrap());
        let credentials = Credentials::default();
        let start = Timestamp::from_millis(1_000_000);
        let get = |key: &VapidKey, origin: &str, secs: u64| {
            let now = start.plus(Duration::from_secs(secs));
            credentials.get(key, origin, "mailto:a@b.ch", now).unwrap()
        };
        let same = |x: &Credential, y: &Credential| Arc::ptr_eq(&x.header, &y.header);

        let first = get(&a, "https://x", 0);
        assert!(same(&first, &get(&a, "https://x", 6 * 3600 - 1)));
        assert!(!same(&first, &get(&a, "https://y", 0)));
        assert!(!same(&first, &get(&b, "https://x", 0)));
        credentials.prove(&a, "https://x");
        let second = get(&a, "https://x", 6 * 3600);
        assert!(!same(&first, &second));
        assert!(second.proven);

        credentials.discard(&a, "https://x", &first);
        assert!(
            same(&second, &get(&a, "https://x", 6 * 3600)),
            "a newer one stays"
        );
        credentials.discard(&a, "https://x", &second);
        let third = get(&a, "https://x", 6 * 3600);
        assert!(!same(&second, &third) && third.proven);
    }

    #[test]
    fn keys_are_read_in_both_forms() {
        let der = VapidKey::generate().unwrap();
        let key = VapidKey::from_pkcs8(der.expose()).unwrap();
        assert_eq!(key.public_key_base64url().len(), 87);
        assert_eq!(key.public_key()[0], 4);
        let text = base64::engine::general_purpose::STANDARD.encode(der.expose());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
        let same = VapidKey::from_pem(pem.as_bytes()).unwrap();
        assert_eq!(same.public_key(), key.public_key());
        assert!(VapidKey::from_pem(b"no").unwrap_err().starts_with("key"));
        assert!(VapidKey::from_pkcs8(&[]).is_err());
    }

    #[test]
    fn origins() {
        let check = |url: &str, expected: &str| {
            assert_eq!(origin(&Url::parse(url).unwrap()), expected);
        };
        check("https://push.example.net/a/b?c", "https://push.example.net");
        check("https://push.example.net:443/a", "https://push.example.net");
        check("https://127.0.0.1:9443/a", "https://127.0.0.1:9443");
    }
}
