//! The client's door: endpoints, delta, history, states, tokens.

use serde_json::{Value, json};

use super::support::{Door, eventually};

async fn deliveries(door: &Door, user: &str, id: &str) -> Vec<Value> {
    let line = format!("GET /v1/users/{user}/notifications/{id}/deliveries");
    let reply = door.get(&line, &door.key).await.expect(200, "");
    reply.json()["value"].as_array().unwrap().clone()
}

fn path_of(link: &Value) -> String {
    let link = link.as_str().unwrap();
    link.strip_prefix("http://hub.test").unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_is_a_fetch_once_it_has_left() {
    let door = Door::open().await;
    let token = door.token("ada", Some("phone")).await;
    let pull = "GET /v1/me/notifications/delta";
    door.get(pull, &token).await.expect(404, "endpointNotFound");
    door.register(&token, "phone").await;
    let ids = [door.post("ada", "1").await, door.post("ada", "2").await];
    let reply = door
        .get("GET /v1/me/notifications/delta?$top=1", &token)
        .await
        .expect(200, "");
    assert_eq!(reply.json()["value"][0]["id"], *ids[0], "{reply:?}");
    let next = path_of(&reply.json()["@odata.nextLink"]);
    assert!(
        next.starts_with("/v1/me/notifications/delta?$top=1&$deltatoken="),
        "{next}"
    );
    let reply = door
        .get(&format!("GET {next}"), &token)
        .await
        .expect(200, "");
    let value = reply.json()["value"].clone();
    assert_eq!(
        (value.as_array().unwrap().len(), &value[0]["id"]),
        (1, &json!(ids[1]))
    );
    let delta = path_of(&reply.json()["@odata.deltaLink"]);
    eventually(async || deliveries(&door, "ada", &ids[1]).await[0]["status"] == "fetched").await;
    let line = &deliveries(&door, "ada", &ids[1]).await[0];
    assert!(
        line["explanation"]
            .as_str()
            .unwrap()
            .contains("the device fetched it at 2026-11-24"),
        "{line}"
    );
    door.get(&format!("DELETE /v1/me/notifications/{}", ids[0]), &token)
        .await
        .expect(204, "");
    let reply = door
        .get(&format!("GET {delta}"), &token)
        .await
        .expect(200, "");
    assert_eq!(
        reply.json()["value"],
        json!([{"id": ids[0], "@removed": {"reason": "deleted"}}])
    );
    door.get("GET /v1/me/notifications/delta?$deltatoken=odd", &token)
        .await
        .expect(410, "syncStateNotFound");
    door.get("GET /v1/me/notifications/delta?$top=0", &token)
        .await
        .expect(400, "invalidRequest");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history_marks_what_it_shows() {
    let door = Door::open().await;
    let token = door.token("ada", Some("phone")).await;
    door.register(&token, "phone").await;
    let ids = [
        door.post("ada", "1").await,
        door.post("ada", "2").await,
        door.post("ada", "3").await,
    ];
    let reply = door
        .get("GET /v1/me/notifications?$top=2&readState=UNREAD", &token)
        .await
        .expect(200, "");
    let body = reply.json();
    assert_eq!(
        (&body["value"][0]["id"], &body["unreadCount"]),
        (&json!(ids[2]), &json!(3))
    );
    eventually(async || deliveries(&door, "ada", &ids[2]).await[0]["status"] == "fetched").await;
    assert_ne!(
        deliveries(&door, "ada", &ids[0]).await[0]["status"],
        "fetched"
    );
    let next = path_of(&body["@odata.nextLink"]);
    let body = door
        .get(&format!("GET {next}"), &token)
        .await
        .expect(200, "")
        .json();
    assert_eq!(
        (&body["value"][0]["id"], &body["@odata.nextLink"]),
        (&json!(ids[0]), &json!(null))
    );
    door.get("GET /v1/me/notifications?$skiptoken=odd", &token)
        .await
        .expect(400, "invalidRequest");
    let reply = door
        .get(
            "GET /v1/me/notifications?readState=x&userActionState=y",
            &token,
        )
        .await;
    assert_eq!(
        reply.expect(400, "invalidRequest").targets(),
        ["readState", "userActionState"]
    );
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn states_of_one_and_many() {
    let door = Door::open().await;
    let token = door.token("ada", None).await;
    let ids = [door.post("ada", "1").await, door.post("ada", "2").await];
    let line = format!("PATCH /v1/me/notifications/{}", ids[0]);
    let body = door
        .json(&line, &token, json!({"readState": "read"}))
        .await
        .expect(200, "")
        .json();
    assert_eq!(
        (&body["readState"], &body["userActionState"]),
        (&json!("read"), &json!("noInteraction"))
    );
    door.json(&line, &token, json!({}))
        .await
        .expect(400, "invalidRequest");
    door.json(&line, &token, json!({"readState": "read", "upTo": "odd"}))
        .await
        .expect(410, "syncStateNotFound");
    let state = "POST /v1/me/notifications/state";
    let all = json!({"all": true, "set": {"readState": "read"}});
    assert_eq!(
        door.json(state, &token, all).await.expect(200, "").json(),
        json!({"changed": 1})
    );
    let other = door.token("bob", None).await;
    door.json(&line, &other, json!({"readState": "read"}))
        .await
        .expect(404, "itemNotFound");
    let gone = format!("DELETE /v1/me/notifications/{}", ids[0]);
    door.get(&gone, &token).await.expect(204, "");
    door.get(&gone, &token).await.expect(404, "itemNotFound");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_named_and_bound() {
    let door = Door::open().await;
    let (free, bound) = (
        door.token("ada", None).await,
        door.token("ada", Some("phone")).await,
    );
    let body =
        json!({"platform": "iOS", "channel": {"type": "none"}, "displayName": "Ada's phone"});
    door.json("PUT /v1/me/endpoints/tablet", &bound, body.clone())
        .await
        .expect(403, "accessDenied");
    door.json("PUT /v1/me/endpoints/a%20b", &free, body.clone())
        .await
        .expect(400, "invalidRequest");
    let first = door
        .json("PUT /v1/me/endpoints/phone", &bound, body.clone())
        .await
        .expect(201, "")
        .json();
    let again = door
        .json("PUT /v1/me/endpoints/phone", &bound, body)
        .await
        .expect(200, "")
        .json();
    let unsid = "userNotificationSubscriptionId";
    assert_eq!(
        (&first[unsid], &first["channel"]),
        (&again[unsid], &json!({"type": "none"}))
    );
    let naming = |id: &str| format!("X-Endpoint-Id: {id}\r\n");
    let line = "GET /v1/me/notifications";
    door.call(line, &bound, &naming("phone"), b"")
        .await
        .expect(200, "");
    door.call(line, &bound, &naming("tablet"), b"")
        .await
        .expect(403, "accessDenied");
    door.call(line, &free, &naming("tablet"), b"")
        .await
        .expect(404, "endpointNotFound");
    door.call(line, &free, &naming("o d d"), b"")
        .await
        .expect(404, "endpointNotFound");
    door.get("DELETE /v1/me/endpoints/phone", &bound)
        .await
        .expect(204, "");
    door.get(line, &bound).await.expect(401, "unauthenticated");
    door.get("DELETE /v1/me/endpoints/phone", &free)
        .await
        .expect(404, "itemNotFound");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_are_one_devices() {
    let door = Door::open().await;
    let (free, bound) = (
        door.token("ada", None).await,
        door.token("ada", Some("phone")).await,
    );
    door.register(&bound, "phone").await;
    let receipts = "POST /v1/me/notifications/receipts";
    let none = door
        .json(receipts, &free, json!({"shown": []}))
        .await
        .expect(400, "invalidRequest");
    assert_eq!(none.targets(), ["X-Endpoint-Id"]);
    let id = door.post("ada", "1").await;
    door.json(receipts, &bound, json!({"shown": [id]}))
        .await
        .expect(204, "");
    assert_eq!(deliveries(&door, "ada", &id).await[0]["status"], "shown");
    let position = door
        .get("GET /v1/me/notifications/delta", &free)
        .await
        .json();
    let cursor = position["@odata.deltaLink"]
        .as_str()
        .unwrap()
        .rsplit('=')
        .next()
        .unwrap();
    let id = door.post("ada", "2").await;
    door.json(receipts, &bound, json!({"upTo": cursor}))
        .await
        .expect(204, "");
    assert_ne!(deliveries(&door, "ada", &id).await[0]["status"], "fetched");
    door.json(receipts, &bound, json!({"upTo": "odd"}))
        .await
        .expect(410, "syncStateNotFound");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_are_checked() {
    let door = Door::open().await;
    let token = door.token("ada", None).await;
    let key = format!("B{}", "A".repeat(86));
    let keys = json!({"p256dh": key, "auth": "AAAAAAAAAAAAAAAAAAAAAA"});
    let web = |endpoint: &str, keys: &Value| json!({"type": "webPush", "endpoint": endpoint, "keys": keys, "expirationTime": null});
    for (body, targets) in [
        (json!({}), vec!["channel"]),
        (json!({"channel": {"type": "none"}}), vec!["platform"]),
        (json!({"channel": {"type": "smoke"}}), vec!["channel.type"]),
        (
            json!({"channel": {"type": "apns", "deviceToken": "00"}}),
            vec!["channel.type"],
        ),
        (
            json!({"channel": web("http://push.example/x", &keys)}),
            vec!["channel.endpoint"],
        ),
        (
            json!({"channel": web("https://push.example/x", &json!({}))}),
            vec!["channel.keys.p256dh", "channel.keys.auth"],
        ),
        (
            json!({"platform": "iOS", "channel": web("https://push.example/x", &keys)}),
            vec!["platform"],
        ),
        (
            json!({"platform": "webpush", "channel": web("https://push.example/x", &keys)}),
            vec![],
        ),
    ] {
        let reply = door
            .json("PUT /v1/me/endpoints/web", &token, body.clone())
            .await;
        if targets.is_empty() {
            assert_eq!(
                reply.expect(201, "").json()["channel"],
                json!({"type": "webPush"})
            );
        } else {
            assert_eq!(
                reply.expect(400, "invalidRequest").targets(),
                targets,
                "{body}"
            );
        }
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_minted_and_renewed() {
    let door = Door::open().await;
    let line = "POST /v1/users/ada/tokens";
    let minted = door
        .json(line, &door.users_key, json!({"expiresInSeconds": 5}))
        .await
        .expect(201, "")
        .json();
    assert_eq!(minted["expiresDateTime"], "2026-11-24T12:00:05.000Z");
    door.get(line, &door.key).await.expect(201, "");
    door.json(line, &door.send_key, json!({}))
        .await
        .expect(403, "accessDenied");
    door.json(line, &door.key, json!({"expiresInSeconds": 0}))
        .await
        .expect(400, "invalidRequest");
    let bound = door.token("ada", Some("phone")).await;
    let renewed = door
        .get("POST /v1/me/token", &bound)
        .await
        .expect(201, "")
        .json();
    assert_eq!(
        (&renewed["endpointId"], &renewed["expiresDateTime"]),
        (&json!("phone"), &json!("2027-02-22T12:00:00.000Z"))
    );
    door.close().await;
}
