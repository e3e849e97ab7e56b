//! The changes of a feed since a cursor, page by page; and the digest by which a client checks what it holds.

use aws_lc_rs::digest::{SHA256, digest};

use super::{Error, Hub, feed::PAGE_BYTES, seal::Purpose};
use crate::{
    model::{ChangeKind, FeedPosition, Notification, NotificationId, Removal, Subject, Timestamp},
    store::{Feed, Reader, Told},
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

    fn content_bytes(&self) -> usize {
        match self {
            Self::Present(it) => it.content_bytes(),
            Self::Removed(..) => 0,
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
    /// Where the feed stood when the first delta began that this is a page of. Such a one tells what is there, and of
    /// removals only those since.
    pub begun: Option<FeedPosition>,
    /// What a client must hold that has taken in this page, the last, and all before it.
    pub digest: Option<Digest>,
    /// The latest expiry that the page takes for past though the feed does not say so yet.
    pub over: Option<Timestamp>,
}

/// From where a delta goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// From what a client holds.
    Cursor(FeedPosition),
    /// From the last page of a first delta, whatever the feed has forgotten of the time before that one began.
    Sync {
        /// What the pages so far have told.
        position: FeedPosition,
        /// Where the feed stood when it began.
        begun: FeedPosition,
    },
}

/// The XOR, over a set of notifications, of the first 16 bytes of SHA-256 of `id|version`: the same for all who hold
/// the same, in whatever order they came by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest(pub [u8; 16]);

impl Digest {
    /// Takes one notification in; a second time takes it out again.
    pub fn toggle(&mut self, id: NotificationId, version: u64) {
        let hash = digest(&SHA256, format!("{id}|{version}").as_bytes());
        for (byte, other) in self.0.iter_mut().zip(hash.as_ref()) {
            *byte ^= other;
        }
    }
}

/// What a page is read by.
#[derive(Debug, Clone, Copy)]
struct Asked {
    since: Option<Since>,
    top: usize,
    /// The time as far as it is believed. A delta goes by that: a client that was told that something is over, or was not
    /// told of it at all, would never hear of it again where a leap is undone. What is over by the clock alone a client
    /// takes away by itself, as ever.
    believed: Timestamp,
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
        let believed = self.believed();
        let asked = Asked {
            since,
            top,
            believed,
        };
        let page = self
            .store
            .ask(move |reader| delta(reader, &subject, asked))
            .await?;
        self.hold_to(page.over).await?;
        Ok(page)
    }

    /// The same on the calling thread, for who was woken by the change itself: its rows are in memory, and to have another
    /// thread read them takes longer than to read them.
    ///
    /// # Errors
    /// As [`Hub::delta`].
    pub async fn fresh_delta(
        &self,
        subject: &Subject,
        since: Option<Since>,
        top: usize,
    ) -> Result<DeltaPage, Error> {
        let asked = Asked {
            since,
            top,
            believed: self.believed(),
        };
        let page = delta(self.store.reader(), subject, asked)?;
        if page.over.is_some() {
            // Boxed, since it is rare and would make every open stream larger.
            Box::pin(self.hold_to(page.over)).await?;
        }
        Ok(page)
    }

    /// The same; and the last page says what a client must hold that has taken in all. For that it also names as
    /// removed what is over by now though the feed does not say so yet, be they more than `top`.
    ///
    /// It walks all that is kept of the user, so it is not for every pull; and it is read under the user's lock, since
    /// page and digest must speak of the same moment.
    ///
    /// # Errors
    /// As [`Hub::delta`].
    pub async fn delta_with_digest(
        &self,
        subject: Subject,
        since: Option<Since>,
        top: usize,
    ) -> Result<DeltaPage, Error> {
        let _nobody_writes = self.locks.lock(&subject).await;
        let believed = self.believed();
        let asked = Asked {
            since,
            top,
            believed,
        };
        let page = self
            .store
            .ask(move |reader| {
                let mut page = delta(reader, &subject, asked)?;
                if !page.more {
                    add_digest(reader, &subject, believed, &mut page)?;
                }
                Ok::<_, Error>(page)
            })
            .await?;
        self.hold_to(page.over).await?;
        Ok(page)
    }

    /// Reads what a delta was asked to go on from.
    ///
    /// # Errors
    /// As [`Hub::open_cursor`].
    pub async fn open_since(&self, subject: &Subject, text: &str) -> Result<Since, Error> {
        match self.seal.open_positions(Purpose::Sync, subject, text) {
            Some([position, begun]) => Ok(Since::Sync { position, begun }),
            None => self.open_cursor(subject, text).await.map(Since::Cursor),
        }
    }

    /// Writes what the delta after this page goes on from.
    pub fn after(&self, subject: &Subject, page: &DeltaPage) -> String {
        match page.begun {
            Some(begun) if page.more => {
                let positions = [page.position, begun];
                self.seal.positions(Purpose::Sync, subject, positions)
            }
            _ => self.cursor(subject, page.position),
        }
    }
}

