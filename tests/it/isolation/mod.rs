//! Isolation as a table: every route × another app's, another user's, a dead, a forged and no credential, and their
//! cursors, tickets and ids. Nothing of the first person is seen, and nothing of it changes.

mod doors;
mod strangers;

use hyper::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Client, TestHub, device::token_of, hub::APP};

/// Who may pass a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// A key with the scope `send`.
    Send,
    /// A key with the scope `users`.
    Users,
    /// A user token.
    Me,
    /// Anyone, or who shows a key in the form.
    Open,
}

/// Every route of `src/http/mod.rs`.
#[rustfmt::skip]
pub const ROUTES: [(&str, &str, Door); 55] = [
    ("GET", "/v1/users/{user}/notifications", Door::Send),
    ("POST", "/v1/users/{user}/notifications", Door::Send),
    ("GET", "/v1/users/{user}/notifications/{id}", Door::Send),
    ("DELETE", "/v1/users/{user}/notifications/{id}", Door::Send),
    ("GET", "/v1/users/{user}/notifications/{id}/deliveries", Door::Send),
    ("GET", "/v1/users/{user}/export", Door::Users),
    ("GET", "/v1/users/{user}/endpoints", Door::Users),
    ("PUT", "/v1/users/{user}/endpoints/{endpoint}", Door::Users),
    ("DELETE", "/v1/users/{user}/endpoints/{endpoint}", Door::Users),
    ("POST", "/v1/users/{user}/endpoints/{endpoint}/test", Door::Users),
    ("POST", "/v1/users/{user}/tokens", Door::Users),
    ("DELETE", "/v1/users/{user}/tokens", Door::Users),
    ("DELETE", "/v1/users/{user}", Door::Users),
    ("POST", "/v1/notifications", Door::Send),
    ("GET", "/v1/notifications/{id}", Door::Send),
    ("DELETE", "/v1/notifications/{id}", Door::Send),
    ("POST", "/beta/me/notifications", Door::Send),
    ("POST", "/beta/me/notifications/", Door::Send),
    ("POST", "/oauth2/v2.0/token", Door::Open),
    ("GET", "/v1/me/endpoints", Door::Me),
    ("PUT", "/v1/me/endpoints/{endpoint}", Door::Me),
    ("DELETE", "/v1/me/endpoints/{endpoint}", Door::Me),
    ("GET", "/v1/me/notifications", Door::Me),
    ("GET", "/v1/me/notifications/delta", Door::Me),
    ("GET", "/v1/me/notifications/stream", Door::Me),
    ("POST", "/v1/me/notifications/stream/ticket", Door::Me),
    ("POST", "/v1/me/notifications/state", Door::Me),
    ("POST", "/v1/me/notifications/receipts", Door::Me),
    ("GET", "/v1/me/notifications/{id}", Door::Me),
    ("PATCH", "/v1/me/notifications/{id}", Door::Me),
    ("DELETE", "/v1/me/notifications/{id}", Door::Me),
    ("POST", "/v1/me/token", Door::Me),
    ("GET", "/v1/apps/{host}/webpush", Door::Open),
    ("GET", "/openapi.json", Door::Open),
    ("HEAD", "/openapi.json", Door::Open),
    ("GET", "/docs/api", Door::Open),
    ("HEAD", "/docs/api", Door::Open),
    ("GET", "/docs/api/{file}", Door::Open),
    ("HEAD", "/docs/api/{file}", Door::Open),
    ("GET", "/docs", Door::Open),
    ("HEAD", "/docs", Door::Open),
    ("GET", "/docs/docs.css", Door::Open),
    ("HEAD", "/docs/docs.css", Door::Open),
    ("GET", "/docs/{page}", Door::Open),
    ("HEAD", "/docs/{page}", Door::Open),
    ("GET", "/healthz", Door::Open),
    ("HEAD", "/healthz", Door::Open),
    ("GET", "/readyz", Door::Open),
    ("HEAD", "/readyz", Door::Open),
    ("GET", "/v2.0/.well-known/openid-configuration", Door::Open),
    ("GET", "/discovery/v2.0/keys", Door::Open),
    ("POST", "/{tenant}/oauth2/v2.0/token", Door::Open),
    ("GET", "/{tenant}/v2.0/.well-known/openid-configuration", Door::Open),
    ("GET", "/{tenant}/discovery/v2.0/keys", Door::Open),
    ("GET", "/metrics", Door::Open),
];

