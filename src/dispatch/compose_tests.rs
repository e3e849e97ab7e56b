use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::{
    config::apps::{Apns, Fcm, Wns},
    hub::due::testing::{app, at, id, level, notification},
    model::{ApnsEnvironment, Fallback, FeedPosition, Platform, Secret, Tap},
};

const TAP_ID: &str = "00000000-0000-0000-0000-000000000000";

fn compose(due: &DueTap, app: &App, now: Timestamp) -> Option<(Message, usize)> {
    super::compose(due, app, &Delivery::default(), now)
}

fn configured(privacy: Privacy) -> App {
    let mut app = app();
    app.privacy = privacy;
    app.badge = Badge::Unread;
    app.apns = Some(Arc::new(Apns {
        login: crate::config::apps::ApnsLogin::Token {
            key: Secret::new(Vec::new()),
            key_id: "ABC123DEFG".into(),
            team_id: "DEF123GHIJ".into(),
        },
        topic: "com.example.todo".into(),
        sound: Some("default".into()),
        category: None,
        environment: ApnsEnvironment::Production,
        endpoint: None,
        ca: None,
    }));
    app.fcm = Some(Arc::new(Fcm {
        project_id: "p".into(),
        client_email: "a@p".into(),
        private_key: Secret::new(Vec::new()),
        private_key_id: "k".into(),
        token_uri: "https://oauth2.googleapis.com/token".into(),
        channel_id: Some("news".into()),
        endpoint: None,
        token_endpoint: None,
        ca: None,
    }));
    app.wns = Some(Arc::new(Wns {
        tenant_id: Some("t".into()),
        client_id: "c".into(),
        client_secret: Secret::new(String::new()),
        token_endpoint: None,
        allowed_hosts: Vec::new(),
        placeholder_toast: true,
        ca: None,
    }));
    app
}

/// A tap of `kind` to `platform`, for a notification whose content is recognisable.
fn due(platform: Platform, kind: TapKind, visible: bool, priority: Priority) -> DueTap {
    let mut it = notification(1, visible, priority);
    it.draft.group = Some("canary group".into());
    it.draft.app_id = Some("canary id".into());
    if let Some(visual) = &mut it.draft.visual {
        *visual = VisualContent {
            title: "canary title".into(),
            body: Some("canary <body>".into()),
        };
    }
    it.draft.raw = Some("canary raw".into());
    if kind == TapKind::Fallback {
        it.draft.visual = None;
        it.draft.fallback = Some(Fallback {
            platforms: vec![platform],
            delay: Duration::from_secs(60),
            visual: VisualContent {
                title: "canary fallback".into(),
                body: None,
            },
        });
    }
    let level = level(platform);
    let shows = visible || (platform == Platform::WebPush && kind == TapKind::Created);
    DueTap {
        subject: crate::model::Subject {
            app: app().host,
            user: crate::model::UserId::parse("canary-user").unwrap(),
        },
        displayed: visible && (platform == Platform::Ios || platform == Platform::Windows),
        state: level.state.clone(),
        level,
        tap: Tap {
            kind,
            shows: shows.then(|| id(1)),
            visible,
            covers: FeedPosition(1),
            priority,
            ahead: false,
            expires: it.expires,
            since: it.posted,
        },
        notification: Some(Arc::new(it)),
        unread: 3,
        seen: crate::store::Stamp::default(),
        planned: at(0),
    }
}

fn json_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn beckon(kind: &str, shows: bool) -> Value {
    if shows {
        json!({"e": TAP_ID, "k": kind, "n": id(1).to_string(), "v": 1})
    } else {
        json!({"e": TAP_ID, "k": kind, "v": 1})
    }
}

#[test]
fn with_privacy_tap_nothing_of_the_content_leaves() {
    let app = configured(Privacy::Tap);
    for platform in Platform::ALL {
        for (kind, visible) in [
            (TapKind::Created, true),
            (TapKind::Created, false),
            (TapKind::Changed, false),
            (TapKind::Fallback, true),
        ] {
            let mut due = due(platform, kind, visible, Priority::High);
            due.displayed |= kind == TapKind::Fallback && platform == Platform::Android;
            let (message, _) = compose(&due, &app, at(0)).unwrap();
            let seen = match &message {
                Message::WebPush(it) => {
                    format!("{it:?} {}", String::from_utf8_lossy(&it.plaintext))
                }
                other => format!("{other:?}"),
            };
            assert!(!seen.contains("canary"), "{platform:?} {kind:?}: {seen}");
        }
    }
}

