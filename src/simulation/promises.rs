//! What may be said of the pushes that a service took and whose answer the hub heard: none is shown twice, no fallback
//! goes to a device that has fetched, and no more silent ones leave than the platform grants. An hour of that is one by
//! the hub's clock, which may leap; what came before what is told by the true time.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{carried::Carried, fallbacks::Fallbacks, time::Moment};
use crate::{
    doubles::Service,
    model::{FeedPosition, Timestamp},
};

const HOUR: Duration = Duration::from_hours(1);
/// How long it takes until what became of a push is on disk.
pub(super) const KEPT: Duration = Duration::from_secs(1);
/// After how long a tap may be repeated that was not answered (`delivery.retap_after`, as it is if nobody says otherwise).
const RETAP: Duration = Duration::from_mins(15);

/// What Apple grants an endpoint in an hour (`delivery.silent_per_hour`, as it is if nobody says otherwise).
const SILENT_PER_HOUR: usize = 3;

/// The account.
#[derive(Default)]
pub(super) struct Promises {
    /// How often each notification was posted, replacements counted.
    postings: BTreeMap<String, usize>,
    /// The number of each notification's last posting, where that is known.
    numbers: BTreeMap<String, FeedPosition>,
    /// When the process was killed: what was taken just before may be sent again.
    kills: Vec<Timestamp>,
    /// When the hub's clock leapt.
    moved: Vec<Timestamp>,
    /// When a service was heard to call a channel dead.
    dead: BTreeMap<String, Timestamp>,
    /// When channels that had been called dead were tried again last.
    revived: Timestamp,
    /// When an endpoint was shown a notification, by kind, since it registered last.
    shown: BTreeMap<(String, String, String), Vec<Moment>>,
    /// When an endpoint registered last.
    registered: BTreeMap<String, Timestamp>,
    /// Endpoints that were registered by a clock that was ahead: what a service says of when their channels died lies before.
    compared: BTreeSet<String>,
    /// When an endpoint got silent pushes from Apple, since it registered last.
    silent: BTreeMap<String, Vec<Moment>>,
    /// How far an endpoint had pulled, and since when the hub knows; none, while that is not known.
    pulled: BTreeMap<String, Vec<(Timestamp, Option<FeedPosition>)>>,
    /// When an endpoint last got an answer to a pull; what it says to hold is none.
    answered: BTreeMap<String, Timestamp>,
    /// When the hub had answered an endpoint that read one posting singly.
    read: BTreeMap<(String, FeedPosition), Timestamp>,
    /// Fallbacks that a service took and whose answer is on its way back.
    on_their_way: BTreeMap<String, (Carried, Moment)>,
    /// When the hub heard that a fallback was taken, of what has not been posted anew since, by endpoint and notification.
    fell_back: BTreeMap<(String, String), Timestamp>,
    pub(super) fallbacks: Fallbacks,
}

impl Promises {
    pub(super) fn posted(&mut self, id: &str) {
        *self.postings.entry(id.to_owned()).or_default() += 1;
        self.may_be_posted(id);
    }

    /// What was posted has another id than was thought.
    pub(super) fn not_posted(&mut self, id: &str) {
        self.postings
            .entry(id.to_owned())
            .and_modify(|times| *times -= 1);
    }

    /// Something is posted under a name that may be this one's.
    pub(super) fn may_be_posted(&mut self, id: &str) {
        self.numbers.remove(id);
        self.fell_back.retain(|(_, whose), _| whose != id);
        self.fallbacks.is_open_to_doubt(id);
    }

    /// The number that the last posting of a notification has.
    pub(super) fn is_numbered(&mut self, id: &str, number: FeedPosition) {
        self.numbers.insert(id.to_owned(), number);
    }

    /// The process is killed: what a service took counts, though nobody heard so. Says what is wrong with that.
    pub(super) fn killed(&mut self, now: Timestamp) -> Vec<String> {
        let taken = std::mem::take(&mut self.on_their_way).into_iter();
        let faults =
            taken.filter_map(|(endpoint, (carried, at))| self.count(&endpoint, &carried, at));
        let faults = faults.collect();
        self.fell_back.retain(|_, at| at.plus(KEPT) < now);
        self.kills.push(now);
        faults
    }

    /// An endpoint begins anew.
    pub(super) fn registered(&mut self, endpoint: &str, now: Moment) {
        self.registered.insert(endpoint.to_owned(), now.truth);
        self.compared.remove(endpoint);
        if now.hub > now.truth {
            self.compared.insert(endpoint.to_owned());
        }
        self.shown.retain(|(whose, ..), _| whose != endpoint);
        self.fell_back.retain(|(whose, _), _| whose != endpoint);
        self.silent.remove(endpoint);
        self.on_their_way.remove(endpoint);
        self.fallbacks.excuse(endpoint);
    }

