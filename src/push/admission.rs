//! What can be said of a channel when it is registered, so that a client learns of its mistake at once and not by
//! silence: a wrong encryption key, for one, shows nowhere later.

use url::Url;

use super::{encrypt::is_on_curve, web_push, wns};
use crate::{
    config::apps::App,
    egress::Policy,
    model::{Channel, WebPushKeys},
};

/// The longest FCM registration token taken; real ones have less than 300 characters.
const MAX_FCM_TOKEN_BYTES: usize = 2048;

/// The longest APNs topic taken: a bundle id with a suffix.
const MAX_TOPIC_BYTES: usize = 255;

/// A field of a channel as the client wrote it, and what is wrong with it.
pub type ChannelFault = (&'static str, String);

/// Checks all of a channel that can be checked without asking its service: addresses against the known hosts and the
/// operator's, keys against the curve, tokens for characters that no header or body could carry.
///
/// # Errors
/// Every fault, with its field (`channel.endpoint`, `channel.keys.p256dh`, `channel.channelUri`,
/// `channel.registrationToken`, `channel.topic`); the messages never hold the value.
pub fn check_channel(channel: &Channel, app: &App) -> Result<(), Vec<ChannelFault>> {
    let faults: Vec<ChannelFault> = match channel {
        Channel::Apns { topic, .. } => apns(topic.as_deref()).into_iter().collect(),
        Channel::Fcm { registration_token } => {
            fcm(registration_token.expose()).into_iter().collect()
        }
        Channel::WebPush { endpoint, keys, .. } => {
            let policy = match &app.web_push {
                Some(settings) => web_push::policy(settings),
                None => Policy::new(&web_push::KNOWN_HOSTS, &[]),
            };
            let endpoint = address(endpoint.expose(), &policy);
            let endpoint = endpoint.map(|message| ("channel.endpoint", message));
            endpoint.into_iter().chain(p256dh(keys)).collect()
        }
        Channel::Wns { channel_uri } => {
            let listed = app.wns.as_ref().map(|it| it.allowed_hosts.as_slice());
            let policy = Policy::new(&wns::KNOWN_HOSTS, listed.unwrap_or_default());
            let uri = address(channel_uri.expose(), &policy);
            uri.map(|message| ("channel.channelUri", message))
                .into_iter()
                .collect()
        }
        Channel::None => Vec::new(),
    };
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults)
    }
}

fn address(text: &str, policy: &Policy) -> Option<String> {
    match Url::parse(text) {
        Ok(url) => policy.check(&url).err(),
        Err(e) => Some(format!("is not a URL: {e}")),
    }
}

fn p256dh(keys: &WebPushKeys) -> Option<ChannelFault> {
    let message =
        "is not an uncompressed point on P-256; send the subscription's key as the browser gave it";
    (!is_on_curve(&keys.p256dh)).then(|| ("channel.keys.p256dh", String::from(message)))
}

fn fcm(token: &str) -> Option<ChannelFault> {
    let fits = (1..=MAX_FCM_TOKEN_BYTES).contains(&token.len())
        && token.bytes().all(|b| b.is_ascii_graphic());
    let message = format!(
        "must have 1 to {MAX_FCM_TOKEN_BYTES} visible ASCII characters, as Firebase gave it"
    );
    (!fits).then_some(("channel.registrationToken", message))
}

fn apns(topic: Option<&str>) -> Option<ChannelFault> {
    let topic = topic?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let good = (1..=MAX_TOPIC_BYTES).contains(&topic.len()) && topic.bytes().all(fits);
    let message = format!("must be a bundle id of 1 to {MAX_TOPIC_BYTES} letters, digits, . - _");
    (!good).then_some(("channel.topic", message))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        config::apps::{self, Badge, HostRule, Hosts, Placeholder, Privacy},
        model::{AppHost, DeviceToken, Secret, VisualContent},
    };

    fn app(rules: &[&str]) -> App {
        App {
            host: AppHost::parse("app.example.com").unwrap(),
            privacy: Privacy::Tap,
            placeholder: Placeholder {
                default: VisualContent {
                    title: "New".into(),
                    body: None,
                },
                by_locale: [].into(),
            },
            origins: Vec::new(),
            badge: Badge::None,
            delegated_post: false,
            limits: Default::default(),
            identity: None,
            apns: None,
            fcm: None,
            web_push: Some(Arc::new(apps::WebPush {
                subject: "mailto:a@example.com".into(),
                key: None,
                allowed_hosts: rules
                    .iter()
                    .map(|rule| HostRule::parse(rule).unwrap())
                    .collect(),
                hosts: Hosts::Known,
                ca: None,
            })),
            wns: None,
        }
    }

    fn web_push(endpoint: &str, p256dh: [u8; 65]) -> Channel {
        Channel::WebPush {
            endpoint: Secret::new(endpoint.into()),
            keys: WebPushKeys {
                p256dh,
                auth: Secret::new([1; 16]),
            },
            vapid_public_key: None,
            expires: None,
        }
    }

    fn fields(channel: &Channel, app: &App) -> Vec<&'static str> {
        let faults = check_channel(channel, app).err().unwrap_or_default();
        faults.into_iter().map(|(field, _)| field).collect()
    }

    #[test]
    fn subscriptions() {
        let key = super::super::vapid::VapidKey::generate().unwrap();
        let point = super::super::vapid::VapidKey::from_pkcs8(key.expose())
            .unwrap()
            .public_key();
        let check = |endpoint: &str, point: [u8; 65], expected: &[&str]| {
            let app = app(&["127.0.0.1:9443"]);
            assert_eq!(
                fields(&web_push(endpoint, point), &app),
                expected,
                "{endpoint}"
            );
        };
        check("https://fcm.googleapis.com/fcm/send/x", point, &[]);
        check("https://127.0.0.1:9443/x", point, &[]);
        check("https://127.0.0.1:9444/x", point, &["channel.endpoint"]);
        check("https://push.example.net/x", point, &["channel.endpoint"]);
        check("not a url", point, &["channel.endpoint"]);
        check(
            "http://fcm.googleapis.com/x",
            [4; 65],
            &["channel.endpoint", "channel.keys.p256dh"],
        );
    }

    #[test]
    fn the_other_channels() {
        let check = |channel: Channel, expected: &[&str]| {
            assert_eq!(fields(&channel, &app(&[])), expected, "{channel:?}");
        };
        let wns = |uri: &str| Channel::Wns {
            channel_uri: Secret::new(uri.into()),
        };
        check(wns("https://db5p.notify.windows.com/?token=x"), &[]);
        check(
            wns("https://notify.windows.com.evil.net/?token=x"),
            &["channel.channelUri"],
        );
        check(
            wns("http://db5p.notify.windows.com/?token=x"),
            &["channel.channelUri"],
        );
        let fcm = |token: &str| Channel::Fcm {
            registration_token: Secret::new(token.into()),
        };
        check(fcm("abc:DEF-_1"), &[]);
        check(fcm(""), &["channel.registrationToken"]);
        check(fcm("a b"), &["channel.registrationToken"]);
        let apns = |topic: Option<&str>| Channel::Apns {
            device_token: DeviceToken::parse("ab").unwrap(),
            topic: topic.map(str::to_owned),
            environment: None,
        };
        check(apns(None), &[]);
        check(apns(Some("com.example.app")), &[]);
        check(apns(Some("com.example\r\nx: y")), &["channel.topic"]);
        check(Channel::None, &[]);
    }
}
