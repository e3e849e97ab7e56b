//! Operators' requests against a hub in memory.

use serde_json::{Value, json};

use super::*;
use crate::{
    clock::Clock,
    config::{Apps, Delivery, Limits, init},
    model::Timestamp,
    store::Store,
};

pub(super) const HOST: &str = "todo.example.com";

fn hub() -> Hub {
    hub_within(Limits::default())
}

pub(super) fn hub_within(limits: Limits) -> Hub {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, init::starter(&AppHost::parse(HOST).unwrap())).unwrap();
    let config = crate::config::load(Some(&file), std::iter::empty()).unwrap();
    Hub::new(
        Store::in_memory().unwrap(),
        Apps::new(config.apps),
        (Delivery::default(), limits),
        Clock::manual(Timestamp::from_millis(1_700_000_000_000)),
    )
}

async fn ask(hub: &Hub, request: Value) -> Result<Value, AdminError> {
    let request: Request = serde_json::from_value(request).unwrap();
    let again = serde_json::to_value(&request).unwrap();
    assert_eq!(serde_json::from_value::<Request>(again).unwrap(), request);
    hub.admin(request).await
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked() {
    let hub = hub();
    let made = ask(
        &hub,
        json!({ "op": "createKey", "app": HOST, "name": "ci", "scope": "send" }),
    );
    let made = made.await.unwrap();
    assert_eq!(made["app"], HOST);
    assert!(made["key"].as_str().unwrap().starts_with("bk_"), "{made}");

    let list = json!({ "op": "listKeys", "app": HOST });
    let listed = ask(&hub, list.clone()).await.unwrap();
    let expected = json!({ "value": [{ "id": made["id"], "app": HOST, "name": "ci", "scope": "send",
        "createdDateTime": "2023-11-14T22:13:20.000Z" }] });
    assert_eq!(listed, expected);

    let revoke = json!({ "op": "revokeKey", "id": made["id"], "withTokens": true });
    ask(&hub, revoke.clone()).await.unwrap();
    let listed = ask(&hub, list).await.unwrap();
    assert!(
        listed["value"][0]["revokedDateTime"].is_string(),
        "{listed}"
    );
    ask(&hub, revoke).await.unwrap();
    let again = json!({ "op": "revokeKey", "id": made["id"], "withTokens": false });
    let again = ask(&hub, again).await.unwrap_err();
    assert_eq!(again.code, "itemNotFound");
}

#[tokio::test]
async fn a_post_shows_up_at_its_user() {
    let hub = hub();
    let post =
        json!({ "title": "Hello", "priority": "high", "platforms": ["ios"], "expiresSecs": 60 });
    let posted = ask(
        &hub,
        json!({ "op": "send", "app": HOST, "user": "ada", "post": post }),
    );
    let posted = posted.await.unwrap();
    let expected = json!({ "id": posted["id"], "priority": "High", "payload": { "visualContent": { "title": "Hello" } },
        "targetPolicy": { "platformTypes": ["iOS"] }, "createdDateTime": "2023-11-14T22:13:20.000Z",
        "lastModifiedDateTime": "2023-11-14T22:13:20.000Z", "expirationDateTime": "2023-11-14T22:14:20.000Z",
        "readState": "unread", "userActionState": "noInteraction", "status": "active", "version": 1 });
    assert_eq!(posted, expected);

    let shown = ask(
        &hub,
        json!({ "op": "userShow", "app": HOST, "user": "ada" }),
    );
    let expected = json!({ "id": "ada", "notificationCount": 1, "unreadCount": 1, "endpoints": [], "notifications": [posted] });
    assert_eq!(shown.await.unwrap(), expected);

    let users = ask(&hub, json!({ "op": "userList", "app": HOST })).await;
    assert_eq!(
        users.unwrap(),
        json!({ "value": [{ "id": "ada", "notificationCount": 1, "unreadCount": 1 }] })
    );
    let sound = ask(&hub, json!({ "op": "storeVerify" })).await.unwrap();
    assert_eq!(sound, json!({ "value": [] }));
    let health = ask(&hub, json!({ "op": "health" })).await.unwrap();
    assert_eq!(
        health["apps"],
        json!([{ "host": HOST, "services": ["webPush"] }])
    );
    assert_eq!(health["outboxDepth"], 0);
}

#[tokio::test]
async fn refusals_name_what_was_typed() {
    let hub = hub();
    let check = async |request: Value, code: &str, begin: &str| {
        let refused = ask(&hub, request.clone()).await.unwrap_err();
        assert_eq!(refused.code, code, "{request}");
        assert!(refused.message.starts_with(begin), "{refused}");
    };
    let key = |app: &str, scope: &str| json!({ "op": "createKey", "app": app, "scope": scope });
    check(
        key("a b", "all"),
        "invalidRequest",
        "HOST is not a host name",
    )
    .await;
    check(
        key("other.example.com", "all"),
        "itemNotFound",
        "there is no app other.example.com",
    )
    .await;
    check(key(HOST, "root"), "invalidRequest", "--scope is not known").await;
    let token = |user: &str, endpoint: &str, secs: u64| json!({ "op": "mintToken", "app": HOST, "user": user, "endpoint": endpoint, "expiresSecs": secs });
    check(token("", "phone", 60), "invalidRequest", "USER is 0 bytes").await;
    check(
        token("ada", "a/b", 60),
        "invalidRequest",
        "ENDPOINT is not 1",
    )
    .await;
    check(
        token("ada", "phone", 31_536_001),
        "invalidRequest",
        "--expires is out",
    )
    .await;
    check(
        json!({ "op": "userShow", "app": HOST, "user": "nobody" }),
        "itemNotFound",
        "there is no such user",
    )
    .await;
    let remove = json!({ "op": "endpointRemove", "app": HOST, "user": "ada", "endpoint": "phone" });
    check(remove, "itemNotFound", "there is no such endpoint").await;
}

#[test]
fn requests_of_another_version_are_refused() {
    for request in [
        json!({ "op": "revokeKey", "id": "a", "withTokens": false, "quietly": true }),
        json!({ "op": "dance" }),
    ] {
        assert!(
            serde_json::from_value::<Request>(request.clone()).is_err(),
            "{request}"
        );
    }
}
