//! The doubles' folder: keys, secrets and devices, made if absent and found again after a kill.
//!
//! A file is written beside its place and renamed into it, so that a kill leaves the old one or the new one. The folder is for its
//! owner alone. The authority's private key is thrown away after their certificates are signed: nothing else can ever be signed by it.

use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf, absolute};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, PublicKeyData as _, RsaKeySize,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;

use super::error::Error;

/// The token address in every service account file of Google's, and the `aud` of every assertion.
pub(crate) const GOOGLE_TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

/// The certificates that a fault shows in place of the doubles' own.
const EXPIRED: &str = "server-expired.pem";
const MISNAMED: &str = "server-misnamed.pem";
/// A name that the authority may vouch for and that nobody asks for.
const ANOTHER_NAME: &str = "elsewhere.localhost";

/// What lies in the folder, read.
#[derive(Debug)]
pub(crate) struct Folder {
    /// The folder.
    pub(crate) path: PathBuf,
    /// The doubles' certificate.
    pub(crate) certificate: CertificateDer<'static>,
    /// The same, which ended long ago.
    pub(crate) expired_certificate: CertificateDer<'static>,
    /// The same for another name.
    pub(crate) misnamed_certificate: CertificateDer<'static>,
    /// The key of all three.
    pub(crate) key: PrivateKeyDer<'static>,
    /// The public half of the APNs signing key, 65 bytes.
    pub(crate) apns_public_key: Vec<u8>,
    /// The FCM account.
    pub(crate) service_account: ServiceAccount,
    /// The client secret of the Entra application, for WNS.
    pub(crate) wns_secret: String,
    /// That of the Partner Center's app.
    pub(crate) wns_package_secret: String,
}

/// The parts of a service account file that the token endpoint checks an assertion against.
#[derive(Debug)]
pub(crate) struct ServiceAccount {
    /// Goes into `iss`.
    pub(crate) client_email: String,
    /// Goes into the JOSE header's `kid`.
    pub(crate) private_key_id: String,
    /// Stands in the path of the send method.
    pub(crate) project_id: String,
    /// RSA public key, the DER of RFC 8017.
    pub(crate) public_key: Vec<u8>,
}

impl Folder {
    /// Opens the folder and makes what is not there.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Damaged`] or [`Error::Key`].
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let path = &absolute(path).map_err(Error::file(path))?;
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(path).map_err(Error::file(path))?;
        let file = |name: &str| path.join(name);
        let made = [EXPIRED, MISNAMED, "server.pem", "server.key", "ca.pem"];
        if !made.iter().all(|name| file(name).exists()) {
            make_certificates(path)?;
        }
        if !file("AuthKey.p8").exists() {
            write(&file("AuthKey.p8"), ec_key()?.serialize_pem().as_bytes())?;
        }
        if !file("service-account.json").exists() {
            write(&file("service-account.json"), service_account()?.as_bytes())?;
        }
        for secret in ["wns-client-secret", "wns-package-secret"] {
            if !file(secret).exists() {
                write(&file(secret), super::random::token(30)?.as_bytes())?;
            }
        }
        let secret = |name: &str| read(&file(name)).map(|text| text.trim().to_owned());
        let pem = |name: &str| fs::read(file(name)).map_err(Error::file(file(name)));
        let certificate = |name: &str| {
            CertificateDer::from_pem_slice(&pem(name)?)
                .map_err(|error| Error::damaged(file(name), error))
        };
        Ok(Self {
            path: path.to_owned(),
            certificate: certificate("server.pem")?,
            expired_certificate: certificate(EXPIRED)?,
            misnamed_certificate: certificate(MISNAMED)?,
            key: PrivateKeyDer::from_pem_slice(&pem("server.key")?)
                .map_err(|error| Error::damaged(file("server.key"), error))?,
            apns_public_key: public_key(&read(&file("AuthKey.p8"))?)
                .map_err(|error| Error::damaged(file("AuthKey.p8"), error))?,
            service_account: ServiceAccount::read(&file("service-account.json"))?,
            wns_secret: secret("wns-client-secret")?,
            wns_package_secret: secret("wns-package-secret")?,
        })
    }
}

