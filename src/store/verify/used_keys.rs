//! What each `Idempotency-Key` was used for: it can be read, stands in its own place, is of somebody who is there, and
//! is forgotten in time.

use super::Check;
use crate::{
    model::{Once, OnceAnswer},
    store::{
        Error,
        keys::{self, ExpiryKind, UserKey},
        records,
    },
};

impl Check<'_> {
    pub(super) fn used_key(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let it = match records::decode_once(value) {
            Ok(it) => it,
            Err(error) => {
                self.say(&NOBODY, format!("an Idempotency-Key's row: {error}"));
                return Ok(());
            }
        };
        let user = user_of(&it);
        if keys::once(&it.app, &it.key) != key {
            self.say(&user, "an Idempotency-Key stands under another's hash");
        }
        if user != NOBODY {
            // Without the user's row the sweep would pass its expiry over.
            self.expect(&user, &keys::user(&user), "an Idempotency-Key is nobody's")?;
        }
        self.expect(&user, &expiry_of(&it), "an Idempotency-Key never expires")
    }

    /// An expiry is of the key that ends then, not of one that was used anew since.
    pub(super) fn used_key_expiry(
        &mut self,
        expiry: &[u8],
        (kind, place): (ExpiryKind, &[u8]),
        user: &UserKey,
    ) -> Result<(), Error> {
        let row = self.reader.engine.get(&[b"d", place].concat())?;
        // One that cannot be read is named by itself.
        let fits = row.is_some_and(|row| match records::decode_once(&row) {
            Ok(it) => expiry_of(&it) == expiry,
            Err(_) => true,
        });
        if !fits {
            self.say(user, format!("an expiry of kind {kind:?} is left over"));
        }
        Ok(())
    }
}

/// Whose a key is that was used for a post to many.
const NOBODY: UserKey = [0; keys::USER];

fn user_of(it: &Once) -> UserKey {
    match &it.answer {
        OnceAnswer::Posted { subject, .. } => keys::user_key(subject),
        OnceAnswer::Accepted { .. } => NOBODY,
    }
}

fn expiry_of(it: &Once) -> Vec<u8> {
    let app = keys::app_hash(&it.app);
    match &it.answer {
        OnceAnswer::Posted { subject, .. } => {
            let user = keys::user_key(subject);
            keys::expiry(it.expires, ExpiryKind::Once, &[&user, &app, &it.key])
        }
        OnceAnswer::Accepted { .. } => {
            keys::expiry(it.expires, ExpiryKind::AppOnce, &[&app, &it.key])
        }
    }
}
