//! Fan-out throughput: posts to people with many devices, tapped over HTTP/2 and TLS at the doubles, which run as a
//! process of their own with their checks off; beside it, what the store commits by itself.
//!
//! `cargo bench --bench fanout` prints a table. Figures are of one machine at one time: take the ratios.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

#[allow(dead_code, reason = "each bench uses some of it")]
mod support;

use std::{
    fs,
    time::{Duration, Instant},
};

use beckon::{
    doubles::Service,
    hub::Hub,
    model::{EndpointId, Subject},
    serve::Running,
    store::{Options, Row, Store, Unit},
};
use support::{cores, cpu_model, draft, registration, start_doubles, start_hub, subject};

/// How often each case is run; the table shows the median and the extremes.
const RUNS: usize = 5;

fn main() {
    support::main(run);
}

async fn run() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start_doubles(folder.path());
    let running = start_hub(folder.path()).await;
    println!("machine: {} cores, {}", cores(), cpu_model());
    println!(
        "store alone: {:.0} units/s of one row, 64 at a time",
        store_rate().await
    );
    println!();
    println!(
        "| case: people × devices | rounds | taps/s | (least – most) | CPU-µs a tap | groups committed/s |"
    );
    println!("|---|---|---|---|---|---|");
    for (service, rounds, people, devices) in [
        (Service::Apns, 200, 1, 1),
        (Service::Apns, 100, 1, 10),
        (Service::Apns, 1, 1, 1000),
        (Service::Apns, 1, 1000, 3),
        (Service::Fcm, 1, 1000, 3),
    ] {
        let case = Case {
            service,
            rounds,
            people,
            devices,
        };
        let mut samples = Vec::new();
        for run in 0..RUNS {
            samples.push(sample(&running, &case, run).await);
        }
        print_row(&case, &mut samples);
    }
    running.stop().await;
    drop(child.stdin.take());
    child.wait().unwrap();
}

/// So many rounds, one after another, each of one post to each of so many people with so many devices.
struct Case {
    service: Service,
    rounds: usize,
    people: usize,
    devices: usize,
}

impl Case {
    fn taps(&self) -> usize {
        self.rounds * self.people * self.devices
    }
}

struct Sample {
    taps_per_sec: f64,
    cpu_us_per_tap: f64,
    commits_per_sec: f64,
}

/// Registers fresh devices, since a device that has not answered its last tap is left alone; then posts, and waits
/// for the last tap of each round.
async fn sample(running: &Running, case: &Case, run: usize) -> Sample {
    let hub = &running.hub;
    let mut rounds = Vec::new();
    for round in 0..case.rounds {
        rounds.push(register(hub, case, &format!("{run}-{round}")).await);
    }
    let (cpu, commits, began) = (cpu_ticks(), hub.store().stats().commits, Instant::now());
    for subjects in rounds {
        let expected = accepted(running) + (case.people * case.devices) as u64;
        post_to_all(hub, subjects).await;
        while accepted(running) < expected {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "taps are missing"
            );
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }
    let took = began.elapsed().as_secs_f64();
    let cpu_secs = (cpu_ticks() - cpu) as f64 / 100.0;
    Sample {
        taps_per_sec: case.taps() as f64 / took,
        cpu_us_per_tap: cpu_secs * 1e6 / case.taps() as f64,
        commits_per_sec: (hub.store().stats().commits - commits) as f64 / took,
    }
}

async fn register(hub: &Hub, case: &Case, name: &str) -> Vec<Subject> {
    let Case {
        service,
        people,
        devices,
        ..
    } = case;
    let mut subjects = Vec::new();
    for person in 0..*people {
        let subject = subject(&format!("{service:?}-{people}-{devices}-{name}-{person}"));
        for device in 0..*devices {
            hub.register(subject.clone(), registration(*service, device))
                .await
                .unwrap();
        }
        subjects.push(subject);
    }
    subjects
}

/// Posts as 64 app servers would at the same time.
async fn post_to_all(hub: &Hub, subjects: Vec<Subject>) {
    let mut posts = tokio::task::JoinSet::new();
    for subject in subjects {
        while posts.len() >= 64 {
            posts.join_next().await;
        }
        let hub = hub.clone();
        posts.spawn(async move { hub.create(subject, draft(), None).await.unwrap() });
    }
    while let Some(posted) = posts.join_next().await {
        posted.unwrap();
    }
}

fn print_row(case: &Case, samples: &mut [Sample]) {
    samples.sort_by(|a, b| a.taps_per_sec.total_cmp(&b.taps_per_sec));
    let middle = &samples[samples.len() / 2];
    println!(
        "| {:?}, {} × {} | {} | {:.0} | ({:.0} – {:.0}) | {:.0} | {:.0} |",
        case.service,
        case.people,
        case.devices,
        case.rounds,
        middle.taps_per_sec,
        samples[0].taps_per_sec,
        samples[samples.len() - 1].taps_per_sec,
        middle.cpu_us_per_tap,
        middle.commits_per_sec,
    );
}

/// How many pushes were accepted so far, as the hub counts them.
fn accepted(running: &Running) -> u64 {
    let text = running.metrics.render(Default::default()).unwrap();
    let counts = text
        .lines()
        .filter(|line| line.starts_with("beckon_pushes_total") && line.contains("\"accepted\""))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    counts.sum()
}

/// What the store does by itself: units of one row, 64 waiting at any time.
async fn store_rate() -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&Options {
        folder: folder.path().to_owned(),
        min_free_bytes: 0,
        cache_bytes: 64 << 20,
        accept_loss: false,
    })
    .unwrap();
    let began = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..64u32 {
        let store = store.clone();
        clients.spawn(async move {
            let mut done = 0u32;
            while began.elapsed() < Duration::from_secs(2) {
                let mut unit = Unit::of(subject(&format!("{client}-{done}")));
                let id = EndpointId::parse("device").unwrap();
                unit.push(Row::TapState(id, Box::default()));
                store.commit(unit).await.unwrap();
                done += 1;
            }
            done
        });
    }
    let mut units = 0;
    while let Some(done) = clients.join_next().await {
        units += done.unwrap();
    }
    let rate = f64::from(units) / began.elapsed().as_secs_f64();
    store.close();
    rate
}

/// CPU time of this process in hundredths of a second, user and system.
fn cpu_ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let field = |at: usize| {
        fields
            .get(at)
            .and_then(|text| text.parse::<u64>().ok())
            .unwrap_or(0)
    };
    field(11) + field(12)
}
