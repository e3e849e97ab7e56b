//! User tokens: how long they live, what they are bound to, how they are renewed.

use std::time::Duration;

use beckon::clock::Clock;
use serde_json::{Value, json};

use super::{DAY, moment, text};
use crate::support::{Client, TestHub, eventually, people::register_none, sse::Sse};

const TOKENS: &str = "/v1/users/ada/tokens";

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lives_as_long_as_it_is_asked_to() {
    let hub = TestHub::at_a_standstill().await;
    let now = hub.clock.now();
    let check = async |body: Value, life: Duration, endpoint: Value| {
        let minted = hub.app().post(TOKENS, body.clone()).await.expect(201);
        assert_eq!(
            moment(&minted["expiresDateTime"]),
            now.plus(life),
            "{body}: {minted}"
        );
        assert_eq!(minted["endpointId"], endpoint, "{body}: {minted}");
        let client = hub.client().bearer(text(&minted["token"]));
        client.get("/v1/me/notifications/none").await.refused(404);
    };
    let hour = Duration::from_secs(3600);
    check(json!({}), hour, Value::Null).await;
    check(
        json!({"endpointId": null, "expiresInSeconds": null}),
        hour,
        Value::Null,
    )
    .await;
    check(json!({"endpointId": "phone"}), 90 * DAY, json!("phone")).await;
    check(
        json!({"expiresInSeconds": 1}),
        Duration::from_secs(1),
        Value::Null,
    )
    .await;
    let year = Duration::from_secs(31_536_000);
    check(
        json!({"expiresInSeconds": 31_536_000, "endpointId": "phone"}),
        year,
        json!("phone"),
    )
    .await;
    let bare = hub
        .app()
        .send(hyper::Method::POST, TOKENS, hyper::body::Bytes::new())
        .await;
    assert_eq!(
        moment(&bare.expect(201)["expiresDateTime"]),
        now.plus(hour),
        "no body at all is an empty one"
    );
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_renewed_before_it_ends() {
    let hub = TestHub::at_a_standstill().await;
    let phone = hub.registered("ada", "phone").await;
    hub.advance(89 * DAY);
    let renewed = phone.post("/v1/me/token", json!({})).await.expect(201);
    assert_eq!(renewed["endpointId"], "phone", "{renewed}");
    assert_eq!(
        moment(&renewed["expiresDateTime"]),
        hub.clock.now().plus(90 * DAY),
        "{renewed}"
    );
    let next = hub.client().bearer(text(&renewed["token"]));
    assert_ne!(next.bearer, phone.bearer);
    phone.get("/v1/me/endpoints").await.expect(200);
    hub.advance(DAY);
    assert_eq!(
        phone.get("/v1/me/endpoints").await.refused(401),
        "unauthenticated"
    );
    let mine = next.get("/v1/me/endpoints").await.expect(200);
    assert_eq!(mine["value"][0]["id"], "phone", "{mine}");
    assert_eq!(
        next.delete("/v1/me/endpoints/tablet").await.refused(403),
        "accessDenied",
        "bound as before"
    );
    let unbound = hub.person("ada", None).await;
    let again = unbound.post("/v1/me/token", json!({})).await.expect(201);
    assert_eq!(again["endpointId"], Value::Null, "{again}");
    assert_eq!(
        moment(&again["expiresDateTime"]),
        hub.clock.now().plus(Duration::from_secs(3600))
    );
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_token_lives_as_long_as_the_one_before() {
    let hub = TestHub::at_a_standstill().await;
    let minute = json!({"endpointId": "phone", "expiresInSeconds": 60});
    let mut token = hub.app().post(TOKENS, minute).await.expect(201);
    for _ in 0..2 {
        hub.advance(Duration::from_secs(30));
        let client = hub.client().bearer(text(&token["token"]));
        token = client.post("/v1/me/token", json!({})).await.expect(201);
        let ends = hub.clock.now().plus(Duration::from_secs(60));
        assert_eq!(moment(&token["expiresDateTime"]), ends);
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_number_of_tokens_is_minted_that_all_live_on() {
    let hub = TestHub::at_a_standstill().await;
    let body = json!({"endpointId": "phone"});
    let mut tokens = Vec::new();
    for _ in 0..120 {
        hub.advance(Duration::from_secs(1));
        let minted = hub.app().post(TOKENS, body.clone()).await.expect(201);
        tokens.push(hub.client().bearer(text(&minted["token"])));
    }
    let mut good = 0;
    for (nth, client) in tokens.iter().enumerate() {
        let answer = client.get("/v1/me/notifications").await;
        let is_good = answer.status != 401;
        good += usize::from(is_good);
        assert_eq!(is_good, nth >= 20, "the first end first");
    }
    assert_eq!(good, 100);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_no_endpoint_ends_no_other_but_is_refused_beside_too_many() {
    let clock = Clock::manual(Clock::system().now());
    let hub = TestHub::with(clock, |config| {
        config.server.limits.tokens_per_user = 3;
    })
    .await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        hub.advance(Duration::from_mins(10));
        let minted = hub.app().post(TOKENS, json!({})).await.expect(201);
        tokens.push(hub.client().bearer(text(&minted["token"])));
    }
    let minted = hub.app().post(TOKENS, json!({})).await;
    assert_eq!(minted.refused(429), "limitReached");
    assert!(minted.header("retry-after").is_none());
    let renewed = tokens[0].post("/v1/me/token", json!({})).await;
    let message = renewed.expect(429)["error"]["message"].to_string();
    assert!(
        message.contains("server.limits.tokens_per_user"),
        "{message}"
    );
    for token in &tokens {
        token.get("/v1/me/notifications").await.expect(200);
    }
    let bound = json!({"endpointId": "phone"});
    hub.app().post(TOKENS, bound).await.expect(201);
    // The first one's hour is over.
    hub.advance(Duration::from_mins(40));
    eventually("there is room for another", || async {
        let minted = hub.app().post(TOKENS, json!({})).await;
        (minted.status == 201).then_some(())
    })
    .await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_token_is_of_one_endpoint() {
    let hub = TestHub::start().await;
    let early = hub.person("ada", Some("phone")).await;
    assert_eq!(
        early.get("/v1/me/notifications").await.refused(404),
        "endpointNotFound"
    );
    early.post("/v1/me/token", json!({})).await.expect(201);
    let ticket = early.post("/v1/me/notifications/stream/ticket", json!({}));
    assert_eq!(
        ticket.await.refused(404),
        "endpointNotFound",
        "the stream itself could not say it"
    );
    register_none(&early, "phone").await;
    early.get("/v1/me/notifications").await.expect(200);
    early
        .header("x-endpoint-id", "phone")
        .get("/v1/me/notifications")
        .await
        .expect(200);
    let body = json!({"platform": "iOS", "channel": {"type": "none"}});
    for answer in [
        early.put("/v1/me/endpoints/tablet", body).await,
        early.delete("/v1/me/endpoints/tablet").await,
        early
            .header("x-endpoint-id", "tablet")
            .get("/v1/me/notifications")
            .await,
        early
            .header("x-endpoint-id", "tablet")
            .post("/v1/me/token", json!({}))
            .await,
    ] {
        assert_eq!(answer.refused(403), "accessDenied", "{answer:?}");
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_a_key_leaves_its_user_tokens_unless_asked_otherwise() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    let renewed = ada.post("/v1/me/token", json!({})).await.expect(201);
    let renewed = hub.client().bearer(text(&renewed["token"]));
    let operator = hub.running().hub.clone();
    let app = beckon::model::AppHost::parse(crate::support::hub::APP).unwrap();
    let second = operator
        .create_key(&app, None, beckon::model::Scope::All)
        .await
        .unwrap();
    let second_app = hub.client().bearer(second.secret.expose().clone());
    let bob = hub.person_of(&second_app, "bob", None).await;
    let first = operator.keys(Some(app)).await.unwrap().remove(0);
    assert_ne!(first.id, second.kept.id);
    operator.revoke_key(&second.kept.id, false).await.unwrap();
    assert_eq!(
        second_app.get(TOKENS).await.refused(405),
        "methodNotAllowed"
    );
    let dead = second_app.get("/v1/users/bob/endpoints").await;
    assert_eq!(dead.refused(401), "unauthenticated");
    bob.get("/v1/me/endpoints").await.expect(200);
    assert!(
        operator.revoke_key(&second.kept.id, false).await.is_err(),
        "it is revoked already"
    );
    operator.revoke_key(&first.id, true).await.unwrap();
    for token in [&ada, &renewed] {
        assert_eq!(
            token.get("/v1/me/endpoints").await.refused(401),
            "unauthenticated"
        );
    }
    bob.get("/v1/me/endpoints").await.expect(200);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_tokens_end_at_once_all_or_those_of_one_device() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    let (phone, tablet) = (
        hub.registered("ada", "phone").await,
        hub.registered("ada", "tablet").await,
    );
    let bob = hub.person("bob", None).await;
    let mut streams = Vec::new();
    for device in [&phone, &tablet] {
        streams.push(Sse::open(device, "/v1/me/notifications/stream").await);
    }
    let dead = async |client: &Client| {
        let answer = client.get("/v1/me/endpoints").await;
        assert_eq!(answer.refused(401), "unauthenticated");
        let renewed = client.post("/v1/me/token", json!({})).await;
        assert_eq!(renewed.refused(401), "unauthenticated");
    };
    let of_phone = format!("{TOKENS}?endpointId=phone");
    assert_eq!(hub.app().delete(&of_phone).await.status, 204);
    dead(&phone).await;
    streams.remove(0).rest().await;
    tablet.get("/v1/me/endpoints").await.expect(200);
    assert_eq!(
        hub.app().delete(&of_phone).await.refused(404),
        "itemNotFound"
    );
    let bad = hub
        .app()
        .delete(&format!("{TOKENS}?endpointId=a%20b"))
        .await;
    assert_eq!(bad.faults(), ["endpointId"]);
    for slip in ["endpoint", "endpointid", "endpointId&x"] {
        let bad = hub.app().delete(&format!("{TOKENS}?{slip}=tablet")).await;
        let unknown = slip.split('&').next_back().unwrap();
        assert_eq!(bad.faults(), [unknown]);
        let told = bad.json().to_string();
        assert!(told.contains("write endpointId"), "{told}");
    }
    tablet.get("/v1/me/endpoints").await.expect(200);
    // The devices stay; each may sign in again.
    let endpoints = ada.get("/v1/me/endpoints").await.expect(200);
    assert_eq!(endpoints["value"].as_array().unwrap().len(), 2);
    assert_eq!(hub.app().delete(TOKENS).await.status, 204);
    dead(&ada).await;
    dead(&tablet).await;
    streams.remove(0).rest().await;
    bob.get("/v1/me/endpoints").await.expect(200);
    assert_eq!(hub.app().delete(TOKENS).await.refused(404), "itemNotFound");
    let again = hub.person("ada", Some("phone")).await;
    again.get("/v1/me/notifications").await.expect(200);
    hub.finish().await;
}
