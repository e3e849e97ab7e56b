//! Posting to many. What is acknowledged is a job on disk: its content once, and the list of those whom it is for. The
//! steps that work it off stand in [`step`]; here it is accepted, looked at, cancelled and ended.
//!
//! One lock an app holds acceptance, steps, cancelling and ending apart, so that nobody is posted to after the cancelling
//! was answered. A list can be longer than one unit of work may be: then the job begins as one that is still being
//! accepted, which nobody sees and the next step clears away if its acceptance broke off.

mod step;
#[cfg(test)]
mod tests;

use std::vec;

use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use super::{
    Error, Hub,
    notify::DEFAULT_EXPIRY,
    once::{self, ONCE_KEPT, OnceKey},
};
use crate::{
    model::{
        AppHost, Audience, Broadcast, BroadcastId, BroadcastStatus, Draft, ListPlace, Listed, Once,
        OnceAnswer, Timestamp,
    },
    store::{self, AppRow, Batch},
};

pub use step::{Step, Turns};

/// How many rows of a list one unit of work holds.
const LIST_ROWS: usize = 400;
/// How many people one row holds of a list of everyone.
const EVERYONE_A_ROW: usize = 200;

/// What is said of everyone where an app has no one.
const NOBODY: &str = "is nobody yet; people come with their first notification, endpoint or token";

/// What a post to many was answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The job.
    pub id: BroadcastId,
    /// How many people it is for.
    pub accepted: u64,
}

/// Where the rows of a list come from.
enum Source {
    Named(vec::IntoIter<Vec<Listed>>),
    Everyone(Option<[u8; 16]>),
}

impl Source {
    fn of(audience: Audience) -> Self {
        match audience {
            Audience::All => Self::Everyone(None),
            Audience::Named(users) => {
                let people = users.into_iter().map(Listed::Named).collect();
                Self::Named(store::list_rows(people).into_iter())
            }
        }
    }

    /// The next rows; fewer than [`LIST_ROWS`] where they are the last.
    async fn next(&mut self, hub: &Hub, app: &AppHost) -> Result<Vec<Vec<Listed>>, Error> {
        let after = match self {
            Self::Named(rows) => return Ok(rows.take(LIST_ROWS).collect()),
            Self::Everyone(after) => after,
        };
        let (app, from) = (app.clone(), *after);
        let most = LIST_ROWS * EVERYONE_A_ROW;
        let found = hub
            .store
            .ask(move |reader| Ok::<_, Error>(reader.everyone(&app, from, most)?))
            .await?;
        *after = found.last().copied().or(*after);
        let rows = found.chunks(EVERYONE_A_ROW);
        Ok(rows
            .map(|row| row.iter().copied().map(Listed::Known).collect())
            .collect())
    }
}

impl Hub {
    /// Posts one notification to many people of an app. Answers once the job is on disk; it is worked off in the
    /// background. `All` is everyone whom the app has now: who comes later is not meant.
    ///
    /// # Errors
    /// `Invalid` where the app has nobody yet; `Conflict` where the `Idempotency-Key` was used for another request, or its
    /// first one still runs; `Limit` where as many jobs of the app run as may; `Store`.
    pub async fn broadcast(
        &self,
        app: AppHost,
        audience: Audience,
        draft: Draft,
        once: Option<OnceKey>,
    ) -> Result<Accepted, Error> {
        let _running = once
            .map(|once| self.running.begin(&app, once))
            .transpose()?;
        let lock = self.broadcasts.lock(&app).await;
        if let Some(once) = once
            && let Some(accepted) = self.accepted_for(&app, once).await?
        {
            return Ok(accepted);
        }
        self.make_sure_of_room(&app).await?;
        let now = self.now();
        let job = Broadcast {
            id: BroadcastId::from_bytes(Uuid::now_v7().into_bytes()),
            app,
            status: BroadcastStatus::Accepting,
            accepted: 0,
            done: 0,
            failed: 0,
            rows: 0,
            next: ListPlace::default(),
            created: now,
            completed: None,
            expires: draft.expires.unwrap_or_else(|| now.plus(DEFAULT_EXPIRY)),
            draft,
        };
        let accepted = self.accept(job, Source::of(audience), once, lock).await;
        // Where it broke off there is something to clear away.
        self.broadcast_bell.notify_one();
        accepted
    }

