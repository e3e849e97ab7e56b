//! Certificates of TLS, looked at when they are read: a client's, by which the hub proves who it is, and the listener's.

use std::time::Duration;

use rustls::{crypto::aws_lc_rs, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use super::x509;
use crate::model::{Secret, Timestamp};

/// A certificate of TLS.
#[derive(Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate and those that lead to its root: PEM.
    pub chain: Vec<u8>,
    /// Its private key: PEM.
    pub key: Secret<Vec<u8>>,
    /// What is told of it.
    pub facts: Facts,
}

impl Certificate {
    /// Less than this before its end, whoever renews by itself has failed to.
    pub const NEAR_ITS_END: Duration = Duration::from_hours(14 * 24);

    /// Whether the key is the certificate's.
    pub(super) fn fits(&self) -> Result<(), String> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.chain).collect();
        let key = PrivateKeyDer::from_pem_slice(self.key.expose());
        let (Ok(chain), Ok(key)) = (chain, key) else {
            return Err(String::from("is not PEM"));
        };
        let pair = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
        pair.map(drop).map_err(|error| {
            format!("does not fit the certificate ({error}); write the key that it was issued for")
        })
    }
}

/// What is told of the certificates of a file, of which the first is the hub's own: they are good together, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// When the last of them begins.
    pub begins: Timestamp,
    /// When the first of them ends.
    pub expires: Timestamp,
    /// The place, from 1 on, of the first one that did not sign the one before it.
    pub astray: Option<usize>,
}

/// The listener's certificates.
pub(super) fn listeners(pem: &Secret<Vec<u8>>) -> Result<Facts, String> {
    facts(pem)?.ok_or_else(|| {
        String::from(
            "is not a certificate in PEM that begins with -----BEGIN CERTIFICATE-----; write the file with the whole \
             chain, which certbot calls fullchain.pem",
        )
    })
}

/// What is told of the certificates of a file, if it has any.
fn facts(pem: &Secret<Vec<u8>>) -> Result<Option<Facts>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.expose()).collect();
    let certificates = certificates.unwrap_or_default();
    if certificates.is_empty() {
        return Ok(None);
    }
    let (mut begins, mut expires) = (Timestamp::default(), Timestamp::MAX);
    for one in &certificates {
        let (begin, end) = x509::validity(one)
            .ok_or("holds a certificate whose end cannot be read; export it anew")?;
        (begins, expires) = (begins.max(begin), expires.min(end));
    }
    let mut links = certificates.iter().zip(certificates.iter().skip(1));
    let astray = links.position(|(one, next)| !x509::is_signed_by(one, next));
    Ok(Some(Facts {
        begins,
        expires,
        astray: astray.map(|place| place + 2),
    }))
}

/// A client's certificates.
pub(super) fn chain(pem: &Secret<Vec<u8>>) -> Result<Facts, String> {
    facts(pem)?.ok_or_else(|| {
        String::from(
            "is not a certificate in PEM that begins with -----BEGIN CERTIFICATE-----; convert Apple's .p12 with: \
             openssl pkcs12 -in cert.p12 -out cert.pem -nodes",
        )
    })
}

/// A private key in PEM, of any kind that TLS can use.
pub(super) fn private_key(pem: Secret<Vec<u8>>) -> Result<Secret<Vec<u8>>, String> {
    if has_key(&pem) {
        return Ok(pem);
    }
    Err("is not a private key in PEM without a pass phrase; take the phrase away with: openssl pkey".to_owned())
}

/// Whether a file holds a private key, beside what else it holds.
pub(super) fn has_key(pem: &Secret<Vec<u8>>) -> bool {
    PrivateKeyDer::from_pem_slice(pem.expose()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_in_both_forms_of_time() {
        let check = |year, expected: &str| {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut wanted = rcgen::CertificateParams::default();
            wanted.not_after = rcgen::date_time_ymd(year, 3, 9);
            let issued = wanted.self_signed(&key).unwrap();
            let pem = Secret::new(issued.pem().into_bytes());
            let facts = chain(&pem).unwrap();
            assert_eq!(facts.expires.to_string(), expected);
            assert_eq!(facts.begins.to_string(), "1975-01-01T00:00:00.000Z");
            assert_eq!(facts.astray, None);
            assert!(!has_key(&pem));
            let both = format!("{}{}", key.serialize_pem(), issued.pem());
            assert!(has_key(&Secret::new(both.into_bytes())));
        };
        check(2027, "2027-03-09T00:00:00.000Z");
        check(2051, "2051-03-09T00:00:00.000Z");
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        assert!(chain(&Secret::new(b"no".to_vec())).is_err());
        assert!(private_key(Secret::new(b"no".to_vec())).is_err());
    }

    #[test]
    fn a_certificate_that_did_not_sign_the_one_before_is_astray() {
        let key = || rcgen::KeyPair::generate().unwrap();
        let authority = |name: &str| {
            let mut wanted = rcgen::CertificateParams::default();
            wanted
                .distinguished_name
                .push(rcgen::DnType::CommonName, name);
            wanted.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            wanted
        };
        let (root_key, middle_key) = (key(), key());
        let root = authority("root").self_signed(&root_key).unwrap();
        let by_root = rcgen::Issuer::new(authority("root"), &root_key);
        let middle = authority("middle")
            .signed_by(&middle_key, &by_root)
            .unwrap();
        let by_middle = rcgen::Issuer::new(authority("middle"), &middle_key);
        let leaf = rcgen::CertificateParams::default()
            .signed_by(&key(), &by_middle)
            .unwrap();
        // One by the same name with another key.
        let false_middle = authority("middle").signed_by(&key(), &by_root).unwrap();
        let check = |chain: &[&rcgen::Certificate], astray: Option<usize>| {
            let pem: String = chain.iter().map(|it| it.pem()).collect();
            let facts = listeners(&Secret::new(pem.into_bytes())).unwrap();
            assert_eq!(facts.astray, astray);
        };
        check(&[&leaf], None);
        check(&[&leaf, &middle], None);
        check(&[&leaf, &middle, &root], None);
        check(&[&leaf, &root, &middle], Some(2));
        check(&[&leaf, &middle, &leaf], Some(3));
        check(&[&leaf, &false_middle], Some(2));
        check(&[&middle, &leaf, &root], Some(2));
    }
}
