//! Reading: delta, history, one; and what is noted of it.

use std::ops::ControlFlow;

use super::{Error, Hub, changes, notify, seal::Purpose};
use crate::{
    model::{
        ActionState, Change, ChangeKind, EndpointId, FeedPosition, Notification, NotificationId,
        ReadState, Removal, Subject, Timestamp,
    },
    store::{Reader, Row, Unit},
};

/// What a delta tells of one notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// It is there, in this state.
    Present(Box<Notification>),
    /// It is gone, since this position.
    Removed(NotificationId, Removal, FeedPosition),
}

impl Item {
    /// Where its change stands in the feed: who has taken in all items up to it holds the feed up to there.
    pub fn position(&self) -> FeedPosition {
        match self {
            Self::Present(it) => it.changed_at,
            Self::Removed(_, _, position) => *position,
        }
    }
}

/// A page of a delta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeltaPage {
    /// The changes, oldest first.
    pub items: Vec<Item>,
    /// What a client holds that has taken the page in.
    pub position: FeedPosition,
    /// Whether there is more right now.
    pub more: bool,
    /// Whether it is part of a first delta, which tells what is there and no removals.
    pub first: bool,
}

/// From where a delta goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// From what a client holds.
    Cursor(FeedPosition),
    /// From the last page of a first delta, whatever the feed has forgotten since.
    Sync(FeedPosition),
}

/// Which notifications a history shows; all must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Only those in this read state.
    pub read: Option<ReadState>,
    /// Only those in this action state.
    pub action: Option<ActionState>,
    /// Only those of this group.
    pub group: Option<String>,
}

/// A page of history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPage {
    /// Newest posted first.
    pub items: Vec<Notification>,
    /// Where the next page begins, if there is one.
    pub next: Option<FeedPosition>,
    /// How many unread ones the person has, whatever the filter.
    pub unread: u64,
}

impl Hub {
    /// The changes since a position; everything that is there, where none is given.
    ///
    /// # Errors
    /// `CursorTooOld` where the feed no longer reaches back to it; `Store`.
    pub async fn delta(
        &self,
        subject: Subject,
        since: Option<Since>,
        top: usize,
    ) -> Result<DeltaPage, Error> {
        let now = self.now();
        self.store
            .ask(move |reader| delta(reader, &subject, since, (top, now)))
            .await
    }

    /// What is kept, newest posted first, from `before` back.
    ///
    /// # Errors
    /// `Store`.
    pub async fn history(
        &self,
        subject: Subject,
        filter: Filter,
        top: usize,
        before: Option<FeedPosition>,
    ) -> Result<HistoryPage, Error> {
        let now = self.now();
        self.store
            .ask(move |reader| history(reader, &subject, &filter, (top, before, now)))
            .await
    }

    /// One notification.
    ///
    /// # Errors
    /// `NotFound`; `Store`.
    pub async fn notification(
        &self,
        subject: Subject,
        id: NotificationId,
    ) -> Result<Notification, Error> {
        let now = self.now();
        self.store
            .ask(move |reader| notify::live(reader, &subject, id, now))
            .await
    }

    /// The head of the user's feed: where a stream begins that was not told where.
    ///
    /// # Errors
    /// `Store`.
    pub async fn head(&self, subject: Subject) -> Result<FeedPosition, Error> {
        self.store
            .ask(move |reader| Ok(reader.user(&subject)?.head))
            .await
    }

    /// Writes a cursor for a position.
    pub fn cursor(&self, subject: &Subject, position: FeedPosition) -> String {
        self.seal.position(Purpose::Cursor, subject, position)
    }

    /// Reads a cursor.
    ///
    /// # Errors
    /// `CursorTooOld` where it is not of this feed, or is ahead of it, or reaches no longer; `Store`.
    pub async fn open_cursor(&self, subject: &Subject, text: &str) -> Result<FeedPosition, Error> {
        let position = self
            .seal
            .open_position(Purpose::Cursor, subject, text)
            .ok_or(Error::CursorTooOld)?;
        let subject = subject.clone();
        self.store
            .ask(move |reader| {
                let user = reader.user(&subject)?;
                if position < user.floor || position > user.head {
                    return Err(Error::CursorTooOld);
                }
                Ok(position)
            })
            .await
    }

    /// Reads what a delta was asked to go on from.
    ///
    /// # Errors
    /// As [`Hub::open_cursor`].
    pub async fn open_since(&self, subject: &Subject, text: &str) -> Result<Since, Error> {
        match self.seal.open_position(Purpose::Sync, subject, text) {
            Some(position) => Ok(Since::Sync(position)),
            None => self.open_cursor(subject, text).await.map(Since::Cursor),
        }
    }

    /// Writes what the delta after this page goes on from.
    pub fn after(&self, subject: &Subject, page: &DeltaPage) -> String {
        if page.first && page.more {
            self.seal.position(Purpose::Sync, subject, page.position)
        } else {
            self.cursor(subject, page.position)
        }
    }

    /// Writes a page token for a position in history.
    pub fn page_token(&self, subject: &Subject, before: FeedPosition) -> String {
        self.seal.position(Purpose::Page, subject, before)
    }

    /// Reads a page token.
    ///
    /// # Errors
    /// `Invalid` where the hub did not hand it out.
    pub fn open_page_token(&self, subject: &Subject, text: &str) -> Result<FeedPosition, Error> {
        self.seal
            .open_position(Purpose::Page, subject, text)
            .ok_or_else(|| {
                Error::invalid(
                    "$skiptoken",
                    "is none that the hub gave; take it from @odata.nextLink",
                )
            })
    }

