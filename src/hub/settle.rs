//! Taking back what became of taps: a look before one leaves, its end, and the end of a look at a user.

use super::{DueTap, Error, Hub};
use crate::{
    model::{EndpointId, Marker, Push, Subject, TapKind, TapState, Timestamp},
    store::{Row, Unit},
};

/// How many markers one unit takes away at most.
const DROPPED: usize = 400;

impl Hub {
    /// Whether a tap is still as it was planned, the channel the endpoint's, what it shows open and not fetched there
    /// meanwhile: a lane asks right before it sends.
    ///
    /// # Errors
    /// `Store`.
    pub fn still_due(&self, due: &DueTap) -> Result<bool, Error> {
        let (reader, planned) = (self.store.reader(), &due.level.endpoint);
        let now = self.now();
        let found = reader.endpoint(&due.subject, &planned.id)?;
        let found = found.map(|found| found.at(now));
        let reached = found.is_some_and(|found| {
            found.generation == planned.generation && found.channel.kind() == planned.channel.kind()
        });
        let Some(shown) = &due.notification else {
            return Ok(reached);
        };
        let open = reader
            .notification(&due.subject, shown.number)?
            .is_some_and(|it| match due.tap.kind {
                TapKind::Fallback => it.may_fall_back(self.now()),
                _ => it.is_open(self.now()),
            });
        let held = reader.fetch_mark(&due.subject, &planned.id)?.position;
        // Read singly it moved no position, and needs no fallback all the same.
        let read = due.tap.kind == TapKind::Fallback
            && reader
                .receipt(&due.subject, shown.number, &planned.id)?
                .fetched
                .is_some();
        Ok(reached && open && !read && held < shown.number)
    }

    /// Takes back what became of a tap: the endpoint's new state, and the push if it is settled. Nothing is kept of
    /// an endpoint that was removed or registered anew meanwhile; says whether it is as it was.
    ///
    /// # Errors
    /// `Store`; the tap stays due then.
    pub async fn settle(
        &self,
        due: &DueTap,
        state: TapState,
        push: Option<Push>,
    ) -> Result<bool, Error> {
        let planned = &due.level.endpoint;
        let lock = self.locks.lock(&due.subject).await;
        let stored = self
            .store
            .reader()
            .registered_endpoint(&due.subject, &planned.id)?;
        let Some(stored) = stored.filter(|stored| stored.generation == state.generation) else {
            return Ok(false);
        };
        let mut state = state;
        let as_it_was = stored.registered == planned.registered;
        if !as_it_was {
            state.gone = None;
        }
        let mut unit = Unit::of(due.subject.clone());
        unit.rows
            .extend(push.map(|push| Row::Push(planned.id.clone(), push)));
        unit.push(Row::TapState(planned.id.clone(), Box::new(state)));
        self.write_doubt_down().await?;
        // A sign-out that comes next is written next, and takes these rows with it; so the lock need not be held
        // until the disk has answered, and the many taps of one person share a sync.
        let submitted = self.store.submit(unit).await?;
        drop(lock);
        submitted.written().await?;
        Ok(as_it_was)
    }

    /// Closes a look at a user: takes its markers away, and leaves one for the next look.
    ///
    /// # Errors
    /// `Store`; the markers stay then.
    pub async fn close_look(
        &self,
        subject: Subject,
        taken: Vec<Marker>,
        next: Option<Timestamp>,
        states: Vec<(EndpointId, TapState)>,
    ) -> Result<(), Error> {
        let lock = self.locks.lock(&subject).await;
        let mut taken = taken.into_iter();
        let first: Vec<Marker> = taken.by_ref().take(DROPPED).collect();
        let of = subject.clone();
        let unit = self
            .store
            .ask(move |reader| {
                let mut unit = Unit::of(of);
                for (endpoint, state) in states {
                    let stored = reader.registered_endpoint(&unit.subject, &endpoint)?;
                    if stored.is_some_and(|stored| stored.generation == state.generation) {
                        unit.push(Row::TapState(endpoint, Box::new(state)));
                    }
                }
                unit.rows.extend(first.into_iter().map(Row::DropMarker));
                unit.rows.extend(next.map(|due| {
                    // One moment, one marker: this one may be written again and again.
                    Row::Marker(Marker {
                        due,
                        subject: unit.subject.clone(),
                        tag: 0,
                    })
                }));
                Ok::<_, Error>(unit)
            })
            .await?;
        if !unit.is_empty() {
            self.commit(unit, vec![lock]).await?;
        }
        while taken.len() > 0 {
            let mut unit = Unit::of(subject.clone());
            unit.rows
                .extend(taken.by_ref().take(DROPPED).map(Row::DropMarker));
            self.store.commit(unit).await?;
        }
        Ok(())
    }
}
