//! The invariants: records, feeds, expiries, names and outbox agree, both ways, and no value lies where nothing
//! syncs it.

mod access;
mod broadcasts;
mod endpoints;
mod expiries;
mod finding;
mod operator;
mod prefixes;
mod used_keys;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::ControlFlow::{Break, Continue},
};

pub use finding::Finding;

use super::{
    Error, Reader,
    engine::Order,
    keys::{self, ExpiryKind, UserKey},
    records::{self, Record},
};
use crate::model::{
    BroadcastId, Change, ChangeKind, FeedPosition, Notification, ReadState, Removal, Subject, User,
};

/// What the rows of a user add up to.
#[derive(Default)]
struct Counted {
    live: u64,
    unread: u64,
    removals: u64,
    /// The removals of which no expiry was seen yet.
    lasting: BTreeSet<FeedPosition>,
    last: FeedPosition,
}

/// Looks at one row: its key and its value.
type Look<C> = fn(&mut C, &[u8], &[u8]) -> Result<(), Error>;

/// After how many rows a walk asks whether to go on.
const STRETCH: usize = 500;

struct Check<'a> {
    reader: &'a Reader,
    /// Asked after every [`STRETCH`].
    go_on: Box<dyn FnMut() -> bool + 'a>,
    walked: usize,
    stopped: bool,
    findings: Vec<Finding>,
    counted: HashMap<UserKey, Counted>,
    /// How many share the content of each broadcast.
    sharers: BTreeMap<BroadcastId, u64>,
}

impl Reader {
    /// Walks every row and says what disagrees or cannot be read; nothing, for a sound store.
    ///
    /// # Errors
    /// `Unreadable` where a part of the file cannot be read at all; `Io`.
    pub fn verify(&self) -> Result<Vec<Finding>, Error> {
        let findings = self.verify_while(|| true)?;
        Ok(findings.unwrap_or_default())
    }

    /// The same as long as `go_on`, asked now and then, says so, where it may also rest; none, where it was stopped.
    ///
    /// # Errors
    /// As [`Reader::verify`].
    pub fn verify_while(&self, go_on: impl FnMut() -> bool) -> Result<Option<Vec<Finding>>, Error> {
        let mut check = Check::new(self, go_on);
        check.all()?;
        let stray = self.engine.stray_files();
        if stray > 0 {
            let message = format!("{stray} values lie in files that nothing syncs");
            check.say(&[0; keys::USER], message);
        }
        Ok((!check.stopped).then_some(check.findings))
    }
}

impl<'a> Check<'a> {
    fn new(reader: &'a Reader, go_on: impl FnMut() -> bool + 'a) -> Self {
        Self {
            reader,
            go_on: Box::new(go_on),
            walked: 0,
            stopped: false,
            findings: Vec::new(),
            counted: HashMap::new(),
            sharers: BTreeMap::new(),
        }
    }

    fn rows(&mut self, prefix: &[u8], look: Look<Self>) -> Result<(), Error> {
        let reader = self.reader;
        reader.scan_prefix(prefix, Order::Ascending, &mut |key, value| {
            self.walked += 1;
            let asks = self.walked.is_multiple_of(STRETCH);
            self.stopped = self.stopped || (asks && !(self.go_on)());
            if !self.stopped {
                let known = self.findings.len();
                match look(self, key, value) {
                    Err(Error::Corrupt(what)) => self.say_unreadable(key, &what),
                    looked => looked?,
                }
                let of_this = self.findings.iter_mut().skip(known);
                of_this.for_each(|finding| finding.row = key.to_vec());
            }
            Ok(if self.stopped {
                Break(())
            } else {
                Continue(())
            })
        })
    }

    fn say(&mut self, user: &UserKey, message: impl Into<String>) {
        self.findings.push(Finding::about(user, message));
    }

    /// The same of what many rows come to.
    fn say_of_sum(&mut self, user: &UserKey, message: impl Into<String>) {
        let mut finding = Finding::about(user, message);
        finding.is_sum = true;
        self.findings.push(finding);
    }

    fn expect(
        &mut self,
        user: &UserKey,
        key: &[u8],
        message: impl Into<String>,
    ) -> Result<(), Error> {
        if self.reader.engine.get(key)?.is_none() {
            self.say(user, message);
        }
        Ok(())
    }

    fn notification(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let user = keys::user_at(key, 1)?;
        let number = keys::number_at_end(key)?;
        let Some(it) = self.reader.assemble(&user, number, value.to_vec())? else {
            return Ok(());
        };
        if it.number != number {
            self.say(
                &user,
                format!("the notification at {} says {}", number.0, it.number.0),
            );
        }
        if let Some(id) = it.broadcast {
            *self.sharers.entry(id).or_default() += 1;
        }
        let counted = self.counted.entry(user).or_default();
        counted.last = counted.last.max(it.changed_at);
        if it.removed.is_none() {
            counted.live += 1;
            counted.unread += u64::from(it.read == ReadState::Unread);
        }
        if self.reader.number_at(&user, it.id)? != Some(number) {
            self.say(&user, format!("the id of {} does not lead to it", number.0));
        }
        let expiry = keys::expiry(
            it.expires,
            ExpiryKind::Notification,
            &[&user, &number.0.to_be_bytes()],
        );
        self.expect(&user, &expiry, format!("{} never expires", number.0))?;
        self.feed_of(&user, &it)
    }

