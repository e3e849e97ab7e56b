use super::*;
use crate::{
    config::apps::HostRule,
    egress::testing::{Reply, Seen, Server, reply},
    model::Secret,
};

#[test]
fn microsofts_answers() {
    let gone = Step::Done(Verdict::Gone { since: None });
    let operator = Step::Done(Verdict::Misconfigured);
    let check = |http: u16, status: &str, said: &str, proven: bool, expected: Step| {
        let found = step(http, status, said, proven);
        assert_eq!(found, expected, "{http} {status} {said} {proven}");
    };
    let wait = |secs: u64, scope| answer::retry(Some(Duration::from_secs(secs)), scope);
    check(200, "received", "", false, Step::Done(Verdict::Accepted));
    check(200, "", "", false, Step::Done(Verdict::Accepted));
    check(200, "dropped", "", true, Step::Done(Verdict::Dropped));
    check(200, "channelthrottled", "", true, wait(600, Scope::Channel));
    check(400, "", "bad header", true, Step::Done(Verdict::Rejected));
    check(401, "", "", true, Step::Again(Again::NewCredential));
    check(403, "", "", true, gone);
    check(403, "", "", false, operator);
    check(404, "", "", false, gone);
    check(405, "", "", true, Step::Done(Verdict::Rejected));
    check(408, "", "", true, answer::retry(None, Scope::Unsaid));
    check(406, "dropped", "", true, wait(300, Scope::Lane));
    check(410, "", "", false, gone);
    check(410, "dropped", "Domain Blocked", true, operator);
    check(412, "", "", true, answer::retry(None, Scope::Unsaid));
    check(413, "", "", true, Step::Done(Verdict::Rejected));
    check(429, "", "", true, wait(300, Scope::Lane));
    check(500, "", "", true, answer::retry(None, Scope::Unsaid));
    check(502, "", "", true, answer::retry(None, Scope::Lane));
    check(503, "", "", true, answer::retry(None, Scope::Lane));
    check(302, "", "", true, Step::Done(Verdict::Rejected));
}

fn adapter(server: &Server, rules: &[&str]) -> Wns {
    let settings = apps::Wns {
        tenant_id: Some("tenant".into()),
        client_id: "client".into(),
        client_secret: Secret::new("s&cret".into()),
        token_endpoint: Some(server.at("token")),
        allowed_hosts: rules
            .iter()
            .map(|rule| HostRule::parse(rule).unwrap())
            .collect(),
        placeholder_toast: true,
        ca: Some(Arc::new(server.ca.clone())),
    };
    Wns::new(Arc::new(settings)).unwrap()
}

async fn server(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Server {
    Server::start(&["h2", "http/1.1"], move |seen| {
        if seen.target.ends_with("/token") {
            let token = format!(r#"{{"access_token":"t{}","expires_in":"86399"}}"#, seen.nth);
            return reply(200, token);
        }
        script(seen)
    })
    .await
}

/// What WNS says of a push that it takes.
fn taken() -> Reply {
    reply(200, "").header("x-wns-status", "received")
}

fn listed(server: &Server) -> String {
    format!("127.0.0.1:{}", server.url.port().unwrap())
}

fn message(kind: WnsKind) -> WnsMessage {
    WnsMessage {
        kind,
        priority: 1,
        ttl: Duration::from_secs(3600),
        body: Bytes::from_static(b"{}"),
    }
}

/// 2023-11-14T22:13:20Z.
fn now() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000)
}

async fn send(wns: &Wns, server: &Server, kind: WnsKind) -> Outcome {
    let uri = server.at("?token=a%2Fb");
    wns.send(uri.as_str(), &message(kind), Uuid::nil(), now())
        .await
}

#[tokio::test]
async fn pushes_as_microsoft_wants_them() {
    let server = server(|_| taken().header("x-wns-msg-id", "m-1")).await;
    let wns = adapter(&server, &[&listed(&server)]);
    let outcome = send(&wns, &server, WnsKind::Raw).await;
    assert_eq!(outcome.verdict, Verdict::Accepted);
    assert_eq!(outcome.answer.id.as_deref(), Some("m-1"));
    send(&wns, &server, WnsKind::Toast).await;

    let [token, raw, toast] = &server.seen()[..] else {
        panic!("{:?}", server.seen());
    };
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&token.body)
        .into_owned()
        .collect();
    let expected = [
        ("grant_type", "client_credentials"),
        ("client_id", "client"),
        ("client_secret", "s&cret"),
        ("scope", "https://wns.windows.com/.default"),
    ];
    assert_eq!(
        form,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert_eq!(raw.version, hyper::Version::HTTP_11);
    assert_eq!(raw.target, "/?token=a%2Fb");
    for (name, value) in [
        ("authorization", "Bearer t0"),
        ("x-wns-type", "wns/raw"),
        ("x-wns-cache-policy", "cache"),
        ("x-wns-priority", "1"),
        ("x-wns-ttl", "3600"),
        ("x-wns-requestforstatus", "true"),
        ("content-type", "application/octet-stream"),
        ("content-length", "2"),
        ("ms-cv", "AAAAAAAAAAAAAAAAAAAAAA.0"),
    ] {
        assert_eq!(raw.header(name), Some(value), "{name}");
    }
    assert_eq!(raw.header("transfer-encoding"), None);
    assert_eq!(toast.header("x-wns-type"), Some("wns/toast"));
    assert_eq!(toast.header("x-wns-cache-policy"), None);
    assert_eq!(toast.header("content-type"), Some("text/xml"));
}

