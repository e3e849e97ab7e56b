//! Pulling the next page of changes, against the store's own scan of the same rows, with 100, 10 000 and 1 000 000
//! notifications stored: how many pulls a second, and how long each takes.
//!
//! The people have 1 000 notifications each (or all there are). A device of each walks through theirs page by page from
//! a cursor, a page as large as one gets that does not ask for a size; whose turn it is, is chance, so that of a large
//! store little is in memory. A pull is measured over HTTP as a device makes it, whose fetch is noted on disk; as
//! anyone makes it who is no device; and as the hub answers it in process. The scan reads the notifications that the page
//! tells of in one go: none has changed since it was posted.
//!
//! `BECKON_BENCH_MOST=10000000` goes on to so many, where the disk allows: each takes about 2 KB.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

#[allow(dead_code, reason = "each bench uses some of it")]
mod support;

use std::{
    env,
    hint::black_box,
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use beckon::{
    hub::{Hub, Registration, Since},
    model::{Channel, EndpointId, FeedPosition, Platform, Subject},
    serve::Running,
};
use support::{
    http::{Connection, request},
    load::{self, Load},
    report::{Report, Row, Spread, Target},
    rows::{self, Person, write_all},
    start_plain_hub, subject,
};
use tokio::task::JoinSet;

const SIZES: [usize; 4] = [100, 10_000, 1_000_000, 10_000_000];
const MOST: usize = 1_000_000;
const EACH: usize = 1000;
/// How many changes a page has where none are asked for.
const PAGE: usize = 100;
/// How many people pull at most.
const PULLING: usize = 200;
const CLIENTS: [usize; 2] = [1, 16];
const RUNS: usize = 3;
const SPAN: Duration = Duration::from_millis(1500);
/// How many notifications of a person are written in one unit, while a store is filled.
const AT_ONCE: usize = 50;

fn main() {
    support::main(run);
}

async fn run() {
    let most = env::var("BECKON_BENCH_MOST").map_or(MOST, |text| text.parse().unwrap());
    rows::check(device()).await;
    let folder = tempfile::tempdir().unwrap();
    let running = start_plain_hub(folder.path()).await;
    let mut stored = Stored::default();
    let mut report = Report::begin("delta", RUNS);
    for size in SIZES.into_iter().filter(|size| *size <= most) {
        stored.fill(&running.hub, size).await;
        let devices = Arc::new(devices(&running.hub, size).await);
        read_once(&running.hub, &devices).await;
        for clients in CLIENTS {
            let mut samples = Vec::new();
            for _ in 0..RUNS {
                samples.push(sample(&running, &devices, clients).await);
            }
            show(&mut report, (size, clients), &samples);
        }
    }
    report.finish();
    running.stop().await;
}

/// The person who is being filled up, and how many notifications there are of all.
#[derive(Default)]
struct Stored {
    last: Option<Person>,
    count: usize,
}

impl Stored {
    async fn fill(&mut self, hub: &Hub, size: usize) {
        let now = hub.now();
        let units = std::iter::from_fn(|| {
            let at_once = AT_ONCE.min(size - self.count);
            if at_once == 0 {
                return None;
            }
            if self.count.is_multiple_of(EACH) {
                self.last = Some(Person::new(hub.store(), someone(self.count / EACH)));
            }
            self.count += at_once;
            let person = self.last.as_mut()?;
            (0..at_once).for_each(|_| person.post(now));
            Some(person.unit())
        });
        write_all(hub.store(), units).await;
    }
}

fn someone(nth: usize) -> Subject {
    subject(&format!("person-{nth}"))
}

fn device() -> Registration {
    Registration {
        id: EndpointId::parse("phone").unwrap(),
        platform: Platform::Android,
        channel: Channel::None,
        display_name: None,
        locale: None,
        present_vapid: None,
        state_sync: false,
        shared: false,
        expires: None,
    }
}

/// A person's pages.
struct Device {
    subject: Subject,
    pages: Vec<Page>,
}

struct Page {
    after: FeedPosition,
    /// The request for it by the device, and by someone who is none.
    by_device: Vec<u8>,
    by_anyone: Vec<u8>,
}

/// A device each of as many people as there are, or as pull.
async fn devices(hub: &Hub, size: usize) -> Vec<Device> {
    let mut tasks = JoinSet::new();
    for nth in 0..size.div_ceil(EACH).min(PULLING) {
        let hub = hub.clone();
        tasks.spawn(async move { pages(&hub, someone(nth), size.min(EACH)).await });
    }
    tasks.join_all().await
}

async fn pages(hub: &Hub, subject: Subject, count: usize) -> Device {
    let (phone, whose) = (device(), subject.clone());
    hub.register(whose.clone(), device()).await.unwrap();
    let bound = hub.mint_token(whose.clone(), Some(phone.id), None, None);
    let bound = bound.await.unwrap().secret;
    let free = hub
        .mint_token(whose, None, None, None)
        .await
        .unwrap()
        .secret;
    let page = |after| {
        let after = FeedPosition(after as u64);
        let cursor = hub.cursor(&subject, after);
        let path = format!("/v1/me/notifications/delta?$deltatoken={cursor}");
        Page {
            after,
            by_device: request("GET", &path, bound.expose(), ""),
            by_anyone: request("GET", &path, free.expose(), ""),
        }
    };
    let pages = (0..count).step_by(PAGE).map(page).collect();
    Device { subject, pages }
}

/// Reads every page once. Who reads first after so much was written has the engine put its pages in order, at many
/// times the cost of a pull, and whoever were measured first would pay for it.
async fn read_once(hub: &Hub, devices: &[Device]) {
    for device in devices {
        for page in &device.pages {
            let since = Some(Since::Cursor(page.after));
            let read = hub.delta(device.subject.clone(), since, PAGE).await;
            assert_eq!(read.unwrap().items.len(), PAGE);
        }
    }
}

/// One run.
struct Sample {
    device: Load,
    anyone: Load,
    hub: Load,
    scan: Load,
}

async fn sample(running: &Running, devices: &Arc<Vec<Device>>, clients: usize) -> Sample {
    let walk = || Walk::new(devices);
    let (mut as_device, mut as_anyone) = (Vec::new(), Vec::new());
    for _ in 0..clients {
        let (one, other) = (running.addr, running.addr);
        as_device.push(ByDevice(walk(), Connection::open(one).await));
        as_anyone.push(ByAnyone(walk(), Connection::open(other).await));
    }
    let in_process = (0..clients).map(|_| InProcess(walk(), running.hub.clone()));
    let scans = (0..clients).map(|_| Scan(walk(), running.hub.clone()));
    Sample {
        device: load::run(as_device, SPAN).await,
        anyone: load::run(as_anyone, SPAN).await,
        hub: load::run(in_process.collect(), SPAN).await,
        scan: load::run(scans.collect(), SPAN).await,
    }
}

/// From page to page of one person, then to those of another.
struct Walk {
    devices: Arc<Vec<Device>>,
    whose: usize,
    page: usize,
}

impl Walk {
    fn new(devices: &Arc<Vec<Device>>) -> Self {
        Self {
            devices: Arc::clone(devices),
            whose: rand::random_range(0..devices.len()),
            page: 0,
        }
    }

    fn next(&mut self) -> (&Subject, &Page) {
        if self.page == self.devices[self.whose].pages.len() {
            self.whose = rand::random_range(0..self.devices.len());
            self.page = 0;
        }
        let device = &self.devices[self.whose];
        self.page += 1;
        (&device.subject, &device.pages[self.page - 1])
    }
}

struct ByDevice(Walk, Connection);

impl load::Client for ByDevice {
    async fn next(&mut self) -> Duration {
        let (_, page) = self.0.next();
        pull(&mut self.1, &page.by_device).await
    }
}

struct ByAnyone(Walk, Connection);

impl load::Client for ByAnyone {
    async fn next(&mut self) -> Duration {
        let (_, page) = self.0.next();
        pull(&mut self.1, &page.by_anyone).await
    }
}

async fn pull(connection: &mut Connection, request: &[u8]) -> Duration {
    let began = Instant::now();
    let (status, body) = connection.ask(request).await;
    let took = began.elapsed();
    // A whole page, without reading all of it: each notification takes more than 300 bytes.
    assert!(
        status == 200 && body.len() > PAGE * 300,
        "{status} {}",
        String::from_utf8_lossy(body)
    );
    took
}

struct InProcess(Walk, Hub);

impl load::Client for InProcess {
    async fn next(&mut self) -> Duration {
        let (subject, page) = self.0.next();
        let since = Some(Since::Cursor(page.after));
        let began = Instant::now();
        let page = self.1.delta(subject.clone(), since, PAGE).await.unwrap();
        assert_eq!(page.items.len(), PAGE);
        began.elapsed()
    }
}

struct Scan(Walk, Hub);

impl load::Client for Scan {
    async fn next(&mut self) -> Duration {
        // It waits for nothing, and others are to have their turn.
        tokio::task::yield_now().await;
        let (subject, page) = self.0.next();
        let (reader, mut found) = (self.1.store().reader(), 0);
        let began = Instant::now();
        let mut visit = |it| {
            black_box(it);
            found += 1;
            if found == PAGE {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        reader
            .oldest_first_from(subject, page.after.next(), &mut visit)
            .unwrap();
        assert_eq!(found, PAGE);
        began.elapsed()
    }
}

fn show(report: &mut Report, (size, clients): (usize, usize), samples: &[Sample]) {
    let row = |case: &str, load: fn(&Sample) -> &Load| {
        let spread =
            |figure: &dyn Fn(&Load) -> f64| Spread::of(samples.iter().map(|it| figure(load(it))));
        Row {
            case: case.to_owned(),
            figures: vec![
                ("a second", spread(&|it| it.per_sec)),
                ("p50 ms", spread(&|it| it.millis(500))),
                ("p99 ms", spread(&|it| it.millis(990))),
                ("CPU-µs each", spread(&|it| it.cpu_micros)),
            ],
        }
    };
    let rows = [
        row("a device's pulls over HTTP", |it| &it.device),
        row("anyone's pulls over HTTP", |it| &it.anyone),
        row("the hub's answers in process", |it| &it.hub),
        row("the store's own scans", |it| &it.scan),
    ];
    report.table(&format!("{size} stored, {clients} at once"), &rows);
    if clients > 1 {
        return;
    }
    let of = "times that of the store's own scan";
    let times = |load: fn(&Sample) -> &Load| {
        Spread::of(
            samples
                .iter()
                .map(|it| load(it).millis(990) / it.scan.millis(990)),
        )
    };
    let target = if size == 1_000_000 {
        Target::AtMost(1.5)
    } else {
        Target::None
    };
    let what = format!("p99 of a device's pull at {size} stored");
    report.ratio((&what, of), times(|it| &it.device), target);
    let what = format!("p99 of the hub's answer at {size} stored");
    report.ratio((&what, of), times(|it| &it.hub), Target::None);
}
