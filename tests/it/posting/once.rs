//! `Idempotency-Key`: safe to retry.

use std::time::Duration;

use beckon::doubles::Service;
use serde_json::{Value, json};

use super::{DAY, POST, commits, contents, named, raw, text};
use crate::support::{TestHub, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_gets_the_first_answer() {
    let hub = TestHub::at_a_standstill().await;
    let once = hub.app().header("Idempotency-Key", "k1");
    let first = once.post(POST, raw("one")).await;
    hub.settled().await;
    let before = commits(&hub);
    let again = once.post(POST, raw("one")).await;
    assert_eq!(again.expect(201), first.expect(201));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(commits(&hub), before, "the second wrote something");
    let replacing = hub.app().header("Idempotency-Key", "k2");
    hub.app().post(POST, named("n", "old")).await.expect(201);
    let replaced = replacing.post(POST, named("n", "new")).await.expect(200);
    assert_eq!(
        replacing.post(POST, named("n", "new")).await.expect(200),
        replaced
    );
    let known = hub.app().header("Idempotency-Key", "k3");
    known.post(POST, named("n", "new")).await.expect(200);
    hub.app().post(POST, named("n", "newest")).await.expect(200);
    let late = known.post(POST, named("n", "new")).await.expect(200);
    assert_eq!(late["id"], replaced["id"]);
    assert_eq!(
        late["payload"]["rawContent"], "newest",
        "a late repetition replaces nothing: {late}"
    );
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_of_one_request_and_one_app() {
    let hub = TestHub::start().await;
    let once = hub.app().header("Idempotency-Key", "k");
    let first = once.post(POST, raw("one")).await.expect(201);
    for (path, body) in [
        (POST, raw("two")),
        ("/v1/users/bob/notifications", raw("one")),
        (
            POST,
            json!({"payload": {"rawContent": "one"}, "groupName": null}),
        ),
    ] {
        let answer = once.post(path, body).await;
        assert_eq!(answer.refused(409), "conflict", "{path}: {answer:?}");
    }
    let other = hub.other_app().await.header("Idempotency-Key", "k");
    let others = other.post(POST, raw("one")).await.expect(201);
    assert_ne!(
        others["id"], first["id"],
        "another app's key is another key"
    );
    let refused = hub.app().header("Idempotency-Key", "bad-body");
    assert_eq!(refused.post(POST, json!({})).await.faults(), ["payload"]);
    refused.post(POST, raw("better")).await.expect(201);
    let longest = "k".repeat(255);
    hub.app()
        .header("Idempotency-Key", longest)
        .post(POST, raw("r"))
        .await
        .expect(201);
    for bad in [String::new(), "k".repeat(256), String::from("ü")] {
        let answer = hub
            .app()
            .header("Idempotency-Key", bad.clone())
            .post(POST, raw("r"))
            .await;
        assert_eq!(answer.faults(), ["Idempotency-Key"], "{bad:?}");
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_kept_for_a_day() {
    let hub = TestHub::at_a_standstill().await;
    let once = hub.app().header("Idempotency-Key", "k");
    let first = once.post(POST, raw("one")).await.expect(201);
    hub.advance(DAY - Duration::from_secs(1));
    assert_eq!(
        once.post(POST, raw("one")).await.expect(201)["id"],
        first["id"]
    );
    hub.advance(Duration::from_secs(1));
    let second = eventually("the key is forgotten", || async {
        let again = once.post(POST, raw("one")).await.expect(201);
        (again["id"] != first["id"]).then_some(again)
    })
    .await;
    let history = hub.app().get(POST).await.expect(200);
    assert_eq!(contents(&history), ["one", "one"], "{second}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_outlives_what_it_posted() {
    let hub = TestHub::at_a_standstill().await;
    let phone = hub.device("ada", Service::Apns).await;
    let unsid = text(&phone.registered["userNotificationSubscriptionId"]);
    let graph = "/beta/me/notifications/";
    for (path, key) in [(POST, "k1"), (graph, "k2")] {
        let ends = hub.clock.now().plus(Duration::from_secs(60)).to_string();
        let body = json!({"payload": {"rawContent": "one"}, "expirationDateTime": ends});
        let once = hub.app().header("X-UNS-ID", &unsid);
        let once = once.header("Idempotency-Key", key);
        let first = once.post(path, body.clone()).await.expect(201);
        hub.advance(Duration::from_secs(60));
        let again = once.post(path, body.clone()).await;
        assert_eq!(again.expect(201)["id"], first["id"], "{path}: {again:?}");
        let mut other = body.clone();
        other["groupName"] = json!("g");
        let refused = once.post(path, other).await;
        assert_eq!(refused.refused(409), "conflict", "{path}: {refused:?}");
        let anew = hub.app().header("X-UNS-ID", &unsid);
        let late = anew.post(path, body).await;
        assert_eq!(late.faults(), ["expirationDateTime"], "{path}");
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_acts() {
    let hub = TestHub::start().await;
    let once = hub.app().header("Idempotency-Key", "k");
    let posts: Vec<_> = (0..16)
        .map(|_| {
            let once = once.clone();
            tokio::spawn(async move { once.post(POST, raw("one")).await })
        })
        .collect();
    let mut ids = Vec::new();
    for post in posts {
        let answer = post.await.unwrap();
        match answer.status.as_u16() {
            201 => ids.push(text(&answer.json()["id"])),
            _ => assert_eq!(answer.refused(409), "conflict", "{answer:?}"),
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let history: Value = hub.app().get(POST).await.expect(200);
    assert_eq!(contents(&history), ["one"], "{history}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_after_the_retraction_posts_nothing_anew() {
    let hub = TestHub::start().await;
    let once = hub.app().header("Idempotency-Key", "k");
    let first = once.post(POST, raw("one")).await.expect(201);
    hub.app()
        .delete(&format!("{POST}/{}", text(&first["id"])))
        .await
        .expect(204);
    let again = once.post(POST, raw("one")).await;
    assert_eq!(
        again.expect(201)["id"],
        first["id"],
        "status and id are the first one's: {again:?}"
    );
    assert_eq!(
        contents(&hub.app().get(POST).await.expect(200)),
        Vec::<String>::new()
    );
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_posts_by_an_endpoint_whose_time_is_over() {
    let hub = TestHub::at_a_standstill().await;
    let ada = hub.person("ada", Some("phone")).await;
    let ends = hub.clock.now().plus(Duration::from_secs(60)).to_string();
    let body = json!({"platform": "iOS", "channel": {"type": "none"}, "expirationDateTime": ends});
    let registered = ada.put("/v1/me/endpoints/phone", body).await.expect(201);
    let unsid = text(&registered["userNotificationSubscriptionId"]);
    let graph = hub.app().header("X-UNS-ID", &unsid);
    let path = "/beta/me/notifications/";
    graph.post(path, raw("in time")).await.expect(201);
    hub.advance(Duration::from_secs(60));
    let late = graph.post(path, raw("late")).await;
    assert_eq!(late.refused(403), "accessDenied", "{late:?}");
    hub.finish().await;
}
