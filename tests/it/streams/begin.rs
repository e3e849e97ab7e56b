//! Where a stream begins, and by which right.

use std::time::Duration;

use beckon::clock::Clock;
use serde_json::json;

use super::{STREAM, TICKET, content, here, post, text, ticket};
use crate::support::{Sse, TestHub, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_where_the_client_stands() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    let start = here(&ada).await;
    let mut stream = Sse::open(&ada, &format!("{STREAM}?$deltatoken={start}")).await;
    post(&hub, "one").await;
    let (after_one, _) = stream.event().await;
    drop(stream);
    post(&hub, "two").await;
    post(&hub, "three").await;
    let resumed = ada.header("Last-Event-ID", &after_one);
    let mut stream = Sse::open(&resumed, STREAM).await;
    assert_eq!(content(&stream.event().await.1), "two");
    assert_eq!(content(&stream.event().await.1), "three");
    let mut both = Sse::open(&resumed, &format!("{STREAM}?$deltatoken={start}")).await;
    assert_eq!(content(&both.event().await.1), "two", "Last-Event-ID wins");
    let empty = ada.header("Last-Event-ID", "");
    let mut from = Sse::open(&empty, &format!("{STREAM}?$deltatoken={start}")).await;
    assert_eq!(
        content(&from.event().await.1),
        "one",
        "an empty one says nothing"
    );
    let mut now = Sse::open(&ada, STREAM).await;
    post(&hub, "four").await;
    assert_eq!(content(&now.event().await.1), "four");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_leads_nowhere_is_410_before_the_stream_begins() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    for answer in [
        ada.get(&format!("{STREAM}?$deltatoken=x")).await,
        ada.header("Last-Event-ID", "x").get(STREAM).await,
        ada.header("Last-Event-ID", "é").get(STREAM).await,
        ada.post(TICKET, json!({"deltaToken": "x"})).await,
    ] {
        assert_eq!(answer.refused(410), "syncStateNotFound", "{answer:?}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/json"),
            "{answer:?}"
        );
    }
    assert_eq!(
        hub.running().hub.streams_open(),
        0,
        "what was refused is not counted"
    );
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_one_stream_for_a_minute() {
    let hub = TestHub::at_a_standstill().await;
    let ada = hub.person("ada", None).await;
    let nobody = hub.client();
    let given = ada.post(TICKET, json!({})).await.expect(201);
    let expires: beckon::model::Timestamp = text(&given["expiresDateTime"]).parse().unwrap();
    assert_eq!(
        expires,
        hub.clock.now().plus(Duration::from_secs(60)),
        "{given}"
    );
    let path = format!("{STREAM}?ticket={}", text(&given["ticket"]));
    hub.advance(Duration::from_millis(59_999));
    let mut stream = Sse::open(&nobody, &path).await;
    post(&hub, "hello").await;
    assert_eq!(content(&stream.event().await.1), "hello");
    assert_eq!(
        nobody.get(&path).await.refused(401),
        "unauthenticated",
        "it was used"
    );
    let late = ticket(&ada, json!({})).await;
    hub.advance(Duration::from_secs(60));
    let late = nobody.get(&format!("{STREAM}?ticket={late}")).await;
    assert_eq!(late.refused(401), "unauthenticated");
    for bad in ["", "x", &text(&given["ticket"]).to_lowercase()] {
        let answer = nobody.get(&format!("{STREAM}?ticket={bad}")).await;
        assert_eq!(answer.refused(401), "unauthenticated", "{bad}");
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_knows_where_its_stream_begins_and_whose_it_is() {
    let hub = TestHub::start().await;
    let phone = hub.registered("ada", "phone").await;
    let start = here(&phone).await;
    let one = post(&hub, "one").await;
    let given = ticket(&phone, json!({"deltaToken": start})).await;
    let mut stream = Sse::open(&hub.client(), &format!("{STREAM}?ticket={given}")).await;
    let (after_one, event) = stream.event().await;
    assert_eq!(event, one);
    post(&hub, "two").await;
    let given = ticket(&phone, json!({"deltaToken": start})).await;
    let further = format!("{STREAM}?ticket={given}&$deltatoken={after_one}");
    let mut stream = Sse::open(&hub.client(), &further).await;
    assert_eq!(
        content(&stream.event().await.1),
        "two",
        "the request's own cursor wins"
    );
    let left = ticket(&phone, json!({})).await;
    phone.delete("/v1/me/endpoints/phone").await.expect(204);
    let answer = hub.client().get(&format!("{STREAM}?ticket={left}")).await;
    assert_eq!(
        answer.refused(401),
        "unauthenticated",
        "it ended with the endpoint"
    );
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_over_with_its_token() {
    let hub = TestHub::at_a_standstill().await;
    let short = json!({"expiresInSeconds": 10});
    let minted = hub
        .app()
        .post("/v1/users/ada/tokens", short)
        .await
        .expect(201);
    let ada = hub.client().bearer(text(&minted["token"]));
    let given = ada.post(TICKET, json!({})).await.expect(201);
    assert_eq!(
        given["expiresDateTime"], minted["expiresDateTime"],
        "{given}"
    );
    hub.advance(Duration::from_secs(10));
    let answer = hub
        .client()
        .get(&format!("{STREAM}?ticket={}", text(&given["ticket"])))
        .await;
    assert_eq!(answer.refused(401), "unauthenticated");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_so_many_streams_and_no_more() {
    let hub = TestHub::with(Clock::system(), |config| {
        config.server.limits.streams_per_user = 2;
    })
    .await;
    let ada = hub.person("ada", None).await;
    let bob = hub.person("bob", None).await;
    let first = Sse::open(&ada, STREAM).await;
    let _second = Sse::open(&ada, STREAM).await;
    let third = ada.get(STREAM).await;
    assert_eq!(third.refused(429), "limitReached");
    assert_eq!(third.header("retry-after"), None, "{third:?}");
    let message = third.json()["error"]["message"].to_string();
    assert!(
        message.contains("server.limits.streams_per_user"),
        "{message}"
    );
    let by_ticket = format!("{STREAM}?ticket={}", ticket(&ada, json!({})).await);
    let early = hub.client().get(&by_ticket).await;
    assert_eq!(early.refused(429), "limitReached");
    let _bobs = Sse::open(&bob, STREAM).await;
    assert_eq!(hub.running().hub.streams_open(), 3);
    drop(first);
    eventually(
        "the closed stream is counted out, though it had nothing to say",
        || async { (hub.running().hub.streams_open() == 2).then_some(()) },
    )
    .await;
    let third = Sse::open(&hub.client(), &by_ticket).await;
    drop(third);
    let used = hub.client().get(&by_ticket).await;
    assert_eq!(used.refused(401), "unauthenticated", "it opens one stream");
    hub.finish().await;
}
