//! Who has a channel, where many want it at the same moment.

use futures_util::future::join_all;
use serde_json::json;

use super::text;
use crate::support::{ChildHub, Client};

/// As many as may share one channel.
const PEOPLE: usize = 5;

async fn client(hub: &ChildHub, user: &str) -> Client {
    let path = format!("/v1/users/{user}/tokens");
    let minted = hub.app().post(&path, json!({"endpointId": "phone"})).await;
    hub.client().bearer(text(&minted.expect(201)["token"]))
}

async fn claim(client: &Client, token: String) {
    let channel = json!({"type": "apns", "deviceToken": token});
    let body = json!({"channel": channel, "shared": true});
    let answer = client.put("/v1/me/endpoints/phone", body).await;
    assert!(answer.status.is_success(), "{}", answer.status);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_many_claim_at_once_is_lost_to_none_of_those_who_share_it() {
    let mut hub = ChildHub::start().await;
    let users: Vec<String> = (0..PEOPLE).map(|nth| format!("u{nth}")).collect();
    let clients = join_all(users.iter().map(|user| client(&hub, user))).await;
    for round in 0..12 {
        let own = |nth: usize| format!("{nth:04x}{round:04x}");
        join_all((0..PEOPLE).map(|nth| claim(&clients[nth], own(nth)))).await;
        join_all((0..PEOPLE).map(|nth| claim(&clients[nth], "ab".repeat(32)))).await;
        for user in &users {
            let path = format!("/v1/users/{user}/endpoints");
            let listed = hub.app().get(&path).await.expect(200);
            let channel = &listed["value"][0]["channel"]["type"];
            assert_eq!(channel, "apns", "{user} in round {round}");
        }
    }
    hub.stop().await;
    hub.verify();
}
