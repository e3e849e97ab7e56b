use std::{fs, os::unix::fs::MetadataExt, path::Path, time::Duration};

use proptest::prelude::*;
use uuid::Uuid;

use super::{
    AppRow, Error, Expiring, Options, Row, Store, Unit,
    engine::{Engine, Op, wait_until_closed},
    guard::FolderLock,
    keys,
    records::{self, Record},
};
use crate::model::{
    ActionState, AppHost, AppKey, BroadcastId, Change, ChangeKind, Channel, DeviceToken, Draft,
    Endpoint, EndpointId, Fallback, FeedPosition, FetchMark, Marker, Notification, NotificationId,
    Once, OnceAnswer, Owner, Platform, Priority, Push, ReadState, Receipt, Removal, Scope, Secret,
    ServiceAnswer, Subject, SubscriptionId, TapId, TapKind, TapState, Timestamp, Ttl, User, UserId,
    UserToken, VisualContent, WebPushKeys,
};

pub(super) fn subject(user: &str) -> Subject {
    Subject {
        app: AppHost::parse("todo.example").unwrap(),
        user: UserId::parse(user).unwrap(),
    }
}

pub(super) fn options(folder: &Path) -> Options {
    Options {
        folder: folder.to_owned(),
        min_free_bytes: 0,
        cache_bytes: 8 << 20,
        accept_loss: false,
    }
}

pub(super) fn notification(number: u64, raw: String) -> Notification {
    let now = Timestamp::from_millis(1_800_000_000_000);
    Notification {
        id: NotificationId::from_bytes(Uuid::now_v7().into_bytes()),
        number: FeedPosition(number),
        changed_at: FeedPosition(number),
        version: 1,
        draft: Draft {
            app_id: None,
            group: None,
            platforms: None,
            raw: Some(raw),
            visual: None,
            display_ttl: None,
            expires: None,
            priority: Priority::None,
            fallback: None,
        },
        created: now,
        posted: now,
        modified: now,
        expires: now.plus(Duration::from_secs(60)),
        read: ReadState::Unread,
        action: ActionState::NoInteraction,
        handled: false,
        handled_since: None,
        removed: None,
        broadcast: None,
    }
}

/// What a post writes.
pub(super) fn post(user: &Subject, number: u64, raw: String) -> (Unit, Notification) {
    let it = notification(number, raw);
    let mut unit = Unit::of(user.clone());
    unit.expects = Some(FeedPosition(number - 1));
    let mut row = User::new(user.clone());
    (row.head, row.live, row.unread) = (FeedPosition(number), number, number);
    unit.push(Row::Notification(Box::new(it.clone())));
    unit.push(Row::Content(Box::new(it.clone())));
    unit.push(Row::Id(it.id, it.number));
    unit.push(Row::Expiry(it.expires, Expiring::Notification(it.number)));
    unit.push(Row::Change(Change {
        position: it.number,
        number: it.number,
        notification: it.id,
        kind: ChangeKind::Created,
        replaced: false,
        at: it.posted,
        by: None,
    }));
    unit.push(Row::Marker(Marker {
        due: it.posted,
        subject: user.clone(),
        tag: number,
    }));
    unit.push(Row::User(row));
    (unit, it)
}

#[tokio::test]
async fn what_was_committed_is_there_after_reopening_and_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let user = subject("ada");
    let mut posted = Vec::new();
    {
        let store = Store::open(&options(folder.path())).unwrap();
        for (number, size) in (1..).zip([1, 3_000, 4_096, 32 * 1024, 10]) {
            let (unit, it) = post(&user, number, "x".repeat(size));
            store.commit(unit).await.unwrap();
            posted.push(it);
        }
        store.close();
    }
    let store = Store::open(&options(folder.path())).unwrap();
    for it in &posted {
        assert_eq!(
            store
                .reader()
                .notification(&user, it.number)
                .unwrap()
                .as_ref(),
            Some(it)
        );
    }
    assert_eq!(store.reader().verify().unwrap(), []);
    assert_eq!(
        fs::read_dir(folder.path().join("blobs")).unwrap().count(),
        0
    );
    let (markers, next) = store
        .reader()
        .due(Timestamp::default(), posted[0].posted, 10)
        .unwrap();
    assert_eq!((markers.len(), next), (5, None));
}

