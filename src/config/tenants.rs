//! `[[app]]`: one app after another, what it says of itself and what its pushes may say.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use toml::{Spanned, Value};
use url::Url;

use super::{
    AppLimits,
    apps::{App, Badge, Placeholder, Privacy},
    identity,
    rate::rate,
    raw,
    reader::{Needed, Reader},
    services,
    value::{Shown, choice, flag, list, text},
};
use crate::model::{AppHost, VisualContent};

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
        if !hosts.insert(app.host.clone()) {
            let reason = format!(
                "{} has an [[app]] already; write one for each host",
                app.host
            );
            reader.fault(at, "app.host", reason);
            continue;
        }
        if let Some(other) = apps.iter().find(|it: &&Arc<App>| same_users(it, &app)) {
            let reason = format!(
                "and issuer are those of {}; give each app an audience of its own, or a token would be good for both",
                other.host
            );
            reader.fault(at, "app.identity.audience", reason);
        }
        apps.push(Arc::new(app));
    }
    apps
}

/// Whether a token for one would be for the other.
fn same_users(one: &App, other: &App) -> bool {
    let names = |app: &App| {
        let identity = app.identity.as_ref()?;
        Some((identity.issuer.clone(), identity.audience.clone()))
    };
    names(one).is_some_and(|names_of_one| names(other) == Some(names_of_one))
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
    let delegated_post = reader.optional("app.delegated_post", raw.delegated_post, flag);
    let origins = reader.optional("app.origins", raw.origins, list(origin));
    let default = match raw.placeholder {
        Some(raw) => words(reader, "app.placeholder", raw),
        None => Some(usual_placeholder()),
    };
    let by_locale = by_locale(reader, raw.placeholders);
    let limits = limits(reader, raw.limits);
    let identity = raw.identity.map(|raw| identity::identity(reader, raw));
    let apns = raw.apns.map(|raw| services::apns(reader, raw));
    let fcm = raw.fcm.map(|raw| services::fcm(reader, raw));
    let web_push = raw.webpush.map(|raw| services::web_push(reader, raw));
    let wns = raw.wns.map(|raw| services::wns(reader, raw));
    Some(App {
        host: host?,
        privacy: privacy.unwrap_or_default(),
        placeholder: Placeholder {
            default: default?,
            by_locale,
        },
        origins: origins.unwrap_or_default(),
        badge: badge.unwrap_or_default(),
        delegated_post: delegated_post.unwrap_or_default(),
        limits,
        identity: identity.flatten().map(Arc::new),
        apns: apns.flatten().map(Arc::new),
        fcm: fcm.flatten().map(Arc::new),
        web_push: web_push.flatten().map(Arc::new),
        wns: wns.flatten().map(Arc::new),
    })
}

fn limits(reader: &mut Reader<'_>, raw: raw::AppLimits) -> AppLimits {
    let (per_key, per_user) = (raw.requests_per_key, raw.requests_per_user);
    AppLimits {
        requests_per_key: reader.optional("app.limits.requests_per_key", per_key, rate),
        requests_per_user: reader.optional("app.limits.requests_per_user", per_user, rate),
    }
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
}
