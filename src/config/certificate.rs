//! Certificates of TLS, looked at when they are read: a client's, by which the hub proves who it is, and the listener's.

use std::time::Duration;

use rustls::{crypto::aws_lc_rs, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::model::{Secret, Timestamp};

/// A certificate of TLS.
#[derive(Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate and those that lead to its root: PEM.
    pub chain: Vec<u8>,
    /// Its private key: PEM.
    pub key: Secret<Vec<u8>>,
    /// When it ends.
    pub expires: Timestamp,
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

/// When the first certificate of a file ends, which is the hub's own.
pub(super) fn listeners(pem: &Secret<Vec<u8>>) -> Result<Timestamp, String> {
    first(pem)?.ok_or_else(|| {
        String::from(
            "is not a certificate in PEM that begins with -----BEGIN CERTIFICATE-----; write the file with the whole \
             chain, which certbot calls fullchain.pem",
        )
    })
}

/// When the first certificate of a file ends, if there is one.
fn first(pem: &Secret<Vec<u8>>) -> Result<Option<Timestamp>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.expose()).collect();
    let certificates = certificates.unwrap_or_default();
    let Some(first) = certificates.first() else {
        return Ok(None);
    };
    let expires = not_after(first);
    let expires = expires.ok_or("holds a certificate whose end cannot be read; export it anew")?;
    Ok(Some(expires))
}

/// The certificates of a file, and when the first of them, which is the hub's own, ends.
pub(super) fn chain(pem: &Secret<Vec<u8>>) -> Result<Timestamp, String> {
    first(pem)?.ok_or_else(|| {
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

/// The `notAfter` of a certificate (RFC 5280, section 4.1): the second time of the sequence behind version, serial
/// number, algorithm and issuer.
fn not_after(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate, _) = element(der)?;
    let (_, mut rest, _) = element(certificate)?;
    if rest.first() == Some(&0xA0) {
        rest = element(rest)?.2;
    }
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (_, validity, _) = element(rest)?;
    let (_, _, not_after) = element(validity)?;
    let (tag, text, _) = element(not_after)?;
    time(tag, str::from_utf8(text).ok()?)
}

/// A UTCTime (tag 0x17, two digits of the year, 1950 to 2049) or a GeneralizedTime (0x18), both to the second in `Z`
/// (RFC 5280, section 4.1.2.5).
fn time(tag: u8, text: &str) -> Option<Timestamp> {
    let whole = match (tag, text.get(..2)?) {
        (0x17, year) if year < "50" => format!("20{text}"),
        (0x17, _) => format!("19{text}"),
        (0x18, _) => text.to_owned(),
        _ => return None,
    };
    if whole.len() != 15 || !whole.is_ascii() || !whole.ends_with('Z') {
        return None;
    }
    let part = |from: usize, to: usize| &whole[from..to];
    let (date, hours) = (
        (part(0, 4), part(4, 6), part(6, 8)),
        (part(8, 10), part(10, 12)),
    );
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        date.0,
        date.1,
        date.2,
        hours.0,
        hours.1,
        part(12, 14)
    );
    text.parse().ok()
}

/// The first element of some DER: its tag, its content, and what follows (X.690, section 8.1).
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let digits = usize::from(first & 0x7F);
        if digits == 0 || digits > 4 {
            return None;
        }
        let (number, behind) = rest.split_at_checked(digits)?;
        length = number
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte));
        rest = behind;
    }
    let (content, behind) = rest.split_at_checked(length)?;
    Some((tag, content, behind))
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
            assert_eq!(chain(&pem).unwrap().to_string(), expected);
            assert!(!has_key(&pem));
            let both = format!("{}{}", key.serialize_pem(), issued.pem());
            assert!(has_key(&Secret::new(both.into_bytes())));
        };
        check(2027, "2027-03-09T00:00:00.000Z");
        check(2051, "2051-03-09T00:00:00.000Z");
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let key = rcgen::KeyPair::generate().unwrap();
        let issued = rcgen::CertificateParams::default()
            .self_signed(&key)
            .unwrap();
        for end in 0..issued.der().len() {
            assert_eq!(not_after(&issued.der()[..end]), None, "{end}");
        }
        for text in [
            "",
            "2",
            "270309000000",
            "20270309000000",
            "2027ü30900000Z",
            "20271309000000Z",
        ] {
            assert_eq!(time(0x18, text), None, "{text}");
        }
        assert!(chain(&Secret::new(b"no".to_vec())).is_err());
        assert!(private_key(Secret::new(b"no".to_vec())).is_err());
    }
}
