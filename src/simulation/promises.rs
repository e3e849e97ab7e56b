//! What may be said of the pushes that a service took and whose answer the hub heard: none is shown twice, and no more
//! silent ones leave than the platform grants. An hour of that is one by the hub's clock, which may leap; what came
//! before what is told by the true time.

use std::{collections::BTreeMap, time::Duration};

use super::time::Moment;
use crate::{doubles::Service, egress::in_process::Sent, model::Timestamp};

const HOUR: Duration = Duration::from_hours(1);
/// How long it takes until what became of a push is on disk.
const KEPT: Duration = Duration::from_secs(1);
/// For how long after a registration a service's word of when its channel died is compared with it.
const COMPARED: Duration = Duration::from_mins(5);

/// The account.
#[derive(Default)]
pub(super) struct Promises {
    /// How often each notification was posted, replacements counted.
    postings: BTreeMap<String, usize>,
    /// When the process was killed: what was taken just before may be sent again.
    kills: Vec<Timestamp>,
    /// When a service was heard to call a channel dead.
    dead: BTreeMap<String, Timestamp>,
    /// When an endpoint was shown a notification, by kind, since it registered last.
    shown: BTreeMap<(String, String, &'static str), Vec<Timestamp>>,
    /// When an endpoint registered last.
    registered: BTreeMap<String, Timestamp>,
    /// Until when what a service says of an endpoint's death may be compared with a registration by a clock that is
    /// ahead.
    compared: BTreeMap<String, Timestamp>,
    /// When an endpoint got silent pushes from Apple, since it registered last.
    silent: BTreeMap<String, Vec<Moment>>,
}

impl Promises {
    pub(super) fn posted(&mut self, id: &str) {
        *self.postings.entry(id.to_owned()).or_default() += 1;
    }

    pub(super) fn killed(&mut self, now: Timestamp) {
        self.kills.push(now);
    }

    /// An endpoint begins anew.
    pub(super) fn registered(&mut self, endpoint: &str, now: Moment) {
        self.registered.insert(endpoint.to_owned(), now.truth);
        self.compared.remove(endpoint);
        if now.hub > now.truth {
            let until = now.truth.plus(2 * COMPARED);
            self.compared.insert(endpoint.to_owned(), until);
        }
        self.shown.retain(|(whose, ..), _| whose != endpoint);
        self.silent.remove(endpoint);
    }

    /// The hub heard that a channel is dead.
    pub(super) fn died(&mut self, channel: &str, now: Timestamp) {
        self.dead.entry(channel.to_owned()).or_insert(now);
    }

    /// The hub's clock says this now: what left in a time that, since a leap was undone, has not come may be forgotten.
    pub(super) fn time_is(&mut self, hub: Timestamp) {
        for pushes in self.silent.values_mut() {
            pushes.retain(|at| at.hub <= hub);
        }
    }

    /// A push leaves for an endpoint's channel; says what is wrong with that: a channel that is known to be dead is not
    /// asked again, unless the endpoint registered since, or the process was killed before that was written down.
    pub(super) fn leaves(
        &mut self,
        (endpoint, channel): (&str, &str),
        now: Timestamp,
    ) -> Option<String> {
        let died = *self.dead.get(channel)?;
        let since = |at: &Timestamp| *at >= died;
        let forgotten = self
            .kills
            .iter()
            .any(|at| since(at) && at.since(died) < KEPT);
        if forgotten || self.registered.get(endpoint).is_some_and(since) {
            self.dead.remove(channel);
            return None;
        }
        let compared = self.compared.get(endpoint).is_some_and(|it| now < *it);
        (!compared && now > died.plus(KEPT)).then(|| {
            format!("{endpoint} was pushed to at {now}, though its channel died at {died}")
        })
    }

    /// Takes in a push that left at `left` and was taken; says what is wrong with it. `granted` is how many silent ones
    /// an hour has.
    pub(super) fn taken(
        &mut self,
        (service, endpoint): (Service, &str),
        (sent, left): (&Sent, Timestamp),
        (now, granted): (Moment, usize),
    ) -> Option<String> {
        // What was on its way to the channel before says nothing of this one.
        if self.registered.get(endpoint).is_some_and(|at| left < *at) {
            return None;
        }
        let body = String::from_utf8_lossy(&sent.body);
        let push_type = sent.headers.get("apns-push-type");
        if service == Service::Apns && push_type.is_some_and(|it| it == "background") {
            return self.silent(endpoint, body.contains("changed"), (now, granted));
        }
        let kind = ["fallback", "created"]
            .into_iter()
            .find(|kind| body.contains(kind))?;
        let shows = |id: &&String| body.contains(id.as_str());
        let id = self.postings.keys().find(shows)?.clone();
        let key = (endpoint.to_owned(), id, kind);
        let before = self.shown.entry(key.clone()).or_default();
        before.push(now.truth);
        let kills = self.kills.iter().filter(|at| **at >= before[0]).count();
        let may = self.postings[&key.1] + kills;
        let times = before.len();
        (times > may)
            .then(|| format!("{key:?} was shown at {before:?}, which is more than {may} times"))
    }

    /// A change of state leaves only where the budget of the last hour has room.
    fn silent(
        &mut self,
        endpoint: &str,
        is_change: bool,
        (now, granted): (Moment, usize),
    ) -> Option<String> {
        let recent = self.silent.entry(endpoint.to_owned()).or_default();
        recent.retain(|at| at.hub.plus(HOUR) > now.hub);
        let since = recent.first().map_or(now.truth, |first| first.truth);
        let kills = self.kills.iter().filter(|at| **at >= since).count();
        let over = is_change && recent.len() >= granted + kills;
        recent.push(now);
        over.then(|| format!("{endpoint} got more silent pushes than {granted} in an hour"))
    }
}
