//! What the hub heard of the push services, endpoint by endpoint: what its deliveries may say of them, and which channels
//! it may have dropped.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    class::{Class, calls_dead},
    promises::KEPT,
    time::Moment,
};
use crate::{
    doubles::Service,
    egress::{Answer, Failure, MAX_REQUEST},
    model::{Delivery, DeliveryStatus, Reason, ServiceAnswer, Timestamp},
};

/// How long a push may be on its way out: it waits for a token and for a connection, perhaps once more.
pub(super) const ON_ITS_WAY: Duration = Duration::from_secs(4 * MAX_REQUEST.as_secs());
/// How long what a service answered holds all others, or its token endpoint a push, where it names no time
/// (`delivery.retry_max`, as it is if nobody says otherwise, and a probe).
const LANE_WAIT: Duration = Duration::from_mins(16);
/// The longest wait that a service may ask for.
const LONGEST: Duration = Duration::from_hours(24);
/// What is kept of an answer's words, in bytes.
const WORDS: usize = 4096;
/// What the hub says where a push was too late to leave at all.
const LATE: &str = "not sent: its time was over before it could leave";
/// What it says where the token endpoint did not speak OAuth.
const NO_OAUTH: &str = "an answer without a token or an OAuth error";

/// One answer, or the lack of one.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    /// When the request left, by the true time.
    pub(super) left: Timestamp,
    /// When this was heard.
    pub(super) at: Moment,
    /// The status; 0 where no answer came.
    pub(super) status: u16,
    /// All that it says, or why nothing came.
    words: String,
    /// How long it asks to be left alone.
    wait: Option<Duration>,
    /// Of the token endpoint.
    is_token: bool,
    /// Of a test, of which nothing is kept.
    is_test: bool,
    /// Whether the hub may have forgotten it: the endpoint registered since, or it was revived.
    is_old: bool,
    class: Class,
}

impl Heard {
    pub(super) fn of(
        service: Service,
        is_token: bool,
        answer: &Result<Answer, Failure>,
        (left, at): (Timestamp, Moment),
    ) -> Self {
        let (status, mut words, wait) = match answer {
            Ok(answer) => (answer.status, said(answer), wait(answer)),
            Err(failure) => (0, failure.to_string(), None),
        };
        words.truncate(words.floor_char_boundary(WORDS));
        let class = Class::of(service, is_token, answer, &words);
        Self {
            left,
            at,
            status,
            words,
            wait,
            is_token,
            is_test: false,
            is_old: false,
            class,
        }
    }

    pub(super) fn test(self, is_test: bool) -> Self {
        Self { is_test, ..self }
    }

    /// Whether it says for sure that the channel is dead: it must be dropped.
    pub(super) fn calls_dead(&self, service: Service) -> bool {
        calls_dead(service, self.status, &self.words)
    }

    /// Whether this is what a delivery tells.
    fn is(&self, answer: &ServiceAnswer) -> bool {
        if self.status != answer.status {
            return false;
        }
        let reason = answer.reason.as_deref().unwrap_or_default();
        let reason = reason.strip_prefix("token endpoint: ").unwrap_or(reason);
        if reason == NO_OAUTH {
            return self.is_token;
        }
        let mut words = reason.split_whitespace();
        words.all(|word| self.words.contains(word.trim_end_matches(':')))
    }

    /// Until when it may hold others, by both clocks.
    fn may_hold_at(&self, now: Moment) -> bool {
        let wait = self.wait.unwrap_or_default().max(LANE_WAIT) + ON_ITS_WAY;
        self.at.hub.plus(wait) >= now.hub || self.at.truth.plus(wait) >= now.truth
    }
}

fn said(answer: &Answer) -> String {
    let mut all =
        String::from_utf8_lossy(&answer.body[..answer.body.len().min(WORDS)]).into_owned();
    for value in answer.headers.values() {
        all.push(' ');
        all.push_str(value.to_str().unwrap_or_default());
    }
    all
}

fn wait(answer: &Answer) -> Option<Duration> {
    let waits = matches!(answer.status, 406 | 408 | 429 | 500..);
    let secs = answer.header("retry-after")?.parse().ok()?;
    waits.then(|| Duration::from_secs(secs).min(LONGEST))
}

