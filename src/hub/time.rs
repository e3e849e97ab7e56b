//! The clock may lie. What the store was told last is compared with it at the start; while it is doubted, nothing is
//! deleted for expiry; and where a leap was undone, what was put off meanwhile is looked at again.

use std::{sync::Arc, time::Duration};

use super::{Error, Hub, changes};
use crate::{
    clock::Clock,
    config::apps::App,
    model::{AppHost, Subject, Timestamp},
    store::{AppRow, Row, Store, Unit},
};

/// How often the store is told the time.
const TOLD_EVERY: Duration = Duration::from_secs(120);
/// How long a push service may have a tap wait.
const DEMANDED_AT_MOST: Duration = Duration::from_secs(24 * 3600);
/// How many users are looked at again in one step.
const STEP: usize = 200;

/// Has the clock go on from what the store was told last.
pub(super) fn go_on(clock: &Clock, store: &Store) {
    match store.reader().last_time() {
        Ok(Some(told)) => clock.go_on_from(told),
        Ok(None) => {}
        Err(error) => tracing::error!(%error, "the store does not say when it was last used"),
    }
}

impl Hub {
    /// How long a tap may be put off: what a push service demands at most, or, since a leap was undone and such a demand
    /// cannot be told from what the leap made of a retry, only as long as a retry.
    pub(super) fn longest_wait(&self) -> Duration {
        if self.clock.was_undone() {
            self.delivery.retry_max
        } else {
            DEMANDED_AT_MOST
        }
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

    /// Tells the store the time, the last thing before it closes.
    ///
    /// # Errors
    /// `Store`.
    pub async fn tell_last_time(&self) -> Result<(), Error> {
        self.tell(self.clock.trusted()).await
    }

    async fn tell(&self, time: Timestamp) -> Result<(), Error> {
        Ok(self.store.commit_app(AppRow::Time(time)).await?)
    }

    /// Where a leap forward was undone, has everybody looked at, since what was put off in between waits for a time that
    /// may be years away.
    ///
    /// # Errors
    /// `Store`; it is tried again with the next call.
    pub async fn catch_up_with_time(&self) -> Result<(), Error> {
        if !self.clock.take_undone() {
            return Ok(());
        }
        tracing::warn!(
            "the clock has leapt back to where it should be; everybody is looked at again"
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

    async fn look_at_all_of(&self, app: &AppHost) -> Result<(), Error> {
        let mut after: Option<Subject> = None;
        loop {
            let (asked, from) = (app.clone(), after.take());
            let users = self
                .store
                .ask(move |reader| reader.users(&asked, from.as_ref(), STEP))
                .await?;
            for user in &users {
                let mut unit = Unit::of(user.subject.clone());
                unit.push(Row::Marker(changes::marker(&user.subject, self.now())));
                self.store.commit(unit).await?;
            }
            match users.into_iter().last() {
                Some(last) => after = Some(last.subject),
                None => return Ok(()),
            }
        }
    }
}
