//! What a post becomes; replacing by the app's own id; how many are kept.

use std::time::Duration;

use serde_json::{Value, json};

use super::{DAY, POST, commits, contents, moment, named, raw, small_hub, text};
use crate::support::{TestHub, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_post_does_not_say_has_its_default() {
    let hub = TestHub::at_a_standstill().await;
    let now = hub.clock.now();
    let answer = hub.app().post(POST, raw("hello")).await;
    let posted = answer.expect(201);
    assert_eq!(posted["readState"], "unread", "{posted}");
    assert_eq!(posted["userActionState"], "noInteraction", "{posted}");
    assert_eq!(posted["status"], "active", "{posted}");
    assert_eq!(posted["priority"], "None", "{posted}");
    assert_eq!(
        posted["payload"],
        json!({"rawContent": "hello"}),
        "{posted}"
    );
    for absent in [
        "appNotificationId",
        "groupName",
        "displayTimeToLive",
        "targetPolicy",
        "fallbackPolicy",
    ] {
        assert_eq!(posted[absent], Value::Null, "{absent}: {posted}");
    }
    assert_eq!(moment(&posted["createdDateTime"]), now, "{posted}");
    assert_eq!(moment(&posted["lastModifiedDateTime"]), now, "{posted}");
    assert_eq!(
        moment(&posted["expirationDateTime"]),
        now.plus(7 * DAY),
        "{posted}"
    );
    let path = format!("{POST}/{}", text(&posted["id"]));
    let location = answer.header("location").unwrap();
    assert_eq!(location, format!("http://{}{path}", hub.running().addr));
    assert_eq!(hub.app().get(&path).await.expect(200), posted);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_post_says_comes_back() {
    let hub = TestHub::start().await;
    let visual = json!({"title": "t", "body": "b"});
    let fallback =
        json!({"platformTypes": ["iOS"], "fallbackDelayInSeconds": 60, "visualContent": visual});
    let body = json!({
        "targetHostName": "TODO.example", "appNotificationId": "order-7", "groupName": "orders",
        "targetPolicy": {"platformTypes": ["IOS", "Android", "WEBPUSH", "windows"]}, "priority": "hIgH",
        "payload": {"rawContent": "r"}, "displayTimeToLive": 60, "fallbackPolicy": {"endpointFallback": fallback},
        "unknown": [1, {"deep": true}],
    });
    let posted = hub.app().post(POST, body).await.expect(201);
    assert_eq!(posted["appNotificationId"], "order-7", "{posted}");
    assert_eq!(posted["groupName"], "orders", "{posted}");
    assert_eq!(posted["priority"], "High", "{posted}");
    assert_eq!(posted["displayTimeToLive"], 60, "{posted}");
    let mut platforms: Vec<String> = posted["targetPolicy"]["platformTypes"]
        .as_array()
        .unwrap()
        .iter()
        .map(text)
        .collect();
    platforms.sort();
    assert_eq!(
        platforms,
        ["android", "iOS", "webPush", "windows"],
        "{posted}"
    );
    assert_eq!(
        posted["fallbackPolicy"],
        json!({"endpointFallback": fallback}),
        "{posted}"
    );
    assert_eq!(posted["unknown"], Value::Null, "{posted}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_lives_up_to_30_days() {
    let hub = TestHub::at_a_standstill().await;
    let now = hub.clock.now();
    let post = async |expires: String| {
        let body = json!({"expirationDateTime": expires, "payload": {"rawContent": "r"}});
        hub.app().post(POST, body).await
    };
    let latest = now.plus(30 * DAY);
    let posted = post(latest.to_string()).await.expect(201);
    assert_eq!(moment(&posted["expirationDateTime"]), latest, "{posted}");
    let soon = now.plus(Duration::from_millis(1));
    post(soon.to_string()).await.expect(201);
    for bad in [
        latest.plus(Duration::from_millis(1)),
        now,
        now.plus(400 * DAY),
    ] {
        assert_eq!(
            post(bad.to_string()).await.faults(),
            ["expirationDateTime"],
            "{bad}"
        );
    }
    let east = post(soon.to_string().replace('Z', "+00:00")).await;
    east.expect(201);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_again_is_known_and_taps_nobody() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", beckon::doubles::Service::Apns).await;
    let first = hub
        .app()
        .post(POST, named("order-7", "one"))
        .await
        .expect(201);
    phone.next_push("the tap of the first").await;
    let id = text(&first["id"]);
    phone.pull().await;
    let read = phone.set(&id, json!({"readState": "read"})).await;
    hub.settled().await;
    let before = commits(&hub);
    hub.advance(Duration::from_secs(60));
    let again = hub
        .app()
        .post(POST, named("order-7", "one"))
        .await
        .expect(200);
    assert_eq!(
        again, read,
        "it stays as read as it is, and expires when it would have"
    );
    hub.settled().await;
    assert_eq!(
        commits(&hub),
        before + 1,
        "nothing was written but the settler's token"
    );
    assert_eq!(phone.unseen(), 0);
    let other = hub
        .app()
        .post("/v1/users/bob/notifications", named("order-7", "one"))
        .await
        .expect(201);
    assert_ne!(other["id"], first["id"], "the name is the person's own");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_content_takes_the_place_of_the_first() {
    let hub = TestHub::at_a_standstill().await;
    let ada = hub.person("ada", None).await;
    let first = hub
        .app()
        .post(POST, named("order-7", "one"))
        .await
        .expect(201);
    hub.app().post(POST, raw("between")).await.expect(201);
    let path = format!("/v1/me/notifications/{}", text(&first["id"]));
    let set = json!({"readState": "read", "userActionState": "dismissed"});
    ada.patch(&path, set).await.expect(200);
    hub.advance(Duration::from_secs(60));
    let second = hub.app().post(POST, named("order-7", "two")).await;
    assert!(
        second.header("location").is_none(),
        "it is where it was: {second:?}"
    );
    let second = second.expect(200);
    for kept in ["id", "createdDateTime"] {
        assert_eq!(second[kept], first[kept], "{kept}: {second}");
    }
    assert_eq!(second["readState"], "unread", "{second}");
    assert_eq!(second["userActionState"], "noInteraction", "{second}");
    assert_eq!(
        moment(&second["lastModifiedDateTime"]),
        hub.clock.now(),
        "{second}"
    );
    assert_eq!(
        moment(&second["expirationDateTime"]),
        hub.clock.now().plus(7 * DAY),
        "{second}"
    );
    let history = ada.get("/v1/me/notifications").await.expect(200);
    assert_eq!(contents(&history), ["two", "between"], "it was posted anew");
    assert_eq!(history["unreadCount"], 2, "{history}");
    assert_eq!(
        contents(&ada.get("/v1/me/notifications/delta").await.expect(200)),
        ["between", "two"]
    );
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_is_part_of_the_content() {
    let hub = TestHub::start().await;
    let first = hub.app().post(POST, named("n", "r")).await.expect(201);
    let check = async |member: &str, value: Value| {
        let mut body = named("n", "r");
        body[member] = value;
        let before = commits(&hub);
        let changed = hub.app().post(POST, body.clone()).await.expect(200);
        assert!(commits(&hub) > before, "{member} is content: {changed}");
        let before = changed["lastModifiedDateTime"].clone();
        let same = hub.app().post(POST, body).await.expect(200);
        assert_eq!(
            (&same["id"], &same["lastModifiedDateTime"]),
            (&first["id"], &before),
            "{member}"
        );
    };
    check("priority", json!("Low")).await;
    check("groupName", json!("g")).await;
    check("displayTimeToLive", json!(60)).await;
    check("displayTimeToLive", json!("61")).await;
    check("targetPolicy", json!({"platformTypes": ["iOS"]})).await;
    check(
        "expirationDateTime",
        json!(hub.clock.now().plus(DAY).to_string()),
    )
    .await;
    check(
        "payload",
        json!({"rawContent": "r", "visualContent": {"title": "t"}}),
    )
    .await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_apps_own_id_is_free_after_deletion_and_expiry() {
    let hub = TestHub::at_a_standstill().await;
    let first = hub.app().post(POST, named("n", "one")).await.expect(201);
    hub.app()
        .delete(&format!("{POST}/{}", text(&first["id"])))
        .await
        .expect(204);
    let second = hub.app().post(POST, named("n", "one")).await.expect(201);
    assert_ne!(second["id"], first["id"]);
    hub.advance(7 * DAY);
    let third = hub.app().post(POST, named("n", "one")).await.expect(201);
    assert_ne!(
        third["id"], second["id"],
        "it is free at once, swept or not"
    );
    let history = hub.app().get(POST).await.expect(200);
    assert_eq!(history["value"].as_array().unwrap().len(), 1, "{history}");
    eventually("what expired is no more counted", || async {
        let history = hub.app().get(POST).await.expect(200);
        (history["unreadCount"] == 1).then_some(())
    })
    .await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_person_makes_room_by_what_was_dealt_with() {
    let hub = small_hub::<3>().await;
    let ada = hub.person("ada", None).await;
    let mut ids = Vec::new();
    for name in ["one", "two", "three"] {
        ids.push(text(
            &hub.app().post(POST, named(name, name)).await.expect(201)["id"],
        ));
    }
    let cursor = ada.get("/v1/me/notifications/delta").await.expect(200);
    let since = crate::support::device::token_of(cursor["@odata.deltaLink"].as_str().unwrap());
    let full = hub.app().post(POST, raw("four")).await;
    assert_eq!(full.refused(429), "limitReached");
    assert_eq!(full.header("retry-after"), None, "{full:?}");
    hub.app()
        .post(POST, named("three", "three anew"))
        .await
        .expect(200);
    let set = async |id: &str, state: Value| {
        ada.patch(&format!("/v1/me/notifications/{id}"), state)
            .await
    };
    set(&ids[1], json!({"userActionState": "dismissed"}))
        .await
        .expect(200);
    set(&ids[0], json!({"userActionState": "snoozed"}))
        .await
        .expect(200);
    hub.app().post(POST, raw("four")).await.expect(201);
    assert_eq!(
        hub.app()
            .get(&format!("{POST}/{}", ids[1]))
            .await
            .refused(404),
        "itemNotFound"
    );
    let history = ada.get("/v1/me/notifications").await.expect(200);
    assert_eq!(contents(&history), ["four", "three anew", "one"]);
    let changes = ada
        .get(&format!("/v1/me/notifications/delta?$deltatoken={since}"))
        .await
        .expect(200);
    assert_eq!(
        contents(&changes),
        ["three anew", "one", "expired", "four"],
        "{changes}"
    );
    assert_eq!(
        hub.app().post(POST, raw("five")).await.refused(429),
        "limitReached"
    );
    set(&ids[0], json!({"readState": "read"})).await.expect(200);
    hub.app().post(POST, raw("five")).await.expect(201);
    hub.finish().await;
}
