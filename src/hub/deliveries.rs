//! Dispatch's counter: hands out the taps that are due, takes back what became of them. And the report of both.

use std::{sync::Arc, time::Duration};

use super::{
    Error, Hub, changes,
    due::{self, Decision, Level, Step, Verdict},
    report,
};
use crate::{
    config::apps::App,
    model::{
        Delivery, EndpointId, FeedPosition, Marker, Notification, NotificationId, Push, Subject,
        Tap, TapState, Timestamp,
    },
    store::{Reader, Row, Unit},
};

/// A feed is read at most so far back for a decision; what is older is covered by the same tap.
const STEPS: usize = 2000;
/// A base that lags behind by more than this is moved up, so that it is not read again each time.
const LAG: u64 = 64;

/// How long a user is left alone whose app is not in the config.
const NO_APP: Duration = Duration::from_secs(600);

/// A tap to be sent, with all that its message needs.
#[derive(Debug, Clone)]
pub struct DueTap {
    /// Whose device.
    pub subject: Subject,
    /// Where the endpoint stands.
    pub level: Level,
    /// The tap.
    pub tap: Tap,
    /// What it shows.
    pub notification: Option<Notification>,
    /// How many unread ones the person has.
    pub unread: u64,
    /// Whether the platform shows it by itself.
    pub displayed: bool,
    /// What else changed about the endpoint's state with the decision.
    pub state: TapState,
}

/// What a look at a user came to.
#[derive(Debug)]
pub struct Look {
    /// What is to be sent now.
    pub taps: Vec<DueTap>,
    /// When to look again at the latest.
    pub next: Option<Timestamp>,
    /// What became known about endpoints that get no tap now.
    pub states: Vec<(EndpointId, TapState)>,
}

impl Hub {
    /// Up to `most` markers that are due, from due time `from` on, and when the next one is.
    ///
    /// # Errors
    /// `Store`.
    pub async fn due_markers(
        &self,
        from: Timestamp,
        most: usize,
    ) -> Result<(Vec<Marker>, Option<Timestamp>), Error> {
        let now = self.now();
        self.store
            .ask(move |reader| Ok(reader.due(from, now, most)?))
            .await
    }

    /// Looks at a user: which of their endpoints is due a tap, but for those `busy` with one.
    ///
    /// # Errors
    /// `Store`.
    pub async fn look(&self, subject: Subject, busy: Vec<EndpointId>) -> Result<Look, Error> {
        let now = self.now();
        let Some(app) = self.app(&subject.app) else {
            // Taken out of the config, perhaps by mistake: what is owed waits for the app's return.
            return Ok(Look {
                taps: Vec::new(),
                next: Some(now.plus(NO_APP)),
                states: Vec::new(),
            });
        };
        let listening = self.listening(&subject);
        let delivery = self.delivery().clone();
        self.store
            .ask(move |reader| {
                let rules = Rules {
                    app: &app,
                    delivery: &delivery,
                    now,
                };
                look(reader, &subject, (&busy, &listening), &rules)
            })
            .await
    }

    /// Whether the channel that a tap was planned for is still the endpoint's: a lane asks right before it sends.
    pub fn still_reaches(&self, due: &DueTap) -> bool {
        let found = self
            .store
            .reader()
            .endpoint(&due.subject, &due.level.endpoint.id);
        found.is_ok_and(|found| {
            found.is_some_and(|found| {
                found.generation == due.level.endpoint.generation
                    && found.channel.kind() == due.level.endpoint.channel.kind()
            })
        })
    }

    /// Takes back what became of a tap: the endpoint's new state, and the push if it is settled. Nothing is kept of
    /// an endpoint that was removed or registered anew meanwhile.
    ///
    /// # Errors
    /// `Store`; the tap stays due then.
    pub async fn settle(
        &self,
        subject: Subject,
        endpoint: EndpointId,
        state: TapState,
        push: Option<Push>,
    ) -> Result<(), Error> {
        let unit = self
            .store
            .ask(move |reader| {
                let mut unit = Unit::of(subject);
                let stored = reader.registered_endpoint(&unit.subject, &endpoint)?;
                if stored.is_some_and(|stored| stored.generation == state.generation) {
                    unit.rows
                        .extend(push.map(|push| Row::Push(endpoint.clone(), push)));
                    unit.push(Row::TapState(endpoint, Box::new(state)));
                }
                Ok::<_, Error>(unit)
            })
            .await?;
        if !unit.is_empty() {
            self.store.commit(unit).await?;
        }
        Ok(())
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
        let mut unit = Unit::of(subject);
        for (endpoint, state) in states {
            unit.push(Row::TapState(endpoint, Box::new(state)));
        }
        unit.rows.extend(taken.into_iter().map(Row::DropMarker));
        if let Some(due) = next {
            unit.push(Row::Marker(changes::marker(&unit.subject, due)));
        }
        if !unit.is_empty() {
            self.store.commit(unit).await?;
        }
        Ok(())
    }

    /// What became of one notification on each of the person's endpoints.
    ///
    /// # Errors
    /// `NotFound` where the person has no such one, or its time is over; `Store`.
    pub async fn deliveries(
        &self,
        subject: Subject,
        id: NotificationId,
    ) -> Result<Vec<Delivery>, Error> {
        let now = self.now();
        let app = self.app(&subject.app).ok_or(Error::NotFound("app"))?;
        let listening = self.listening(&subject);
        let delivery = self.delivery().clone();
        self.store
            .ask(move |reader| {
                let rules = Rules {
                    app: &app,
                    delivery: &delivery,
                    now,
                };
                report::deliveries(reader, &subject, id, (&listening, &rules))
            })
            .await
    }
}

