//! Figures of what is kept.

use std::ops::ControlFlow;

use super::{Error, Reader, engine::Order, identity, records::Record as _};
use crate::model::{Endpoint, Timestamp, User};

/// How much of the hub's own is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// Users.
    pub users: u64,
    /// Notifications that are there.
    pub notifications: u64,
    /// Those of them that are unread.
    pub unread: u64,
    /// Endpoints whose time is not over.
    pub endpoints: u64,
}

impl Reader {
    /// The time that the store was told last.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn last_time(&self) -> Result<Option<Timestamp>, Error> {
        let millis = identity::number(&self.engine, "time")?;
        Ok(millis.map(Timestamp::from_millis))
    }

    /// Up to which time things were done by a clock that was doubted; nothing, where it is believed.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn doubted_up_to(&self) -> Result<Option<Timestamp>, Error> {
        let millis = identity::number(&self.engine, "doubt")?;
        Ok(millis.map(Timestamp::from_millis))
    }

    /// Counts what is kept: one row a user, and one an endpoint.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn held(&self) -> Result<Held, Error> {
        let mut held = Held::default();
        self.scan_prefix(b"u", Order::Ascending, &mut |_, value| {
            let user = User::decode(value)?;
            held.users += 1;
            held.notifications += user.live;
            held.unread += user.unread;
            Ok(ControlFlow::Continue(()))
        })?;
        self.scan_prefix(b"e", Order::Ascending, &mut |_, value| {
            held.endpoints += u64::from(Endpoint::decode(value)?.told_until.is_none());
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(held)
    }
}
