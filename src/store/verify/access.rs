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
        let index = keys::token_of(&user, it.endpoint.as_ref(), &it.hash);
        self.expect(&user, &index, "a token is not found by its user")?;
        let expiry = keys::expiry(it.expires, ExpiryKind::Token, &[&it.hash]);
        self.expect(&user, &expiry, "a token never expires")
    }

    pub(super) fn token_of(&mut self, key: &[u8], _value: &[u8]) -> Result<(), Error> {
        let user = keys::user_at(key, 1)?;
        let hash = key
            .last_chunk()
            .ok_or_else(|| keys::broken("a token's hash"))?;
        self.expect(&user, &keys::token(hash), "a user's token is not there")
    }
}
