//! When pushes arrive: the child process that runs the doubles says the time of each, as soon as it has come in whole. Two
//! processes of one machine share the wall's clock.

#![expect(
    clippy::disallowed_methods,
    reason = "the time is compared with that of another process"
)]

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdout},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use beckon::doubles::{Handle, Service};
use tokio::sync::mpsc;

use super::spawn_doubles;

/// Set in the child process where it is to tell of what arrives at FCM.
pub(crate) const TOLD: &str = "BECKON_BENCH_ARRIVALS";

/// What arrived at the FCM double, in order.
pub(crate) struct Arrivals(mpsc::UnboundedReceiver<SystemTime>);

/// Starts doubles that tell of what arrives at FCM.
pub(crate) fn start_doubles(folder: &Path) -> (Child, Arrivals) {
    let (child, said) = spawn_doubles(folder, &[(TOLD, "fcm")]);
    let (tell, arrivals) = mpsc::unbounded_channel();
    thread::spawn(move || pass_on(said, &tell));
    (child, Arrivals(arrivals))
}

fn pass_on(said: BufReader<ChildStdout>, tell: &mpsc::UnboundedSender<SystemTime>) {
    for line in said.lines() {
        let nanos = line.unwrap().parse().unwrap();
        // The bench may have ended before the doubles.
        let _nobody_may_listen = tell.send(UNIX_EPOCH + Duration::from_nanos(nanos));
    }
}

/// What the time is for whoever compares it with an arrival.
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

impl Arrivals {
    /// The next one's time.
    pub(crate) async fn next(&mut self) -> SystemTime {
        self.0.recv().await.unwrap()
    }

    /// Whether there is one that nobody has asked for yet.
    pub(crate) fn any(&self) -> bool {
        !self.0.is_empty()
    }
}

/// The child: says when each push was accepted.
pub(crate) async fn tell(doubles: Handle) {
    const FOREVER: Duration = Duration::from_secs(24 * 3600);
    let mut told = 0;
    while doubles
        .await_accepted(Service::Fcm, told + 1, FOREVER)
        .await
    {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let accepted = doubles.counters(Service::Fcm).accepted;
        (told..accepted).for_each(|_| println!("{}", at.as_nanos()));
        told = accepted;
    }
}
