//! The Web Push double.

use serde_json::{Value, json};

use super::super::{Body, Device, NewDevice, Service};
use super::drafts::*;
use super::support::*;

fn browser(rig: &Rig, server: &(String, String)) -> Device {
    rig.handle()
        .add_device(NewDevice::browser(&server.1))
        .unwrap()
}

#[tokio::test]
async fn takes_and_decrypts_a_good_push() {
    let rig = Rig::start().await;
    let server = vapid_pair();
    let device = browser(&rig, &server);
    let good = web_push(&rig, &device, &server, "hello");
    for reply in [rig.send2(&good).await, rig.send1(&good).await.unwrap()] {
        assert_eq!(
            (reply.status, reply.header("ttl")),
            (201, "60"),
            "{reply:?}"
        );
        let messages = format!("https://{}/m/", rig.settings().web_push.host);
        assert!(reply.header("location").starts_with(&messages), "{reply:?}");
    }
    let handed = rig
        .handle()
        .await_handed_over(&device.id, 0, SOON, |_| true)
        .await
        .unwrap();
    assert_eq!(handed.push.body, Some(Body::Text("hello".to_owned())));
    assert_eq!(
        rig.handle().arrivals(0)[0].plaintext,
        Some(Body::Text("hello".to_owned()))
    );
    let empty = rig
        .send2(&good.clone().body("").without("content-encoding"))
        .await;
    assert_eq!(
        empty.status, 201,
        "a push without a body is legal: {empty:?}"
    );
    let capped = rig.send2(&good.with("ttl", "99999999")).await;
    assert_eq!(
        (capped.status, capped.header("ttl")),
        (201, "2592000"),
        "{capped:?}"
    );
}

/// Sends each push and compares status, `errno` and the beginning of the message.
async fn check<'a>(rig: &Rig, table: impl IntoIterator<Item = (Draft, u16, u16, &'a str)>) {
    for (draft, status, errno, message) in table {
        let reply = rig.send2(&draft).await;
        let body = reply.json();
        let seen = (reply.status, &body["code"], &body["errno"]);
        assert_eq!(
            seen,
            (status, &json!(status), &json!(errno)),
            "{draft:?} {body}"
        );
        assert!(
            body["message"].as_str().unwrap().starts_with(message),
            "{message}: {body}"
        );
    }
}

#[tokio::test]
async fn refuses_lifetimes_topics_and_urgencies_as_autopush_does() {
    let rig = Rig::start().await;
    let server = vapid_pair();
    let device = browser(&rig, &server);
    let good = web_push(&rig, &device, &server, "hello");
    let with = |name, value: &str| good.clone().with(name, value);
    let long = "x".repeat(33);
    let table = [
        (good.clone().without("ttl"), 400, 111, "Missing TTL value"),
        (with("ttl", "abc"), 400, 111, "Missing TTL value"),
        (
            with("ttl", "-1"),
            400,
            114,
            "ttl: TTL must be greater than 0",
        ),
        (
            with("topic", &long),
            400,
            113,
            "topic: Topic must be no greater than 32 characters",
        ),
        (
            with("topic", "a b"),
            400,
            113,
            "topic: Topic must be URL and Filename safe Base64",
        ),
        (
            with("topic", "abcde"),
            400,
            113,
            "topic: Topic must decode as base64url",
        ),
        (
            with("urgency", "shout"),
            400,
            108,
            "urgency: one of very-low, low, normal, high",
        ),
        (
            with("urgency", "low").twice("urgency", "high"),
            400,
            108,
            "urgency: one of",
        ),
    ];
    check(&rig, table).await;
}

#[tokio::test]
async fn refuses_encodings_and_missing_senders_as_autopush_does() {
    let rig = Rig::start().await;
    let server = vapid_pair();
    let good = web_push(&rig, &browser(&rig, &server), &server, "hello");
    let with = |name, value: &str| good.clone().with(name, value);
    let table = [
        (
            good.clone().without("content-encoding"),
            400,
            110,
            "Missing Content-Encoding header",
        ),
        (
            with("content-encoding", "aesgcm"),
            400,
            110,
            "Missing Encryption header",
        ),
        (
            with("crypto-key", "dh=x"),
            400,
            110,
            "Encryption and Crypto-Key do not go with",
        ),
        (
            good.clone().without("authorization"),
            401,
            109,
            "Missing VAPID public key",
        ),
        (
            with("authorization", "WebPush t=,k="),
            400,
            110,
            "Missing Crypto-Key header",
        ),
    ];
    check(&rig, table).await;
}

#[tokio::test]
async fn refuses_endpoints_as_autopush_does() {
    let rig = Rig::start().await;
    let server = vapid_pair();
    let device = browser(&rig, &server);
    let good = web_push(&rig, &device, &server, "hello");
    let nowhere = rig.send2(&good.clone().uri(good.uri.clone() + "x")).await;
    assert_eq!((nowhere.status, nowhere.body.as_str()), (404, ""));
    assert_eq!(rig.send2(&good.clone().method("PUT")).await.status, 405);
    rig.handle().remove_device(&device.id).unwrap();
    let gone = rig.send2(&good).await;
    assert_eq!(
        (gone.status, &gone.json()["errno"]),
        (410, &json!(106)),
        "{gone:?}"
    );
    assert_eq!(gone.header("cache-control"), "max-age=86400");
}

