//! Dispatch's counter: hands out the taps that are due, takes back what became of them. And the report of both.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    Error, Hub, Tested,
    due::{self, Decision, Level, Verdict},
    levels::{Levels, Rules, Shown},
    report,
    test_tap::{self, Plan},
};
use crate::{
    config::apps::App,
    model::{
        Delivery, EndpointId, FeedPosition, Marker, Notification, NotificationId, Subject, Tap,
        TapState, Timestamp,
    },
    store::{self, Reader, Stamp},
};

/// A base that lags behind by more than this is moved up, so that it is not read again each time.
const LAG: u64 = 64;
/// How many fallbacks may be open at an endpoint, which stand in one row; of more, the newest.
const FALLBACKS: usize = 512;

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
    /// What it shows; the endpoints of one person share it.
    pub notification: Option<Arc<Notification>>,
    /// How many unread ones the person has.
    pub unread: u64,
    /// Whether the platform shows it by itself.
    pub displayed: bool,
    /// What else changed about the endpoint's state with the decision.
    pub state: TapState,
    /// When the store was read for it.
    pub seen: Stamp,
    /// By what time it was decided.
    pub planned: Timestamp,
}

/// Whom to look at.
#[derive(Debug, Clone)]
pub struct LookAt {
    /// The user.
    pub subject: Subject,
    /// Their endpoints that are left out, busy with a tap as they are.
    pub busy: HashSet<EndpointId>,
    /// Those that a test is asked of.
    pub tests: Vec<EndpointId>,
}

/// What a look at a user came to.
#[derive(Debug)]
pub struct Look {
    /// What is to be sent now.
    pub taps: Vec<DueTap>,
    /// Where the feed stood.
    pub head: FeedPosition,
    /// When to look again at the latest.
    pub next: Option<Timestamp>,
    /// What became known about endpoints that get no tap now.
    pub states: Vec<(EndpointId, TapState)>,
    /// Tests that do not leave, and why.
    pub tested: Vec<(EndpointId, Tested)>,
}

impl Hub {
    /// Notes that what is due leaves from now on.
    pub fn begin_sending(&self) {
        self.sends.store(true, Ordering::Relaxed);
    }

    /// Up to `most` markers that are due by `until`, from due time `from` on, and when the next one is.
    ///
    /// # Errors
    /// `Store`.
    pub async fn due_markers(
        &self,
        from: Timestamp,
        until: Timestamp,
        most: usize,
    ) -> Result<(Vec<Marker>, Option<Timestamp>), Error> {
        self.store
            .ask(move |reader| Ok(reader.due(from, until, most)?))
            .await
    }

    /// Looks at users: which of their endpoints is due a tap, but for those busy with one; of those that a test is asked of,
    /// that. Many are looked at in one go, in their order, since going off to the disk costs more than a look.
    ///
    /// # Errors
    /// Each look's own: `Store`.
    pub async fn look_at(&self, users: Vec<LookAt>) -> Vec<(Subject, Result<Look, Error>)> {
        let subjects: Vec<Subject> = users.iter().map(|it| it.subject.clone()).collect();
        let planned: Vec<Planned> = users.into_iter().map(|it| self.planned(it)).collect();
        let (delivery, now) = (self.delivery().clone(), self.now());
        let (configured, believed) = (self.configured.since(), self.believed());
        let resumed = self.lanes.resumed();
        let looks = self
            .store
            .ask(move |reader| {
                let look = |planned: Planned| {
                    let Some(app) = &planned.app else {
                        return Ok(Look::without_app(now));
                    };
                    let rules = Rules {
                        app,
                        delivery: &delivery,
                        now,
                        believed,
                        configured,
                        resumed: &resumed,
                        tells_over: false,
                        seen: planned.seen,
                    };
                    look(reader, &planned.at, &planned.listening, &rules)
                };
                Ok::<_, Error>(planned.into_iter().map(look).collect::<Vec<_>>())
            })
            .await;
        match looks {
            Ok(looks) => subjects.into_iter().zip(looks).collect(),
            Err(_) => {
                let closed = || Err(Error::Store(store::Error::Closed));
                subjects.into_iter().map(|it| (it, closed())).collect()
            }
        }
    }

    /// All that a look needs beside the store, which is read after it.
    fn planned(&self, at: LookAt) -> Planned {
        Planned {
            app: self.app(&at.subject.app),
            listening: self.listening(&at.subject),
            seen: self.store.stamp(&at.subject),
            at,
        }
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
        let mut found = self.deliveries_of(subject, vec![id]).await?;
        let found = found.pop().flatten();
        found.ok_or(Error::NotFound("notification"))
    }

