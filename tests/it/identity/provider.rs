//! An identity provider of our own: signs tokens by each algorithm, and serves its keys over TLS.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http_body_util::Full;
use hyper::{Response, body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};
use tokio_rustls::TlsAcceptor;

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key that tokens are signed with.
pub enum SigningKey {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl SigningKey {
    pub fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub fn ec() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub fn ed() -> Self {
        Self::Ed(Ed25519KeyPair::generate().unwrap())
    }

    /// Its public half as a JWK (RFC 7517) named `kid`.
    pub fn jwk(&self, kid: &str) -> Value {
        let mut jwk = match self {
            Self::Rsa(pair) => {
                let public = pair.public_key();
                let number = |it: &[u8]| base64url(it);
                json!({
                    "kty": "RSA",
                    "n": number(public.modulus().big_endian_without_leading_zero()),
                    "e": number(public.exponent().big_endian_without_leading_zero()),
                })
            }
            Self::Ec(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": base64url(&point[1..33]), "y": base64url(&point[33..])})
            }
            Self::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key())})
            }
        };
        jwk["kid"] = kid.into();
        jwk
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let padding: &'static dyn aws_lc_rs::signature::RsaEncoding = match algorithm {
                    "PS256" => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Self::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A token with this header beside `alg`, and these claims.
    pub fn token(&self, algorithm: &str, more: Value, claims: &Value) -> String {
        let message = unsigned(algorithm, more, claims);
        let signature = self.sign(algorithm, message.as_bytes());
        format!("{message}.{}", base64url(signature))
    }
}

/// A token that is signed with HMAC by what everybody knows: the letters of a public key.
pub fn hmac_token(public: &Value, claims: &Value) -> String {
    let message = unsigned("HS256", json!({"kid": public["kid"]}), claims);
    let key = hmac::Key::new(hmac::HMAC_SHA256, public["n"].as_str().unwrap().as_bytes());
    format!(
        "{message}.{}",
        base64url(hmac::sign(&key, message.as_bytes()))
    )
}

/// Header and claims, as they are signed.
pub fn unsigned(algorithm: &str, more: Value, claims: &Value) -> String {
    let mut header = json!({"alg": algorithm, "typ": "JWT"});
    for (name, value) in more.as_object().unwrap() {
        header[name] = value.clone();
    }
    format!(
        "{}.{}",
        base64url(header.to_string()),
        base64url(claims.to_string())
    )
}

/// Serves a JWK Set over TLS on loopback.
pub struct Provider {
    pub url: String,
    pub ca: Vec<u8>,
    state: Arc<State>,
}

struct State {
    keys: Mutex<Value>,
    asked: AtomicUsize,
    down: AtomicBool,
    /// Whether answers wait.
    holds: watch::Sender<bool>,
}

impl Provider {
    pub async fn start(keys: Value) -> Self {
        let pair = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![String::from("127.0.0.1")]).unwrap();
        let issued = params.self_signed(&pair).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ));
        let key = PrivateKeyDer::from_pem_slice(pair.serialize_pem().as_bytes()).unwrap();
        let chain = vec![CertificateDer::from(issued.der().to_vec())];
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = config
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/jwks", listener.local_addr().unwrap());
        let state = Arc::new(State {
            keys: Mutex::new(keys),
            asked: AtomicUsize::new(0),
            down: AtomicBool::new(false),
            holds: watch::Sender::new(false),
        });
        tokio::spawn(serve(listener, acceptor, Arc::clone(&state)));
        let ca = issued.pem().into_bytes();
        Self { url, ca, state }
    }

    pub fn set_keys(&self, keys: Value) {
        *self.state.keys.lock().unwrap() = keys;
    }

    pub fn set_down(&self, down: bool) {
        self.state.down.store(down, Ordering::SeqCst);
    }

    /// Has who asks wait, or go on.
    pub fn hold(&self, holds: bool) {
        self.state.holds.send_replace(holds);
    }

    /// How often its keys were asked for.
    pub fn asked(&self) -> usize {
        self.state.asked.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, state: Arc<State>) {
    while let Ok((tcp, _)) = listener.accept().await {
        let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            let Ok(tls) = acceptor.accept(tcp).await else {
                return;
            };
            let answer = service_fn(move |_| {
                state.asked.fetch_add(1, Ordering::SeqCst);
                let keys = state.keys.lock().unwrap().to_string();
                let status = if state.down.load(Ordering::SeqCst) {
                    503
                } else {
                    200
                };
                let answer = Response::builder()
                    .status(status)
                    .header("cache-control", "max-age=300")
                    .body(Full::new(Bytes::from(keys)));
                let mut holds = state.holds.subscribe();
                async move {
                    holds.wait_for(|holds| !holds).await.unwrap();
                    Ok::<_, Infallible>(answer.unwrap())
                }
            });
            let _may_be_cut = http1::Builder::new()
                .keep_alive(false)
                .serve_connection(TokioIo::new(tls), answer)
                .await;
        });
    }
}
