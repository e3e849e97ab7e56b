//! A replayable simulation: the hub and its dispatcher, over a store in memory, on one thread and a virtual clock; the
//! real adapters, whose requests end in the doubles' own rules; people, devices that behave, a network that does not,
//! a wall clock that leaps and is set right again, and kills. The same seed is the same run.
//!
//! What must hold: nothing acknowledged is lost, and each operation does what was asked and no more, also where a kill
//! came in its midst; at every moment nobody is forgotten (contract 3.2); nothing about what has expired is pushed; of one
//! notification a person never sees two; who is owed a fallback gets it, and nobody else does; nothing is deleted for a
//! time that is doubted (3.8); a delivery's explanation names the failure that was seen; in the end every device holds
//! what the hub holds, by its taps alone; no live channel is dropped and no dead one kept; and when all is over, so are
//! its rows.
//!
//! `BECKON_SEED=7 cargo test simulation` replays one seed; `BECKON_SEEDS=10000 cargo test --release simulation` runs
//! many.

mod accounts;
mod acts;
mod answers;
mod carried;
mod changes;
mod class;
mod device;
mod doubt;
mod fallbacks;
mod ladder;
mod lifetimes;
mod network;
mod promises;
mod pulling;
mod rest;
mod screens;
mod steps;
mod time;
mod weather;
mod world;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tempfile::TempDir;
use tokio::{runtime, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use self::{
    network::Network,
    time::Truth,
    world::{PEOPLE, World, subject},
};
use crate::{
    clock::Clock,
    config::Apps,
    dispatch::{Dispatcher, Load, VapidKeys, chance},
    doubles::{Service, inside::Inside},
    egress::in_process,
    hub::Hub,
    metrics::Metrics,
    model::Timestamp,
    store::Store,
    task,
};

/// How many things happen in a run.
const STEPS: usize = 60;
/// How often what is over is ended. Rarer than in earnest: virtual time passes in leaps.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// One process of the hub.
struct Process {
    hub: Hub,
    vapid: VapidKeys,
    truth: Truth,
    load: Load,
    tasks: Vec<(&'static str, JoinHandle<()>)>,
}

impl Process {
    /// Starts the hub as `serve` does, but for its doors.
    async fn start(world: &mut World, life: u64) -> Self {
        world.started = world.now;
        let clock = Clock::simulated(world.belief.wall(world.now));
        let truth = Truth::beginning_at(world.now);
        let mut random = StdRng::seed_from_u64(world.seed ^ (life << 32));
        chance::loaded::load(Some(StdRng::seed_from_u64(random.random())));
        let disk = move || Duration::from_millis(random.random_range(0..15));
        let store = Store::simulated(&world.rows, disk).expect("the rows are a store's");
        world
            .belief
            .start(world.now, store.reader().last_time().unwrap());
        let config = &world.config;
        let rules = (config.delivery.clone(), config.server.limits);
        let apps = Apps::new(config.apps.clone());
        let hub = Hub::new(store, apps, rules, clock.clone());
        world.network.follow(clock, truth);
        hub.tell_time().await.expect("the store can be told");
        let vapid = VapidKeys::default();
        vapid.load(&hub, &hub.apps().all()).await.unwrap();
        let dispatcher = Dispatcher::new(
            hub.clone(),
            Metrics::default(),
            (vapid.clone(), Default::default()),
        );
        let never = CancellationToken::new();
        let load = dispatcher.load();
        let dispatcher = tokio::spawn(dispatcher.run(never, Duration::ZERO));
        let sweep = tokio::spawn(sweep(hub.clone(), Arc::clone(&world.network)));
        let leaving = {
            let load = load.clone();
            move || load.about_to_leave()
        };
        let jobs = task::broadcasts(hub.clone(), leaving, CancellationToken::new());
        let jobs = tokio::spawn(jobs);
        Self {
            tasks: vec![
                ("dispatcher", dispatcher),
                ("sweep", sweep),
                ("broadcasts", jobs),
            ],
            hub,
            vapid,
            truth,
            load,
        }
    }

    /// Wakes the devices.
    fn attend(&mut self, world: &World) {
        for device in &world.devices {
            let task = tokio::spawn(Arc::clone(device).run(self.hub.clone()));
            self.tasks.push(("a device", task));
        }
    }

    fn assert_well(&self) {
        for (name, task) in &self.tasks {
            assert!(!task.is_finished(), "{name} has ended");
        }
        // What is kept in memory is bounded by who there is, whatever happened.
        let held = self.load.held();
        let (people, apps) = self.hub.locks_kept();
        let few = held.jobs <= PEOPLE.len() && held.steps <= 2 * PEOPLE.len();
        assert!(few && held.timers <= held.jobs, "{held:?}");
        assert!(held.lanes <= Service::ALL.len(), "{held:?}");
        assert!(
            people <= PEOPLE.len() && apps <= 2,
            "{people}, {apps} locks"
        );
    }
}

async fn sweep(hub: Hub, network: Arc<Network>) {
    loop {
        while hub.sweep().await.expect("what is over can be ended").ended > 0 {}
        let kept = task::keep_up(&hub).await;
        kept.expect("the time can be kept");
        let leapt = network.leapt.notified();
        // Within the time or at once, which makes no difference.
        let _either = tokio::time::timeout(SWEEP_EVERY, leapt).await;
    }
}

/// Runs on virtual time; whatever is left running at the end is killed.
fn on_virtual_time<T>(work: impl Future<Output = T>) -> T {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(work)
}

/// Within what time of its beginning an operation is met by a kill: the disk takes about as long.
const SUDDENLY: std::ops::Range<u64> = 0..20;

/// One thing happens. Says whether the process was killed in its midst.
async fn step(world: &mut World, hub: &Hub, sudden: bool) -> bool {
    if !sudden {
        world.step(hub).await;
        return false;
    }
    let begun = Arc::clone(&world.begun);
    let within = Duration::from_millis(world.random.random_range(SUDDENLY));
    let mut begins = std::pin::pin!(begun.notified());
    begins.as_mut().enable();
    let killed = async {
        begins.await;
        tokio::time::sleep(within).await;
    };
    tokio::select! {
        biased;
        () = world.step(hub) => false,
        () = killed => true,
    }
}

/// One life of the process, which ends when nothing is left to do or by a kill at a random moment. Says how many steps
/// are left.
fn live(world: &mut World, life: u64, mut left: usize) -> usize {
    let span = Duration::from_millis(match world.random.random_range(0..3) {
        0 => world.random.random_range(0..2_000),
        1 => world.random.random_range(0..120_000),
        _ => world.random.random_range(0..20_000_000),
    });
    let sudden = world.chance(25);
    on_virtual_time(async {
        let mut process = Process::start(world, life).await;
        let hub = process.hub.clone();
        if world.devices.is_empty() {
            let app = subject(PEOPLE[0]).app;
            world.unpack(process.vapid.public(&app).unwrap());
        }
        world.check_kept(&hub).await;
        process.attend(world);
        if world.log.is_empty() {
            for device in world.devices.clone() {
                world.sign_in(&hub, &device).await;
            }
        }
        let killed = tokio::time::timeout(span, async {
            while left > 0 {
                left -= 1;
                if step(world, &hub, sudden).await {
                    return true;
                }
                world.check(&hub).await;
                process.assert_well();
                world.pause().await;
            }
            false
        });
        let killed = killed.await.unwrap_or(true);
        // The runtime ends with whatever is under way, also where all steps are done.
        let now = world.moment();
        world.now = now.truth;
        world.belief.see(now);
        world.network.killed(now.truth);
        world.note(now.hub, if killed { "killed" } else { "killed, all done" });
    });
    world.be_down();
    left
}

/// One run.
fn run(seed: u64, keys: &TempDir) -> Outcome {
    let mut world = World::new(seed, keys);
    let network = Arc::clone(&world.network);
    in_process::plug_in(move |sent| Box::pin(Arc::clone(&network).carry(sent)));
    let told = Told(&mut world);
    let (mut left, mut life) = (STEPS, 0);
    while left > 0 {
        left = live(told.0, life, left);
        life += 1;
    }
    rest::come_to_rest(told.0, life);
    rest::fade_away(told.0, life + 1);
    in_process::unplug();
    chance::loaded::load(None);
    Outcome {
        lives: life,
        doubted: told.0.doubted,
        posted: told.0.posted,
        requests: told.0.network.requests(),
        ended: told.0.now,
    }
}

/// What a run came to: the same for the same seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Outcome {
    lives: u64,
    /// How many of them ended in the midst of an operation.
    doubted: u64,
    posted: u64,
    requests: u64,
    ended: Timestamp,
}

/// Tells what happened, where a run fails.
struct Told<'a>(&'a mut World);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for line in &self.0.log {
                eprintln!("{line}");
            }
            eprintln!("the run that failed: BECKON_SEED={}", self.0.seed);
        }
    }
}

