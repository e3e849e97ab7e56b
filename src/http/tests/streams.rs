//! Server-Sent Events.

use std::time::Duration;

use serde_json::{Value, json};

use super::support::{Door, eventually};

const STREAM: &str = "/v1/me/notifications/stream";

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_arrive_as_events() {
    let door = Door::open().await;
    let token = door.token("ada", None).await;
    door.post("ada", "before").await;
    let mut stream = door.stream(STREAM, &bearer(&token)).await;
    assert_eq!(stream.field(":").await, " beckon");
    let id = door.post("ada", "after").await;
    assert_eq!(stream.field("event: ").await, "change");
    let cursor = stream.field("id: ").await;
    let data: Value = serde_json::from_str(&stream.field("data: ").await).unwrap();
    assert_eq!(data["id"], *id, "{data}");
    door.get(&format!("DELETE /v1/me/notifications/{id}"), &token)
        .await
        .expect(204, "");
    let data: Value = serde_json::from_str(&stream.field("data: ").await).unwrap();
    assert_eq!(data, json!({"id": id, "@removed": {"reason": "deleted"}}));
    // An event's id is a cursor, and wins over where the stream was to begin.
    let more = format!("{}Last-Event-ID: {cursor}\r\n", bearer(&token));
    let mut again = door
        .stream(&format!("{STREAM}?$deltatoken=odd"), &more)
        .await;
    let data: Value = serde_json::from_str(&again.field("data: ").await).unwrap();
    assert_eq!(data["@removed"]["reason"], "deleted", "{data}");
    door.get(&format!("GET {STREAM}?$deltatoken=odd"), &token)
        .await
        .expect(410, "syncStateNotFound");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_beats_and_ends_with_its_token() {
    let door = Door::open().await;
    let token = door.token("ada", None).await;
    let mut stream = door.stream(STREAM, &bearer(&token)).await;
    stream.field(":").await;
    door.clock.advance(Duration::from_secs(15));
    stream.field(":").await;
    assert_eq!(door.hub.streams_open(), 1);
    door.clock.advance(Duration::from_secs(3600));
    stream.end().await;
    eventually(async || door.hub.streams_open() == 0).await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_device_signs_out() {
    let door = Door::open().await;
    let token = door.token("ada", None).await;
    door.register(&token, "phone").await;
    let more = format!("{}X-Endpoint-Id: phone\r\n", bearer(&token));
    let mut stream = door.stream(STREAM, &more).await;
    stream.field(":").await;
    door.get("DELETE /v1/me/endpoints/phone", &token)
        .await
        .expect(204, "");
    stream.end().await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_one_stream() {
    let door = Door::open().await;
    let token = door.token("ada", None).await;
    let line = "POST /v1/me/notifications/stream/ticket";
    let ask = door.get(line, &token).await.expect(201, "").json();
    assert_eq!(ask["expiresDateTime"], "2026-11-24T12:01:00.000Z");
    let path = format!("{STREAM}?ticket={}", ask["ticket"].as_str().unwrap());
    let mut stream = door.stream(&path, "").await;
    stream.field(":").await;
    door.post("ada", "r").await;
    stream.field("data: ").await;
    door.get(&format!("GET {path}"), "")
        .await
        .expect(401, "unauthenticated");
    door.json(line, &token, json!({"deltaToken": "odd"}))
        .await
        .expect(410, "syncStateNotFound");
    let late = door.get(line, &token).await.expect(201, "").json();
    door.clock.advance(Duration::from_secs(61));
    let path = format!("{STREAM}?ticket={}", late["ticket"].as_str().unwrap());
    door.get(&format!("GET {path}"), "")
        .await
        .expect(401, "unauthenticated");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hubs_end_ends_streams() {
    let door = Door::open().await;
    let token = door.token("ada", None).await;
    let mut stream = door.stream(STREAM, &bearer(&token)).await;
    stream.field(":").await;
    door.close().await;
    stream.end().await;
}
