//! Everything goes wrong at once on real sockets: the real binary on its real store, killed in between, while its push services
//! reset, refuse, hang up, fall silent, show wrong certificates and talk nonsense. When that is over, every device has come to hold
//! what was acknowledged, by pulling after the taps that it got and by nothing else.
//!
//! A storm is seeded, but sockets are not: `BECKON_SEED=n` draws the same faults again, in about the same places.
//! `BECKON_STORM_STEPS=n` for a longer storm than that of every day.

mod passing;
mod weather;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use beckon::doubles::{Arrival, Push, Service};
use hyper::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{
    converge::phone::{Phone, essence},
    support::{
        ChildHub, Random,
        device::beckon_of,
        eventually,
        random::{Seed, seeds},
        wait::DEADLINE,
    },
};

const PEOPLE: [&str; 12] = [
    "ada", "bob", "cy", "dora", "ed", "fay", "gus", "hal", "ida", "jo", "kay", "lee",
];
const STEPS: usize = 60;
/// How many steps lie between two kills.
const LIFE: usize = 20;

fn steps() -> usize {
    match std::env::var("BECKON_STORM_STEPS") {
        Ok(steps) => steps.parse().expect("BECKON_STORM_STEPS is a number"),
        Err(_) => STEPS,
    }
}

/// All that a storm knows.
struct Storm {
    hub: ChildHub,
    random: Random,
    addr: Arc<Mutex<std::net::SocketAddr>>,
    phones: Vec<Arc<Phone>>,
    tasks: Vec<JoinHandle<()>>,
    /// What was acknowledged: person and id.
    acknowledged: BTreeSet<(&'static str, String)>,
    posted: usize,
    /// The places in the doubles' record at which the hub was killed.
    kills: Vec<u64>,
    /// What was done, to be shown when it went wrong.
    trail: Vec<String>,
}

impl Drop for Storm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the storm:\n{}", self.trail.join("\n"));
        }
    }
}

impl Storm {
    async fn begin(seed: u64) -> Self {
        let hub = ChildHub::start().await;
        let addr = Arc::new(Mutex::new(hub.addr()));
        let mut storm = Self {
            random: Random::new(seed),
            phones: Vec::new(),
            tasks: Vec::new(),
            acknowledged: BTreeSet::new(),
            posted: 0,
            kills: Vec::new(),
            trail: Vec::new(),
            addr,
            hub,
        };
        for user in PEOPLE {
            for service in Service::ALL {
                let way = (&storm.addr, storm.hub.key.as_str());
                let doubles = storm.hub.doubles();
                let (phone, task) = Phone::unpack(way, doubles, (user, service)).await;
                storm.phones.push(phone);
                storm.tasks.push(task);
            }
        }
        storm
    }

    /// One thing happens, and then a moment passes.
    async fn step(&mut self) {
        match self.random.below(40) {
            0..=15 => {
                let posts = 1 + self.random.below(8);
                self.post(posts, None).await;
            }
            16..=33 => {
                for _ in 0..3 {
                    weather::turn(self);
                }
            }
            34..=38 => self.read().await,
            _ => {
                self.trail.push(String::from("a gap in the clouds"));
                self.hub.doubles().clear_faults();
            }
        }
        pass(Duration::from_millis(self.random.next() % 120)).await;
    }

    /// Posts so many at once; if asked to, the hub is killed after so long, answered or not.
    async fn post(&mut self, count: usize, killed_after: Option<Duration>) {
        let app = self.hub.app();
        let asking: Vec<_> = (0..count)
            .map(|_| {
                let user = *self.random.pick(&PEOPLE).unwrap();
                let body = self.draft();
                self.trail.push(format!("post to {user}: {body}"));
                let (app, path) = (app.clone(), format!("/v1/users/{user}/notifications"));
                tokio::spawn(async move {
                    let answer = app.attempt(Method::POST, &path, Some(body)).await;
                    (user, answer)
                })
            })
            .collect();
        if let Some(after) = killed_after {
            pass(after).await;
            self.kill().await;
        }
        for asked in asking {
            let (user, answer) = asked.await.unwrap();
            let Some(answer) = answer else {
                assert!(killed_after.is_some(), "no answer though it lives");
                continue;
            };
            let id = answer.expect(201)["id"].as_str().unwrap().to_owned();
            self.acknowledged.insert((user, id));
        }
    }

