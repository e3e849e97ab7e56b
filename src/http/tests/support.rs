//! The real server on a port of its own, over a store in memory and a clock that the test moves.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    config::{
        App, Apps, Delivery, Limits,
        apps::{Badge, Placeholder, Privacy, WebPush},
    },
    http::{self, Context, Pieces, Readiness},
    hub::Hub,
    identity::Identities,
    metrics::Metrics,
    model::{AppHost, Scope, Timestamp, VisualContent},
    store::Store,
};

/// A hub with two apps, behind its door.
pub(super) struct Door {
    pub(super) addr: SocketAddr,
    pub(super) hub: Hub,
    pub(super) clock: Clock,
    pub(super) ready: Readiness,
    /// A key of `graphnotifications.sample.windows.com`.
    pub(super) key: String,
    /// Keys of that app with one scope only, and one of the other app.
    pub(super) send_key: String,
    pub(super) users_key: String,
    pub(super) other_key: String,
    stop: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
    recorder: JoinHandle<()>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) text: String,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Checks the status, and the code where it is an error.
    #[track_caller]
    pub(super) fn expect(self, status: u16, code: &str) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        if !code.is_empty() {
            let body = self.json();
            assert_eq!(body["error"]["code"], code, "{self:?}");
            let id = body["error"]["innerError"]["request-id"].as_str();
            assert_eq!(id, self.header("request-id"), "{self:?}");
        }
        self
    }

    /// The targets of its details.
    pub(super) fn targets(&self) -> Vec<String> {
        let body = self.json();
        let details = body["error"]["details"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let target = |detail: &Value| detail["target"].as_str().unwrap().to_owned();
        details.iter().map(target).collect()
    }
}

fn app(host: &str, origin: &str) -> Arc<App> {
    let text = VisualContent {
        title: "New".into(),
        body: None,
    };
    let web_push = WebPush {
        subject: "mailto:ops@example.com".into(),
        key: None,
        allowed_hosts: Vec::new(),
        hosts: Default::default(),
        ca: None,
    };
    Arc::new(App {
        host: AppHost::parse(host).unwrap(),
        privacy: Privacy::Tap,
        placeholder: Placeholder {
            default: text,
            by_locale: Default::default(),
        },
        origins: vec![origin.into()],
        badge: Badge::None,
        delegated_post: false,
        limits: Default::default(),
        identity: None,
        apns: None,
        fcm: None,
        web_push: Some(Arc::new(web_push)),
        wns: None,
    })
}

pub(super) const SAMPLE: &str = "graphnotifications.sample.windows.com";
pub(super) const OTHER: &str = "other.example";

impl Door {
    pub(super) async fn open() -> Self {
        Self::open_with(Limits::default()).await
    }

    pub(super) async fn open_with(limits: Limits) -> Self {
        let start = "2026-11-24T12:00:00Z".parse::<Timestamp>().unwrap();
        let clock = Clock::manual(start);
        let apps = Apps::new(vec![
            app(SAMPLE, "https://sample.example"),
            app(OTHER, "https://other.example"),
        ]);
        let store = Store::in_memory().unwrap();
        let hub = Hub::new(store, apps, (Delivery::default(), limits), clock.clone());
        let (fetches, recorder) = http::fetches(hub.clone());
        let (stop, ready) = (CancellationToken::new(), Readiness::default());
        ready.open();
        let context = Context {
            demo: None,
            hub: hub.clone(),
            metrics: Metrics::default(),
            public_url: None,
            ready: ready.clone(),
            check_channel: |_, _| Vec::new(),
            vapid: Arc::new(|_| vec!["V".repeat(87)]),
            identities: Identities::new(Default::default(), clock.clone()),
            fetches,
            rates: http::Rates::new(&limits),
            proxies: http::Proxies::default(),
            metrics_here: true,
            pieces: Pieces::default(),
            stop: stop.clone(),
            tls: None,
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let server = http::listen(context, listener, &limits, 1).unwrap();
        let key = |host: &'static str, scope| {
            let hub = hub.clone();
            async move {
                let host = AppHost::parse(host).unwrap();
                let minted = hub.create_key(&host, None, scope).await.unwrap();
                minted.secret.expose().clone()
            }
        };
        Self {
            addr,
            key: key(SAMPLE, Scope::All).await,
            send_key: key(SAMPLE, Scope::Send).await,
            users_key: key(SAMPLE, Scope::Users).await,
            other_key: key(OTHER, Scope::All).await,
            clock,
            ready,
            server: tokio::spawn(server),
            recorder: tokio::spawn(recorder.run(stop.clone())),
            stop,
            hub,
        }
    }