#[test]
fn apns_gets_what_the_table_says() {
    let app = configured(Privacy::Tap);
    let apns = |kind, visible, priority| match compose(
        &due(Platform::Ios, kind, visible, priority),
        &app,
        at(0),
    )
    .unwrap()
    .0
    {
        Message::Apns(it) => it,
        other => panic!("{other:?}"),
    };
    let raw = apns(TapKind::Created, false, Priority::High);
    assert_eq!(
        (raw.push_type, raw.priority, raw.collapse_id.as_str()),
        (ApnsPushType::Background, 5, "tap")
    );
    assert_eq!(
        json_of(&raw.payload),
        json!({"aps": {"content-available": 1}, "beckon": beckon("created", false)})
    );
    let visual = apns(TapKind::Created, true, Priority::None);
    assert_eq!(
        (visual.push_type, visual.priority),
        (ApnsPushType::Alert, 10)
    );
    assert_eq!(visual.collapse_id, id(1).to_string());
    assert_eq!(visual.ttl, Duration::from_secs(7 * 24 * 3600));
    assert_eq!(
        json_of(&visual.payload),
        json!({
            "aps": {
                "alert": {"title": "New notification"}, "mutable-content": 1, "content-available": 1,
                "sound": "default", "badge": 3
            },
            "beckon": beckon("created", true)
        })
    );
    let low = apns(TapKind::Created, true, Priority::Low);
    assert_eq!(low.priority, 5);
    assert_eq!(json_of(&low.payload)["aps"].get("sound"), None);
    let state = apns(TapKind::Changed, false, Priority::None);
    assert_eq!(json_of(&state.payload)["beckon"], beckon("changed", false));
    let fallback = apns(TapKind::Fallback, true, Priority::High);
    assert_eq!(
        (fallback.push_type, fallback.priority),
        (ApnsPushType::Alert, 10)
    );
    assert_eq!(json_of(&fallback.payload)["beckon"]["k"], "fallback");
}

#[test]
fn apns_payloads_are_those_of_an_independent_builder() {
    use apns_h2::request::{
        notification::{DefaultNotificationBuilder, NotificationBuilder, NotificationOptions},
        payload::PayloadLike,
    };
    let app = configured(Privacy::Direct);
    let ours = compose(
        &due(Platform::Ios, TapKind::Created, true, Priority::High),
        &app,
        at(0),
    )
    .unwrap();
    let Message::Apns(ours) = ours.0 else {
        panic!()
    };
    let mut theirs = DefaultNotificationBuilder::new()
        .title("canary title")
        .body("canary <body>")
        .sound("default")
        .badge(3)
        .mutable_content()
        .build("00", NotificationOptions::default());
    theirs
        .add_custom_data("beckon", &beckon("created", true))
        .unwrap();
    let theirs: Value = serde_json::from_str(&theirs.to_json_string().unwrap()).unwrap();
    assert_eq!(json_of(&ours.payload), theirs);

    let ours = compose(
        &due(Platform::Ios, TapKind::Created, false, Priority::High),
        &app,
        at(0),
    )
    .unwrap();
    let Message::Apns(ours) = ours.0 else {
        panic!()
    };
    let mut theirs = DefaultNotificationBuilder::new()
        .content_available()
        .build("00", NotificationOptions::default());
    theirs
        .add_custom_data("beckon", &beckon("created", false))
        .unwrap();
    let mut theirs: Value = serde_json::from_str(&theirs.to_json_string().unwrap()).unwrap();
    // It writes the default of a flag out; left out, it means the same.
    assert_eq!(
        theirs["aps"]
            .as_object_mut()
            .unwrap()
            .remove("mutable-content"),
        Some(json!(0))
    );
    assert_eq!(json_of(&ours.payload), theirs);
}

