//! Posting over HTTP, against what the store and the disk do by themselves: how many notifications come to be on disk
//! in a second, and how long each takes, from 1, 16, 128 and 1 024 clients that keep their connections, to 1 000 people
//! without devices.
//!
//! The bound is the store's: as many callers, each handing over a unit of the rows that such a post writes and waiting
//! for it. A group commit is one batch of as many units as there are clients. Clients, hub and store share the cores.
//!
//! What there is for the hub to win or lose shows beside a handler that reads the same requests and does nothing: nobody who
//! answers each and writes its rows on these cores is faster than the two one after the other.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

#[allow(dead_code, reason = "each bench uses some of it")]
mod support;

use std::{
    fs::File,
    io::Write as _,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use beckon::{
    doubles::Service,
    hub::Hub,
    model::{AppHost, Scope},
    store::{Batch, Store, Unit},
};
use support::{
    APP, bare,
    http::{Connection, request},
    load::{self, Load, Meter},
    registration,
    report::{Report, Row, Spread, Target},
    rows::{self, Person},
    start_plain_hub, subject,
};

const CLIENTS: [usize; 4] = [1, 16, 128, 1024];
/// With how many of them the targets are to be met.
const AIMED: usize = 128;
const PEOPLE: usize = 1000;
const RUNS: usize = 3;
const SPAN: Duration = Duration::from_secs(3);
/// How many group commits and syncs of the disk are timed in a run.
const SAMPLES: usize = 40;
/// A batch is one group, whatever its size; the committer makes none larger of single units.
const MOST_IN_A_GROUP: usize = 512;

fn main() {
    support::main(run);
}

async fn run() {
    rows::check(registration(Service::Apns, 0)).await;
    let folder = tempfile::tempdir().unwrap();
    let running = start_plain_hub(&folder.path().join("hub")).await;
    let bound = Bound::open(&folder.path().join("bound"));
    let mut report = Report::begin("publish", RUNS);
    let requests = requests(&running.hub).await;
    let handler = bare::serve_nothing();
    let mut levels = Vec::new();
    for clients in CLIENTS {
        let mut samples = Vec::new();
        for _ in 0..RUNS {
            samples.push(Sample {
                posts: posts((running.addr, 201), clients, &requests).await,
                bare: posts((handler, 200), clients, &requests).await,
                store: bound.units(clients).await,
                group: bound.group_commits(clients).await,
                disk: syncs(folder.path()),
            });
        }
        levels.push(Level { clients, samples });
    }
    show(&mut report, &levels);
    report.finish();
    running.stop().await;
    bound.store.close();
}

/// The runs with so many clients.
struct Level {
    clients: usize,
    samples: Vec<Sample>,
}

/// One run.
struct Sample {
    posts: Load,
    bare: Load,
    store: Load,
    group: Load,
    disk: Load,
}

impl Level {
    fn spread(&self, figure: impl Fn(&Sample) -> f64) -> Spread {
        Spread::of(self.samples.iter().map(figure))
    }
}

/// A post to each of the people, as an app server sends it.
async fn requests(hub: &Hub) -> Arc<Vec<Vec<u8>>> {
    const BODY: &str =
        r#"{"priority":"High","payload":{"visualContent":{"title":"Lunch?","body":"At noon."}}}"#;
    let app = AppHost::parse(APP).unwrap();
    let key = hub
        .create_key(&app, None, Scope::Send)
        .await
        .unwrap()
        .secret;
    let post = |nth| {
        let path = format!("/v1/users/person-{nth}/notifications");
        request("POST", &path, key.expose(), BODY)
    };
    Arc::new((0..PEOPLE).map(post).collect())
}

/// Posts to one of the people after the other.
struct AppServer {
    connection: Connection,
    expects: u16,
    requests: Arc<Vec<Vec<u8>>>,
    turn: usize,
}

impl load::Client for AppServer {
    async fn next(&mut self) -> Duration {
        let request = &self.requests[self.turn % PEOPLE];
        self.turn += 1;
        let began = Instant::now();
        let (status, body) = self.connection.ask(request).await;
        assert_eq!(status, self.expects, "{}", String::from_utf8_lossy(body));
        began.elapsed()
    }
}

async fn posts(
    (addr, expects): (SocketAddr, u16),
    clients: usize,
    requests: &Arc<Vec<Vec<u8>>>,
) -> Load {
    let mut servers = Vec::new();
    for client in 0..clients {
        servers.push(AppServer {
            connection: Connection::open(addr).await,
            expects,
            requests: Arc::clone(requests),
            turn: client * PEOPLE / clients,
        });
    }
    load::run(servers, SPAN).await
}

/// The store by itself, with people of its own.
struct Bound {
    store: Store,
    hub: Hub,
    people: Arc<Vec<Mutex<Person>>>,
}

impl Bound {
    fn open(folder: &Path) -> Self {
        let store = rows::open_store(folder);
        let person = |nth| Mutex::new(Person::new(&store, subject(&format!("person-{nth}"))));
        Self {
            hub: rows::hub_of(&store),
            people: Arc::new((0..PEOPLE).map(person).collect()),
            store,
        }
    }

    async fn units(&self, clients: usize) -> Load {
        let caller = |client| Caller {
            store: self.store.clone(),
            hub: self.hub.clone(),
            people: Arc::clone(&self.people),
            turn: client * PEOPLE / clients,
        };
        load::run((0..clients).map(caller).collect(), SPAN).await
    }

    /// One group commit after another, each of as many units as there are clients.
    async fn group_commits(&self, clients: usize) -> Load {
        let (meter, mut took) = (Meter::start(), Vec::new());
        for _ in 0..SAMPLES {
            let people = self.people.iter().take(clients.min(MOST_IN_A_GROUP));
            let batch = Batch {
                units: people.map(|person| unit(person, &self.hub)).collect(),
                ..Batch::default()
            };
            let began = Instant::now();
            self.store.commit_batch(batch, Vec::new()).await.unwrap();
            took.push(began.elapsed());
        }
        meter.stop(took)
    }
}

/// Hands over one unit after another.
struct Caller {
    store: Store,
    hub: Hub,
    people: Arc<Vec<Mutex<Person>>>,
    turn: usize,
}

impl load::Client for Caller {
    async fn next(&mut self) -> Duration {
        let unit = unit(&self.people[self.turn % PEOPLE], &self.hub);
        self.turn += 1;
        let began = Instant::now();
        self.store
            .submit(unit)
            .await
            .unwrap()
            .written()
            .await
            .unwrap();
        began.elapsed()
    }
}

/// What a post to this person writes.
fn unit(person: &Mutex<Person>, hub: &Hub) -> Unit {
    let (mut person, now) = (person.lock().unwrap(), hub.now());
    person.post(now);
    person.unit()
}

/// The disk by itself: 4 KiB appended to a file and synced, again and again.
fn syncs(folder: &Path) -> Load {
    let mut file = File::create(folder.join("plain")).unwrap();
    let (meter, mut took) = (Meter::start(), Vec::new());
    for _ in 0..SAMPLES {
        let began = Instant::now();
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
        took.push(began.elapsed());
    }
    meter.stop(took)
}

fn show(report: &mut Report, levels: &[Level]) {
    let of_posts = levels.iter().map(|level| Row {
        case: level.clients.to_string(),
        figures: vec![
            ("creates/s", level.spread(|it| it.posts.per_sec)),
            ("p50 ms", level.spread(|it| it.posts.millis(500))),
            ("p99 ms", level.spread(|it| it.posts.millis(990))),
            ("p99.9 ms", level.spread(|it| it.posts.millis(999))),
            ("CPU-µs each", level.spread(|it| it.posts.cpu_micros)),
        ],
    });
    report.table("posts over HTTP: clients", &of_posts.collect::<Vec<_>>());
    let of_bare = levels.iter().map(|level| Row {
        case: level.clients.to_string(),
        figures: vec![
            ("answers/s", level.spread(|it| it.bare.per_sec)),
            ("p50 ms", level.spread(|it| it.bare.millis(500))),
            ("p99 ms", level.spread(|it| it.bare.millis(990))),
            ("CPU-µs each", level.spread(|it| it.bare.cpu_micros)),
        ],
    });
    report.table(
        "a handler that does nothing: clients",
        &of_bare.collect::<Vec<_>>(),
    );
    let of_bounds = levels.iter().map(|level| Row {
        case: level.clients.to_string(),
        figures: vec![
            ("units/s", level.spread(|it| it.store.per_sec)),
            ("p50 ms", level.spread(|it| it.store.millis(500))),
            ("p99 ms", level.spread(|it| it.store.millis(990))),
            ("CPU-µs each", level.spread(|it| it.store.cpu_micros)),
            (
                "group commit p50 ms",
                level.spread(|it| it.group.millis(500)),
            ),
            (
                "fdatasync of 4 KiB p50 ms",
                level.spread(|it| it.disk.millis(500)),
            ),
        ],
    });
    report.table(
        "store and disk alone: callers",
        &of_bounds.collect::<Vec<_>>(),
    );
    levels.iter().for_each(|level| show_ratios(report, level));
}

fn show_ratios(report: &mut Report, level: &Level) {
    let clients = level.clients;
    let (at_least, at_most) = if clients == AIMED {
        (Target::AtLeast(0.7), Target::AtMost(5.0))
    } else {
        (Target::None, Target::None)
    };
    report.ratio(
        (
            &format!("publish at {clients} clients"),
            "of the store's own rate",
        ),
        level.spread(|it| it.posts.per_sec / it.store.per_sec),
        at_least,
    );
    // A second of the cores goes to the handler's work and the store's, one after the other.
    let both = |it: &Sample| 1.0 / (1.0 / it.bare.per_sec + 1.0 / it.store.per_sec);
    report.ratio(
        (
            &format!("the handler that does nothing and the store together at {clients} clients"),
            "of the store's own rate",
        ),
        level.spread(|it| both(it) / it.store.per_sec),
        Target::None,
    );
    report.ratio(
        (
            &format!("publish at {clients} clients"),
            "of what the two come to together",
        ),
        level.spread(|it| it.posts.per_sec / both(it)),
        Target::None,
    );
    report.ratio(
        (
            &format!("CPU of a post at {clients} clients, theirs too"),
            "times that of the store for its unit",
        ),
        level.spread(|it| it.posts.cpu_micros / it.store.cpu_micros),
        Target::None,
    );
    report.ratio(
        (
            &format!("p99 of publish at {clients} clients"),
            "median group commits",
        ),
        level.spread(|it| it.posts.millis(990) / it.group.millis(500)),
        at_most,
    );
}
