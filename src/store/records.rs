//! What is on disk: records, apart from the model so that renaming a field there changes nothing here. A record is
//! never changed: a new version gets a type of its own, and the old one stays readable.

use std::time::Duration;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::model::{
    ActionState, ApnsEnvironment, AppHost, AppKey, Change, ChangeKind, Channel, DeviceToken, Draft,
    Endpoint, EndpointId, Fallback, FeedPosition, FetchMark, Notification, NotificationId, Once,
    Owner, Platform, Priority, Push, ReadState, Receipt, Removal, Scope, Secret, ServiceAnswer,
    Subject, SubscriptionId, TapId, TapKind, TapState, Timestamp, Ttl, User, UserId, UserToken,
    VisualContent, WebPushKeys,
};

use super::{Error, codec, keys::broken};

/// A model value with a form on disk.
pub(super) trait Record: Sized {
    /// The form on disk.
    type Stored: Serialize + DeserializeOwned;
    /// The version byte of that form.
    const VERSION: u8 = 1;

    fn to_stored(&self) -> Self::Stored;
    fn from_stored(stored: Self::Stored) -> Result<Self, Error>;

    fn encode(&self) -> Result<Vec<u8>, Error> {
        codec::encode(Self::VERSION, &self.to_stored())
    }

    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_stored(codec::decode(Self::VERSION, bytes)?)
    }
}

