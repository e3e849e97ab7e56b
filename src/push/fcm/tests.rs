use aws_lc_rs::{encoding::AsDer, rsa};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use super::*;
use crate::{
    egress::testing::{Reply, Seen, Server, reply},
    model::Secret,
    push::message::FcmNotification,
};

const FCM_ERROR: &str = "type.googleapis.com/google.firebase.fcm.v1.FcmError";

fn error(status: &str, message: &str, details: Value) -> String {
    json!({"error": {"code": 0, "message": message, "status": status, "details": details}})
        .to_string()
}

fn coded(status: &str, code: &str) -> String {
    error(
        status,
        "m",
        json!([{"@type": FCM_ERROR, "errorCode": code}]),
    )
}

const GONE: Step = Step::Done(Verdict::Gone { since: None });
const OPERATOR: Step = Step::Done(Verdict::Misconfigured);
const FIX: Step = Step::Done(Verdict::Rejected);

fn check(status: u16, body: &str, proven: bool, expected: Step) {
    let error = ErrorBody::read(body.as_bytes());
    let found = step(status, &error, proven);
    assert_eq!(found, expected, "{status} {proven} {body}");
}

#[test]
fn refusals_of_the_push() {
    let bad_field = |field: &str| {
        let detail = json!({"fieldViolations": [{"field": field, "description": "d"}]});
        error("INVALID_ARGUMENT", "m", json!([detail]))
    };
    let bad_token = "The registration token is not a valid FCM registration token";
    let bare = |status: &str| error(status, "m", json!([]));
    check(400, &bad_field("message.token"), false, GONE);
    check(
        400,
        &error("INVALID_ARGUMENT", bad_token, json!([])),
        false,
        GONE,
    );
    check(400, &bad_field("message.android.ttl"), true, FIX);
    check(
        400,
        &coded("INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        true,
        FIX,
    );
    check(
        401,
        &bare("UNAUTHENTICATED"),
        true,
        Step::Again(Again::NewCredential),
    );
    check(
        401,
        &coded("UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"),
        true,
        OPERATOR,
    );
    check(
        403,
        &coded("PERMISSION_DENIED", "SENDER_ID_MISMATCH"),
        false,
        GONE,
    );
    check(403, &bare("PERMISSION_DENIED"), true, OPERATOR);
    check(404, &coded("NOT_FOUND", "UNREGISTERED"), false, GONE);
    check(404, &bare("NOT_FOUND"), false, OPERATOR);
    check(404, &bare("NOT_FOUND"), true, GONE);
    check(404, "<html>", false, OPERATOR);
    check(404, "<html>", true, GONE);
    check(413, "", true, FIX);
    check(418, "", true, FIX);
    check(499, &coded("UNKNOWN", "UNSPECIFIED_ERROR"), true, FIX);
    check(302, "", true, FIX);
}

#[test]
fn demands_to_wait() {
    let quota = |subject: &str| {
        let code = json!({"@type": FCM_ERROR, "errorCode": "QUOTA_EXCEEDED"});
        let quota = json!({"violations": [{"subject": subject}]});
        error("RESOURCE_EXHAUSTED", "m", json!([code, quota]))
    };
    let minute = Some(Duration::from_secs(60));
    let lane = answer::retry(None, Scope::Lane);
    check(
        429,
        &quota("project:p"),
        true,
        answer::retry(minute, Scope::Lane),
    );
    check(
        429,
        &quota("device:d"),
        true,
        answer::retry(minute, Scope::Channel),
    );
    check(
        500,
        &coded("INTERNAL", "INTERNAL"),
        true,
        answer::retry(None, Scope::Unsaid),
    );
    check(502, "<html>", true, lane);
    check(503, &coded("UNAVAILABLE", "UNAVAILABLE"), true, lane);
    check(504, "", true, lane);
    check(200, "<html>", true, lane);
    check(599, &coded("UNKNOWN", "UNSPECIFIED_ERROR"), true, lane);
    check(429, "<html>", true, answer::retry(minute, Scope::Lane));
}

#[test]
fn an_answer_that_breaks_off_says_by_its_status_that_the_push_was_taken() {
    let read = |status: u16, body: &str, whole: bool| {
        let mut answer = answer::tests::answer(status, &[], body);
        answer.whole = whole;
        super::read(&answer, true, Timestamp::default())
    };
    let unnamed = ServiceAnswer {
        status: 200,
        reason: None,
        id: None,
    };
    let taken = Step::Done(Verdict::Accepted);
    let name = r#"{ "name": "projects/p/messages/0:1"#;
    for (body, whole) in [
        ("", false),
        ("{", false),
        ("{\n  \"na", false),
        (name, false),
        (name, true),
    ] {
        assert_eq!(read(200, body, whole), (taken, unnamed.clone()), "{body}");
    }
    let (step, said) = read(200, &format!("{name}\"}}"), false);
    assert_eq!(step, taken);
    assert_eq!(said.id.as_deref(), Some("projects/p/messages/0:1"));
    // What others say, a proxy or a sign-in page, names no message.
    for (body, whole) in [
        ("", true),
        ("{}", true),
        ("{\"ok\":", false),
        ("<html><bo", false),
    ] {
        let (step, _) = read(200, body, whole);
        assert_eq!(step, answer::retry(None, Scope::Lane), "{body}");
    }
    assert_eq!(
        read(503, "{\"na", false).0,
        answer::retry(None, Scope::Lane)
    );
}

/// What Google's own description of the interface makes of our bodies, it gives back unchanged.
#[test]
fn bodies_survive_googles_description() {
    for notification in [None, shown()] {
        let message = message(notification);
        let ours = serde_json::to_string(&body("tok", &message)).unwrap();
        let theirs: google_fcm1::api::SendMessageRequest = serde_json::from_str(&ours).unwrap();
        let theirs = theirs.message.unwrap();
        let android = theirs.android.unwrap();
        assert_eq!(theirs.token.as_deref(), Some("tok"));
        assert_eq!(theirs.data.unwrap()["beckon"], "1");
        assert_eq!(
            android.priority.as_deref(),
            Some(if message.high { "high" } else { "normal" })
        );
        let shown = message.notification.as_ref();
        assert_eq!(
            theirs.notification.and_then(|n| n.title),
            shown.map(|n| n.title.clone())
        );
        let tag = android.notification.and_then(|n| n.tag);
        assert_eq!(tag, shown.map(|n| n.tag.clone()));
    }
}

/// Where values stand in a JSON value, and of which kind they are; entries of `data` are the app's own.
fn shape(at: &str, value: &Value) -> BTreeMap<String, &'static str> {
    let kind = match value {
        Value::Object(members) if !at.ends_with(".data") => {
            let inner = |(name, value): (&String, &Value)| shape(&format!("{at}.{name}"), value);
            return members.iter().flat_map(inner).collect();
        }
        Value::Object(_) => "object",
        Value::String(_) => "string",
        _ => "other",
    };
    BTreeMap::from([(at.to_owned(), kind)])
}

