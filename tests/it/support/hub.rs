//! The real server on a port of its own, a temporary folder, the doubles at the other end.

use std::{path::Path, pin::Pin, time::Duration};

use beckon::{
    clock::Clock,
    config::{self, Config},
    doubles::{self, Doubles, Handle},
    model::{AppHost, Scope},
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
    running: Option<Running>,
    change: fn(&mut Config),
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
        log_if_asked();
        let doubles = doubles::start(doubles::Options::strict(folder.path().join("doubles")))
            .await
            .unwrap();
        let config = config_of(folder.path(), &doubles, change);
        let running = serve_with(config, &clock).await.unwrap();
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
            running: Some(running),
            change,
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
        self.clock.advance(span);
        let secs = i64::try_from(span.as_secs()).unwrap();
        self.doubles()
            .set_clock_offset(self.doubles().clock_offset() + secs);
    }

    /// Stops the hub as a supervisor would and starts it again on the same folder.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }

    /// Starts it again on the same folder.
    pub async fn start_again(&mut self) {
        // A question that was being answered when its asker went away may hold the store for a moment more; a
        // process that ends does not wait for it.
        let started = eventually("the folder is free", || async {
            let config = config_of(self.folder.path(), &self.doubles, self.change);
            let started = serve_with(config, &self.clock).await;
            let in_use = started.as_ref().is_err_and(|error| {
                let error = error.downcast_ref();
                matches!(error, Some(beckon::store::Error::InUse(_)))
            });
            (!in_use).then_some(started)
        })
        .await;
        self.running = Some(started.unwrap());
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

async fn serve_with(config: Config, clock: &Clock) -> anyhow::Result<Running> {
    let options = serve::Options {
        config,
        clock: clock.clone(),
        accept_loss: false,
        workers: 2,
        demo: None,
    };
    serve::start(options).await
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
fn config_of(folder: &Path, doubles: &Doubles, change: fn(&mut Config)) -> Config {
    let services = doubles.settings().app_toml();
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
    change(&mut config);
    config
}