impl ServiceAccount {
    fn read(path: &Path) -> Result<Self, Error> {
        let account: serde_json::Value =
            serde_json::from_str(&read(path)?).map_err(|error| Error::damaged(path, error))?;
        let text = |name: &str| {
            account[name]
                .as_str()
                .map(str::to_owned)
                .ok_or_else(|| Error::damaged(path, format!("no {name}")))
        };
        Ok(Self {
            client_email: text("client_email")?,
            private_key_id: text("private_key_id")?,
            project_id: text("project_id")?,
            public_key: public_key(&text("private_key")?)
                .map_err(|error| Error::damaged(path, error))?,
        })
    }
}

/// Keeps other doubles out of the folder, since each would overwrite the other's devices. Ends with the file, or the process.
///
/// # Errors
/// [`Error::InUse`] if others are there, [`Error::File`].
pub(crate) fn lock(folder: &Path) -> Result<fs::File, Error> {
    let path = folder.join("lock");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(&path).map_err(Error::file(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Error::InUse(folder.to_owned())),
        Err(fs::TryLockError::Error(source)) => Err(Error::File { path, source }),
    }
}

/// Reads a text file of the folder.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(Error::file(path))
}

/// Writes a file whole, readable by its owner only.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let beside = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&beside).map_err(Error::file(&beside))?;
    file.write_all(bytes).map_err(Error::file(&beside))?;
    fs::rename(&beside, path).map_err(Error::file(path))
}

fn public_key(private_pem: &str) -> Result<Vec<u8>, rcgen::Error> {
    KeyPair::from_pem(private_pem).map(|pair| pair.der_bytes().to_vec())
}

fn ec_key() -> Result<KeyPair, Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(Error::key("a P-256 key"))
}

/// A service account file as Google hands it out, with the members that senders read.
fn service_account() -> Result<String, Error> {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)
        .map_err(Error::key("an RSA key"))?;
    let project = "beckon-doubles";
    let account = json!({
        "type": "service_account",
        "project_id": project,
        "private_key_id": super::random::hex(20)?,
        "private_key": key.serialize_pem(),
        "client_email": format!("hub@{project}.iam.gserviceaccount.com"),
        "client_id": "100000000000000000001",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": GOOGLE_TOKEN_URI,
        "universe_domain": "googleapis.com",
    });
    Ok(format!("{account:#}\n"))
}

/// Makes the authority and the certificates signed by it. `ca.pem` is written last: where it is, the others are.
fn make_certificates(folder: &Path) -> Result<(), Error> {
    for (name, pem) in sign_certificates().map_err(Error::key("the doubles' certificate"))? {
        write(&folder.join(name), pem.as_bytes())?;
    }
    Ok(())
}

/// A certificate for the same names that nobody vouches for, and its key.
///
/// # Errors
/// [`Error::Key`].
pub(crate) fn strange_certificate()
-> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), Error> {
    let make = || -> Result<_, rcgen::Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        Ok((CertificateParams::new(names)?.self_signed(&key)?, key))
    };
    let (certificate, key) = make().map_err(Error::key("a stranger's certificate"))?;
    let key = PrivateKeyDer::try_from(key.serialize_der())
        .map_err(Error::key("a stranger's certificate"))?;
    Ok((certificate.der().clone(), key))
}

/// The files and what stands in them, in the order of writing.
fn sign_certificates() -> Result<[(&'static str, String); 5], rcgen::Error> {
    let authority_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let authority = authority()?;
    let ca = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let good = server(&["localhost", "127.0.0.1", "::1"])?;
    let mut expired = good.clone();
    expired.not_before = rcgen::date_time_ymd(2019, 1, 1);
    expired.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let misnamed = server(&[ANOTHER_NAME])?;
    let signed = |params: CertificateParams| Ok(params.signed_by(&key, &issuer)?.pem());
    Ok([
        ("server.key", key.serialize_pem()),
        ("server.pem", signed(good)?),
        (EXPIRED, signed(expired)?),
        (MISNAMED, signed(misnamed)?),
        ("ca.pem", ca),
    ])
}

fn server(names: &[&str]) -> Result<CertificateParams, rcgen::Error> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "Beckon doubles");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// An authority that may vouch for loopback names and nothing else, so that trusting it costs nothing.
fn authority() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params
        .distinguished_name
        .push(DnType::CommonName, "Beckon doubles authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![
            GeneralSubtree::DnsName("localhost".to_owned()),
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(
                IpAddr::V4(Ipv4Addr::LOCALHOST),
                8,
            )),
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(
                IpAddr::V6(Ipv6Addr::LOCALHOST),
                128,
            )),
        ],
        excluded_subtrees: Vec::new(),
    });
    Ok(params)
}
