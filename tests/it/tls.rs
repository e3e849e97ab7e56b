//! TLS on the listener: versions, what is shown, and a certificate that changes under way.

use std::{
    fs,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use beckon::clock::Clock;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, StatusCode, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use tokio::{io::AsyncReadExt as _, io::AsyncWriteExt as _, net::TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{ChildHub, eventually, hub::APP};

/// A certificate for loopback that ends on the first day of a year, with its key, in PEM; and as who trusts it holds it.
fn issue(year: i32) -> (String, CertificateDer<'static>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut wanted = rcgen::CertificateParams::new(vec![String::from("127.0.0.1")]).unwrap();
    wanted.not_after = rcgen::date_time_ymd(year, 1, 1);
    let issued = wanted.self_signed(&key).unwrap();
    let pem = format!("{}{}", issued.pem(), key.serialize_pem());
    (pem, issued.der().clone())
}

/// A hub that speaks TLS by the certificate in its folder's `tls.pem`.
async fn speaking_tls(pem: &str) -> ChildHub {
    let mut hub = ChildHub::start().await;
    hub.stop().await;
    show(&hub, pem);
    hub.edit_config(|text| {
        text.replacen(
            "[store]",
            "[server.tls]\ncert_file = \"tls.pem\"\nkey_file = \"tls.pem\"\n[store]",
            1,
        )
    });
    hub.begin().await;
    hub
}

fn show(hub: &ChildHub, pem: &str) {
    fs::write(hub.folder.path().join("tls.pem"), pem).unwrap();
}

fn trusting(
    certificate: &CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
    protocol: &str,
) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    TlsConnector::from(Arc::new(config))
}

async fn connect(
    addr: SocketAddr,
    connector: &TlsConnector,
) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(addr).await?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut stream = connector.connect(name, tcp).await?;
    // What the other side has against the handshake comes after it, in TLS 1.3.
    stream.flush().await?;
    Ok(stream)
}

type Sender = http1::SendRequest<Full<Bytes>>;