#[test]
fn the_table_names_every_route() {
    let source = include_str!("../../../src/http/mod.rs");
    let mut found = Vec::new();
    for line in source.lines().filter(|line| line.contains("at(\"")) {
        let path = line.split('"').nth(1).unwrap();
        for verb in ["get", "head", "post", "put", "patch", "delete"] {
            if line.contains(&format!(").{verb}(")) {
                found.push((verb.to_uppercase(), path.to_owned()));
            }
        }
    }
    let mut known: Vec<_> = ROUTES
        .iter()
        .map(|(verb, path, _)| (String::from(*verb), String::from(*path)))
        .collect();
    found.sort();
    found.dedup();
    known.sort();
    assert_eq!(found, known, "a route is in one list alone");
}

/// Ada of the first app, with a device that was tapped, a notification, and all that names them.
struct Town {
    hub: TestHub,
    ada: Client,
    id: String,
    endpoint: String,
    channel: Value,
    unsid: String,
    cursor: String,
    page: String,
    /// Another app's key, and its own ada's token.
    other_key: Client,
    other_ada: Client,
    /// Bob of the same app.
    bob: Client,
}

async fn town() -> Town {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", beckon::doubles::Service::Apns).await;
    hub.post("ada", "Older").await;
    let id = hub.post("ada", "Secret").await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    phone
        .next_push("the tap, so that nothing is left to be written")
        .await;
    phone.pull().await;
    let page = phone
        .client
        .get("/v1/me/notifications?$top=1")
        .await
        .expect(200);
    let other_key = hub.other_app().await;
    let other_ada = hub.person_of(&other_key, "ada", None).await;
    crate::support::people::register_none(&other_ada, "tablet").await;
    let bob = hub.person("bob", None).await;
    crate::support::people::register_none(&bob, "tablet").await;
    Town {
        ada: phone.client.clone(),
        id,
        endpoint: phone.endpoint.clone(),
        channel: json!(phone.device.channel),
        unsid: phone.registered["userNotificationSubscriptionId"]
            .as_str()
            .unwrap()
            .to_owned(),
        cursor: phone.cursor.clone().unwrap(),
        page: token_of(page["@odata.nextLink"].as_str().unwrap()),
        other_key,
        other_ada,
        bob,
        hub,
    }
}

impl Town {
    fn path(&self, template: &str) -> String {
        template
            .replace("{user}", "ada")
            .replace("{id}", &self.id)
            .replace("{endpoint}", &self.endpoint)
            .replace("{host}", APP)
            .replace("{tenant}", "common")
    }

    async fn call(&self, client: &Client, verb: &str, template: &str) -> Answer {
        let method = Method::from_bytes(verb.as_bytes()).unwrap();
        let body = (!matches!(verb, "GET" | "HEAD" | "DELETE")).then(|| json!({}));
        client.call(method, &self.path(template), body).await
    }

    /// All that the first app can see of ada, once every tap of hers is settled.
    async fn seen(&self) -> Value {
        self.hub.settled().await;
        let app = self.hub.app();
        let at = async |path: &str| app.get(&self.path(path)).await.expect(200);
        json!({
            "history": at("/v1/users/{user}/notifications").await,
            "endpoints": at("/v1/users/{user}/endpoints").await,
            "deliveries": at("/v1/users/{user}/notifications/{id}/deliveries").await,
            "delta": self.ada.get("/v1/me/notifications/delta").await.expect(200)["value"],
        })
    }

    fn commits(&self) -> u64 {
        self.hub.running().hub.store().stats().commits
    }

    async fn finish(self, before: &Value) {
        let after = self.seen().await;
        assert_eq!(&after, before, "something of ada changed");
        self.hub.finish().await;
    }
}

/// The last letter but one changed: the last may hold bits that say nothing.
fn forged(secret: &str) -> String {
    let mut letters: Vec<char> = secret.chars().collect();
    let at = letters.len() - 2;
    letters[at] = if letters[at] == 'A' { 'B' } else { 'A' };
    letters.into_iter().collect()
}

async fn access_token(hub: &TestHub, host: &str, key: &str) -> Answer {
    let form = format!("grant_type=client_credentials&client_id={host}&client_secret={key}");
    hub.client()
        .header("content-type", "application/x-www-form-urlencoded")
        .send(Method::POST, "/oauth2/v2.0/token", form.into())
        .await
}
