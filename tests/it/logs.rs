//! A log at the finest level holds no content, no user id, no id given by an app, no channel and no credential.

use beckon::doubles::{NewDevice, Service};
use serde_json::{Value, json};

use crate::support::{ChildHub, child::QUICK, eventually};

/// Texts that must stand in no line, and where they were put.
struct Canaries(Vec<(String, &'static str)>);

impl Canaries {
    fn add(&mut self, text: impl Into<String>, place: &'static str) -> String {
        let text = text.into();
        self.0.push((text.clone(), place));
        text
    }

    #[track_caller]
    fn are_not_in(&self, log: &str) {
        for (canary, place) in &self.0 {
            let line = log.lines().find(|line| line.contains(canary.as_str()));
            assert!(
                line.is_none(),
                "the {place} is in the log: {}",
                line.unwrap_or_default()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_through_every_door_is_found_in_no_line() {
    let hub = ChildHub::with(&format!("{QUICK}\n[log]\nlevel = \"trace\"")).await;
    let mut canaries = Canaries(Vec::new());
    canaries.add(&hub.key, "app key");
    let user = canaries.add("canary-user", "user id");
    post(&hub, &mut canaries, &user).await;
    let endpoint = canaries.add("canary-endpoint", "endpoint id");
    let token = token(&hub, &mut canaries, &user, &endpoint).await;
    devices(&hub, &mut canaries, (&user, &endpoint, &token)).await;
    client(&hub, &mut canaries, &token).await;
    refusals(&hub, &mut canaries, &user).await;
    eventually("pushes were logged", || async {
        (hub.log().matches("push accepted").count() >= 4).then_some(())
    })
    .await;
    let log = hub.log();
    assert!(
        log.contains("TRACE") || log.contains("DEBUG"),
        "the finest level is not on:\n{log}"
    );
    canaries.are_not_in(&log);
}

/// Posts by both doors, with every field that holds text.
async fn post(hub: &ChildHub, canaries: &mut Canaries, user: &str) {
    let mut field = |text: &str, place| canaries.add(text, place);
    let body = json!({
        "appNotificationId": field("canary-app-id", "appNotificationId"),
        "groupName": field("canary-group", "group"),
        "priority": "High",
        "payload": {
            "rawContent": field("canary-raw", "raw content"),
            "visualContent": {
                "title": field("canary-title", "title"),
                "body": field("canary-body", "body"),
            },
        },
    });
    let key = field("canary-idempotency", "Idempotency-Key");
    let caller = hub.app().header("idempotency-key", key);
    caller
        .post(&format!("/v1/users/{user}/notifications"), body)
        .await
        .expect(201);
}

async fn token(hub: &ChildHub, canaries: &mut Canaries, user: &str, endpoint: &str) -> String {
    let path = format!("/v1/users/{user}/tokens");
    let minted = hub
        .app()
        .post(&path, json!({"endpointId": endpoint}))
        .await
        .expect(201);
    canaries.add(minted["token"].as_str().unwrap(), "user token")
}

/// One device at each service, each tapped by a post.
async fn devices(
    hub: &ChildHub,
    canaries: &mut Canaries,
    (user, endpoint, token): (&str, &str, &str),
) {
    let vapid = hub
        .client()
        .get("/v1/apps/todo.example/webpush")
        .await
        .expect(200);
    for service in Service::ALL {
        let wanted = match service {
            Service::WebPush => NewDevice::browser(vapid["publicKey"].as_str().unwrap()),
            other => NewDevice::of(other),
        };
        let device = hub.doubles().add_device(wanted).unwrap();
        let channel: Value = serde_json::to_value(&device.channel).unwrap();
        for name in ["deviceToken", "registrationToken", "endpoint", "channelUri"] {
            if let Some(secret) = channel[name].as_str() {
                canaries.add(secret, "channel");
            }
        }
        let name = canaries.add(format!("canary-name-{service:?}"), "display name");
        let client = hub.client().bearer(token);
        let body = json!({"channel": channel, "displayName": name});
        let path = format!("/v1/me/endpoints/{endpoint}");
        let before = hub.doubles().counters(service).accepted;
        let answer = client.put(&path, body).await;
        assert!(answer.status.is_success(), "{answer:?}");
        let post =
            json!({"priority": "High", "payload": {"visualContent": {"title": "canary-title"}}});
        hub.app()
            .post(&format!("/v1/users/{user}/notifications"), post)
            .await
            .expect(201);
        assert!(
            hub.doubles()
                .await_accepted(service, before + 1, crate::support::wait::DEADLINE)
                .await,
            "{service:?} took no push"
        );
    }
}

async fn client(hub: &ChildHub, canaries: &mut Canaries, token: &str) {
    let client = hub.client().bearer(token);
    let named = client.header(
        "client-request-id",
        canaries.add("canary-request", "client-request-id"),
    );
    let page = named.get("/v1/me/notifications/delta").await.expect(200);
    canaries.add(
        crate::support::device::token_of(page["@odata.deltaLink"].as_str().unwrap()),
        "cursor",
    );
    let id = page["value"][0]["id"].as_str().unwrap();
    client
        .patch(
            &format!("/v1/me/notifications/{id}"),
            json!({"readState": "read"}),
        )
        .await
        .expect(200);
    client
        .get("/v1/me/notifications?groupName=canary-group")
        .await
        .expect(200);
    let ticket = client
        .post("/v1/me/notifications/stream/ticket", json!({}))
        .await
        .expect(201);
    let ticket = canaries.add(ticket["ticket"].as_str().unwrap(), "ticket");
    let path = format!("/v1/me/notifications/stream?ticket={ticket}");
    let opened = hub
        .client()
        .open(hyper::Method::GET, &path, hyper::body::Bytes::new())
        .await;
    assert_eq!(opened.0, 200);
}

/// What is refused is not written down either.
async fn refusals(hub: &ChildHub, canaries: &mut Canaries, user: &str) {
    let forged = canaries.add("bk_canaryforged_secret", "forged key");
    let path = format!("/v1/users/{user}/notifications");
    hub.client()
        .bearer(forged)
        .post(&path, json!({}))
        .await
        .expect(401);
    let body = json!({"payload": {"visualContent": {"title": canaries.add("canary-refused", "refused title"), "body": 5}}});
    hub.app().post(&path, body).await.expect(400);
    let odd = canaries.add("canary-odd-path", "odd path");
    hub.app().get(&format!("/v1/{odd}")).await.expect(404);
    let form = format!(
        "grant_type=client_credentials&client_id=todo.example&client_secret={}",
        canaries.add("canary-secret", "client secret")
    );
    let asked = hub
        .client()
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = asked
        .send(hyper::Method::POST, "/oauth2/v2.0/token", form.into())
        .await;
    assert_eq!(answer.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn looks_that_the_disk_has_no_room_for_are_told_once() {
    let mut hub = ChildHub::with(&format!("{QUICK}\n[log]\nlevel = \"debug\"")).await;
    let body = json!({"priority": "High", "payload": {"rawContent": "r"}, "fallbackPolicy": {"endpointFallback": {
        "platformTypes": ["android"], "fallbackDelayInSeconds": 60, "visualContent": {"title": "t"}
    }}});
    for nth in 0..20 {
        let path = format!("/v1/users/user-{nth}/notifications");
        hub.app().post(&path, body.clone()).await.expect(201);
    }
    hub.stop().await;
    hub.edit_config(|text| text.replace("min_free_bytes = 0", "min_free_bytes = \"1000000GiB\""));
    hub.begin().await;
    let lines = |what: &str| hub.log().matches(what).count();
    eventually("each look was done again", || async {
        (lines("a look at a user is to be done again") >= 40).then_some(())
    })
    .await;
    assert_eq!(lines("looks at users cannot be kept"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_were_taken_away_are_missed_once() {
    let hub = ChildHub::with(&format!("{QUICK}\n[log]\nlevel = \"debug\"")).await;
    let users: Vec<String> = (0..20).map(|nth| format!("user-{nth}")).collect();
    for user in &users {
        let device = hub.doubles().add_device(NewDevice::of(Service::Apns));
        let device = device.unwrap();
        let path = format!("/v1/users/{user}/tokens");
        let minted = hub.app().post(&path, json!({"endpointId": "phone"})).await;
        let token = minted.expect(201)["token"].as_str().unwrap().to_owned();
        let me = hub.client().bearer(token);
        let body = json!({"channel": device.channel});
        me.put("/v1/me/endpoints/phone", body).await.expect(201);
    }
    hub.edit_config(|text| {
        let (before, after) = text.split_once("[app.apns]").unwrap();
        let rest = after.find("\n[").map_or("", |at| &after[at + 1..]);
        format!("{before}{rest}")
    });
    hub.reload();
    let lines = |what: &str| hub.log().matches(what).count();
    let body = json!({"payload": {"visualContent": {"title": "t"}}});
    eventually("the settings are gone", || async {
        let path = format!("/v1/users/{}/notifications", users[0]);
        hub.app().post(&path, body.clone()).await.expect(201);
        (lines("a tap finds no lane") > 0).then_some(())
    })
    .await;
    for user in &users[1..] {
        let path = format!("/v1/users/{user}/notifications");
        hub.app().post(&path, body.clone()).await.expect(201);
    }
    eventually("each was looked at", || async {
        (lines("a tap finds no lane") >= users.len()).then_some(())
    })
    .await;
    assert_eq!(lines("no lane to the push service"), 1);
}
