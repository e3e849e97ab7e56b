//! What a push service says of one channel: it concerns that one, in the end it counts, and it holds up no other.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use beckon::doubles::{At, FaultKind, FaultSpec, NewDevice, Service};
use serde_json::json;

use crate::support::{TestDevice, TestHub, device::beckon_of, eventually};

fn always(service: Service, name: &str) -> FaultSpec {
    let kind = FaultKind::named(service, At::Push, name).unwrap();
    FaultSpec::always(service, kind)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_single_channels_holds_up_no_other() {
    for (service, name) in [
        (Service::WebPush, "ntfyNoSubscriber"),
        (Service::Fcm, "deviceQuotaExceeded"),
        (Service::Wns, "channelThrottled"),
        (Service::Apns, "throttled"),
    ] {
        let hub = TestHub::at_a_standstill().await;
        for nth in 0..8 {
            let user = format!("grace-{nth}");
            let away = hub.device(&user, service).await;
            let device = Some(away.device.id.clone());
            hub.doubles().script(FaultSpec {
                device,
                ..always(service, name)
            });
            hub.post(&user, "Lunch?").await;
        }
        eventually("all of them were asked for", || async {
            (hub.doubles().counters(service).faulted >= 8).then_some(())
        })
        .await;
        hub.settled().await;
        let mut phone = hub.device("ada", service).await;
        hub.post("ada", "Lunch?").await;
        phone.next_push(name).await;
        hub.finish().await;
    }
}

async fn is_gone(hub: &TestHub) -> bool {
    let found = hub.app().get("/v1/users/ada/endpoints").await.expect(200);
    found["value"][0]["channelGoneDateTime"].is_string()
}

/// How many hours it takes until the only channel is given up: hour by hour, not in one leap, which would be doubted.
async fn hours_until_gone(hub: &TestHub) -> u64 {
    let mut hours = 0;
    while !is_gone(hub).await {
        hours += 1;
        assert!(hours <= 120, "it is never given up");
        hub.advance(Duration::from_hours(1));
        hub.settled().await;
    }
    hours
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_is_called_invalid_for_days_is_dead() {
    let hub = TestHub::at_a_standstill().await;
    let browser = hub.device("ada", Service::WebPush).await;
    hub.doubles()
        .script(always(Service::WebPush, "googleInvalidEndpoint"));
    hub.post("ada", "Lunch?").await;
    let path = "/v1/users/ada/endpoints";
    let found = hub.app().get(path).await.expect(200)["value"][0].clone();
    assert_eq!(found["id"], json!(browser.endpoint));
    let hours = hours_until_gone(&hub).await;
    assert!((72..80).contains(&hours), "after {hours} hours");
    hub.finish().await;
}

/// As a phone that registered its token anew in the very days in which Apple held it for dead.
async fn registered_since_it_died(hub: &TestHub, times: Option<u32>) -> TestDevice {
    let phone = hub.device("ada", Service::Apns).await;
    hub.advance(Duration::from_mins(8));
    let died = hub.clock.now().as_millis() - 24 * 3_600_000;
    hub.doubles().script(FaultSpec {
        timestamp_ms: Some(i64::try_from(died).unwrap()),
        times,
        ..always(Service::Apns, "unregistered")
    });
    hub.post("ada", "Lunch?").await;
    eventually("it is called dead", || async {
        (hub.doubles().counters(Service::Apns).faulted > 0).then_some(())
    })
    .await;
    hub.settled().await;
    phone
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_registered_since_its_channel_died_is_kept_however_long_ago_that_is() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = registered_since_it_died(&hub, Some(1)).await;
    assert!(!is_gone(&hub).await);
    hub.advance(Duration::from_mins(1));
    phone.next_push("the tap").await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_is_called_dead_for_days_is_given_up_though_it_registered_since() {
    let hub = TestHub::at_a_standstill().await;
    let _phone = registered_since_it_died(&hub, None).await;
    let hours = hours_until_gone(&hub).await;
    assert!(hours >= 72, "after {hours} hours");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_wns_dropped_holds_back_nothing_new() {
    let hub = TestHub::at_a_standstill().await;
    let mut machine = hub.device("ada", Service::Wns).await;
    hub.doubles().script(FaultSpec {
        times: Some(1),
        ..always(Service::Wns, "dropped")
    });
    let raw = json!({"payload": {"rawContent": "r"}});
    for nth in 0..2 {
        let path = "/v1/users/ada/notifications";
        hub.app().post(path, raw.clone()).await.expect(201);
        hub.settled().await;
        assert_eq!(machine.unseen(), nth, "the first one was dropped");
        hub.advance(Duration::from_secs(2));
    }
    machine.next_push("the second").await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_are_refused_for_one_device_alone_do_not_stop_the_others() {
    let hub = TestHub::at_a_standstill().await;
    let odd = hub.device("grace", Service::WebPush).await;
    hub.doubles().script(FaultSpec {
        device: Some(odd.device.id.clone()),
        ..FaultSpec::always(Service::WebPush, FaultKind::CredentialRefused)
    });
    hub.post("grace", "Lunch?").await;
    hub.settled().await;
    let mut browser = hub.device("ada", Service::WebPush).await;
    hub.post("ada", "Lunch?").await;
    hub.settled().await;
    // It stands still for a pause, and then asks for another than the one that was refused.
    for _ in 0..61 {
        hub.advance(Duration::from_secs(1));
        hub.settled().await;
    }
    browser.next_push("after the pause").await;
    let before = hub.doubles().counters(Service::WebPush).faulted;
    for _ in 0..3 {
        hub.advance(Duration::from_mins(2));
        hub.settled().await;
    }
    let since = hub.doubles().counters(Service::WebPush).faulted - before;
    assert!(since > 0, "the odd one is tried on");
    browser.pull().await;
    hub.post("ada", "Dinner?").await;
    browser.next_push("at once").await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_whose_answer_breaks_off_after_its_status_is_not_sent_again() {
    for (service, kind) in [
        (Service::Apns, FaultKind::CutMidAnswer),
        (Service::Fcm, FaultKind::CutMidAnswer),
        (Service::Fcm, FaultKind::ResetMidAnswer),
        (Service::WebPush, FaultKind::CutMidAnswer),
        (Service::Wns, FaultKind::CutMidAnswer),
    ] {
        let hub = TestHub::at_a_standstill().await;
        let mut device = hub.device("ada", service).await;
        hub.doubles().script(FaultSpec::once(service, kind));
        let posted = hub.post("ada", "Lunch?").await;
        device.next_push("whose answer breaks off").await;
        let id = posted["id"].as_str().unwrap();
        let path = format!("/v1/users/ada/notifications/{id}/deliveries");
        let line = eventually("what came of it is known", || async {
            let report = hub.app().get(&path).await.expect(200);
            let line = report["value"][0].clone();
            (line["attempts"] == 1).then_some(line)
        })
        .await;
        assert_eq!(line["status"], "tapped", "{service:?} {kind:?} {line}");
        hub.settled().await;
        hub.advance(Duration::from_secs(20));
        hub.settled().await;
        let arrivals = hub.doubles().arrivals(0);
        let pushes = arrivals.iter().filter(|it| it.device.is_some());
        assert_eq!(pushes.count(), 1, "{service:?} {kind:?}");
        hub.finish().await;
    }
}

/// A push that arrived, though the hub never heard so, is taken back like any other.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_arrived_is_taken_back() {
    for (service, kind) in [
        (Service::Apns, FaultKind::Cut),
        (Service::Wns, FaultKind::Cut),
        (Service::Fcm, FaultKind::ConnectionReset),
    ] {
        let hub = TestHub::at_a_standstill().await;
        let mut phone = hub.device("ada", service).await;
        let laptop = hub.registered("ada", "laptop").await;
        hub.doubles().script(FaultSpec {
            delivered: true,
            ..FaultSpec::once(service, kind)
        });
        let posted = hub.post("ada", "Lunch?").await;
        let id = posted["id"].as_str().unwrap();
        phone.next_push("whose answer is lost").await;
        let path = format!("/v1/users/ada/notifications/{id}/deliveries");
        eventually("nobody knows whether it arrived", || async {
            let report = hub.app().get(&path).await.expect(200);
            let all = report["value"].as_array().unwrap();
            let line = all.iter().find(|it| it["endpointId"] == phone.endpoint);
            let said = line?["explanation"].as_str().unwrap().to_owned();
            said.contains("nobody knows whether it arrived")
                .then_some(())
        })
        .await;
        let dismissed = json!({"userActionState": "dismissed"});
        let path = format!("/v1/me/notifications/{id}");
        laptop.patch(&path, dismissed).await.expect(200);
        hub.settled().await;
        hub.advance(Duration::from_mins(1));
        let told = phone.next_push("that it was dismissed").await;
        assert_eq!(
            beckon_of(&told.push)["k"],
            "changed",
            "{service:?} {kind:?}"
        );
        hub.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_made_with_anothers_key_hold_up_nobody_who_was_tapped_before() {
    let mut hub = TestHub::at_a_standstill().await;
    let mut browser = hub.device("ada", Service::WebPush).await;
    hub.post("ada", "Lunch?").await;
    browser.next_push("the first tap").await;
    browser.pull().await;
    hub.settled().await;
    // What a process has seen a service take it does not know after a start.
    hub.advance(Duration::from_secs(1));
    hub.restart().await;
    let key = rcgen::KeyPair::generate().unwrap();
    let foreign = NewDevice::browser(URL_SAFE_NO_PAD.encode(key.public_key_raw()));
    for nth in 0..6 {
        let wanted = foreign.clone();
        TestDevice::register_as(&hub, &format!("mallory-{nth}"), wanted).await;
        hub.post(&format!("mallory-{nth}"), "Lunch?").await;
    }
    eventually("the key is found to be another's", || async {
        (hub.doubles().counters(Service::WebPush).refused >= 1).then_some(())
    })
    .await;
    hub.settled().await;
    hub.post("ada", "Dinner?").await;
    browser.next_push("the second tap, without a wait").await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_is_demanded_for_a_channel_holds_for_all_who_share_it() {
    let hub = TestHub::at_a_standstill().await;
    let device = hub
        .doubles()
        .add_device(NewDevice::of(Service::Fcm))
        .unwrap();
    let channel = serde_json::to_value(&device.channel).unwrap();
    for user in ["ada", "bob"] {
        let client = hub.person(user, Some("phone")).await;
        let body = json!({"channel": channel, "shared": true});
        client.put("/v1/me/endpoints/phone", body).await.expect(201);
    }
    hub.doubles().script(FaultSpec {
        times: Some(1),
        retry_after_seconds: Some(600),
        ..always(Service::Fcm, "deviceQuotaExceeded")
    });
    hub.post("ada", "Lunch?").await;
    eventually("it is told to wait", || async {
        (hub.doubles().counters(Service::Fcm).faulted == 1).then_some(())
    })
    .await;
    hub.settled().await;
    hub.post("bob", "Dinner?").await;
    hub.settled().await;
    let handed = || hub.doubles().handed_over(0, &device.id).len();
    assert_eq!(handed(), 0, "bob's tap went to the same phone");
    hub.advance(Duration::from_secs(601));
    eventually("both are tapped", || async {
        (handed() == 2).then_some(())
    })
    .await;
    hub.finish().await;
}
