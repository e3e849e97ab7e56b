//! The file that `beckon init HOST` writes: the least that one app needs, with the rest a comment away.

use url::Url;

use super::is_contact;
use crate::model::AppHost;

/// The text of a `config.toml` for the app `host`.
///
/// It loads as it stands: Web Push works at once, since the hub makes its own key. The other push services are
/// commented out, each with where its credentials come from. A line that begins with `#` and no blank is a setting.
pub fn starter(host: &AppHost) -> String {
    // Some app names are no host of a web page, such as `42`, which a browser takes for an address.
    let is_web_host = Url::parse(&format!("https://{host}"))
        .is_ok_and(|url| url.host_str() == Some(host.as_str()));
    // Push services believe no contact at this very machine.
    let contact_host = match is_contact(&format!("mailto:ops@{host}")) {
        true => host.as_str(),
        false => "example.com",
    };
    TEMPLATE
        .replace(
            "{origins}",
            if is_web_host { "origins" } else { "#origins" },
        )
        .replace("{contact}", contact_host)
        .replace("{host}", host.as_str())
}

const TEMPLATE: &str = r#"# Beckon for {host}.
#
# Take the # away from what you need. What can be set besides stands in config.example.toml; what is not set has its
# default. Paths begin at this file's folder. After a change: `beckon check`, then SIGHUP for the apps and their keys,
# or a restart for the rest.

[server]
listen = "127.0.0.1:8480"
# How devices reach the hub from outside, through your TLS proxy:
#public_url = "https://hub.{host}"

[store]
path = "data"

[[app]]
host = "{host}"
# "tap": nothing of a notification's content goes through Apple, Google or Microsoft. "direct": title and body do.
privacy = "tap"
# What people see until their device has fetched the content:
placeholder = { title = "New notification" }
# Web pages that may talk to the hub:
{origins} = ["https://{host}"]

# Browsers. The key is made at the first start and kept in the store; back the data folder up. The subject is where
# push services reach you.
[app.webpush]
subject = "mailto:ops@{contact}"

# iPhone, iPad, Mac. https://developer.apple.com/account > Certificates, Identifiers & Profiles > Keys > +, tick
# "Apple Push Notifications service". The key can be downloaded once; its id is beside it, the team's id under
# Membership details, the topic is the app's bundle id.
#[app.apns]
#key_file = "AuthKey_ABC123DEFG.p8"
#key_id = "ABC123DEFG"
#team_id = "DEF123GHIJ"
#topic = "com.example.app"
#sound = "default"

# Android. https://console.firebase.google.com > your project > Project settings > Service accounts > Generate new
# private key.
#[app.fcm]
#service_account_file = "service-account.json"

# Windows. https://entra.microsoft.com > App registrations > your app: tenant and client id are on its overview, the
# secret under Certificates & secrets (it ends after 24 months at most). Put the secret alone into the file.
#[app.wns]
#tenant_id = "00000000-0000-0000-0000-000000000000"
#client_id = "11111111-1111-1111-1111-111111111111"
#client_secret_file = "wns-secret.txt"
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Error, load::parse, reader::Source};

    fn read(text: String) -> Result<Config, Error> {
        let source = Source {
            name: "config.toml".into(),
            text,
            ..Source::default()
        };
        parse(source, std::iter::empty())
    }

    #[test]
    fn the_starter_loads() {
        let check = |host: &str, origins: &[&str]| {
            let contact = if host == "localhost" {
                "example.com"
            } else {
                host
            };
            let host = AppHost::parse(host).unwrap();
            let config = read(starter(&host)).unwrap();
            let [app] = config.apps.as_slice() else {
                panic!("{:?}", config.apps);
            };
            assert_eq!(app.host, host);
            assert_eq!(app.origins, origins);
            let web_push = app.web_push.as_ref().unwrap();
            assert_eq!(web_push.subject, format!("mailto:ops@{contact}"));
            assert!(app.apns.is_none() && app.fcm.is_none() && app.wns.is_none());
        };
        check("todo.example.com", &["https://todo.example.com"]);
        check("localhost", &["https://localhost"]);
        check("my_app", &["https://my_app"]);
        check("42", &[]);
        check("1.2.3.999", &[]);
    }

    #[test]
    fn what_the_starter_comments_out_lacks_its_files_alone() {
        let host = AppHost::parse("todo.example.com").unwrap();
        let text = starter(&host);
        let lines = text.lines().map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => setting,
            _ => line,
        });
        let Error::Invalid(problems) = read(lines.collect::<Vec<_>>().join("\n")).unwrap_err()
        else {
            panic!("unreadable");
        };
        let keys: Vec<&str> = problems
            .iter()
            .map(|problem| problem.key.as_str())
            .collect();
        let files = [
            "app.apns.key_file",
            "app.fcm.service_account_file",
            "app.wns.client_secret_file",
        ];
        assert_eq!(keys, files, "{problems:?}");
    }
}
