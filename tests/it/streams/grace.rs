//! A device that listens is tapped only if it does not say in time that it heard.

use std::time::Duration;

use beckon::doubles::Service;
use serde_json::{Value, json};

use super::{POST, STREAM, content, post, text};
use crate::support::{Sse, TestDevice, TestHub, eventually};

const GRACE: Duration = Duration::from_secs(5);

async fn delivery(hub: &TestHub, id: &str) -> Value {
    let report = hub
        .app()
        .get(&format!("{POST}/{id}/deliveries"))
        .await
        .expect(200);
    report["value"][0].clone()
}

async fn listening(hub: &TestHub) -> (TestDevice, Sse) {
    let phone = hub.device("ada", Service::Apns).await;
    let stream = Sse::open(&phone.client, STREAM).await;
    (phone, stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_and_acknowledges_is_not_tapped() {
    let hub = TestHub::at_a_standstill().await;
    let (mut phone, mut stream) = listening(&hub).await;
    let posted = post(&hub, "heard").await;
    let id = text(&posted["id"]);
    let (cursor, _) = stream.event().await;
    hub.settled().await;
    let waiting = delivery(&hub, &id).await;
    assert_eq!(
        (&waiting["status"], &waiting["reason"]),
        (&json!("pending"), &json!("streaming")),
        "{waiting}"
    );
    hub.advance(GRACE - Duration::from_millis(1));
    let receipt = json!({"upTo": cursor});
    phone
        .client
        .post("/v1/me/notifications/receipts", receipt)
        .await
        .expect(204);
    let held = delivery(&hub, &id).await;
    assert_eq!(held["status"], "fetched", "{held}");
    for _ in 0..3 {
        hub.advance(GRACE);
        hub.settled().await;
    }
    assert_eq!(phone.unseen(), 0, "{:#?}", hub.doubles().arrivals(0));
    drop(stream);
    eventually("the stream is closed", || async {
        (hub.running().hub.streams_open() == 0).then_some(())
    })
    .await;
    post(&hub, "after").await;
    phone.next_push("a tap, now that it does not listen").await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_and_does_not_acknowledge_is_tapped_after_the_grace() {
    let hub = TestHub::at_a_standstill().await;
    let (mut phone, mut stream) = listening(&hub).await;
    let posted = post(&hub, "unheard").await;
    assert_eq!(content(&stream.event().await.1), "unheard");
    hub.settled().await;
    hub.advance(GRACE - Duration::from_millis(1));
    hub.settled().await;
    assert_eq!(
        phone.unseen(),
        0,
        "within the grace: {:#?}",
        hub.doubles().arrivals(0)
    );
    hub.advance(Duration::from_millis(1));
    phone.next_push("the tap after the grace").await;
    let id = text(&posted["id"]);
    eventually("the delivery says that it was tapped", || async {
        let it = delivery(&hub, &id).await;
        (it["status"] == "tapped").then_some(())
    })
    .await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_acknowledgement_says_nothing_of_what_came_after() {
    let hub = TestHub::at_a_standstill().await;
    let (mut phone, mut stream) = listening(&hub).await;
    post(&hub, "one").await;
    let (first, _) = stream.event().await;
    post(&hub, "two").await;
    stream.event().await;
    let receipt = json!({"upTo": first});
    phone
        .client
        .post("/v1/me/notifications/receipts", receipt)
        .await
        .expect(204);
    hub.settled().await;
    hub.advance(GRACE);
    phone.next_push("the tap for the second").await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_devices_stream_spares_nobody_a_tap() {
    let hub = TestHub::at_a_standstill().await;
    let (mut phone, mut stream) = listening(&hub).await;
    let mut other = hub.device("ada", Service::Fcm).await;
    let posted = post(&hub, "hello").await;
    assert_eq!(stream.event().await.1, posted);
    other
        .next_push("the tap of the one that does not listen")
        .await;
    hub.settled().await;
    assert_eq!(phone.unseen(), 0, "{:#?}", hub.doubles().arrivals(0));
    let unbound = hub.person("ada", None).await;
    let _nobodys = Sse::open(&unbound, STREAM).await;
    post(&hub, "again").await;
    hub.advance(GRACE);
    phone.next_push("it never acknowledged").await;
    hub.finish().await;
}
