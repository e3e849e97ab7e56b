mod tokens;

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use futures_util::future::join_all;

use super::*;
use crate::model::Secret;
use crate::{
    egress::testing::{Reply, Seen, Server, reply},
    push::web_push::VapidKey,
};

const GONE: Step = Step::Done(Verdict::Gone { since: None });
const FIX: Step = Step::Done(Verdict::Rejected);
const OPERATOR: Step = Step::Done(Verdict::Misconfigured);
const CHANNEL: Step = later(None, Scope::Channel);
const UNSAID: Step = later(None, Scope::Unsaid);
const LANE: Step = later(None, Scope::Lane);

const fn later(after: Option<Duration>, scope: Scope) -> Step {
    Step::Done(Verdict::Retry { after, scope })
}

/// Every row of Apple's page, and what may come from in between.
const ANSWERS: &[(u16, &str, Step)] = &[
    (200, "", Step::Done(Verdict::Accepted)),
    (301, "", FIX),
    (400, "BadDeviceToken", GONE),
    (400, "DeviceTokenNotForTopic", GONE),
    (400, "BadTopic", OPERATOR),
    (400, "MissingTopic", OPERATOR),
    (400, "TopicDisallowed", OPERATOR),
    (400, "BadCollapseId", FIX),
    (400, "BadExpirationDate", FIX),
    (400, "BadMessageId", FIX),
    (400, "BadPriority", FIX),
    (400, "InvalidPushType", FIX),
    (400, "DuplicateHeaders", FIX),
    (400, "PayloadEmpty", FIX),
    (400, "MissingDeviceToken", FIX),
    (400, "SomethingNew", FIX),
    (400, "", FIX),
    (400, "IdleTimeout", UNSAID),
    (
        403,
        "ExpiredProviderToken",
        Step::Again(Again::NewCredential),
    ),
    (
        403,
        "UnrelatedKeyIdInToken",
        Step::Again(Again::NewConnection),
    ),
    (403, "InvalidProviderToken", OPERATOR),
    (403, "MissingProviderToken", OPERATOR),
    (403, "BadEnvironmentKeyIdInToken", OPERATOR),
    (403, "BadEnvironmentKeyInToken", OPERATOR),
    (403, "BadCertificate", OPERATOR),
    (403, "BadCertificateEnvironment", OPERATOR),
    (403, "Forbidden", OPERATOR),
    (403, "SomethingNew", OPERATOR),
    (403, "", OPERATOR),
    (404, "BadPath", FIX),
    (405, "MethodNotAllowed", FIX),
    (410, "Unregistered", GONE),
    (410, "ExpiredToken", GONE),
    (410, "", FIX),
    (413, "PayloadTooLarge", FIX),
    (429, "TooManyRequests", CHANNEL),
    (429, "", UNSAID),
    (
        429,
        "TooManyProviderTokenUpdates",
        later(Some(Duration::from_secs(60)), Scope::Lane),
    ),
    (500, "InternalServerError", UNSAID),
    (500, "<html>", UNSAID),
    (502, "<html>", LANE),
    (503, "ServiceUnavailable", LANE),
    (503, "Shutdown", LANE),
    (503, "", LANE),
    (504, "", LANE),
];

#[test]
fn apples_answers() {
    for (status, reason, expected) in ANSWERS {
        assert_eq!(step(*status, reason), *expected, "{status} {reason}");
    }
}

/// The names in our table are Apple's own, as an independent client knows them.
#[test]
fn the_reasons_are_those_of_another_client() {
    use apns_h2::ErrorReason;
    for reason in [
        "BadDeviceToken",
        "DeviceTokenNotForTopic",
        "ExpiredProviderToken",
        "Unregistered",
        "IdleTimeout",
    ] {
        let known: Result<ErrorReason, _> = serde_json::from_value(reason.into());
        assert!(known.is_ok(), "{reason}");
    }
}

fn settings(server: &Server) -> apps::Apns {
    let key = VapidKey::generate().unwrap();
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(key.expose())
    );
    apps::Apns {
        login: ApnsLogin::Token {
            key: Secret::new(pem.into_bytes()),
            key_id: "KEY4567890".into(),
            team_id: "TEAM567890".into(),
        },
        topic: "com.example.app".into(),
        sound: None,
        category: None,
        environment: ApnsEnvironment::Production,
        endpoint: Some(server.url.clone()),
        ca: Some(Arc::new(server.ca.clone())),
    }
}

