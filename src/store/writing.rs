//! Handing units to the committer, and waiting for the disk.

use tokio::sync::{OwnedMutexGuard, oneshot};

use super::{
    AppRow, Batch, Error, Store, Unit,
    work::{Request, Work},
};

/// A unit on its way to the disk.
#[derive(Debug)]
#[must_use = "the unit is not known to be on disk before this says so"]
pub struct Submitted(oneshot::Receiver<Result<(), Error>>);

impl Submitted {
    /// Waits until the unit is on disk.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub async fn written(self) -> Result<(), Error> {
        self.0.await.map_err(|_| Error::Closed)?
    }
}

impl Store {
    /// Writes a unit; when this returns `Ok`, it is on disk.
    ///
    /// # Errors
    /// `Conflict` where the feed has moved since the plan was made, `Full` where the disk has no room, `Closed`
    /// where the store has stopped.
    pub async fn commit(&self, unit: Unit) -> Result<(), Error> {
        self.hand_over(Work::Unit(unit), Vec::new()).await
    }

    /// Writes a unit that was planned under locks, which are held until the disk has answered, even if
    /// the caller is dropped meanwhile.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub async fn commit_holding(
        &self,
        unit: Unit,
        locks: Vec<OwnedMutexGuard<()>>,
    ) -> Result<(), Error> {
        self.hand_over(Work::Unit(unit), locks).await
    }

    /// Writes a row that belongs to no user.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub async fn commit_app(&self, row: AppRow) -> Result<(), Error> {
        self.hand_over(Work::Batch(row.into()), Vec::new()).await
    }

    /// Writes units of several users and rows of none, all or nothing, planned under locks that are held until the disk
    /// has answered.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub async fn commit_batch(
        &self,
        batch: Batch,
        locks: Vec<OwnedMutexGuard<()>>,
    ) -> Result<(), Error> {
        self.hand_over(Work::Batch(batch), locks).await
    }

    /// Looks at the disk's room, and writes nothing: so that a store that nobody writes to learns of room again.
    ///
    /// # Errors
    /// `Closed` where the store has stopped.
    pub async fn look_for_room(&self) -> Result<(), Error> {
        self.hand_over(Work::Look, Vec::new()).await
    }

    /// Hands a unit to the committer, which writes units in the order that it gets them; the answer is still to be
    /// waited for. For units of which many of one user are under way at once: a lock that orders them may go now.
    ///
    /// # Errors
    /// `Closed` where the store has stopped.
    pub async fn submit(&self, unit: Unit) -> Result<Submitted, Error> {
        self.send((Work::Unit(unit), false), Vec::new()).await
    }

    /// As [`Store::submit`], for what nobody waits for: it may take some milliseconds more, so that it shares the sync of
    /// others.
    ///
    /// # Errors
    /// `Closed` where the store has stopped.
    pub async fn submit_at_leisure(&self, unit: Unit) -> Result<Submitted, Error> {
        self.send((Work::Unit(unit), true), Vec::new()).await
    }

    pub(super) async fn hand_over(
        &self,
        work: Work,
        hold: Vec<OwnedMutexGuard<()>>,
    ) -> Result<(), Error> {
        self.send((work, false), hold).await?.written().await
    }

    /// As [`Store::submit`], for a row that belongs to no user.
    ///
    /// # Errors
    /// `Closed` where the store has stopped.
    pub async fn submit_app(&self, row: AppRow) -> Result<Submitted, Error> {
        self.send((Work::Batch(row.into()), false), Vec::new())
            .await
    }

    async fn send(
        &self,
        (work, at_leisure): (Work, bool),
        hold: Vec<OwnedMutexGuard<()>>,
    ) -> Result<Submitted, Error> {
        let (answer, answered) = oneshot::channel();
        let request = Request {
            work,
            hold,
            at_leisure,
            answer,
        };
        self.committer.send(request).await?;
        Ok(Submitted(answered))
    }
}
