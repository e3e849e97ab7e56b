//! States, receipts and deletion.

use serde_json::{Value, json};

use super::{POST, commits, contents, named, raw, text};
use crate::support::{Client, TestHub, device::token_of};

const STATE: &str = "/v1/me/notifications/state";
const RECEIPTS: &str = "/v1/me/notifications/receipts";

async fn cursor(client: &Client) -> String {
    let page = client
        .get("/v1/me/notifications/delta?$top=1000")
        .await
        .expect(200);
    token_of(page["@odata.deltaLink"].as_str().unwrap())
}

async fn posted(hub: &TestHub, body: Value) -> String {
    text(&hub.app().post(POST, body).await.expect(201)["id"])
}

fn one(id: &str) -> String {
    format!("/v1/me/notifications/{id}")
}

#[tokio::test(flavor = "multi_thread")]
async fn setting_what_is_so_already_is_no_change() {
    let hub = TestHub::at_a_standstill().await;
    let ada = hub.person("ada", None).await;
    let id = posted(&hub, raw("r")).await;
    let set = async |body: Value| ada.patch(&one(&id), body).await.expect(200);
    let read = set(json!({"readState": "READ"})).await;
    assert_eq!(
        (&read["readState"], &read["userActionState"]),
        (&json!("read"), &json!("noInteraction"))
    );
    hub.settled().await;
    let before = (cursor(&ada).await, commits(&hub));
    assert_eq!(set(json!({"readState": "read"})).await, read);
    assert_eq!(
        set(json!({"readState": "read", "userActionState": "noInteraction"})).await,
        read
    );
    assert_eq!((cursor(&ada).await, commits(&hub)), before);
    for action in ["dismissed", "snoozed", "activated", "noInteraction"] {
        let set = set(json!({"userActionState": action})).await;
        assert_eq!(
            (&set["readState"], &set["userActionState"]),
            (&json!("read"), &json!(action))
        );
    }
    assert_eq!(
        set(json!({"readState": "unread"})).await["readState"],
        "unread",
        "it may be put back"
    );
    for bad in [
        json!({}),
        json!({"readState": null}),
        json!({"status": "deleted"}),
    ] {
        assert_eq!(
            ada.patch(&one(&id), bad.clone()).await.faults(),
            ["readState"],
            "{bad}"
        );
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_on_what_was_replaced_since_changes_nothing() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    let id = posted(&hub, named("n", "one")).await;
    let before_it = cursor(&ada).await;
    let act = json!({"readState": "read", "upTo": before_it});
    let read = ada.patch(&one(&id), act).await.expect(200);
    assert_eq!(read["readState"], "read", "{read}");
    hub.app().post(POST, named("n", "two")).await.expect(200);
    let late = json!({"userActionState": "dismissed", "upTo": before_it});
    let current = ada.patch(&one(&id), late).await.expect(200);
    assert_eq!(current["payload"]["rawContent"], "two", "{current}");
    assert_eq!(current["userActionState"], "noInteraction", "{current}");
    assert_eq!(current["readState"], "unread", "{current}");
    let many = json!({"ids": [id], "upTo": before_it, "set": {"readState": "read"}});
    assert_eq!(
        ada.post(STATE, many).await.expect(200),
        json!({"changed": 0})
    );
    let now = json!({"userActionState": "dismissed", "upTo": cursor(&ada).await});
    assert_eq!(
        ada.patch(&one(&id), now).await.expect(200)["userActionState"],
        "dismissed"
    );
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_changed_by_ids_by_group_and_all() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    let grouped =
        |group: &str, name: &str| json!({"groupName": group, "payload": {"rawContent": name}});
    let a = posted(&hub, grouped("work", "a")).await;
    posted(&hub, grouped("work", "b")).await;
    let seen = cursor(&ada).await;
    posted(&hub, grouped("home", "c")).await;
    posted(&hub, grouped("work", "d")).await;
    let gone = posted(&hub, raw("gone")).await;
    ada.delete(&one(&gone)).await.expect(204);
    let change = async |mut selection: Value, set: Value, changed: u64| {
        selection["set"] = set;
        let answer = ada.post(STATE, selection.clone()).await.expect(200);
        assert_eq!(answer, json!({"changed": changed}), "{selection}");
    };
    let unread = async |expected: &[&str]| {
        let page = ada
            .get("/v1/me/notifications?readState=unread")
            .await
            .expect(200);
        assert_eq!(contents(&page), expected);
        assert_eq!(page["unreadCount"], expected.len(), "{page}");
    };
    let read = json!({"readState": "read"});
    change(
        json!({"ids": [a, a, "x", gone, "00000000-0000-0000-0000-000000000000"]}),
        read.clone(),
        1,
    )
    .await;
    unread(&["d", "c", "b"]).await;
    change(json!({"ids": []}), read.clone(), 0).await;
    change(json!({"groupName": "work", "upTo": seen}), read.clone(), 1).await;
    unread(&["d", "c"]).await;
    change(json!({"groupName": "nothing"}), read.clone(), 0).await;
    change(
        json!({"groupName": "work"}),
        json!({"userActionState": "dismissed"}),
        3,
    )
    .await;
    change(
        json!({"all": true, "upTo": seen}),
        json!({"readState": "unread"}),
        2,
    )
    .await;
    unread(&["d", "c", "b", "a"]).await;
    change(json!({"all": true}), read.clone(), 4).await;
    change(json!({"all": true}), read, 0).await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_changed_once_each() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    let mut all = Vec::new();
    for name in ["a", "b", "c", "d"] {
        all.push(posted(&hub, raw(name)).await);
    }
    let before = cursor(&ada).await;
    let read = json!({"all": true, "set": {"readState": "read"}});
    let changed = ada.post(STATE, read).await.expect(200);
    assert_eq!(changed, json!({"changed": 4}));
    let changes = ada
        .get(&format!("/v1/me/notifications/delta?$deltatoken={before}"))
        .await
        .expect(200);
    let mut ids: Vec<String> = changes["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| text(&it["id"]))
        .collect();
    ids.sort();
    all.sort();
    assert_eq!(ids, all, "each changed once: {changes}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_one_step_of_many_is_changed_whole() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    for nth in 0..230 {
        posted(&hub, raw(&nth.to_string())).await;
    }
    let seen = cursor(&ada).await;
    posted(&hub, raw("late")).await;
    let body = json!({"all": true, "upTo": seen, "set": {"readState": "read"}});
    assert_eq!(
        ada.post(STATE, body.clone()).await.expect(200),
        json!({"changed": 230})
    );
    assert_eq!(
        ada.post(STATE, body).await.expect(200),
        json!({"changed": 0})
    );
    let page = ada
        .get("/v1/me/notifications?readState=unread")
        .await
        .expect(200);
    assert_eq!(contents(&page), ["late"]);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_are_one_devices() {
    let hub = TestHub::start().await;
    let ada = hub.registered("ada", "phone").await;
    let (a, b) = (posted(&hub, raw("a")).await, posted(&hub, raw("b")).await);
    let status = async |id: &str| {
        let report = hub
            .app()
            .get(&format!("{POST}/{id}/deliveries"))
            .await
            .expect(200);
        let line = &report["value"][0];
        assert_eq!(line["endpointId"], "phone", "{report}");
        (
            text(&line["status"]),
            line["fetchedDateTime"].is_string(),
            line["shownDateTime"].is_string(),
        )
    };
    assert_eq!(
        status(&a).await,
        (String::from("skipped"), false, false),
        "no channel"
    );
    let nobody = hub.person("ada", None).await;
    let shown = json!({"shown": [a]});
    assert_eq!(
        nobody.post(RECEIPTS, shown.clone()).await.faults(),
        ["X-Endpoint-Id"]
    );
    let named = nobody.header("x-endpoint-id", "phone");
    let answer = named.post(RECEIPTS, shown).await;
    answer.expect(204);
    assert!(answer.body.is_empty(), "{answer:?}");
    assert_eq!(status(&a).await.0, "shown");
    assert!(status(&a).await.2);
    assert_eq!(status(&b).await.0, "skipped");
    let held = cursor(&nobody).await;
    ada.post(RECEIPTS, json!({"upTo": held})).await.expect(204);
    assert_eq!(
        status(&b).await,
        (String::from("fetched"), true, false),
        "it holds everything up to there"
    );
    ada.post(RECEIPTS, json!({"shown": ["x", b], "upTo": held}))
        .await
        .expect(204);
    assert_eq!(status(&b).await.0, "shown");
    assert_eq!(ada.post(RECEIPTS, json!({})).await.faults(), ["shown"]);
    assert_eq!(
        ada.post(RECEIPTS, json!({"shown": "x"})).await.faults(),
        ["shown"]
    );
    ada.patch(&one(&b), json!({"userActionState": "activated"}))
        .await
        .expect(200);
    assert_eq!(status(&b).await.0, "acted");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_is_deleted_once_for_all() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    for by_app in [true, false] {
        let id = posted(&hub, raw("r")).await;
        let (first, second) = if by_app {
            let path = format!("{POST}/{id}");
            (hub.app().delete(&path).await, hub.app().delete(&path).await)
        } else {
            (ada.delete(&one(&id)).await, ada.delete(&one(&id)).await)
        };
        first.expect(204);
        assert!(first.body.is_empty(), "{first:?}");
        assert_eq!(second.refused(404), "itemNotFound");
        assert_eq!(ada.get(&one(&id)).await.refused(404), "itemNotFound");
        let patched = ada.patch(&one(&id), json!({"readState": "read"})).await;
        assert_eq!(patched.refused(404), "itemNotFound");
        let report = hub.app().get(&format!("{POST}/{id}/deliveries")).await;
        assert_eq!(
            report.expect(200),
            json!({"value": []}),
            "the report outlives it"
        );
        assert_eq!(
            hub.app().get(POST).await.expect(200),
            json!({"value": [], "unreadCount": 0})
        );
    }
    hub.finish().await;
}