#[tokio::test]
async fn a_hole_at_the_end_of_the_file_takes_no_room_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let user = subject("ada");
    let (unit, it) = post(&user, 1, "x".repeat(3_000));
    let store = Store::open(&options(folder.path())).unwrap();
    store.commit(unit).await.unwrap();
    store.close();
    drop(store);
    wait_until_closed(folder.path()).unwrap();
    let path = folder.path().join("db");
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(64 << 20).unwrap();
    drop(file);
    let store = Store::open(&options(folder.path())).unwrap();
    let on_disk = fs::metadata(&path).unwrap().blocks() * 512;
    assert!(on_disk <= 4 << 20, "{on_disk} bytes");
    assert!(store.stats().size_bytes <= on_disk);
    let found = store.reader().notification(&user, it.number).unwrap();
    assert_eq!(found, Some(it));
    assert_eq!(store.reader().verify().unwrap(), []);
}

#[tokio::test]
async fn a_plan_on_an_old_head_is_a_conflict_and_writes_nothing() {
    let store = Store::in_memory().unwrap();
    let user = subject("ada");
    store.commit(post(&user, 1, "a".into()).0).await.unwrap();
    let (stale, _) = post(&user, 1, "b".into());
    assert!(matches!(store.commit(stale).await, Err(Error::Conflict)));
    assert_eq!(store.reader().user(&user).unwrap().head, FeedPosition(1));
    assert_eq!(store.reader().verify().unwrap(), []);
}

#[tokio::test]
async fn a_second_opening_of_the_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&options(folder.path())).unwrap();
    let second = Store::open(&options(folder.path()));
    assert!(matches!(second, Err(Error::InUse(_))), "{second:?}");
    store.close();
}

/// Writes to the file of a store what is gone again, and does not tidy up.
fn litter(folder: &Path) {
    let lock = FolderLock::take(folder).unwrap();
    let engine = Engine::open(folder, 8 << 20, lock).unwrap();
    let key = |nth: u32| [b"litter".as_slice(), &nth.to_be_bytes()].concat();
    for nth in 0..30 {
        let rows = || nth * 50..(nth + 1) * 50;
        let puts = rows().map(|nth| Op::Put(key(nth), vec![7; 4000]));
        engine.commit(puts.collect()).unwrap();
    }
    let removals = (0..30 * 50).map(|nth| Op::Remove(key(nth)));
    engine.commit(removals.collect()).unwrap();
    drop(engine);
    wait_until_closed(folder).unwrap();
}

#[tokio::test]
async fn a_compacted_store_is_about_as_large_as_its_rows_and_needs_room_for_both() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path());
    let store = Store::open(&options).unwrap();
    let ada = subject("ada");
    for number in 1..=1000 {
        store
            .commit(post(&ada, number, "x".repeat(600)).0)
            .await
            .unwrap();
    }
    let mut bytes = 0;
    let all = store.reader().collect(&[], |key, value| {
        bytes += (key.len() + value.len()) as u64;
        Ok(())
    });
    let rows = all.unwrap().len() as u64;
    store.close();
    drop(store);
    litter(folder.path());
    options.min_free_bytes = u64::MAX - 1;
    let refused = crate::store::compact(&options, Timestamp::default(), &mut |_| {}).unwrap_err();
    assert!(matches!(refused, Error::NoRoomForCopy(_)), "{refused}");
    options.min_free_bytes = 0;
    let done = crate::store::compact(&options, Timestamp::default(), &mut |_| {}).unwrap();
    assert_eq!(done.rows, rows);
    // The engine keeps some pieces of half a mebibyte, however little is in them.
    let most = bytes * 5 / 2 + (4 << 20);
    assert!(done.bytes_after <= most, "{done:?} of {bytes} bytes");
    assert!(done.bytes_after < done.bytes_before / 2, "{done:?}");
    let again = crate::store::compact(&options, Timestamp::default(), &mut |_| {}).unwrap();
    assert!(again.bytes_after <= most, "{again:?}");
    let store = Store::open(&options).unwrap();
    assert_eq!(store.reader().user(&ada).unwrap().head, FeedPosition(1000));
    store.close();
}