/// What decisions go by.
pub(super) struct Rules<'a> {
    pub(super) app: &'a Arc<App>,
    pub(super) delivery: &'a crate::config::Delivery,
    pub(super) now: Timestamp,
}

/// Where each of a user's endpoints stands, and the feed as far back as any of them wants it.
pub(super) struct Levels {
    pub(super) levels: Vec<Level>,
    pub(super) steps: Vec<Step>,
    pub(super) head: FeedPosition,
    pub(super) unread: u64,
}

impl Levels {
    pub(super) fn read(
        reader: &Reader,
        subject: &Subject,
        listening: &[EndpointId],
        rules: &Rules<'_>,
    ) -> Result<Self, Error> {
        let user = reader.user(subject)?;
        let mut levels = Vec::new();
        for endpoint in reader.endpoints(subject)? {
            levels.push(level(reader, subject, endpoint, listening)?);
        }
        let reachable = |level: &&Level| {
            level.endpoint.channel.identity().is_some() && level.endpoint.expires > rules.now
        };
        let from = levels
            .iter()
            .filter(reachable)
            .map(|level| level.wants_from(rules.delivery, rules.now))
            .min();
        let steps = match from {
            Some(from) => steps(reader, subject, from, user.head)?,
            None => Vec::new(),
        };
        Ok(Self {
            levels,
            steps,
            head: user.head,
            unread: user.unread,
        })
    }

    pub(super) fn decide(&self, level: &Level, rules: &Rules<'_>) -> Verdict {
        level.decide(
            &self.steps,
            self.head,
            (rules.app, rules.delivery),
            rules.now,
        )
    }
}

fn level(
    reader: &Reader,
    subject: &Subject,
    endpoint: crate::model::Endpoint,
    listening: &[EndpointId],
) -> Result<Level, Error> {
    let state = reader.tap_state(subject, &endpoint.id)?;
    let mark = reader.fetch_mark(subject, &endpoint.id)?;
    let mut fallbacks = Vec::new();
    for number in &state.fallbacks {
        let unread = reader
            .receipt(subject, *number, &endpoint.id)?
            .fetched
            .is_none();
        if unread {
            fallbacks.extend(reader.notification(subject, *number)?);
        }
    }
    let streaming = listening.contains(&endpoint.id);
    Ok(Level {
        endpoint,
        state,
        mark,
        streaming,
        fallbacks,
    })
}

fn steps(
    reader: &Reader,
    subject: &Subject,
    from: FeedPosition,
    head: FeedPosition,
) -> Result<Vec<Step>, Error> {
    let mut after = from;
    let mut changes = std::collections::VecDeque::new();
    loop {
        let page = reader.changes(subject, after, STEPS)?;
        let Some(last) = page.last() else {
            break;
        };
        after = last.position;
        changes.extend(page.into_iter().filter(|change| change.position <= head));
        while changes.len() > STEPS {
            changes.pop_front();
        }
    }
    let with_notification = |change: crate::model::Change| {
        let notification = reader.notification(subject, change.number)?;
        Ok(Step {
            change,
            notification,
        })
    };
    changes.into_iter().map(with_notification).collect()
}

fn look(
    reader: &Reader,
    subject: &Subject,
    (busy, listening): (&[EndpointId], &[EndpointId]),
    rules: &Rules<'_>,
) -> Result<Look, Error> {
    let levels = Levels::read(reader, subject, listening, rules)?;
    let mut found = Look {
        taps: Vec::new(),
        next: None,
        states: Vec::new(),
    };
    for level in levels
        .levels
        .iter()
        .filter(|level| !busy.contains(&level.endpoint.id))
    {
        let verdict = levels.decide(level, rules);
        found.next = found.next.into_iter().chain(verdict.look).min();
        let state = kept(level, &verdict);
        match verdict.decision {
            Decision::Push(tap) => {
                let notification = match tap.shows {
                    Some(id) => shown(reader, subject, id)?,
                    None => None,
                };
                found.taps.push(DueTap {
                    subject: subject.clone(),
                    displayed: due::is_displayed(level, &tap, rules.app),
                    level: level.clone(),
                    tap,
                    notification,
                    unread: levels.unread,
                    state,
                });
            }
            Decision::Idle => found
                .states
                .extend(moved_up(level, state, levels.head, rules.now)),
            Decision::Wait(..) => {}
        }
    }
    Ok(found)
}

/// The endpoint's state with what the decision found out about fallbacks.
fn kept(level: &Level, verdict: &Verdict) -> TapState {
    let mut state = level.current_state();
    state.fallbacks.clone_from(&verdict.fallbacks);
    state
        .fell_back
        .retain(|number| *number > level.mark.position);
    state
}

fn shown(
    reader: &Reader,
    subject: &Subject,
    id: NotificationId,
) -> Result<Option<Notification>, Error> {
    let Some(number) = reader.number_of(subject, id)? else {
        return Ok(None);
    };
    Ok(reader.notification(subject, number)?)
}

/// Where nothing is owed and the feed has moved on far, the base moves with it; and a fallback that came to be
/// known is kept.
fn moved_up(
    level: &Level,
    mut state: TapState,
    head: FeedPosition,
    now: Timestamp,
) -> Option<(EndpointId, TapState)> {
    if level.endpoint.channel.identity().is_none() || level.endpoint.expires <= now {
        return None;
    }
    let lags = head.0.saturating_sub(level.base().0) > LAG;
    if lags {
        state.covered = head;
    }
    let fallbacks = !state.fallbacks.is_empty() && state.fallbacks != level.state.fallbacks;
    (lags || fallbacks).then(|| (level.endpoint.id.clone(), state))
}
