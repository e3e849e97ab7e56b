//! Browsers of other origins: who passes a preflight, and whose origin an answer names.

use hyper::{Method, body::Bytes};
use serde_json::json;

use super::{POST, commits};
use crate::support::{Answer, Client, TestHub, hub::APP, hub::OTHER_APP};

const ORIGIN: &str = "https://todo.example";

fn named(answer: &Answer) -> Option<&str> {
    answer.header("access-control-allow-origin")
}

async fn preflight(hub: &TestHub, path: &str, origin: &str) -> Answer {
    hub.client()
        .header("origin", origin)
        .header("access-control-request-method", "PATCH")
        .header(
            "access-control-request-headers",
            "authorization,x-endpoint-id",
        )
        .send(Method::OPTIONS, path, Bytes::new())
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_origin_of_any_app_passes_a_preflight_at_the_client_doors() {
    let hub = TestHub::start().await;
    let before = commits(&hub);
    for path in [
        "/v1/me/notifications/x",
        "/v1/me/endpoints/e",
        &format!("/v1/apps/{APP}/webpush"),
    ] {
        let answer = preflight(&hub, path, ORIGIN).await;
        answer.expect(204);
        assert_eq!(named(&answer), Some(ORIGIN), "{path}: {answer:?}");
        let methods = answer.header("access-control-allow-methods").unwrap();
        for verb in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            assert!(methods.contains(verb), "{path}: {answer:?}");
        }
        let headers = answer
            .header("access-control-allow-headers")
            .unwrap()
            .to_lowercase();
        for name in [
            "authorization",
            "content-type",
            "x-endpoint-id",
            "last-event-id",
        ] {
            assert!(headers.contains(name), "{path}: {answer:?}");
        }
        assert_eq!(
            answer.header("access-control-allow-credentials"),
            None,
            "{answer:?}"
        );
        assert!(
            answer.header("vary").unwrap().contains("Origin"),
            "{answer:?}"
        );
        for stranger in [
            "https://evil.example",
            "null",
            "http://todo.example",
            "https://todo.example.evil.example",
        ] {
            let answer = preflight(&hub, path, stranger).await;
            assert_eq!(answer.refused(403), "accessDenied", "{stranger}");
            assert_eq!(named(&answer), None, "{stranger}: {answer:?}");
        }
    }
    let graph = preflight(&hub, "/beta/me/notifications", ORIGIN).await;
    assert_eq!(graph.status, 204, "{graph:?}");
    let allowed = graph.header("access-control-allow-headers").unwrap();
    assert!(allowed.contains("x-uns-id"), "{allowed}");
    for path in [POST, "/oauth2/v2.0/token"] {
        let answer = preflight(&hub, path, ORIGIN).await;
        assert_eq!(answer.status, 405, "{path}: {answer:?}");
        assert_eq!(named(&answer), None, "{path}: {answer:?}");
    }
    assert_eq!(commits(&hub), before);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_names_the_origins_of_the_callers_own_app() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    let other = hub.other_app().await;
    let other_ada = hub.person_of(&other, "ada", None).await;
    let at = async |client: &Client, path: &str| client.header("origin", ORIGIN).get(path).await;
    let check = async |client: &Client, path: &str, expected: (u16, Option<&str>)| {
        let answer = at(client, path).await;
        assert_eq!(answer.status.as_u16(), expected.0, "{path}: {answer:?}");
        assert_eq!(named(&answer), expected.1, "{path}: {answer:?}");
    };
    check(&ada, "/v1/me/notifications", (200, Some(ORIGIN))).await;
    check(&ada, "/v1/me/notifications/x", (404, Some(ORIGIN))).await;
    check(&ada, "/v1/me/notifications?$top=0", (400, Some(ORIGIN))).await;
    check(
        &ada,
        "/v1/me/notifications/delta?$deltatoken=x",
        (410, Some(ORIGIN)),
    )
    .await;
    check(&other_ada, "/v1/me/notifications", (200, None)).await;
    // A page must be able to tell that its token's time is over.
    let dead = hub.client().bearer("bu_dead");
    for nobody in [&hub.client(), &dead] {
        check(nobody, "/v1/me/notifications", (401, Some(ORIGIN))).await;
    }
    // Nor does it learn of a wrong door, or that it is to come again, without being let read that.
    check(&hub.app(), "/v1/me/notifications", (403, Some(ORIGIN))).await;
    check(&ada, "/v1/me/nothing", (404, Some(ORIGIN))).await;
    check(&ada, "/v1/me/token", (405, Some(ORIGIN))).await;
    let stranger = dead.header("origin", "https://elsewhere.example");
    let answer = stranger.get("/v1/me/notifications").await;
    assert_eq!((answer.status.as_u16(), named(&answer)), (401, None));
    check(&hub.app(), POST, (200, None)).await;
    check(
        &hub.client(),
        &format!("/v1/apps/{APP}/webpush"),
        (200, Some(ORIGIN)),
    )
    .await;
    check(
        &hub.client(),
        &format!("/v1/apps/{OTHER_APP}/webpush"),
        (200, None),
    )
    .await;
    let answer = at(&ada, "/v1/me/notifications").await;
    let exposed = answer
        .header("access-control-expose-headers")
        .unwrap()
        .to_lowercase();
    for name in ["request-id", "retry-after"] {
        assert!(exposed.contains(name), "{answer:?}");
    }
    assert!(
        answer.header("vary").unwrap().contains("Origin"),
        "{answer:?}"
    );
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_the_callers_app_can_read_what_the_graph_call_answers() {
    let hub = TestHub::start().await;
    for (origin, expected) in [(ORIGIN, Some(ORIGIN)), ("https://elsewhere.example", None)] {
        let page = hub.app().header("origin", origin);
        let answer = page.post("/beta/me/notifications", json!({})).await;
        assert_eq!((answer.status.as_u16(), named(&answer)), (400, expected));
        let exposed = answer.header("access-control-expose-headers");
        let reads = exposed.is_some_and(|it| it.contains("Location") && it.contains("request-id"));
        assert_eq!(reads, expected.is_some(), "{answer:?}");
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_by_ticket_names_the_origin_too() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    let ticket = ada
        .post("/v1/me/notifications/stream/ticket", json!({}))
        .await
        .expect(201);
    let path = format!(
        "/v1/me/notifications/stream?ticket={}",
        ticket["ticket"].as_str().unwrap()
    );
    let page = hub.client().header("origin", ORIGIN);
    let stream = crate::support::Sse::open(&page, &path).await;
    assert_eq!(
        stream.headers["access-control-allow-origin"], ORIGIN,
        "EventSource cannot read it otherwise"
    );
    hub.finish().await;
}