    /// Notes how far an endpoint has pulled; an earlier position sets it back. Has dispatch look again where that
    /// leaves something open. A pull that found nothing new writes nothing. `at` is when the pull was answered.
    ///
    /// # Errors
    /// `Store`.
    pub async fn fetched(
        &self,
        subject: Subject,
        endpoint: EndpointId,
        position: FeedPosition,
        at: Timestamp,
    ) -> Result<(), Error> {
        self.move_mark((subject, endpoint), at, move |_| position)
            .await
    }

    /// Notes that an endpoint holds everything up to `position`, as it says itself; never sets it back.
    ///
    /// # Errors
    /// `Store`.
    pub async fn holds(
        &self,
        subject: Subject,
        endpoint: EndpointId,
        position: FeedPosition,
    ) -> Result<(), Error> {
        self.move_mark((subject, endpoint), self.now(), move |held| {
            held.max(position)
        })
        .await
    }

    async fn move_mark(
        &self,
        (subject, endpoint): (Subject, EndpointId),
        at: Timestamp,
        to: impl FnOnce(FeedPosition) -> FeedPosition + Send + 'static,
    ) -> Result<(), Error> {
        let now = self.now();
        let lock = self.locks.lock(&subject).await;
        let unit = self
            .store
            .ask(move |reader| {
                let mut mark = reader.fetch_mark(&subject, &endpoint)?;
                let position = to(mark.position);
                let mut unit = Unit::of(subject);
                let registered = reader.registered_endpoint(&unit.subject, &endpoint)?;
                if position == mark.position || registered.is_none() {
                    return Ok(unit);
                }
                mark.move_to(position, at);
                if position < reader.user(&unit.subject)?.head {
                    unit.push(Row::Marker(changes::marker(&unit.subject, now)));
                }
                unit.push(Row::FetchMark(endpoint, mark));
                Ok::<_, Error>(unit)
            })
            .await?;
        if !unit.is_empty() {
            self.store.commit_holding(unit, vec![lock]).await?;
        }
        Ok(())
    }
}

fn delta(
    reader: &Reader,
    subject: &Subject,
    since: Option<Since>,
    (top, now): (usize, Timestamp),
) -> Result<DeltaPage, Error> {
    // The head first: what is committed while the page is read comes with the next one.
    let user = reader.user(subject)?;
    let (position, first) = match since {
        None => (FeedPosition::START, true),
        Some(Since::Sync(position)) => (position, true),
        Some(Since::Cursor(position)) => (position, false),
    };
    if position > user.head || (!first && position < user.floor) {
        return Err(Error::CursorTooOld);
    }
    let mut page = DeltaPage {
        items: Vec::new(),
        position,
        more: false,
        first,
    };
    loop {
        let wanted = top - page.items.len();
        let changes = reader.changes(subject, page.position, wanted + 1)?;
        let exhausted = changes.len() <= wanted;
        for change in changes {
            if change.position > user.head {
                page.position = user.head;
                return Ok(page);
            }
            if page.items.len() == top {
                page.more = true;
                return Ok(page);
            }
            page.position = change.position;
            let item = item(reader, subject, &change, now)?;
            page.items
                .extend(item.filter(|item| !first || matches!(item, Item::Present(_))));
        }
        if exhausted {
            page.position = user.head;
            return Ok(page);
        }
    }
}

/// What a change is to a client now. Nothing, where it was superseded while we looked: its successor comes later.
pub(super) fn item(
    reader: &Reader,
    subject: &Subject,
    change: &Change,
    now: Timestamp,
) -> Result<Option<Item>, Error> {
    if let ChangeKind::Removed(removal) = change.kind {
        return Ok(Some(Item::Removed(
            change.notification,
            removal,
            change.position,
        )));
    }
    let it = reader.notification(subject, change.number)?;
    Ok(it.filter(|it| it.changed_at == change.position).map(|it| {
        if it.is_live(now) {
            Item::Present(Box::new(it))
        } else {
            let removal = it.removed.unwrap_or(Removal::Expired);
            Item::Removed(it.id, removal, change.position)
        }
    }))
}

fn history(
    reader: &Reader,
    subject: &Subject,
    filter: &Filter,
    (top, before, now): (usize, Option<FeedPosition>, Timestamp),
) -> Result<HistoryPage, Error> {
    let user = reader.user(subject)?;
    let before = before.unwrap_or(FeedPosition(u64::MAX));
    let (mut items, mut next): (Vec<Notification>, Option<FeedPosition>) = (Vec::new(), None);
    reader.newest_first(subject, before, &mut |it| {
        if !it.is_live(now) || !filter.shows(&it) {
            return ControlFlow::Continue(());
        }
        if items.len() == top {
            next = items.last().map(|last| last.number);
            return ControlFlow::Break(());
        }
        items.push(it);
        ControlFlow::Continue(())
    })?;
    Ok(HistoryPage {
        items,
        next,
        unread: user.unread,
    })
}

impl Filter {
    fn shows(&self, it: &Notification) -> bool {
        self.read.is_none_or(|read| it.read == read)
            && self.action.is_none_or(|action| it.action == action)
            && self
                .group
                .as_ref()
                .is_none_or(|group| it.draft.group.as_ref() == Some(group))
    }
}
