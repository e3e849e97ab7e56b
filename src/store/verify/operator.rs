//! What belongs to no user: app keys, VAPID keys, and what the store is known by.

use super::Check;
use crate::{
    model::{Act, AppKey, Demand, Erasure, TapRules},
    store::{
        Error,
        credentials::drops,
        ids::Ids,
        keys::{self, ExpiryKind},
        records::Record,
    },
};

impl Check<'_> {
    pub(super) fn app_key(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        match AppKey::decode(value) {
            Ok(it) if keys::app_key(&it.id) == key => {}
            Ok(_) => self.say(&NOBODY, "an app key stands under another's id"),
            Err(error) => self.say(&NOBODY, format!("an app key's row: {error}")),
        }
        Ok(())
    }

    pub(super) fn act(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        match Act::decode(value) {
            Ok(it) if keys::act(it.number) == key => {}
            Ok(_) => self.say(
                &NOBODY,
                "an act of the audit log stands under another's number",
            ),
            Err(error) => self.say(&NOBODY, format!("an act of the audit log: {error}")),
        }
        Ok(())
    }

    pub(super) fn erasure(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let user = keys::user_at(key, 1)?;
        let it = match Erasure::decode(value) {
            Ok(it) => it,
            Err(error) => {
                self.say(&user, format!("an erasure: {error}"));
                return Ok(());
            }
        };
        if let Some(subject) = &it.under_way {
            if keys::user_key(subject) != user {
                self.say(
                    &user,
                    "an erasure that is under way stands under another's key",
                );
            }
            return Ok(());
        }
        let expiry = keys::expiry(it.ends(), ExpiryKind::Erasure, &[&user]);
        self.expect(&user, &expiry, "an erasure is never forgotten")
    }

    pub(super) fn vapid(&mut self, _key: &[u8], value: &[u8]) -> Result<(), Error> {
        // What is in it is the push service's room to say; PKCS#8 in DER begins with a sequence.
        if value.first() != Some(&0x30) {
            self.say(&NOBODY, "an app's VAPID key is no PKCS#8");
        }
        Ok(())
    }

    pub(super) fn rules(&mut self, _key: &[u8], value: &[u8]) -> Result<(), Error> {
        if let Err(error) = TapRules::decode(value) {
            self.say(&NOBODY, format!("an app's rules: {error}"));
        }
        Ok(())
    }

    pub(super) fn guard(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        if let Err(error) = keys::guarded(key).and_then(|_| drops(value)) {
            self.say(&NOBODY, format!("the guard of an app's channels: {error}"));
        }
        Ok(())
    }

    pub(super) fn demand(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        if let Err(error) = keys::demanded(key).and_then(|_| Demand::decode(value)) {
            self.say(&NOBODY, format!("what a push service demanded: {error}"));
        }
        Ok(())
    }

    pub(super) fn meta(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let name = String::from_utf8_lossy(&key[1..]);
        let length = match &*name {
            "secret" | Ids::NAME => 32,
            "format" | "epoch" | "commits" | "time" | "doubt" => 8,
            _ => {
                self.say(&NOBODY, format!("nothing is known as the store's {name}"));
                return Ok(());
            }
        };
        if value.len() != length {
            let message = format!("the store's {name} has {} bytes", value.len());
            self.say(&NOBODY, message);
        }
        Ok(())
    }
}

const NOBODY: keys::UserKey = [0; keys::USER];
