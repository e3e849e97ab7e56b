//! The steps that work broadcasts off: a few people each, in one unit with the place that the job has come to, so that a
//! kill skips nobody and repeats nobody. Each person's part is what a single post would write.
//!
//! A job lets others go first: one step is under way at a time, the committer takes it when nothing else waits (or after
//! a few groups), and steps wait for a while where many taps are due. Apps take turns, and an app's oldest job is first.

use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use super::super::{
    Error, Hub,
    changes::{Changes, Posting},
    notify::{self, Rules},
};
use crate::{
    model::{Broadcast, BroadcastId, BroadcastStatus, ListPlace, Listed, Subject},
    store::{self, AppRow, Batch, Reader, Turn},
};

/// How many people one step posts to, and how many rows it may grow to before the rest is left for the next.
const PEOPLE: usize = 8;
const ROWS: usize = 250;
/// With so many markers due, the taps are behind: a step waits for them, but never for longer than this.
const CROWD: usize = 16;
const CROWD_PATIENCE: Duration = Duration::from_millis(100);
const CROWD_LOOK: Duration = Duration::from_millis(5);

/// Whose turn it was.
#[derive(Debug, Default)]
pub struct Turns(Turn);

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// No job is running.
    Idle,
    /// A little was done; there may be more.
    Worked,
}

/// What one step writes.
#[derive(Debug)]
struct Plan {
    batch: Batch,
    job: Broadcast,
    stored: u64,
}

impl Hub {
    /// Waits until a job was posted.
    pub async fn broadcast_posted(&self) {
        self.broadcast_bell.notified().await;
    }

    /// Works off a little of the job whose turn it is.
    ///
    /// # Errors
    /// `Store`; the job stands where it stood.
    pub async fn step_broadcasts(&self, turns: &mut Turns) -> Result<Step, Error> {
        let last = turns.0;
        let next = self
            .store
            .ask(move |reader| Ok::<_, Error>(reader.next_turn(last)?))
            .await?;
        let Some((turn, id)) = next else {
            return Ok(Step::Idle);
        };
        turns.0 = turn;
        let stored = self.step_of(id).await?;
        self.count_created(stored);
        Ok(Step::Worked)
    }

    /// Waits for a moment where many taps are due: they go first. `leaving` says about how many leave within moments: nobody
    /// waits for those of a service that does not answer.
    ///
    /// # Errors
    /// `Store`.
    pub async fn let_taps_go_first(&self, leaving: impl Fn() -> usize) -> Result<(), Error> {
        let until = tokio::time::Instant::now() + CROWD_PATIENCE;
        while leaving() >= CROWD && tokio::time::Instant::now() < until {
            let now = self.now();
            let due = self
                .store
                .ask(move |reader| Ok::<_, Error>(reader.overdue(now, CROWD)?))
                .await?;
            if due < CROWD {
                return Ok(());
            }
            tokio::time::sleep(CROWD_LOOK).await;
        }
        Ok(())
    }

    async fn step_of(&self, id: BroadcastId) -> Result<u64, Error> {
        let Some(it) = self.stored_broadcast(id).await? else {
            return Ok(0);
        };
        let lock = self.broadcasts.lock(&it.app).await;
        let Some(job) = self.stored_broadcast(id).await? else {
            return Ok(0);
        };
        match job.status {
            BroadcastStatus::Completed | BroadcastStatus::Cancelled => Ok(0),
            // Its acceptance would hold the lock: it broke off, and nobody was promised anything.
            BroadcastStatus::Accepting => {
                self.clear_broadcast(job, lock).await?;
                Ok(0)
            }
            BroadcastStatus::Running if self.believed() >= job.expires => {
                self.give_up(job, lock).await?;
                Ok(0)
            }
            BroadcastStatus::Running => self.post_to_some(job, lock).await,
        }
    }

    /// Nobody gets what is over.
    async fn give_up(&self, mut job: Broadcast, lock: OwnedMutexGuard<()>) -> Result<(), Error> {
        job.failed += job.remaining();
        job.status = BroadcastStatus::Completed;
        job.completed = Some(self.now());
        let id = job.id;
        let row = AppRow::Broadcast(Box::new(job));
        self.store.commit_batch(row.into(), vec![lock]).await?;
        self.drop_list(id).await
    }