/// `recorded.json`: bodies that Google's own server SDK (firebase-admin for Node, 13.10.0) sent.
#[test]
fn bodies_are_made_of_what_googles_own_sdk_sends() {
    let recorded: Value = serde_json::from_str(include_str!("recorded.json")).unwrap();
    let recorded = recorded.as_array().unwrap();
    let known: BTreeMap<_, _> = recorded.iter().flat_map(|body| shape("", body)).collect();
    for notification in [None, shown()] {
        let ours = serde_json::to_value(body("tok", &message(notification))).unwrap();
        for (at, kind) in shape("", &ours) {
            assert_eq!(known.get(&at), Some(&kind), "{at}");
        }
    }
    let android = |body: &Value| body["message"]["android"].clone();
    let urgent = FcmMessage {
        high: true,
        ttl: Duration::from_secs(60),
        data: vec![("id", "n-1".into())],
        notification: None,
    };
    let mut theirs = recorded[0].clone();
    assert_eq!(android(&theirs)["ttl"], "60s");
    // The one member that we never send: Google throttles messages with one.
    theirs["message"]["android"]
        .as_object_mut()
        .unwrap()
        .remove("collapse_key");
    assert_eq!(serde_json::to_value(body("tok", &urgent)).unwrap(), theirs);
}

fn settings(server: &Server) -> apps::Fcm {
    let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
    let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der>::as_der(&pair).unwrap();
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(der.as_ref())
    );
    apps::Fcm {
        project_id: "p-1".into(),
        client_email: "hub@p-1.iam.gserviceaccount.com".into(),
        private_key: Secret::new(pem.into_bytes()),
        private_key_id: "kid-1".into(),
        token_uri: "https://oauth2.googleapis.com/token".into(),
        channel_id: None,
        endpoint: Some(server.url.clone()),
        token_endpoint: Some(server.at("token")),
        ca: Some(Arc::new(server.ca.clone())),
    }
}

async fn server(script: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Server {
    let pushes = std::sync::atomic::AtomicUsize::new(0);
    Server::start(&["h2"], move |seen| {
        if seen.target.ends_with("/token") {
            return reply(
                200,
                format!(r#"{{"access_token":"t{}","expires_in":3599}}"#, seen.nth),
            );
        }
        script(seen, pushes.fetch_add(1, Ordering::SeqCst))
    })
    .await
}

fn message(notification: Option<FcmNotification>) -> FcmMessage {
    FcmMessage {
        high: notification.is_some(),
        ttl: Duration::from_millis(90_500),
        data: vec![("beckon", "1".into()), ("v", "1".into())],
        notification,
    }
}

fn shown() -> Option<FcmNotification> {
    Some(FcmNotification {
        title: "New \"message\"".into(),
        body: Some("Grüezi".into()),
        tag: "n-1".into(),
        channel_id: Some("alerts".into()),
    })
}

/// 2023-11-14T22:13:20Z.
fn now() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000)
}

