//! `[app.identity]`: the app's own identity provider.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use toml::Spanned;
use url::Url;

use super::{
    apps::CaPem,
    files::{self, file},
    jwk::SigningKey,
    raw,
    reader::{Reader, needs},
    value::{Shown, key_set_url, list, text},
};
use crate::model::Secret;

/// Which claim names the user where the config does not say.
const USER_CLAIM: &str = "sub";

/// The app's own identity provider, whose tokens (JWT, RFC 7519) speak for its users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// What `iss` says.
    pub issuer: String,
    /// What `aud` says, or has among others.
    pub audience: String,
    /// The keys that tokens are signed with.
    pub keys: KeySource,
    /// The claim that names the user.
    pub user_claim: String,
    /// How tokens may be signed.
    pub algorithms: Vec<SigningAlgorithm>,
}

/// Where the provider's keys (JWK Set, RFC 7517) are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// In a file: the keys that are in it.
    File(Vec<Json>),
    /// At the provider.
    Url {
        /// An https URL.
        url: Url,
        /// Certificates to trust beside the usual ones.
        ca: Option<CaPem>,
    },
}

/// How a token is signed (RFC 7518, section 3.1; RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl SigningAlgorithm {
    /// All that there are.
    pub const ALL: [Self; 4] = [Self::Rs256, Self::Ps256, Self::Es256, Self::EdDsa];

    /// The name in `alg`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// Reads `[app.identity]`; nothing where it has a fault.
pub(super) fn identity(reader: &mut Reader<'_>, raw: Spanned<raw::Identity>) -> Option<Identity> {
    let section_at = raw.span().start;
    let need = needs(&raw);
    let raw = raw.into_inner();
    let issuer = need(
        "app.identity.issuer",
        r#"what your provider's tokens have in iss, for instance "https://id.example.com""#,
    );
    let issuer = reader.required(issuer, raw.issuer, filled);
    let audience = need(
        "app.identity.audience",
        r#"what they have in aud, or another app's tokens would be good here, for instance "todo""#,
    );
    let audience = reader.required(audience, raw.audience, filled);
    let (file_at, url_at) = (at(raw.jwks_file.as_ref()), at(raw.jwks_url.as_ref()));
    match (file_at, url_at) {
        (Some(_), Some(at)) => reader.fault(
            at,
            "app.identity.jwks_url",
            "does not go with jwks_file; leave one of them out",
        ),
        (None, None) => reader.fault(
            section_at,
            "app.identity.jwks_url",
            r#"is missing; write where the provider's keys are, for instance "https://id.example.com/jwks", or jwks_file"#,
        ),
        _ => {}
    }
    let folder = reader.folder();
    let kept = file(folder, keys);
    let kept = reader.optional("app.identity.jwks_file", raw.jwks_file, kept);
    let url = reader.optional("app.identity.jwks_url", raw.jwks_url, key_set_url);
    let ca_at = at(raw.ca_file.as_ref());
    let ca = file(folder, files::roots);
    let ca = reader.optional("app.identity.ca_file", raw.ca_file, ca);
    if let (Some(at), None) = (ca_at, url_at) {
        reader.fault(at, "app.identity.ca_file", "goes with jwks_url alone");
    }
    let claim = reader.optional("app.identity.user_claim", raw.user_claim, filled);
    let algorithms_at = at(raw.algorithms.as_ref());
    let algorithms = reader.optional("app.identity.algorithms", raw.algorithms, list(algorithm));
    if let (Some(at), Some([])) = (algorithms_at, algorithms.as_deref()) {
        let reason = "names none; leave it out for all of RS256, PS256, ES256, EdDSA";
        reader.fault(at, "app.identity.algorithms", reason);
    }
    let keys = match (kept, url) {
        (Some(keys), _) => Some(KeySource::File(keys)),
        (None, Some(url)) => Some(KeySource::Url { url, ca }),
        (None, None) => None,
    };
    Some(Identity {
        issuer: issuer?,
        audience: audience?,
        keys: keys?,
        user_claim: claim.unwrap_or_else(|| USER_CLAIM.to_owned()),
        algorithms: algorithms.unwrap_or_else(|| SigningAlgorithm::ALL.to_vec()),
    })
}

fn at(leaf: Option<&Spanned<toml::Value>>) -> Option<usize> {
    leaf.map(|leaf| leaf.span().start)
}

fn filled(value: &toml::Value) -> Result<String, String> {
    match text(value)? {
        empty if empty.trim().is_empty() => Err(String::from("is empty")),
        text => Ok(text),
    }
}

fn algorithm(value: &toml::Value) -> Result<SigningAlgorithm, String> {
    let name = text(value)?;
    let all = SigningAlgorithm::ALL.into_iter();
    all.clone().find(|it| it.as_str() == name).ok_or_else(|| {
        let known: Vec<_> = all.map(SigningAlgorithm::as_str).collect();
        format!(
            "{} is none that is taken; write some of {}",
            Shown(value),
            known.join(", ")
        )
    })
}

