//! 10 000 open streams (Server-Sent Events): how much memory and CPU time the real binary takes for each while nothing
//! happens, and how long it takes to tell all of them of one change; beside a bare actix server that does no more than
//! hold as many streams and write the same to each.
//!
//! Memory and CPU time are of 500 people with 20 streams each, as many as the limits allow: the RSS beyond that of the hub that
//! has minted their tokens, and the CPU time of half a minute, in which each stream has two heartbeats. Then each of the 500
//! is posted to at once, over 16 connections. The one change that all hear of goes to one person with 10 000 streams, for
//! whom the limit is raised: a post, measured from when it is sent to when the last of the streams has the event. A
//! broadcast would reach as many people, but it is slowed on purpose. All 10 000 clients run in the bench's own process, and
//! share the cores with the hub, or with the bare server, which is a child of the bench.
//!
//! A process needs a file descriptor for each stream: the bench raises its limit as far as it may, which its children
//! inherit, and opens fewer streams where that does not suffice, as the title of the tables says then.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

#[allow(dead_code, reason = "each bench uses some of it")]
mod support;

use std::{
    fs::OpenOptions,
    io::Write as _,
    iter::repeat_n,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::{Resource, getrlimit, setrlimit};
use support::{
    bare,
    events::EventStream,
    http::request,
    poster::Poster,
    process::{HubProcess, make_key, write_config},
    report::{Report, Row, Spread, Target},
};
use tokio::{sync::mpsc, task::JoinSet};

const STREAMS: usize = 10_000;
/// How many a person may have by the usual limits.
const EACH: usize = 20;
/// What a process may have open beside streams.
const OTHER_FILES: usize = 500;
const RUNS: usize = 3;
/// How many changes are told of one after another in a run; the median counts.
const ROUNDS: usize = 5;
/// How many connections post or mint at once.
const POSTING: usize = 16;
/// How many streams are opened at once.
const OPENING: usize = 64;
/// How long a server has been at rest when its memory is read.
const REST: Duration = Duration::from_secs(2);
/// Two heartbeats.
const WATCHED: Duration = Duration::from_secs(30);
/// How long all may take to hear of a change.
const PATIENCE: Duration = Duration::from_secs(60);
const EVENT: &[u8] = b"event: change\n";

fn main() {
    if bare::is_child() {
        support::main(|| bare::serve_streams(STREAMS + OTHER_FILES));
    } else {
        support::main(run);
    }
}

async fn run() {
    let streams = STREAMS.min(files().saturating_sub(OTHER_FILES)) / EACH * EACH;
    let mut report = Report::begin("streams", RUNS);
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        runs.push(Run {
            bare: of_bare_server(streams).await,
            hub: of_hub(streams).await,
        });
    }
    show(&mut report, streams, &runs);
    report.finish();
}

/// How many files a process may have open, once the limit is raised as far as may be.
fn files() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    limit.maximum.map_or(usize::MAX, |files| files as usize)
}

struct Run {
    bare: Figures,
    hub: Figures,
}

/// What a server takes.
struct Figures {
    /// How much memory for each stream while nothing happens, in KiB; and once it has told all.
    idle_kib: f64,
    after_kib: f64,
    /// How much CPU time for each stream while nothing happens, in microseconds a second.
    idle_cpu: f64,
    one: Fan,
    /// As many changes as there are people; the bare server knows nobody.
    many: Option<Fan>,
}

/// All streams hear of something.
struct Fan {
    millis: f64,
    /// CPU time of the server for each event, in microseconds.
    cpu: f64,
}

async fn of_bare_server(streams: usize) -> Figures {
    let server = bare::start_child();
    let post = vec![request("POST", "/", "", "")];
    let mut poster = Poster::open(server.addr, 1).await;
    poster.post(&post).await;
    let before = server.rss();
    let mut listening = Listening::open(server.addr, "/", &[(String::new(), streams)]).await;
    let (idle_kib, idle_cpu) = at_rest(&server, before, streams).await;
    let one = fans(&server, &mut listening, (&mut poster, &post)).await;
    let after_kib = kib_each(&server, before, streams);
    drop(listening);
    server.kill();
    Figures {
        idle_kib,
        after_kib,
        idle_cpu,
        one,
        many: None,
    }
}

async fn of_hub(streams: usize) -> Figures {
    const PATH: &str = "/v1/me/notifications/stream";
    let folder = tempfile::tempdir().unwrap();
    configure(folder.path());
    let key = make_key(folder.path());
    let server = HubProcess::start(folder.path());
    let mut poster = Poster::open(server.addr, POSTING).await;
    let people = streams / EACH;
    let minted = poster.mint(&key, people).await;
    let before = server.rss();

    let all: Vec<_> = minted.iter().map(|token| (token.clone(), EACH)).collect();
    let mut listening = Listening::open(server.addr, PATH, &all).await;
    let (idle_kib, idle_cpu) = at_rest(&server, before, streams).await;
    let posts: Vec<_> = (0..people).map(|nth| post_to(nth, &key)).collect();
    let many = fans(&server, &mut listening, (&mut poster, &posts)).await;
    let after_kib = kib_each(&server, before, streams);
    drop(listening);
    poster.until_closed(PATIENCE).await;

    let all = [(minted[0].clone(), streams)];
    let mut listening = Listening::open(server.addr, PATH, &all).await;
    let one = fans(&server, &mut listening, (&mut poster, &posts[..1])).await;
    drop(listening);
    server.kill();
    Figures {
        idle_kib,
        after_kib,
        idle_cpu,
        one,
        many: Some(many),
    }
}

