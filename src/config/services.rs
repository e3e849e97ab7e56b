//! The push services of one app, and the files with their credentials.

use std::net::IpAddr;

use toml::{Spanned, Value};
use url::Url;

use super::{
    Certificate,
    apps::{Apns, ApnsLogin, Fcm, HostRule, Hosts, WebPush, Wns},
    certificate,
    files::{self, file},
    raw,
    reader::{Needed, Reader, needs},
    value::{Shown, choice, flag, list, service_url, text},
};
use crate::model::ApnsEnvironment;

const HOSTS: &[(&str, Hosts)] = &[("known", Hosts::Known), ("public", Hosts::Public)];

/// How client ids of the Partner Center begin (Microsoft, "Windows Push Notification Services overview").
const PACKAGE_SID: &str = "ms-app://";

/// Reads `[app.apns]`; none where it has a fault, which has been noted.
pub(super) fn apns(reader: &mut Reader<'_>, raw: Spanned<raw::Apns>) -> Option<Apns> {
    const ENVIRONMENTS: &[(&str, ApnsEnvironment)] = &[
        ("production", ApnsEnvironment::Production),
        ("sandbox", ApnsEnvironment::Sandbox),
    ];
    let need = needs(&raw);
    let mut raw = raw.into_inner();
    let folder = reader.folder();
    let login = login(reader, &mut raw, need("", "").section_at);
    let topic = need(
        "app.apns.topic",
        r#"the app's bundle id, for instance "com.example.todo""#,
    );
    let topic = reader.required(topic, raw.topic, text);
    let sound = reader.optional("app.apns.sound", raw.sound, text);
    let category = reader.optional("app.apns.category", raw.category, text);
    let environment = reader.optional(
        "app.apns.environment",
        raw.environment,
        choice(ENVIRONMENTS),
    );
    let endpoint = reader.optional("app.apns.endpoint", raw.endpoint, service_url);
    let ca = reader.optional("app.apns.ca_file", raw.ca_file, file(folder, files::roots));
    Some(Apns {
        login: login?,
        topic: topic?,
        sound,
        category,
        environment: environment.unwrap_or(ApnsEnvironment::Production),
        endpoint,
        ca,
    })
}

/// How the hub proves to Apple who it is: by a token's key, or by a certificate.
fn login(reader: &mut Reader<'_>, raw: &mut raw::Apns, section_at: usize) -> Option<ApnsLogin> {
    let need = |key, write| Needed {
        section_at,
        key,
        write,
    };
    if let Some(certificate) = raw.certificate_file.take() {
        return by_certificate(reader, raw, certificate);
    }
    let folder = reader.folder();
    let key = need(
        "app.apns.key_file",
        r#"the path of Apple's key, for instance "AuthKey_ABC123DEFG.p8", or certificate_file in its place"#,
    );
    let key = reader.required(key, raw.key_file.take(), file(folder, files::p256_key));
    let key_id = need(
        "app.apns.key_id",
        r#"the key's id as Apple shows it, for instance "ABC123DEFG""#,
    );
    let key_id = reader.required(key_id, raw.key_id.take(), ten_characters);
    let team_id = need(
        "app.apns.team_id",
        r#"your team's id as Apple shows it, for instance "DEF123GHIJ""#,
    );
    let team_id = reader.required(team_id, raw.team_id.take(), ten_characters);
    Some(ApnsLogin::Token {
        key: key?,
        key_id: key_id?,
        team_id: team_id?,
    })
}

