//! Questions about feeds.

use std::ops::{Bound, ControlFlow};

use super::{
    Error, Reader,
    engine::Order,
    keys::{self, UserKey},
    records::{self, Record},
};
use crate::model::{Change, EndpointId, FeedPosition, FetchMark, Notification, Subject};

/// A change, with the notification as it was found beside it, where that was read anyway.
#[derive(Debug)]
pub struct Told {
    /// The change.
    pub change: Change,
    found: Option<Box<Notification>>,
}

impl Told {
    /// The notification that it is of, as it stands; none, where it is gone.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn notification(self, feed: &Feed<'_>) -> Result<Option<Notification>, Error> {
        match self.found {
            Some(found) => Ok(Some(*found)),
            None => feed.reader.notification_at(&feed.user, self.change.number),
        }
    }
}

/// One user's feed.
pub struct Feed<'a> {
    reader: &'a Reader,
    user: UserKey,
}

impl Feed<'_> {
    /// Up to `most` changes after `after`, in order. What was posted and has not changed since has no row in the feed:
    /// the notification's own stands where the change would, and says the same.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn changes(&self, after: FeedPosition, most: usize) -> Result<Vec<Told>, Error> {
        if most == 0 {
            return Ok(Vec::new());
        }
        // The feed's rows first: what moves from a notification to the feed meanwhile moves behind the head that the
        // caller has read before.
        let mut found = self.rows(after, most)?;
        let last = found.last().filter(|_| found.len() == most);
        let until = last.map_or(FeedPosition(u64::MAX), |last| last.change.position);
        found.extend(self.posts_unchanged((after, until), most)?);
        found.sort_by_key(|told| told.change.position);
        // Older stores have a row for these too.
        found.dedup_by_key(|told| told.change.position);
        found.truncate(most);
        Ok(found)
    }

    fn rows(&self, after: FeedPosition, most: usize) -> Result<Vec<Told>, Error> {
        let from = Bound::Excluded(keys::change(&self.user, after));
        let to = Bound::Excluded(keys::after(&keys::feed(&self.user)));
        let mut found = Vec::new();
        self.reader
            .engine
            .scan(from, to, Order::Ascending, &mut |_, value| {
                found.push(Told {
                    change: Change::decode(value)?,
                    found: None,
                });
                Ok(go_on_until(found.len() == most))
            })?;
        Ok(found)
    }

    fn posts_unchanged(
        &self,
        (after, until): (FeedPosition, FeedPosition),
        most: usize,
    ) -> Result<Vec<Told>, Error> {
        let from = Bound::Excluded(keys::notification(&self.user, after));
        let to = Bound::Excluded(keys::notification(&self.user, until));
        let mut found = Vec::new();
        self.reader
            .engine
            .scan(from, to, Order::Ascending, &mut |_, value| {
                let row = records::decode_row(value)?;
                if let Some(change) = row.standing().posting() {
                    let found_here = records::decode_whole(row)?.map(Box::new);
                    found.push(Told {
                        change,
                        found: found_here,
                    });
                }
                Ok(go_on_until(found.len() == most))
            })?;
        Ok(found)
    }
}

impl Reader {
    /// A user's feed.
    pub fn feed(&self, subject: &Subject) -> Feed<'_> {
        Feed {
            reader: self,
            user: keys::user_key(subject),
        }
    }

    /// Up to `most` changes of a user's [feed](Feed::changes) after `after`, in order.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn changes(
        &self,
        subject: &Subject,
        after: FeedPosition,
        most: usize,
    ) -> Result<Vec<Change>, Error> {
        let told = self.feed(subject).changes(after, most)?;
        Ok(told.into_iter().map(|told| told.change).collect())
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