    fn feed_of(&mut self, user: &UserKey, it: &Notification) -> Result<(), Error> {
        let row: Option<Change> = self.reader.record(&keys::change(user, it.changed_at))?;
        let number = it.number.0;
        match row {
            Some(change) if change.number == it.number && change.notification == it.id => {
                let removed = matches!(change.kind, ChangeKind::Removed(_));
                if removed != it.removed.is_some() {
                    self.say(
                        user,
                        format!("{number} and its change disagree on its removal"),
                    );
                }
            }
            Some(_) => self.say(user, format!("the change of {number} is another's")),
            None if it.removed.is_some() || it.changed_at == it.number => {}
            None => self.say(user, format!("{number} has no change in the feed")),
        }
        if let (None, Some(app_id)) = (it.removed, &it.draft.app_id) {
            let name = self.reader.engine.get(&keys::name(user, app_id))?;
            if name.as_deref() != Some(&number.to_be_bytes()) {
                self.say(user, format!("the name of {number} does not lead to it"));
            }
        }
        Ok(())
    }

    fn change(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let user = keys::user_at(key, 1)?;
        let position = keys::number_at_end(key)?;
        let change = Change::decode(value)?;
        let counted = self.counted.entry(user).or_default();
        counted.last = counted.last.max(position);
        if change.position != position {
            self.say(
                &user,
                format!("the change at {} says {}", position.0, change.position.0),
            );
        }
        let row = self
            .reader
            .engine
            .get(&keys::notification(&user, change.number))?;
        match (change.kind, row) {
            (ChangeKind::Removed(removal), row) => {
                let counted = self.counted.entry(user).or_default();
                counted.removals += 1;
                counted.lasting.insert(position);
                let there = row.map(|row| self.reader.assemble(&user, change.number, row));
                let live = there
                    .transpose()?
                    .flatten()
                    .is_some_and(|it| it.removed.is_none());
                if removal != Removal::Deleted && live {
                    self.say(
                        &user,
                        format!("{} expired and is still there", change.number.0),
                    );
                }
            }
            (_, Some(row)) => {
                let it = self.reader.assemble(&user, change.number, row)?;
                if it.is_some_and(|it| it.changed_at != position) {
                    self.say(
                        &user,
                        format!("the change at {} is superseded and still there", position.0),
                    );
                }
            }
            (_, None) => self.say(&user, format!("the change at {} is of nothing", position.0)),
        }
        Ok(())
    }

    fn id(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let user = keys::user_at(value, 0)?;
        let number = FeedPosition(keys::u64_at(value, keys::USER)?);
        let row = self.reader.engine.get(&keys::notification(&user, number))?;
        let row = row.as_deref().map(records::decode_row).transpose()?;
        match row {
            Some(row) if keys::id(row.standing().id) == key => {
                if self.reader.ids()?.leads(&user, row.standing().id, number) {
                    self.say(
                        &user,
                        format!("the id of {} has a row that it does not need", number.0),
                    );
                }
            }
            Some(_) => self.say(
                &user,
                format!("an id leads to {}, which has another", number.0),
            ),
            None => self.say(
                &user,
                format!("an id leads to {}, which is not there", number.0),
            ),
        }
        Ok(())
    }

    fn name(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let user = keys::user_at(key, 1)?;
        let number = FeedPosition(keys::u64_at(value, 0)?);
        let row = self.reader.engine.get(&keys::notification(&user, number))?;
        let row = row.as_deref().map(records::decode_row).transpose()?;
        let is_its = |name: &str| keys::name(&user, name) == key;
        match row {
            Some(row) if row.name().is_some_and(is_its) => {}
            Some(_) => self.say(
                &user,
                format!("a name leads to {}, which is not called so", number.0),
            ),
            None => self.say(
                &user,
                format!("a name leads to {}, which is not there", number.0),
            ),
        }
        Ok(())
    }

    fn part(&mut self, key: &[u8], _value: &[u8]) -> Result<(), Error> {
        let user = keys::user_at(key, 1)?;
        let number = FeedPosition(keys::u64_at(key, 1 + keys::USER)?);
        let row = self.reader.engine.get(&keys::notification(&user, number))?;
        let row = row.as_deref().map(records::decode_row).transpose()?;
        let parts = row.map_or(0, |row| row.parts());
        let own = (0..parts).any(|part| keys::part(&user, number, part) == key);
        if !own {
            self.say(&user, format!("a part of {} is left over", number.0));
        }
        Ok(())
    }

    fn marker(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let (_, user, _) = keys::marker_parts(key)?;
        // Earlier versions wrote no name.
        let is_named = |named: Subject| keys::user_key(&named) == user;
        if !value.is_empty() && !Subject::decode(value).is_ok_and(is_named) {
            self.say(&user, "a marker names another");
        }
        self.expect(&user, &keys::user(&user), "a marker is of nobody")
    }

    fn user(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let user = keys::user_at(key, 1)?;
        let it = User::decode(value)?;
        let counted = self.counted.remove(&user).unwrap_or_default();
        for (name, says, found) in [
            ("live", it.live, counted.live),
            ("unread", it.unread, counted.unread),
            ("removals", it.removals, counted.removals),
        ] {
            if says != found {
                self.say_of_sum(
                    &user,
                    format!("the user row says {says} {name}, the rows {found}"),
                );
            }
        }
        for position in counted.lasting {
            self.say(
                &user,
                format!("the removal at {} is never forgotten", position.0),
            );
        }
        if counted.last > it.head {
            self.say_of_sum(&user, "the feed goes beyond its head");
        }
        Ok(())
    }

    /// What was counted of users who have no row.
    fn nobodys(&mut self) {
        for (user, counted) in std::mem::take(&mut self.counted) {
            if counted.last > FeedPosition::START {
                self.say_of_sum(&user, "notifications and changes are nobody's");
            }
        }
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
