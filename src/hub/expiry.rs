//! What has come to its end: one step of the sweep. Small steps, so that no request waits for it.

use std::{
    collections::{BTreeMap, HashSet},
    sync::atomic::{AtomicUsize, Ordering},
};

use futures_util::StreamExt as _;

use super::{
    Error, Hub,
    changes::Changes,
    notify,
    retire::{drop_left, end_endpoint, retire},
};
use crate::{
    model::{FeedPosition, Subject, Timestamp},
    store::{AppExpired, Expired, Expiring, LEFT_BY_AN_ENDPOINT, Reader, Row, Unit},
};

/// How much is done at a time.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// How many things one step looks at.
    step: usize,
    /// How many rows one unit may grow to.
    unit_rows: usize,
    /// How many pushes one unit drops.
    pushes: usize,
}

const USUAL: Pace = Pace {
    step: 200,
    unit_rows: 250,
    pushes: 200,
};
/// On a disk that is nearly full: what is taken away needs room first.
const WHERE_SHORT: Pace = Pace {
    step: 200,
    unit_rows: 64,
    pushes: 64,
};
/// Where there is too little room even for that.
const ONE_BY_ONE: Pace = Pace {
    step: 64,
    unit_rows: 1,
    pushes: 16,
};
/// What the memory of a removal takes on disk at the least.
const BYTES_A_REMOVAL: u64 = 300;
/// How many rows it is.
const ROWS_A_REMOVAL: usize = 2;
/// How many are forgotten at a time where the disk is full.
const FORGOTTEN_AT_ONCE: usize = 1000;
/// How many users are worked on beside each other, so that their units share a sync.
const AT_ONCE: usize = 64;

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// How many things were ended.
    pub ended: usize,
    /// When the next one is due; at once, where there is more right now.
    pub next: Option<Timestamp>,
}

impl Hub {
    /// Ends some of what is over: notifications, memories of removals, endpoints, tokens, used keys, broadcasts. Nothing,
    /// while the clock is doubted.
    ///
    /// # Errors
    /// `Store`; what was ended before stays ended.
    pub async fn sweep(&self) -> Result<Swept, Error> {
        if self.clock.doubted_for().is_some() {
            return Ok(Swept {
                ended: 0,
                next: None,
            });
        }
        let now = self.now();
        let pace = match self.store.is_short() {
            true => WHERE_SHORT,
            false => USUAL,
        };
        let over = self
            .store
            .ask(move |reader| Ok::<_, Error>(reader.expired(now, pace.step)?))
            .await?;
        let found = over.of_users.len() + over.of_apps.len();
        let ended = AtomicUsize::new(0);
        futures_util::stream::iter(by_user(over.of_users))
            .for_each_concurrent(AT_ONCE, |(subject, expired)| async {
                match self
                    .sweep_user_as_it_fits(subject, expired, (now, pace))
                    .await
                {
                    Ok(some) => {
                        ended.fetch_add(some, Ordering::Relaxed);
                    }
                    // The log says that the disk is full; once there is room, it goes on.
                    Err(Error::Store(error)) if error.is_full() => {}
                    // One user's trouble must not keep the others' notifications alive.
                    Err(error) => {
                        tracing::error!(%error, "what is over for a user cannot be ended")
                    }
                }
            })
            .await;
        for it in over.of_apps {
            match self.sweep_app(it).await {
                Ok(()) => {
                    ended.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => tracing::error!(%error, "what is over for an app cannot be ended"),
            }
        }
        let ended = ended.into_inner();
        // A unit that grew too big leaves the rest for the next step.
        let next = if ended < found { Some(now) } else { over.next };
        Ok(Swept { ended, next })
    }

    /// Forgets some removals before their time, oldest first, where the disk is so full that what is new is refused, and
    /// forgetting makes room enough. Says how many: cursors from before them are answered 410 from now on, and whoever comes
    /// with one starts over, which costs less than that nobody can post.
    ///
    /// # Errors
    /// `Store`; what was forgotten before stays forgotten.
    pub async fn forget_for_room(&self) -> Result<usize, Error> {
        let lacking_bytes = self.store.lacking_bytes();
        if lacking_bytes == 0 || self.clock.doubted_for().is_some() {
            return Ok(0);
        }
        let enough = lacking_bytes / BYTES_A_REMOVAL;
        let removals = self
            .store
            .ask(move |reader| Ok::<_, Error>(reader.remembered(FORGOTTEN_AT_ONCE, enough)?));
        let mut forgotten = 0;
        for (subject, removals) in by_user(removals.await?) {
            for some in removals.chunks(WHERE_SHORT.unit_rows / ROWS_A_REMOVAL) {
                let pace = (self.now(), WHERE_SHORT);
                let swept = self.sweep_user_as_it_fits(subject.clone(), some.to_vec(), pace);
                match swept.await {
                    // There is room for no more.
                    Err(Error::Store(error)) if error.is_full() => return Ok(forgotten),
                    other => forgotten += other?,
                }
            }
            if self.store.lacking_bytes() == 0 {
                break;
            }
        }
        Ok(forgotten)
    }

    async fn sweep_app(&self, expired: AppExpired) -> Result<(), Error> {
        match expired {
            AppExpired::Broadcast(id) => self.end_broadcast(id).await,
            AppExpired::Once(at, app, key) => self.forget_app_once(at, app, key).await,
            AppExpired::Erasure(at, user) => self.forget_erasure(at, user).await,
        }
    }

    async fn sweep_user_as_it_fits(
        &self,
        subject: Subject,
        expired: Vec<Expired>,
        (now, pace): (Timestamp, Pace),
    ) -> Result<usize, Error> {
        let swept = self.sweep_user(subject.clone(), expired.clone(), (now, pace));
        match swept.await {
            Err(Error::Store(error)) if error.is_full() => {
                self.sweep_user(subject, expired, (now, ONE_BY_ONE)).await
            }
            other => other,
        }
    }

    async fn sweep_user(
        &self,
        subject: Subject,
        expired: Vec<Expired>,
        (now, pace): (Timestamp, Pace),
    ) -> Result<usize, Error> {
        let max = self.limits().notifications_per_user;
        let of_endpoints = |it: &Expired| matches!(it.what, Expiring::Endpoint(_));
        let frees_channels = expired.iter().any(of_endpoints);
        let plan = move |reader: &Reader, changes| plan(reader, changes, expired, (now, max, pace));
        let of = subject.clone();
        let (ended, mut pushes) = match frees_channels {
            true => self.change_channels(subject, None, plan).await?,
            false => self.change(subject, plan).await?,
        };
        while pushes == Pushes::Left {
            pushes = self
                .change(of.clone(), move |reader, mut changes| {
                    let pushes = drop_old_pushes(reader, &mut changes, &HashSet::new(), pace)?;
                    Ok((changes.into_quiet_unit(), pushes))
                })
                .await?;
        }
        Ok(ended)
    }
}

fn by_user(expired: Vec<Expired>) -> BTreeMap<Subject, Vec<Expired>> {
    let mut by_user: BTreeMap<Subject, Vec<Expired>> = BTreeMap::new();
    for it in expired {
        by_user.entry(it.subject.clone()).or_default().push(it);
    }
    by_user
}

/// Whether a unit dropped all old pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pushes {
    Done,
    Left,
}

