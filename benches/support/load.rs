//! Several clients at once, each doing one thing after another for a while; and what came of it.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};
use tokio::task::JoinSet;

/// Who does one thing after another.
pub(crate) trait Client: Send + 'static {
    /// Does the next thing and says how long it took.
    fn next(&mut self) -> impl Future<Output = Duration> + Send;
}

/// What clients did.
pub(crate) struct Load {
    pub(crate) per_sec: f64,
    /// How much CPU time of this process each thing took, in microseconds; all that ran meanwhile counts.
    pub(crate) cpu_micros: f64,
    /// How long each thing took, in order of length.
    took: Vec<Duration>,
}

impl Load {
    /// How long it took, in milliseconds, where so many per mille were faster.
    pub(crate) fn millis(&self, per_mille: usize) -> f64 {
        let at = (self.took.len() * per_mille / 1000).min(self.took.len() - 1);
        self.took[at].as_secs_f64() * 1e3
    }
}

/// Begins to measure.
pub(crate) struct Meter {
    began: Instant,
    cpu: Duration,
    writing: Duration,
}

impl Meter {
    pub(crate) fn start() -> Self {
        Self {
            began: Instant::now(),
            cpu: own_cpu_time(),
            writing: writing_cpu_time(),
        }
    }

    /// How much CPU time this process has taken since.
    pub(crate) fn cpu(&self) -> Duration {
        own_cpu_time() - self.cpu
    }

    /// How much of that was the store's, to write.
    pub(crate) fn writing(&self) -> Duration {
        writing_cpu_time().saturating_sub(self.writing)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Ends with what took how long meanwhile.
    pub(crate) fn stop(self, mut took: Vec<Duration>) -> Load {
        let (count, span) = (took.len() as f64, self.began.elapsed());
        let cpu = self.cpu();
        took.sort_unstable();
        Load {
            per_sec: count / span.as_secs_f64(),
            cpu_micros: cpu.as_secs_f64() * 1e6 / count,
            took,
        }
    }
}

fn own_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// CPU time so far of the threads that do nothing but write the store: the committer, and its engine's that are there.
fn writing_cpu_time() -> Duration {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let nanos = threads.filter_map(|thread| {
        let thread = thread.unwrap().path();
        let name = fs::read_to_string(thread.join("comm")).ok()?;
        if !name.starts_with("committer") && !name.starts_with("sled-io") {
            return None;
        }
        let stat = fs::read_to_string(thread.join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

/// CPU time of a process so far, user and system, in steps of 10 ms.
pub(crate) fn cpu_time(process: &str) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name before it may hold blanks.
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    let fields = after_name.split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// Has clients go on for so long.
pub(crate) async fn run(clients: Vec<impl Client>, span: Duration) -> Load {
    let (meter, began) = (Meter::start(), Instant::now());
    let mut tasks = JoinSet::new();
    for mut client in clients {
        tasks.spawn(async move {
            let mut took = Vec::new();
            while began.elapsed() < span {
                took.push(client.next().await);
            }
            took
        });
    }
    let took = tasks.join_all().await;
    meter.stop(took.concat())
}
