//! The waits that push services demanded of everyone: they are honoured through restarts, too (contract 3.6).

use std::time::Duration;

use super::{Error, Hub};
use crate::{
    model::{Demand, LaneName},
    store::{AppRow, Batch},
};

/// How many are kept: hosts come from outside.
const MOST: usize = 256;
/// Nobody may demand more; what lasts longer was written by a clock that was ahead.
const LONGEST: Duration = Duration::from_hours(24);

impl Hub {
    /// Keeps what the service at the end of a lane demanded, and forgets what is over.
    ///
    /// # Errors
    /// `Store`.
    pub async fn keep_demand(&self, lane: LaneName, demand: Demand) -> Result<(), Error> {
        let now = self.now();
        let kept = self
            .store
            .ask(|reader| Ok::<_, Error>(reader.demands()?))
            .await?;
        let others = kept.into_iter().filter(|(other, _)| *other != lane);
        let (over, lasting): (Vec<_>, Vec<_>) = others.partition(|(_, it)| it.until <= now);
        let mut batch = Batch::default();
        let over = over.into_iter().map(|(other, _)| other);
        batch.rows.extend(over.map(AppRow::DropDemand));
        if lasting.len() < MOST {
            batch.rows.push(AppRow::Demand(lane, demand));
        }
        Ok(self.store.commit_batch(batch, Vec::new()).await?)
    }

    /// What was demanded and is not over, in an earlier life of the process, too.
    ///
    /// # Errors
    /// `Store`.
    pub fn demands(&self) -> Result<Vec<(LaneName, Demand)>, Error> {
        let now = self.now();
        let mut demands = self.store.reader().demands()?;
        let stands = |it: &Demand| now < it.until && it.until <= now.plus(LONGEST);
        demands.retain(|(_, it)| stands(it) && !it.since.is_to_come(now));
        Ok(demands)
    }
}
