//! Both ways to a hub, on folders of their own.

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    config::init,
    http::admin,
    model::{AppHost, Subject, UserId},
};

const HOST: &str = "todo.example.com";

/// A config with one app, whose data folder is `folder/data`.
fn config(folder: &Path) -> Config {
    let file = folder.join("config.toml");
    fs::write(&file, init::starter(&AppHost::parse(HOST).unwrap())).unwrap();
    let mut config = crate::config::load(Some(&file), std::iter::empty()).unwrap();
    config.store.min_free_bytes = 0;
    config
}

/// What there is to ask, in the order it is asked.
fn requests() -> Vec<Value> {
    let about = |op: &str, more: Value| {
        let mut request = json!({ "op": op, "app": HOST, "user": "ada" });
        for (name, value) in more.as_object().unwrap() {
            request[name] = value.clone();
        }
        request
    };
    vec![
        json!({ "op": "storeStats" }),
        json!({ "op": "createKey", "app": HOST, "name": "ci", "scope": "send" }),
        json!({ "op": "createKey", "app": "other.example.com", "scope": "send" }),
        json!({ "op": "listKeys", "app": HOST }),
        json!({ "op": "revokeKey", "id": "nothing", "withTokens": false }),
        about(
            "mintToken",
            json!({ "endpoint": "phone", "expiresSecs": 60 }),
        ),
        about("mintToken", json!({ "expiresSecs": 0 })),
        about(
            "send",
            json!({ "post": { "title": "Hello", "raw": "{}", "priority": "High" } }),
        ),
        about(
            "send",
            json!({ "post": { "body": "x".repeat(5000), "platforms": ["tv"] } }),
        ),
        json!({ "op": "userList", "app": HOST }),
        about("userShow", json!({})),
        about("endpointList", json!({})),
        about("endpointRemove", json!({ "endpoint": "phone" })),
        json!({ "op": "endpointRevive", "app": HOST }),
        json!({ "op": "endpointRevive", "app": HOST, "since": "yesterday" }),
        json!({ "op": "endpointRevive", "app": HOST, "since": "9999-01-01T00:00:00Z" }),
        json!({ "op": "endpointRevive", "app": "other.example.com" }),
        about("revokeTokens", json!({ "endpoint": "phone" })),
        about("revokeTokens", json!({})),
        json!({ "op": "storeVerify" }),
        json!({ "op": "health" }),
    ]
}

/// The answers to all requests, with what is new each time masked.
async fn answers(door: &Door) -> Vec<Value> {
    let mut answers = Vec::new();
    for request in requests() {
        let request = serde_json::from_value(request).unwrap();
        let mut answer = match door.ask(request).await {
            Ok(value) => json!({ "answer": value }),
            Err(error) => json!({ "refused": error.downcast::<AdminError>().unwrap() }),
        };
        mask(&mut answer);
        answers.push(answer);
    }
    answers
}

fn mask(value: &mut Value) {
    match value {
        Value::Array(entries) => entries.iter_mut().for_each(mask),
        Value::Object(members) => {
            for (name, member) in members {
                let fresh = ["key", "token", "sizeBytes", "commits"].contains(&name.as_str())
                    || name.ends_with("DateTime")
                    || (name == "id" && member.as_str() != Some("ada"));
                if fresh && !member.is_object() {
                    *member = Value::from("…");
                } else {
                    mask(member);
                }
            }
        }
        _ => {}
    }
}

/// A hub's admin door, and its store.
struct RunningDoor {
    stop: CancellationToken,
    served: tokio::task::JoinHandle<()>,
    store: Store,
}

async fn running(config: &Config) -> RunningDoor {
    let store = open_store(config).await.unwrap();
    let socket = admin::bind(&config.store.path).unwrap();
    let stop = CancellationToken::new();
    let served = tokio::spawn(admin::serve(
        hub(store.clone(), config),
        socket,
        stop.clone(),
    ));
    RunningDoor {
        stop,
        served,
        store,
    }
}

