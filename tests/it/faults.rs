//! Push services that fail, each in its own way: the six faults at each of the four.

mod channel;

use std::sync::Arc;

use beckon::{
    config::apps::Privacy,
    doubles::{At, FaultKind, FaultSpec, Service},
};
use serde_json::{Value, json};

use crate::support::{TestDevice, TestHub, device::beckon_of, eventually};

async fn delivery(hub: &TestHub, posted: &Value) -> Value {
    let id = posted["id"].as_str().unwrap();
    let report = hub
        .app()
        .get(&format!("/v1/users/ada/notifications/{id}/deliveries"))
        .await
        .expect(200);
    report["value"][0].clone()
}

/// A fault that passes: the tap comes after it, once.
async fn recovers(service: Service, fault: FaultSpec) {
    let hub = TestHub::with(beckon::clock::Clock::system(), |config| {
        config.delivery.retry_base = std::time::Duration::from_millis(20);
    })
    .await;
    let mut device = hub.device("ada", service).await;
    let kind = fault.kind;
    hub.doubles().script(fault);
    let posted = hub.post("ada", "Lunch?").await;
    let handed = device.next_push(&format!("the tap after {kind:?}")).await;
    assert_eq!(
        beckon_of(&handed.push)["n"],
        posted["id"],
        "{service:?} {kind:?}"
    );
    device.pull().await;
    eventually("the fetch is told", || async {
        let it = delivery(&hub, &posted).await;
        (it["status"] == "fetched" && it["attempts"].as_u64().unwrap() >= 1).then_some(())
    })
    .await;
    assert_eq!(device.unseen(), 0, "{service:?} {kind:?}: once");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_error_is_tried_again() {
    for service in Service::ALL {
        recovers(service, FaultSpec::once(service, FaultKind::ServerError)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_is_made_again() {
    for service in Service::ALL {
        recovers(service, FaultSpec::once(service, FaultKind::Cut)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_the_service_demands_is_kept() {
    for service in Service::ALL {
        let hub = TestHub::start().await;
        hub.device("ada", service).await;
        let mut fault = FaultSpec::always(service, FaultKind::Throttled);
        fault.retry_after_seconds = Some(3600);
        hub.doubles().script(fault);
        let posted = hub.post("ada", "Lunch?").await;
        let waiting = eventually("the service's wait is told", || async {
            let it = delivery(&hub, &posted).await;
            (it["reason"] == "retry").then_some(it)
        })
        .await;
        assert_eq!(waiting["status"], "pending", "{waiting}");
        let next: beckon::model::Timestamp = waiting["nextAttemptDateTime"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let wait = next.since(hub.clock.now()).as_secs();
        assert!((3500..=3700).contains(&wait), "{service:?}: {wait}");
        assert!(
            [406, 429].contains(&waiting["pushService"]["status"].as_u64().unwrap()),
            "{waiting}"
        );
        hub.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_channel_is_dropped_and_lives_again_when_it_is_registered() {
    for service in Service::ALL {
        let hub = TestHub::start().await;
        let device = hub.device("ada", service).await;
        hub.doubles()
            .script(FaultSpec::once(service, FaultKind::Gone));
        let posted = hub.post("ada", "Lunch?").await;
        eventually("the channel is known to be dead", || async {
            (delivery(&hub, &posted).await["status"] == "gone").then_some(())
        })
        .await;
        let endpoint = endpoint_of(&hub).await;
        assert_eq!(endpoint["channel"]["type"], "none", "{endpoint}");
        assert!(endpoint["channelGoneDateTime"].is_string(), "{endpoint}");
        revives(&hub, device).await;
        hub.finish().await;
    }
}

async fn endpoint_of(hub: &TestHub) -> Value {
    hub.app().get("/v1/users/ada/endpoints").await.expect(200)["value"][0].clone()
}

async fn revives(hub: &TestHub, mut device: TestDevice) {
    let body = json!({"channel": device.device.channel});
    let path = format!("/v1/me/endpoints/{}", device.endpoint);
    device.client.put(&path, body).await.expect(200);
    let endpoint = endpoint_of(hub).await;
    assert_ne!(endpoint["channel"]["type"], "none", "{endpoint}");
    assert!(
        endpoint
            .get("channelGoneDateTime")
            .is_none_or(Value::is_null),
        "{endpoint}"
    );
    device.next_push("what was owed to the dead channel").await;
}

async fn revive(
    hub: &TestHub,
    since: Option<beckon::model::Timestamp>,
) -> Result<Value, beckon::hub::admin::AdminError> {
    let request = beckon::hub::admin::Request::EndpointRevive {
        app: crate::support::hub::APP.into(),
        since: since.map(|since| since.to_string()),
        after: None,
    };
    hub.running().hub.admin(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_channels_come_back_when_the_operator_says_so() {
    for service in Service::ALL {
        let hub = TestHub::at_a_standstill().await;
        let mut device = hub.device("ada", service).await;
        hub.doubles()
            .script(FaultSpec::once(service, FaultKind::Gone));
        let posted = hub.post("ada", "Lunch?").await;
        eventually("the channel is known to be dead", || async {
            (delivery(&hub, &posted).await["status"] == "gone").then_some(())
        })
        .await;
        let dropped = hub.clock.now();
        hub.advance(std::time::Duration::from_secs(60));
        let later = hub.post("ada", "Dinner?").await;
        let it = delivery(&hub, &later).await;
        assert_eq!(
            (&it["status"], &it["reason"]),
            (&json!("gone"), &json!("channelGone")),
            "{it}"
        );

        let second = std::time::Duration::from_secs(1);
        let refused = revive(&hub, Some(hub.clock.now().plus(second)))
            .await
            .unwrap_err();
        assert!(
            refused.message.starts_with("--since lies in the future"),
            "{refused}"
        );
        assert_eq!(
            revive(&hub, Some(dropped.plus(second))).await.unwrap()["revived"],
            0
        );
        assert_eq!(
            revive(&hub, Some(dropped)).await.unwrap()["revived"],
            1,
            "{service:?}"
        );
        assert_eq!(
            revive(&hub, None).await.unwrap()["revived"],
            0,
            "there is nothing left to revive"
        );

        let endpoint = endpoint_of(&hub).await;
        assert_ne!(endpoint["channel"]["type"], "none", "{endpoint}");
        device
            .next_push("what was owed to the dropped channel")
            .await;
        eventually("both are told as tapped", || async {
            hub.advance(second);
            let (first, second) = (delivery(&hub, &posted).await, delivery(&hub, &later).await);
            (first["status"] == "tapped" && second["status"] == "tapped").then_some(())
        })
        .await;
        hub.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_channel_that_another_took_over_is_not_revived() {
    let hub = TestHub::start().await;
    let device = hub.device("ada", Service::Fcm).await;
    hub.doubles()
        .script(FaultSpec::once(Service::Fcm, FaultKind::Gone));
    let posted = hub.post("ada", "Lunch?").await;
    eventually("the channel is known to be dead", || async {
        (delivery(&hub, &posted).await["status"] == "gone").then_some(())
    })
    .await;
    let grace = hub
        .app()
        .post("/v1/users/grace/tokens", json!({"endpointId": "hers"}))
        .await
        .expect(201);
    let client = hub.client().bearer(grace["token"].as_str().unwrap());
    let body = json!({"channel": device.device.channel});
    client.put("/v1/me/endpoints/hers", body).await.expect(201);
    let app = beckon::model::AppHost::parse(crate::support::hub::APP).unwrap();
    let revived = hub.running().hub.revive(&app, None, None).await.unwrap();
    assert_eq!((revived.endpoints, revived.next), (0, None));
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_credential_stops_the_lane_and_keeps_the_tap_due() {
    for service in Service::ALL {
        let hub = TestHub::start().await;
        hub.device("ada", service).await;
        hub.doubles()
            .script(FaultSpec::always(service, FaultKind::CredentialRefused));
        let posted = hub.post("ada", "Lunch?").await;
        let stopped = eventually("the lane stands still", || async {
            let it = delivery(&hub, &posted).await;
            (it["reason"] == "serviceStopped").then_some(it)
        })
        .await;
        assert_eq!(stopped["status"], "pending", "{service:?} {stopped}");
        assert!(
            stopped["nextAttemptDateTime"].is_string(),
            "{service:?} {stopped}"
        );
        hub.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_silent_delays_no_other() {
    for silent in Service::ALL {
        let hub = TestHub::start().await;
        let mut devices = Vec::new();
        for service in Service::ALL {
            devices.push(hub.device("ada", service).await);
        }
        hub.doubles()
            .script(FaultSpec::always(silent, FaultKind::Silence));
        let began = std::time::Instant::now();
        hub.post("ada", "Lunch?").await;
        for device in devices.iter_mut().filter(|device| device.service != silent) {
            device
                .next_push("the tap, though another service is silent")
                .await;
        }
        assert!(
            began.elapsed().as_secs() < 15,
            "the others waited for {silent:?}"
        );
        hub.doubles().clear_faults();
        hub.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_were_mended_are_tried_at_once() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Apns).await;
    hub.doubles().script(FaultSpec::always(
        Service::Apns,
        FaultKind::CredentialRefused,
    ));
    let posted = hub.post("ada", "Lunch?").await;
    eventually("the lane stands still", || async {
        (delivery(&hub, &posted).await["reason"] == "serviceStopped").then_some(())
    })
    .await;
    hub.doubles().clear_faults();
    hub.clock.advance(std::time::Duration::from_millis(1));
    let running = hub.running();
    let apps = running.hub.apps().all();
    let anew = apps
        .iter()
        .map(|app| std::sync::Arc::new(beckon::config::apps::App::clone(app)));
    running.reload(anew.collect()).await.unwrap();
    let handed = phone.next_push("the tap, without waiting any longer").await;
    assert_eq!(beckon_of(&handed.push)["n"], posted["id"]);
    hub.finish().await;
}

/// How many of these posts met a dead channel; waits until each has its answer, or is held, where `all` must have one.
async fn fates(hub: &TestHub, posts: &[(&String, Value)], all: bool) -> usize {
    eventually("every push has its answer", || async {
        let (mut gone, mut stopped) = (0, 0);
        for (person, posted) in posts {
            let id = posted["id"].as_str().unwrap();
            let path = format!("/v1/users/{person}/notifications/{id}/deliveries");
            let it = hub.app().get(&path).await.expect(200)["value"][0].clone();
            gone += usize::from(it["status"] == "gone");
            stopped += usize::from(it["reason"] == "serviceStopped");
        }
        (!all || gone + stopped == posts.len()).then_some(gone)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_setting_costs_an_app_no_more_than_twenty_devices_ever() {
    let mut hub = TestHub::at_a_standstill().await;
    let people: Vec<String> = (0..26).map(|nth| format!("person-{nth}")).collect();
    for person in &people {
        hub.device(person, Service::Fcm).await;
    }
    hub.doubles()
        .script(FaultSpec::always(Service::Fcm, FaultKind::Gone));
    let mut posts = Vec::new();
    for person in &people {
        posts.push((person, hub.post(person, "Lunch?").await));
    }
    assert_eq!(fates(&hub, &posts, true).await, 20);
    // Neither the operator's looking again nor a restart gives the wrong setting another twenty.
    for restarts in [false, true] {
        let asked = hub.doubles().counters(Service::Fcm).faulted;
        if restarts {
            hub.stop().await;
            // None gets two silent pushes within a second.
            hub.clock.advance(std::time::Duration::from_secs(1));
            hub.start_again().await;
        } else {
            hub.reload(|doubles| doubles.settings().app_toml()).await;
        }
        eventually(
            &format!("they are tried again, restarts: {restarts}"),
            || async { (hub.doubles().counters(Service::Fcm).faulted > asked).then_some(()) },
        )
        .await;
        assert_eq!(fates(&hub, &posts, false).await, 20, "{restarts}");
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_that_were_registered_since_they_died_are_no_wrong_setting() {
    let hub = TestHub::with(beckon::clock::Clock::system(), |config| {
        config.delivery.retry_base = std::time::Duration::from_millis(4);
        config.delivery.retry_max = std::time::Duration::from_millis(20);
    })
    .await;
    let adas = hub.device("ada", Service::Apns).await;
    let mut bobs = hub.device("bob", Service::Apns).await;
    let hour = std::time::Duration::from_hours(1);
    let before = hub.clock.now().minus(hour).as_millis();
    hub.doubles().script(FaultSpec {
        device: Some(adas.device.id.clone()),
        timestamp_ms: Some(before.try_into().unwrap()),
        ..FaultSpec::always(Service::Apns, FaultKind::Gone)
    });
    hub.post("ada", "Lunch?").await;
    eventually("it was asked more often than a lane drops", || async {
        (hub.doubles().counters(Service::Apns).faulted > 25).then_some(())
    })
    .await;
    let ready = hub.client().get("/readyz").await.expect(200);
    assert_eq!(ready["status"], "ready");
    let posted = hub.post("bob", "Lunch?").await;
    let handed = bobs.next_push("the tap of another").await;
    assert_eq!(beckon_of(&handed.push)["n"], posted["id"]);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_is_sent_again_is_called_the_same_and_another_is_not() {
    let hub = TestHub::with(beckon::clock::Clock::system(), |config| {
        config.delivery.retry_base = std::time::Duration::from_millis(4);
        config.delivery.retry_max = std::time::Duration::from_millis(20);
    })
    .await;
    let mut phone = hub.device("ada", Service::Apns).await;
    hub.doubles().script(FaultSpec {
        times: Some(3),
        ..FaultSpec::always(Service::Apns, FaultKind::Cut)
    });
    let mut named = Vec::new();
    for title in ["Lunch?", "Tea?"] {
        let before = hub.doubles().place();
        hub.post("ada", title).await;
        phone.next_push(title).await;
        let arrived = hub.doubles().arrivals(before);
        let ids = arrived.iter().filter_map(|it| {
            let id = it.headers.iter().find(|(name, _)| name == "apns-id");
            id.map(|(_, id)| id.clone())
        });
        named.push(ids.collect::<Vec<_>>());
        phone.pull().await;
    }
    assert!(named[0].len() >= 2, "{named:?}");
    assert!(named[0].iter().all(|id| *id == named[0][0]), "{named:?}");
    assert!(
        !named[1].is_empty() && named[1][0] != named[0][0],
        "{named:?}"
    );
    hub.finish().await;
}

/// Mozilla hands on to Google what is for a phone, and that takes less.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_browsers_service_finds_too_long_comes_at_once_without_its_text() {
    let hub = TestHub::with(beckon::clock::Clock::system(), |config| {
        Arc::make_mut(&mut config.apps[0]).privacy = Privacy::Direct;
    })
    .await;
    let mut device = hub.device("ada", Service::WebPush).await;
    let too_large = FaultKind::named(Service::WebPush, At::Push, "mozillaTooLarge").unwrap();
    hub.doubles()
        .script(FaultSpec::once(Service::WebPush, too_large));
    for has_text in [false, true] {
        let posted = hub.post("ada", "Lunch?").await;
        let handed = device.next_push("the tap").await;
        assert_eq!(beckon_of(&handed.push)["n"], posted["id"]);
        let body = handed.push.body.as_ref().unwrap().bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["title"] == "Lunch?", has_text, "{body}");
        assert_eq!(body.as_object().unwrap().len() > 1, has_text, "{body}");
        eventually("it is told as tapped", || async {
            (delivery(&hub, &posted).await["status"] == "tapped").then_some(())
        })
        .await;
        device.pull().await;
    }
    // To what holds no text there is nothing to leave out.
    hub.doubles()
        .script(FaultSpec::always(Service::WebPush, too_large));
    let body = json!({"payload": {"rawContent": "r"}, "priority": "High"});
    let posted = hub.app().post("/v1/users/ada/notifications", body).await;
    let posted = posted.expect(201);
    let failed = eventually("it failed", || async {
        let it = delivery(&hub, &posted).await;
        (it["status"] == "failed").then_some(it)
    })
    .await;
    assert_eq!(failed["pushService"]["status"], 413, "{failed}");
    hub.finish().await;
}
