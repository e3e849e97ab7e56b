//! What a person does: read, dismiss, act, put off; for one notification or many.

use std::ops::ControlFlow;

use super::{
    Error, Hub,
    actor::Actor,
    changes::{self, Changes},
    notify,
    receipt::Told,
};
use crate::{
    model::{
        EndpointId, FeedPosition, FetchMark, Notification, NotificationId, Receipt, StateChange,
        Subject, Timestamp,
    },
    store::{Reader, Row, Unit},
};

/// How many notifications one unit of work changes at most.
const STEP: usize = 100;

/// How many receipts one unit of work writes at most.
const RECEIPTS: usize = 400;

/// Which notifications a change of many is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// These; unknown ones are passed over.
    Ids(Vec<NotificationId>),
    /// Those of a group.
    Group(String),
    /// All.
    All,
}

impl Hub {
    /// Sets the state of one notification. With `up_to`, an act on what was replaced since changes nothing.
    ///
    /// # Errors
    /// `NotFound` where the person has no such one; `Store`.
    pub async fn set(
        &self,
        subject: Subject,
        id: NotificationId,
        change: StateChange,
        (up_to, by): (Option<FeedPosition>, Option<EndpointId>),
    ) -> Result<Notification, Error> {
        let now = self.now();
        self.change(subject, move |reader, mut changes| {
            let old = notify::live(reader, &changes.user().subject, id, now)?;
            if up_to.is_some_and(|up_to| old.number > up_to) {
                return Ok((changes.into_nothing(), old));
            }
            let actor = match &by {
                // It is answered with all of it.
                Some(by) => Actor::read(reader, &changes.user().subject, by, old.changed_at)?,
                None => None,
            };
            match set_one(reader, &mut changes, &old, change, (actor.as_ref(), now))? {
                None => Ok((changes.into_nothing(), old)),
                Some(it) => {
                    changes.look(now);
                    Ok((changes.into_unit(), it))
                }
            }
        })
        .await
    }

    /// Sets the state of many, in steps of which each is whole; says how many it changed.
    ///
    /// # Errors
    /// `Store`; what was done up to there stays done, and doing it again does the rest.
    pub async fn set_many(
        &self,
        subject: Subject,
        selection: Selection,
        change: StateChange,
        (up_to, by): (Option<FeedPosition>, Option<EndpointId>),
    ) -> Result<usize, Error> {
        let now = self.now();
        let mut changed = 0;
        let mut step = Step {
            from: FeedPosition::START,
            up_to: up_to.or(self.end_of(&subject, &selection)?),
            change,
            by,
            holds: up_to.unwrap_or_default(),
            now,
        };
        let mut ids = match &selection {
            Selection::Ids(ids) => ids.chunks(STEP).map(<[_]>::to_vec).collect(),
            _ => vec![Vec::new()],
        }
        .into_iter();
        let mut part = ids.next();
        while let Some(of) = part.take() {
            let (plan, selected, at) = (step.clone(), selection.clone(), of.clone());
            let done = self
                .change(subject.clone(), move |reader, changes| {
                    plan.run(reader, changes, &selected, &at)
                })
                .await?;
            changed += done.changed;
            part = match done.next {
                Some(next) => {
                    step.from = next;
                    Some(of)
                }
                None => ids.next(),
            };
        }
        Ok(changed)
    }

    /// Where what is there for a selection ends. What is posted while the steps are under way nobody has meant; what is
    /// named was meant, wherever it stands.
    fn end_of(
        &self,
        subject: &Subject,
        selection: &Selection,
    ) -> Result<Option<FeedPosition>, Error> {
        match selection {
            Selection::Ids(_) => Ok(None),
            Selection::Group(_) | Selection::All => {
                Ok(Some(self.store.reader().user(subject)?.head))
            }
        }
    }

