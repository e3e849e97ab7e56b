//! What a browser does with a push (RFC 8291): its key pair, and the opening of the body.
//!
//! The crate `ece` does the work on primitives given to it here. The hub's adapter does not share this code.

use std::any::Any;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::encoding::{AsBigEndian as _, EcPrivateKeyBin};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ece::Error::{CryptoError, InvalidKeyLength};
use ece::crypto::{Cryptographer, EcKeyComponents, LocalKeyPair, RemotePublicKey};
use serde::{Deserialize, Serialize};

use super::device::Keys;
use super::error::Error;

/// Bytes before the one record: salt 16, record size 4, length of the key 1, key 65 (RFC 8188, section 2.1; RFC 8291, section 4).
const HEADER_BYTES: usize = 86;
const KEY_BYTES: usize = 65;
const TAG_BYTES: usize = 16;

/// The secret half of a Web Push subscription, as it lies in the devices' file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BrowserKeys {
    private: String,
    public: String,
    auth: String,
}

impl BrowserKeys {
    /// A fresh pair and secret.
    ///
    /// # Errors
    /// [`Error::Key`].
    pub(crate) fn generate() -> Result<Self, Error> {
        let what = "a browser's key";
        let private = PrivateKey::generate(&ECDH_P256).map_err(Error::key(what))?;
        let scalar: EcPrivateKeyBin<'_> = private.as_be_bytes().map_err(Error::key(what))?;
        let public = private.compute_public_key().map_err(Error::key(what))?;
        Ok(Self {
            private: URL_SAFE_NO_PAD.encode(scalar.as_ref()),
            public: URL_SAFE_NO_PAD.encode(public.as_ref()),
            auth: super::random::token(16)?,
        })
    }

    /// The half that the page hands to the hub.
    pub(crate) fn public(&self) -> Keys {
        Keys {
            p256dh: self.public.clone(),
            auth: self.auth.clone(),
        }
    }

    /// Opens a push body; the error says what is wrong with it.
    pub(crate) fn open(&self, body: &[u8]) -> Result<Vec<u8>, String> {
        check_header(body)?;
        let (private, public, auth) = self.raw().ok_or("the device's own keys are damaged")?;
        install();
        import(&private).map_err(|error| error.to_string())?;
        ece::decrypt(&EcKeyComponents::new(private, public), &auth, body)
            .map_err(|error| error.to_string())
    }

    fn raw(&self) -> Option<(Vec<u8>, Vec<u8>, Vec<u8>)> {
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
        Some((
            decode(&self.private)?,
            decode(&self.public)?,
            decode(&self.auth)?,
        ))
    }

    /// Keys of a test vector.
    #[cfg(test)]
    pub(crate) fn of(private: &str, public: &str, auth: &str) -> Self {
        Self {
            private: private.to_owned(),
            public: public.to_owned(),
            auth: auth.to_owned(),
        }
    }
}

/// Gives `ece` its primitives. It takes one set a process; a second one is refused, which does no harm.
pub(crate) fn install() {
    let _ = ece::crypto::set_cryptographer(&AwsLc);
}

/// The rules of RFC 8291, section 4, that a lenient library does not hold senders to.
fn check_header(body: &[u8]) -> Result<(), String> {
    let size = body
        .get(16..20)
        .and_then(|bytes| <[u8; 4]>::try_from(bytes).ok())
        .map(u32::from_be_bytes);
    let (Some(record_size), Some(&key_bytes)) = (size, body.get(20)) else {
        return Err("the body is shorter than its header".to_owned());
    };
    if usize::from(key_bytes) != KEY_BYTES {
        return Err(format!(
            "the key id is {key_bytes} bytes; it must be the sender's key, {KEY_BYTES}"
        ));
    }
    if body.len() < HEADER_BYTES + TAG_BYTES + 1 {
        return Err("the record is shorter than a tag and a delimiter".to_owned());
    }
    let record = body.len() - HEADER_BYTES;
    if usize::try_from(record_size).is_ok_and(|size| size <= record) {
        return Err(format!(
            "the record size is {record_size} for one record of {record} bytes; it must be greater"
        ));
    }
    Ok(())
}

/// Whether the bytes are an uncompressed point of the curve P-256.
pub(crate) fn is_p256_point(bytes: &[u8]) -> bool {
    let Ok(own) = PrivateKey::generate(&ECDH_P256) else {
        return false;
    };
    bytes.len() == KEY_BYTES
        && agree(&own, UnparsedPublicKey::new(&ECDH_P256, bytes), (), |_| {
            Ok(())
        })
        .is_ok()
}

