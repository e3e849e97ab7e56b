//! The real binary, killed while it works: nothing acknowledged is lost, nothing owed is forgotten.
//!
//! `BECKON_KILL_ROUNDS=n` for more rounds than the few of every day.

mod worker;

use std::time::{Duration, Instant};

use beckon::doubles::{FaultKind, FaultSpec, NewDevice, Push, Service};
use hyper::Method;
use serde_json::{Value, json};

use crate::support::{
    ChildHub, Random,
    device::beckon_of,
    eventually,
    http::slowly,
    random::{Seed, seeds},
    wait::DEADLINE,
};
use worker::Worker;

const WORKERS: usize = 16;
const ROUNDS: u32 = 20;

fn rounds() -> u32 {
    match std::env::var("BECKON_KILL_ROUNDS") {
        Ok(rounds) => rounds.parse().expect("BECKON_KILL_ROUNDS is a number"),
        Err(_) => ROUNDS,
    }
}

/// A device whose pushes are only looked at, registered for a user.
async fn phone(hub: &ChildHub, user: &str) -> String {
    let device = hub
        .doubles()
        .add_device(NewDevice::of(Service::Apns))
        .unwrap();
    let body = json!({"endpointId": "phone"});
    let path = format!("/v1/users/{user}/tokens");
    let minted = hub.app().post(&path, body).await.expect(201);
    let client = hub.client().bearer(minted["token"].as_str().unwrap());
    let body = json!({"channel": device.channel});
    client.put("/v1/me/endpoints/phone", body).await.expect(201);
    device.id
}

