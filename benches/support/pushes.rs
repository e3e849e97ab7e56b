//! The same pushes without the hub: through its adapters, as fast as they take them.

use std::{fs, path::Path, sync::Arc, time::Duration};

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use beckon::{
    clock::Clock,
    dispatch::adapter,
    doubles::Service,
    hub::Registration,
    model::{ApnsEnvironment, AppHost, Channel, ChannelKind, Platform, Secret, WebPushKeys},
    push::{
        Adapter,
        message::{
            ApnsMessage, ApnsPushType, FcmMessage, Message, Urgency, WebPushMessage, WnsKind,
            WnsMessage,
        },
        outcome::Verdict,
    },
    serve::Running,
};
use bytes::Bytes;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{APP, load::Meter, registration};

/// As many as the bench's hub has under way in a lane.
const UNDER_WAY: usize = 512;
const LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
const TAP: &[u8] = br#"{"beckon":{"e":"0193c1de-7f5a-7bd6-8f6e-0f3b2c1d4e5f","k":"created","n":"0193c1de-7f5a-7bd6-8f6e-0f3b2c1d4e60","v":1}}"#;

/// Where the doubles of the services are whose channels name their own host.
pub(crate) struct Hosts {
    web_push: String,
    wns: String,
    key: [u8; 65],
}

impl Hosts {
    /// From what the doubles in `folder` want to be configured with.
    pub(crate) fn read(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join("doubles/app.toml")).unwrap();
        let host = |section: &str| {
            let (_, of_it) = text.split_once(&format!("[app.{section}]")).unwrap();
            let line = of_it.lines().find(|it| it.starts_with("allowed_hosts"));
            line.unwrap().split('"').nth(1).unwrap().to_owned()
        };
        let key = PrivateKey::generate(&ECDH_P256).unwrap();
        let public = key.compute_public_key().unwrap();
        Self {
            web_push: host("webpush"),
            wns: host("wns"),
            key: public.as_ref().try_into().unwrap(),
        }
    }

    /// A fresh device at a service.
    pub(crate) fn registration(&self, service: Service, device: usize) -> Registration {
        let mut it = registration(service, device);
        let token = Uuid::new_v4().simple();
        match service {
            Service::WebPush => {
                it.platform = Platform::WebPush;
                it.channel = Channel::WebPush {
                    endpoint: Secret::new(format!("https://{}/wpush/v2/{token}", self.web_push)),
                    // One key for all: a push to it costs what a push to any costs.
                    keys: WebPushKeys {
                        p256dh: self.key,
                        auth: Secret::new(rand::random()),
                    },
                    vapid_public_key: None,
                    expires: None,
                };
            }
            Service::Wns => {
                it.platform = Platform::Windows;
                it.channel = Channel::Wns {
                    channel_uri: Secret::new(format!("https://{}/?token={token}", self.wns)),
                };
            }
            Service::Apns | Service::Fcm => {}
        }
        it
    }
}

/// The adapters, and what they send.
pub(crate) struct Bare<'a> {
    hosts: &'a Hosts,
    ways: Vec<(Service, Arc<(Adapter, Message)>)>,
}

/// What a bare loop did.
pub(crate) struct Pushes {
    pub(crate) per_sec: f64,
    pub(crate) cpu_micros: f64,
}

impl<'a> Bare<'a> {
    pub(crate) fn new(running: &Running, hosts: &'a Hosts) -> Self {
        let app = running.hub.app(&AppHost::parse(APP).unwrap()).unwrap();
        let way = |service| {
            let (kind, message) = message(service);
            let of = (kind, ApnsEnvironment::Production);
            let adapter = adapter(&app, of, &running.vapid, Default::default());
            (service, Arc::new((adapter.unwrap(), message)))
        };
        Self {
            hosts,
            ways: Service::ALL.into_iter().map(way).collect(),
        }
    }

    /// Sends so many pushes, to fresh channels of these services by turns.
    pub(crate) async fn pushes(&self, services: &[Service], count: usize) -> Pushes {
        let all: Vec<_> = (0..count.max(2000))
            .map(|nth| {
                let service = services[nth % services.len()];
                let (_, way) = self.ways.iter().find(|(of, _)| *of == service).unwrap();
                (Arc::clone(way), self.hosts.registration(service, 0).channel)
            })
            .collect();
        let (meter, count) = (Meter::start(), all.len() as f64);
        let mut under_way = JoinSet::new();
        for (way, channel) in all {
            while under_way.len() >= UNDER_WAY {
                under_way.join_next().await.unwrap().unwrap();
            }
            under_way.spawn(async move {
                let (adapter, message) = &*way;
                let now = Clock::system().now();
                let outcome = adapter.send(&channel, message, Uuid::new_v4(), now).await;
                assert_eq!(outcome.verdict, Verdict::Accepted, "{outcome:?}");
            });
        }
        under_way.join_all().await;
        Pushes {
            per_sec: count / meter.elapsed().as_secs_f64(),
            cpu_micros: meter.cpu().as_secs_f64() * 1e6 / count,
        }
    }
}

/// As a tap for something to be seen looks at each service.
fn message(service: Service) -> (ChannelKind, Message) {
    match service {
        Service::Apns => (
            ChannelKind::Apns,
            Message::Apns(ApnsMessage {
                push_type: ApnsPushType::Alert,
                priority: 10,
                collapse_id: String::from("0193c1de-7f5a-7bd6-8f6e-0f3b2c1d4e60"),
                ttl: LIFE,
                payload: Bytes::from_static(br#"{"aps":{"alert":{"title":"New notification"},"mutable-content":1,"content-available":1,"sound":"default"},"beckon":{"e":"0193c1de-7f5a-7bd6-8f6e-0f3b2c1d4e5f","k":"created","n":"0193c1de-7f5a-7bd6-8f6e-0f3b2c1d4e60","v":1}}"#),
            }),
        ),
        Service::Fcm => (
            ChannelKind::Fcm,
            Message::Fcm(FcmMessage {
                high: true,
                ttl: LIFE,
                data: vec![
                    ("beckon", String::from("1")),
                    ("e", String::from("0193c1de-7f5a-7bd6-8f6e-0f3b2c1d4e5f")),
                    ("k", String::from("created")),
                    ("n", String::from("0193c1de-7f5a-7bd6-8f6e-0f3b2c1d4e60")),
                    ("v", String::from("1")),
                ],
                notification: None,
            }),
        ),
        Service::WebPush => (
            ChannelKind::WebPush,
            Message::WebPush(WebPushMessage {
                urgency: Urgency::High,
                topic: Some("A".repeat(32)),
                ttl: LIFE,
                plaintext: Bytes::from_static(TAP),
                bare: None,
            }),
        ),
        Service::Wns => (
            ChannelKind::Wns,
            Message::Wns(WnsMessage {
                kind: WnsKind::Raw,
                priority: 1,
                ttl: LIFE,
                body: Bytes::from_static(TAP),
            }),
        ),
    }
}
