//! Ids in paths, and paths and methods that are not there.

use hyper::{Method, body::Bytes};
use serde_json::json;

use super::{POST, assert_refused, commits, unharmed};
use crate::{
    isolation::ROUTES,
    support::{TestHub, hub::APP},
};

const BAD: (u16, &str) = (400, "invalidRequest");
const ABSENT: (u16, &str) = (404, "itemNotFound");

/// What does not decode, wherever it stands.
const BROKEN: [&str; 6] = ["%FF", "%zz", "%", "%4", "%C3", "a%ED%A0%80b"];

#[tokio::test(flavor = "multi_thread")]
async fn a_user_id_is_any_text_without_control_characters() {
    let hub = TestHub::start().await;
    let before = commits(&hub);
    let app = hub.app();
    for broken in BROKEN {
        let answer = app.get(&format!("/v1/users/{broken}/notifications")).await;
        assert_refused(broken, &answer, BAD, &["path"]);
    }
    let long = "x".repeat(257);
    for bad in [
        ".", "..", "%2e", "%2E%2e", ".%2e", "%00", "a%00b", "%0A", "%7F", "%C2%85", &long,
    ] {
        for door in [
            "notifications",
            "endpoints",
            "notifications/x",
            "notifications/x/deliveries",
        ] {
            let answer = app.get(&format!("/v1/users/{bad}/{door}")).await;
            assert_refused(bad, &answer, BAD, &["user"]);
        }
        let good = json!({"payload": {"rawContent": "r"}});
        let answer = app
            .post(&format!("/v1/users/{bad}/notifications"), good)
            .await;
        assert_refused(bad, &answer, BAD, &["user"]);
        let answer = app
            .post(&format!("/v1/users/{bad}/tokens"), json!({}))
            .await;
        assert_refused(bad, &answer, BAD, &["user"]);
    }
    let answer = app.get("/v1/users//notifications").await;
    assert_refused("no user at all", &answer, ABSENT, &[]);
    let widest = "%C3%BC".repeat(128);
    for good in [
        "%2F",
        "%252F",
        "+",
        "%20",
        "...",
        "a%2F..%2Fb",
        "~",
        "%F0%9F%98%80",
        &widest,
    ] {
        let answer = app.get(&format!("/v1/users/{good}/notifications")).await;
        assert_eq!(answer.expect(200)["value"], json!([]), "{good}");
    }
    unharmed(hub, before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_whose_ids_look_alike_are_different_people() {
    let hub = TestHub::start().await;
    let alike = [
        "a%2Fb", "a%252Fb", "a+b", "a%20b", "a%2Bb2", "A%2Fb", "a", "a%C3%A9", "ae%CC%81",
    ];
    for user in alike {
        hub.post(user, user).await;
    }
    for user in alike {
        let page = hub
            .app()
            .get(&format!("/v1/users/{user}/notifications"))
            .await
            .expect(200);
        assert_eq!(page["value"].as_array().unwrap().len(), 1, "{user}: {page}");
        assert_eq!(
            page["value"][0]["payload"]["visualContent"]["title"], user,
            "{page}"
        );
    }
    let same = hub
        .app()
        .get("/v1/users/%61%2fb/notifications")
        .await
        .expect(200);
    assert_eq!(
        same["unreadCount"], 1,
        "an escape more or less names the same person: {same}"
    );
    let posted = hub
        .app()
        .post(
            "/v1/users/a%2Fb/notifications",
            json!({"payload": {"rawContent": "r"}}),
        )
        .await;
    let location = posted.header("location").unwrap().to_owned();
    let id = posted.expect(201)["id"].clone();
    let path = location
        .split_once(&hub.running().addr.to_string())
        .unwrap()
        .1
        .to_owned();
    assert_eq!(
        hub.app().get(&path).await.expect(200)["id"],
        id,
        "{location}"
    );
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_odd_id_of_a_notification_or_endpoint_is_not_there() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    let real = hub.post("ada", "Real").await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    hub.settled().await;
    let before = commits(&hub);
    let (upper, bare) = (real.to_uppercase(), real.replace('-', ""));
    let long = "x".repeat(5000);
    let odd = [
        "%00",
        "%2F",
        "%252F",
        "+",
        ".",
        "..",
        "%2e%2e",
        "x",
        "%C3%BC",
        "deltas",
        "-1",
        &upper,
        &bare,
        &long,
        "00000000-0000-0000-0000-000000000000",
    ];
    let doors = [
        ("GET", "/v1/users/ada/notifications/{}", true),
        ("DELETE", "/v1/users/ada/notifications/{}", true),
        ("GET", "/v1/users/ada/notifications/{}/deliveries", true),
        ("DELETE", "/v1/users/ada/endpoints/{}", true),
        ("GET", "/v1/me/notifications/{}", false),
        ("PATCH", "/v1/me/notifications/{}", false),
        ("DELETE", "/v1/me/notifications/{}", false),
        ("DELETE", "/v1/me/endpoints/{}", false),
    ];
    for (verb, path, by_app) in doors {
        let client = if by_app { hub.app() } else { ada.clone() };
        let method = Method::from_bytes(verb.as_bytes()).unwrap();
        let body = (verb == "PATCH").then(|| json!({"readState": "read"}));
        for id in odd {
            let answer = client
                .call(method.clone(), &path.replace("{}", id), body.clone())
                .await;
            assert_refused(&format!("{verb} {path} {id}"), &answer, ABSENT, &[]);
        }
        for id in BROKEN {
            let answer = client
                .call(method.clone(), &path.replace("{}", id), body.clone())
                .await;
            assert_refused(&format!("{verb} {path} {id}"), &answer, BAD, &["path"]);
        }
    }
    unharmed(hub, before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_id_that_is_to_be_made_must_be_a_good_one() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    let before = commits(&hub);
    let good = json!({"platform": "iOS", "channel": {"type": "none"}});
    let long = "x".repeat(129);
    for bad in [
        "%00", "%2F", "%252F", "+", "a%20b", ".", "..", "%2e", "%C3%BC", "a:b", &long,
    ] {
        let answer = ada
            .put(&format!("/v1/me/endpoints/{bad}"), good.clone())
            .await;
        assert_refused(bad, &answer, BAD, &["endpointId"]);
        let bound = json!({"endpointId": decoded(bad)});
        let answer = hub.app().post("/v1/users/ada/tokens", bound).await;
        assert_refused(bad, &answer, BAD, &["endpointId"]);
        let named = ada
            .header("x-endpoint-id", bad)
            .get("/v1/me/notifications")
            .await;
        assert_refused(bad, &named, (404, "endpointNotFound"), &[]);
    }
    for broken in BROKEN {
        let answer = ada
            .put(&format!("/v1/me/endpoints/{broken}"), good.clone())
            .await;
        assert_refused(broken, &answer, BAD, &["path"]);
    }
    unharmed(hub, before).await;
}

fn decoded(raw: &str) -> String {
    percent_encoding::percent_decode_str(raw)
        .decode_utf8()
        .unwrap()
        .into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_not_there_has_no_web_push_key() {
    let hub = TestHub::start().await;
    let before = commits(&hub);
    for host in ["unknown.example", "%00", "..", "x", "todo.example%2F", "+"] {
        let answer = hub.client().get(&format!("/v1/apps/{host}/webpush")).await;
        assert_refused(host, &answer, ABSENT, &[]);
    }
    for host in BROKEN {
        let answer = hub.client().get(&format!("/v1/apps/{host}/webpush")).await;
        assert_refused(host, &answer, BAD, &["path"]);
    }
    let known = hub
        .client()
        .get(&format!("/v1/apps/{APP}/webpush"))
        .await
        .expect(200);
    assert_eq!(known["publicKey"].as_str().unwrap().len(), 87, "{known}");
    unharmed(hub, before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_names_the_methods_that_it_takes() {
    let hub = TestHub::start().await;
    let before = commits(&hub);
    for (_, path, _) in ROUTES {
        let mut takes: Vec<&str> = ROUTES
            .iter()
            .filter(|row| row.1 == path)
            .map(|row| row.0)
            .collect();
        takes.sort_unstable();
        let real = path
            .replace("{user}", "ada")
            .replace("{host}", APP)
            .replace("{tenant}", "common")
            .replace("{id}", "x")
            .replace("{endpoint}", "x");
        for verb in [
            "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW",
        ] {
            if takes.contains(&verb) {
                continue;
            }
            let method = Method::from_bytes(verb.as_bytes()).unwrap();
            let answer = hub.app().send(method, &real, Bytes::new()).await;
            let what = format!("{verb} {real}");
            if real.contains("/oauth2/") {
                assert_eq!(answer.expect(405)["error"], "invalid_request", "{what}");
            } else {
                assert_refused(&what, &answer, (405, "methodNotAllowed"), &[]);
            }
            let mut allowed: Vec<&str> = answer.header("allow").unwrap().split(", ").collect();
            allowed.sort_unstable();
            assert_eq!(allowed, takes, "{verb} {real}: {answer:?}");
        }
    }
    unharmed(hub, before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_not_there_is_404() {
    let hub = TestHub::start().await;
    let before = commits(&hub);
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v2/users/ada/notifications",
        "/v1/users/",
        "/v1/users/ada/",
        "/v1/users/ada/notifications/",
        "/v1/users/a/b/notifications",
        "/v1/me",
        "/v1/me/notifications/x/y",
        "/V1/me/endpoints",
        "//v1/me/endpoints",
        "/beta/me/notifications//",
        "/beta/you/notifications",
        "/admin/keys",
        "/v1/me/../me/endpoints",
    ] {
        let answer = hub.app().get(path).await;
        assert_refused(path, &answer, ABSENT, &[]);
    }
    let bad = hub.app().get(&format!("{POST}?$top=%zz")).await;
    assert_refused("a query that does not decode", &bad, BAD, &["query"]);
    let twice = "$top=1&readState=read&$top=2&readState=read&x=1&x=2";
    let twice = hub.app().get(&format!("{POST}?{twice}")).await;
    let wrong = "$top=0&readState=x&userActionState=x&$skiptoken=x";
    let wrong = hub.app().get(&format!("{POST}?{wrong}")).await;
    let faults = ["$top", "readState", "userActionState", "$skiptoken"];
    assert_refused("all at once", &wrong, BAD, &faults);
    assert_refused("repeats", &twice, BAD, &["$top", "readState"]);
    unharmed(hub, before).await;
}
