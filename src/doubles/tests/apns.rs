//! The APNs double.

use serde_json::{Value, json};

use super::super::{FaultKind, FaultSpec, NewDevice, Service};
use super::drafts::*;
use super::frames::{Frames, HEADERS, RST_STREAM};
use super::support::*;
use super::transport::Raw;

#[tokio::test]
async fn takes_a_good_push_and_hands_it_over() {
    let rig = Rig::start().await;
    let device = rig.device(Service::Apns);
    let id = "8f1c2a60-0d5b-4a5c-9f0a-2b1f5a3c7d90";
    let reply = rig
        .send2(&apns_push(&rig, &device).with("apns-id", id))
        .await;
    assert_eq!(
        (reply.status, reply.body.as_str(), reply.header("apns-id")),
        (200, "", id),
        "{reply:?}"
    );
    let handed = rig
        .handle()
        .await_handed_over(&device.id, 0, SOON, |_| true)
        .await
        .unwrap();
    assert_eq!(
        (
            handed.push.kind.as_str(),
            handed.push.message_id.as_str(),
            handed.waited
        ),
        ("alert", id, false)
    );
    let arrival = &rig.handle().arrivals(0)[0];
    assert_eq!(
        (arrival.status, arrival.device.as_deref()),
        (Some(200), Some(device.id.as_str()))
    );
    assert!(
        arrival
            .headers
            .contains(&("authorization".to_owned(), "bearer …".to_owned())),
        "{arrival:?}"
    );
}

/// Sends each push on a connection of its own and compares status and reason.
async fn check<'a>(rig: &Rig, table: impl IntoIterator<Item = (Draft, u16, &'a str)>) {
    for (draft, status, reason) in table {
        let reply = rig.send2(&draft).await;
        assert_eq!(
            (reply.status, reply.json()),
            (status, json!({ "reason": reason })),
            "{draft:?}"
        );
        assert!(!reply.header("apns-id").is_empty(), "{reply:?}");
    }
}

#[tokio::test]
async fn refuses_credentials_that_apple_refuses() {
    let rig = Rig::start().await;
    let good = apns_push(&rig, &rig.device(Service::Apns));
    let apns = rig.settings().apns.clone();
    let own = std::fs::read_to_string(&apns.key_file).unwrap();
    let bearer = |token: String| {
        good.clone()
            .with("authorization", format!("bearer {token}"))
    };
    let signed = |pem: &str, kid: &str, iss: &str| {
        let claims = json!({ "iss": iss, "iat": now(&rig) });
        bearer(sign_es256(pem, &json!({ "kid": kid }), &claims))
    };
    let rsa = sign_rs256(
        account(&rig)["private_key"].as_str().unwrap(),
        &json!({ "kid": apns.key_id }),
        &json!({ "iss": apns.team_id, "iat": now(&rig) }),
    );
    let invalid = "InvalidProviderToken";
    let table = [
        (
            good.clone().without("authorization"),
            403,
            "MissingProviderToken",
        ),
        (bearer("x".to_owned()), 403, invalid),
        (bearer(rsa), 403, invalid),
        (signed(&own, "OTHERKEY01", &apns.team_id), 403, invalid),
        (signed(&own, &apns.key_id, "OTHERTEAM1"), 403, invalid),
        (
            signed(&vapid_pair().0, &apns.key_id, &apns.team_id),
            403,
            invalid,
        ),
        (bearer(apns_token(&rig, -120)), 403, invalid),
        (bearer(apns_token(&rig, 3700)), 403, "ExpiredProviderToken"),
    ];
    check(&rig, table).await;
}