async fn http(stream: TlsStream<TcpStream>) -> Sender {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn ask(
    sender: &mut Sender,
    (method, path, bearer): (&str, &str, &str),
    body: &str,
) -> (StatusCode, hyper::HeaderMap, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "hub.example")
        .header("authorization", format!("Bearer {bearer}"))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap();
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    (head.status, head.headers, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_listener_speaks_tls_of_both_versions_and_one_http() {
    let (pem, certificate) = issue(2099);
    let mut hub = speaking_tls(&pem).await;
    let addr = hub.app().addr;
    for version in [&TLS12, &TLS13] {
        let connector = trusting(&certificate, &[version], "http/1.1");
        let stream = connect(addr, &connector).await.unwrap();
        let session = stream.get_ref().1;
        assert_eq!(session.protocol_version(), Some(version.version));
        assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
        let mut sender = http(stream).await;
        let post = ("POST", "/v1/users/ada/notifications", hub.key.as_str());
        let body = r#"{"payload":{"visualContent":{"title":"Lunch?"}}}"#;
        let (status, headers, _) = ask(&mut sender, post, body).await;
        assert_eq!(status, 201);
        let location = headers["location"].to_str().unwrap();
        assert!(location.starts_with("https://hub.example/"), "{location}");
    }
    let h2 = connect(addr, &trusting(&certificate, &[&TLS13], "h2")).await;
    let refused = match h2 {
        Err(_) => true,
        Ok(mut stream) => stream.read(&mut [0; 1]).await.is_err(),
    };
    assert!(refused, "HTTP/2 is not spoken");
    // Who speaks no TLS gets no answer in plain text.
    let mut plain = TcpStream::connect(addr).await.unwrap();
    plain
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _reset_or_ended = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_shown_without_dropping_a_connection() {
    let (old_pem, old) = issue(2098);
    let (new_pem, new) = issue(2099);
    let mut hub = speaking_tls(&old_pem).await;
    let addr = hub.app().addr;
    let by_old = trusting(&old, &[&TLS13], "http/1.1");
    let mut open = http(connect(addr, &by_old).await.unwrap()).await;
    let ready = ("GET", "/readyz", "");
    assert_eq!(ask(&mut open, ready, "").await.0, 200);
    let checked = hub.json(&["check"]).to_string();
    assert!(
        checked.contains("certificate ends on 2098-01-01"),
        "{checked}"
    );
    // What is no certificate changes nothing.
    show(&hub, "no");
    hub.reload();
    hub.says("the config was not taken").await;
    connect(addr, &by_old).await.unwrap();
    show(&hub, &new_pem);
    hub.reload();
    let by_new = trusting(&new, &[&TLS13], "http/1.1");
    let sender = eventually("the new one is shown", || async {
        connect(addr, &by_new).await.ok()
    })
    .await;
    assert_eq!(ask(&mut http(sender).await, ready, "").await.0, 200);
    // Anew, since who was here before may go on with what was agreed then.
    let by_old = trusting(&old, &[&TLS13], "http/1.1");
    assert!(
        connect(addr, &by_old).await.is_err(),
        "the old one is shown on"
    );
    assert_eq!(
        ask(&mut open, ready, "").await.0,
        200,
        "its connection was dropped"
    );
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_about_to_end_is_told() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut wanted = rcgen::CertificateParams::new(vec![String::from("127.0.0.1")]).unwrap();
    let in_a_week = Clock::system()
        .now()
        .plus(Duration::from_hours(7 * 24))
        .as_millis();
    wanted.not_after = (UNIX_EPOCH + Duration::from_millis(in_a_week)).into();
    let issued = wanted.self_signed(&key).unwrap();
    let mut hub = speaking_tls(&format!("{}{}", issued.pem(), key.serialize_pem())).await;
    hub.says("the listener's certificate is about to end").await;
    let checked = hub.command(&["check"]);
    assert_eq!(checked.status.code(), Some(1));
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(
        said.contains("put a new one into the files of [server.tls]"),
        "{said}"
    );
    let connector = trusting(issued.der(), &[&TLS13], "http/1.1");
    let mut sender = http(connect(hub.app().addr, &connector).await.unwrap()).await;
    let request = Request::get("/metrics")
        .header("host", "h")
        .body(Full::default())
        .unwrap();
    let metrics = sender.send_request(request).await.unwrap().into_body();
    let metrics = metrics.collect().await.unwrap().to_bytes();
    let metrics = String::from_utf8(metrics.to_vec()).unwrap();
    let told = metrics
        .lines()
        .find(|line| line.starts_with("beckon_tls_certificate_expires_seconds"));
    let expires: u64 = told
        .unwrap()
        .split(' ')
        .next_back()
        .unwrap()
        .parse()
        .unwrap();
    let expected = in_a_week / 1000;
    assert!(expires.abs_diff(expected) <= 1, "{expires}");
    hub.reload();
    eventually("it is told of one that is shown anew, too", || async {
        let told = hub.log();
        let told = told.matches("the listener's certificate is about to end");
        (told.count() == 2).then_some(())
    })
    .await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_clients_may_refuse_is_told() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut wanted = rcgen::CertificateParams::new(vec![String::from("127.0.0.1")]).unwrap();
    wanted.not_before = rcgen::date_time_ymd(2098, 1, 1);
    wanted.not_after = rcgen::date_time_ymd(2099, 1, 1);
    let early = wanted.self_signed(&key).unwrap().pem();
    let (good, _) = issue(2099);
    let (another, _) = issue(2099);
    let mut hub = speaking_tls(&format!("{early}{}", key.serialize_pem())).await;
    hub.says("the listener's certificate is not valid yet")
        .await;
    let checked = |hub: &ChildHub| {
        let checked = hub.command(&["check"]);
        assert_eq!(checked.status.code(), Some(1), "{checked:?}");
        String::from_utf8(checked.stdout).unwrap()
    };
    let said = checked(&hub);
    let early = "✗ config: the listener's certificate is not valid before 2098-01-01";
    assert!(said.contains(early), "{said}");
    assert!(!hub.log().contains("is not in order"), "{}", hub.log());
    show(&hub, &format!("{good}{another}"));
    hub.reload();
    hub.says("the chain of the listener's certificate is not in order")
        .await;
    let said = checked(&hub);
    let astray = "✗ config: the chain of the listener's certificate is not in order: number 2 in server.tls.cert_file";
    assert!(said.contains(astray), "{said}");
    assert!(
        said.contains("✓ config: the listener's certificate ends on 2099"),
        "{said}"
    );
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_where_others_can_read_them_have_to_be_asked_for() {
    let mut hub = ChildHub::start().await;
    hub.stop().await;
    hub.edit_config(|text| text.replace("[server]", "[server]\nmetrics_listen = \"0.0.0.0:0\""));
    let said = hub.refused(&["serve"]);
    assert!(said.contains("metrics would cross the network"), "{said}");
    hub.edit_config(|text| text.replace("[server]", "[server]\nplain_http = true"));
    hub.begin().await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_where_others_can_reach_it_has_to_be_asked_for() {
    let mut hub = ChildHub::start().await;
    hub.stop().await;
    // A loopback address that is written as one of IPv6 is reached by nobody else.
    hub.edit_config(|text| text.replace("127.0.0.1:0", "[::ffff:127.0.0.1]:0"));
    hub.begin().await;
    hub.stop().await;
    hub.edit_config(|text| text.replace("[::ffff:127.0.0.1]:0", "0.0.0.0:0"));
    let said = hub.refused(&["serve"]);
    assert!(said.contains("server.plain_http = true"), "{said}");
    hub.edit_config(|text| text.replace("[server]", "[server]\nplain_http = true"));
    hub.begin().await;
    hub.says("a proxy has to speak TLS for it").await;
    hub.stop().await;
    let named = format!("host = \"{APP}\"");
    hub.edit_config(|text| {
        assert!(text.contains(&named));
        text.replace("plain_http = true", "plain_http = \"yes\"")
    });
    let said = hub.refused(&["serve"]);
    assert!(said.contains("server.plain_http: "), "{said}");
}
