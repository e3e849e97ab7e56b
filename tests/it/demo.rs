//! The demo's door: the page, what it asks for, and that its refusals read as all others do.

use std::net::SocketAddr;

use beckon::demo::{self, Demo};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Client, eventually,
    raw::{Then, exchange},
};

async fn demo() -> (Demo, Client, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let options = demo::Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        folder: Some(folder.path().join("demo")),
        fresh: false,
    };
    let demo = demo::start(options).await.unwrap();
    let client = Client::new(demo.running.addr);
    (demo, client, folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_page_asks_for_is_there_and_refusals_read_as_all_others() {
    let (demo, client, _folder) = demo().await;
    let page = client.get("/").await;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let state = client.get("/demo/state").await.expect(200);
    let phone = &state["devices"][0]["device"]["id"];
    let device = format!("/demo/devices/{}", phone.as_str().unwrap());
    let asleep = client
        .patch(&device, json!({"lowPower": true}))
        .await
        .expect(200);
    assert_eq!(asleep["lowPower"], true);

    let arrivals = client.get("/demo/arrivals").await;
    assert_eq!(arrivals.faults(), ["device"]);
    let array = client.patch(&device, json!([1])).await;
    assert_eq!(array.refused(400), "invalidRequest");
    let wrong = client.patch(&device, json!({"lowPower": "yes"})).await;
    assert_eq!(wrong.faults(), ["body"]);
    let unknown = client.patch("/demo/devices/none", json!({})).await;
    assert_eq!(unknown.refused(404), "itemNotFound");
    let asset = client.get("/demo/assets/none.js").await;
    assert_eq!(asset.refused(404), "itemNotFound");
    let method = client.post("/demo/state", json!({})).await;
    assert_eq!(method.refused(405), "methodNotAllowed");
    assert_eq!(method.header("allow"), Some("GET"));
    demo.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_page_can_drive_the_demo() {
    let (demo, client, _folder) = demo().await;
    let state = client.get("/demo/state").await.expect(200);
    let phone = &state["devices"][0]["device"]["id"];
    let device = format!("/demo/devices/{}", phone.as_str().unwrap());
    let foreign = client.header("origin", "http://evil.example");
    let driven = foreign.patch(&device, json!({"lowPower": true})).await;
    assert_eq!(driven.refused(404), "itemNotFound");
    let as_form = client.header("content-type", "text/plain");
    let driven = as_form.patch(&device, json!({"lowPower": true})).await;
    assert_eq!(driven.refused(415), "unsupportedMediaType");
    // A name that was made to resolve to us.
    let asked = b"GET /demo/state HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    let rebound = exchange(demo.running.addr, asked, Then::Wait).await;
    assert!(rebound.starts_with("HTTP/1.1 404"), "{rebound}");
    let state = client.get("/demo/state").await.expect(200);
    assert_eq!(state["devices"][0]["device"]["lowPower"], false);
    demo.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_demo_does_not_empty_the_folder_of_one_that_runs() {
    let (first, client, folder) = demo().await;
    let state = client.get("/demo/state").await.expect(200);
    let app = client.bearer(state["appKey"].as_str().unwrap());
    let path = "/v1/users/ada/notifications";
    let kept = json!({"payload": {"visualContent": {"title": "Kept"}}});
    app.post(path, kept).await.expect(201);
    let addr = first.running.addr;
    let fresh = |port| demo::Options {
        listen: SocketAddr::from(([127, 0, 0, 1], port)),
        folder: Some(folder.path().join("demo")),
        fresh: true,
    };
    for (port, reason) in [(0, "a demo runs in"), (addr.port(), "cannot listen on")] {
        let refused = demo::start(fresh(port)).await.unwrap_err();
        assert!(format!("{refused:#}").contains(reason), "{refused:#}");
    }
    let titles = |page: Value| -> Vec<String> {
        let list = page["value"].as_array().unwrap().iter();
        list.map(|it| it["payload"]["visualContent"]["title"].to_string())
            .collect()
    };
    let seen = titles(app.get(path).await.expect(200));
    assert!(seen.contains(&"\"Kept\"".to_owned()), "{seen:?}");
    first.stop().await;
    let again = demo::start(demo::Options {
        fresh: false,
        ..fresh(0)
    })
    .await
    .unwrap();
    let after = app.to(again.running.addr).get(path).await.expect(200);
    assert_eq!(titles(after), seen, "nothing was lost");
    again.stop().await;
    let emptied = demo::start(fresh(0)).await.unwrap();
    let gone = app.to(emptied.running.addr).get(path).await;
    assert_eq!(gone.refused(401), "unauthenticated");
    emptied.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_whose_double_finds_its_port_taken_goes_on_at_another() {
    let (first, client, folder) = demo().await;
    let state = client.get("/demo/state").await.expect(200);
    let ports = ["channelUri", "endpoint"].map(|name| {
        let devices = state["devices"].as_array().unwrap().iter();
        let mut urls = devices.filter_map(|it| it["device"]["channel"][name].as_str());
        let url = urls.next().unwrap().to_owned();
        let (_, at) = url.split_once("127.0.0.1:").unwrap();
        at.split('/').next().unwrap().parse::<u16>().unwrap()
    });
    first.stop().await;
    let _taken = ports.map(|port| std::net::TcpListener::bind(("127.0.0.1", port)).unwrap());
    let again = demo::start(demo::Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        folder: Some(folder.path().join("demo")),
        fresh: false,
    })
    .await
    .unwrap();
    let app = client
        .to(again.running.addr)
        .bearer(state["appKey"].as_str().unwrap());
    let note = json!({"payload": {"visualContent": {"title": "Lunch?"}}});
    let path = "/v1/users/ada/notifications";
    let posted = app.post(path, note).await.expect(201);
    let path = format!("{path}/{}/deliveries", posted["id"].as_str().unwrap());
    eventually("each device is tapped", || async {
        let lines = app.get(&path).await.expect(200)["value"].clone();
        let lines = lines.as_array().unwrap().clone();
        lines
            .iter()
            .all(|it| it["tappedDateTime"].is_string())
            .then_some(())
    })
    .await;
    again.stop().await;
}

#[test]
fn the_page_is_small() {
    let files = std::fs::read_dir("src/web/demo").unwrap();
    let bytes: u64 = files.map(|it| it.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes < 60_000, "{bytes} bytes in all");
}
