//! Fan-out: from posts to taps that the push services took. People with 1 to 1 000 devices, at each service and at all
//! four, tapped over HTTP/2 and TLS at the doubles, which run as a process of their own with their checks off.
//!
//! The bound, in the same run: the same pushes in a bare loop through the same adapters, with nothing to decide and
//! nothing to keep. And the account: what a tap costs in CPU time is a bare push, the rows that were written for it at
//! the store's own price, and the rest, which is ours. The hub's part of the CPU is that of this process, which also posts.
//!
//! `BECKON_BENCH_PEOPLE` says how many people the largest case has; 100 000.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

#[allow(dead_code, reason = "each bench uses some of it")]
mod support;

use std::{
    env,
    time::{Duration, Instant},
};

use beckon::{
    doubles::Service,
    hub::Hub,
    metrics::PushLabels,
    model::{ChannelKind, EndpointId, Subject},
    serve::Running,
    store::{Row as StoreRow, Store, Unit},
};
use support::{
    draft,
    load::Meter,
    pushes::{Bare, Hosts, Pushes},
    report::{Report, Row, Spread, Target},
    rows::{self, Person},
    start_doubles, start_hub, subject,
};

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
    let running = start_hub(folder.path()).await;
    let hosts = Hosts::read(folder.path());
    let bare = Bare::new(&running, &hosts);
    let mut report = Report::begin("fanout", RUNS);
    let mut measured = Vec::new();
    for case in cases(people) {
        let mut samples = Vec::new();
        for run in 0..if case.people > 10_000 { 1 } else { RUNS } {
            samples.push(Sample {
                fan_out: fan_out(&running, &hosts, &case, run).await,
                bare: bare.pushes(case.services, case.taps().min(20_000)).await,
                row: row_price().await,
            });
        }
        measured.push((case, samples));
    }
    show(&mut report, &measured);
    report.finish();
    running.stop().await;
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
        case(&ALL[..1], 3, 1, MANY_DEVICES),
    ];
    for services in ALL.chunks(1).chain([&ALL[..]]) {
        cases.push(case(services, 1, 1000, 1));
        cases.push(case(services, 1, 1000, 3));
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

struct FanOut {
    taps_per_sec: f64,
    cpu_micros: f64,
    rows: f64,
    rows_a_post: f64,
    commits_per_sec: f64,
}

impl Sample {
    /// The account of one tap, in CPU-µs: bare, rows, ours.
    fn account(&self) -> (f64, f64, f64) {
        let (bare, rows) = (self.bare.cpu_micros, self.fan_out.rows * self.row);
        (bare, rows, self.fan_out.cpu_micros - bare - rows)
    }
}

async fn fan_out(running: &Running, hosts: &Hosts, case: &Case, run: usize) -> FanOut {
    let hub = &running.hub;
    let mut rounds = Vec::new();
    for round in 0..case.rounds {
        let name = format!("{} {run} {round}", case.name());
        rounds.push(register(hub.store(), hosts, (case, &name), hub).await);
    }
    settled(hub).await;
    let (before, taken) = (hub.store().stats(), accepted(running));
    let (meter, began) = (Meter::start(), Instant::now());
    let mut expected = taken;
    for subjects in rounds {
        expected += (case.people * case.devices) as u64;
        post_to_all(hub, subjects).await;
        while accepted(running) < expected {
            assert!(began.elapsed() < PATIENCE, "taps are missing");
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }
    let took = began.elapsed().as_secs_f64();
    settled(hub).await;
    let cpu = meter.cpu().as_secs_f64() * 1e6;
    let after = hub.store().stats();
    let (taps, posts) = (case.taps() as f64, (case.rounds * case.people) as f64);
    let rows = (after.rows - before.rows) as f64;
    FanOut {
        taps_per_sec: taps / took,
        cpu_micros: cpu / taps,
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
) -> Vec<Subject> {
    let now = hub.now();
    let subjects: Vec<Subject> = (0..case.people)
        .map(|nth| subject(&format!("{name} {nth}")))
        .collect();
    let units = subjects.iter().enumerate().flat_map(|(nth, subject)| {
        let mut person = Person::new(store, subject.clone());
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
    subjects
}

async fn post_to_all(hub: &Hub, subjects: Vec<Subject>) {
    let mut posts = tokio::task::JoinSet::new();
    for subject in subjects {
        while posts.len() >= POSTERS {
            posts.join_next().await;
        }
        let hub = hub.clone();
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

/// CPU-µs of a row in the store alone: units of two rows, as a settled tap writes, of as many callers as taps may be
/// under way.
async fn row_price() -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let store = rows::open_store(folder.path());
    let before = store.stats().rows;
    let (meter, began) = (Meter::start(), Instant::now());
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..256u32 {
        let store = store.clone();
        callers.spawn(async move {
            let mut done = 0u32;
            while began.elapsed() < Duration::from_secs(1) {
                let mut unit = Unit::of(subject(&format!("{caller}-{done}")));
                for device in ["a", "b"] {
                    let id = EndpointId::parse(device).unwrap();
                    unit.push(StoreRow::TapState(id, Box::default()));
                }
                store.commit(unit).await.unwrap();
                done += 1;
            }
        });
    }
    callers.join_all().await;
    let cpu = meter.cpu().as_secs_f64() * 1e6;
    let price = cpu / (store.stats().rows - before) as f64;
    store.close();
    price
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
    show_rows(report, measured);
}

/// What a post and each further endpoint write, from the cases of one person with 1 and with 10.
fn show_rows(report: &mut Report, measured: &[(Case, Vec<Sample>)]) {
    let of = |devices: usize| {
        let found = measured
            .iter()
            .find(|(case, _)| case.people == 1 && case.devices == devices);
        let samples = found.unwrap().1.iter();
        Spread::of(samples.map(|it| it.fan_out.rows_a_post)).median
    };
    let an_endpoint = (of(10) - of(1)) / 9.0;
    let a_post = of(1) - an_endpoint;
    let exact = |value| Spread::of([value]);
    report.ratio(("rows", "a post"), exact(a_post), Target::AtMost(6.0));
    report.ratio(
        ("rows", "an endpoint"),
        exact(an_endpoint),
        Target::AtMost(2.0),
    );
}
