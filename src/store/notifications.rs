//! Questions about notifications.

use std::{
    collections::HashSet,
    ops::{Bound, ControlFlow},
};

use super::{
    Error, Reader,
    engine::Order,
    keys::{self, UserKey},
    records::{self, Record, Standing, StoredPlace},
};
use crate::model::{
    EndpointId, FeedPosition, Notification, NotificationId, Receipt, Subject, User,
};

impl Reader {
    /// The user's row; a fresh one where nothing is kept yet, or any more.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn user(&self, subject: &Subject) -> Result<User, Error> {
        match self.known_user(subject)? {
            Some(known) => Ok(known),
            None => self.new_user(subject),
        }
    }

    /// The user's row, where there is one.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn known_user(&self, subject: &Subject) -> Result<Option<User>, Error> {
        self.record(&keys::user(&keys::user_key(subject)))
    }

    /// Whether there is a row of the user; also where the store cannot be read.
    pub fn is_known(&self, subject: &Subject) -> bool {
        let row = self.engine.get(&keys::user(&keys::user_key(subject)));
        row.map_or(true, |row| row.is_some())
    }

    /// The notification at `number`, removed ones too.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn notification(
        &self,
        subject: &Subject,
        number: FeedPosition,
    ) -> Result<Option<Notification>, Error> {
        self.notification_at(&keys::user_key(subject), number)
    }

    pub(super) fn notification_at(
        &self,
        user: &UserKey,
        number: FeedPosition,
    ) -> Result<Option<Notification>, Error> {
        let row = self.engine.get(&keys::notification(user, number))?;
        row.map_or(Ok(None), |bytes| self.assemble(user, number, bytes))
    }

    /// Where the notification with this id stands, if it is this user's.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn number_of(
        &self,
        subject: &Subject,
        id: NotificationId,
    ) -> Result<Option<FeedPosition>, Error> {
        self.number_at(&keys::user_key(subject), id)
    }

    pub(super) fn number_at(
        &self,
        user: &UserKey,
        id: NotificationId,
    ) -> Result<Option<FeedPosition>, Error> {
        if let Some(bytes) = self.engine.get(&keys::id(id))? {
            let own = keys::user_at(&bytes, 0)? == *user;
            let number = own.then(|| keys::u64_at(&bytes, keys::USER).map(FeedPosition));
            return number.transpose();
        }
        let number = self.ids()?.number(user, id);
        let row = self.engine.get(&keys::notification(user, number))?;
        let row = row.as_deref().map(records::decode_row).transpose()?;
        Ok(row.filter(|row| row.standing().id == id).map(|_| number))
    }

    /// An id for what is posted to a user at `number`.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn new_id(&self, subject: &Subject, number: FeedPosition) -> Result<NotificationId, Error> {
        Ok(self.ids()?.mint(&keys::user_key(subject), number))
    }

    /// The user's notification with this id, removed ones too.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn notification_of(
        &self,
        subject: &Subject,
        id: NotificationId,
    ) -> Result<Option<Notification>, Error> {
        loop {
            let Some(number) = self.number_of(subject, id)? else {
                // Whoever replaces it moves it: between two looks it may stand at neither place.
                let missed = self.number_of(subject, id)?;
                if missed.is_none() {
                    return Ok(None);
                }
                continue;
            };
            let found = self.notification(subject, number)?;
            if let Some(it) = found.filter(|it| it.id == id) {
                return Ok(Some(it));
            }
            if self.number_of(subject, id)? == Some(number) {
                return Ok(None);
            }
        }
    }

    /// Whose notification this is; asks of every user, where only the id itself could tell.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn whose(&self, id: NotificationId) -> Result<Option<Subject>, Error> {
        if let Some(bytes) = self.engine.get(&keys::id(id))? {
            return self.subject_of(&keys::user_at(&bytes, 0)?);
        }
        let ids = self.ids()?;
        let mut may_be = Vec::new();
        self.scan_prefix(b"u", Order::Ascending, &mut |key, value| {
            let user = keys::user_at(key, 1)?;
            let it = User::decode(value)?;
            if ids.number(&user, id) <= it.head {
                may_be.push((user, it.subject));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        for (user, subject) in may_be {
            if self.number_at(&user, id)?.is_some() {
                return Ok(Some(subject));
            }
        }
        Ok(None)
    }

    /// Where the notification stands that the app calls `app_id`.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn number_of_name(
        &self,
        subject: &Subject,
        app_id: &str,
    ) -> Result<Option<FeedPosition>, Error> {
        let bytes = self
            .engine
            .get(&keys::name(&keys::user_key(subject), app_id))?;
        bytes
            .map(|bytes| keys::u64_at(&bytes, 0).map(FeedPosition))
            .transpose()
    }

    /// Walks the user's notifications from the newest posted before `before` back; `visit` says when to stop.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn newest_first(
        &self,
        subject: &Subject,
        before: FeedPosition,
        visit: &mut dyn FnMut(Notification) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.walk(
            subject,
            (FeedPosition::START, before),
            Order::Descending,
            visit,
        )
    }

    /// Walks the user's notifications from the oldest posted on; `visit` says when to stop.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn oldest_first(
        &self,
        subject: &Subject,
        visit: &mut dyn FnMut(Notification) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.oldest_first_from(subject, FeedPosition::START, visit)
    }

    /// The same from the one posted at `from` on.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn oldest_first_from(
        &self,
        subject: &Subject,
        from: FeedPosition,
        visit: &mut dyn FnMut(Notification) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.walk(
            subject,
            (from, FeedPosition(u64::MAX)),
            Order::Ascending,
            visit,
        )
    }

    /// The number of the user's oldest notification that is not in `gone`.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn oldest_but(
        &self,
        subject: &Subject,
        gone: &HashSet<FeedPosition>,
    ) -> Result<Option<FeedPosition>, Error> {
        let prefix = keys::notifications(&keys::user_key(subject));
        let mut oldest = None;
        self.scan_prefix(&prefix, Order::Ascending, &mut |key, _| {
            let number = keys::number_at_end(key)?;
            if gone.contains(&number) {
                return Ok(ControlFlow::Continue(()));
            }
            oldest = Some(number);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(oldest)
    }

    /// Walks the rows of all the user's notifications, oldest posted first, without their content.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn standings(
        &self,
        subject: &Subject,
        visit: &mut dyn FnMut(Standing),
    ) -> Result<(), Error> {
        let prefix = keys::notifications(&keys::user_key(subject));
        self.scan_prefix(&prefix, Order::Ascending, &mut |_, value| {
            visit(records::decode_row(value)?.standing());
            Ok(ControlFlow::Continue(()))
        })
    }

    fn walk(
        &self,
        subject: &Subject,
        (from, before): (FeedPosition, FeedPosition),
        order: Order,
        visit: &mut dyn FnMut(Notification) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let user = keys::user_key(subject);
        let bounds = (
            Bound::Included(keys::notification(&user, from)),
            Bound::Excluded(keys::notification(&user, before)),
        );
        self.engine
            .scan(bounds.0, bounds.1, order, &mut |key, value| {
                let number = keys::number_at_end(key)?;
                let found = self.assemble(&user, number, value.to_vec())?;
                Ok(found.map_or(ControlFlow::Continue(()), &mut *visit))
            })
    }

    /// What endpoints told of one notification.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn receipts(
        &self,
        subject: &Subject,
        number: FeedPosition,
    ) -> Result<Vec<(EndpointId, Receipt)>, Error> {
        self.collect(
            &keys::receipts(&keys::user_key(subject), number),
            |key, value| Ok((keys::receipt_endpoint(key)?, Receipt::decode(value)?)),
        )
    }

    /// What one endpoint told of one notification.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn receipt(
        &self,
        subject: &Subject,
        number: FeedPosition,
        endpoint: &EndpointId,
    ) -> Result<Receipt, Error> {
        let key = keys::receipt(&keys::user_key(subject), number, endpoint);
        Ok(self.record(&key)?.unwrap_or_default())
    }

    /// The notification of a row, with its parts. Between the reading of the two it may be replaced or removed: then
    /// what stands there now; nothing, where nothing does.
    pub(super) fn assemble(
        &self,
        user: &keys::UserKey,
        number: FeedPosition,
        row: Vec<u8>,
    ) -> Result<Option<Notification>, Error> {
        let mut row = row;
        loop {
            let mut stored = records::decode_row(&row)?;
            let content = match &mut stored.state.content {
                StoredPlace::Inline(content) => Some(std::mem::take(content)),
                StoredPlace::Parts(count) => self.parts(user, number, *count)?,
                StoredPlace::Shared(id, count) => self.shared_content(*id, *count)?,
            };
            if let Some(content) = content {
                return records::decode_notification(stored, &content).map(Some);
            }
            match self.engine.get(&keys::notification(user, number))? {
                None => return Ok(None),
                Some(same) if same == row => {
                    return Err(keys::broken("a part of a notification"));
                }
                Some(newer) => row = newer,
            }
        }
    }

    /// The parts put together; nothing, where one is missing.
    fn parts(
        &self,
        user: &keys::UserKey,
        number: FeedPosition,
        count: u16,
    ) -> Result<Option<Vec<u8>>, Error> {
        let mut content = Vec::new();
        for index in 0..count {
            match self.engine.get(&keys::part(user, number, index))? {
                Some(part) => content.extend(part),
                None => return Ok(None),
            }
        }
        Ok(Some(content))
    }
}
