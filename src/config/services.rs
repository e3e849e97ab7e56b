//! `[[app]]`: one app after another, each with its push services.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use toml::{Spanned, Value};
use url::Url;

use super::{
    apps::{Apns, App, Badge, Fcm, HostRule, Placeholder, Privacy, WebPush, Wns},
    files::{self, file},
    raw,
    reader::{Needed, Reader},
    value::{Shown, choice, flag, list, service_url, text},
};
use crate::model::{ApnsEnvironment, AppHost, VisualContent};

/// What a push says that is not the content, where the app has no words of its own.
const PLACEHOLDER_TITLE: &str = "New notification";
/// Long enough for a sentence, short enough to leave room in a push of 4096 bytes.
const MAX_PLACEHOLDER_TITLE_BYTES: usize = 256;
const MAX_PLACEHOLDER_BODY_BYTES: usize = 1024;

/// Reads the apps; a host that comes twice is a fault of the second.
pub(super) fn apps(reader: &mut Reader<'_>, raw: Vec<Spanned<raw::App>>) -> Vec<Arc<App>> {
    let mut hosts = HashSet::new();
    let mut apps = Vec::new();
    for section in raw {
        let at = section.span().start;
        let Some(app) = app(reader, at, section.into_inner()) else {
            continue;
        };
        if hosts.insert(app.host.clone()) {
            apps.push(Arc::new(app));
        } else {
            let reason = format!(
                "{} has an [[app]] already; write one for each host",
                app.host
            );
            reader.fault(at, "app.host", reason);
        }
    }
    apps
}

fn app(reader: &mut Reader<'_>, at: usize, raw: raw::App) -> Option<App> {
    const PRIVACIES: &[(&str, Privacy)] = &[("tap", Privacy::Tap), ("direct", Privacy::Direct)];
    const BADGES: &[(&str, Badge)] = &[("none", Badge::None), ("unread", Badge::Unread)];
    let host = Needed {
        section_at: at,
        key: "app.host",
        write: r#"the app's name, for instance "todo.example.com""#,
    };
    let host = reader.required(host, raw.host, |value| {
        AppHost::parse(&text(value)?).map_err(|reason| format!("{} {reason}", Shown(value)))
    });
    let privacy = reader.optional("app.privacy", raw.privacy, choice(PRIVACIES));
    let badge = reader.optional("app.badge", raw.badge, choice(BADGES));
    let origins = reader.optional("app.origins", raw.origins, list(origin));
    let default = match raw.placeholder {
        Some(raw) => words(reader, "app.placeholder", raw),
        None => Some(usual_placeholder()),
    };
    let by_locale = by_locale(reader, raw.placeholders);
    let apns = raw.apns.map(|raw| apns(reader, raw));
    let fcm = raw.fcm.map(|raw| fcm(reader, raw));
    let web_push = raw.webpush.map(|raw| web_push(reader, raw));
    let wns = raw.wns.map(|raw| wns(reader, raw));
    Some(App {
        host: host?,
        privacy: privacy.unwrap_or_default(),
        placeholder: Placeholder {
            default: default?,
            by_locale,
        },
        origins: origins.unwrap_or_default(),
        badge: badge.unwrap_or_default(),
        apns: apns.flatten().map(Arc::new),
        fcm: fcm.flatten().map(Arc::new),
        web_push: web_push.flatten().map(Arc::new),
        wns: wns.flatten().map(Arc::new),
    })
}

fn usual_placeholder() -> VisualContent {
    VisualContent {
        title: PLACEHOLDER_TITLE.into(),
        body: None,
    }
}

/// A placeholder's title and body; an empty body is none.
fn words(reader: &mut Reader<'_>, key: &str, raw: Spanned<raw::Text>) -> Option<VisualContent> {
    let at = raw.span().start;
    let raw = raw.into_inner();
    let (title_key, body_key) = (format!("{key}.title"), format!("{key}.body"));
    if raw.title.is_none() {
        let reason = format!("is missing; write for instance {PLACEHOLDER_TITLE:?}");
        reader.fault(at, &title_key, reason);
    }
    let title = reader.optional(&title_key, raw.title, |value| {
        short(text(value)?, MAX_PLACEHOLDER_TITLE_BYTES)
    });
    let body = reader.optional(&body_key, raw.body, |value| match value.as_str() {
        Some("") => Ok(None),
        _ => short(text(value)?, MAX_PLACEHOLDER_BODY_BYTES).map(Some),
    });
    Some(VisualContent {
        title: title?,
        body: body.flatten(),
    })
}

