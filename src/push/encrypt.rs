//! Message encryption for Web Push (RFC 8291 on RFC 8188): one record, `aes128gcm`.

use aws_lc_rs::{
    aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree},
    error::Unspecified,
    hkdf::{HKDF_SHA256, KeyType, Salt},
    rand,
};
use bytes::Bytes;

use crate::model::WebPushKeys;

/// The most that fits: 4096 bytes, less the header, the delimiter and the tag (RFC 8291, section 4).
pub const MAX_PLAINTEXT_BYTES: usize = 4096 - HEADER_BYTES - 1 - TAG_BYTES;

/// Salt, record size, key length, key (RFC 8188, section 2.1).
const HEADER_BYTES: usize = 16 + 4 + 1 + 65;
const TAG_BYTES: usize = 16;

/// Larger than any message may be, so that there is one record.
const RECORD_BYTES: u32 = 4096;

/// Marks the last record (RFC 8188, section 2).
const LAST_RECORD: u8 = 2;

/// Encrypts `plaintext` for the user agent that holds `keys`, with a fresh key pair and salt as RFC 8291, section 3
/// demands for every message. Takes about 65 µs of one core.
///
/// # Errors
/// When the plaintext is longer than [`MAX_PLAINTEXT_BYTES`], or the user agent's key is no point on P-256.
pub fn encrypt(keys: &WebPushKeys, plaintext: &[u8]) -> Result<Bytes, String> {
    if plaintext.len() > MAX_PLAINTEXT_BYTES {
        return Err(format!(
            "the message is {} bytes; the limit is {MAX_PLAINTEXT_BYTES}",
            plaintext.len()
        ));
    }
    let mut salt = [0; 16];
    rand::fill(&mut salt).map_err(|_| "no random numbers")?;
    let ours = PrivateKey::generate(&ECDH_P256).map_err(|_| "no key pair")?;
    seal(keys, &ours, salt, plaintext)
        .map_err(|_| String::from("the subscription's p256dh is no point on P-256"))
}

/// Whether 65 bytes are an uncompressed point on P-256, which a user agent's key must be (RFC 8291, section 3.1).
pub fn is_on_curve(p256dh: &[u8; 65]) -> bool {
    // aws-lc checks the curve's equation while it parses.
    let parsed =
        aws_lc_rs::agreement::ParsedPublicKey::try_from(UnparsedPublicKey::new(&ECDH_P256, p256dh));
    p256dh[0] == 4 && parsed.is_ok()
}

/// The whole of RFC 8291, section 3.4, without a choice left: the same input gives the same bytes.
fn seal(
    keys: &WebPushKeys,
    ours: &PrivateKey,
    salt: [u8; 16],
    plaintext: &[u8],
) -> Result<Bytes, Unspecified> {
    let public = ours.compute_public_key()?;
    let theirs = UnparsedPublicKey::new(&ECDH_P256, keys.p256dh);
    let secret = agree(ours, theirs, Unspecified, |ecdh| {
        let info: [&[u8]; 3] = [b"WebPush: info\0", &keys.p256dh, public.as_ref()];
        derive::<32>(keys.auth.expose(), ecdh, &info)
    })?;
    let key: [u8; 16] = derive(&salt, &secret, &[b"Content-Encoding: aes128gcm\0"])?;
    // The nonce of record 0 needs no counter mixed in.
    let nonce: [u8; 12] = derive(&salt, &secret, &[b"Content-Encoding: nonce\0"])?;

    let mut body = Vec::with_capacity(HEADER_BYTES + plaintext.len() + 1 + TAG_BYTES);
    body.extend_from_slice(&salt);
    body.extend_from_slice(&RECORD_BYTES.to_be_bytes());
    body.push(65);
    body.extend_from_slice(public.as_ref());
    body.extend_from_slice(plaintext);
    body.push(LAST_RECORD);
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key)?);
    let tag = key.seal_in_place_separate_tag(
        Nonce::assume_unique_for_key(nonce),
        Aad::empty(),
        &mut body[HEADER_BYTES..],
    )?;
    body.extend_from_slice(tag.as_ref());
    Ok(Bytes::from(body))
}

