//! Questions about feeds.

use std::ops::{Bound, ControlFlow};

use super::{Error, Reader, engine::Order, keys, records::Record};
use crate::model::{Change, EndpointId, FeedPosition, FetchMark, Subject};

impl Reader {
    /// Up to `most` changes after `after`, in order.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn changes(
        &self,
        subject: &Subject,
        after: FeedPosition,
        most: usize,
    ) -> Result<Vec<Change>, Error> {
        let user = keys::user_key(subject);
        let from = Bound::Excluded(keys::change(&user, after));
        let to = Bound::Excluded(keys::after(&keys::feed(&user)));
        let mut found = Vec::new();
        if most == 0 {
            return Ok(found);
        }
        self.engine
            .scan(from, to, Order::Ascending, &mut |_, value| {
                found.push(Change::decode(value)?);
                Ok(if found.len() < most {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                })
            })?;
        Ok(found)
    }

    /// The change at exactly `position`.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn change(
        &self,
        subject: &Subject,
        position: FeedPosition,
    ) -> Result<Option<Change>, Error> {
        self.record(&keys::change(&keys::user_key(subject), position))
    }

    /// How far an endpoint has pulled.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn fetch_mark(&self, subject: &Subject, endpoint: &EndpointId) -> Result<FetchMark, Error> {
        let key = keys::fetch_mark(&keys::user_key(subject), endpoint);
        Ok(self.record(&key)?.unwrap_or_default())
    }
}
