//! When a stream ends.

use std::time::Duration;

use beckon::model::{AppHost, Scope};
use serde_json::json;

use super::{STREAM, content, post, text, ticket};
use crate::support::{Sse, TestHub, eventually, hub::APP};

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_token() {
    let hub = TestHub::at_a_standstill().await;
    let short = json!({"expiresInSeconds": 10});
    let minted = hub
        .app()
        .post("/v1/users/ada/tokens", short)
        .await
        .expect(201);
    let ada = hub.client().bearer(text(&minted["token"]));
    let by_ticket = ticket(&ada, json!({})).await;
    let mut streams = [
        Sse::open(&ada, STREAM).await,
        Sse::open(&hub.client(), &format!("{STREAM}?ticket={by_ticket}")).await,
    ];
    hub.advance(Duration::from_millis(9_999));
    post(&hub, "still").await;
    for stream in &mut streams {
        assert_eq!(content(&stream.event().await.1), "still");
    }
    hub.advance(Duration::from_millis(1));
    for stream in &mut streams {
        assert_eq!(stream.rest().await, "");
    }
    assert_eq!(hub.running().hub.streams_open(), 0);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_the_time_of_its_device_is_over() {
    let hub = TestHub::at_a_standstill().await;
    for bound in [Some("phone"), None] {
        let ada = hub.person("ada", bound).await;
        let ada = ada.header("x-endpoint-id", "phone");
        let ends = hub.clock.now().plus(Duration::from_secs(3)).to_string();
        let body =
            json!({"platform": "iOS", "channel": {"type": "none"}, "expirationDateTime": ends});
        ada.put("/v1/me/endpoints/phone", body).await.expect(201);
        let mut stream = Sse::open(&ada, STREAM).await;
        hub.advance(Duration::from_secs(4));
        // No beat is due yet.
        assert_eq!(stream.rest().await, "", "{bound:?}");
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_device_signs_out() {
    let hub = TestHub::at_a_standstill().await;
    let phone = hub.registered("ada", "phone").await;
    let tablet = hub.registered("ada", "tablet").await;
    let unbound = hub.person("ada", None).await;
    let given = ticket(&phone, json!({})).await;
    let mut ending = [
        Sse::open(&phone, STREAM).await,
        Sse::open(&hub.client(), &format!("{STREAM}?ticket={given}")).await,
        Sse::open(&unbound.header("x-endpoint-id", "phone"), STREAM).await,
    ];
    let mut staying = [
        Sse::open(&tablet, STREAM).await,
        Sse::open(&unbound, STREAM).await,
    ];
    unbound.delete("/v1/me/endpoints/phone").await.expect(204);
    for stream in &mut ending {
        assert_eq!(stream.rest().await, "");
    }
    post(&hub, "goes on").await;
    for stream in &mut staying {
        assert_eq!(content(&stream.event().await.1), "goes on");
    }
    hub.app()
        .delete("/v1/users/ada/endpoints/tablet")
        .await
        .expect(204);
    assert_eq!(
        staying[0].rest().await,
        "",
        "the app server may sign a device out too"
    );
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_token_is_revoked() {
    let hub = TestHub::at_a_standstill().await;
    let operator = hub.running().hub.clone();
    let app = AppHost::parse(APP).unwrap();
    let key = operator.create_key(&app, None, Scope::All).await.unwrap();
    let server = hub.client().bearer(key.secret.expose().clone());
    let ada = hub.person_of(&server, "ada", None).await;
    let other = hub.person("ada", None).await;
    let (mut ending, mut staying) = (
        Sse::open(&ada, STREAM).await,
        Sse::open(&other, STREAM).await,
    );
    operator.revoke_key(&key.kept.id, true).await.unwrap();
    assert_eq!(ending.rest().await, "");
    post(&hub, "goes on").await;
    assert_eq!(content(&staying.event().await.1), "goes on");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_app_is_taken_out_and_goes_on_over_other_reloads() {
    let hub = TestHub::at_a_standstill().await;
    let ada = hub.person("ada", None).await;
    let mut stream = Sse::open(&ada, STREAM).await;
    let all = hub.running().hub.apps().all();
    hub.running().reload(all.clone()).await.unwrap();
    post(&hub, "goes on").await;
    assert_eq!(content(&stream.event().await.1), "goes on");
    let others = all.into_iter().filter(|app| app.host.as_str() != APP);
    hub.running().reload(others.collect()).await.unwrap();
    assert_eq!(stream.rest().await, "");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_the_hub_stops_and_the_client_goes_on_after() {
    let mut hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    let mut stream = Sse::open(&ada, STREAM).await;
    post(&hub, "one").await;
    let (cursor, _) = stream.event().await;
    post(&hub, "two").await;
    assert_eq!(content(&stream.event().await.1), "two");
    hub.restart().await;
    assert_eq!(stream.rest().await, "");
    let mut ada = ada.header("Last-Event-ID", cursor);
    ada.addr = hub.running().addr;
    let mut stream = Sse::open(&ada, STREAM).await;
    assert_eq!(
        content(&stream.event().await.1),
        "two",
        "a cursor outlives a restart"
    );
    eventually("it is the only one", || async {
        (hub.running().hub.streams_open() == 1).then_some(())
    })
    .await;
    hub.finish().await;
}
