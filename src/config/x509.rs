//! What of a certificate (RFC 5280) is looked at beside TLS itself: when it is valid, and who signed it.

use rustls::crypto::aws_lc_rs;

use crate::model::Timestamp;

/// The parts of a certificate (RFC 5280, section 4.1), each the content of its element unless it says otherwise.
struct Parts<'a> {
    /// What is signed, as a whole element.
    signed: &'a [u8],
    issuer: &'a [u8],
    validity: &'a [u8],
    subject: &'a [u8],
    key_algorithm: &'a [u8],
    key: &'a [u8],
    signature_algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Parts<'a> {
    fn read(der: &'a [u8]) -> Option<Self> {
        let (_, certificate, _) = element(der)?;
        let (_, inner, behind) = element(certificate)?;
        let signed = certificate.get(..certificate.len() - behind.len())?;
        let (_, signature_algorithm, behind) = element(behind)?;
        let (_, signature, _) = element(behind)?;
        let mut rest = inner;
        if rest.first() == Some(&0xA0) {
            rest = element(rest)?.2;
        }
        // Serial number and algorithm.
        for _ in 0..2 {
            rest = element(rest)?.2;
        }
        let (_, issuer, rest) = element(rest)?;
        let (_, validity, rest) = element(rest)?;
        let (_, subject, rest) = element(rest)?;
        let (_, key_info, _) = element(rest)?;
        let (_, key_algorithm, rest) = element(key_info)?;
        let (_, key, _) = element(rest)?;
        Some(Self {
            signed,
            issuer,
            validity,
            subject,
            key_algorithm,
            // The first byte of each says how many bits of the last are none of it: always 0.
            key: key.get(1..)?,
            signature_algorithm,
            signature: signature.get(1..)?,
        })
    }

    /// Whether this one's key signed the other. Where its kind is not known here the names have to do.
    fn signs(&self, other: &Parts<'_>) -> bool {
        let known = aws_lc_rs::default_provider().signature_verification_algorithms;
        let mut fitting = known
            .all
            .iter()
            .filter(|it| *it.signature_alg_id() == *other.signature_algorithm)
            .filter(|it| *it.public_key_alg_id() == *self.key_algorithm)
            .peekable();
        if fitting.peek().is_none() {
            return self.subject == other.issuer;
        }
        fitting.any(|it| {
            let proved = it.verify_signature(self.key, other.signed, other.signature);
            proved.is_ok()
        })
    }
}

/// When a certificate begins and ends: `notBefore` and `notAfter`.
pub(super) fn validity(der: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let parts = Parts::read(der)?;
    let moment = |tag, text| time(tag, str::from_utf8(text).ok()?);
    let (tag, text, rest) = element(parts.validity)?;
    let begins = moment(tag, text)?;
    let (tag, text, _) = element(rest)?;
    Some((begins, moment(tag, text)?))
}

/// Whether a certificate was signed by the other one.
pub(super) fn is_signed_by(der: &[u8], signer: &[u8]) -> bool {
    match (Parts::read(der), Parts::read(signer)) {
        (Some(parts), Some(signer)) => signer.signs(&parts),
        _ => false,
    }
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
    fn what_is_cut_off_or_no_time_is_not_read() {
        let key = rcgen::KeyPair::generate().unwrap();
        let issued = rcgen::CertificateParams::default()
            .self_signed(&key)
            .unwrap();
        let whole = issued.der();
        assert!(validity(whole).is_some() && is_signed_by(whole, whole));
        for end in 0..whole.len() {
            assert_eq!(validity(&whole[..end]), None, "{end}");
            assert!(!is_signed_by(whole, &whole[..end]), "{end}");
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
    }
}
