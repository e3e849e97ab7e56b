//! How often one may ask, and whom a request is counted for.

use std::sync::Arc;

use beckon::{
    clock::Clock,
    config::{AppLimits, Config, Rate},
};
use serde_json::json;

use crate::support::{Answer, Client, TestHub, eventually, people::register_none};

const USERS: &str = "/v1/users/ada/notifications";
const MINE: &str = "/v1/me/notifications";

fn rate(text: &str) -> Option<Rate> {
    Some(Rate::parse(text).unwrap())
}

/// Of an answer: what is left, in the order of its policies.
#[track_caller]
fn left(answer: &Answer) -> Vec<String> {
    let standings = answer.header("ratelimit").unwrap_or_default();
    let policies = answer.header("ratelimit-policy").unwrap_or_default();
    assert_eq!(standings.split(", ").count(), policies.split(", ").count());
    let parts = standings.split(", ").map(|standing| {
        let mut parts = standing.split(';');
        format!(
            "{} {}",
            parts.next().unwrap(),
            parts.next().unwrap_or_default()
        )
    });
    parts.collect()
}

/// Refused for this limit; answers after how many seconds one may come again.
#[track_caller]
fn refused(answer: &Answer, key: &str) -> u64 {
    assert_eq!(answer.refused(429), "tooManyRequests");
    let message = answer.json()["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(message.contains(key), "{message}");
    answer.header("retry-after").unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_an_address_are_counted_and_probes_are_not() {
    let hub = TestHub::with(Clock::system(), |config| {
        config.server.limits.requests_per_address = rate("4/h");
    })
    .await;
    let nobody = hub.client();
    for expected in ["r=3", "r=2", "r=1"] {
        let answer = nobody.get(USERS).await;
        assert_eq!(answer.refused(401), "unauthenticated");
        assert_eq!(left(&answer), [format!("\"address\" {expected}")]);
        let policy = answer.header("ratelimit-policy");
        assert_eq!(policy, Some("\"address\";q=4;w=3600"));
    }
    nobody.get("/docs").await;
    let wait = refused(
        &nobody.get(USERS).await,
        "server.limits.requests_per_address",
    );
    assert!((890..=900).contains(&wait), "{wait} s");
    let standing = nobody.get(USERS).await;
    assert_eq!(standing.header("ratelimit"), Some("\"address\";r=0;t=3600"));
    // In OAuth's words at OAuth's door; a good credential passes no more than a bad one.
    let token = nobody.post("/oauth2/v2.0/token", json!({})).await;
    assert_eq!(token.expect(429)["error"], "temporarily_unavailable");
    assert!(token.header("retry-after").is_some(), "{token:?}");
    assert_eq!(hub.app().get(USERS).await.refused(429), "tooManyRequests");
    // An address that no trusted proxy gave is none.
    let posing = nobody.header("x-forwarded-for", "192.0.2.7");
    assert_eq!(posing.get(USERS).await.refused(429), "tooManyRequests");
    for probe in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(nobody.get(probe).await.status, 200, "{probe}");
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_each_client_is_counted_for_itself() {
    let hub = TestHub::with(Clock::system(), |config| {
        config.server.limits.requests_per_address = rate("2/h");
        config.server.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let from = |address: &str| hub.client().header("x-forwarded-for", address);
    for _ in 0..2 {
        assert_eq!(from("192.0.2.7").get(USERS).await.status, 401);
    }
    refused(&from("192.0.2.7").get(USERS).await, "requests_per_address");
    // What the client itself wrote stands before what the proxy added.
    let posing = from("198.51.100.1, 192.0.2.7");
    refused(&posing.get(USERS).await, "requests_per_address");
    let spoofed = from("192.0.2.7").header("forwarded", "for=198.51.100.1");
    refused(&spoofed.get(USERS).await, "requests_per_address");
    assert_eq!(from("192.0.2.8").get(USERS).await.status, 401);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_begin_as_the_client_came_to_the_trusted_proxy() {
    let trusting = TestHub::with(Clock::system(), |config| {
        config.server.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let plain = TestHub::start().await;
    for (hub, scheme) in [
        (&trusting, "https://127.0.0.1:"),
        (&plain, "http://127.0.0.1:"),
    ] {
        let app = hub
            .app()
            .header("x-forwarded-for", "192.0.2.7")
            .header("x-forwarded-proto", "https");
        let posted = app
            .post(USERS, json!({"payload": {"rawContent": "{}"}}))
            .await;
        posted.expect(201);
        let location = posted.header("location").unwrap();
        assert!(location.starts_with(scheme), "{location}");
    }
    trusting.finish().await;
    plain.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_for_each_key_and_an_app_may_have_a_rate_of_its_own() {
    let hub = TestHub::with(Clock::system(), |config| {
        config.server.limits.requests_per_key = rate("2/h");
    })
    .await;
    let app = hub.app();
    assert_eq!(left(&app.get(USERS).await), ["\"key\" r=1"]);
    assert_eq!(left(&app.get(USERS).await), ["\"key\" r=0"]);
    refused(&app.get(USERS).await, "server.limits.requests_per_key");
    // Nothing is written that is refused.
    let post = app
        .post(USERS, json!({"payload": {"rawContent": "{}"}}))
        .await;
    refused(&post, "server.limits.requests_per_key");
    let other = hub.other_app().await;
    assert_eq!(other.get(USERS).await.status, 200);
    hub.finish().await;

    let hub = TestHub::with(Clock::system(), |config| {
        config.server.limits.requests_per_key = rate("2/h");
        own(config, |limits| limits.requests_per_key = rate("1/h"));
    })
    .await;
    let app = hub.app();
    assert_eq!(app.get(USERS).await.status, 200);
    refused(&app.get(USERS).await, "app.limits.requests_per_key");
    hub.finish().await;
}

fn own(config: &mut Config, change: impl Fn(&mut AppLimits)) {
    for app in &mut config.apps {
        change(&mut Arc::make_mut(app).limits);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_devices_of_a_user_are_counted_together_and_those_of_others_are_not() {
    let hub = TestHub::with(Clock::system(), |config| {
        own(config, |limits| limits.requests_per_user = rate("6/h"));
    })
    .await;
    let (phone, tablet) = (
        device(&hub, "ada", "phone").await,
        device(&hub, "ada", "tablet").await,
    );
    assert_eq!(left(&phone.get(MINE).await), ["\"user\" r=3"]);
    let ticket = phone
        .post("/v1/me/notifications/stream/ticket", json!({}))
        .await;
    let ticket = ticket.expect(201)["ticket"].as_str().unwrap().to_owned();
    // A stream counts once, by a ticket, too.
    let stream = format!("{MINE}/stream?ticket={ticket}");
    let (_, headers, body) = hub
        .client()
        .open(hyper::Method::GET, &stream, Default::default())
        .await;
    assert!(
        headers["ratelimit"]
            .to_str()
            .unwrap()
            .starts_with("\"user\";r=1;"),
        "{headers:?}"
    );
    drop(body);
    assert_eq!(left(&tablet.get(MINE).await), ["\"user\" r=0"]);
    for device in [&phone, &tablet] {
        refused(&device.get(MINE).await, "app.limits.requests_per_user");
    }
    let bob = device(&hub, "bob", "phone").await;
    assert_eq!(bob.get(MINE).await.status, 200);
    hub.finish().await;
}

/// A device that is signed in, with one request made.
async fn device(hub: &TestHub, user: &str, name: &str) -> Client {
    let device = hub.person(user, Some(name)).await;
    register_none(&device, name).await;
    device
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_as_long_as_told_passes() {
    let hub = TestHub::with(Clock::system(), |config| {
        config.server.limits.requests_per_key = rate("30/m");
    })
    .await;
    let app = hub.app();
    eventually("the key's requests are used up", || async {
        (app.get(USERS).await.status == 429).then_some(())
    })
    .await;
    let wait = refused(&app.get(USERS).await, "requests_per_key");
    assert!((1..=2).contains(&wait), "{wait} s");
    eventually("one passes again", || async {
        (app.get(USERS).await.status == 200).then_some(())
    })
    .await;
    hub.finish().await;
}
