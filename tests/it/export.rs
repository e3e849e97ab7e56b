//! All that is held about a user, as their app's server and the operator can have it.

use std::time::Duration;

use beckon::{
    doubles::Service,
    hub::admin::{Piece, Place, Request},
};
use serde_json::{Value, json};

use crate::support::{ChildHub, TestDevice, TestHub, device::beckon_of, eventually, hub::APP};

const POST: &str = "/v1/users/ada/notifications";
const EXPORT: &str = "/v1/users/ada/export";

/// Does all that a user can do; says every id that was seen, and every secret.
pub(crate) async fn live(hub: &TestHub) -> (Vec<String>, Vec<String>) {
    let mut devices: Vec<TestDevice> = Vec::new();
    for service in Service::ALL {
        devices.push(hub.device("ada", service).await);
    }
    let bound = hub.person("ada", Some("watch")).await;
    let mut posted = Vec::new();
    for nth in 0..60 {
        let body = json!({"appNotificationId": format!("order-{nth}"), "payload": {"visualContent": {"title": format!("hush {nth}")}}});
        posted.push(hub.app().post(POST, body).await.expect(201));
    }
    let raw = json!({"priority": "High", "payload": {"rawContent": "hush raw"}, "fallbackPolicy": {"endpointFallback": {"platformTypes": ["iOS"], "fallbackDelayInSeconds": 60, "visualContent": {"title": "hush fallback"}}}});
    posted.push(hub.app().post(POST, raw).await.expect(201));
    let id = |nth: usize| posted[nth]["id"].as_str().unwrap();
    let tap = devices[0].next_push("a tap").await;
    assert_eq!(beckon_of(&tap.push)["k"], "created");
    devices[0].pull().await;
    devices[0]
        .set(id(0), json!({"userActionState": "dismissed"}))
        .await;
    devices[1].set(id(1), json!({"readState": "read"})).await;
    let shown = json!({"shown": [id(2)]});
    devices[1]
        .client
        .post("/v1/me/notifications/receipts", shown)
        .await
        .expect(204);
    hub.app()
        .delete(&format!("{POST}/{}", id(3)))
        .await
        .expect(204);
    hub.settled().await;
    let mut ids: Vec<String> = posted
        .iter()
        .map(|it| it["id"].as_str().unwrap().to_owned())
        .collect();
    ids.extend(devices.iter().map(|it| it.endpoint.clone()));
    ids.extend(devices.iter().map(|it| {
        it.registered["userNotificationSubscriptionId"]
            .as_str()
            .unwrap()
            .to_owned()
    }));
    let mut secrets = vec![hub.key.clone(), bound.bearer.unwrap()];
    for device in &devices {
        let channel = serde_json::to_value(&device.device.channel).unwrap();
        let members = channel
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| *name != "type");
        secrets.extend(members.filter_map(|(_, value)| value.as_str().map(str::to_owned)));
        secrets.extend(device.client.bearer.clone());
    }
    (ids, secrets)
}

/// The same as the operators' door gives it, piece by piece.
async fn by_the_operator(hub: &TestHub, content: bool) -> Value {
    let (mut text, mut place) = (String::new(), Some(Place::Start));
    while let Some(at) = place {
        let request = Request::UserExport {
            app: APP.into(),
            user: "ada".into(),
            content,
            place: at,
        };
        let piece = hub.running().hub.admin(request).await.unwrap();
        let piece: Piece = serde_json::from_value(piece).unwrap();
        text.push_str(&piece.text);
        place = piece.next;
    }
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_has_every_id_and_no_secret() {
    let hub = TestHub::at_a_standstill().await;
    let (ids, secrets) = live(&hub).await;
    for content in [true, false] {
        let answer = hub.app().get(&format!("{EXPORT}?content={content}")).await;
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let exported = answer.expect(200);
        let text = exported.to_string();
        for id in &ids {
            assert!(text.contains(id.as_str()), "{id} is missing");
        }
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "a secret is shown");
        }
        assert_eq!(text.contains("hush"), content);
        let mut by_the_operator = by_the_operator(&hub, content).await;
        // That is one more.
        let acts = by_the_operator["acts"].as_array_mut().unwrap();
        assert_eq!(
            (&acts[0]["by"], &acts[0]["act"]),
            (&json!("operator"), &json!("user export"))
        );
        acts.remove(0);
        assert_eq!(by_the_operator, exported);
        let list = |name: &str| exported[name].as_array().unwrap().clone();
        assert_eq!(list("notifications").len(), 61);
        assert_eq!((list("endpoints").len(), list("tokens").len()), (4, 5));
        let pushes = list("pushes");
        assert!(pushes.len() >= 4, "{pushes:?}");
        assert!(
            pushes.iter().all(|it| it["sizeBytes"].as_u64() > Some(0)),
            "{pushes:?}"
        );
        let deleted = &list("notifications")[3];
        assert_eq!(deleted["status"], "deleted", "{deleted}");
        let first = &list("notifications")[0];
        assert_eq!(first["userActionState"], "dismissed");
        assert_eq!(first["deliveries"].as_array().unwrap().len(), 4);
    }
    let odd = hub.app().get(&format!("{EXPORT}?content=perhaps")).await;
    assert_eq!(odd.expect(400)["error"]["details"][0]["target"], "content");
    let unknown = hub.app().get("/v1/users/nobody/export").await;
    assert_eq!(unknown.refused(404), "itemNotFound");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_expired_is_told_of_for_as_long_as_the_feed_remembers_it() {
    let hub = TestHub::at_a_standstill().await;
    let expires = hub.clock.now().plus(Duration::from_secs(60)).to_string();
    let mut ids = Vec::new();
    for nth in 0..3 {
        let body = json!({"payload": {"rawContent": "hush"}, "expirationDateTime": expires});
        let posted = hub.app().post(POST, body).await.expect(201);
        ids.push(posted["id"].clone());
        if nth == 0 {
            let path = format!("{POST}/{}", posted["id"].as_str().unwrap());
            hub.app().delete(&path).await.expect(204);
        }
    }
    hub.advance(Duration::from_secs(120));
    eventually("the sweep has come by", || async {
        let exported = hub.app().get(EXPORT).await.expect(200);
        let removed = exported["removed"].as_array().unwrap().clone();
        let expired = |it: &Value| it["reason"] == "expired" && it["removedDateTime"].is_string();
        let found = removed
            .iter()
            .filter(|it| expired(it))
            .map(|it| it["id"].clone());
        (found.collect::<Vec<Value>>() == ids[1..]).then_some(())
    })
    .await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_prints_it_with_the_hub_running_and_stopped() {
    let mut hub = ChildHub::start().await;
    let body = json!({"payload": {"rawContent": "hush"}});
    let posted = hub.app().post(POST, body).await.expect(201);
    for life in ["running", "stopped"] {
        let ask = |more: &[&str]| {
            let told = hub.command(&[&["user", "export", APP, "ada"], more].concat());
            assert_eq!(told.status.code(), Some(0), "{life}: {told:?}");
            serde_json::from_slice::<Value>(&told.stdout).unwrap()
        };
        let exported = ask(&[]);
        assert_eq!(exported["notifications"][0]["id"], posted["id"], "{life}");
        assert!(exported.to_string().contains("hush"), "{life}");
        assert!(
            !ask(&["--without-content"]).to_string().contains("hush"),
            "{life}"
        );
        let unknown = hub.refused(&["user", "export", APP, "nobody"]);
        assert!(
            unknown.contains("no such user") || unknown.contains("user"),
            "{unknown}"
        );
        if life == "running" {
            hub.stop().await;
        }
    }
}
