//! Thousands of notifications whose time is over at one instant: others are answered between the small steps that
//! clear them away, and nobody is served what is over.

use std::time::Duration;

use beckon::{
    hub::Hub,
    model::{AppHost, Draft, Priority, Subject, Timestamp, UserId},
};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::support::{Client, TestHub, eventually, hub::APP};

const PEOPLE: usize = 8;
const EACH: usize = 400;
const HOUR: Duration = Duration::from_secs(3600);
/// How many units may be written while one post is answered; the sweep needs four times as many at least.
const STEP_UNITS: u64 = 20;

fn person(nth: usize) -> Subject {
    Subject {
        app: AppHost::parse(APP).unwrap(),
        user: UserId::parse(&format!("person-{nth}")).unwrap(),
    }
}

/// Posts what is over at `ends`.
async fn fill(hub: &Hub, ends: Timestamp) {
    let posts = (0..PEOPLE * EACH).map(|nth| {
        let draft = Draft {
            app_id: None,
            group: None,
            platforms: None,
            raw: Some(format!("over {nth}")),
            visual: None,
            display_ttl: None,
            expires: Some(ends),
            priority: Priority::None,
            fallback: None,
        };
        hub.create(person(nth % PEOPLE), draft, None)
    });
    let posted: Vec<_> = stream::iter(posts).buffer_unordered(64).collect().await;
    assert!(posted.iter().all(Result::is_ok));
}

/// How many that are over are still in the store.
fn left(hub: &Hub) -> u64 {
    let reader = hub.store().reader();
    let live = |nth| reader.user(&person(nth)).unwrap().live;
    (0..PEOPLE).map(live).sum()
}

/// Whether a page shows something that is not what is posted while the sweep works.
async fn shows_none_that_is_over(client: &Client, path: &str) {
    let page = client.get(path).await.expect(200);
    let over = |it: &&Value| {
        let raw = it["payload"]["rawContent"].as_str();
        raw.is_some_and(|raw| raw.starts_with("over"))
    };
    let shown = page["value"].as_array().unwrap().iter().find(over);
    assert!(shown.is_none(), "{path} shows {shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_answered_between_the_steps_of_the_sweep() {
    let hub = TestHub::at_a_standstill().await;
    let inner = hub.running().hub.clone();
    fill(&inner, hub.clock.now().plus(HOUR)).await;
    let all = u64::try_from(PEOPLE * EACH).unwrap();
    assert_eq!(left(&inner), all);
    let app = hub.app();
    let minted = app
        .post(
            "/v1/users/person-0/tokens",
            json!({"expiresInSeconds": 86_400}),
        )
        .await
        .expect(201);
    let phone = hub.client().bearer(minted["token"].as_str().unwrap());
    let body = json!({"payload": {"rawContent": "meanwhile"}});
    let held = phone.get("/v1/me/notifications/delta?$top=1000").await;
    let held = held.expect(200);
    assert_eq!(held["value"].as_array().unwrap().len(), EACH);
    let link = held["@odata.deltaLink"].as_str().unwrap();
    let cursor = link.rsplit_once("$deltatoken=").unwrap().1;
    hub.settled().await;

    hub.advance(HOUR);
    let (mut between, mut most) = (0, 0);
    let mut last = all;
    loop {
        let units = inner.store().stats().units;
        // One who has nothing that is over, one whose feed is being swept, and two kinds of pulls.
        app.post("/v1/users/bystander/notifications", body.clone())
            .await
            .expect(201);
        most = most.max(inner.store().stats().units - units);
        shows_none_that_is_over(&app, "/v1/users/person-1/notifications?$top=1000").await;
        shows_none_that_is_over(&phone, "/v1/me/notifications/delta?$top=1000").await;
        let now = left(&inner);
        if now == 0 {
            break;
        }
        between += u64::from(now < last && now < all);
        last = now;
    }
    assert!(
        between >= 5,
        "requests were answered at {between} different stages of the sweep"
    );
    assert!(most <= STEP_UNITS, "a post waited for {most} units");
    let path = format!("/v1/me/notifications/delta?$top=1000&$deltatoken={cursor}");
    let told = phone.get(&path).await.expect(200);
    let told = told["value"].as_array().unwrap();
    let over = |it: &&Value| it["@removed"]["reason"] == "expired";
    assert_eq!(told.iter().filter(over).count(), EACH, "each is told once");
    assert_eq!(told.len(), EACH);
    hub.finish().await;
}

/// How much the store takes on disk.
fn on_disk(hub: &TestHub) -> u64 {
    let db = hub.folder.path().join("store/db");
    db.metadata().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_and_goes_leaves_the_store_as_large_as_it_was() {
    const ROUNDS: u32 = 12;
    let hub = TestHub::at_a_standstill().await;
    let inner = hub.running().hub.clone();
    let app = hub.app();
    let (mut first, mut last) = (0, 0);
    for round in 0..ROUNDS {
        let expires = hub.clock.now().plus(HOUR).to_string();
        for nth in 0..150 {
            let content = format!("{round} {nth} {}", "x".repeat(30_000));
            let body = json!({"expirationDateTime": expires, "payload": {"rawContent": content}});
            app.post("/v1/users/person-0/notifications", body)
                .await
                .expect(201);
        }
        last = on_disk(&hub);
        first = if round == 0 { last } else { first };
        // Long enough that nothing is told of them any more either.
        hub.advance(40 * 24 * HOUR);
        eventually("they are swept", || async {
            (left(&inner) == 0).then_some(())
        })
        .await;
    }
    assert!(
        last < first + first / 2,
        "{first} bytes have become {last} after {ROUNDS} rounds"
    );
    hub.finish().await;
}
