//! Questions about feeds.

use std::ops::{Bound, ControlFlow};

use super::{
    Error, Reader,
    engine::Order,
    keys::{self, UserKey},
    records::{self, Record},
};
use crate::model::{Change, EndpointId, FeedPosition, FetchMark, Subject};

impl Reader {
    /// Up to `most` changes after `after`, in order. What was posted and has not changed since has no row in the feed:
    /// the notification's own stands where the change would, and says the same.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn changes(
        &self,
        subject: &Subject,
        after: FeedPosition,
        most: usize,
    ) -> Result<Vec<Change>, Error> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let user = keys::user_key(subject);
        // The feed's rows first: what moves from a notification to the feed meanwhile moves behind the head that the
        // caller has read before.
        let mut found = self.rows_of_feed(&user, after, most)?;
        let last = found.last().filter(|_| found.len() == most);
        let until = last.map_or(FeedPosition(u64::MAX), |last| last.position);
        found.extend(self.posts_unchanged(&user, (after, until), most)?);
        found.sort_by_key(|change| change.position);
        // Older stores have a row for these too.
        found.dedup_by_key(|change| change.position);
        found.truncate(most);
        Ok(found)
    }

    fn rows_of_feed(
        &self,
        user: &UserKey,
        after: FeedPosition,
        most: usize,
    ) -> Result<Vec<Change>, Error> {
        let from = Bound::Excluded(keys::change(user, after));
        let to = Bound::Excluded(keys::after(&keys::feed(user)));
        let mut found = Vec::new();
        self.engine
            .scan(from, to, Order::Ascending, &mut |_, value| {
                found.push(Change::decode(value)?);
                Ok(go_on_until(found.len() == most))
            })?;
        Ok(found)
    }

    fn posts_unchanged(
        &self,
        user: &UserKey,
        (after, until): (FeedPosition, FeedPosition),
        most: usize,
    ) -> Result<Vec<Change>, Error> {
        let from = Bound::Excluded(keys::notification(user, after));
        let to = Bound::Excluded(keys::notification(user, until));
        let mut found = Vec::new();
        self.engine
            .scan(from, to, Order::Ascending, &mut |_, value| {
                found.extend(records::decode_row(value)?.standing().posting());
                Ok(go_on_until(found.len() == most))
            })?;
        Ok(found)
    }

    /// The change at exactly `position`, the posting of what nothing came after among them.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn change(
        &self,
        subject: &Subject,
        position: FeedPosition,
    ) -> Result<Option<Change>, Error> {
        let user = keys::user_key(subject);
        if let Some(found) = self.record(&keys::change(&user, position))? {
            return Ok(Some(found));
        }
        let row = self.engine.get(&keys::notification(&user, position))?;
        let row = row.map(|bytes| records::decode_row(&bytes)).transpose()?;
        Ok(row.and_then(|row| row.standing().posting()))
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

fn go_on_until(enough: bool) -> ControlFlow<()> {
    if enough {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}