    /// What a post with this `Idempotency-Key` was answered with before. Asked before the post is read: what was good
    /// then may be too late by now.
    ///
    /// # Errors
    /// `Conflict` where the key was used for another request, or its first one still runs; `Store`.
    pub async fn accepted_before(
        &self,
        app: &AppHost,
        once: OnceKey,
    ) -> Result<Option<Accepted>, Error> {
        self.running.nobody(app, once)?;
        self.accepted_for(app, once).await
    }

    async fn accepted_for(&self, app: &AppHost, once: OnceKey) -> Result<Option<Accepted>, Error> {
        let app = app.clone();
        let known = self
            .store
            .ask(move |reader| once::used_before(reader, &app, once))
            .await?;
        match known.map(|known| known.answer) {
            None => Ok(None),
            Some(OnceAnswer::Accepted {
                broadcast,
                accepted,
            }) => Ok(Some(Accepted {
                id: broadcast,
                accepted,
            })),
            Some(OnceAnswer::Posted { .. }) => Err(once::OTHER_REQUEST),
        }
    }

    async fn make_sure_of_room(&self, app: &AppHost) -> Result<(), Error> {
        let (app, max) = (app.clone(), self.limits().broadcasts_per_app);
        let unfinished = self
            .store
            .ask(move |reader| Ok::<_, Error>(reader.unfinished(&app, max)?))
            .await?;
        if unfinished < max {
            return Ok(());
        }
        Err(Error::Limit {
            name: "server.limits.broadcasts_per_app",
            max,
            advice: "wait until one is completed, or cancel one with DELETE /v1/notifications/{id}",
        })
    }

    /// Writes the job with its content first, then its list; the last unit has it run.
    async fn accept(
        &self,
        mut job: Broadcast,
        mut source: Source,
        once: Option<OnceKey>,
        lock: OwnedMutexGuard<()>,
    ) -> Result<Accepted, Error> {
        let content = AppRow::Content(job.id, Box::new(job.draft.clone()));
        let mut batch = Batch::from(content);
        loop {
            let rows = source.next(self, &job.app).await?;
            let is_last = rows.len() < LIST_ROWS;
            for people in rows {
                job.accepted += people.len() as u64;
                batch.rows.push(AppRow::Listed(job.id, job.rows, people));
                job.rows += 1;
            }
            if !is_last {
                batch.rows.push(AppRow::Broadcast(Box::new(job.clone())));
                let written = std::mem::take(&mut batch);
                self.store.commit_batch(written, Vec::new()).await?;
                continue;
            }
            if job.accepted == 0 {
                return Err(Error::invalid("audience.all", NOBODY));
            }
            job.status = BroadcastStatus::Running;
            batch.rows.extend(once.map(|once| remember(&job, once)));
            let accepted = Accepted {
                id: job.id,
                accepted: job.accepted,
            };
            batch.rows.push(AppRow::Broadcast(Box::new(job)));
            self.store.commit_batch(batch, vec![lock]).await?;
            return Ok(accepted);
        }
    }

    /// A job of an app, without its list.
    ///
    /// # Errors
    /// `NotFound` where the app has no such one; `Store`.
    pub async fn broadcast_of(&self, app: &AppHost, id: BroadcastId) -> Result<Broadcast, Error> {
        // By a time that is doubted nothing is over: the job goes on.
        let now = self.now().min(self.believed());
        let found = self.stored_broadcast(id).await?;
        found
            .filter(|it| it.app == *app && it.status != BroadcastStatus::Accepting)
            .filter(|it| now < it.ends())
            .ok_or(Error::NotFound("job"))
    }

