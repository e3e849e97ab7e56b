//! The lanes that stand still, as dispatch tells of them: for `/readyz`, the metrics and the operator.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{Error, Hub, Inner};
use crate::{
    model::{AppHost, ChannelKind, ServiceAnswer, Timestamp},
    store::AppRow,
};

/// How many are remembered: hosts come from outside.
const MOST: usize = 1024;

/// Which lane: an app, a push service, and an APNs environment or the host that channels name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LaneName {
    /// The app.
    pub app: AppHost,
    /// The push service.
    pub service: ChannelKind,
    /// `production`, `sandbox`, `updates.example.net:443`; empty where there is nothing to tell apart.
    pub authority: String,
}

/// Why a lane stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LaneFault {
    /// The service refuses the operator's settings.
    Stopped,
    /// The service fails, or does not answer.
    Failing,
    /// The service demanded to be left alone.
    Throttled,
}

impl LaneFault {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Stopped, Self::Failing, Self::Throttled];

    /// The name for operators and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Failing => "failing",
            Self::Throttled => "throttled",
        }
    }
}

/// What is known of a lane that stands still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneState {
    /// Why.
    pub fault: LaneFault,
    /// Since when.
    pub since: Timestamp,
    /// When it is tried again.
    pub until: Timestamp,
    /// What the service said last.
    pub answer: ServiceAnswer,
}

/// All that stand still.
#[derive(Debug, Default)]
pub(super) struct Lanes(Mutex<BTreeMap<LaneName, LaneState>>);

impl Lanes {
    fn all(&self) -> MutexGuard<'_, BTreeMap<LaneName, LaneState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn forget(&self) {
        self.all().clear();
    }
}

impl Hub {
    /// Whether nothing is dropped at a service of an app until it has taken a push: 20 channels in a row were called dead,
    /// in this life of the process or an earlier one.
    ///
    /// # Errors
    /// `Store`.
    pub fn is_guarded(&self, app: &AppHost, service: ChannelKind) -> Result<bool, Error> {
        Ok(self.store.reader().guard(app, service)?)
    }

    /// Keeps that.
    ///
    /// # Errors
    /// `Store`.
    pub async fn keep_guard(
        &self,
        app: &AppHost,
        service: ChannelKind,
        guarded: bool,
    ) -> Result<(), Error> {
        let row = AppRow::Guard(app.clone(), service, guarded);
        Ok(self.store.commit_app(row).await?)
    }
}

impl Inner {
    /// Notes how a lane stands; none, where it runs.
    pub fn note_lane(&self, name: LaneName, state: Option<LaneState>) {
        let mut all = self.lanes.all();
        match state {
            None => drop(all.remove(&name)),
            Some(state) if all.len() < MOST || all.contains_key(&name) => {
                all.insert(name, state);
            }
            Some(_) => {}
        }
    }

    /// The lanes that stand still, by app and service.
    pub fn lanes_at_rest(&self) -> Vec<(LaneName, LaneState)> {
        let all = self.lanes.all();
        all.iter()
            .map(|(name, state)| (name.clone(), state.clone()))
            .collect()
    }

    /// Whether a push service refuses the operator's settings.
    pub fn is_stopped(&self) -> bool {
        let all = self.lanes.all();
        all.values().any(|state| state.fault == LaneFault::Stopped)
    }
}