    fn draft(&mut self) -> Value {
        self.posted += 1;
        let priority = *self.random.pick(&["High", "None", "Low"]).unwrap();
        let text = format!("no. {}", self.posted);
        let payload = match self.random.below(4) {
            0 => json!({"rawContent": text}),
            _ => json!({"visualContent": {"title": text}}),
        };
        json!({"priority": priority, "payload": payload})
    }

    /// Somebody reads something, so that the other devices are to learn of it.
    async fn read(&mut self) {
        let phone = self.random.pick(&self.phones).cloned().unwrap();
        let mut me = phone.me().await;
        let ids: Vec<String> = me.held.keys().cloned().collect();
        if let Some(id) = self.random.pick(&ids) {
            self.trail.push(format!("{} reads {id}", phone.endpoint));
            assert!(phone.set(&mut me, id, json!({"readState": "read"})).await);
        }
    }

    /// As `kill -9` does; the store is sound, and the hub comes back to the same services.
    async fn kill(&mut self) {
        self.hub.kill();
        self.trail.push(String::from("killed"));
        self.kills.push(self.hub.doubles().place());
        self.hub.verify();
        self.hub.begin().await;
        *self.addr.lock().unwrap() = self.hub.addr();
    }

    /// What the app's server sees of a person.
    async fn list(&self, user: &str) -> BTreeMap<String, Value> {
        let path = format!("/v1/users/{user}/notifications?$top=1000");
        let page = self.hub.app().get(&path).await.expect(200);
        let all = page["value"].as_array().unwrap().iter();
        all.map(|it| (it["id"].as_str().unwrap().to_owned(), essence(it)))
            .collect()
    }

    /// The sky is clear: by their taps alone all devices come to hold what the hub holds, which is all that it acknowledged.
    async fn converges(&self) {
        self.hub.doubles().clear_faults();
        for user in PEOPLE {
            let there = self.list(user).await;
            let mine = self.acknowledged.iter().filter(|(of, _)| *of == user);
            for (_, id) in mine {
                assert!(there.contains_key(id), "{user}'s {id} was acknowledged");
            }
            for phone in self.phones.iter().filter(|phone| phone.user == user) {
                let what = format!("{} holds what the hub holds", phone.endpoint);
                let same = || async { (phone.me().await.held == there).then_some(()) };
                eventually(&what, same).await;
            }
        }
    }

    /// No device lost its channel, and each acknowledged notification is known to have been fetched by each that opened its app since.
    async fn nobody_is_forgotten(&self) {
        for user in PEOPLE {
            let path = format!("/v1/users/{user}/endpoints");
            let endpoints = self.hub.app().get(&path).await.expect(200);
            for endpoint in endpoints["value"].as_array().unwrap() {
                assert_ne!(endpoint["channel"]["type"], "none", "{endpoint}");
            }
        }
        // A fetch that a kill overtook is not known of; the next one tells it.
        for phone in &self.phones {
            phone.pull().await;
        }
        for (user, id) in &self.acknowledged {
            let path = format!("/v1/users/{user}/notifications/{id}/deliveries");
            let report = async || self.hub.app().get(&path).await.expect(200);
            let by_all = async || {
                let told = report().await;
                let all = told["value"].as_array().unwrap();
                let fetched = all.iter().filter(|it| it["fetchedDateTime"].is_string());
                (fetched.count() == Service::ALL.len()).then_some(())
            };
            // Noted once the last byte has left, so a moment after the device has it.
            let waiting = eventually("it was fetched by all", by_all);
            if tokio::time::timeout(DEADLINE / 2, waiting).await.is_err() {
                panic!("{user}'s {id} was not fetched by all: {:#}", report().await);
            }
        }
    }