    /// Notes that an endpoint put notifications before the person's eyes; `up_to` is how far it says that it holds the feed.
    /// What may have been shown as it was before it was replaced is passed over.
    ///
    /// # Errors
    /// `Store`.
    pub async fn shown(
        &self,
        subject: Subject,
        endpoint: EndpointId,
        (ids, up_to): (Vec<NotificationId>, Option<FeedPosition>),
    ) -> Result<(), Error> {
        let now = self.now();
        let told = |id| (id, Told::Shown(up_to));
        let ids = ids.into_iter().map(told).collect();
        self.note_receipts((subject, endpoint), ids, now, move |receipt, passed| {
            receipt.shown = receipt.shown.or(Some(now));
            // It has it, then, by whatever way it came.
            if !passed {
                receipt.fetched = receipt.fetched.or(Some(now));
            }
        })
        .await
    }

    /// Notes that an endpoint read notifications singly, each as that change left it, without pulling the feed; `at` is when
    /// it was answered.
    ///
    /// # Errors
    /// `Store`.
    pub async fn fetched_ones(
        &self,
        subject: Subject,
        endpoint: EndpointId,
        read: Vec<(NotificationId, FeedPosition)>,
        at: Timestamp,
    ) -> Result<(), Error> {
        let told = |(id, held)| (id, Told::Read(held));
        let read = read.into_iter().map(told).collect();
        self.note_receipts((subject, endpoint), read, at, move |receipt, passed| {
            // What its mark has passed is known as fetched without a row of its own.
            if !passed {
                receipt.fetched = receipt.fetched.or(Some(at));
            }
        })
        .await
    }

    async fn note_receipts(
        &self,
        who: (Subject, EndpointId),
        read: Vec<(NotificationId, Told)>,
        at: Timestamp,
        note: impl Fn(&mut Receipt, bool) + Clone + Send + 'static,
    ) -> Result<(), Error> {
        for part in read.chunks(RECEIPTS) {
            self.note_some(who.clone(), part.to_vec(), at, note.clone())
                .await?;
        }
        Ok(())
    }

    async fn note_some(
        &self,
        (subject, endpoint): (Subject, EndpointId),
        read: Vec<(NotificationId, Told)>,
        at: Timestamp,
        note: impl Fn(&mut Receipt, bool) + Send + 'static,
    ) -> Result<(), Error> {
        let now = self.now();
        let lock = self.locks.lock(&subject).await;
        let unit = self
            .store
            .ask(move |reader| {
                let mark = reader.fetch_mark(&subject, &endpoint)?;
                let mut unit = Unit::of(subject);
                // Who was signed out meanwhile tells nothing any more.
                let Some(registered) = reader.registered_endpoint(&unit.subject, &endpoint)? else {
                    return Ok(unit);
                };
                for (id, told) in read {
                    let Some(number) = reader.number_of(&unit.subject, id)? else {
                        continue;
                    };
                    let old = reader.receipt(&unit.subject, number, &endpoint)?;
                    let old = old.of(&registered);
                    let told_before = old.fetched.or(old.shown).or(old.acted);
                    let has_it = number <= mark.position || told_before.is_some();
                    let it = reader.notification(&unit.subject, number)?;
                    if !it.is_some_and(|it| told.is_of(&it, has_it)) {
                        continue;
                    }
                    let held = told.holds();
                    let mut receipt = old;
                    note(&mut receipt, number <= mark.position);
                    // What it holds by its mark it holds up to there alone.
                    if receipt.fetched.is_some() {
                        receipt.held = receipt.held.max(held).max(number);
                    }
                    if receipt != old {
                        unit.push(Row::Receipt(number, endpoint.clone(), receipt));
                    }
                }
                if !unit.is_empty() {
                    heard(reader, &mut unit, (&endpoint, mark), (at, now))?;
                }
                Ok::<_, Error>(unit)
            })
            .await?;
        if !unit.is_empty() {
            self.commit(unit, vec![lock]).await?;
        }
        Ok(())
    }
}

/// Notes that an endpoint was heard of, which moves no position: who lacks something may be tapped for it again.
fn heard(
    reader: &Reader,
    unit: &mut Unit,
    (endpoint, mut mark): (&EndpointId, FetchMark),
    (at, now): (Timestamp, Timestamp),
) -> Result<(), Error> {
    if mark.position < reader.user(&unit.subject)?.head {
        unit.push(Row::Marker(changes::marker(&unit.subject, now)));
    }
    if at > mark.at {
        mark.at = at;
        unit.push(Row::FetchMark(endpoint.clone(), mark));
    }
    Ok(())
}

