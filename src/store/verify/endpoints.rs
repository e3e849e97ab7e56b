//! Endpoints, and what is kept of them beside their rows: channels, tap states, fetch marks, pushes, receipts. Of an endpoint
//! that goes, only pushes stay behind for the sweep to take, and receipts until their notification goes.

use super::Check;
use crate::{
    model::{
        Channel, Endpoint, FeedPosition, FetchMark, Owner, Push, Receipt, TapState, Timestamp,
    },
    store::{
        Error, LEFT_BY_AN_ENDPOINT,
        keys::{self, ExpiryKind, UserKey},
        records::{self, Record},
    },
};

impl Check<'_> {
    pub(super) fn endpoint(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let user = keys::user_at(key, 1)?;
        let it = Endpoint::decode(value)?;
        self.expect(&user, &keys::user(&user), "an endpoint is nobody's")?;
        let id = it.id.as_str().as_bytes();
        let expiry = keys::expiry(it.swept(), ExpiryKind::Endpoint, &[&user, id]);
        self.expect(&user, &expiry, "an endpoint never expires")?;
        if it.told_until.is_some() {
            if it.channel != Channel::None || it.expires != Timestamp::EPOCH {
                self.say(
                    &user,
                    "an endpoint whose time is over may be taken for one that is there",
                );
            }
            return Ok(());
        }
        let led = self
            .reader
            .engine
            .get(&keys::subscription(it.subscription))?;
        if led != Some([&user[..], id].concat()) {
            self.say(&user, "an endpoint's subscription id does not lead to it");
        }
        Ok(())
    }

    pub(super) fn tap_state(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.of_endpoint(key, "a tap state", TapState::decode(value))
    }

    pub(super) fn fetch_mark(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.of_endpoint(key, "a fetch mark", FetchMark::decode(value))
    }

    /// Their keys end as the endpoint's own does.
    fn of_endpoint<T>(
        &mut self,
        key: &[u8],
        what: &str,
        decoded: Result<T, Error>,
    ) -> Result<(), Error> {
        let user = keys::user_at(key, 1)?;
        let endpoint = [b"e", &key[1..]].concat();
        self.expect(&user, &endpoint, format!("{what} is of no endpoint"))?;
        self.read(&user, what, decoded);
        Ok(())
    }

    /// What was read; where it cannot be, that is said.
    fn read<T>(&mut self, user: &UserKey, what: &str, decoded: Result<T, Error>) -> Option<T> {
        decoded
            .map_err(|error| self.say(user, format!("{what} cannot be read: {error}")))
            .ok()
    }

    /// An endpoint that goes leaves its receipts: they go with the notification.
    pub(super) fn receipt(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let user = keys::user_at(key, 1)?;
        let number = FeedPosition(keys::u64_at(key, 1 + keys::USER)?);
        let row = keys::notification(&user, number);
        let message = format!("a receipt of {} is left over", number.0);
        self.expect(&user, &row, message)?;
        let what = format!("a receipt of {}", number.0);
        self.read(&user, &what, keys::receipt_endpoint(key));
        self.read(&user, &what, Receipt::decode(value));
        Ok(())
    }

    pub(super) fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let user = keys::user_at(key, 1)?;
        let id = keys::push_endpoint(key)?;
        if let Some(it) = self.read(&user, "a push", Push::decode(value))
            && keys::push(&user, &id, it.covers, it.at) != key
        {
            self.say(&user, "a push stands under another's key");
        }
        if self
            .reader
            .engine
            .get(&keys::endpoint(&user, &id))?
            .is_some()
        {
            return Ok(());
        }
        let id = id.as_str().as_bytes();
        let swept = keys::expiry(LEFT_BY_AN_ENDPOINT, ExpiryKind::Endpoint, &[&user, id]);
        self.expect(&user, &swept, "a push is to no endpoint that is there")
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