fn adapter(server: &Server) -> Apns {
    Apns::new(Arc::new(settings(server)), ApnsEnvironment::Production).unwrap()
}

fn message() -> ApnsMessage {
    ApnsMessage {
        push_type: ApnsPushType::Alert,
        priority: 10,
        collapse_id: "n-1".into(),
        ttl: Duration::from_millis(3_600_999),
        payload: Bytes::from_static(b"{\"aps\":{}}"),
    }
}

/// What Apple says of a push that it takes.
fn taken() -> Reply {
    reply(200, "").header("apns-id", "the-id")
}

fn at(mins: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000).plus(Duration::from_secs(mins * 60))
}

async fn send(apns: &Apns, topic: Option<&str>, now: Timestamp) -> Outcome {
    let token = DeviceToken::parse("00ff").unwrap();
    let device = Device {
        token: &token,
        topic,
    };
    apns.send(device, &message(), Uuid::nil(), now).await
}

fn claims(seen: &Seen) -> serde_json::Value {
    let jwt = seen
        .header("authorization")
        .unwrap()
        .strip_prefix("bearer ")
        .unwrap();
    let parts: Vec<Vec<u8>> = jwt
        .split('.')
        .map(|part| URL_SAFE_NO_PAD.decode(part).unwrap())
        .collect();
    assert_eq!(parts[2].len(), 64, "raw signature");
    let head: serde_json::Value = serde_json::from_slice(&parts[0]).unwrap();
    assert_eq!(
        head,
        serde_json::json!({"alg": "ES256", "kid": "KEY4567890"})
    );
    serde_json::from_slice(&parts[1]).unwrap()
}

