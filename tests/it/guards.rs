//! The guard against wrong settings: 20 channels in a row that are called dead stop a lane, through restarts and reloads,
//! and the operator is told of it for as long.

use beckon::doubles::{FaultKind, FaultSpec, NewDevice, Service};
use serde_json::{Value, json};

use crate::support::{ChildHub, eventually};

/// So many devices of one person.
async fn devices(hub: &ChildHub, user: &str, count: usize) {
    for nth in 0..count {
        let device = NewDevice::of(Service::Apns);
        let device = hub.doubles().add_device(device).unwrap();
        let path = format!("/v1/users/{user}/tokens");
        let body = json!({"endpointId": format!("phone-{nth}")});
        let minted = hub.app().post(&path, body).await.expect(201);
        let me = hub.client().bearer(minted["token"].as_str().unwrap());
        let body = json!({"channel": device.channel});
        let path = format!("/v1/me/endpoints/phone-{nth}");
        me.put(&path, body).await.expect(201);
    }
}

async fn post(hub: &ChildHub, user: &str) -> Value {
    let body = json!({"payload": {"visualContent": {"title": "Lunch?"}}});
    let path = format!("/v1/users/{user}/notifications");
    hub.app().post(&path, body).await.expect(201)
}

/// How many of the person's devices were dropped.
async fn dropped(hub: &ChildHub, user: &str) -> usize {
    let path = format!("/v1/users/{user}/endpoints");
    let listed = hub.app().get(&path).await.expect(200);
    let listed = listed["value"].as_array().unwrap();
    let gone = listed
        .iter()
        .filter(|it| it["channelGoneDateTime"].is_string());
    gone.count()
}

async fn readiness(hub: &ChildHub) -> Value {
    hub.client().get("/readyz").await.expect(200)["status"].clone()
}

async fn figure(hub: &ChildHub) -> String {
    let guarded = "beckon_lanes_at_rest{service=\"apns\",fault=\"guarded\"} ";
    let answer = hub.client().get("/metrics").await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(guarded));
    lines.next().unwrap().to_owned()
}

/// What `check` finds wrong with lanes.
fn checked(hub: &ChildHub) -> Vec<Value> {
    let output = hub.command(&["check", "--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = found["value"].as_array().unwrap().clone();
    let lanes = found.into_iter().filter(|it| it["check"] == "lane");
    lanes.collect()
}

fn lines(hub: &ChildHub) -> usize {
    let log = hub.log();
    let told = log.lines().filter(|line| {
        line.contains("called dead without one success") && line.contains("beckon endpoint revive")
    });
    told.count()
}

/// Readiness, figures, `check` and the log tell of the guard, in the log for the `nth` time.
async fn is_told(hub: &ChildHub, nth: usize) {
    eventually("the log tells of it", || async {
        (lines(hub) == nth).then_some(())
    })
    .await;
    assert_eq!(readiness(hub).await, "degraded", "{nth}");
    assert_eq!(figure(hub).await, "1", "{nth}");
    let found = checked(hub);
    assert_eq!(found.len(), 1, "{nth}: {found:?}");
    assert_eq!(found[0]["service"], "apns", "{nth}: {found:?}");
    let message = found[0]["message"].as_str().unwrap();
    assert!(message.contains("20 channels in a row"), "{nth}: {message}");
    assert!(
        message.contains("beckon endpoint revive"),
        "{nth}: {message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_is_told_through_restarts_and_reloads_though_nobody_is_owed_anything() {
    let mut hub = ChildHub::start().await;
    devices(&hub, "ada", 20).await;
    hub.doubles()
        .script(FaultSpec::always(Service::Apns, FaultKind::Gone));
    post(&hub, "ada").await;
    eventually("all are dropped", || async {
        (dropped(&hub, "ada").await == 20).then_some(())
    })
    .await;
    is_told(&hub, 1).await;
    hub.stop().await;
    hub.begin().await;
    is_told(&hub, 2).await;
    hub.reload();
    is_told(&hub, 3).await;

    hub.doubles().clear_faults();
    let revived = hub.json(&["endpoint", "revive", "todo.example"]);
    assert_eq!(revived["revived"], 20);
    eventually("a success ends it", || async {
        (readiness(&hub).await == "ready").then_some(())
    })
    .await;
    assert_eq!(figure(&hub).await, "0");
    assert_eq!(checked(&hub), Vec::<Value>::new());
    hub.stop().await;
    hub.begin().await;
    assert_eq!(readiness(&hub).await, "ready");
    hub.verify();
}

/// How many of the person's devices wait since the service stands still.
async fn waiting(hub: &ChildHub, user: &str, posted: &Value) -> usize {
    let id = posted["id"].as_str().unwrap();
    let path = format!("/v1/users/{user}/notifications/{id}/deliveries");
    let found = hub.app().get(&path).await.expect(200);
    let found = found["value"].as_array().unwrap();
    let waiting = found.iter().filter(|it| it["reason"] == "serviceStopped");
    waiting.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn drops_are_counted_on_after_a_kill() {
    let mut hub = ChildHub::start().await;
    devices(&hub, "ada", 19).await;
    devices(&hub, "bob", 19).await;
    hub.doubles()
        .script(FaultSpec::always(Service::Apns, FaultKind::Gone));
    post(&hub, "ada").await;
    eventually("all are dropped", || async {
        (dropped(&hub, "ada").await == 19).then_some(())
    })
    .await;
    assert_eq!(readiness(&hub).await, "ready");
    hub.kill();
    hub.begin().await;
    assert_eq!(readiness(&hub).await, "ready", "19 are not 20");
    let posted = post(&hub, "bob").await;
    eventually("each is dropped or waits", || async {
        let waiting = waiting(&hub, "bob", &posted).await;
        (waiting + dropped(&hub, "bob").await == 19).then_some(())
    })
    .await;
    assert_eq!(dropped(&hub, "bob").await, 1, "the twentieth in a row");
    hub.stop().await;
    hub.verify();
}
