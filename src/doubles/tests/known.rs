//! Every fault that the doubles know: it strikes in its dress, stands on the page, and is told apart from those of others.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::saying::Saying;
use super::super::{At, FaultKind, FaultSpec, Service, behaviour};
use super::drafts::*;
use super::faults::{pushes, send};
use super::support::*;

async fn token_request(rig: &Rig, service: Service) -> Draft {
    match service {
        Service::Wns => wns_token_request(rig),
        _ => fcm_token_request(rig, &assertion_claims(rig)),
    }
}

#[tokio::test]
async fn what_only_one_service_says_is_said_word_for_word() {
    let rig = Rig::start().await;
    for (service, push) in pushes(&rig).await {
        for saying in Saying::all(service) {
            let draft = match saying.at() {
                At::Push => push.clone(),
                At::Token => token_request(&rig, service).await,
            };
            rig.handle().script(FaultSpec {
                at: saying.at(),
                timestamp_ms: (service == Service::Apns).then_some(1_700_000_000_123),
                ..FaultSpec::once(service, FaultKind::Says(saying))
            });
            let place = rig.handle().place();
            let reply = send(&rig, service, &draft).await;
            let name = saying.name();
            assert_eq!(reply.status, saying.status(), "{service:?} {name}");
            let wanted = saying.answer((service == Service::Apns).then_some(1_700_000_000_123));
            assert_eq!(reply.body.as_bytes(), &*wanted.body, "{service:?} {name}");
            for (header, value) in &wanted.headers {
                assert_eq!(reply.header(header), value, "{service:?} {name}");
            }
            let wait = saying.retry_after_seconds().map(|wait| wait.to_string());
            let wait = wait.unwrap_or_default();
            assert_eq!(reply.header("retry-after"), wait, "{service:?} {name}");
            let always = match service {
                Service::Apns => "apns-id",
                Service::Wns if saying.at() == At::Push => "x-wns-debug-trace",
                _ => "date",
            };
            let there = !reply.header(always).is_empty();
            assert_eq!(there, !saying.is_bare() || always == "date", "{name}");
            let arrival = &rig.handle().arrivals(place)[0];
            assert_eq!(arrival.fault.map(FaultKind::name), Some(name));
            assert_eq!(arrival.fate, None, "{name} is not delivered");
        }
    }
}

