//! Expiries: each stands at the time at which something ends by its own row, and there is one of each.

use super::Check;
use crate::{
    model::{Change, ChangeKind, Endpoint, Erasure, FeedPosition, Timestamp, UserToken},
    store::{
        Error, LEFT_BY_AN_ENDPOINT,
        keys::{self, ExpiryKind, UserKey},
        records,
    },
};

/// What belongs to nobody is said of a user of zeros.
const NOBODY: UserKey = [0; keys::USER];

impl Check<'_> {
    pub(super) fn expiry(&mut self, key: &[u8], _value: &[u8]) -> Result<(), Error> {
        let (at, kind, what) = keys::expiry_parts(key)?;
        if let ExpiryKind::AppOnce = kind {
            return self.used_key_expiry(key, (kind, what), &NOBODY);
        }
        if let ExpiryKind::Token = kind {
            let token: Option<UserToken> = self.reader.record(&[b"o", what].concat())?;
            return self.own_expiry(&NOBODY, (at, kind), token.map(|it| it.expires));
        }
        if let ExpiryKind::Broadcast = kind {
            // One that cannot be read is named by itself.
            let Ok(broadcast) = self.reader.broadcast(keys::broadcast_at(what, 0)?) else {
                return Ok(());
            };
            return self.own_expiry(&NOBODY, (at, kind), broadcast.map(|it| it.ends()));
        }
        let (user, rest) = (keys::user_at(what, 0)?, &what[keys::USER..]);
        if let ExpiryKind::Erasure = kind {
            let erasure: Option<Erasure> = self.reader.record(&keys::erasure(&user))?;
            let done = erasure.filter(|it| it.under_way.is_none());
            return self.own_expiry(&user, (at, kind), done.map(|it| it.ends()));
        }
        if let ExpiryKind::Removal = kind {
            return self.removal_expiry(&user, FeedPosition(keys::u64_at(rest, 0)?));
        }
        let ends = match kind {
            ExpiryKind::Notification => {
                let number = FeedPosition(keys::u64_at(rest, 0)?);
                let row = self.reader.engine.get(&keys::notification(&user, number))?;
                let row = row.as_deref().map(records::decode_row).transpose()?;
                row.map(|row| row.standing().expires)
            }
            ExpiryKind::Endpoint => {
                let row = keys::endpoint(&user, &keys::endpoint_text(rest)?);
                let endpoint: Option<Endpoint> = self.reader.record(&row)?;
                // One that is gone has it until the sweep has taken what it left.
                let gone = LEFT_BY_AN_ENDPOINT;
                Some(endpoint.map_or(gone, |it| it.swept()))
            }
            _ => return self.used_key_expiry(key, (kind, rest), &user),
        };
        self.own_expiry(&user, (at, kind), ends)
    }

    fn own_expiry(
        &mut self,
        user: &UserKey,
        (at, kind): (Timestamp, ExpiryKind),
        ends: Option<Timestamp>,
    ) -> Result<(), Error> {
        if ends != Some(at) {
            self.say(user, format!("an expiry of kind {kind:?} is left over"));
        }
        Ok(())
    }

    fn removal_expiry(&mut self, user: &UserKey, position: FeedPosition) -> Result<(), Error> {
        let row: Option<Change> = self.reader.record(&keys::change(user, position))?;
        if !row.is_some_and(|it| matches!(it.kind, ChangeKind::Removed(_))) {
            self.say(user, "an expiry of kind Removal is left over");
            return Ok(());
        }
        let counted = self.counted.get_mut(user);
        if !counted.is_some_and(|counted| counted.lasting.remove(&position)) {
            self.say(
                user,
                format!("the removal at {} is forgotten twice", position.0),
            );
        }
        Ok(())
    }
}
