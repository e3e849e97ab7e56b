//! The network and the push services of a simulation: every request of the adapters passes here, is delayed, lost or
//! refused as the weather wants it, and is judged by the doubles' own rules.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use hyper::header::CONTENT_LENGTH;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::sync::Notify;

use super::{
    promises::Promises,
    time::{Moment, Truth},
};
use crate::{
    clock::Clock,
    doubles::{Entry, HandedOver, Handle, Service, inside::Inside},
    egress::{Answer, Failure, MAX_REQUEST, in_process::Sent},
    model::Timestamp,
};

/// How a service can be reached.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weather {
    /// The longest way there and back, in milliseconds.
    pub(super) latency_ms: u64,
    /// Of a hundred requests, how many find no connection.
    pub(super) unreachable: u32,
    /// How many are lost on their way there.
    pub(super) lost_before: u32,
    /// How many are lost on their way back, with their effect.
    pub(super) lost_after: u32,
    /// How many are answered with something that is no answer.
    pub(super) garbled: u32,
}

impl Weather {
    pub(super) const FAIR: Self = Self {
        latency_ms: 40,
        unreachable: 0,
        lost_before: 0,
        lost_after: 0,
        garbled: 0,
    };
}

/// What an answer that is none consists of.
const GARBAGE: &[u8] = b"<html>\xff\x00";
/// What Apple grants an endpoint in an hour (`delivery.silent_per_hour`, as it is if nobody says otherwise).
const SILENT_PER_HOUR: usize = 3;

/// How long a push may be on its way out: it waits for a token and for a connection, perhaps once more.
const ON_ITS_WAY: Duration = Duration::from_secs(4 * MAX_REQUEST.as_secs());

/// How many answers of one service about one endpoint are remembered.
const REMEMBERED: usize = 8;

/// What a device's push came to, as the hub could see it: the status, 0 where no answer came.
pub(super) type Seen = u16;

struct Inner {
    random: StdRng,
    weather: BTreeMap<Service, Weather>,
    /// The clock of the process that runs now, and the true time.
    times: Option<(Clock, Truth)>,
    /// When the wall leapt of late: what was composed before may leave after it.
    leaps: Vec<Moment>,
    /// The place in the doubles' record up to which devices were told.
    told: u64,
    /// A push channel, as its service's requests name it, and whose endpoint it is.
    channels: Vec<(String, String)>,
    inboxes: BTreeMap<String, Arc<Inbox>>,
    /// What the hub last saw of a service, by endpoint; of its token endpoint under "token".
    seen: BTreeMap<(Service, String), VecDeque<Seen>>,
    /// Until when what is pushed by this id may be pushed.
    expires: BTreeMap<String, Timestamp>,
    faults: Vec<String>,
    promises: Promises,
    requests: u64,
}