fn time(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn times(millis: Option<u64>) -> Option<Timestamp> {
    millis.map(time)
}

fn millis(time: Option<Timestamp>) -> Option<u64> {
    time.map(Timestamp::as_millis)
}

fn host(text: &str) -> Result<AppHost, Error> {
    AppHost::parse(text).map_err(|_| broken("an app's host"))
}

fn endpoint_id(text: &str) -> Result<EndpointId, Error> {
    EndpointId::parse(text).map_err(|_| broken("an endpoint's id"))
}

/// A subject as two texts.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredSubject(String, String);

fn subject(stored: &StoredSubject) -> Result<Subject, Error> {
    let user = UserId::parse(&stored.1).map_err(|_| broken("a user's id"))?;
    Ok(Subject {
        app: host(&stored.0)?,
        user,
    })
}

fn stored_subject(subject: &Subject) -> StoredSubject {
    StoredSubject(
        subject.app.as_str().to_owned(),
        subject.user.as_str().to_owned(),
    )
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredUser {
    subject: StoredSubject,
    head: u64,
    floor: u64,
    live: u64,
    unread: u64,
    removals: u64,
}

impl Record for User {
    type Stored = StoredUser;

    fn to_stored(&self) -> StoredUser {
        StoredUser {
            subject: stored_subject(&self.subject),
            head: self.head.0,
            floor: self.floor.0,
            live: self.live,
            unread: self.unread,
            removals: self.removals,
        }
    }

    fn from_stored(stored: StoredUser) -> Result<Self, Error> {
        Ok(Self {
            subject: subject(&stored.subject)?,
            head: FeedPosition(stored.head),
            floor: FeedPosition(stored.floor),
            live: stored.live,
            unread: stored.unread,
            removals: stored.removals,
        })
    }
}

/// Texts of a notification, apart from its state: `raw`, visual title and body, fallback title and body.
#[derive(Serialize, Deserialize, Default)]
pub(super) struct StoredContent {
    raw: Option<String>,
    visual: Option<(String, Option<String>)>,
    fallback: Option<(String, Option<String>)>,
}

/// Where a notification's content lies.
#[derive(Serialize, Deserialize)]
pub(super) enum StoredPlace {
    Inline(Vec<u8>),
    Parts(u16),
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredNotification {
    id: [u8; 16],
    number: u64,
    changed_at: u64,
    app_id: Option<String>,
    group: Option<String>,
    platforms: Option<Vec<u8>>,
    display_ttl: Option<u32>,
    asked_expiry: Option<u64>,
    priority: u8,
    fallback: Option<(Vec<u8>, u64)>,
    created: u64,
    posted: u64,
    modified: u64,
    expires: u64,
    read: bool,
    action: u8,
    removed: Option<u8>,
    pub(super) content: StoredPlace,
}

/// How many bytes of content may stand in the notification's own row, and in one part. No value may exceed 4 KiB,
/// and the rest of the row takes up to 1 KiB.
pub(super) const INLINE_BYTES: usize = 2_900;
pub(super) const PART_BYTES: usize = 3_900;

fn visual(pair: (String, Option<String>)) -> VisualContent {
    VisualContent {
        title: pair.0,
        body: pair.1,
    }
}

fn pair(visual: &VisualContent) -> (String, Option<String>) {
    (visual.title.clone(), visual.body.clone())
}

pub(super) fn encode_content(draft: &Draft) -> Result<Vec<u8>, Error> {
    let content = StoredContent {
        raw: draft.raw.clone(),
        visual: draft.visual.as_ref().map(pair),
        fallback: draft
            .fallback
            .as_ref()
            .map(|fallback| pair(&fallback.visual)),
    };
    codec::encode(1, &content)
}

/// How many part rows content of this length takes; none where it stands in the notification's own row.
pub(super) fn part_count(content_bytes: usize) -> u16 {
    if content_bytes <= INLINE_BYTES {
        0
    } else {
        u16::try_from(content_bytes.div_ceil(PART_BYTES)).unwrap_or(u16::MAX)
    }
}

pub(super) fn encode_notification(it: &Notification) -> Result<Vec<u8>, Error> {
    let content = encode_content(&it.draft)?;
    let place = match part_count(content.len()) {
        0 => StoredPlace::Inline(content),
        parts => StoredPlace::Parts(parts),
    };
    let draft = &it.draft;
    let stored = StoredNotification {
        id: it.id.to_bytes(),
        number: it.number.0,
        changed_at: it.changed_at.0,
        app_id: draft.app_id.clone(),
        group: draft.group.clone(),
        platforms: draft
            .platforms
            .as_ref()
            .map(|set| set.iter().map(platform_code).collect()),
        display_ttl: draft.display_ttl.map(Ttl::as_secs),
        asked_expiry: millis(draft.expires),
        priority: draft.priority as u8,
        fallback: draft.fallback.as_ref().map(|fallback| {
            let delay = u64::try_from(fallback.delay.as_millis()).unwrap_or(u64::MAX);
            (
                fallback.platforms.iter().map(platform_code).collect(),
                delay,
            )
        }),
        created: it.created.as_millis(),
        posted: it.posted.as_millis(),
        modified: it.modified.as_millis(),
        expires: it.expires.as_millis(),
        read: it.read == ReadState::Read,
        action: it.action as u8,
        removed: it.removed.map(removal_code),
        content: place,
    };
    codec::encode(1, &stored)
}

pub(super) fn decode_row(bytes: &[u8]) -> Result<StoredNotification, Error> {
    codec::decode(1, bytes)
}

/// Puts a notification together from its row and its content.
pub(super) fn decode_notification(
    stored: StoredNotification,
    content: &[u8],
) -> Result<Notification, Error> {
    let content: StoredContent = codec::decode(1, content)?;
    let fallback = match (stored.fallback, content.fallback) {
        (Some((platforms, delay)), Some(text)) => Some(Fallback {
            platforms: platforms_of(&platforms)?,
            delay: Duration::from_millis(delay),
            visual: visual(text),
        }),
        _ => None,
    };
    let draft = Draft {
        app_id: stored.app_id,
        group: stored.group,
        platforms: stored.platforms.as_deref().map(platforms_of).transpose()?,
        raw: content.raw,
        visual: content.visual.map(visual),
        display_ttl: stored
            .display_ttl
            .and_then(|secs| Ttl::from_secs(i64::from(secs))),
        expires: times(stored.asked_expiry),
        priority: priority(stored.priority)?,
        fallback,
    };
    Ok(Notification {
        id: NotificationId::from_bytes(stored.id),
        number: FeedPosition(stored.number),
        changed_at: FeedPosition(stored.changed_at),
        draft,
        created: time(stored.created),
        posted: time(stored.posted),
        modified: time(stored.modified),
        expires: time(stored.expires),
        read: if stored.read {
            ReadState::Read
        } else {
            ReadState::Unread
        },
        action: action(stored.action)?,
        removed: stored.removed.map(removal).transpose()?,
    })
}

fn platform_code(platform: &Platform) -> u8 {
    match platform {
        Platform::Windows => 1,
        Platform::Ios => 2,
        Platform::Android => 3,
        Platform::WebPush => 4,
    }
}

fn platform(code: u8) -> Result<Platform, Error> {
    Platform::ALL
        .into_iter()
        .find(|platform| platform_code(platform) == code)
        .ok_or_else(|| broken("a platform"))
}

fn platforms_of(codes: &[u8]) -> Result<Vec<Platform>, Error> {
    codes.iter().map(|code| platform(*code)).collect()
}

fn priority(code: u8) -> Result<Priority, Error> {
    [Priority::None, Priority::High, Priority::Low]
        .into_iter()
        .find(|priority| *priority as u8 == code)
        .ok_or_else(|| broken("a priority"))
}

fn action(code: u8) -> Result<ActionState, Error> {
    [
        ActionState::NoInteraction,
        ActionState::Activated,
        ActionState::Dismissed,
        ActionState::Snoozed,
    ]
    .into_iter()
    .find(|action| *action as u8 == code)
    .ok_or_else(|| broken("an action state"))
}

fn removal_code(removal: Removal) -> u8 {
    match removal {
        Removal::Deleted => 1,
        Removal::Expired => 2,
    }
}

fn removal(code: u8) -> Result<Removal, Error> {
    match code {
        1 => Ok(Removal::Deleted),
        2 => Ok(Removal::Expired),
        _ => Err(broken("a removal")),
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredChange {
    position: u64,
    number: u64,
    notification: [u8; 16],
    kind: u8,
    at: u64,
    by: Option<String>,
}

impl Record for Change {
    type Stored = StoredChange;

    fn to_stored(&self) -> StoredChange {
        StoredChange {
            position: self.position.0,
            number: self.number.0,
            notification: self.notification.to_bytes(),
            kind: match self.kind {
                ChangeKind::Created => 1,
                ChangeKind::Changed => 2,
                ChangeKind::Removed(removal) => 2 + removal_code(removal),
            },
            at: self.at.as_millis(),
            by: self.by.as_ref().map(|id| id.as_str().to_owned()),
        }
    }

    fn from_stored(stored: StoredChange) -> Result<Self, Error> {
        Ok(Self {
            position: FeedPosition(stored.position),
            number: FeedPosition(stored.number),
            notification: NotificationId::from_bytes(stored.notification),
            kind: match stored.kind {
                1 => ChangeKind::Created,
                2 => ChangeKind::Changed,
                code => ChangeKind::Removed(removal(code.saturating_sub(2))?),
            },
            at: time(stored.at),
            by: stored.by.as_deref().map(endpoint_id).transpose()?,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) enum StoredChannel {
    None,
    Apns(String, Option<String>, Option<bool>),
    Fcm(String),
    WebPush {
        endpoint: String,
        p256dh: Vec<u8>,
        auth: [u8; 16],
        vapid: Option<Vec<u8>>,
        expires: Option<u64>,
    },
    Wns(String),
}

fn stored_channel(channel: &Channel) -> StoredChannel {
    match channel {
        Channel::None => StoredChannel::None,
        Channel::Apns {
            device_token,
            topic,
            environment,
        } => StoredChannel::Apns(
            device_token.as_hex().to_owned(),
            topic.clone(),
            environment.map(|environment| environment == ApnsEnvironment::Sandbox),
        ),
        Channel::Fcm { registration_token } => {
            StoredChannel::Fcm(registration_token.expose().clone())
        }
        Channel::WebPush {
            endpoint,
            keys,
            vapid_public_key,
            expires,
        } => StoredChannel::WebPush {
            endpoint: endpoint.expose().clone(),
            p256dh: keys.p256dh.to_vec(),
            auth: *keys.auth.expose(),
            vapid: vapid_public_key.clone(),
            expires: millis(*expires),
        },
        Channel::Wns { channel_uri } => StoredChannel::Wns(channel_uri.expose().clone()),
    }
}

fn channel(stored: StoredChannel) -> Result<Channel, Error> {
    Ok(match stored {
        StoredChannel::None => Channel::None,
        StoredChannel::Apns(token, topic, sandbox) => Channel::Apns {
            device_token: DeviceToken::parse(&token).ok_or_else(|| broken("a device token"))?,
            topic,
            environment: sandbox.map(|sandbox| {
                if sandbox {
                    ApnsEnvironment::Sandbox
                } else {
                    ApnsEnvironment::Production
                }
            }),
        },
        StoredChannel::Fcm(token) => Channel::Fcm {
            registration_token: Secret::new(token),
        },
        StoredChannel::WebPush {
            endpoint,
            p256dh,
            auth,
            vapid,
            expires,
        } => Channel::WebPush {
            endpoint: Secret::new(endpoint),
            keys: WebPushKeys {
                p256dh: p256dh
                    .try_into()
                    .map_err(|_| broken("a subscription's key"))?,
                auth: Secret::new(auth),
            },
            vapid_public_key: vapid,
            expires: times(expires),
        },
        StoredChannel::Wns(uri) => Channel::Wns {
            channel_uri: Secret::new(uri),
        },
    })
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredEndpoint {
    id: String,
    platform: u8,
    channel: StoredChannel,
    generation: u64,
    tap_id: [u8; 16],
    subscription: [u8; 16],
    display_name: Option<String>,
    locale: Option<String>,
    state_sync: bool,
    shared: bool,
    created: u64,
    registered: u64,
    last_seen: u64,
    expires: u64,
    registered_at: u64,
}

impl Record for Endpoint {
    type Stored = StoredEndpoint;

    fn to_stored(&self) -> StoredEndpoint {
        StoredEndpoint {
            id: self.id.as_str().to_owned(),
            platform: platform_code(&self.platform),
            channel: stored_channel(&self.channel),
            generation: self.generation,
            tap_id: self.tap_id.to_bytes(),
            subscription: self.subscription.to_bytes(),
            display_name: self.display_name.clone(),
            locale: self.locale.clone(),
            state_sync: self.state_sync,
            shared: self.shared,
            created: self.created.as_millis(),
            registered: self.registered.as_millis(),
            last_seen: self.last_seen.as_millis(),
            expires: self.expires.as_millis(),
            registered_at: self.registered_at.0,
        }
    }

    fn from_stored(stored: StoredEndpoint) -> Result<Self, Error> {
        Ok(Self {
            id: endpoint_id(&stored.id)?,
            platform: platform(stored.platform)?,
            channel: channel(stored.channel)?,
            generation: stored.generation,
            tap_id: TapId::from_bytes(stored.tap_id),
            subscription: SubscriptionId::from_bytes(stored.subscription),
            display_name: stored.display_name,
            locale: stored.locale,
            state_sync: stored.state_sync,
            shared: stored.shared,
            created: time(stored.created),
            registered: time(stored.registered),
            last_seen: time(stored.last_seen),
            expires: time(stored.expires),
            gone: None,
            registered_at: FeedPosition(stored.registered_at),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredOwner(StoredSubject, String, u64, bool);

pub(super) fn encode_owners(owners: &[Owner]) -> Result<Vec<u8>, Error> {
    let stored: Vec<StoredOwner> = owners
        .iter()
        .map(|owner| {
            let endpoint = owner.endpoint.as_str().to_owned();
            StoredOwner(
                stored_subject(&owner.subject),
                endpoint,
                owner.generation,
                owner.shared,
            )
        })
        .collect();
    codec::encode(1, &stored)
}

pub(super) fn decode_owners(bytes: &[u8]) -> Result<Vec<Owner>, Error> {
    let stored: Vec<StoredOwner> = codec::decode(1, bytes)?;
    stored
        .into_iter()
        .map(|owner| {
            Ok(Owner {
                subject: subject(&owner.0)?,
                endpoint: endpoint_id(&owner.1)?,
                generation: owner.2,
                shared: owner.3,
            })
        })
        .collect()
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredAnswer(u16, Option<String>, Option<String>);

fn stored_answer(answer: &ServiceAnswer) -> StoredAnswer {
    StoredAnswer(answer.status, answer.reason.clone(), answer.id.clone())
}

fn answer(stored: StoredAnswer) -> ServiceAnswer {
    ServiceAnswer {
        status: stored.0,
        reason: stored.1,
        id: stored.2,
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredTapState {
    generation: u64,
    covered: u64,
    tapped: u64,
    tapped_at: u64,
    tapped_silently: bool,
    repeats: u32,
    attempts: u32,
    not_before: u64,
    stopped: bool,
    last_push: u64,
    /// The first in milliseconds, the others as the milliseconds since the one before: a full budget stays small.
    silent: Vec<u64>,
    burst: u32,
    burst_at: u64,
    fallbacks: Vec<u64>,
    fell_back: Vec<u64>,
    gone: Option<u64>,
    toast: bool,
    answer: Option<StoredAnswer>,
}

fn deltas(times: &[Timestamp]) -> Vec<u64> {
    let mut last = 0;
    times
        .iter()
        .map(|time| {
            let delta = time.as_millis().saturating_sub(last);
            last = time.as_millis();
            delta
        })
        .collect()
}

fn sums(deltas: &[u64]) -> Vec<Timestamp> {
    deltas
        .iter()
        .scan(0u64, |sum, delta| {
            *sum = sum.saturating_add(*delta);
            Some(time(*sum))
        })
        .collect()
}

fn raw_positions(positions: &[FeedPosition]) -> Vec<u64> {
    positions.iter().map(|position| position.0).collect()
}

fn positions(raw: Vec<u64>) -> Vec<FeedPosition> {
    raw.into_iter().map(FeedPosition).collect()
}

impl Record for TapState {
    type Stored = StoredTapState;

    fn to_stored(&self) -> StoredTapState {
        StoredTapState {
            generation: self.generation,
            covered: self.covered.0,
            tapped: self.tapped.0,
            tapped_at: self.tapped_at.as_millis(),
            tapped_silently: self.tapped_silently,
            repeats: self.repeats,
            attempts: self.attempts,
            not_before: self.not_before.as_millis(),
            stopped: self.stopped,
            last_push: self.last_push.as_millis(),
            silent: deltas(&self.silent),
            burst: self.burst,
            burst_at: self.burst_at.as_millis(),
            fallbacks: raw_positions(&self.fallbacks),
            fell_back: raw_positions(&self.fell_back),
            gone: millis(self.gone),
            toast: self.toast,
            answer: self.answer.as_ref().map(stored_answer),
        }
    }

    fn from_stored(stored: StoredTapState) -> Result<Self, Error> {
        Ok(Self {
            generation: stored.generation,
            covered: FeedPosition(stored.covered),
            tapped: FeedPosition(stored.tapped),
            tapped_at: time(stored.tapped_at),
            tapped_silently: stored.tapped_silently,
            repeats: stored.repeats,
            attempts: stored.attempts,
            not_before: time(stored.not_before),
            stopped: stored.stopped,
            last_push: time(stored.last_push),
            silent: sums(&stored.silent),
            burst: stored.burst,
            burst_at: time(stored.burst_at),
            fallbacks: positions(stored.fallbacks),
            fell_back: positions(stored.fell_back),
            gone: times(stored.gone),
            toast: stored.toast,
            answer: stored.answer.map(answer),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredPush {
    covers: u64,
    at: u64,
    kind: u8,
    shows: Option<[u8; 16]>,
    accepted: bool,
    attempts: u32,
    size_bytes: u32,
    answer: StoredAnswer,
}

impl Record for Push {
    type Stored = StoredPush;

    fn to_stored(&self) -> StoredPush {
        StoredPush {
            covers: self.covers.0,
            at: self.at.as_millis(),
            kind: match self.kind {
                TapKind::Created => 1,
                TapKind::Changed => 2,
                TapKind::Fallback => 3,
                TapKind::Test => 4,
            },
            shows: self.shows.map(NotificationId::to_bytes),
            accepted: self.accepted,
            attempts: self.attempts,
            size_bytes: self.size_bytes,
            answer: stored_answer(&self.answer),
        }
    }

    fn from_stored(stored: StoredPush) -> Result<Self, Error> {
        Ok(Self {
            covers: FeedPosition(stored.covers),
            at: time(stored.at),
            kind: match stored.kind {
                1 => TapKind::Created,
                2 => TapKind::Changed,
                3 => TapKind::Fallback,
                4 => TapKind::Test,
                _ => return Err(broken("a tap's kind")),
            },
            shows: stored.shows.map(NotificationId::from_bytes),
            accepted: stored.accepted,
            attempts: stored.attempts,
            size_bytes: stored.size_bytes,
            answer: answer(stored.answer),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredFetchMark {
    position: u64,
    at: u64,
    recent: Vec<(u64, u64)>,
}

impl Record for FetchMark {
    type Stored = StoredFetchMark;

    fn to_stored(&self) -> StoredFetchMark {
        StoredFetchMark {
            position: self.position.0,
            at: self.at.as_millis(),
            recent: self
                .recent
                .iter()
                .map(|(held, at)| (held.0, at.as_millis()))
                .collect(),
        }
    }

    fn from_stored(stored: StoredFetchMark) -> Result<Self, Error> {
        Ok(Self {
            position: FeedPosition(stored.position),
            at: time(stored.at),
            recent: stored
                .recent
                .iter()
                .map(|(held, at)| (FeedPosition(*held), time(*at)))
                .collect(),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredReceipt(Option<u64>, Option<u64>, Option<u64>);

impl Record for Receipt {
    type Stored = StoredReceipt;

    fn to_stored(&self) -> StoredReceipt {
        StoredReceipt(millis(self.fetched), millis(self.shown), millis(self.acted))
    }

    fn from_stored(stored: StoredReceipt) -> Result<Self, Error> {
        Ok(Self {
            fetched: times(stored.0),
            shown: times(stored.1),
            acted: times(stored.2),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredKey {
    id: String,
    app: String,
    name: Option<String>,
    scope: u8,
    hash: [u8; 32],
    created: u64,
    revoked: Option<u64>,
}

impl Record for AppKey {
    type Stored = StoredKey;

    fn to_stored(&self) -> StoredKey {
        StoredKey {
            id: self.id.clone(),
            app: self.app.as_str().to_owned(),
            name: self.name.clone(),
            scope: match self.scope {
                Scope::Send => 1,
                Scope::Users => 2,
                Scope::All => 3,
            },
            hash: self.hash,
            created: self.created.as_millis(),
            revoked: millis(self.revoked),
        }
    }

    fn from_stored(stored: StoredKey) -> Result<Self, Error> {
        Ok(Self {
            id: stored.id,
            app: host(&stored.app)?,
            name: stored.name,
            scope: match stored.scope {
                1 => Scope::Send,
                2 => Scope::Users,
                3 => Scope::All,
                _ => return Err(broken("a key's scope")),
            },
            hash: stored.hash,
            created: time(stored.created),
            revoked: times(stored.revoked),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredToken {
    hash: [u8; 32],
    subject: StoredSubject,
    endpoint: Option<String>,
    minted_by: Option<String>,
    expires: u64,
}

impl Record for UserToken {
    type Stored = StoredToken;

    fn to_stored(&self) -> StoredToken {
        StoredToken {
            hash: self.hash,
            subject: stored_subject(&self.subject),
            endpoint: self.endpoint.as_ref().map(|id| id.as_str().to_owned()),
            minted_by: self.minted_by.clone(),
            expires: self.expires.as_millis(),
        }
    }

    fn from_stored(stored: StoredToken) -> Result<Self, Error> {
        Ok(Self {
            hash: stored.hash,
            subject: subject(&stored.subject)?,
            endpoint: stored.endpoint.as_deref().map(endpoint_id).transpose()?,
            minted_by: stored.minted_by,
            expires: time(stored.expires),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredOnce {
    key: [u8; 32],
    request: [u8; 32],
    subject: StoredSubject,
    created: bool,
    notification: [u8; 16],
    expires: u64,
}

impl Record for Once {
    type Stored = StoredOnce;

    fn to_stored(&self) -> StoredOnce {
        StoredOnce {
            key: self.key,
            request: self.request,
            subject: stored_subject(&self.subject),
            created: self.created,
            notification: self.notification.to_bytes(),
            expires: self.expires.as_millis(),
        }
    }

    fn from_stored(stored: StoredOnce) -> Result<Self, Error> {
        let subject = subject(&stored.subject)?;
        Ok(Self {
            app: subject.app.clone(),
            key: stored.key,
            request: stored.request,
            subject,
            created: stored.created,
            notification: NotificationId::from_bytes(stored.notification),
            expires: time(stored.expires),
        })
    }
}
