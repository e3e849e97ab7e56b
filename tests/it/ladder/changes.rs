//! What is told of the tap by which a device learns of a change of what it has.

use std::time::Duration;

use beckon::{
    clock::Clock,
    doubles::{At, FaultKind, FaultSpec, NewDevice, Service},
};
use serde_json::json;

use super::{post, says};
use crate::support::{TestDevice, TestHub, device::beckon_of, eventually, hub::APP};

const FETCHED: &str = "tapped at T, APNs answered 200; the device fetched it at T";

/// Posts something to be seen, which the phone fetches; a minute later it is dismissed on another device.
async fn dismissed_elsewhere(hub: &TestHub, phone: &mut TestDevice, other: &TestDevice) -> String {
    let id = post(hub, json!({"payload": {"visualContent": {"title": "t"}}})).await;
    phone.next_push("the tap").await;
    phone.pull().await;
    says(hub, &id, &phone.endpoint, FETCHED).await;
    hub.settled().await;
    hub.advance(Duration::from_mins(1));
    other
        .set(&id, json!({"userActionState": "dismissed"}))
        .await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_told_until_the_device_knows_of_it() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Apns).await;
    let browser = hub.device("ada", Service::WebPush).await;
    let tablet = hub.device("ada", Service::Fcm).await;
    let channel = serde_json::to_value(&browser.device.channel).unwrap();
    browser
        .client
        .put(
            &format!("/v1/me/endpoints/{}", browser.endpoint),
            json!({"channel": channel, "stateSync": false}),
        )
        .await
        .expect(200);
    hub.advance(Duration::from_secs(1));
    let id = dismissed_elsewhere(&hub, &mut phone, &tablet).await;
    let told = format!(
        "{FETCHED}; it was dismissed by T; tapped for that at T, APNs answered 200; not fetched since; next attempt at T"
    );
    let it = says(&hub, &id, &phone.endpoint, &told).await;
    assert_eq!(it["change"]["status"], "tapped", "{it}");
    assert!(it["change"]["tappedDateTime"].is_string(), "{it}");
    assert_eq!(it["status"], "fetched", "{it}");
    let asked_for_none = "tapped at T, the browser's push service answered 201; not fetched yet; the device has never fetched anything; it was dismissed by T; no tap for that: the endpoint did not register with stateSync";
    let it = says(&hub, &id, &browser.endpoint, asked_for_none).await;
    let told = (&it["change"]["status"], &it["change"]["reason"]);
    assert_eq!(told, (&json!("skipped"), &json!("noStateSync")));
    let own = "tapped at T, FCM answered 200; the person acted on it there at T";
    let it = says(&hub, &id, &tablet.endpoint, own).await;
    assert!(it["change"].is_null(), "{it}");
    phone.next_push("the tap for the change").await;
    phone.pull().await;
    let it = says(&hub, &id, &phone.endpoint, FETCHED).await;
    assert!(it["change"].is_null(), "{it}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_for_a_change_that_is_not_taken_says_why() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Apns).await;
    let tablet = hub.device("ada", Service::Fcm).await;
    hub.advance(Duration::from_secs(1));
    let id = post(&hub, json!({"payload": {"visualContent": {"title": "t"}}})).await;
    phone.next_push("the tap").await;
    phone.pull().await;
    says(&hub, &id, &phone.endpoint, FETCHED).await;
    hub.settled().await;
    hub.doubles()
        .script(FaultSpec::always(Service::Apns, FaultKind::ServerError));
    hub.advance(Duration::from_mins(1));
    tablet.set(&id, json!({"readState": "read"})).await;
    let tried = format!(
        "{FETCHED}; it was read by T; the tap for that was tried once: the push service could not take it (APNs answered 500 InternalServerError); next attempt at T"
    );
    let it = says(&hub, &id, &phone.endpoint, &tried).await;
    let told = (&it["change"]["status"], &it["change"]["reason"]);
    assert_eq!(told, (&json!("pending"), &json!("retry")));
    hub.doubles().clear_faults();
    let kind = FaultKind::named(Service::Apns, At::Push, "badCollapseId").unwrap();
    hub.doubles().script(FaultSpec::always(Service::Apns, kind));
    hub.advance(Duration::from_mins(1));
    let refused = format!(
        "{FETCHED}; it was read by T; the push service refused the tap for that for good at T (APNs answered 400 BadCollapseId)"
    );
    let it = says(&hub, &id, &phone.endpoint, &refused).await;
    assert_eq!(it["change"]["status"], "failed", "{it}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_for_a_change_that_the_budget_holds_says_so() {
    let hub = TestHub::with(Clock::manual(Clock::system().now()), |config| {
        config.delivery.silent_per_hour = 1;
    })
    .await;
    let mut phone = hub.device("ada", Service::Apns).await;
    let tablet = hub.device("ada", Service::Fcm).await;
    hub.advance(Duration::from_secs(1));
    dismissed_elsewhere(&hub, &mut phone, &tablet).await;
    phone.next_push("the tap for the change").await;
    // Written down before the clock moves.
    hub.settled().await;
    phone.pull().await;
    hub.advance(Duration::from_secs(1));
    let id = dismissed_elsewhere(&hub, &mut phone, &tablet).await;
    let waits = format!(
        "{FETCHED}; it was dismissed by T; the tap for that waits: held by the budget, the platform allows no more silent pushes for now; next attempt at T"
    );
    says(&hub, &id, &phone.endpoint, &waits).await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_the_channel_since_is_told_beside_what_was_tapped() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Apns).await;
    let tablet = hub.device("ada", Service::Fcm).await;
    hub.advance(Duration::from_secs(1));
    let id = dismissed_elsewhere(&hub, &mut phone, &tablet).await;
    let told = format!(
        "{FETCHED}; it was dismissed by T; tapped for that at T, APNs answered 200; not fetched since"
    );
    says(
        &hub,
        &id,
        &phone.endpoint,
        &format!("{told}; next attempt at T"),
    )
    .await;
    let path = format!("/v1/me/endpoints/{}", phone.endpoint);
    let same = serde_json::to_value(&phone.device.channel).unwrap();
    // A refresh changes nothing about it.
    phone
        .client
        .put(&path, json!({"channel": same}))
        .await
        .expect(200);
    says(
        &hub,
        &id,
        &phone.endpoint,
        &format!("{told}; next attempt at T"),
    )
    .await;
    hub.advance(Duration::from_secs(2));
    let none = json!({"channel": {"type": "none"}, "platform": "iOS"});
    phone.client.put(&path, none).await.expect(200);
    let none = format!(
        "{FETCHED}; it was dismissed by T; no tap for that: the endpoint has no push channel, it streams or pulls"
    );
    says(&hub, &id, &phone.endpoint, &none).await;
    let anew = hub
        .doubles()
        .add_device(NewDevice::of(Service::Apns))
        .unwrap();
    hub.doubles().script(FaultSpec {
        device: Some(anew.id.clone()),
        ..FaultSpec::always(Service::Apns, FaultKind::ServerError)
    });
    let channel = serde_json::to_value(&anew.channel).unwrap();
    phone
        .client
        .put(&path, json!({"channel": channel}))
        .await
        .expect(200);
    hub.advance(Duration::from_secs(5));
    let tried = format!(
        "{FETCHED}; it was dismissed by T; the tap for that was tried once: the push service could not take it (APNs answered 500 InternalServerError); next attempt at T"
    );
    says(&hub, &id, &phone.endpoint, &tried).await;
    hub.finish().await;
}

