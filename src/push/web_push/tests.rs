use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::{
    config::apps::HostRule,
    egress::testing::{Reply, Seen, Server, reply},
    model::Secret,
    push::message::Urgency,
};

const ACCEPTED: Step = Step::Done(Verdict::Accepted);
const GONE: Step = Step::Done(Verdict::Gone { since: None });
const OPERATOR: Step = Step::Done(Verdict::Misconfigured);
const FIX: Step = Step::Done(Verdict::Rejected);
const LATER: Step = Step::Done(Verdict::Retry {
    after: None,
    scope: Scope::Unsaid,
});
const CHANNEL: Step = Step::Done(Verdict::Retry {
    after: None,
    scope: Scope::Channel,
});
const ANEW: Step = Step::Again(Again::NewCredential);

/// What the four families of services say; the same whether or not one of them ever took a push.
const ANSWERS: &[(u16, &str, Step)] = &[
    (200, "", ACCEPTED),
    (201, "", ACCEPTED),
    (202, "", ACCEPTED),
    (204, "", ACCEPTED),
    (301, "", FIX),
    (307, "", FIX),
    (400, "BadTtl", FIX),
    (400, "BadUrgency", FIX),
    (400, "BadWebPushRequest", FIX),
    (400, "Invalid Topic", FIX),
    (400, "", FIX),
    (400, "BadWebPushTopic", Step::Again(Again::WithoutTopic)),
    (400, "<title>UnauthorizedRegistration</title>", OPERATOR),
    (401, "InvalidSignature", ANEW),
    (401, "ExpiredSignature", ANEW),
    (401, "Invalid VAPID audience", ANEW),
    (401, "authorization header must be specified", ANEW),
    (403, "BadJwtToken", ANEW),
    (403, "BadAuthorizationHeader", ANEW),
    (403, "BadVapidPublicKey", ANEW),
    (403, "invalid push subscription endpoint.", CHANNEL),
    (404, "", GONE),
    (404, "No such subscription", GONE),
    (405, "", FIX),
    (406, "", LATER),
    (410, "", GONE),
    (410, "push subscription has unsubscribed or expired.", GONE),
    (410, "Domain Blocked", OPERATOR),
    (413, "PayloadTooLarge", FIX),
    (429, "TooManyRequests", LATER),
    (500, "", LATER),
    (502, "", LATER),
    (503, "", LATER),
    (504, "", LATER),
    (507, "", CHANNEL),
];

/// What says that the subscription was made with another key: its death, or the sign that our key is the wrong one.
const OTHER_KEYS: &[(u16, &str)] = &[
    (400, "VapidPkHashMismatch"),
    (403, "VapidPkHashMismatch"),
    (401, "VAPID public key mismatch"),
    (
        403,
        "the VAPID credentials in the authorization header do not correspond to the credentials used to create the subscriptions.",
    ),
];

#[test]
fn the_services_answers() {
    for (status, said, expected) in ANSWERS {
        for proven in [false, true] {
            let found = step(*status, said, proven);
            assert_eq!(found, *expected, "{status} {said} {proven}");
        }
    }
    for (status, said) in OTHER_KEYS {
        assert_eq!(step(*status, said, true), GONE, "{status} {said}");
        assert_eq!(step(*status, said, false), OPERATOR, "{status} {said}");
    }
}

#[test]
fn subjects() {
    for good in ["mailto:ops@example.com", "https://example.com/contact"] {
        assert_eq!(check_subject(good), Ok(()), "{good}");
    }
    for bad in [
        "",
        "ops@example.com",
        "mailto:ops",
        "mailto:ops@localhost",
        "mailto:ops@hub.invalid",
        "mailto: <ops@example.com>",
        "https://localhost",
        "http://example.com",
    ] {
        assert!(
            check_subject(bad).unwrap_err().starts_with("subject"),
            "{bad}"
        );
    }
}

/// 2023-11-14T22:13:20Z.
fn now() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000)
}

fn key() -> VapidKey {
    VapidKey::from_pkcs8(VapidKey::generate().unwrap().expose()).unwrap()
}

