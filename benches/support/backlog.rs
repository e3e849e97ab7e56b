//! People with a phone each, and a notification that it is to be tapped for: written to a store before a hub opens it.

use std::{fs, path::Path, time::Duration};

use beckon::doubles::{self, Doubles, Ports, Service};
use tokio::time::Instant;

use super::{
    http::{Connection, request},
    process::HubProcess,
    registration,
    rows::{Person, hub_of, open_store, write_all},
    subject,
};

/// How long a hub may take to have tried all that is due.
const PATIENCE: Duration = Duration::from_secs(300);

/// Doubles with their checks off, in this process; on the ports of the last time in the same folder.
pub(crate) async fn start_doubles_here(folder: &Path) -> Doubles {
    let options = doubles::Options {
        folder: folder.join("doubles"),
        ports: Ports::default(),
        strict: false,
    };
    doubles::start(options).await.unwrap()
}

/// Fills the store in `folder` with people who have a phone; those who are `owed` a tap have a notification, too.
pub(crate) async fn fill(folder: &Path, people: usize, owed: bool) {
    let store = open_store(folder);
    let now = hub_of(&store).now();
    let units = (0..people).map(|nth| {
        let mut person = Person::new(&store, subject(&format!("person-{nth}")));
        person.register(registration(Service::Apns, 0), now);
        if owed {
            person.post(now);
            person.mark(now);
        }
        person.unit()
    });
    write_all(&store, units).await;
    store.close();
}

/// Copies a store that nobody has open.
pub(crate) fn copy(from: &Path, to: &Path) {
    let _not_there_the_first_time = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Waits until nothing is due any more in the outbox: all was sent, or tried and put off.
pub(crate) async fn nothing_due(hub: &HubProcess) {
    let began = Instant::now();
    let mut connection = Connection::open(hub.addr).await;
    while metric(&mut connection, "beckon_outbox_oldest_due_seconds").await > 0.5 {
        assert!(began.elapsed() < PATIENCE, "still some are due");
        // Seldom: to answer, the hub walks its whole outbox.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// How many markers wait in the outbox.
pub(crate) async fn waiting(hub: &HubProcess) -> f64 {
    metric(&mut Connection::open(hub.addr).await, "beckon_outbox_depth").await
}

async fn metric(connection: &mut Connection, name: &str) -> f64 {
    let (_, body) = connection.ask(&request("GET", "/metrics", "", "")).await;
    let text = std::str::from_utf8(body).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.unwrap().trim().parse().unwrap()
}