    /// Has a job stop where it is; who was posted to keeps the notification.
    ///
    /// # Errors
    /// `NotFound` where the app has no such job or it was cancelled before; `Conflict` where it is completed; `Store`.
    pub async fn cancel_broadcast(&self, app: &AppHost, id: BroadcastId) -> Result<(), Error> {
        let lock = self.broadcasts.lock(app).await;
        let mut job = self.broadcast_of(app, id).await?;
        match job.status {
            BroadcastStatus::Accepting | BroadcastStatus::Running => {}
            BroadcastStatus::Cancelled => {
                return Err(Error::NotFound("job to cancel: it was cancelled before"));
            }
            BroadcastStatus::Completed => {
                return Err(Error::Conflict(
                    "this job is completed; retract the notification from a person with DELETE /v1/users/{user}/notifications/{id}",
                ));
            }
        }
        self.stop_broadcast(&mut job).await?;
        drop(lock);
        Ok(())
    }

    /// Forgets a job whose time is long over; those that have its notification may share its content for a moment more.
    pub(super) async fn end_broadcast(&self, id: BroadcastId) -> Result<(), Error> {
        let Some(it) = self.stored_broadcast(id).await? else {
            return Ok(());
        };
        let lock = self.broadcasts.lock(&it.app).await;
        let Some(job) = self.stored_broadcast(id).await? else {
            return Ok(());
        };
        self.clear_broadcast(job, lock).await
    }

    /// Stops a job where that is still to be done, and takes all of it away. Under the app's lock.
    async fn clear_broadcast(
        &self,
        mut job: Broadcast,
        lock: OwnedMutexGuard<()>,
    ) -> Result<(), Error> {
        self.stop_broadcast(&mut job).await?;
        let gone = AppRow::DropBroadcast(Box::new(job));
        Ok(self.store.commit_batch(gone.into(), vec![lock]).await?)
    }

    /// Has a job stop, and takes away what is left of its list. Under the app's lock.
    async fn stop_broadcast(&self, job: &mut Broadcast) -> Result<(), Error> {
        if job.status.is_unfinished() {
            job.status = BroadcastStatus::Cancelled;
            job.completed = Some(self.now());
            let row = AppRow::Broadcast(Box::new(job.clone()));
            self.store.commit_batch(row.into(), Vec::new()).await?;
        }
        self.drop_list(job.id).await
    }

    /// Takes away what is left of a list that nobody works off any more.
    async fn drop_list(&self, id: BroadcastId) -> Result<(), Error> {
        loop {
            let rows = self
                .store
                .ask(move |reader| Ok::<_, Error>(reader.listed_rows(id, LIST_ROWS)?))
                .await?;
            if rows.is_empty() {
                return Ok(());
            }
            let gone = rows.into_iter().map(|row| AppRow::DropListed(id, row));
            self.commit_as_it_fits(gone.collect()).await?;
        }
    }

    async fn stored_broadcast(&self, id: BroadcastId) -> Result<Option<Broadcast>, Error> {
        self.store
            .ask(move |reader| Ok(reader.broadcast(id)?))
            .await
    }

    /// Forgets what an `Idempotency-Key` was used for that came with a broadcast.
    pub(super) async fn forget_app_once(
        &self,
        at: Timestamp,
        app: [u8; 8],
        key: [u8; 32],
    ) -> Result<(), Error> {
        let row = AppRow::DropOnce(at, app, key);
        Ok(self.store.commit_batch(row.into(), Vec::new()).await?)
    }
}

fn remember(job: &Broadcast, once: OnceKey) -> AppRow {
    AppRow::Once(Box::new(Once {
        app: job.app.clone(),
        key: once.key,
        request: once.request,
        answer: OnceAnswer::Accepted {
            broadcast: job.id,
            accepted: job.accepted,
        },
        expires: job.created.plus(ONCE_KEPT),
    }))
}
