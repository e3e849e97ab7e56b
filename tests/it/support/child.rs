//! The real binary as a process of its own, which can be killed; the doubles at the other end live in the test.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use beckon::doubles::{self, Device, Doubles, Handle, NewDevice, Service};
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::{Client, hub::APP, wait::DEADLINE, wait::eventually};

/// Delivery with waits that a test can sit out.
pub const QUICK: &str = "stream_grace = \"200ms\"\nsilent_per_hour = 600\nretap_after = \"1s\"\nmin_fallback_delay = \"1s\"\nretry_base = \"20ms\"\nretry_max = \"200ms\"";

/// A hub as a process.
#[derive(Debug)]
pub struct ChildHub {
    pub folder: TempDir,
    pub doubles: Doubles,
    pub key: String,
    /// How long the last start took, until it said that it listens.
    pub started_in: Duration,
    config: PathBuf,
    process: Option<Child>,
    addr: Option<SocketAddr>,
    stderr: Arc<Mutex<String>>,
}

impl ChildHub {
    /// A hub with waits that a test can sit out.
    pub async fn start() -> Self {
        Self::with(QUICK).await
    }

    /// A hub with this `[delivery]` section.
    pub async fn with(delivery: &str) -> Self {
        Self::with_sections("", delivery).await
    }

    /// A hub that reads nothing of its store but what it is asked for.
    pub async fn incurious() -> Self {
        Self::with_sections("verify_on_start = false", QUICK).await
    }

