//! Fields: every fault of a body at once, each with its path.

use serde_json::{Value, json};

use super::{POST, assert_refused, commits, unharmed};
use crate::support::{Client, TestHub};

const BAD: (u16, &str) = (400, "invalidRequest");
/// A browser's good keys, from RFC 8291 section 5.
const P256DH: &str =
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

#[tokio::test(flavor = "multi_thread")]
async fn all_faults_of_a_post_are_named_at_once() {
    let hub = TestHub::start().await;
    let before = commits(&hub);
    let body = json!({
        "targetHostName": 5, "appNotificationId": "", "groupName": "g".repeat(257),
        "targetPolicy": {"platformTypes": ["iOS", "blackberry"]},
        "payload": {"rawContent": "", "visualContent": {"title": "t".repeat(257), "body": 7}},
        "displayTimeToLive": 0, "expirationDateTime": "soon", "priority": "Urgent",
        "fallbackPolicy": {"endpointFallback": {
            "platformTypes": [], "fallbackDelayInSeconds": 59, "visualContent": {"body": "x".repeat(4097)}
        }},
    });
    let fallback = |name: &str| format!("fallbackPolicy.endpointFallback.{name}");
    let (delay, platforms) = (
        fallback("fallbackDelayInSeconds"),
        fallback("platformTypes"),
    );
    let (title, text) = (
        fallback("visualContent.title"),
        fallback("visualContent.body"),
    );
    let faults = [
        "targetHostName",
        "appNotificationId",
        "groupName",
        "targetPolicy.platformTypes[1]",
        "payload.rawContent",
        "payload.visualContent.title",
        "payload.visualContent.body",
        "displayTimeToLive",
        "expirationDateTime",
        "priority",
        "fallbackPolicy",
        "fallbackPolicy",
        &platforms,
        &delay,
        &title,
        &text,
    ];
    let answer = hub.app().post(POST, body).await;
    assert_refused("a post with all faults", &answer, BAD, &faults);
    unharmed(hub, before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_headers_and_body_are_named_at_once() {
    let hub = TestHub::start().await;
    let before = commits(&hub);
    let app = hub.app().header("if-modified-since", "x");
    let app = app.header("if-range", "x");
    let answer = app
        .post("/beta/me/notifications", json!({"payload": {}}))
        .await;
    let faults = ["payload", "if-modified-since", "if-range", "X-UNS-ID"];
    assert_refused("a Graph call with all faults", &answer, BAD, &faults);
    unharmed(hub, before).await;
}

/// A registration in which all but the channel is wrong, with this channel: its faults join the others.
async fn check_channel(ada: &Client, channel: Value, faults: &[&str]) {
    let others = json!({
        "platform": "phone", "displayName": "n".repeat(257), "locale": "???", "stateSync": "yes", "shared": 1,
        "expirationDateTime": "2020-01-01T00:00:00Z",
    });
    let targets = [
        "platform",
        "displayName",
        "locale",
        "stateSync",
        "shared",
        "expirationDateTime",
    ];
    let mut body = others;
    body["channel"] = channel;
    let answer = ada.put("/v1/me/endpoints/e", body.clone()).await;
    let expected: Vec<&str> = targets.iter().chain(faults).copied().collect();
    assert_refused(&body["channel"].to_string(), &answer, BAD, &expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_faults_of_a_registration_are_named_at_once() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    let before = commits(&hub);
    let check = async |channel: Value, faults: &[&str]| check_channel(&ada, channel, faults).await;
    check(json!(null), &["channel"]).await;
    check(json!([]), &["channel"]).await;
    check(json!({}), &["channel.type"]).await;
    check(json!({"type": "mqtt"}), &["channel.type"]).await;
    check(json!({"type": 5}), &["channel.type"]).await;
    unharmed(hub, before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_faults_of_a_channel_are_named_at_once() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    let before = commits(&hub);
    let check = async |channel: Value, faults: &[&str]| check_channel(&ada, channel, faults).await;
    check(json!({"type": "apns"}), &["channel.deviceToken"]).await;
    let apns = json!({"type": "apns", "deviceToken": "xyz", "topic": "", "environment": "test"});
    check(
        apns,
        &[
            "channel.deviceToken",
            "channel.topic",
            "channel.environment",
        ],
    )
    .await;
    check(json!({"type": "fcm"}), &["channel.registrationToken"]).await;
    check(
        json!({"type": "fcm", "registrationToken": "a b"}),
        &["channel.registrationToken"],
    )
    .await;
    check(json!({"type": "wns"}), &["channel.channelUri"]).await;
    check(
        json!({"type": "wns", "channelUri": "https://10.0.0.1/"}),
        &["channel.channelUri"],
    )
    .await;
    check(
        json!({"type": "webPush"}),
        &["channel.endpoint", "channel.keys"],
    )
    .await;
    let web = json!({
        "type": "webPush", "endpoint": "http://push.example/x", "expirationTime": "never", "vapidPublicKey": "AAAA",
        "keys": {"p256dh": P256DH, "auth": "AAAA"},
    });
    let faults = [
        "channel.endpoint",
        "channel.expirationTime",
        "channel.vapidPublicKey",
        "channel.keys.auth",
    ];
    check(web, &faults).await;
    let strangers = json!({
        "type": "webPush", "endpoint": "https://updates.push.services.mozilla.com/x", "vapidPublicKey": P256DH,
        "keys": {"p256dh": P256DH, "auth": AUTH},
    });
    check(strangers, &["channel.vapidPublicKey"]).await;
    let off_curve = format!("BA{}", "A".repeat(85));
    let web = json!({"type": "webPush", "endpoint": "https://localhost/", "keys": {"p256dh": off_curve, "auth": AUTH}});
    check(web, &["channel.endpoint", "channel.keys.p256dh"]).await;
    unharmed(hub, before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_resource_lies_at_a_known_push_service() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    let before = commits(&hub);
    for bad in [
        "http://updates.push.services.mozilla.com/wpush/v2/x",
        "ftp://updates.push.services.mozilla.com/x",
        "https://10.0.0.1/x",
        "https://192.168.1.1/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://127.0.0.1/x",
        "https://127.0.0.1:1/x",
        "https://2130706433/x",
        "https://0x7f.1/x",
        "https://localhost/x",
        "https://localhost:1/x",
        "https://evil.example/x",
        "https://updates.push.services.mozilla.com.evil.example/x",
        "https://evilpush.services.mozilla.com.x/",
        "https://ada@updates.push.services.mozilla.com/x",
        "https://:p@updates.push.services.mozilla.com/x",
        "https://:@updates.push.services.mozilla.com/x",
        "https:/\n/@updates.push.services.mozilla.com/x",
        "https:\\\\@updates.push.services.mozilla.com/x",
        "https://updates.push.services.mozilla.com./x",
        "https://updates.push.services.mozilla.com/x#f",
        "https://updates.push.services.mozilla.com:8443/x",
        "https://",
        "/x",
        "",
        "updates.push.services.mozilla.com",
        "https://fcm.googleapis.com:444/",
    ] {
        let web =
            json!({"type": "webPush", "endpoint": bad, "keys": {"p256dh": P256DH, "auth": AUTH}});
        let answer = ada.put("/v1/me/endpoints/e", json!({"channel": web})).await;
        assert_refused(bad, &answer, BAD, &["channel.endpoint"]);
        let host = bad.trim_start_matches("https://");
        assert!(
            host.len() < 5 || !answer.json().to_string().contains(host),
            "it echoes a channel: {answer:?}"
        );
        let wns = json!({"type": "wns", "channelUri": bad.replace("updates.push.services.mozilla.com", "db3.notify.windows.com")});
        let answer = ada.put("/v1/me/endpoints/e", json!({"channel": wns})).await;
        assert_refused(bad, &answer, BAD, &["channel.channelUri"]);
    }
    unharmed(hub, before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_push_services_know_passes() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    for (nth, good) in [
        "https://updates.push.services.mozilla.com/wpush/v2/x",
        "https://UPDATES.push.services.mozilla.com:443/x",
        "https://fcm.googleapis.com/fcm/send/x",
        "https://web.push.apple.com/x",
        "https://db3p.notify.windows.com/w/?token=x",
    ]
    .into_iter()
    .enumerate()
    {
        let web = json!({"type": "webPush", "endpoint": good, "keys": {"p256dh": P256DH, "auth": format!("{}==", AUTH.replace('_', "/"))}});
        let answer = ada
            .put(&format!("/v1/me/endpoints/e{nth}"), json!({"channel": web}))
            .await;
        let registered = answer.expect(201);
        assert_eq!(
            registered["channel"],
            json!({"type": "webPush"}),
            "{good}: a channel is never given back"
        );
        assert_eq!(registered["platform"], "webPush", "{good}");
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn platforms_and_channels_agree() {
    let hub = TestHub::with(beckon::clock::Clock::system(), |config| {
        let app = std::sync::Arc::make_mut(&mut config.apps[0]);
        app.fcm = None;
    })
    .await;
    let ada = hub.person("ada", None).await;
    let before = commits(&hub);
    let check = async |body: Value, faults: &[&str]| {
        let answer = ada.put("/v1/me/endpoints/e", body.clone()).await;
        assert_refused(&body.to_string(), &answer, BAD, faults);
    };
    let token = "ab".repeat(32);
    check(json!({"channel": {"type": "none"}}), &["platform"]).await;
    check(
        json!({"platform": "android", "channel": {"type": "apns", "deviceToken": token}}),
        &["platform"],
    )
    .await;
    check(
        json!({"channel": {"type": "fcm", "registrationToken": "x"}}),
        &["channel.type"],
    )
    .await;
    check(json!({}), &["channel"]).await;
    for path in [POST, "/v1/users/ada/notifications?x=1"] {
        let body =
            json!({"payload": {"rawContent": "r"}, "targetPolicy": {"platformTypes": ["symbian"]}});
        assert_refused(
            "symbian",
            &hub.app().post(path, body).await,
            BAD,
            &["targetPolicy.platformTypes[0]"],
        );
    }
    unharmed(hub, before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_name_their_faults() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    let before = commits(&hub);
    let query = async |query: &str, faults: &[&str]| {
        let answer = ada.get(&format!("/v1/me/notifications?{query}")).await;
        assert_refused(query, &answer, BAD, faults);
        let answer = hub.app().get(&format!("{POST}?{query}")).await;
        assert_refused(query, &answer, BAD, faults);
    };
    for top in [
        "0",
        "1001",
        "-1",
        "+5",
        "1.0",
        "x",
        "",
        "99999999999999999999",
    ] {
        query(&format!("$top={}", top.replace('+', "%2B")), &["$top"]).await;
    }
    query("$skiptoken=x", &["$skiptoken"]).await;
    query(
        "readState=seen&userActionState=eaten",
        &["readState", "userActionState"],
    )
    .await;
    unharmed(hub, before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn small_bodies_name_their_faults() {
    let hub = TestHub::start().await;
    let ada = hub.person("ada", None).await;
    let before = commits(&hub);
    let many: Vec<String> = (0..1001).map(|nth| nth.to_string()).collect();
    let post = async |path: &str, body: Value, faults: &[&str]| {
        let answer = ada
            .post(&format!("/v1/me/notifications/{path}"), body.clone())
            .await;
        assert_refused(&format!("{path} {body}"), &answer, BAD, faults);
    };
    let set = json!({"readState": "read"});
    post("state", json!({"ids": many, "set": set}), &["ids"]).await;
    post(
        "state",
        json!({"ids": ["x"], "all": true, "set": set}),
        &["all"],
    )
    .await;
    post(
        "state",
        json!({"all": false, "upTo": 3, "set": {}}),
        &["all", "upTo", "set.readState"],
    )
    .await;
    post("state", json!({}), &["ids", "set"]).await;
    post("receipts", json!({"shown": []}), &["X-Endpoint-Id"]).await;
    let both = ["X-Endpoint-Id", "shown"];
    post("receipts", json!({"shown": [5]}), &both).await;
    post("stream/ticket", json!({"deltaToken": 5}), &["deltaToken"]).await;
    let mint = async |body: Value, faults: &[&str]| {
        let answer = hub.app().post("/v1/users/ada/tokens", body.clone()).await;
        assert_refused(&body.to_string(), &answer, BAD, faults);
    };
    for secs in [
        json!(0),
        json!(-1),
        json!(31_536_001),
        json!(1.5),
        json!("60"),
        json!(true),
        json!(1e300),
    ] {
        mint(json!({"expiresInSeconds": secs}), &["expiresInSeconds"]).await;
    }
    mint(
        json!({"endpointId": 1, "expiresInSeconds": []}),
        &["endpointId", "expiresInSeconds"],
    )
    .await;
    unharmed(hub, before).await;
}