/// Everything that was heard, oldest first.
#[derive(Default)]
pub(super) struct Answers {
    /// Of each endpoint's pushes.
    own: BTreeMap<String, Vec<Heard>>,
    /// What each service answered to any that did not take it, at its token endpoint, too.
    refusals: BTreeMap<Service, Vec<Heard>>,
    /// When each service took a push last.
    taken: BTreeMap<Service, Timestamp>,
    kills: Vec<Timestamp>,
    /// When the hub's clock leapt, and what it said then.
    moved: Vec<Moment>,
    /// Endpoints whose pushes are under way, and services whose token endpoints are asked.
    under_way: BTreeSet<(Service, Option<String>)>,
    /// When each endpoint last began anew.
    began: BTreeMap<String, Timestamp>,
}

impl Answers {
    /// Takes in what was heard of a service, about an endpoint's push or at the token endpoint.
    pub(super) fn heard(&mut self, service: Service, endpoint: Option<&str>, heard: Heard) {
        let whose = endpoint.map(str::to_owned);
        self.under_way.remove(&(service, whose));
        if heard.class == Class::Taken && endpoint.is_some() {
            self.taken.insert(service, heard.at.truth);
        }
        if heard.class != Class::Taken || endpoint.is_none() {
            let of_it = self.refusals.entry(service).or_default();
            of_it.push(heard.clone());
        }
        if let Some(endpoint) = endpoint {
            self.own.entry(endpoint.to_owned()).or_default().push(heard);
        }
    }

    /// A request leaves.
    pub(super) fn leaves(&mut self, service: Service, endpoint: Option<&str>) {
        let whose = endpoint.map(str::to_owned);
        self.under_way.insert((service, whose));
    }

    pub(super) fn killed(&mut self, now: Timestamp) {
        // What a second attempt was to follow, or a token for it, was never kept.
        for (service, endpoint) in std::mem::take(&mut self.under_way) {
            let of_it = format!("-{service:?}");
            let own = self.own.iter_mut().filter(|(whose, _)| match &endpoint {
                Some(endpoint) => *whose == endpoint,
                None => whose.ends_with(&of_it),
            });
            for last in own.filter_map(|(_, all)| all.last_mut()) {
                last.is_old = true;
            }
        }
        self.kills.push(now);
    }

    /// The hub's clock leaps to this.
    pub(super) fn clock_moved(&mut self, now: Moment) {
        self.moved.push(now);
    }

    /// The endpoint has begun anew, as the hub says.
    pub(super) fn has_begun(&mut self, endpoint: &str, now: Timestamp) {
        self.began.insert(endpoint.to_owned(), now);
    }

    /// The endpoint begins anew: what was heard of it may be forgotten, or not.
    pub(super) fn begins_anew(&mut self, endpoint: &str) {
        for heard in self.own.get_mut(endpoint).into_iter().flatten() {
            heard.is_old = true;
        }
    }

    /// Whether a channel may have been dropped: a word of its death came since the endpoint began anew, or was just then
    /// being written down.
    pub(super) fn may_be_gone(&self, endpoint: &str) -> bool {
        let since = self.began.get(endpoint).copied().unwrap_or_default();
        let mut own = self.of(endpoint).iter();
        own.any(|it| it.class == Class::Dead && it.at.truth.plus(KEPT) >= since)
    }

    /// How many pushes of an endpoint have come to nothing that is known since then.
    pub(super) fn failed_since(&self, endpoint: &str, since: Timestamp) -> usize {
        let own = self.of(endpoint).iter();
        let failed = own.filter(|it| it.class != Class::Taken && it.at.truth >= since);
        failed.count()
    }

    /// Since when, or from when on, nothing that a service said holds anything up; none, while something is under way.
    pub(super) fn is_well_since(&self, service: Service) -> Option<Timestamp> {
        if self.under_way.iter().any(|(of, _)| *of == service) {
            return None;
        }
        let until = |it: &Heard| {
            // Where the hub's clock leapt since, the wait has another end.
            let leapt = self.moved_since(it.at).next().is_some();
            let wait = it.wait.unwrap_or_default().max(LANE_WAIT);
            let wait = if leapt { LONGEST } else { wait };
            it.at.truth.plus(wait + ON_ITS_WAY)
        };
        let all = self.refusals.get(&service).into_iter().flatten();
        Some(all.map(until).max().unwrap_or_default())
    }

    /// Where the hub's clock stood each time that it had leapt since then.
    fn moved_since(&self, then: Moment) -> impl Iterator<Item = Moment> {
        let moved = self.moved.iter().copied();
        moved.filter(move |at| at.truth >= then.truth)
    }

