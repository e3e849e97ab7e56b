//! What others hear after a commit: that a marker was written, that a user's feed has moved. A bell carries no
//! data; who hears it looks.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::{Notify, watch};

use crate::model::{Subject, Timestamp};

/// The bells of one store.
#[derive(Debug, Default)]
pub struct Bells {
    outbox: Notify,
    /// The earliest due time of the markers written since somebody last looked; `u64::MAX` is "none".
    earliest: EarliestDue,
    feeds: Mutex<HashMap<Subject, watch::Sender<u64>>>,
    /// How often any feed has moved.
    moves: AtomicU64,
}

#[derive(Debug)]
struct EarliestDue(AtomicU64);

impl Default for EarliestDue {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

impl Bells {
    pub(super) fn ring_outbox(&self, due: Timestamp) {
        self.earliest.0.fetch_min(due.as_millis(), Ordering::SeqCst);
        self.outbox.notify_one();
    }

    /// Waits until markers were written since the last look.
    pub async fn outbox(&self) {
        self.outbox.notified().await;
    }

    /// The earliest due time of the markers written since this was last asked.
    pub fn take_earliest(&self) -> Option<Timestamp> {
        match self.earliest.0.swap(u64::MAX, Ordering::SeqCst) {
            u64::MAX => None,
            millis => Some(Timestamp::from_millis(millis)),
        }
    }

    pub(super) fn ring_feed(&self, subject: &Subject) {
        let feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        let moves = self.moves.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(sender) = feeds.get(subject) {
            sender.send_replace(moves);
        }
    }

    /// Hears of every change of one user's feed for as long as the answer lives.
    pub fn feed(self: &Arc<Self>, subject: &Subject) -> FeedBell {
        let mut feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = match feeds.get(subject) {
            Some(sender) => sender.subscribe(),
            None => {
                let moves = self.moves.load(Ordering::SeqCst);
                let (sender, receiver) = watch::channel(moves);
                feeds.insert(subject.clone(), sender);
                receiver
            }
        };
        FeedBell {
            receiver: Some(receiver),
            subject: subject.clone(),
            bells: Arc::clone(self),
        }
    }
}

/// Hears the changes of one user's feed.
#[derive(Debug)]
pub struct FeedBell {
    receiver: Option<watch::Receiver<u64>>,
    subject: Subject,
    bells: Arc<Bells>,
}

impl FeedBell {
    /// A number that is another whenever the feed has moved; with this that is heard.
    pub fn hear(&mut self) -> u64 {
        self.receiver
            .as_mut()
            .map_or(0, |receiver| *receiver.borrow_and_update())
    }

    /// Waits until the feed has moved since this was last asked (or since the bell was taken).
    pub async fn moved(&mut self) {
        match &mut self.receiver {
            // The sender lives while a receiver does, so this does not fail.
            Some(receiver) => {
                if receiver.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            None => std::future::pending().await,
        }
    }
}

impl Drop for FeedBell {
    fn drop(&mut self) {
        let mut feeds = self
            .bells
            .feeds
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.receiver = None;
        if feeds
            .get(&self.subject)
            .is_some_and(|sender| sender.receiver_count() == 0)
        {
            feeds.remove(&self.subject);
        }
    }
}