#[tokio::test]
async fn a_push_as_apple_wants_it() {
    let server = Server::start(&["h2"], |_| taken()).await;
    let outcome = send(&adapter(&server), None, at(0)).await;
    assert_eq!(outcome.verdict, Verdict::Accepted);
    assert_eq!(outcome.answer.id.as_deref(), Some("the-id"));
    let seen = &server.seen()[0];
    assert!(seen.target.ends_with("/3/device/00ff"), "{}", seen.target);
    for (name, value) in [
        ("apns-topic", "com.example.app"),
        ("apns-push-type", "alert"),
        ("apns-priority", "10"),
        ("apns-expiration", "1700003600"),
        ("apns-collapse-id", "n-1"),
        ("apns-id", "00000000-0000-0000-0000-000000000000"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    let claims = claims(seen);
    assert_eq!(claims["iss"], "TEAM567890");
    assert_eq!(claims.as_object().unwrap().len(), 2, "no exp: {claims}");
    // It is signed as the push leaves, once there is a connection.
    let signed = claims["iat"].as_u64().unwrap();
    let connected = 1_700_000_000..1_700_000_010;
    assert!(connected.contains(&signed), "{signed}");
}

#[tokio::test]
async fn a_page_with_a_good_status_is_not_apples() {
    let page = "<html>Sign in to the hotel's network</html>";
    let server = Server::start(&["h2"], move |_| reply(200, page)).await;
    let outcome = send(&adapter(&server), None, at(0)).await;
    assert_eq!(Step::Done(outcome.verdict), LANE);
    assert_eq!(outcome.answer.status, 200);
    assert_eq!(outcome.answer.reason.as_deref(), Some(page));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_token_serves_fifty_minutes() {
    let server = Server::start(&["h2"], |_| {
        reply(500, r#"{"reason":"InternalServerError"}"#)
    })
    .await;
    let apns = adapter(&server);
    // A minute more than its time: it is as old as what it left with first.
    for mins in [0, 49, 51, 100] {
        send(&apns, None, at(mins)).await;
    }
    let tokens: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| claims(seen)["iat"].clone())
        .collect();
    assert_eq!(tokens[0], tokens[1]);
    assert_ne!(tokens[1], tokens[2]);
    assert_eq!(tokens[2], tokens[3]);
}

#[tokio::test]
async fn an_expired_token_is_replaced_once_and_so_is_its_connection() {
    let expired = r#"{"reason":"ExpiredProviderToken"}"#;
    let server = Server::start(&["h2"], move |seen| match seen.nth {
        1 => reply(403, expired),
        _ => taken(),
    })
    .await;
    let apns = adapter(&server);
    send(&apns, None, at(0)).await;
    assert_eq!(send(&apns, None, at(1)).await.verdict, Verdict::Accepted);
    let seen = server.seen();
    assert_eq!(claims(&seen[0]), claims(&seen[1]));
    assert_ne!(claims(&seen[1]), claims(&seen[2]));
    assert_eq!((seen.len(), server.connections()), (3, 2));
}

#[tokio::test]
async fn a_young_token_is_replaced_once_in_twenty_minutes_and_no_more() {
    let server = Server::start(&["h2"], |_| {
        reply(403, r#"{"reason":"ExpiredProviderToken"}"#)
    })
    .await;
    let apns = adapter(&server);
    let mut verdicts = Vec::new();
    for mins in [0, 1, 2, 19] {
        verdicts.push(send(&apns, None, at(mins)).await.verdict);
    }
    assert_eq!(verdicts, [Verdict::Misconfigured; 4]);
    let bearers: std::collections::BTreeSet<String> = server
        .seen()
        .iter()
        .map(|seen| seen.header("authorization").unwrap().to_owned())
        .collect();
    assert_eq!(bearers.len(), 2, "the first one, and the one in its place");
}

#[tokio::test]
async fn a_clock_that_is_set_back_a_little_costs_no_token() {
    let server = Server::start(&["h2"], |_| taken()).await;
    let apns = adapter(&server);
    send(&apns, None, at(1)).await;
    send(&apns, None, at(0).plus(Duration::from_secs(10))).await;
    let seen = server.seen();
    assert_eq!(claims(&seen[0]), claims(&seen[1]));
}

#[tokio::test]
async fn a_second_refusal_is_the_operators() {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let server = Server::start(&["h2"], move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        reply(403, r#"{"reason":"UnrelatedKeyIdInToken"}"#)
    })
    .await;
    let outcome = send(&adapter(&server), None, at(0)).await;
    assert_eq!(outcome.verdict, Verdict::Misconfigured);
    assert_eq!(
        outcome.answer.reason.as_deref(),
        Some("UnrelatedKeyIdInToken")
    );
    assert_eq!((count.load(Ordering::SeqCst), server.connections()), (2, 2));
}

#[tokio::test]
async fn a_dead_token_says_since_when() {
    let server = Server::start(&["h2"], |_| {
        reply(
            410,
            r#"{"reason":"Unregistered","timestamp":1700000000123}"#,
        )
    })
    .await;
    let since = Some(Timestamp::from_millis(1_700_000_000_123));
    let outcome = send(&adapter(&server), None, at(0)).await;
    assert_eq!(outcome.verdict, Verdict::Gone { since });
}

#[tokio::test]
async fn a_clients_wrong_topic_stops_nobody_else() {
    let server = Server::start(&["h2"], |_| reply(400, r#"{"reason":"TopicDisallowed"}"#)).await;
    let apns = adapter(&server);
    let theirs = send(&apns, Some("com.example.other"), at(0)).await;
    assert_eq!(theirs.verdict, Verdict::Rejected);
    assert_eq!(
        send(&apns, None, at(0)).await.verdict,
        Verdict::Misconfigured
    );
}

#[tokio::test]
async fn a_burst_shares_one_token_and_one_connection() {
    let server = Server::start(&["h2"], |_| taken()).await;
    let apns = adapter(&server);
    let outcomes = join_all((0..50).map(|_| send(&apns, None, at(0)))).await;
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.verdict == Verdict::Accepted)
    );
    let mut tokens: Vec<String> = server
        .seen()
        .iter()
        .map(|seen| seen.header("authorization").unwrap().to_owned())
        .collect();
    tokens.dedup();
    assert_eq!((tokens.len(), server.connections()), (1, 1));
}

#[tokio::test]
async fn the_check_expects_a_bad_device_token() {
    let check = async |status: u16, reason: &str| {
        let body = format!(r#"{{"reason":"{reason}"}}"#);
        let server = Server::start(&["h2"], move |_| reply(status, body.clone())).await;
        adapter(&server).check(at(0)).await
    };
    assert!(check(400, "BadDeviceToken").await.is_ok());
    let wrong = check(403, "InvalidProviderToken").await.unwrap_err();
    assert!(
        wrong.contains("403, InvalidProviderToken; compare key_file"),
        "{wrong}"
    );
}

#[tokio::test]
async fn the_check_says_where_nobody_listens() {
    let server = Server::start(&["h2"], |_| reply(200, String::new())).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = free.local_addr().unwrap();
    drop(free);
    let mut apns = adapter(&server);
    apns.base.set_port(Some(place.port())).unwrap();
    let wrong = apns.check(at(0)).await.unwrap_err();
    let advice = format!("; nobody listens at {place}: see what should run there, and endpoint");
    assert!(wrong.ends_with(&advice), "{wrong}");
}

/// A certificate of our own, and the login by it.
fn certificate(expires: Timestamp) -> (Vec<u8>, ApnsLogin) {
    let (pem, key) = crate::egress::testing::client_certificate();
    let login = ApnsLogin::Certificate(crate::config::Certificate {
        chain: pem.clone(),
        key: Secret::new(key),
        facts: until(expires),
    });
    (pem, login)
}

fn until(expires: Timestamp) -> crate::config::Facts {
    crate::config::Facts {
        begins: at(0),
        expires,
        astray: None,
    }
}

#[tokio::test]
async fn a_certificate_stands_in_the_place_of_a_token() {
    let (pem, login) = certificate(at(3 * 24 * 60));
    let server = Server::start_for_certified(&["h2"], &pem, |_| {
        reply(400, r#"{"reason":"BadDeviceToken"}"#)
    })
    .await;
    let with = |login| {
        let settings = apps::Apns {
            login,
            ..settings(&server)
        };
        Apns::new(Arc::new(settings), ApnsEnvironment::Production).unwrap()
    };
    let proved = with(login).check(at(0)).await.unwrap();
    assert!(proved.ends_with("in 3 days"), "{proved}");
    let seen = &server.seen()[0];
    assert_eq!(seen.header("authorization"), None);
    assert_eq!(seen.header("apns-topic"), Some("com.example.app"));

    let (_, another) = certificate(at(3 * 24 * 60));
    let refused = with(another).check(at(0)).await.unwrap_err();
    assert!(refused.contains("connection"), "{refused}");
    let (_, old) = certificate(at(0));
    let ended = with(old).check(at(1)).await.unwrap_err();
    assert!(ended.contains("ended at 2023-11-14"), "{ended}");
}

#[tokio::test]
async fn a_certificate_needs_its_own_key() {
    let server = Server::start(&["h2"], |_| reply(200, "")).await;
    let (chain, _) = crate::egress::testing::client_certificate();
    let (_, key) = crate::egress::testing::client_certificate();
    let settings = apps::Apns {
        login: ApnsLogin::Certificate(crate::config::Certificate {
            chain,
            key: Secret::new(key),
            facts: until(at(1)),
        }),
        ..settings(&server)
    };
    let fault = Apns::new(Arc::new(settings), ApnsEnvironment::Production).unwrap_err();
    assert!(fault.starts_with("certificate_file and its key"), "{fault}");
}

#[tokio::test]
async fn bad_settings_are_named() {
    let server = Server::start(&["h2"], |_| reply(200, "")).await;
    let mut bad_key = settings(&server);
    bad_key.login = ApnsLogin::Token {
        key: Secret::new(b"no key".to_vec()),
        key_id: "KEY4567890".into(),
        team_id: "TEAM567890".into(),
    };
    let fault = Apns::new(Arc::new(bad_key), ApnsEnvironment::Sandbox).unwrap_err();
    assert!(fault.starts_with("key_file"), "{fault}");
    let mut bad_ca = settings(&server);
    bad_ca.ca = Some(Arc::new(b"no certificate".to_vec()));
    let fault = Apns::new(Arc::new(bad_ca), ApnsEnvironment::Sandbox).unwrap_err();
    assert!(fault.starts_with("ca_file"), "{fault}");
}
