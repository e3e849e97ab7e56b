//! What the benches share: a hub on the doubles, which run as a process of their own with their checks off.

pub(crate) mod arrivals;
pub(crate) mod backlog;
pub(crate) mod bare;
pub(crate) mod broadcasts;
pub(crate) mod events;
pub(crate) mod http;
pub(crate) mod load;
pub(crate) mod poster;
pub(crate) mod process;
pub(crate) mod pushes;
pub(crate) mod report;
pub(crate) mod rows;

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use beckon::{
    clock::Clock,
    config::{self, Config},
    doubles::{self, Ports, Service},
    hub::Registration,
    model::{
        AppHost, Channel, DeviceToken, Draft, EndpointId, Platform, Priority, Secret, Subject,
        UserId, VisualContent,
    },
    serve::{self, Running},
};

/// As the binary has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub(crate) const APP: &str = "bench.example";
/// Set in the child process that runs the doubles, with their folder.
const CHILD: &str = "BECKON_BENCH_DOUBLES";

/// Runs a bench, or the doubles in the child that it has started.
pub(crate) fn main<F: Future<Output = ()>>(bench: impl FnOnce() -> F) {
    // `cargo test --benches` and the like only want to know that it builds.
    if env::args().any(|arg| arg == "--test") {
        println!("1 passed, 0 failed");
        return;
    }
    let runtime = serve::runtime().unwrap();
    match env::var(CHILD) {
        Ok(folder) => runtime.block_on(run_doubles(Path::new(&folder))),
        Err(_) => runtime.block_on(bench()),
    }
}

/// The child: doubles with their checks off, until stdin closes.
async fn run_doubles(folder: &Path) {
    let options = doubles::Options {
        folder: folder.to_owned(),
        ports: Ports::default(),
        strict: false,
    };
    let doubles = doubles::start(options).await.unwrap();
    fs::write(folder.join("app.toml"), doubles.settings().app_toml()).unwrap();
    println!("ready");
    if env::var_os(arrivals::TOLD).is_some() {
        tokio::spawn(arrivals::tell(doubles.handle().clone()));
    }
    tokio::task::spawn_blocking(|| std::io::stdin().lines().count())
        .await
        .unwrap();
    doubles.stop().await;
}

pub(crate) fn start_doubles(folder: &Path) -> Child {
    spawn_doubles(folder, &[]).0
}

/// Starts the child with more in its environment; and what it says once it is ready.
fn spawn_doubles(folder: &Path, env: &[(&str, &str)]) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(env::current_exe().unwrap())
        .env(CHILD, folder.join("doubles"))
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line.trim(), "ready");
    (child, said)
}

pub(crate) async fn start_hub(folder: &Path) -> Running {
    let mut config = config_on_doubles(folder);
    config.server.limits.endpoints_per_user = 1000;
    config.delivery.concurrency = 512;
    start(config, 1).await
}

/// For a hub that taps at the doubles and keeps its store in `folder/store`; for the rest as it comes.
pub(crate) fn config_on_doubles(folder: &Path) -> Config {
    let services = fs::read_to_string(folder.join("doubles/app.toml")).unwrap();
    let file = folder.join("config.toml");
    fs::write(&file, format!("[[app]]\nhost = \"{APP}\"\n{services}")).unwrap();
    let mut config = config::load(Some(&file), std::iter::empty()).unwrap();
    config.server.listen = "127.0.0.1:0".parse().unwrap();
    config.store.path = folder.join("store");
    config
}

/// A hub without push services, on as many threads as the command line would give it.
pub(crate) async fn start_plain_hub(folder: &Path) -> Running {
    fs::create_dir_all(folder).unwrap();
    process::write_config(folder, None);
    let file = folder.join("config.toml");
    let config = config::load(Some(&file), std::iter::empty()).unwrap();
    start(config, cores()).await
}

/// A hub that answers requests on so many threads.
pub(crate) async fn start(config: Config, workers: usize) -> Running {
    let options = serve::Options {
        config,
        clock: Clock::system(),
        accept_loss: false,
        workers,
        demo: None,
        resolver: Default::default(),
    };
    serve::start(options).await.unwrap()
}

pub(crate) fn subject(user: &str) -> Subject {
    Subject {
        app: AppHost::parse(APP).unwrap(),
        user: UserId::parse(user).unwrap(),
    }
}

pub(crate) fn registration(service: Service, device: usize) -> Registration {
    let token: String = (0..32)
        .map(|_| format!("{:02x}", rand::random::<u8>()))
        .collect();
    let (platform, channel) = match service {
        Service::Fcm => (
            Platform::Android,
            Channel::Fcm {
                registration_token: Secret::new(token),
            },
        ),
        _ => {
            let device_token = DeviceToken::parse(&token).unwrap();
            (
                Platform::Ios,
                Channel::Apns {
                    device_token,
                    topic: None,
                    environment: None,
                },
            )
        }
    };
    Registration {
        id: EndpointId::parse(&format!("device-{device}")).unwrap(),
        platform,
        channel,
        display_name: None,
        locale: None,
        present_vapid: None,
        state_sync: false,
        shared: false,
        expires: None,
    }
}

pub(crate) fn draft() -> Draft {
    Draft {
        app_id: None,
        group: None,
        platforms: None,
        raw: None,
        visual: Some(VisualContent {
            title: "Lunch?".into(),
            body: Some("At noon.".into()),
        }),
        display_ttl: None,
        expires: None,
        priority: Priority::High,
        fallback: None,
    }
}

pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

pub(crate) fn cpu_model() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info
        .lines()
        .find(|line| line.starts_with("model name"))
        .unwrap_or_default();
    line.split(':')
        .nth(1)
        .map_or_else(|| String::from("unknown"), |name| name.trim().to_owned())
}