    /// Whether the hub's clock was set back since then.
    fn went_back_since(&self, then: Timestamp) -> bool {
        let ahead = |it: &Moment| i128::from(it.hub.as_millis()) - i128::from(it.truth.as_millis());
        let mut pairs = self.moved.windows(2);
        pairs.any(|pair| pair[1].truth >= then && ahead(&pair[1]) < ahead(&pair[0]))
    }

    fn of(&self, endpoint: &str) -> &[Heard] {
        self.own.get(endpoint).map_or(&[], Vec::as_slice)
    }

    /// Since when what leaves now may have been under way: a second attempt follows the first at once, and a push waits
    /// for the token that it needs.
    pub(super) fn composed(&self, service: Service, endpoint: &str, left: Timestamp) -> Timestamp {
        let of_tokens = self.refusals.get(&service).into_iter().flatten();
        let before: Vec<&Heard> = self.of(endpoint).iter().chain(of_tokens).collect();
        let mut composed = left;
        loop {
            let follows = |heard: &&&Heard| heard.at.truth == composed && heard.left < composed;
            match before.iter().filter(follows).map(|heard| heard.left).min() {
                Some(earlier) => composed = earlier,
                None => return composed,
            }
        }
    }

    /// Whether a push of this endpoint was refused for good since then, so that nothing else will tell it.
    pub(super) fn refused_since(&self, endpoint: &str, since: Timestamp) -> bool {
        let mut own = self.of(endpoint).iter();
        own.any(|heard| heard.class == Class::Refused && heard.at.truth >= since)
    }

    /// What is wrong with a push that leaves now: the service asked to be left alone for longer. Where the hub's clock
    /// leapt since, nobody can say.
    pub(super) fn too_soon(
        &self,
        endpoint: &str,
        (composed, now): (Timestamp, Moment),
    ) -> Option<String> {
        let last = self.of(endpoint).last();
        let last = last.filter(|last| !self.may_be_forgotten(last))?;
        let until = last.at.truth.plus(last.wait?);
        let leapt = self.moved_since(last.at).next().is_some();
        let too_soon = now.truth < until && composed < until;
        (!leapt && too_soon && last.at.truth < composed).then(|| {
            format!(
                "{endpoint} was pushed to at {now:?}, though the service asked to wait: {last:?}"
            )
        })
    }

    /// Whether the hub must know this: it is on disk, and the endpoint has not begun anew.
    fn is_kept(&self, heard: &Heard, now: Moment) -> bool {
        now.truth.since(heard.at.truth) > KEPT && !self.may_be_forgotten(heard)
    }

    fn may_be_forgotten(&self, heard: &Heard) -> bool {
        let at = heard.at.truth;
        let killed = |kill: &Timestamp| *kill >= at && kill.since(at) < KEPT;
        heard.is_old || heard.is_test || self.kills.iter().any(killed)
    }

    /// What is wrong with what a delivery says of its service's answer.
    pub(super) fn doubts(&self, service: Service, line: &Delivery, now: Moment) -> Option<String> {
        let waits = line.status == DeliveryStatus::Pending
            && (line.attempts > 0 || matches!(line.reason, Some(Reason::ServiceStopped)));
        let Some(answer) = &line.answer else {
            return waits.then(|| String::from("what the service answered is not told"));
        };
        let own = self.of(line.endpoint.as_str());
        let late = answer.status == 0 && answer.reason.as_deref() == Some(LATE);
        let known = match line.status {
            DeliveryStatus::Pending => self.present((service, line), answer, now),
            DeliveryStatus::Failed => find(own, Class::Refused, answer),
            DeliveryStatus::Gone => find(own, Class::Dead, answer),
            _ => self.any(service, own, answer),
        };
        let Some(known) = known else {
            let last = &own[own.len().saturating_sub(3)..];
            return (!late).then(|| format!("that was not answered, but: {last:#?}"));
        };
        let stands = line.reason == Some(Reason::ServiceStopped);
        let tried = line.reason == Some(Reason::Retry);
        match (line.status, known.class) {
            (DeliveryStatus::Pending, Class::Taken) => Some("it was taken"),
            (DeliveryStatus::Pending, Class::Operator) if tried => {
                Some("the settings are refused, and that is not said")
            }
            (DeliveryStatus::Pending, Class::Dropped) if stands => Some("nobody refuses settings"),
            (DeliveryStatus::Failed, Class::Refused) | (DeliveryStatus::Gone, Class::Dead) => None,
            (DeliveryStatus::Failed, _) => Some("it was not refused"),
            (DeliveryStatus::Gone, _) => Some("it is not gone"),
            _ => None,
        }
        .map(|why| format!("{why}: {known:#?}"))
    }

