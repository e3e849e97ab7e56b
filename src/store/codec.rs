//! The envelope of every record: a version byte, then bincode 2 in its standard configuration.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::{Serialize, de::DeserializeOwned};

use super::Error;

/// No record is longer than the longest content with its parts put together; a foreign file cannot make us allocate
/// more.
const LIMIT_BYTES: usize = 256 * 1024;

fn config() -> Configuration<LittleEndian, Varint, Limit<LIMIT_BYTES>> {
    bincode::config::standard().with_limit::<LIMIT_BYTES>()
}

/// Writes `record` as version `version`.
pub(super) fn encode<T: Serialize>(version: u8, record: &T) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![version];
    bincode::serde::encode_into_std_write(record, &mut bytes, config())
        .map_err(|error| Error::Corrupt(format!("a record cannot be written: {error}")))?;
    Ok(bytes)
}

/// Reads a record of version `version`.
pub(super) fn decode<T: DeserializeOwned>(version: u8, bytes: &[u8]) -> Result<T, Error> {
    let (found, body) = bytes
        .split_first()
        .ok_or_else(|| Error::Corrupt(String::from("a record is empty")))?;
    if *found != version {
        return Err(Error::Corrupt(format!(
            "a record is of unknown version {found}"
        )));
    }
    let (record, read) = bincode::serde::decode_from_slice(body, config())
        .map_err(|error| Error::Corrupt(format!("a record cannot be read: {error}")))?;
    if read == body.len() {
        Ok(record)
    } else {
        Err(Error::Corrupt(String::from(
            "a record has bytes after its end",
        )))
    }
}