    async fn post_to_some(&self, job: Broadcast, lock: OwnedMutexGuard<()>) -> Result<u64, Error> {
        let (asked, id) = (job.clone(), job.id);
        let (people, row_len) = self
            .store
            .ask(move |reader| next_people(reader, &asked))
            .await?;
        let mut whose: Vec<&Subject> = people.iter().flatten().collect();
        // In one order, so that no two who hold several wait for each other.
        whose.sort_unstable();
        let mut locks = vec![lock];
        for subject in whose {
            locks.push(self.locks.lock(subject).await);
        }
        let rules = self.posting_rules();
        let plan = self
            .store
            .ask(move |reader| plan(reader, job, (&people, row_len), rules))
            .await?;
        let is_over = plan.job.status == BroadcastStatus::Completed;
        let (accepted, failed) = (plan.job.accepted, plan.job.failed);
        self.write_doubt_down().await?;
        self.store.commit_batch(plan.batch, locks).await?;
        if is_over {
            tracing::info!(%id, accepted, failed, "a broadcast is completed");
        }
        Ok(plan.stored)
    }
}

/// Who is next in the row that the job has come to, nobody for each who is gone since; and how many the row names.
fn next_people(reader: &Reader, job: &Broadcast) -> Result<(Vec<Option<Subject>>, usize), Error> {
    let people = reader.listed(job.id, job.next.row)?.ok_or_else(|| {
        store::Error::Corrupt(format!("the list of the broadcast {} is not there", job.id))
    })?;
    let whom = |one: &Listed| reader.listed_subject(&job.app, one).map_err(Error::from);
    let from = usize::try_from(job.next.at).unwrap_or(usize::MAX);
    let next = people.iter().skip(from).take(PEOPLE);
    Ok((next.map(whom).collect::<Result<_, _>>()?, people.len()))
}

/// Pure but for its reading: posts to `people`, who stand at the job's place in a row of `row_len`.
fn plan(
    reader: &Reader,
    mut job: Broadcast,
    (people, row_len): (&[Option<Subject>], usize),
    rules: Rules,
) -> Result<Plan, Error> {
    let mut batch = Batch {
        patient: true,
        ..Batch::default()
    };
    let (mut stored, mut rows) = (0, 0);
    for subject in people {
        if rows >= ROWS {
            break;
        }
        job.next.at += 1;
        let Some(unit) = post_to(reader, &job, subject.as_ref(), rules)? else {
            job.failed += 1;
            continue;
        };
        job.done += 1;
        if !unit.is_empty() {
            stored += 1;
            rows += unit.rows.len();
            batch.units.push(unit);
        }
    }
    if usize::try_from(job.next.at).is_ok_and(|at| at >= row_len) {
        batch.rows.push(AppRow::DropListed(job.id, job.next.row));
        job.next = ListPlace {
            row: job.next.row + 1,
            at: 0,
        };
    }
    if job.next.row >= job.rows {
        job.status = BroadcastStatus::Completed;
        job.completed = Some(rules.now);
    }
    batch.rows.push(AppRow::Broadcast(Box::new(job.clone())));
    Ok(Plan { batch, job, stored })
}

/// What posting to one person writes; nothing in it, where they know it already; none, where they cannot have it.
fn post_to(
    reader: &Reader,
    job: &Broadcast,
    subject: Option<&Subject>,
    rules: Rules,
) -> Result<Option<store::Unit>, Error> {
    let Some(subject) = subject else {
        return Ok(None);
    };
    let posting = Posting {
        draft: job.draft.clone(),
        expires: job.expires,
        broadcast: Some(job.id),
    };
    let posted = reader.user(subject).map_err(Error::from).and_then(|user| {
        let mut changes = Changes::begin(user, rules.now);
        let posted = notify::place(reader, &mut changes, posting, rules)?;
        Ok(if posted.stored {
            changes.into_unit()
        } else {
            changes.into_nothing()
        })
    });
    match posted {
        Ok(unit) => Ok(Some(unit)),
        Err(Error::Limit { .. }) => Ok(None),
        // One person's trouble must not keep it from the others.
        Err(Error::Store(error)) if error.is_damage() => {
            tracing::error!(%error, "a person cannot be posted to by a broadcast");
            Ok(None)
        }
        Err(other) => Err(other),
    }
}
