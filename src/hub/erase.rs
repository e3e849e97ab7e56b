//! Erasing a person: all that is held of them goes, in steps, each a unit of its own that leaves the store sound.
//!
//! That it is under way is on disk before the first step, so that a start after a kill goes on with it; that it was done
//! is remembered, under a hash, for as long as a token from before could live. The user's lock is held all the while:
//! what others do for them comes before, and goes, or comes after, and is of a new life.

mod names;

use std::{ops::ControlFlow, sync::atomic::Ordering, time::Duration};

use tokio::sync::OwnedMutexGuard;

use super::{Error, Hub, changes::Changes, retire::retire, tokens::end};
use crate::{
    model::{ChangeKind, Erasure, FeedPosition, Notification, Subject, Timestamp},
    store::{self, AppRow, Expiring, Reader, Row, Unit},
};

/// How much one unit takes away.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// How many rows it may grow to.
    rows: usize,
    /// How many tokens, pushes, `Idempotency-Key`s or markers go at once.
    at_once: usize,
}

const USUAL: Pace = Pace {
    rows: 250,
    at_once: 100,
};
/// On a disk that is nearly full: what is taken away needs room first.
const WHERE_SHORT: Pace = Pace {
    rows: 64,
    at_once: 32,
};
/// Where there is too little room even for that.
const ONE_BY_ONE: Pace = Pace {
    rows: 1,
    at_once: 1,
};

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

    /// One unit of it, as much as there is room for; says whether it was not the last. Under the user's lock.
    async fn erase_step(&self, subject: &Subject) -> Result<bool, Error> {
        let pace = match self.store.is_short() {
            true => WHERE_SHORT,
            false => USUAL,
        };
        match self.erase_step_at(subject, pace).await {
            Err(Error::Store(error)) if error.is_full() => {
                self.erase_step_at(subject, ONE_BY_ONE).await
            }
            other => other,
        }
    }

    async fn erase_step_at(&self, subject: &Subject, pace: Pace) -> Result<bool, Error> {
        let channels = self.lock_channels_of(subject, None).await?;
        let access = move |reader: &Reader, changes| erase_access(reader, changes, pace);
        if self.step(subject, access).await? {
            return Ok(true);
        }
        drop(channels);
        let some = move |reader: &Reader, changes| erase_some(reader, changes, pace);
        if self.step(subject, some).await? {
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

/// Tokens and endpoints, a few at a time.
fn erase_access(reader: &Reader, mut changes: Changes, pace: Pace) -> Result<(Unit, bool), Error> {
    let subject = changes.user().subject.clone();
    for token in reader.all_tokens_of(&subject, pace.at_once)? {
        end(&mut changes, token);
    }
    if changes.len() > 0 {
        return Ok(done_or_more(changes));
    }
    // Before their endpoints, which would take many of theirs in one unit.
    erase_pushes(reader, &mut changes, pace)?;
    if changes.len() > 0 {
        return Ok(done_or_more(changes));
    }
    for endpoint in reader.endpoints(&subject)? {
        if changes.len() >= pace.rows {
            break;
        }
        let stored = reader.registered_endpoint(&subject, &endpoint.id)?;
        retire(reader, &mut changes, &stored.unwrap_or(endpoint))?;
    }
    Ok(done_or_more(changes))
}

/// Whatever else there is, a few rows at a time.
fn erase_some(reader: &Reader, mut changes: Changes, pace: Pace) -> Result<(Unit, bool), Error> {
    // What takes a walk through what is not theirs comes last, and once.
    for stage in [
        erase_notifications,
        erase_removals,
        erase_pushes,
        erase_left,
        erase_used_keys,
        erase_markers,
    ] {
        stage(reader, &mut changes, pace)?;
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

fn erase_notifications(reader: &Reader, changes: &mut Changes, pace: Pace) -> Result<(), Error> {
    let subject = changes.user().subject.clone();
    let mut found: Vec<Notification> = Vec::new();
    reader.oldest_first(&subject, &mut |it| {
        found.push(it);
        match found.len() < pace.at_once {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })?;
    for it in found {
        if changes.len() >= pace.rows {
            break;
        }
        for (endpoint, _) in reader.receipts(&subject, it.number)? {
            changes.also(Row::DropReceipt(it.number, endpoint));
        }
        changes.erase(&it);
    }
    Ok(())
}

fn erase_removals(reader: &Reader, changes: &mut Changes, pace: Pace) -> Result<(), Error> {
    let subject = changes.user().subject.clone();
    for change in reader.changes(&subject, FeedPosition::START, pace.at_once)? {
        match change.kind {
            ChangeKind::Removed(_) => changes.forget(&change),
            ChangeKind::Created | ChangeKind::Changed => {
                changes.also(Row::DropChange(change.position));
            }
        }
    }
    Ok(())
}

fn erase_pushes(reader: &Reader, changes: &mut Changes, pace: Pace) -> Result<(), Error> {
    let subject = changes.user().subject.clone();
    let all = FeedPosition(u64::MAX);
    for (endpoint, push) in reader.pushes_before(&subject, all, pace.at_once)? {
        changes.also(Row::DropPush(endpoint, push.covers, push.at));
    }
    Ok(())
}

fn erase_left(reader: &Reader, changes: &mut Changes, pace: Pace) -> Result<(), Error> {
    let left = reader.left_by_endpoints(&changes.user().subject)?;
    for left in left.into_iter().take(pace.at_once) {
        changes.also(Row::DropExpiry(store::LEFT_BY_AN_ENDPOINT, left));
    }
    Ok(())
}

fn erase_used_keys(reader: &Reader, changes: &mut Changes, pace: Pace) -> Result<(), Error> {
    for once in reader.onces_of(&changes.user().subject, pace.at_once)? {
        let expiring = Expiring::Once(once.app.clone(), once.key);
        changes.also(Row::DropExpiry(once.expires, expiring));
        changes.also(Row::DropOnce(once.app, once.key));
    }
    Ok(())
}

fn erase_markers(reader: &Reader, changes: &mut Changes, pace: Pace) -> Result<(), Error> {
    for marker in reader.markers_of(&changes.user().subject, pace.at_once)? {
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
