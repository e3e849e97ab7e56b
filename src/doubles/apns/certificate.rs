//! Certificates by which a sender proves to Apple who it is, in place of a token (Apple: "Establishing a certificate-based
//! connection to APNs"): made here as the developer site makes them, and known again when one is shown.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};

use super::super::error::Error;
use super::super::folder;
use super::super::state::State;
use super::{Refusal, TOPIC};

/// The certificate for the app's own topic, made at the first start.
pub(crate) const FILE: &str = "apns-certificate.pem";

const MADE: &str = "an APNs client certificate";
/// The topics of a certificate, where it has several.
const TOPICS_OID: [u64; 8] = [1, 2, 840, 113_635, 100, 6, 3, 6];
/// `UID` of RFC 4519, section 2.39: the base topic.
const UID_OID: [u64; 7] = [0, 9, 2342, 19_200_300, 100, 1, 1];
const SEQUENCE: u8 = 0x30;
const UTF8_STRING: u8 = 0x0C;

/// What a certificate is asked for with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewCertificate {
    /// The topics that it is for, the first being its base topic. One that has several names the topic of each push.
    pub topics: Vec<String>,
    /// Whether it is for Apple's sandbox, which the double is not.
    #[serde(default)]
    pub sandbox: bool,
    /// When it ends, in seconds since 1970. Absent: in no time that matters.
    #[serde(default)]
    pub ends_at_secs: Option<u64>,
}

impl NewCertificate {
    /// One for these topics.
    #[must_use]
    pub fn of(topics: &[&str]) -> Self {
        Self {
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            sandbox: false,
            ends_at_secs: None,
        }
    }
}

/// A certificate as its sender gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// PEM file of the certificate and its key.
    pub file: PathBuf,
}

/// What is known of a certificate that was made here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Issued {
    /// The SHA-256 of it, in hex.
    id: String,
    /// What it may push to.
    pub(super) topics: Vec<String>,
    sandbox: bool,
    revoked: bool,
}

/// All certificates, and the authority that vouches for them to the double and to nobody else.
#[derive(Debug)]
pub(crate) struct Certificates {
    folder: PathBuf,
    issued: Mutex<Vec<Issued>>,
}

impl Certificates {
    /// Reads what is known, and makes authority and first certificate if they are not there.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Damaged`], [`Error::Key`].
    pub(crate) fn open(folder: PathBuf) -> Result<Self, Error> {
        let certificates = Self {
            issued: Mutex::default(),
            folder,
        };
        let (known, authority) = (certificates.known_file(), certificates.authority_file());
        if !authority.exists() || !known.exists() {
            certificates.found()?;
        }
        if known.exists() {
            let text = folder::read(&known)?;
            *certificates.all() =
                serde_json::from_str(&text).map_err(|error| Error::damaged(&known, error))?;
        }
        if !certificates.folder.join(FILE).exists() {
            certificates.issue_into(FILE.into(), &NewCertificate::of(&[TOPIC]))?;
        }
        Ok(certificates)
    }

    /// Makes a certificate in a file of its own.
    ///
    /// # Errors
    /// [`Error::Topics`], [`Error::File`], [`Error::Key`].
    pub(crate) fn issue(&self, wanted: &NewCertificate) -> Result<Certificate, Error> {
        if wanted.topics.is_empty() {
            return Err(Error::Topics);
        }
        let name = format!("apns-certificate-{}.pem", super::super::random::hex(8)?);
        self.issue_into(name, wanted)
    }

