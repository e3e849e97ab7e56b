//! Who changes something, and whether that leaves them anything to be told of.

use super::Error;
use crate::{
    model::{Endpoint, EndpointId, FeedPosition, Notification, Receipt, Subject},
    store::Reader,
};

/// Who changes something.
pub(super) struct Actor {
    pub(super) endpoint: Endpoint,
    /// Up to where it holds the feed; everything, where it is answered with all of it.
    holds: FeedPosition,
}

impl Actor {
    /// The endpoint, unless it was signed out meanwhile; it says that it holds the feed up to `holds`.
    pub(super) fn read(
        reader: &Reader,
        subject: &Subject,
        id: &EndpointId,
        holds: FeedPosition,
    ) -> Result<Option<Self>, Error> {
        let endpoint = reader.registered_endpoint(subject, id)?;
        Ok(endpoint.map(|endpoint| Self { endpoint, holds }))
    }

    /// Whether its own change leaves it nothing to be told of: it knows of what others did before. A feed remembers the last
    /// change alone.
    pub(super) fn knows(
        &self,
        reader: &Reader,
        subject: &Subject,
        (it, receipt): (&Notification, Receipt),
    ) -> Result<bool, Error> {
        if it.changed_at <= self.holds.max(receipt.held) {
            return Ok(true);
        }
        let before = reader.change(subject, it.changed_at)?;
        Ok(before.is_some_and(|before| before.is_by(&self.endpoint)))
    }
}
