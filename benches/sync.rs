//! From a person's act on one device to the others: how long after a `PATCH` is sent until the tap for another device has come
//! in at its push service, and until the event is there on the open stream of a third; with nothing else going on, and while a
//! broadcast goes to 30 000 people, a tenth of them with a phone (`BECKON_BENCH_PEOPLE` for another number).
//!
//! 200 people take turns, so that no device is tapped twice a second: with a tablet that acts, a phone at FCM, which pulls after
//! each tap since one that does not answer is left alone, and a desk that listens. The double says when it had each push in
//! whole (`support::arrivals`). One sample follows another at a fixed pace, once all of the last has come. The broadcast is
//! for phones at APNs: so each arrival at FCM is a sample's, and waits for store, dispatch and cores with the broadcast's,
//! but in no lane behind them.
//!
//! The bound, in turn with the idle samples: the same client asking an actix handler that does nothing, and a commit of what a
//! `PATCH` writes in a store of its own. Clients, hub and bound share the cores.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

#[allow(dead_code, reason = "each bench uses some of it")]
mod support;

use std::{
    env,
    net::SocketAddr,
    path::Path,
    process::Child,
    time::{Duration, Instant},
};

use beckon::{
    doubles::Service,
    hub::{Hub, Registration},
    model::{Channel, Draft, EndpointId, NotificationId, Platform, Subject},
    serve::Running,
    store::Store,
};
use support::{
    arrivals::{self, Arrivals},
    bare,
    broadcasts::{broadcast, quiet, write_audience},
    config_on_doubles, cores, draft,
    events::EventStream,
    http::{Connection, request},
    load::{Load, Meter},
    registration,
    report::{Report, Row, Spread, Target},
    rows::{self, Person},
    subject,
};
use tokio::time::{Interval, MissedTickBehavior};

const PEOPLE: usize = 200;
/// To how many a broadcast goes, beside these.
const CROWD: usize = 30_000;
const PHONE_EVERY: usize = 10;
const RUNS: usize = 3;
/// How many samples are taken while nothing else goes on.
const IDLE: usize = 1000;
/// With so many people in turn, each is tapped every 4 s.
const PACE: Duration = Duration::from_millis(20);
/// How long a sample may take.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    support::main(run);
}

async fn run() {
    let crowd = env::var("BECKON_BENCH_PEOPLE").map_or(CROWD, |text| text.parse().unwrap());
    rows::check(registration(Service::Apns, 0)).await;
    let folder = tempfile::tempdir().unwrap();
    write_audience(&folder.path().join("store"), crowd, PHONE_EVERY).await;
    let mut bench = Bench::start(folder.path()).await;
    let mut bound = Bound::start(&folder.path().join("bound")).await;
    let mut report = Report::begin("sync", RUNS);
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        quiet(&bench.running.hub).await;
        let (idle, least) = bench.idle(&mut bound).await;
        let began = Instant::now();
        let busy = bench.during_broadcast().await;
        runs.push(Run {
            idle,
            least,
            busy,
            broadcast_per_sec: crowd as f64 / began.elapsed().as_secs_f64(),
        });
    }
    show(&mut report, &runs);
    report.finish();
    bound.store.close();
    bench.stop().await;
}

/// How long it all took, sorted: to the answer, to the event, to the tap.
struct Samples {
    answers: Load,
    events: Load,
    taps: Load,
}

/// The bound's.
struct Least {
    handler: Load,
    commit: Load,
}

struct Run {
    idle: Samples,
    least: Least,
    busy: Samples,
    broadcast_per_sec: f64,
}

/// Someone with three devices.
struct Someone {
    /// The tablet's requests: to mark their notification as read, and as unread.
    acts: [Vec<u8>; 2],
    acted: usize,
    /// The phone's.
    pull: Vec<u8>,
    /// The desk's.
    stream: EventStream,
    /// What an event of their notification holds.
    sign: String,
}

struct Bench {
    running: Running,
    doubles: Child,
    arrivals: Arrivals,
    connection: Connection,
    people: Vec<Someone>,
    turn: usize,
}

