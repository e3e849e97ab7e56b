//! How much memory a hub takes (RSS of the real binary): idle on an empty store; at most during a broadcast to 100 000
//! phones, or its first 40 s; and with 50 000 and with 100 000 taps waiting for a push service that is down, when all were tried or put off.
//!
//! Most of what a hub with much in its store takes is the store's cache (`store.cache_bytes`, 64 MiB), so a waiting tap
//! is counted twice: by all that there is beyond an idle hub, and by what those beyond 50 000 take more.
//! `BECKON_BENCH_PEOPLE` for other numbers than 100 000 and its half.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

#[allow(dead_code, reason = "each bench uses some of it")]
mod support;

use std::{env, fs, path::Path, time::Duration};

use beckon::doubles::Service;
use support::{
    backlog::{copy, fill, nothing_due, start_doubles_here, waiting},
    http::{Connection, request},
    process::{HubProcess, make_key, write_config},
    registration,
    report::{Report, Row, Spread, Target},
    rows,
};

const PEOPLE: usize = 100_000;
const RUNS: usize = 3;
/// How long a broadcast is watched.
const WATCHED: Duration = Duration::from_secs(40);
/// How long a hub has been at rest when its memory is read.
const REST: Duration = Duration::from_secs(2);
const MIB: f64 = (1 << 20) as f64;

fn main() {
    support::main(run);
}

async fn run() {
    let people = env::var("BECKON_BENCH_PEOPLE").map_or(PEOPLE, |text| text.parse().unwrap());
    rows::check(registration(Service::Apns, 0)).await;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let doubles = start_doubles_here(folder).await;
    write_config(folder, Some(&doubles));
    doubles.stop().await;
    fill(&folder.join("phones"), people, false).await;
    fill(&folder.join("half"), people / 2, true).await;
    fill(&folder.join("all"), people, true).await;

    let mut report = Report::begin("memory", RUNS);
    let mut samples = Vec::new();
    for _ in 0..RUNS {
        let (peak, tapped) = broadcast(folder, people).await;
        samples.push(Sample {
            idle: idle(folder).await,
            broadcast: peak,
            tapped,
            half: down(folder, ("half", people / 2)).await,
            all: down(folder, ("all", people)).await,
        });
    }
    show(&mut report, people, &samples);
    report.finish();
}

/// One run, in bytes; and how many phones the broadcast has tapped.
struct Sample {
    idle: f64,
    broadcast: f64,
    tapped: f64,
    half: f64,
    all: f64,
}

/// At rest on an empty store.
async fn idle(folder: &Path) -> f64 {
    let _not_there_the_first_time = fs::remove_dir_all(folder.join("store"));
    let hub = HubProcess::start(folder);
    let mut connection = Connection::open(hub.addr).await;
    let (status, _) = connection.ask(&request("GET", "/readyz", "", "")).await;
    assert_eq!(status, 200);
    tokio::time::sleep(REST).await;
    let rss = hub.rss();
    hub.kill();
    rss as f64
}

/// The most there was until the last phone was tapped, or while it was watched; and how many phones were tapped.
async fn broadcast(folder: &Path, people: usize) -> (f64, f64) {
    copy(&folder.join("phones"), &folder.join("store"));
    let key = make_key(folder);
    let doubles = start_doubles_here(folder).await;
    let hub = HubProcess::start(folder);
    post_to_all(&hub, &key).await;
    let handle = doubles.handle();
    let all = handle.await_accepted(Service::Apns, people as u64, WATCHED);
    let _all_or_some = all.await;
    let (peak, tapped) = (hub.peak_rss(), handle.counters(Service::Apns).accepted);
    hub.kill();
    doubles.stop().await;
    assert!(tapped > 0, "no taps come");
    (peak as f64, tapped as f64)
}

async fn post_to_all(hub: &HubProcess, key: &str) {
    const BODY: &str = r#"{"audience":{"all":true},"notification":{"priority":"High","payload":{"visualContent":{"title":"Lunch?","body":"At noon."}}}}"#;
    let mut connection = Connection::open(hub.addr).await;
    let post = request("POST", "/v1/notifications", key, BODY);
    let (status, body) = connection.ask(&post).await;
    assert_eq!(status, 202, "{}", String::from_utf8_lossy(body));
}

/// With so many taps waiting, all of which were tried or put off.
async fn down(folder: &Path, (prepared, people): (&str, usize)) -> f64 {
    copy(&folder.join(prepared), &folder.join("store"));
    let hub = HubProcess::start(folder);
    nothing_due(&hub).await;
    tokio::time::sleep(REST).await;
    assert!(waiting(&hub).await >= people as f64, "some do not wait");
    let rss = hub.rss();
    hub.kill();
    rss as f64
}

fn show(report: &mut Report, people: usize, samples: &[Sample]) {
    let mib = |figure: fn(&Sample) -> f64| {
        let mib = samples.iter().map(|it| figure(it) / MIB);
        vec![("RSS MiB", Spread::of(mib))]
    };
    let row = |case: &str, figure| Row {
        case: case.to_owned(),
        figures: mib(figure),
    };
    let rows = [
        row("idle, empty store", |it| it.idle),
        row(&format!("a broadcast to {people} phones, at most"), |it| {
            it.broadcast
        }),
        row(&format!("{} taps waiting", people / 2), |it| it.half),
        row(&format!("{people} taps waiting"), |it| it.all),
    ];
    report.table("a hub", &rows);
    let tapped = Row {
        case: people.to_string(),
        figures: vec![("tapped", Spread::of(samples.iter().map(|it| it.tapped)))],
    };
    report.table("phones of the broadcast", &[tapped]);
    let idle = Spread::of(samples.iter().map(|it| it.idle / MIB));
    report.ratio(("idle hub", "MiB"), idle, Target::AtMost(20.0));
    let all = samples.iter().map(|it| (it.all - it.idle) / people as f64);
    let what = (
        "a waiting tap, with the store's cache",
        "bytes beyond an idle hub",
    );
    report.ratio(what, Spread::of(all), Target::AtMost(300.0));
    let half = people as f64 / 2.0;
    let more = samples.iter().map(|it| (it.all - it.half) / half);
    let what = ("one more waiting tap", "bytes beyond half as many");
    report.ratio(what, Spread::of(more), Target::AtMost(300.0));
}
