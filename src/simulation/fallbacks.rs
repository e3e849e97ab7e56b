//! Who is owed a fallback, and for what there is none any more: reckoned from what was posted, fetched and handled, apart
//! from the hub's own timers.

use std::{collections::BTreeMap, time::Duration};

use super::{
    device::Device,
    doubt::Touches,
    world::{World, subject},
};
use crate::{
    hub::Hub,
    model::{Draft, NotificationId, Timestamp},
};

/// Of more than these waiting to be shown, only the newest are (taps.md, 1).
const SHOWN: usize = 10;
/// How long a fallback that is due may take, with its service well: it waits for its turn in a lane that was slow, and for
/// those before it.
pub(super) const ON_TIME: Duration = Duration::from_mins(10);

/// A fallback that an endpoint is owed if nothing comes in between.
#[derive(Debug, Clone)]
pub(super) struct Owed {
    pub(super) endpoint: String,
    pub(super) id: NotificationId,
    pub(super) due: Timestamp,
}

/// The account.
#[derive(Default)]
pub(super) struct Fallbacks {
    owed: Vec<Owed>,
    /// How much was posted to each endpoint since it pulled.
    waiting: BTreeMap<String, usize>,
    /// What nobody needs to be reminded of any more, since when the hub has known.
    handled: BTreeMap<String, Timestamp>,
}

impl Fallbacks {
    /// Something is posted to an endpoint. Where it is more than are shown, some are passed over.
    pub(super) fn posted_to(&mut self, endpoint: &str) {
        let waiting = self.waiting.entry(endpoint.to_owned()).or_default();
        *waiting += 1;
        if *waiting > SHOWN {
            self.owed.retain(|it| it.endpoint != endpoint);
        }
    }

    pub(super) fn owe(&mut self, owed: Owed) {
        let waiting = self.waiting.get(&owed.endpoint).copied();
        if waiting.unwrap_or_default() <= SHOWN {
            self.owed.push(owed);
        }
    }

    /// An endpoint is about to pull, to read or to tell what it holds, or begins anew: nobody knows from now on what it is
    /// owed.
    pub(super) fn excuse(&mut self, endpoint: &str) {
        self.owed.retain(|it| it.endpoint != endpoint);
    }

    /// An endpoint pulls; whether it has been `answered` yet or not.
    pub(super) fn pulled(&mut self, endpoint: &str, answered: bool) {
        self.excuse(endpoint);
        if answered {
            self.waiting.remove(endpoint);
        }
    }

    /// A notification is about to change, or to be replaced: nobody knows from now on whether it is to fall back.
    pub(super) fn is_open_to_doubt(&mut self, id: &str) {
        self.owed.retain(|it| it.id.to_string() != id);
        self.handled.remove(id);
    }

    /// A notification stands like this, as the hub knows.
    pub(super) fn stands(&mut self, id: &str, handled: bool, now: Timestamp) {
        if handled {
            self.handled.entry(id.to_owned()).or_insert(now);
        } else {
            self.handled.remove(id);
        }
    }

    /// The hub's clock leaps, or all begin anew: what is due when nobody knows.
    pub(super) fn excuse_all(&mut self) {
        self.owed.clear();
    }

    /// A fallback leaves for an endpoint, which was composed then; says what is wrong with that.
    pub(super) fn leaves(
        &mut self,
        endpoint: &str,
        id: &str,
        composed: Timestamp,
    ) -> Option<String> {
        let is_it = |it: &Owed| it.endpoint == endpoint && it.id.to_string() == id;
        self.owed.retain(|it| !is_it(it));
        let handled = self.handled.get(id).filter(|at| **at < composed)?;
        Some(format!(
            "{endpoint} was sent a fallback of {id} at {composed}, though that was handled at {handled}"
        ))
    }

    /// Of one that is owed it became known that it is not.
    pub(super) fn settle(&mut self, settled: &Owed) {
        let is_it = |it: &Owed| it.endpoint == settled.endpoint && it.id == settled.id;
        self.owed.retain(|it| !is_it(it));
    }