#[tokio::test]
async fn content_is_refused_below_the_mark_and_settling_far_below_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path());
    options.min_free_bytes = u64::MAX - 1;
    let store = Store::open(&options).unwrap();
    let user = subject("ada");
    assert!(matches!(
        store.commit(post(&user, 1, "a".into()).0).await,
        Err(Error::Full)
    ));
    assert!(store.stats().full);
    assert_eq!(store.reader().known_user(&user).unwrap(), None);
    let mut settle = Unit::of(user);
    settle.push(Row::TapState(
        EndpointId::parse("phone").unwrap(),
        Box::default(),
    ));
    assert!(matches!(store.commit(settle).await, Err(Error::Full)));
    store.close();
}

#[tokio::test]
async fn a_damaged_file_is_an_error_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = Store::open(&options(folder.path())).unwrap();
        for number in 1..50 {
            store
                .commit(post(&subject("ada"), number, "x".repeat(900)).0)
                .await
                .unwrap();
        }
        store.close();
    }
    let sound = fs::read(folder.path().join("db")).unwrap();
    for at in (0..sound.len()).step_by(sound.len() / 24) {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x55;
        let copy = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), copy.path());
        fs::write(copy.path().join("db"), &damaged).unwrap();
        // Either the damage lies where nothing is, or it is named; both without a panic.
        if let Ok(store) = Store::open(&options(copy.path())) {
            let _readable = store.reader().verify();
            store.close();
        }
    }
}

/// What the engine leaves of a start that was killed, or met a full disk.
#[tokio::test]
async fn a_start_that_was_cut_short_is_none_that_damages() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let store = Store::open(&options).unwrap();
    let ada = subject("ada");
    let (unit, _) = post(&ada, 1, "x".repeat(600));
    store.commit(unit).await.unwrap();
    store.close();
    drop(store);
    for half in [&b""[..], &[0; 40]] {
        let left = folder.path().join("snap.0000000000FFFFFF.generating");
        fs::write(&left, half).unwrap();
        let store = Store::open(&options).unwrap();
        assert_eq!(store.reader().user(&ada).unwrap().head, FeedPosition(1));
        assert!(!left.exists());
        store.close();
    }
}

pub(super) fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn keys_sort_as_the_questions_want_them() {
    let user = keys::user_key(&subject("ada"));
    let other = keys::user_key(&subject("bob"));
    assert!(keys::change(&user, FeedPosition(255)) < keys::change(&user, FeedPosition(256)));
    let (early, late) = (Timestamp::from_millis(9), Timestamp::from_millis(10));
    let marker = |due, subject: &str| {
        keys::marker(&Marker {
            due,
            subject: self::subject(subject),
            tag: 0,
        })
    };
    assert!(marker(early, "zoe").max(marker(early, "ada")) < marker(late, "ada"));
    assert_eq!(
        &user[..8],
        &other[..8],
        "the users of an app stand together"
    );
    assert!(keys::after(b"a\xff") > b"a\xff\xff\xff".to_vec());
    let phone = EndpointId::parse("phone").unwrap();
    let phones = EndpointId::parse("phones").unwrap();
    let prefix = keys::pushes(&user, &phone);
    assert!(
        !keys::pushes(&user, &phones).starts_with(&prefix),
        "one endpoint's rows are its own"
    );
}

prop_compose! {
    fn times()(millis in 0u64..4_000_000_000_000) -> Timestamp { Timestamp::from_millis(millis) }
}

prop_compose! {
    fn drafts()(
        app_id in proptest::option::of(".{0,64}"),
        group in proptest::option::of(".{0,64}"),
        platforms in proptest::option::of(proptest::sample::subsequence(Platform::ALL.to_vec(), 1..4)),
        raw in proptest::option::of("[a-z]{0,9000}"),
        title in proptest::option::of(".{1,60}"),
        body in proptest::option::of(".{0,600}"),
        ttl in proptest::option::of(1i64..1000),
        expires in proptest::option::of(times()),
        priority in proptest::sample::select(vec![Priority::None, Priority::High, Priority::Low]),
        fallback in proptest::option::of((1u64..600_000, ".{1,40}")),
    ) -> Draft {
        Draft {
            app_id,
            group,
            platforms,
            raw,
            visual: title.map(|title| VisualContent { title, body }),
            display_ttl: ttl.and_then(Ttl::from_secs),
            expires,
            priority,
            fallback: fallback.map(|(delay, title)| Fallback {
                platforms: vec![Platform::Ios],
                delay: Duration::from_millis(delay),
                visual: VisualContent { title, body: None },
            }),
        }
    }
}