#[tokio::test]
async fn refuses_bodies_that_a_browser_could_not_open() {
    let rig = Rig::start().await;
    let server = vapid_pair();
    let good = web_push(&rig, &browser(&rig, &server), &server, "hello");
    let others = web_push(&rig, &browser(&rig, &server), &server, "for another").body;
    let at = |place: usize, byte: u8| {
        let mut body = good.body.clone();
        body[place] = byte;
        good.clone().body(body)
    };
    let cannot = "the body cannot be opened";
    let table = [
        (
            good.clone().body(vec![4; 4097]),
            413,
            104,
            "payload reached size limit",
        ),
        (good.clone().body("short"), 400, 110, cannot),
        (good.clone().body(others), 400, 110, cannot),
        (
            at(18, 0),
            400,
            110,
            "the body cannot be opened: the record size is 0",
        ),
        (
            at(20, 64),
            400,
            110,
            "the body cannot be opened: the key id is 64 bytes",
        ),
        (at(22, good.body[22] ^ 1), 400, 110, cannot),
        (at(86, good.body[86] ^ 1), 400, 110, cannot),
    ];
    check(&rig, table).await;
}

/// The good push with one claim changed, signed with this PEM and sent under this public key.
fn signed(
    rig: &Rig,
    good: &Draft,
    (pem, key): (&str, &str),
    (name, value): (&str, Value),
) -> Draft {
    let mut claims = vapid_claims(rig);
    claims[name] = value;
    let token = sign_es256(pem, &json!({}), &claims);
    good.clone()
        .with("authorization", format!("vapid t={token},k={key}"))
}

#[tokio::test]
async fn verifies_the_key_and_the_signature_of_a_sender() {
    let rig = Rig::start().await;
    let (server, stranger) = (vapid_pair(), vapid_pair());
    let good = web_push(&rig, &browser(&rig, &server), &server, "hello");
    let by = |pem: &str, key: &str| signed(&rig, &good, (pem, key), ("x", json!(1)));
    let credential = |value: &str| good.clone().with("authorization", value);
    let no_token = format!("vapid t=a.b.c,k={}", server.1);
    let table = [
        (
            by(&stranger.0, &stranger.1),
            401,
            109,
            "VAPID public key mismatch",
        ),
        (by(&stranger.0, &server.1), 401, 109, "InvalidSignature"),
        (
            credential(&no_token),
            401,
            109,
            "Invalid VAPID token: A value",
        ),
        (
            credential("Basic eDp5"),
            401,
            109,
            "Missing VAPID public key",
        ),
    ];
    check(&rig, table).await;
    let other_case = good.headers[0].1.replacen("vapid", "Vapid", 1);
    assert_eq!(rig.send2(&credential(&other_case)).await.status, 201);
}

#[tokio::test]
async fn verifies_the_claims_of_a_sender() {
    let rig = Rig::start().await;
    let server = vapid_pair();
    let good = web_push(&rig, &browser(&rig, &server), &server, "hello");
    let pair = (server.0.as_str(), server.1.as_str());
    let claim = |name: &str, value: Value| signed(&rig, &good, pair, (name, value));
    let exp = |ahead: i64| claim("exp", json!(now(&rig) + ahead));
    let slash = json!(format!("https://{}/", rig.settings().web_push.host));
    let (bad, aud) = ("Invalid VAPID token: A value", "Invalid VAPID audience");
    let (no_aud, no_sub) = (
        "Invalid VAPID token: Missing required aud",
        "Invalid VAPID token: sub",
    );
    let table = [
        (claim("aud", json!("https://example.com")), 401, 109, aud),
        (claim("aud", slash), 401, 109, aud),
        (claim("aud", Value::Null), 401, 109, no_aud),
        (exp(-120), 401, 109, "ExpiredSignature"),
        (
            exp(24 * 3600 + 300),
            401,
            109,
            "The VAPID token expiration is too long",
        ),
        (claim("exp", json!("12345")), 401, 109, bad),
        (claim("exp", Value::Null), 401, 109, bad),
        (claim("sub", json!("mailto:me@localhost")), 401, 109, no_sub),
    ];
    check(&rig, table).await;
    for draft in [exp(-30), exp(24 * 3600 - 60)] {
        assert_eq!(rig.send2(&draft).await.status, 201, "{draft:?}");
    }
}

#[tokio::test]
async fn a_keyless_subscription_takes_any_sender() {
    let rig = Rig::start().await;
    let device = rig.device(Service::WebPush);
    let signed = web_push(&rig, &device, &vapid_pair(), "hello");
    assert!(signed.uri.contains("/wpush/v1/"), "{signed:?}");
    for draft in [signed.clone(), signed.without("authorization")] {
        assert_eq!(rig.send2(&draft).await.status, 201, "{draft:?}");
    }
}
