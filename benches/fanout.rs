//! Fan-out: from posts to taps that the push services took. People with 1 to 1 000 devices, at each service and at all
//! four, tapped over HTTP/2 and TLS at the doubles, which run as a process of their own with their checks off.
//!
//! The bound, in the same run: the same pushes in a bare loop through the same adapters, with nothing to decide and
//! nothing to keep. And the account: what a tap costs in CPU time is a bare push, the rows that were written for it at
//! the store's own price (that of the same rows, of as many callers and people, in a store by itself), and the rest, which
//! is ours. The hub's part of the CPU is that of this process, which also posts.
//!
//! `BECKON_BENCH_PEOPLE` says how many people the largest case has; 100 000. `cargo bench --bench fanout -- '1 × 1000'` runs
//! the cases alone whose names have that in them.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

#[allow(dead_code, reason = "each bench uses some of it")]
mod support;

use std::{
    env, fs,
    path::Path,
    time::{Duration, Instant},
};

use beckon::{
    doubles::Service,
    hub::Hub,
    metrics::PushLabels,
    model::{ChannelKind, EndpointId, Marker, Timestamp},
    serve::Running,
    store::Store,
};
use support::{
    draft,
    load::Meter,
    pushes::{Bare, Hosts, Pushes},
    report::{Report, Row, Spread, Target},
    rows::{self, Person},
    start_doubles, start_hub, subject,
};
use tokio::task::JoinSet;

const RUNS: usize = 3;
const PEOPLE: usize = 100_000;
/// Posts under way at a time, as of so many app servers.
const POSTERS: usize = 64;
/// How long the store has to stand still until what a case wrote is all written.
const QUIET: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(300);
const ALL: [Service; 4] = Service::ALL;
/// What one person with so many devices should reach of the bare loop.
const MANY_DEVICES: usize = 1000;

fn main() {
    support::main(run);
}

async fn run() {
    let people = env::var("BECKON_BENCH_PEOPLE").map_or(PEOPLE, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut child = start_doubles(folder.path());
    let hosts = Hosts::read(folder.path());
    let mut report = Report::begin("fanout", RUNS);
    let mut measured = Vec::new();
    let wanted = env::args().skip(1).find(|it| !it.starts_with('-'));
    for case in cases(people) {
        if wanted.as_ref().is_some_and(|it| !case.name().contains(it)) {
            continue;
        }
        let mut samples = Vec::new();
        for _ in 0..if case.people > 10_000 { 1 } else { RUNS } {
            samples.push(sample(folder.path(), &hosts, &case).await);
        }
        measured.push((case, samples));
    }
    show(&mut report, &measured);
    report.finish();
    drop(child.stdin.take());
    child.wait().unwrap();
}

/// So many rounds, one after another, each of one post to each of so many people with so many devices, whose services
/// take turns.
struct Case {
    services: &'static [Service],
    rounds: usize,
    people: usize,
    devices: usize,
}

fn cases(most: usize) -> Vec<Case> {
    let case = |services: &'static [Service], rounds, people, devices| Case {
        services,
        rounds,
        people,
        devices,
    };
    let mut cases = vec![
        case(&ALL[..1], 200, 1, 1),
        case(&ALL[..1], 200, 1, 3),
        case(&ALL[..1], 100, 1, 10),
        case(&ALL[..1], 10, 1, MANY_DEVICES),
    ];
    for services in ALL.chunks(1).chain([&ALL[..]]) {
        cases.push(case(services, 5, 1000, 1));
        cases.push(case(services, 5, 1000, 3));
    }
    cases.push(case(&ALL[..1], 1, most, 1));
    cases
}

impl Case {
    fn taps(&self) -> usize {
        self.rounds * self.people * self.devices
    }

    fn name(&self) -> String {
        let names: Vec<String> = self.services.iter().map(|it| format!("{it:?}")).collect();
        format!("{} × {} {}", self.people, self.devices, names.join("+"))
    }
}

struct Sample {
    fan_out: FanOut,
    bare: Pushes,
    /// CPU-µs of a row.
    row: f64,
}

/// One run, of a hub of its own: a row costs more, the more there are.
async fn sample(folder: &Path, hosts: &Hosts, case: &Case) -> Sample {
    let running = start_hub(folder).await;
    let pushes = case.taps().min(20_000);
    let sample = Sample {
        fan_out: fan_out(&running, hosts, case).await,
        bare: Bare::new(&running, hosts)
            .pushes(case.services, pushes)
            .await,
        row: row_price(case, hosts).await,
    };
    running.stop().await;
    fs::remove_dir_all(folder.join("store")).unwrap();
    sample
}

