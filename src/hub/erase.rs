//! Erasing a person: all that is held of them goes, in steps, each a unit of its own that leaves the store sound.
//!
//! That it is under way is on disk before the first step, so that a start after a kill goes on with it; that it was done
//! is remembered, under a hash, for as long as a token from before could live. The user's lock is held all the while:
//! what others do for them comes before, and goes, or comes after, and is of a new life.

use std::{ops::ControlFlow, sync::atomic::Ordering, time::Duration};

use tokio::sync::OwnedMutexGuard;

use super::{Error, Hub, changes::Changes, retire::retire, tokens::end};
use crate::{
    model::{
        AppHost, BroadcastId, ChangeKind, Erasure, FeedPosition, Listed, Notification, Subject,
        Timestamp, UserId, Whom,
    },
    store::{self, AppRow, Batch, Expiring, Reader, Row, Unit, pseudonym},
};

/// How many rows one unit may grow to.
const ROWS: usize = 250;
/// How many tokens, pushes, `Idempotency-Key`s or markers go at once.
const AT_ONCE: usize = 100;
/// How many acts of the audit log, or rows of a list, are written at once.
const REWRITTEN: usize = 200;

/// How far the clock of an identity provider may be from ours.
const SKEW: Duration = Duration::from_secs(60);

/// Whether what was issued then is from before an erasure.
pub(super) fn is_from_before(erasure: Option<&Erasure>, issued: Timestamp) -> bool {
    erasure.is_some_and(|it| issued <= it.at.plus(SKEW))
}

impl Hub {
    /// Erases a person: endpoints, tokens, notifications, what is known of deliveries, pending taps, and their name in
    /// lists and in the audit log. Goes on after a kill. Who may go away meanwhile has a task of its own wait for it, with
    /// what is noted of it.
    ///
    /// # Errors
    /// `NotFound` where nothing is known of them; `Store`: what was begun is taken up again by itself.
    pub async fn erase_user(&self, subject: Subject) -> Result<(), Error> {
        self.must_be_known(&subject).await?;
        self.strike_off_lists(&subject).await?;
        let lock = self.locks.lock(&subject).await;
        // Another may have erased them meanwhile.
        self.must_be_known(&subject).await?;
        let erased = self.erase_holding(&subject, lock).await;
        if erased.is_err() {
            self.erases.store(true, Ordering::SeqCst);
        }
        erased
    }

    /// Goes on with the erasures that were begun and are not done, where there may be some.
    ///
    /// # Errors
    /// `Store`; it is to be called again.
    pub async fn finish_erasures(&self) -> Result<(), Error> {
        if !self.erases.swap(false, Ordering::SeqCst) {
            return Ok(());
        }
        let finished = self.finish_all().await;
        if finished.is_err() {
            self.erases.store(true, Ordering::SeqCst);
        }
        finished
    }

    async fn finish_all(&self) -> Result<(), Error> {
        let begun = self
            .store
            .ask(|reader| Ok::<_, Error>(reader.being_erased()?))
            .await?;
        for subject in begun {
            let lock = self.locks.lock(&subject).await;
            // One that only waited to be done is done by now, and whoever has the id since is someone new.
            let asked = subject.clone();
            let erasure = self
                .store
                .ask(move |reader| Ok::<_, Error>(reader.erasure(&asked)?))
                .await?;
            if erasure.is_none_or(|it| it.under_way.is_none()) {
                continue;
            }
            self.erase_holding(&subject, lock).await?;
            tracing::info!("an erasure that had been begun is done");
        }
        Ok(())
    }

    async fn must_be_known(&self, subject: &Subject) -> Result<(), Error> {
        let of = subject.clone();
        let known = self
            .store
            .ask(move |reader| Ok::<_, Error>(reader.known_user(&of)?))
            .await?;
        known.map(drop).ok_or(Error::NotFound("user"))
    }

    /// All steps, under the user's lock.
    async fn erase_holding(
        &self,
        subject: &Subject,
        lock: OwnedMutexGuard<()>,
    ) -> Result<(), Error> {
        self.note_erasure(subject).await?;
        while self.erase_step(subject).await? {}
        self.pulls.forget_all_of(subject);
        drop(lock);
        Ok(())
    }

    /// One unit of it; says whether it was not the last. Under the user's lock.
    async fn erase_step(&self, subject: &Subject) -> Result<bool, Error> {
        let channels = self.lock_channels_of(subject, None).await?;
        if self.step(subject, erase_access).await? {
            return Ok(true);
        }
        drop(channels);
        if self.step(subject, erase_some).await? {
            return Ok(true);
        }
        self.forget_in_acts(subject).await?;
        self.step(subject, last_step).await?;
        Ok(false)
    }

