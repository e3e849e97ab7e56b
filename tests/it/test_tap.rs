//! A tap on request: one device is tapped now, and the answer says what its push service said.

use std::time::Duration;

use beckon::doubles::{FaultKind, FaultSpec, Service};
use serde_json::{Value, json};

use crate::support::{Answer, ChildHub, TestHub, device::beckon_of, hub::APP};

fn path(endpoint: &str) -> String {
    format!("/v1/users/ada/endpoints/{endpoint}/test")
}

async fn test(hub: &TestHub, endpoint: &str) -> Answer {
    hub.app().post(&path(endpoint), json!({})).await
}

/// Waits as long as the rule of one push a second asks.
fn a_second_later(hub: &TestHub) {
    hub.advance(Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_takes_a_test_that_names_nothing() {
    let hub = TestHub::at_a_standstill().await;
    for service in Service::ALL {
        let mut device = hub.device("ada", service).await;
        let tested = test(&hub, &device.endpoint).await.expect(200);
        assert_eq!(tested["endpointId"], device.endpoint.as_str(), "{tested}");
        assert_eq!(tested["result"], "accepted", "{tested}");
        let status = tested["pushService"]["status"].as_u64();
        assert!(status.is_some_and(|it| it / 100 == 2), "{tested}");
        assert!(
            tested["explanation"]
                .as_str()
                .unwrap()
                .contains("took the tap")
        );
        let push = device.next_push("the test").await;
        let beckon = beckon_of(&push.push);
        assert_eq!(beckon["k"], "test", "{beckon}");
        assert_eq!(beckon["e"], device.registered["tapId"], "{beckon}");
        assert_eq!(beckon.get("n"), None, "{beckon}");
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_leaves_what_is_owed_as_it_was_and_asks_no_budget() {
    let hub = TestHub::with(
        beckon::clock::Clock::manual(beckon::clock::Clock::system().now()),
        |config| config.delivery.silent_per_hour = 1,
    )
    .await;
    let mut phone = hub.device("ada", Service::Apns).await;
    let raw = json!({"payload": {"rawContent": "r"}});
    let post = async |hub: &TestHub| {
        let posted = hub
            .app()
            .post("/v1/users/ada/notifications", raw.clone())
            .await;
        posted.expect(201)["id"].as_str().unwrap().to_owned()
    };
    post(&hub).await;
    phone.next_push("the one that the budget grants").await;
    phone.pull().await;
    let owed = post(&hub).await;
    hub.settled().await;
    let ladder = format!("/v1/users/ada/notifications/{owed}/deliveries");
    let before = hub.app().get(&ladder).await.expect(200);
    assert_eq!(before["value"][0]["reason"], "silentBudget", "{before}");
    a_second_later(&hub);
    assert_eq!(
        test(&hub, &phone.endpoint).await.expect(200)["result"],
        "accepted"
    );
    let push = phone.next_push("the test").await;
    assert_eq!(beckon_of(&push.push)["k"], "test");
    hub.settled().await;
    let after = hub.app().get(&ladder).await.expect(200);
    assert_eq!(after["value"][0]["status"], "pending", "{after}");
    assert_eq!(after["value"][0]["reason"], "silentBudget", "{after}");
    hub.advance(Duration::from_secs(3600));
    let push = phone.next_push("what was owed all along").await;
    assert_eq!(beckon_of(&push.push)["k"], "created");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_test_waits_for_its_second() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Fcm).await;
    test(&hub, &phone.endpoint).await.expect(200);
    phone.next_push("the first").await;
    let (app, endpoint) = (hub.app(), phone.endpoint.clone());
    let mut second = tokio::spawn(async move { app.post(&path(&endpoint), json!({})).await });
    let early = tokio::time::timeout(Duration::from_millis(300), &mut second).await;
    assert!(early.is_err(), "it did not wait: {early:?}");
    assert_eq!(phone.unseen(), 0);
    a_second_later(&hub);
    assert_eq!(second.await.unwrap().expect(200)["result"], "accepted");
    phone.next_push("the second").await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_channel_is_told_and_dropped() {
    let hub = TestHub::at_a_standstill().await;
    let phone = hub.device("ada", Service::Apns).await;
    hub.doubles()
        .script(FaultSpec::always(Service::Apns, FaultKind::Gone));
    let tested = test(&hub, &phone.endpoint).await.expect(200);
    assert_eq!(tested["result"], "gone", "{tested}");
    assert_eq!(tested["pushService"]["status"], 410, "{tested}");
    assert_eq!(tested["pushService"]["reason"], "Unregistered", "{tested}");
    let listed = hub.app().get("/v1/users/ada/endpoints").await.expect(200);
    assert_eq!(listed["value"][0]["channel"]["type"], "none", "{listed}");
    assert!(
        listed["value"][0]["channelGoneDateTime"].is_string(),
        "{listed}"
    );
    assert_eq!(test(&hub, &phone.endpoint).await.refused(409), "conflict");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_fails_is_told_and_its_wait_is_kept() {
    let hub = TestHub::at_a_standstill().await;
    let windows = hub.device("ada", Service::Wns).await;
    hub.doubles().script(FaultSpec::always(
        Service::Wns,
        FaultKind::CredentialRefused,
    ));
    let refused = test(&hub, &windows.endpoint).await.expect(200);
    assert_eq!(refused["result"], "failed", "{refused}");
    assert_eq!(refused["pushService"]["status"], 401, "{refused}");
    let mut throttled = FaultSpec::always(Service::WebPush, FaultKind::Throttled);
    throttled.retry_after_seconds = Some(90);
    hub.doubles().script(throttled);
    let browser = hub.device("ada", Service::WebPush).await;
    let failed = test(&hub, &browser.endpoint).await.expect(200);
    assert_eq!(failed["result"], "failed", "{failed}");
    assert_eq!(failed["pushService"]["status"], 429, "{failed}");
    a_second_later(&hub);
    let arrived = hub.doubles().counters(Service::WebPush);
    let waits = test(&hub, &browser.endpoint).await.expect(200);
    assert_eq!(waits["result"], "failed", "{waits}");
    assert!(
        waits["explanation"].as_str().unwrap().contains("until"),
        "{waits}"
    );
    assert_eq!(
        hub.doubles().counters(Service::WebPush),
        arrived,
        "it was asked again"
    );
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_hub_waits_for_by_itself_a_test_does_not() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Fcm).await;
    hub.doubles()
        .script(FaultSpec::once(Service::Fcm, FaultKind::ServerError));
    hub.post("ada", "Lunch?").await;
    crate::support::eventually("it failed", || async {
        (hub.doubles().counters(Service::Fcm).faulted == 1).then_some(())
    })
    .await;
    hub.settled().await;
    a_second_later(&hub);
    let tested = test(&hub, &phone.endpoint).await.expect(200);
    assert_eq!(tested["result"], "accepted", "{tested}");
    let handed = phone.next_push("the test").await;
    assert_eq!(beckon_of(&handed.push)["k"], "test");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_tested_is_refused() {
    let hub = TestHub::at_a_standstill().await;
    hub.registered("ada", "dashboard").await;
    let unknown = test(&hub, "nothing").await;
    assert_eq!(unknown.refused(404), "itemNotFound", "{unknown:?}");
    assert_eq!(test(&hub, "dashboard").await.refused(409), "conflict");
    let phone = hub.device("ada", Service::Fcm).await;
    hub.doubles()
        .script(FaultSpec::always(Service::Fcm, FaultKind::Silence));
    let (app, endpoint) = (hub.app(), phone.endpoint.clone());
    let first = tokio::spawn(async move { app.post(&path(&endpoint), json!({})).await });
    let asked = || hub.doubles().counters(Service::Fcm).faulted;
    crate::support::eventually("the first is under way", || async {
        (asked() > 0).then_some(())
    })
    .await;
    let second = test(&hub, &phone.endpoint).await;
    assert_eq!(second.refused(409), "conflict", "{second:?}");
    hub.doubles().clear_faults();
    assert_eq!(first.await.unwrap().expect(200)["result"], "accepted");
    hub.advance(Duration::from_secs(91 * 24 * 3600));
    let expired = test(&hub, &phone.endpoint).await;
    assert_eq!(expired.refused(404), "itemNotFound", "{expired:?}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_tests_with_the_hub_running_and_stopped() {
    let mut hub = ChildHub::start().await;
    let (device, _) = hub.phone(Service::Apns).await;
    tells(&hub, "accepted", 0);
    hub.terminate();
    assert!(hub.ended().await.success());
    // Owed to the device, and not the test's affair.
    let sent = hub.command(&["send", APP, "ada", "--title", "Later"]);
    assert!(sent.status.success(), "{sent:?}");
    tells(&hub, "accepted", 0);
    let handed = hub.doubles().handed_over(0, &device.id);
    let kinds: Vec<Value> = handed
        .iter()
        .map(|it| beckon_of(&it.push)["k"].clone())
        .collect();
    assert_eq!(kinds, ["test", "test"]);
    hub.doubles()
        .script(FaultSpec::always(Service::Apns, FaultKind::Gone));
    tells(&hub, "gone", 1);
    let none = hub.command(&["endpoint", "test", APP, "ada", "tablet"]);
    assert_eq!(none.status.code(), Some(1), "{none:?}");
    hub.verify();
}

#[track_caller]
fn tells(hub: &ChildHub, result: &str, code: i32) {
    let told = hub.command(&["endpoint", "test", APP, "ada", "phone", "--json"]);
    assert_eq!(told.status.code(), Some(code), "{told:?}");
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(told["result"], result, "{told}");
}
