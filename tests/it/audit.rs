//! The audit log: who did what, and when, and never content.

use std::time::Duration;

use beckon::hub::admin::Request;
use serde_json::{Value, json};

use crate::support::{ChildHub, TestHub, hub::APP};

/// What the log holds, oldest first.
async fn acts(hub: &TestHub) -> Vec<Value> {
    let request = Request::Audit {
        app: None,
        since: None,
        before: None,
    };
    let page = hub.running().hub.admin(request).await.unwrap();
    let mut acts = page["value"].as_array().unwrap().clone();
    acts.reverse();
    acts
}

/// Who did what to whom, and what came of it.
fn told(act: &Value) -> [&str; 5] {
    ["by", "act", "user", "of", "outcome"].map(|name| act[name].as_str().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_app_s_server_does_to_its_people_is_noted_with_its_key() {
    let hub = TestHub::at_a_standstill().await;
    hub.person("ada", Some("phone")).await;
    let key = hub.key.split('_').nth(1).unwrap();
    let by = format!("key {key}");
    let app = hub.app();
    app.get("/v1/users/ada/export").await.expect(200);
    app.get("/v1/users/nobody/export").await.expect(404);
    app.delete("/v1/users/ada/tokens?endpointId=phone")
        .await
        .expect(204);
    app.delete("/v1/users/ada/endpoints/watch")
        .await
        .expect(404);
    let before = acts(&hub).await;
    let expected = [
        ["user export", "ada", "", "done"],
        ["token revoke", "ada", "phone", "done"],
    ];
    assert_eq!(before.len(), expected.len(), "{before:?}");
    for ((act, [deed, user, of, outcome]), number) in before.iter().zip(expected).zip(1..) {
        assert_eq!(told(act), [&by, deed, user, of, outcome]);
        assert_eq!(act["number"], number);
        assert_eq!(act["app"], APP);
        assert_eq!(act["dateTime"], hub.clock.now().to_string());
    }
    // What a person's own client does, and what an app's server does all day, is none.
    let body = json!({"payload": {"rawContent": "hush"}});
    app.post("/v1/users/ada/notifications", body)
        .await
        .expect(201);
    app.post("/v1/users/ada/tokens", json!({}))
        .await
        .expect(201);
    app.get("/v1/users/ada/endpoints").await.expect(200);
    assert_eq!(acts(&hub).await, before);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_does_is_noted_and_can_be_read_from_a_time_on_and_of_one_app() {
    let hub = TestHub::at_a_standstill().await;
    let ask = |request| hub.running().hub.admin(request);
    let made = ask(Request::CreateKey {
        app: APP.into(),
        name: Some("hush".into()),
        scope: "send".into(),
        ahead: false,
    });
    let id = made.await.unwrap()["id"].as_str().unwrap().to_owned();
    hub.advance(Duration::from_secs(60));
    let since = hub.clock.now().to_string();
    let revoked = ask(Request::RevokeKey {
        id: id.clone(),
        with_tokens: false,
    });
    revoked.await.unwrap();
    let minted = ask(Request::MintToken {
        app: "unknown.example".into(),
        user: "ada".into(),
        endpoint: None,
        expires_secs: None,
    });
    minted.await.unwrap_err();
    ask(Request::StoreStats).await.unwrap();
    let all = acts(&hub).await;
    let operator = |deed, user, of, outcome| ["operator", deed, user, of, outcome];
    let expected = [
        operator("key create", "", &*id, "done"),
        operator("key revoke", "", &*id, "done"),
        operator("token mint", "ada", "", "refused"),
    ];
    assert_eq!(all.iter().map(told).collect::<Vec<_>>(), expected);
    assert_eq!(all[2]["reason"], "itemNotFound");
    let text = json!(all).to_string();
    assert!(!text.contains("hush") && !text.contains("bk_"), "{text}");
    let count = async |app: Option<&str>, since: Option<&str>, before| {
        let request = Request::Audit {
            app: app.map(str::to_owned),
            since: since.map(str::to_owned),
            before,
        };
        let page = hub.running().hub.admin(request).await.unwrap();
        page["value"].as_array().unwrap().len()
    };
    assert_eq!(count(None, Some(&since), None).await, 2);
    assert_eq!(count(Some(APP), None, None).await, 1);
    assert_eq!(count(None, None, Some(3)).await, 2);
    let ahead = hub.clock.now().plus(Duration::from_secs(1)).to_string();
    for odd in [&*ahead, "yesterday"] {
        let request = Request::Audit {
            app: None,
            since: Some(odd.to_owned()),
            before: None,
        };
        let refused = hub.running().hub.admin(request).await.unwrap_err();
        assert!(refused.message.contains("--since"), "{refused}");
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_tells_it_with_the_hub_running_and_stopped_and_after_a_kill() {
    let mut hub = ChildHub::start().await;
    hub.command(&["token", "mint", APP, "ada", "--endpoint", "phone"]);
    hub.command(&["token", "revoke", APP, "ada", "--endpoint", "phone"]);
    hub.command(&["store", "verify"]);
    let listed = |more: &[&str]| {
        let told = hub.command(&[&["audit", "--json"], more].concat());
        assert_eq!(told.status.code(), Some(0), "{told:?}");
        let list: Value = serde_json::from_slice(&told.stdout).unwrap();
        let acts = list["value"].as_array().unwrap().clone();
        acts.iter()
            .map(|act| act["act"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(&["--limit", "2"]), ["token revoke", "token mint"]);
    let told = hub.command(&["audit"]);
    let text = String::from_utf8(told.stdout).unwrap();
    let line = text.lines().find(|line| line.contains("token revoke"));
    let words: Vec<&str> = line.unwrap().split_whitespace().skip(1).collect();
    assert_eq!(
        words,
        [
            "operator", "token", "revoke", APP, "ada", "phone", "done", "-"
        ]
    );
    let running = listed(&["--since", "2000-01-01T00:00:00Z"]);
    hub.kill();
    let listed = |hub: &ChildHub| {
        let told = hub.command(&["audit", "--json"]);
        let list: Value = serde_json::from_slice(&told.stdout).unwrap();
        list["value"].as_array().unwrap().len()
    };
    assert_eq!(listed(&hub), running.len(), "nothing is lost");
    hub.command(&["key", "create", APP]);
    assert_eq!(listed(&hub), running.len() + 1);
    let refused = hub.refused(&["audit", "--since", "2999-01-01T00:00:00Z"]);
    assert!(refused.contains("--since is to come"), "{refused}");
    let sound = hub.command(&["store", "verify"]);
    assert_eq!(sound.status.code(), Some(0), "{sound:?}");
}