async fn stop(door: RunningDoor) {
    door.stop.cancel();
    door.served.await.unwrap();
    tokio::task::spawn_blocking(move || door.store.close())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_hub_and_a_stopped_one_answer_alike() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let stopped = Door::open_or_make(&config(one.path()), HOST).await.unwrap();
    assert!(!stopped.is_running());
    let in_process = answers(&stopped).await;
    stopped.close().await;

    let config = config(other.path());
    let hub = running(&config).await;
    let door = Door::open(&config).await.unwrap();
    assert!(door.is_running());
    let over_socket = answers(&door).await;
    door.close().await;
    stop(hub).await;
    for (request, (left, right)) in requests().iter().zip(in_process.iter().zip(&over_socket)) {
        assert_eq!(left, right, "{request}");
    }
    assert_eq!(in_process[7]["answer"]["payload"]["rawContent"], "{}");
    let refused = in_process[8]["refused"]["message"].as_str().unwrap();
    assert_eq!(refused.lines().count(), 4, "{refused}");
    assert!(!config.store.path.join(SOCKET_FILE).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stopped_hub_was_told_is_there_when_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let send = requests().remove(7);
    let door = Door::open_or_make(&config, HOST).await.unwrap();
    door.ask(serde_json::from_value(send).unwrap())
        .await
        .unwrap();
    door.close().await;

    let hub = running(&config).await;
    let subject = Subject {
        app: AppHost::parse(HOST).unwrap(),
        user: UserId::parse("ada").unwrap(),
    };
    assert_eq!(hub.store.reader().user(&subject).unwrap().unread, 1);
    stop(hub).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_in_use_by_something_mute_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let store = open_store(&config).await.unwrap();
    let refused = Door::open_within(&config, (false, Duration::from_millis(100)))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("no hub answers"), "{refused}");

    // A command that comes while another one is at work waits for it.
    let waiting = tokio::spawn({
        let config = config.clone();
        async move { Door::open(&config).await.map(|door| door.is_running()) }
    });
    tokio::task::spawn_blocking(move || store.close())
        .await
        .unwrap();
    assert!(!waiting.await.unwrap().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_left_behind_is_no_hub() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let door = Door::open_or_make(&config, HOST).await.unwrap();
    door.close().await;
    drop(tokio::net::UnixListener::bind(config.store.path.join(SOCKET_FILE)).unwrap());
    let door = Door::open(&config).await.unwrap();
    assert!(!door.is_running());
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pointer_leads_to_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.store.path = folder.path().join("x".repeat(101));
    let hub = running(&config).await;
    assert!(config.store.path.join(POINTER_FILE).exists());
    let door = Door::open(&config).await.unwrap();
    assert!(door.is_running());
    door.ask(Request::Health).await.unwrap();
    stop(hub).await;
    assert!(!config.store.path.join(POINTER_FILE).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_says_what_it_does_not_take() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let hub = running(&config).await;
    let knock = Knock {
        socket: config.store.path.join(SOCKET_FILE),
        owner: rustix::process::geteuid().as_raw(),
    };
    let check = async |body: Vec<u8>, status: u16, code: &str| {
        let (got, body) = knock.exchange(body).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (got.as_u16(), body["error"]["code"].as_str()),
            (status, Some(code)),
            "{body}"
        );
    };
    check(b"{".to_vec(), 400, "invalidRequest").await;
    check(br#"{"op":"dance"}"#.to_vec(), 400, "invalidRequest").await;
    let longest = config.server.limits.audience_body;
    check(vec![b' '; longest], 400, "invalidRequest").await;
    for bytes in [longest + 1, 4 * longest] {
        check(vec![b' '; bytes], 413, "payloadTooLarge").await;
    }
    stop(hub).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_looks_makes_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    for data in [folder.path().to_owned(), folder.path().join("none")] {
        config.store.path = data;
        let refused = Door::open(&config).await.unwrap_err().to_string();
        assert!(refused.contains("there is no store in"), "{refused}");
        assert!(refused.contains("--data"), "{refused}");
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "the config alone: {left:?}");
}

#[test]
fn a_folder_is_its_owners_and_root_may_ask() {
    assert_eq!(Right::of(1000, 1000), Right::Open);
    assert_eq!(Right::of(0, 0), Right::Open);
    assert_eq!(Right::of(0, 1000), Right::Ask);
    assert_eq!(Right::of(1000, 0), Right::Nothing);
    assert_eq!(Right::of(1001, 1000), Right::Nothing);
}
