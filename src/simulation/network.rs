//! The network and the push services of a simulation: every request of the adapters passes here, is delayed, lost or
//! refused as the weather wants it, and is judged by the doubles' own rules.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::sync::Notify;

use super::{
    answers::{Answers, ON_ITS_WAY},
    carried::Carried,
    promises::Promises,
    screens::Screens,
    time::{Moment, Truth},
    weather::Weather,
};
use crate::{
    clock::Clock,
    doubles::{HandedOver, Handle, Service, inside::Inside},
    egress::{Answer, Failure, MAX_REQUEST, in_process::Sent},
    model::Timestamp,
};

/// What an answer that is none consists of.
pub(super) const GARBAGE: &[u8] = b"<html>\xff\x00";

pub(super) struct Inner {
    random: StdRng,
    weather: BTreeMap<Service, Weather>,
    /// The clock of the process that runs now, and the true time.
    pub(super) times: Option<(Clock, Truth)>,
    /// When the wall leapt of late: what was composed before may leave after it.
    pub(super) leaps: Vec<Moment>,
    /// By how much the hub's clock is ahead.
    ahead_ms: i64,
    /// The place in the doubles' record up to which devices were told.
    pub(super) told: u64,
    /// A push channel, as its service's requests name it, and whose endpoint it is.
    channels: Vec<(String, String)>,
    /// Of each device of the doubles, whose it is and where it hears.
    pub(super) inboxes: BTreeMap<String, (String, Arc<Inbox>)>,
    /// Until when what is pushed by this id may be pushed.
    pub(super) expires: BTreeMap<String, Timestamp>,
    pub(super) faults: Vec<String>,
    pub(super) promises: Promises,
    pub(super) answers: Answers,
    pub(super) screens: Screens,
    requests: u64,
}

/// Whose push it is, by which channel, and what it says.
pub(super) type Push<'a> = ((&'a str, &'a str), Carried);

/// Where a device hears of what it was handed.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) bell: Notify,
    pub(super) unread: Mutex<Vec<Arc<HandedOver>>>,
}

impl Inner {
    /// A process's clock says this from now on.
    fn time_is(&mut self, now: Moment) {
        let ahead = now.hub.as_millis().cast_signed() - now.truth.as_millis().cast_signed();
        if ahead != std::mem::replace(&mut self.ahead_ms, ahead) {
            self.answers.clock_moved(now);
            self.promises.clock_moved(now.truth);
        }
        self.promises.time_is(now.hub);
    }
}

/// The network. It outlives the hub's process.
pub(super) struct Network {
    inside: Inside,
    inner: Mutex<Inner>,
    /// Rings when the wall has leapt: the sweeper is about to look.
    pub(super) leapt: Notify,
}

impl Network {
    pub(super) fn new(inside: Inside, seed: u64) -> Arc<Self> {
        let told = inside.handle().place();
        Arc::new(Self {
            inside,
            leapt: Notify::new(),
            inner: Mutex::new(Inner {
                random: StdRng::seed_from_u64(seed ^ 0x6e65_7477),
                weather: BTreeMap::new(),
                times: None,
                leaps: Vec::new(),
                ahead_ms: 0,
                told,
                channels: Vec::new(),
                inboxes: BTreeMap::new(),
                expires: BTreeMap::new(),
                faults: Vec::new(),
                promises: Promises::default(),
                answers: Answers::default(),
                screens: Screens::default(),
                requests: 0,
            }),
        })
    }

    pub(super) fn handle(&self) -> Handle {
        self.inside.handle()
    }

    /// A process runs by this clock, while it truly is so late.
    pub(super) fn follow(&self, clock: Clock, truth: Truth) {
        self.set_time(truth.now());
        self.with(|inner| {
            let (hub, truth_now) = (clock.now(), truth.now());
            inner.time_is(Moment {
                truth: truth_now,
                hub,
            });
            inner.times = Some((clock, truth));
        });
    }

    /// What time it is, while a process runs.
    pub(super) fn moment(&self) -> Option<Moment> {
        self.with(|inner| {
            let (clock, truth) = inner.times.as_ref()?;
            let (truth, hub) = (truth.now(), clock.now());
            Some(Moment { truth, hub })
        })
    }

    /// The wall leaps, from this moment on.
    pub(super) fn leapt(&self, (before, after): (Moment, Moment)) {
        self.with(|inner| {
            // A clock that is held has fallen behind since it was looked at last.
            inner.time_is(before);
            inner.time_is(after);
            let recent = |leap: &Moment| leap.truth.plus(ON_ITS_WAY) > before.truth;
            inner.leaps.retain(recent);
            inner.leaps.push(before);
        });
        self.leapt.notify_one();
    }

    pub(super) fn set_weather(&self, service: Service, weather: Weather) {
        self.with(|inner| inner.weather.insert(service, weather));
    }

    /// A device can be found from now on.
    pub(super) fn connect(
        &self,
        (endpoint, double): (&str, &str),
        channel: String,
        inbox: Arc<Inbox>,
    ) {
        self.with(|inner| {
            inner.channels.push((channel, endpoint.to_owned()));
            let whose = (endpoint.to_owned(), inbox);
            inner.inboxes.insert(double.to_owned(), whose);
        });
    }

    /// Nothing about a notification may leave from `expires` on.
    pub(super) fn expires(&self, id: String, expires: Timestamp) {
        self.with(|inner| {
            let until = inner.expires.entry(id).or_insert(expires);
            *until = expires.max(*until);
        });
    }

