//! Devices that hold a part of the feed: in the middle of their first pages, or what they read otherwise.

use beckon::doubles::Service;
use serde_json::{Value, json};

use super::{POST, raw, text};
use crate::support::{TestHub, device::token_of, raw::Kept};

const DELTA: &str = "/v1/me/notifications/delta";

fn one(id: &str) -> String {
    format!("/v1/me/notifications/{id}")
}

async fn posted(hub: &TestHub, body: Value) -> String {
    text(&hub.app().post(POST, body).await.expect(201)["id"])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_between_two_first_pages_is_said_to_be_removed() {
    let hub = TestHub::start().await;
    let ada = hub.registered("ada", "phone").await;
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        ids.push(posted(&hub, raw(name)).await);
    }
    let first = ada.get(&format!("{DELTA}?$top=1")).await.expect(200);
    assert_eq!(first["value"][0]["id"], ids[0].as_str(), "{first}");
    hub.app()
        .delete(&format!("{POST}/{}", ids[0]))
        .await
        .expect(204);
    let next = token_of(first["@odata.nextLink"].as_str().unwrap());
    let rest = ada
        .get(&format!("{DELTA}?$deltatoken={next}"))
        .await
        .expect(200);
    let removed = json!({"id": ids[0], "@removed": {"reason": "deleted"}});
    let told = rest["value"].as_array().unwrap();
    assert!(told.contains(&removed), "{rest}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_to_the_next_first_page_is_a_cursor() {
    let hub = TestHub::start().await;
    let ada = hub.registered("ada", "phone").await;
    let first = posted(&hub, raw("a")).await;
    let second = posted(&hub, raw("b")).await;
    let page = ada.get(&format!("{DELTA}?$top=1")).await.expect(200);
    let cursor = token_of(page["@odata.nextLink"].as_str().unwrap());
    let read = json!({"all": true, "upTo": cursor, "set": {"readState": "read"}});
    let changed = ada.post("/v1/me/notifications/state", read).await;
    assert_eq!(changed.expect(200), json!({"changed": 1}));
    let states = [ada.get(&one(&first)).await, ada.get(&one(&second)).await];
    let states = states.map(|it| it.expect(200)["readState"].clone());
    assert_eq!(states, ["read", "unread"]);
    let holds = json!({"upTo": cursor});
    let receipts = "/v1/me/notifications/receipts";
    ada.post(receipts, holds).await.expect(204);
    let ticket = json!({"deltaToken": cursor});
    let ticket = ada.post("/v1/me/notifications/stream/ticket", ticket).await;
    ticket.expect(201);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_read_it_without_pulling_is_told_what_became_of_it() {
    for by_history in [false, true] {
        let hub = TestHub::start().await;
        let mut iphone = hub.device("ada", Service::Apns).await;
        let android = hub.device("ada", Service::Fcm).await;
        let body =
            json!({"targetPolicy": {"platformTypes": ["android"]}, "payload": {"rawContent": "r"}});
        let id = posted(&hub, body).await;
        let path = match by_history {
            true => String::from("/v1/me/notifications"),
            false => one(&id),
        };
        iphone.client.get(&path).await.expect(200);
        hub.fetch_is_known(&id, &iphone.endpoint).await;
        android
            .set(&id, json!({"userActionState": "dismissed"}))
            .await;
        iphone.next_push("what it read was dismissed").await;
        hub.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_what_was_tapped_answers_the_tap() {
    let hub = TestHub::start().await;
    let mut iphone = hub.device("ada", Service::Apns).await;
    let android = hub.device("ada", Service::Fcm).await;
    let id = posted(&hub, json!({"payload": {"rawContent": "r"}})).await;
    iphone.next_push("the silent tap").await;
    hub.settled().await;
    iphone.client.get(&one(&id)).await.expect(200);
    hub.fetch_is_known(&id, &iphone.endpoint).await;
    android
        .set(&id, json!({"userActionState": "dismissed"}))
        .await;
    // Else it would wait for the 15 minutes after which an unanswered tap is repeated.
    iphone.next_push("the dismissal").await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_fetched_what_was_gone_before() {
    let hub = TestHub::start().await;
    let gone = posted(&hub, raw("gone")).await;
    hub.app()
        .delete(&format!("{POST}/{gone}"))
        .await
        .expect(204);
    let there = posted(&hub, raw("there")).await;
    let mut late = hub.device("ada", Service::Apns).await;
    late.pull().await;
    hub.fetch_is_known(&there, &late.endpoint).await;
    let report = format!("{POST}/{gone}/deliveries");
    let report = hub.app().get(&report).await.expect(200);
    assert_eq!(report["value"][0]["fetchedDateTime"], Value::Null);
    assert_ne!(report["value"][0]["status"], "fetched", "{report}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_reader_went_away_counts_as_nothing() {
    let hub = TestHub::start().await;
    hub.registered("ada", "phone").await;
    let tablet = hub.registered("ada", "tablet").await;
    // Each character is six in JSON: more than any socket takes.
    let mut last = String::new();
    for _ in 0..100 {
        last = posted(&hub, raw(&"\u{1}".repeat(10_000))).await;
    }
    let minted = hub
        .app()
        .post("/v1/users/ada/tokens", json!({"endpointId": "phone"}))
        .await;
    let bearer = text(&minted.expect(201)["token"]);
    let headers = format!("authorization: Bearer {bearer}\r\n");
    let mut stuck = Kept::narrow(hub.running().addr).await;
    stuck
        .send(&format!("GET {DELTA}?$top=1000"), &headers, "")
        .await;
    stuck.first_byte().await;
    let fetched = async || {
        let path = format!("{POST}/{last}/deliveries");
        let lines = hub.app().get(&path).await.expect(200)["value"].clone();
        let lines = lines.as_array().unwrap().clone();
        let of_phone = lines.into_iter().find(|line| line["endpointId"] == "phone");
        of_phone.unwrap()["fetchedDateTime"].is_string()
    };
    // What another device fetched later is written down later.
    for reads in [true, false] {
        tablet.get(&one(&last)).await.expect(200);
        tablet.get(DELTA).await.expect(200);
        hub.fetch_is_known(&last, "tablet").await;
        assert!(!fetched().await, "while it reads: {reads}");
        if reads {
            stuck = Kept::connect(hub.running().addr).await;
        }
    }
    drop(stuck);
    hub.finish().await;
}