#[test]
fn bodies() {
    let silent = message(None);
    assert_eq!(
        serde_json::to_value(body("tok", &silent)).unwrap(),
        json!({"message": {
            "token": "tok",
            "data": {"beckon": "1", "v": "1"},
            "android": {"priority": "normal", "ttl": "90s"},
        }})
    );
    let visible = message(shown());
    assert_eq!(
        serde_json::to_value(body("tok", &visible)).unwrap(),
        json!({"message": {
            "token": "tok",
            "data": {"beckon": "1", "v": "1"},
            "notification": {"title": "New \"message\"", "body": "Grüezi"},
            "android": {
                "priority": "high",
                "ttl": "90s",
                "notification": {"tag": "n-1", "channel_id": "alerts"},
            },
        }})
    );
}

#[tokio::test]
async fn a_push_as_google_wants_it() {
    let server = server(|_, _| reply(200, r#"{"name":"projects/p-1/messages/0:1"}"#)).await;
    let fcm = Fcm::new(Arc::new(settings(&server))).unwrap();
    let outcome = fcm.send("tok", &message(shown()), now()).await;
    assert_eq!(outcome.verdict, Verdict::Accepted);
    assert_eq!(
        outcome.answer.id.as_deref(),
        Some("projects/p-1/messages/0:1")
    );
    let seen = server.seen();
    assert!(
        seen[1].target.ends_with("/v1/projects/p-1/messages:send"),
        "{}",
        seen[1].target
    );
    assert_eq!(seen[1].header("authorization"), Some("Bearer t0"));
    assert_eq!(seen[1].header("content-type"), Some("application/json"));

    let form: BTreeMap<_, _> = url::form_urlencoded::parse(&seen[0].body)
        .into_owned()
        .collect();
    assert_eq!(
        form["grant_type"],
        "urn:ietf:params:oauth:grant-type:jwt-bearer"
    );
    let parts: Vec<&str> = form["assertion"].split('.').collect();
    let part = |n: usize| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[n]).unwrap()).unwrap()
    };
    assert_eq!(
        part(0),
        json!({"alg": "RS256", "typ": "JWT", "kid": "kid-1"})
    );
    let claims = part(1);
    assert_eq!(claims["aud"], "https://oauth2.googleapis.com/token");
    assert_eq!(claims["iss"], "hub@p-1.iam.gserviceaccount.com");
    assert_eq!(claims["scope"], SCOPE);
    assert_eq!(claims["iat"], now().as_secs());
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let unauthenticated = || reply(401, error("UNAUTHENTICATED", "m", json!([])));
    let first_refused = server(move |_, nth| match nth {
        0 => unauthenticated(),
        _ => reply(200, r#"{"name":"n"}"#),
    })
    .await;
    let fcm = Fcm::new(Arc::new(settings(&first_refused))).unwrap();
    assert_eq!(
        fcm.send("tok", &message(None), now()).await.verdict,
        Verdict::Accepted
    );
    assert_eq!(first_refused.seen().len(), 4);

    let all_refused = server(move |_, _| unauthenticated()).await;
    let fcm = Fcm::new(Arc::new(settings(&all_refused))).unwrap();
    let outcome = fcm.send("tok", &message(None), now()).await;
    assert_eq!(outcome.verdict, Verdict::Misconfigured);
    assert_eq!(outcome.answer.reason.as_deref(), Some("UNAUTHENTICATED: m"));
    assert_eq!(all_refused.seen().len(), 4);
}

#[tokio::test]
async fn a_demand_to_wait_is_heard() {
    let server = server(|_, _| reply(503, "<html>").header("retry-after", "7")).await;
    let fcm = Fcm::new(Arc::new(settings(&server))).unwrap();
    let outcome = fcm.send("tok", &message(None), now()).await;
    let after = Some(Duration::from_secs(7));
    let scope = Scope::Lane;
    assert_eq!(outcome.verdict, Verdict::Retry { after, scope });
}

#[tokio::test]
async fn bad_settings_are_named() {
    let server = server(|_, _| reply(200, r#"{"name":"n"}"#)).await;
    let check = |change: &dyn Fn(&mut apps::Fcm), expected: &str| {
        let mut settings = settings(&server);
        change(&mut settings);
        let fault = Fcm::new(Arc::new(settings)).unwrap_err();
        assert!(fault.starts_with(expected), "{fault}");
    };
    check(
        &|s| s.private_key = Secret::new(b"no".to_vec()),
        "private_key",
    );
    check(&|s| s.ca = Some(Arc::new(Vec::new())), "ca_file");
    let elsewhere = |s: &mut apps::Fcm| {
        s.token_endpoint = None;
        s.token_uri = "https://evil.example/token".into();
    };
    check(&elsewhere, "token_uri");
    let lookalike = |s: &mut apps::Fcm| {
        s.token_endpoint = None;
        s.token_uri = "https://xgoogleapis.com/token".into();
    };
    check(&lookalike, "token_uri");
}