impl Bench {
    async fn start(folder: &Path) -> Self {
        let (doubles, arrivals) = arrivals::start_doubles(folder);
        let running = support::start(config_on_doubles(folder), cores()).await;
        let mut people = Vec::new();
        for nth in 0..PEOPLE {
            people.push(Someone::begin(&running, subject(&format!("person-{nth}"))).await);
        }
        let mut bench = Self {
            connection: Connection::open(running.addr).await,
            running,
            doubles,
            arrivals,
            people,
            turn: 0,
        };
        // Each was tapped for the notification, and holds it from here on.
        for nth in 0..PEOPLE {
            bench.arrivals.next().await;
            ask(&mut bench.connection, &bench.people[nth].pull).await;
        }
        bench
    }

    async fn idle(&mut self, bound: &mut Bound) -> (Samples, Least) {
        let (mut taken, mut pace) = (Taken::default(), pace());
        let (mut handler, mut commit) = (Vec::new(), Vec::new());
        let mut connection = Connection::open(bound.handler).await;
        for _ in 0..IDLE {
            pace.tick().await;
            handler.push(ask(&mut connection, &self.people[0].acts[0]).await);
            commit.push(bound.commit().await);
            taken.add(self.sample().await);
        }
        let [handler, commit] = [handler, commit].map(|took| Meter::start().stop(took));
        (taken.samples(), Least { handler, commit })
    }

    async fn during_broadcast(&mut self) -> Samples {
        let broadcast = tokio::spawn(post_to_all(self.running.hub.clone()));
        let (mut taken, mut pace) = (Taken::default(), pace());
        while !broadcast.is_finished() {
            pace.tick().await;
            taken.add(self.sample().await);
        }
        broadcast.await.unwrap();
        taken.samples()
    }

    /// The next person acts; how long it takes to the answer, the event and the tap.
    async fn sample(&mut self) -> [Duration; 3] {
        assert!(!self.arrivals.any(), "a tap that nobody has caused");
        let someone = &mut self.people[self.turn % PEOPLE];
        self.turn += 1;
        let act = &someone.acts[someone.acted % 2];
        someone.acted += 1;
        let (began, by_wall) = (Instant::now(), arrivals::now());
        let answered = ask(&mut self.connection, act);
        let told = async { someone.stream.until(someone.sign.as_bytes()).await - began };
        let tapped = async {
            let at = self.arrivals.next().await;
            at.duration_since(by_wall).unwrap_or_default()
        };
        let all = async { tokio::join!(answered, told, tapped) };
        let (answer, event, tap) = tokio::time::timeout(PATIENCE, all).await.unwrap();
        // To the event's end, so that the next is not taken for this one.
        someone.stream.until(b"\n\n").await;
        ask(&mut self.connection, &someone.pull).await;
        [answer, event, tap]
    }

    async fn stop(mut self) {
        drop(self.people);
        self.running.stop().await;
        drop(self.doubles.stdin.take());
        self.doubles.wait().unwrap();
    }
}

fn pace() -> Interval {
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}

/// Asks, and says how long it took to the answer.
async fn ask(connection: &mut Connection, request: &[u8]) -> Duration {
    let began = Instant::now();
    let (status, body) = connection.ask(request).await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(body));
    began.elapsed()
}

/// Samples while they are taken.
#[derive(Default)]
struct Taken([Vec<Duration>; 3]);

impl Taken {
    fn add(&mut self, sample: [Duration; 3]) {
        for (took, one) in self.0.iter_mut().zip(sample) {
            took.push(one);
        }
    }

    fn samples(self) -> Samples {
        let [answers, events, taps] = self.0.map(|took| Meter::start().stop(took));
        Samples {
            answers,
            events,
            taps,
        }
    }
}

impl Someone {
    async fn begin(running: &Running, subject: Subject) -> Self {
        let hub = &running.hub;
        let phone = registration(Service::Fcm, 0);
        let devices = [without_channel("tablet"), phone, without_channel("desk")];
        let mut tokens = Vec::new();
        for device in devices {
            let id = Some(device.id.clone());
            hub.register(subject.clone(), device).await.unwrap();
            let minted = hub.mint_token(subject.clone(), id, None, None).await;
            tokens.push(minted.unwrap().secret);
        }
        let id = hub.create(subject, draft(), None).await.unwrap().id;
        let [tablet, phone, desk] = &tokens[..] else {
            unreachable!("there are three devices");
        };
        let stream = "/v1/me/notifications/stream";
        let delta = "/v1/me/notifications/delta";
        Self {
            acts: ["read", "unread"].map(|state| act(id, state, tablet.expose())),
            acted: 0,
            pull: request("GET", delta, phone.expose(), ""),
            stream: EventStream::open(running.addr, stream, desk.expose()).await,
            sign: format!("\"id\":\"{id}\""),
        }
    }
}

