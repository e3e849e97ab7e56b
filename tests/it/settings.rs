//! Settings that change: nobody waits by the old ones.

use std::time::Duration;

use beckon::doubles::{Handle, Service};
use serde_json::{Value, json};

use crate::support::{TestHub, device::beckon_of, eventually};

/// Where what became of a post to Ada is told.
fn deliveries(posted: &Value) -> String {
    let id = posted["id"].as_str().unwrap();
    format!("/v1/users/ada/notifications/{id}/deliveries")
}

/// Waits until nothing is due now or before.
async fn nothing_is_due(hub: &TestHub) {
    let reader = hub.running().hub.store().reader().clone();
    eventually("nothing is due", || async {
        let oldest = reader.outbox_depth().unwrap().oldest_due;
        oldest.is_none_or(|due| due > hub.clock.now()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fell_due_while_its_app_was_away_leaves_when_the_app_is_back() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Apns).await;
    let body = json!({
        "priority": "High", "payload": {"rawContent": "secret"},
        "fallbackPolicy": {"endpointFallback": {
            "platformTypes": ["iOS"], "fallbackDelayInSeconds": 60, "visualContent": {"title": "Look"}
        }}
    });
    hub.app()
        .post("/v1/users/ada/notifications", body)
        .await
        .expect(201);
    phone.next_push("the raw tap").await;
    nothing_is_due(&hub).await;
    let (there, mut without) = (
        hub.running().hub.apps().all(),
        hub.running().hub.apps().all(),
    );
    without.retain(|app| app.host.as_str() != "todo.example");
    hub.running().reload(without).await.unwrap();
    hub.advance(Duration::from_secs(60));
    nothing_is_due(&hub).await;
    assert_eq!(phone.unseen(), 0, "its app is not there");
    hub.running().reload(there).await.unwrap();
    let shown = || async {
        hub.advance(Duration::from_secs(1));
        (phone.unseen() > 0).then_some(())
    };
    eventually("the fallback", shown).await;
    let shown = phone.next_push("the fallback").await;
    assert_eq!(beckon_of(&shown.push)["k"], "fallback");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_by_a_longer_rule_than_that_of_the_next_start_is_tapped_by_the_new_one() {
    let mut hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Fcm).await;
    hub.post("ada", "Lunch?").await;
    phone.next_push("the first tap").await;
    nothing_is_due(&hub).await;
    hub.advance(Duration::from_secs(1));
    hub.restart_with(|config| config.delivery.retap_after = Duration::from_secs(5))
        .await;
    let repeated = || async {
        hub.advance(Duration::from_secs(1));
        (phone.unseen() > 0).then_some(hub.clock.now())
    };
    let began = hub.clock.now();
    let at = eventually("the repeat", repeated).await;
    assert!(at.since(began) < Duration::from_mins(10), "{at}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_the_settings_no_longer_name_wait_for_the_settings_to_be_put_right() {
    let mut hub = TestHub::at_a_standstill().await;
    let mut browser = hub.device("ada", Service::WebPush).await;
    let mut pc = hub.device("ada", Service::Wns).await;
    hub.reload(|doubles| {
        let text = doubles.settings().app_toml();
        let settings = doubles.settings();
        let hosts = [&settings.web_push.host, &settings.wns.host];
        hosts.iter().fold(text, |text, host| {
            text.replace(
                &format!("allowed_hosts = [\"{host}\"]"),
                "allowed_hosts = [\"push.example:1\"]",
            )
        })
    })
    .await;
    let posted = hub.post("ada", "Lunch?").await;
    let path = deliveries(&posted);
    eventually("both wait for the operator", || async {
        let lines = hub.app().get(&path).await.expect(200)["value"].clone();
        let lines = lines.as_array().unwrap().clone();
        lines
            .iter()
            .all(|line| line["reason"] == "serviceStopped")
            .then_some(())
    })
    .await;
    let ready = hub.client().get("/readyz").await.expect(200);
    assert_eq!(ready["status"], "degraded");
    hub.advance(Duration::from_secs(1));
    hub.reload(|doubles| doubles.settings().app_toml()).await;
    browser.next_push("the tap of the browser").await;
    pc.next_push("the tap of the PC").await;
    hub.finish().await;
}

/// The services' sections with a VAPID key of the operator's own: any P-256 key serves, and that for APNs is at hand.
fn with_a_vapid_key(doubles: &Handle) -> String {
    let text = doubles.settings().app_toml();
    let key = text.lines().find(|line| line.starts_with("key_file"));
    let section = "[app.webpush]\n";
    assert!(text.contains(section), "{text}");
    text.replace(section, &format!("{section}{}\n", key.unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_signed_for_with_the_key_that_it_was_made_with() {
    let mut hub = TestHub::at_a_standstill().await;
    let mut before = hub.device("ada", Service::WebPush).await;
    hub.advance(Duration::from_secs(1));
    hub.reload(with_a_vapid_key).await;
    let mut after = hub.device("ada", Service::WebPush).await;
    // As a page does at each start; its subscription is the same, whatever the key of today.
    let path = format!("/v1/me/endpoints/{}", before.endpoint);
    let body =
        json!({"channel": before.device.channel, "displayName": "a device", "stateSync": true});
    before.client.put(&path, body).await.expect(200);
    hub.post("ada", "Lunch?").await;
    before.next_push("the tap by the older key").await;
    after.next_push("the tap by the present key").await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_whose_key_was_taken_away_waits_for_it_and_no_other_does() {
    let mut hub = TestHub::at_a_standstill().await;
    let mut present = hub.device("bob", Service::WebPush).await;
    hub.advance(Duration::from_secs(1));
    hub.reload(with_a_vapid_key).await;
    let mut bound = hub.device("ada", Service::WebPush).await;
    hub.advance(Duration::from_secs(1));
    hub.reload(|doubles| doubles.settings().app_toml()).await;
    let posted = hub.post("ada", "Lunch?").await;
    let path = deliveries(&posted);
    eventually("it waits", || async {
        let line = hub.app().get(&path).await.expect(200)["value"][0].clone();
        (line["status"] == "pending" && line["reason"] == "retry").then_some(())
    })
    .await;
    hub.post("bob", "Lunch?").await;
    present
        .next_push("the tap of one with the present key")
        .await;
    hub.reload(with_a_vapid_key).await;
    eventually("the key is back", || async {
        hub.advance(Duration::from_secs(5));
        (bound.unseen() > 0).then_some(())
    })
    .await;
    bound.next_push("the tap by its own key").await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_goes_to_another_person_keeps_its_key() {
    let mut hub = TestHub::at_a_standstill().await;
    let mut browser = hub.device("ada", Service::WebPush).await;
    hub.advance(Duration::from_secs(1));
    hub.reload(with_a_vapid_key).await;
    let bob = hub.person("bob", Some("browser")).await;
    let body = json!({"channel": browser.device.channel});
    bob.put("/v1/me/endpoints/browser", body).await.expect(201);
    hub.post("bob", "Lunch?").await;
    browser.next_push("the tap by the older key").await;
    hub.finish().await;
}
