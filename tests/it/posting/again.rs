//! A device that signs out, and signs in again under its name: what was told of it before is not held against it.

use std::time::Duration;

use beckon::doubles::{FaultKind, FaultSpec, Service};
use serde_json::{Value, json};

use crate::support::{Client, TestDevice, TestHub, device::beckon_of, eventually};

const POST: &str = "/v1/users/ada/notifications";

async fn line(hub: &TestHub, id: &str) -> Value {
    let path = format!("{POST}/{id}/deliveries");
    hub.app().get(&path).await.expect(200)["value"][0].clone()
}

/// The same installation, signed in anew with the channel that it had.
async fn sign_in_again(hub: &TestHub, phone: &TestDevice) -> Client {
    let path = format!("/v1/me/endpoints/{}", phone.endpoint);
    phone.client.delete(&path).await.expect(204);
    hub.advance(Duration::from_secs(1));
    let client = hub.person("ada", Some(&phone.endpoint)).await;
    let body = json!({"channel": phone.device.channel});
    client.put(&path, body).await.expect(201);
    hub.settled().await;
    hub.advance(Duration::from_secs(10));
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_before_a_sign_out_falls_back_after_it() {
    for how in ["one", "history", "shown"] {
        let hub = TestHub::at_a_standstill().await;
        let mut phone = hub.device("ada", Service::Apns).await;
        let body = json!({
            "priority": "High", "payload": {"rawContent": "r"},
            "fallbackPolicy": {"endpointFallback": {
                "platformTypes": ["iOS"], "fallbackDelayInSeconds": 60, "visualContent": {"title": "Look"}
            }}
        });
        let posted = hub.app().post(POST, body).await.expect(201);
        let id = posted["id"].as_str().unwrap();
        phone.next_push("the raw tap").await;
        hub.settled().await;
        let client = &phone.client;
        match how {
            "one" => drop(client.get(&format!("/v1/me/notifications/{id}")).await),
            "history" => drop(client.get("/v1/me/notifications").await),
            _ => {
                let shown = json!({"shown": [id]});
                let path = "/v1/me/notifications/receipts";
                client.post(path, shown).await.expect(204);
            }
        }
        hub.fetch_is_known(id, &phone.endpoint).await;
        sign_in_again(&hub, &phone).await;
        let it = line(&hub, id).await;
        let told = ["fetchedDateTime", "shownDateTime", "lastFetchedDateTime"];
        assert!(told.iter().all(|at| it[at].is_null()), "{how}: {it}");
        phone.next_push("that it is there").await;
        hub.settled().await;
        hub.advance(Duration::from_secs(60));
        let shown = phone.next_push("the fallback").await;
        assert_eq!(beckon_of(&shown.push)["k"], "fallback", "{how}");
        hub.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_before_a_sign_out_was_not_done_by_who_signs_in() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Fcm).await;
    let posted = hub.post("ada", "Lunch?").await;
    let id = posted["id"].as_str().unwrap();
    phone.next_push("the tap").await;
    phone.pull().await;
    for state in ["read", "unread"] {
        phone.set(id, json!({"readState": state})).await;
    }
    sign_in_again(&hub, &phone).await;
    let told = phone.next_push("that it is there").await;
    assert_eq!(beckon_of(&told.push)["k"], "created");
    eventually("it is told as tapped", || async {
        let it = line(&hub, id).await;
        (it["status"] == "tapped" && it["reason"].is_null()).then_some(())
    })
    .await;
    hub.finish().await;
}

/// Of what others did before a device's own act of many, it is told all the same: that is answered with a number alone.
#[tokio::test(flavor = "multi_thread")]
async fn an_act_of_many_takes_nothing_from_who_does_it() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Fcm).await;
    let laptop = hub.registered("ada", "laptop").await;
    let posted = hub.post("ada", "Lunch?").await;
    let id = posted["id"].as_str().unwrap();
    phone.next_push("the tap").await;
    phone.pull().await;
    hub.fetch_is_known(id, &phone.endpoint).await;
    hub.advance(Duration::from_secs(2));
    hub.doubles().script(beckon::doubles::FaultSpec::once(
        Service::Fcm,
        beckon::doubles::FaultKind::ServerError,
    ));
    let dismissed = json!({"userActionState": "dismissed"});
    let path = format!("/v1/me/notifications/{id}");
    laptop.patch(&path, dismissed).await.expect(200);
    eventually("the tap was refused", || async {
        (hub.doubles().counters(Service::Fcm).faulted == 1).then_some(())
    })
    .await;
    let all = |state: &str| json!({"all": true, "set": {"readState": state}});
    let path = "/v1/me/notifications/state";
    let changed = phone.client.post(path, all("read")).await.expect(200);
    assert_eq!(changed["changed"], 1);
    hub.advance(Duration::from_mins(1));
    let told = phone.next_push("that it was dismissed").await;
    assert_eq!(beckon_of(&told.push)["k"], "changed");
    // Its own, once it lacks nothing, is none of its concern.
    phone.pull().await;
    hub.advance(Duration::from_mins(1));
    hub.settled().await;
    let changed = phone.client.post(path, all("unread")).await.expect(200);
    assert_eq!(changed["changed"], 1);
    hub.advance(Duration::from_mins(1));
    hub.settled().await;
    assert_eq!(phone.unseen(), 0);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_the_history_alone_is_not_tapped_for_its_own_acts() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Fcm).await;
    for refused in [false, true] {
        if refused {
            let fault = FaultSpec::once(Service::Fcm, FaultKind::ServerError);
            hub.doubles().script(fault);
        }
        let posted = hub.post("ada", "Lunch?").await;
        if !refused {
            phone.next_push("the tap").await;
        }
        hub.settled().await;
        let history = "/v1/me/notifications";
        phone.client.get(history).await.expect(200);
        let id = posted["id"].as_str().unwrap();
        hub.fetch_is_known(id, &phone.endpoint).await;
        let all = json!({"all": true, "set": {"readState": "read"}});
        let path = "/v1/me/notifications/state";
        let changed = phone.client.post(path, all).await.expect(200);
        assert_eq!(changed["changed"], 1);
        for _ in 0..20 {
            hub.advance(Duration::from_mins(1));
            hub.settled().await;
        }
        assert_eq!(phone.unseen(), 0, "refused: {refused}");
    }
    hub.finish().await;
}

/// A device that reads what others have dealt with has it as it is, and need not be told.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_singly_as_it_stands_taps_nobody() {
    let hub = TestHub::at_a_standstill().await;
    let laptop = hub.registered("ada", "laptop").await;
    let posted = hub.post("ada", "Lunch?").await;
    let one = format!("/v1/me/notifications/{}", posted["id"].as_str().unwrap());
    laptop
        .patch(&one, json!({"userActionState": "dismissed"}))
        .await
        .expect(200);
    let mut phone = hub.device("ada", Service::Apns).await;
    for path in ["/v1/me/notifications", &one] {
        phone.client.get(path).await.expect(200);
        hub.fetch_is_known(posted["id"].as_str().unwrap(), &phone.endpoint)
            .await;
        hub.settled().await;
        hub.advance(Duration::from_secs(30));
        hub.settled().await;
        assert_eq!(phone.unseen(), 0, "after {path}");
    }
    // But of what others change after it.
    laptop
        .patch(&one, json!({"userActionState": "snoozed"}))
        .await
        .expect(200);
    let told = phone.next_push("of the change").await;
    assert_eq!(beckon_of(&told.push)["k"], "changed");
    hub.finish().await;
}