/// The keys of a JWK Set. One at least is of use; the others may be for something else.
fn keys(content: Secret<Vec<u8>>) -> Result<Vec<Json>, String> {
    let set: BTreeMap<String, Json> = serde_json::from_slice(content.expose())
        .map_err(|error| format!("is no JSON object: {error}"))?;
    match set.get("keys") {
        Some(Json::Array(keys)) if keys.iter().any(|it| SigningKey::read(it).is_some()) => {
            Ok(keys.clone())
        }
        Some(Json::Array(keys)) if !keys.is_empty() => Err(String::from(
            "has no public key for RS256, PS256 (2048 bits at least), ES256 or EdDSA; write the set that your provider shows as jwks_uri",
        )),
        _ => Err(String::from(
            r#"is no JWK Set; it has no {"keys": […]} with a key in it"#,
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;
    use tempfile::TempDir;

    use crate::config;

    /// What is wrong with apps that have these sections; their files are a JWK Set and one without keys.
    fn fault(sections: &[&str]) -> Option<String> {
        let folder = TempDir::new().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let point = "A".repeat(43);
        let key = json!({"kty": "EC", "crv": "P-256", "x": point, "y": point});
        write(
            "jwks.json",
            &json!({"keys": [{"kty": "EC"}, key]}).to_string(),
        );
        let weak = json!({"kty": "RSA", "n": "A".repeat(171), "e": "AQAB"});
        let secret = json!({"kty": "oct", "k": "c2VjcmV0"});
        write("weak.json", &json!({"keys": [weak, secret]}).to_string());
        write("none.json", r#"{"keys":[]}"#);
        let apps = sections.iter().enumerate();
        let apps =
            apps.map(|(nth, text)| format!("[[app]]\nhost = \"a{nth}\"\n[app.identity]\n{text}\n"));
        write("config.toml", &apps.collect::<String>());
        let file = folder.path().join("config.toml");
        let loaded = config::load(Some(&file), std::iter::empty());
        loaded.err().map(|error| error.to_string())
    }

    const NAMES: &str = "issuer = \"https://id.example.com\"\naudience = \"todo\"\n";

    #[test]
    fn each_fault_says_what_to_write_instead() {
        let check = |settings: &str, expected: &str| {
            let found = fault(&[settings]).expect(settings);
            assert!(found.contains(expected), "{settings}: {found}");
        };
        let with = |more: &str| format!("{NAMES}{more}");
        check(
            "issuer = \"i\"\njwks_file = \"jwks.json\"",
            "config.toml:3: app.identity.audience: is missing; write what they have in aud",
        );
        check(
            "audience = \"a\"\njwks_file = \"jwks.json\"",
            "app.identity.issuer: is missing",
        );
        check(
            &with(""),
            "app.identity.jwks_url: is missing; write where the provider's keys are",
        );
        check(
            &with("jwks_file = \"jwks.json\"\njwks_url = \"https://i\""),
            "app.identity.jwks_url: does not go with jwks_file",
        );
        check(
            &with("jwks_url = \"http://id.example.com/jwks\""),
            "config.toml:6: app.identity.jwks_url: does not begin with https:// and a host; write for instance \"https://id.example.com/jwks\"",
        );
        check(&with("jwks_file = \"none.json\""), "is no JWK Set");
        let weak = fault(&[&with("jwks_file = \"weak.json\"")]).unwrap();
        let (at, why) = (
            "config.toml:6: app.identity.jwks_file: ",
            "has no public key for RS256, PS256 (2048 bits",
        );
        assert!(weak.contains(at) && weak.contains(why), "{weak}");
        check(
            &with("jwks_file = \"gone.json\""),
            "gone.json cannot be read",
        );
        check(
            &with("jwks_file = \"jwks.json\"\nca_file = \"x.pem\""),
            "app.identity.ca_file:",
        );
        check(
            &with("jwks_file = \"jwks.json\"\nalgorithms = [\"HS256\"]"),
            "\"HS256\" is none that is taken; write some of RS256, PS256, ES256, EdDSA",
        );
        check(
            &with("jwks_file = \"jwks.json\"\nalgorithms = []"),
            "app.identity.algorithms: names none",
        );
        check(
            &with("jwks_file = \"jwks.json\"\nuser_claim = \"\""),
            "app.identity.user_claim: is empty",
        );
    }

    #[test]
    fn a_token_is_for_one_app() {
        let good = format!("{NAMES}jwks_file = \"jwks.json\"");
        assert_eq!(fault(&[&good]), None);
        let found = fault(&[&good, &good]).unwrap();
        assert!(
            found.contains("app.identity.audience: and issuer are those of a0"),
            "{found}"
        );
        let other = good.replace("todo", "mail");
        assert_eq!(fault(&[&good, &other]), None);
    }
}
