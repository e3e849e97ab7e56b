//! The WNS double and its token endpoint.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::{Channel, Device, DevicePatch, NewDevice, Service};
use super::drafts::*;
use super::support::*;

#[tokio::test]
async fn takes_a_good_push() {
    let rig = Rig::start().await;
    let device = rig.device(Service::Wns);
    let good = wns_push(&rig, &device)
        .await
        .with("x-wns-requestforstatus", "true")
        .with("ms-cv", "abc.0");
    let reply = rig.send1(&good).await.unwrap();
    assert_eq!(
        (
            reply.status,
            reply.body.as_str(),
            reply.header("x-wns-status")
        ),
        (200, "", "received"),
        "{reply:?}"
    );
    assert_eq!(
        (
            reply.header("x-wns-deviceconnectionstatus"),
            reply.header("ms-cv")
        ),
        ("connected", "abc.0")
    );
    assert_eq!(reply.header("x-wns-msg-id").len(), 16);
    let toast = good
        .clone()
        .with("x-wns-type", "wns/toast")
        .with("content-type", "text/xml")
        .without("x-wns-cache-policy");
    let toast = toast.body("<toast launch='a&amp;b'><visual/></toast>");
    assert_eq!(rig.send1(&toast).await.unwrap().status, 200);
    rig.handle()
        .await_handed_over(&device.id, 0, SOON, |push| push.kind == "wns/toast")
        .await
        .unwrap();
    rig.handle()
        .patch_device(&device.id, DevicePatch::online(false))
        .unwrap();
    let dropped = rig
        .send1(&good.with("x-wns-cache-policy", "no-cache"))
        .await
        .unwrap();
    assert_eq!(
        (dropped.status, dropped.header("x-wns-status")),
        (200, "dropped"),
        "{dropped:?}"
    );
    assert_eq!(
        dropped.header("x-wns-deviceconnectionstatus"),
        "disconnected"
    );
}

#[tokio::test]
async fn refuses_what_microsoft_refuses() {
    let rig = Rig::start().await;
    let device = rig.device(Service::Wns);
    let good = wns_push(&rig, &device).await;
    let toast = good
        .clone()
        .with("x-wns-type", "wns/toast")
        .with("content-type", "text/xml")
        .without("x-wns-cache-policy");
    let toast = toast.body("<toast/>");
    let table = [
        (good.clone().with("authorization", "Bearer x"), 401),
        (good.clone().method("GET"), 405),
        (good.clone().uri(good.uri.clone() + "x"), 404),
        (good.clone().with("x-wns-type", "wns/noise"), 400),
        (good.clone().with("content-type", "text/xml"), 400),
        (good.clone().with("x-wns-cache-policy", "maybe"), 400),
        (good.clone().with("x-wns-ttl", "-1"), 400),
        (good.clone().with("x-wns-priority", "5"), 400),
        (good.clone().with("x-wns-group", "g"), 400),
        (good.clone().with("x-wns-tag", "t"), 400),
        (good.clone().with("expect", "100-continue"), 400),
        (good.clone().body(""), 400),
        (good.clone().body(vec![b'x'; 5001]), 413),
        (toast.clone().with("x-wns-cache-policy", "cache"), 400),
        (toast.clone().body("<tile/>"), 400),
        (toast.clone().body("<toast>"), 400),
        (toast.clone().body("<toast/><toast/>"), 400),
        (toast.clone().body("<toast launch='a&b'/>"), 400),
        (toast.clone().body("<toast>a & b</toast>"), 400),
        (toast.clone().with("content-type", "application/xml"), 400),
    ];
    for (draft, status) in table {
        let reply = rig.send1(&draft).await.unwrap();
        assert_eq!(
            (reply.status, reply.body.as_str()),
            (status, ""),
            "{draft:?} {reply:?}"
        );
        assert!(!reply.header("x-wns-debug-trace").is_empty(), "{reply:?}");
    }
    assert_eq!(
        rig.send1(&good.clone().body(vec![b'x'; 5000]))
            .await
            .unwrap()
            .status,
        200
    );
    rig.handle().remove_device(&device.id).unwrap();
    assert_eq!(rig.send1(&good).await.unwrap().status, 410);
}

