//! No storm on waking: devices that were off for a week, while ten thousand notifications came and most of them were
//! superseded, read or over, get one tap and pull what is left.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use beckon::doubles::{DevicePatch, Service};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::Mutex, task::JoinSet};

use crate::support::{Client, TestDevice, TestHub};

const DAYS: usize = 7;
const A_DAY: usize = 1_430;
/// A little less, so that what is kept for a week is there when they wake.
const DAY: Duration = Duration::from_secs(23 * 3600);
const WRITERS: usize = 16;
/// Posts that go by these names are superseded again and again.
const NAMES: usize = 20;
const POST: &str = "/v1/users/ada/notifications";

/// What becomes of the notification posted as number `nth`.
fn draft(nth: usize, tonight: &str) -> Value {
    let raw = json!({"rawContent": nth.to_string()});
    match nth % 10 {
        0..=6 => {
            json!({"appNotificationId": format!("order-{}", nth / 10 % NAMES), "payload": raw})
        }
        7 => json!({"expirationDateTime": tonight, "payload": raw}),
        8 => json!({"groupName": "read", "payload": raw}),
        _ => json!({"payload": raw}),
    }
}

/// Posts a day's worth over a few connections.
async fn post(app: &Client, drafts: Vec<Value>) {
    let waiting = Arc::new(Mutex::new(drafts.into_iter()));
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (app, waiting) = (app.clone(), Arc::clone(&waiting));
        writers.spawn(async move {
            let tcp = TcpStream::connect(app.addr).await.unwrap();
            let (mut sender, connection) = http1::handshake(TokioIo::new(tcp)).await.unwrap();
            tokio::spawn(connection);
            let bearer = format!("Bearer {}", app.bearer.unwrap());
            loop {
                let Some(draft) = waiting.lock().await.next() else {
                    return;
                };
                let request = Request::post(POST)
                    .header("host", "hub")
                    .header("authorization", &bearer)
                    .header("content-type", "application/json")
                    .body(Full::new(Bytes::from(draft.to_string())))
                    .unwrap();
                let answer = sender.send_request(request).await.unwrap();
                let status = answer.status();
                let body = answer.into_body().collect().await.unwrap().to_bytes();
                assert!(status.is_success(), "{status}: {body:?}");
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
}

/// Posts through the week, while somebody reads on another device.
async fn a_week_of_notifications(hub: &TestHub, desktop: &Client) {
    for day in 0..DAYS {
        let tonight = hub.clock.now().plus(DAY / 2).to_string();
        let numbers = day * A_DAY..(day + 1) * A_DAY;
        let drafts = numbers.map(|nth| draft(nth, &tonight)).collect();
        post(&hub.app(), drafts).await;
        let read = json!({"groupName": "read", "set": {"readState": "read"}});
        desktop
            .post("/v1/me/notifications/state", read)
            .await
            .expect(200);
        hub.settled().await;
        hub.advance(DAY);
        hub.settled().await;
    }
}

/// How many of each kind the feed tells someone who stands at `cursor`.
async fn kinds(device: &TestDevice, cursor: &str) -> BTreeMap<&'static str, usize> {
    let mut found = BTreeMap::new();
    let mut path = format!("/v1/me/notifications/delta?$top=1000&$deltatoken={cursor}");
    loop {
        let page = device.client.get(&path).await.expect(200);
        for it in page["value"].as_array().unwrap() {
            let kind = match it {
                it if it["@removed"]["reason"] == "expired" => "expired",
                it if it["readState"] == "read" => "read",
                it if it.get("appNotificationId").is_some() => "named",
                _ => "unread",
            };
            *found.entry(kind).or_default() += 1;
        }
        match page["@odata.nextLink"].as_str() {
            Some(next) => path = next[next.find("/v1/").unwrap()..].to_owned(),
            None => return found,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_was_off_for_a_week_gets_one_tap_and_pulls_what_is_left() {
    let hub = TestHub::with(
        beckon::clock::Clock::manual(beckon::clock::Clock::system().now()),
        |config| config.server.limits.notifications_per_user = 20_000,
    )
    .await;
    let desktop = hub.registered("ada", "desktop").await;
    let mut devices = Vec::new();
    for service in Service::ALL {
        let mut device = hub.device("ada", service).await;
        device.pull().await;
        switch(&hub, &device, false);
        devices.push(device);
    }
    a_week_of_notifications(&hub, &desktop).await;
    for device in &mut devices {
        device.seen = hub.doubles().place();
        switch(&hub, device, true);
        let handed = device.unseen();
        let sent = hub.doubles().counters(device.service).accepted;
        println!(
            "{:?}: {sent} taps sent, {handed} handed over",
            device.service
        );
        // Repeated after a quarter of an hour, then later and later, at last daily.
        assert!(sent <= 15, "{:?} was sent {sent} taps", device.service);
        // APNs and WNS keep the newest one alone; with the others each lives until the next is sent.
        assert_eq!(handed, 1, "{:?}", device.service);
    }
    let total = DAYS * A_DAY;
    let phone = &mut devices[0];
    let cursor = phone.cursor.clone().unwrap();
    let kinds = kinds(phone, &cursor).await;
    println!("of {total} the feed tells: {kinds:?}");
    assert_eq!(kinds["named"], NAMES, "superseded ones are not in the feed");
    assert_eq!(kinds["unread"], total / 10, "{kinds:?}");
    assert_eq!(kinds["read"], total / 10, "{kinds:?}");
    assert_eq!(kinds["expired"], total / 10, "by id alone: {kinds:?}");
    // Who begins anew is spared the removals, and the page says which are read.
    phone.cursor = None;
    phone.pull().await;
    assert_eq!(phone.held.len(), NAMES + total / 10 * 2);
    assert_eq!(
        phone.shade().len(),
        NAMES + total / 10,
        "what is to be shown"
    );
    for device in &mut devices {
        device.pull().await;
    }
    hub.settled().await;
    hub.advance(DAY);
    hub.settled().await;
    for device in &mut devices {
        let waited = hub.doubles().counters(device.service).accepted;
        assert!(waited <= 15, "{:?} is tapped on: {waited}", device.service);
    }
    hub.finish().await;
}

fn switch(hub: &TestHub, device: &TestDevice, online: bool) {
    let patch = DevicePatch::online(online);
    hub.doubles()
        .patch_device(&device.device.id, patch)
        .unwrap();
}
