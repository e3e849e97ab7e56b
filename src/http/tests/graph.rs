//! The retired service's call, and the tokens that its callers get.

use std::time::Duration;

use serde_json::json;

use super::support::{Door, OTHER, Reply, SAMPLE};

const JSON: &str = "Content-Type: application/json\r\n";

async fn ask(door: &Door, path: &str, body: String) -> Reply {
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    door.call(&format!("POST {path}"), "", form, body.as_bytes())
        .await
}

fn whole(grant: &str, id: &str, secret: &str) -> String {
    format!("grant_type={grant}&client_id={id}&client_secret={secret}&scope=x")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_retired_services_sample_is_accepted() {
    let door = Door::open().await;
    let token = door.token("o'neil", None).await;
    let endpoint = door.register(&token, "phone").await;
    let unsid = endpoint["userNotificationSubscriptionId"].as_str().unwrap();
    // Byte for byte, but for the expiry.
    let body = r#"{
    "targetHostName": "graphnotifications.sample.windows.com",
    "appNotificationId": "testDirectToastNotification",
    "expirationDateTime": "2026-11-30T23:59:00.000Z",
    "payload": { "visualContent": { "title": "Hello World!", "body": "Notifications are Great!" } },
    "targetPolicy": { "platformTypes": [ "windows", "ios", "android" ] },
    "priority": "High",
    "groupName": "TestGroup",
    "displayTimeToLive": "60"
}
"#;
    let headers = format!("X-UNS-ID: {unsid}\r\nContent-type: application/json\r\n");
    let post = |more: &str| {
        let headers = format!("{headers}{more}");
        let door = &door;
        async move {
            door.call(
                "POST /beta/me/notifications/",
                &door.key,
                &headers,
                body.as_bytes(),
            )
            .await
        }
    };
    let reply = post("").await.expect(201, "");
    let answer = reply.json();
    let id = answer["id"].as_str().unwrap();
    let expected = json!({
        "@odata.context": "http://hub.test/beta/$metadata#users('o%27%27neil')/notifications/$entity",
        "displayTimeToLive": 60,
        "expirationDateTime": "2026-11-30T23:59:00.000Z",
        "groupName": "TestGroup",
        "id": id,
        "priority": "High",
        "payload": { "visualContent": { "title": "Hello World!", "body": "Notifications are Great!" } },
    });
    assert_eq!(answer, expected);
    let location = format!("http://hub.test/beta/me/activities/{id}");
    assert_eq!(reply.header("Location"), Some(&*location));
    assert_eq!(reply.header("OData-Version"), Some("4.0"));
    post("").await.expect(200, "");
    post("If-Range: x\r\n").await.expect(400, "invalidRequest");
    post("If-Modified-Since: x\r\n")
        .await
        .expect(400, "invalidRequest");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_graph_call_holds_apps_apart() {
    let door = Door::open().await;
    let token = door.token("ada", None).await;
    let endpoint = door.register(&token, "phone").await;
    let unsid = endpoint["userNotificationSubscriptionId"].as_str().unwrap();
    let raw = br#"{"payload":{"rawContent":"r"}}"#;
    let call = |credential: String, more: String, body: &'static [u8]| {
        let door = &door;
        async move {
            let more = format!("{JSON}{more}");
            door.call("POST /beta/me/notifications", &credential, &more, body)
                .await
        }
    };
    let good = format!("X-UNS-ID: {unsid}\r\n");
    let reply = call(door.key.clone(), good.clone(), raw)
        .await
        .expect(201, "");
    assert_eq!(reply.json()["payload"], json!({}));
    assert_eq!(reply.json()["groupName"], json!(null));
    call(door.key.clone(), String::new(), raw)
        .await
        .expect(400, "invalidRequest");
    call(door.other_key.clone(), good.clone(), raw)
        .await
        .expect(403, "accessDenied");
    let odd = String::from("X-UNS-ID: odd\r\n");
    call(door.key.clone(), odd, raw)
        .await
        .expect(403, "accessDenied");
    call(door.key.clone(), good.clone(), b"[]")
        .await
        .expect(400, "invalidRequest");
    call(token, good.clone(), raw)
        .await
        .expect(403, "accessDenied");
    let elsewhere = br#"{"targetHostName":"other.example","payload":{"rawContent":"r"}}"#;
    call(door.key.clone(), good, elsewhere)
        .await
        .expect(403, "accessDenied");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_speaks_its_own_words() {
    let door = Door::open().await;
    for path in ["/oauth2/v2.0/token", "/my-tenant/oauth2/v2.0/token"] {
        let reply = ask(&door, path, whole("client_credentials", SAMPLE, &door.key))
            .await
            .expect(200, "");
        assert_eq!(reply.json()["token_type"], "Bearer");
        assert_eq!(reply.json()["expires_in"], 3599);
        let token = reply.json()["access_token"].as_str().unwrap().to_owned();
        door.get("GET /v1/users/ada/notifications", &token)
            .await
            .expect(200, "");
        door.clock.advance(Duration::from_secs(3600));
        door.get("GET /v1/users/ada/notifications", &token)
            .await
            .expect(401, "unauthenticated");
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_refuses_in_its_own_words() {
    let door = Door::open().await;
    let path = "/oauth2/v2.0/token";
    for (body, status, code) in [
        (
            whole("client_credentials", OTHER, &door.key),
            401,
            "invalid_client",
        ),
        (
            whole("client_credentials", SAMPLE, "bk_x_y"),
            401,
            "invalid_client",
        ),
        (
            whole("password", SAMPLE, &door.key),
            400,
            "unsupported_grant_type",
        ),
        (String::from("client_id=a"), 400, "invalid_request"),
        (
            String::from("grant_type=client_credentials&client_id=a"),
            400,
            "invalid_request",
        ),
        (
            String::from("grant_type=client_credentials&client_id=a&client_id=b&client_secret=c"),
            400,
            "invalid_request",
        ),
    ] {
        let reply = ask(&door, path, body).await;
        assert_eq!(
            (reply.status, reply.json()["error"].as_str()),
            (status, Some(code)),
            "{reply:?}"
        );
    }
    door.close().await;
}
