//! Doubles in a temporary folder, and clients that trust their authority.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::header::HeaderMap;
use hyper_util::rt::{TokioExecutor, TokioIo};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::{
    Channel, Device, Doubles, Handle, NewDevice, Options, Service, Settings, start,
};

/// How long a test waits for what must come.
pub(super) const SOON: Duration = Duration::from_secs(10);

/// Running doubles.
pub(super) struct Rig {
    pub(super) doubles: Doubles,
    pub(super) folder: TempDir,
}

/// An answer, read whole.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// A request in the making: method, headers and body of a good one, to be spoilt.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) method: &'static str,
    pub(super) uri: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl std::fmt::Debug for Draft {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body: String = String::from_utf8_lossy(&self.body)
            .chars()
            .take(200)
            .collect();
        write!(
            out,
            "{} {} {:?} {body}",
            self.method, self.uri, self.headers
        )
    }
}

impl Draft {
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    pub(super) fn twice(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(super) fn method(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    pub(super) fn uri(mut self, uri: impl Into<String>) -> Self {
        self.uri = uri.into();
        self
    }

    pub(super) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) fn json(self, body: &Value) -> Self {
        self.body(body.to_string())
    }

    fn request(&self, absolute: bool) -> Request<Full<Bytes>> {
        let (authority, path) = self
            .uri
            .trim_start_matches("https://")
            .trim_start_matches("http://")
            .split_once('/')
            .unwrap();
        let uri = if absolute {
            self.uri.clone()
        } else {
            format!("/{path}")
        };
        let mut request = Request::builder().method(self.method).uri(uri);
        if !absolute && !self.headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", authority);
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request
            .body(Full::new(Bytes::from(self.body.clone())))
            .unwrap()
    }

    fn authority(&self) -> &str {
        self.uri
            .split_once("://")
            .unwrap()
            .1
            .split('/')
            .next()
            .unwrap()
    }
}

/// An HTTP/2 connection.
pub(super) type Http2 = http2::SendRequest<Full<Bytes>>;

impl Rig {
    pub(super) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let doubles = start(Options::strict(folder.path())).await.unwrap();
        Self { doubles, folder }
    }

    /// Stops and starts in the same folder.
    pub(super) async fn restart(self) -> Self {
        let Self { doubles, folder } = self;
        doubles.stop().await;
        let doubles = start(Options::strict(folder.path())).await.unwrap();
        Self { doubles, folder }
    }

    pub(super) fn handle(&self) -> &Handle {
        self.doubles.handle()
    }

    pub(super) fn settings(&self) -> &Settings {
        self.doubles.settings()
    }

    pub(super) fn device(&self, service: Service) -> Device {
        self.handle().add_device(NewDevice::of(service)).unwrap()
    }