#[tokio::test]
async fn a_page_with_a_good_status_is_not_of_wns() {
    let page = "<html>Sign in to the hotel's network</html>";
    let lane = Verdict::Retry {
        after: None,
        scope: Scope::Lane,
    };
    let server = server(move |seen| match seen.nth % 4 {
        1 => reply(200, page).header("ms-cv", "x.0"),
        2 => reply(201, page),
        3 => reply(200, "").header("x-wns-debug-trace", "here"),
        _ => reply(200, "").header("x-wns-msg-id", "m-1"),
    })
    .await;
    let wns = adapter(&server, &[&listed(&server)]);
    for (verdict, reason) in [
        (lane, Some(page)),
        (lane, Some(page)),
        (Verdict::Accepted, None),
        (Verdict::Accepted, None),
    ] {
        let outcome = send(&wns, &server, WnsKind::Raw).await;
        assert_eq!(outcome.verdict, verdict, "{outcome:?}");
        let said = outcome.answer.reason.as_deref().filter(|it| *it != "OK");
        assert_eq!(said, reason, "{outcome:?}");
    }
}

#[tokio::test]
async fn no_token_goes_to_an_unlisted_host() {
    let server = server(|_| reply(200, "")).await;
    let wns = adapter(&server, &["127.0.0.1:1"]);
    assert_eq!(
        send(&wns, &server, WnsKind::Raw).await.verdict,
        Verdict::Misconfigured
    );
    let asked: Vec<String> = server.seen().into_iter().map(|seen| seen.target).collect();
    assert!(
        asked.iter().all(|target| target.ends_with("/token")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn the_older_login_has_its_own_words() {
    let server = Server::start(&["h2", "http/1.1"], |_| {
        reply(
            200,
            r#"{"access_token":"t","token_type":"bearer","expires_in":86400}"#,
        )
    })
    .await;
    let settings = apps::Wns {
        tenant_id: None,
        client_id: "ms-app://s-1-15-2-1".into(),
        client_secret: Secret::new("s&cret".into()),
        token_endpoint: Some(server.at("accesstoken.srf")),
        allowed_hosts: Vec::new(),
        placeholder_toast: true,
        ca: Some(Arc::new(server.ca.clone())),
    };
    let proved = Wns::new(Arc::new(settings)).unwrap().check(now()).await;
    assert_eq!(
        proved.unwrap(),
        "Microsoft's older login gave an access token for 86400 s"
    );
    let body = String::from_utf8(server.seen()[0].body.to_vec()).unwrap();
    assert_eq!(
        body,
        "grant_type=client_credentials&client_id=ms-app%3A%2F%2Fs-1-15-2-1&client_secret=s%26cret&scope=notify.windows.com"
    );
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let server = server(|seen| {
        let old = seen.header("authorization") == Some("Bearer t0");
        if old { reply(401, "") } else { taken() }
    })
    .await;
    let wns = adapter(&server, &[&listed(&server)]);
    assert_eq!(
        send(&wns, &server, WnsKind::Raw).await.verdict,
        Verdict::Accepted
    );
    let seen = server.seen();
    assert_eq!(seen.len(), 4);
    assert_eq!(seen[3].header("ms-cv"), Some("AAAAAAAAAAAAAAAAAAAAAA.1"));
}

#[tokio::test]
async fn another_apps_channel_is_told_from_a_wrong_app() {
    let server = server(|seen| {
        if seen.target.contains("good") {
            taken()
        } else {
            reply(403, "")
        }
    })
    .await;
    let wns = adapter(&server, &[&listed(&server)]);
    assert_eq!(
        send(&wns, &server, WnsKind::Raw).await.verdict,
        Verdict::Misconfigured
    );
    let good = server.at("good");
    wns.send(good.as_str(), &message(WnsKind::Raw), Uuid::nil(), now())
        .await;
    let gone = Verdict::Gone { since: None };
    assert_eq!(send(&wns, &server, WnsKind::Raw).await.verdict, gone);
}

#[tokio::test]
async fn the_check_fetches_a_token() {
    let server = server(|_| reply(200, "")).await;
    let said = adapter(&server, &[]).check(now()).await.unwrap();
    assert_eq!(said, "Entra gave an access token for 86399 s");
    drop(server);
}

#[tokio::test]
async fn bad_settings_are_named() {
    let settings = apps::Wns {
        tenant_id: Some("a/b".into()),
        client_id: "client".into(),
        client_secret: Secret::new("secret".into()),
        token_endpoint: None,
        allowed_hosts: Vec::new(),
        placeholder_toast: true,
        ca: None,
    };
    let fault = Wns::new(Arc::new(settings)).unwrap_err();
    assert!(fault.starts_with("tenant_id"), "{fault}");
}
