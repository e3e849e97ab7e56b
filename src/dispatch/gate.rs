//! The gate of a lane: lets taps through as the circuits of the services behind it allow, and guards the channels
//! against wrong settings. A lane of its own has one circuit; the shared lane has one for each host.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use super::{
    chance,
    circuit::{Admission, Circuit, Hold, Standing, Why},
    compose,
};
use crate::{
    config::apps::App,
    hub::{Hub, LaneFault, LaneName, LaneState},
    model::{Channel, ChannelKind, Timestamp},
    push::outcome::{Outcome, Verdict},
};

/// How many channels a lane drops in a row without one success.
const DROPS: u32 = 20;
/// How many pushes of the shared lane are under way to one host, so that a slow one leaves room for the others.
const MAX_SHARED: usize = 4;
/// How many hosts of the shared lane are remembered while nothing is known to be wrong with them.
const MAX_BLANK: usize = 256;

/// The gate of one lane.
#[derive(Debug)]
pub(super) struct Gate {
    hub: Hub,
    app: Arc<App>,
    service: ChannelKind,
    /// The lane's own authority; none for the shared lane.
    own: Option<String>,
    circuits: Mutex<HashMap<String, Circuit>>,
    /// How many channels were dropped since the last success.
    drops: AtomicU32,
}

/// The right to send one push. Ends when it is dropped.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    gate: &'a Gate,
    authority: String,
    /// How it was let through; none for a test, which asks nobody.
    probe: Option<bool>,
}

impl Gate {
    pub(super) fn new(hub: Hub, app: Arc<App>, service: ChannelKind, own: Option<String>) -> Self {
        Self {
            hub,
            app,
            service,
            own,
            circuits: Mutex::default(),
            drops: AtomicU32::new(0),
        }
    }

    /// Asks for a tap to leave.
    ///
    /// # Errors
    /// Until when it is held.
    pub(super) fn admit(&self, channel: &Channel, now: Timestamp) -> Result<Pass<'_>, Hold> {
        let authority = self.authority(channel);
        let mut circuits = self.circuits();
        if circuits.len() > MAX_BLANK && !circuits.contains_key(&authority) {
            circuits.retain(|_, circuit| !circuit.is_blank(now));
        }
        let circuit = circuits.entry(authority.clone()).or_default();
        if self.own.is_none() && circuit.under_way >= MAX_SHARED {
            return Err(circuit.hold(now.plus(super::PAUSE)));
        }
        let probe = match circuit.admit(now) {
            Admission::Go => false,
            Admission::Probe => true,
            Admission::Hold(hold) => return Err(hold),
        };
        Ok(Pass {
            gate: self,
            authority,
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
        let circuits = self.circuits();
        let standing = circuits.get(&authority).and_then(Circuit::standing);
        match standing {
            Some(standing) if standing.why != Why::Failing && standing.until > now => {
                Err(standing.until)
            }
            _ => Ok(Pass {
                gate: self,
                authority,
                probe: None,
            }),
        }
    }

    /// Holds a tap that found the lane full.
    pub(super) fn hold(&self, channel: &Channel, now: Timestamp) -> Hold {
        let mut circuits = self.circuits();
        let circuit = circuits.entry(self.authority(channel)).or_default();
        let until = circuit
            .standing()
            .map_or(now, |standing| standing.until)
            .max(now.plus(super::PAUSE));
        circuit.hold(until)
    }

    /// Dead channels in a row without one success are rather a wrong setting than so many dead devices: after
    /// [`DROPS`] of them nothing is dropped, and the lane stands still for the operator. One that was `registered` since it
    /// died is not dropped. Gives the outcome, and what the lane is to learn from it.
    pub(super) fn guarded(
        &self,
        mut outcome: Outcome,
        registered: Timestamp,
    ) -> (Outcome, Outcome) {
        let mut lesson = outcome.clone();
        match outcome.verdict {
            Verdict::Accepted => self.drops.store(0, Ordering::Relaxed),
            verdict if verdict.drops(registered) => {
                let before = self.drops.fetch_add(1, Ordering::Relaxed);
                if before + 1 < DROPS {
                    return (outcome, lesson);
                }
                lesson.verdict = Verdict::Misconfigured;
                if before >= DROPS {
                    outcome.verdict = Verdict::Misconfigured;
                }
                tracing::error!(
                    app = %self.app.host,
                    service = self.service.as_str(),
                    "{DROPS} channels in a row were called dead without one success; no more are dropped. Check the credentials and topics, send SIGHUP, and bring back what was dropped with `beckon endpoint revive`"
                );
            }
            _ => {}
        }
        (outcome, lesson)
    }

    fn authority(&self, channel: &Channel) -> String {
        match &self.own {
            Some(own) => own.clone(),
            None => compose::authority(channel),
        }
    }

    fn circuits(&self) -> MutexGuard<'_, HashMap<String, Circuit>> {
        self.circuits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the hub, and the log where it is news.
    fn tell(&self, authority: &str, before: Option<LaneFault>, now: Option<&Standing>) {
        // A lane of old settings that finishes has nothing to say about the new ones.
        let present = self.hub.app(&self.app.host);
        if !present.is_some_and(|present| Arc::ptr_eq(&present, &self.app)) {
            return;
        }
        let (app, service) = (&self.app.host, self.service.as_str());
        let name = LaneName {
            app: app.clone(),
            service: self.service,
            authority: authority.to_owned(),
        };
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
    /// Has the circuit learn from what became of the push.
    pub(super) fn learn(&self, outcome: &Outcome) {
        let gate = self.gate;
        let now = gate.hub.now();
        let first = gate.hub.delivery().retry_base;
        let mut circuits = gate.circuits();
        let circuit = circuits.entry(self.authority.clone()).or_default();
        let before = circuit.standing().map(|standing| fault(standing.why));
        let was_probe = self.probe == Some(true);
        circuit.learn(outcome, was_probe, (first, chance::throw()), now);
        let standing = circuit.standing().cloned();
        if before.is_some() || standing.is_some() {
            gate.tell(&self.authority, before, standing.as_ref());
        }
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

fn fault(why: Why) -> LaneFault {
    match why {
        Why::Stopped(_) => LaneFault::Stopped,
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
    }
}