fn import(private: &[u8]) -> ece::Result<PrivateKey> {
    PrivateKey::from_private_key(&ECDH_P256, private).map_err(|_| CryptoError)
}

/// The primitives, on the process's one crypto library.
struct AwsLc;

struct Pair(PrivateKey);

struct Point(Vec<u8>);

impl RemotePublicKey for Point {
    fn as_raw(&self) -> ece::Result<Vec<u8>> {
        Ok(self.0.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl LocalKeyPair for Pair {
    fn pub_as_raw(&self) -> ece::Result<Vec<u8>> {
        self.0
            .compute_public_key()
            .map(|key| key.as_ref().to_vec())
            .map_err(|_| CryptoError)
    }

    fn raw_components(&self) -> ece::Result<EcKeyComponents> {
        let scalar: EcPrivateKeyBin<'_> = self.0.as_be_bytes().map_err(|_| CryptoError)?;
        Ok(EcKeyComponents::new(
            scalar.as_ref().to_vec(),
            self.pub_as_raw()?,
        ))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Cryptographer for AwsLc {
    fn generate_ephemeral_keypair(&self) -> ece::Result<Box<dyn LocalKeyPair>> {
        let key = PrivateKey::generate(&ECDH_P256).map_err(|_| CryptoError)?;
        Ok(Box::new(Pair(key)))
    }

    fn import_key_pair(&self, components: &EcKeyComponents) -> ece::Result<Box<dyn LocalKeyPair>> {
        Ok(Box::new(Pair(import(components.private_key())?)))
    }

    fn import_public_key(&self, raw: &[u8]) -> ece::Result<Box<dyn RemotePublicKey>> {
        if raw.len() != KEY_BYTES {
            return Err(InvalidKeyLength);
        }
        Ok(Box::new(Point(raw.to_vec())))
    }

    fn compute_ecdh_secret(
        &self,
        remote: &dyn RemotePublicKey,
        local: &dyn LocalKeyPair,
    ) -> ece::Result<Vec<u8>> {
        let local = local.as_any().downcast_ref::<Pair>().ok_or(CryptoError)?;
        let remote = UnparsedPublicKey::new(&ECDH_P256, remote.as_raw()?);
        agree(&local.0, remote, CryptoError, |secret| Ok(secret.to_vec()))
    }

    fn hkdf_sha256(
        &self,
        salt: &[u8],
        secret: &[u8],
        info: &[u8],
        len: usize,
    ) -> ece::Result<Vec<u8>> {
        let prk = Salt::new(HKDF_SHA256, salt).extract(secret);
        let mut out = vec![0; len];
        prk.expand(&[info], Length(len))
            .and_then(|okm| okm.fill(&mut out))
            .map_err(|_| CryptoError)?;
        Ok(out)
    }

    fn aes_gcm_128_encrypt(&self, key: &[u8], iv: &[u8], data: &[u8]) -> ece::Result<Vec<u8>> {
        let (key, nonce) = gcm(key, iv)?;
        let mut bytes = data.to_vec();
        key.seal_in_place_append_tag(nonce, Aad::empty(), &mut bytes)
            .map_err(|_| CryptoError)?;
        Ok(bytes)
    }

    fn aes_gcm_128_decrypt(
        &self,
        key: &[u8],
        iv: &[u8],
        ciphertext_and_tag: &[u8],
    ) -> ece::Result<Vec<u8>> {
        let (key, nonce) = gcm(key, iv)?;
        let mut bytes = ciphertext_and_tag.to_vec();
        let plain = key
            .open_in_place(nonce, Aad::empty(), &mut bytes)
            .map_err(|_| CryptoError)?;
        Ok(plain.to_vec())
    }

    fn random_bytes(&self, dest: &mut [u8]) -> ece::Result<()> {
        aws_lc_rs::rand::fill(dest).map_err(|_| CryptoError)
    }
}

fn gcm(key: &[u8], iv: &[u8]) -> ece::Result<(LessSafeKey, Nonce)> {
    let key = UnboundKey::new(&AES_128_GCM, key).map_err(|_| CryptoError)?;
    let nonce = Nonce::try_assume_unique_for_key(iv).map_err(|_| CryptoError)?;
    Ok((LessSafeKey::new(key), nonce))
}
