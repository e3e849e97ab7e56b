//! What one operation does to one user's feed, gathered into one unit of work. Pure: it reads nothing by itself but
//! what it is given.

use std::{collections::HashSet, time::Duration};

use crate::{
    model::{
        BroadcastId, Change, ChangeKind, Draft, EndpointId, FeedPosition, Marker, Notification,
        NotificationId, Owner, ReadState, Removal, StateChange, Subject, Timestamp, User,
    },
    store::{Expiring, Row, Unit},
};

/// How long a feed remembers a removal. A client that comes back later starts over.
pub(super) const REMOVALS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// What is posted to a person.
#[derive(Debug, Clone)]
pub(super) struct Posting {
    /// What the app sent.
    pub(super) draft: Draft,
    /// When it leaves the store.
    pub(super) expires: Timestamp,
    /// The broadcast that it comes by, whose content it shares.
    pub(super) broadcast: Option<BroadcastId>,
}

/// The plan of an operation on one user.
#[derive(Debug)]
pub(super) struct Changes {
    before: User,
    user: User,
    now: Timestamp,
    unit: Unit,
    forgotten: HashSet<FeedPosition>,
}

impl Changes {
    /// Nothing yet, on the user as read under their lock.
    pub(super) fn begin(user: User, now: Timestamp) -> Self {
        let mut unit = Unit::of(user.subject.clone());
        unit.expects = Some(user.head);
        Self {
            before: user.clone(),
            user,
            now,
            unit,
            forgotten: HashSet::new(),
        }
    }

    pub(super) fn user(&self) -> &User {
        &self.user
    }

    /// Adds a row of another kind to the unit.
    pub(super) fn also(&mut self, row: Row) {
        self.unit.push(row);
    }

    fn next_position(&mut self) -> FeedPosition {
        self.user.head = self.user.head.next();
        self.user.head
    }

    /// Posts a new notification.
    pub(super) fn post(&mut self, posting: Posting, id: NotificationId) -> Notification {
        let now = self.now;
        self.put_posted(posting, (id, 1), now)
    }

    /// Posts anew in the place of `old`: same id and creation, unread again, newest in history.
    pub(super) fn replace(&mut self, old: &Notification, posting: Posting) -> Notification {
        self.unit.push(Row::DropChange(old.changed_at));
        self.unit.push(Row::DropExpiry(
            old.expires,
            Expiring::Notification(old.number),
        ));
        self.unit.push(Row::DropNotification(Box::new(old.clone())));
        self.user.live = self.user.live.saturating_sub(1);
        self.user.unread = self
            .user
            .unread
            .saturating_sub(u64::from(old.read == ReadState::Unread));
        self.put_posted(posting, (old.id, old.version + 1), old.created)
    }

    fn put_posted(
        &mut self,
        posting: Posting,
        (id, version): (NotificationId, u64),
        created: Timestamp,
    ) -> Notification {
        let expires = posting.expires;
        let number = self.next_position();
        let it = Notification {
            id,
            number,
            changed_at: number,
            version,
            draft: posting.draft,
            created,
            posted: self.now,
            modified: self.now,
            expires,
            read: ReadState::default(),
            action: crate::model::ActionState::default(),
            handled: false,
            handled_since: None,
            removed: None,
            broadcast: posting.broadcast,
        };
        self.unit.push(Row::Notification(Box::new(it.clone())));
        self.unit.push(Row::Content(Box::new(it.clone())));
        self.unit.push(Row::Id(id, number));
        if let Some(app_id) = &it.draft.app_id {
            self.unit.push(Row::Name(app_id.clone(), number));
        }
        self.unit
            .push(Row::Expiry(expires, Expiring::Notification(number)));
        self.put_change(&it, ChangeKind::Created, None);
        self.user.live += 1;
        self.user.unread += 1;
        if let Some(due) = it.fallback_due() {
            self.look(due);
        }
        it
    }

    /// Sets the state of a live notification; nothing, where it is so already.
    pub(super) fn set(
        &mut self,
        old: &Notification,
        change: StateChange,
        by: Option<&EndpointId>,
    ) -> Option<Notification> {
        if !old.is_changed_by(change) {
            return None;
        }
        let mut it = old.clone().with(change).as_changed(self.now);
        self.user.unread = self
            .user
            .unread
            .saturating_sub(u64::from(old.read == ReadState::Unread));
        self.user.unread += u64::from(it.read == ReadState::Unread);
        self.unit.push(Row::DropChange(old.changed_at));
        it.changed_at = self.next_position();
        it.version += 1;
        self.unit.push(Row::Notification(Box::new(it.clone())));
        self.put_change(&it, ChangeKind::Changed, by);
        Some(it)
    }

    /// Takes a live notification away before its time. What is left of it serves the delivery reports.
    pub(super) fn remove(&mut self, old: &Notification, removal: Removal, by: Option<&EndpointId>) {
        self.unit.push(Row::DropNotification(Box::new(old.clone())));
        let mut stub = old.clone();
        stub.removed = Some(removal);
        stub.draft.raw = None;
        stub.draft.visual = None;
        stub.draft.fallback = None;
        stub.broadcast = None;
        self.take_away(old, removal, by);
        stub.changed_at = self.user.head;
        let stub = stub.as_changed(self.now);
        self.unit.push(Row::Notification(Box::new(stub)));
    }

