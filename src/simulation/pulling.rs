//! How a device gets the feed: it pulls, on a push or over its stream, and the hub learns how far it has got.

use std::sync::Arc;

use tokio::task::AbortHandle;

use super::device::{Device, essence};
use crate::{
    hub::{DeltaPage, Digest, Error, Hub, Item, Since},
    model::FeedPosition,
};

impl Device {
    pub(super) fn open_stream(self: &Arc<Self>, hub: &Hub) {
        let following = tokio::spawn(Arc::clone(self).follow(hub.clone()));
        let old = self
            .stream
            .lock()
            .unwrap()
            .replace(following.abort_handle());
        old.inspect(AbortHandle::abort);
    }

    pub(super) fn break_stream(&self) {
        let open = self.stream.lock().unwrap().take();
        open.inspect(AbortHandle::abort);
    }

    /// Follows its stream: pulls whenever the feed moves.
    async fn follow(self: Arc<Self>, hub: Hub) {
        let Ok(_open) = hub.listen(&self.subject, Some(self.endpoint.clone())) else {
            return;
        };
        let mut feed = hub.watch(&self.subject);
        while self.can_call() {
            self.pull(&hub, 0).await;
            feed.moved().await;
            self.take(50).await;
        }
    }

    /// Pulls to the end of the feed; says whether it got there. Of a hundred pages so many break on their way, half
    /// of them after the hub has seen them leave.
    pub(super) async fn pull(&self, hub: &Hub, broken: u64) -> bool {
        let _alone = self.pulling.lock().await;
        let call = self.calls();
        let is_done = self.pull_pages(hub, broken).await;
        call.ended();
        is_done
    }

    async fn pull_pages(&self, hub: &Hub, broken: u64) -> bool {
        self.be_known(hub).await;
        loop {
            let (since, acts) = self.with(|memory| (memory.since, memory.acts));
            let subject = self.subject.clone();
            let asked = if self.below(4) == 0 {
                hub.delta_with_digest(subject, since, 7).await
            } else {
                hub.delta(subject, since, 7).await
            };
            let page = match asked {
                Err(Error::CursorTooOld) => {
                    self.with(|memory| memory.since = None);
                    continue;
                }
                page => page.expect("a delta can be read"),
            };
            self.take(20).await;
            let breaks = self.below(100) < broken;
            if breaks && self.below(2) == 0 {
                return false;
            }
            let (subject, endpoint) = (self.subject.clone(), self.endpoint.clone());
            // What the hub has not answered it may know, or not.
            self.note_pulled(None);
            let fetched = hub.fetched(subject, endpoint, page.position, hub.now());
            fetched.await.expect("a fetch can be written down");
            self.note_pulled(Some(page.position));
            if breaks {
                return false;
            }
            let unmoved = self.with(|memory| (memory.since == since, memory.acts == acts));
            if unmoved != (true, true) {
                // The person signed out, or did something, since this page was asked for: it is asked for anew.
                if unmoved.0 {
                    continue;
                }
                return true;
            }
            let now = self.network.moment().expect("a process runs").truth;
            self.network
                .promises(|promises| promises.was_answered(self.name(), now));
            if self.apply(&page) {
                return true;
            }
        }
    }

    pub(super) fn calls(&self) -> Call<'_> {
        Call(self)
    }

    fn note_pulled(&self, to: Option<FeedPosition>) {
        let now = self.network.moment().expect("a process runs").truth;
        self.network
            .promises(|promises| promises.pulled(self.name(), to, now));
    }

    /// Takes a page in; says whether it was the last.
    fn apply(&self, page: &DeltaPage) -> bool {
        self.with(|memory| {
            if memory.since.is_none() {
                memory.held.clear();
            }
            for item in &page.items {
                match item {
                    Item::Present(it) => {
                        memory.held.insert(it.id, essence(it));
                    }
                    Item::Removed(id, ..) => {
                        memory.held.remove(id);
                    }
                }
            }
            let position = page.position;
            memory.since = Some(match page.begun {
                Some(begun) if page.more => Since::Sync { position, begun },
                _ => Since::Cursor(position),
            });
            if let Some(digest) = page.digest {
                let mut own = Digest::default();
                for (id, it) in &memory.held {
                    own.toggle(*id, it.version);
                }
                assert_eq!(own, digest, "it does not hold what the digest says");
            }
        });
        !page.more
    }
}

/// A call of a device. Where it breaks before it has ended, what the hub has seen leave may not have come, and what it
/// made of an act nobody was told: the device pulls again.
pub(super) struct Call<'a>(&'a Device);

impl Call<'_> {
    pub(super) fn ended(self) {
        std::mem::forget(self);
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if let Ok(mut memory) = self.0.memory.lock() {
            memory.wants_to_pull = true;
            self.0.inbox.bell.notify_one();
        }
    }
}
