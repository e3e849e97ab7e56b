//! The whole way: post to a person, each device tapped through its own service, each pulls, handled once, dismissed
//! everywhere.

use beckon::doubles::Service;
use serde_json::{Value, json};

use crate::support::{TestDevice, TestHub, device::beckon_of, eventually};

async fn four(hub: &TestHub) -> Vec<TestDevice> {
    let mut devices = Vec::new();
    for service in Service::ALL {
        devices.push(hub.device("ada", service).await);
    }
    devices
}

#[tokio::test(flavor = "multi_thread")]
async fn one_post_taps_four_devices_and_a_dismissal_reaches_the_other_three() {
    let hub = TestHub::start().await;
    let mut devices = four(&hub).await;
    let posted = hub.post("ada", "Lunch?").await;
    let id = posted["id"].as_str().unwrap();
    for device in &mut devices {
        let handed = device.next_push("the tap of the post").await;
        let beckon = beckon_of(&handed.push);
        assert_eq!(beckon["k"], "created", "{:?}", device.service);
        assert_eq!(beckon["n"], id, "{:?}", device.service);
        assert_eq!(
            beckon["e"], device.registered["tapId"],
            "{:?}",
            device.service
        );
        device.pull().await;
        assert_eq!(device.shade(), ["Lunch?"], "{:?}", device.service);
    }
    devices[0]
        .set(id, json!({"userActionState": "dismissed"}))
        .await;
    for device in &mut devices[1..] {
        let handed = device
            .push("the tap of the dismissal", |push| {
                kind_of(push) == "changed"
            })
            .await;
        assert_eq!(
            beckon_of(&handed.push)["k"],
            "changed",
            "{:?}",
            device.service
        );
        device.pull().await;
        assert_eq!(device.shade(), Vec::<String>::new(), "{:?}", device.service);
        assert_eq!(
            device.held[id]["userActionState"], "dismissed",
            "it stays in the inbox"
        );
    }
    devices[0].pull().await;
    assert_eq!(
        devices[0].unseen(),
        0,
        "the caller's own device is not tapped for what it did"
    );
    hub.finish().await;
}

fn kind_of(push: &beckon::doubles::Push) -> String {
    beckon_of(push)["k"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_content_leaves_in_a_push() {
    let hub = TestHub::start().await;
    let mut devices = four(&hub).await;
    let body = json!({
        "priority": "High", "groupName": "canary-group", "appNotificationId": "canary-id",
        "payload": {"rawContent": "canary-raw", "visualContent": {"title": "canary-title", "body": "canary-body"}}
    });
    hub.app()
        .post("/v1/users/ada/notifications", body)
        .await
        .expect(201);
    for device in &mut devices {
        device.next_push("the tap").await;
    }
    for arrival in hub.doubles().arrivals(0) {
        let seen = serde_json::to_string(&*arrival).unwrap();
        assert!(!seen.contains("canary"), "{seen}");
        assert!(!seen.contains("\"ada\""), "{seen}");
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ladder_tells_what_became_of_it_on_each_device() {
    let hub = TestHub::start().await;
    let mut devices = four(&hub).await;
    let posted = hub.post("ada", "Lunch?").await;
    let id = posted["id"].as_str().unwrap();
    for device in &mut devices {
        device.next_push("the tap").await;
        device.pull().await;
    }
    devices[0]
        .client
        .post("/v1/me/notifications/receipts", json!({"shown": [id]}))
        .await
        .expect(204);
    devices[1]
        .set(id, json!({"userActionState": "activated"}))
        .await;
    let path = format!("/v1/users/ada/notifications/{id}/deliveries");
    let wanted = |device: &TestDevice, status: &str| (device.endpoint.clone(), status.to_owned());
    let mut expected = vec![
        wanted(&devices[0], "shown"),
        wanted(&devices[1], "acted"),
        wanted(&devices[2], "fetched"),
        wanted(&devices[3], "fetched"),
    ];
    expected.sort();
    let report = eventually("all rungs are reached", || async {
        let report = hub.app().get(&path).await.expect(200);
        let mut rungs: Vec<(String, String)> = report["value"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| (text(&it["endpointId"]), text(&it["status"])))
            .collect();
        rungs.sort();
        (rungs == expected).then_some(report)
    })
    .await;
    for it in report["value"].as_array().unwrap() {
        assert!(it["tappedDateTime"].is_string(), "{it}");
        assert!(it["explanation"].as_str().unwrap().len() > 10, "{it}");
        assert!(it["pushService"]["status"].as_u64().unwrap() >= 200, "{it}");
    }
    hub.finish().await;
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_owed_when_the_hub_stopped_is_tapped_after_it_started_again() {
    let mut hub = TestHub::start().await;
    let mut phone = hub.device("ada", Service::Apns).await;
    hub.doubles().script(beckon::doubles::FaultSpec::always(
        Service::Apns,
        beckon::doubles::FaultKind::ServerError,
    ));
    let posted = hub.post("ada", "Lunch?").await;
    eventually("the first attempt was refused", || async {
        (hub.doubles().counters(Service::Apns).faulted > 0).then_some(())
    })
    .await;
    hub.restart().await;
    hub.doubles().clear_faults();
    let handed = phone.next_push("the tap that was owed").await;
    assert_eq!(beckon_of(&handed.push)["n"], posted["id"]);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_shows_in_the_place_of_the_first() {
    let hub = TestHub::start().await;
    let mut phone = hub.device("ada", Service::Apns).await;
    let body = |title: &str| json!({"appNotificationId": "order-7", "priority": "High", "payload": {"visualContent": {"title": title}}});
    let path = "/v1/users/ada/notifications";
    let first = hub.app().post(path, body("One")).await.expect(201);
    let tap = phone.next_push("the first").await;
    phone.pull().await;
    let again = hub.app().post(path, body("One")).await.expect(200);
    assert_eq!(again["id"], first["id"]);
    let second = hub.app().post(path, body("Two")).await.expect(200);
    assert_eq!(second["id"], first["id"]);
    let replaced = phone.next_push("the replacement").await;
    assert_eq!(
        replaced.push.collapse, tap.push.collapse,
        "one replaces the other on the screen"
    );
    phone.pull().await;
    assert_eq!(phone.shade(), ["Two"]);
    assert_eq!(phone.unseen(), 0, "the repetition tapped nobody");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_meant_for_a_device_stays_so_whatever_it_is_tapped_for_later() {
    let hub = TestHub::start().await;
    let mut android = hub.device("ada", Service::Fcm).await;
    let body = json!({
        "targetPolicy": {"platformTypes": ["iOS"]}, "payload": {"visualContent": {"title": "For the phone"}}
    });
    let first = hub
        .app()
        .post("/v1/users/ada/notifications", body)
        .await
        .expect(201);
    hub.post("ada", "For all").await;
    android.next_push("the tap for all").await;
    android.pull().await;
    let path = format!(
        "/v1/users/ada/notifications/{}/deliveries",
        first["id"].as_str().unwrap()
    );
    let report = hub.app().get(&path).await.expect(200);
    assert_eq!(report["value"][0]["reason"], "notTargeted", "{report}");
    assert!(
        report["value"][0]["tappedDateTime"].is_null() || report["value"][0]["status"] != "tapped",
        "{report}"
    );
    hub.finish().await;
}
