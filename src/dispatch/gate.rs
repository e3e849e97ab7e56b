//! The gate of a lane: lets taps through as the circuits of the services behind it allow, and guards the channels
//! against wrong settings. A lane of its own has one circuit; the shared lane has one for each host.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    chance,
    circuit::{Admission, Circuit, Hold, Standing, Why},
    compose,
    guard::{self, Guard, Guarded},
    retry,
};
use crate::{
    config::apps::App,
    hub::{Hub, LaneFault, LaneName, LaneState},
    model::{Channel, ChannelKind, Demand, Timestamp},
    push::outcome::{Outcome, Verdict},
};

/// How many pushes of the shared lane are under way to one host, so that a slow one leaves room for the others.
const MAX_SHARED: usize = 4;
/// How many hosts of the shared lane are remembered while nothing is known to be wrong with them.
const MAX_BLANK: usize = 256;

/// How many channels are remembered that the service wants to be left alone with.
const MAX_ASKED: usize = 4096;

/// What services demanded of everyone, by authority.
pub(super) type Demands = Vec<(String, Demand)>;

/// The gate of one lane.
#[derive(Debug)]
pub(super) struct Gate {
    hub: Hub,
    app: Arc<App>,
    service: ChannelKind,
    /// The lane's own authority; none for the shared lane.
    own: Option<String>,
    circuits: Mutex<HashMap<String, Circuit>>,
    /// Until when the service wants to be left alone with single channels, whoever of those that share one is tapped.
    asked: Mutex<HashMap<u64, Asked>>,
    guard: Arc<Guard>,
}

/// A wait that a service demanded for one channel.
#[derive(Debug, Clone, Copy)]
struct Asked {
    since: Timestamp,
    until: Timestamp,
}

impl Asked {
    /// Until when, if it is not over; one of a clock that had leapt would hold for as long as that had.
    fn holds(self, now: Timestamp) -> Option<Timestamp> {
        let holds = self.until > now && !self.since.is_to_come(now);
        holds.then_some(self.until)
    }
}

/// The right to send one push. Ends when it is dropped.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    gate: &'a Gate,
    authority: String,
    /// Which channel it is for, as a hash.
    channel: u64,
    /// How it was let through; none for a test, which asks nobody.
    probe: Option<bool>,
}

impl Gate {
    /// A gate that begins with what was demanded before.
    pub(super) fn new(
        hub: Hub,
        app: Arc<App>,
        guard: Arc<Guard>,
        (own, demands): (Option<String>, Demands),
    ) -> Self {
        let demands = demands.into_iter();
        let circuits = demands.map(|(authority, it)| (authority, Circuit::demanded(it)));
        Self {
            hub,
            app,
            service: guard.service.kind,
            own,
            circuits: Mutex::new(circuits.collect()),
            asked: Mutex::default(),
            guard,
        }
    }

    /// What the services behind it demanded of everyone.
    pub(super) fn demands(&self, now: Timestamp) -> Demands {
        let circuits = self.circuits();
        let demands = circuits.iter().filter_map(|(authority, circuit)| {
            let demand = circuit.demand(now)?;
            Some((authority.clone(), demand))
        });
        demands.collect()
    }