/// A hub without push services that lets one person have all streams.
fn configure(folder: &Path) {
    write_config(folder, None);
    let file = folder.join("config.toml");
    let mut file = OpenOptions::new().append(true).open(file).unwrap();
    let most = STREAMS + OTHER_FILES;
    write!(
        file,
        "[server.limits]\nstreams_per_user = {STREAMS}\nconnections = {most}\n"
    )
    .unwrap();
}

fn post_to(nth: usize, key: &str) -> Vec<u8> {
    const BODY: &str =
        r#"{"priority":"High","payload":{"visualContent":{"title":"Lunch?","body":"At noon."}}}"#;
    let path = format!("/v1/users/person-{nth}/notifications");
    request("POST", &path, key, BODY)
}

/// Memory for each stream, in KiB, and CPU time, in microseconds a second, while nothing happens.
async fn at_rest(server: &HubProcess, before: u64, streams: usize) -> (f64, f64) {
    tokio::time::sleep(REST).await;
    let kib = kib_each(server, before, streams);
    let (began, cpu) = (Instant::now(), server.cpu_time());
    tokio::time::sleep(WATCHED).await;
    let took = server.cpu_time() - cpu;
    let cpu_micros = took.as_secs_f64() * 1e6 / began.elapsed().as_secs_f64();
    (kib, cpu_micros / streams as f64)
}

fn kib_each(server: &HubProcess, before: u64, streams: usize) -> f64 {
    (server.rss() as f64 - before as f64) / 1024.0 / streams as f64
}

/// Has all streams told, several times.
async fn fans(
    server: &HubProcess,
    listening: &mut Listening,
    (poster, posts): (&mut Poster, &[Vec<u8>]),
) -> Fan {
    let (mut millis, cpu) = (Vec::new(), server.cpu_time());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let (last, ()) = tokio::join!(listening.all_told(), poster.post(posts));
        millis.push((last - began).as_secs_f64() * 1e3);
    }
    let cpu = (server.cpu_time() - cpu).as_secs_f64() * 1e6;
    Fan {
        millis: Spread::of(millis).median,
        cpu: cpu / (ROUNDS * listening.tasks.len()) as f64,
    }
}

/// Open streams, each with a task that reads; they are closed when this is dropped.
struct Listening {
    tasks: JoinSet<()>,
    told: mpsc::UnboundedReceiver<Instant>,
}

impl Listening {
    /// Opens so many streams with each credential.
    async fn open(addr: SocketAddr, path: &'static str, all: &[(String, usize)]) -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        let (mut tasks, mut opening) = (JoinSet::new(), JoinSet::new());
        let repeated = |(one, times): &(String, usize)| repeat_n(one.clone(), *times);
        for credential in all.iter().flat_map(repeated) {
            if opening.len() >= OPENING {
                listen(&mut tasks, opening.join_next().await, &tell);
            }
            opening.spawn(async move { EventStream::open(addr, path, &credential).await });
        }
        while let Some(stream) = opening.join_next().await {
            listen(&mut tasks, Some(stream), &tell);
        }
        Self { tasks, told }
    }

    /// Waits until each stream has one more event; says when the last had it.
    async fn all_told(&mut self) -> Instant {
        let mut last = Instant::now();
        let all = async {
            for _ in 0..self.tasks.len() {
                last = last.max(self.told.recv().await.unwrap());
            }
        };
        tokio::time::timeout(PATIENCE, all).await.unwrap();
        last
    }
}

fn listen(
    tasks: &mut JoinSet<()>,
    opened: Option<Result<EventStream, tokio::task::JoinError>>,
    tell: &mpsc::UnboundedSender<Instant>,
) {
    let mut stream = opened.unwrap().unwrap();
    let tell = tell.clone();
    tasks.spawn(async move { while tell.send(stream.until(EVENT).await).is_ok() {} });
}

fn show(report: &mut Report, streams: usize, runs: &[Run]) {
    let line = |case: &str, of: fn(&Run) -> &Figures| Row {
        case: case.to_owned(),
        figures: vec![
            ("idle KiB", spread(runs, |run| of(run).idle_kib)),
            ("idle CPU-µs/s", spread(runs, |run| of(run).idle_cpu)),
            ("KiB afterwards", spread(runs, |run| of(run).after_kib)),
        ],
    };
    let rows = [
        line("the hub", |run| &run.hub),
        line("a bare server", |run| &run.bare),
    ];
    report.table(&format!("each of {streams} streams"), &rows);
    let line = |case: &str, of: fn(&Run) -> &Fan| Row {
        case: case.to_owned(),
        figures: vec![
            ("all have it after ms", spread(runs, |run| of(run).millis)),
            ("CPU-µs each", spread(runs, |run| of(run).cpu)),
        ],
    };
    let rows = [
        line("one post to one person", |run| &run.hub.one),
        line("a post to each of many people", |run| {
            run.hub.many.as_ref().unwrap()
        }),
        line("a bare server", |run| &run.bare.one),
    ];
    report.table(&format!("{streams} streams"), &rows);
    let kib = spread(runs, |run| run.hub.idle_kib);
    report.ratio(("an idle stream", "KiB of RSS"), kib, Target::AtMost(12.0));
    let more = spread(runs, |run| run.hub.idle_kib / run.bare.idle_kib);
    let what = ("an idle stream", "times the bare server's");
    report.ratio(what, more, Target::None);
    let secs = spread(runs, |run| run.hub.one.millis / 1e3);
    let what = ("one change on all streams", "s");
    report.ratio(what, secs, Target::AtMost(0.3));
    let longer = spread(runs, |run| run.hub.one.millis / run.bare.one.millis);
    let what = ("one change on all streams", "times the bare server's");
    report.ratio(what, longer, Target::None);
}

fn spread(runs: &[Run], figure: impl Fn(&Run) -> f64) -> Spread {
    Spread::of(runs.iter().map(figure))
}
