//! The FCM double and its token endpoint.

use serde_json::{Value, json};

use super::super::{Channel, FaultKind, FaultSpec, Service};
use super::drafts::*;
use super::support::*;

#[tokio::test]
async fn takes_a_good_message_over_both_protocols() {
    let rig = Rig::start().await;
    let device = rig.device(Service::Fcm);
    let good = fcm_push(&rig, &device).await;
    for reply in [rig.send2(&good).await, rig.send1(&good).await.unwrap()] {
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(
            reply.json()["name"]
                .as_str()
                .unwrap()
                .starts_with("projects/beckon-doubles/messages/"),
            "{reply:?}"
        );
    }
    let handed = rig
        .handle()
        .await_handed_over(&device.id, 0, SOON, |push| push.kind == "data")
        .await
        .unwrap();
    let body: Value = serde_json::from_slice(&handed.push.body.clone().unwrap().bytes()).unwrap();
    assert_eq!(body["data"], json!({ "beckon": "1" }));
    assert_eq!(rig.handle().counters(Service::Fcm).token_requests, 1);
    let token_request = &rig.handle().arrivals(0)[0];
    let shown = String::from_utf8(token_request.body.clone().unwrap().bytes()).unwrap();
    assert_eq!(
        shown,
        "assertion=…&grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer"
    );
}

#[tokio::test]
async fn checks_assertions() {
    let rig = Rig::start().await;
    let change = |name: &str, value: Value| {
        let mut claims = assertion_claims(&rig);
        claims[name] = value;
        fcm_token_request(&rig, &claims)
    };
    let good = fcm_token_request(&rig, &assertion_claims(&rig));
    let endpoint = &rig.settings().fcm.token_endpoint;
    let table = [
        (change("aud", json!(endpoint)), "invalid_grant"),
        (change("iss", json!("other@example.com")), "invalid_grant"),
        (change("exp", json!(now(&rig) + 3700)), "invalid_grant"),
        (change("exp", json!(now(&rig) - 1)), "invalid_grant"),
        (change("iat", json!(now(&rig) + 120)), "invalid_grant"),
        (
            change("scope", json!("https://www.googleapis.com/auth/drive")),
            "invalid_scope",
        ),
        (
            form(
                endpoint,
                &[
                    ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                    ("assertion", "a.b.c"),
                ],
            ),
            "invalid_grant",
        ),
        (
            form(endpoint, &[("grant_type", "password")]),
            "unsupported_grant_type",
        ),
        (
            good.clone().with("content-type", "application/json"),
            "invalid_request",
        ),
    ];
    for (draft, error) in table {
        let reply = rig.send1(&draft).await.unwrap();
        assert_eq!(
            (reply.status, reply.json()["error"].as_str()),
            (400, Some(error)),
            "{draft:?} {reply:?}"
        );
    }
    let granted = rig.send2(&good).await;
    assert_eq!(
        (granted.status, &granted.json()["expires_in"]),
        (200, &json!(3599)),
        "{granted:?}"
    );
}

/// Doubles with a device, a good message to it, and its token.
async fn scene() -> (Rig, Draft, String) {
    let rig = Rig::start().await;
    let device = rig.device(Service::Fcm);
    let good = fcm_push(&rig, &device).await;
    let Channel::Fcm { registration_token } = device.channel else {
        panic!("{device:?}")
    };
    (rig, good, registration_token)
}

/// The good message with other fields beside its token.
fn message(good: &Draft, token: &str, fields: Value) -> Draft {
    let mut message = json!({ "token": token });
    message
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    good.clone().json(&json!({ "message": message }))
}

/// Sends each message and looks for the status and two pieces of text.
async fn check<'a>(rig: &Rig, table: impl IntoIterator<Item = (Draft, u16, [&'a str; 2])>) {
    for (draft, status, texts) in table {
        let reply = rig.send2(&draft).await;
        assert_eq!(reply.status, status, "{draft:?} {reply:?}");
        let error = reply.json()["error"].to_string().replace("\\\"", "'");
        assert!(
            texts.iter().all(|text| error.contains(text)),
            "{texts:?}: {error}"
        );
    }
}

