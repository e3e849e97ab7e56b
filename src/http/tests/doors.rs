//! Who may come in, and what refusals look like.

use serde_json::json;

use super::support::{Door, SAMPLE};
use crate::config::Limits;

#[tokio::test(flavor = "multi_thread")]
async fn each_credential_opens_its_own_door() {
    let door = Door::open().await;
    let token = door.token("ada", None).await;
    for line in [
        "GET /v1/me/notifications",
        "GET /v1/me/endpoints",
        "GET /v1/me/notifications/stream",
    ] {
        door.get(line, &door.key).await.expect(403, "accessDenied");
        let reply = door
            .get(line, "bu_invented")
            .await
            .expect(401, "unauthenticated");
        assert_eq!(reply.header("WWW-Authenticate"), Some("Bearer"));
        door.get(line, "").await.expect(401, "unauthenticated");
    }
    for line in [
        "GET /v1/users/ada/notifications",
        "GET /v1/users/ada/endpoints",
    ] {
        door.get(line, &token).await.expect(403, "accessDenied");
        door.get(line, "bk_invented_key")
            .await
            .expect(401, "unauthenticated");
        door.get(line, &door.key).await.expect(200, "");
    }
    door.get("GET /v1/users/ada/notifications", &door.users_key)
        .await
        .expect(403, "accessDenied");
    door.get("GET /v1/users/ada/endpoints", &door.send_key)
        .await
        .expect(403, "accessDenied");
    door.get("GET /v1/users/ada/endpoints", &door.users_key)
        .await
        .expect(200, "");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn user_ids_are_read_from_the_raw_path() {
    let door = Door::open().await;
    for good in ["a%2Fb", "a%252Fb", "a+b", "a%20b", "%C3%BC", "..."] {
        let id = door.post(good, "r").await;
        let line = format!("GET /v1/users/{good}/notifications/{id}");
        door.get(&line, &door.key).await.expect(200, "");
        // Another spelling is another person.
        let line = format!("GET /v1/users/{good}x/notifications/{id}");
        door.get(&line, &door.key).await.expect(404, "itemNotFound");
    }
    for bad in ["%FF", "%00", "%zz", "%2e%2E", "%0A", &"x".repeat(257)] {
        let line = format!("GET /v1/users/{bad}/notifications");
        door.get(&line, &door.key)
            .await
            .expect(400, "invalidRequest");
    }
    let location = door.json(
        "POST /v1/users/a%2Fb/notifications",
        &door.key,
        json!({"payload":{"rawContent":"r"}}),
    );
    let location = location
        .await
        .expect(201, "")
        .header("Location")
        .unwrap()
        .to_owned();
    assert!(
        location.starts_with("http://hub.test/v1/users/a%2Fb/notifications/"),
        "{location}"
    );
    door.get("GET /v1/users/ada/notifications/odd", &door.key)
        .await
        .expect(404, "itemNotFound");
    door.get("DELETE /v1/users/ada/endpoints/a%20b", &door.key)
        .await
        .expect(404, "itemNotFound");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_methods() {
    let door = Door::open().await;
    for path in [
        "/",
        "/v1",
        "/v1/users/ada/notifications/",
        "/v2/me",
        "/v1/users//notifications",
    ] {
        door.get(&format!("GET {path}"), &door.key)
            .await
            .expect(404, "itemNotFound");
    }
    let reply = door.get("PUT /v1/users/ada/notifications", &door.key).await;
    let reply = reply.expect(405, "methodNotAllowed");
    assert_eq!(reply.header("Allow"), Some("GET, POST"));
    // Words win over ids.
    door.get("PATCH /v1/me/notifications/delta", "")
        .await
        .expect(405, "methodNotAllowed");
    door.get("GET /healthz", "").await.expect(200, "");
    door.get("HEAD /healthz", "").await.expect(200, "");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_carries_its_ids() {
    let door = Door::open().await;
    let reply = door
        .call("GET /healthz", "", "client-request-id: mine 1\r\n", b"")
        .await;
    assert_eq!(reply.header("client-request-id"), Some("mine 1"));
    assert_eq!(reply.header("request-id").map(str::len), Some(36));
    assert_eq!(reply.header("X-Content-Type-Options"), Some("nosniff"));
    let long = format!("client-request-id: {}\r\n", "x".repeat(1025));
    let reply = door
        .call("GET /nothing", "", &long, b"")
        .await
        .expect(404, "itemNotFound");
    assert_eq!(reply.header("client-request-id"), None);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_closed_only_probes_are_answered() {
    let door = Door::open().await;
    assert_eq!(
        door.get("GET /readyz", "").await.json(),
        json!({"status": "ready"})
    );
    door.ready.degrade(true);
    assert_eq!(
        door.get("GET /readyz", "").await.json(),
        json!({"status": "degraded"})
    );
    door.ready.close();
    let reply = door.get("GET /v1/users/ada/notifications", &door.key).await;
    let reply = reply.expect(503, "serviceUnavailable");
    assert!(reply.header("Retry-After").is_some(), "{reply:?}");
    door.get("GET /readyz", "")
        .await
        .expect(503, "serviceUnavailable");
    door.get("GET /healthz", "").await.expect(200, "");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_name_templates_only() {
    let door = Door::open().await;
    door.post("ada-lovelace", "r").await;
    let text = door.get("GET /metrics", "").await.expect(200, "").text;
    let line = "beckon_http_requests_total{route=\"/v1/users/{user}/notifications\",method=\"POST\",status=\"201\"} 1";
    assert!(text.contains(line), "{text}");
    assert!(
        text.contains("beckon_notifications_created_total 1"),
        "{text}"
    );
    assert!(!text.contains("ada-lovelace"), "{text}");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_of_the_callers_app_read_answers() {
    let door = Door::open().await;
    let token = door.token("ada", None).await;
    let origin = |name: &str| format!("Origin: https://{name}.example\r\n");
    let preflight = format!("{}Access-Control-Request-Method: GET\r\n", origin("other"));
    let reply = door
        .call("OPTIONS /v1/me/notifications", "", &preflight, b"")
        .await
        .expect(204, "");
    assert_eq!(
        reply.header("Access-Control-Allow-Origin"),
        Some("https://other.example")
    );
    let preflight = format!(
        "{}Access-Control-Request-Method: GET\r\n",
        origin("foreign")
    );
    let reply = door
        .call("OPTIONS /v1/me/notifications", "", &preflight, b"")
        .await
        .expect(403, "accessDenied");
    assert_eq!(reply.header("Access-Control-Allow-Origin"), None);
    let reply = door
        .call("GET /v1/me/notifications", &token, &origin("sample"), b"")
        .await
        .expect(200, "");
    assert_eq!(
        reply.header("Access-Control-Allow-Origin"),
        Some("https://sample.example")
    );
    let reply = door
        .call("GET /v1/me/notifications", &token, &origin("other"), b"")
        .await
        .expect(200, "");
    assert_eq!(reply.header("Access-Control-Allow-Origin"), None);
    let line = format!("GET /v1/apps/{SAMPLE}/webpush");
    let reply = door
        .call(&line, "", &origin("sample"), b"")
        .await
        .expect(200, "");
    assert_eq!(reply.json(), json!({"publicKey": "V".repeat(87)}));
    assert_eq!(
        reply.header("Access-Control-Allow-Origin"),
        Some("https://sample.example")
    );
    door.get("GET /v1/apps/unknown.example/webpush", "")
        .await
        .expect(404, "itemNotFound");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_what_is_stored_or_open() {
    let limits = Limits {
        notifications_per_user: 1,
        streams_per_user: 1,
        ..Limits::default()
    };
    let door = Door::open_with(limits).await;
    door.post("ada", "1").await;
    let body = json!({"payload": {"rawContent": "2"}});
    let reply = door
        .json("POST /v1/users/ada/notifications", &door.key, body)
        .await;
    let reply = reply.expect(429, "limitReached");
    assert_eq!(reply.header("Retry-After"), None);
    assert!(
        reply.text.contains("server.limits.notifications_per_user"),
        "{reply:?}"
    );
    let token = door.token("ada", None).await;
    let more = format!("Authorization: Bearer {token}\r\n");
    let stream = door.stream("/v1/me/notifications/stream", &more).await;
    door.get("GET /v1/me/notifications/stream", &token)
        .await
        .expect(429, "limitReached");
    drop(stream);
    door.close().await;
}

#[tokio::test]
async fn while_the_wall_is_behind_the_store_knows_the_time_of_each_answer() {
    let door = Door::open().await;
    let last_time = || door.hub.store().reader().last_time().unwrap();
    let began = door.hub.now();
    door.get("GET /v1/users/ada/notifications", &door.key).await;
    assert!(last_time() < Some(began), "nobody asked for it");
    let back = began.minus(std::time::Duration::from_secs(400));
    door.clock.set_wall(back);
    for _ in 0..3 {
        door.clock.advance(std::time::Duration::from_secs(10));
        let answered_at = door.hub.now();
        assert!(answered_at > began, "it goes on");
        door.get("GET /v1/users/ada/notifications", &door.key).await;
        assert!(last_time() >= Some(answered_at));
    }
    door.get("GET /healthz", "").await.expect(200, "");
}
