//! What a kill cannot show: copies of a folder that is written to, and folders of earlier versions.
//! (That nothing is answered before its `fdatasync` is shown by `.ci/durability.py`.)

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use beckon::{
    clock::Clock,
    doubles::Service,
    model::{AppHost, NotificationId, Subject, Timestamp, UserId},
    store::{self, Store},
};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde_json::{Value, json};

use crate::support::{
    ChildHub, Client, Random, TestHub, eventually,
    hub::APP,
    random::{Seed, seeds},
};

const WRITERS: usize = 8;
const COPIES: usize = 10;

/// What the writers were told is kept.
#[derive(Debug, Default)]
pub struct Ledger {
    pub acknowledged: Mutex<Vec<(String, String)>>,
    pub enough: AtomicBool,
}

impl Ledger {
    pub fn len(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }
}

/// Posts, and changes what it has posted before, so that the store has rows to move.
pub async fn write(app: Client, user: String, ledger: Arc<Ledger>) {
    let path = format!("/v1/users/{user}/notifications");
    let minted = app
        .post(&format!("/v1/users/{user}/tokens"), json!({}))
        .await
        .expect(201);
    let me = app.bearer(minted["token"].as_str().unwrap());
    while !ledger.enough.load(Ordering::Relaxed) {
        let body = json!({"payload": {"visualContent": {"title": "t", "body": "b".repeat(500)}}});
        let posted = app.post(&path, body).await.expect(201);
        let id = posted["id"].as_str().unwrap().to_owned();
        let known = (user.clone(), id.clone());
        ledger.acknowledged.lock().unwrap().push(known);
        let set = json!({"readState": "read"});
        let path = format!("/v1/me/notifications/{id}");
        me.patch(&path, set).await.expect(200);
    }
}

