//! The real binary as a process of its own, which can be killed and whose memory can be looked at.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use beckon::doubles::Doubles;

use super::{APP, load::cpu_time};

/// Writes a config for a hub that keeps its store in `folder/store` and knows the doubles, if any.
pub(crate) fn write_config(folder: &Path, doubles: Option<&Doubles>) {
    let services = doubles.map(|it| it.settings().app_toml());
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[store]\npath = \"store\"\nmin_free_bytes = 0\n[log]\nlevel = \"error\"\n[[app]]\nhost = \"{APP}\"\n{}",
        services.unwrap_or_default()
    );
    fs::write(folder.join("config.toml"), text).unwrap();
}

/// Makes an app key in the store in `folder`, which nobody has open.
pub(crate) fn make_key(folder: &Path) -> String {
    let made = Command::new(env!("CARGO_BIN_EXE_beckon"))
        .args(["key", "create", APP, "--json", "--config"])
        .arg(folder.join("config.toml"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    made["key"].as_str().unwrap().to_owned()
}

/// A hub that runs, or what it is compared with.
pub(crate) struct HubProcess {
    process: Child,
    pub(crate) addr: SocketAddr,
    /// How long it took from the start of the process until it said that it listens.
    pub(crate) ready: Duration,
}

impl HubProcess {
    /// Starts `beckon serve` with the config in `folder`.
    pub(crate) fn start(folder: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_beckon"));
        command.args(["serve", "--config"]);
        command.arg(folder.join("config.toml"));
        Self::spawn(command)
    }

    /// Starts what says where it listens as a hub does.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let began = Instant::now();
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready = began.elapsed();
        let addr = line.trim().strip_prefix("listening on http://");
        assert!(addr.is_some(), "it did not start: {line:?}");
        Self {
            process,
            addr: addr.unwrap().parse().unwrap(),
            ready,
        }
    }

    /// How much memory of the process is in RAM now, in bytes (`VmRSS`).
    pub(crate) fn rss(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most of it there was since the start (`VmHWM`).
    pub(crate) fn peak_rss(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// How much CPU time it has taken so far.
    pub(crate) fn cpu_time(&self) -> Duration {
        cpu_time(&self.process.id().to_string())
    }

    fn memory(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.unwrap().trim().trim_end_matches(" kB");
        kib.parse::<u64>().unwrap() * 1024
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for HubProcess {
    fn drop(&mut self) {
        // So that a bench that failed leaves nothing behind; where it has ended already there is nothing to do.
        let _ = self.process.kill();
    }
}