/// Waits for a push to a device that is as wanted, after this place.
async fn handed(hub: &ChildHub, device: &str, after: u64, kind: &str, id: &Value) {
    let fits = |push: &Push| {
        let beckon = beckon_of(push);
        beckon["k"] == kind && beckon["n"] == *id
    };
    let found = hub
        .doubles()
        .await_handed_over(device, after, DEADLINE, fits)
        .await;
    assert!(
        found.is_some(),
        "{kind} of {id} never came; {:#?}",
        hub.doubles().arrivals(after)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_nothing_owed_forgotten_by_kills_under_load() {
    let mut hub = ChildHub::start().await;
    let owed = phone(&hub, "owed").await;
    let mut workers = Vec::new();
    for nth in 0..WORKERS {
        workers.push(Worker::new(&hub, nth).await);
    }
    let _seed = Seed(seeds(&[1])[0]);
    let mut random = Random::new(seeds(&[1])[0]);
    let (began, mut acknowledged, mut in_doubt, mut slowest) =
        (Instant::now(), 0, 0, Duration::ZERO);
    for round in 0..rounds() {
        hub.doubles()
            .script(FaultSpec::always(Service::Apns, FaultKind::ServerError));
        let refused = hub.doubles().counters(Service::Apns).faulted;
        let posted = post(&hub, "owed").await;
        eventually("the tap was refused", || async {
            (hub.doubles().counters(Service::Apns).faulted > refused).then_some(())
        })
        .await;
        let addr = hub.addr();
        let running: Vec<_> = workers
            .drain(..)
            .map(|worker| tokio::spawn(worker.work(addr)))
            .collect();
        tokio::time::timeout(
            Duration::from_millis(random.next() % 250),
            std::future::pending::<()>(),
        )
        .await
        .unwrap_err();
        hub.kill();
        for worker in running {
            workers.push(worker.await.unwrap());
        }
        hub.verify();
        let place = hub.doubles().place();
        hub.doubles().clear_faults();
        hub.begin().await;
        slowest = slowest.max(hub.started_in);
        for worker in &mut workers {
            acknowledged += std::mem::take(&mut worker.acknowledged);
            in_doubt += u32::from(worker.check(&hub, round).await);
        }
        handed(&hub, &owed, place, "created", &posted["id"]).await;
    }
    println!(
        "{} kills in {:?}: {acknowledged} acknowledged, 0 lost, {in_doubt} in doubt; slowest start {slowest:?}",
        rounds(),
        began.elapsed()
    );
    assert!(
        acknowledged > u64::from(rounds()),
        "no load at all: {acknowledged}"
    );
}

async fn post(hub: &ChildHub, user: &str) -> Value {
    let body = json!({"priority": "High", "payload": {"visualContent": {"title": "owed"}}});
    let path = format!("/v1/users/{user}/notifications");
    hub.app().post(&path, body).await.expect(201)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_comes_once_though_the_hub_was_killed_before_its_time() {
    let mut hub = ChildHub::start().await;
    let device = phone(&hub, "ada").await;
    let place = hub.doubles().place();
    let body = json!({
        "priority": "High", "payload": {"rawContent": "r"},
        "fallbackPolicy": {"endpointFallback": {
            "platformTypes": ["iOS"], "fallbackDelayInSeconds": 2, "visualContent": {"title": "Look"}
        }}
    });
    let posted = hub
        .app()
        .post("/v1/users/ada/notifications", body.clone())
        .await
        .expect(201);
    hub.doubles()
        .await_handed_over(&device, place, DEADLINE, |push| {
            beckon_of(push)["k"] == "created"
        })
        .await
        .expect("the raw tap");
    // Only a tap that is on disk is not sent again.
    let path = format!(
        "/v1/users/ada/notifications/{}/deliveries",
        posted["id"].as_str().unwrap()
    );
    eventually("the raw tap is on disk", || async {
        let report = hub.app().get(&path).await.expect(200);
        (report["value"][0]["status"] == "tapped").then_some(())
    })
    .await;
    hub.kill();
    hub.verify();
    hub.begin().await;
    handed(&hub, &device, place, "fallback", &posted["id"]).await;
    let second = hub
        .app()
        .post("/v1/users/ada/notifications", body)
        .await
        .expect(201);
    handed(&hub, &device, place, "fallback", &second["id"]).await;
    let shown: Vec<Value> = hub
        .doubles()
        .handed_over(place, &device)
        .iter()
        .map(|handed| beckon_of(&handed.push))
        .filter(|beckon| beckon["k"] == "fallback")
        .map(|beckon| beckon["n"].clone())
        .collect();
    assert_eq!(
        shown,
        [posted["id"].clone(), second["id"].clone()],
        "each once, in order"
    );
}

async fn is_at_work(hub: &ChildHub) {
    let made = |text: &str| -> Option<f64> {
        let mut lines = text.lines();
        let figure = lines.find_map(|it| it.strip_prefix("beckon_notifications_created_total"));
        figure?.rsplit(' ').next()?.parse().ok()
    };
    eventually("the workers are at work", || async {
        let answer = hub.client().get("/metrics").await;
        let made = made(&String::from_utf8_lossy(&answer.body));
        made.is_some_and(|made| made > 50.0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_stop_it_answers_what_is_in_flight_and_loses_nothing() {
    let mut hub = ChildHub::start().await;
    let mut workers = Vec::new();
    for nth in 0..WORKERS {
        workers.push(Worker::new(&hub, nth).await);
    }
    let addr = hub.addr();
    let body = json!({"payload": {"visualContent": {"title": "slow"}}}).to_string();
    let (sent_half, half) = tokio::sync::oneshot::channel();
    let (go_on, may_go_on) = tokio::sync::oneshot::channel();
    let slow = tokio::spawn(slowly(
        hub.app(),
        "/v1/users/slow/notifications",
        body,
        (sent_half, may_go_on),
    ));
    half.await.unwrap();
    let running: Vec<_> = workers
        .drain(..)
        .map(|worker| tokio::spawn(worker.work(addr)))
        .collect();
    is_at_work(&hub).await;
    let began = Instant::now();
    hub.terminate();
    eventually("it takes no more", || async {
        let answer = hub.client().attempt(Method::GET, "/readyz", None).await;
        answer
            .is_none_or(|answer| answer.status == 503)
            .then_some(())
    })
    .await;
    go_on.send(()).unwrap();
    let answer = slow.await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 201"),
        "what was in flight is answered: {answer}"
    );
    let status = hub.ended().await;
    let took = began.elapsed();
    assert_eq!(status.code(), Some(0), "{}", hub.log());
    assert!(took < Duration::from_secs(10), "{took:?}");
    for worker in running {
        workers.push(worker.await.unwrap());
    }
    hub.verify();
    hub.begin().await;
    let mut unanswered = 0;
    for worker in &mut workers {
        unanswered += u32::from(worker.check(&hub, 0).await);
    }
    let slow = hub
        .app()
        .get("/v1/users/slow/notifications")
        .await
        .expect(200);
    assert_eq!(
        slow["value"][0]["payload"]["visualContent"]["title"],
        "slow"
    );
    println!("stopped in {took:?}; {unanswered} of {WORKERS} done but never answered");
    assert_eq!(unanswered, 0, "what is done is answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_folder_is_refused() {
    let hub = ChildHub::start().await;
    println!("started in {:?}", hub.started_in);
    assert!(
        hub.started_in < Duration::from_secs(5),
        "{:?}",
        hub.started_in
    );
    let second = hub.command(&["serve"]);
    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(second.stdout.is_empty(), "{second:?}");
    assert!(
        said.contains(&*hub.data().to_string_lossy()),
        "it names the folder: {said}"
    );
    assert!(said.contains("in use"), "and what is wrong: {said}");
    assert!(!said.contains("panicked"), "{said}");
    // The first is none the worse.
    hub.app()
        .get("/v1/users/ada/notifications")
        .await
        .expect(200);
    hub.verify();
}
