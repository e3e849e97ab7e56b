//! Values that unit tests here and in dispatch begin with.

use std::sync::Arc;

use super::{Level, Step};
use crate::{
    config::apps::{App, Badge, Placeholder, Privacy},
    hub::DueTap,
    model::{
        ActionState, AppHost, Change, ChangeKind, Channel, DeviceToken, Draft, Endpoint,
        EndpointId, FeedPosition, FetchMark, Notification, NotificationId, Platform, Priority,
        ReadState, Secret, Subject, SubscriptionId, Tap, TapId, TapKind, TapState, Timestamp,
        UserId, VisualContent, WebPushKeys,
    },
    store::Stamp,
};

pub(crate) fn at(seconds: u64) -> Timestamp {
    // From a round moment on, so that "never" (0) is long ago.
    Timestamp::from_millis(1_800_000_000_000 + seconds * 1000)
}

pub(crate) fn app() -> App {
    App {
        host: AppHost::parse("todo.example").unwrap(),
        privacy: Privacy::Tap,
        placeholder: Placeholder {
            default: VisualContent {
                title: "New notification".into(),
                body: None,
            },
            by_locale: Default::default(),
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
    }
}

pub(crate) fn id(number: u64) -> NotificationId {
    NotificationId::from_bytes(u128::from(number).to_be_bytes())
}

pub(crate) fn notification(number: u64, visual: bool, priority: Priority) -> Notification {
    let title = VisualContent {
        title: "t".into(),
        body: None,
    };
    Notification {
        id: id(number),
        number: FeedPosition(number),
        changed_at: FeedPosition(number),
        version: 1,
        draft: Draft {
            app_id: None,
            group: None,
            platforms: None,
            raw: (!visual).then(|| "r".into()),
            visual: visual.then_some(title),
            display_ttl: None,
            expires: None,
            priority,
            fallback: None,
        },
        created: at(0),
        posted: at(0),
        modified: at(0),
        expires: at(7 * 24 * 3600),
        read: ReadState::Unread,
        action: ActionState::NoInteraction,
        handled: false,
        handled_since: None,
        removed: None,
        broadcast: None,
    }
}

pub(crate) fn level(platform: Platform) -> Level {
    let channel = match platform {
        Platform::Ios => Channel::Apns {
            device_token: DeviceToken::parse("00").unwrap(),
            topic: None,
            environment: None,
        },
        Platform::Android => Channel::Fcm {
            registration_token: Secret::new("t".into()),
        },
        Platform::Windows => Channel::Wns {
            channel_uri: Secret::new("https://a/".into()),
        },
        Platform::WebPush => Channel::WebPush {
            endpoint: Secret::new("https://a/".into()),
            keys: WebPushKeys {
                p256dh: [4; 65],
                auth: Secret::new([0; 16]),
            },
            vapid_public_key: None,
            expires: None,
        },
    };
    Level {
        endpoint: Endpoint {
            id: EndpointId::parse("mine").unwrap(),
            platform,
            channel,
            generation: 1,
            tap_id: TapId::from_bytes([0; 16]),
            subscription: SubscriptionId::from_bytes([0; 16]),
            display_name: None,
            locale: None,
            state_sync: false,
            shared: false,
            created: at(0),
            registered: at(0),
            last_seen: at(0),
            expires: Timestamp::MAX,
            asked_expires: None,
            told_until: None,
            gone: None,
            registered_at: FeedPosition::START,
        },
        state: TapState {
            generation: 1,
            ..TapState::default()
        },
        mark: FetchMark::default(),
        streaming: false,
        fallbacks: Vec::new(),
        read_singly: Vec::new(),
        believed: Timestamp::MAX,
        resumed: Timestamp::default(),
    }
}

/// The change that the posting of a notification is.
pub(crate) fn posted(it: Notification) -> Step {
    Step {
        change: Change {
            position: it.number,
            number: it.number,
            notification: it.id,
            kind: ChangeKind::Created,
            replaced: false,
            at: it.posted,
            by: None,
        },
        notification: Some(it),
    }
}

/// A tap that announces a notification of High priority.
pub(crate) fn due(platform: Platform, visible: bool) -> DueTap {
    let level = level(platform);
    let it = notification(4, visible, Priority::High);
    DueTap {
        subject: Subject {
            app: app().host,
            user: UserId::parse("ada").unwrap(),
        },
        state: level.state.clone(),
        displayed: visible && platform == Platform::Ios,
        tap: Tap {
            kind: TapKind::Created,
            shows: visible.then_some(it.id),
            visible,
            covers: FeedPosition(9),
            priority: Priority::High,
            ahead: true,
            expires: it.expires,
            since: it.posted,
        },
        level,
        notification: Some(Arc::new(it)),
        unread: 1,
        seen: Stamp::default(),
        planned: at(0),
    }
}
