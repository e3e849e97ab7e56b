//! The property of properties: whatever happens in whatever order, through kills, at the end all devices of a person
//! hold what the hub holds, and the hub holds all that it acknowledged.
//!
//! A walk is seeded; `BECKON_SEED=n` walks one again.

pub mod phone;
mod place;
mod steps;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Instant,
};

use beckon::doubles::{DevicePatch, Service};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::{
    ChildHub, Random, TestHub, eventually,
    random::{Seed, seeds},
};
use phone::{Phone, essence};
use place::Place;

const PEOPLE: [&str; 2] = ["ada", "bob"];

/// All that a walk knows.
struct World {
    place: Place,
    random: Random,
    addr: Arc<Mutex<std::net::SocketAddr>>,
    phones: Vec<Arc<Phone>>,
    tasks: Vec<JoinHandle<()>>,
    /// What was acknowledged, by person and id.
    kept: BTreeMap<&'static str, BTreeMap<String, Value>>,
    posted: u64,
    restarts: u32,
    /// What was done, to be shown when it went wrong.
    trail: Vec<String>,
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the walk:\n{}", self.trail.join("\n"));
        }
    }
}

impl World {
    async fn begin(place: Place, seed: u64) -> Self {
        let addr = Arc::new(Mutex::new(place.addr()));
        let mut world = Self {
            random: Random::new(seed),
            phones: Vec::new(),
            tasks: Vec::new(),
            kept: PEOPLE
                .into_iter()
                .map(|user| (user, BTreeMap::new()))
                .collect(),
            posted: 0,
            restarts: 0,
            trail: Vec::new(),
            addr,
            place,
        };
        let owners = ["ada", "ada", "ada", "bob"];
        let first = world.random.below(4);
        for (nth, user) in owners.into_iter().enumerate() {
            let service = Service::ALL[(first + nth) % 4];
            let way = (&world.addr, world.place.key());
            let (phone, task) = Phone::unpack(way, world.place.doubles(), (user, service)).await;
            world.phones.push(phone);
            world.tasks.push(task);
        }
        world
    }

    /// What the app's server sees of a person.
    async fn list(&self, user: &str) -> BTreeMap<String, Value> {
        let path = format!("/v1/users/{user}/notifications?$top=1000");
        let page = self.place.app().get(&path).await.expect(200);
        let all = page["value"].as_array().unwrap().iter();
        all.map(|it| (it["id"].as_str().unwrap().to_owned(), essence(it)))
            .collect()
    }

    /// Everything acknowledged is there, and nothing else.
    async fn check(&self) {
        for user in PEOPLE {
            assert_eq!(self.list(user).await, self.kept[user], "what {user} has");
        }
        self.place.nobody_is_forgotten(&PEOPLE).await;
    }

    async fn restart(&mut self) {
        self.place.restart().await;
        *self.addr.lock().unwrap() = self.place.addr();
        self.restarts += 1;
        self.check().await;
    }

    /// Everything works again, everybody is there; then the devices come to hold what the hub holds, by a last push
    /// or by being opened once.
    async fn converge(mut self, by_push: bool) {
        self.place.doubles().clear_faults();
        for phone in &self.phones {
            let awake = DevicePatch {
                online: Some(true),
                low_power: Some(false),
                doze: Some(false),
                ..DevicePatch::default()
            };
            phone.switch(awake).await;
            if !phone.is_signed_in().await {
                phone.sign_in().await;
            }
        }
        if by_push {
            for user in PEOPLE {
                self.post(user, json!({"priority": "High", "payload": {"visualContent": {"title": "the last"}}}))
                    .await;
            }
        } else {
            for phone in &self.phones {
                phone.pull().await;
            }
        }
        for phone in &self.phones {
            let kept = &self.kept[phone.user.as_str()];
            let what = format!("{} holds what the hub holds", phone.endpoint);
            let same = || async {
                let me = phone.me().await;
                (me.held == *kept).then_some(())
            };
            if tokio::time::timeout(std::time::Duration::from_secs(19), eventually(&what, same))
                .await
                .is_err()
            {
                let held = phone.me().await.held.clone();
                assert_eq!(held, *kept, "{what}");
            }
        }
        self.check().await;
        for task in std::mem::take(&mut self.tasks) {
            if task.is_finished() {
                task.await.unwrap();
            } else {
                task.abort();
            }
        }
        self.place.take().finish().await;
    }
}

async fn walk(place: Place, seed: u64, steps: usize) {
    let _seed = Seed(seed);
    let began = Instant::now();
    let mut world = World::begin(place, seed).await;
    for _ in 0..steps {
        world.step().await;
    }
    let (posted, restarts) = (world.posted, world.restarts);
    world.converge(seed % 2 == 1).await;
    println!(
        "seed {seed}: {steps} steps, {posted} posts, {restarts} restarts, {:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn all_devices_converge_and_nobody_is_ever_forgotten() {
    for seed in seeds(&[1, 2, 3, 4, 5, 6]) {
        walk(
            Place::Inside(Some(
                TestHub::with(beckon::clock::Clock::system(), place::quick).await,
            )),
            seed,
            120,
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_devices_converge_through_kills() {
    for seed in seeds(&[7, 8, 9, 10]) {
        walk(Place::Child(Some(ChildHub::start().await)), seed, 120).await;
    }
}
