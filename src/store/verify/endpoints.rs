//! Endpoints, and what is kept of them beside their rows: channels, tap states, fetch marks, receipts. None outlives its endpoint
//! or notification.

use super::Check;
use crate::{
    model::{Endpoint, FeedPosition, Owner},
    store::{
        Error,
        keys::{self, ExpiryKind},
        records::{self, Record},
    },
};

impl Check<'_> {
    pub(super) fn endpoint(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let user = keys::user_at(key, 1)?;
        let it = Endpoint::decode(value)?;
        self.expect(&user, &keys::user(&user), "an endpoint is nobody's")?;
        let id = it.id.as_str().as_bytes();
        let led = self
            .reader
            .engine
            .get(&keys::subscription(it.subscription))?;
        if led != Some([&user[..], id].concat()) {
            self.say(&user, "an endpoint's subscription id does not lead to it");
        }
        let expiry = keys::expiry(it.expires, ExpiryKind::Endpoint, &[&user, id]);
        self.expect(&user, &expiry, "an endpoint never expires")
    }

    pub(super) fn tap_state(&mut self, key: &[u8], _value: &[u8]) -> Result<(), Error> {
        self.expect_endpoint(key, "a tap state is of no endpoint")
    }

    pub(super) fn fetch_mark(&mut self, key: &[u8], _value: &[u8]) -> Result<(), Error> {
        self.expect_endpoint(key, "a fetch mark is of no endpoint")
    }

    /// Their keys end as the endpoint's own does.
    fn expect_endpoint(&mut self, key: &[u8], message: &str) -> Result<(), Error> {
        let user = keys::user_at(key, 1)?;
        let endpoint = [b"e", &key[1..]].concat();
        self.expect(&user, &endpoint, message)
    }

    pub(super) fn receipt(&mut self, key: &[u8], _value: &[u8]) -> Result<(), Error> {
        let user = keys::user_at(key, 1)?;
        let number = FeedPosition(keys::u64_at(key, 1 + keys::USER)?);
        let row = keys::notification(&user, number);
        let message = format!("a receipt of {} is left over", number.0);
        self.expect(&user, &row, message)
    }

    pub(super) fn push(&mut self, key: &[u8], _value: &[u8]) -> Result<(), Error> {
        let user = keys::user_at(key, 1)?;
        self.expect(&user, &keys::user(&user), "a push is to nobody's endpoint")
    }

    pub(super) fn channel(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        for owner in records::decode_owners(value)? {
            if !self.owns(&owner, key)? {
                let user = keys::user_key(&owner.subject);
                self.say(&user, "a channel is an endpoint's that does not have it");
            }
        }
        Ok(())
    }

    fn owns(&self, owner: &Owner, channel: &[u8]) -> Result<bool, Error> {
        let user = keys::user_key(&owner.subject);
        let row = keys::endpoint(&user, &owner.endpoint);
        let endpoint: Option<Endpoint> = self.reader.record(&row)?;
        Ok(endpoint.is_some_and(|it| {
            let identity = it.channel.identity();
            let has = identity
                .is_some_and(|identity| keys::channel(&owner.subject.app, &identity) == channel);
            has && it.generation == owner.generation
        }))
    }
}
