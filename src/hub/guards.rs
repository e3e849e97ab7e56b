//! The guards against wrong settings (contract 3.6): where 20 channels in a row were called dead, nothing more is dropped
//! until a push was taken. They count on through restarts; and one that is engaged is told, through reloads and restarts,
//! also while nobody is owed anything.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{Error, Hub, Inner, LaneFault, LaneName, LaneState};
use crate::{
    model::{ApnsEnvironment, AppService, ChannelKind, Drops, ServiceAnswer, Timestamp},
    store::{AppRow, Store},
};

/// After how many channels that were called dead in a row no more are dropped.
pub const DROPS: u32 = 20;

/// What a guard says to the operator.
const REASON: &str = "20 channels in a row were called dead without one success; when the settings are right, bring them back with `beckon endpoint revive`";

/// What each counts, as the store has it.
#[derive(Debug)]
pub(super) struct Guards {
    kept: Mutex<BTreeMap<AppService, Drops>>,
    /// Held until a count has its place in the line to the disk: a later one must not come before it.
    writing: tokio::sync::Mutex<()>,
}

impl Guards {
    /// What an earlier life kept.
    pub(super) fn inherit(store: &Store) -> Self {
        let kept = store.reader().guards().unwrap_or_else(|error| {
            tracing::error!(%error, "the store does not say which channels are guarded");
            Vec::new()
        });
        Self {
            kept: Mutex::new(kept.into_iter().collect()),
            writing: tokio::sync::Mutex::default(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<AppService, Drops>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hub {
    /// Keeps how many channels in a row a service called dead: what `count` says once it is its turn.
    ///
    /// # Errors
    /// `Store`; it counts all the same, for this life of the process.
    pub async fn keep_drops(
        &self,
        service: &AppService,
        count: impl Fn() -> u32,
    ) -> Result<(), Error> {
        let writing = self.guards.writing.lock().await;
        let count = count().min(DROPS);
        if count == self.drops(service) {
            return Ok(());
        }
        let drops = Drops {
            count,
            at: self.now(),
        };
        let row = if count == 0 {
            self.guards.kept().remove(service);
            AppRow::DropGuard(service.clone())
        } else {
            self.guards.kept().insert(service.clone(), drops);
            AppRow::Guard(service.clone(), drops)
        };
        let submitted = self.store.submit_app(row).await?;
        drop(writing);
        Ok(submitted.written().await?)
    }
}

impl Inner {
    /// How many channels in a row a service called dead, in this life of the process or an earlier one; no more than
    /// [`DROPS`].
    pub fn drops(&self, service: &AppService) -> u32 {
        let kept = self.guards.kept();
        kept.get(service).map_or(0, |drops| drops.count.min(DROPS))
    }

    /// The guards that are engaged at services that the apps of the config reach, each as a lane that stands still.
    pub fn guards(&self) -> Vec<(LaneName, LaneState)> {
        let kept = self.guards.kept();
        let engaged = kept.iter().filter(|(service, drops)| {
            let app = self.apps.get(&service.app);
            drops.count >= DROPS && app.is_some_and(|app| app.reaches(service.kind))
        });
        let now = self.now();
        engaged
            .map(|(service, drops)| told(service, drops.at, now))
            .collect()
    }
}

/// It is tried as soon as somebody is owed a push.
fn told(service: &AppService, since: Timestamp, now: Timestamp) -> (LaneName, LaneState) {
    let authority = match (service.kind, service.sandbox) {
        (ChannelKind::Apns, true) => ApnsEnvironment::Sandbox.as_str(),
        (ChannelKind::Apns, false) => ApnsEnvironment::Production.as_str(),
        _ => "",
    };
    let name = LaneName {
        app: service.app.clone(),
        service: service.kind,
        authority: authority.to_owned(),
    };
    let state = LaneState {
        fault: LaneFault::Guarded,
        since,
        until: now,
        answer: ServiceAnswer {
            status: 0,
            reason: Some(REASON.to_owned()),
            id: None,
        },
        answered: Some(since),
    };
    (name, state)
}
