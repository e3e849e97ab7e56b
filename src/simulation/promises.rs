//! What may be said of the pushes that a service took and whose answer the hub heard: none is shown twice, and no more
//! silent ones leave than the platform grants.

use std::{collections::BTreeMap, time::Duration};

use crate::{doubles::Service, egress::in_process::Sent, model::Timestamp};

const HOUR: Duration = Duration::from_hours(1);

/// The account.
#[derive(Default)]
pub(super) struct Promises {
    /// How often each notification was posted, replacements counted.
    postings: BTreeMap<String, usize>,
    /// When the process was killed: what was taken just before may be sent again.
    kills: Vec<Timestamp>,
    /// When an endpoint was shown a notification, by kind, since it registered last.
    shown: BTreeMap<(String, String, &'static str), Vec<Timestamp>>,
    /// When an endpoint registered last.
    registered: BTreeMap<String, Timestamp>,
    /// When an endpoint got silent pushes from Apple, since it registered last.
    silent: BTreeMap<String, Vec<Timestamp>>,
}

impl Promises {
    pub(super) fn posted(&mut self, id: &str) {
        *self.postings.entry(id.to_owned()).or_default() += 1;
    }

    pub(super) fn killed(&mut self, now: Timestamp) {
        self.kills.push(now);
    }

    /// An endpoint begins anew.
    pub(super) fn registered(&mut self, endpoint: &str, now: Timestamp) {
        self.registered.insert(endpoint.to_owned(), now);
        self.shown.retain(|(whose, ..), _| whose != endpoint);
        self.silent.remove(endpoint);
    }

    /// Takes in a push that left at `left` and was taken; says what is wrong with it. `granted` is how many silent ones
    /// an hour has.
    pub(super) fn taken(
        &mut self,
        (service, endpoint): (Service, &str),
        (sent, left): (&Sent, Timestamp),
        (now, granted): (Timestamp, usize),
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
        before.push(now);
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
        (now, granted): (Timestamp, usize),
    ) -> Option<String> {
        let recent = self.silent.entry(endpoint.to_owned()).or_default();
        recent.retain(|at| at.plus(HOUR) > now);
        let since = now.minus(HOUR);
        let kills = self.kills.iter().filter(|at| **at >= since).count();
        let over = is_change && recent.len() >= granted + kills;
        recent.push(now);
        over.then(|| format!("{endpoint} got more silent pushes than {granted} in an hour"))
    }
}
