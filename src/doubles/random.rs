//! Unguessable names.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::Error;

/// So many random bytes.
///
/// # Errors
/// [`Error::Key`] if the system has no randomness.
pub(crate) fn bytes(count: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; count];
    aws_lc_rs::rand::fill(&mut bytes).map_err(Error::key("random bytes"))?;
    Ok(bytes)
}

/// So many random bytes in base64url without padding.
///
/// # Errors
/// [`Error::Key`].
pub(crate) fn token(count: usize) -> Result<String, Error> {
    bytes(count).map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
}

/// So many random bytes in lower case hex.
///
/// # Errors
/// [`Error::Key`].
pub(crate) fn hex(count: usize) -> Result<String, Error> {
    bytes(count).map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
