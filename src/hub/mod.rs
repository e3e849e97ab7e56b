//! The rules. Each operation is: check, plan (pure), one unit of work. The hub knows neither HTTP nor the engine of
//! its store, and it never sends.

mod access;
mod actor;
pub mod admin;
mod asker;
mod audit;
mod broadcasts;
mod changes;
mod channels;
mod configured;
mod deliveries;
mod delta;
mod demands;
pub mod due;
mod endpoints;
mod erase;
mod error;
mod expiry;
mod explanation;
mod feed;
mod guards;
mod kept_acts;
mod lanes;
mod levels;
mod locks;
mod look_over;
mod notify;
mod once;
mod promise;
mod pulls;
mod receipt;
mod report;
mod retire;
mod revive;
mod room;
mod seal;
mod settings;
mod settle;
mod state;
mod streams;
mod test_tap;
mod time;
mod tokens;

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio::sync::{Notify, OwnedMutexGuard, watch};

pub use access::{ACCESS_SECS, AppCaller, Caller, Minted, Proof, UserCaller};
pub use asker::Asker;
pub use audit::AppAct;
pub use broadcasts::{Accepted, Step, Turns};
pub use deliveries::{DueTap, Look, LookAt};
pub use delta::{DeltaPage, Digest, Item, Since};
pub use endpoints::{Registered, Registration};
pub use error::Error;
pub use expiry::Swept;
pub use explanation::explanation;
pub use feed::{Filter, HistoryPage};
pub use guards::DROPS;
pub use lanes::{LaneFault, LaneName, LaneState};
pub use notify::{DEFAULT_EXPIRY, MAX_EXPIRY, Posted};
pub use once::OnceKey;
pub use pulls::Answered;
pub use revive::Revived;
pub use state::Selection;
pub use streams::{Listener, Ticket};
pub use test_tap::{TestRequest, TestResult, Tested};

use changes::Changes;
use channels::ChannelKey;
use configured::Configured;
use kept_acts::KeptActs;
use locks::Locks;
use seal::Seal;

use crate::{
    clock::Clock,
    config::{Apps, Delivery, Limits, apps::App},
    model::{AppHost, Subject, Timestamp},
    store::{FeedBell, Reader, Store, Unit},
};

/// The hub: one cheap-to-clone handle, passed to both doors.
#[derive(Debug, Clone)]
pub struct Hub(Arc<Inner>);

/// What all clones of a hub share.
#[derive(Debug)]
pub struct Inner {
    store: Store,
    apps: Apps,
    configured: Configured,
    lanes: lanes::Lanes,
    guards: guards::Guards,
    delivery: Delivery,
    limits: Limits,
    clock: Clock,
    doubt: time::Doubt,
    seal: Seal,
    locks: Locks<Subject>,
    channels: Locks<ChannelKey>,
    broadcasts: Locks<AppHost>,
    broadcast_bell: Notify,
    /// Held while apps are swapped, or it is noted by which settings they were looked at.
    settings: tokio::sync::Mutex<()>,
    /// Held while an act is written.
    /// Which acts the audit log keeps, once that was asked for.
    audit: tokio::sync::Mutex<Option<KeptActs>>,
    /// Held while it is noted that someone is being erased, or forgotten that someone was.
    erasing: tokio::sync::Mutex<()>,
    /// Whether an erasure that was begun is to be taken up again.
    erases: AtomicBool,
    running: once::Running,
    streams: streams::Streams,
    tests: test_tap::Tests,
    pulls: pulls::Pulls,
    pages: pulls::Pages,
    registrations: OnceLock<admin::ReadRegistration>,
    disagrees: AtomicBool,
    sends: AtomicBool,
    created: AtomicU64,
}

impl std::ops::Deref for Hub {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Hub {
    /// A hub on a store.
    pub fn new(
        store: Store,
        apps: Apps,
        (delivery, limits): (Delivery, Limits),
        clock: Clock,
    ) -> Self {
        let seal = Seal::new(store.secret(), store.epoch());
        time::go_on(&clock, &store);
        let doubt = time::Doubt::inherit(&store, &clock);
        let guards = guards::Guards::inherit(&store);
        Self(Arc::new(Inner {
            store,
            apps,
            configured: Configured::at(clock.now()),
            lanes: lanes::Lanes::default(),
            guards,
            delivery,
            limits,
            clock,
            doubt,
            seal,
            locks: Locks::default(),
            channels: Locks::default(),
            broadcasts: Locks::default(),
            broadcast_bell: Notify::new(),
            running: once::Running::default(),
            settings: tokio::sync::Mutex::default(),
            audit: tokio::sync::Mutex::default(),
            erasing: tokio::sync::Mutex::default(),
            erases: AtomicBool::new(true),
            streams: streams::Streams::default(),
            tests: test_tap::Tests::default(),
            pulls: pulls::Pulls::default(),
            pages: pulls::Pages::default(),
            registrations: OnceLock::new(),
            disagrees: AtomicBool::new(false),
            sends: AtomicBool::new(false),
            created: AtomicU64::new(0),
        }))
    }