    /// From here on it is to be done, whatever comes.
    async fn note_erasure(&self, subject: &Subject) -> Result<(), Error> {
        let _one_at_a_time = self.erasing.lock().await;
        let now = self.now();
        self.step(subject, move |reader, mut changes| {
            let subject = changes.user().subject.clone();
            let earlier = reader.erasure(&subject)?;
            if let Some(earlier) = earlier.filter(|it| it.under_way.is_none()) {
                changes.also(Row::DropExpiry(earlier.ends(), Expiring::Erasure));
            }
            changes.also(Row::Erasure(Erasure {
                under_way: Some(subject),
                at: now,
                head: changes.user().head,
            }));
            Ok((changes.into_unit(), true))
        })
        .await?;
        Ok(())
    }

    /// One unit; says whether there was something to do.
    async fn step(
        &self,
        subject: &Subject,
        plan: impl FnOnce(&Reader, Changes) -> Result<(Unit, bool), Error> + Send + 'static,
    ) -> Result<bool, Error> {
        self.change_holding(subject.clone(), Vec::new(), plan).await
    }

    /// Has the lists of broadcasts name them by a hash, as those who were there: once they are gone they are passed over.
    async fn strike_off_lists(&self, subject: &Subject) -> Result<(), Error> {
        let _lock = self.broadcasts.lock(&subject.app).await;
        let (app, user) = (subject.app.clone(), subject.user.clone());
        let rows = self
            .store
            .ask(move |reader| struck_off(reader, &app, &user))
            .await?;
        for some in rows.chunks(REWRITTEN) {
            let batch = Batch {
                rows: some.to_vec(),
                ..Batch::default()
            };
            self.store.commit_batch(batch, Vec::new()).await?;
        }
        Ok(())
    }

    /// Has the audit log name them by a hash.
    async fn forget_in_acts(&self, subject: &Subject) -> Result<(), Error> {
        let _one_at_a_time = self.audit.lock().await;
        let mut from = Some(0);
        while let Some(at) = from {
            let of = subject.clone();
            let (acts, next) = self
                .store
                .ask(move |reader| Ok::<_, Error>(reader.acts_about(&of, at, REWRITTEN)?))
                .await?;
            let erased = Whom::Erased(pseudonym(&subject.user));
            let rows = acts.into_iter().map(|mut act| {
                act.user = Some(erased.clone());
                act.of = None;
                AppRow::Act(Box::new(act))
            });
            let batch = Batch {
                rows: rows.collect(),
                ..Batch::default()
            };
            if !batch.rows.is_empty() {
                self.store.commit_batch(batch, Vec::new()).await?;
            }
            from = next;
        }
        Ok(())
    }

    /// Forgets that someone was erased, once that is long ago.
    pub(super) async fn forget_erasure(&self, at: Timestamp, user: [u8; 24]) -> Result<(), Error> {
        let _one_at_a_time = self.erasing.lock().await;
        let found = self
            .store
            .ask(move |reader| Ok::<_, Error>(reader.erasure_of(&user)?))
            .await?;
        // They may be erased again by now.
        if !found.is_some_and(|it| it.under_way.is_none() && it.ends() == at) {
            return Ok(());
        }
        let row = AppRow::DropErasure(at, user);
        Ok(self.store.commit_batch(row.into(), Vec::new()).await?)
    }
}

/// The rows of all lists that name someone, without their name.
fn struck_off(reader: &Reader, app: &AppHost, user: &UserId) -> Result<Vec<AppRow>, Error> {
    let hash = pseudonym(user);
    let mut rows = Vec::new();
    // A job that was cancelled may have left its list behind, where the hub ended before it was gone.
    for id in reader.listing()? {
        if reader.broadcast(id)?.is_none_or(|job| job.app != *app) {
            continue;
        }
        for row in reader.listed_rows(id, usize::MAX)? {
            rows.extend(struck_off_row(reader, (id, row), (user, hash))?);
        }
    }
    Ok(rows)
}

fn struck_off_row(
    reader: &Reader,
    (id, row): (BroadcastId, u32),
    (user, hash): (&UserId, [u8; 16]),
) -> Result<Option<AppRow>, Error> {
    let mut people = reader.listed(id, row)?.unwrap_or_default();
    let mut named = false;
    for one in &mut people {
        if matches!(one, Listed::Named(it) if it == user) {
            *one = Listed::Known(hash);
            named = true;
        }
    }
    Ok(named.then_some(AppRow::Listed(id, row, people)))
}