    /// Ends a notification, live or deleted before, whose time is over: nothing is left of it but, for a live one,
    /// the word of its removal in the feed.
    pub(super) fn expire(&mut self, old: &Notification) {
        self.unit.push(Row::DropNotification(Box::new(old.clone())));
        self.unit.push(Row::DropId(old.id, old.number));
        self.unit.push(Row::DropExpiry(
            old.expires,
            Expiring::Notification(old.number),
        ));
        let removal = if old.was_replaced() {
            // Who shows what it was before does not know that it is over.
            self.look(self.now);
            Removal::ExpiredEarly
        } else {
            Removal::Expired
        };
        if old.removed.is_none() {
            self.take_away(old, removal, None);
        }
    }

    /// Takes a notification away, live or deleted before, as if it had never been: nothing is told of it. The word of an
    /// earlier removal stays, to be forgotten.
    pub(super) fn erase(&mut self, old: &Notification) {
        self.unit.push(Row::DropNotification(Box::new(old.clone())));
        self.unit.push(Row::DropId(old.id, old.number));
        let expiring = Expiring::Notification(old.number);
        self.unit.push(Row::DropExpiry(old.expires, expiring));
        if old.removed.is_some() {
            return;
        }
        self.unit.push(Row::DropChange(old.changed_at));
        if let Some(app_id) = &old.draft.app_id {
            self.unit.push(Row::DropName(app_id.clone()));
        }
        self.user.live = self.user.live.saturating_sub(1);
        self.user.unread = self
            .user
            .unread
            .saturating_sub(u64::from(old.read == ReadState::Unread));
    }

    fn take_away(&mut self, old: &Notification, removal: Removal, by: Option<&EndpointId>) {
        self.user.live = self.user.live.saturating_sub(1);
        self.user.unread = self
            .user
            .unread
            .saturating_sub(u64::from(old.read == ReadState::Unread));
        self.user.removals += 1;
        if let Some(app_id) = &old.draft.app_id {
            self.unit.push(Row::DropName(app_id.clone()));
        }
        self.unit.push(Row::DropChange(old.changed_at));
        let mut it = old.clone();
        it.changed_at = self.next_position();
        self.put_change(&it, ChangeKind::Removed(removal), by);
        let forget = self.now.plus(REMOVALS_KEPT);
        self.unit
            .push(Row::Expiry(forget, Expiring::Removal(it.changed_at)));
    }

    /// Forgets a removal; cursors from before it no longer reach.
    pub(super) fn forget(&mut self, removal: &Change) {
        if !self.forgotten.insert(removal.position) {
            return;
        }
        let forget = removal.at.plus(REMOVALS_KEPT);
        self.unit.push(Row::DropChange(removal.position));
        self.unit
            .push(Row::DropExpiry(forget, Expiring::Removal(removal.position)));
        self.user.removals = self.user.removals.saturating_sub(1);
        self.user.floor = self.user.floor.max(removal.position);
    }

    fn put_change(&mut self, it: &Notification, kind: ChangeKind, by: Option<&EndpointId>) {
        self.unit.push(Row::Change(Change {
            position: it.changed_at,
            number: it.number,
            notification: it.id,
            kind,
            replaced: it.was_replaced(),
            at: self.now,
            by: by.cloned(),
        }));
    }

    /// Has dispatch look at the user when `due` has come.
    pub(super) fn look(&mut self, due: Timestamp) {
        self.unit.push(Row::Marker(marker(&self.user.subject, due)));
    }

    /// Who owns a channel by what was planned so far; none, where that says nothing of it.
    pub(super) fn owners(&self, identity: &[u8]) -> Option<&[Owner]> {
        let rows = self.unit.rows.iter().rev();
        let mut of_it = rows.filter_map(|row| match row {
            Row::Owners(of, owners) if of == identity => Some(owners.as_slice()),
            _ => None,
        });
        of_it.next()
    }

    /// How many rows there are so far.
    pub(super) fn len(&self) -> usize {
        self.unit.rows.len()
    }

    /// The unit, with the user's row in it.
    pub(super) fn into_unit(mut self) -> Unit {
        self.unit.push(Row::User(self.user));
        self.unit
    }

    /// The unit of what is the last of a user: their row goes.
    pub(super) fn into_last_unit(mut self) -> Unit {
        self.unit.push(Row::DropUser);
        self.unit
    }

    /// The unit of what is no change of the feed: without the user's row, where nothing of it moved, so that nobody
    /// who follows the feed wakes for it.
    pub(super) fn into_quiet_unit(self) -> Unit {
        if self.user != self.before {
            return self.into_unit();
        }
        let mut unit = self.unit;
        unit.expects = None;
        unit
    }

    /// The unit, for a plan that came to nothing: empty.
    pub(super) fn into_nothing(self) -> Unit {
        Unit::of(self.user.subject)
    }
}

/// A marker of its own for `subject`.
pub(super) fn marker(subject: &Subject, due: Timestamp) -> Marker {
    Marker {
        due,
        subject: subject.clone(),
        tag: rand::random(),
    }
}
