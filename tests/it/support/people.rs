//! People without a push service: tokens, and endpoints of the channel `none`.

use serde_json::{Value, json};

use super::{Client, TestHub, eventually};

impl TestHub {
    /// A client of a user of the app, bound to an endpoint if one is named.
    pub async fn person(&self, user: &str, endpoint: Option<&str>) -> Client {
        self.person_of(&self.app(), user, endpoint).await
    }

    /// The same for the app that `server` is of.
    pub async fn person_of(&self, server: &Client, user: &str, endpoint: Option<&str>) -> Client {
        let minted = server
            .post(
                &format!("/v1/users/{user}/tokens"),
                json!({"endpointId": endpoint}),
            )
            .await
            .expect(201);
        self.client().bearer(minted["token"].as_str().unwrap())
    }

    /// Waits until the hub has nothing left to do by itself, so that no write of its own comes in between.
    pub async fn settled(&self) {
        let store = self.running().hub.store();
        eventually("nothing is due", || async {
            let depth = store.reader().outbox_depth().unwrap();
            let later = |due| due > self.clock.now();
            depth.oldest_due.is_none_or(later).then_some(())
        })
        .await;
        // A write that was answered stands behind all that came before it.
        self.person("settler", None).await;
    }

    /// Waits until it is known that an endpoint of `ada` fetched a notification.
    pub async fn fetch_is_known(&self, id: &str, endpoint: &str) {
        let path = format!("/v1/users/ada/notifications/{id}/deliveries");
        eventually("the fetch is written down", || async {
            let report = self.app().get(&path).await.expect(200);
            let lines = report["value"].as_array().unwrap();
            let line = lines.iter().find(|line| line["endpointId"] == endpoint);
            line.and_then(|line| line["fetchedDateTime"].as_str().map(drop))
        })
        .await;
    }

    /// A client of a device of a user that has registered without a push channel.
    pub async fn registered(&self, user: &str, endpoint: &str) -> Client {
        let client = self.person(user, Some(endpoint)).await;
        register_none(&client, endpoint).await;
        client
    }
}

/// Registers an endpoint without a push channel.
pub async fn register_none(client: &Client, endpoint: &str) -> Value {
    let body = json!({"platform": "iOS", "channel": {"type": "none"}});
    client
        .put(&format!("/v1/me/endpoints/{endpoint}"), body)
        .await
        .expect(201)
}