#[test]
fn fcm_gets_what_the_table_says() {
    let tap = configured(Privacy::Tap);
    let fcm = |due: &DueTap, app: &App| match compose(due, app, at(0)).unwrap().0 {
        Message::Fcm(it) => it,
        other => panic!("{other:?}"),
    };
    let raw = fcm(
        &due(Platform::Android, TapKind::Created, false, Priority::None),
        &tap,
    );
    assert!(!raw.high && raw.notification.is_none());
    let keys: Vec<&str> = raw.data.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, ["beckon", "e", "k", "v"]);
    assert!(
        fcm(
            &due(Platform::Android, TapKind::Created, false, Priority::High),
            &tap
        )
        .high
    );
    let visual = fcm(
        &due(Platform::Android, TapKind::Created, true, Priority::None),
        &tap,
    );
    assert!(visual.high && visual.notification.is_none());
    assert!(visual.data.contains(&("n", id(1).to_string())));
    assert!(
        !fcm(
            &due(Platform::Android, TapKind::Created, true, Priority::Low),
            &tap
        )
        .high
    );
    assert!(
        !fcm(
            &due(Platform::Android, TapKind::Changed, false, Priority::None),
            &tap
        )
        .high
    );

    let mut direct = due(Platform::Android, TapKind::Created, true, Priority::High);
    direct.displayed = true;
    let shown = fcm(&direct, &configured(Privacy::Direct))
        .notification
        .unwrap();
    assert_eq!(
        (shown.title.as_str(), shown.body.as_deref()),
        ("canary title", Some("canary <body>"))
    );
    assert_eq!(
        (shown.tag, shown.channel_id.as_deref()),
        (id(1).to_string(), Some("news"))
    );
}

#[test]
fn web_push_gets_what_the_table_says() {
    let tap = configured(Privacy::Tap);
    let web = |due: &DueTap, app: &App, now| match compose(due, app, now).unwrap().0 {
        Message::WebPush(it) => it,
        other => panic!("{other:?}"),
    };
    let visual = due(Platform::WebPush, TapKind::Created, true, Priority::High);
    let message = web(&visual, &tap, at(0));
    assert_eq!(
        json_of(&message.plaintext),
        json!({"beckon": beckon("created", true)})
    );
    assert_eq!(message.urgency, Urgency::High);
    assert_eq!(message.topic.as_ref().map(String::len), Some(32));
    let state = web(
        &due(Platform::WebPush, TapKind::Changed, false, Priority::None),
        &tap,
        at(0),
    );
    assert_eq!(
        (state.urgency, json_of(&state.plaintext)),
        (
            Urgency::VeryLow,
            json!({"beckon": beckon("changed", false)})
        )
    );
    assert_ne!(state.topic, message.topic);
    let late = web(&visual, &tap, at(7 * 24 * 3600 - 5));
    assert_eq!(
        late.ttl,
        Duration::from_secs(60),
        "some services refuse less"
    );

    assert_eq!(
        (message.bare, state.bare),
        (None, None),
        "nothing to leave out"
    );
    let direct = web(&visual, &configured(Privacy::Direct), at(0));
    let body = json_of(&direct.plaintext);
    assert_eq!(
        (&body["title"], &body["body"]),
        (&json!("canary title"), &json!("canary <body>"))
    );
    assert_eq!(
        json_of(&direct.bare.unwrap()),
        json!({"beckon": beckon("created", true)})
    );

    let mut google = visual;
    if let Channel::WebPush { endpoint, .. } = &mut google.level.endpoint.channel {
        *endpoint = Secret::new("https://fcm.googleapis.com/fcm/send/x".into());
    }
    assert_eq!(
        web(&google, &tap, at(0)).topic,
        None,
        "it would become a throttled collapse key"
    );
}

