//! What one app is configured with: parsed, its files read, ready to be used.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use url::Url;

pub use super::host_rule::{HostRule, is_host_name};
use super::{AppLimits, Certificate, Identity};
use crate::model::{ApnsEnvironment, AppHost, Channel, ChannelKind, Secret, VisualContent};

/// One app (a tenant).
#[derive(Debug, Clone)]
pub struct App {
    /// Its name.
    pub host: AppHost,
    /// What may leave the hub in a push.
    pub privacy: Privacy,
    /// What a visible push says under [`Privacy::Tap`].
    pub placeholder: Placeholder,
    /// Browser origins that may call the client doors, e.g. `https://todo.example.com`.
    pub origins: Vec<String>,
    /// Whether visible pushes carry the number of unread notifications (APNs badge).
    pub badge: Badge,
    /// Whether a user token may post to its own user, by the retired service's call.
    pub delegated_post: bool,
    /// The section `[app.limits]`.
    pub limits: AppLimits,
    /// The app's own identity provider, where it has one.
    pub identity: Option<Arc<Identity>>,
    /// Apple, where configured.
    pub apns: Option<Arc<Apns>>,
    /// Google, where configured.
    pub fcm: Option<Arc<Fcm>>,
    /// Browsers, where configured.
    pub web_push: Option<Arc<WebPush>>,
    /// Microsoft, where configured.
    pub wns: Option<Arc<Wns>>,
}

impl App {
    /// Whether the app can reach channels of `kind`; the channel `none` always can be.
    pub fn reaches(&self, kind: ChannelKind) -> bool {
        match kind {
            ChannelKind::Apns => self.apns.is_some(),
            ChannelKind::Fcm => self.fcm.is_some(),
            ChannelKind::WebPush => self.web_push.is_some(),
            ChannelKind::Wns => self.wns.is_some(),
            ChannelKind::None => true,
        }
    }

    /// The environment of Apple's that a channel belongs to: its own, else the app's usual one.
    pub fn environment(&self, channel: &Channel) -> ApnsEnvironment {
        let usual = self.apns.as_ref().map(|apns| apns.environment);
        let own = match channel {
            Channel::Apns { environment, .. } => *environment,
            _ => None,
        };
        own.or(usual).unwrap_or(ApnsEnvironment::Production)
    }

    /// Which of a service's ways a channel takes, as lanes and metrics name it: an environment of Apple's, or the host that
    /// the channel names.
    pub fn authority(&self, channel: &Channel) -> String {
        match channel {
            Channel::Apns { .. } => self.environment(channel).as_str().to_owned(),
            other => other.authority().unwrap_or_default(),
        }
    }
}

/// The apps as they are now: one cheap handle for all that ask, so that a reload reaches them all at once.
///
/// An answer stays what it was while it is held; the next question sees the new apps.
#[derive(Debug, Clone, Default)]
pub struct Apps(Arc<RwLock<Arc<ByHost>>>);

type ByHost = BTreeMap<AppHost, Arc<App>>;

impl Apps {
    /// A handle on `apps`; of two with one host the later counts (a loaded config has no such two).
    pub fn new(apps: Vec<Arc<App>>) -> Self {
        let handle = Self::default();
        handle.replace(apps);
        handle
    }

    /// The app named `host`, if there is one.
    pub fn get(&self, host: &AppHost) -> Option<Arc<App>> {
        self.current().get(host).cloned()
    }

    /// All apps, in the order of their hosts.
    pub fn all(&self) -> Vec<Arc<App>> {
        self.current().values().cloned().collect()
    }

    /// Puts `apps` in the place of all that there were, for every clone of this handle.
    pub fn replace(&self, apps: Vec<Arc<App>>) {
        let by_host: ByHost = apps
            .into_iter()
            .map(|app| (app.host.clone(), app))
            .collect();
        // A poisoned lock holds a whole map all the same: nothing here can stop halfway.
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(by_host);
    }

    fn current(&self) -> Arc<ByHost> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What may leave the hub in a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Privacy {
    /// Nothing of the content.
    #[default]
    Tap,
    /// Visual content, never raw content.
    Direct,
}

/// Whether visible pushes carry a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Badge {
    /// No.
    #[default]
    None,
    /// The number of unread notifications.
    Unread,
}

/// What a visible push says in place of the content.
#[derive(Debug, Clone)]
pub struct Placeholder {
    /// Where the endpoint's locale has none of its own.
    pub default: VisualContent,
    /// By locale (a BCP 47 tag in lower case).
    pub by_locale: BTreeMap<String, VisualContent>,
}

impl Placeholder {
    /// The text for `locale`: of the whole tag (`zh-hant-tw`), else of what is left when its last part goes (`zh-hant`,
    /// `zh`; RFC 4647 section 3.4), else the default. Android's `_` is read as `-`.
    pub fn for_locale(&self, locale: Option<&str>) -> &VisualContent {
        let tag = locale.unwrap_or_default();
        let tag = tag.to_ascii_lowercase().replace('_', "-");
        let mut range = tag.as_str();
        loop {
            if let Some(text) = self.by_locale.get(range) {
                return text;
            }
            match range.rsplit_once('-') {
                Some((shorter, _)) => range = shorter,
                None => return &self.default,
            }
        }
    }
}

/// Extra roots of trust for one service: the PEM text of a `ca_file`.
pub type CaPem = Arc<Vec<u8>>;