fn round_trip<T: Record + PartialEq + std::fmt::Debug>(value: &T) {
    let bytes = value.encode().unwrap();
    assert!(
        bytes.len() <= 4096,
        "no value may exceed 4 KiB: {}",
        bytes.len()
    );
    assert_eq!(&T::decode(&bytes).unwrap(), value);
    for cut in 0..bytes.len() {
        assert!(
            T::decode(&bytes[..cut]).is_err(),
            "a record cut at {cut} was read"
        );
    }
    let mut newer = bytes;
    newer[0] = 99;
    assert!(T::decode(&newer).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn notifications_come_back_as_they_were(
        draft in drafts(), number in 1u64..u64::MAX, version in 1u64..u64::MAX, removed in any::<bool>(), read in any::<bool>(),
        shared in any::<bool>(),
    ) {
        let mut it = notification(number, String::new());
        it.draft = draft;
        it.version = version;
        it.read = if read { ReadState::Read } else { ReadState::Unread };
        it.action = ActionState::Snoozed;
        it.removed = removed.then_some(Removal::Deleted);
        it.broadcast = shared.then_some(BroadcastId::from_bytes([5; 16]));
        let row = records::encode_notification(&it).unwrap();
        prop_assert!(row.len() <= 4096);
        let content = records::encode_content(&it.draft).unwrap();
        let back = records::decode_notification(records::decode_row(&row).unwrap(), &content).unwrap();
        prop_assert_eq!(back, it);
    }

    #[test]
    fn tap_states_come_back_as_they_were(
        times in proptest::collection::vec(times(), 0..600), covered in any::<u64>(), gone in proptest::option::of(times()),
    ) {
        let mut silent = times;
        silent.sort();
        let state = TapState {
            covered: FeedPosition(covered),
            silent,
            fallbacks: vec![FeedPosition(3), FeedPosition(300), FeedPosition(301)],
            noticed: FeedPosition(301),
            gone,
            repeat_refused_at: Timestamp::from_millis(covered),
            repeat_after: FeedPosition(covered / 2),
            repeat_from: FeedPosition(covered / 4),
            tried_at: Timestamp::from_millis(covered / 3),
            answer: Some(ServiceAnswer { status: 200, reason: None, id: Some("x".into()) }),
            ..TapState::default()
        };
        let bytes = state.encode().unwrap();
        prop_assert_eq!(TapState::decode(&bytes).unwrap(), state);
    }
}

#[test]
fn endpoints_are_read_back_and_never_half_read() {
    let now = Timestamp::from_millis(1_800_000_000_000);
    let phone = EndpointId::parse("phone").unwrap();
    let channels = [
        Channel::None,
        Channel::Apns {
            device_token: DeviceToken::parse("00ff").unwrap(),
            topic: Some("a.b".into()),
            environment: None,
        },
        Channel::Fcm {
            registration_token: Secret::new("tok".into()),
        },
        Channel::WebPush {
            endpoint: Secret::new("https://push.example/x".into()),
            keys: WebPushKeys {
                p256dh: [4; 65],
                auth: Secret::new([5; 16]),
            },
            vapid_public_key: Some(vec![4; 65]),
            expires: Some(now),
        },
        Channel::Wns {
            channel_uri: Secret::new("https://a.notify.windows.com/?t".into()),
        },
    ];
    for channel in channels {
        round_trip(&Endpoint {
            id: phone.clone(),
            platform: Platform::Ios,
            channel,
            generation: 7,
            tap_id: TapId::from_bytes([1; 16]),
            subscription: SubscriptionId::from_bytes([2; 16]),
            display_name: Some("Ada's phone".into()),
            locale: None,
            state_sync: true,
            shared: false,
            created: now,
            registered: now,
            last_seen: now,
            expires: now,
            asked_expires: Some(now),
            told_until: None,
            gone: None,
            registered_at: FeedPosition(3),
        });
    }
}

#[test]
fn what_taps_and_fetches_leave_is_read_back_and_never_half_read() {
    let now = Timestamp::from_millis(1_800_000_000_000);
    let phone = EndpointId::parse("phone").unwrap();
    round_trip(&User::new(subject("ada")));
    round_trip(&FetchMark {
        position: FeedPosition(1),
        at: now,
        recent: vec![(FeedPosition(1), now); 50],
    });
    round_trip(&Receipt {
        by: Some(TapId::from_bytes([4; 16])),
        held: FeedPosition(5),
        fetched: Some(now),
        shown: None,
        acted: Some(now),
    });
    for kind in [
        TapKind::Created,
        TapKind::Changed,
        TapKind::Fallback,
        TapKind::Test,
    ] {
        round_trip(&Push {
            covers: FeedPosition(9),
            alone: kind == TapKind::Fallback,
            at: now,
            kind,
            shows: None,
            accepted: true,
            attempts: 2,
            size_bytes: 100,
            answer: ServiceAnswer {
                status: 410,
                reason: Some("Unregistered".into()),
                id: None,
            },
        });
    }
    for kind in [
        ChangeKind::Created,
        ChangeKind::Changed,
        ChangeKind::Removed(Removal::Expired),
    ] {
        round_trip(&Change {
            position: FeedPosition(2),
            number: FeedPosition(1),
            notification: NotificationId::from_bytes([3; 16]),
            kind,
            replaced: false,
            at: now,
            by: Some(phone.clone()),
        });
    }
}

#[test]
fn credentials_are_read_back_and_never_half_read() {
    let now = Timestamp::from_millis(1_800_000_000_000);
    round_trip(&AppKey {
        id: "k".into(),
        app: AppHost::parse("todo.example").unwrap(),
        name: None,
        scope: Scope::Users,
        hash: [1; 32],
        created: now,
        revoked: Some(now),
    });
    round_trip(&UserToken {
        hash: [1; 32],
        subject: subject("ada"),
        endpoint: None,
        minted_by: None,
        expires: now,
        life: Duration::from_secs(60),
    });
}

#[test]
fn what_an_idempotency_key_was_used_for_comes_back_as_it_was() {
    let posted = OnceAnswer::Posted {
        subject: subject("ada"),
        created: true,
        notification: NotificationId::from_bytes([3; 16]),
    };
    let accepted = OnceAnswer::Accepted {
        broadcast: BroadcastId::from_bytes([4; 16]),
        accepted: 7,
    };
    for answer in [posted, accepted] {
        let once = Once {
            app: AppHost::parse("todo.example").unwrap(),
            key: [1; 32],
            request: [2; 32],
            answer,
            expires: Timestamp::from_millis(9),
        };
        let bytes = records::encode_once(&once).unwrap();
        assert_eq!(records::decode_once(&bytes).unwrap(), once);
        assert!(records::decode_once(&bytes[..bytes.len() - 1]).is_err());
    }
}

#[test]
fn owners_of_the_largest_ids_stay_small() {
    let long = Subject {
        app: AppHost::parse(&vec!["x".repeat(60); 4].join(".")).unwrap(),
        user: UserId::parse(&"u".repeat(256)).unwrap(),
    };
    let owner = Owner {
        subject: long,
        endpoint: EndpointId::parse(&"e".repeat(128)).unwrap(),
        generation: u64::MAX,
        shared: true,
    };
    let bytes = records::encode_owners(&vec![owner.clone(); 5]).unwrap();
    assert!(bytes.len() <= 4096, "{}", bytes.len());
    assert_eq!(records::decode_owners(&bytes).unwrap(), vec![owner; 5]);
}

#[tokio::test]
async fn rows_of_no_user_are_kept() {
    let store = Store::in_memory().unwrap();
    let app = AppHost::parse("todo.example").unwrap();
    store
        .commit_app(AppRow::Vapid(app.clone(), vec![1, 2, 3]))
        .await
        .unwrap();
    assert_eq!(store.reader().vapid(&app).unwrap(), Some(vec![1, 2, 3]));
    store.close();
    assert!(matches!(
        store.commit_app(AppRow::Vapid(app, vec![])).await,
        Err(Error::Closed)
    ));
}
