//! By what users and their devices are addressed: subscription ids and tokens.

use super::Check;
use crate::{
    model::{Endpoint, UserToken},
    store::{
        Error,
        keys::{self, ExpiryKind},
        records::Record,
    },
};

impl Check<'_> {
    pub(super) fn subscription(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let user = keys::user_at(value, 0)?;
        let row = [b"e", value].concat();
        let endpoint: Option<Endpoint> = self.reader.record(&row)?;
        let leads = endpoint.is_some_and(|it| keys::subscription(it.subscription) == key);
        if !leads {
            self.say(&user, "a subscription id leads to no endpoint of its own");
        }
        Ok(())
    }

    pub(super) fn token(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let it = UserToken::decode(value)?;
        let user = keys::user_key(&it.subject);
        if keys::token(&it.hash) != key {
            self.say(&user, "a token stands under another's hash");
        }
        self.expect(&user, &index_of(&it), "a token is not found by its user")?;
        let expiry = keys::expiry(it.expires, ExpiryKind::Token, &[&it.hash]);
        self.expect(&user, &expiry, "a token never expires")
    }

    pub(super) fn token_of(&mut self, key: &[u8], _value: &[u8]) -> Result<(), Error> {
        let user = keys::user_at(key, 1)?;
        let hash = key
            .last_chunk()
            .ok_or_else(|| keys::broken("a token's hash"))?;
        let token: Option<UserToken> = self.reader.record(&keys::token(hash))?;
        match token {
            Some(it) if index_of(&it) == key => {}
            Some(_) => self.say(
                &user,
                "a token is found by another than its user or endpoint",
            ),
            None => self.say(&user, "a user's token is not there"),
        }
        Ok(())
    }
}

fn index_of(it: &UserToken) -> Vec<u8> {
    let user = keys::user_key(&it.subject);
    keys::token_of(&user, it.endpoint.as_ref(), &it.hash)
}