    /// What is owed since so long that it should have left.
    pub(super) fn overdue(&self, now: Timestamp) -> Vec<Owed> {
        let is_over = |it: &&Owed| it.due.plus(ON_TIME) < now;
        self.owed.iter().filter(is_over).cloned().collect()
    }
}

impl World {
    fn fallbacks(&self, note: impl FnOnce(&mut Fallbacks)) {
        self.network
            .promises(|promises| note(&mut promises.fallbacks));
    }

    fn devices_of(&self, user: &str) -> impl Iterator<Item = &Device> {
        let whose = subject(user);
        let all = self.devices.iter().map(AsRef::as_ref);
        all.filter(move |device| device.subject == whose)
    }

    /// Something is posted to a person, or may be.
    pub(super) fn is_posted_to(&self, user: &str) {
        for device in self.devices_of(user) {
            self.fallbacks(|all| all.posted_to(device.name()));
        }
    }

    /// What was posted falls back, counted from `posted`, at each device that the hub knows, unless something comes in
    /// between.
    pub(super) fn owes(
        &self,
        user: &str,
        (id, draft): (NotificationId, &Draft),
        posted: Timestamp,
    ) {
        let Some(fallback) = &draft.fallback else {
            return;
        };
        let due = posted.plus(fallback.delay);
        for device in self.devices_of(user).filter(|device| device.has_told()) {
            let endpoint = device.name().to_owned();
            self.fallbacks(|all| all.owe(Owed { endpoint, id, due }));
        }
    }

    /// These are about to be touched.
    pub(super) fn touches(&self, touches: &Touches) {
        for id in touches.each.keys() {
            self.fallbacks(|all| all.is_open_to_doubt(&id.to_string()));
        }
    }

    /// What is kept stands as it is acknowledged; what was taken back is handled, too.
    pub(super) fn has_touched(&self, user: &str, touches: &Touches) {
        let now = self.moment().truth;
        let taken = touches
            .each
            .keys()
            .filter(|id| !self.kept[user].contains_key(id));
        let taken = taken.map(|id| (id, true));
        let kept = self.kept[user].iter().map(|(id, it)| (id, it.handled));
        for (id, handled) in taken.chain(kept) {
            self.fallbacks(|all| all.stands(&id.to_string(), handled, now));
        }
    }

    /// Who was owed a fallback has got one.
    pub(super) async fn check_fallbacks(&self, hub: &Hub) {
        let now = self.moment();
        let mut overdue = Vec::new();
        self.fallbacks(|all| overdue = all.overdue(now.truth));
        for owed in overdue {
            let device = self.devices.iter().find(|it| it.name() == owed.endpoint);
            let device = device.expect("one of ours");
            let it = self.kept[Self::user_of(device)].get(&owed.id);
            let is_open = it.is_some_and(|it| !it.handled && it.expires > now.hub);
            let endpoints = hub.endpoints(device.subject.clone()).await.unwrap();
            let is_there =
                |it: &&crate::model::Endpoint| it.id == device.endpoint && it.gone.is_none();
            let is_there = device.has_told() && endpoints.iter().any(|it| is_there(&it));
            if !is_open || !is_there {
                self.fallbacks(|all| all.settle(&owed));
                continue;
            }
            let well = self
                .network
                .answers(|answers| answers.is_well_since(device.service));
            let since = well.map(|well| well.max(self.started));
            // A push that was lost on its way is tried again after a pause of the hub's own, which nobody else sees.
            let reader = hub.store().reader();
            let state = reader.tap_state(&device.subject, &device.endpoint).unwrap();
            let pauses = state.attempts > 0 && state.not_before > now.hub;
            if !pauses && since.is_some_and(|since| since.plus(ON_TIME) < now.truth) {
                device.explain(hub).await;
                panic!("no fallback left until {now:?}: {owed:?}");
            }
        }
    }
}