/// Where a device hears of what it was handed.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) bell: Notify,
    pub(super) unread: Mutex<Vec<Arc<HandedOver>>>,
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
                told,
                channels: Vec::new(),
                inboxes: BTreeMap::new(),
                seen: BTreeMap::new(),
                expires: BTreeMap::new(),
                faults: Vec::new(),
                promises: Promises::default(),
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
            inner.promises.time_is(clock.now());
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
            inner.promises.time_is(after.hub);
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
            inner.inboxes.insert(double.to_owned(), inbox);
        });
    }

    /// Nothing about a notification may leave from `expires` on.
    pub(super) fn expires(&self, id: String, expires: Timestamp) {
        self.with(|inner| {
            let until = inner.expires.entry(id).or_insert(expires);
            *until = expires.max(*until);
        });
    }

    /// The statuses that the hub last saw of a service: of an endpoint's own pushes, of those of others that all wait
    /// for, and of its token endpoint.
    pub(super) fn seen(&self, service: Service) -> Vec<Seen> {
        self.with(|inner| {
            let of_it = inner.seen.iter().filter(|((of, _), _)| *of == service);
            of_it.flat_map(|(_, seen)| seen).copied().collect()
        })
    }

    /// The account of what was taken.
    pub(super) fn promises(&self, note: impl FnOnce(&mut Promises)) {
        self.with(|inner| note(&mut inner.promises));
    }

    /// What went wrong that must not, and how many requests there were.
    pub(super) fn faults(&self) -> Vec<String> {
        self.with(|inner| inner.faults.clone())
    }

    pub(super) fn requests(&self) -> u64 {
        self.with(|inner| inner.requests)
    }

    /// Tells devices what they were handed since this was last asked.
    pub(super) fn tell(&self) {
        let told = self.with(|inner| inner.told);
        for entry in self.handle().entries(told) {
            self.with(|inner| inner.told = entry.seq());
            let Entry::HandedOver(handed) = entry else {
                continue;
            };
            if let Some(inbox) = self.with(|inner| inner.inboxes.get(&handed.device).cloned()) {
                inbox.unread.lock().unwrap().push(handed);
                inbox.bell.notify_one();
            }
        }
    }

    /// Carries a request to its service, and the answer back.
    pub(super) async fn carry(self: Arc<Self>, sent: Sent) -> Result<Answer, Failure> {
        let service = sent.url.port().and_then(Inside::service_at);
        let service = service.expect("all services are doubles");
        let (device, channel) = self.device_of(&sent).unzip();
        let left = self.moment().expect("a process sends").truth;
        if let (Some(device), Some(channel)) = (&device, &channel) {
            self.with(|inner| {
                let fault = inner.promises.leaves((device, channel), left);
                inner.faults.extend(fault);
            });
        }
        let exchange = self.exchange(service, &device, sent.clone());
        let answer = tokio::time::timeout(MAX_REQUEST, exchange).await;
        let answer = answer.unwrap_or(Err(Failure::Timeout));
        if let (Some(device), Ok(answer), Some(now)) = (&device, &answer, self.moment()) {
            let dropped = answer.header("x-wns-status") == Some("dropped");
            if (200..300).contains(&answer.status) && !answer.body.starts_with(GARBAGE) && !dropped
            {
                self.with(|inner| {
                    let who = (service, device.as_str());
                    let fault = inner
                        .promises
                        .taken(who, (&sent, left), (now, SILENT_PER_HOUR));
                    inner.faults.extend(fault);
                });
            }
        }
        if let (Some(channel), Ok(answer), Some(now)) = (&channel, &answer, self.moment())
            && calls_dead(service, answer)
        {
            self.promises(|promises| promises.died(channel, now.truth));
        }
        let status = answer.as_ref().map_or(0, |answer| answer.status);
        self.with(|inner| {
            let whose = device.unwrap_or_else(|| String::from("token"));
            let seen = inner.seen.entry((service, whose)).or_default();
            seen.push_front(status);
            seen.truncate(REMEMBERED);
        });
        answer
    }

    async fn exchange(
        &self,
        service: Service,
        device: &Option<String>,
        sent: Sent,
    ) -> Result<Answer, Failure> {
        let lost = |what: &str| Failure::Lost(format!("{what} by the simulation"));
        let (weather, [there, back], [unreachable, before, after, garbled]) = self.roll(service);
        self.look_for_expired(service, device, &sent);
        self.look_at_expiration(&sent);
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
            connection: 1,
        };
        if garbled < weather.garbled {
            // A page with a good status is believed, so one comes only where the push was taken.
            let taken = (200..300).contains(&answer.status);
            let pages: &[u16] = if taken {
                &[200, 500, 502, 503]
            } else {
                &[500, 502, 503]
            };
            answer.status = pages[sent.url.as_str().len() % pages.len()];
            answer.body = bytes::Bytes::from_static(GARBAGE);
            answer.headers.clear();
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

    /// What was about to leave is about something that still is.
    fn look_for_expired(&self, service: Service, device: &Option<String>, sent: &Sent) {
        let Some(moment) = self.moment() else {
            return;
        };
        let now = self.composed_at_the_latest(moment);
        if device.is_none() || service == Service::WebPush {
            return;
        }
        let body = String::from_utf8_lossy(&sent.body).into_owned();
        self.with(|inner| {
            let over = inner.expires.iter();
            let over = over.filter(|(id, until)| **until <= now && body.contains(id.as_str()));
            let over: Vec<String> = over.map(|(id, until)| format!("{id} ({until})")).collect();
            if !over.is_empty() {
                let fault = format!("at {now} {service:?} was sent what had expired: {over:?}");
                inner.faults.push(fault);
            }
        });
    }

    /// Where the wall is right, Apple is told a time by which what is shown is over by the hub's clock, too, though that
    /// may be ahead of it.
    fn look_at_expiration(&self, sent: &Sent) {
        let header = sent.headers.get("apns-expiration");
        let expiration: Option<u64> = header.map(|it| it.to_str().unwrap().parse().unwrap());
        let (Some(expiration), Some(now)) = (expiration, self.moment()) else {
            return;
        };
        let expiration = Timestamp::from_millis(1000 * expiration);
        let body = String::from_utf8_lossy(&sent.body).into_owned();
        self.with(|inner| {
            let wall = inner.times.as_ref().map(|(clock, _)| clock.wall());
            let of_late = |leap: &Moment| leap.truth.plus(ON_ITS_WAY) > now.truth;
            if wall != Some(now.truth) || inner.leaps.iter().any(of_late) {
                return;
            }
            let shown = inner
                .expires
                .iter()
                .filter(|(id, _)| body.contains(id.as_str()));
            let late = |until: &Timestamp| expiration > now.truth.plus(until.since(now.hub));
            let late = shown.filter(|(_, until)| late(until)).map(|(id, _)| id);
            let late: Vec<String> = late
                .map(|id| format!("Apple is to keep {id} until {expiration}, at {now:?}"))
                .collect();
            inner.faults.extend(late);
        });
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

    /// What the hub's clock says, but for leaps that came while what leaves now may have been on its way out.
    fn composed_at_the_latest(&self, now: Moment) -> Timestamp {
        self.with(|inner| {
            let recent = |leap: &&Moment| leap.truth.plus(ON_ITS_WAY) > now.truth;
            let recent = inner.leaps.iter().filter(recent);
            let without = recent.map(|leap| leap.hub.plus(now.truth.since(leap.truth)));
            without.fold(now.hub, Timestamp::min)
        })
    }

    pub(super) fn set_time(&self, now: Timestamp) {
        self.inside.set_time(now.as_millis().cast_signed());
    }

    fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.inner.lock().unwrap())
    }
}

/// Whether a service says that a channel is dead.
fn calls_dead(service: Service, answer: &Answer) -> bool {
    let bad_token = answer
        .body
        .windows(14)
        .any(|text| text == b"BadDeviceToken");
    match (service, answer.status) {
        (_, 410) => true,
        (Service::Apns, 400) => bad_token,
        (Service::Apns, _) => false,
        (_, status) => status == 404 && !answer.body.starts_with(GARBAGE),
    }
}
