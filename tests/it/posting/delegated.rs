//! A user's own client that posts, and a server that registers devices: where the app lets them.

use std::sync::Arc;

use beckon::{
    clock::Clock,
    doubles::{NewDevice, Service},
};
use serde_json::{Value, json};

use crate::support::{TestHub, people::register_none};

const POST: &str = "/beta/me/notifications";

fn raw(text: &str) -> Value {
    json!({"payload": {"rawContent": text}})
}

async fn delegating() -> TestHub {
    TestHub::with(Clock::system(), |config| {
        for app in &mut config.apps {
            Arc::make_mut(app).delegated_post = true;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_token_posts_to_its_own_user_where_the_app_lets_it() {
    let hub = delegating().await;
    let ada = hub.registered("ada", "phone").await;
    let bob = hub.person("bob", Some("phone")).await;
    let of_bob = register_none(&bob, "phone").await["userNotificationSubscriptionId"].clone();
    let posted = ada.post(POST, raw("one")).await;
    posted.expect(201);
    let held = ada.get("/v1/me/notifications").await.expect(200);
    assert_eq!(held["value"][0]["payload"]["rawContent"], "one");
    let none = bob.get("/v1/me/notifications").await.expect(200);
    assert!(none["value"].as_array().unwrap().is_empty());
    // The subscription id may be given, too: one's own.
    let own = ada.get("/v1/me/endpoints").await.expect(200);
    let own = own["value"][0]["userNotificationSubscriptionId"]
        .as_str()
        .unwrap();
    ada.header("x-uns-id", own)
        .post(POST, raw("two"))
        .await
        .expect(201);
    let others = ada.header("x-uns-id", of_bob.as_str().unwrap());
    assert_eq!(
        others.post(POST, raw("three")).await.refused(403),
        "accessDenied"
    );
    // The same checks as for an app's server.
    assert_eq!(ada.post(POST, json!({})).await.faults(), ["payload"]);
    let elsewhere = json!({"targetHostName": "other.example", "payload": {"rawContent": "r"}});
    assert_eq!(ada.post(POST, elsewhere).await.refused(403), "accessDenied");
    // What one person used a key for is nobody else's.
    let (mine, theirs) = (
        ada.header("idempotency-key", "k"),
        bob.header("idempotency-key", "k"),
    );
    let first = mine.post(POST, raw("four")).await.expect(201);
    let second = theirs.post(POST, raw("four")).await.expect(201);
    assert_ne!(first["id"], second["id"]);
    assert_eq!(
        mine.post(POST, raw("four")).await.expect(201)["id"],
        first["id"]
    );
    // An app's server still has to name the user.
    assert_eq!(
        hub.app().post(POST, raw("five")).await.faults(),
        ["X-UNS-ID"]
    );
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_token_posts_nowhere_else() {
    let hub = delegating().await;
    let ada = hub.person("ada", None).await;
    for path in ["/v1/users/ada/notifications", "/v1/notifications"] {
        assert_eq!(ada.post(path, raw("r")).await.refused(403), "accessDenied");
    }
    hub.finish().await;
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    assert_eq!(ada.post(POST, raw("r")).await.refused(403), "accessDenied");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_registers_the_devices_whose_channels_it_holds() {
    let hub = TestHub::start().await;
    let device = hub
        .doubles()
        .add_device(NewDevice::of(Service::Apns))
        .unwrap();
    let channel = serde_json::to_value(&device.channel).unwrap();
    let path = "/v1/users/ada/endpoints/phone";
    let made = hub
        .app()
        .put(path, json!({"channel": channel, "displayName": "Ada's"}))
        .await;
    let made = made.expect(201);
    assert_eq!(made["platform"], "iOS");
    let seen = hub.doubles().place();
    let again = hub
        .app()
        .put(path, json!({"channel": channel}))
        .await
        .expect(200);
    for stable in ["userNotificationSubscriptionId", "tapId", "createdDateTime"] {
        assert_eq!(again[stable], made[stable], "{stable}");
    }
    hub.post("ada", "Lunch?").await;
    let deadline = std::time::Duration::from_secs(20);
    let pushed = hub
        .doubles()
        .await_handed_over(&device.id, seen, deadline, |_| true);
    assert!(pushed.await.is_some(), "the device is tapped");
    // The same checks as for a device, all faults at once.
    let wrong = hub
        .app()
        .put("/v1/users/ada/endpoints/a%20b", json!({}))
        .await;
    assert!(
        wrong.faults().contains(&String::from("endpointId")),
        "{wrong:?}"
    );
    let fcm = json!({"channel": {"type": "fcm", "registrationToken": ""}, "platform": "iOS"});
    let faults = hub.app().put(path, fcm).await.faults();
    assert!(
        faults.contains(&String::from("channel.registrationToken")),
        "{faults:?}"
    );
    hub.finish().await;
}
