//! A hub killed with 100 000 taps waiting for a push service that is down, and started again with the service back: how
//! long until it says that it listens, until the first tap is at the service, and until all are; against a start on an
//! empty store.
//!
//! The hub is the real binary. Before it is killed it has tried: what it holds back, it holds back on disk. All times
//! are from the start of the process on. `BECKON_BENCH_PEOPLE` for fewer taps.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

#[allow(dead_code, reason = "each bench uses some of it")]
mod support;

use std::{
    env, fs,
    path::Path,
    time::{Duration, Instant},
};

use beckon::doubles::Service;
use support::{
    backlog::{copy, fill, nothing_due, start_doubles_here},
    process::{HubProcess, write_config},
    registration,
    report::{Report, Row, Spread, Target},
    rows,
};

const PEOPLE: usize = 100_000;
const RUNS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(600);

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
    fill(&folder.join("prepared"), people, true).await;

    let mut report = Report::begin("recovery", RUNS);
    let mut samples = Vec::new();
    for _ in 0..RUNS {
        samples.push(Sample {
            empty: start_empty(&folder.join("empty")),
            back: recover(folder, people).await,
        });
    }
    show(&mut report, people, &samples);
    report.finish();
}

/// One run.
struct Sample {
    empty: Duration,
    back: Back,
}

/// How long it took after the start.
struct Back {
    ready: Duration,
    first: Duration,
    drained: Duration,
}

/// How long a start takes where there is no store yet.
fn start_empty(folder: &Path) -> Duration {
    let _not_there_the_first_time = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).unwrap();
    write_config(folder, None);
    let hub = HubProcess::start(folder);
    let ready = hub.ready;
    hub.kill();
    ready
}

async fn recover(folder: &Path, people: usize) -> Back {
    copy(&folder.join("prepared"), &folder.join("store"));
    let down = HubProcess::start(folder);
    nothing_due(&down).await;
    down.kill();

    let doubles = start_doubles_here(folder).await;
    let began = Instant::now();
    let hub = HubProcess::start(folder);
    let arrived = async |count: usize| {
        let all = doubles
            .handle()
            .await_accepted(Service::Apns, count as u64, PATIENCE);
        assert!(all.await, "the taps do not come");
        began.elapsed()
    };
    let back = Back {
        ready: hub.ready,
        first: arrived(1).await,
        drained: arrived(people).await,
    };
    hub.kill();
    doubles.stop().await;
    back
}

fn show(report: &mut Report, people: usize, samples: &[Sample]) {
    let spread = |figure: &dyn Fn(&Sample) -> Duration| {
        Spread::of(samples.iter().map(|it| figure(it).as_secs_f64()))
    };
    let (ready, first) = (spread(&|it| it.back.ready), spread(&|it| it.back.first));
    let rate = |it: &Sample| people as f64 / (it.back.drained - it.back.ready).as_secs_f64();
    let row = Row {
        case: people.to_string(),
        figures: vec![
            ("ready s", ready),
            ("first tap s", first),
            ("drained s", spread(&|it| it.back.drained)),
            ("taps/s", Spread::of(samples.iter().map(rate))),
            ("empty start s", spread(&|it| it.empty)),
        ],
    };
    report.table("taps waiting when killed", &[row]);
    let times = |it: &Sample| it.back.ready.as_secs_f64() / it.empty.as_secs_f64();
    report.ratio(
        ("ready after the kill", "times an empty start"),
        Spread::of(samples.iter().map(times)),
        Target::None,
    );
    report.ratio(
        ("first tap after the kill", "s"),
        first,
        Target::AtMost(2.0),
    );
    let empty = spread(&|it| it.empty);
    report.ratio(("start on an empty store", "s"), empty, Target::AtMost(0.2));
}