#[tokio::test]
async fn refuses_headers_that_apple_refuses() {
    let rig = Rig::start().await;
    let good = apns_push(&rig, &rig.device(Service::Apns));
    let (topic, endpoint) = (&rig.settings().apns.topic, &rig.settings().apns.endpoint);
    let with = |name, value: &str| good.clone().with(name, value);
    let at = |path: &str| good.clone().uri(format!("{endpoint}{path}"));
    let (voip, unknown) = (
        format!("{topic}.voip"),
        format!("/3/device/{}", "ab".repeat(32)),
    );
    let table = [
        (good.clone().method("PUT"), 405, "MethodNotAllowed"),
        (at("/4/device/00"), 404, "BadPath"),
        (
            good.clone().twice("apns-topic", topic),
            400,
            "DuplicateHeaders",
        ),
        (
            with("apns-id", "8F1C2A60-0D5B-4A5C-9F0A-2B1F5A3C7D90"),
            400,
            "BadMessageId",
        ),
        (with("apns-expiration", "1h"), 400, "BadExpirationDate"),
        (with("apns-priority", "7"), 400, "BadPriority"),
        (
            with("apns-collapse-id", &"x".repeat(65)),
            400,
            "BadCollapseId",
        ),
        (with("apns-push-type", "loud"), 400, "InvalidPushType"),
        (
            good.clone().without("apns-push-type"),
            400,
            "InvalidPushType",
        ),
        (good.clone().without("apns-topic"), 400, "MissingTopic"),
        (
            with("apns-topic", "com.example.other"),
            400,
            "TopicDisallowed",
        ),
        (with("apns-topic", &voip), 400, "BadTopic"),
        (
            with("apns-topic", &voip).with("apns-push-type", "voip"),
            400,
            "DeviceTokenNotForTopic",
        ),
        (at("/3/device/"), 400, "MissingDeviceToken"),
        (at("/3/device/xyz"), 400, "BadDeviceToken"),
        (at(&unknown), 400, "BadDeviceToken"),
    ];
    check(&rig, table).await;
    let longest = with("apns-collapse-id", &"x".repeat(64));
    assert_eq!(rig.send2(&longest).await.status, 200);
}

#[tokio::test]
async fn refuses_bodies_that_apple_refuses() {
    let rig = Rig::start().await;
    let good = apns_push(&rig, &rig.device(Service::Apns));
    let body = |aps: Value| good.clone().json(&json!({ "aps": aps }));
    let silent = |aps: Value| {
        body(aps)
            .with("apns-push-type", "background")
            .with("apns-priority", "5")
    };
    let sized = |bytes: usize| body(json!({ "alert": "x".repeat(bytes - 20) }));
    let table = [
        (good.clone().body(""), 400, "PayloadEmpty"),
        (good.clone().body("[]"), 400, "PayloadEmpty"),
        (
            good.clone().with("content-encoding", "gzip"),
            400,
            "PayloadEmpty",
        ),
        (sized(4097), 413, "PayloadTooLarge"),
        (
            good.clone().body(vec![b' '; 100_000]),
            413,
            "PayloadTooLarge",
        ),
        (
            body(json!({ "content-available": 1 })),
            400,
            "InvalidPushType",
        ),
        (
            silent(json!({ "content-available": 1 })).with("apns-priority", "10"),
            400,
            "BadPriority",
        ),
        (silent(json!({})), 400, "InvalidPushType"),
        (
            silent(json!({ "content-available": 1, "badge": 1 })),
            400,
            "InvalidPushType",
        ),
    ];
    check(&rig, table).await;
    for draft in [sized(4096), silent(json!({ "content-available": 1 }))] {
        assert_eq!(rig.send2(&draft).await.status, 200, "{draft:?}");
    }
}

#[tokio::test]
async fn says_when_a_device_was_removed() {
    let rig = Rig::start().await;
    let device = rig.device(Service::Apns);
    let good = apns_push(&rig, &device);
    rig.handle().remove_device(&device.id).unwrap();
    let gone = rig.send2(&good).await;
    assert_eq!(
        (gone.status, &gone.json()["reason"]),
        (410, &json!("Unregistered")),
        "{gone:?}"
    );
    let seconds = gone.json()["timestamp"].as_i64().unwrap() / 1000;
    assert!((now(&rig) - 60..=now(&rig)).contains(&seconds), "{gone:?}");
}