fn delta(reader: &Reader, subject: &Subject, asked: Asked) -> Result<DeltaPage, Error> {
    // The head first: what is committed while the page is read comes with the next one.
    let user = reader.user(subject)?;
    let (position, begun) = match asked.since {
        None => (FeedPosition::START, Some(user.head)),
        Some(Since::Sync { position, begun }) => (position, Some(begun)),
        Some(Since::Cursor(position)) => (position, None),
    };
    if position > user.head || begun.unwrap_or(position) < user.floor {
        return Err(Error::CursorTooOld);
    }
    let mut page = DeltaPage {
        items: Vec::new(),
        position,
        more: false,
        begun,
        digest: None,
        over: None,
    };
    let (feed, mut bytes) = (reader.feed(subject), 0);
    loop {
        let wanted = asked.top - page.items.len();
        let changes = feed.changes(page.position, wanted + 1)?;
        let exhausted = changes.len() <= wanted;
        for told in changes {
            let position = told.change.position;
            if position > user.head {
                page.position = user.head;
                return Ok(page);
            }
            if page.items.len() == asked.top {
                page.more = true;
                return Ok(page);
            }
            let item = item(&feed, told, (asked.believed, &mut page.over))?;
            let item = item.filter(|item| page.tells(item));
            bytes += item.as_ref().map_or(0, Item::content_bytes);
            if bytes > PAGE_BYTES && !page.items.is_empty() {
                page.more = true;
                return Ok(page);
            }
            page.position = position;
            page.items.extend(item);
        }
        if exhausted {
            page.position = user.head;
            return Ok(page);
        }
    }
}

impl DeltaPage {
    /// Who begins holds nothing: what was gone before need not be named.
    fn tells(&self, item: &Item) -> bool {
        let since = self.begun.unwrap_or(FeedPosition::START);
        matches!(item, Item::Present(_)) || item.position() > since
    }
}

/// What a change is to a client now. Nothing, where it was superseded while we looked: its successor comes later.
fn item(
    feed: &Feed<'_>,
    told: Told,
    (now, over): (Timestamp, &mut Option<Timestamp>),
) -> Result<Option<Item>, Error> {
    let change = told.change.clone();
    if let ChangeKind::Removed(removal) = change.kind {
        return Ok(Some(Item::Removed(
            change.notification,
            removal,
            change.position,
        )));
    }
    let it = told.notification(feed)?;
    Ok(it.filter(|it| it.changed_at == change.position).map(|it| {
        if it.is_live(now) {
            Item::Present(Box::new(it))
        } else {
            let removal = it.removed.unwrap_or_else(|| {
                *over = (*over).max(Some(it.expires));
                Removal::Expired
            });
            Item::Removed(it.id, removal, change.position)
        }
    }))
}

/// Adds what is live, digested; and, as removed, what is over though the feed does not say so yet: some clients have
/// it and some never got it, and after this page none has.
fn add_digest(
    reader: &Reader,
    subject: &Subject,
    now: Timestamp,
    page: &mut DeltaPage,
) -> Result<(), Error> {
    let mut sum = Digest::default();
    let named: Vec<NotificationId> = page
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Removed(id, ..) => Some(*id),
            Item::Present(_) => None,
        })
        .collect();
    let (items, over) = (&mut page.items, &mut page.over);
    reader.standings(subject, &mut |it| {
        if it.removed {
            return;
        }
        if now < it.expires {
            sum.toggle(it.id, it.version);
            return;
        }
        *over = (*over).max(Some(it.expires));
        if !named.contains(&it.id) {
            items.push(Item::Removed(it.id, Removal::Expired, it.changed_at));
        }
    })?;
    page.digest = Some(sum);
    Ok(())
}
