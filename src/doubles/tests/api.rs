//! The JSON door.

use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::super::Service;
use super::drafts::*;
use super::support::*;

fn draft(rig: &Rig, method: &'static str, path: &str, body: Option<Value>) -> Draft {
    let headers = body
        .iter()
        .map(|_| ("content-type", "application/json".to_owned()))
        .collect();
    let body = body.map_or(Vec::new(), |body| body.to_string().into_bytes());
    Draft {
        method,
        uri: format!("{}{path}", rig.settings().api),
        headers,
        body,
    }
}

pub(super) async fn call(
    rig: &Rig,
    method: &'static str,
    path: &str,
    body: Option<Value>,
) -> (u16, Value) {
    let reply = read(rig.open_plain(&draft(rig, method, path, body)).await).await;
    (reply.status, reply.json())
}

#[tokio::test]
async fn makes_changes_and_removes_devices() {
    let rig = Rig::start().await;
    let wanted = json!({ "service": "apns", "name": "iPhone" });
    let (status, device) = call(&rig, "POST", "/v1/devices", Some(wanted)).await;
    assert_eq!(
        (status, &device["channel"]["type"]),
        (201, &json!("apns")),
        "{device}"
    );
    let path = format!("/v1/devices/{}", device["id"].as_str().unwrap());
    let patch = json!({ "lowPower": true });
    let (status, patched) = call(&rig, "PATCH", &path, Some(patch)).await;
    let switches = (&patched["lowPower"], &patched["online"]);
    assert_eq!(
        (status, switches),
        (200, (&json!(true), &json!(true))),
        "{patched}"
    );
    assert_eq!(
        call(&rig, "GET", "/v1/devices", None).await.1["value"][0],
        patched
    );
    assert_eq!(call(&rig, "DELETE", &path, None).await.0, 204);
    assert_eq!(call(&rig, "GET", &path, None).await.0, 404);
    let bad_key = json!({ "service": "webPush", "vapidPublicKey": "x" });
    for bad in [
        json!({ "service": "icq" }),
        bad_key,
        json!({ "service": "apns", "os": 1 }),
    ] {
        assert_eq!(call(&rig, "POST", "/v1/devices", Some(bad)).await.0, 400);
    }
}

#[tokio::test]
async fn scripts_faults_and_shows_what_happened() {
    let rig = Rig::start().await;
    let push = apns_push(&rig, &rig.device(Service::Apns));
    let fault =
        json!({ "service": "apns", "kind": "throttled", "retryAfterSeconds": 5, "times": 1 });
    let (status, scripted) = call(&rig, "POST", "/v1/faults", Some(fault)).await;
    assert_eq!((status, &scripted["id"]), (201, &json!(1)), "{scripted}");
    assert_eq!(
        call(&rig, "GET", "/v1/faults", None).await.1["value"][0],
        scripted
    );
    assert_eq!(rig.send2(&push).await.header("retry-after"), "5");
    assert_eq!(rig.send2(&push).await.status, 200);
    let (_, arrivals) = call(&rig, "GET", "/v1/arrivals", None).await;
    let [struck, taken] = [&arrivals["value"][0], &arrivals["value"][1]];
    assert_eq!(
        (&struck["status"], &struck["fault"]),
        (&json!(429), &json!("throttled"))
    );
    assert_eq!(
        (&taken["status"], &taken["fate"]),
        (&json!(200), &json!("handedOver"))
    );
    let after = format!("/v1/handed-over?after={}", taken["seq"]);
    let (_, handed) = call(&rig, "GET", &after, None).await;
    assert_eq!(
        handed["value"][0]["push"]["kind"],
        json!("alert"),
        "{handed}"
    );
    let (_, counters) = call(&rig, "GET", "/v1/counters", None).await;
    assert_eq!(
        (&counters["apns"]["accepted"], &counters["apns"]["faulted"]),
        (&json!(1), &json!(1))
    );
    let ahead = json!({ "offsetSeconds": 7200 });
    assert_eq!(
        call(&rig, "PUT", "/v1/clock", Some(ahead)).await.1["offsetSeconds"],
        json!(7200)
    );
    assert_eq!(
        rig.send2(&push).await.status,
        403,
        "the provider token is two hours old now"
    );
    assert_eq!(call(&rig, "DELETE", "/v1/faults/9", None).await.0, 404);
    assert_eq!(call(&rig, "GET", "/v1/arrivals?after=x", None).await.0, 400);
}

#[tokio::test]
async fn streams_what_happens_from_a_place() {
    let rig = Rig::start().await;
    let device = rig.device(Service::Apns);
    assert_eq!(rig.send2(&apns_push(&rig, &device)).await.status, 200);
    let arrival = rig.handle().arrivals(0)[0].seq;
    let open =
        draft(&rig, "GET", "/v1/stream?after=0", None).with("last-event-id", arrival.to_string());
    let mut stream = rig.open_plain(&open).await.into_body();
    let mut text = String::new();
    let first = async {
        while !text.contains("event: push") {
            let frame = stream.frame().await.unwrap().unwrap();
            text += std::str::from_utf8(frame.data_ref().unwrap()).unwrap();
        }
    };
    tokio::time::timeout(SOON, first).await.unwrap();
    assert!(!text.contains("event: arrival"), "{text}");
    assert!(text.contains(&format!("id: {}\n", arrival + 1)), "{text}");
}

#[tokio::test]
async fn keeps_other_pages_out() {
    let rig = Rig::start().await;
    let good = draft(
        &rig,
        "POST",
        "/v1/devices",
        Some(json!({ "service": "apns" })),
    );
    let own = rig.settings().api.clone();
    let table = [
        (good.clone().with("host", "rebound.example.com"), 403),
        (good.clone().with("host", "127.0.0.1.example.com"), 403),
        (good.clone().with("origin", "https://evil.example.com"), 403),
        (good.clone().with("origin", "null"), 403),
        (good.clone().with("content-type", "text/plain"), 415),
        (good.clone().without("content-type"), 415),
        (
            draft(&rig, "DELETE", "/v1/faults", None).with("origin", "http://localhost:1"),
            403,
        ),
        (good.clone().with("origin", own), 201),
    ];
    for (draft, status) in table {
        assert_eq!(
            rig.open_plain(&draft).await.status().as_u16(),
            status,
            "{draft:?}"
        );
    }
    assert_eq!(rig.handle().devices().len(), 1);
}

#[tokio::test]
async fn gives_a_configuration_that_is_toml() {
    let rig = Rig::start().await;
    let app: toml::Table = rig.settings().app_toml().parse().unwrap();
    let app = app["app"].as_table().unwrap();
    assert_eq!(
        app.keys().collect::<Vec<_>>(),
        ["apns", "fcm", "webpush", "wns"]
    );
    assert_eq!(
        app["webpush"]["allowed_hosts"][0].as_str(),
        Some(rig.settings().web_push.host.as_str())
    );
    for section in app.values() {
        assert!(std::path::Path::new(section["ca_file"].as_str().unwrap()).exists());
    }
    let reply = read(
        rig.open_plain(&draft(&rig, "GET", "/v1/app.toml", None))
            .await,
    )
    .await;
    assert_eq!(reply.body, rig.settings().app_toml());
}