#[tokio::test]
async fn refuses_chunks() {
    let rig = Rig::start().await;
    let device = rig.device(Service::Wns);
    let good = wns_push(&rig, &device).await;
    let host = rig.settings().wns.host.clone();
    let mut stream = rig.tls(&host, &["http/1.1"]).await.unwrap();
    let path = good.uri.split_once(&host).unwrap().1;
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n"
    );
    for (name, value) in &good.headers {
        request += &format!("{name}: {value}\r\n");
    }
    stream
        .write_all((request + "\r\n1\r\nx\r\n0\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(
        answer.starts_with(b"HTTP/1.1 400"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

#[tokio::test]
async fn checks_token_requests() {
    let rig = Rig::start().await;
    let good = wns_token_request(&rig);
    let granted = rig.send1(&good).await.unwrap();
    assert_eq!(
        (granted.status, &granted.json()["expires_in"]),
        (200, &json!("86399")),
        "{granted:?}"
    );
    let body = String::from_utf8(good.body.clone()).unwrap();
    let table = [
        (good.clone().method("PUT"), 405, ""),
        (
            good.clone().uri(good.uri.replace("5d0b1e50", "00000000")),
            400,
            "invalid_request",
        ),
        (
            good.clone()
                .body(body.replace("client_credentials", "password")),
            400,
            "unsupported_grant_type",
        ),
        (
            good.clone()
                .body(body.replace("client_id=5", "client_id=6")),
            400,
            "unauthorized_client",
        ),
        (
            good.clone()
                .body(body.replace("client_secret=", "client_secret=x")),
            401,
            "invalid_client",
        ),
        (
            good.clone()
                .body(body.replace("wns.windows.com", "graph.microsoft.com")),
            400,
            "invalid_scope",
        ),
        (
            good.clone().with("content-type", "text/plain"),
            400,
            "invalid_request",
        ),
    ];
    for (draft, status, error) in table {
        let reply = rig.send1(&draft).await.unwrap();
        assert_eq!(
            (
                reply.status,
                reply.json()["error"].as_str().unwrap_or_default()
            ),
            (status, error),
            "{draft:?} {reply:?}"
        );
    }
}

#[tokio::test]
async fn checks_token_requests_of_the_older_login() {
    let rig = Rig::start().await;
    let good = wns_older_token_request(&rig);
    let granted = rig.send1(&good).await.unwrap();
    let said = granted.json();
    assert_eq!(
        (granted.status, &said["expires_in"], &said["token_type"]),
        (200, &json!(86_400), &json!("bearer")),
        "{granted:?}"
    );
    let body = String::from_utf8(good.body.clone()).unwrap();
    let with = |old: &str, new: &str| good.clone().body(body.replace(old, new));
    let entra = wns_token_request(&rig);
    let table = [
        (good.clone().method("PUT"), 405, ""),
        (
            with("client_credentials", "password"),
            400,
            "unsupported_grant_type",
        ),
        (with("S-1-15-2", "S-1-15-3"), 400, "invalid_client"),
        (
            with("client_secret=", "client_secret=x"),
            400,
            "invalid_client",
        ),
        (with("notify.windows.com", "wl.basic"), 400, "invalid_scope"),
        (
            good.clone().with("content-type", "text/plain"),
            400,
            "invalid_request",
        ),
        (entra.clone().uri(good.uri.clone()), 400, "invalid_client"),
        (
            good.clone().uri(entra.uri.clone()),
            400,
            "unauthorized_client",
        ),
    ];
    for (draft, status, error) in table {
        let reply = rig.send1(&draft).await.unwrap();
        let said = reply.json()["error"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert_eq!((reply.status, said.as_str()), (status, error), "{draft:?}");
        let shown = format!("{:?}", rig.handle().arrivals(0).last());
        assert!(!shown.contains("client_secret=x"), "{shown}");
    }
}

#[tokio::test]
async fn takes_tokens_of_an_apps_own_login_only() {
    let rig = Rig::start().await;
    let uri = |device: &Device| match &device.channel {
        Channel::Wns { channel_uri } => channel_uri.clone(),
        other => panic!("{other:?}"),
    };
    let modern = uri(&rig.device(Service::Wns));
    let older = rig.handle().add_device(NewDevice::of_partner_center());
    let older = uri(&older.unwrap());
    let rig = rig.restart().await;
    let (entra, partner) = (wns_token_request(&rig), wns_older_token_request(&rig));
    for (channel, asking, status) in [
        (&modern, &entra, 200),
        (&modern, &partner, 403),
        (&older, &entra, 403),
        (&older, &partner, 200),
    ] {
        let push = wns_push_by(&rig, channel, asking).await;
        let reply = rig.send1(&push).await.unwrap();
        assert_eq!(reply.status, status, "{push:?} {reply:?}");
    }
}

#[tokio::test]
async fn a_channel_ends_after_thirty_days_unless_it_is_renewed() {
    let rig = Rig::start().await;
    let device = rig.device(Service::Wns);
    let days = |rig: &Rig, days: i64| rig.handle().set_clock_offset(days * 24 * 3600);
    let answer = async |rig: &Rig, device: &Device| {
        let push = wns_push(rig, device).await;
        let reply = rig.send1(&push).await.unwrap();
        let why = reply.header("x-wns-error-description").to_owned();
        (reply.status, why)
    };
    let taken = (200, String::new());
    let ended = (410, String::from("The channel has expired"));
    days(&rig, 29);
    assert_eq!(answer(&rig, &device).await, taken);
    days(&rig, 30);
    assert_eq!(answer(&rig, &device).await, ended);
    let rig = rig.restart().await;
    assert_eq!(answer(&rig, &device).await, taken, "by the double's clock");
    days(&rig, 30);
    assert_eq!(answer(&rig, &device).await, ended, "also after a restart");
    let fresh = rig.device(Service::Wns);
    rig.handle()
        .patch_device(&device.id, DevicePatch::default())
        .unwrap();
    for device in [&fresh, &device] {
        days(&rig, 59);
        assert_eq!(answer(&rig, device).await, taken);
        days(&rig, 61);
        assert_eq!(answer(&rig, device).await, ended);
    }
}
