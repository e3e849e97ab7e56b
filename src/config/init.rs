//! The file that `beckon init HOST` writes: the least that one app needs, with the rest a comment away.

use crate::model::AppHost;

/// The text of a `config.toml` for the app `host`.
///
/// It loads as it stands: Web Push works at once, since the hub makes its own key. The other push services are
/// commented out, each with where its credentials come from. A line that begins with `#` and no blank is a setting.
pub fn starter(host: &AppHost) -> String {
    TEMPLATE.replace("{host}", host.as_str())
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
origins = ["https://{host}"]

# Browsers. The key is made at the first start and kept in the store; back it up with `beckon store backup`.
[app.webpush]
subject = "mailto:ops@{host}"

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
    use crate::config::{load::parse, reader::Source};

    #[test]
    fn the_starter_loads() {
        let check = |host: &str| {
            let host = AppHost::parse(host).unwrap();
            let source = Source {
                name: "config.toml".into(),
                text: starter(&host),
                ..Source::default()
            };
            let config = parse(source, std::iter::empty()).unwrap();
            let [app] = config.apps.as_slice() else {
                panic!("{:?}", config.apps);
            };
            assert_eq!(app.host, host);
            assert_eq!(app.origins, [format!("https://{host}")]);
            let web_push = app.web_push.as_ref().unwrap();
            assert_eq!(web_push.subject, format!("mailto:ops@{host}"));
            assert!(app.apns.is_none() && app.fcm.is_none() && app.wns.is_none());
        };
        check("todo.example.com");
        check("localhost");
    }
}
