//! The lanes that stand still, as dispatch tells of them: for `/readyz`, the metrics and the operator.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use super::Inner;
pub use crate::model::LaneName;
use crate::model::{ApnsEnvironment, AppService, ChannelKind, ServiceAnswer, Timestamp};

/// How many are remembered: hosts come from outside.
const MOST: usize = 1024;
/// How long a lane that fails is remembered when nothing tries it: nobody is owed anything there any more, or the next
/// tap would have. It may be a host that one client named, and that never was.
const UNTRIED: Duration = Duration::from_secs(10 * 60);
/// The same where the service refuses the operator's settings at a host that clients name. At a host of the operator's
/// own settings that is remembered until it is mended.
const UNTRIED_STOPPED: Duration = Duration::from_secs(24 * 3600);

/// How long it is remembered that a lane was taken up again: for longer than anything of it was put off.
const RESUMED: Duration = Duration::from_secs(10 * 60);

/// Why a lane stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LaneFault {
    /// The service refuses the operator's settings.
    Stopped,
    /// The service calls so many channels dead, one after another, that it may mean the operator's settings.
    Guarded,
    /// The service fails, or does not answer.
    Failing,
    /// The service demanded to be left alone.
    Throttled,
}

impl LaneFault {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Stopped, Self::Guarded, Self::Failing, Self::Throttled];

    /// Whether it is the operator who has to do something.
    pub fn is_operators(self) -> bool {
        matches!(self, Self::Stopped | Self::Guarded)
    }

    /// The name for operators and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Guarded => "guarded",
            Self::Failing => "failing",
            Self::Throttled => "throttled",
        }
    }
}

/// What is known of a lane that stands still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneState {
    /// Why.
    pub fault: LaneFault,
    /// Since when.
    pub since: Timestamp,
    /// When it is tried again.
    pub until: Timestamp,
    /// What stands in the way, in the service's words or the hub's own.
    pub answer: ServiceAnswer,
    /// When that was said, where it is known: something else may have stood in the way before.
    pub answered: Option<Timestamp>,
}

/// All that stand still, and those that were taken up again.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    all: Mutex<BTreeMap<LaneName, LaneState>>,
    resumed: Mutex<Arc<Resumed>>,
    /// Rings when one is.
    bell: Notify,
}

/// Lanes that stood still for the operator's settings, and since when their service takes pushes again: what was put off
/// before that waits no longer.
#[derive(Debug, Clone, Default)]
pub(super) struct Resumed(BTreeMap<LaneName, Timestamp>);

impl Resumed {
    pub(super) fn since(&self, name: &LaneName) -> Option<Timestamp> {
        self.0.get(name).copied()
    }

    /// When the last one was.
    pub(super) fn latest(&self) -> Timestamp {
        self.0.values().copied().max().unwrap_or_default()
    }
}