    /// What the hub knows last of an endpoint, or of the service that all wait for.
    fn present<'a>(
        &'a self,
        (service, line): (Service, &Delivery),
        answer: &ServiceAnswer,
        now: Moment,
    ) -> Option<&'a Heard> {
        let own = self.of(line.endpoint.as_str());
        // A second attempt follows, or the token for it is asked for: the first is nothing that is kept.
        let whose = [None, Some(line.endpoint.as_str().to_owned())];
        let mut goes_on = whose.map(|it| self.under_way.contains(&(service, it))) != [false, false];
        let is_dropped = (200..300).contains(&answer.status);
        let (mut last, mut later): (Option<&Heard>, Option<&Heard>) = (None, None);
        for heard in own.iter().rev() {
            // Nor is it where the second has just been answered.
            goes_on |= last.is_none()
                && heard.class == Class::Operator
                && later.is_some_and(|later| heard.at.truth <= later.left);
            // What was dropped stands with the push, whatever came of later attempts.
            let counts = last.is_none() || is_dropped && heard.class == Class::Dropped;
            if counts && heard.is(answer) {
                return Some(heard);
            }
            if last.is_none() && self.is_kept(heard, now) && !goes_on {
                last = Some(heard);
            }
            (goes_on, later) = (false, Some(heard));
        }
        let of_all = self.refusals.get(&service)?.iter().rev();
        // Refused settings hold all up until a push is taken.
        let taken = self.taken.get(&service).copied().unwrap_or_default();
        let stops = |it: &Heard| it.class == Class::Operator && it.at.truth >= taken;
        // What was over by a clock that has gone back since may hold again, or did until that was undone.
        let since = |last: &Heard| [last.at, now].into_iter().chain(self.moved_since(last.at));
        let held = |it: &Heard, last: &Heard| since(last).any(|then| it.may_hold_at(then));
        let holds = |it: &&Heard| last.is_none_or(|last| held(it, last) || stops(it));
        let mut holding = of_all.filter(|it| holds(it) && it.class != Class::Refused);
        let is_own = |it: &Heard| own.iter().any(|own| (own.left, own.at) == (it.left, it.at));
        // The last one may have left in a leap that was undone before it was answered.
        let back = |last: &Heard| {
            let later = since(last).any(|then| last.at.hub > then.hub);
            later || self.went_back_since(last.left)
        };
        let gone_back = last.is_none_or(back);
        // A demand of a leap that was undone, which the store kept, holds anew after a restart.
        let restarted = |it: &Heard, last: &Heard| {
            let since = it.at.truth.max(last.at.truth);
            self.kills.iter().any(|at| *at >= since)
        };
        let kept = |it: &Heard| {
            last.is_some_and(|last| restarted(it, last)) && self.went_back_since(it.at.truth)
        };
        holding.find(|it| it.is(answer) && (gone_back || stops(it) || !is_own(it) || kept(it)))
    }

    /// Whether a test was answered so: it is the last that was heard, or held all up.
    pub(super) fn tested(&self, service: Service, endpoint: &str, answer: &ServiceAnswer) -> bool {
        let late = answer.status == 0 && answer.reason.as_deref() == Some(LATE);
        let of_tokens = self.refusals.get(&service).into_iter().flatten();
        let of_tokens = of_tokens.rev().take(8);
        let last = self.of(endpoint).iter().rev().take(1);
        late || last.chain(of_tokens).any(|it| it.is(answer))
    }

    fn any<'a>(
        &'a self,
        service: Service,
        own: &'a [Heard],
        answer: &ServiceAnswer,
    ) -> Option<&'a Heard> {
        let of_all = self.refusals.get(&service).into_iter().flatten();
        own.iter().chain(of_all).find(|it| it.is(answer))
    }
}

/// The answer of an endpoint's that a delivery tells: of this class, if there is such a one.
fn find<'a>(own: &'a [Heard], class: Class, answer: &ServiceAnswer) -> Option<&'a Heard> {
    let all = || own.iter().filter(|it| it.is(answer));
    all().find(|it| it.class == class).or(all().next())
}
