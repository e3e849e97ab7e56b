//! Since when the present settings stand: what a push service refused before is no reason to wait any longer.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, watch};

use crate::model::Timestamp;

/// When the apps were last read, and a bell for it.
#[derive(Debug)]
pub(super) struct Configured {
    since_millis: AtomicU64,
    renewed: Notify,
    /// The same for anyone else.
    told: watch::Sender<()>,
}

impl Configured {
    pub(super) fn at(now: Timestamp) -> Self {
        Self {
            since_millis: AtomicU64::new(now.as_millis()),
            renewed: Notify::new(),
            told: watch::Sender::new(()),
        }
    }

    pub(super) fn since(&self) -> Timestamp {
        Timestamp::from_millis(self.since_millis.load(Ordering::SeqCst))
    }

    pub(super) fn renew(&self, now: Timestamp) {
        self.since_millis.store(now.as_millis(), Ordering::SeqCst);
        self.renewed.notify_one();
        self.told.send_replace(());
    }

    pub(super) async fn renewed(&self) {
        self.renewed.notified().await;
    }

    pub(super) fn told(&self) -> watch::Receiver<()> {
        self.told.subscribe()
    }
}
