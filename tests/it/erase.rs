//! Erasing a person: all that was held of them is gone, at once and through kills.

use std::{fs, time::Duration};

use beckon::{doubles::Service, hub::admin::Request};
use serde_json::json;

use crate::{
    export::live,
    support::{ChildHub, Random, Sse, TestHub, hub::APP, random::seeds},
};

const USER: &str = "/v1/users/ada";
const POST: &str = "/v1/users/ada/notifications";
/// How often the hub is killed in the middle.
const KILLS: usize = 4;
/// How many notifications make an erasure long.
const MANY: usize = 400;

/// All rows of a store, as a backup has them.
fn rows(data: &std::path::Path) -> Vec<u8> {
    let file = data.join("rows");
    let run = std::process::Command::new(env!("CARGO_BIN_EXE_beckon"))
        .args(["store", "backup"])
        .arg(&file)
        .arg("--data")
        .arg(data.join("store"))
        .current_dir(data)
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    fs::read(file).unwrap()
}

fn holds(rows: &[u8], text: &str) -> bool {
    rows.windows(text.len()).any(|it| it == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_was_held_is_gone_and_speaks_for_nobody() {
    let mut hub = TestHub::at_a_standstill().await;
    let (ids, _) = live(&hub).await;
    let bound = hub.person("ada", Some("watch")).await;
    let unbound = hub.person("ada", None).await;
    let mut stream = Sse::open(&unbound, "/v1/me/notifications/stream").await;
    let exported = hub.app().get(&format!("{USER}/export")).await.expect(200);
    let unsid = exported["endpoints"][0]["userNotificationSubscriptionId"]
        .as_str()
        .unwrap()
        .to_owned();
    // What waits for its time: a fallback, and the look that it takes.
    let raw = json!({"priority": "High", "payload": {"rawContent": "hush"}, "fallbackPolicy": {"endpointFallback": {"platformTypes": ["iOS"], "fallbackDelayInSeconds": 60, "visualContent": {"title": "hush"}}}});
    hub.app().post(POST, raw).await.expect(201);
    stream.event().await;
    hub.settled().await;

    hub.app().delete(USER).await.expect(204);
    assert_eq!(hub.app().delete(USER).await.refused(404), "itemNotFound");
    assert_eq!(stream.rest().await, "");
    for dead in [&bound, &unbound] {
        assert_eq!(dead.get("/v1/me/notifications").await.status, 401);
    }
    let app = hub.app();
    let export = app.get(&format!("{USER}/export")).await;
    assert_eq!(export.refused(404), "itemNotFound");
    for list in ["notifications", "endpoints"] {
        let list = app.get(&format!("{USER}/{list}")).await.expect(200);
        assert_eq!(list["value"], json!([]));
    }
    let graph = app.header("x-uns-id", unsid);
    let body = json!({"targetHostName": APP, "payload": {"rawContent": "x"}});
    assert_eq!(graph.post("/beta/me/notifications", body).await.status, 403);
    let arrived: Vec<_> = Service::ALL
        .map(|service| hub.doubles().counters(service).accepted)
        .into();
    hub.advance(Duration::from_secs(3600));
    hub.settled().await;
    let later: Vec<_> = Service::ALL
        .map(|service| hub.doubles().counters(service).accepted)
        .into();
    assert_eq!(arrived, later, "nobody is tapped any more");
    let waits = hub.running().hub.admin(Request::Health).await.unwrap();
    assert_eq!(waits["outboxDepth"], 0, "{waits}");

    // Someone of that name is someone new.
    hub.post("ada", "anew").await;
    let anew = app.get(POST).await.expect(200);
    assert_eq!(anew["value"].as_array().unwrap().len(), 1);
    app.delete(USER).await.expect(204);
    hub.stop().await;
    let rows = rows(hub.folder.path());
    assert!(holds(&rows, APP), "what is held can be found so");
    for id in &ids {
        assert!(!holds(&rows, id), "{id}");
        let bytes = uuid::Uuid::parse_str(id).map(uuid::Uuid::into_bytes);
        let found = bytes.is_ok_and(|id| rows.windows(16).any(|it| it == id));
        assert!(!found, "{id}");
    }
    for text in ["hush", "\"ada\"", "watch"] {
        assert!(!holds(&rows, text), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_tells_of_it_and_names_them_no_more() {
    let hub = TestHub::at_a_standstill().await;
    hub.post("ada", "Lunch?").await;
    hub.post("eve", "Lunch?").await;
    let app = hub.app();
    for user in ["ada", "eve"] {
        app.get(&format!("/v1/users/{user}/export"))
            .await
            .expect(200);
    }
    app.delete(USER).await.expect(204);
    let again = Request::UserErase {
        app: APP.into(),
        user: "ada".into(),
    };
    hub.running().hub.admin(again).await.unwrap_err();
    let request = Request::Audit {
        app: None,
        since: None,
        before: None,
    };
    let acts = hub.running().hub.admin(request).await.unwrap();
    let told: Vec<[&str; 3]> = acts["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|act| ["act", "user", "outcome"].map(|name| act[name].as_str().unwrap()))
        .collect();
    // The first 16 bytes of the SHA-256 of "ada".
    let ada = "erased:fdee430d40bd57deeac186cd9790033d";
    let expected = [
        ["user erase", ada, "refused"],
        ["user erase", ada, "done"],
        ["user export", "eve", "done"],
        ["user export", ada, "done"],
    ];
    assert_eq!(told, expected);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_caller_goes_away_is_done_and_noted_as_done() {
    let hub = TestHub::start().await;
    for nth in 0..50 {
        hub.post("ada", &format!("{nth}")).await;
    }
    let erasing = hub.app();
    let _gone = tokio::time::timeout(Duration::from_millis(1), erasing.delete(USER)).await;
    // Where it was gone before its request was, this one does it.
    let again = hub.app().delete(USER).await.status.as_u16();
    assert!(matches!(again, 204 | 404), "{again}");
    let log = || async {
        let request = Request::Audit {
            app: None,
            since: None,
            before: None,
        };
        let acts = hub.running().hub.admin(request).await.unwrap();
        let acts = acts["value"].as_array().unwrap().clone();
        let outcomes = acts.iter().map(|act| act["outcome"].as_str().unwrap());
        outcomes.map(str::to_owned).collect::<Vec<_>>()
    };
    crate::support::eventually("it is noted as done", || async {
        let log = log().await;
        let has = |outcome: &str| log.iter().any(|it| it == outcome);
        (has("done") && !has("begun")).then_some(())
    })
    .await;
    let export = hub.app().get(&format!("{USER}/export")).await;
    assert_eq!(export.refused(404), "itemNotFound");
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_in_the_list_of_a_post_to_many_is_passed_over() {
    let hub = TestHub::start().await;
    for user in ["ada", "eve"] {
        hub.post(user, "Lunch?").await;
    }
    let users: Vec<String> = (0..300).map(|nth| format!("u{nth}")).collect();
    let mut all: Vec<&str> = users.iter().map(String::as_str).collect();
    all.extend(["eve", "ada"]);
    let job =
        json!({"audience": {"users": all}, "notification": {"payload": {"rawContent": "to many"}}});
    let app = hub.app();
    let accepted = app.post("/v1/notifications", job).await.expect(202);
    app.delete(USER).await.expect(204);
    let path = format!("/v1/notifications/{}", accepted["id"].as_str().unwrap());
    let done = crate::support::eventually("the job is completed", || async {
        let job = app.get(&path).await.expect(200);
        (job["status"] == "completed").then_some(job)
    })
    .await;
    let export = app.get(&format!("{USER}/export")).await;
    assert_eq!(export.refused(404), "itemNotFound", "{done}");
    let eves = app.get("/v1/users/eve/notifications").await.expect(200);
    assert_eq!(eves["value"].as_array().unwrap().len(), 2);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_leaves_all_or_nothing() {
    let mut hub = ChildHub::start().await;
    let mut random = Random::new(seeds(&[1])[0]);
    for _ in 0..KILLS {
        fill(&hub).await;
        let (app, wait) = (hub.app(), random.below(40));
        let erasing = tokio::spawn(async move {
            let answer = app.attempt(hyper::Method::DELETE, USER, None).await;
            answer.map(|answer| answer.status.as_u16())
        });
        // A moment within it, whichever: what must hold holds at each.
        tokio::time::sleep(Duration::from_millis(wait as u64)).await;
        hub.kill();
        let answered = erasing.await.unwrap();
        // What the operator does before the next start is for someone new, and stays.
        let sent = hub.json(&["send", APP, "ada", "--title", "after"]);
        hub.begin().await;
        hub.verify();
        let export = format!("{USER}/export");
        let export = hub.app().get(&export).await.expect(200);
        let kept = export["notifications"].as_array().unwrap();
        match answered {
            Some(204) | None if kept.len() == 1 => assert_eq!(kept[0]["id"], sent["id"]),
            None => assert_eq!(kept.len(), MANY + 1, "what was not begun is all there"),
            other => panic!("{other:?}, and {} are left", kept.len()),
        }
        hub.app().delete(USER).await.expect(204);
        hub.verify();
    }
    assert_eq!(
        fetched(&hub, "eve").await,
        KILLS,
        "others have what is theirs"
    );
}

async fn fill(hub: &ChildHub) {
    let body = json!({"payload": {"rawContent": "hush"}});
    let eve = "/v1/users/eve/notifications";
    hub.app().post(eve, body.clone()).await.expect(201);
    let app = hub.app();
    let posts = (0..MANY).map(|_| app.post(POST, body.clone()));
    for posted in futures_util::future::join_all(posts).await {
        posted.expect(201);
    }
}

async fn fetched(hub: &ChildHub, user: &str) -> usize {
    let list = format!("/v1/users/{user}/notifications");
    let page = hub.app().get(&list).await.expect(200);
    page["value"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_erases_with_the_hub_running_and_stopped() {
    let mut hub = ChildHub::start().await;
    for life in ["running", "stopped"] {
        if life == "stopped" {
            let body = json!({"payload": {"rawContent": "hush"}});
            hub.app().post(POST, body).await.expect(201);
            hub.stop().await;
        } else {
            fill(&hub).await;
        }
        let erased = hub.json(&["user", "erase", APP, "ada"]);
        assert_eq!(erased, json!({"id": "ada"}), "{life}");
        let again = hub.refused(&["user", "erase", APP, "ada"]);
        assert!(again.contains("no such user"), "{again}");
        let users = hub.json(&["user", "list", APP]);
        assert_eq!(users["value"][0]["id"], "eve", "{life}: {users}");
    }
}