    /// Asks for a tap to leave, for a channel that was `proven` by a push that the service took, or not.
    ///
    /// # Errors
    /// Until when it is held.
    pub(super) fn admit(
        &self,
        channel: &Channel,
        proven: bool,
        now: Timestamp,
    ) -> Result<Pass<'_>, Hold> {
        let authority = self.authority(channel);
        let hash = hash_of(channel);
        if let Some(until) = self.asked_for(hash, now) {
            return Err(Hold {
                until,
                stopped: None,
                answer: None,
            });
        }
        let mut circuits = self.circuits();
        if circuits.len() > MAX_BLANK && !circuits.contains_key(&authority) {
            circuits.retain(|_, circuit| !circuit.is_blank(now));
        }
        let circuit = circuits.entry(authority.clone()).or_default();
        if !self.guard.stands() && circuit.unguard(now) {
            self.tell(&authority, Some(LaneFault::Guarded), circuit.standing());
        }
        if self.own.is_none() && circuit.under_way >= MAX_SHARED {
            return Err(circuit.hold(now.plus(super::PAUSE)));
        }
        let probe = match circuit.admit(proven, now) {
            Admission::Go => false,
            Admission::Probe => true,
            Admission::Hold(hold) => return Err(hold),
        };
        Ok(Pass {
            gate: self,
            authority,
            channel: hash,
            probe: Some(probe),
        })
    }

    /// Lets a test through, but against what the service demanded of everyone or refuses.
    ///
    /// # Errors
    /// Until when everything stands still.
    pub(super) fn admit_test(
        &self,
        channel: &Channel,
        now: Timestamp,
    ) -> Result<Pass<'_>, Timestamp> {
        let authority = self.authority(channel);
        let mut circuits = self.circuits();
        let circuit = circuits.get_mut(&authority).map(|circuit| {
            circuit.forget_what_is_to_come(now);
            &*circuit
        });
        let standing = circuit.and_then(Circuit::standing).filter(|standing| {
            let refuses = matches!(standing.why, Why::Demanded | Why::Stopped(_));
            refuses && standing.until > now
        });
        let demanded = circuit.and_then(|circuit| circuit.demand(now));
        let demanded = demanded.map(|demand| demand.until);
        let demanded = demanded.max(self.asked_for(hash_of(channel), now));
        match demanded.max(standing.map(|standing| standing.until)) {
            Some(until) => Err(until),
            None => Ok(Pass {
                gate: self,
                authority,
                channel: hash_of(channel),
                probe: None,
            }),
        }
    }

    /// Holds a tap that found the lane full.
    pub(super) fn hold(&self, channel: &Channel, now: Timestamp) -> Hold {
        let mut circuits = self.circuits();
        let circuit = circuits.entry(self.authority(channel)).or_default();
        circuit.put_off(now)
    }

    /// Has the guard take an outcome in; says whether the lane is to stand still for it.
    pub(super) async fn guarded(&self, outcome: &mut Outcome, registered: Timestamp) -> bool {
        let guard = &self.guard;
        let begins = match guard.take(outcome, registered) {
            Guarded::No => return false,
            Guarded::Yes => return true,
            Guarded::Counts => false,
            Guarded::Ends => {
                self.hub.note_unguarded(&guard.service);
                false
            }
            Guarded::Begins => true,
        };
        if begins {
            guard::tell(&guard.service.app, guard.service.kind);
        }
        // Before the drop itself, so that no kill forgets it.
        let count = || guard.to_keep();
        if let Err(error) = self.hub.keep_drops(&guard.service, count).await {
            tracing::error!(%error, "what the guard of the channels counts is not kept through a restart");
        }
        begins
    }

    /// Whether nothing is known here that has to be remembered: no demand, and no fault; but that a host fails that never
    /// took a push is none.
    pub(super) fn is_forgettable(&self, has_taken: bool, now: Timestamp) -> bool {
        let is_asked = has_taken
            && self
                .asked()
                .values()
                .any(|asked| asked.holds(now).is_some());
        !is_asked
            && self.circuits().values().all(|circuit| {
                let why = circuit.standing().map(|standing| standing.why);
                let only_fails = !has_taken && matches!(why, None | Some(Why::Failing));
                circuit.demand(now).is_none() && (only_fails || circuit.is_blank(now))
            })
    }

    fn authority(&self, channel: &Channel) -> String {
        match &self.own {
            Some(own) => own.clone(),
            None => compose::authority(channel),
        }
    }

    /// Notes that the service wants to be left alone with a channel.
    fn ask_for(&self, channel: u64, until: Timestamp, now: Timestamp) {
        let mut asked = self.asked();
        if asked.len() >= MAX_ASKED {
            asked.retain(|_, asked| asked.holds(now).is_some());
        }
        // Beyond, each endpoint has its own wait all the same.
        if asked.len() < MAX_ASKED || asked.contains_key(&channel) {
            let before = asked.get(&channel).and_then(|asked| asked.holds(now));
            // A shorter wait never ends a longer one.
            let until = before.map_or(until, |before| before.max(until));
            asked.insert(channel, Asked { since: now, until });
        }
    }

    /// Until when the service wants to be left alone with a channel, if it does.
    fn asked_for(&self, channel: u64, now: Timestamp) -> Option<Timestamp> {
        self.asked().get(&channel)?.holds(now)
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<u64, Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn circuits(&self) -> MutexGuard<'_, HashMap<String, Circuit>> {
        self.circuits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lane of old settings that finishes has nothing to say about the new ones.
    fn is_present(&self) -> bool {
        let present = self.hub.app(&self.app.host);
        present.is_some_and(|present| Arc::ptr_eq(&present, &self.app))
    }

    fn name(&self, authority: &str) -> LaneName {
        LaneName {
            app: self.app.host.clone(),
            service: self.service,
            authority: authority.to_owned(),
        }
    }

    /// Tells the hub what the lane begins with.
    pub(super) fn begin(&self) {
        for (authority, circuit) in &*self.circuits() {
            let state = circuit.standing().map(state);
            self.hub.note_lane(self.name(authority), state);
        }
    }

    /// Tells the hub, and the log where it is news.
    fn tell(&self, authority: &str, before: Option<LaneFault>, now: Option<&Standing>) {
        if !self.is_present() {
            return;
        }
        let (app, service) = (&self.app.host, self.service.as_str());
        let name = self.name(authority);
        let state = now.map(state);
        let fault = state.as_ref().map(|state| state.fault);
        let until = state.as_ref().map(|state| state.until.to_string());
        let until = until.unwrap_or_default();
        let reason = now.map(|standing| standing.answer.code());
        let reason = reason.unwrap_or_default();
        self.hub.note_lane(name, state);
        match fault {
            _ if fault == before => {}
            None => tracing::info!(%app, service, "the push service takes pushes again"),
            Some(LaneFault::Stopped) => tracing::error!(
                %app, service, reason, until,
                "the push service refuses our settings; its pushes wait. Run `beckon check`, mend them, send SIGHUP"
            ),
            Some(LaneFault::Guarded) => tracing::error!(
                %app, service, reason, until,
                "the push service calls one channel after another dead; its pushes wait, and no more channels are dropped"
            ),
            Some(LaneFault::Failing) => tracing::warn!(
                %app, service, reason, until,
                "the push service fails; its pushes wait, and one at a time asks whether it is back"
            ),
            Some(LaneFault::Throttled) => {
                tracing::warn!(%app, service, reason, until, "the push service wants to be left alone");
            }
        }
    }
}

