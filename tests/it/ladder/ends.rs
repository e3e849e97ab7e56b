//! The ladder where no tap was taken, or the fallback was not: what ended it, and how the fallback stands.

use std::time::Duration;

use beckon::{
    clock::Clock,
    doubles::{At, FaultKind, FaultSpec, Service},
    model::{AppHost, Channel, EndpointId, Subject, UserId},
};
use serde_json::{Value, json};

use super::{line, post, says};
use crate::support::{ChildHub, TestDevice, TestHub, device::beckon_of, eventually};

fn visible() -> Value {
    json!({"payload": {"visualContent": {"title": "t"}}})
}

fn falls_back_after(secs: u64) -> Value {
    json!({"priority": "High", "payload": {"rawContent": "secret"}, "fallbackPolicy": {"endpointFallback": {
        "platformTypes": ["android"], "fallbackDelayInSeconds": secs, "visualContent": {"title": "Look"}
    }}})
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_service_took_before_its_time_was_over_is_expired() {
    let hub = TestHub::at_a_standstill().await;
    let phone = hub.device("ada", Service::Fcm).await;
    hub.doubles()
        .script(FaultSpec::always(Service::Fcm, FaultKind::ServerError));
    let mut short = visible();
    let expires = hub.clock.now().plus(Duration::from_secs(600));
    short["expirationDateTime"] = json!(expires.to_string());
    let id = post(&hub, short).await;
    let tried = "waiting since T for a tap that was tried once: the push service could not take it (FCM answered 500 INTERNAL: Internal error encountered.); next attempt at T";
    says(&hub, &id, &phone.endpoint, tried).await;
    // Nothing is deleted while the clock is doubted.
    hub.clock
        .set_wall(hub.clock.now().plus(Duration::from_hours(1)));
    let over = "the push service had not taken a tap that was tried once (FCM answered 500 INTERNAL: Internal error encountered.); its time was over first";
    let it = says(&hub, &id, &phone.endpoint, over).await;
    assert_eq!(it["status"], "expired");
    assert_eq!(it["attempts"], 1);
    assert!(it["reason"].is_null(), "{it}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_has_a_reason_too() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Fcm).await;
    let slow = || FaultSpec {
        delay_ms: Some(600_000),
        ..FaultSpec::once(Service::Fcm, FaultKind::Slow)
    };
    let slowed = || hub.doubles().counters(Service::Fcm).faulted;
    let fault = hub.doubles().script(slow());
    let id = post(&hub, falls_back_after(60)).await;
    eventually("the tap is under way", || async {
        (slowed() == 1).then_some(())
    })
    .await;
    let it = line(&hub, &id, &phone.endpoint).await;
    let told = (&it["status"], &it["reason"]);
    assert_eq!(told, (&json!("pending"), &json!("coalescing")), "{it}");
    let said = it["explanation"].as_str().unwrap();
    assert!(said.ends_with("is about to leave, or under way"), "{said}");
    hub.doubles().clear_fault(fault);
    phone.next_push("the raw tap").await;
    hub.settled().await;
    hub.doubles().script(slow());
    hub.advance(Duration::from_secs(61));
    eventually("the fallback is under way", || async {
        (slowed() == 2).then_some(())
    })
    .await;
    let it = line(&hub, &id, &phone.endpoint).await;
    let told = (&it["status"], &it["fallback"]["reason"]);
    assert_eq!(told, (&json!("tapped"), &json!("coalescing")), "{it}");
    hub.doubles().clear_faults();
    phone
        .push("the fallback", |push| beckon_of(push)["k"] == "fallback")
        .await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_tap_is_told_also_once_the_time_is_over() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Fcm).await;
    hub.advance(Duration::from_secs(1));
    let expires = hub.clock.now().plus(Duration::from_secs(600)).to_string();
    let raw = json!({"expirationDateTime": expires, "payload": {"rawContent": "r"}});
    hub.doubles()
        .script(FaultSpec::once(Service::Fcm, FaultKind::ServerError));
    let id = post(&hub, raw).await;
    eventually("it was tried", || async {
        let it = line(&hub, &id, &phone.endpoint).await;
        (it["attempts"] == 1).then_some(())
    })
    .await;
    hub.advance(Duration::from_secs(60));
    phone.next_push("the tap").await;
    hub.settled().await;
    hub.clock
        .set_wall(hub.clock.now().plus(Duration::from_hours(1)));
    let over = "tapped at T, FCM answered 200; its time was over first";
    says(&hub, &id, &phone.endpoint, over).await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_dealt_with_before_a_tap_was_taken_says_how() {
    let hub = TestHub::at_a_standstill().await;
    let phone = hub.device("ada", Service::Fcm).await;
    let tablet = hub.registered("ada", "tablet").await;
    hub.doubles()
        .script(FaultSpec::always(Service::Fcm, FaultKind::ServerError));
    for (state, how) in [
        (json!({"userActionState": "activated"}), "activated"),
        (json!({"userActionState": "snoozed"}), "snoozed"),
        (json!({"userActionState": "dismissed"}), "dismissed"),
        (json!({"readState": "read"}), "read"),
        (Value::Null, "taken back"),
    ] {
        let id = post(&hub, visible()).await;
        eventually("it was tried", || async {
            let it = line(&hub, &id, &phone.endpoint).await;
            (it["attempts"].as_u64() >= Some(1)).then_some(())
        })
        .await;
        let path = format!("/v1/me/notifications/{id}");
        if state.is_null() {
            tablet.delete(&path).await.expect(204);
        } else {
            tablet.patch(&path, state).await.expect(200);
        }
        let it = line(&hub, &id, &phone.endpoint).await;
        let said = it["explanation"].as_str().unwrap();
        let expected = format!("no tap: it was {how} before the push service took one");
        assert!(said.starts_with(&expected), "{said}");
        assert!(said.contains("FCM answered 500"), "{said}");
        assert_eq!(
            (&it["status"], &it["reason"]),
            (&json!("skipped"), &json!("handled"))
        );
        assert!(it["attempts"].as_u64() >= Some(1), "{it}");
    }
    hub.finish().await;
}

/// A phone whose raw tap was taken, and whose fallback meets with `fault` a minute later.
async fn falls_back_into(fault: FaultKind) -> (TestHub, TestDevice, String) {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Fcm).await;
    let id = post(&hub, falls_back_after(60)).await;
    phone.next_push("the raw tap").await;
    hub.settled().await;
    hub.doubles().script(FaultSpec::always(Service::Fcm, fault));
    hub.advance(Duration::from_secs(61));
    (hub, phone, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_that_waits_says_why() {
    for (fault, waits, reason) in [
        (
            FaultKind::ServerError,
            "the push service could not take it (FCM answered 500",
            "retry",
        ),
        (
            FaultKind::CredentialRefused,
            "pushes to this service stand still until the operator acts, `beckon check` says why (FCM answered 401",
            "serviceStopped",
        ),
    ] {
        let (hub, phone, id) = falls_back_into(fault).await;
        let it = eventually("the fallback was tried", || async {
            let it = line(&hub, &id, &phone.endpoint).await;
            (it["fallback"]["attempts"] == 1).then_some(it)
        })
        .await;
        let said = it["explanation"].as_str().unwrap();
        let expected = format!("; its fallback was tried once: {waits}");
        assert!(said.contains(&expected), "{said}");
        assert!(said.contains("; next attempt at "), "{said}");
        let stands = (&it["status"], &it["reason"]);
        assert_eq!(stands, (&json!("tapped"), &Value::Null));
        let fallback = &it["fallback"];
        let told = (&fallback["status"], &fallback["reason"]);
        assert_eq!(told, (&json!("pending"), &json!(reason)));
        assert!(fallback["pushService"]["status"].is_u64(), "{it}");
        hub.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_that_was_refused_for_good_says_so() {
    let (hub, phone, id) = falls_back_into(FaultKind::Redirect).await;
    let it = eventually("the refusal is told", || async {
        let it = line(&hub, &id, &phone.endpoint).await;
        (it["fallback"]["status"] == "failed").then_some(it)
    })
    .await;
    let said = it["explanation"].as_str().unwrap();
    assert!(
        said.contains("the push service refused its fallback for good at "),
        "{said}"
    );
    assert!(said.contains("FCM answered 301"), "{said}");
    assert!(it["fellBackDateTime"].is_null(), "{it}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_after_a_hundred_other_pushes_is_told() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Fcm).await;
    let id = post(&hub, falls_back_after(600)).await;
    phone.next_push("the raw tap").await;
    hub.settled().await;
    for nth in 0..110 {
        hub.advance(Duration::from_secs(4));
        hub.post("ada", &format!("chat {nth}")).await;
        phone.next_push("another").await;
        hub.settled().await;
    }
    hub.advance(Duration::from_secs(200));
    phone
        .push("the fallback", |push| beckon_of(push)["k"] == "fallback")
        .await;
    eventually("the fallback is told", || async {
        let it = line(&hub, &id, &phone.endpoint).await;
        it["fellBackDateTime"].as_str().map(drop)
    })
    .await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_to_come_after_a_refused_raw_tap_is_announced() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Fcm).await;
    hub.post("ada", "for which a token is fetched").await;
    phone.next_push("the first tap").await;
    phone.pull().await;
    hub.settled().await;
    hub.advance(Duration::from_secs(10));
    hub.doubles()
        .script(FaultSpec::always(Service::Fcm, FaultKind::Redirect));
    let id = post(&hub, falls_back_after(60)).await;
    let due = hub.clock.now().plus(Duration::from_secs(60)).to_string();
    let it = eventually("it has failed", || async {
        let it = line(&hub, &id, &phone.endpoint).await;
        (it["status"] == "failed").then_some(it)
    })
    .await;
    assert_eq!(it["nextAttemptDateTime"], due, "{it}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_does_not_run_says_that_nothing_leaves() {
    let mut hub = ChildHub::start().await;
    hub.phone(Service::Fcm).await;
    hub.doubles()
        .script(FaultSpec::always(Service::Fcm, FaultKind::ServerError));
    let posted = hub.app().post(super::POST, visible()).await.expect(201);
    let id = posted["id"].as_str().unwrap();
    eventually("it was tried", || async {
        (hub.doubles().counters(Service::Fcm).faulted > 0).then_some(())
    })
    .await;
    hub.stop().await;
    eventually("its wait is over", || async {
        let told = hub.json(&["explain", id]);
        let said = told["value"][0]["explanation"].as_str().unwrap();
        assert!(!said.contains("about to leave"), "{said}");
        said.contains("it leaves once the hub runs").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_whose_raw_tap_never_left_is_told_beside_what_was_posted_later() {
    let refused = FaultKind::named(Service::Fcm, At::Push, "invalidField").unwrap();
    for refused in [None, Some(refused)] {
        let hub = TestHub::at_a_standstill().await;
        let mut phone = hub.device("ada", Service::Fcm).await;
        hub.doubles().script(FaultSpec {
            retry_after_seconds: Some(90),
            ..FaultSpec::once(Service::Fcm, FaultKind::Throttled)
        });
        let id = post(&hub, falls_back_after(60)).await;
        eventually("it was tried", || async {
            let it = line(&hub, &id, &phone.endpoint).await;
            (it["attempts"] == 1).then_some(())
        })
        .await;
        hub.advance(Duration::from_secs(70));
        let later = post(&hub, visible()).await;
        hub.settled().await;
        if let Some(kind) = refused {
            hub.doubles().script(FaultSpec::once(Service::Fcm, kind));
        }
        hub.advance(Duration::from_secs(60));
        if refused.is_none() {
            let shown = phone.next_push("the fallback").await;
            assert_eq!(beckon_of(&shown.push)["k"], "fallback");
        }
        let shown = phone.next_push("what came later").await;
        assert_eq!(beckon_of(&shown.push)["n"], json!(later));
        hub.settled().await;
        let it = line(&hub, &id, &phone.endpoint).await;
        match refused {
            None => assert!(it["fellBackDateTime"].is_string(), "{it}"),
            Some(_) => assert_eq!(it["fallback"]["status"], "failed", "{it}"),
        }
        let it = line(&hub, &later, &phone.endpoint).await;
        let told = (&it["fellBackDateTime"], &it["reason"], &it["status"]);
        assert_eq!(told, (&Value::Null, &Value::Null, &json!("tapped")), "{it}");
        hub.finish().await;
    }
}

async fn hub_that_forgets_after_an_hour() -> TestHub {
    let clock = Clock::manual(Clock::system().now());
    TestHub::with(clock, |config| {
        config.delivery.endpoint_expiry = Duration::from_hours(1);
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_it_on_an_endpoint_whose_time_is_over_is_told_on() {
    let hub = hub_that_forgets_after_an_hour().await;
    let mut phone = hub.device("ada", Service::Fcm).await;
    let shown = post(&hub, visible()).await;
    phone.next_push("the tap").await;
    phone.pull().await;
    let seen = json!({"shown": [shown]});
    let receipts = "/v1/me/notifications/receipts";
    phone.client.post(receipts, seen).await.expect(204);
    hub.settled().await;
    hub.advance(Duration::from_hours(1));
    eventually("the sweep has ended the endpoint", || async {
        let listed = hub.app().get("/v1/users/ada/endpoints").await.expect(200);
        let refused = phone.client.get("/v1/me/endpoints").await;
        (listed["value"] == json!([]) && refused.status == 401).then_some(())
    })
    .await;
    assert_eq!(line(&hub, &shown, &phone.endpoint).await["status"], "shown");
    let late = post(&hub, visible()).await;
    let over = "no tap: the endpoint is over, since it was not heard of for too long or asked for that end";
    let it = says(&hub, &late, &phone.endpoint, over).await;
    assert_eq!(
        (&it["status"], &it["reason"]),
        (&json!("skipped"), &json!("endpointExpired"))
    );
    let id = EndpointId::parse(&phone.endpoint).unwrap();
    let subject = Subject {
        app: AppHost::parse("todo.example").unwrap(),
        user: UserId::parse("ada").unwrap(),
    };
    let stored = || {
        hub.running()
            .hub
            .store()
            .reader()
            .registered_endpoint(&subject, &id)
    };
    assert!(
        stored()
            .unwrap()
            .is_some_and(|it| it.channel == Channel::None),
        "no secret stays"
    );
    hub.advance(Duration::from_hours(30 * 24));
    eventually("its last trace is gone", || async {
        stored().unwrap().is_none().then_some(())
    })
    .await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_comes_back_as_another_one_with_the_token_that_it_has() {
    let hub = hub_that_forgets_after_an_hour().await;
    let first = hub.device("ada", Service::Fcm).await;
    let id = post(&hub, visible()).await;
    hub.settled().await;
    hub.advance(Duration::from_hours(1));
    eventually("the sweep has ended the endpoint", || async {
        (first.client.get("/v1/me/endpoints").await.status == 401).then_some(())
    })
    .await;
    let it = line(&hub, &id, &first.endpoint).await;
    assert_eq!(it["status"], "tapped", "{it}");
    let again = hub.person("ada", Some(&first.endpoint)).await;
    let none = json!({"platform": "android", "channel": {"type": "none"}});
    let path = format!("/v1/me/endpoints/{}", first.endpoint);
    let registered = again.put(&path, none).await.expect(201);
    let unsid = "userNotificationSubscriptionId";
    assert_ne!(registered[unsid], first.registered[unsid]);
    again.get("/v1/me/notifications/delta").await.expect(200);
    let listed = hub.app().get("/v1/users/ada/endpoints").await.expect(200);
    assert_eq!(listed["value"].as_array().unwrap().len(), 1);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_dealt_with_before_a_device_came_says_so() {
    let hub = TestHub::at_a_standstill().await;
    let phone = hub.registered("ada", "phone").await;
    let id = post(&hub, visible()).await;
    let done = json!({"userActionState": "activated"});
    phone
        .patch(&format!("/v1/me/notifications/{id}"), done)
        .await
        .expect(200);
    hub.advance(Duration::from_secs(1));
    let late = hub.device("ada", Service::Fcm).await;
    let it = "no tap: it was activated before the endpoint was registered";
    says(&hub, &id, &late.endpoint, it).await;
    hub.finish().await;
}
