use std::{
    net::IpAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use futures_util::future::join_all;
use hyper::Version;

use super::{
    resolve::LookUps,
    testing::{Server, reply},
    *,
};
use crate::config::apps::HostRule;

fn trusted(protocol: Protocol, first_alone: bool, ca: &[u8]) -> Client {
    let settings = Settings {
        protocol,
        reach: Reach::Trusted,
        resolver: Resolver::System,
        first_alone,
    };
    Client::new(settings, Some(ca)).unwrap()
}

fn post(url: Url) -> Request {
    Request::post(url, Bytes::from_static(b"body")).header("x-test", "1")
}

/// More at once than the server takes streams (200): the rest waits its turn.
#[tokio::test]
async fn one_http2_connection_carries_all() {
    let server = Server::start(&["h2", "http/1.1"], |_| reply(200, "ok")).await;
    let client = trusted(Protocol::Either, false, &server.ca);
    let posts: Vec<Request> = (0..500)
        .map(|n| post(server.at(&format!("n/{n}?q"))))
        .collect();
    for answer in join_all(posts.iter().map(|request| client.send(request))).await {
        assert_eq!(answer.unwrap().body, "ok");
    }
    assert_eq!(server.connections(), 1);
    let seen = &server.seen()[0];
    assert_eq!(seen.version, Version::HTTP_2);
    assert_eq!(
        (seen.header("content-length"), &seen.body[..]),
        (Some("4"), &b"body"[..])
    );
    assert!(
        seen.target.starts_with("https://127.0.0.1:"),
        "{}",
        seen.target
    );
}

#[tokio::test]
async fn http1_connections_are_bounded_and_used_again() {
    let server = Server::start(&["http/1.1"], |_| reply(200, "ok")).await;
    let client = trusted(Protocol::Either, false, &server.ca);
    let posts: Vec<Request> = (0..100).map(|_| post(server.at("a?b=c"))).collect();
    for answer in join_all(posts.iter().map(|request| client.send(request))).await {
        answer.unwrap();
    }
    assert!(server.connections() <= 16, "{}", server.connections());
    let before = server.connections();
    client.send(&posts[0]).await.unwrap();
    assert_eq!(server.connections(), before);
    let seen = &server.seen()[0];
    assert_eq!((seen.version, &*seen.target), (Version::HTTP_11, "/a?b=c"));
    assert_eq!(seen.header("content-length"), Some("4"));
    assert_eq!(seen.header("transfer-encoding"), None);
    let host = format!("127.0.0.1:{}", server.url.port().unwrap());
    assert_eq!(seen.header("host"), Some(&*host));
}

#[tokio::test]
async fn redirects_are_answers() {
    let server = Server::start(&["h2"], |_| {
        reply(301, "").header("location", "https://127.0.0.1/elsewhere")
    })
    .await;
    let client = trusted(Protocol::Either, false, &server.ca);
    assert_eq!(
        client.send(&post(server.at("a"))).await.unwrap().status,
        301
    );
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn no_more_of_an_answer_is_read_than_asked_for() {
    for alpn in ["h2", "http/1.1"] {
        let server = Server::start(&[alpn], |_| reply(200, vec![b'x'; 1 << 20])).await;
        let client = trusted(Protocol::Either, false, &server.ca);
        let short = client.send(&post(server.at("a"))).await.unwrap();
        assert_eq!(short.body.len(), MAX_ANSWER_BYTES, "{alpn}");
        let long = client
            .send(&post(server.at("a")).max_answer(10_000))
            .await
            .unwrap();
        assert_eq!(long.body.len(), 10_000, "{alpn}");
    }
}

#[tokio::test]
async fn http2_alone_means_alone() {
    let server = Server::start(&["http/1.1"], |_| reply(200, "")).await;
    let client = trusted(Protocol::Http2, false, &server.ca);
    let failure = client.send(&post(server.at("a"))).await.unwrap_err();
    assert!(matches!(failure, Failure::NoWay(_)), "{failure}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn strangers_are_not_trusted() {
    let server = Server::start(&["h2"], |_| reply(200, "")).await;
    let settings = Settings {
        protocol: Protocol::Either,
        reach: Reach::Trusted,
        resolver: Resolver::System,
        first_alone: false,
    };
    let client = Client::new(settings, None).unwrap();
    let failure = client.send(&post(server.at("a"))).await.unwrap_err();
    assert!(failure.to_string().contains("TLS"), "{failure}");
    let mut plain = server.at("a");
    plain.set_scheme("http").unwrap();
    let failure = client.send(&post(plain)).await.unwrap_err();
    assert!(matches!(failure, Failure::Forbidden(_)), "{failure}");
}

/// APNs allows one stream until it has seen a valid token: here the first two are refused, those that waited for them
/// have not left, and only after the third answer is there more than one at a time.
#[tokio::test]
async fn the_first_request_goes_alone_until_one_was_taken() {
    let server = Server::start(&["h2"], |seen| {
        reply(if seen.nth < 2 { 403 } else { 200 }, "")
    })
    .await;
    let client = trusted(Protocol::Http2, true, &server.ca);
    let posts: Vec<Request> = (0..20).map(|_| post(server.at("a"))).collect();
    for expected in [1, 1, 20] {
        let answers = join_all(posts.iter().map(|request| client.send(request))).await;
        let (answered, held): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!(answered.len(), expected);
        let all_held = held
            .iter()
            .all(|it| it.as_ref().err() == Some(&Failure::Held));
        assert!(all_held, "{held:?}");
    }
    assert_eq!(server.connections(), 1);
    let under_way: Vec<usize> = server.seen().iter().map(|seen| seen.under_way).collect();
    assert_eq!(under_way[..3], [1, 1, 1], "{under_way:?}");
    assert!(under_way[3..].iter().any(|n| *n > 1), "{under_way:?}");
}

#[tokio::test]
async fn a_retired_connection_is_replaced_once() {
    let server = Server::start(&["h2"], |_| reply(200, "")).await;
    let client = trusted(Protocol::Http2, false, &server.ca);
    let first = client.send(&post(server.at("a"))).await.unwrap();
    client.retire(&server.url, first.connection);
    let second = client.send(&post(server.at("a"))).await.unwrap();
    assert_ne!(first.connection, second.connection);
    client.retire(&server.url, first.connection);
    let third = client.send(&post(server.at("a"))).await.unwrap();
    assert_eq!(second.connection, third.connection);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn after_a_failure_nobody_dials_for_a_while() {
    let server = Server::start(&["h2"], |_| reply(200, "")).await;
    let closed = server.at("a");
    let client = trusted(Protocol::Http2, false, &server.ca);
    drop(server);
    let request = post(closed);
    let mut failures = Vec::new();
    // The wait grows 1 s, 2 s: the first is sat out, the second is not.
    while failures.len() < 4 {
        failures.push(client.send(&request).await.unwrap_err().to_string());
    }
    assert!(
        failures[3].contains("refused") && failures[3].contains("; the next is opened in"),
        "{failures:?}"
    );
}

fn dialer(resolver: Resolver, rules: &[&str]) -> Dialer {
    let rules: Vec<HostRule> = rules
        .iter()
        .map(|rule| HostRule::parse(rule).unwrap())
        .collect();
    Dialer {
        tls: TlsConnector::from(tls::config(Protocol::Either, None, None).unwrap()),
        look_ups: LookUps::new(resolver),
        reach: Reach::Checked(Policy::new(&[], &rules)),
        http2_only: false,
    }
}

/// DNS rebinding: what a name leads to is looked at for every connection.
#[tokio::test]
async fn a_name_that_moves_inside_is_refused() {
    let asked = AtomicUsize::new(0);
    let moving = Resolver::Function(Arc::new(move |_| {
        let inside = asked.fetch_add(1, Ordering::SeqCst) > 0;
        let address = if inside { "127.0.0.1" } else { "9.9.9.9" };
        vec![address.parse().unwrap()]
    }));
    let dialer = dialer(moving, &["*.example.net"]);
    let public: IpAddr = "9.9.9.9".parse().unwrap();
    assert_eq!(
        dialer.addresses("a.example.net", 443).await,
        Ok(vec![public])
    );
    assert_eq!(
        dialer.addresses("a.example.net", 443).await,
        Err(Failure::Address)
    );
}

#[tokio::test]
async fn one_private_address_condemns_all() {
    let both = Resolver::Function(Arc::new(|_| {
        ["9.9.9.9", "10.0.0.1"]
            .map(|ip| ip.parse().unwrap())
            .to_vec()
    }));
    let dialer = dialer(both, &["*.example.net", "exact.example.org"]);
    assert_eq!(
        dialer.addresses("a.example.net", 443).await,
        Err(Failure::Address)
    );
    assert_eq!(
        dialer
            .addresses("exact.example.org", 443)
            .await
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn urls_from_outside_pass_the_policy_first() {
    let server = Server::start(&["h2"], |_| reply(201, "")).await;
    let client = |rule: String| {
        let rules = [HostRule::parse(&rule).unwrap()];
        let settings = Settings {
            protocol: Protocol::Either,
            reach: Reach::Checked(Policy::new(&["fcm.googleapis.com"], &rules)),
            resolver: Resolver::System,
            first_alone: false,
        };
        Client::new(settings, Some(&server.ca)).unwrap()
    };
    let port = server.url.port().unwrap();
    let listed = client(format!("127.0.0.1:{port}"));
    assert_eq!(
        listed.send(&post(server.at("a"))).await.unwrap().status,
        201
    );
    let unlisted = client(String::from("127.0.0.1:1"));
    let failure = unlisted.send(&post(server.at("a"))).await.unwrap_err();
    assert!(matches!(failure, Failure::Forbidden(_)), "{failure}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn headers_that_http_cannot_carry_are_faults() {
    let client = trusted(
        Protocol::Either,
        false,
        &Server::start(&["h2"], |_| reply(200, "")).await.ca,
    );
    let request = post(Url::parse("https://127.0.0.1:1/").unwrap()).header("apns-topic", "a\r\nb");
    let failure = client.send(&request).await.unwrap_err();
    assert!(failure.to_string().contains("apns-topic"), "{failure}");
}

/// What a server does with a stream instead of answering it.
#[derive(Clone, Copy)]
enum Refusal {
    /// `RST_STREAM(REFUSED_STREAM)`.
    Refuse,
    /// `RST_STREAM(INTERNAL_ERROR)`.
    Break,
    /// `GOAWAY` that counts the stream out, then the end of the connection.
    Leave,
}

/// A server that treats its first stream so and answers all later ones; gives how many streams it saw.
async fn refusing(refusal: Refusal) -> (Url, Vec<u8>, Arc<AtomicUsize>) {
    let (tls, ca) = testing::identity(&["h2"]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let streams = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&streams);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (tls, counter) = (tls.clone(), Arc::clone(&counter));
            tokio::spawn(async move {
                serve_h2(tls.accept(tcp).await.unwrap(), refusal, &counter).await
            });
        }
    });
    (Url::parse(&url).unwrap(), ca, streams)
}

async fn serve_h2(
    stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
    refusal: Refusal,
    streams: &AtomicUsize,
) {
    if let Refusal::Leave = refusal
        && streams.fetch_add(1, Ordering::SeqCst) == 0
    {
        return leave(stream).await;
    }
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        let first = streams.fetch_add(1, Ordering::SeqCst) == 0;
        match refusal {
            Refusal::Refuse if first => respond.send_reset(h2::Reason::REFUSED_STREAM),
            Refusal::Break if first => respond.send_reset(h2::Reason::INTERNAL_ERROR),
            _ => drop(
                respond
                    .send_response(hyper::Response::new(()), true)
                    .unwrap(),
            ),
        }
    }
}

/// Speaks just enough HTTP/2 by hand: SETTINGS, then after the client's first bytes GOAWAY with last stream 0.
async fn leave(mut stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    stream
        .write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0])
        .await
        .unwrap();
    let mut heard = Vec::new();
    // A HEADERS frame (type 1) on stream 1 means that the request is on its way.
    while !heard
        .windows(6)
        .any(|w| w[0] == 1 && w[2..] == [0, 0, 0, 1])
    {
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).await.unwrap();
        heard.extend_from_slice(&buffer[..read]);
    }
    stream
        .write_all(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_was_provably_not_processed_is_sent_again_at_once() {
    for refusal in [Refusal::Refuse, Refusal::Leave] {
        let (url, ca, streams) = refusing(refusal).await;
        let client = trusted(Protocol::Http2, false, &ca);
        assert_eq!(client.send(&post(url)).await.unwrap().status, 200);
        assert!(streams.load(Ordering::SeqCst) >= 2);
    }
}

#[tokio::test]
async fn what_may_have_been_processed_is_not() {
    let (url, ca, streams) = refusing(Refusal::Break).await;
    let client = trusted(Protocol::Http2, false, &ca);
    let failure = client.send(&post(url)).await.unwrap_err();
    assert!(matches!(failure, Failure::Lost(_)), "{failure}");
    assert_eq!(streams.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_is_over_before_it_can_leave_does_not_leave() {
    let server = Server::start(&["h2", "http/1.1"], |_| reply(200, "ok")).await;
    let client = trusted(Protocol::Either, false, &server.ca);
    let soon = post(server.at("soon")).within(MAX_REQUEST);
    assert_eq!(client.send(&soon).await.unwrap().status, 200);
    let over = post(server.at("over")).within(Duration::ZERO);
    let late = client.send(&over).await;
    assert!(matches!(late, Err(Failure::Late)), "{late:?}");
    assert_eq!(server.seen().len(), 1, "nothing was sent");
}

/// A source of credentials that is turned by hand: which one it gives, and at what second.
#[derive(Clone)]
struct Turned(Arc<std::sync::Mutex<(u64, u64)>>);

impl Turned {
    fn new() -> Self {
        Self(Arc::new(std::sync::Mutex::new((1, 0))))
    }

    fn turn(&self, number: u64, secs: u64) {
        *self.0.lock().unwrap() = (number, secs);
    }

    fn authorize(&self, request: Request) -> Request {
        let turned = Arc::clone(&self.0);
        request.authorized_by(move || {
            let (number, secs) = *turned.lock().unwrap();
            Ok(Credential {
                number,
                value: format!("bearer {number}"),
                now: Duration::from_secs(secs),
                kept_for: Duration::from_secs(1200),
            })
        })
    }
}

fn shown(server: &Server) -> Vec<String> {
    let seen = server.seen();
    let shown = seen.iter().map(|seen| seen.header("authorization"));
    shown.map(|value| value.unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_http2_connection_keeps_to_its_credential_for_its_time() {
    let server = Server::start(&["h2"], |_| reply(200, "")).await;
    for first_alone in [false, true] {
        let before = (server.connections(), server.seen().len());
        let client = trusted(Protocol::Http2, first_alone, &server.ca);
        let turned = Turned::new();
        let request = turned.authorize(post(server.at("a")));
        let mut connections = Vec::new();
        for (number, secs) in [
            (1, 0),
            (1, 1100),
            (2, 1199),
            (2, 2398),
            (3, 2399),
            (4, 3598),
        ] {
            turned.turn(number, secs);
            let answer = client.send(&request).await.unwrap();
            assert_eq!(answer.credential, number);
            connections.push(answer.connection);
        }
        assert_eq!(connections, [1, 1, 2, 2, 2, 3], "{first_alone}");
        assert_eq!(server.connections(), before.0 + 3);
        let shown = &shown(&server)[before.1..];
        let expected = [1, 1, 2, 2, 3, 4].map(|number| format!("bearer {number}"));
        assert_eq!(shown, expected);
    }
}

#[tokio::test]
async fn a_credential_is_asked_for_only_as_the_request_leaves() {
    for alpn in ["h2", "http/1.1"] {
        let server = Server::start(&[alpn], |_| reply(200, "")).await;
        let client = trusted(Protocol::Either, false, &server.ca);
        let turned = Turned::new();
        let request = turned.authorize(post(server.at("a")));
        let mut sending = Box::pin(client.send(&request));
        // It waits for a connection.
        assert!(futures_util::poll!(&mut sending).is_pending());
        turned.turn(2, 1);
        let answer = sending.await.unwrap();
        assert_eq!(
            (answer.credential, shown(&server)),
            (2, vec!["bearer 2".into()])
        );
    }
}

/// A connection of HTTP/1.1 carries one request after another, whatever they are sent with.
#[tokio::test]
async fn an_http1_connection_keeps_to_no_credential() {
    let server = Server::start(&["http/1.1"], |_| reply(200, "")).await;
    let client = trusted(Protocol::Http1, false, &server.ca);
    let turned = Turned::new();
    let request = turned.authorize(post(server.at("a")));
    for number in [1, 2, 1] {
        turned.turn(number, 0);
        assert_eq!(client.send(&request).await.unwrap().credential, number);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn without_a_credential_nothing_leaves() {
    for alpn in ["h2", "http/1.1"] {
        let server = Server::start(&[alpn], |_| reply(200, "")).await;
        let client = trusted(Protocol::Either, true, &server.ca);
        let request = post(server.at("a")).authorized_by(|| Err(String::from("the key is bad")));
        let failure = client.send(&request).await.unwrap_err();
        assert_eq!(failure.to_string(), "the key is bad");
        assert!(server.seen().is_empty());
    }
}

/// A server whose connections answer so many requests each and say GOAWAY to all that come beyond; those after them serve.
async fn ending(answered: &'static [u32]) -> (Url, Vec<u8>) {
    let (tls, ca) = testing::identity(&["h2"]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for nth in 0.. {
            let (tcp, _) = listener.accept().await.unwrap();
            let stream = tls.accept(tcp).await.unwrap();
            match answered.get(nth) {
                Some(count) => drop(tokio::spawn(answer_some(stream, *count))),
                None => drop(tokio::spawn(async move {
                    serve_h2(stream, Refusal::Refuse, &AtomicUsize::new(1)).await;
                })),
            }
        }
    });
    (Url::parse(&url).unwrap(), ca)
}

/// Speaks just enough HTTP/2 by hand: answers the first `count` streams, and counts all others out.
async fn answer_some(
    mut stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
    count: u32,
) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let last = (2 * count).saturating_sub(1);
    stream.read_exact(&mut [0; 24]).await.unwrap();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    stream.write_all(&settings).await.unwrap();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload).await.unwrap();
        let id = u32::from_be_bytes(head[5..].try_into().unwrap());
        match head[3] {
            // HEADERS: answered by one with `:status: 200`, which is 0x88, and the end of the stream.
            1 if id <= last => {
                let mut answer = vec![0, 0, 1, 1, 5];
                answer.extend(id.to_be_bytes());
                answer.push(0x88);
                stream.write_all(&answer).await.unwrap();
            }
            1 => break,
            _ => {}
        }
    }
    let mut goaway = vec![0, 0, 8, 7, 0, 0, 0, 0, 0];
    goaway.extend(last.to_be_bytes());
    goaway.extend([0; 4]);
    stream.write_all(&goaway).await.unwrap();
    stream.shutdown().await.unwrap();
}

/// The second connection ends under the one that goes ahead alone: those that wait for that one have not left by it.
#[tokio::test]
async fn what_waits_its_turn_on_a_connection_that_ends_takes_the_next() {
    let (url, ca) = ending(&[1, 0]).await;
    let client = trusted(Protocol::Http2, true, &ca);
    let request = post(url);
    assert_eq!(client.send(&request).await.unwrap().status, 200);
    let answers = join_all((0..20).map(|_| client.send(&request))).await;
    let (answered, failed): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(answered.len(), 19, "{failed:?}");
    let connections = answered.iter().map(|it| it.as_ref().unwrap().connection);
    assert!(connections.eq([3; 19]));
    assert!(
        matches!(failed[0], Err(Failure::Connection(_))),
        "{failed:?}"
    );
}