/// The service's own words, as its documentation or a recording has them: a hand-made check beside the data.
#[tokio::test]
async fn the_words_are_those_of_the_service() {
    let rig = Rig::start().await;
    let said = [
        (
            Service::Apns,
            "expiredToken",
            410,
            json!({"reason": "ExpiredToken", "timestamp": 5}),
        ),
        (
            Service::Apns,
            "tooManyProviderTokenUpdates",
            429,
            json!({"reason": "TooManyProviderTokenUpdates"}),
        ),
        (
            Service::Fcm,
            "senderIdMismatch",
            403,
            json!({"error": {"code": 403, "message": "SenderId mismatch", "status": "PERMISSION_DENIED",
            "details": [{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": "SENDER_ID_MISMATCH"}]}}),
        ),
        (
            Service::Fcm,
            "notFound",
            404,
            json!({"error": {"code": 404, "message": "Requested entity was not found.", "status": "NOT_FOUND"}}),
        ),
        (
            Service::WebPush,
            "mozillaStorage",
            503,
            json!({"code": 503, "errno": 201, "error": "Service Unavailable", "message": "Database error"}),
        ),
        (
            Service::WebPush,
            "appleBadJwtToken",
            403,
            json!({"reason": "BadJwtToken"}),
        ),
        (Service::Wns, "dropped", 200, Value::Null),
    ];
    let drafts = pushes(&rig).await;
    for (service, name, status, body) in said {
        let kind = FaultKind::named(service, At::Push, name).unwrap();
        let timestamp_ms = (status == 410).then_some(5);
        rig.handle().script(FaultSpec {
            timestamp_ms,
            ..FaultSpec::once(service, kind)
        });
        let draft = &drafts.iter().find(|(of, _)| *of == service).unwrap().1;
        let reply = send(&rig, service, draft).await;
        assert_eq!((reply.status, reply.json()), (status, body), "{name}");
    }
    let kind = FaultKind::named(Service::Wns, At::Push, "channelThrottled").unwrap();
    rig.handle().script(FaultSpec::once(Service::Wns, kind));
    let reply = send(&rig, Service::Wns, &drafts[3].1).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("x-wns-status"), "channelthrottled");
}

/// The names of faults in the page's tables, those of all services first, then by service.
fn on_the_page(page: &str, heading: &str) -> BTreeSet<String> {
    let (_, rest) = page.split_once(heading).unwrap();
    let table = rest.lines().skip_while(|line| !line.starts_with("|---"));
    let rows = table.skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('`').nth(1).unwrap().to_owned())
        .collect()
}

fn known(service: Service) -> BTreeSet<String> {
    let kinds = [At::Push, At::Token].map(|at| FaultKind::known(service, at));
    let names = kinds.iter().flatten().map(|kind| kind.name().to_owned());
    names.collect()
}

#[test]
fn the_page_has_every_fault_and_no_other() {
    let page = behaviour();
    let shared = on_the_page(&page, "## Faults that all services share");
    let mut seen = BTreeSet::new();
    for (service, title) in Service::ALL
        .into_iter()
        .zip(["APNs", "FCM", "Web Push", "WNS"])
    {
        let own = on_the_page(&page, &format!("### What only {title} says"));
        let known = known(service);
        let unsaid: Vec<_> = known.iter().filter(|name| !own.contains(*name)).collect();
        let unknown: Vec<_> = unsaid
            .iter()
            .filter(|name| !shared.contains(**name))
            .collect();
        assert!(
            unknown.is_empty(),
            "{title}: {unknown:?} are not on the page"
        );
        let idle: Vec<_> = own.difference(&known).collect();
        assert!(idle.is_empty(), "{title}: {idle:?} cannot be scripted");
        let both: Vec<_> = own.intersection(&shared).collect();
        assert!(both.is_empty(), "{title}: {both:?} mean two things");
        seen.extend(known);
    }
    let idle: Vec<_> = shared.difference(&seen).collect();
    assert!(idle.is_empty(), "{idle:?} cannot be scripted anywhere");
}

#[test]
fn each_row_of_the_page_names_its_ground_and_its_source_is_told() {
    let page = behaviour();
    let (tables, sources) = page.split_once("## Sources").unwrap();
    let rows: Vec<&str> = tables
        .lines()
        .filter(|line| line.starts_with('|') && !line.starts_with("|---"))
        .filter(|line| !line.ends_with("| basis (source) |"))
        .collect();
    assert!(rows.len() > 200, "{}", rows.len());
    for row in rows {
        let basis = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let word = basis.split([' ', ';', ':']).next().unwrap();
        assert!(
            ["documented", "observed", "assumed"].contains(&word),
            "{row}"
        );
        let named = basis
            .split_once('(')
            .map(|(_, rest)| rest.split(')').next().unwrap());
        assert!(named.is_some() || word == "assumed", "no source: {row}");
        for source in named
            .filter(|_| word != "assumed")
            .into_iter()
            .flat_map(|named| named.split("; "))
        {
            let name = source.split([' ', ',']).next().unwrap();
            let told = name == "RFC" || name.parse::<u32>().is_ok() || sources.contains(name);
            assert!(told || source.contains("assumed"), "{name} of {row}");
        }
    }
}

async fn script(rig: &Rig, body: Value) -> (u16, String) {
    let draft = api_draft(rig, "POST", "/v1/faults").json(&body);
    let reply = read(rig.open_plain(&draft).await).await;
    (reply.status, reply.body)
}

fn api_draft(rig: &Rig, method: &'static str, path: &str) -> Draft {
    Draft {
        method,
        uri: format!("{}{path}", rig.settings().api),
        headers: vec![("content-type", String::from("application/json"))],
        body: Vec::new(),
    }
}

/// What is asked for, and words of the refusal.
fn refusals() -> [(Value, [&'static str; 2]); 13] {
    [
        (
            json!({"service": "apns", "kind": "broken"}),
            ["no fault \\\"broken\\\" of apns", "badDeviceToken"],
        ),
        (
            json!({"service": "apns", "kind": "senderIdMismatch"}),
            ["it is a fault of fcm", "known there: gone"],
        ),
        (
            json!({"service": "wns", "kind": "goAway"}),
            ["no fault", "dropped"],
        ),
        (
            json!({"service": "fcm", "kind": "invalidGrant"}),
            ["it is known at the token endpoint", "unregistered"],
        ),
        (
            json!({"service": "fcm", "kind": "unregistered", "at": "token"}),
            ["it is known of fcm", "invalidGrant"],
        ),
        (
            json!({"service": "apns", "kind": "cut", "at": "token"}),
            ["token endpoint of apns", "no such door"],
        ),
        (
            json!({"service": "fcm", "kind": "cut", "streams": 2}),
            ["streams", "streamLimit"],
        ),
        (
            json!({"service": "fcm", "kind": "gone", "timestampMs": 2}),
            ["timestampMs", "APNs"],
        ),
        (
            json!({"service": "apns", "kind": "serverError", "delivered": true}),
            ["delivered", "open"],
        ),
        (
            json!({"service": "apns", "kind": "throttled", "retryAfterDate": true}),
            ["retryAfterDate", "retryAfterSeconds"],
        ),
        (
            json!({"service": "apns", "kind": "cut", "times": 0}),
            ["times", "leave it out"],
        ),
        (
            json!({"service": "apns", "kind": "wrongCertificate", "device": "x"}),
            ["device", "pushes"],
        ),
        (
            json!({"service": "apns", "kind": "cut", "often": 2}),
            ["often", "unknown field"],
        ),
    ]
}

#[tokio::test]
async fn a_fault_of_another_service_or_a_field_out_of_place_is_refused_with_those_known() {
    let rig = Rig::start().await;
    for (body, words) in refusals() {
        let (status, text) = script(&rig, body.clone()).await;
        assert_eq!(status, 400, "{body}: {text}");
        for word in words {
            assert!(text.contains(word), "{body}: {text}");
        }
    }
    assert_eq!(rig.handle().faults(), [], "nothing was scripted");
    let taken =
        json!({"service": "apns", "kind": "goAway", "reason": "BadCertificate", "times": 1});
    assert_eq!(script(&rig, taken).await.0, 201);
}

#[tokio::test]
async fn the_names_and_the_page_can_be_asked_for() {
    let rig = Rig::start().await;
    let reply = read(
        rig.open_plain(&api_draft(&rig, "GET", "/v1/faults/known"))
            .await,
    )
    .await;
    let names = reply.json();
    let holds = |service: &str, door: &str, name: &str| {
        let names = names[service][door].as_array().unwrap();
        names.contains(&json!(name))
    };
    assert!(
        holds("apns", "push", "goAway") && holds("wns", "push", "dropped"),
        "{names}"
    );
    assert!(
        holds("fcm", "token", "clockSkew") && !holds("wns", "push", "goAway"),
        "{names}"
    );
    assert_eq!(names["apns"]["token"], json!([]));
    let page = read(
        rig.open_plain(&api_draft(&rig, "GET", "/v1/behaviour"))
            .await,
    )
    .await;
    assert_eq!(page.header("content-type"), "text/markdown; charset=utf-8");
    assert_eq!(page.body, behaviour());
}
