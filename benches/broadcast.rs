//! What a broadcast and a backup cost single posts: how long each takes to be on disk while nothing else goes on, while
//! one notification goes to 100 000 people, a tenth of them with a phone that is tapped at the doubles, and while the
//! store of all this is copied.
//!
//! `cargo bench --bench broadcast` prints a table; `BECKON_BENCH_PEOPLE` for fewer people. Figures are of one machine at
//! one time: take the ratios.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

#[allow(dead_code, reason = "each bench uses some of it")]
mod support;

use std::{
    env,
    path::Path,
    time::{Duration, Instant},
};

use beckon::{doubles::Service, hub::Hub};
use support::{
    broadcasts::{broadcast, quiet},
    cores, cpu_model, draft, registration, start_doubles, start_hub, subject,
};
use tokio::{fs::File, io::AsyncWriteExt as _, task::JoinSet, time::MissedTickBehavior};

const PEOPLE: usize = 100_000;
/// Every so many people have a phone.
const PHONE_EVERY: usize = 10;
/// Single posts come at this pace, whether those before have been answered or not.
const POST_EVERY: Duration = Duration::from_millis(5);
/// How long they come while nothing else goes on.
const ALONE: Duration = Duration::from_secs(15);
const RUNS: usize = 3;

fn main() {
    support::main(run);
}

async fn run() {
    let people = env::var("BECKON_BENCH_PEOPLE").map_or(PEOPLE, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut child = start_doubles(folder.path());
    let running = start_hub(folder.path()).await;
    println!("machine: {} cores, {}", cores(), cpu_model());
    settle_in(&running.hub, people).await;
    println!(
        "{people} people, one of {PHONE_EVERY} with a phone; a single post every {POST_EVERY:?}"
    );
    println!();
    println!("| single posts | number | p50 | p99 | most | people posted to/s |");
    println!("|---|---|---|---|---|---|");
    for _ in 0..RUNS {
        quiet(&running.hub).await;
        let alone = posts_while(&running.hub, tokio::time::sleep(ALONE)).await;
        print_row("alone", &alone, None);
        let began = Instant::now();
        let during = posts_while(&running.hub, broadcast(&running.hub, draft())).await;
        let rate = people as f64 / began.elapsed().as_secs_f64();
        print_row("during a broadcast", &during, Some(rate));
        print_ratio(&during, &alone);
        quiet(&running.hub).await;
        let during = posts_while(&running.hub, back_up(&running.hub, folder.path())).await;
        print_row("during a backup", &during, None);
        print_ratio(&during, &alone);
    }
    running.stop().await;
    drop(child.stdin.take());
    child.wait().unwrap();
}

/// Has everyone exist, and some have a phone.
async fn settle_in(hub: &Hub, people: usize) {
    let mut tasks = JoinSet::new();
    for nth in 0..people {
        while tasks.len() >= 256 {
            tasks.join_next().await;
        }
        let (hub, person) = (hub.clone(), subject(&format!("person-{nth}")));
        tasks.spawn(async move {
            if nth % PHONE_EVERY == 0 {
                let phone = registration(Service::Apns, 0);
                hub.register(person, phone).await.map(drop).unwrap();
            } else {
                hub.mint_token(person, None, None, None)
                    .await
                    .map(drop)
                    .unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

/// Posts one by one to people of their own for as long as `work` takes; how long each took, sorted.
async fn posts_while(hub: &Hub, work: impl Future<Output = ()>) -> Vec<Duration> {
    tokio::pin!(work);
    let (mut posts, mut nth) = (JoinSet::new(), 0u64);
    let mut pace = tokio::time::interval(POST_EVERY);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        tokio::select! {
            () = &mut work => break,
            due = pace.tick() => {
                let (hub, person) = (hub.clone(), subject(&format!("single-{}", nth % 1000)));
                nth += 1;
                posts.spawn(async move {
                    hub.create(person, draft(), None).await.unwrap();
                    due.elapsed()
                });
            }
        }
    }
    let mut took = posts.join_all().await;
    took.sort_unstable();
    took
}

/// Copies the store as `beckon store backup` has it copied, and says how much that was.
async fn back_up(hub: &Hub, folder: &Path) {
    let began = Instant::now();
    let mut file = File::create(folder.join("backup")).await.unwrap();
    let mut backup = hub.store().backup(hub.now()).await.unwrap();
    let mut bytes = 0;
    while let Some(piece) = backup.next().await {
        bytes += piece.len();
        file.write_all(&piece).await.unwrap();
    }
    file.sync_all().await.unwrap();
    let mebibytes = bytes as f64 / (1024.0 * 1024.0);
    let seconds = began.elapsed().as_secs_f64();
    println!("| (a backup of {mebibytes:.0} MiB in {seconds:.1} s) | | | | | |");
}

fn at(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

fn print_ratio(during: &[Duration], alone: &[Duration]) {
    let ratio = |percent| at(during, percent).as_secs_f64() / at(alone, percent).as_secs_f64();
    println!("| ratio | | {:.2} | {:.2} | | |", ratio(50), ratio(99));
}

fn print_row(what: &str, took: &[Duration], rate: Option<f64>) {
    let millis = |took: Duration| took.as_secs_f64() * 1e3;
    println!(
        "| {what} | {} | {:.2} ms | {:.2} ms | {:.1} ms | {} |",
        took.len(),
        millis(at(took, 50)),
        millis(at(took, 99)),
        millis(at(took, 100)),
        rate.map_or(String::new(), |rate| format!("{rate:.0}"))
    );
}