    /// Takes all certificates back.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(crate) fn revoke(&self) -> Result<(), Error> {
        let mut all = self.all();
        all.iter_mut().for_each(|issued| issued.revoked = true);
        self.save(&all)
    }

    /// Who looks at a sender's certificate in the handshake. None need be shown: there are tokens.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Damaged`], [`Error::Key`].
    pub(crate) fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, Error> {
        let file = self.authority_file();
        let pem = fs::read(&file).map_err(Error::file(&file))?;
        let authority =
            CertificateDer::from_pem_slice(&pem).map_err(|error| Error::damaged(&file, error))?;
        let mut roots = RootCertStore::empty();
        roots
            .add(authority)
            .map_err(|error| Error::damaged(&file, error))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .allow_unauthenticated()
            .build()
            .map_err(|error| Error::damaged(&file, error))
    }

    fn issue_into(&self, name: String, wanted: &NewCertificate) -> Result<Certificate, Error> {
        let key = folder::read(&self.folder.join("apns-authority.key"))?;
        let (der, pem) = sign(&key, wanted).map_err(Error::key(MADE))?;
        let file = self.folder.join(name);
        folder::write(&file, pem.as_bytes())?;
        let mut all = self.all();
        all.push(Issued {
            id: fingerprint(&der),
            topics: wanted.topics.clone(),
            sandbox: wanted.sandbox,
            revoked: false,
        });
        self.save(&all)?;
        Ok(Certificate { file })
    }

    /// Makes the authority anew; what an earlier one signed is worth nothing, and goes.
    fn found(&self) -> Result<(), Error> {
        let first = self.folder.join(FILE);
        if first.exists() {
            fs::remove_file(&first).map_err(Error::file(&first))?;
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(Error::key(MADE))?;
        let signed = authority().and_then(|authority| authority.self_signed(&key));
        let pem = signed.map_err(Error::key(MADE))?.pem();
        let key_file = self.folder.join("apns-authority.key");
        folder::write(&key_file, key.serialize_pem().as_bytes())?;
        folder::write(&self.authority_file(), pem.as_bytes())?;
        self.save(&[])
    }

    fn find(&self, id: &str) -> Option<Issued> {
        self.all().iter().find(|issued| issued.id == id).cloned()
    }

    fn all(&self) -> MutexGuard<'_, Vec<Issued>> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self, all: &[Issued]) -> Result<(), Error> {
        let file = self.known_file();
        let text = serde_json::to_vec(all).map_err(|error| Error::damaged(&file, error))?;
        folder::write(&file, &text)
    }

    fn authority_file(&self) -> PathBuf {
        self.folder.join("apns-authority.pem")
    }

    fn known_file(&self) -> PathBuf {
        self.folder.join("apns-certificates.json")
    }
}

/// Checks the certificate that was shown at the handshake, which vouched for no more than that it was made here.
pub(super) fn check(state: &State, shown: &str) -> Result<Issued, Refusal> {
    let bad = |reason: &'static str, why: &str| Err((403, reason, why.to_owned()));
    match state.certificates.find(shown) {
        Some(issued) if issued.revoked => bad("BadCertificate", "the certificate was revoked"),
        Some(issued) if issued.sandbox => bad(
            "BadCertificateEnvironment",
            "the certificate is for the sandbox",
        ),
        Some(issued) => Ok(issued),
        None => bad("BadCertificate", "the certificate was not made here"),
    }
}

/// By what a certificate is known again.
pub(crate) fn fingerprint(der: &[u8]) -> String {
    let digest = digest(&SHA256, der);
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn authority() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params
        .distinguished_name
        .push(DnType::CommonName, "Beckon doubles developer authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// The certificate in DER, and it with its key in PEM.
fn sign(authority_key: &str, wanted: &NewCertificate) -> Result<(Vec<u8>, String), rcgen::Error> {
    let issuer = Issuer::new(authority()?, KeyPair::from_pem(authority_key)?);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let base = wanted.topics.first().cloned().unwrap_or_default();
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    let name = &mut params.distinguished_name;
    name.push(DnType::CommonName, format!("Apple Push Services: {base}"));
    name.push(DnType::CustomDnType(UID_OID.to_vec()), base);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    if wanted.topics.len() > 1 {
        let topics = CustomExtension::from_oid_content(&TOPICS_OID, listed(&wanted.topics));
        params.custom_extensions = vec![topics];
    }
    if let Some(secs) = wanted.ends_at_secs {
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(secs);
    }
    let certificate = params.signed_by(&key, &issuer)?;
    let pem = certificate.pem() + &key.serialize_pem();
    Ok((certificate.der().to_vec(), pem))
}

/// Apple's list of topics: after each what kinds it is of, which nobody reads here.
fn listed(topics: &[String]) -> Vec<u8> {
    let topics = topics.iter().flat_map(|topic| {
        let kind = element(SEQUENCE, element(UTF8_STRING, b"app".to_vec()));
        [element(UTF8_STRING, topic.clone().into_bytes()), kind].concat()
    });
    element(SEQUENCE, topics.collect())
}

/// An element of DER (X.690, section 8.1).
fn element(tag: u8, content: Vec<u8>) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let digits: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut whole = vec![tag];
    match digits.as_slice() {
        [] => whole.push(0),
        [short] if *short < 0x80 => whole.push(*short),
        // No more than eight digits fit a length.
        long => {
            whole.push(0x80 | u8::try_from(long.len()).unwrap_or(0));
            whole.extend(long);
        }
    }
    whole.extend(content);
    whole
}
