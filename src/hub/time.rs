//! The clock may lie. What the store was told last is compared with it at the start; while it is doubted, nothing is
//! deleted for expiry; and where a leap was undone, what was put off meanwhile is looked at again. The store is told
//! before anything is written by a time that is doubted, so that this holds through a kill.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::OwnedMutexGuard;

use super::{Error, Hub, changes};
use crate::{
    clock::Clock,
    config::apps::App,
    model::{AppHost, Subject, Timestamp},
    store::{AppRow, Row, Store, Unit},
};

/// How often the store is told the time.
const TOLD_EVERY: Duration = Duration::from_secs(120);
/// How far ahead it is told while the wall is behind, so that this is not done with every answer.
const TOLD_AHEAD: Duration = Duration::from_secs(1);
/// How many users are looked at again in one step.
const STEP: usize = 200;
/// For how much longer than now a doubt is written down, so that this is not done anew with every change.
const WRITTEN_AHEAD: Duration = Duration::from_secs(3600);

/// What was done by a time that is doubted.
#[derive(Debug)]
pub(super) struct Doubt {
    /// Up to which time the store knows of that; 0, where of none.
    written_millis: AtomicU64,
    /// One that writes that at a time, so that what is taken back is not written just before.
    writing: tokio::sync::Mutex<()>,
    /// A leap was undone, and not everybody was looked at since.
    owes_a_look: AtomicBool,
    /// The time that the store was told last in this life.
    told_millis: AtomicU64,
    /// One that tells it at a time.
    telling: tokio::sync::Mutex<()>,
}

impl Doubt {
    /// What an earlier life wrote down. Where that was in a time that has not come, its leap was undone, in part or whole.
    /// A clock that is held at the time that the store was told last went back, too, from what was not told any more.
    pub(super) fn inherit(store: &Store, clock: &Clock) -> Self {
        let now = clock.now();
        let written = store.reader().doubted_up_to().unwrap_or_else(|error| {
            tracing::error!(%error, "the store does not say whether the clock was doubted");
            None
        });
        let written = written.unwrap_or_default();
        let went_back = written > now || clock.wall() < now;
        Self {
            written_millis: AtomicU64::new(written.as_millis()),
            writing: tokio::sync::Mutex::default(),
            owes_a_look: AtomicBool::new(went_back),
            told_millis: AtomicU64::new(0),
            telling: tokio::sync::Mutex::default(),
        }
    }

    fn written(&self) -> Timestamp {
        Timestamp::from_millis(self.written_millis.load(Ordering::SeqCst))
    }

    fn told(&self) -> Timestamp {
        Timestamp::from_millis(self.told_millis.load(Ordering::SeqCst))
    }

    fn set_written(&self, until: Timestamp) {
        self.written_millis
            .store(until.as_millis(), Ordering::SeqCst);
    }
}

/// Has the clock go on from what the store was told last.
pub(super) fn go_on(clock: &Clock, store: &Store) {
    match store.reader().last_time() {
        Ok(Some(told)) => clock.go_on_from(told),
        Ok(None) => {}
        Err(error) => tracing::error!(%error, "the store does not say when it was last used"),
    }
}

impl Hub {
    /// The time as far as it is believed: what is over by that is over for good.
    pub(super) fn believed(&self) -> Timestamp {
        self.clock.trusted()
    }

    /// Commits a unit that was planned under locks, after word of it where it was planned by a time that is doubted.
    pub(super) async fn commit(
        &self,
        unit: Unit,
        locks: Vec<OwnedMutexGuard<()>>,
    ) -> Result<(), Error> {
        self.write_doubt_down().await?;
        Ok(self.store.commit_holding(unit, locks).await?)
    }

    /// Tells the store that things are done by a time that is doubted, before they are: who is put off by it, or owed
    /// nothing, is to be looked at again where it turns out wrong, though the hub be killed in between.
    pub(super) async fn write_doubt_down(&self) -> Result<(), Error> {
        let is_written = || self.now() <= self.believed().max(self.doubt.written());
        if is_written() {
            return Ok(());
        }
        let _alone = self.doubt.writing.lock().await;
        if !is_written() {
            let until = self.now().plus(WRITTEN_AHEAD);
            self.store.commit_app(AppRow::Doubt(until)).await?;
            self.doubt.set_written(until);
        }
        Ok(())
    }

    /// Takes the word of a doubt back, once the time is believed.
    async fn end_doubt(&self) -> Result<(), Error> {
        let is_over = || self.clock.doubted_for().is_none();
        if self.doubt.written() == Timestamp::default() || !is_over() {
            return Ok(());
        }
        let _alone = self.doubt.writing.lock().await;
        let written = self.doubt.written();
        self.doubt.set_written(Timestamp::default());
        let dropped = self.store.commit_app(AppRow::DropDoubt).await;
        if dropped.is_err() {
            self.doubt.set_written(written);
        }
        Ok(dropped?)
    }

