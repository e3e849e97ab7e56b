//! Every documented code once, and the retired service's call.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use beckon::{clock::Clock, config::Config};
use hyper::Method;
use serde_json::{Value, json};

use super::{POST, assert_refused, commits, unharmed};
use crate::support::{Answer, Client, TestHub, hub::APP, people::register_none, raw::Kept};

fn raw(text: &str) -> Value {
    json!({"payload": {"rawContent": text}})
}

#[tokio::test(flavor = "multi_thread")]
async fn every_code_of_a_wrong_request() {
    let hub = TestHub::start().await;
    let app = hub.app();
    let ada = hub.person("ada", Some("phone")).await;
    let before = commits(&hub);
    let check = async |answer: Answer, status: u16, code: &str, faults: &[&str]| {
        assert_refused(code, &answer, (status, code), faults);
        assert_eq!(answer.header("retry-after"), None, "{answer:?}");
    };
    check(
        app.post(POST, json!({})).await,
        400,
        "invalidRequest",
        &["payload"],
    )
    .await;
    check(hub.client().get(POST).await, 401, "unauthenticated", &[]).await;
    check(ada.get(POST).await, 403, "accessDenied", &[]).await;
    let elsewhere = ada
        .header("x-endpoint-id", "tablet")
        .get("/v1/me/notifications")
        .await;
    check(elsewhere, 403, "accessDenied", &[]).await;
    let not_mine = ada.delete("/v1/me/endpoints/tablet").await;
    check(not_mine, 403, "accessDenied", &[]).await;
    check(
        app.get(&format!("{POST}/x")).await,
        404,
        "itemNotFound",
        &[],
    )
    .await;
    check(
        ada.get("/v1/me/notifications").await,
        404,
        "endpointNotFound",
        &[],
    )
    .await;
    check(app.delete(POST).await, 405, "methodNotAllowed", &[]).await;
    check(
        app.post(POST, raw(&"x".repeat(66_000))).await,
        413,
        "payloadTooLarge",
        &[],
    )
    .await;
    let encoded = app
        .header("content-encoding", "br")
        .post(POST, raw("r"))
        .await;
    check(encoded, 415, "unsupportedMediaType", &[]).await;
    unharmed(hub, before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_code_of_what_clashes_with_what_is_stored() {
    let hub = TestHub::with(Clock::system(), |config| {
        config.server.limits.notifications_per_user = 1;
    })
    .await;
    let app = hub.app();
    let ada = hub.person("ada", None).await;
    let once = app.header("idempotency-key", "k");
    once.post(POST, raw("first")).await.expect(201);
    hub.settled().await;
    let before = commits(&hub);
    let check = async |answer: Answer, status: u16, code: &str| {
        assert_refused(code, &answer, (status, code), &[]);
        assert_eq!(answer.header("retry-after"), None, "{answer:?}");
    };
    check(once.post(POST, raw("other")).await, 409, "conflict").await;
    let elsewhere = once.post("/v1/users/bob/notifications", raw("first")).await;
    check(elsewhere, 409, "conflict").await;
    let stale = json!({"deltaToken": "x"});
    let stale = ada.post("/v1/me/notifications/stream/ticket", stale).await;
    check(stale, 410, "syncStateNotFound").await;
    let full = app.post(POST, raw("second")).await;
    let message = full.json()["error"]["message"].to_string();
    assert!(
        message.contains("server.limits.notifications_per_user"),
        "{message}"
    );
    check(full, 429, "limitReached").await;
    assert_eq!(commits(&hub), before, "a refused request wrote something");
    hub.finish().await;
}

/// What the store of the next test wants to have free.
static WANTED_FREE: AtomicU64 = AtomicU64::new(0);

fn wants_free(config: &mut Config) {
    config.store.min_free_bytes = WANTED_FREE.load(Ordering::SeqCst);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_503_for_what_is_new_and_reading_goes_on() {
    let mut hub = TestHub::with(Clock::system(), wants_free).await;
    let ada = hub.person("ada", None).await;
    let kept = hub.post("ada", "Kept").await;
    hub.settled().await;
    WANTED_FREE.store(u64::MAX - 1, Ordering::SeqCst);
    hub.restart().await;
    let before = commits(&hub);
    let ada = Client {
        addr: hub.client().addr,
        ..ada
    };
    let endpoint = json!({"platform": "iOS", "channel": {"type": "none"}});
    for answer in [
        hub.app().post(POST, raw("new")).await,
        hub.app().post("/v1/users/ada/tokens", json!({})).await,
        ada.put("/v1/me/endpoints/phone", endpoint).await,
    ] {
        assert_refused("a full disk", &answer, (503, "serviceUnavailable"), &[]);
        assert_eq!(answer.header("retry-after"), Some("60"), "{answer:?}");
    }
    let read = ada.get("/v1/me/notifications").await.expect(200);
    assert_eq!(read["value"][0]["id"], kept["id"], "{read}");
    assert_eq!(
        hub.client().get("/readyz").await.expect(200),
        json!({"status": "degraded"})
    );
    assert_eq!(commits(&hub), before);
    WANTED_FREE.store(0, Ordering::SeqCst);
    hub.restart().await;
    hub.app().post(POST, raw("new")).await.expect(201);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_stops_finishes_what_is_in_flight() {
    let mut hub = TestHub::start().await;
    let mut caller = Kept::connect(hub.client().addr).await;
    let body = raw("in flight").to_string();
    let (begun, rest) = body.split_at(5);
    let head = format!(
        "authorization: Bearer {}\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n\
         content-length: {}\r\n",
        hub.key,
        body.len()
    );
    caller.send(&format!("POST {POST}"), &head, "").await;
    caller.asked_for_the_body().await;
    caller.finish(begun).await;
    let stopping = hub.begin_stop();
    let ended = async {
        caller.finish(rest).await;
        caller.answer().await
    };
    let ((), answer) = tokio::join!(stopping, ended);
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    hub.start_again().await;
    let kept = hub.app().get(POST).await.expect(200);
    assert_eq!(kept["value"][0]["payload"]["rawContent"], "in flight");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_whose_time_is_over_is_dead() {
    let hub = TestHub::at_a_standstill().await;
    let short = json!({"expiresInSeconds": 60});
    let minted = hub
        .app()
        .post("/v1/users/ada/tokens", short)
        .await
        .expect(201);
    let ada = hub.client().bearer(minted["token"].as_str().unwrap());
    hub.advance(Duration::from_millis(59_999));
    ada.get("/v1/me/notifications").await.expect(200);
    hub.advance(Duration::from_millis(1));
    for path in [
        "notifications",
        "endpoints",
        "notifications/delta",
        "notifications/stream",
    ] {
        let answer = ada.get(&format!("/v1/me/{path}")).await;
        assert_refused(path, &answer, (401, "unauthenticated"), &[]);
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Bearer"),
            "{answer:?}"
        );
    }
    let renewal = ada.post("/v1/me/token", json!({})).await;
    assert_refused("renewal", &renewal, (401, "unauthenticated"), &[]);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_own_request_id_is_echoed() {
    let hub = TestHub::start().await;
    let named = |id: &str| hub.client().header("client-request-id", id);
    let ok = named("abc 1").get("/healthz").await;
    assert_eq!(ok.header("client-request-id"), Some("abc 1"), "{ok:?}");
    let refused = named("abc 2").get("/nowhere").await;
    assert_eq!(
        refused.header("client-request-id"),
        Some("abc 2"),
        "{refused:?}"
    );
    let (first, second) = (ok.header("request-id"), refused.header("request-id"));
    assert!(
        first.is_some() && second.is_some() && first != second,
        "{ok:?} {refused:?}"
    );
    hub.finish().await;
}

/// The vendor's sample, byte for byte but for the host and the expiry.
fn sample(expires: &str) -> String {
    format!(
        r#"{{
    "targetHostName": "{APP}",
    "appNotificationId": "testDirectToastNotification",
    "expirationDateTime": "{expires}",
    "payload": {{ "visualContent": {{ "title": "Hello World!", "body": "Notifications are Great!" }} }},
    "targetPolicy": {{ "platformTypes": [ "windows", "ios", "android" ] }},
    "priority": "High",
    "groupName": "TestGroup",
    "displayTimeToLive": "60"
}}"#
    )
}

async fn subscribed(hub: &TestHub) -> Client {
    let ada = hub.person("ada", None).await;
    let endpoint = register_none(&ada, "phone").await;
    let unsid = endpoint["userNotificationSubscriptionId"].as_str().unwrap();
    hub.app().header("X-UNS-ID", unsid)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vendors_sample_is_accepted_byte_for_byte() {
    let hub = TestHub::start().await;
    let client = subscribed(&hub)
        .await
        .header("Content-type", "application/json");
    let expires = hub.clock.now().plus(Duration::from_secs(20 * 24 * 3600));
    let expires = format!("{}.000Z", &expires.to_string()[..19]);
    let path = "/beta/me/notifications/";
    let answer = client
        .send(Method::POST, path, sample(&expires).into())
        .await;
    let posted = answer.expect(201);
    let id = posted["id"].as_str().unwrap();
    let location = answer.header("location").unwrap();
    assert!(
        location.ends_with(&format!("/beta/me/activities/{id}")),
        "{answer:?}"
    );
    assert_eq!(answer.header("odata-version"), Some("4.0"), "{answer:?}");
    assert_eq!(posted["displayTimeToLive"], 60, "{posted}");
    assert_eq!(posted["groupName"], "TestGroup", "{posted}");
    assert_eq!(posted["priority"], "High", "{posted}");
    let visual = json!({"title": "Hello World!", "body": "Notifications are Great!"});
    assert_eq!(
        posted["payload"],
        json!({"visualContent": visual}),
        "{posted}"
    );
    let context = posted["@odata.context"].as_str().unwrap();
    assert!(
        context.ends_with("/beta/$metadata#users('ada')/notifications/$entity"),
        "{posted}"
    );
    let again = client
        .send(Method::POST, path, sample(&expires).into())
        .await;
    assert_eq!(again.expect(200)["id"], id, "the same again is known");
    let stored = hub.app().get(&format!("{POST}/{id}")).await.expect(200);
    assert_eq!(
        stored["targetPolicy"]["platformTypes"]
            .as_array()
            .unwrap()
            .len(),
        3,
        "{stored}"
    );
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_retired_service_refused_is_refused() {
    let hub = TestHub::start().await;
    let client = subscribed(&hub).await;
    let before = commits(&hub);
    let bad = (400, "invalidRequest");
    for path in ["/beta/me/notifications", "/beta/me/notifications/"] {
        for name in ["If-Modified-Since", "If-Range"] {
            let conditional = client.header(name, "Tue, 24 Nov 2026 12:00:00 GMT");
            let answer = conditional.post(path, raw("r")).await;
            assert_refused(name, &answer, bad, &[&name.to_lowercase()]);
        }
        assert_refused(
            "an array",
            &client.post(path, json!([raw("r")])).await,
            bad,
            &["body"],
        );
        let encoded = client
            .header("content-encoding", "br")
            .post(path, raw("r"))
            .await;
        assert_refused("br", &encoded, (415, "unsupportedMediaType"), &[]);
        let unnamed = hub.app().post(path, raw("r")).await;
        assert_refused("nobody", &unnamed, bad, &["X-UNS-ID"]);
        let both = hub.app().post(path, json!({})).await;
        assert_refused("nobody, nothing", &both, bad, &["X-UNS-ID", "payload"]);
        let unknown = hub.app().header("x-uns-id", "x").post(path, raw("r")).await;
        assert_refused("unknown", &unknown, (403, "accessDenied"), &[]);
        let typed = client
            .post(path, json!({"payload": 5, "displayTimeToLive": "soon"}))
            .await;
        assert_refused(
            "wrong types",
            &typed,
            bad,
            &["payload", "displayTimeToLive"],
        );
    }
    unharmed(hub, before).await;
}