    async fn with_sections(store: &str, delivery: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let doubles = doubles::start(doubles::Options::strict(folder.path().join("doubles")))
            .await
            .unwrap();
        let services = doubles.settings().app_toml();
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[store]\npath = \"store\"\nmin_free_bytes = 0\n{store}\n[delivery]\n{delivery}\n[[app]]\nhost = \"{APP}\"\n{services}"
        );
        let config = folder.path().join("config.toml");
        std::fs::write(&config, text).unwrap();
        let mut hub = Self {
            folder,
            doubles,
            key: String::new(),
            started_in: Duration::ZERO,
            config,
            process: None,
            addr: None,
            stderr: Arc::default(),
        };
        let made = hub.command(&["key", "create", APP, "--json"]);
        assert!(made.status.success(), "{made:?}");
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        hub.key = made["key"].as_str().unwrap().to_owned();
        hub.begin().await;
        hub
    }

    /// Starts the process, which must not be running, and waits until it listens.
    pub async fn begin(&mut self) {
        self.begin_with(&[]).await;
    }

    /// The same with further arguments.
    pub async fn begin_with(&mut self, more: &[&str]) {
        let mut command = self.binary(&["serve"]);
        command.args(more);
        self.launch(command).await;
    }

    /// The same where no file may grow beyond so many blocks of 512 bytes: a write that goes further fails.
    pub async fn begin_cramped(&mut self, blocks: u64) {
        self.begin_limited(&format!("-f {blocks}")).await;
    }

    /// The same where no more than so many files may be open.
    pub async fn begin_short_of_files(&mut self, files: u64) {
        self.begin_limited(&format!("-n {files}")).await;
    }

    async fn begin_limited(&mut self, limit: &str) {
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!(
                "trap '' XFSZ; ulimit {limit}; exec \"$0\" serve --config \"$1\""
            ))
            .arg(env!("CARGO_BIN_EXE_beckon"))
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.launch(command).await;
    }

    async fn launch(&mut self, mut command: Command) {
        assert!(self.process.is_none(), "it is running");
        let began = Instant::now();
        let mut process = command.spawn().unwrap();
        let (said, line) = oneshot::channel();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ended_without_a_word = stdout.read_line(&mut line);
            let _nobody_waits = said.send(line);
            // Read on, so that a word more does not stop the process.
            let _ended = stdout.read_to_string(&mut String::new());
        });
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let kept = Arc::clone(&self.stderr);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        self.process = Some(process);
        let line = tokio::time::timeout(DEADLINE, line).await;
        let line = line.expect("it said nothing").unwrap();
        let said = line.trim().strip_prefix("listening on http");
        let addr = said.map(|rest| rest.trim_start_matches('s').trim_start_matches("://"));
        let addr = addr.unwrap_or_else(|| panic!("it did not start: {line:?}"));
        self.addr = Some(addr.parse().unwrap());
        self.started_in = began.elapsed();
    }

    /// Kills the process as `kill -9` does.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it is not running");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Asks the process to stop; it is still to be waited for.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Changes the config, which the next start or reload reads.
    pub fn edit_config(&self, edit: impl Fn(String) -> String) {
        let text = std::fs::read_to_string(&self.config).unwrap();
        std::fs::write(&self.config, edit(text)).unwrap();
    }

    /// Asks the process to read its config anew.
    pub fn reload(&self) {
        self.signal(Signal::HUP);
    }

    /// Sends the process a signal.
    pub fn signal(&self, which: Signal) {
        signal(self.process.as_ref().expect("it is not running"), which);
    }

    /// Waits until the process has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("it is not running");
        let shared = Mutex::new(&mut process);
        eventually("the process ends", || async {
            shared.lock().unwrap().try_wait().unwrap()
        })
        .await
    }

    /// Runs another command of the binary on the same config, to its end.
    pub fn command(&self, args: &[&str]) -> Output {
        self.binary(args).output().unwrap()
    }

    /// Begins another command of the binary on the same config.
    pub fn spawn(&self, args: &[&str]) -> Child {
        self.binary(args).spawn().unwrap()
    }

    /// Asks the process to stop, and waits until it has.
    pub async fn stop(&mut self) {
        self.terminate();
        let ended = self.ended().await;
        assert!(ended.success(), "{ended}");
    }

    /// Runs a command that must succeed, and reads its JSON.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let output = self.command(&[args, &["--json"]].concat());
        let shown = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {shown}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs a command that must fail, and gives what it says about that.
    #[track_caller]
    pub fn refused(&self, args: &[&str]) -> String {
        let output = self.command(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(!said.contains("panicked"), "{args:?}: {said}");
        said
    }

    /// Runs a shell script in which `beckon` is this binary, on the same config; stops at the first failure.
    pub fn shell(&self, script: &str, variables: &[(&str, &str)]) -> Output {
        let binary = std::path::Path::new(env!("CARGO_BIN_EXE_beckon"));
        let folder = binary.parent().unwrap().to_string_lossy();
        let path = std::env::var("PATH").unwrap_or_default();
        Command::new("bash")
            .args(["-euo", "pipefail", "-c", script])
            .env("PATH", format!("{folder}:{path}"))
            .env("BECKON_CONFIG", &self.config)
            .current_dir(self.folder.path())
            .envs(variables.iter().copied())
            .output()
            .unwrap()
    }

    /// What the store's own check finds wrong, with nobody running on it or with the hub.
    #[track_caller]
    pub fn verify(&self) {
        let found = self.command(&["store", "verify", "--json"]);
        let shown = format!(
            "{}{}",
            String::from_utf8_lossy(&found.stdout),
            String::from_utf8_lossy(&found.stderr)
        );
        assert_eq!(found.status.code(), Some(0), "{shown}");
        let found: Value = serde_json::from_slice(&found.stdout).expect(&shown);
        assert_eq!(found, json!({"value": []}));
    }

    fn binary(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_beckon"));
        command
            .args(args)
            .arg("--config")
            .arg(&self.config)
            .env_remove("BECKON_SEED")
            .env_remove("BECKON_KILL_ROUNDS")
            .env_remove("BECKON_STORM_STEPS")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr.unwrap()
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    pub fn doubles(&self) -> &Handle {
        self.doubles.handle()
    }

    /// A caller without a credential.
    pub fn client(&self) -> Client {
        Client::new(self.addr())
    }

    /// Ada's phone, registered with a device of that service's double; gives what it calls with.
    pub async fn phone(&self, service: Service) -> (Device, String) {
        let device = self.doubles().add_device(NewDevice::of(service)).unwrap();
        let body = json!({"endpointId": "phone"});
        let minted = self.app().post("/v1/users/ada/tokens", body).await;
        let token = minted.expect(201)["token"].as_str().unwrap().to_owned();
        let body = json!({"channel": device.channel});
        let me = self.client().bearer(&token);
        me.put("/v1/me/endpoints/phone", body).await.expect(201);
        (device, token)
    }

    /// The app's server.
    pub fn app(&self) -> Client {
        self.client().bearer(&self.key)
    }

    /// What the processes wrote to their logs so far.
    pub fn log(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Waits until a line of the log has these words.
    pub async fn says(&self, words: &str) {
        eventually(words, || async { self.log().contains(words).then_some(()) }).await;
    }
}

impl Drop for ChildHub {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ended_already = process.kill();
            let _ended_already = process.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let from = lines.len().saturating_sub(40);
            eprintln!("the hub's log ends:\n{}", lines[from..].join("\n"));
        }
    }
}

/// Sends a process a signal.
pub fn signal(process: &Child, which: Signal) {
    let id = Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap();
    rustix::process::kill_process(id, which).unwrap();
}