/// Tokens and endpoints, a few at a time.
fn erase_access(reader: &Reader, mut changes: Changes) -> Result<(Unit, bool), Error> {
    let subject = changes.user().subject.clone();
    for token in reader.all_tokens_of(&subject, AT_ONCE)? {
        end(&mut changes, token);
    }
    if changes.len() > 0 {
        return Ok(done_or_more(changes));
    }
    for endpoint in reader.endpoints(&subject)? {
        if changes.len() >= ROWS {
            break;
        }
        let stored = reader.registered_endpoint(&subject, &endpoint.id)?;
        retire(reader, &mut changes, &stored.unwrap_or(endpoint))?;
    }
    Ok(done_or_more(changes))
}

/// Whatever else there is, a few rows at a time.
fn erase_some(reader: &Reader, mut changes: Changes) -> Result<(Unit, bool), Error> {
    // What takes a walk through what is not theirs comes last, and once.
    for stage in [
        erase_notifications,
        erase_removals,
        erase_pushes,
        erase_left,
        erase_used_keys,
        erase_markers,
    ] {
        stage(reader, &mut changes)?;
        if changes.len() > 0 {
            break;
        }
    }
    Ok(done_or_more(changes))
}

fn done_or_more(changes: Changes) -> (Unit, bool) {
    match changes.len() {
        0 => (changes.into_nothing(), false),
        _ => (changes.into_unit(), true),
    }
}

fn erase_notifications(reader: &Reader, changes: &mut Changes) -> Result<(), Error> {
    let subject = changes.user().subject.clone();
    let mut found: Vec<Notification> = Vec::new();
    reader.oldest_first(&subject, &mut |it| {
        found.push(it);
        match found.len() < AT_ONCE {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })?;
    for it in found {
        if changes.len() >= ROWS {
            break;
        }
        for (endpoint, _) in reader.receipts(&subject, it.number)? {
            changes.also(Row::DropReceipt(it.number, endpoint));
        }
        changes.erase(&it);
    }
    Ok(())
}

fn erase_removals(reader: &Reader, changes: &mut Changes) -> Result<(), Error> {
    let subject = changes.user().subject.clone();
    for change in reader.changes(&subject, FeedPosition::START, AT_ONCE)? {
        match change.kind {
            ChangeKind::Removed(_) => changes.forget(&change),
            ChangeKind::Created | ChangeKind::Changed => {
                changes.also(Row::DropChange(change.position));
            }
        }
    }
    Ok(())
}

fn erase_pushes(reader: &Reader, changes: &mut Changes) -> Result<(), Error> {
    let subject = changes.user().subject.clone();
    let all = FeedPosition(u64::MAX);
    for (endpoint, push) in reader.pushes_before(&subject, all, AT_ONCE)? {
        changes.also(Row::DropPush(endpoint, push.covers, push.at));
    }
    Ok(())
}

fn erase_left(reader: &Reader, changes: &mut Changes) -> Result<(), Error> {
    for left in reader.left_by_endpoints(&changes.user().subject)? {
        changes.also(Row::DropExpiry(store::LEFT_BY_AN_ENDPOINT, left));
    }
    Ok(())
}

fn erase_used_keys(reader: &Reader, changes: &mut Changes) -> Result<(), Error> {
    for once in reader.onces_of(&changes.user().subject, AT_ONCE)? {
        let expiring = Expiring::Once(once.app.clone(), once.key);
        changes.also(Row::DropExpiry(once.expires, expiring));
        changes.also(Row::DropOnce(once.app, once.key));
    }
    Ok(())
}

fn erase_markers(reader: &Reader, changes: &mut Changes) -> Result<(), Error> {
    for marker in reader.markers_of(&changes.user().subject, AT_ONCE)? {
        changes.also(Row::DropMarker(marker));
    }
    Ok(())
}

/// The user's own row, and that it is done.
fn last_step(reader: &Reader, mut changes: Changes) -> Result<(Unit, bool), Error> {
    let subject = changes.user().subject.clone();
    let begun = reader.erasure(&subject)?;
    let done = Erasure {
        under_way: None,
        head: changes.user().head,
        at: begun.map_or_else(Timestamp::default, |it| it.at),
    };
    changes.also(Row::Expiry(done.ends(), Expiring::Erasure));
    changes.also(Row::Erasure(done));
    Ok((changes.into_last_unit(), true))
}

#[cfg(test)]
mod tests;