/// Sets one, and notes the act with the endpoint that did it.
fn set_one(
    reader: &Reader,
    changes: &mut Changes,
    old: &Notification,
    change: StateChange,
    (actor, now): (Option<&Actor>, Timestamp),
) -> Result<Option<Notification>, Error> {
    if !old.is_changed_by(change) {
        return Ok(None);
    }
    let Some(actor) = actor else {
        return Ok(changes.set(old, change, None));
    };
    let (subject, endpoint) = (changes.user().subject.clone(), &actor.endpoint);
    let receipt = reader.receipt(&subject, old.number, &endpoint.id)?;
    let mut receipt = receipt.of(endpoint);
    let knows = actor.knows(reader, &subject, (old, receipt))?;
    let it = changes.set(old, change, knows.then_some(&endpoint.id));
    receipt.acted = receipt.acted.or(Some(now));
    changes.also(Row::Receipt(old.number, endpoint.id.clone(), receipt));
    Ok(it)
}

/// One step of a change of many.
#[derive(Debug, Clone)]
struct Step {
    from: FeedPosition,
    up_to: Option<FeedPosition>,
    change: StateChange,
    by: Option<EndpointId>,
    /// Up to where that says that it holds the feed.
    holds: FeedPosition,
    now: Timestamp,
}

/// What a step came to: how many changed, and where the next one begins, if there is one.
#[derive(Debug, Clone, Copy)]
struct Done {
    changed: usize,
    next: Option<FeedPosition>,
}

impl Step {
    fn run(
        &self,
        reader: &Reader,
        mut changes: Changes,
        selection: &Selection,
        ids: &[NotificationId],
    ) -> Result<(Unit, Done), Error> {
        let subject = changes.user().subject.clone();
        let (found, next) = match selection {
            Selection::Ids(_) => (self.by_id(reader, &subject, ids)?, None),
            Selection::Group(group) => self.by_walk(reader, &subject, Some(group))?,
            Selection::All => self.by_walk(reader, &subject, None)?,
        };
        let actor = match &self.by {
            Some(by) => {
                let pulled = reader.fetch_mark(&subject, by)?.position;
                Actor::read(reader, &subject, by, pulled.max(self.holds))?
            }
            None => None,
        };
        let mut changed = 0;
        for old in &found {
            let by = (actor.as_ref(), self.now);
            changed += usize::from(set_one(reader, &mut changes, old, self.change, by)?.is_some());
        }
        let done = Done { changed, next };
        if changed == 0 {
            return Ok((changes.into_nothing(), done));
        }
        changes.look(self.now);
        Ok((changes.into_unit(), done))
    }

    fn fits(&self, it: &Notification) -> bool {
        it.is_live(self.now) && self.up_to.is_none_or(|up_to| it.number <= up_to)
    }

    fn by_id(
        &self,
        reader: &Reader,
        subject: &Subject,
        ids: &[NotificationId],
    ) -> Result<Vec<Notification>, Error> {
        let mut found: Vec<Notification> = Vec::new();
        for id in ids {
            let Some(number) = reader.number_of(subject, *id)? else {
                continue;
            };
            let it = reader.notification(subject, number)?;
            found.extend(
                it.filter(|it| self.fits(it) && found.iter().all(|other| other.id != it.id)),
            );
        }
        Ok(found)
    }

    fn by_walk(
        &self,
        reader: &Reader,
        subject: &Subject,
        group: Option<&String>,
    ) -> Result<(Vec<Notification>, Option<FeedPosition>), Error> {
        let (mut found, mut next) = (Vec::new(), None);
        reader.oldest_first_from(subject, self.from, &mut |it| {
            if found.len() >= STEP {
                next = Some(it.number);
                return ControlFlow::Break(());
            }
            if self.fits(&it) && group.is_none_or(|group| it.draft.group.as_ref() == Some(group)) {
                found.push(it);
            }
            ControlFlow::Continue(())
        })?;
        Ok((found, next))
    }
}