async fn server(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Server {
    Server::start(&["h2", "http/1.1"], script).await
}

fn adapter(server: &Server, older: Vec<VapidKey>) -> WebPush {
    let rule = format!("127.0.0.1:{}", server.url.port().unwrap());
    let settings = apps::WebPush {
        subject: "mailto:ops@example.com".into(),
        key: None,
        allowed_hosts: vec![HostRule::parse(&rule).unwrap()],
        hosts: Default::default(),
        ca: Some(Arc::new(server.ca.clone())),
    };
    WebPush::new(Arc::new(settings), key(), older).unwrap()
}

async fn send(web_push: &WebPush, server: &Server, vapid: Option<&[u8]>) -> Outcome {
    send_text(web_push, server, (vapid, "{}", None)).await
}

async fn send_text(
    web_push: &WebPush,
    server: &Server,
    (vapid, text, bare): (Option<&[u8]>, &'static str, Option<&'static str>),
) -> Outcome {
    let keys = WebPushKeys {
        // Any point on the curve will do.
        p256dh: web_push.key.public_key(),
        auth: Secret::new([7; 16]),
    };
    let endpoint = server.at("wpush/v2/abc");
    let subscription = Subscription {
        endpoint: endpoint.as_str(),
        keys: &keys,
        vapid_public_key: vapid,
    };
    let message = WebPushMessage {
        urgency: Urgency::High,
        topic: Some("x".repeat(32)),
        ttl: Duration::from_secs(60),
        plaintext: Bytes::from_static(text.as_bytes()),
        bare: bare.map(|bare| Bytes::from_static(bare.as_bytes())),
    };
    web_push.send(subscription, &message, now()).await
}

#[tokio::test]
async fn a_push_as_rfc_8030_wants_it() {
    let server = server(|_| reply(201, "").header("location", "https://x/m/1")).await;
    let web_push = adapter(&server, Vec::new());
    let outcome = send(&web_push, &server, None).await;
    assert_eq!(outcome.verdict, Verdict::Accepted);
    assert_eq!(outcome.answer.id.as_deref(), Some("https://x/m/1"));
    let seen = &server.seen()[0];
    let topic = "x".repeat(32);
    for (name, value) in [
        ("ttl", "60"),
        ("urgency", "high"),
        ("topic", &*topic),
        ("content-encoding", "aes128gcm"),
        ("content-type", "application/octet-stream"),
        ("content-length", "105"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    let credential = seen.header("authorization").unwrap();
    assert!(
        credential.starts_with("vapid t=")
            && credential.ends_with(&web_push.key.public_key_base64url())
    );
}

#[tokio::test]
async fn a_subscription_keeps_its_own_key() {
    let server = server(|_| reply(201, "")).await;
    let old = key();
    let web_push = adapter(&server, vec![old.clone()]);
    assert_eq!(
        send(&web_push, &server, Some(&old.public_key()))
            .await
            .verdict,
        Verdict::Accepted
    );
    let used = server.seen()[0].header("authorization").unwrap().to_owned();
    assert!(used.ends_with(&old.public_key_base64url()));
    let lost = key().public_key();
    assert_eq!(
        send(&web_push, &server, Some(&lost)).await.verdict,
        Verdict::Retry {
            after: None,
            scope: Scope::Channel
        }
    );
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let server = server(|seen| {
        let body = r#"{"code":401,"errno":109,"message":"ExpiredSignature"}"#;
        if seen.nth == 0 {
            reply(401, body)
        } else {
            reply(201, "")
        }
    })
    .await;
    let web_push = adapter(&server, Vec::new());
    assert_eq!(
        send(&web_push, &server, None).await.verdict,
        Verdict::Accepted
    );
    let seen = server.seen();
    assert_ne!(
        seen[0].header("authorization"),
        seen[1].header("authorization")
    );
    assert_eq!(seen[0].body, seen[1].body);
}

#[tokio::test]
async fn a_topic_that_cannot_be_read_is_left_out() {
    let server = server(|seen| match seen.header("topic") {
        Some(_) => reply(400, r#"{"reason":"BadWebPushTopic"}"#),
        None => reply(201, ""),
    })
    .await;
    let web_push = adapter(&server, Vec::new());
    assert_eq!(
        send(&web_push, &server, None).await.verdict,
        Verdict::Accepted
    );
}

/// How long a body is that holds so much text (RFC 8188: header, delimiter, tag).
fn sealed(text: &str) -> String {
    (86 + text.len() + 1 + 16).to_string()
}

#[tokio::test]
async fn what_is_too_long_goes_out_once_more_without_title_and_body() {
    const LONG: &str = r#"{"beckon":{},"title":"Lunch?"}"#;
    const BARE: &str = r#"{"beckon":{}}"#;
    let check = async |answers: &'static [u16], bare: Option<&'static str>, verdict: Verdict| {
        let server = server(move |seen| reply(answers[seen.nth], "")).await;
        let web_push = adapter(&server, Vec::new());
        let outcome = send_text(&web_push, &server, (None, LONG, bare)).await;
        assert_eq!(outcome.verdict, verdict, "{answers:?}");
        assert_eq!(Some(&outcome.answer.status), answers.last(), "{answers:?}");
        let again = bare.filter(|_| answers[0] == 413);
        assert_eq!(outcome.again, again.map(|_| Again::WithoutText));
        let sent: Vec<String> = server
            .seen()
            .iter()
            .map(|seen| seen.header("content-length").unwrap().to_owned())
            .collect();
        let texts = std::iter::once(LONG).chain(again);
        assert_eq!(sent, texts.map(sealed).collect::<Vec<_>>(), "{answers:?}");
    };
    check(&[201], Some(BARE), Verdict::Accepted).await;
    check(&[413, 201], Some(BARE), Verdict::Accepted).await;
    check(&[413, 413], Some(BARE), Verdict::Rejected).await;
    check(&[413, 410], Some(BARE), Verdict::Gone { since: None }).await;
    check(&[413], None, Verdict::Rejected).await;
}

#[tokio::test]
async fn a_page_with_a_good_status_is_no_push_services() {
    let page = "<html>Sign in to the hotel's network</html>";
    let later = Verdict::Retry {
        after: None,
        scope: Scope::Unsaid,
    };
    let check = async |status: u16, media: &'static str, verdict: Verdict| {
        let server = server(move |_| reply(status, page).header("content-type", media)).await;
        let outcome = send(&adapter(&server, Vec::new()), &server, None).await;
        assert_eq!(outcome.verdict, verdict, "{status} {media}");
        let said = Some(page).filter(|_| verdict == later);
        assert_eq!(outcome.answer.reason.as_deref(), said, "{status} {media}");
    };
    check(200, "text/html", later).await;
    check(200, "Text/HTML; charset=utf-8", later).await;
    check(203, "text/html", later).await;
    check(200, "text/plain", Verdict::Accepted).await;
    check(200, "application/json", Verdict::Accepted).await;
    check(201, "text/html", Verdict::Accepted).await;
    check(202, "text/html", Verdict::Accepted).await;
    // A 204 has no body to say anything.
    let server = server(|_| reply(204, "").header("content-type", "text/html")).await;
    let outcome = send(&adapter(&server, Vec::new()), &server, None).await;
    assert_eq!(outcome.verdict, later);
}

#[tokio::test]
async fn windows_says_dropped_with_success() {
    let check = async |status: &'static str, expected: Verdict| {
        let server = server(move |_| reply(201, "").header("x-wns-status", status)).await;
        let outcome = send(&adapter(&server, Vec::new()), &server, None).await;
        assert_eq!(outcome.verdict, expected);
    };
    check("received", Verdict::Accepted).await;
    check("dropped", Verdict::Dropped).await;
    let throttled = Verdict::Retry {
        after: Some(THROTTLED_WAIT),
        scope: Scope::Channel,
    };
    check("channelthrottled", throttled).await;
}

#[tokio::test]
async fn a_redirect_inside_is_not_followed() {
    let server = server(|seen| match seen.nth {
        0 => reply(307, "").header("location", "/inside"),
        _ => reply(201, ""),
    })
    .await;
    let outcome = send(&adapter(&server, Vec::new()), &server, None).await;
    assert_eq!(
        (outcome.verdict, outcome.answer.status),
        (Verdict::Rejected, 307)
    );
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn the_check_signs() {
    let server = server(|_| reply(201, "")).await;
    let said = adapter(&server, Vec::new()).check(now()).unwrap();
    assert!(said.contains("mailto:ops@example.com"), "{said}");
    assert!(server.seen().is_empty());
}