/// What it was shown by the old channel is on its screen.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_a_new_channel_is_told_of_what_it_was_tapped_for_by_the_old_one() {
    for service in Service::ALL {
        let hub = TestHub::at_a_standstill().await;
        let mut device = hub.device("ada", service).await;
        let tablet = hub.device("ada", Service::Fcm).await;
        hub.advance(Duration::from_secs(1));
        let id = post(&hub, json!({"payload": {"visualContent": {"title": "t"}}})).await;
        device.next_push("the tap").await;
        hub.settled().await;
        hub.advance(Duration::from_mins(1));
        tablet
            .set(&id, json!({"userActionState": "dismissed"}))
            .await;
        hub.settled().await;
        let wanted = match service {
            Service::WebPush => {
                let key = hub.client().get(&format!("/v1/apps/{APP}/webpush")).await;
                NewDevice::browser(key.expect(200)["publicKey"].as_str().unwrap())
            }
            other => NewDevice::of(other),
        };
        let anew = hub.doubles().add_device(wanted).unwrap();
        let path = format!("/v1/me/endpoints/{}", device.endpoint);
        let channel = serde_json::to_value(&anew.channel).unwrap();
        let body = json!({"channel": channel, "stateSync": true});
        device.client.put(&path, body).await.expect(200);
        hub.advance(Duration::from_secs(5));
        let handed = eventually(
            &format!("{service:?} is told by the new channel"),
            || async { hub.doubles().handed_over(0, &anew.id).first().cloned() },
        )
        .await;
        assert_eq!(beckon_of(&handed.push)["k"], "changed", "{service:?}");
        hub.finish().await;
    }
}

