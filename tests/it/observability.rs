//! What an operator sees: probes, metrics, request ids.

use beckon::{
    clock::Clock,
    doubles::{FaultKind, FaultSpec, Service},
};

use crate::support::{Client, TestHub, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn probes_and_metrics_tell_what_goes_on() {
    let hub = TestHub::start().await;
    assert_eq!(hub.client().get("/healthz").await.status, 200);
    assert_eq!(
        hub.client().get("/readyz").await.expect(200)["status"],
        "ready"
    );
    let mut phone = hub.device("ada", Service::Apns).await;
    hub.doubles()
        .script(FaultSpec::once(Service::Apns, FaultKind::ServerError));
    hub.post("ada", "Lunch?").await;
    phone.next_push("the tap, after one failure").await;
    let wanted = [
        "beckon_http_requests_total{route=\"/v1/users/{user}/notifications\",method=\"POST\",status=\"201\"} 1",
        "beckon_notifications_created_total 1",
        "beckon_pushes_total{service=\"apns\",outcome=\"accepted\"} 1",
        "beckon_pushes_total{service=\"apns\",outcome=\"retry\"} 1",
        "beckon_push_seconds_count{service=\"apns\"} 2",
        // The repetition, should the phone never answer.
        "beckon_outbox_depth 1",
        "beckon_outbox_oldest_due_seconds 0.0",
        "beckon_streams_open 0",
    ];
    eventually("all is counted and settled", || async {
        let answer = hub.client().get("/metrics").await;
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        let missing: Vec<&str> = wanted
            .into_iter()
            .filter(|line| !text.contains(line))
            .collect();
        if !missing.is_empty() {
            eprintln!("not yet: {missing:#?}");
        }
        missing.is_empty().then_some(())
    })
    .await;
    let text = String::from_utf8(hub.client().get("/metrics").await.body.to_vec()).unwrap();
    assert!(
        text.lines()
            .any(|line| line.starts_with("beckon_store_bytes ") && !line.ends_with(" 0")),
        "{text}"
    );
    for secret in ["ada", "todo.example", phone.endpoint.as_str()] {
        assert!(!text.contains(secret), "{secret} is in\n{text}");
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_can_have_a_listener_of_their_own() {
    let hub = TestHub::with(Clock::system(), |config| {
        config.server.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    let elsewhere = Client::new(hub.running().metrics_addr().unwrap());
    assert_eq!(elsewhere.get("/metrics").await.status, 200);
    assert_eq!(elsewhere.get("/v1/me/notifications").await.status, 404);
    assert_eq!(hub.client().get("/metrics").await.status, 404);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_an_id_and_echoes_the_caller_s() {
    let hub = TestHub::start().await;
    let named = hub.client().header("client-request-id", "mine-1");
    for path in [
        "/healthz",
        "/v1/me/notifications",
        "/nowhere",
        "/v1/users/ada/notifications",
    ] {
        let answer = named.get(path).await;
        assert!(
            answer.header("request-id").is_some_and(|id| id.len() == 36),
            "{answer:?}"
        );
        assert_eq!(
            answer.header("client-request-id"),
            Some("mine-1"),
            "{answer:?}"
        );
        if !answer.status.is_success() {
            let inner = &answer.json()["error"]["innerError"];
            assert_eq!(
                inner["request-id"].as_str(),
                answer.header("request-id"),
                "{answer:?}"
            );
        }
    }
    hub.finish().await;
}
