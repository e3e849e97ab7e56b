//! Questions about what has come to its end.

use std::ops::{Bound, ControlFlow};

use super::{
    Error, Expiring, Reader,
    engine::Order,
    keys::{self, ExpiryKind},
};
use crate::model::{AppHost, FeedPosition, Subject, Timestamp, UserToken};

/// Something whose time is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// Whose it is.
    pub subject: Subject,
    /// When its time was over.
    pub at: Timestamp,
    /// What it is.
    pub what: Expiring,
}

impl Reader {
    /// Up to `most` things whose time is over at `now`, oldest first; and when the next one's is, where all were
    /// given.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn expired(
        &self,
        now: Timestamp,
        most: usize,
    ) -> Result<(Vec<Expired>, Option<Timestamp>), Error> {
        let (mut found, mut next) = (Vec::new(), None);
        let bounds = (
            Bound::Included(keys::expiries_from(Timestamp::default())),
            Bound::Excluded(keys::after(&keys::expiries())),
        );
        self.engine
            .scan(bounds.0, bounds.1, Order::Ascending, &mut |key, _| {
                let (at, kind, what) = keys::expiry_parts(key)?;
                if at > now || found.len() >= most {
                    next = Some(at);
                    return Ok(ControlFlow::Break(()));
                }
                found.extend(self.expired_of(at, kind, what)?);
                Ok(ControlFlow::Continue(()))
            })?;
        Ok((found, next))
    }

    fn expired_of(
        &self,
        at: Timestamp,
        kind: ExpiryKind,
        raw: &[u8],
    ) -> Result<Option<Expired>, Error> {
        if kind == ExpiryKind::Token {
            let hash = raw
                .try_into()
                .map_err(|_| keys::broken("a token's expiry"))?;
            let token: Option<UserToken> = self.token(&hash)?;
            return Ok(token.map(|token| Expired {
                subject: token.subject,
                at,
                what: Expiring::Token(hash),
            }));
        }
        let Some(subject) = self.subject_of(&keys::user_at(raw, 0)?)? else {
            return Ok(None);
        };
        let rest = raw.get(keys::USER..).unwrap_or_default();
        let what = match kind {
            ExpiryKind::Notification => {
                Expiring::Notification(FeedPosition(keys::u64_at(rest, 0)?))
            }
            ExpiryKind::Removal => Expiring::Removal(FeedPosition(keys::u64_at(rest, 0)?)),
            ExpiryKind::Endpoint => Expiring::Endpoint(keys::endpoint_text(rest)?),
            ExpiryKind::Once | ExpiryKind::Token => once_of(&subject.app, rest)?,
        };
        Ok(Some(Expired { subject, at, what }))
    }
}

fn once_of(app: &AppHost, rest: &[u8]) -> Result<Expiring, Error> {
    let key = rest.get(8..).and_then(|raw| raw.try_into().ok());
    Ok(Expiring::Once(
        app.clone(),
        key.ok_or_else(|| keys::broken("an expiry row"))?,
    ))
}
