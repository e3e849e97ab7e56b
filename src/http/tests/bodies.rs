//! Bodies that are too long, too deep, or of the wrong kind.

use std::io::Write as _;

use serde_json::json;

use super::support::Door;

const POST: &str = "POST /v1/users/ada/notifications";
const JSON: &str = "Content-Type: application/json\r\n";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn encodings() {
    let door = Door::open().await;
    let body = br#"{"payload":{"rawContent":"r"}}"#;
    let send = |encoding: &str, bytes: Vec<u8>| {
        let more = format!("{JSON}Content-Encoding: {encoding}\r\n");
        let door = &door;
        async move { door.call(POST, &door.key, &more, &bytes).await }
    };
    send("gzip", gzip(body)).await.expect(201, "");
    send("DEFLATE", zlib(body)).await.expect(201, "");
    send("identity", body.to_vec()).await.expect(201, "");
    send("gzip", body.to_vec())
        .await
        .expect(400, "invalidRequest");
    send("br", body.to_vec())
        .await
        .expect(415, "unsupportedMediaType");
    send("gzip, gzip", gzip(&gzip(body)))
        .await
        .expect(415, "unsupportedMediaType");
    // Where there need be no body, none that is packed is none.
    let more = "Content-Encoding: gzip\r\n";
    door.call("POST /v1/users/ada/tokens", &door.key, more, b"")
        .await
        .expect(201, "");
    let bomb = gzip(&vec![b' '; 10 << 20]);
    let reply = send("gzip", bomb).await.expect(413, "payloadTooLarge");
    assert!(reply.text.contains("server.limits.body"), "{reply:?}");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn media_types() {
    let door = Door::open().await;
    let body = br#"{"payload":{"rawContent":"r"}}"#;
    for (more, status) in [
        ("Content-Type: application/json\r\n", 201),
        ("Content-Type: Application/JSON; charset=UTF-8\r\n", 201),
        ("Content-Type: application/json; charset=latin1\r\n", 415),
        ("Content-Type: text/plain\r\n", 415),
        ("", 415),
    ] {
        door.call(POST, &door.key, more, body)
            .await
            .expect(status, "");
    }
    door.call(POST, &door.key, JSON, b"")
        .await
        .expect(400, "invalidRequest");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_and_depths() {
    let door = Door::open().await;
    let send = |bytes: Vec<u8>| {
        let door = &door;
        async move { door.call(POST, &door.key, JSON, &bytes).await }
    };
    let deep = format!("{{\"a\":{}", "[".repeat(10_000));
    let reply = send(deep.into_bytes()).await.expect(400, "invalidRequest");
    assert!(reply.text.contains("server.limits.nesting"), "{reply:?}");
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(64 << 10));
    let reply = send(long.into_bytes()).await.expect(413, "payloadTooLarge");
    assert_eq!(reply.header("Connection"), Some("close"));
    let chunked = format!("{JSON}Transfer-Encoding: chunked\r\n");
    let chunk = format!("11000\r\n{}\r\n0\r\n\r\n", "x".repeat(0x11000));
    let head = format!(
        "{POST} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\n{chunked}",
        door.key
    );
    door.raw(&head, chunk.as_bytes())
        .await
        .expect(413, "payloadTooLarge");
    send(b"{\"payload\":{\"rawContent\":\"\xff\"}}".to_vec())
        .await
        .expect(400, "invalidRequest");
    send(b"[]".to_vec()).await.expect(400, "invalidRequest");
    send(b"{\"payload\":{\"rawContent\":\"\\ud800\"}}".to_vec())
        .await
        .expect(400, "invalidRequest");
    let kept = send(b"{\"payload\":{\"rawContent\":\"a\\u0000b\"}}".to_vec())
        .await
        .expect(201, "");
    assert_eq!(kept.json()["payload"]["rawContent"], "a\0b");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_faults_at_once() {
    let door = Door::open().await;
    let body = json!({"payload": {"visualContent": {"body": 5}}, "priority": "now", "displayTimeToLive": 0});
    let reply = door
        .json(POST, &door.key, body)
        .await
        .expect(400, "invalidRequest");
    let expected = [
        "payload.visualContent.title",
        "payload.visualContent.body",
        "displayTimeToLive",
        "priority",
    ];
    assert_eq!(reply.targets(), expected, "{reply:?}");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_may_be_retried() {
    let door = Door::open().await;
    let send = |key: &str, content: &str| {
        let more = format!("{JSON}Idempotency-Key: {key}\r\n");
        let body = json!({"payload": {"rawContent": content}}).to_string();
        let door = &door;
        async move { door.call(POST, &door.key, &more, body.as_bytes()).await }
    };
    let first = send("k1", "a").await.expect(201, "");
    let again = send("k1", "a").await.expect(201, "");
    assert_eq!(first.json(), again.json());
    send("k1", "b").await.expect(409, "conflict");
    send(&"k".repeat(256), "a")
        .await
        .expect(400, "invalidRequest");
    door.close().await;
}
