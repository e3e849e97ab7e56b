//! Questions about erasures, and about what a user leaves where only a walk finds it.

use std::ops::{Bound, ControlFlow};

use super::{
    Error, Expiring, LEFT_BY_AN_ENDPOINT, Reader,
    engine::Order,
    keys::{self, ExpiryKind},
    records::{self, Record},
};
use crate::model::{Act, Erasure, Marker, Once, OnceAnswer, Subject, User, UserId, Whom};

/// Some acts of the audit log, and the number from which on the next are to be sought.
pub type ActsFound = (Vec<Act>, Option<u64>);

/// A user as the audit log names one who was erased.
pub fn pseudonym(user: &UserId) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&keys::sha256(&[user.as_str().as_bytes()])[..16]);
    short
}

impl Reader {
    /// The last erasure of someone, where there was one.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn erasure(&self, subject: &Subject) -> Result<Option<Erasure>, Error> {
        self.record(&keys::erasure(&keys::user_key(subject)))
    }

    /// The erasure of someone, as keys name them.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn erasure_of(&self, user: &[u8; keys::USER]) -> Result<Option<Erasure>, Error> {
        self.record(&keys::erasure(user))
    }

    /// Who is being erased; walks all erasures.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn being_erased(&self) -> Result<Vec<Subject>, Error> {
        let found = self.collect(&keys::erasures(), |_, value| Erasure::decode(value))?;
        Ok(found.into_iter().filter_map(|it| it.under_way).collect())
    }

    /// The row of someone of whom nothing is kept.
    pub(super) fn new_user(&self, subject: &Subject) -> Result<User, Error> {
        let erasure = self.erasure(subject)?;
        Ok(match erasure {
            Some(erasure) => erasure.user_after(subject.clone()),
            None => User::new(subject.clone()),
        })
    }

    /// The expiries that a user's signed-out endpoints left until the sweep has been there.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn left_by_endpoints(&self, subject: &Subject) -> Result<Vec<Expiring>, Error> {
        let user = keys::user_key(subject);
        let prefix = keys::expiry(LEFT_BY_AN_ENDPOINT, ExpiryKind::Endpoint, &[&user]);
        self.collect(&prefix, |key, _| {
            let id = key.get(prefix.len()..).unwrap_or_default();
            Ok(Expiring::Endpoint(keys::endpoint_text(id)?))
        })
    }

    /// Up to `most` `Idempotency-Key`s that were used for posts to a user; walks all of the app's.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn onces_of(&self, subject: &Subject, most: usize) -> Result<Vec<Once>, Error> {
        let mut found = Vec::new();
        let prefix = keys::onces_of(&subject.app);
        self.scan_prefix(&prefix, Order::Ascending, &mut |_, value| {
            let once = records::decode_once(value)?;
            let is_theirs =
                matches!(&once.answer, OnceAnswer::Posted { subject: of, .. } if of == subject);
            found.extend(is_theirs.then_some(once));
            Ok(go_on_while(found.len() < most))
        })?;
        Ok(found)
    }

    /// Up to `most` markers of a user; walks the outbox.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn markers_of(&self, subject: &Subject, most: usize) -> Result<Vec<Marker>, Error> {
        let (wanted, mut found) = (keys::user_key(subject), Vec::new());
        self.scan_prefix(&keys::markers(), Order::Ascending, &mut |key, _| {
            let (due, user, tag) = keys::marker_parts(key)?;
            found.extend((user == wanted).then(|| Marker {
                due,
                subject: subject.clone(),
                tag,
            }));
            Ok(go_on_while(found.len() < most))
        })?;
        Ok(found)
    }

    /// Up to `most` acts that name a user, from the number `from` on; and where to go on, where there may be more.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn acts_about(
        &self,
        subject: &Subject,
        from: u64,
        most: usize,
    ) -> Result<ActsFound, Error> {
        let from = Bound::Included(keys::act(from));
        let to = Bound::Excluded(keys::after(&keys::acts()));
        let (mut found, mut next) = (Vec::new(), None);
        self.engine
            .scan(from, to, Order::Ascending, &mut |_, value| {
                let act = Act::decode(value)?;
                let names = matches!(&act.user, Some(Whom::Named(user)) if *user == subject.user);
                if names && act.app.as_ref() == Some(&subject.app) {
                    next = Some(act.number + 1);
                    found.push(act);
                }
                Ok(go_on_while(found.len() < most))
            })?;
        let next = next.filter(|_| found.len() == most);
        Ok((found, next))
    }
}

fn go_on_while(wanted: bool) -> ControlFlow<()> {
    if wanted {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}

#[cfg(test)]
impl Reader {
    /// The keys of all rows that hold any of these bytes, in the key or in the value.
    pub(crate) fn rows_that_hold(&self, needles: &[Vec<u8>]) -> Vec<String> {
        let mut found = Vec::new();
        let all = (Bound::Unbounded, Bound::Unbounded);
        let visit: super::engine::Visit<'_> = &mut |key, value| {
            let has =
                |row: &[u8], needle: &Vec<u8>| row.windows(needle.len()).any(|it| it == needle);
            if needles.iter().any(|it| has(key, it) || has(value, it)) {
                found.push(key.escape_ascii().to_string());
            }
            Ok(ControlFlow::Continue(()))
        };
        self.engine
            .scan(all.0, all.1, Order::Ascending, visit)
            .unwrap();
        found
    }

    /// How keys name a user.
    pub(crate) fn key_of(subject: &Subject) -> Vec<u8> {
        keys::user_key(subject).to_vec()
    }
}