    /// What a person sees of one notification on one device is one thing: a second push of it came only where the hub could
    /// not know of the first, and then replaces it where the platform can.
    fn each_is_shown_once(&self) -> usize {
        let mut arrivals = self.hub.doubles().arrivals(0);
        let request = |it: &Arrival| (it.connection, it.at_ms, it.path.clone());
        let held: BTreeSet<_> = arrivals
            .iter()
            .filter(|it| it.fault.is_some_and(weather::holds))
            .map(|it| request(it))
            .collect();
        // As they came: one that was held is written down again when it is let go.
        arrivals.sort_by_key(|it| it.at_ms);
        let mut last: BTreeMap<(String, String), Arc<Arrival>> = BTreeMap::new();
        let mut again = 0;
        for arrival in arrivals.into_iter().filter(|it| it.fate.is_some()) {
            let (Some(device), Some(shown)) = (&arrival.device, shown(&arrival)) else {
                continue;
            };
            let named = replaces(&arrival);
            let was = last.insert((device.clone(), shown.clone()), Arc::clone(&arrival));
            let Some(was) = was else { continue };
            again += 1;
            let between = was.seq.min(arrival.seq)..was.seq.max(arrival.seq);
            let killed = self.kills.iter().any(|at| between.contains(at));
            let answered = was.status.is_some() && was.fault.is_none();
            let unknown = !answered || held.contains(&request(&was));
            assert!(unknown || killed, "{shown} twice: {was:#?} {arrival:#?}");
            assert_eq!(replaces(&was), named, "the second replaces the first");
        }
        again
    }

    async fn end(mut self) -> String {
        self.converges().await;
        self.nobody_is_forgotten().await;
        let again = self.each_is_shown_once();
        for task in std::mem::take(&mut self.tasks) {
            assert!(!task.is_finished(), "a device stopped listening");
            task.abort();
        }
        let counts = Service::ALL.map(|service| {
            let it = self.hub.doubles().counters(service);
            (it.connections, it.accepted, it.faulted)
        });
        self.hub.kill();
        self.hub.verify();
        format!(
            "{} posts, {} kills, {again} shown anew; connections, accepted, faulted: {counts:?}",
            self.posted,
            self.kills.len()
        )
    }
}

/// The notification that a push puts on the screen, if it does.
fn shown(arrival: &Arrival) -> Option<String> {
    let body = arrival.plaintext.clone().or_else(|| arrival.body.clone())?;
    let push = Push {
        message_id: String::new(),
        kind: String::new(),
        collapse: None,
        body: Some(body),
    };
    let is_push = arrival.method == "POST" && arrival.device.is_some();
    let beckon = is_push.then(|| beckon_of(&push))?;
    let id = beckon["n"].as_str()?.to_owned();
    (beckon["k"] == "created").then_some(id)
}

/// By what the platform replaces what it showed before: none at FCM, where the client does by the notification's id, and at WNS.
fn replaces(arrival: &Arrival) -> Option<String> {
    let name = match arrival.service {
        Service::Apns => "apns-collapse-id",
        Service::WebPush => "topic",
        Service::Fcm | Service::Wns => return None,
    };
    let found = arrival.headers.iter().find(|(header, _)| header == name);
    Some(found.expect("a visible push names it").1.clone())
}

/// Time that the weather takes; nothing is waited for.
async fn pass(time: Duration) {
    let _passed = tokio::time::timeout(time, std::future::pending::<()>()).await;
}

async fn storm(seed: u64) {
    let _seed = Seed(seed);
    let began = Instant::now();
    let mut storm = Storm::begin(seed).await;
    for step in 0..steps() {
        storm.step().await;
        if step % LIFE == LIFE - 1 {
            let after = Duration::from_millis(storm.random.next() % 60);
            storm.post(6, Some(after)).await;
        }
    }
    let stormed = began.elapsed();
    let told = storm.end().await;
    println!(
        "seed {seed}: {told}; {stormed:?} of storm, {:?} in all",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_device_converges_after_a_storm() {
    for seed in seeds(&[1, 2]) {
        storm(seed).await;
    }
}