    /// Sends what is given, byte for byte, and reads to the end of the connection.
    pub(super) async fn raw(&self, head: &str, body: &[u8]) -> Reply {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        let head = format!("{head}Connection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        // A server that refuses need not read the body.
        let _ = stream.write_all(body).await;
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        let text = String::from_utf8(bytes).unwrap();
        let (head, text) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no answer: {text}"));
        Reply {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            text: text.to_owned(),
        }
    }

    /// A request with a credential and further header lines.
    pub(super) async fn call(
        &self,
        line: &str,
        credential: &str,
        more: &str,
        body: &[u8],
    ) -> Reply {
        let auth = match credential {
            "" => String::new(),
            credential => format!("Authorization: Bearer {credential}\r\n"),
        };
        let length = match body {
            [] => String::new(),
            body => format!("Content-Length: {}\r\n", body.len()),
        };
        let head = format!("{line} HTTP/1.1\r\nHost: hub.test\r\n{auth}{length}{more}");
        self.raw(&head, body).await
    }

    /// A request with a JSON body.
    pub(super) async fn json(&self, line: &str, credential: &str, body: Value) -> Reply {
        let body = body.to_string();
        self.call(
            line,
            credential,
            "Content-Type: application/json\r\n",
            body.as_bytes(),
        )
        .await
    }

    /// A request without a body.
    pub(super) async fn get(&self, line: &str, credential: &str) -> Reply {
        self.call(line, credential, "", b"").await
    }

    /// A user token, bound to an endpoint where one is given.
    pub(super) async fn token(&self, user: &str, endpoint: Option<&str>) -> String {
        let body = json!({ "endpointId": endpoint });
        let line = format!("POST /v1/users/{user}/tokens");
        let reply = self.json(&line, &self.key, body).await.expect(201, "");
        reply.json()["token"].as_str().unwrap().to_owned()
    }

    /// Registers an endpoint without a channel.
    pub(super) async fn register(&self, token: &str, endpoint: &str) -> Value {
        let body = json!({ "platform": "iOS", "channel": { "type": "none" } });
        let line = format!("PUT /v1/me/endpoints/{endpoint}");
        self.json(&line, token, body).await.expect(201, "").json()
    }

    /// Posts a raw notification and gives its id.
    pub(super) async fn post(&self, user: &str, content: &str) -> String {
        let body = json!({ "payload": { "rawContent": content } });
        let line = format!("POST /v1/users/{user}/notifications");
        let reply = self.json(&line, &self.key, body).await.expect(201, "");
        reply.json()["id"].as_str().unwrap().to_owned()
    }

    /// Opens a stream; the answer's head has been read.
    pub(super) async fn stream(&self, path: &str, more: &str) -> Stream {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: hub.test\r\n{more}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut stream = Stream(BufReader::new(stream));
        let status = stream.line().await.unwrap();
        assert!(status.contains(" 200 "), "{status}");
        while stream.line().await.is_some_and(|line| !line.is_empty()) {}
        stream
    }

    /// Ends all, and says whether it ended well.
    pub(super) async fn close(self) {
        self.stop.cancel();
        self.recorder.await.unwrap();
        self.server.abort();
    }
}

/// An open stream, read line by line.
pub(super) struct Stream(BufReader<TcpStream>);

impl Stream {
    /// The next line; nothing at the end.
    pub(super) async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = tokio::time::timeout(DEADLINE, self.0.read_line(&mut line));
        let read = read.await.expect("a line in time").unwrap_or(0);
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// The rest of the next line that begins with `start`.
    pub(super) async fn field(&mut self, start: &str) -> String {
        loop {
            let line = self.line().await.expect("the stream goes on");
            if let Some(rest) = line.strip_prefix(start) {
                return rest.to_owned();
            }
        }
    }

    /// Reads to the end, which must come: the last chunk, or the end of the connection.
    pub(super) async fn end(mut self) {
        while self.line().await.is_some_and(|line| line != "0") {}
    }
}

/// How long anything may take before a test fails.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// Waits until `what` holds.
pub(super) async fn eventually<F: Future<Output = bool>>(mut what: impl FnMut() -> F) {
    let all = async {
        while !what().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, all)
        .await
        .expect("it holds in time");
}
