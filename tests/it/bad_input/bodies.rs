//! Bodies that are too long, too deep, packed, broken, or lied about.

use std::io::Write as _;

use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use hyper::{Method, body::Bytes};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{POST, assert_refused, commits, unharmed};
use crate::support::{
    Answer, Client, TestHub,
    raw::{Then, exchange},
    wait::DEADLINE,
};

const BAD: (u16, &str) = (400, "invalidRequest");
const TOO_LARGE: (u16, &str) = (413, "payloadTooLarge");
const MEDIA: (u16, &str) = (415, "unsupportedMediaType");

async fn send(client: &Client, body: impl Into<Bytes>) -> Answer {
    let client = client.header("content-type", "application/json");
    client.send(Method::POST, POST, body.into()).await
}

/// The head of a post with these further header lines.
fn head(hub: &TestHub, lines: &str) -> String {
    let (addr, key) = (hub.running().addr, &hub.key);
    format!(
        "POST {POST} HTTP/1.1\r\nHost: {addr}\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\n{lines}\r\n\r\n"
    )
}

/// Sends a head and then the same piece without end, until the hub closes, which it must; what it answered.
async fn flood(hub: &TestHub, head: String, piece: &[u8]) -> String {
    let tcp = TcpStream::connect(hub.running().addr).await.unwrap();
    let (mut reader, mut writer) = tcp.into_split();
    let piece = piece.to_vec();
    let writing = tokio::spawn(async move {
        writer.write_all(head.as_bytes()).await.unwrap();
        while writer.write_all(&piece).await.is_ok() {}
    });
    let mut read = Vec::new();
    // A reset after the answer is as good an end as any: the test has the answer by then, or fails below.
    let ended = timeout(DEADLINE, reader.read_to_end(&mut read)).await;
    assert!(
        ended.is_ok(),
        "the hub reads on: {}",
        String::from_utf8_lossy(&read)
    );
    drop(reader);
    timeout(DEADLINE, writing).await.unwrap().unwrap();
    String::from_utf8_lossy(&read).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_100_mb_is_refused_early_and_the_connection_closed() {
    let hub = TestHub::start().await;
    let before = commits(&hub);
    let announced = head(&hub, "Content-Length: 104857600");
    let answer = exchange(hub.running().addr, announced.as_bytes(), Then::Wait).await;
    assert!(
        answer.starts_with("HTTP/1.1 413 "),
        "before a byte of it came: {answer}"
    );
    assert!(
        answer.to_lowercase().contains("connection: close"),
        "{answer}"
    );
    assert!(
        answer.contains("payloadTooLarge") && answer.contains("server.limits.body"),
        "{answer}"
    );
    let zeros = vec![b' '; 64 << 10];
    let answer = flood(&hub, announced, &zeros).await;
    assert!(
        answer.starts_with("HTTP/1.1 413 "),
        "while it comes: {answer}"
    );
    let chunked = head(&hub, "Transfer-Encoding: chunked");
    let mut chunk = b"10000\r\n".to_vec();
    chunk.extend(&zeros);
    chunk.extend(b"\r\n");
    let answer = flood(&hub, chunked.clone(), &chunk).await;
    assert!(
        answer.starts_with("HTTP/1.1 413 "),
        "without saying how long it is: {answer}"
    );
    let unknown = chunked.replace(hub.key.as_str(), "bk_unknown");
    let answer = flood(&hub, unknown, &chunk).await;
    assert!(
        answer.starts_with("HTTP/1.1 401 "),
        "a body that nobody reads: {answer}"
    );
    let key = &hub.key;
    let form = format!("client_secret={key}&x={}", "x".repeat(64 << 10));
    let client = hub
        .client()
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = client
        .send(Method::POST, "/oauth2/v2.0/token", form.into())
        .await;
    assert_eq!(answer.expect(413)["error"], "invalid_request", "{answer:?}");
    unharmed(hub, before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_may_be_as_long_as_the_limit_and_not_a_byte_longer() {
    let hub = TestHub::start().await;
    let app = hub.app();
    let padded = |len: usize| {
        let start = r#"{"payload":{"rawContent":"r"},"x":""#;
        format!("{start}{}\"}}", "x".repeat(len - start.len() - 2))
    };
    send(&app, padded(64 << 10)).await.expect(201);
    let before = commits_at_rest(&hub).await;
    let longer = send(&app, padded((64 << 10) + 1)).await;
    assert_refused("one byte more", &longer, TOO_LARGE, &[]);
    assert_eq!(longer.header("connection"), Some("close"), "{longer:?}");
    unharmed(hub, before).await;
}

async fn commits_at_rest(hub: &TestHub) -> u64 {
    hub.settled().await;
    commits(hub)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_is_not_inflated() {
    let hub = TestHub::start().await;
    let before = commits(&hub);
    let packed = hub.app().header("content-encoding", "gzip");
    // A gzip file may have many members, each here 1 MiB of zeros in 1 KiB.
    let member = gzip(&vec![0; 1 << 20]);
    for members in [1, 10, 60, 1024] {
        let bomb = member.repeat(members);
        let shown = format!("{members} MiB in {} bytes", bomb.len());
        let answer = send(&packed, bomb).await;
        assert_refused(&shown, &answer, TOO_LARGE, &[]);
    }
    let spaces = gzip(&vec![b' '; 10 << 20]);
    assert!(spaces.len() < 11 << 10, "10 KiB: {}", spaces.len());
    assert_refused("spaces", &send(&packed, spaces).await, TOO_LARGE, &[]);
    let packed = hub.app().header("content-encoding", "deflate");
    let answer = send(&packed, deflate(&vec![b' '; 32 << 20])).await;
    assert_refused("deflate", &answer, TOO_LARGE, &[]);
    unharmed(hub, before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gzip_and_deflate_are_read_and_no_other_encoding() {
    let hub = TestHub::start().await;
    let body = json!({"payload": {"rawContent": "r"}}).to_string();
    for (encoding, packed) in [
        ("gzip", gzip(body.as_bytes())),
        ("GZip", gzip(body.as_bytes())),
        ("deflate", deflate(body.as_bytes())),
        ("identity", body.clone().into_bytes()),
    ] {
        let client = hub.app().header("content-encoding", encoding);
        assert_eq!(send(&client, packed).await.status, 201, "{encoding}");
    }
    let before = commits_at_rest(&hub).await;
    for encoding in ["br", "zstd", "compress", "gzip, gzip", "gzip, br", "*", "ü"] {
        let client = hub.app().header("content-encoding", encoding);
        assert_refused(
            encoding,
            &send(&client, gzip(body.as_bytes())).await,
            MEDIA,
            &[],
        );
    }
    for (encoding, sent) in [
        ("gzip", body.as_bytes().to_vec()),
        ("deflate", gzip(body.as_bytes())),
    ] {
        let client = hub.app().header("content-encoding", encoding);
        assert_refused(encoding, &send(&client, sent).await, BAD, &["body"]);
    }
    let whole = gzip(body.as_bytes());
    let client = hub.app().header("content-encoding", "gzip");
    assert_refused(
        "cut",
        &send(&client, whole[..whole.len() - 9].to_vec()).await,
        BAD,
        &["body"],
    );
    unharmed(hub, before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_json_in_utf_8() {
    let hub = TestHub::start().await;
    let before = commits(&hub);
    let body = json!({"payload": {"rawContent": "r"}}).to_string();
    for media in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "",
        "application/jsonx",
        "application/json; charset=latin1",
    ] {
        let client = hub.app().header("content-type", media);
        let answer = client.send(Method::POST, POST, body.clone().into()).await;
        assert_refused(media, &answer, MEDIA, &[]);
    }
    let without = hub
        .app()
        .send(Method::POST, POST, body.clone().into())
        .await;
    assert_refused("no type at all", &without, MEDIA, &[]);
    unharmed(hub, before).await;
}

/// An object with something nested so deep.
fn deep(levels: usize, open: &str, close: &str) -> Vec<u8> {
    let (open, close) = (open.repeat(levels), close.repeat(levels));
    format!(r#"{{"payload":{{"rawContent":"r"}},"x":{open}1{close}}}"#).into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_object_is_refused() {
    let hub = TestHub::start().await;
    let before = commits(&hub);
    let utf_16 = "{\"a\":1}".encode_utf16().flat_map(u16::to_le_bytes);
    let mut bodies = vec![
        deep(10_000, "[", "]"),
        deep(10_000, "{\"x\":", "}"),
        deep(64, "[", "]"),
        b"[".repeat(10_000),
        utf_16.collect(),
        b"{\"payload\":{\"rawContent\":\"\xff\"}}".to_vec(),
        b"{\"payload\":{\"rawContent\":\"\xc3\"}}".to_vec(),
        b"{\"payload\":{\"rawContent\":\"a\0b\"}}".to_vec(),
        b"\0{\"payload\":{\"rawContent\":\"ab\"}}\0".to_vec(),
    ];
    let half_a_pair = r#"{"payload":{"rawContent":"\ud83d"}}"#;
    let two = r#"{"payload":{"rawContent":"a"}}{"payload":{"rawContent":"b"}}"#;
    let array = r#"[{"payload":{"rawContent":"r"}}]"#;
    for text in [
        half_a_pair,
        two,
        array,
        "[]",
        "null",
        "1",
        "\"x\"",
        "{",
        "{'a':1}",
        "NaN",
    ] {
        bodies.push(text.as_bytes().to_vec());
    }
    for body in bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        for path in [POST, "/v1/users/ada/tokens"] {
            let client = hub.app().header("content-type", "application/json");
            let answer = client.send(Method::POST, path, body.clone().into()).await;
            assert_refused(&format!("{path} {shown}"), &answer, BAD, &["body"]);
        }
    }
    let empty = hub.app().send(Method::POST, POST, Bytes::new()).await;
    assert_refused("no body", &empty, BAD, &["body"]);
    unharmed(hub, before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nul_in_a_text_is_kept() {
    let hub = TestHub::start().await;
    let body = r#"{"appNotificationId":"a\u0000b","groupName":"\u0000","payload":{"rawContent":"\u0000","visualContent":{"title":"a\u0000b"}}}"#;
    let posted = send(&hub.app(), body).await.expect(201);
    let path = format!("{POST}/{}", posted["id"].as_str().unwrap());
    let kept = hub.app().get(&path).await.expect(200);
    assert_eq!(
        kept["payload"],
        json!({"rawContent": "\0", "visualContent": {"title": "a\0b"}}),
        "{kept}"
    );
    assert_eq!(kept["appNotificationId"], "a\0b", "{kept}");
    assert_eq!(send(&hub.app(), body).await.expect(200)["id"], posted["id"]);
    let group = hub
        .app()
        .get(&format!("{POST}?groupName=%00"))
        .await
        .expect(200);
    assert_eq!(group["value"][0]["id"], posted["id"], "{group}");
    hub.finish().await;
}

/// The answers that came on one connection, each of which must refuse.
fn in_pieces(answer: &str) -> Vec<&str> {
    let starts: Vec<usize> = answer.match_indices("HTTP/1.1 ").map(|it| it.0).collect();
    let ends = starts.iter().skip(1).copied().chain([answer.len()]);
    let pieces: Vec<&str> = starts
        .iter()
        .zip(ends)
        .map(|it| &answer[*it.0..it.1])
        .collect();
    assert!(
        pieces.iter().all(|it| it.starts_with("HTTP/1.1 400 ")),
        "{answer}"
    );
    pieces
}

/// What is no HTTP does not reach our handlers: one answer of the server below them, without a body.
fn assert_bare(what: &str, answer: &str) {
    assert_eq!(in_pieces(answer).len(), 1, "{what}: {answer}");
    assert!(
        answer.contains("\r\ncontent-length: 0\r\n"),
        "{what}: {answer}"
    );
    assert!(answer.ends_with("\r\n\r\n"), "{what}: {answer}");
}

/// Whatever is said, the connection is closed: `exchange` waits for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_lying_content_length_does_nothing() {
    let hub = TestHub::start().await;
    let (addr, before) = (hub.running().addr, commits(&hub));
    let body = r#"{"payload":{"rawContent":"r"}}"#;
    let length = |len: usize| format!("Content-Length: {len}");
    let lying = |lines: &str| format!("{}{body}", head(&hub, lines));
    let chunks = head(&hub, "Transfer-Encoding: chunked");
    let broken_chunk = format!("{chunks}zz\r\n{body}\r\n0\r\n\r\n");
    for (what, sent, then) in [
        ("too long", lying(&length(body.len() + 10)), Then::Shut),
        ("a broken chunk", broken_chunk, Then::Wait),
    ] {
        let answer = exchange(addr, sent.as_bytes(), then).await;
        let answers = in_pieces(&answer);
        assert_eq!(answers.len(), 1, "{what}: {answer}");
        assert!(answer.contains("invalidRequest"), "{what}: {answer}");
        assert!(answer.contains("body broke off"), "{what}: {answer}");
    }
    // The rest of a body that was announced too short would be a second request, and is none.
    let too_short = lying(&length(body.len() - 5));
    let answer = exchange(addr, too_short.as_bytes(), Then::Wait).await;
    let [first, rest] = in_pieces(&answer)[..] else {
        panic!("{answer}");
    };
    assert!(first.contains("body is not JSON"), "{answer}");
    assert_bare("the rest", rest);
    for lines in [
        "Content-Length: 30\r\nContent-Length: 5",
        "Content-Length: -1",
        "Content-Length: +30",
        "Content-Length: 0x1e",
        "Content-Length: 99999999999999999999999",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked, identity",
    ] {
        let answer = exchange(addr, lying(lines).as_bytes(), Then::Wait).await;
        assert_bare(lines, &answer);
        assert!(answer.contains("connection: close"), "{lines}: {answer}");
    }
    let longest = lying("Content-Length: 18446744073709551615");
    let answer = exchange(addr, longest.as_bytes(), Then::Wait).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("payloadTooLarge"), "{answer}");
    unharmed(hub, before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_leaves_a_post_whole_or_none() {
    let hub = TestHub::start().await;
    let body = r#"{"payload":{"rawContent":"r"}}"#;
    let post = format!(
        "{}{body}",
        head(&hub, &format!("Content-Length: {}", body.len()))
    );
    let mut answered = 0;
    for _ in 0..20 {
        let answer = exchange(hub.running().addr, post.as_bytes(), Then::Shut).await;
        answered += usize::from(answer.starts_with("HTTP/1.1 201 "));
    }
    hub.settled().await;
    let history = hub.app().get(POST).await.expect(200);
    let stored = history["value"].as_array().unwrap();
    assert!(
        (answered..=20).contains(&stored.len()),
        "{answered} answered, {} stored",
        stored.len()
    );
    assert_eq!(history["unreadCount"], stored.len(), "{history}");
    hub.finish().await;
}
