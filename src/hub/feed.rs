//! Reading: history, one; cursors; and what is noted of a pull.

use std::ops::ControlFlow;

use super::{Error, Hub, changes, notify, seal::Purpose};
use crate::{
    model::{
        ActionState, EndpointId, FeedPosition, Notification, NotificationId, ReadState, Subject,
        Timestamp,
    },
    store::{Reader, Row, Unit},
};

/// How many bytes of content a page holds at most, unless it is one notification's: a page stands in memory as long as its
/// reader takes.
pub(super) const PAGE_BYTES: usize = 1 << 20;

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
        // Who is still on the pages of a first delta holds the feed as far as these have told.
        let paging = || self.seal.open_positions(Purpose::Sync, subject, text);
        let position = self
            .seal
            .open_position(Purpose::Cursor, subject, text)
            .or_else(|| paging().map(|[position, _]| position))
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
        self.pulls.note(&subject, &endpoint, at);
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
            self.commit(unit, vec![lock]).await?;
        }
        Ok(())
    }
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
    let mut bytes = 0;
    reader.newest_first(subject, before, &mut |it| {
        if !it.is_live(now) || !filter.shows(&it) {
            return ControlFlow::Continue(());
        }
        bytes += it.content_bytes();
        if items.len() == top || bytes > PAGE_BYTES && !items.is_empty() {
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
