//! The real server on a port of its own, a temporary folder, the doubles at the other end.

use std::{path::Path, pin::Pin, time::Duration};

use beckon::{
    clock::Clock,
    config::{self, Config},
    doubles::{self, Doubles, Handle},
    model::{AppHost, Scope},
    push::Resolver,
    serve::{self, Running},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Client, TestDevice, eventually};

/// The app of most tests, and one that must never see anything of it.
pub const APP: &str = "todo.example";
pub const OTHER_APP: &str = "other.example";

/// A hub under test.
pub struct TestHub {
    pub folder: TempDir,
    pub doubles: Doubles,
    pub clock: Clock,
    pub key: String,
    running: Option<Box<Running>>,
    tell: Box<Tell>,
}

/// What a test's hub is told in place of the usual.
#[derive(Clone, Copy)]
pub struct Tell {
    /// The service sections of its apps.
    pub services: fn(&Handle) -> String,
    /// Changes to the config that came of them.
    pub change: fn(&mut Config),
    /// Who looks names up for it.
    pub resolver: fn() -> Resolver,
}

impl Default for Tell {
    fn default() -> Self {
        Self {
            services: |doubles| doubles.settings().app_toml(),
            change: |_| {},
            resolver: || Resolver::System,
        }
    }
}

impl TestHub {
    /// A hub on the machine's clock.
    pub async fn start() -> Self {
        Self::with(Clock::system(), |_| {}).await
    }

    /// A hub whose time stands still until the test moves it.
    pub async fn at_a_standstill() -> Self {
        Self::with(Clock::manual(Clock::system().now()), |_| {}).await
    }

    /// A hub with a clock, and with changes to its config.
    pub async fn with(clock: Clock, change: fn(&mut Config)) -> Self {
        Self::on(tempfile::tempdir().unwrap(), clock, change).await
    }

    /// The same in a folder where there may be a store already.
    pub async fn on(folder: TempDir, clock: Clock, change: fn(&mut Config)) -> Self {
        let tell = Tell {
            change,
            ..Tell::default()
        };
        Self::told(folder, clock, tell).await
    }

    /// A hub that is told something else than usual.
    pub async fn told(folder: TempDir, clock: Clock, tell: Tell) -> Self {
        log_if_asked();
        let doubles = doubles::start(doubles::Options::strict(folder.path().join("doubles")))
            .await
            .unwrap();
        let config = config_of(folder.path(), &doubles, tell);
        let running = serve_with(config, &clock, tell).await.unwrap();
        let app = AppHost::parse(APP).unwrap();
        let key = running
            .hub
            .create_key(&app, None, Scope::All)
            .await
            .unwrap();
        let key = key.secret.expose().clone();
        Self {
            folder,
            doubles,
            clock,
            key,
            running: Some(Box::new(running)),
            tell: Box::new(tell),
        }
    }

    pub fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    pub fn doubles(&self) -> &Handle {
        self.doubles.handle()
    }

    /// A caller without a credential.
    pub fn client(&self) -> Client {
        Client::new(self.running().addr)
    }

    /// The app's server.
    pub fn app(&self) -> Client {
        self.client().bearer(&self.key)
    }

    /// A key of the other app.
    pub async fn other_app(&self) -> Client {
        let app = AppHost::parse(OTHER_APP).unwrap();
        let key = self
            .running()
            .hub
            .create_key(&app, None, Scope::All)
            .await
            .unwrap();
        self.client().bearer(key.secret.expose().clone())
    }

    /// A device of a user, registered and known to its double.
    pub async fn device(&self, user: &str, service: doubles::Service) -> TestDevice {
        TestDevice::register(self, user, service).await
    }

    /// Posts something to be seen.
    pub async fn post(&self, user: &str, title: &str) -> Value {
        let body = json!({"priority": "High", "payload": {"visualContent": {"title": title, "body": "b"}}});
        self.app()
            .post(&format!("/v1/users/{user}/notifications"), body)
            .await
            .expect(201)
    }

    /// Moves the time of hub and doubles.
    pub fn advance(&self, span: Duration) {
        // The doubles' first: a credential that the hub makes at once would be from the future to them.
        let secs = i64::try_from(span.as_secs()).unwrap();
        self.doubles()
            .set_clock_offset(self.doubles().clock_offset() + secs);
        self.clock.advance(span);
    }

    /// Stops the hub as a supervisor would and starts it again on the same folder.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }

    /// The same with another config.
    pub async fn restart_with(&mut self, change: fn(&mut Config)) {
        self.tell.change = change;
        self.restart().await;
    }

