//! The command line, as an operator types it: with the hub running and stopped, for people and as JSON.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf, process::Output};

use serde_json::{Value, json};

use crate::support::{ChildHub, eventually};

#[track_caller]
fn answer(output: &Output) -> Value {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|fault| panic!("{fault}: {output:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_command_works_while_the_hub_runs_and_while_it_is_stopped() {
    let mut hub = ChildHub::start().await;
    people(&hub, "ada-running");
    keys(&hub);
    hub.verify();
    hub.terminate();
    assert!(hub.ended().await.success());
    people(&hub, "ada-stopped");
    keys(&hub);
    hub.verify();
}

/// What is done for people: send, mint, list, show.
fn people(hub: &ChildHub, user: &str) {
    let ask = |args: &[&str]| answer(&hub.command(args));
    let sent = ask(&["send", "todo.example", user, "--title", "Lunch?", "--json"]);
    assert_eq!(
        sent["payload"]["visualContent"]["title"], "Lunch?",
        "{user}"
    );
    let mint = [
        "token",
        "mint",
        "todo.example",
        user,
        "--endpoint",
        "e1",
        "--json",
    ];
    assert_eq!(ask(&mint)["endpointId"], "e1", "{user}");
    let users = ask(&["user", "list", "todo.example", "--json"]);
    let listed = users["value"].as_array().unwrap();
    assert!(listed.iter().any(|it| it["id"] == user), "{users}");
    let shown = hub.command(&["user", "show", "todo.example", user]);
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(text.contains("Lunch?"), "{shown:?}");
    ask(&["endpoint", "list", "todo.example", user, "--json"]);
    let revived = ask(&["endpoint", "revive", "todo.example", "--json"]);
    assert_eq!(revived, json!({"app": "todo.example", "revived": 0}));
    let future = [
        "endpoint",
        "revive",
        "todo.example",
        "--since",
        "9999-01-01T00:00:00Z",
    ];
    let refused = hub.command(&future);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let unread = hub.command(&["endpoint", "revive", "todo.example", "--since", "yesterday"]);
    assert_eq!(unread.status.code(), Some(2), "{unread:?}");
    let id = sent["id"].as_str().unwrap();
    assert_eq!(
        ask(&["explain", id, "--json"]),
        json!({"value": []}),
        "{user}"
    );
    let told = hub.command(&["explain", id]);
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(text.contains("no endpoints"), "{told:?}");
}

/// What is done with keys, and the store's figures.
fn keys(hub: &ChildHub) {
    let ask = |args: &[&str]| answer(&hub.command(args));
    let key = ask(&["key", "create", "todo.example", "--scope", "send", "--json"]);
    let id = key["id"].as_str().unwrap();
    let keys = ask(&["key", "list", "--json"]);
    let listed = keys["value"].as_array().unwrap();
    assert!(listed.iter().any(|it| it["id"] == id), "{keys}");
    let secret = key["key"].as_str().unwrap();
    assert!(!keys.to_string().contains(secret), "a key is shown once");
    ask(&["key", "revoke", id, "--json"]);
    let stats = ask(&["store", "stats", "--json"]);
    assert!(
        stats.as_object().is_some_and(|it| !it.is_empty()),
        "{stats}"
    );
}

/// How many notifications of this content a person has.
async fn copies(hub: &ChildHub, user: &str, content: &str) -> usize {
    let path = format!("/v1/users/{user}/notifications");
    let page = hub.app().get(&path).await.expect(200);
    let items = page["value"].as_array().unwrap();
    let same = |it: &&Value| it["payload"]["rawContent"] == content;
    items.iter().filter(same).count()
}

/// What the hub knows of a job.
async fn job(hub: &ChildHub, id: &str) -> Value {
    let answer = hub.app().get(&format!("/v1/notifications/{id}")).await;
    answer.expect(200)
}

/// `beckon send` to an app's people.
fn send<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["send", "todo.example"], more].concat()
}

