//! What a stream tells.

use std::time::Duration;

use beckon::clock::Clock;
use serde_json::json;

use super::{DELTA, POST, STREAM, content, post, text};
use crate::support::{Sse, TestHub, sse::Block};

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_an_event_whose_id_is_a_cursor() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    post(&hub, "before").await;
    let mut stream = Sse::open(&ada, STREAM).await;
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    assert_eq!(stream.headers["cache-control"], "no-store");
    assert_eq!(stream.headers["x-accel-buffering"], "no");
    let posted = post(&hub, "hello").await;
    let (first, event) = stream.event().await;
    assert_eq!(event, posted, "without a cursor a stream starts now");
    let path = format!("/v1/me/notifications/{}", text(&posted["id"]));
    let read = ada
        .patch(&path, json!({"readState": "read"}))
        .await
        .expect(200);
    let (second, event) = stream.event().await;
    assert_eq!(event, read);
    ada.delete(&path).await.expect(204);
    let (third, event) = stream.event().await;
    assert_eq!(
        event,
        json!({"id": posted["id"], "@removed": {"reason": "deleted"}})
    );
    let later = post(&hub, "later").await;
    let (fourth, event) = stream.event().await;
    assert_eq!(event, later);
    let since = async |cursor: &str| {
        let page = ada
            .get(&format!("{DELTA}?$deltatoken={cursor}"))
            .await
            .expect(200);
        page["value"].as_array().unwrap().len()
    };
    let left = [
        since(&first).await,
        since(&second).await,
        since(&third).await,
        since(&fourth).await,
    ];
    assert_eq!(left, [2, 2, 1, 0], "what comes after each event");
    let up_to = json!({"all": true, "upTo": fourth, "set": {"readState": "read"}});
    let changed = ada
        .post("/v1/me/notifications/state", up_to)
        .await
        .expect(200);
    assert_eq!(changed, json!({"changed": 2}));
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_and_an_expiry_are_changes_too() {
    let hub = TestHub::at_a_standstill().await;
    let ada = hub.person("ada", None).await;
    let mut stream = Sse::open(&ada, STREAM).await;
    let expires = hub.clock.now().plus(Duration::from_secs(60)).to_string();
    let named = |content: &str| json!({"appNotificationId": "n", "expirationDateTime": expires, "payload": {"rawContent": content}});
    let first = hub.app().post(POST, named("one")).await.expect(201);
    assert_eq!(content(&stream.event().await.1), "one");
    hub.app().post(POST, named("two")).await.expect(200);
    let (_, event) = stream.event().await;
    assert_eq!(
        (content(&event).as_str(), &event["id"]),
        ("two", &first["id"])
    );
    hub.advance(Duration::from_secs(60));
    let (_, event) = stream.event().await;
    assert_eq!(
        event,
        json!({"id": first["id"], "@removed": {"reason": "expired"}})
    );
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_feed_comes_whole_and_in_order() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    let start = super::here(&ada).await;
    for nth in 0..50 {
        post(&hub, &nth.to_string()).await;
    }
    let mut stream = Sse::open(&ada, &format!("{STREAM}?$deltatoken={start}")).await;
    for nth in 0..50 {
        assert_eq!(content(&stream.event().await.1), nth.to_string());
    }
    post(&hub, "and live").await;
    assert_eq!(content(&stream.event().await.1), "and live");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_streams_of_a_person_hear_and_nobody_elses() {
    let hub = TestHub::start().await;
    let (ada, bob) = (hub.person("ada", None).await, hub.person("bob", None).await);
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(Sse::open(&ada, STREAM).await);
    }
    let mut bobs = Sse::open(&bob, STREAM).await;
    post(&hub, "adas").await;
    for stream in &mut streams {
        assert_eq!(content(&stream.event().await.1), "adas");
    }
    let body = json!({"payload": {"rawContent": "bobs"}});
    hub.app()
        .post("/v1/users/bob/notifications", body)
        .await
        .expect(201);
    assert_eq!(content(&bobs.event().await.1), "bobs");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_comes_every_15_s() {
    let hub = TestHub::with(Clock::manual(Clock::system().now()), |_| {}).await;
    let ada = hub.person("ada", None).await;
    let mut stream = Sse::open(&ada, STREAM).await;
    for _ in 0..3 {
        hub.advance(Duration::from_millis(14_999));
        post(&hub, "not yet").await;
        let block = stream.block().await;
        assert!(matches!(block, Some(Block::Event { .. })), "{block:?}");
        hub.advance(Duration::from_millis(1));
        let block = stream.block().await;
        assert!(matches!(block, Some(Block::Comment(_))), "{block:?}");
    }
    hub.finish().await;
}
