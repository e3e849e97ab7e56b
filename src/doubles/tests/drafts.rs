//! Good requests to each service, signed and encrypted by hand, to be spoilt.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::super::{Channel, Device};
use super::support::{Draft, Rig};

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

/// A good request for a WNS access token of the older login.
pub(super) fn wns_older_token_request(rig: &Rig) -> Draft {
    let wns = &rig.settings().wns;
    form(
        &wns.older_token_endpoint,
        &[
            ("grant_type", "client_credentials"),
            ("client_id", &wns.package_sid),
            (
                "client_secret",
                &fs::read_to_string(&wns.package_secret_file).unwrap(),
            ),
            ("scope", "notify.windows.com"),
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
    wns_push_by(rig, channel_uri, &wns_token_request(rig)).await
}

/// A good raw WNS push to this channel with a token that is asked for so.
pub(super) async fn wns_push_by(rig: &Rig, channel_uri: &str, asking: &Draft) -> Draft {
    let granted = rig.send1(asking).await.unwrap();
    let token = granted.json()["access_token"]
        .as_str()
        .unwrap_or_else(|| panic!("{granted:?}"))
        .to_owned();
    Draft {
        method: "POST",
        uri: channel_uri.to_owned(),
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