/// What takes its place is for others alone, and what was there has to go.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_replaced_by_something_for_others_is_taken_back_and_that_is_told() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Apns).await;
    hub.advance(Duration::from_secs(1));
    let first = json!({"appNotificationId": "a", "payload": {"visualContent": {"title": "v1"}}});
    let id = post(&hub, first).await;
    phone.next_push("the tap").await;
    phone.pull().await;
    says(&hub, &id, &phone.endpoint, FETCHED).await;
    hub.settled().await;
    hub.advance(Duration::from_mins(1));
    let second = json!({"appNotificationId": "a", "targetPolicy": {"platformTypes": ["android"]}, "payload": {"visualContent": {"title": "v2"}}});
    hub.app().post(super::POST, second).await.expect(200);
    let told = "no tap: not targeted, targetPolicy does not name iOS; it was replaced at T; tapped for that at T, APNs answered 200; not fetched since; next attempt at T";
    let it = says(&hub, &id, &phone.endpoint, told).await;
    assert_eq!(it["change"]["status"], "tapped", "{it}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_for_a_change_that_was_dropped_comes_again() {
    let hub = TestHub::at_a_standstill().await;
    let mut computer = hub.device("ada", Service::Wns).await;
    let tablet = hub.device("ada", Service::Fcm).await;
    hub.advance(Duration::from_secs(1));
    let only = json!({"targetPolicy": {"platformTypes": ["android"]}, "payload": {"visualContent": {"title": "t"}}});
    let elsewhere = post(&hub, only).await;
    let id = post(&hub, json!({"payload": {"visualContent": {"title": "t"}}})).await;
    computer.next_push("the tap").await;
    computer.pull().await;
    let fetched = "tapped at T, WNS answered 200 received; the device fetched it at T";
    says(&hub, &id, &computer.endpoint, fetched).await;
    hub.settled().await;
    let dropped = FaultKind::named(Service::Wns, At::Push, "dropped").unwrap();
    hub.doubles()
        .script(FaultSpec::always(Service::Wns, dropped));
    hub.advance(Duration::from_mins(1));
    tablet
        .set(&id, json!({"userActionState": "dismissed"}))
        .await;
    let again = format!(
        "{fetched}; it was dismissed by T; the tap for that was tried once: the push service took it and dropped it (WNS answered 200 dropped: The client refuses notifications); next attempt at T"
    );
    let it = says(&hub, &id, &computer.endpoint, &again).await;
    assert_eq!(it["change"]["status"], "pending", "{it}");
    // One that was dropped and dealt with since is not waited for.
    let dropped = post(&hub, json!({"payload": {"visualContent": {"title": "t"}}})).await;
    eventually("it is dropped", || async {
        hub.advance(Duration::from_secs(1));
        let it = super::line(&hub, &dropped, &computer.endpoint).await;
        (it["pushService"]["reason"] == "dropped: The client refuses notifications").then_some(())
    })
    .await;
    tablet
        .set(&dropped, json!({"userActionState": "dismissed"}))
        .await;
    let it = super::line(&hub, &dropped, &computer.endpoint).await;
    let told = (&it["status"], &it["reason"]);
    assert_eq!(told, (&json!("skipped"), &json!("handled")), "{it}");
    hub.doubles().clear_faults();
    // What the device has, though it was not meant for it, is told as well.
    tablet
        .set(&elsewhere, json!({"userActionState": "dismissed"}))
        .await;
    // How long it waits depends on when the last of those that were dropped had left.
    eventually("it is tapped for that", || async {
        hub.advance(Duration::from_secs(10));
        let it = super::line(&hub, &elsewhere, &computer.endpoint).await;
        (it["change"]["status"] == "tapped").then_some(())
    })
    .await;
    let told = "the device fetched it at T; no tap left: not targeted, targetPolicy does not name windows; it was dismissed by T; tapped for that at T, WNS answered 200 received; not fetched since; next attempt at T";
    says(&hub, &elsewhere, &computer.endpoint, told).await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_away_is_called_so_and_what_was_replaced_is_told_as_well() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Apns).await;
    let tablet = hub.device("ada", Service::Fcm).await;
    hub.advance(Duration::from_secs(1));
    let first = json!({"appNotificationId": "a", "payload": {"visualContent": {"title": "v1"}}});
    let id = post(&hub, first).await;
    phone.next_push("the tap").await;
    phone.pull().await;
    says(&hub, &id, &phone.endpoint, FETCHED).await;
    hub.settled().await;
    hub.doubles()
        .script(FaultSpec::always(Service::Apns, FaultKind::ServerError));
    hub.advance(Duration::from_mins(1));
    let second = json!({"appNotificationId": "a", "payload": {"visualContent": {"title": "v2"}}});
    hub.app().post(super::POST, second).await.expect(200);
    tablet
        .set(&id, json!({"userActionState": "dismissed"}))
        .await;
    let waits = "no tap: it was dismissed before the push service took one, which was tried once (APNs answered 500 InternalServerError); it was dismissed by T; the tap for that was tried once: the push service could not take it (APNs answered 500 InternalServerError); next attempt at T";
    let it = says(&hub, &id, &phone.endpoint, waits).await;
    assert_eq!(it["status"], "skipped", "{it}");
    hub.app()
        .delete(&format!("{}/{id}", super::POST))
        .await
        .expect(204);
    let it = super::line(&hub, &id, &phone.endpoint).await;
    let said = it["explanation"].as_str().unwrap();
    assert!(said.contains("; it was taken back at "), "{said}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_dealt_with_before_any_tap_is_not_told_as_tapped_by_a_later_one() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Apns).await;
    let tablet = hub.device("ada", Service::Fcm).await;
    hub.advance(Duration::from_secs(1));
    hub.doubles()
        .script(FaultSpec::always(Service::Apns, FaultKind::ServerError));
    let id = post(&hub, json!({"payload": {"visualContent": {"title": "t"}}})).await;
    hub.settled().await;
    hub.advance(Duration::from_secs(1));
    tablet.set(&id, json!({"readState": "read"})).await;
    hub.settled().await;
    hub.doubles().clear_faults();
    hub.advance(Duration::from_mins(5));
    post(&hub, json!({"payload": {"visualContent": {"title": "u"}}})).await;
    phone.next_push("the tap for the other one").await;
    hub.settled().await;
    let read = "no tap: it was read before the push service took one";
    says(&hub, &id, &phone.endpoint, read).await;
    hub.advance(Duration::from_mins(1));
    tablet
        .set(&id, json!({"userActionState": "dismissed"}))
        .await;
    let dismissed = read.replace("read", "dismissed");
    says(&hub, &id, &phone.endpoint, &dismissed).await;
    hub.finish().await;
}