fn plan(
    reader: &Reader,
    mut changes: Changes,
    expired: Vec<Expired>,
    (now, max, pace): (Timestamp, usize, Pace),
) -> Result<(Unit, (usize, Pushes)), Error> {
    let subject = changes.user().subject.clone();
    let mut ended = 0;
    let mut gone = HashSet::new();
    let mut history_moved = false;
    for it in expired {
        if changes.len() >= pace.unit_rows {
            break;
        }
        // What was moved since it was found has another expiry row by now; this one goes.
        match &it.what {
            Expiring::Notification(number) => {
                history_moved = true;
                if end_notification(reader, &mut changes, *number, (it.at, max))? {
                    gone.insert(*number);
                }
            }
            Expiring::Removal(position) => {
                history_moved = true;
                match reader.change(&subject, *position)? {
                    Some(removal) => changes.forget(&removal),
                    None => changes.also(Row::DropExpiry(it.at, it.what.clone())),
                }
            }
            Expiring::Endpoint(id) => match reader.registered_endpoint(&subject, id)? {
                None if it.at == LEFT_BY_AN_ENDPOINT => drop_left(reader, &mut changes, id)?,
                found => {
                    changes.also(Row::DropExpiry(it.at, it.what.clone()));
                    match found.filter(|found| found.swept() <= now) {
                        Some(over) if over.told_until.is_some() => {
                            retire(reader, &mut changes, &over)?;
                        }
                        Some(endpoint) => end_endpoint(reader, &mut changes, endpoint, now)?,
                        None => {}
                    }
                }
            },
            // It is none of a user's: of whom it is, nothing is kept.
            Expiring::Erasure => {}
            Expiring::Token(hash) => {
                changes.also(Row::DropExpiry(it.at, it.what.clone()));
                let token = reader.token(hash)?;
                if let Some(token) = token.filter(|token| token.expires <= now) {
                    changes.also(Row::DropToken(token));
                }
            }
            Expiring::Once(app, key) => {
                changes.also(Row::DropExpiry(it.at, it.what.clone()));
                if reader
                    .once(app, key)?
                    .is_some_and(|once| once.expires <= now)
                {
                    changes.also(Row::DropOnce(app.clone(), *key));
                }
            }
        }
        ended += 1;
    }
    let mut pushes = Pushes::Done;
    if history_moved {
        pushes = drop_old_pushes(reader, &mut changes, &gone, pace)?;
    }
    Ok((changes.into_quiet_unit(), (ended, pushes)))
}

/// Ends the notification at `number`, whose expiry stands at `at`; where it ends at another time, the expiry was not its
/// own, and only that goes. Says whether it ended it.
pub(super) fn end_notification(
    reader: &Reader,
    changes: &mut Changes,
    number: FeedPosition,
    (at, max): (Timestamp, usize),
) -> Result<bool, Error> {
    let subject = changes.user().subject.clone();
    let found = reader.notification(&subject, number)?;
    let Some(it) = found.filter(|it| it.expires == at) else {
        changes.also(Row::DropExpiry(at, Expiring::Notification(number)));
        return Ok(false);
    };
    for (endpoint, _) in reader.receipts(&subject, number)? {
        changes.also(Row::DropReceipt(number, endpoint));
    }
    if it.removed.is_none() {
        notify::make_room_for_removal(reader, changes, max)?;
    }
    changes.expire(&it);
    Ok(true)
}

/// A push is kept while a notification is that it may have announced. Not all of them go in one unit, with which the
/// notifications in `gone` may go.
fn drop_old_pushes(
    reader: &Reader,
    changes: &mut Changes,
    gone: &HashSet<FeedPosition>,
    pace: Pace,
) -> Result<Pushes, Error> {
    let subject = changes.user().subject.clone();
    let oldest = reader.oldest_but(&subject, gone)?;
    let oldest = oldest.unwrap_or(changes.user().head.next());
    let old = reader.pushes_before(&subject, oldest, pace.pushes)?;
    let pushes = match old.len() >= pace.pushes {
        true => Pushes::Left,
        false => Pushes::Done,
    };
    for (endpoint, push) in old {
        changes.also(Row::DropPush(endpoint, push.covers, push.at));
    }
    Ok(pushes)
}