fn short(text: String, max_bytes: usize) -> Result<String, String> {
    if text.len() <= max_bytes {
        return Ok(text);
    }
    Err(format!(
        "is {} bytes long; write at most {max_bytes}",
        text.len()
    ))
}

fn by_locale(
    reader: &mut Reader<'_>,
    raw: BTreeMap<String, Spanned<raw::Text>>,
) -> BTreeMap<String, VisualContent> {
    let mut by_locale = BTreeMap::new();
    for (tag, section) in raw {
        let at = section.span().start;
        let key = format!("app.placeholders.{tag}");
        let good = |part: &str| {
            (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        if !tag.split('-').all(good) {
            reader.fault(
                at,
                &key,
                r#"is not a language tag; write for instance "de" or "de-CH""#,
            );
        }
        let Some(words) = words(reader, &key, section) else {
            continue;
        };
        if by_locale.insert(tag.to_ascii_lowercase(), words).is_some() {
            reader.fault(
                at,
                &key,
                "stands there twice; upper and lower case are the same",
            );
        }
    }
    by_locale
}

/// A browser's origin, as browsers write it: the scheme and host in lower case, the scheme's own port left out.
fn origin(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    if text.contains('*') {
        return Err(
            "may not hold *; write each origin, for instance \"https://todo.example.com\"".into(),
        );
    }
    let bad = || {
        format!(
            r#"{} is not an origin; write scheme://host[:port] and no path, for instance "https://todo.example.com""#,
            Shown(value)
        )
    };
    let url = Url::parse(&text).map_err(|_| bad())?;
    let host = url
        .host_str()
        .filter(|host| !host.is_empty())
        .ok_or_else(bad)?;
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let origin = format!("{}://{host}{port}", url.scheme()).to_ascii_lowercase();
    // Whatever else the text holds (path, query, password) has made the URL longer than its origin.
    let bare = url
        .as_str()
        .trim_end_matches('/')
        .eq_ignore_ascii_case(&origin);
    (bare && !text.ends_with('/'))
        .then_some(origin)
        .ok_or_else(bad)
}

fn apns(reader: &mut Reader<'_>, raw: Spanned<raw::Apns>) -> Option<Apns> {
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

fn fcm(reader: &mut Reader<'_>, raw: Spanned<raw::Fcm>) -> Option<Fcm> {
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

fn web_push(reader: &mut Reader<'_>, raw: Spanned<raw::WebPush>) -> Option<WebPush> {
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

fn wns(reader: &mut Reader<'_>, raw: Spanned<raw::Wns>) -> Option<Wns> {
    let need = needs(&raw);
    let raw = raw.into_inner();
    let folder = reader.folder();
    let tenant_id = need(
        "app.wns.tenant_id",
        "the directory (tenant) id that the Entra admin center shows (a Partner Center secret without a tenant does not work yet)",
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
    fn origins() {
        let check = |input: &str, expected: Option<&str>| {
            let answer = origin(&Value::String(input.into()));
            assert_eq!(answer.ok().as_deref(), expected, "{input}");
        };
        check("https://todo.example.com", Some("https://todo.example.com"));
        check(
            "HTTPS://Todo.Example.com:443",
            Some("https://todo.example.com"),
        );
        check("http://127.0.0.1:8000", Some("http://127.0.0.1:8000"));
        check("http://[::1]:8000", Some("http://[::1]:8000"));
        check("capacitor://localhost", Some("capacitor://localhost"));
        for bad in [
            "*",
            "https://*.example.com",
            "null",
            "",
            "todo.example.com",
            "https://todo.example.com/",
            "https://todo.example.com/app",
            "https://todo.example.com?a",
            "https://todo.example.com#a",
            "https://ada@todo.example.com",
            "mailto:a@b",
            "file:///tmp",
        ] {
            check(bad, None);
        }
    }

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