    pub(super) async fn tls(
        &self,
        authority: &str,
        protocols: &[&str],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let ca =
            CertificateDer::from_pem_slice(&fs::read(&self.settings().ca_file).unwrap()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let tcp = TcpStream::connect(authority).await?;
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
    }

    pub(super) async fn http2(&self, draft: &Draft) -> Http2 {
        let stream = self.tls(draft.authority(), &["h2"]).await.unwrap();
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        sender
    }

    /// Sends over a new HTTP/2 connection.
    pub(super) async fn send2(&self, draft: &Draft) -> Reply {
        send_on(&mut self.http2(draft).await, draft).await.unwrap()
    }

    /// Sends over a new HTTP/1.1 connection with TLS.
    pub(super) async fn send1(&self, draft: &Draft) -> hyper::Result<Reply> {
        let stream = self.tls(draft.authority(), &["http/1.1"]).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let response = sender.send_request(draft.request(false)).await?;
        Ok(read(response).await)
    }

    /// Sends without TLS, and gives the response unread.
    pub(super) async fn open_plain(&self, draft: &Draft) -> hyper::Response<Incoming> {
        let stream = TcpStream::connect(draft.authority()).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(draft.request(false)).await.unwrap()
    }
}

pub(super) async fn send_on(sender: &mut Http2, draft: &Draft) -> hyper::Result<Reply> {
    Ok(read(sender.send_request(draft.request(true)).await?).await)
}

pub(super) async fn read(response: hyper::Response<Incoming>) -> Reply {
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Reply {
        status: head.status.as_u16(),
        headers: head.headers,
        body: String::from_utf8_lossy(&bytes).into_owned(),
    }
}

/// Seconds since 1970 as the doubles see them.
pub(super) fn now(rig: &Rig) -> i64 {
    rig.handle().state.clock.now_secs()
}

pub(super) fn sign_es256(pem: &str, header: &Value, claims: &Value) -> String {
    sign(
        Algorithm::ES256,
        &EncodingKey::from_ec_pem(pem.as_bytes()).unwrap(),
        header,
        claims,
    )
}

pub(super) fn sign_rs256(pem: &str, header: &Value, claims: &Value) -> String {
    sign(
        Algorithm::RS256,
        &EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap(),
        header,
        claims,
    )
}

fn sign(algorithm: Algorithm, key: &EncodingKey, header: &Value, claims: &Value) -> String {
    let kid = header["kid"].as_str().map(str::to_owned);
    jsonwebtoken::encode(
        &Header {
            kid,
            ..Header::new(algorithm)
        },
        claims,
        key,
    )
    .unwrap()
}

/// An application server's key pair: private PEM, and the public key in base64url.
pub(super) fn vapid_pair() -> (String, String) {
    let pair = rcgen::KeyPair::generate().unwrap();
    let public = URL_SAFE_NO_PAD.encode(rcgen::PublicKeyData::der_bytes(&pair));
    (pair.serialize_pem(), public)
}

/// A good APNs push to this device.
pub(super) fn apns_push(rig: &Rig, device: &Device) -> Draft {
    let Channel::Apns { device_token } = &device.channel else {
        panic!("{device:?}")
    };
    let apns = &rig.settings().apns;
    Draft {
        method: "POST",
        uri: format!("{}/3/device/{device_token}", apns.endpoint),
        headers: vec![
            ("authorization", format!("bearer {}", apns_token(rig, 0))),
            ("apns-topic", apns.topic.clone()),
            ("apns-push-type", "alert".to_owned()),
        ],
        body: json!({ "aps": { "alert": { "title": "New" } }, "beckon": { "v": 1 } })
            .to_string()
            .into_bytes(),
    }
}

/// A provider token made so many seconds ago.
pub(super) fn apns_token(rig: &Rig, age_secs: i64) -> String {
    let apns = &rig.settings().apns;
    let pem = fs::read_to_string(&apns.key_file).unwrap();
    sign_es256(
        &pem,
        &json!({ "kid": apns.key_id }),
        &json!({ "iss": apns.team_id, "iat": now(rig) - age_secs }),
    )
}

/// A service account file.
pub(super) fn account(rig: &Rig) -> Value {
    serde_json::from_str(&fs::read_to_string(&rig.settings().fcm.service_account_file).unwrap())
        .unwrap()
}

/// Good claims of an assertion.
pub(super) fn assertion_claims(rig: &Rig) -> Value {
    json!({
        "iss": account(rig)["client_email"],
        "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": now(rig),
        "exp": now(rig) + 3600,
    })
}

/// A request for an FCM access token with these claims.
pub(super) fn fcm_token_request(rig: &Rig, claims: &Value) -> Draft {
    let account = account(rig);
    let header = json!({ "kid": account["private_key_id"] });
    let assertion = sign_rs256(account["private_key"].as_str().unwrap(), &header, claims);
    form(
        &rig.settings().fcm.token_endpoint,
        &[
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", &assertion),
        ],
    )
}

/// A good request for a WNS access token.
pub(super) fn wns_token_request(rig: &Rig) -> Draft {
    let wns = &rig.settings().wns;
    form(
        &wns.token_endpoint,
        &[
            ("grant_type", "client_credentials"),
            ("client_id", &wns.client_id),
            (
                "client_secret",
                &fs::read_to_string(&wns.client_secret_file).unwrap(),
            ),
            ("scope", "https://wns.windows.com/.default"),
        ],
    )
}

pub(super) fn form(uri: &str, fields: &[(&str, &str)]) -> Draft {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    Draft {
        method: "POST",
        uri: uri.to_owned(),
        headers: vec![(
            "content-type",
            "application/x-www-form-urlencoded".to_owned(),
        )],
        body: body.into_bytes(),
    }
}

/// A good FCM message to this device.
pub(super) async fn fcm_push(rig: &Rig, device: &Device) -> Draft {
    let Channel::Fcm { registration_token } = &device.channel else {
        panic!("{device:?}")
    };
    let granted = rig
        .send1(&fcm_token_request(rig, &assertion_claims(rig)))
        .await
        .unwrap();
    let token = granted.json()["access_token"]
        .as_str()
        .unwrap_or_else(|| panic!("{granted:?}"))
        .to_owned();
    let project = account(rig)["project_id"].as_str().unwrap().to_owned();
    let message = json!({ "message": { "token": registration_token, "data": { "beckon": "1" }, "android": { "priority": "high", "ttl": "60s" } } });
    Draft {
        method: "POST",
        uri: format!(
            "{}/v1/projects/{project}/messages:send",
            rig.settings().fcm.endpoint
        ),
        headers: vec![
            ("content-type", "application/json".to_owned()),
            ("authorization", format!("Bearer {token}")),
        ],
        body: message.to_string().into_bytes(),
    }
}

/// A good raw WNS push to this device.
pub(super) async fn wns_push(rig: &Rig, device: &Device) -> Draft {
    let Channel::Wns { channel_uri } = &device.channel else {
        panic!("{device:?}")
    };
    let granted = rig.send1(&wns_token_request(rig)).await.unwrap();
    let token = granted.json()["access_token"]
        .as_str()
        .unwrap_or_else(|| panic!("{granted:?}"))
        .to_owned();
    Draft {
        method: "POST",
        uri: channel_uri.clone(),
        headers: vec![
            ("authorization", format!("Bearer {token}")),
            ("content-type", "application/octet-stream".to_owned()),
            ("x-wns-type", "wns/raw".to_owned()),
            ("x-wns-cache-policy", "cache".to_owned()),
        ],
        body: b"{\"beckon\":{\"v\":1}}".to_vec(),
    }
}

/// Good VAPID claims.
pub(super) fn vapid_claims(rig: &Rig) -> Value {
    let origin = format!("https://{}", rig.settings().web_push.host);
    json!({ "aud": origin, "exp": now(rig) + 12 * 3600, "sub": "mailto:ops@example.com" })
}

/// A good Web Push to this browser from the server with this key pair.
pub(super) fn web_push(
    rig: &Rig,
    device: &Device,
    (pem, public): &(String, String),
    text: &str,
) -> Draft {
    let Channel::WebPush { endpoint, keys, .. } = &device.channel else {
        panic!("{device:?}")
    };
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    super::super::ciphers::install();
    let body = ece::encrypt(&decode(&keys.p256dh), &decode(&keys.auth), text.as_bytes()).unwrap();
    let token = sign_es256(pem, &json!({}), &vapid_claims(rig));
    Draft {
        method: "POST",
        uri: endpoint.clone(),
        headers: vec![
            ("authorization", format!("vapid t={token}, k={public}")),
            ("ttl", "60".to_owned()),
            ("content-encoding", "aes128gcm".to_owned()),
        ],
        body,
    }
}