struct FanOut {
    taps_per_sec: f64,
    cpu_micros: f64,
    rows: f64,
    rows_a_post: f64,
    /// CPU-µs a tap of the threads that write the store.
    writing: f64,
    commits_per_sec: f64,
}

impl Sample {
    /// The account of one tap, in CPU-µs: bare, rows, ours.
    fn account(&self) -> (f64, f64, f64) {
        let (bare, rows) = (self.bare.cpu_micros, self.fan_out.rows * self.row);
        (bare, rows, self.fan_out.cpu_micros - bare - rows)
    }
}

async fn fan_out(running: &Running, hosts: &Hosts, case: &Case) -> FanOut {
    let hub = &running.hub;
    let mut rounds = Vec::new();
    for round in 0..case.rounds {
        rounds.push(register(hub.store(), hosts, (case, &format!("{round}")), hub).await);
    }
    settled(hub).await;
    let (before, taken) = (hub.store().stats(), accepted(running));
    let (meter, began) = (Meter::start(), Instant::now());
    let mut expected = taken;
    for people in rounds {
        expected += (case.people * case.devices) as u64;
        post_to_all(hub, people).await;
        while accepted(running) < expected {
            assert!(began.elapsed() < PATIENCE, "taps are missing");
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }
    let took = began.elapsed().as_secs_f64();
    settled(hub).await;
    let (cpu, writing) = (meter.cpu(), meter.writing());
    let after = hub.store().stats();
    let (taps, posts) = (case.taps() as f64, (case.rounds * case.people) as f64);
    let rows = (after.rows - before.rows) as f64;
    FanOut {
        taps_per_sec: taps / took,
        cpu_micros: cpu.as_secs_f64() * 1e6 / taps,
        writing: writing.as_secs_f64() * 1e6 / taps,
        rows: rows / taps,
        rows_a_post: rows / posts,
        commits_per_sec: (after.commits - before.commits) as f64 / took,
    }
}

/// Fresh people with fresh devices, since a device that has not answered its last tap is left alone.
async fn register(
    store: &Store,
    hosts: &Hosts,
    (case, name): (&Case, &str),
    hub: &Hub,
) -> Vec<Person> {
    let now = hub.now();
    let mut people: Vec<Person> = (0..case.people)
        .map(|nth| Person::new(store, subject(&format!("{name} {nth}"))))
        .collect();
    let units = people.iter_mut().enumerate().flat_map(|(nth, person)| {
        let mut units = Vec::new();
        for device in 0..case.devices {
            let service = case.services[(nth + device) % case.services.len()];
            person.register(hosts.registration(service, device), now);
            if device % 50 == 49 {
                units.push(person.unit());
            }
        }
        units.push(person.unit());
        units
    });
    rows::write_all(store, units).await;
    people
}

async fn post_to_all(hub: &Hub, people: Vec<Person>) {
    let mut posts = JoinSet::new();
    for person in people {
        while posts.len() >= POSTERS {
            posts.join_next().await;
        }
        let hub = hub.clone();
        let subject = person.subject().clone();
        posts.spawn(async move { hub.create(subject, draft(), None).await.unwrap() });
    }
    while let Some(posted) = posts.join_next().await {
        posted.unwrap();
    }
}

/// Waits until nothing is written any more.
async fn settled(hub: &Hub) {
    let mut last = hub.store().stats().commits;
    loop {
        tokio::time::sleep(QUIET).await;
        let now = hub.store().stats().commits;
        if now == last {
            return;
        }
        last = now;
    }
}

/// How many pushes were accepted so far, as the hub counts them.
fn accepted(running: &Running) -> u64 {
    let of_service = |kind: ChannelKind| {
        running.metrics.pushes(&PushLabels {
            service: kind.as_str(),
            outcome: "accepted",
        })
    };
    ChannelKind::SERVICES.into_iter().map(of_service).sum()
}

/// CPU-µs of a row in the store alone: the rows that a case writes, to a store of its own with as many people, by as
/// many callers.
async fn row_price(case: &Case, hosts: &Hosts) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let store = rows::open_store(folder.path());
    let hub = rows::hub_of(&store);
    let mut rounds = Vec::new();
    for round in 0..case.rounds {
        rounds.push(register(&store, hosts, (case, &format!("{round}")), &hub).await);
    }
    let before = store.stats().rows;
    let meter = Meter::start();
    for people in rounds {
        let (mut posts, mut taps) = (JoinSet::new(), JoinSet::new());
        for mut person in people {
            while posts.len() >= POSTERS {
                taps.spawn(settle(
                    posts.join_next().await.unwrap().unwrap(),
                    case.devices,
                ));
            }
            let (store, now) = (store.clone(), hub.now());
            posts.spawn(async move {
                person.post(now);
                let marker = person.mark(now);
                store.commit(person.unit()).await.unwrap();
                (store, person, marker)
            });
        }
        while let Some(posted) = posts.join_next().await {
            taps.spawn(settle(posted.unwrap(), case.devices));
        }
        taps.join_all().await;
    }
    let cpu = meter.cpu().as_secs_f64() * 1e6;
    let price = cpu / (store.stats().rows - before) as f64;
    store.close();
    price
}

