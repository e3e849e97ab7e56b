//! What is refused, with what is wrong and what to do; nothing is stored then.

use std::sync::atomic::{AtomicU64, Ordering};

use beckon::{clock::Clock, config::Config};
use hyper::Method;
use serde_json::{Value, json};

use super::{MANY, begun, copies, job, people, raw, reached, to_all, to_users};
use crate::support::TestHub;

/// Bodies, and the fields that are wrong in each.
fn wrong_bodies() -> Vec<(Value, &'static [&'static str])> {
    let good = raw("r");
    let long = "x".repeat(257);
    let users = |users: Value| json!({"audience": {"users": users}, "notification": good});
    vec![
        (json!({}), &["audience", "notification"]),
        (json!({"notification": good}), &["audience"]),
        (json!({"audience": {"users": ["ada"]}}), &["notification"]),
        (
            json!({"audience": {}, "notification": good}),
            &["audience.users"],
        ),
        (
            json!({"audience": "all", "notification": good}),
            &["audience"],
        ),
        (
            json!({"audience": {"all": true, "users": ["ada"]}, "notification": good}),
            &["audience.all"],
        ),
        (
            json!({"audience": {"all": false}, "notification": good}),
            &["audience.all"],
        ),
        (
            json!({"audience": {"all": "yes"}, "notification": good}),
            &["audience.all"],
        ),
        (users(json!([])), &["audience.users"]),
        (users(json!("ada")), &["audience.users"]),
        (users(json!(["ada", 7])), &["audience.users"]),
        (
            users(json!(["ada", "", "..", "a\u{0}b", long])),
            &[
                "audience.users[1]",
                "audience.users[2]",
                "audience.users[3]",
                "audience.users[4]",
            ],
        ),
        (
            json!({"audience": {"all": true}, "notification": {"payload": {}, "priority": "x"}}),
            &["notification.payload", "notification.priority"],
        ),
        (
            json!({"audience": {"users": []}, "notification": {}}),
            &["audience.users", "notification.payload"],
        ),
        (
            json!({"audience": {"all": true}, "notification": {
                "payload": {"rawContent": "r"}, "expirationDateTime": "2020-01-01T00:00:00Z"}}),
            &["notification.expirationDateTime"],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_audience_is_refused_field_by_field() {
    let hub = TestHub::at_a_standstill().await;
    let app = hub.app();
    hub.settled().await;
    let commits = hub.running().hub.store().stats().commits;
    for (body, expected) in wrong_bodies() {
        let answer = app.post(MANY, body.clone()).await;
        assert_eq!(answer.faults(), expected, "{body}");
    }
    let many = (0..50).map(|_| "\n").chain(["ada"]);
    let many: Vec<String> = many.enumerate().map(|(n, c)| format!("{n}{c}")).collect();
    let faults = app.post(MANY, to_users(&many, raw("r"))).await.faults();
    assert_eq!(faults.len(), 21, "the rest is counted: {faults:?}");
    let stranger = json!({"targetHostName": "other.example", "payload": {"rawContent": "r"}});
    let answer = app.post(MANY, to_all(stranger)).await;
    assert_eq!(answer.refused(403), "accessDenied");
    assert_eq!(
        hub.running().hub.store().stats().commits,
        commits,
        "a refusal wrote something"
    );
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_people_is_limited_each_counting_once() {
    let hub = TestHub::with(beckon::clock::Clock::system(), |config| {
        config.server.limits.audience = 20;
        config.server.limits.audience_body = 8 * 1024;
    })
    .await;
    let app = hub.app();
    let over = app.post(MANY, to_users(&people(21), raw("r"))).await;
    assert_eq!(over.faults(), ["audience.users"]);
    let message = over.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("server.limits.audience"), "{message}");
    let twice = [people(20), people(20)].concat();
    let accepted = app.post(MANY, to_users(&twice, raw("r"))).await.expect(202);
    assert_eq!(accepted["accepted"], 20);
    let done = reached(&app, &job(&accepted), "completed").await;
    assert_eq!(done["done"], 20);
    let long = to_users(&people(20), raw(&"x".repeat(9 * 1024)));
    let answer = app.post(MANY, long).await;
    assert_eq!(answer.refused(413), "payloadTooLarge");
    let message = answer.json()["error"]["message"].to_string();
    assert!(message.contains("server.limits.audience_body"), "{message}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_for_ten_thousand_people_is_taken() {
    let hub = TestHub::start().await;
    let app = hub.app();
    let users: Vec<String> = (0..10_000).map(|nth| format!("{nth:0>200}")).collect();
    let accepted = app.post(MANY, to_users(&users, raw("r"))).await.expect(202);
    assert_eq!(accepted["accepted"], 10_000);
    app.delete(&job(&accepted)).await.expect(204);
    let over = [users, vec!["one more".into()]].concat();
    assert_eq!(
        app.post(MANY, to_users(&over, raw("r"))).await.faults(),
        ["audience.users"]
    );
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_jobs_run_as_may_and_a_cancelled_one_makes_room() {
    let hub = TestHub::with(beckon::clock::Clock::system(), |config| {
        config.server.limits.broadcasts_per_app = 1;
    })
    .await;
    let app = hub.app();
    let first = app
        .post(MANY, to_users(&people(5_000), raw("1")))
        .await
        .expect(202);
    let refused = app.post(MANY, to_users(&people(1), raw("2"))).await;
    assert_eq!(refused.refused(429), "limitReached");
    let message = refused.json()["error"]["message"].to_string();
    assert!(
        message.contains("server.limits.broadcasts_per_app allows 1"),
        "{message}"
    );
    let other = hub.other_app().await;
    other
        .post(MANY, to_users(&people(1), raw("3")))
        .await
        .expect(202);
    app.delete(&job(&first)).await.expect(204);
    let second = app
        .post(MANY, to_users(&people(1), raw("2")))
        .await
        .expect(202);
    reached(&app, &job(&second), "completed").await;
    hub.finish().await;
}

/// What the store of the next test wants to have free.
static WANTED_FREE: AtomicU64 = AtomicU64::new(0);

fn wants_free(config: &mut Config) {
    config.store.min_free_bytes = WANTED_FREE.load(Ordering::SeqCst);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_stands_still_while_the_disk_is_full_and_new_ones_are_refused() {
    let mut hub = TestHub::with(Clock::system(), wants_free).await;
    let users = people(400);
    let accepted = hub.app().post(MANY, to_users(&users, raw("r"))).await;
    let accepted = accepted.expect(202);
    begun(&hub.app(), &job(&accepted)).await;
    WANTED_FREE.store(u64::MAX - 1, Ordering::SeqCst);
    hub.restart().await;
    let app = hub.app();
    let before = app.get(&job(&accepted)).await.expect(200);
    assert_eq!(before["status"], "running");
    let refused = app.post(MANY, to_users(&people(1), raw("another"))).await;
    assert_eq!(refused.refused(503), "serviceUnavailable");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    let units = hub.running().hub.store().stats().units;
    for _ in 0..50 {
        let now = app.get(&job(&accepted)).await.expect(200);
        assert_eq!(now, before, "nobody is posted to");
    }
    let after = hub.running().hub.store().stats();
    assert!(after.full && after.units == units, "{after:?}");
    WANTED_FREE.store(0, Ordering::SeqCst);
    hub.restart().await;
    let app = hub.app();
    let done = reached(&app, &job(&accepted), "completed").await;
    assert_eq!((&done["done"], &done["failed"]), (&json!(400), &json!(0)));
    let found = copies(&app, &users, "r").await;
    assert!(found.values().all(|count| *count == 1), "{found:?}");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_apps_job_is_not_there() {
    let hub = TestHub::start().await;
    let (app, other) = (hub.app(), hub.other_app().await);
    let accepted = app
        .post(MANY, to_users(&people(2_000), raw("mine")))
        .await
        .expect(202);
    begun(&app, &job(&accepted)).await;
    for method in [Method::GET, Method::DELETE] {
        let answer = other.call(method.clone(), &job(&accepted), None).await;
        assert_eq!(answer.refused(404), "itemNotFound", "{method}");
        for odd in ["nothing", "0190a1b2-0000-7000-8000-000000000001", "%20"] {
            let path = format!("{MANY}/{odd}");
            let answer = app.call(method.clone(), &path, None).await;
            assert_eq!(answer.refused(404), "itemNotFound", "{method} {odd}");
        }
    }
    let theirs = other.post(MANY, to_all(raw("theirs"))).await;
    assert_eq!(
        theirs.faults(),
        ["audience.all"],
        "the other app has nobody"
    );
    reached(&app, &job(&accepted), "completed").await;
    hub.finish().await;
}
