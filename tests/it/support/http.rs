//! A small HTTP client: one connection a request, so that nothing of one leaks into the next.

use std::net::SocketAddr;

use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Method, Request, StatusCode, body::Bytes, body::Incoming, client::conn::http1,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
};

use super::wait::DEADLINE;

/// Calls one address with one credential.
#[derive(Debug, Clone)]
pub struct Client {
    pub addr: SocketAddr,
    pub bearer: Option<String>,
    pub headers: Vec<(String, String)>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON; null, where there is none.
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body, of an answer that must have this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        let shown = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status.as_u16(), status, "{shown}");
        self.json()
    }

    /// The `code` of an error that must have this status.
    #[track_caller]
    pub fn refused(&self, status: u16) -> String {
        self.expect(status)["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The targets of the faults of a 400.
    #[track_caller]
    pub fn faults(&self) -> Vec<String> {
        let body = self.expect(400);
        let details = body["error"]["details"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        details
            .iter()
            .map(|fault| fault["target"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Client {
    /// Without a credential.
    pub fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            bearer: None,
            headers: Vec::new(),
        }
    }

    /// The same at another address.
    pub fn to(&self, addr: SocketAddr) -> Self {
        Self {
            addr,
            ..self.clone()
        }
    }

    /// The same with a credential.
    pub fn bearer(&self, bearer: impl Into<String>) -> Self {
        Self {
            bearer: Some(bearer.into()),
            ..self.clone()
        }
    }

    /// The same with a further header.
    pub fn header(&self, name: &str, value: impl Into<String>) -> Self {
        let mut it = self.clone();
        it.headers.push((name.to_owned(), value.into()));
        it
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, Some(body)).await
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut it = self.clone();
        let bytes = body.map(|body| Bytes::from(body.to_string()));
        if bytes.is_some() && !it.headers.iter().any(|(name, _)| name == "content-type") {
            it = it.header("content-type", "application/json");
        }
        it.send(method, path, bytes.unwrap_or_default()).await
    }

    /// Sends any bytes; the whole answer is read.
    pub async fn send(&self, method: Method, path: &str, body: Bytes) -> Answer {
        let shown = format!("{method} {path}");
        let whole = async {
            let (status, headers, body) = self.open(method, path, body).await;
            let body = body.collect().await.map(|body| body.to_bytes());
            (status, headers, body.unwrap_or_default())
        };
        let answered = tokio::time::timeout(DEADLINE, whole).await;
        let (status, headers, body) =
            answered.unwrap_or_else(|_| panic!("{shown} has no end of an answer"));
        Answer {
            status,
            headers,
            body,
        }
    }

    /// The same as [`Client::call`] of a hub that may go away meanwhile; nothing, where no whole answer came.
    pub async fn attempt(&self, method: Method, path: &str, body: Option<Value>) -> Option<Answer> {
        let mut it = self.clone();
        let bytes = body.map(|body| Bytes::from(body.to_string()));
        if bytes.is_some() {
            it = it.header("content-type", "application/json");
        }
        let opened = it.try_open(method, path, bytes.unwrap_or_default()).await;
        let (status, headers, body) = opened.ok()?;
        let body = body.collect().await.ok()?.to_bytes();
        Some(Answer {
            status,
            headers,
            body,
        })
    }

    /// Sends any bytes; the body of the answer is still to be read.
    pub async fn open(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> (StatusCode, HeaderMap, Incoming) {
        self.try_open(method, path, body).await.unwrap()
    }

    /// The same, where the connection may fail.
    pub async fn try_open(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, HeaderMap, Incoming), Box<dyn std::error::Error + Send + Sync>> {
        let tcp = TcpStream::connect(self.addr).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(tcp)).await?;
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.addr.to_string());
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", format!("Bearer {bearer}"));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body))?;
        let (parts, body) = sender.send_request(request).await?.into_parts();
        Ok((parts.status, parts.headers, body))
    }
}

/// Posts a body in two halves: says when the hub has asked for it and has the first, and sends the second when it
/// may. Gives the whole answer as text.
pub async fn slowly(
    client: Client,
    path: &str,
    body: String,
    (sent_half, may_go_on): (oneshot::Sender<()>, oneshot::Receiver<()>),
) -> String {
    let mut tcp = TcpStream::connect(client.addr).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n",
        client.addr,
        client.bearer.unwrap(),
        body.len()
    );
    tcp.write_all(head.as_bytes()).await.unwrap();
    let mut said = [0; 25];
    tcp.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"HTTP/1.1 100 Continue\r\n\r\n");
    let (first, second) = body.split_at(body.len() / 2);
    tcp.write_all(first.as_bytes()).await.unwrap();
    sent_half.send(()).unwrap();
    may_go_on.await.unwrap();
    tcp.write_all(second.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _may_be_cut = tcp.read_to_string(&mut answer).await;
    answer
}
