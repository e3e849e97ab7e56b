//! Questions about the audit log.

use std::ops::{Bound, ControlFlow};

use super::{Error, Reader, engine::Order, keys, records::Record};
use crate::model::{Act, Actor, AppHost, Timestamp, Whom};

impl Reader {
    /// The number of the newest act; 0 where there is none.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn last_act(&self) -> Result<u64, Error> {
        let newest = self.acts(&ActsOf::default(), 1)?;
        Ok(newest.first().map_or(0, |act| act.number))
    }

    /// The numbers of all acts, the oldest first, each with the app whose key did it.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn kept_acts(&self) -> Result<Vec<(u64, Option<AppHost>)>, Error> {
        self.collect(&keys::acts(), |_, value| {
            let act = Act::decode(value)?;
            let of_key = match act.by {
                Actor::Key(_) => act.app,
                Actor::Operator => None,
            };
            Ok((act.number, of_key))
        })
    }

    /// The act with this number.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn act(&self, number: u64) -> Result<Option<Act>, Error> {
        self.record(&keys::act(number))
    }

    /// Up to `most` acts, newest first.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn acts(&self, of: &ActsOf, most: usize) -> Result<Vec<Act>, Error> {
        let before = of.before.map_or_else(
            || Bound::Excluded(keys::after(&keys::acts())),
            |before| Bound::Excluded(keys::act(before)),
        );
        let from = Bound::Included(keys::acts());
        let mut acts = Vec::new();
        self.engine
            .scan(from, before, Order::Descending, &mut |_, value| {
                let act = Act::decode(value)?;
                let is_asked = (of.app.is_none() || of.app == act.app)
                    && (of.user.is_none() || of.user == act.user);
                // The clock may have gone back between two.
                if is_asked && of.since.is_none_or(|since| act.at >= since) {
                    acts.push(act);
                }
                Ok(match acts.len() < most {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                })
            })?;
        Ok(acts)
    }
}

/// Which acts are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ActsOf {
    /// Those about this app.
    pub app: Option<AppHost>,
    /// Those that name this user.
    pub user: Option<Whom>,
    /// Those then and later.
    pub since: Option<Timestamp>,
    /// Those whose number is less.
    pub before: Option<u64>,
}
