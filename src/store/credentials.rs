//! Questions about keys, tokens and what an `Idempotency-Key` was used for.

use std::ops::ControlFlow;

use super::{
    Error, Reader,
    engine::Order,
    keys,
    records::{self, Record},
};
use crate::model::{
    AppHost, AppKey, AppService, Demand, Drops, EndpointId, LaneName, Once, Subject, TapRules,
    Timestamp, UserToken,
};

impl Reader {
    /// The app key with this id, revoked ones too.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn app_key(&self, id: &str) -> Result<Option<AppKey>, Error> {
        self.record(&keys::app_key(id))
    }

    /// All app keys, revoked ones too.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn app_keys(&self) -> Result<Vec<AppKey>, Error> {
        self.collect(&keys::app_keys(), |_, value| AppKey::decode(value))
    }

    /// The user token with this hash.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn token(&self, hash: &[u8; 32]) -> Result<Option<UserToken>, Error> {
        self.record(&keys::token(hash))
    }

    /// The tokens that are bound to one endpoint of a user.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn tokens_of(
        &self,
        subject: &Subject,
        endpoint: Option<&EndpointId>,
    ) -> Result<Vec<UserToken>, Error> {
        let user = keys::user_key(subject);
        self.tokens_in(&keys::tokens_of(&user, endpoint), usize::MAX)
    }

    /// Up to `most` tokens of a user, whatever they are bound to.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn all_tokens_of(&self, subject: &Subject, most: usize) -> Result<Vec<UserToken>, Error> {
        self.tokens_in(&keys::all_tokens_of(&keys::user_key(subject)), most)
    }

    fn tokens_in(&self, prefix: &[u8], most: usize) -> Result<Vec<UserToken>, Error> {
        let mut hashes: Vec<[u8; 32]> = Vec::new();
        self.scan_prefix(prefix, Order::Ascending, &mut |key, _| {
            let hash = key.len().checked_sub(32).and_then(|at| key.get(at..));
            let hash = hash.and_then(|raw| raw.try_into().ok());
            hashes.push(hash.ok_or_else(|| keys::broken("a token's hash"))?);
            Ok(match hashes.len() < most {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            })
        })?;
        let tokens: Result<Vec<Option<UserToken>>, Error> =
            hashes.iter().map(|hash| self.token(hash)).collect();
        Ok(tokens?.into_iter().flatten().collect())
    }

    /// How many tokens a user has that are bound to no endpoint, counted up to `most`; those whose time is over count until
    /// the sweep has ended them.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn count_unbound_tokens(&self, subject: &Subject, most: usize) -> Result<usize, Error> {
        let prefix = keys::tokens_of(&keys::user_key(subject), None);
        let mut count = 0;
        self.scan_prefix(&prefix, Order::Ascending, &mut |_, _| {
            count += 1;
            Ok(match count < most {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            })
        })?;
        Ok(count)
    }

    /// The tokens that one app key minted; reads every token.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn tokens_minted_by(&self, key_id: &str) -> Result<Vec<UserToken>, Error> {
        let all = self.collect(&keys::tokens(), |_, value| UserToken::decode(value))?;
        Ok(all
            .into_iter()
            .filter(|token| token.minted_by.as_deref() == Some(key_id))
            .collect())
    }

    /// What an `Idempotency-Key` of an app was used for.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn once(&self, app: &AppHost, key: &[u8; 32]) -> Result<Option<Once>, Error> {
        let row = self.engine.get(&keys::once(app, key))?;
        row.as_deref().map(records::decode_once).transpose()
    }

    /// How many channels in a row each service called dead, where it did.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn guards(&self) -> Result<Vec<(AppService, Drops)>, Error> {
        self.collect(&keys::guards(), |key, value| {
            Ok((keys::guarded(key)?, drops(value)?))
        })
    }

    /// By which rules everybody of an app was looked at; none, where by none that stand.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn rules(&self, app: &AppHost) -> Result<Option<TapRules>, Error> {
        self.record(&keys::rules(app))
    }

    /// The apps whose people were looked at by some rules.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn apps_with_rules(&self) -> Result<Vec<AppHost>, Error> {
        self.collect(&keys::all_rules(), |key, _| keys::host_at_end(key))
    }

    /// The waits that push services demanded of everyone, also those that are over.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn demands(&self) -> Result<Vec<(LaneName, Demand)>, Error> {
        self.collect(&keys::demands(), |key, value| {
            Ok((keys::demanded(key)?, Demand::decode(value)?))
        })
    }

    /// The VAPID key (PKCS#8) that the hub made for an app.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn vapid(&self, app: &AppHost) -> Result<Option<Vec<u8>>, Error> {
        self.engine.get(&keys::vapid(app))
    }
}

/// What a guard counted. An earlier version wrote no number, only that it was too many.
pub(super) fn drops(value: &[u8]) -> Result<Drops, Error> {
    if value.is_empty() {
        return Ok(Drops {
            count: u32::MAX,
            at: Timestamp::default(),
        });
    }
    Drops::decode(value)
}
