//! The files that an app's section names: each is read and looked at once, so that a wrong one stops the start and
//! not the first push.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RsaKeyPair};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject};
use serde::Deserialize;
use toml::Value;
use url::Url;

use super::{apps::CaPem, value};
use crate::model::Secret;

/// More than any key, and enough for every public root of trust.
const MAX_BYTES: u64 = 1 << 20;

/// Reads the file that a value names, relative to `folder`, and looks at what it holds.
///
/// The answer is what `look` made of it, or what to do about it, with the path.
pub(super) fn file<T>(
    folder: &Path,
    look: impl Fn(Secret<Vec<u8>>) -> Result<T, String>,
) -> impl Fn(&Value) -> Result<T, String> {
    move |value| {
        let name = value::text(value)?;
        // Shown as a path below; a key that was pasted in its stead must not be.
        if name.contains("-----") || name.contains(['\n', '{']) {
            return Err("holds the text of a file; write the path of the file".into());
        }
        let path = folder.join(name);
        let content = contents(&path).map_err(|error| {
            let path = path.display();
            format!(
                "{path} cannot be read ({error}); write the path of a file that the hub may read, \
                 relative to the config's folder"
            )
        })?;
        look(Secret::new(content)).map_err(|reason| format!("{} {reason}", path.display()))
    }
}

fn contents(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut content)?;
    if content.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(content)
}

/// A private key on P-256, as Apple gives it (`.p8`) and as openssl writes it.
pub(super) fn p256_key(pem: Secret<Vec<u8>>) -> Result<Secret<Vec<u8>>, String> {
    let good = PrivatePkcs8KeyDer::from_pem_slice(pem.expose()).is_ok_and(|der| {
        let der = der.secret_pkcs8_der();
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).is_ok()
    });
    good.then_some(pem).ok_or_else(|| {
        "is not an EC P-256 key in PEM that begins with -----BEGIN PRIVATE KEY-----; take Apple's .p8 as it is, \
         or convert another with: openssl pkcs8 -topk8 -nocrypt"
            .into()
    })
}

/// Certificates in PEM: at least one.
pub(super) fn roots(pem: Secret<Vec<u8>>) -> Result<CaPem, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.expose()).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(Arc::new(pem.expose().clone())),
        _ => Err("is not a certificate in PEM that begins with -----BEGIN CERTIFICATE-----".into()),
    }
}

/// A secret on a line of its own; blanks around it, such as the editor's last line end, are not part of it.
pub(super) fn line(content: Secret<Vec<u8>>) -> Result<Secret<String>, String> {
    let text = str::from_utf8(content.expose()).unwrap_or_default().trim();
    if text.is_empty() || text.contains(char::is_control) {
        return Err(
            "does not hold one line of text; write the client secret into it and nothing else"
                .into(),
        );
    }
    Ok(Secret::new(text.to_owned()))
}

/// What the hub needs of a Google service account's file.
#[derive(Debug)]
pub(super) struct ServiceAccount {
    pub(super) project_id: String,
    pub(super) client_email: String,
    pub(super) private_key: Secret<Vec<u8>>,
    pub(super) private_key_id: String,
    pub(super) token_uri: String,
}

#[derive(Deserialize)]
struct ServiceAccountFile {
    project_id: Option<String>,
    client_email: Option<String>,
    private_key: Option<String>,
    private_key_id: Option<String>,
    token_uri: Option<String>,
}

/// A service account's JSON, as the Google Cloud or Firebase console gives it.
pub(super) fn service_account(json: Secret<Vec<u8>>) -> Result<ServiceAccount, String> {
    // The parser's own words may show a value, so only its place is taken from it.
    let file: ServiceAccountFile = serde_json::from_slice(json.expose()).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!(
            "is not a service account's JSON (line {line}, column {column}); \
             take the file as the Firebase console gives it"
        )
    })?;
    let private_key = Secret::new(file.private_key.unwrap_or_default().into_bytes());
    let there = |name: &str, value: Option<String>| {
        value.filter(|text| !text.is_empty()).ok_or_else(|| {
            format!("has no {name}; take a service account's key from the Firebase console (not google-services.json)")
        })
    };
    let account = ServiceAccount {
        project_id: there("project_id", file.project_id)?,
        client_email: there("client_email", file.client_email)?,
        private_key,
        private_key_id: there("private_key_id", file.private_key_id)?,
        token_uri: there("token_uri", file.token_uri)?,
    };
    if !is_rsa_key(account.private_key.expose()) {
        return Err("has no RSA key in PEM as its private_key; take the file as the Firebase console gives it".into());
    }
    Ok(account)
}

fn is_rsa_key(pem: &[u8]) -> bool {
    PrivatePkcs8KeyDer::from_pem_slice(pem)
        .is_ok_and(|der| RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).is_ok())
}

/// Whether the assertion for a token may go to `token_uri` as it stands: to Google and nobody else.
pub(super) fn is_google(token_uri: &str) -> bool {
    Url::parse(token_uri).is_ok_and(|url| {
        let at_google = url
            .host_str()
            .is_some_and(|host| host.ends_with(".googleapis.com"));
        at_google && url.scheme() == "https" && url.port().is_none() && url.username().is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assertions_go_to_google_alone() {
        let check = |input: &str, expected: bool| assert_eq!(is_google(input), expected, "{input}");
        check("https://oauth2.googleapis.com/token", true);
        check("http://oauth2.googleapis.com/token", false);
        check("https://oauth2.googleapis.com.example.net/token", false);
        check("https://xgoogleapis.com/token", false);
        check("https://oauth2.googleapis.com:8443/token", false);
        check("https://oauth2.googleapis.com@example.net/token", false);
        check("token", false);
    }

    #[test]
    fn a_secret_is_one_line() {
        let check = |input: &[u8], expected: Option<&str>| {
            let read = line(Secret::new(input.to_vec())).ok();
            assert_eq!(
                read.as_ref().map(|secret| secret.expose().as_str()),
                expected
            );
        };
        check(b"s3cret~value\n", Some("s3cret~value"));
        check(b"  s3cret  \r\n\n", Some("s3cret"));
        check(b"", None);
        check(b"\n", None);
        check(b"one\ntwo", None);
        check(b"\xff\xfe", None);
    }

    #[test]
    fn a_bad_service_account_is_not_shown() {
        for input in [
            r#"{"private_key": ["hunter2"]}"#,
            r#"{"private_key": "hunter2"}"#,
            "hunter2",
        ] {
            let reason = service_account(Secret::new(input.into())).unwrap_err();
            assert!(!reason.contains("hunter2"), "{reason}");
        }
    }
}