/// A certificate, with its key in the same file or in `key_file`.
fn by_certificate(
    reader: &mut Reader<'_>,
    raw: &mut raw::Apns,
    certificate: Spanned<Value>,
) -> Option<ApnsLogin> {
    let folder = reader.folder();
    for (key, leaf) in [
        ("app.apns.key_id", raw.key_id.take()),
        ("app.apns.team_id", raw.team_id.take()),
    ] {
        if let Some(leaf) = leaf {
            let reason = "belongs to a key that signs tokens; leave it out beside certificate_file, or leave certificate_file out";
            reader.fault(leaf.span().start, key, reason);
        }
    }
    let at = certificate.span().start;
    let name = "app.apns.certificate_file";
    let looked = file(folder, |pem| {
        certificate::chain(&pem).map(|facts| (pem, facts))
    });
    let (pem, facts) = reader.optional(name, Some(certificate), looked)?;
    let key = match raw.key_file.take() {
        Some(leaf) => {
            let look = file(folder, certificate::private_key);
            reader.optional("app.apns.key_file", Some(leaf), look)?
        }
        None if certificate::has_key(&pem) => pem.clone(),
        None => {
            let reason =
                "holds no private key; add the key to the file, or write its path as key_file";
            reader.fault(at, name, reason);
            return None;
        }
    };
    Some(ApnsLogin::Certificate(Certificate {
        chain: pem.expose().clone(),
        key,
        facts,
    }))
}

/// Reads `[app.fcm]`, likewise.
pub(super) fn fcm(reader: &mut Reader<'_>, raw: Spanned<raw::Fcm>) -> Option<Fcm> {
    let need = needs(&raw);
    let raw = raw.into_inner();
    let folder = reader.folder();
    let channel_id = reader.optional("app.fcm.channel_id", raw.channel_id, text);
    let endpoint = reader.optional("app.fcm.endpoint", raw.endpoint, service_url);
    let elsewhere = raw.token_endpoint.is_some();
    let token_endpoint = reader.optional("app.fcm.token_endpoint", raw.token_endpoint, service_url);
    let ca = reader.optional("app.fcm.ca_file", raw.ca_file, file(folder, files::roots));
    let account = need(
        "app.fcm.service_account_file",
        r#"the path of the service account's JSON, for instance "service-account.json""#,
    );
    let look = file(folder, |json| {
        let account = files::service_account(json)?;
        if elsewhere || files::is_google(&account.token_uri) {
            return Ok(account);
        }
        Err("has a token_uri that is not https://….googleapis.com; take the file as the Firebase console gives it, \
             or set app.fcm.token_endpoint to where tokens are to be asked for".to_owned())
    });
    let account = reader.required(account, raw.service_account_file, look)?;
    Some(Fcm {
        project_id: account.project_id,
        client_email: account.client_email,
        private_key: account.private_key,
        private_key_id: account.private_key_id,
        token_uri: account.token_uri,
        channel_id,
        endpoint,
        token_endpoint,
        ca,
    })
}

/// Reads `[app.webpush]`, likewise.
pub(super) fn web_push(reader: &mut Reader<'_>, raw: Spanned<raw::WebPush>) -> Option<WebPush> {
    let need = needs(&raw);
    let raw = raw.into_inner();
    let folder = reader.folder();
    let subject = need(
        "app.webpush.subject",
        r#"where push services reach you, for instance "mailto:ops@example.com""#,
    );
    let subject = reader.required(subject, raw.subject, subject_text);
    let key = reader.optional(
        "app.webpush.key_file",
        raw.key_file,
        file(folder, files::p256_key),
    );
    let allowed = reader.optional(
        "app.webpush.allowed_hosts",
        raw.allowed_hosts,
        list(host_rule),
    );
    let hosts = reader.optional("app.webpush.hosts", raw.hosts, choice(HOSTS));
    let ca = reader.optional(
        "app.webpush.ca_file",
        raw.ca_file,
        file(folder, files::roots),
    );
    Some(WebPush {
        subject: subject?,
        key,
        allowed_hosts: allowed.unwrap_or_default(),
        hosts: hosts.unwrap_or_default(),
        ca,
    })
}

