//! Every kind of row, by the prefix of its keys, and who looks at it.

use super::{Check, Look};
use crate::store::{Error, keys};

/// What belongs to nobody is said of a user of zeros.
const NOBODY: keys::UserKey = [0; keys::USER];

impl Check<'_> {
    /// The kinds, in an order in which what is counted is counted before it is compared.
    fn kinds() -> [(u8, Look<Self>); 30] {
        [
            (b'n', Self::notification),
            (b'f', Self::change),
            (b'i', Self::id),
            (b'a', Self::name),
            (b'p', Self::part),
            (b'b', Self::broadcast),
            (b'B', Self::unfinished),
            (b'w', Self::listed),
            (b'h', Self::shared),
            (b'x', Self::expiry),
            (b'e', Self::endpoint),
            (b'c', Self::channel),
            (b't', Self::tap_state),
            (b'g', Self::fetch_mark),
            (b'l', Self::push),
            (b'r', Self::receipt),
            (b'm', Self::marker),
            (b's', Self::subscription),
            (b'o', Self::token),
            (b'q', Self::token_of),
            (b'd', Self::used_key),
            (b'u', Self::user),
            (b'k', Self::app_key),
            (b'A', Self::act),
            (b'E', Self::erasure),
            (b'v', Self::vapid),
            (b'M', Self::meta),
            (b'G', Self::guard),
            (b'D', Self::demand),
            (b'y', Self::rules),
        ]
    }

    /// Looks at every row, and names those that stand under no known prefix.
    pub(super) fn all(&mut self) -> Result<(), Error> {
        let kinds = Self::kinds();
        for (prefix, look) in kinds {
            self.rows(&[prefix], look)?;
        }
        self.contents_left();
        self.nobodys();
        for prefix in 0..=u8::MAX {
            if kinds.iter().all(|(known, _)| *known != prefix) {
                self.rows(&[prefix], Self::unknown)?;
            }
        }
        Ok(())
    }

    fn unknown(&mut self, key: &[u8], _value: &[u8]) -> Result<(), Error> {
        let prefix = key[0].escape_ascii();
        self.say(
            &NOBODY,
            format!("a row stands under `{prefix}`, where nothing is kept"),
        );
        Ok(())
    }
}