impl Lanes {
    fn all(&self) -> MutexGuard<'_, BTreeMap<LaneName, LaneState>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that are still of interest.
    fn present(&self, now: Timestamp) -> MutexGuard<'_, BTreeMap<LaneName, LaneState>> {
        let mut all = self.all();
        all.retain(|name, state| match remembered(name, state.fault) {
            Some(span) => now < state.until.plus(span),
            None => true,
        });
        all
    }

    pub(super) fn forget(&self) {
        self.all().clear();
        // What was taken up again in a leap that was undone, too.
        *self.resumed.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }

    /// Those that were taken up again of late.
    pub(super) fn resumed(&self) -> Arc<Resumed> {
        Arc::clone(&self.resumed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note_resumed(&self, name: LaneName, resumes: bool, now: Timestamp) {
        let mut resumed = self.resumed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut anew = Resumed::clone(&resumed);
        anew.0.retain(|_, since| since.plus(RESUMED) > now);
        match resumes {
            true => drop(anew.0.insert(name, now)),
            false => drop(anew.0.remove(&name)),
        }
        *resumed = Arc::new(anew);
    }
}

impl Inner {
    /// Notes how a lane stands; none, where it runs.
    pub fn note_lane(&self, name: LaneName, state: Option<LaneState>) {
        let now = self.now();
        let mut all = self.lanes.present(now);
        let is_operators = |state: &LaneState| state.fault.is_operators();
        let stood = all.get(&name).is_some_and(is_operators);
        let stands = state.as_ref().is_some_and(is_operators);
        if stood != stands {
            self.lanes.note_resumed(name.clone(), stood, now);
        }
        match state {
            None => drop(all.remove(&name)),
            Some(state) if all.len() < MOST || all.contains_key(&name) => {
                all.insert(name, state);
            }
            Some(_) => {}
        }
        drop(all);
        if stood && !stands {
            self.lanes.bell.notify_one();
        }
    }

    /// Notes that the guard of an app's channels at a service is over: all lanes that stood still under it are taken up again.
    pub fn note_unguarded(&self, service: &AppService) {
        let all = self.lanes.present(self.now()).clone();
        let environment = match service.sandbox {
            true => ApnsEnvironment::Sandbox,
            false => ApnsEnvironment::Production,
        };
        let guarded = all.into_iter().filter(|(name, state)| {
            let is_apples = service.kind == ChannelKind::Apns;
            let is_under_it = name.app == service.app && name.service == service.kind;
            let is_in_it = !is_apples || name.authority == environment.as_str();
            is_under_it && is_in_it && state.fault == LaneFault::Guarded
        });
        guarded.for_each(|(name, _)| self.note_lane(name, None));
    }

    /// Waits until a lane that stood still for the operator's settings was taken up again; for dispatch, which hears of it
    /// also where it was busy then.
    pub async fn lane_resumed(&self) {
        self.lanes.bell.notified().await;
    }

    /// Notes that there is no lane with the present settings, why, and when that is looked at again.
    pub fn note_no_lane(&self, name: LaneName, reason: String, until: Timestamp) {
        let now = self.now();
        let before = self.lanes.present(now).get(&name).cloned();
        let before = before.filter(|before| before.fault == LaneFault::Stopped);
        let state = LaneState {
            fault: LaneFault::Stopped,
            since: before.map_or(now, |before| before.since),
            until,
            answer: ServiceAnswer {
                status: 0,
                reason: Some(reason),
                id: None,
            },
            answered: Some(now),
        };
        self.note_lane(name, Some(state));
    }

    /// The lanes that stand still, by app and service. A guard under which no lane has stopped stands for those that would.
    pub fn lanes_at_rest(&self) -> Vec<(LaneName, LaneState)> {
        let mut all = self.lanes.present(self.now()).clone();
        for (name, state) in self.guards() {
            let stopped = |(other, state): (&LaneName, &LaneState)| {
                let is_under_it = other.app == name.app
                    && other.service == name.service
                    && (name.authority.is_empty() || name.authority == other.authority);
                is_under_it && state.fault.is_operators()
            };
            if !all.iter().any(stopped) {
                all.insert(name, state);
            }
        }
        all.into_iter().collect()
    }

    /// Those that stand still for the operator's settings.
    pub(super) fn lanes_stopped(&self) -> BTreeSet<LaneName> {
        let all = self.lanes_at_rest().into_iter();
        let stopped = all.filter(|(_, state)| state.fault.is_operators());
        stopped.map(|(name, _)| name).collect()
    }

    /// Whether a push service refuses the operator's settings, or calls so many channels dead that it may mean them.
    pub fn is_stopped(&self) -> bool {
        !self.lanes_stopped().is_empty()
    }
}

/// How long what is known of a lane is of interest when nothing tries it; none: until it is mended.
fn remembered(name: &LaneName, fault: LaneFault) -> Option<Duration> {
    match (fault, name.service) {
        (LaneFault::Failing | LaneFault::Throttled, _) => Some(UNTRIED),
        (_, ChannelKind::WebPush | ChannelKind::Wns) => Some(UNTRIED_STOPPED),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Clock,
        config::{Apps, Delivery, Limits},
        hub::Hub,
        model::AppHost,
        store::Store,
    };

    #[tokio::test]
    async fn a_lane_that_nothing_tries_any_more_is_forgotten() {
        let clock = Clock::manual(Timestamp::from_millis(1_800_000_000_000));
        let rules = (Delivery::default(), Limits::default());
        let store = Store::in_memory().unwrap();
        let hub = Hub::new(store, Apps::new(Vec::new()), rules, clock.clone());
        let name = |service, authority: &str| LaneName {
            app: AppHost::parse("todo.example").unwrap(),
            service,
            authority: authority.to_owned(),
        };
        let until = || clock.now().plus(Duration::from_secs(60));
        let fail = |authority: &str, fault| {
            let state = LaneState {
                fault,
                since: clock.now(),
                until: until(),
                answer: ServiceAnswer::default(),
                answered: None,
            };
            hub.note_lane(name(ChannelKind::WebPush, authority), Some(state));
        };
        fail("gone.example:443", LaneFault::Failing);
        fail("tried.example:443", LaneFault::Failing);
        fail("stopped.example:443", LaneFault::Stopped);
        let apns = name(ChannelKind::Apns, "production");
        hub.note_no_lane(apns.clone(), "no key".into(), until());
        let left = || -> Vec<String> {
            let all = hub.lanes_at_rest().into_iter();
            all.map(|(name, _)| name.authority).collect()
        };
        clock.advance(Duration::from_secs(10 * 60));
        assert_eq!(left().len(), 4, "it is tried again after its wait");
        fail("tried.example:443", LaneFault::Failing);
        clock.advance(Duration::from_secs(60));
        let three = ["production", "stopped.example:443", "tried.example:443"];
        assert_eq!(left(), three);
        clock.advance(Duration::from_secs(25 * 3600));
        assert_eq!(left(), ["production"], "the settings are still wrong");
        let since = hub.lanes_at_rest()[0].1.since;
        hub.note_no_lane(apns, "no key".into(), until());
        assert_eq!(hub.lanes_at_rest()[0].1.since, since);
        assert!(hub.is_stopped());
    }

    #[tokio::test]
    async fn all_lanes_under_a_guard_are_taken_up_again_when_it_is_over() {
        let clock = Clock::manual(Timestamp::from_millis(1_800_000_000_000));
        let rules = (Delivery::default(), Limits::default());
        let store = Store::in_memory().unwrap();
        let hub = Hub::new(store, Apps::new(Vec::new()), rules, clock.clone());
        let service = |kind| AppService {
            app: AppHost::parse("todo.example").unwrap(),
            kind,
            sandbox: false,
        };
        let name = |kind, authority: &str| LaneName {
            app: service(kind).app,
            service: kind,
            authority: authority.to_owned(),
        };
        let lanes = [
            (name(ChannelKind::Apns, "production"), LaneFault::Guarded),
            (name(ChannelKind::Apns, "sandbox"), LaneFault::Guarded),
            (name(ChannelKind::Wns, "a:443"), LaneFault::Guarded),
            (name(ChannelKind::Wns, "b:443"), LaneFault::Guarded),
            (name(ChannelKind::Wns, "c:443"), LaneFault::Stopped),
            (name(ChannelKind::Fcm, ""), LaneFault::Guarded),
        ];
        for (name, fault) in &lanes {
            let state = LaneState {
                fault: *fault,
                since: clock.now(),
                until: clock.now().plus(Duration::from_secs(60)),
                answer: ServiceAnswer::default(),
                answered: None,
            };
            hub.note_lane(name.clone(), Some(state));
        }
        clock.advance(Duration::from_secs(1));
        hub.note_unguarded(&service(ChannelKind::Wns));
        hub.note_unguarded(&service(ChannelKind::Apns));
        hub.lane_resumed().await;
        let resumed = hub.lanes.resumed();
        let found = lanes.map(|(name, _)| resumed.since(&name) == Some(clock.now()));
        assert_eq!(found, [true, false, true, true, false, false]);
    }
}
