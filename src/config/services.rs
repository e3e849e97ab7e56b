//! The push services of one app, and the files with their credentials.

use toml::{Spanned, Value};
use url::Url;

use super::{
    apps::{Apns, Fcm, HostRule, WebPush, Wns},
    files::{self, file},
    raw,
    reader::{Needed, Reader},
    value::{Shown, choice, flag, list, service_url, text},
};
use crate::model::ApnsEnvironment;

/// Reads `[app.apns]`; none where it has a fault, which has been noted.
pub(super) fn apns(reader: &mut Reader<'_>, raw: Spanned<raw::Apns>) -> Option<Apns> {
    const ENVIRONMENTS: &[(&str, ApnsEnvironment)] = &[
        ("production", ApnsEnvironment::Production),
        ("sandbox", ApnsEnvironment::Sandbox),
    ];
    let need = needs(&raw);
    let raw = raw.into_inner();
    let folder = reader.folder();
    let key = need(
        "app.apns.key_file",
        r#"the path of Apple's key, for instance "AuthKey_ABC123DEFG.p8""#,
    );
    let key = reader.required(key, raw.key_file, file(folder, files::p256_key));
    let key_id = need(
        "app.apns.key_id",
        r#"the key's id as Apple shows it, for instance "ABC123DEFG""#,
    );
    let key_id = reader.required(key_id, raw.key_id, ten_characters);
    let team_id = need(
        "app.apns.team_id",
        r#"your team's id as Apple shows it, for instance "DEF123GHIJ""#,
    );
    let team_id = reader.required(team_id, raw.team_id, ten_characters);
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
        key: key?,
        key_id: key_id?,
        team_id: team_id?,
        topic: topic?,
        sound,
        category,
        environment: environment.unwrap_or(ApnsEnvironment::Production),
        endpoint,
        ca,
    })
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
    let ca = reader.optional(
        "app.webpush.ca_file",
        raw.ca_file,
        file(folder, files::roots),
    );
    Some(WebPush {
        subject: subject?,
        key,
        allowed_hosts: allowed.unwrap_or_default(),
        ca,
    })
}

/// Reads `[app.wns]`, likewise.
pub(super) fn wns(reader: &mut Reader<'_>, raw: Spanned<raw::Wns>) -> Option<Wns> {
    let need = needs(&raw);
    let raw = raw.into_inner();
    let folder = reader.folder();
    let tenant_id = need(
        "app.wns.tenant_id",
        "the directory (tenant) id that the Entra admin center shows \
         (a Partner Center secret without a tenant does not work yet)",
    );
    let tenant_id = reader.required(tenant_id, raw.tenant_id, path_segment);
    let client_id = need(
        "app.wns.client_id",
        "the application (client) id that the Entra admin center shows",
    );
    let client_id = reader.required(client_id, raw.client_id, text);
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
        tenant_id: tenant_id?,
        client_id: client_id?,
        client_secret: secret?,
        token_endpoint,
        allowed_hosts: allowed.unwrap_or_default(),
        placeholder_toast: toast.unwrap_or(true),
        ca,
    })
}

/// Makes [`Needed`] keys of the section `raw`.
fn needs<T>(raw: &Spanned<T>) -> impl Fn(&'static str, &'static str) -> Needed + use<T> {
    let section_at = raw.span().start;
    move |key, write| Needed {
        section_at,
        key,
        write,
    }
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

/// RFC 8292, section 2.1; a contact that cannot be one is refused by some push services at each push.
fn subject_text(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    let mail = text.strip_prefix("mailto:").is_some_and(|address| {
        let parts = address.split_once('@');
        let whole = parts.is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
        whole && !address.contains(char::is_whitespace)
    });
    if mail || Url::parse(&text).is_ok_and(|url| url.scheme() == "https") {
        return Ok(text);
    }
    Err(format!(
        r#"{} is not a contact; write for instance "mailto:ops@example.com" or "https://example.com/contact""#,
        Shown(value)
    ))
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
mod tests {
    use super::*;

    #[test]
    fn subjects() {
        let check = |input: &str, good: bool| {
            assert_eq!(
                subject_text(&Value::String(input.into())).is_ok(),
                good,
                "{input}"
            );
        };
        check("mailto:ops@example.com", true);
        check("https://example.com/contact", true);
        check("mailto:ops", false);
        check("mailto:@example.com", false);
        check("mailto:a b@example.com", false);
        check("http://example.com", false);
        check("ops@example.com", false);
    }
}
