//! The digest of a delta: a client learns whether it holds what the hub holds, also while others write.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::{Client, TestHub};

const DELTA: &str = "/v1/me/notifications/delta";
const POST: &str = "/v1/users/ada/notifications";

/// What a client holds: id and version.
type Held = BTreeMap<String, u64>;

fn digest_of(held: &Held) -> String {
    let mut sum = [0u8; 16];
    for (id, version) in held {
        let hash = digest(&SHA256, format!("{id}|{version}").as_bytes());
        for (byte, other) in sum.iter_mut().zip(hash.as_ref()) {
            *byte ^= other;
        }
    }
    URL_SAFE_NO_PAD.encode(sum)
}

fn apply(held: &mut Held, page: &Value) {
    for item in page["value"].as_array().unwrap() {
        let id = item["id"].as_str().unwrap().to_owned();
        match item.get("@removed") {
            Some(_) => held.remove(&id),
            None => held.insert(id, item["version"].as_u64().unwrap()),
        };
    }
}

/// Follows the links from `path` to the last page, and checks what it says.
async fn pull(client: &Client, held: &mut Held, path: &str) -> String {
    let mut path = path.to_owned();
    loop {
        let page = client.get(&path).await.expect(200);
        apply(held, &page);
        if let Some(next) = page["@odata.nextLink"].as_str() {
            assert!(page.get("@beckon.digest").is_none(), "{page}");
            path = local(next);
            continue;
        }
        assert_eq!(page["@beckon.digest"], digest_of(held), "{page}");
        return local(page["@odata.deltaLink"].as_str().unwrap());
    }
}

/// A link without its origin.
fn local(link: &str) -> String {
    let path = link.find("/v1/").unwrap();
    link[path..].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_raises_the_version_and_the_digest_follows() {
    let hub = TestHub::start().await;
    let (app, ada) = (hub.app(), hub.person("ada", None).await);
    let mut held = Held::new();
    let link = pull(&ada, &mut held, &format!("{DELTA}?$digest=true")).await;
    assert_eq!(digest_of(&held), "AAAAAAAAAAAAAAAAAAAAAA");

    let order =
        |text: &str| json!({"appNotificationId": "order-7", "payload": {"rawContent": text}});
    let posted = app.post(POST, order("one")).await.expect(201);
    assert_eq!(posted["version"], 1);
    assert_eq!(app.post(POST, order("one")).await.expect(200)["version"], 1);
    let link = pull(&ada, &mut held, &link).await;

    let one = format!("/v1/me/notifications/{}", posted["id"].as_str().unwrap());
    let read = json!({"readState": "read"});
    assert_eq!(
        ada.patch(&one, read.clone()).await.expect(200)["version"],
        2
    );
    assert_eq!(
        ada.patch(&one, read).await.expect(200)["version"],
        2,
        "no change"
    );
    let link = pull(&ada, &mut held, &link).await;
    assert_eq!(app.post(POST, order("two")).await.expect(200)["version"], 3);
    let all = json!({"all": true, "set": {"userActionState": "dismissed"}});
    ada.post("/v1/me/notifications/state", all)
        .await
        .expect(200);
    assert_eq!(ada.get(&one).await.expect(200)["version"], 4);
    let link = pull(&ada, &mut held, &link).await;
    ada.delete(&one).await.expect(204);
    pull(&ada, &mut held, &link).await;
    assert!(held.is_empty(), "{held:?}");

    let plain = ada.get(DELTA).await.expect(200);
    assert!(plain.get("@beckon.digest").is_none(), "{plain}");
    assert_eq!(
        ada.get(&format!("{DELTA}?$digest=yes")).await.faults(),
        ["$digest"]
    );
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_retired_shape_knows_no_version() {
    let hub = TestHub::start().await;
    let device = hub.device("ada", beckon::doubles::Service::Apns).await;
    let unsid = device.registered["userNotificationSubscriptionId"]
        .as_str()
        .unwrap();
    let graph = hub.app().header("x-uns-id", unsid);
    let body = json!({"payload": {"rawContent": "r"}});
    let posted = graph.post("/beta/me/notifications", body).await.expect(201);
    assert!(posted.get("version").is_none(), "{posted}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn page_and_digest_speak_of_one_moment_while_others_write() {
    let hub = TestHub::start().await;
    let enough = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for writer in 0..3 {
        let (app, ada, enough) = (
            hub.app(),
            hub.person("ada", None).await,
            Arc::clone(&enough),
        );
        writers.push(tokio::spawn(write(app, ada, writer, enough)));
    }
    let mut readers = Vec::new();
    for _ in 0..2 {
        let ada = hub.person("ada", None).await;
        readers.push(tokio::spawn(async move {
            let mut held = Held::new();
            let mut link = format!("{DELTA}?$digest=true&$top=7");
            for _ in 0..25 {
                link = pull(&ada, &mut held, &link).await;
            }
        }));
    }
    for reader in readers {
        reader.await.unwrap();
    }
    enough.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    hub.finish().await;
}

/// Posts, replaces, reads and deletes until it is enough.
async fn write(app: Client, ada: Client, writer: usize, enough: Arc<AtomicBool>) {
    let mut number = 0;
    while !enough.load(Ordering::Relaxed) {
        number += 1;
        let name = format!("{writer}-{}", number % 5);
        let body =
            json!({"appNotificationId": name, "payload": {"rawContent": number.to_string()}});
        let posted = app.post(POST, body).await;
        assert!(posted.status.is_success(), "{posted:?}");
        let one = format!(
            "/v1/me/notifications/{}",
            posted.json()["id"].as_str().unwrap()
        );
        if number % 3 == 0 {
            ada.delete(&one).await.expect(204);
        } else {
            ada.patch(&one, json!({"readState": "read"}))
                .await
                .expect(200);
        }
    }
}