impl Pass<'_> {
    /// Has the circuit learn from what became of the push; under guard, that the lane is to stand still. What the service
    /// demands of everyone is kept through a restart.
    pub(super) async fn learn(&self, outcome: &Outcome, guarded: bool) {
        let Some(demand) = self.take_in(outcome, guarded) else {
            return;
        };
        let gate = self.gate;
        let kept = gate.hub.keep_demand(gate.name(&self.authority), demand);
        if let Err(error) = kept.await {
            tracing::error!(%error, "what a push service demanded is not kept through a restart");
        }
    }

    /// The same; gives a demand that is to be kept.
    fn take_in(&self, outcome: &Outcome, guarded: bool) -> Option<Demand> {
        let gate = self.gate;
        let now = gate.hub.now();
        if let Verdict::Retry {
            after: Some(after), ..
        } = outcome.verdict
        {
            gate.ask_for(self.channel, now.plus(after), now);
        }
        let first = retry::first_pause(gate.service, gate.hub.delivery());
        let mut circuits = gate.circuits();
        let circuit = circuits.entry(self.authority.clone()).or_default();
        let before = circuit.standing().map(|standing| fault(standing.why));
        let was_probe = self.probe == Some(true);
        if guarded {
            circuit.guard(outcome, now);
        } else {
            let chance = (first, chance::throw());
            circuit.learn((outcome, self.channel), was_probe, chance, now);
        }
        let standing = circuit.standing().cloned();
        if before.is_some() || standing.is_some() {
            gate.tell(&self.authority, before, standing.as_ref());
        }
        circuit.unkept(now).filter(|_| gate.is_present())
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if let Some(was_probe) = self.probe
            && let Some(circuit) = self.gate.circuits().get_mut(&self.authority)
        {
            circuit.leave(was_probe);
        }
    }
}

fn hash_of(channel: &Channel) -> u64 {
    let mut hasher = DefaultHasher::new();
    channel.identity().hash(&mut hasher);
    hasher.finish()
}

fn fault(why: Why) -> LaneFault {
    match why {
        Why::Stopped(_) => LaneFault::Stopped,
        Why::Guarded(_) => LaneFault::Guarded,
        Why::Failing => LaneFault::Failing,
        Why::Demanded => LaneFault::Throttled,
    }
}

fn state(standing: &Standing) -> LaneState {
    LaneState {
        fault: fault(standing.why),
        since: standing.since,
        until: standing.until,
        answer: standing.answer.clone(),
        answered: standing.answered,
    }
}