    /// Starts it again on the same folder.
    pub async fn start_again(&mut self) {
        // A question that was being answered when its asker went away may hold the store for a moment more; a
        // process that ends does not wait for it.
        let started = eventually("the folder is free", || async {
            let config = config_of(self.folder.path(), &self.doubles, *self.tell);
            let started = serve_with(config, &self.clock, *self.tell).await;
            let in_use = started.as_ref().is_err_and(|error| {
                let error = error.downcast_ref();
                matches!(error, Some(beckon::store::Error::InUse(_)))
            });
            (!in_use).then_some(started)
        })
        .await;
        self.running = Some(Box::new(started.unwrap()));
    }

    /// Reads a config with other service sections, as for a signal to reload.
    pub async fn reload(&mut self, services: fn(&Handle) -> String) {
        self.tell.services = services;
        let config = config_of(self.folder.path(), &self.doubles, *self.tell);
        // What it is told as of the same instant changes nothing.
        self.clock.advance(Duration::from_millis(1));
        self.running().reload(config.apps).await.unwrap();
    }

    /// Begins to stop the hub; it has when the answer is there.
    pub fn begin_stop(&mut self) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(self.running.take().unwrap().stop())
    }

    /// Stops the hub and leaves its folder.
    pub async fn stop(&mut self) {
        self.running.take().unwrap().stop().await;
    }

    /// Ends the test: the store must agree with itself.
    pub async fn finish(mut self) {
        let reader = self.running().hub.store().reader().clone();
        let mut findings = reader.verify().unwrap();
        if !findings.is_empty() {
            // A sweep may be writing: what a walk meets half way does not look wrong twice.
            let again = reader.verify().unwrap();
            findings.retain(|finding| again.contains(finding));
        }
        assert!(
            findings.is_empty(),
            "the store disagrees with itself: {findings:#?}"
        );
        self.running.take().unwrap().stop().await;
        self.doubles.stop().await;
    }
}

/// The text of an app's services with these keys of one section left out, and what stands there as comments in their place.
pub fn instead(text: &str, section: &str, without: &[&str]) -> String {
    let mut within = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            within = line == format!("[app.{section}]");
        }
        let key = line.split(" = ").next().unwrap_or_default();
        if within && without.contains(&key) {
            continue;
        }
        let is_setting = within && line.contains(" = ");
        let bare = line.strip_prefix('#').filter(|_| is_setting);
        lines.push(bare.unwrap_or(line));
    }
    lines.join("\n") + "\n"
}

async fn serve_with(config: Config, clock: &Clock, tell: Tell) -> anyhow::Result<Running> {
    let options = serve::Options {
        config,
        clock: clock.clone(),
        accept_loss: false,
        workers: 2,
        demo: None,
        resolver: (tell.resolver)(),
    };
    let running = serve::start(options).await?;
    // What a hub writes by itself as it starts is written before a test counts.
    let reader = running.hub.store().reader();
    eventually("the settings are noted", || async {
        let apps = running.hub.apps().all();
        let noted = apps
            .iter()
            .all(|app| reader.rules(&app.host).unwrap().is_some());
        (noted || running.hub.store().stats().full).then_some(())
    })
    .await;
    Ok(running)
}

/// `BECKON_TEST_LOG=1 cargo test` shows the hubs' logs of a failed test.
fn log_if_asked() {
    if std::env::var_os("BECKON_TEST_LOG").is_some() {
        let log = beckon::config::Log {
            level: beckon::config::LogLevel::Debug,
            ..Default::default()
        };
        // Another test of the process may have started it.
        let _started_already = beckon::log::start(&log);
    }
}

/// The config of a test's hub: two apps on the same doubles.
fn config_of(folder: &Path, doubles: &Doubles, tell: Tell) -> Config {
    let services = (tell.services)(doubles.handle());
    let origins = "origins = [\"https://todo.example\"]";
    let text = format!(
        "[[app]]\nhost = \"{APP}\"\n{origins}\n{services}\n[[app]]\nhost = \"{OTHER_APP}\"\n{services}"
    );
    let file = folder.join("config.toml");
    std::fs::write(&file, text).unwrap();
    let mut config = config::load(Some(&file), std::iter::empty()).unwrap();
    config.server.listen = "127.0.0.1:0".parse().unwrap();
    config.store.path = folder.join("store");
    config.store.min_free_bytes = 0;
    (tell.change)(&mut config);
    config
}