    /// The hub is asked to forget what an endpoint has fetched.
    pub(super) fn forgets(&mut self, endpoint: &str) {
        self.pulled.remove(endpoint);
        self.fallbacks.excuse(endpoint);
        self.read.retain(|(whose, _), _| whose != endpoint);
    }

    /// How far an endpoint has pulled, as the hub knows from `now` on; none, as long as it has not answered.
    pub(super) fn pulled(&mut self, endpoint: &str, to: Option<FeedPosition>, now: Timestamp) {
        self.fallbacks.pulled(endpoint, to.is_some());
        self.pulled
            .entry(endpoint.to_owned())
            .or_default()
            .push((now, to));
    }

    /// An endpoint got an answer to a pull.
    pub(super) fn was_answered(&mut self, endpoint: &str, now: Timestamp) {
        self.answered.insert(endpoint.to_owned(), now);
    }

    /// When an endpoint pulled last.
    pub(super) fn last_pull(&self, endpoint: &str) -> Timestamp {
        self.answered.get(endpoint).copied().unwrap_or_default()
    }

    /// An endpoint says that it holds everything up to a position.
    pub(super) fn holds(&mut self, endpoint: &str, up_to: FeedPosition, now: Timestamp) {
        let known = self.pulled.get(endpoint).and_then(|all| all.last()?.1);
        if let Some(known) = known {
            self.pulled(endpoint, Some(known.max(up_to)), now);
        }
    }

    /// An endpoint has read one notification, and the hub knows.
    pub(super) fn read(&mut self, endpoint: &str, number: FeedPosition, now: Timestamp) {
        self.read
            .entry((endpoint.to_owned(), number))
            .or_insert(now);
    }

    /// An endpoint has shown one notification, and so has it; the hub knows.
    pub(super) fn has_shown(&mut self, endpoint: &str, id: &str, now: Timestamp) {
        if let Some(number) = self.numbers.get(id).copied() {
            self.read(endpoint, number, now);
        }
    }

    /// The hub heard that a channel is dead, of a push that had `left` before. Who had the channels tried again since
    /// then wants to hear it once more.
    pub(super) fn died(&mut self, channel: &str, (left, now): (Timestamp, Timestamp)) {
        if self.revived < left {
            self.dead.entry(channel.to_owned()).or_insert(now);
        }
    }

    /// Somebody has the channels tried again that were called dead.
    pub(super) fn revived(&mut self, now: Timestamp) {
        self.dead.clear();
        self.revived = now;
        self.fallbacks.excuse_all();
    }

    /// The hub's clock leaps.
    pub(super) fn clock_moved(&mut self, now: Timestamp) {
        self.moved.push(now);
        self.fallbacks.excuse_all();
    }

