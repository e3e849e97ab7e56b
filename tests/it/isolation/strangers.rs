//! Good credentials of others: another app's server, another app's user of the same name, another user of the app.

use hyper::Method;
use serde_json::{Value, json};

use super::{Door, ROUTES, Town, access_token, forged, town};
use crate::support::{Client, Sse, hub::APP, hub::OTHER_APP};

#[tokio::test(flavor = "multi_thread")]
async fn another_apps_server_finds_nothing_under_the_same_names() {
    let town = town().await;
    let before = town.seen().await;
    let key = town.other_key.bearer.clone().unwrap();
    let access = access_token(&town.hub, OTHER_APP, &key).await.expect(200);
    let access = town
        .hub
        .client()
        .bearer(access["access_token"].as_str().unwrap());
    for other in [&town.other_key, &access] {
        for (verb, path) in [
            ("GET", "/v1/users/{user}/notifications/{id}"),
            ("DELETE", "/v1/users/{user}/notifications/{id}"),
            ("GET", "/v1/users/{user}/notifications/{id}/deliveries"),
            ("DELETE", "/v1/users/{user}/endpoints/{endpoint}"),
            ("POST", "/v1/users/{user}/endpoints/{endpoint}/test"),
        ] {
            let answer = town.call(other, verb, path).await;
            let code = answer.refused(404);
            assert_eq!(code, "itemNotFound", "{verb} {path}: {answer:?}");
        }
        let history = town
            .call(other, "GET", "/v1/users/{user}/notifications")
            .await
            .expect(200);
        assert_eq!(history, json!({"value": [], "unreadCount": 0}));
        let page = format!("/v1/users/ada/notifications?$skiptoken={}", town.page);
        assert_eq!(other.get(&page).await.faults(), ["$skiptoken"]);
        let endpoints = town
            .call(other, "GET", "/v1/users/{user}/endpoints")
            .await
            .expect(200);
        assert_eq!(
            endpoints["value"].as_array().unwrap().len(),
            1,
            "{endpoints}"
        );
        assert_eq!(endpoints["value"][0]["id"], "tablet", "{endpoints}");
        let host = json!({"targetHostName": APP, "payload": {"rawContent": "r"}});
        let posted = other.post("/v1/users/ada/notifications", host).await;
        assert_eq!(posted.refused(403), "accessDenied");
    }
    for (id, secret) in [(APP, key.as_str()), (OTHER_APP, town.hub.key.as_str())] {
        let answer = access_token(&town.hub, id, secret).await;
        assert_eq!(answer.expect(401)["error"], "invalid_client", "{answer:?}");
    }
    // Whom it erases is its own ada.
    let erased = town.call(&access, "DELETE", "/v1/users/{user}").await;
    erased.expect(204);
    town.finish(&before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_subscription_id_is_refused_as_an_unknown_one() {
    let town = town().await;
    let before = town.seen().await;
    let commits = town.commits();
    let mut told = Vec::new();
    for unsid in [
        town.unsid.as_str(),
        &forged(&town.unsid),
        "00000000-0000-0000-0000-000000000000",
        "x",
        "",
    ] {
        for path in ["/beta/me/notifications", "/beta/me/notifications/"] {
            let client = town.other_key.header("x-uns-id", unsid);
            let answer = client
                .post(path, json!({"payload": {"rawContent": "r"}}))
                .await;
            let mut error = answer.expect(403)["error"].clone();
            error.as_object_mut().unwrap().remove("innerError");
            told.push(error);
        }
    }
    told.dedup();
    assert_eq!(
        told.len(),
        1,
        "the answers tell which one exists: {told:#?}"
    );
    let named = town.hub.app().header("x-uns-id", &town.unsid);
    let host = json!({"targetHostName": OTHER_APP, "payload": {"rawContent": "r"}});
    assert_eq!(
        named
            .post("/beta/me/notifications", host)
            .await
            .refused(403),
        "accessDenied"
    );
    assert_eq!(town.commits(), commits, "a refusal wrote something");
    town.finish(&before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_person_finds_nothing_by_ids() {
    let town = town().await;
    let before = town.seen().await;
    let (id, read) = (&town.id, json!({"readState": "read"}));
    let absent = (404, "itemNotFound");
    for (who, stranger) in [("another app's ada", &town.other_ada), ("bob", &town.bob)] {
        let device = stranger.header("x-endpoint-id", "tablet");
        let commits = town.commits();
        let one = "/v1/me/notifications/{id}";
        check(&town, &device, (who, "GET", one), None, absent).await;
        check(
            &town,
            &device,
            (who, "PATCH", one),
            Some(read.clone()),
            absent,
        )
        .await;
        check(&town, &device, (who, "DELETE", one), None, absent).await;
        let endpoint = "/v1/me/endpoints/{endpoint}";
        check(&town, stranger, (who, "DELETE", endpoint), None, absent).await;
        let posing = stranger.header("x-endpoint-id", &town.endpoint);
        let delta = "/v1/me/notifications/delta";
        check(
            &town,
            &posing,
            (who, "GET", delta),
            None,
            (404, "endpointNotFound"),
        )
        .await;
        let ids = json!({"ids": [id], "set": read});
        let changed = device
            .post("/v1/me/notifications/state", ids)
            .await
            .expect(200);
        assert_eq!(changed, json!({"changed": 0}), "{who}");
        let shown = json!({"shown": [id]});
        device
            .post("/v1/me/notifications/receipts", shown)
            .await
            .expect(204);
        for path in ["/v1/me/notifications", delta] {
            let seen = stranger.get(path).await.expect(200);
            assert_eq!(seen["value"], json!([]), "{who}");
        }
        assert_eq!(town.commits(), commits, "{who}: something was written");
    }
    town.finish(&before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_person_finds_nothing_by_cursors_and_page_tokens() {
    let town = town().await;
    let before = town.seen().await;
    let (cursor, page) = (&town.cursor, &town.page);
    let read = json!({"readState": "read"});
    let gone = (410, "syncStateNotFound");
    let at = |path: &str| format!("/v1/me/notifications{path}");
    for (who, stranger) in [("another app's ada", &town.other_ada), ("bob", &town.bob)] {
        let device = stranger.header("x-endpoint-id", "tablet");
        let commits = town.commits();
        for (verb, path, body) in [
            (
                "PATCH",
                at("/{id}"),
                Some(json!({"readState": "read", "upTo": cursor})),
            ),
            ("GET", at(&format!("/delta?$deltatoken={cursor}")), None),
            ("GET", at(&format!("/stream?$deltatoken={cursor}")), None),
            (
                "POST",
                at("/stream/ticket"),
                Some(json!({"deltaToken": cursor})),
            ),
            (
                "POST",
                at("/state"),
                Some(json!({"all": true, "upTo": cursor, "set": read})),
            ),
            ("POST", at("/receipts"), Some(json!({"upTo": cursor}))),
        ] {
            check(&town, &device, (who, verb, &path), body, gone).await;
        }
        let skip = at(&format!("?$skiptoken={page}"));
        check(
            &town,
            &device,
            (who, "GET", &skip),
            None,
            (400, "invalidRequest"),
        )
        .await;
        let resumed = device.header("last-event-id", cursor);
        check(&town, &resumed, (who, "GET", &at("/stream")), None, gone).await;
        assert_eq!(town.commits(), commits, "{who}: something was written");
    }
    town.finish(&before).await;
}

async fn check(
    town: &Town,
    client: &Client,
    (who, verb, path): (&str, &str, &str),
    body: Option<Value>,
    expected: (u16, &str),
) {
    let method = Method::from_bytes(verb.as_bytes()).unwrap();
    let answer = client.call(method, &town.path(path), body.clone()).await;
    let shown = format!("{who}: {verb} {path} {body:?}: {answer:?}");
    assert_eq!(answer.status.as_u16(), expected.0, "{shown}");
    assert_eq!(answer.json()["error"]["code"], expected.1, "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_endpoint_id_and_channel_in_another_app_are_another_endpoint() {
    let town = town().await;
    let before = town.seen().await;
    let body = json!({"channel": town.channel});
    let path = format!("/v1/me/endpoints/{}", town.endpoint);
    let registered = town.other_ada.put(&path, body).await.expect(201);
    assert_ne!(registered["userNotificationSubscriptionId"], town.unsid);
    town.other_ada.delete(&path).await.expect(204);
    assert_eq!(town.bob.delete(&path).await.refused(404), "itemNotFound");
    town.finish(&before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_its_owners_stream_alone_and_no_other_door() {
    let town = town().await;
    let before = town.seen().await;
    let ticket = async |client: &Client| {
        let given = client
            .post("/v1/me/notifications/stream/ticket", json!({}))
            .await
            .expect(201);
        given["ticket"].as_str().unwrap().to_owned()
    };
    let adas = ticket(&town.ada).await;
    for (verb, path, door) in ROUTES {
        if door == Door::Open || path.ends_with("/stream") {
            continue;
        }
        let answer = town
            .call(&town.hub.client(), verb, &format!("{path}?ticket={adas}"))
            .await;
        assert_eq!(answer.status, 401, "{verb} {path}: {answer:?}");
        let bearer = town.hub.client().bearer(&adas);
        let answer = town.call(&bearer, verb, path).await;
        assert_eq!(answer.status, 401, "{verb} {path}: {answer:?}");
    }
    for stranger in [&town.other_ada, &town.bob] {
        let foreign = ticket(stranger).await;
        let path = format!(
            "/v1/me/notifications/stream?ticket={foreign}&$deltatoken={}",
            town.cursor
        );
        let refused = town.hub.client().get(&path).await;
        assert_eq!(refused.refused(410), "syncStateNotFound");
    }
    let path = format!(
        "/v1/me/notifications/stream?ticket={}",
        ticket(&town.bob).await
    );
    let mut stream = Sse::open(&town.hub.client(), &path).await;
    let key = town.other_key.clone();
    let body = json!({"payload": {"rawContent": "another app's"}});
    key.post("/v1/users/bob/notifications", body)
        .await
        .expect(201);
    town.ada.get("/v1/me/notifications").await.expect(200);
    let bobs = town.hub.post("bob", "Bob's own").await;
    assert_eq!(
        stream.event().await.1["id"],
        bobs["id"],
        "a stream shows its owner's feed alone"
    );
    town.finish(&before).await;
}
