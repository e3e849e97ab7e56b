//! A store that was damaged behind the hub's back is refused with what to do, and never with a panic on the screen.

use std::{
    fs,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use beckon::{
    model::{AppHost, FeedPosition, Notification, Subject, Timestamp, UserId},
    store::{Expiring, Options, Row, Store, Unit},
};
use hyper::Method;
use serde_json::json;

use super::{copy_folder, post};
use crate::support::{ChildHub, TestHub, eventually, hub::APP};

const PLACES: usize = 16;
const POSTS: u64 = 60;

/// What a start says to a damaged copy; none, where the damage lies where nothing is.
fn started(hub: &ChildHub, data: &Path) -> Option<String> {
    let data = data.to_string_lossy().into_owned();
    let output = hub.command(&["store", "verify", "--data", &data]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    match output.status.code() {
        Some(0) => None,
        Some(1) => Some(said),
        other => panic!("{other:?}: {said}"),
    }
}

/// How many notifications a store holds.
fn held(hub: &ChildHub, data: &Path) -> u64 {
    let data = data.to_string_lossy().into_owned();
    let stats = hub.json(&["store", "stats", "--data", &data]);
    stats["notifications"].as_u64().unwrap()
}

async fn rested() -> ChildHub {
    // What it had read before the damage it would not read again.
    let mut hub = ChildHub::incurious().await;
    // Twice, since what the engine remembers from an earlier life changes what it makes of damage.
    for life in 0..2 {
        if life > 0 {
            hub.begin().await;
        }
        for nth in 0..POSTS / 2 {
            post(&hub, &format!("title {nth}")).await;
        }
        hub.stop().await;
    }
    hub
}

#[tokio::test(flavor = "multi_thread")]
async fn flipped_bytes_and_cut_tails_are_refused_with_what_to_do() {
    let hub = rested().await;
    let sound = fs::read(hub.data().join("db")).unwrap();
    let used = sound.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let mut refusals = 0;
    for nth in 0..PLACES {
        let at = used * nth / PLACES + 7;
        let mut flipped = sound.clone();
        flipped[at] ^= 0x10;
        let cut = &sound[..at];
        for (what, bytes) in [("flipped", &flipped[..]), ("cut", cut)] {
            let folder = hub.folder.path().join(format!("{what}-{nth}"));
            copy_folder(&hub.data(), &folder);
            fs::write(folder.join("db"), bytes).unwrap();
            let Some(said) = started(&hub, &folder) else {
                assert_ne!(
                    what, "cut",
                    "a tail cut off at {at} of {used} goes unnoticed"
                );
                assert_eq!(held(&hub, &folder), POSTS, "{what} at {at}: some are gone");
                continue;
            };
            refusals += 1;
            assert!(
                said.contains("beckon store restore"),
                "{what} at {at}: {said}"
            );
            // Asked once more it says the same: what the engine made of it meanwhile does not pass for a store.
            assert!(started(&hub, &folder).is_some(), "{what} at {at}");
        }
    }
    assert!(refusals > PLACES, "{refusals}");
}

/// Damages every row of the store that holds `text`, under the running hub.
fn damage(hub: &ChildHub, text: &str) {
    let path = hub.data().join("db");
    let sound = fs::read(&path).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let found = sound.windows(text.len()).enumerate();
    let places = found.filter(|(_, bytes)| *bytes == text.as_bytes());
    let mut damaged = 0;
    for (at, bytes) in places {
        file.write_all_at(&[bytes[0] ^ 0x10], at as u64).unwrap();
        damaged += 1;
    }
    assert!(damaged > 0, "{text} is nowhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_any_more_is_refused_with_what_to_do_and_the_rest_goes_on() {
    let mut hub = rested().await;
    let file = hub.folder.path().join("backup");
    let path = file.to_string_lossy().into_owned();
    hub.begin().await;
    hub.json(&["store", "backup", &path]);
    let (adas, bobs) = ("/v1/users/ada/notifications", "/v1/users/bob/notifications");
    let raw = json!({"payload": {"rawContent": "r"}});
    hub.app().post(bobs, raw.clone()).await.expect(201);
    hub.stop().await;
    hub.begin().await;
    let ready = hub.client().get("/readyz").await.expect(200);
    assert_eq!(ready["status"], "ready");
    hub.app().get(bobs).await.expect(200);

    damage(&hub, "title ");
    for _ in 0..2 {
        let refused = hub.app().get(adas).await;
        assert_eq!(refused.refused(503), "serviceUnavailable");
        let ready = hub.client().get("/readyz").await;
        assert_eq!(ready.refused(503), "serviceUnavailable");
    }
    hub.app().get(bobs).await.expect(200);
    hub.app().post(bobs, raw).await.expect(201);
    hub.client().get("/healthz").await.expect(200);
    let log = hub.log();
    assert!(!log.contains("panicked"), "{log}");
    let advice = "beckon store verify";
    assert_eq!(log.matches(advice).count(), 1, "said once: {log}");
    assert!(log.contains("beckon store restore"), "{log}");
    let said = hub.refused(&["store", "verify"]);
    assert!(said.contains("beckon store restore"), "{said}");

    hub.stop().await;
    hub.json(&["store", "restore", &path, "--force"]);
    hub.begin().await;
    let ready = hub.client().get("/readyz").await.expect(200);
    assert_eq!(ready["status"], "ready");
    let list = hub.app().get(adas).await.expect(200);
    assert_eq!(list["value"].as_array().unwrap().len(), 60);
    hub.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_meets_damage_ends_the_hub_and_a_backup_puts_it_right() {
    let mut hub = rested().await;
    let file = hub.folder.path().join("backup");
    let path = file.to_string_lossy().into_owned();
    hub.begin().await;
    // What one of them has lies between what others have: nothing else brings it into memory.
    let users: Vec<String> = (0..6)
        .map(|nth| format!("/v1/users/{nth}/notifications"))
        .collect();
    let long = json!({"payload": {"rawContent": "title ".repeat(200)}});
    for user in users.iter().flat_map(|user| [user; 20]) {
        hub.app().post(user, long.clone()).await.expect(201);
    }
    hub.stop().await;
    hub.json(&["store", "backup", &path]);
    hub.begin().await;
    let app = hub.app();
    for user in &users {
        // So that the person is in memory, and a post gets as far as its write.
        let nothing = user.replace("notifications", "endpoints/none");
        app.delete(&nothing).await.refused(404);
    }
    damage(&hub, "title ");
    let mut refused = 0;
    for user in &users {
        let posted = app.attempt(Method::POST, user, Some(long.clone()));
        refused += usize::from(posted.await.is_none_or(|answer| answer.status == 503));
    }
    assert!(refused > 0, "what is in doubt was acknowledged");
    let ended = hub.ended().await;
    assert_eq!(ended.code(), Some(1), "{}", hub.log());
    let log = hub.log();
    assert!(!log.contains("panicked"), "{log}");
    assert!(log.contains("stopping rather than going on in doubt"));
    assert!(log.contains("beckon store restore"), "{log}");
    hub.json(&["store", "restore", &path, "--force"]);
    hub.begin().await;
    let list = hub.app().get("/v1/users/ada/notifications").await;
    assert_eq!(list.expect(200)["value"].as_array().unwrap().len(), 60);
    hub.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_store_is_refused_and_a_backup_puts_it_right() {
    let mut hub = rested().await;
    let file = hub.folder.path().join("backup");
    let path = file.to_string_lossy().into_owned();
    hub.json(&["store", "backup", &path]);
    fs::write(hub.data().join("db"), b"").unwrap();
    let said = hub.refused(&["serve"]);
    assert!(said.contains("beckon store restore"), "{said}");
    // Without what the engine remembers of the file, it would begin an empty one.
    for path in snapshots(&hub.data()) {
        fs::remove_file(path).unwrap();
    }
    let said = hub.refused(&["serve"]);
    assert!(said.contains("has lost"), "{said}");
    assert!(said.contains("beckon store restore"), "{said}");
    assert!(said.contains("--accept-loss"), "{said}");
    let told = hub.json(&["store", "restore", &path, "--force"]);
    assert!(told["revived"].is_null(), "nothing to compare with: {told}");
    hub.begin().await;
    let list = hub.app().get("/v1/users/ada/notifications").await;
    assert_eq!(list.expect(200)["value"].as_array().unwrap().len(), 60);
    hub.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_fails_ends_the_hub_which_loses_nothing() {
    let mut hub = rested().await;
    let bytes = fs::metadata(hub.data().join("db")).unwrap().len();
    hub.begin_cramped(bytes / 512 + 1024).await;
    let body = json!({"payload": {"rawContent": "r".repeat(8_000)}});
    let mut acknowledged = 60;
    for nth in 0..2_000 {
        let path = "/v1/users/ada/notifications";
        let app = hub.app();
        let posted = app.attempt(Method::POST, path, Some(body.clone()));
        match posted.await {
            Some(answer) if answer.status == 201 => acknowledged += 1,
            _ => break,
        }
        assert!(nth < 1_999, "the file grew beyond its bound");
    }
    let ended = hub.ended().await;
    assert_eq!(ended.code(), Some(1), "a supervisor starts it again");
    assert!(hub.log().contains("stopping rather than going on in doubt"));
    hub.begin().await;
    let stats = hub.json(&["store", "stats"]);
    assert!(
        stats["notifications"].as_u64().unwrap() >= acknowledged,
        "{acknowledged}: {stats}"
    );
    hub.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_missing_is_noticed_once_the_hub_has_started() {
    let mut hub = TestHub::start().await;
    let posted = hub.post("ada", "Lunch?").await;
    hub.restart().await;
    let degraded = async |hub: &TestHub| {
        let ready = hub.client().get("/readyz").await.expect(200);
        ready["status"] == "degraded"
    };
    assert!(!degraded(&hub).await, "it is whole");
    hub.stop().await;
    let store = eventually("the folder is free", || async {
        Store::open(&Options {
            folder: hub.folder.path().join("store"),
            min_free_bytes: 0,
            cache_bytes: 8 << 20,
            accept_loss: false,
        })
        .ok()
    })
    .await;
    let mut unit = Unit::of(Subject {
        app: AppHost::parse(APP).unwrap(),
        user: UserId::parse("ada").unwrap(),
    });
    let expires = posted["expirationDateTime"].as_str().unwrap();
    let what = Expiring::Notification(FeedPosition(1));
    unit.push(Row::DropExpiry(expires.parse::<Timestamp>().unwrap(), what));
    store.commit(unit).await.unwrap();
    store.close();
    drop(store);
    hub.start_again().await;
    eventually("it is noticed", || async {
        degraded(&hub).await.then_some(())
    })
    .await;
    hub.stop().await;
}

/// Writes to the store of a stopped hub what no hub would: `break_it` gets ada's first notification.
async fn broken(hub: &ChildHub, break_it: impl Fn(&mut Unit, Notification)) {
    let store = eventually("the folder is free", || async {
        Store::open(&Options {
            folder: hub.data(),
            min_free_bytes: 0,
            cache_bytes: 8 << 20,
            accept_loss: false,
        })
        .ok()
    })
    .await;
    let ada = Subject {
        app: AppHost::parse(APP).unwrap(),
        user: UserId::parse("ada").unwrap(),
    };
    let first = store.reader().notification(&ada, FeedPosition(1)).unwrap();
    let mut unit = Unit::of(ada);
    break_it(&mut unit, first.unwrap());
    store.commit(unit).await.unwrap();
    store.close();
}

/// Takes away what of a long notification does not fit its row.
fn without_its_parts(unit: &mut Unit, it: Notification) {
    unit.push(Row::DropNotification(Box::new(it.clone())));
    unit.push(Row::Notification(Box::new(it)));
}

fn without_its_expiry(unit: &mut Unit, it: Notification) {
    let what = Expiring::Notification(it.number);
    unit.push(Row::DropExpiry(it.expires, what));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_damaged_store_nothing_is_copied_as_a_whole_one_and_what_is_left_can_be_kept() {
    for break_it in [without_its_parts, without_its_expiry] {
        let mut hub = ChildHub::incurious().await;
        let app = hub.app();
        let adas = "/v1/users/ada/notifications";
        let long = json!({"payload": {"rawContent": "r".repeat(20_000)}});
        app.post(adas, long).await.expect(201);
        let kept = post(&hub, "kept").await;
        hub.stop().await;
        broken(&hub, break_it).await;
        let file = hub.folder.path().join("backup");
        let path = file.to_string_lossy().into_owned();
        for args in [&["store", "compact"][..], &["store", "backup", &path]] {
            let said = hub.refused(args);
            assert!(said.contains("the store is damaged"), "{args:?}: {said}");
            assert!(said.contains("beckon store restore"), "{args:?}: {said}");
            assert!(said.contains("--damaged"), "{args:?}: {said}");
        }
        let entries = fs::read_dir(hub.folder.path()).unwrap();
        let mut names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
        assert!(names.all(|name| !name.starts_with("backup")));
        assert!(!hub.data().join("making").exists());

        let told = hub.json(&["store", "backup", &path, "--damaged"]);
        let findings = told["findings"].as_u64().unwrap();
        assert!(findings > 0, "{told}");
        let told = hub.json(&["store", "restore", &path, "--force"]);
        assert_eq!(told["findings"], findings, "{told}");
        hub.begin().await;
        let app = hub.app();
        app.get(&format!("{adas}/{kept}")).await.expect(200);
        hub.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_read_is_damage_to_the_walk_and_to_who_asks_for_it() {
    let mut hub = ChildHub::start().await;
    let adas = "/v1/users/ada/notifications";
    let long = json!({"payload": {"rawContent": "r".repeat(20_000)}});
    hub.app().post(adas, long).await.expect(201);
    hub.stop().await;
    broken(&hub, without_its_parts).await;
    hub.begin().await;
    eventually("it is noticed", || async {
        let ready = hub.client().get("/readyz").await.expect(200);
        (ready["status"] == "degraded").then_some(())
    })
    .await;
    hub.says("the row `n` 1 or what it leads to").await;
    let checked = String::from_utf8(hub.command(&["check"]).stdout).unwrap();
    assert!(checked.contains("disagree or cannot be read"), "{checked}");
    let verified = hub.command(&["store", "verify"]);
    assert_eq!(verified.status.code(), Some(1));
    let verified = String::from_utf8(verified.stdout).unwrap();
    assert!(verified.contains("the row `n` 1"), "{verified}");
    assert!(verified.contains("beckon store restore"), "{verified}");

    for _ in 0..3 {
        let refused = hub.app().get(adas).await;
        assert_eq!(refused.refused(503), "serviceUnavailable");
        let ready = hub.client().get("/readyz").await;
        assert_eq!(ready.refused(503), "serviceUnavailable");
    }
    let log = hub.log();
    let told = log.matches("a row of the store cannot be read").count();
    assert_eq!(told, 1, "said once: {log}");
    assert!(!log.contains("a request failed in the store"), "{log}");
    let checked = String::from_utf8(hub.command(&["check"]).stdout).unwrap();
    assert!(checked.contains("could not be read"), "{checked}");
    let bobs = "/v1/users/bob/notifications";
    let raw = json!({"payload": {"rawContent": "r"}});
    hub.app().post(bobs, raw).await.expect(201);
    hub.stop().await;
}

/// The files in `folder` that the engine starts faster with.
fn snapshots(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let found = paths.filter(|path| path.to_string_lossy().contains("/snap."));
    found.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_damaged_snapshot_it_is_said_how_to_tell_and_that_the_store_is_whole_without() {
    let hub = rested().await;
    let copy = hub.folder.path().join("copy");
    copy_folder(&hub.data(), &copy);
    let found = snapshots(&copy);
    assert!(!found.is_empty());
    for path in &found {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    }
    let said = started(&hub, &copy).expect("it is refused");
    assert!(said.contains("`snap.*`"), "{said}");
    assert!(said.contains("beckon store verify --data COPY"), "{said}");
    for path in snapshots(&copy) {
        fs::rename(&path, hub.folder.path().join(path.file_name().unwrap())).unwrap();
    }
    assert_eq!(started(&hub, &copy), None);
    assert_eq!(held(&hub, &copy), POSTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_its_db_is_a_damaged_one_to_every_command() {
    let mut hub = rested().await;
    let file = hub.folder.path().join("backup");
    let path = file.to_string_lossy().into_owned();
    hub.json(&["store", "backup", &path]);
    fs::rename(hub.data().join("db"), hub.folder.path().join("db")).unwrap();
    for args in [
        &["serve"][..],
        &["store", "verify"],
        &["store", "stats"],
        &["store", "compact"],
    ] {
        let said = hub.refused(args);
        assert!(said.contains("the store is damaged"), "{args:?}: {said}");
        assert!(
            said.contains("beckon store restore FILE --force"),
            "{args:?}: {said}"
        );
        assert!(!hub.data().join("db").exists(), "{args:?}");
    }
    let there = hub.refused(&["store", "restore", &path]);
    assert!(there.contains("--force"), "{there}");
    let told = hub.json(&["store", "restore", &path, "--force"]);
    assert!(
        Path::new(told["keptAs"].as_str().unwrap())
            .join("head")
            .exists(),
        "{told}"
    );
    hub.begin().await;
    hub.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_that_cannot_be_read_says_what_to_do_and_a_restore_goes_on() {
    let mut hub = rested().await;
    let file = hub.folder.path().join("backup");
    let path = file.to_string_lossy().into_owned();
    hub.json(&["store", "backup", &path]);
    fs::write(hub.data().join("swap"), b"\xff\xff").unwrap();
    fs::create_dir(hub.data().join("making")).unwrap();
    fs::write(hub.data().join("making/db"), b"another").unwrap();
    for args in [
        &["serve"][..],
        &["store", "verify"],
        &["store", "restore", &path],
    ] {
        let said = hub.refused(args);
        assert!(said.contains("the file `swap`"), "{args:?}: {said}");
        assert!(
            said.contains("beckon store restore FILE --force"),
            "{args:?}: {said}"
        );
    }
    hub.json(&["store", "restore", &path, "--force"]);
    assert!(!hub.data().join("swap").exists());
    let aside = fs::read(hub.data().join("making-before/db")).unwrap();
    assert_eq!(aside, b"another", "nothing is lost");
    hub.begin().await;
    hub.verify();
}
