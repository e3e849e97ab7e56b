//! Taking back what became of taps: a look before one leaves, its end, and the end of a look at a user.

use super::{DueTap, Error, Hub};
use crate::{
    model::{
        Endpoint, EndpointId, Marker, Notification, Push, Subject, TapKind, TapState, Timestamp,
    },
    store::{Row, Unit},
};

/// How many markers one unit takes away at most.
const DROPPED: usize = 400;

impl DueTap {
    /// Whether it still holds, if nothing was written since it was planned.
    fn holds_at(&self, now: Timestamp) -> bool {
        let shows = self.notification.as_ref();
        self.tap.expires > now
            && self.reaches(self.level.endpoint.clone().at(now))
            && shows.is_none_or(|it| self.may_show(it, now))
    }

    /// Whether the endpoint is as it was planned on.
    fn reaches(&self, found: Endpoint) -> bool {
        let planned = &self.level.endpoint;
        found.generation == planned.generation && found.channel.kind() == planned.channel.kind()
    }

    /// Whether what it shows may be shown.
    fn may_show(&self, it: &Notification, now: Timestamp) -> bool {
        match self.tap.kind {
            TapKind::Fallback => it.may_fall_back(now),
            _ => it.is_open(now),
        }
    }
}

impl Hub {
    /// Whether a tap is still as it was planned, the channel the endpoint's, what it shows open and not fetched there
    /// meanwhile: a lane asks right before it sends. One that was planned in a leap, which was undone while it waited in
    /// the lane, may have come too soon, or be one too many: it is planned anew.
    ///
    /// # Errors
    /// `Store`.
    pub fn still_due(&self, due: &DueTap) -> Result<bool, Error> {
        let now = self.now();
        if due.planned.is_to_come(now) {
            return Ok(false);
        }
        if self.is_unchanged(due) {
            return Ok(due.holds_at(now));
        }
        let (reader, planned) = (self.store.reader(), &due.level.endpoint);
        let found = reader.endpoint(&due.subject, &planned.id)?;
        let reached = found.is_some_and(|found| due.reaches(found.at(now)));
        let reached = reached && due.tap.expires > now;
        let Some(shown) = &due.notification else {
            return Ok(reached);
        };
        let open = reader
            .notification(&due.subject, shown.number)?
            .is_some_and(|it| due.may_show(&it, now));
        let mark = reader.fetch_mark(&due.subject, &planned.id)?;
        // Fetched before it began anew, or read singly, which moved no position, it needs no fallback all the same.
        let read = due.tap.kind == TapKind::Fallback
            && (mark.passed(shown.number).is_some()
                || reader
                    .receipt(&due.subject, shown.number, &planned.id)?
                    .of(planned)
                    .fetched
                    .is_some());
        Ok(reached && open && !read && mark.position < shown.number)
    }

    /// Whether what the tap was planned on is as it was, but for the time.
    fn is_unchanged(&self, due: &DueTap) -> bool {
        self.store.stamp(&due.subject) == due.seen
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
        let version = |it: &Endpoint| (it.generation, it.registered);
        let stored = if self.is_unchanged(due) {
            Some(version(planned))
        } else {
            let reader = self.store.reader();
            let stored = reader.registered_endpoint(&due.subject, &planned.id)?;
            stored.as_ref().map(version)
        };
        let Some((_, registered)) = stored.filter(|(it, _)| *it == state.generation) else {
            return Ok(false);
        };
        let as_it_was = registered == planned.registered;
        let mut state = state;
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
        let mut unit = Unit::of(subject.clone());
        unit.rows = self.still_registered(&subject, states).await?;
        unit.rows
            .extend(taken.by_ref().take(DROPPED).map(Row::DropMarker));
        // Of who was erased meanwhile nothing is left to look at.
        let next = next.filter(|_| self.store.reader().is_known(&subject));
        // One moment, one marker: this one may be written again and again.
        unit.rows.extend(next.map(|due| {
            let subject = subject.clone();
            Row::Marker(Marker {
                due,
                subject,
                tag: 0,
            })
        }));
        if !unit.is_empty() {
            self.write_doubt_down().await?;
            // As in `settle`; and nobody waits for it, but for a look that only another commit can ask for.
            let submitted = self.store.submit_at_leisure(unit).await?;
            drop(lock);
            submitted.written().await?;
        }
        while taken.len() > 0 {
            let mut unit = Unit::of(subject.clone());
            unit.rows
                .extend(taken.by_ref().take(DROPPED).map(Row::DropMarker));
            self.store.commit(unit).await?;
        }
        Ok(())
    }

    /// The rows of those states whose endpoint is the one that they were found of.
    async fn still_registered(
        &self,
        subject: &Subject,
        states: Vec<(EndpointId, TapState)>,
    ) -> Result<Vec<Row>, Error> {
        if states.is_empty() {
            return Ok(Vec::new());
        }
        let subject = subject.clone();
        self.store
            .ask(move |reader| {
                let mut rows = Vec::new();
                for (endpoint, state) in states {
                    let stored = reader.registered_endpoint(&subject, &endpoint)?;
                    if stored.is_some_and(|stored| stored.generation == state.generation) {
                        rows.push(Row::TapState(endpoint, Box::new(state)));
                    }
                }
                Ok(rows)
            })
            .await
    }
}
