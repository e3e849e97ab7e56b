//! A device that behaves as a good client does: on a push it pulls, applies, and keeps its cursor.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use rand::{Rng as _, rngs::StdRng};
use tokio::task::AbortHandle;

use super::network::{Inbox, Network};
use crate::{
    doubles,
    hub::{Error, Hub, Registration, Since},
    model::{
        ActionState, ApnsEnvironment, Channel, DeviceToken, EndpointId, FeedPosition,
        NotificationId, Platform, ReadState, Secret, Subject, Timestamp, WebPushKeys,
    },
};

/// What a notification is to the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Essence {
    pub(super) title: String,
    pub(super) group: Option<String>,
    pub(super) read: ReadState,
    pub(super) action: ActionState,
    /// Whether anyone ever dealt with it.
    pub(super) handled: bool,
    pub(super) expires: Timestamp,
    pub(super) platforms: Option<Vec<Platform>>,
    pub(super) version: u64,
}

impl Essence {
    /// Whether nobody has dealt with it.
    pub(super) fn is_open(&self) -> bool {
        self.read == ReadState::Unread && self.action == ActionState::NoInteraction
    }

    /// Whether it stands as dealt with: who put it off has not done so.
    pub(super) fn is_dealt_with(&self) -> bool {
        let put_off = self.is_open() || self.action == ActionState::Snoozed;
        self.read == ReadState::Read || !put_off
    }
}

/// What a device holds and knows; it outlives the hub's process.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) double: doubles::Device,
    pub(super) signed_in: bool,
    /// The double's id of it at the last registration.
    pub(super) told: String,
    pub(super) online: bool,
    pub(super) held: BTreeMap<NotificationId, Essence>,
    pub(super) since: Option<Since>,
    /// How often the person changed something here.
    pub(super) acts: u64,
    /// Whether a pull that was begun has not come to its end.
    pub(super) wants_to_pull: bool,
}

/// One device of one person.
pub(super) struct Device {
    pub(super) subject: Subject,
    pub(super) endpoint: EndpointId,
    pub(super) service: doubles::Service,
    pub(super) inbox: Arc<Inbox>,
    pub(super) memory: Mutex<Memory>,
    /// One pull at a time, as taps.md asks for.
    pub(super) pulling: tokio::sync::Mutex<()>,
    pub(super) stream: Mutex<Option<AbortHandle>>,
    pub(super) network: Arc<Network>,
    random: Mutex<StdRng>,
}

impl Device {
    pub(super) fn new(
        (subject, endpoint): (Subject, EndpointId),
        double: doubles::Device,
        (network, random): (Arc<Network>, StdRng),
    ) -> Arc<Self> {
        Arc::new(Self {
            subject,
            endpoint,
            service: double.service,
            inbox: Arc::default(),
            memory: Mutex::new(Memory {
                double,
                signed_in: false,
                told: String::new(),
                online: true,
                held: BTreeMap::new(),
                since: None,
                acts: 0,
                wants_to_pull: false,
            }),
            pulling: tokio::sync::Mutex::default(),
            stream: Mutex::default(),
            network,
            random: Mutex::new(random),
        })
    }

    pub(super) fn name(&self) -> &str {
        self.endpoint.as_str()
    }