/// HKDF-SHA-256 (RFC 5869): extract from `input`, expand to `N` bytes.
fn derive<const N: usize>(
    salt: &[u8],
    input: &[u8],
    info: &[&[u8]],
) -> Result<[u8; N], Unspecified> {
    let mut output = [0; N];
    Salt::new(HKDF_SHA256, salt)
        .extract(input)
        .expand(info, Length(N))?
        .fill(&mut output)?;
    Ok(output)
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;
    use crate::model::Secret;

    fn bytes(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    fn keys(p256dh: &[u8], auth: &[u8]) -> WebPushKeys {
        WebPushKeys {
            p256dh: p256dh.try_into().unwrap(),
            auth: Secret::new(auth.try_into().unwrap()),
        }
    }

    const UA_PUBLIC: &str =
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

    /// RFC 8291, section 5 and appendix A.
    #[test]
    fn the_example_of_rfc_8291() {
        let ours = PrivateKey::from_private_key(
            &ECDH_P256,
            &bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"),
        )
        .unwrap();
        let body = seal(
            &keys(&bytes(UA_PUBLIC), &bytes(AUTH)),
            &ours,
            bytes("DGv6ra1nlYgDCS1FRnbzlw").try_into().unwrap(),
            b"When I grow up, I want to be a watermelon",
        )
        .unwrap();
        let expected = concat!(
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml",
            "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT",
            "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN",
        );
        assert_eq!(URL_SAFE_NO_PAD.encode(body), expected);
    }

    #[test]
    fn refuses_what_cannot_be_sent() {
        let good = keys(&bytes(UA_PUBLIC), &bytes(AUTH));
        assert_eq!(
            encrypt(&good, &[7; MAX_PLAINTEXT_BYTES]).unwrap().len(),
            4096
        );
        assert!(
            encrypt(&good, &[7; MAX_PLAINTEXT_BYTES + 1])
                .unwrap_err()
                .contains("3993")
        );

        let mut off_curve = bytes(UA_PUBLIC);
        off_curve[64] ^= 1;
        assert!(
            encrypt(&keys(&off_curve, &bytes(AUTH)), b"x")
                .unwrap_err()
                .contains("p256dh")
        );
    }

    #[test]
    fn points_are_checked() {
        let point: [u8; 65] = bytes(UA_PUBLIC).try_into().unwrap();
        assert!(is_on_curve(&point));
        for change in [0, 1, 33, 64] {
            let mut bad = point;
            bad[change] ^= 1;
            assert!(!is_on_curve(&bad), "{change}");
        }
        assert!(!is_on_curve(&[0; 65]));
    }

    /// What the receiver does (RFC 8291, section 3.4, read from the other side).
    fn open(theirs: &PrivateKey, keys: &WebPushKeys, body: &[u8]) -> Vec<u8> {
        let (salt, public) = (&body[..16], &body[21..86]);
        let ours = UnparsedPublicKey::new(&ECDH_P256, public);
        let secret = agree(theirs, ours, Unspecified, |ecdh| {
            let info: [&[u8]; 3] = [b"WebPush: info\0", &keys.p256dh, public];
            derive::<32>(keys.auth.expose(), ecdh, &info)
        })
        .unwrap();
        let key: [u8; 16] = derive(salt, &secret, &[b"Content-Encoding: aes128gcm\0"]).unwrap();
        let nonce: [u8; 12] = derive(salt, &secret, &[b"Content-Encoding: nonce\0"]).unwrap();
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).unwrap());
        let mut sealed = body[86..].to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let plain = key.open_in_place(nonce, Aad::empty(), &mut sealed).unwrap();
        let (delimiter, text) = plain.split_last().unwrap();
        assert_eq!(*delimiter, LAST_RECORD);
        text.to_vec()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_is_sealed_opens(
            plaintext in prop::collection::vec(any::<u8>(), 0..MAX_PLAINTEXT_BYTES),
            auth in any::<[u8; 16]>(),
        ) {
            let theirs = PrivateKey::generate(&ECDH_P256).unwrap();
            let public = theirs.compute_public_key().unwrap();
            let keys = keys(public.as_ref(), &auth);
            let body = encrypt(&keys, &plaintext).unwrap();
            prop_assert_eq!(open(&theirs, &keys, &body), plaintext);
        }
    }
}