#[tokio::test]
async fn refuses_a_second_stream_until_a_token_was_accepted() {
    let rig = Rig::start().await;
    let good = apns_push(&rig, &rig.device(Service::Apns));
    let bad = good.clone().with("authorization", "bearer x");
    // A sender that heeds no SETTINGS.
    let mut frames = Frames::open(&rig, &good).await;
    frames.request(1, &bad).await;
    frames.request(3, &good).await;
    let refused = frames.next(RST_STREAM, 3).await;
    assert_eq!(refused, [0, 0, 0, 7], "REFUSED_STREAM");
    frames.next(HEADERS, 1).await;
    frames.request(5, &good).await;
    let settings = frames.next_limit().await;
    assert_eq!(settings, [0, 3, 0, 0, 0, 100], "told ahead of the answer");
    frames.next(HEADERS, 5).await;
    for stream in [7, 9, 11] {
        frames.request(stream, &good).await;
    }
    for stream in [7, 9, 11] {
        frames.next(HEADERS, stream).await;
    }
}

#[tokio::test]
async fn settings_allow_one_stream_until_a_token_was_accepted() {
    let rig = Rig::start().await;
    let good = apns_push(&rig, &rig.device(Service::Apns));
    let bad = good.clone().with("authorization", "bearer x");
    let mut raw = Raw::open(&rig, &good).await;
    raw.is_up().await;
    assert_eq!(raw.sender.current_max_send_streams(), 1);
    let (one, two) = (raw.begin(&bad).await.unwrap(), raw.begin(&bad).await);
    let two = two.unwrap();
    let (one, two) = tokio::join!(one, two);
    let statuses = [one.unwrap().status(), two.unwrap().status()];
    assert_eq!(statuses, [403, 403], "one after the other");
    assert_eq!(raw.sender.current_max_send_streams(), 1);
    assert_eq!(raw.send(&good).await.unwrap(), 200);
    assert_eq!(raw.sender.current_max_send_streams(), 100);
    let silent = FaultSpec::always(Service::Apns, FaultKind::Silence);
    let silent = rig.handle().script(silent);
    let place = rig.handle().place();
    let mut waiting = Vec::new();
    for _ in 0..100 {
        waiting.push(raw.begin(&good).await.unwrap());
    }
    let struck = async {
        while rig.handle().arrivals(place).len() < 100 {
            let newest = rig.handle().place();
            rig.handle().next_entries(newest, SOON).await;
        }
    };
    tokio::time::timeout(SOON, struck).await.unwrap();
    rig.handle().clear_fault(silent);
    for answer in waiting {
        assert_eq!(answer.await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn refuses_a_token_of_the_sandbox() {
    let rig = Rig::start().await;
    let other = rig.handle().add_device(NewDevice::of_sandbox()).unwrap();
    let push = apns_push(&rig, &other);
    check(&rig, [(push, 400, "BadDeviceToken")]).await;
    let arrival = rig.handle().arrivals(0).pop().unwrap();
    assert_eq!(arrival.device, Some(other.id), "{:?}", arrival.reason);
}

#[tokio::test]
async fn counts_the_tokens_of_a_connection() {
    let rig = Rig::start().await;
    let device = rig.device(Service::Apns);
    let first = apns_push(&rig, &device);
    let mut sender = rig.http2(&first).await;
    assert_eq!(send_on(&mut sender, &first).await.unwrap().status, 200);
    let second = first
        .clone()
        .with("authorization", format!("bearer {}", apns_token(&rig, 60)));
    let reply = send_on(&mut sender, &second).await.unwrap();
    assert_eq!(
        (reply.status, reply.json()),
        (429, json!({ "reason": "TooManyProviderTokenUpdates" }))
    );
    assert_eq!(send_on(&mut sender, &first).await.unwrap().status, 200);
    rig.handle().set_clock_offset(21 * 60);
    assert_eq!(send_on(&mut sender, &second).await.unwrap().status, 200);
    assert_eq!(rig.handle().counters(Service::Apns).distinct_credentials, 2);
}

#[tokio::test]
async fn speaks_http_2_only() {
    let rig = Rig::start().await;
    let authority = rig
        .settings()
        .apns
        .endpoint
        .trim_start_matches("https://")
        .to_owned();
    assert!(rig.tls(&authority, &["http/1.1"]).await.is_err());
    let mut stream = rig.tls(&authority, &[]).await.unwrap();
    let read = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 16]).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}
