//! What a simulation is about: people, their devices, what their app posts, and what must be so at every moment.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tempfile::TempDir;
use tokio::sync::Notify;

use super::{
    acts::Job,
    device::{self, Device, Essence},
    doubt::Doubt,
    network::Network,
    time::Belief,
};
use crate::{
    config::{self, Config},
    doubles::{Handle, NewDevice, Service, inside::Inside},
    hub::Hub,
    model::{AppHost, EndpointId, FeedPosition, NotificationId, Subject, Timestamp, UserId},
    store::Rows,
};

pub(super) const PEOPLE: [&str; 2] = ["ada", "bob"];
const APP: &str = "todo.example";
/// Where simulated time begins, in milliseconds since 1970.
const BEGIN: u64 = 1_800_000_000_000;

/// Everything that outlives the hub's process.
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) random: StdRng,
    pub(super) rows: Rows,
    /// The true time, when the last process ended.
    pub(super) now: Timestamp,
    /// The true time when this one began.
    pub(super) started: Timestamp,
    pub(super) belief: Belief,
    pub(super) config: Config,
    pub(super) network: Arc<Network>,
    pub(super) devices: Vec<Arc<Device>>,
    /// What is acknowledged, by person.
    pub(super) kept: BTreeMap<&'static str, BTreeMap<NotificationId, Essence>>,
    pub(super) names: BTreeMap<(&'static str, String), NotificationId>,
    pub(super) doubt: Mutex<BTreeMap<&'static str, Doubt>>,
    /// Rings when something is in doubt.
    pub(super) begun: Arc<Notify>,
    /// How often a kill came in the midst of an operation.
    pub(super) doubted: u64,
    pub(super) job: Mutex<Option<Job>>,
    pub(super) log: Vec<String>,
    pub(super) posted: u64,
    pub(super) vapid: String,
    _folder: TempDir,
}

impl World {
    pub(super) fn new(seed: u64, keys: &TempDir) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(keys.path()).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        let now = Timestamp::from_millis(BEGIN);
        let inside = Inside::open(folder.path()).unwrap();
        let network = Network::new(inside, seed);
        network.set_time(now);
        let mut random = StdRng::seed_from_u64(seed);
        let concurrency = [1, 1, 1, 64][random.random_range(0..4)];
        Self {
            seed,
            random,
            rows: Rows::none(),
            now,
            started: now,
            belief: Belief::default(),
            config: config_of(&folder, &network.handle(), concurrency),
            network,
            devices: Vec::new(),
            kept: PEOPLE.map(|user| (user, BTreeMap::new())).into(),
            names: BTreeMap::new(),
            doubt: Mutex::default(),
            begun: Arc::default(),
            doubted: 0,
            job: Mutex::default(),
            log: Vec::new(),
            posted: 0,
            vapid: String::new(),
            _folder: folder,
        }
    }

    /// Makes everybody's devices; browsers subscribe with the app's key.
    pub(super) fn unpack(&mut self, vapid: String) {
        self.vapid = vapid;
        for user in PEOPLE {
            for service in Service::ALL {
                if self.random.random_range(0..4) == 0 && service != Service::Apns {
                    continue;
                }
                let double = make(&self.network.handle(), service, &self.vapid);
                let endpoint = EndpointId::parse(&format!("{user}-{service:?}")).unwrap();
                let random = StdRng::seed_from_u64(self.random.random());
                let network = Arc::clone(&self.network);
                let device = Device::new((subject(user), endpoint), double, (network, random));
                self.connect(&device);
                self.devices.push(device);
            }
        }
    }

    /// Has the network find a device by its present channel.
    pub(super) fn connect(&self, device: &Arc<Device>) {
        let double = device.with(|memory| memory.double.clone());
        let (_, named) = device::channel(&double);
        let inbox = Arc::clone(&device.inbox);
        let who = (device.endpoint.as_str(), double.id.as_str());
        self.network.connect(who, named, inbox);
    }

    pub(super) fn note(&mut self, now: Timestamp, what: impl std::fmt::Display) {
        self.log.push(format!("{now} {what}"));
    }

    /// What must be so at every moment.
    pub(super) async fn check(&mut self, hub: &Hub) {
        self.check_time(hub);
        for user in PEOPLE {
            let forgotten = hub.forgotten(subject(user)).await.unwrap();
            for id in &forgotten {
                let device = self.devices.iter().find(|it| it.endpoint == *id);
                device.expect("only devices of ours").explain(hub).await;
                let reader = hub.store().reader();
                eprintln!("first marker {:?}", reader.first_marker(&subject(user)));
            }
            let names: Vec<&str> = forgotten.iter().map(EndpointId::as_str).collect();
            assert!(names.is_empty(), "{names:?} is forgotten at {}", hub.now());
        }
        let faults = self.network.faults();
        assert!(faults.is_empty(), "{faults:#?}");
        self.check_channels(hub).await;
        self.check_fallbacks(hub).await;
        self.check_ladder(hub).await;
    }
}

pub(super) fn subject(user: &str) -> Subject {
    Subject {
        app: AppHost::parse(APP).unwrap(),
        user: UserId::parse(user).unwrap(),
    }
}

/// What the app's server sees of a person.
pub(super) async fn listed(hub: &Hub, user: &str) -> BTreeMap<NotificationId, Essence> {
    let mut all = BTreeMap::new();
    let mut before: Option<FeedPosition> = None;
    loop {
        let asked = hub.history(subject(user), crate::hub::Filter::default(), 1000, before);
        let page = asked.await.expect("a history can be read");
        all.extend(page.items.iter().map(|it| (it.id, device::essence(it))));
        match page.next {
            Some(next) => before = Some(next),
            None => return all,
        }
    }
}

pub(super) fn make(handle: &Handle, service: Service, vapid: &str) -> crate::doubles::Device {
    let wanted = match service {
        Service::WebPush => NewDevice::browser(vapid),
        other => NewDevice::of(other),
    };
    handle.add_device(wanted).unwrap()
}

fn config_of(folder: &TempDir, handle: &Handle, concurrency: usize) -> Config {
    let services = handle.settings().app_toml();
    let text = format!("[[app]]\nhost = \"{APP}\"\n{services}");
    let file = folder.path().join("config.toml");
    std::fs::write(&file, text).unwrap();
    let mut config = config::load(Some(&file), std::iter::empty()).unwrap();
    config.delivery.min_fallback_delay = Duration::from_secs(1);
    // Few at a time, so that pushes wait in their lanes and what they are about changes meanwhile.
    config.delivery.concurrency = concurrency;
    config.server.limits.notifications_per_user = 60;
    config
}
