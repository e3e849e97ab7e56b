//! High-priority raw notifications that were not fetched in time are shown.

use std::time::Duration;

use beckon::{
    clock::Clock,
    doubles::{FaultKind, FaultSpec, HandedOver, Push, Service},
    model::{AppHost, EndpointId, Subject, UserId},
};
use serde_json::json;

use crate::support::{
    ChildHub, TestDevice, TestHub, device::beckon_of, eventually, hub::APP, wait::DEADLINE,
};

fn body() -> serde_json::Value {
    json!({
        "priority": "High", "payload": {"rawContent": "secret"},
        "targetPolicy": {"platformTypes": ["iOS"]},
        "fallbackPolicy": {"endpointFallback": {
            "platformTypes": ["iOS"], "fallbackDelayInSeconds": 60, "visualContent": {"title": "Look"}
        }}
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_phone_did_not_fetch_in_time_is_shown_once() {
    let mut hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Apns).await;
    let posted = hub
        .app()
        .post("/v1/users/ada/notifications", body())
        .await
        .expect(201);
    let raw = phone.next_push("the raw tap").await;
    assert_eq!(beckon_of(&raw.push)["k"], "created");
    let settled = || async {
        let path = format!(
            "/v1/users/ada/notifications/{}/deliveries",
            posted["id"].as_str().unwrap()
        );
        let report = hub.app().get(&path).await.expect(200);
        (report["value"][0]["status"] == "tapped").then_some(())
    };
    eventually("the raw tap is on disk", settled).await;
    hub.advance(Duration::from_secs(59));
    hub.restart().await;
    assert_eq!(phone.unseen(), 0, "not a second early");
    hub.advance(Duration::from_secs(1));
    let shown = phone.next_push("the fallback").await;
    assert_eq!(beckon_of(&shown.push)["k"], "fallback");
    assert_eq!(beckon_of(&shown.push)["n"], posted["id"]);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_fetched_in_time_is_not_shown() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Apns).await;
    hub.app()
        .post("/v1/users/ada/notifications", body())
        .await
        .expect(201);
    phone.next_push("the raw tap").await;
    phone.pull().await;
    let subject = beckon::model::Subject {
        app: beckon::model::AppHost::parse("todo.example").unwrap(),
        user: beckon::model::UserId::parse("ada").unwrap(),
    };
    let endpoint = beckon::model::EndpointId::parse(&phone.endpoint).unwrap();
    let reader = hub.running().hub.store().reader().clone();
    eventually("the fetch is on disk", || async {
        (reader.fetch_mark(&subject, &endpoint).unwrap().position.0 == 1).then_some(())
    })
    .await;
    hub.advance(Duration::from_secs(61));
    eventually("the marker of the fallback is settled", || async {
        (reader.outbox_depth().unwrap().markers == 0).then_some(())
    })
    .await;
    assert_eq!(phone.unseen(), 0);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_fetched_a_moment_before_its_fallback_is_due_is_not_shown() {
    let hub = TestHub::at_a_standstill().await;
    let mut phones = Vec::new();
    for nth in 0..24 {
        let user = format!("user-{nth}");
        phones.push(hub.device(&user, Service::Apns).await);
        let path = format!("/v1/users/{user}/notifications");
        hub.app().post(&path, body()).await.expect(201);
    }
    for phone in &mut phones {
        phone.next_push("the raw tap").await;
    }
    hub.settled().await;
    hub.advance(Duration::from_millis(59_990));
    // Their fetches are written down after they were answered.
    futures_util::future::join_all(phones.iter_mut().map(TestDevice::pull)).await;
    hub.advance(Duration::from_millis(10));
    hub.settled().await;
    let shown: usize = phones.iter().map(TestDevice::unseen).sum();
    assert_eq!(shown, 0, "fallbacks of what was fetched");
    hub.finish().await;
}

/// A device that holds all begins anew, and stops after the first page.
async fn begins_anew(hub: &TestHub, phone: &TestDevice) {
    let page = "/v1/me/notifications/delta?$top=1";
    let ada = Subject {
        app: AppHost::parse(APP).unwrap(),
        user: UserId::parse("ada").unwrap(),
    };
    let id = EndpointId::parse(&phone.endpoint).unwrap();
    let reader = hub.running().hub.store().reader().clone();
    let stands = || reader.fetch_mark(&ada, &id).unwrap().position;
    let before = stands();
    let first = phone.client.get(page).await.expect(200);
    assert!(first.get("@odata.nextLink").is_some(), "{first}");
    // That it is set back is written down after it was answered.
    eventually("the device is set back", || async {
        (stands() < before).then_some(())
    })
    .await;
    hub.advance(Duration::from_secs(6));
    hub.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_fetched_or_fell_back_is_not_shown_as_the_device_begins_anew() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Apns).await;
    hub.post("ada", "older").await;
    phone.next_push("the older one").await;
    phone.pull().await;
    for falls_back in [false, true] {
        let posted = hub
            .app()
            .post("/v1/users/ada/notifications", body())
            .await
            .expect(201);
        phone.next_push("the raw tap").await;
        if falls_back {
            hub.settled().await;
            hub.advance(Duration::from_secs(60));
            let shown = phone.next_push("the fallback").await;
            assert_eq!(beckon_of(&shown.push)["n"], posted["id"]);
        }
        phone.pull().await;
        let id = posted["id"].as_str().unwrap();
        hub.fetch_is_known(id, &phone.endpoint).await;
        // By now a tap that was not answered may be repeated, for which the feed is read again.
        hub.advance(Duration::from_mins(20));
        begins_anew(&hub, &phone).await;
        let is_fallback = |push: &HandedOver| beckon_of(&push.push)["k"] == "fallback";
        let fell_back = phone.all_unseen().iter().any(|it| is_fallback(it));
        assert!(
            !fell_back,
            "for the {} time",
            if falls_back { "second" } else { "first" }
        );
        phone.cursor = None;
        phone.pull().await;
        hub.advance(Duration::from_secs(2));
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_dismissed_is_not_shown_though_that_was_undone() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Apns).await;
    let android = hub.device("ada", Service::Fcm).await;
    let path = "/v1/users/ada/notifications";
    let posted = hub.app().post(path, body()).await.expect(201);
    phone.next_push("the raw tap").await;
    let id = posted["id"].as_str().unwrap();
    for state in ["dismissed", "noInteraction"] {
        let state = json!({"userActionState": state});
        android.set(id, state).await;
    }
    hub.advance(Duration::from_secs(61));
    eventually("nothing is due any more", || async {
        let depth = hub.running().hub.store().reader().outbox_depth().unwrap();
        depth
            .oldest_due
            .is_none_or(|due| due > hub.clock.now())
            .then_some(())
    })
    .await;
    let report = hub
        .app()
        .get(&format!("{path}/{id}/deliveries"))
        .await
        .expect(200);
    assert!(
        report["value"]
            .as_array()
            .unwrap()
            .iter()
            .all(|line| line["fellBackDateTime"].is_null()),
        "{report}"
    );
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_was_registered_within_the_delay_is_shown_what_it_did_not_fetch() {
    let hub = TestHub::at_a_standstill().await;
    let path = "/v1/users/ada/notifications";
    let posted = hub.app().post(path, body()).await.expect(201);
    hub.advance(Duration::from_secs(59));
    let mut phone = hub.device("ada", Service::Apns).await;
    hub.advance(Duration::from_secs(1));
    let is_fallback = |push: &Push| beckon_of(push)["k"] == "fallback";
    let shown = phone.push("the fallback", is_fallback).await;
    assert_eq!(beckon_of(&shown.push)["n"], posted["id"]);
    hub.advance(Duration::from_secs(2));
    let mut late = hub.device("ada", Service::Apns).await;
    hub.advance(Duration::from_secs(10));
    let tap = late.next_push("that something waits").await;
    assert_eq!(beckon_of(&tap.push)["k"], "created");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_while_its_fallback_waited_in_the_lane_is_not_shown() {
    let hub = TestHub::with(Clock::system(), |config| {
        config.delivery.concurrency = 1;
        config.delivery.min_fallback_delay = Duration::from_millis(1);
    })
    .await;
    let mut phone = hub.device("ada", Service::Apns).await;
    let mut body = body();
    body["fallbackPolicy"]["endpointFallback"]["fallbackDelayInSeconds"] = json!(1);
    let posted = hub.app().post("/v1/users/ada/notifications", body).await;
    let (posted, began) = (posted.expect(201), hub.clock.now());
    phone.next_push("the raw tap").await;
    // The lane has one place, and another's push holds it until this one is released.
    hub.device("bob", Service::Apns).await;
    hub.doubles().script(FaultSpec {
        delay_ms: Some(3000),
        ..FaultSpec::once(Service::Apns, FaultKind::Slow)
    });
    let asked = hub.doubles().counters(Service::Apns).requests;
    hub.post("bob", "Lunch?").await;
    eventually("the other's push is under way", || async {
        (hub.doubles().counters(Service::Apns).requests > asked).then_some(())
    })
    .await;
    let due = Duration::from_millis(1500);
    eventually("the fallback is due, and waits", || async {
        (hub.clock.now() > began.plus(due)).then_some(())
    })
    .await;
    let id = posted["id"].as_str().unwrap();
    let path = format!("/v1/me/notifications/{id}");
    phone.client.get(&path).await.expect(200);
    eventually("the lane is free again", || async {
        (hub.doubles().counters(Service::Apns).accepted >= 2).then_some(())
    })
    .await;
    let settled = || async {
        let depth = hub.running().hub.store().reader().outbox_depth().unwrap();
        let path = format!("/v1/users/ada/notifications/{id}/deliveries");
        let it = hub.app().get(&path).await.expect(200)["value"][0].clone();
        let fetched = it["fetchedDateTime"].is_string();
        (fetched && depth.oldest_due.is_none_or(|due| due > hub.clock.now())).then_some(it)
    };
    let it = eventually("nothing is due any more", settled).await;
    assert!(it["fellBackDateTime"].is_null(), "{it}");
    assert_eq!(phone.unseen(), 0);
    hub.finish().await;
}

/// A fallback is on its way when the hub ends: it is sent again, in the place of the first.
async fn comes_in_the_place_of_the_first(killed: bool) {
    let mut hub = ChildHub::start().await;
    let (phone, _) = hub.phone(Service::Fcm).await;
    let raw = json!({
        "priority": "High", "payload": {"rawContent": "secret"},
        "fallbackPolicy": {"endpointFallback": {
            "platformTypes": ["android"], "fallbackDelayInSeconds": 1, "visualContent": {"title": "Look"}
        }}
    });
    let posted = hub.app().post("/v1/users/ada/notifications", raw).await;
    let posted = posted.expect(201);
    let raw_tap = |push: &Push| beckon_of(push)["k"] == "created";
    let taken = hub
        .doubles()
        .await_handed_over(&phone.id, 0, DEADLINE, raw_tap);
    assert!(taken.await.is_some(), "the raw tap never came");
    // The phone is handed it at once, and the answer takes its time.
    hub.doubles().script(FaultSpec {
        delay_ms: Some(15_000),
        ..FaultSpec::once(Service::Fcm, FaultKind::Slow)
    });
    eventually("the fallback is on its way", || async {
        (hub.doubles().counters(Service::Fcm).faulted > 0).then_some(())
    })
    .await;
    let ended = hub.doubles().place();
    if killed {
        hub.kill();
    } else {
        hub.stop().await;
    }
    hub.doubles().clear_faults();
    hub.begin().await;
    let fallback = |push: &Push| beckon_of(push)["k"] == "fallback";
    let again = hub
        .doubles()
        .await_handed_over(&phone.id, ended, DEADLINE, fallback);
    assert!(again.await.is_some(), "killed: {killed}: it never came");
    let arrived = hub.doubles().arrivals(0);
    let bodies = arrived.iter().filter_map(|it| it.body.as_ref());
    let texts: Vec<String> = bodies.map(|body| format!("{body:?}")).collect();
    let fallbacks: Vec<_> = texts.iter().filter(|it| it.contains("fallback")).collect();
    let id = posted["id"].as_str().unwrap();
    assert_eq!(fallbacks.len(), 2, "{fallbacks:#?}");
    for it in fallbacks {
        let (_, tag) = it.split_once("tag").unwrap();
        assert!(tag.contains(id), "{it}");
    }
    hub.kill();
    hub.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_that_was_on_its_way_when_the_hub_ended_comes_in_the_place_of_the_first() {
    for killed in [true, false] {
        comes_in_the_place_of_the_first(killed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_shown_before_it_was_replaced_is_no_fetch_of_what_came_in_its_place() {
    for told_up_to in [true, false] {
        let hub = TestHub::at_a_standstill().await;
        let mut phone = hub.device("ada", Service::Apns).await;
        let mut named = body();
        named["appNotificationId"] = json!("a");
        let path = "/v1/users/ada/notifications";
        let posted = hub.app().post(path, named.clone()).await.expect(201);
        phone.next_push("the raw tap").await;
        phone.pull().await;
        let held = phone.cursor.clone();
        hub.settled().await;
        hub.advance(Duration::from_secs(2));
        named["payload"]["rawContent"] = json!("another");
        hub.app().post(path, named).await.expect(200);
        phone
            .next_push("the raw tap of what came in its place")
            .await;
        let mut receipt = json!({"shown": [posted["id"]]});
        if told_up_to {
            receipt["upTo"] = json!(held);
        }
        let told = phone
            .client
            .post("/v1/me/notifications/receipts", receipt)
            .await;
        assert_eq!(told.status, 204);
        hub.settled().await;
        hub.advance(Duration::from_secs(61));
        let fallback = phone.next_push("the fallback").await;
        assert_eq!(beckon_of(&fallback.push)["k"], "fallback", "{fallback:?}");
        hub.finish().await;
    }
}