#[tokio::test]
async fn refuses_fields_that_google_refuses() {
    let (rig, good, token) = scene().await;
    let of = |fields| message(&good, &token, fields);
    let root = |body| good.clone().json(&body);
    let android = |field: &str, value: Value| of(json!({ "android": { field: value } }));
    let (code, ttl) = ("INVALID_ARGUMENT", "Invalid TTL");
    let table = [
        (
            of(json!({ "date": {} })),
            400,
            [code, "Unknown name 'date' at 'message': Cannot find"],
        ),
        (
            root(json!({ "message": { "token": token }, "dry_run": true })),
            400,
            [code, "'dry_run'"],
        ),
        (
            of(json!({ "data": { "n": 1 } })),
            400,
            [code, "message.data[n]' (TYPE_STRING), 1"],
        ),
        (
            of(json!({ "data": { "google.x": "1" } })),
            400,
            [code, "payload key: google.x"],
        ),
        (
            of(json!({ "data": { "from": "1" } })),
            400,
            [code, "payload key: from"],
        ),
        (
            root(json!({ "message": {} })),
            400,
            [code, "Recipient of the message is not set"],
        ),
        (android("ttl", json!("1h")), 400, [code, ttl]),
        (android("ttl", json!("2419201s")), 400, [code, ttl]),
        (
            android("ttl", json!(60)),
            400,
            [code, "message.android.ttl"],
        ),
        (
            android("priority", json!("urgent")),
            400,
            [code, "message.android.priority"],
        ),
        (
            android("restrictedPackageName", json!("com.other")),
            400,
            [code, "package name"],
        ),
        (
            of(json!({ "data": { "k": "x".repeat(4096) } })),
            400,
            [code, "limit of 4096"],
        ),
    ];
    check(&rig, table).await;
}

#[tokio::test]
async fn takes_fields_at_their_limits_and_under_both_names() {
    let (rig, good, token) = scene().await;
    let of = |fields| message(&good, &token, fields);
    let fine = [
        of(json!({ "data": { "k": "x".repeat(4095) } })),
        of(json!({ "android": { "ttl": "3.5s", "collapseKey": "a", "priority": "HIGH" } })),
        of(json!({ "notification": { "title": "T" } })),
        good.clone()
            .json(&json!({ "validate_only": true, "message": { "token": token } })),
        good.clone()
            .json(&json!({ "message": { "topic": "News-1_2.3~4%" } })),
    ];
    for draft in fine {
        let reply = rig.send2(&draft).await;
        assert_eq!(reply.status, 200, "{draft:?} {reply:?}");
    }
}

#[tokio::test]
async fn refuses_targets_and_credentials_that_google_refuses() {
    let (rig, good, token) = scene().await;
    let of = |token: &str| message(&good, token, json!({}));
    let elsewhere = good
        .clone()
        .uri(good.uri.replace("beckon-doubles", "other"));
    let stranger = good.clone().with("authorization", "Bearer ya29.other");
    let table = [
        (
            message(&good, &token, json!({ "topic": "news" })),
            400,
            ["message", "Exactly one"],
        ),
        (
            good.clone().body("{"),
            400,
            ["INVALID_ARGUMENT", "Invalid JSON payload"],
        ),
        (
            good.clone().with("content-type", "text/plain"),
            400,
            ["INVALID_ARGUMENT", "Content-Type"],
        ),
        (
            of("short"),
            400,
            ["message.token", "not a valid FCM registration token"],
        ),
        (
            of(&(token.clone() + "x")),
            404,
            ["NOT_FOUND", "UNREGISTERED"],
        ),
        (stranger, 401, ["UNAUTHENTICATED", "invalid authentication"]),
        (elsewhere, 404, ["NOT_FOUND", "not found"]),
    ];
    check(&rig, table).await;
    let lost = rig
        .send2(&good.clone().uri(good.uri.replace("/v1/", "/v2/")))
        .await;
    assert_eq!(
        (lost.status, lost.header("content-type")),
        (404, "text/html; charset=UTF-8")
    );
    rig.handle().set_clock_offset(3600);
    assert_eq!(
        rig.send2(&good).await.status,
        401,
        "the access token has expired"
    );
}

