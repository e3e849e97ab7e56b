//! Broadcasts, and whom they are for.

use std::{path::Path, time::Duration};

use beckon::{
    doubles::Service,
    hub::Hub,
    model::{AppHost, Audience, Broadcast, BroadcastStatus, Draft},
};

use super::{
    APP, registration,
    rows::{self, Person},
    subject,
};

/// How often is looked whether there is still something to do.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Writes people to a store that nobody has open; every so many have an iPhone.
pub(crate) async fn write_audience(folder: &Path, people: usize, phone_every: usize) {
    let store = rows::open_store(folder);
    let now = rows::hub_of(&store).now();
    let units = (0..people).map(|nth| {
        let mut person = Person::new(&store, subject(&format!("one-of-many-{nth}")));
        if nth % phone_every == 0 {
            person.register(registration(Service::Apns, 0), now);
        }
        person.unit()
    });
    rows::write_all(&store, units).await;
    store.close();
}

/// Waits until nothing is due any more.
pub(crate) async fn quiet(hub: &Hub) {
    loop {
        let now = hub.now();
        let due = hub.store().ask(move |reader| reader.overdue(now, 1)).await;
        if due.unwrap() == 0 {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Posts to everyone whom the app has, and waits until all were posted to.
pub(crate) async fn broadcast(hub: &Hub, draft: Draft) {
    let app = AppHost::parse(APP).unwrap();
    let posted = hub.broadcast(app.clone(), Audience::All, draft, None);
    let id = posted.await.unwrap().id;
    loop {
        let job: Broadcast = hub.broadcast_of(&app, id).await.unwrap();
        if job.status == BroadcastStatus::Completed {
            assert_eq!(job.failed, 0);
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
