//! A job from its acceptance to its end: progress, taps, retries, cancelling, restarts and kills.

use std::time::Duration;

use beckon::doubles::Service;
use serde_json::{Value, json};

use super::{MANY, begun, copies, job, people, raw, reached, to_all, to_users};
use crate::support::{
    ChildHub, Random, TestHub, eventually,
    random::{Seed, seeds},
};

#[tokio::test(flavor = "multi_thread")]
async fn everyone_gets_it_and_their_devices_are_tapped() {
    let hub = TestHub::start().await;
    let app = hub.app();
    let mut phone = hub.device("person-1", Service::Apns).await;
    let body = json!({"audience": {"users": people(3)}, "notification": {
        "appNotificationId": "news", "priority": "High", "payload": {"visualContent": {"title": "News"}}}});
    let answer = app.post(MANY, body.clone()).await;
    let accepted = answer.expect(202);
    assert_eq!(accepted["accepted"], 3);
    let location = answer.header("location").unwrap();
    assert!(location.ends_with(&job(&accepted)), "{location}");
    let done = reached(&app, &job(&accepted), "completed").await;
    assert_eq!(
        (&done["accepted"], &done["done"], &done["failed"]),
        (&json!(3), &json!(3), &json!(0))
    );
    assert!(done["completedDateTime"].is_string(), "{done}");
    phone.next_push("the tap").await;
    phone.pull().await;
    let mine = app
        .get("/v1/users/person-1/notifications")
        .await
        .expect(200);
    assert_eq!(
        mine["value"][0]["payload"]["visualContent"]["title"],
        "News"
    );
    let metrics = hub.client().get("/metrics").await;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(
        metrics.contains("beckon_notifications_created_total 3"),
        "{metrics}"
    );
    // The same again is known to all; other content replaces it in place.
    let again = app.post(MANY, body).await.expect(202);
    reached(&app, &job(&again), "completed").await;
    let known = app
        .get("/v1/users/person-1/notifications")
        .await
        .expect(200);
    assert_eq!(known, mine);
    let newer = json!({"audience": {"all": true}, "notification": {
        "appNotificationId": "news", "payload": {"rawContent": "newer"}}});
    let newer = app.post(MANY, newer).await.expect(202);
    assert_eq!(newer["accepted"], 3);
    reached(&app, &job(&newer), "completed").await;
    for user in people(3) {
        let path = format!("/v1/users/{user}/notifications");
        let page = app.get(&path).await.expect(200);
        assert_eq!(page["value"].as_array().unwrap().len(), 1, "{page}");
        assert_eq!(page["value"][0]["payload"]["rawContent"], "newer");
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_gets_the_first_answer() {
    let hub = TestHub::at_a_standstill().await;
    let once = hub.app().header("Idempotency-Key", "k");
    let soon = hub.clock.now().plus(Duration::from_secs(600)).to_string();
    let body = json!({"audience": {"users": people(2)}, "notification": {
        "payload": {"rawContent": "r"}, "expirationDateTime": soon}});
    let first = once.post(MANY, body.clone()).await.expect(202);
    reached(&hub.app(), &job(&first), "completed").await;
    assert_eq!(once.post(MANY, body.clone()).await.expect(202), first);
    let other = to_users(&people(3), raw("r"));
    assert_eq!(once.post(MANY, other).await.refused(409), "conflict");
    let single = once.post("/v1/users/ada/notifications", raw("r")).await;
    assert_eq!(single.refused(409), "conflict");
    let single = hub.app().header("Idempotency-Key", "single");
    single
        .post("/v1/users/ada/notifications", raw("r"))
        .await
        .expect(201);
    assert_eq!(
        single.post(MANY, body.clone()).await.refused(409),
        "conflict"
    );
    for count in copies(&hub.app(), &people(2), "r").await.values() {
        assert_eq!(*count, 1);
    }
    // What was good then is too late by now; the key is kept for a day.
    hub.advance(Duration::from_secs(600));
    assert_eq!(once.post(MANY, body).await.expect(202), first);
    hub.advance(Duration::from_secs(24 * 3600));
    eventually("the key is forgotten", || async {
        let again = once.post(MANY, to_users(&people(2), raw("s"))).await;
        (again.status == 202).then_some(())
    })
    .await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_cancelling_nobody_more_is_posted_to() {
    let hub = TestHub::start().await;
    let (app, users) = (hub.app(), people(3_000));
    let accepted = app.post(MANY, to_users(&users, raw("r"))).await.expect(202);
    begun(&app, &job(&accepted)).await;
    app.delete(&job(&accepted)).await.expect(204);
    let cancelled = app.get(&job(&accepted)).await.expect(200);
    assert_eq!(cancelled["status"], "cancelled");
    assert!(cancelled["completedDateTime"].is_string());
    let done = usize::try_from(cancelled["done"].as_u64().unwrap()).unwrap();
    assert!(done > 0 && done < users.len(), "{cancelled}");
    // A job that comes later has its turn only once the first is out of the way.
    let later = app
        .post(MANY, to_users(&people(1), raw("later")))
        .await
        .expect(202);
    reached(&app, &job(&later), "completed").await;
    let found = copies(&app, &users[..done + 50], "r").await;
    let have = users[..done + 50].iter().filter(|user| found[*user] == 1);
    assert_eq!(have.count(), done, "as many as it says, and the first ones");
    assert_eq!(app.get(&job(&accepted)).await.expect(200), cancelled);
    let again = app.delete(&job(&accepted)).await;
    assert_eq!(again.refused(404), "itemNotFound");
    let over = app.delete(&job(&later)).await;
    assert_eq!(over.refused(409), "conflict");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn single_posts_and_an_orderly_restart_take_nothing_from_it() {
    let mut hub = TestHub::start().await;
    let (app, users) = (hub.app(), people(600));
    let accepted = app
        .post(MANY, to_users(&users, raw("to all")))
        .await
        .expect(202);
    begun(&app, &job(&accepted)).await;
    for user in users.iter().rev().step_by(10) {
        let path = format!("/v1/users/{user}/notifications");
        app.post(&path, raw("to one")).await.expect(201);
    }
    hub.restart().await;
    let app = hub.app();
    let done = reached(&app, &job(&accepted), "completed").await;
    assert_eq!((&done["done"], &done["failed"]), (&json!(600), &json!(0)));
    let found = copies(&app, &users, "to all").await;
    assert!(found.values().all(|count| *count == 1), "{found:?}");
    let singles = copies(&app, &users, "to one").await;
    assert_eq!(singles.values().sum::<usize>(), 60);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_are_all_and_a_job_is_gone_a_day_after_its_notifications() {
    let hub = TestHub::at_a_standstill().await;
    let app = hub.app();
    for user in people(40) {
        let path = format!("/v1/users/{user}/tokens");
        app.post(&path, json!({})).await.expect(201);
    }
    let accepted = app.post(MANY, to_all(raw("r"))).await.expect(202);
    assert_eq!(accepted["accepted"], 40);
    reached(&app, &job(&accepted), "completed").await;
    let found = copies(&app, &people(40), "r").await;
    assert!(found.values().all(|count| *count == 1), "{found:?}");
    hub.advance(Duration::from_hours(7 * 24));
    let kept = app.get(&job(&accepted)).await.expect(200);
    assert_eq!(kept["status"], "completed");
    let found = copies(&app, &people(40), "r").await;
    assert!(found.values().all(|count| *count == 0), "{found:?}");
    hub.advance(Duration::from_hours(24));
    assert_eq!(app.get(&job(&accepted)).await.refused(404), "itemNotFound");
    eventually("everything of it is swept", || async {
        let id = beckon::model::BroadcastId::parse(accepted["id"].as_str().unwrap());
        let reader = hub.running().hub.store().reader().clone();
        reader
            .broadcast(id.unwrap())
            .unwrap()
            .is_none()
            .then_some(())
    })
    .await;
    hub.finish().await;
}

async fn accept(hub: &ChildHub, users: &[String]) -> Value {
    let body = to_users(users, raw("r"));
    hub.app().post(MANY, body).await.expect(202)
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_skip_nobody_and_repeat_nobody() {
    let mut hub = ChildHub::start().await;
    let (users, rounds) = (people(1_500), 5);
    let _seed = Seed(seeds(&[1])[0]);
    let mut random = Random::new(seeds(&[1])[0]);
    let accepted = accept(&hub, &users).await;
    let (mut before, mut moved) = (0, 0);
    for _ in 0..rounds {
        let pause = Duration::from_millis(random.next() % 150);
        tokio::time::timeout(pause, std::future::pending::<()>())
            .await
            .unwrap_err();
        hub.kill();
        hub.verify();
        hub.begin().await;
        let it = hub.app().get(&job(&accepted)).await.expect(200);
        let done = it["done"].as_u64().unwrap();
        assert!(done >= before, "it went back: {it}");
        moved += u64::from(done > before && it["status"] == "running");
        before = done;
    }
    let done = reached(&hub.app(), &job(&accepted), "completed").await;
    assert_eq!((&done["done"], &done["failed"]), (&json!(1_500), &json!(0)));
    let found = copies(&hub.app(), &users, "r").await;
    let wrong: Vec<_> = found.iter().filter(|(_, count)| **count != 1).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    println!("{rounds} kills, {moved} of them in the middle; 1500 people have one each");
    assert!(moved > 0, "no kill came in the middle");
    hub.kill();
    hub.verify();
}