#[test]
fn wns_gets_what_the_table_says() {
    let tap = configured(Privacy::Tap);
    let wns = |due: &DueTap, app: &App| match compose(due, app, at(0)).unwrap().0 {
        Message::Wns(it) => it,
        other => panic!("{other:?}"),
    };
    let raw = wns(
        &due(Platform::Windows, TapKind::Created, false, Priority::None),
        &tap,
    );
    assert_eq!((raw.kind, raw.priority), (WnsKind::Raw, 2));
    assert_eq!(
        json_of(&raw.body),
        json!({"beckon": beckon("created", false)})
    );
    assert_eq!(
        wns(
            &due(Platform::Windows, TapKind::Changed, false, Priority::None),
            &tap
        )
        .priority,
        3
    );
    let toast = wns(
        &due(Platform::Windows, TapKind::Created, true, Priority::High),
        &configured(Privacy::Direct),
    );
    assert_eq!((toast.kind, toast.priority), (WnsKind::Toast, 1));
    let xml = String::from_utf8(toast.body.to_vec()).unwrap();
    assert!(
        xml.contains("<text>canary title</text><text>canary &lt;body&gt;</text>"),
        "{xml}"
    );
    assert!(
        xml.starts_with(r#"<toast launch="{&quot;beckon&quot;:{"#),
        "{xml}"
    );
}

#[test]
fn what_is_too_long_is_cut_at_a_character() {
    let app = configured(Privacy::Direct);
    for text in [
        "x".repeat(4096),
        "é".repeat(2048),
        "\"".repeat(4096),
        "日".repeat(1365),
        "&".repeat(4096),
    ] {
        for platform in Platform::ALL {
            let mut due = due(platform, TapKind::Created, true, Priority::High);
            due.displayed = platform != Platform::WebPush;
            let it = Arc::make_mut(due.notification.as_mut().unwrap());
            let visual = it.draft.visual.as_mut().unwrap();
            visual.body = Some(text.clone());
            let (message, size) = compose(&due, &app, at(0)).unwrap();
            let (limit, seen) = match &message {
                Message::Apns(it) => (4096, it.payload.to_vec()),
                Message::Fcm(it) => {
                    let shown = it.notification.as_ref().unwrap();
                    (
                        4096,
                        format!("{}{}", shown.title, shown.body.as_ref().unwrap()).into_bytes(),
                    )
                }
                Message::WebPush(it) => (3993, it.plaintext.to_vec()),
                Message::Wns(it) => (5000, it.body.to_vec()),
            };
            let seen = String::from_utf8(seen).unwrap();
            assert!(size <= limit, "{platform:?} {size}");
            assert!(seen.contains("canary title"), "the title goes last");
            assert!(
                seen.contains('…') || size + 3 < limit,
                "{platform:?} {size}"
            );
            assert!(
                size > limit / 2,
                "{platform:?} was cut to {size} of {limit}"
            );
        }
    }
}

/// FCM, and Web Push by topic, keep each one for a device that is away; APNs and WNS keep the newest alone.
#[test]
fn where_each_silent_tap_is_kept_one_lives_until_it_is_repeated() {
    let app = configured(Privacy::Tap);
    let ttl = |due: &DueTap, now| match compose(due, &app, now).unwrap().0 {
        Message::Fcm(it) => it.ttl,
        Message::WebPush(it) => it.ttl,
        Message::Wns(it) => it.ttl,
        Message::Apns(it) => it.ttl,
    };
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let (expires, later) = (minutes(7 * 24 * 60), at(3600));
    for platform in [Platform::Android, Platform::WebPush] {
        let mut tap = due(platform, TapKind::Created, false, Priority::None);
        assert_eq!(ttl(&tap, at(0)), minutes(15), "{platform:?}");
        tap.level.state.tapped = FeedPosition(5);
        tap.state.tapped = FeedPosition(5);
        assert_eq!(ttl(&tap, later), minutes(30), "repeated for the first time");
        tap.state.repeats = 9;
        assert_eq!(ttl(&tap, later), minutes(24 * 60), "at last daily");
        let visual = due(platform, TapKind::Created, true, Priority::None);
        assert_eq!(ttl(&visual, at(0)), expires, "what is seen is not repeated");
    }
    for platform in [Platform::Ios, Platform::Windows] {
        let tap = due(platform, TapKind::Created, false, Priority::None);
        assert_eq!(ttl(&tap, at(0)), expires, "{platform:?}");
    }
}