#[tokio::test]
async fn refuses_targets_and_names_that_are_none() {
    let (rig, good, token) = scene().await;
    let only = |target: Value| good.clone().json(&json!({ "message": target }));
    let twice = json!({ "android": { "collapse_key": "a", "collapseKey": "a" } });
    let mut also = json!({ "validate_only": true, "validateOnly": true });
    also["message"] = json!({ "token": token });
    let code = "INVALID_ARGUMENT";
    let topic = ["message.topic", "Invalid topic name"];
    let twice_set = "message.android.collapse_key', the field is already set";
    let table = [
        (message(&good, &token, twice), 400, [code, twice_set]),
        (good.clone().json(&also), 400, [code, "already set"]),
        (only(json!({ "topic": "/topics/news" })), 400, topic),
        (only(json!({ "topic": "fresh news" })), 400, topic),
        (only(json!({ "topic": "" })), 400, topic),
        (
            only(json!({ "fid": "short" })),
            400,
            ["message.fid", "not valid"],
        ),
        (
            only(json!({ "fid": "cInventedByTheSender12" })),
            404,
            ["NOT_FOUND", "UNREGISTERED"],
        ),
    ];
    check(&rig, table).await;
}

#[tokio::test]
async fn reaches_a_device_by_its_installation_too() {
    let (rig, good, token) = scene().await;
    let (fid, _) = token.split_once(':').unwrap();
    let push = good.clone().json(&json!({ "message": { "fid": fid } }));
    assert_eq!(rig.send2(&push).await.status, 200);
    let device = rig.handle().devices().remove(0);
    assert_eq!(rig.handle().handed_over(0, &device.id).len(), 1);
    rig.handle().remove_device(&device.id).unwrap();
    check(&rig, [(push, 404, ["NOT_FOUND", "UNREGISTERED"])]).await;
}

/// How many of so many equal messages are taken; what refuses the others is FCM's word on a device that got too many.
async fn taken(rig: &Rig, draft: &Draft, count: usize) -> usize {
    let mut sender = rig.http2(draft).await;
    let mut taken = 0;
    for _ in 0..count {
        let reply = send_on(&mut sender, draft).await.unwrap();
        if reply.status == 200 {
            taken += 1;
            continue;
        }
        assert_eq!(reply.status, 429, "{reply:?}");
        for word in ["RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "\"device:"] {
            assert!(reply.body.contains(word), "{word}: {reply:?}");
        }
        assert_eq!(reply.header("retry-after"), "", "none is promised");
    }
    taken
}

#[tokio::test]
async fn takes_240_messages_a_minute_for_a_device() {
    let (rig, good, token) = scene().await;
    assert_eq!(taken(&rig, &good, 242).await, 240);
    let other = fcm_push(&rig, &rig.device(Service::Fcm)).await;
    assert_eq!(taken(&rig, &other, 1).await, 1);
    let dry = json!({ "validate_only": true, "message": { "token": token } });
    assert_eq!(taken(&rig, &good.clone().json(&dry), 1).await, 1);
    let fault = FaultSpec::once(Service::Fcm, FaultKind::ServerError);
    rig.handle().script(fault);
    assert_eq!(taken(&rig, &good, 1).await, 0, "and no fault is used up");
    rig.handle().set_clock_offset(60);
    assert_eq!(rig.send2(&good).await.status, 500);
    assert_eq!(taken(&rig, &good, 242).await, 240, "a fault costs nothing");
}

#[tokio::test]
async fn takes_20_collapsible_messages_at_once_and_then_one_in_3_minutes() {
    let (rig, good, token) = scene().await;
    let keyed = json!({ "android": { "collapse_key": "mail" } });
    let keyed = message(&good, &token, keyed);
    assert_eq!(taken(&rig, &keyed, 22).await, 20);
    let shown = message(&good, &token, json!({ "notification": { "title": "T" } }));
    assert_eq!(taken(&rig, &shown, 1).await, 0, "it collapses by itself");
    assert_eq!(
        taken(&rig, &good, 5).await,
        5,
        "what does not collapse goes on"
    );
    rig.handle().set_clock_offset(180);
    assert_eq!(taken(&rig, &shown, 2).await, 1);
}