/// How the hub proves to Apple who it is.
#[derive(Debug, PartialEq, Eq)]
pub enum ApnsLogin {
    /// By tokens that a key signs.
    Token {
        /// The `.p8` key: PEM, PKCS#8, EC P-256.
        key: Secret<Vec<u8>>,
        /// The key's id, ten characters.
        key_id: String,
        /// The team's id, ten characters.
        team_id: String,
    },
    /// By a client certificate of TLS.
    Certificate(Certificate),
}

/// Apple Push Notification service.
#[derive(Debug, PartialEq, Eq)]
pub struct Apns {
    /// How the hub proves who it is.
    pub login: ApnsLogin,
    /// The bundle id that tokens belong to unless they say otherwise.
    pub topic: String,
    /// The sound of visible pushes.
    pub sound: Option<String>,
    /// The category of visible pushes.
    pub category: Option<String>,
    /// Where tokens were issued unless they say otherwise.
    pub environment: ApnsEnvironment,
    /// A gateway or test server in place of Apple's hosts.
    pub endpoint: Option<Url>,
    /// Roots of trust for that endpoint.
    pub ca: Option<CaPem>,
}

/// Firebase Cloud Messaging, HTTP v1.
#[derive(Debug, PartialEq, Eq)]
pub struct Fcm {
    /// The project that tokens belong to.
    pub project_id: String,
    /// The service account's address.
    pub client_email: String,
    /// Its key: PEM, PKCS#8, RSA.
    pub private_key: Secret<Vec<u8>>,
    /// The key's id.
    pub private_key_id: String,
    /// The `aud` of the assertion, whatever host it is sent to.
    pub token_uri: String,
    /// Android's notification channel.
    pub channel_id: Option<String>,
    /// A gateway or test server in place of `https://fcm.googleapis.com`.
    pub endpoint: Option<Url>,
    /// Where the assertion is sent, in place of `token_uri`.
    pub token_endpoint: Option<Url>,
    /// Roots of trust for both.
    pub ca: Option<CaPem>,
}

/// Web Push.
#[derive(Debug, PartialEq, Eq)]
pub struct WebPush {
    /// The contact in the VAPID token: `mailto:` or `https:` (RFC 8292, section 2.1).
    pub subject: String,
    /// A VAPID key of the operator's own (PEM, PKCS#8, EC P-256); else the hub makes one and keeps it.
    pub key: Option<Secret<Vec<u8>>>,
    /// Hosts beside the known push services.
    pub allowed_hosts: Vec<HostRule>,
    /// Which others there may be.
    pub hosts: Hosts,
    /// Roots of trust beside the usual ones.
    pub ca: Option<CaPem>,
}

/// Which hosts a browser's subscription may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hosts {
    /// The known push services and those that the operator listed.
    #[default]
    Known,
    /// Any name that leads to public addresses alone: for UnifiedPush, whose push service each user chooses.
    Public,
}

/// Windows Push Notification Services, by Entra ID or by the older login of the Partner Center.
#[derive(Debug, PartialEq, Eq)]
pub struct Wns {
    /// The Entra tenant; none, for the older login.
    pub tenant_id: Option<String>,
    /// The application's id; of the older login the package's SID, `ms-app://S-1-15-2-…`.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret<String>,
    /// A test server in place of Microsoft's login.
    pub token_endpoint: Option<Url>,
    /// Hosts beside `*.notify.windows.com`.
    pub allowed_hosts: Vec<HostRule>,
    /// Whether a visual notification is tapped with a toast, so that it shows even where the app does not run.
    pub placeholder_toast: bool,
    /// Roots of trust beside the usual ones, for both.
    pub ca: Option<CaPem>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_reaches_every_clone() {
        let app = |host: &str| {
            Arc::new(App {
                host: AppHost::parse(host).unwrap(),
                privacy: Privacy::Tap,
                placeholder: Placeholder {
                    default: VisualContent {
                        title: "New".into(),
                        body: None,
                    },
                    by_locale: BTreeMap::new(),
                },
                origins: Vec::new(),
                badge: Badge::None,
                delegated_post: false,
                limits: Default::default(),
                identity: None,
                apns: None,
                fcm: None,
                web_push: None,
                wns: None,
            })
        };
        let apps = Apps::new(vec![app("b"), app("a")]);
        let clone = apps.clone();
        let there = |host: &str| clone.get(&AppHost::parse(host).unwrap()).is_some();
        assert!(there("a") && there("b") && !there("c"));
        apps.replace(vec![app("c")]);
        assert!(!there("a") && there("c"));
        assert_eq!(clone.all().len(), 1);
    }

    #[test]
    fn placeholders_follow_the_locale() {
        let text = |title: &str| VisualContent {
            title: title.into(),
            body: None,
        };
        let placeholder = Placeholder {
            default: text("New"),
            by_locale: [("de".into(), text("Neu")), ("de-ch".into(), text("Nöi"))].into(),
        };
        let check = |locale: Option<&str>, expected: &str| {
            assert_eq!(placeholder.for_locale(locale).title, expected, "{locale:?}");
        };
        check(None, "New");
        check(Some("fr"), "New");
        check(Some("de-AT"), "Neu");
        check(Some("de-CH"), "Nöi");
        check(Some("de_CH_1996"), "Nöi");
        check(Some("de-Latn-CH"), "Neu");
        check(Some(""), "New");
    }
}