    /// The hub's clock says this now: what left in a time that, since a leap was undone, has not come may be forgotten,
    /// and with it what had made room for that.
    pub(super) fn time_is(&mut self, hub: Timestamp) {
        for pushes in self.silent.values_mut() {
            if pushes.iter().any(|at| at.hub > hub) {
                let over = pushes.len().saturating_sub(SILENT_PER_HOUR);
                pushes.drain(..over);
                pushes.retain(|at| at.hub <= hub);
            }
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
        let compared = self.compared.contains(endpoint);
        (!compared && now > died.plus(KEPT)).then(|| {
            format!("{endpoint} was pushed to at {now}, though its channel died at {died}")
        })
    }

    /// What is wrong with a push that was composed at `composed` and shows something: the device has it already.
    pub(super) fn is_held(
        &self,
        endpoint: &str,
        carried: &Carried,
        composed: Timestamp,
    ) -> Option<String> {
        let id = carried.shows()?;
        let number = *self.numbers.get(id)?;
        let all = self.pulled.get(endpoint).into_iter().flatten();
        let (since, up_to) = all.rev().find(|(at, _)| *at < composed).copied().unzip();
        let passed = up_to.flatten().filter(|up_to| *up_to >= number).and(since);
        let read = self.read.get(&(endpoint.to_owned(), number)).copied();
        let read = read.filter(|at| carried.is_fallback() && *at < composed);
        let fetched = passed.or(read)?;
        let kind = &carried.kind;
        Some(format!(
            "{endpoint} was sent {kind} about {id} at {composed}, though it fetched that at {fetched}"
        ))
    }

    /// What is wrong with a fallback that was composed at `composed`: nobody needs it any more.
    pub(super) fn is_handled(
        &mut self,
        endpoint: &str,
        carried: &Carried,
        composed: Timestamp,
    ) -> Option<String> {
        let id = carried.shows().filter(|_| carried.is_fallback())?;
        self.fallbacks.leaves(endpoint, id, composed)
    }

    /// How often a notification may have been shown since then where nothing takes the place of its like.
    pub(super) fn shown_at_most(&self, id: &str, since: Timestamp) -> usize {
        let kills = self.kills.iter().filter(|at| **at >= since);
        self.postings.get(id).copied().unwrap_or(1) + kills.count()
    }

    /// A service took a push; the hub has not heard so yet.
    pub(super) fn is_on_its_way(&mut self, endpoint: &str, carried: &Carried, now: Moment) {
        if carried.is_fallback() {
            let push = (carried.clone(), now);
            self.on_their_way.insert(endpoint.to_owned(), push);
        }
    }

    /// What was on its way back came, or never will.
    pub(super) fn came_back(&mut self, endpoint: &str) {
        self.on_their_way.remove(endpoint);
    }

    /// Takes in a push that left at `left` and was taken; says what is wrong with it.
    pub(super) fn taken(
        &mut self,
        (service, endpoint): (Service, &str),
        (carried, is_background, left): (&Carried, bool, Timestamp),
        now: Moment,
    ) -> Option<String> {
        // What was on its way to the channel before says nothing of this one.
        if self.registered.get(endpoint).is_some_and(|at| left < *at) {
            return None;
        }
        if service == Service::Apns && is_background {
            // What left before a leap, or in one, was within the budget of that hour.
            let leapt = self.moved.iter().any(|at| *at >= left);
            let is_bound = carried.kind == "changed" && !leapt;
            return self.silent(endpoint, is_bound, now);
        }
        // What is posted anew meanwhile the fallback on its way was not about.
        let once = |id: &&str| self.postings.get(*id).copied().unwrap_or(1) == 1;
        let fallback = carried.shows().filter(|_| carried.is_fallback());
        if let Some(id) = fallback.filter(once) {
            let key = (endpoint.to_owned(), id.to_owned());
            self.fell_back.insert(key, now.truth);
        }
        self.count(endpoint, carried, now)
    }

    /// Whether the hub knows for long enough that a notification fell back at an endpoint.
    pub(super) fn fell_back(&self, endpoint: &str, id: &str, now: Timestamp) -> bool {
        let key = (endpoint.to_owned(), id.to_owned());
        let heard = self.fell_back.get(&key);
        heard.is_some_and(|at| at.plus(KEPT) < now)
    }

    /// One notification is shown once a posting. A browser is told of what it does not show by the same kind of push,
    /// which is repeated like all that are silent.
    fn count(&mut self, endpoint: &str, carried: &Carried, now: Moment) -> Option<String> {
        let id = carried.shows()?;
        let key = (endpoint.to_owned(), id.to_owned(), carried.kind.clone());
        let before = self.shown.entry(key.clone()).or_default();
        // An unanswered silent tap is repeated by the hub's clock, which may have leapt.
        let leapt = |then: &Moment| self.moved.iter().any(|at| *at >= then.truth);
        let may_repeat = |then: &Moment| leapt(then) || now.hub >= then.hub.plus(RETAP);
        let is_repeat = before.last().is_some_and(may_repeat);
        if is_repeat && !carried.is_fallback() && endpoint.ends_with("WebPush") {
            before.clear();
        }
        before.push(now);
        // What became of one that a kill met on its way nobody knows: it leaves again, to stand in its place.
        let kills = self.kills.iter().filter(|at| **at >= before[0].truth);
        // What is not known yet is under way to be.
        let may = self.postings.get(id).copied().unwrap_or(1) + kills.count();
        (before.len() > may)
            .then(|| format!("{key:?} was shown at {before:?}, which is more than {may} times"))
    }

    /// A change of state leaves only where the budget of the last hour has room.
    fn silent(&mut self, endpoint: &str, is_bound: bool, now: Moment) -> Option<String> {
        let recent = self.silent.entry(endpoint.to_owned()).or_default();
        recent.retain(|at| at.hub.plus(HOUR) > now.hub);
        let since = recent.first().map_or(now.truth, |first| first.truth);
        let kills = self.kills.iter().filter(|at| **at >= since).count();
        let over = is_bound && recent.len() >= SILENT_PER_HOUR + kills;
        recent.push(now);
        over.then(|| format!("{endpoint} got more silent pushes than {SILENT_PER_HOUR} in an hour"))
    }
}