/// Reads `[app.wns]`, likewise.
pub(super) fn wns(reader: &mut Reader<'_>, raw: Spanned<raw::Wns>) -> Option<Wns> {
    let section_at = raw.span().start;
    let need = needs(&raw);
    let raw = raw.into_inner();
    let folder = reader.folder();
    let tenant_at = raw.tenant_id.as_ref().map(|leaf| leaf.span().start);
    let tenant_id = reader.optional("app.wns.tenant_id", raw.tenant_id, path_segment);
    let client_id = need(
        "app.wns.client_id",
        "the application (client) id that the Entra admin center shows, or, without tenant_id, the Package SID that the Partner Center shows",
    );
    let client_at = raw.client_id.as_ref().map(|leaf| leaf.span().start);
    let client_id = reader.required(client_id, raw.client_id, text);
    let is_sid = client_id.as_deref().map(|id| id.starts_with(PACKAGE_SID));
    match (tenant_at, client_at, is_sid) {
        (Some(at), _, Some(true)) => reader.fault(
            at,
            "app.wns.tenant_id",
            "does not go with a Package SID as client_id; leave it out, or write Entra's client id",
        ),
        (None, Some(_), Some(false)) => reader.fault(
            section_at,
            "app.wns.tenant_id",
            "is missing; write the directory (tenant) id that the Entra admin center shows, or a Package SID (ms-app://S-1-15-2-…) as client_id for the Partner Center's older login",
        ),
        _ => {}
    }
    let secret = need(
        "app.wns.client_secret_file",
        r#"the path of a file with the client secret, for instance "wns-secret.txt""#,
    );
    let secret = reader.required(secret, raw.client_secret_file, file(folder, files::line));
    let token_endpoint = reader.optional("app.wns.token_endpoint", raw.token_endpoint, service_url);
    let allowed = reader.optional("app.wns.allowed_hosts", raw.allowed_hosts, list(host_rule));
    let toast = reader.optional("app.wns.placeholder_toast", raw.placeholder_toast, flag);
    let ca = reader.optional("app.wns.ca_file", raw.ca_file, file(folder, files::roots));
    Some(Wns {
        tenant_id,
        client_id: client_id?,
        client_secret: secret?,
        token_endpoint,
        allowed_hosts: allowed.unwrap_or_default(),
        placeholder_toast: toast.unwrap_or(true),
        ca,
    })
}

fn ten_characters(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    if text.len() == 10 && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Ok(text);
    }
    Err(format!(
        "{} is not ten letters and digits; write it as Apple shows it",
        Shown(value)
    ))
}

/// The tenant becomes part of the token endpoint's path.
fn path_segment(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
    if text.bytes().all(good) && !text.starts_with('.') {
        return Ok(text);
    }
    Err(format!(
        "{} is not a tenant; write its id or its domain",
        Shown(value)
    ))
}

fn subject_text(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    if is_contact(&text) {
        return Ok(text);
    }
    Err(format!(
        r#"{} is not a contact that push services believe; write for instance "mailto:ops@example.com" or "https://example.com/contact", at a host that the internet can reach"#,
        Shown(value)
    ))
}

/// Whether push services believe a contact (RFC 8292, section 2.1): `mailto:` with an address at a routable host,
/// without blanks or brackets, or an `https:` URL. Apple refuses tokens with another, each push anew, with a word that
/// names something else.
pub fn is_contact(subject: &str) -> bool {
    let host = match subject.split_once(':') {
        Some(("mailto", address)) => address
            .rsplit_once('@')
            .filter(|(name, _)| !name.is_empty())
            .map(|(_, host)| host.trim_end_matches('.').to_ascii_lowercase()),
        Some(("https", _)) => Url::parse(subject).ok().and_then(|url| {
            url.host_str()
                .map(|host| host.trim_end_matches('.').to_owned())
        }),
        _ => None,
    };
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>');
    let here = |host: &str| {
        let literal = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let literal = literal.map(|ip| ip.to_canonical());
        literal.is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
    };
    let unroutable = |host: &str| {
        host.is_empty()
            || here(host)
            || host == "localhost"
            || host.ends_with(".localhost")
            || host.ends_with(".invalid")
    };
    host.is_some_and(|host| !subject.contains(odd) && !unroutable(&host))
}

fn host_rule(value: &Value) -> Result<HostRule, String> {
    HostRule::parse(&text(value)?).ok_or_else(|| {
        format!(
            r#"{} is not a host; write for instance "push.example.net", "*.example.net" or "127.0.0.1:9443""#,
            Shown(value)
        )
    })
}

#[cfg(test)]
#[path = "services_tests.rs"]
mod tests;
