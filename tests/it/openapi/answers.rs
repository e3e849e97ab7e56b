//! What the hub answers is what its description says.

use beckon::doubles::Service;
use serde_json::{Value, json};

use super::description::{Description, ask};
use crate::support::{Client, TestHub};

/// A hub, and its description that all answers are held against.
struct Held<'a> {
    description: &'a Description,
    values: Vec<(&'static str, String)>,
}

impl Held<'_> {
    /// Asks, and has an answer of this status that the description tells of.
    async fn is(
        &self,
        client: &Client,
        (method, path): (&str, &str),
        body: Option<Value>,
        status: u16,
    ) -> Value {
        let values: Vec<_> = self
            .values
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let answer = ask(client, (method, path), &values, body).await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{method} {path}: {answer:?}"
        );
        self.description.must_tell_of(method, path, &answer);
        if answer.header("content-type") == Some("application/json") {
            answer.json()
        } else {
            Value::Null
        }
    }
}

const USER: &str = "/v1/users/{user}/notifications";
const ENDPOINT: &str = "/v1/users/{user}/endpoints/{endpoint}";
const OWN: &str = "/v1/me/notifications";

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_an_app_s_server() {
    let hub = TestHub::start().await;
    let description = Description::of(&hub).await;
    let mut phone = hub.device("ada", Service::Apns).await;
    let values = vec![("user", "ada".into()), ("endpoint", phone.endpoint.clone())];
    let mut held = Held {
        description: &description,
        values,
    };
    let app = hub.app();
    let draft = json!({
        "appNotificationId": "order-7", "groupName": "orders", "priority": "high", "displayTimeToLive": "60",
        "payload": {"rawContent": "r"}, "targetPolicy": {"platformTypes": ["ios"]},
        "fallbackPolicy": {"endpointFallback": {"platformTypes": ["iOS"], "fallbackDelayInSeconds": 600, "visualContent": {"title": "t"}}},
    });
    let shape = json!({ "$ref": "#/components/schemas/Draft" });
    description.must_fit(&shape, &draft, "a draft");
    let posted = held
        .is(&app, ("POST", USER), Some(draft.clone()), 201)
        .await;
    held.is(&app, ("POST", USER), Some(draft.clone()), 200)
        .await;
    held.values
        .push(("id", posted["id"].as_str().unwrap().to_owned()));
    let one = "/v1/users/{user}/notifications/{id}";
    held.is(&app, ("GET", USER), None, 200).await;
    held.is(&app, ("GET", one), None, 200).await;
    phone.next_push("a tap").await;
    hub.settled().await;
    let lines = "/v1/users/{user}/notifications/{id}/deliveries";
    let lines = held.is(&app, ("GET", lines), None, 200).await;
    assert_eq!(lines["value"][0]["status"], "tapped", "{lines}");
    held.is(&app, ("GET", "/v1/users/{user}/endpoints"), None, 200)
        .await;
    let test = format!("{ENDPOINT}/test");
    held.is(&app, ("POST", &test), None, 200).await;
    let tokens = "/v1/users/{user}/tokens";
    held.is(
        &app,
        ("POST", tokens),
        Some(json!({"endpointId": "x"})),
        201,
    )
    .await;
    held.is(&app, ("GET", "/v1/users/{user}/export"), None, 200)
        .await;
    held.is(&app, ("DELETE", tokens), None, 204).await;
    held.is(&app, ("DELETE", tokens), None, 404).await;
    let none = json!({"platform": "iOS", "channel": {"type": "none"}});
    held.is(&app, ("PUT", ENDPOINT), Some(none), 200).await;
    held.is(&app, ("POST", &test), None, 409).await;
    held.is(&app, ("DELETE", ENDPOINT), None, 204).await;
    held.is(&app, ("DELETE", one), None, 204).await;
    held.is(&app, ("GET", one), None, 404).await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_and_jobs() {
    let hub = TestHub::start().await;
    let description = Description::of(&hub).await;
    let mut held = Held {
        description: &description,
        values: vec![("user", "ada".into())],
    };
    let app = hub.app();
    let draft = json!({"payload": {"rawContent": "r"}});
    held.is(&app, ("POST", USER), Some(json!({"priority": 1})), 400)
        .await;
    held.is(&app, ("POST", USER), Some("x".repeat(1 << 17).into()), 413)
        .await;
    let text = app.header("content-type", "text/plain");
    held.is(&text, ("POST", USER), Some(draft.clone()), 415)
        .await;
    held.is(&hub.client(), ("POST", USER), Some(draft.clone()), 401)
        .await;
    let other = json!({"targetHostName": "other.example", "payload": {"rawContent": "r"}});
    held.is(&app, ("POST", USER), Some(other), 403).await;
    let once = app.header("idempotency-key", "k");
    held.is(&once, ("POST", USER), Some(draft), 201).await;
    let another = json!({"payload": {"rawContent": "another"}});
    held.is(&once, ("POST", USER), Some(another.clone()), 409)
        .await;
    let many = json!({"audience": {"users": ["ada", "grace"]}, "notification": another});
    let job = held
        .is(&app, ("POST", "/v1/notifications"), Some(many), 202)
        .await;
    held.values
        .push(("id", job["id"].as_str().unwrap().to_owned()));
    held.is(&app, ("GET", "/v1/notifications/{id}"), None, 200)
        .await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_an_app_s_client() {
    let hub = TestHub::start().await;
    let description = Description::of(&hub).await;
    let posted = hub.post("ada", "one").await;
    let gone = hub.post("ada", "another").await;
    let id = posted["id"].as_str().unwrap();
    let held = Held {
        description: &description,
        values: vec![("endpoint", "desk".into()), ("id", id.to_owned())],
    };
    let desk = hub.person("ada", Some("desk")).await;
    let none = json!({"platform": "iOS", "channel": {"type": "none"}, "displayName": "d", "locale": "de-CH", "shared": true});
    let endpoint = "/v1/me/endpoints/{endpoint}";
    held.is(&desk, ("GET", OWN), None, 404).await;
    held.is(&desk, ("PUT", endpoint), Some(none.clone()), 201)
        .await;
    held.is(&desk, ("PUT", endpoint), Some(none), 200).await;
    held.is(&desk, ("GET", "/v1/me/endpoints"), None, 200).await;
    held.is(&desk, ("GET", OWN), None, 200).await;
    let one = "/v1/me/notifications/{id}";
    held.is(&desk, ("GET", one), None, 200).await;
    let dismissed = json!({"userActionState": "dismissed"});
    held.is(&desk, ("PATCH", one), Some(dismissed), 200).await;
    held.is(&desk, ("PATCH", one), Some(json!({})), 400).await;
    let all = json!({"all": true, "set": {"readState": "read"}});
    held.is(
        &desk,
        ("POST", "/v1/me/notifications/state"),
        Some(all),
        200,
    )
    .await;
    let gone = gone["id"].as_str().unwrap();
    desk.delete(&format!("{OWN}/{gone}")).await.expect(204);
    let delta = "/v1/me/notifications/delta";
    let page = held.is(&desk, ("GET", delta), None, 200).await;
    assert!(page["value"].as_array().unwrap().len() == 1, "{page}");
    let receipts = "/v1/me/notifications/receipts";
    held.is(&desk, ("POST", receipts), Some(json!({"shown": [id]})), 204)
        .await;
    let old = json!({"upTo": "x"});
    held.is(&desk, ("POST", receipts), Some(old), 410).await;
    held.is(
        &desk,
        ("POST", "/v1/me/notifications/stream/ticket"),
        None,
        201,
    )
    .await;
    held.is(&desk, ("POST", "/v1/me/token"), None, 201).await;
    held.is(&hub.app(), ("GET", OWN), None, 403).await;
    held.is(&hub.client(), ("GET", OWN), None, 401).await;
    held.is(&desk, ("DELETE", one), None, 204).await;
    held.is(&desk, ("DELETE", one), None, 404).await;
    held.is(&desk, ("DELETE", endpoint), None, 204).await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_anyone() {
    let hub = TestHub::start().await;
    let description = Description::of(&hub).await;
    let open: [(&str, u16); 11] = [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/metrics", 200),
        ("/openapi.json", 200),
        ("/docs", 200),
        ("/docs/api", 200),
        ("/v1/apps/todo.example/webpush", 200),
        ("/v1/apps/nobody.example/webpush", 404),
        ("/v2.0/.well-known/openid-configuration", 200),
        ("/discovery/v2.0/keys", 200),
        ("/docs/nothing", 404),
    ];
    for (path, status) in open {
        let answer = hub.client().get(path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        let template = match path.split('/').nth(1) {
            Some("v1") => "/v1/apps/{host}/webpush",
            _ if status == 404 => "/docs/{page}",
            _ => path,
        };
        description.must_tell_of("GET", template, &answer);
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_of_what_is_kept_and_of_what_was_deleted() {
    let hub = TestHub::start().await;
    let description = Description::of(&hub).await;
    hub.post("ada", "one").await;
    let gone = hub.post("ada", "another").await;
    let gone = gone["id"].as_str().unwrap();
    let one = format!("/v1/users/ada/notifications/{gone}");
    hub.app().delete(&one).await.expect(204);
    for query in ["", "?content=false"] {
        let export = format!("/v1/users/ada/export{query}");
        let export = hub.app().get(&export).await;
        description.must_tell_of("GET", "/v1/users/{user}/export", &export);
        let kept = &export.json()["notifications"];
        assert_eq!(kept[0]["status"], "active", "{kept}");
        assert_eq!(kept[1]["status"], "deleted", "{kept}");
    }
    hub.finish().await;
}
