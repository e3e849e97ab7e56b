//! Ids of notifications that say, to this store alone, where in their user's feed they were posted: no row has to.
//!
//! An id is a UUID of version 7 (RFC 9562, section 5.7) whose last 40 bits are the position, masked with a keyed hash of
//! the user and of the rest of the id. To everybody else they are random. A row of its own has only what is found
//! elsewhere: what was posted anew, whose id stays as it is; and what was posted before ids were made so.

use aws_lc_rs::hmac;
use uuid::Uuid;

use super::{Error, engine::Engine, keys, keys::UserKey};
use crate::model::{FeedPosition, NotificationId};

/// How many bytes of an id hold its position.
const HIDDEN: usize = 5;
/// Where they begin.
const OPEN: usize = 16 - HIDDEN;

/// Makes ids, and reads them.
#[derive(Debug, Clone)]
pub(super) struct Ids(hmac::Key);

impl Ids {
    /// What is kept of them, by name: 32 random bytes, made with the store.
    pub(super) const NAME: &'static str = "ids";

    fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Those of a store.
    ///
    /// # Errors
    /// `Corrupt` where it does not say what they are made with; `Io`.
    pub(super) fn of(engine: &Engine) -> Result<Self, Error> {
        let secret = engine.get(&keys::meta(Self::NAME))?;
        let secret = secret.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let secret = secret.ok_or_else(|| keys::broken("what ids are made with"))?;
        Ok(Self::new(&secret))
    }

    /// A new one, for what is posted at `number`.
    pub(super) fn mint(&self, user: &UserKey, number: FeedPosition) -> NotificationId {
        let mut id = Uuid::now_v7().into_bytes();
        id[OPEN..].copy_from_slice(&number.0.to_be_bytes()[8 - HIDDEN..]);
        NotificationId::from_bytes(self.masked(user, id))
    }

    /// Where it says that it was posted; any number, where it was made for another user or in another way.
    pub(super) fn number(&self, user: &UserKey, id: NotificationId) -> FeedPosition {
        let open = self.masked(user, id.to_bytes());
        let mut number = [0; 8];
        number[8 - HIDDEN..].copy_from_slice(&open[OPEN..]);
        FeedPosition(u64::from_be_bytes(number))
    }

    /// Whether it says so of `number`: then no row does.
    pub(super) fn leads(&self, user: &UserKey, id: NotificationId, number: FeedPosition) -> bool {
        self.number(user, id) == number
    }

    /// With the mask put over what is hidden, or taken away.
    fn masked(&self, user: &UserKey, mut id: [u8; 16]) -> [u8; 16] {
        let (open, hidden) = id.split_at_mut(OPEN);
        let mut context = hmac::Context::with_key(&self.0);
        context.update(user);
        context.update(open);
        let mask = context.sign();
        for (byte, mask) in hidden.iter_mut().zip(mask.as_ref()) {
            *byte ^= mask;
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_leads_its_own_user_to_its_number(user: [u8; 24], other: [u8; 24], number in 0..1u64 << 40) {
            let (ids, others) = (Ids::new(&[1; 32]), Ids::new(&[2; 32]));
            let number = FeedPosition(number);
            let id = ids.mint(&user, number);
            prop_assert!(ids.leads(&user, id, number));
            prop_assert!(user == other || !ids.leads(&other, id, number));
            prop_assert!(!others.leads(&user, id, number), "of another store");
            let uuid = Uuid::from_bytes(id.to_bytes());
            prop_assert_eq!((uuid.get_version_num(), uuid.get_variant()), (7, uuid::Variant::RFC4122));
        }
    }

    #[test]
    fn what_is_posted_beyond_what_an_id_holds_needs_a_row() {
        let ids = Ids::new(&[1; 32]);
        let far = FeedPosition((1 << 40) + 5);
        assert!(!ids.leads(&[0; 24], ids.mint(&[0; 24], far), far));
    }
}
