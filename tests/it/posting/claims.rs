//! Who has a channel, where many want it at the same moment.

use std::time::Duration;

use beckon::doubles::Service;
use futures_util::future::join_all;
use serde_json::json;

use super::text;
use crate::support::{ChildHub, Client, TestHub};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_names_what_the_settings_say_anyway_is_no_new_channel() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Apns).await;
    hub.post("ada", "Lunch?").await;
    phone.next_push("the tap").await;
    hub.settled().await;
    let mut channel = serde_json::to_value(&phone.device.channel).unwrap();
    channel["environment"] = json!("production");
    let apps = hub.running().hub.apps().all();
    channel["topic"] = json!(apps[0].apns.as_ref().unwrap().topic);
    let path = format!("/v1/me/endpoints/{}", phone.endpoint);
    phone
        .client
        .put(&path, json!({"channel": channel}))
        .await
        .expect(200);
    hub.settled().await;
    for _ in 0..5 {
        hub.advance(Duration::from_secs(1));
        hub.settled().await;
    }
    assert_eq!(phone.unseen(), 0, "what was told once is told again");
    hub.finish().await;
}
