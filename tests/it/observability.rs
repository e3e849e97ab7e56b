//! What an operator sees: probes, metrics, request ids.

use std::{sync::Arc, time::Duration};

use beckon::{
    clock::Clock,
    doubles::{FaultKind, FaultSpec, Service},
};
use serde_json::json;

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

/// What a counter or gauge says.
async fn figure(hub: &TestHub, name: &str) -> String {
    let text = String::from_utf8(hub.client().get("/metrics").await.body.to_vec()).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("{name} is not in\n{text}"))
        .trim()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_is_counted_whatever_door_it_came_by() {
    let hub = TestHub::start().await;
    let created = "beckon_notifications_created_total ";
    hub.post("ada", "over HTTP").await;
    assert_eq!(figure(&hub, created).await, "1");
    let sent =
        json!({"op": "send", "app": "todo.example", "user": "ada", "post": {"title": "sent"}});
    let sent = serde_json::from_value(sent).unwrap();
    hub.running().hub.admin(sent).await.unwrap();
    assert_eq!(figure(&hub, created).await, "2");
    let many = json!({
        "audience": {"users": ["ada", "bob"]},
        "notification": {"payload": {"visualContent": {"title": "to many"}}},
    });
    hub.app().post("/v1/notifications", many).await.expect(202);
    eventually("the job's posts are counted", || async {
        (figure(&hub, created).await == "4").then_some(())
    })
    .await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_the_settings_do_not_allow_is_told_as_stopped() {
    let hub = TestHub::with(Clock::system(), |config| {
        for app in &mut config.apps {
            let app = Arc::make_mut(app);
            if let Some(web_push) = &mut app.web_push {
                Arc::get_mut(web_push).unwrap().subject = "mailto:a@localhost".into();
            }
        }
    })
    .await;
    let stopped = "beckon_lanes_at_rest{service=\"webPush\",fault=\"stopped\"} ";
    assert_eq!(figure(&hub, stopped).await, "0");
    let _browser = hub.device("ada", Service::WebPush).await;
    hub.post("ada", "Lunch?").await;
    eventually("the lane is told of", || async {
        (figure(&hub, stopped).await == "1").then_some(())
    })
    .await;
    let ready = hub.client().get("/readyz").await.expect(200);
    assert_eq!(ready["status"], "degraded");
    let health = serde_json::from_value(json!({"op": "health"})).unwrap();
    let health = hub.running().hub.admin(health).await.unwrap();
    let said = health["lanes"][0]["pushService"]["reason"].as_str();
    assert!(said.unwrap().contains("subject"), "{health}");
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

#[tokio::test(flavor = "multi_thread")]
async fn what_is_owed_is_counted_once_and_from_when_the_device_was_there() {
    let hub = TestHub::at_a_standstill().await;
    let mut phone = hub.device("ada", Service::Fcm).await;
    let counted = |taken: u64, seconds: f64| {
        let hub = &hub;
        eventually("it is counted", move || async move {
            let figures = hub.client().get("/metrics").await.body;
            let figures = String::from_utf8(figures.to_vec()).unwrap();
            let figure = |name: &str| {
                let line = figures.lines().find(|line| line.starts_with(name))?;
                line.rsplit(' ').next()?.parse::<f64>().ok()
            };
            let pushes = figure("beckon_pushes_total{service=\"fcm\",outcome=\"accepted\"}")?;
            let count = figure("beckon_owed_to_push_seconds_count")?;
            let sum = figure("beckon_owed_to_push_seconds_sum")?;
            (pushes >= taken as f64)
                .then(|| assert!(count <= 2.0 && sum <= seconds, "{count} {sum}"))
        })
    };
    hub.post("ada", "Lunch?").await;
    phone.next_push("the first tap").await;
    counted(1, 1.0).await;
    // It is counted before it is known when it was taken.
    hub.settled().await;
    hub.advance(Duration::from_secs(16 * 60));
    phone.next_push("its repeat").await;
    counted(2, 1.0).await;
    let mut tablet = hub.device("ada", Service::Fcm).await;
    let tapped = || async {
        hub.advance(Duration::from_secs(1));
        (tablet.unseen() > 0).then_some(())
    };
    eventually("a device that came later", tapped).await;
    tablet.next_push("what was there before it").await;
    counted(3, 30.0).await;
    hub.finish().await;
}