/// What becomes of a post's taps, all accepted, and of the look that found them due.
async fn settle((store, person, marker): (Store, Person, Marker), devices: usize) {
    let mut under_way = Vec::new();
    for device in 0..devices {
        let device = EndpointId::parse(&format!("device-{device}")).unwrap();
        let unit = person.tapped(&device, marker.due);
        under_way.push(store.submit(unit).await.unwrap());
    }
    let looked = person.looked(marker, Timestamp::MAX);
    under_way.push(store.submit_at_leisure(looked).await.unwrap());
    for submitted in under_way {
        submitted.written().await.unwrap();
    }
}

fn show(report: &mut Report, measured: &[(Case, Vec<Sample>)]) {
    type Figure = (&'static str, fn(&Sample) -> f64);
    let mut table = |title: &str, figures: &[Figure]| {
        let rows: Vec<Row> = measured
            .iter()
            .map(|(case, samples)| Row {
                case: case.name(),
                figures: figures
                    .iter()
                    .map(|(name, figure)| (*name, Spread::of(samples.iter().map(figure))))
                    .collect(),
            })
            .collect();
        report.table(title, &rows);
    };
    table(
        "fan-out: people × devices",
        &[
            ("taps/s", |it| it.fan_out.taps_per_sec),
            ("CPU-µs a tap", |it| it.fan_out.cpu_micros),
            ("writing alone", |it| it.fan_out.writing),
            ("rows a tap", |it| it.fan_out.rows),
            ("groups/s", |it| it.fan_out.commits_per_sec),
            ("bare pushes/s", |it| it.bare.per_sec),
        ],
    );
    table(
        "the account of a tap, CPU-µs",
        &[
            ("bare push", |it| it.account().0),
            ("its rows", |it| it.account().1),
            ("ours", |it| it.account().2),
            ("a row", |it| it.row),
        ],
    );
    for (case, samples) in measured {
        let spread = |figure: fn(&Sample) -> f64| Spread::of(samples.iter().map(figure));
        let name = case.name();
        let ours = spread(|it| {
            let (bare, rows, ours) = it.account();
            ours / (bare + rows)
        });
        let what = format!("ours at {name}");
        report.ratio((&what, "of bare push and rows"), ours, Target::AtMost(0.5));
        if case.devices == MANY_DEVICES {
            let ratio = spread(|it| it.fan_out.taps_per_sec / it.bare.per_sec);
            let what = format!("taps at {name}");
            report.ratio((&what, "of bare pushes"), ratio, Target::AtLeast(0.6));
        }
    }
    if let [Some(one), Some(ten)] = [1, 10].map(|devices| rows_a_post(measured, devices)) {
        show_rows(report, one, ten);
    }
}

/// How many rows a post to one person with so many devices writes.
fn rows_a_post(measured: &[(Case, Vec<Sample>)], devices: usize) -> Option<f64> {
    let (_, samples) = measured
        .iter()
        .find(|(case, _)| case.people == 1 && case.devices == devices)?;
    Some(Spread::of(samples.iter().map(|it| it.fan_out.rows_a_post)).median)
}

/// What a post and each further endpoint write, from the cases of one person with 1 and with 10.
fn show_rows(report: &mut Report, one: f64, ten: f64) {
    let an_endpoint = (ten - one) / 9.0;
    let a_post = one - an_endpoint;
    let exact = |value| Spread::of([value]);
    report.ratio(("rows", "a post"), exact(a_post), Target::AtMost(6.0));
    report.ratio(
        ("rows", "an endpoint"),
        exact(an_endpoint),
        Target::AtMost(2.0),
    );
}