/// The doubles' keys, made once.
fn keys() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    Inside::open(folder.path()).unwrap();
    folder
}

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().expect("a number"))
    };
    match (number("BECKON_SEED"), number("BECKON_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, many) => 0..many.unwrap_or(16),
    }
}

#[test]
fn simulated_runs_keep_every_promise() {
    let (keys, seeds) = (keys(), seeds());
    let next = AtomicU64::new(seeds.start);
    let [lives, doubted, requests] = [(); 3].map(|()| AtomicU64::new(0));
    let failed = Mutex::new(Vec::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            // The others are run all the same.
            let Ok(outcome) = catch_unwind(AssertUnwindSafe(|| run(seed, &keys))) else {
                failed.lock().unwrap().push(seed);
                continue;
            };
            lives.fetch_add(outcome.lives, Ordering::Relaxed);
            doubted.fetch_add(outcome.doubted, Ordering::Relaxed);
            requests.fetch_add(outcome.requests, Ordering::Relaxed);
        }
    };
    // Each thread has a network, dice and time of its own.
    std::thread::scope(|scope| {
        let many = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..many {
            scope.spawn(work);
        }
    });
    let [lives, doubted, requests] = [lives, doubted, requests].map(AtomicU64::into_inner);
    println!("{seeds:?}: {lives} lives, {doubted} ended in an operation, {requests} requests");
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "{} seeds failed: {failed:?}",
        failed.len()
    );
    assert!(requests > 0, "nothing was pushed");
}

#[test]
fn the_same_seed_is_the_same_run() {
    let keys = keys();
    for seed in [3, 5] {
        assert_eq!(run(seed, &keys), run(seed, &keys), "seed {seed}");
    }
}