/// Copies one file, at once or in pieces, between which more is written.
async fn copy(from: &Path, to: &Path, slowly: bool, ledger: &Ledger) {
    if !slowly {
        fs::copy(from, to).unwrap();
        return;
    }
    let (mut from, mut to) = (File::open(from).unwrap(), File::create(to).unwrap());
    let mut piece = vec![0; 64 << 10];
    loop {
        let length = from.read(&mut piece).unwrap();
        if length == 0 {
            return;
        }
        to.write_all(&piece[..length]).unwrap();
        let before = ledger.len();
        eventually("more is written", || async {
            (ledger.len() > before).then_some(())
        })
        .await;
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let all = entries.map(|entry| entry.unwrap().path());
    all.filter(|path| path.is_file()).collect()
}

fn options(folder: &Path) -> store::Options {
    store::Options {
        folder: folder.to_owned(),
        min_free_bytes: 0,
        cache_bytes: 8 << 20,
        accept_loss: false,
    }
}

/// How many of these are not in the store.
pub fn missing(folder: &Path, acknowledged: &[(String, String)]) -> usize {
    let store = Store::open(&options(folder)).unwrap();
    let reader = store.reader();
    let is_missing = |(user, id): &&(String, String)| {
        let subject = Subject {
            app: AppHost::parse(APP).unwrap(),
            user: UserId::parse(user).unwrap(),
        };
        let number = reader.number_of(&subject, NotificationId::parse(id).unwrap());
        number.unwrap().is_none()
    };
    let missing = acknowledged.iter().filter(is_missing).count();
    store.close();
    missing
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_taken_while_it_is_written_opens_whole_or_is_refused() {
    let seed = seeds(&[1])[0];
    let (_seed, mut random) = (Seed(seed), Random::new(seed));
    let hub = ChildHub::start().await;
    let ledger = Arc::new(Ledger::default());
    let writers: Vec<_> = (0..WRITERS)
        .map(|nth| tokio::spawn(write(hub.app(), format!("user-{nth}"), Arc::clone(&ledger))))
        .collect();
    let copies = tempfile::tempdir().unwrap();
    let (mut opened, mut refusals) = (0, Vec::new());
    for nth in 0..COPIES {
        let wanted = ledger.len() + 100;
        eventually("some is written", || async {
            (ledger.len() >= wanted).then_some(())
        })
        .await;
        let before = ledger.acknowledged.lock().unwrap().clone();
        let folder = copies.path().join(nth.to_string());
        fs::create_dir(&folder).unwrap();
        let mut left = files(&hub.data());
        while !left.is_empty() {
            let file = left.swap_remove(random.below(left.len()));
            let to = folder.join(file.file_name().unwrap());
            copy(&file, &to, nth % 2 == 1, &ledger).await;
        }
        let data = folder.to_string_lossy().into_owned();
        let verified = hub.command(&["store", "verify", "--json", "--data", &data]);
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(!said.contains("panicked"), "copy {nth}: {said}");
        if verified.status.success() {
            opened += 1;
            let missing = missing(&folder, &before);
            assert_eq!(
                missing,
                0,
                "copy {nth} of {} opens without a word",
                before.len()
            );
        } else {
            let clear = [&data, "lost", "damaged", "cannot be read"];
            assert!(
                clear.iter().any(|word| said.contains(word)),
                "copy {nth}: {verified:?}"
            );
            refusals.push(said);
        }
    }
    ledger.enough.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    println!("{opened} of {COPIES} copies opened whole, the others were refused: {refusals:#?}");
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/store-v1")
}

/// What is to be seen of the fixture once looking has counted as the phone's fetch.
async fn seen(hub: &TestHub, (app, phone): (&Client, &Client), cursor: &str) -> Value {
    let first = look(app, phone, cursor).await;
    let endpoints = first["endpoints"].as_array().unwrap();
    let phones = endpoints.iter().filter(|it| it["platform"] == "iOS");
    let phones = phones.map(|it| it["id"].as_str().unwrap());
    fetches_are_written(hub, &phones.collect::<Vec<_>>()).await;
    look(app, phone, cursor).await
}

/// What is to be seen of the fixture through the doors, whatever version reads it.
async fn look(app: &Client, phone: &Client, cursor: &str) -> Value {
    let list = app.get("/v1/users/ada/notifications").await.expect(200);
    let endpoints = app.get("/v1/users/ada/endpoints").await.expect(200);
    let delta = format!("/v1/me/notifications/delta?$deltatoken={cursor}");
    let history = phone.get("/v1/me/notifications").await.expect(200);
    let mut fates = Vec::new();
    for it in list["value"].as_array().unwrap() {
        let id = it["id"].as_str().unwrap();
        let path = format!("/v1/users/ada/notifications/{id}/deliveries");
        let report = app.get(&path).await.expect(200);
        for it in report["value"].as_array().unwrap() {
            fates.push(json!([id, it["endpointId"], it["status"], it["attempts"]]));
        }
    }
    json!({
        "list": list["value"],
        "endpoints": endpoints["value"],
        "unread": history["unreadCount"],
        "delta": phone.get(&delta).await.expect(200)["value"],
        "deliveries": fates,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_the_first_version_is_read_as_it_was_written() {
    reads_as_written(&fixture()).await;
}

/// What a format did not know yet is as if it had been so from the start.
fn with_what_came_since(mut seen: Value) -> Value {
    for list in ["list", "delta"] {
        for it in seen[list].as_array_mut().unwrap() {
            if it.get("@removed").is_none() && it.get("version").is_none() {
                it["version"] = json!(1);
            }
        }
    }
    seen
}

/// `BECKON_FIXTURE=FOLDER cargo test --test it what_this_version` keeps what it wrote: the fixture of a new format.
#[tokio::test(flavor = "multi_thread")]
async fn what_this_version_writes_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("BECKON_FIXTURE").map(PathBuf::from);
    let place = kept.unwrap_or_else(|| folder.path().to_owned());
    write_fixture(&place).await;
    reads_as_written(&place).await;
}

async fn reads_as_written(place: &Path) {
    let text = fs::read(place.join("seen.json")).unwrap();
    let kept: Value = serde_json::from_slice(&text).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    fs::create_dir(&store).unwrap();
    for file in files(&place.join("data")) {
        let mut bytes = Vec::new();
        GzDecoder::new(File::open(&file).unwrap())
            .read_to_end(&mut bytes)
            .unwrap();
        fs::write(store.join(file.file_stem().unwrap()), bytes).unwrap();
    }
    let clock = Clock::manual(Timestamp::from_millis(kept["at"].as_u64().unwrap()));
    let hub = TestHub::on(folder, clock, |_| {}).await;
    let findings = hub.running().hub.store().reader().verify().unwrap();
    assert!(findings.is_empty(), "{findings:#?}");
    let app = hub.client().bearer(kept["key"].as_str().unwrap());
    let phone = hub.client().bearer(kept["token"].as_str().unwrap());
    let cursor = kept["cursor"].as_str().unwrap();
    let seen = seen(&hub, (&app, &phone), cursor).await;
    assert_eq!(seen, with_what_came_since(kept["seen"].clone()));
    hub.post("ada", "and it takes more").await;
    hub.finish().await;
}

/// One of each kind.
fn drafts() -> [Value; 5] {
    let fallback = json!({"endpointFallback": {
        "platformTypes": ["iOS"], "fallbackDelayInSeconds": 60, "visualContent": {"title": "Look"}
    }});
    [
        json!({"payload": {"visualContent": {"title": "seen", "body": "b"}}, "groupName": "g", "displayTimeToLive": 60}),
        json!({"payload": {"visualContent": {"title": "dismissed"}}, "priority": "Low", "appNotificationId": "order-7"}),
        json!({"payload": {"rawContent": "r".repeat(20_000)}, "targetPolicy": {"platformTypes": ["iOS", "android"]}}),
        json!({"payload": {"rawContent": "urgent"}, "priority": "High", "fallbackPolicy": fallback}),
        json!({"payload": {"visualContent": {"title": "retracted"}}}),
    ]
}

/// Does one of each thing at a hub, and keeps its folder and what was to be seen of it.
async fn write_fixture(place: &Path) {
    let clock = Clock::manual(Clock::system().now());
    let mut hub = TestHub::with(clock.clone(), |_| {}).await;
    let mut devices = Vec::new();
    for service in Service::ALL {
        devices.push(hub.device("ada", service).await);
    }
    let app = hub.app();
    let path = "/v1/users/ada/notifications";
    let mut ids = Vec::new();
    for draft in drafts() {
        let once = app.header("idempotency-key", format!("key-{}", ids.len()));
        let posted = once.post(path, draft).await.expect(201);
        ids.push(posted["id"].as_str().unwrap().to_owned());
    }
    for device in &mut devices {
        device.next_push("a tap").await;
        device.pull().await;
    }
    let cursor = devices[0].cursor.clone().unwrap();
    let phone = devices[0].client.clone();
    let shown = json!({"shown": [ids[0]]});
    phone
        .post("/v1/me/notifications/receipts", shown)
        .await
        .expect(204);
    devices[1].set(&ids[0], json!({"readState": "read"})).await;
    devices[2]
        .set(&ids[1], json!({"userActionState": "dismissed"}))
        .await;
    app.delete(&format!("{path}/{}", ids[4])).await.expect(204);
    let replaced =
        json!({"payload": {"visualContent": {"title": "anew"}}, "appNotificationId": "order-7"});
    app.post(path, replaced).await.expect(200);
    for device in &mut devices[1..] {
        device.pull().await;
    }
    let others: Vec<&str> = devices[1..].iter().map(|it| &*it.endpoint).collect();
    fetches_are_written(&hub, &others).await;
    let seen = seen(&hub, (&app, &phone), &cursor).await;
    hub.restart().await;
    let token = phone.bearer.clone().unwrap();
    let at = clock.now().as_millis();
    let kept = json!({"at": at, "key": hub.key, "token": token, "cursor": cursor, "seen": seen});
    hub.stop().await;
    let data = place.join("data");
    fs::create_dir_all(&data).unwrap();
    for file in files(&hub.folder.path().join("store")) {
        let name = file.file_name().unwrap().to_string_lossy();
        let to = File::create(data.join(format!("{name}.gz"))).unwrap();
        let mut to = GzEncoder::new(to, Compression::best());
        to.write_all(&fs::read(&file).unwrap()).unwrap();
        to.finish().unwrap();
    }
    let text = serde_json::to_string_pretty(&kept).unwrap();
    fs::write(place.join("seen.json"), text).unwrap();
}

/// Waits until these endpoints' fetches are written down.
async fn fetches_are_written(hub: &TestHub, endpoints: &[&str]) {
    let subject = Subject {
        app: AppHost::parse(APP).unwrap(),
        user: UserId::parse("ada").unwrap(),
    };
    let reader = hub.running().hub.store().reader().clone();
    let head = reader.user(&subject).unwrap().head;
    eventually("all fetches are on disk", || async {
        let late = endpoints.iter().filter(|endpoint| {
            let endpoint = beckon::model::EndpointId::parse(endpoint).unwrap();
            reader.fetch_mark(&subject, &endpoint).unwrap().position < head
        });
        (late.count() == 0).then_some(())
    })
    .await;
}