/// A file that names users.
fn file_of(hub: &ChildHub, text: &str) -> String {
    let file = hub.folder.path().join("users");
    std::fs::write(&file, text).unwrap();
    file.to_string_lossy().into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_sent_to_by_name_from_a_pipe_and_all() {
    let hub = ChildHub::start().await;
    let file = file_of(&hub, "ada\nbob\n\nada\n");
    let named = hub.json(&send(&["--users", &file, "--raw", "named"]));
    assert_eq!(
        (&named["status"], &named["accepted"], &named["done"]),
        (&json!("completed"), &json!(2), &json!(2)),
        "{named}"
    );
    let kept = job(&hub, named["id"].as_str().unwrap()).await;
    assert_eq!(kept, named, "the job in its own shape");
    let script = "printf 'ada\\ncarol\\n' | beckon send todo.example --users - --raw piped";
    let told = hub.shell(script, &[]);
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(
        said.starts_with("posted to 2 people, as the job "),
        "{told:?}"
    );
    hub.json(&send(&["--all", "--raw", "all"]));
    for (user, content, count) in [
        ("ada", "named", 1),
        ("bob", "named", 1),
        ("ada", "piped", 1),
        ("bob", "piped", 0),
        ("carol", "piped", 1),
        ("carol", "all", 1),
    ] {
        assert_eq!(copies(&hub, user, content).await, count, "{user} {content}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_people_with_a_fault_is_refused_and_nobody_is_posted_to() {
    let mut hub = ChildHub::start().await;
    for life in ["running", "stopped"] {
        let many: Vec<String> = (0..10_001).map(|nth| format!("{nth:0>200}")).collect();
        for (text, says) in [
            ("ada\n..\n", "--users has \"..\", which may not be"),
            ("\n", "--users names nobody"),
            ("", "--users names nobody"),
            (&many.join("\n"), "server.limits.audience allows 10000"),
        ] {
            let file = file_of(&hub, text);
            let refused = hub.refused(&send(&["--users", &file, "--raw", "r"]));
            assert!(refused.contains(says), "{life}: {refused}");
        }
        let users = hub.json(&["user", "list", "todo.example"]);
        assert_eq!(users, json!({"value": []}), "{life}");
        if life == "running" {
            hub.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_sent_to_by_a_stopped_hub_once_it_runs() {
    let mut hub = ChildHub::start().await;
    hub.stop().await;
    let file = file_of(&hub, "ada\nbob\n");
    let stored = hub.command(&send(&["--users", &file, "--raw", "later"]));
    let said = String::from_utf8_lossy(&stored.stdout).into_owned();
    let first = said.strip_prefix("stored the job ");
    let first = first.unwrap_or_else(|| panic!("{stored:?}"));
    let first = first.split(' ').next().unwrap();
    let note = String::from_utf8_lossy(&stored.stderr).into_owned();
    assert!(note.contains("begins once `beckon serve` runs"), "{note}");
    let second = hub.json(&send(&["--users", &file, "--raw", "later still"]));
    assert_eq!(second["status"], "running", "{second}");
    hub.begin().await;
    for id in [first, second["id"].as_str().unwrap()] {
        eventually("the job is done", || async {
            (job(&hub, id).await["status"] == "completed").then_some(())
        })
        .await;
    }
    assert_eq!(copies(&hub, "bob", "later").await, 1);
    assert_eq!(copies(&hub, "ada", "later still").await, 1);
    hub.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn init_beside_a_running_hub_writes_the_config_and_makes_the_key() {
    let hub = ChildHub::start().await;
    let made = hub.shell(
        "beckon init second.example --config second.toml --data store",
        &[],
    );
    let said = String::from_utf8_lossy(&made.stderr).into_owned();
    assert_eq!(made.status.code(), Some(0), "{said}");
    assert!(said.contains("has not read second.toml yet"), "{said}");
    assert!(said.contains("SIGHUP"), "{said}");
    assert!(hub.folder.path().join("second.toml").exists());
    let keys = answer(&hub.command(&["key", "list", "second.example", "--json"]));
    assert_eq!(keys["value"][0]["name"], "first", "{keys}");
    let slip = hub.refused(&["key", "create", "slip.example"]);
    assert!(slip.contains("no app slip.example"), "{slip}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_that_names_a_service_without_credentials_is_refused() {
    let hub = ChildHub::start().await;
    let file = hub.folder.path().join("incomplete.toml");
    let path = file.to_string_lossy().into_owned();
    for (section, names) in [
        ("[app.apns]\ntopic = \"t\"", "app.apns.key_file"),
        ("[app.fcm]", "app.fcm.service_account_file"),
        ("[app.wns]", "app.wns.client_"),
        ("[app.webpush]", "app.webpush.subject"),
    ] {
        let text = format!("[store]\npath = \"new\"\n[[app]]\nhost = \"a\"\n{section}\n");
        std::fs::write(&file, text).unwrap();
        for command in ["check", "serve", "key create a"] {
            let script = format!("beckon {command}");
            let output = hub.shell(&script, &[("BECKON_CONFIG", &path)]);
            let told = [output.stdout, output.stderr].concat();
            let told = String::from_utf8_lossy(&told).into_owned();
            assert_eq!(output.status.code(), Some(1), "{command}: {told}");
            assert!(told.contains(names), "{command} {section}: {told}");
        }
        let made = hub.folder.path().join("new");
        assert!(!made.exists(), "{section}: a store was made");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_asks_every_service_and_says_what_is_wrong() {
    let hub = ChildHub::start().await;
    let checked = answer(&hub.command(&["check", "--json"]));
    let all = checked["value"].as_array().unwrap();
    let services: Vec<&str> = all.iter().filter_map(|it| it["service"].as_str()).collect();
    assert_eq!(services, ["apns", "fcm", "webPush", "wns"], "{checked}");
    assert!(all.iter().all(|it| it["ok"] == true), "{checked}");
    for service in [
        beckon::doubles::Service::Apns,
        beckon::doubles::Service::Fcm,
        beckon::doubles::Service::Wns,
    ] {
        assert_eq!(
            hub.doubles().counters(service).accepted,
            0,
            "no device was tapped"
        );
    }
    let mut refused = beckon::doubles::FaultSpec::always(
        beckon::doubles::Service::Wns,
        beckon::doubles::FaultKind::CredentialRefused,
    );
    refused.at = beckon::doubles::At::Token;
    hub.doubles().script(refused);
    let other_key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    std::fs::write(&hub.doubles().settings().apns.key_file, other_key).unwrap();
    let failed = hub.command(&["check"]);
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    let said = String::from_utf8_lossy(&failed.stdout);
    let wrong: Vec<&str> = said.lines().filter(|line| line.starts_with('✗')).collect();
    assert_eq!(wrong.len(), 2, "{said}");
    for service in ["wns", "apns"] {
        assert!(wrong.iter().any(|line| line.contains(service)), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_or_not_there_is_told_by_the_exit_code() {
    let hub = ChildHub::start().await;
    let check = |args: &[&str], code: i32| {
        let output = hub.command(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
        assert!(!output.stderr.is_empty(), "{args:?} says nothing");
    };
    check(&["nonsense"], 2);
    check(&["send"], 2);
    check(&["key", "create", "nobody.example"], 1);
    check(&["key", "revoke", "nothing"], 1);
    check(&["key", "list", "nobody.example"], 1);
    check(&["--data", "nowhere", "store", "verify"], 1);
    check(&["--data", "nowhere", "store", "stats"], 1);
    check(&["endpoint", "remove", "todo.example", "ada", "nothing"], 1);
    check(&["send", "todo.example", "ada"], 2);
    let raw = ["--raw", "r"];
    let send = |to: &[&str], code| check(&[&["send", "todo.example"], to, &raw[..]].concat(), code);
    send(&[], 2);
    send(&["ada", "--all"], 2);
    send(&["ada", "--users", "-"], 2);
    send(&["--all", "--users", "-"], 2);
    send(&["--users", "/nowhere/at all"], 1);
    check(&["send", "nobody.example", "--all", "--raw", "r"], 1);
    check(&["explain", "nothing"], 2);
    check(&["explain", "00000000-0000-7000-8000-000000000000"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_doubles_do_is_told_without_starting_them() {
    let hub = ChildHub::start().await;
    let told = hub.command(&["doubles", "--behaviour"]);
    assert_eq!(told.status.code(), Some(0), "{told:?}");
    let page = String::from_utf8(told.stdout).unwrap();
    assert_eq!(page.trim_end(), beckon::doubles::behaviour().trim_end());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_serves_from_anothers_folder_not_even_root() {
    let hub = ChildHub::start().await;
    let own = hub.folder.path().join("another's");
    fs::create_dir(&own).unwrap();
    // Whoever is not root cannot give a folder away; the root of all folders is another's to them.
    let folder = match fs::metadata(&own).unwrap().uid() {
        0 => own,
        _ => PathBuf::from("/"),
    };
    let owner = if folder.parent().is_some() { 12_345 } else { 0 };
    if owner > 0 {
        std::os::unix::fs::chown(&folder, Some(owner), None).unwrap();
    }
    let path = folder.to_string_lossy().into_owned();
    // Where it did not refuse it would fail at the address and not serve on.
    let taken = hub.addr().to_string();
    let serve = ["serve", "--listen", &taken, "--data", &path];
    let compacting = [&serve[..], &["--compact"]].concat();
    let asking = ["user", "list", "todo.example", "--data", &path];
    for args in [&serve[..], &compacting, &asking] {
        let said = hub.refused(args);
        let belongs = format!("the data folder {path} belongs to ");
        assert!(said.contains(&belongs), "{args:?}: {said}");
        assert!(said.contains(&format!("uid {owner}")), "{args:?}: {said}");
        assert!(said.contains("as that user"), "{args:?}: {said}");
    }
    assert_eq!(fs::metadata(&folder).unwrap().uid(), owner);

    let new = hub.folder.path().join("not there yet");
    let path = new.to_string_lossy().into_owned();
    let said = hub.refused(&["serve", "--listen", &taken, "--data", &path]);
    assert!(said.contains("cannot listen on"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_says_what_takes_a_start() {
    let mut hub = ChildHub::start().await;
    hub.reload();
    hub.says("were read anew").await;
    assert!(
        !hub.log()
            .contains("takes effect when the hub is started anew")
    );
    hub.edit_config(|text| {
        text.replace("[server]", "[server]\npublic_url = \"https://hub.example\"")
    });
    hub.reload();
    hub.says("takes effect when the hub is started anew").await;
    hub.stop().await;
}
