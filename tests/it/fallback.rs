//! High-priority raw notifications that were not fetched in time are shown.

use std::time::Duration;

use beckon::doubles::Service;
use serde_json::json;

use crate::support::{TestHub, device::beckon_of, eventually};

fn body() -> serde_json::Value {
    json!({
        "priority": "High", "payload": {"rawContent": "secret"},
        "targetPolicy": {"platformTypes": ["iOS"]},
        "fallbackPolicy": {"endpointFallback": {
            "platformTypes": ["iOS"], "fallbackDelayInSeconds": 60, "visualContent": {"title": "Look"}
        }}
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_phone_did_not_fetch_in_time_is_shown_once() {
    let mut hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Apns).await;
    let posted = hub
        .app()
        .post("/v1/users/ada/notifications", body())
        .await
        .expect(201);
    let raw = phone.next_push("the raw tap").await;
    assert_eq!(beckon_of(&raw.push)["k"], "created");
    let settled = || async {
        let path = format!(
            "/v1/users/ada/notifications/{}/deliveries",
            posted["id"].as_str().unwrap()
        );
        let report = hub.app().get(&path).await.expect(200);
        (report["value"][0]["status"] == "tapped").then_some(())
    };
    eventually("the raw tap is on disk", settled).await;
    hub.advance(Duration::from_secs(59));
    hub.restart().await;
    assert_eq!(phone.unseen(), 0, "not a second early");
    hub.advance(Duration::from_secs(1));
    let shown = phone.next_push("the fallback").await;
    assert_eq!(beckon_of(&shown.push)["k"], "fallback");
    assert_eq!(beckon_of(&shown.push)["n"], posted["id"]);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_fetched_in_time_is_not_shown() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Apns).await;
    hub.app()
        .post("/v1/users/ada/notifications", body())
        .await
        .expect(201);
    phone.next_push("the raw tap").await;
    phone.pull().await;
    let subject = beckon::model::Subject {
        app: beckon::model::AppHost::parse("todo.example").unwrap(),
        user: beckon::model::UserId::parse("ada").unwrap(),
    };
    let endpoint = beckon::model::EndpointId::parse(&phone.endpoint).unwrap();
    let reader = hub.running().hub.store().reader().clone();
    eventually("the fetch is on disk", || async {
        (reader.fetch_mark(&subject, &endpoint).unwrap().position.0 == 1).then_some(())
    })
    .await;
    hub.advance(Duration::from_secs(61));
    eventually("the marker of the fallback is settled", || async {
        (reader.outbox_depth().unwrap().markers == 0).then_some(())
    })
    .await;
    assert_eq!(phone.unseen(), 0);
    hub.finish().await;
}