fn act(id: NotificationId, state: &str, token: &str) -> Vec<u8> {
    let path = format!("/v1/me/notifications/{id}");
    let body = format!(r#"{{"readState":"{state}"}}"#);
    request("PATCH", &path, token, &body)
}

fn without_channel(name: &str) -> Registration {
    Registration {
        id: EndpointId::parse(name).unwrap(),
        platform: Platform::Android,
        channel: Channel::None,
        ..registration(Service::Fcm, 0)
    }
}

async fn post_to_all(hub: Hub) {
    let draft = Draft {
        platforms: Some(vec![Platform::Ios]),
        ..draft()
    };
    broadcast(&hub, draft).await;
}

/// A handler that does nothing, and a store.
struct Bound {
    handler: SocketAddr,
    store: Store,
    hub: Hub,
    person: Person,
    device: EndpointId,
}

impl Bound {
    async fn start(folder: &Path) -> Self {
        let store = rows::open_store(folder);
        let hub = rows::hub_of(&store);
        let mut person = Person::new(&store, subject("someone"));
        person.post(hub.now());
        store.commit(person.unit()).await.unwrap();
        Self {
            handler: bare::serve_nothing(),
            store,
            hub,
            person,
            device: EndpointId::parse("tablet").unwrap(),
        }
    }

    async fn commit(&mut self) -> Duration {
        let now = self.hub.now();
        self.person.turn(&self.device, now);
        self.person.mark(now);
        let unit = self.person.unit();
        let began = Instant::now();
        self.store.commit(unit).await.unwrap();
        began.elapsed()
    }
}

fn show(report: &mut Report, runs: &[Run]) {
    let line = |case: &str, of: fn(&Run) -> &Load| Row {
        case: case.to_owned(),
        figures: vec![
            ("p50 ms", spread(runs, |run| of(run).millis(500))),
            ("p99 ms", spread(runs, |run| of(run).millis(990))),
        ],
    };
    let idle = [
        line("a handler that does nothing", |run| &run.least.handler),
        line("a commit of the same rows", |run| &run.least.commit),
        line("the answer", |run| &run.idle.answers),
        line("the event on another's stream", |run| &run.idle.events),
        line("the tap at FCM", |run| &run.idle.taps),
    ];
    report.table("a PATCH, with nothing else going on", &idle);
    let busy = [
        line("the answer", |run| &run.busy.answers),
        line("the event on another's stream", |run| &run.busy.events),
        line("the tap at FCM", |run| &run.busy.taps),
    ];
    report.table("a PATCH, during a broadcast", &busy);
    let broadcast = Row {
        case: String::from("people posted to"),
        figures: vec![("a second", spread(runs, |run| run.broadcast_per_sec))],
    };
    report.table("the broadcast", &[broadcast]);
    show_ratios(report, "event", (runs, |samples| &samples.events));
    show_ratios(report, "tap", (runs, |samples| &samples.taps));
}

fn spread(runs: &[Run], figure: impl Fn(&Run) -> f64) -> Spread {
    Spread::of(runs.iter().map(figure))
}

fn show_ratios(report: &mut Report, what: &str, (runs, of): (&[Run], fn(&Samples) -> &Load)) {
    report.ratio(
        (
            &format!("p99 of the {what}, idle"),
            "times the p99 of the bare handler and that of a commit",
        ),
        spread(runs, |run| {
            let least = run.least.handler.millis(990) + run.least.commit.millis(990);
            of(&run.idle).millis(990) / least
        }),
        Target::AtMost(3.0),
    );
    report.ratio(
        (
            &format!("p99 of the {what}, during a broadcast"),
            "times the idle one",
        ),
        spread(runs, |run| {
            of(&run.busy).millis(990) / of(&run.idle).millis(990)
        }),
        Target::AtMost(5.0),
    );
}