    /// The account of what was taken.
    pub(super) fn promises(&self, note: impl FnOnce(&mut Promises)) {
        self.with(|inner| note(&mut inner.promises));
    }

    /// The account of what was answered.
    pub(super) fn answers<T>(&self, look: impl FnOnce(&mut Answers) -> T) -> T {
        self.with(|inner| look(&mut inner.answers))
    }

    /// The process is killed.
    pub(super) fn killed(&self, now: Timestamp) {
        self.with(|inner| {
            inner.answers.killed(now);
            let faults = inner.promises.killed(now);
            inner.faults.extend(faults);
        });
    }

    /// What went wrong that must not, and how many requests there were.
    pub(super) fn faults(&self) -> Vec<String> {
        self.with(|inner| inner.faults.clone())
    }

    pub(super) fn requests(&self) -> u64 {
        self.with(|inner| inner.requests)
    }

    /// Carries a request to its service, and the answer back.
    pub(super) async fn carry(self: Arc<Self>, sent: Sent) -> Result<Answer, Failure> {
        let service = sent.url.port().and_then(Inside::service_at);
        let service = service.expect("all services are doubles");
        let (endpoint, channel) = self.device_of(&sent).unzip();
        let push = endpoint.as_deref().zip(channel.as_deref()).map(|who| {
            let carried = Carried::read(&self.inside, service, &sent);
            (who, carried.expect("a push says what it is"))
        });
        let now = self.moment().expect("a process sends");
        if let Some((who, carried)) = &push {
            self.look_at(service, *who, (carried, &sent), now);
        } else {
            self.answers(|answers| answers.leaves(service, None));
        }
        let of_push = push
            .as_ref()
            .map(|((endpoint, _), carried)| (*endpoint, carried));
        let exchange = self.exchange(service, of_push, sent.clone());
        let answer = tokio::time::timeout(MAX_REQUEST, exchange).await;
        let answer = answer.unwrap_or(Err(Failure::Timeout));
        if let Some(heard_at) = self.moment() {
            let times = (now.truth, heard_at);
            self.hear(service, (push, &sent), &answer, times);
        }
        answer
    }

    async fn exchange(
        &self,
        service: Service,
        push: Option<(&str, &Carried)>,
        sent: Sent,
    ) -> Result<Answer, Failure> {
        let lost = |what: &str| Failure::Lost(format!("{what} by the simulation"));
        let (weather, [there, back], [unreachable, before, after, garbled]) = self.roll(service);
        if unreachable < weather.unreachable {
            tokio::time::sleep(there).await;
            return Err(Failure::Connection(String::from(
                "refused by the simulation",
            )));
        }
        tokio::time::sleep(there).await;
        if before < weather.lost_before {
            return Err(lost("lost on its way there"));
        }
        self.moment().inspect(|now| self.set_time(now.truth));
        let target = match sent.url.query() {
            Some(query) => format!("{}?{query}", sent.url.path()),
            None => sent.url.path().to_owned(),
        };
        let target = target.parse().expect("a URL has a target");
        let mut headers = sent.headers;
        headers.insert(CONTENT_LENGTH, sent.body.len().into());
        let asked = (target, headers, sent.body);
        let answer = self.inside.answer(service, asked).await;
        self.tell();
        let is_taken = |status: hyper::StatusCode| status.is_success();
        if let (Some((endpoint, carried)), Some(now)) = (push, self.moment())
            && answer
                .as_ref()
                .is_some_and(|(status, ..)| is_taken(*status))
        {
            self.promises(|promises| promises.is_on_its_way(endpoint, carried, now));
        }
        tokio::time::sleep(back).await;
        let (status, headers, body) = answer.ok_or_else(|| lost("cut"))?;
        if after < weather.lost_after {
            return Err(lost("lost on its way back"));
        }
        let mut answer = Answer {
            status: status.as_u16(),
            phrase: None,
            headers,
            body,
            whole: true,
            connection: 1,
            credential: 0,
        };
        if garbled < weather.garbled {
            // A proxy's page, or that of a network that wants to be signed in to, whatever became of the push.
            let pages: &[u16] = &[200, 500, 502, 503];
            answer.status = pages[garbled as usize % pages.len()];
            answer.body = bytes::Bytes::from_static(GARBAGE);
            answer.headers.clear();
            let html = HeaderValue::from_static("text/html");
            answer.headers.insert(CONTENT_TYPE, html);
        }
        Ok(answer)
    }

    fn roll(&self, service: Service) -> (Weather, [Duration; 2], [u32; 4]) {
        self.with(|inner| {
            inner.requests += 1;
            let weather = inner.weather.get(&service).copied();
            let weather = weather.unwrap_or(Weather::FAIR);
            let random = &mut inner.random;
            let half = weather.latency_ms / 2;
            let ways = [(); 2].map(|()| Duration::from_millis(random.random_range(0..=half)));
            let chances = [(); 4].map(|()| random.random_range(0..100));
            (weather, ways, chances)
        })
    }

    /// Whose push it is, and by which channel.
    fn device_of(&self, sent: &Sent) -> Option<(String, String)> {
        let url = sent.url.as_str();
        let body = String::from_utf8_lossy(&sent.body);
        self.with(|inner| {
            let named = |channel: &str| url.contains(channel) || body.contains(channel);
            let found = inner.channels.iter().find(|(channel, _)| named(channel));
            found.map(|(channel, device)| (device.clone(), channel.clone()))
        })
    }

    pub(super) fn set_time(&self, now: Timestamp) {
        self.inside.set_time(now.as_millis().cast_signed());
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.inner.lock().unwrap())
    }
}
