//! Web Push on one core: how many messages a second the adapter makes ready to leave, encrypted and with their VAPID
//! header, against the key pair and the agreement that each of them needs (RFC 8291, section 3), by the same library.
//!
//! No network: see [`WebPush::prepare`]. Both run on this thread by turns.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

#[allow(dead_code, reason = "each bench uses some of it")]
mod support;

use std::{
    fs,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use bytes::Bytes;

use beckon::{
    clock::Clock,
    config::apps::{self, HostRule},
    model::{Secret, Timestamp, WebPushKeys},
    push::{
        message::{Urgency, WebPushMessage},
        web_push::{Subscription, VapidKey, WebPush},
    },
};
use support::report::{Report, Row, Spread, Target};

const RUNS: usize = 9;
const SPAN: Duration = Duration::from_secs(1);
/// Browsers that are sent to in turn, all at one service.
const BROWSERS: usize = 1000;
/// As large as the object that a tap carries.
const PLAINTEXT: &[u8] = br#"{"beckon":{"e":"0193c1de-7f5a-7bd6-8f6e-0f3b2c1d4e5f","k":"created","n":"0193c1de-7f5a-7bd6-8f6e-0f3b2c1d4e60","v":1}}"#;

fn main() {
    support::main(run);
}

async fn run() {
    let (adapter, now) = (adapter(), Clock::system().now());
    let browsers: Vec<Browser> = (0..BROWSERS).map(Browser::new).collect();
    let mut report = Report::begin("webpush", RUNS);
    let mut samples = Vec::new();
    for _ in 0..RUNS {
        samples.push(Sample {
            messages: by_turns(&browsers, |browser| message(&adapter, browser, now)),
            bound: by_turns(&browsers, key_and_agreement),
        });
    }
    let rows = [
        row("messages through the adapter", &samples, |it| &it.messages),
        row("key pair and agreement alone", &samples, |it| &it.bound),
    ];
    report.table("on one core", &rows);
    let ratio = |it: &Sample| it.messages.per_core_sec() / it.bound.per_core_sec();
    let ratios = samples.iter().map(ratio);
    let what = ("webpush", "of key pairs and agreements a second");
    report.ratio(what, Spread::of(ratios), Target::AtLeast(0.85));
    report.finish();
}

/// One run.
struct Sample {
    messages: Work,
    bound: Work,
}

/// What this thread did in a span.
struct Work {
    times: f64,
    span: Duration,
    /// How much of it the thread was on a core: others use it, too.
    on_core: Duration,
}

impl Work {
    fn per_core_sec(&self) -> f64 {
        self.times / self.on_core.as_secs_f64()
    }
}

fn row(case: &str, samples: &[Sample], work: fn(&Sample) -> &Work) -> Row {
    let spread = |figure: fn(&Work) -> f64| Spread::of(samples.iter().map(|it| figure(work(it))));
    Row {
        case: case.to_owned(),
        figures: vec![
            ("a second of the core", spread(Work::per_core_sec)),
            ("CPU-µs each", spread(|it| 1e6 / it.per_core_sec())),
            ("a second", spread(|it| it.times / it.span.as_secs_f64())),
        ],
    }
}

/// Does the same for one browser after another.
fn by_turns(browsers: &[Browser], mut work: impl FnMut(&Browser)) -> Work {
    let (began, cpu, mut times) = (Instant::now(), cpu_of_thread(), 0u32);
    for browser in browsers.iter().cycle() {
        if began.elapsed() >= SPAN {
            break;
        }
        work(browser);
        times += 1;
    }
    Work {
        times: f64::from(times),
        span: began.elapsed(),
        on_core: cpu_of_thread() - cpu,
    }
}

/// How long this thread has been on a core so far (proc(5): the first number of `schedstat`, in nanoseconds).
fn cpu_of_thread() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// A subscription, as a browser gives it.
struct Browser {
    endpoint: String,
    keys: WebPushKeys,
}

impl Browser {
    fn new(nth: usize) -> Self {
        let key = PrivateKey::generate(&ECDH_P256).unwrap();
        let public = key.compute_public_key().unwrap();
        Self {
            endpoint: format!("https://push.example.net/{nth:064x}"),
            keys: WebPushKeys {
                p256dh: public.as_ref().try_into().unwrap(),
                auth: Secret::new(rand::random()),
            },
        }
    }
}

fn adapter() -> WebPush {
    let settings = apps::WebPush {
        subject: String::from("mailto:ops@example.com"),
        key: None,
        allowed_hosts: vec![HostRule::parse("push.example.net").unwrap()],
        hosts: Default::default(),
        ca: None,
    };
    let key = VapidKey::from_pkcs8(VapidKey::generate().unwrap().expose()).unwrap();
    WebPush::new(Arc::new(settings), key, Vec::new()).unwrap()
}

/// From a composed tap to a request that is ready to leave.
fn message(adapter: &WebPush, browser: &Browser, now: Timestamp) {
    let message = WebPushMessage {
        urgency: Urgency::High,
        topic: Some(String::from("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
        ttl: Duration::from_secs(7 * 24 * 3600),
        plaintext: Bytes::from_static(PLAINTEXT),
        bare: None,
    };
    let to = Subscription {
        endpoint: &browser.endpoint,
        keys: &browser.keys,
        vapid_public_key: None,
    };
    black_box(adapter.prepare(to, &message, now).unwrap());
}

/// What no message can do without.
fn key_and_agreement(browser: &Browser) {
    let ours = PrivateKey::generate(&ECDH_P256).unwrap();
    black_box(ours.compute_public_key().unwrap());
    let theirs = UnparsedPublicKey::new(&ECDH_P256, browser.keys.p256dh);
    let agreed = agree(&ours, theirs, (), |secret| {
        black_box(secret);
        Ok(())
    });
    agreed.unwrap();
}
