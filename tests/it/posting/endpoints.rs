//! A person's devices: registered, refreshed, pushed out, signed out, and whose a channel is.

use std::{sync::Arc, time::Duration};

use beckon::{clock::Clock, config::Config, doubles::Service};
use serde_json::{Value, json};

use super::{DAY, POST, moment, text};
use crate::support::{Client, TestHub, eventually, people::register_none};

fn apns(token: &str) -> Value {
    json!({"channel": {"type": "apns", "deviceToken": token.repeat(32)}})
}

fn path(endpoint: &str) -> String {
    format!("/v1/me/endpoints/{endpoint}")
}

async fn list(client: &Client) -> Vec<(String, String)> {
    let page = client.get("/v1/me/endpoints").await.expect(200);
    let lines = page["value"].as_array().unwrap().iter();
    lines
        .map(|it| (text(&it["id"]), text(&it["channel"]["type"])))
        .collect()
}

/// Ada, with a token for a year that is bound to no device.
async fn lasting(hub: &TestHub) -> Client {
    let year = json!({"expiresInSeconds": 31_536_000});
    let minted = hub
        .app()
        .post("/v1/users/ada/tokens", year)
        .await
        .expect(201);
    hub.client().bearer(text(&minted["token"]))
}

async fn ids(client: &Client) -> Vec<String> {
    list(client).await.into_iter().map(|(id, _)| id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_comes_back_without_its_secrets_and_is_listed() {
    let hub = TestHub::at_a_standstill().await;
    let ada = hub.person("ada", None).await;
    let now = hub.clock.now();
    let mut body = apns("ab");
    body["displayName"] = json!("Ada's phone");
    body["locale"] = json!("de-CH");
    let made = ada.put(&path("phone"), body.clone()).await.expect(201);
    assert_eq!(made["id"], "phone", "{made}");
    assert_eq!(made["platform"], "iOS", "the channel says it: {made}");
    assert_eq!(made["channel"], json!({"type": "apns"}), "{made}");
    assert_eq!(made["displayName"], "Ada's phone", "{made}");
    assert_eq!(moment(&made["createdDateTime"]), now, "{made}");
    assert_eq!(moment(&made["lastSeenDateTime"]), now, "{made}");
    assert_eq!(
        moment(&made["expirationDateTime"]),
        now.plus(90 * DAY),
        "{made}"
    );
    assert!(!made.to_string().contains("abababab"), "{made}");
    hub.advance(Duration::from_secs(60));
    let again = ada.put(&path("phone"), apns("ab")).await.expect(200);
    for kept in ["userNotificationSubscriptionId", "tapId", "createdDateTime"] {
        assert!(made[kept].is_string(), "{kept}: {made}");
        assert_eq!(again[kept], made[kept], "{kept}");
    }
    assert_eq!(
        again["displayName"],
        Value::Null,
        "it is what the last registration says: {again}"
    );
    assert_eq!(
        moment(&again["expirationDateTime"]),
        hub.clock.now().plus(90 * DAY)
    );
    let other = ada.put(&path("phone"), apns("cd")).await.expect(200);
    assert_eq!(
        other["tapId"], made["tapId"],
        "a new channel is the same endpoint"
    );
    let second = ada.put(&path("tablet"), apns("ef")).await.expect(201);
    assert_ne!(second["tapId"], made["tapId"]);
    assert_ne!(
        second["userNotificationSubscriptionId"],
        made["userNotificationSubscriptionId"]
    );
    let seen = ada.get("/v1/me/endpoints").await.expect(200);
    assert_eq!(seen["value"], json!([other, second]));
    assert_eq!(
        hub.app().get("/v1/users/ada/endpoints").await.expect(200),
        seen
    );
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_device_too_many_retires_the_one_longest_unseen() {
    let hub = TestHub::with(Clock::manual(Clock::system().now()), |config| {
        config.server.limits.endpoints_per_user = 3;
    })
    .await;
    let ada = lasting(&hub).await;
    for name in ["a", "b", "c"] {
        register_none(&ada, name).await;
        hub.advance(Duration::from_secs(1));
    }
    hub.advance(Duration::from_secs(2 * 3600));
    let seen = ada.header("x-endpoint-id", "a");
    seen.get("/v1/me/notifications").await.expect(200);
    let bound = hub.person("ada", Some("b")).await;
    bound.get("/v1/me/endpoints").await.expect(200);
    let c = hub.person("ada", Some("c")).await;
    register_none(&ada, "d").await;
    assert_eq!(ids(&ada).await, ["a", "b", "d"], "c was not seen since");
    assert_eq!(
        c.get("/v1/me/endpoints").await.refused(401),
        "unauthenticated",
        "its token went with it"
    );
    let refreshed = json!({"platform": "iOS", "channel": {"type": "none"}});
    ada.put(&path("b"), refreshed).await.expect(200);
    assert_eq!(ids(&ada).await, ["a", "b", "d"], "a refresh needs no room");
    let bob = hub.person("bob", None).await;
    for name in ["p", "q", "r", "s"] {
        register_none(&bob, name).await;
        hub.advance(Duration::from_millis(1));
    }
    assert_eq!(ids(&bob).await, ["q", "r", "s"]);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_devices_are_the_usual_limit() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    for nth in 0..51 {
        register_none(&ada, &format!("e{nth}")).await;
    }
    let left = ids(&ada).await;
    assert_eq!(left.len(), 50, "{left:?}");
    assert_eq!(
        (
            left.first().unwrap().as_str(),
            left.last().unwrap().as_str()
        ),
        ("e1", "e50")
    );
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_the_endpoint_and_what_is_bound_to_it() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    let phone = hub.registered("ada", "phone").await;
    let second = phone.post("/v1/me/token", json!({})).await.expect(201);
    let second = hub.client().bearer(text(&second["token"]));
    let tablet = hub.registered("ada", "tablet").await;
    let endpoints = ada.get("/v1/me/endpoints").await.expect(200);
    let unsid = text(&endpoints["value"][0]["userNotificationSubscriptionId"]);
    phone.delete(&path("phone")).await.expect(204);
    for dead in [&phone, &second] {
        assert_eq!(
            dead.get("/v1/me/endpoints").await.refused(401),
            "unauthenticated"
        );
    }
    assert_eq!(ids(&tablet).await, ["tablet"]);
    assert_eq!(
        ada.delete(&path("phone")).await.refused(404),
        "itemNotFound"
    );
    let named = ada
        .header("x-endpoint-id", "phone")
        .get("/v1/me/notifications")
        .await;
    assert_eq!(named.refused(404), "endpointNotFound");
    let gone = hub.app().header("x-uns-id", &unsid);
    let posted = gone.post("/beta/me/notifications", super::raw("r")).await;
    assert_eq!(
        posted.refused(403),
        "accessDenied",
        "the subscription id went with it"
    );
    let anew = register_none(&ada, "phone").await;
    assert_ne!(anew["userNotificationSubscriptionId"], unsid);
    hub.app()
        .delete("/v1/users/ada/endpoints/tablet")
        .await
        .expect(204);
    assert_eq!(
        tablet.get("/v1/me/endpoints").await.refused(401),
        "unauthenticated"
    );
    let again = hub.app().delete("/v1/users/ada/endpoints/tablet").await;
    assert_eq!(again.refused(404), "itemNotFound");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_belongs_to_who_registered_it_last() {
    let hub = TestHub::start().await;
    let (ada, bob) = (hub.person("ada", None).await, hub.person("bob", None).await);
    let made = ada.put(&path("phone"), apns("ab")).await.expect(201);
    bob.put(&path("phone"), apns("ab")).await.expect(201);
    assert_eq!(
        list(&ada).await,
        [(String::from("phone"), String::from("none"))]
    );
    assert_eq!(
        list(&bob).await,
        [(String::from("phone"), String::from("apns"))]
    );
    let seen = ada.get("/v1/me/endpoints").await.expect(200);
    assert_eq!(
        seen["value"][0]["userNotificationSubscriptionId"],
        made["userNotificationSubscriptionId"]
    );
    ada.put(&path("other"), apns("AB")).await.expect(201);
    assert_eq!(
        list(&bob).await[0].1,
        "none",
        "hex digits in capitals are the same token"
    );
    ada.put(&path("phone"), apns("ab")).await.expect(200);
    let both = list(&ada).await;
    assert_eq!(
        both,
        [("phone", "apns"), ("other", "none")].map(|(id, kind)| (id.to_owned(), kind.to_owned()))
    );
    ada.delete(&path("phone")).await.expect(204);
    assert_eq!(
        list(&bob).await[0].1,
        "none",
        "what was taken does not come back by itself"
    );
    hub.finish().await;
}

/// A browser's channel at this address; the keys are RFC 8291's, section 5.
fn browser(address: &str) -> Value {
    json!({"channel": {"type": "webPush", "endpoint": address, "keys": {
        "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "auth": "BTBZMqHH6r4Tts7J_aSIgg",
    }}})
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_in_two_spellings_is_one_channel() {
    let hub = TestHub::start().await;
    let (ada, bob) = (hub.person("ada", None).await, hub.person("bob", None).await);
    let subscription = "https://updates.push.services.mozilla.com/wpush/v2/Abc";
    let windows = "https://db5p.notify.windows.com/?token=Abc";
    let wns = |uri: &str| json!({"channel": {"type": "wns", "channelUri": uri}});
    let spellings = |text: &str| {
        let (scheme, rest) = text.split_once("://").unwrap();
        let (host, path) = rest.split_once('/').unwrap();
        [
            format!(" {text}"),
            format!("{text}\n"),
            format!("{}://{rest}", scheme.to_uppercase()),
            format!("{scheme}://{}/{path}", host.to_uppercase()),
            format!("{scheme}://{host}:443/{path}"),
        ]
    };
    let subscriptions = spellings(subscription).map(|it| (browser(subscription), browser(&it)));
    let uris = spellings(windows).map(|it| (wns(windows), wns(&it)));
    for (plain, odd) in subscriptions.into_iter().chain(uris) {
        let kind = text(&plain["channel"]["type"]);
        assert!(ada.put(&path("a"), plain).await.status.is_success());
        assert!(bob.put(&path("b"), odd.clone()).await.status.is_success());
        assert_eq!(list(&ada).await[0].1, "none", "{odd}");
        assert_eq!(list(&bob).await[0].1, kind, "{odd}");
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_gone_from_the_end_that_its_browser_named() {
    let hub = TestHub::at_a_standstill().await;
    let device = hub.device("ada", Service::WebPush).await;
    let mut body = json!({ "channel": device.device.channel });
    let now = hub.clock.now();
    body["channel"]["expirationTime"] = json!(now.as_millis());
    let over = device
        .client
        .put(&path(&device.endpoint), body.clone())
        .await;
    assert_eq!(over.faults(), ["channel.expirationTime"]);
    let hour = Duration::from_secs(3600);
    body["channel"]["expirationTime"] = json!(now.plus(hour).as_millis());
    device
        .client
        .put(&path(&device.endpoint), body)
        .await
        .expect(200);
    let fate = async |posted: &Value, status: &str| {
        let deliveries = format!("{POST}/{}/deliveries", text(&posted["id"]));
        eventually(status, || async {
            let page = hub.app().get(&deliveries).await.expect(200);
            let it = page["value"][0].clone();
            (it["status"] == status).then_some(it)
        })
        .await
    };
    let posted = hub.post("ada", "in time").await;
    hub.advance(Duration::from_secs(10));
    fate(&posted, "tapped").await;
    hub.advance(hour);
    let sent = hub.doubles().counters(Service::WebPush);
    let late = hub.post("ada", "too late").await;
    let gone = fate(&late, "gone").await;
    assert_eq!(gone["reason"], "channelGone", "{gone}");
    hub.advance(Duration::from_secs(10));
    hub.settled().await;
    assert_eq!(hub.doubles().counters(Service::WebPush), sent);
    let page = hub.app().get("/v1/users/ada/endpoints").await.expect(200);
    let listed = &page["value"][0];
    assert_eq!(listed["channel"]["type"], "none", "{listed}");
    assert_eq!(moment(&listed["channelGoneDateTime"]), now.plus(hour));
    let test = format!("/v1/users/ada/endpoints/{}/test", device.endpoint);
    let test = hub.app().post(&test, json!({})).await;
    assert_eq!(test.refused(409), "conflict");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_reads_endpoints_and_notifications_in_the_apis_shapes() {
    let hub = TestHub::with(Clock::system(), |config| {
        config.delivery.min_fallback_delay = Duration::from_millis(500);
    })
    .await;
    let ada = hub.person("ada", None).await;
    let mut body = browser("https://updates.push.services.mozilla.com/wpush/v2/x");
    (body["stateSync"], body["shared"]) = (json!(true), json!(true));
    (body["displayName"], body["locale"]) = (json!("Ada's browser"), json!("de-CH"));
    ada.put(&path("browser"), body).await.expect(201);
    register_none(&ada, "plain").await;
    let post = json!({
        "priority": "High", "payload": {"rawContent": "r"},
        "fallbackPolicy": {"endpointFallback": {
            "platformTypes": ["iOS"], "fallbackDelayInSeconds": 0.5, "visualContent": {"title": "t"},
        }},
    });
    hub.app().post(POST, post).await.expect(201);
    let asked = async |op: &str| {
        let asked = json!({"op": op, "app": "todo.example", "user": "ada"});
        let asked = serde_json::from_value(asked).unwrap();
        hub.running().hub.admin(asked).await.unwrap()
    };
    let listed = hub.app().get("/v1/users/ada/endpoints").await.expect(200);
    assert_eq!(asked("endpointList").await, listed);
    assert_eq!(listed["value"][0]["stateSync"], true, "{listed}");
    assert_eq!(listed["value"][0]["shared"], true, "{listed}");
    let posted = hub.app().get(POST).await.expect(200);
    let shown = asked("userShow").await;
    assert_eq!(shown["notifications"], posted["value"], "{shown}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_may_share_one_installation() {
    let hub = TestHub::start().await;
    let mut shared = apns("ab");
    shared["shared"] = json!(true);
    let mut people = Vec::new();
    for nth in 0..5 {
        let person = hub.person(&format!("p{nth}"), None).await;
        person
            .put(&path("family"), shared.clone())
            .await
            .expect(201);
        people.push(person);
    }
    for person in &people {
        assert_eq!(list(person).await[0].1, "apns");
    }
    let sixth = hub.person("p5", None).await;
    assert_eq!(
        sixth
            .put(&path("family"), shared.clone())
            .await
            .refused(429),
        "limitReached"
    );
    people[0]
        .put(&path("family"), shared.clone())
        .await
        .expect(200);
    people[0].delete(&path("family")).await.expect(204);
    sixth.put(&path("family"), shared).await.expect(201);
    let alone = hub.person("alone", None).await;
    alone.put(&path("mine"), apns("ab")).await.expect(201);
    for person in people.iter().skip(1).chain([&sixth]) {
        assert_eq!(
            list(person).await[0].1,
            "none",
            "one who does not share takes it from all"
        );
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_does_not_share_a_channel_with_themselves() {
    let hub = TestHub::at_a_standstill().await;
    let mut shared = apns("ab");
    shared["shared"] = json!(true);
    let bob = hub.person("bob", None).await;
    bob.put(&path("family"), shared.clone()).await.expect(201);
    let ada = hub.person("ada", None).await;
    ada.put(&path("old"), shared.clone()).await.expect(201);
    hub.advance(Duration::from_millis(1));
    ada.put(&path("new"), shared).await.expect(201);
    let lines = [("old", "none"), ("new", "apns")].map(|(id, it)| (id.into(), it.into()));
    assert_eq!(list(&ada).await, lines, "one device is tapped once");
    assert_eq!(list(&bob).await[0].1, "apns", "who shares keeps it");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_not_seen_for_90_days_is_gone() {
    let hub = TestHub::at_a_standstill().await;
    let ada = lasting(&hub).await;
    for name in ["used", "left"] {
        register_none(&ada, name).await;
        hub.advance(Duration::from_millis(1));
    }
    let soon = hub.clock.now().plus(DAY).to_string();
    let short = json!({"platform": "iOS", "channel": {"type": "none"}, "expirationDateTime": soon});
    ada.put(&path("short"), short).await.expect(201);
    hub.advance(Duration::from_millis(1));
    let late = hub.clock.now().plus(400 * DAY).to_string();
    let long = json!({"platform": "iOS", "channel": {"type": "none"}, "expirationDateTime": late});
    let long = ada.put(&path("long"), long).await.expect(201);
    assert_eq!(
        moment(&long["expirationDateTime"]),
        hub.clock.now().plus(90 * DAY),
        "no longer than the hub's own"
    );
    hub.advance(DAY);
    assert_eq!(
        ids(&ada).await,
        ["used", "left", "long"],
        "it asked to be forgotten earlier"
    );
    let used = ada.header("x-endpoint-id", "used");
    used.get("/v1/me/notifications/delta").await.expect(200);
    hub.advance(89 * DAY);
    assert_eq!(ids(&ada).await, ["used"], "an authenticated pull keeps it");
    let named = ada
        .header("x-endpoint-id", "left")
        .get("/v1/me/notifications")
        .await;
    assert_eq!(named.refused(404), "endpointNotFound");
    assert_eq!(ada.delete(&path("left")).await.refused(404), "itemNotFound");
    register_none(&ada, "left").await;
    eventually("what is over is swept", || async {
        let subject = ada.get("/v1/me/endpoints").await.expect(200);
        (subject["value"].as_array().unwrap().len() == 2).then_some(())
    })
    .await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_longer_expiry_is_for_devices_of_before_too_but_not_for_those_that_asked_for_less() {
    let month: fn(&mut Config) = |config| config.delivery.endpoint_expiry = 30 * DAY;
    let clock = Clock::manual(Clock::system().now());
    let mut hub = TestHub::with(clock, month).await;
    let ada = lasting(&hub).await;
    register_none(&ada, "usual").await;
    let began = hub.clock.now();
    hub.advance(Duration::from_millis(1));
    let soon = began.plus(20 * DAY).to_string();
    let short = json!({"platform": "iOS", "channel": {"type": "none"}, "expirationDateTime": soon});
    ada.put(&path("short"), short).await.expect(201);
    hub.restart_with(|config| config.delivery.endpoint_expiry = 90 * DAY)
        .await;
    let ada = ada.to(hub.running().addr);
    for days in [2, 4] {
        hub.advance(2 * DAY);
        let latest = hub.clock.now().plus(90 * DAY);
        for name in ["usual", "short"] {
            let device = ada.header("x-endpoint-id", name);
            device.get("/v1/me/notifications/delta").await.expect(200);
        }
        let page = ada.get("/v1/me/endpoints").await.expect(200);
        let ends = |at: usize| moment(&page["value"][at]["expirationDateTime"]);
        assert_eq!(ends(0), latest, "after {days} days: {page}");
        assert_eq!(ends(1), began.plus(20 * DAY), "after {days} days: {page}");
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_pulls_stays_though_the_expiry_is_shorter_than_an_hour() {
    let clock = Clock::manual(Clock::system().now());
    let hub = TestHub::with(clock, |config| {
        config.delivery.endpoint_expiry = Duration::from_mins(10);
    })
    .await;
    let ada = hub.person("ada", None).await;
    register_none(&ada, "phone").await;
    let began = hub.clock.now();
    let phone = ada.header("x-endpoint-id", "phone");
    for _ in 0..10 {
        hub.advance(Duration::from_mins(4));
        phone.get("/v1/me/notifications/delta").await.expect(200);
    }
    let page = ada.get("/v1/me/endpoints").await.expect(200);
    let seen = moment(&page["value"][0]["lastSeenDateTime"]);
    assert_eq!(seen, began, "it moves at most hourly: {page}");
    hub.advance(Duration::from_mins(10));
    assert!(ids(&ada).await.is_empty(), "left alone it ends");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_of_a_service_that_is_not_configured_is_refused() {
    let hub = TestHub::with(Clock::system(), |config| {
        let app = Arc::make_mut(&mut config.apps[0]);
        (app.apns, app.fcm, app.wns, app.web_push) = (None, None, None, None);
    })
    .await;
    let ada = hub.person("ada", None).await;
    for channel in [
        json!({"type": "apns", "deviceToken": "ab".repeat(32)}),
        json!({"type": "fcm", "registrationToken": "x"}),
        json!({"type": "wns", "channelUri": "https://db3.notify.windows.com/?token=x"}),
        json!({"type": "webPush", "endpoint": "https://updates.push.services.mozilla.com/x",
            "keys": {"p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4", "auth": "BTBZMqHH6r4Tts7J_aSIgg"}}),
    ] {
        let answer = ada.put(&path("e"), json!({"channel": channel})).await;
        assert_eq!(answer.faults(), ["channel.type"], "{channel}");
    }
    register_none(&ada, "e").await;
    hub.finish().await;
}