    /// The same of several, in their order; nothing of one that is not there.
    ///
    /// # Errors
    /// `NotFound` where there is no such app; `Store`.
    pub(super) async fn deliveries_of(
        &self,
        subject: Subject,
        ids: Vec<NotificationId>,
    ) -> Result<Vec<Option<Vec<Delivery>>>, Error> {
        let now = self.now();
        let app = self.app(&subject.app).ok_or(Error::NotFound("app"))?;
        let listening = self.listening(&subject);
        let delivery = self.delivery().clone();
        let (configured, resumed) = (self.configured.since(), self.lanes.resumed());
        let stopped = self.lanes_stopped();
        let (believed, seen) = (self.believed(), self.store.stamp(&subject));
        let asked = subject.clone();
        let mut found = self
            .store
            .ask(move |reader| {
                let rules = Rules {
                    app: &app,
                    delivery: &delivery,
                    now,
                    believed,
                    configured,
                    resumed: &resumed,
                    tells_over: true,
                    seen,
                };
                report::deliveries(reader, &asked, &ids, (&listening, &stopped, &rules))
            })
            .await?;
        for it in found.iter_mut().flatten().flatten() {
            it.leaves = self.sends.load(Ordering::Relaxed);
            it.last_fetched = it.last_fetched.max(self.pulls.last(&subject, &it.endpoint));
        }
        Ok(found)
    }
}

/// A look about to be done.
struct Planned {
    at: LookAt,
    app: Option<Arc<App>>,
    listening: Vec<EndpointId>,
    seen: Stamp,
}

fn look(
    reader: &Reader,
    at: &LookAt,
    listening: &[EndpointId],
    rules: &Rules<'_>,
) -> Result<Look, Error> {
    let subject = &at.subject;
    let levels = Levels::read(reader, subject, listening, rules)?;
    let mut found = Look::of_feed_at(levels.head);
    let mut shown = Shown::default();
    found.note_signed_out(&levels, &at.tests);
    for level in levels
        .levels
        .iter()
        .filter(|level| !at.busy.contains(&level.endpoint.id))
    {
        let verdict = levels.decide(level, rules);
        // Also of one that is tested: what it is owed waits all the same.
        found.next = found.next.into_iter().chain(verdict.look).min();
        if at.tests.contains(&level.endpoint.id) {
            let state = kept(level, &verdict);
            found.plan_test(test_tap::plan(subject, level, state, rules), level);
            continue;
        }
        let state = kept(level, &verdict);
        match verdict.decision {
            Decision::Push(tap) => {
                let notification = shown.find((reader, subject), levels.whole(), tap.shows)?;
                found.taps.push(DueTap {
                    subject: subject.clone(),
                    displayed: due::is_displayed(level, &tap, rules.app),
                    level: level.clone(),
                    tap,
                    notification,
                    unread: levels.unread,
                    state,
                    seen: rules.seen,
                    planned: rules.now,
                });
            }
            Decision::Idle => found
                .states
                .extend(moved_up(level, state, levels.head, rules)),
            Decision::Wait(..) => {}
        }
    }
    Ok(found)
}

impl Look {
    /// One that found nothing yet.
    fn of_feed_at(head: FeedPosition) -> Self {
        Self {
            taps: Vec::new(),
            head,
            next: None,
            states: Vec::new(),
            tested: Vec::new(),
        }
    }

    /// At a user whose app was taken out of the config, perhaps by mistake: what is owed waits for the app's return.
    fn without_app(now: Timestamp) -> Self {
        Self {
            next: Some(now.plus(NO_APP)),
            ..Self::of_feed_at(FeedPosition::START)
        }
    }

    /// A test whose endpoint is there no more has its answer.
    fn note_signed_out(&mut self, levels: &Levels, tests: &[EndpointId]) {
        let there = |id: &EndpointId| levels.levels.iter().any(|level| level.endpoint.id == *id);
        let signed_out = tests.iter().filter(|id| !there(id));
        self.tested.extend(signed_out.map(|id| {
            let tested = Tested::unsent("the endpoint was signed out meanwhile");
            (id.clone(), tested)
        }));
    }

    fn plan_test(&mut self, plan: Plan, level: &Level) {
        match plan {
            Plan::Push(due) => self.taps.push(*due),
            Plan::Wait(until) => self.next = self.next.into_iter().chain([until]).min(),
            Plan::Answer(tested) => self.tested.push((level.endpoint.id.clone(), tested)),
        }
    }
}

/// The endpoint's state with what the decision found out about fallbacks.
fn kept(level: &Level, verdict: &Verdict) -> TapState {
    let mut state = level.current_state();
    state.fallbacks.clone_from(&verdict.fallbacks);
    state.fallbacks.sort();
    let over = state.fallbacks.len().saturating_sub(FALLBACKS);
    state.fallbacks.drain(..over);
    state.noticed = verdict.noticed;
    state
}

/// Where nothing is owed and the feed has moved on far, what is looked through for the next decision moves with it; and a
/// fallback that came to be known is kept.
fn moved_up(
    level: &Level,
    mut state: TapState,
    head: FeedPosition,
    rules: &Rules<'_>,
) -> Option<(EndpointId, TapState)> {
    let now = rules.now;
    if !level.is_reachable(now) {
        return None;
    }
    // What is over by a time that is doubted may be wanted yet.
    let lags = |from: FeedPosition| now <= level.believed && head.0.saturating_sub(from.0) > LAG;
    let before = (state.covered, state.repeat_after);
    if level.may_repeat(&state, rules.delivery, now) && lags(level.repeats_after(&state)) {
        (state.repeat_after, state.repeat_from) = (head, level.mark.position);
    }
    if lags(level.base()) {
        state.covered = head;
    }
    let moved = before != (state.covered, state.repeat_after);
    let fallbacks = state.fallbacks != level.state.fallbacks;
    (moved || fallbacks).then(|| (level.endpoint.id.clone(), state))
}