    pub(super) fn platform(&self) -> Platform {
        match self.service {
            doubles::Service::Apns => Platform::Ios,
            doubles::Service::Fcm => Platform::Android,
            doubles::Service::WebPush => Platform::WebPush,
            doubles::Service::Wns => Platform::Windows,
        }
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Memory) -> T) -> T {
        look(&mut self.memory.lock().unwrap())
    }

    /// Up to where it holds everything, where it is not in the midst of the feed.
    pub(super) fn position(&self) -> Option<FeedPosition> {
        match self.with(|memory| memory.since) {
            Some(Since::Cursor(position)) => Some(position),
            _ => None,
        }
    }

    /// Whether it can call the hub.
    pub(super) fn can_call(&self) -> bool {
        self.with(|memory| memory.signed_in && memory.online)
    }

    /// Takes in what the hub answered to an act of the person.
    pub(super) fn acted(&self, id: NotificationId, now: Option<Essence>) {
        self.with(|memory| {
            memory.acts += 1;
            match now {
                Some(it) => memory.held.insert(id, it),
                None => memory.held.remove(&id),
            };
        });
    }

    /// Goes on the air or off it. APNs and WNS keep one push for a device that is away, whatever it was and however
    /// soon it is over, so an app for those pulls when it is back.
    pub(super) fn set_online(&self, online: bool) -> bool {
        let keeps_one = matches!(self.service, doubles::Service::Apns | doubles::Service::Wns);
        let was = self.with(|memory| std::mem::replace(&mut memory.online, online));
        if online && !was && keeps_one {
            self.with(|memory| memory.wants_to_pull = true);
            self.inbox.bell.notify_one();
        }
        was
    }

    /// Whether the hub knows its present channel.
    pub(super) fn has_told(&self) -> bool {
        self.with(|memory| memory.signed_in && memory.told == memory.double.id)
    }

    /// Forgets all, as when the person signs out.
    pub(super) fn forget(&self) {
        self.with(|memory| {
            memory.signed_in = false;
            memory.held.clear();
            memory.since = None;
        });
    }

    pub(super) fn registration(&self) -> Registration {
        let double = self.with(|memory| memory.double.clone());
        Registration {
            id: self.endpoint.clone(),
            platform: self.platform(),
            channel: channel(&double).0,
            display_name: None,
            locale: None,
            present_vapid: None,
            state_sync: true,
            shared: false,
            expires: None,
        }
    }

    /// What it tells the hub now may come to it, though it be killed before it says so.
    pub(super) fn is_about_to_call(&self) {
        self.network
            .promises(|promises| promises.fallbacks.excuse(self.name()));
    }

    /// Tells the hub of its present channel.
    pub(super) async fn register(&self, hub: &Hub) {
        let told = self.with(|memory| memory.double.id.clone());
        // Dispatch may hear of it before the device does.
        self.begins_anew();
        let registered = hub.register(self.subject.clone(), self.registration());
        registered.await.expect("a device can be registered");
        self.begins_anew();
        let now = self.network.moment().expect("a process runs").truth;
        self.network
            .answers(|answers| answers.has_begun(self.name(), now));
        self.with(|memory| {
            memory.signed_in = true;
            memory.told = told;
        });
    }

    fn begins_anew(&self) {
        let now = self.network.moment().expect("a process runs");
        self.network
            .promises(|promises| promises.registered(self.name(), now));
        self.network
            .answers(|answers| answers.begins_anew(self.name()));
    }

    /// Calls the hub, which may say that it knows no such device any more: then it registers again.
    pub(super) async fn be_known(&self, hub: &Hub) {
        match hub.seen(&self.subject, &self.endpoint).await {
            Ok(_) => {}
            Err(Error::EndpointNotFound) => {
                if self.can_call() {
                    self.network
                        .promises(|promises| promises.forgets(self.name()));
                    self.register(hub).await;
                }
            }
            Err(other) => panic!("{other}"),
        }
    }

    pub(super) fn below(&self, end: u64) -> u64 {
        self.random.lock().unwrap().random_range(0..end)
    }

    pub(super) async fn take(&self, longest_ms: u64) {
        let ms = self.below(longest_ms + 1);
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    /// What it does by itself: pulls on every push, after a moment, and again where the line broke.
    pub(super) async fn run(self: Arc<Self>, hub: Hub) {
        loop {
            if !self.with(|memory| memory.wants_to_pull) {
                if self.inbox.unread.lock().unwrap().is_empty() {
                    self.inbox.bell.notified().await;
                    continue;
                }
                self.take(300).await;
                self.inbox.unread.lock().unwrap().clear();
                self.with(|memory| memory.wants_to_pull = true);
            }
            // A push that came before the line broke is not forgotten: it pulls when it is back.
            while self.with(|memory| memory.signed_in) {
                if self.can_call() && self.pull(&hub, 10).await {
                    break;
                }
                self.take(60_000).await;
            }
            self.with(|memory| memory.wants_to_pull = false);
        }
    }

    /// Says where it stands, for the reader of a run that failed.
    pub(super) async fn explain(&self, hub: &Hub) {
        let reader = hub.store().reader();
        let (subject, endpoint) = (&self.subject, &self.endpoint);
        eprintln!(
            "{} stands at {:?}",
            self.name(),
            self.with(|memory| memory.since)
        );
        eprintln!("{:#?}", reader.fetch_mark(subject, endpoint));
        eprintln!("{:#?}", reader.tap_state(subject, endpoint));
        eprintln!("{:#?}", reader.changes(subject, FeedPosition::START, 100));
        eprintln!("{:#?}", reader.pushes_of(subject, endpoint));
    }

    /// What it shows now: what has expired it takes away by itself.
    pub(super) fn shows(&self, now: Timestamp) -> BTreeMap<NotificationId, Essence> {
        let mut held = self.with(|memory| memory.held.clone());
        held.retain(|_, it| it.expires > now);
        held
    }
}

pub(super) fn essence(it: &crate::model::Notification) -> Essence {
    Essence {
        read: it.read,
        action: it.action,
        handled: it.handled,
        ..Essence::posted(&it.draft, it.expires, it.version)
    }
}

/// The channel as the hub knows it, and the part of it that its service's requests name.
pub(super) fn channel(double: &doubles::Device) -> (Channel, String) {
    match &double.channel {
        doubles::Channel::Apns { device_token } => {
            let token = DeviceToken::parse(device_token).unwrap();
            let channel = Channel::Apns {
                device_token: token,
                topic: None,
                environment: Some(ApnsEnvironment::Production),
            };
            (channel, device_token.clone())
        }
        doubles::Channel::Fcm { registration_token } => {
            let channel = Channel::Fcm {
                registration_token: Secret::new(registration_token.clone()),
            };
            (channel, registration_token.clone())
        }
        doubles::Channel::WebPush { endpoint, keys, .. } => {
            let channel = Channel::WebPush {
                endpoint: Secret::new(endpoint.clone()),
                keys: web_push_keys(keys),
                vapid_public_key: None,
                expires: None,
            };
            (channel, endpoint.clone())
        }
        doubles::Channel::Wns { channel_uri } => {
            let channel = Channel::Wns {
                channel_uri: Secret::new(channel_uri.clone()),
            };
            (channel, channel_uri.clone())
        }
    }
}

fn web_push_keys(keys: &doubles::Keys) -> WebPushKeys {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    WebPushKeys {
        p256dh: decode(&keys.p256dh).try_into().unwrap(),
        auth: Secret::new(decode(&keys.auth).try_into().unwrap()),
    }
}
