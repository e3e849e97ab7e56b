//! Devices that are away, and doubles that are started again.

use serde_json::json;

use super::super::retention::{FCM_MAX_WAITING, Waiting, offer, release, waiting};
use super::super::{
    Arrival, Body, Device, DevicePatch, Error, Fate, FaultKind, FaultSpec, NewDevice, Options,
    Ports, Push, Service, Switches, start,
};
use super::drafts::*;
use super::support::*;

fn offline(rig: &Rig, device: &Device) {
    rig.handle()
        .patch_device(&device.id, DevicePatch::online(false))
        .unwrap();
}

fn back(rig: &Rig, device: &Device) -> Vec<String> {
    rig.handle()
        .patch_device(&device.id, DevicePatch::online(true))
        .unwrap();
    handed(rig, device)
}

fn handed(rig: &Rig, device: &Device) -> Vec<String> {
    let handed = rig.handle().handed_over(0, &device.id);
    let text = |body: &Body| String::from_utf8(body.bytes()).unwrap();
    handed
        .iter()
        .map(|handed| handed.push.body.as_ref().map(text).unwrap_or_default())
        .collect()
}

#[tokio::test]
async fn apns_keeps_the_newest_and_low_power_swallows_silent_pushes() {
    let rig = Rig::start().await;
    let device = rig.device(Service::Apns);
    let good = apns_push(&rig, &device);
    let alert = |text: &str| good.clone().json(&json!({ "aps": { "alert": text } }));
    let silent = good
        .clone()
        .with("apns-push-type", "background")
        .with("apns-priority", "5");
    let silent = silent.json(&json!({ "aps": { "content-available": 1 } }));
    offline(&rig, &device);
    for draft in [
        alert("one"),
        alert("two"),
        alert("now or never").with("apns-expiration", "0"),
    ] {
        assert_eq!(rig.send2(&draft).await.status, 200);
    }
    assert_eq!(rig.handle().device(&device.id).unwrap().waiting, 1);
    assert_eq!(back(&rig, &device), [r#"{"aps":{"alert":"two"}}"#]);
    let low_power = DevicePatch {
        low_power: Some(true),
        ..DevicePatch::default()
    };
    rig.handle().patch_device(&device.id, low_power).unwrap();
    assert_eq!(rig.send2(&silent).await.status, 200);
    assert_eq!(
        rig.handle().arrivals(0).last().unwrap().fate,
        Some(Fate::Swallowed)
    );
    assert_eq!(rig.send2(&alert("three")).await.status, 200);
    assert_eq!(handed(&rig, &device).len(), 2);
}

#[tokio::test]
async fn fcm_throws_all_away_beyond_a_hundred_and_dozes() {
    let rig = Rig::start().await;
    let device = rig.device(Service::Fcm);
    let good = fcm_push(&rig, &device).await;
    let mut sender = rig.http2(&good).await;
    offline(&rig, &device);
    for _ in 0..100 {
        assert_eq!(send_on(&mut sender, &good).await.unwrap().status, 200);
    }
    assert_eq!(rig.handle().device(&device.id).unwrap().waiting, 100);
    assert_eq!(send_on(&mut sender, &good).await.unwrap().status, 200);
    rig.handle()
        .patch_device(&device.id, DevicePatch::online(true))
        .unwrap();
    let kinds: Vec<_> = rig
        .handle()
        .handed_over(0, &device.id)
        .iter()
        .map(|handed| handed.push.kind.clone())
        .collect();
    assert_eq!(kinds, ["deletedMessages"]);
    let doze = |doze| DevicePatch {
        doze: Some(doze),
        ..DevicePatch::default()
    };
    rig.handle().patch_device(&device.id, doze(true)).unwrap();
    let text = String::from_utf8(good.body.clone()).unwrap();
    assert_eq!(
        rig.send2(&good.clone().body(text.replace("\"high\"", "\"normal\"")))
            .await
            .status,
        200
    );
    assert_eq!(rig.send2(&good).await.status, 200);
    assert_eq!(
        rig.handle().handed_over(0, &device.id).len(),
        2,
        "only the one of high priority"
    );
    rig.handle().patch_device(&device.id, doze(false)).unwrap();
    assert_eq!(rig.handle().handed_over(0, &device.id).len(), 3);
}

#[tokio::test]
async fn web_push_keeps_until_ttl_and_replaces_by_topic() {
    let rig = Rig::start().await;
    let server = vapid_pair();
    let device = rig
        .handle()
        .add_device(NewDevice::browser(&server.1))
        .unwrap();
    let push = |text: &str| web_push(&rig, &device, &server, text);
    offline(&rig, &device);
    let drafts = [
        push("plain 1"),
        push("topic, first").with("topic", "abcd"),
        push("ttl 0").with("ttl", "0"),
        push("topic, second").with("topic", "abcd"),
        push("ttl 1").with("ttl", "1"),
    ];
    for draft in drafts {
        assert_eq!(rig.send2(&draft).await.status, 201);
    }
    let cancelled = rig.send2(&push("to cancel")).await;
    let cancel = push("x")
        .method("DELETE")
        .uri(cancelled.header("location"))
        .body("");
    assert_eq!(rig.send2(&cancel).await.status, 204);
    rig.handle().set_clock_offset(10);
    assert_eq!(back(&rig, &device), ["plain 1", "topic, second"]);
}

#[tokio::test]
async fn wns_keeps_one_of_each_type() {
    let rig = Rig::start().await;
    let device = rig.device(Service::Wns);
    let good = wns_push(&rig, &device).await;
    offline(&rig, &device);
    for draft in [
        good.clone().body("one"),
        good.clone().body("two"),
        good.clone()
            .body("lost")
            .with("x-wns-cache-policy", "no-cache"),
    ] {
        assert_eq!(rig.send1(&draft).await.unwrap().status, 200);
    }
    assert_eq!(back(&rig, &device), ["two"]);
}

#[tokio::test]
async fn a_restart_keeps_devices_keys_ports_and_what_waits() {
    let rig = Rig::start().await;
    let server = vapid_pair();
    let device = rig
        .handle()
        .add_device(NewDevice::browser(&server.1).named("Ada's browser"))
        .unwrap();
    let removed = rig.device(Service::Apns);
    offline(&rig, &device);
    assert_eq!(
        rig.send2(&web_push(&rig, &device, &server, "kept"))
            .await
            .status,
        201
    );
    let to_removed = apns_push(&rig, &removed);
    rig.handle().remove_device(&removed.id).unwrap();
    let (settings, place) = (rig.settings().clone(), rig.handle().place());
    let rig = rig.restart().await;
    assert_eq!(rig.settings(), &settings);
    assert!(rig.handle().place() > place, "the sequence goes on");
    let device_now = rig.handle().device(&device.id).unwrap();
    assert_eq!(
        (&device_now.channel, device_now.waiting),
        (&device.channel, 1)
    );
    assert_eq!(rig.send2(&to_removed).await.status, 410);
    assert_eq!(
        rig.send2(&web_push(&rig, &device, &server, "new"))
            .await
            .status,
        201
    );
    assert_eq!(back(&rig, &device), ["kept", "new"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn benches_are_waved_through() {
    let folder = tempfile::tempdir().unwrap();
    let doubles = start(Options {
        folder: folder.path().to_owned(),
        ports: Ports::default(),
        strict: false,
    })
    .await
    .unwrap();
    let rig = Rig { doubles, folder };
    let device = rig.device(Service::Apns);
    let draft = apns_push(&rig, &device)
        .body("nothing")
        .without("authorization");
    let mut sender = rig.http2(&draft).await;
    for _ in 0..20 {
        assert_eq!(send_on(&mut sender, &draft).await.unwrap().status, 200);
    }
    assert!(rig.handle().await_accepted(Service::Apns, 20, SOON).await);
    assert!(rig.handle().arrivals(0).is_empty());
}

#[tokio::test]
async fn stopping_ends_silent_requests_and_streams() {
    let rig = Rig::start().await;
    let (apns, wns) = (rig.device(Service::Apns), rig.device(Service::Wns));
    let (to_apns, to_wns) = (apns_push(&rig, &apns), wns_push(&rig, &wns).await);
    let silent = |service| FaultSpec::always(service, FaultKind::Silence);
    rig.handle().script(silent(Service::Apns));
    rig.handle().script(silent(Service::Wns));
    let mut sender = rig.http2(&to_apns).await;
    let open = Draft {
        uri: format!("{}/v1/stream", rig.settings().api),
        ..to_apns.clone()
    };
    let stream = rig
        .open_plain(&open.method("GET").without("authorization").body(""))
        .await;
    let handle = rig.handle().clone();
    let place = handle.place();
    let stop = async {
        let struck = |service| {
            move |arrival: &Arrival| arrival.service == service && arrival.fault.is_some()
        };
        handle
            .await_arrival(place, SOON, struck(Service::Apns))
            .await
            .unwrap();
        handle
            .await_arrival(place, SOON, struck(Service::Wns))
            .await
            .unwrap();
        handle.state.stopping.cancel();
    };
    let (one, two, ()) = tokio::join!(send_on(&mut sender, &to_apns), rig.send1(&to_wns), stop);
    assert!(one.is_err() && two.is_err(), "{one:?} {two:?}");
    tokio::time::timeout(SOON, rig.doubles.stop())
        .await
        .unwrap();
    assert_eq!(stream.status().as_u16(), 200);
}

#[tokio::test]
async fn a_folder_is_for_one() {
    let rig = Rig::start().await;
    let second = start(Options::strict(rig.folder.path())).await;
    assert!(matches!(second, Err(Error::InUse(_))), "{second:?}");
    let rig = rig.restart().await;
    let mode = |name: &str| {
        let path = rig.folder.path().join(name);
        std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(path).unwrap()) & 0o777
    };
    for secret in [
        "AuthKey.p8",
        "service-account.json",
        "wns-client-secret",
        "server.key",
        "ports.json",
    ] {
        assert_eq!(mode(secret), 0o600, "{secret}");
    }
}

/// One message of FCM with its place in the line.
fn held(id: &str, key: Option<&str>) -> Waiting {
    let push = Push {
        message_id: id.to_owned(),
        kind: "data".to_owned(),
        collapse: key.map(str::to_owned),
        body: None,
    };
    Waiting {
        push,
        expires_ms: None,
        storable: true,
        urgent: false,
    }
}

#[test]
fn what_is_over_waits_no_longer_and_counts_towards_nothing() {
    let away = Switches {
        online: false,
        ..Switches::default()
    };
    let mut line = Vec::new();
    let short = |id: &str| Waiting {
        expires_ms: Some(10),
        ..held(id, None)
    };
    for nth in 0..FCM_MAX_WAITING {
        let fate = offer(Service::Fcm, away, &mut line, (&short(&nth.to_string()), 0));
        assert_eq!(fate, Fate::Waiting);
    }
    assert_eq!(waiting(&line, 9), FCM_MAX_WAITING);
    assert_eq!(waiting(&line, 10), 0);
    let fate = offer(Service::Fcm, away, &mut line, (&held("one more", None), 10));
    assert_eq!(fate, Fate::Waiting, "not thrown away with the rest");
    assert_eq!(waiting(&line, 10), 1);
}

#[test]
fn fcm_replaces_by_collapse_key_and_keeps_four() {
    let away = Switches {
        online: false,
        ..Switches::default()
    };
    let mut line = Vec::new();
    for (id, key) in [
        ("1", "a"),
        ("2", "b"),
        ("3", "a"),
        ("4", "c"),
        ("5", "d"),
        ("6", "e"),
    ] {
        let fate = offer(Service::Fcm, away, &mut line, (&held(id, Some(key)), 0));
        assert_eq!(fate, Fate::Waiting);
    }
    assert_eq!(
        offer(Service::Fcm, away, &mut line, (&held("7", None), 0)),
        Fate::Waiting
    );
    let left = release(Service::Fcm, Switches::default(), &mut line, 0);
    let ids: Vec<_> = left.iter().map(|push| push.message_id.as_str()).collect();
    assert_eq!(ids, ["3", "4", "5", "6", "7"]);
    assert!(line.is_empty());
}

#[tokio::test]
async fn a_device_may_be_handed_a_push_twice() {
    let rig = Rig::start().await;
    let device = rig.device(Service::Apns);
    let good = apns_push(&rig, &device);
    rig.handle()
        .script(FaultSpec::once(Service::Apns, FaultKind::HandedOverTwice));
    assert_eq!(rig.send2(&good).await.status, 200);
    assert_eq!(handed(&rig, &device).len(), 2);
    assert_eq!(rig.send2(&good).await.status, 200);
    assert_eq!(handed(&rig, &device).len(), 3);
}
