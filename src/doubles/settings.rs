//! What a hub must be told to reach the doubles instead of the real services.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Comments of the sections, each with the first key of what may stand in place of the keys above.
const CERTIFICATE: &str = "# or, in place of key_file, key_id and team_id:\n#certificate_file";
const OLDER_LOGIN: &str =
    "# or, in place of these four, the Partner Center's older login:\n#client_id";

/// Ports of the five listeners on 127.0.0.1. 0 is the port of the last start in the same folder if it is free, else any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Ports {
    /// APNs, HTTP/2 over TLS.
    pub apns: u16,
    /// FCM and its token endpoint, HTTP/2 or HTTP/1.1 over TLS.
    pub fcm: u16,
    /// Web Push, HTTP/2 or HTTP/1.1 over TLS.
    pub web_push: u16,
    /// WNS and its token endpoint, HTTP/1.1 over TLS.
    pub wns: u16,
    /// The JSON and SSE door, plain HTTP/1.1.
    pub api: u16,
}

/// Everything a sender needs to reach the doubles: addresses, names of the accounts, and where the secrets lie.
///
/// Files are absolute paths if the folder was given as one. No secret stands here, only files that hold them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// PEM file of the authority that signed the doubles' certificate; made at the first start, for loopback names only.
    pub ca_file: PathBuf,
    /// Base address of the JSON API, for instance `http://127.0.0.1:40005`.
    pub api: String,
    /// The APNs double.
    pub apns: ApnsSettings,
    /// The FCM double.
    pub fcm: FcmSettings,
    /// The Web Push double.
    pub web_push: WebPushSettings,
    /// The WNS double.
    pub wns: WnsSettings,
}

/// How to reach the APNs double.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApnsSettings {
    /// `https://127.0.0.1:PORT`.
    pub endpoint: String,
    /// PKCS#8 PEM of the signing key, as Apple hands it out (`.p8`).
    pub key_file: PathBuf,
    /// Goes into the provider token's `kid`; 10 characters.
    pub key_id: String,
    /// Goes into the provider token's `iss`; 10 characters.
    pub team_id: String,
    /// PEM file of a client certificate for the topic and its key, in place of the signing key.
    pub certificate_file: PathBuf,
    /// The app's bundle id.
    pub topic: String,
}

/// How to reach the FCM double.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FcmSettings {
    /// `https://127.0.0.1:PORT`.
    pub endpoint: String,
    /// Where assertions are exchanged; the assertion's `aud` stays the `token_uri` of the service account file.
    pub token_endpoint: String,
    /// The service account's JSON key file.
    pub service_account_file: PathBuf,
}

/// How to reach the Web Push double.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebPushSettings {
    /// `127.0.0.1:PORT`, to be allowed by the sender.
    pub host: String,
}

/// How to reach the WNS double.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WnsSettings {
    /// Where client credentials are exchanged.
    pub token_endpoint: String,
    /// The Entra tenant.
    pub tenant_id: String,
    /// The Entra application.
    pub client_id: String,
    /// File with the client secret, without a line end.
    pub client_secret_file: PathBuf,
    /// The older login, in place of the Entra application: where client credentials are exchanged.
    pub older_token_endpoint: String,
    /// The Package SID of the Partner Center's app, which is its client id.
    pub package_sid: String,
    /// File with its client secret, without a line end.
    pub package_secret_file: PathBuf,
    /// `127.0.0.1:PORT`, to be allowed by the sender.
    pub host: String,
}

impl Settings {
    /// The service sections of one `[[app]]` of a hub's configuration, ready to be appended after the app's own keys.
    ///
    /// TOML text of the sections `[app.apns]`, `[app.fcm]`, `[app.webpush]` and `[app.wns]`. The other ways to log in to APNs
    /// and WNS stand there as comments.
    #[must_use]
    pub fn app_toml(&self) -> String {
        let Self {
            ca_file,
            apns,
            fcm,
            web_push,
            wns,
            ..
        } = self;
        let mut text = String::new();
        section(&mut text, "apns", ca_file, |row| {
            row("key_file", &path(&apns.key_file));
            row("key_id", &apns.key_id);
            row("team_id", &apns.team_id);
            row(CERTIFICATE, &path(&apns.certificate_file));
            row("topic", &apns.topic);
            row("environment", "production");
            row("endpoint", &apns.endpoint);
        });
        section(&mut text, "fcm", ca_file, |row| {
            row("service_account_file", &path(&fcm.service_account_file));
            row("endpoint", &fcm.endpoint);
            row("token_endpoint", &fcm.token_endpoint);
        });
        section(&mut text, "webpush", ca_file, |row| {
            row("subject", "mailto:ops@example.com")
        });
        hosts(&mut text, &web_push.host);
        section(&mut text, "wns", ca_file, |row| {
            row("tenant_id", &wns.tenant_id);
            row("client_id", &wns.client_id);
            row("client_secret_file", &path(&wns.client_secret_file));
            row("token_endpoint", &wns.token_endpoint);
            row(OLDER_LOGIN, &wns.package_sid);
            row("#client_secret_file", &path(&wns.package_secret_file));
            row("#token_endpoint", &wns.older_token_endpoint);
        });
        hosts(&mut text, &wns.host);
        text
    }
}

fn section(
    text: &mut String,
    name: &str,
    ca_file: &Path,
    rows: impl Fn(&mut dyn FnMut(&str, &str)),
) {
    let _ = writeln!(text, "[app.{name}]");
    rows(&mut |key, value| {
        let _ = writeln!(text, "{key} = {}", quoted(value));
    });
    let _ = writeln!(text, "ca_file = {}", quoted(&path(ca_file)));
}

fn hosts(text: &mut String, host: &str) {
    let _ = writeln!(text, "allowed_hosts = [{}]", quoted(host));
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A TOML string; the library does the escaping, since a folder may have any name.
fn quoted(value: &str) -> String {
    toml::Value::String(value.to_owned()).to_string()
}