    /// Plans on a user's row under their lock and commits what the plan wrote.
    async fn change<T: Send + 'static>(
        &self,
        subject: Subject,
        plan: impl FnOnce(&Reader, Changes) -> Result<(Unit, T), Error> + Send + 'static,
    ) -> Result<T, Error> {
        let lock = self.locks.lock(&subject).await;
        self.change_holding(subject, vec![lock], plan).await
    }

    /// The same where the plan reads a few rows alone, which are in memory as a rule.
    async fn change_little<T: Send + 'static>(
        &self,
        subject: Subject,
        plan: impl FnOnce(&Reader, Changes) -> Result<(Unit, T), Error> + Send + 'static,
    ) -> Result<T, Error> {
        let lock = self.locks.lock(&subject).await;
        let planned = planned(subject, self.now(), plan);
        let (unit, answer) = self.store.ask_little(planned).await?;
        self.commit_of(unit, vec![lock]).await?;
        Ok(answer)
    }

    /// The same under these locks, the user's among them, which are held until the disk has answered.
    async fn change_holding<T: Send + 'static>(
        &self,
        subject: Subject,
        locks: Vec<OwnedMutexGuard<()>>,
        plan: impl FnOnce(&Reader, Changes) -> Result<(Unit, T), Error> + Send + 'static,
    ) -> Result<T, Error> {
        let planned = planned(subject, self.now(), plan);
        let (unit, answer) = self.store.ask(planned).await?;
        self.commit_of(unit, locks).await?;
        Ok(answer)
    }

    async fn commit_of(&self, unit: Unit, locks: Vec<OwnedMutexGuard<()>>) -> Result<(), Error> {
        match unit.is_empty() {
            true => Ok(()),
            false => self.commit(unit, locks).await,
        }
    }
}

/// A plan of what changes about a user, as a question to the store.
fn planned<T>(
    subject: Subject,
    now: Timestamp,
    plan: impl FnOnce(&Reader, Changes) -> Result<(Unit, T), Error>,
) -> impl FnOnce(&Reader) -> Result<(Unit, T), Error> {
    move |reader| plan(reader, Changes::begin(reader.user(&subject)?, now))
}

impl Inner {
    /// How many notifications were posted or replaced since the hub began, by whichever door.
    pub fn created(&self) -> u64 {
        self.created.load(Ordering::Relaxed)
    }

    fn count_created(&self, count: u64) {
        self.created.fetch_add(count, Ordering::Relaxed);
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// An app of the config.
    pub fn app(&self, host: &AppHost) -> Option<Arc<App>> {
        self.apps.get(host)
    }

    /// Swaps the apps. What stood still for the old settings is tried again.
    fn configure(&self, apps: Vec<Arc<App>>) {
        self.apps.replace(apps);
        self.lanes.forget();
        self.configured.renew(self.now());
    }

    /// Waits until the apps were swapped; for dispatch, which hears of it also where it was busy then.
    pub async fn reconfigured(&self) {
        self.configured.renewed().await;
    }

    /// Hears of every swap of the apps from now on; for anyone else.
    pub fn reconfigurations(&self) -> watch::Receiver<()> {
        self.configured.told()
    }

    /// All apps.
    pub fn apps(&self) -> &Apps {
        &self.apps
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How taps are sent.
    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// The store, for figures and the bells.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Whether the store answers questions.
    ///
    /// # Errors
    /// `Store` where it does not.
    pub async fn reads(&self) -> Result<(), Error> {
        self.store
            .ask(|reader| Ok(reader.app_key("").map(drop)?))
            .await
    }

    /// Hears of every change of a user's feed.
    pub fn watch(&self, subject: &Subject) -> FeedBell {
        self.store.bells().feed(subject)
    }
}

#[cfg(test)]
mod delta_tests;
#[cfg(test)]
mod tap_tests;
#[cfg(test)]
mod tests;

#[cfg(test)]
impl Inner {
    /// How many locks are kept: of users, and of apps.
    pub(crate) fn locks_kept(&self) -> (usize, usize) {
        (self.locks.len(), self.broadcasts.len())
    }
}