    /// Until when nothing is deleted for expiry, where the clock is doubted.
    pub fn doubted_until(&self) -> Option<Timestamp> {
        let left = self.clock().doubted_for()?;
        Some(self.now().plus(left))
    }

    /// Tells the store the time, if it was not told for a while.
    ///
    /// # Errors
    /// `Store`.
    pub async fn tell_time(&self) -> Result<(), Error> {
        let told = self.store.ask(|reader| reader.last_time()).await?;
        let time = self.clock.trusted();
        let is_due = told.is_none_or(|told| time.since(told) >= TOLD_EVERY);
        if is_due {
            self.tell(time).await?;
        }
        Ok(())
    }

    /// Sees to it that what a client is told to be over stays so, through a kill and whatever the wall says then: the
    /// store knows the time first.
    ///
    /// # Errors
    /// `Store`.
    pub(super) async fn hold_to(&self, over: Option<Timestamp>) -> Result<(), Error> {
        let Some(over) = over else {
            return Ok(());
        };
        let told = self.store.ask(|reader| reader.last_time()).await?;
        if told < Some(over) {
            self.tell(self.clock.trusted()).await?;
        }
        Ok(())
    }

    /// Tells the store the time, the last thing before it closes.
    ///
    /// # Errors
    /// `Store`.
    pub async fn tell_last_time(&self) -> Result<(), Error> {
        self.tell(self.clock.trusted()).await
    }

    /// Sees to it that no kill takes the time back behind what was just answered, where the wall would: the store knows the
    /// time first. What was over stays so then, and what is posted next is later.
    ///
    /// # Errors
    /// `Store`.
    pub async fn hold_time(&self) -> Result<(), Error> {
        let now = self.now();
        if self.clock.wall() >= now || self.doubt.told() >= now {
            return Ok(());
        }
        let _alone = self.doubt.telling.lock().await;
        if self.doubt.told() >= now {
            return Ok(());
        }
        match self.tell(self.clock.trusted().plus(TOLD_AHEAD)).await {
            // Reading goes on where nothing can be written; the log says that the disk is full.
            Err(Error::Store(error)) if error.is_full() => Ok(()),
            other => other,
        }
    }

    async fn tell(&self, time: Timestamp) -> Result<(), Error> {
        // What it was told ahead holds.
        let time = time.max(self.doubt.told());
        self.store.commit_app(AppRow::Time(time)).await?;
        let millis = time.as_millis();
        self.doubt.told_millis.fetch_max(millis, Ordering::SeqCst);
        Ok(())
    }

    /// Where a leap forward was undone, now or while the hub stood still, has everybody looked at, since what was put off
    /// in between waits for a time that may be years away.
    ///
    /// # Errors
    /// `Store`; it is tried again with the next call.
    pub async fn catch_up_with_time(&self) -> Result<(), Error> {
        if self.owes_a_look() {
            self.look_at_all().await?;
            self.doubt.owes_a_look.store(false, Ordering::SeqCst);
        }
        self.end_doubt().await
    }

    /// Whether everybody is about to be looked at; the next start knows that, too, by the word of the doubt.
    pub(super) fn owes_a_look(&self) -> bool {
        if self.clock.take_undone() {
            self.doubt.owes_a_look.store(true, Ordering::SeqCst);
        }
        self.doubt.owes_a_look.load(Ordering::SeqCst)
    }

    async fn look_at_all(&self) -> Result<(), Error> {
        tracing::warn!(
            "the clock has gone back, or may have while the hub stood still; everybody is looked at again, since some may wait for a later time"
        );
        let apps = self.apps().all();
        let anew = apps.iter().map(|app| Arc::new(App::clone(app))).collect();
        // Lanes that stand still for as long begin anew.
        self.configure(anew);
        for app in apps {
            self.look_at_all_of(&app.host).await?;
        }
        Ok(())
    }

    /// Has everybody of an app looked at.
    pub(super) async fn look_at_all_of(&self, app: &AppHost) -> Result<(), Error> {
        let mut after: Option<Subject> = None;
        loop {
            let (asked, from) = (app.clone(), after.take());
            let users = self
                .store
                .ask(move |reader| reader.users(&asked, from.as_ref(), STEP))
                .await?;
            self.write_doubt_down().await?;
            let mut submitted = Vec::new();
            for user in &users {
                let mut unit = Unit::of(user.subject.clone());
                unit.push(Row::Marker(changes::marker(&user.subject, self.now())));
                submitted.push(self.store.submit(unit).await?);
            }
            for unit in submitted {
                unit.written().await?;
            }
            match users.into_iter().last() {
                Some(last) => after = Some(last.subject),
                None => return Ok(()),
            }
        }
    }
}
