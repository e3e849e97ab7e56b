//! Devices that another service knew, brought in by a file.

use std::fs;

use beckon::doubles::{Device, NewDevice, Service};
use serde_json::{Value, json};

use crate::support::{ChildHub, device::beckon_of, eventually};

fn file_of(hub: &ChildHub, lines: &[String]) -> String {
    let file = hub.data().join("../devices.jsonl");
    fs::write(&file, lines.join("\n")).unwrap();
    file.to_str().unwrap().to_owned()
}

/// A device at its double, and its channel as a client names it.
fn at_its_double(hub: &ChildHub, service: Service) -> (Device, Value) {
    let device = hub.doubles().add_device(NewDevice::of(service)).unwrap();
    let channel = serde_json::to_value(&device.channel).unwrap();
    (device, channel)
}

/// Three devices of three shapes, and from line 5 on seven lines that are wrong.
fn lines(hub: &ChildHub, apns: &Value) -> Vec<String> {
    let (_, fcm) = at_its_double(hub, Service::Fcm);
    let (_, wns) = at_its_double(hub, Service::Wns);
    let evil = json!({"type": "wns", "channelUri": "https://evil.example/?token=secret"});
    let lines = [
        json!({"user": "ada", "endpoint": "phone", "displayName": "Ada's", "channel": apns}),
        json!({"user": "ada", "platform": 2, "tokens": [fcm["registrationToken"]]}),
        json!({"userId": "bob", "installationId": "pc", "platform": "wns", "pushChannel": wns["channelUri"]}),
        json!({"user": "..", "endpoint": "phone", "channel": fcm}),
        json!({"user": "ada", "endpoint": "e", "channel": {"type": "apns", "deviceToken": "xy"}}),
        json!({"user": "ada", "endpoint": "e", "channel": evil}),
        json!({"nobody": 1}),
    ];
    let mut lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    lines.insert(3, String::new());
    lines.push(String::from("{"));
    lines.push(format!("{{\"user\":\"{}\"}}", "x".repeat(40_000)));
    lines.push(json!({"user": "ada", "platform": 2, "tokens": []}).to_string());
    lines
}

/// What a command that refused some of the lines told as JSON.
fn told(hub: &ChildHub, file: &str, more: &[&str]) -> Value {
    let import = [
        &["endpoint", "import", "todo.example", file, "--json"],
        more,
    ]
    .concat();
    let told = hub.command(&import);
    assert_eq!(told.status.code(), Some(1), "{told:?}");
    serde_json::from_slice(&told.stdout).unwrap()
}

fn listed(hub: &ChildHub, user: &str) -> Vec<(String, String)> {
    let endpoints = hub.json(&["endpoint", "list", "todo.example", user]);
    let text = |it: &Value| it.as_str().unwrap().to_owned();
    let endpoints = endpoints["value"].as_array().unwrap().iter();
    let mut found: Vec<_> = endpoints
        .map(|it| (text(&it["id"]), text(&it["channel"]["type"])))
        .collect();
    found.sort();
    found
}

/// Imports and says how many devices were new and known.
fn import(hub: &ChildHub, file: &str) -> (Value, Value) {
    let before = (listed(hub, "ada"), listed(hub, "bob"));
    let would = told(hub, file, &["--dry-run"]);
    assert_eq!(before, (listed(hub, "ada"), listed(hub, "bob")));
    let done = told(hub, file, &[]);
    for it in [&would, &done] {
        let refused = it["refused"].as_array().unwrap();
        let at: Vec<_> = refused
            .iter()
            .map(|it| it["line"].as_u64().unwrap())
            .collect();
        assert_eq!(at, [5, 6, 7, 8, 9, 10, 11], "{it}");
        assert!(!it.to_string().contains("secret"), "{it}");
        assert_eq!(it["registered"], done["registered"], "{would}");
    }
    (done["registered"].clone(), done["left"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_devices_is_registered_and_each_line_that_is_not_is_named() {
    let mut hub = ChildHub::start().await;
    let (phone, apns) = at_its_double(&hub, Service::Apns);
    let file = file_of(&hub, &lines(&hub, &apns));
    assert_eq!(import(&hub, &file), (json!(3), json!(0)));
    hub.stop().await;
    assert_eq!(import(&hub, &file), (json!(0), json!(3)));
    let in_words = hub.command(&["endpoint", "import", "todo.example", &file]);
    let said = String::from_utf8(in_words.stdout).unwrap();
    for part in [
        "line 5 (..): USER ",
        "line 6 (ada): channel.deviceToken ",
        "line 7 (ada): channel.channelUri ",
        "line 8: has neither channel",
        "line 9: is no JSON object",
        "line 11: tokens is empty",
        "0 devices registered, 3 known ones left as they are, 7 refused",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let ada = listed(&hub, "ada");
    let is_made = ada[0].0.starts_with("imported-") && ada[0].1 == "fcm";
    assert!(is_made && ada.len() == 2, "{ada:?}");
    assert_eq!(ada[1], (String::from("phone"), String::from("apns")));
    assert_eq!(
        listed(&hub, "bob"),
        [(String::from("pc"), String::from("wns"))]
    );
    hub.begin().await;
    let post = json!({"payload": {"visualContent": {"title": "t"}}});
    let posted = hub.app().post("/v1/users/ada/notifications", post).await;
    let handed = eventually("the tap of a device that came by the file", || async {
        hub.doubles().handed_over(0, &phone.id).first().cloned()
    })
    .await;
    assert_eq!(beckon_of(&handed.push)["n"], posted.expect(201)["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_imported_at_all_says_what_to_do() {
    let hub = ChildHub::start().await;
    let refused = hub.refused(&["endpoint", "import", "todo.example", "/nowhere/at all"]);
    let says = "cannot read the devices from /nowhere/at all";
    assert!(refused.contains(says), "{refused}");
    let device =
        json!({"user": "ada", "endpoint": "e", "channel": {"type": "none"}, "platform": "iOS"});
    let file = file_of(&hub, &[device.to_string()]);
    let refused = hub.refused(&["endpoint", "import", "nobody.example", &file]);
    let says = "there is no app nobody.example in the config";
    assert!(refused.contains(says), "{refused}");
    let piped = format!("cat '{file}' | beckon endpoint import todo.example -");
    let told = hub.shell(&piped, &[]);
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    let expected = "1 devices registered, 0 known ones left as they are, 0 refused\n";
    assert_eq!(said, expected, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_device_gives_way_to_a_file_and_a_known_one_is_left_unless_it_says_so() {
    let mut hub = ChildHub::start().await;
    hub.stop().await;
    hub.edit_config(|text| {
        text.replacen(
            "[store]",
            "[server.limits]\nendpoints_per_user = 2\n[store]",
            1,
        )
    });
    hub.begin().await;
    let line = |endpoint: &str, name: &str| {
        json!({"user": "ada", "endpoint": endpoint, "displayName": name, "platform": "iOS", "channel": {"type": "none"}}).to_string()
    };
    let file = ["a", "a", "b", "a", "c"].map(|endpoint| line(endpoint, "1"));
    let file = file_of(&hub, &file);
    let mut would = told(&hub, &file, &["--dry-run"]);
    let done = told(&hub, &file, &[]);
    assert_eq!(
        (&done["registered"], &done["left"]),
        (&json!(2), &json!(2)),
        "{done}"
    );
    would["dryRun"] = json!(false);
    assert_eq!(would, done);
    let full = done["refused"][0]["message"].as_str().unwrap();
    assert!(
        full.contains("server.limits.endpoints_per_user allows 2"),
        "{full}"
    );
    let named = |hub: &ChildHub| {
        let listed = hub.json(&["endpoint", "list", "todo.example", "ada"]);
        listed["value"][0]["displayName"].clone()
    };
    let file = file_of(&hub, &[line("a", "2")]);
    let import =
        |more: &[&str]| hub.json(&[&["endpoint", "import", "todo.example", &file], more].concat());
    assert_eq!(
        (import(&[])["left"].clone(), named(&hub)),
        (json!(1), json!("1"))
    );
    let anew = import(&["--overwrite"]);
    assert_eq!(
        (anew["overwritten"].clone(), named(&hub)),
        (json!(1), json!("2"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_a_live_endpoint_has_is_left_to_it_whosever_it_is() {
    let hub = ChildHub::start().await;
    let (_, fcm) = at_its_double(&hub, Service::Fcm);
    let phone = json!({"user": "bob", "endpoint": "phone", "channel": fcm});
    let own = file_of(&hub, &[phone.to_string()]);
    hub.json(&["endpoint", "import", "todo.example", &own]);
    let line = |user: &str| {
        json!({"user": user, "platform": 2, "token": fcm["registrationToken"]}).to_string()
    };
    let file = file_of(&hub, &[line("ada"), line("bob")]);
    let import = ["endpoint", "import", "todo.example", &file];
    let bobs = [(String::from("phone"), String::from("fcm"))];
    for more in [&["--dry-run"][..], &[]] {
        let said = hub.command(&[&import, more].concat());
        let said = String::from_utf8(said.stdout).unwrap();
        let known = "is known, since its channel is that of bob's endpoint phone; --overwrite takes it from there";
        let would = if more.is_empty() { "" } else { "would be " };
        let expected = format!(
            "line 1 (ada): {known}\nline 2 (bob): {known}\n0 devices {would}registered, 2 known ones left as they are, 0 refused\n"
        );
        assert_eq!(said, expected);
        assert_eq!(
            (listed(&hub, "bob"), listed(&hub, "ada").len()),
            (bobs.to_vec(), 0)
        );
    }
    let told = hub.json(&import);
    let by = json!({"user": "bob", "endpoint": "phone"});
    let held = json!([{"line": 1, "user": "ada", "by": by}, {"line": 2, "user": "bob", "by": by}]);
    assert_eq!((&told["left"], &told["held"]), (&json!(2), &held), "{told}");
    let file = file_of(&hub, &[line("ada")]);
    let taken = hub.json(&["endpoint", "import", "todo.example", &file, "--overwrite"]);
    assert_eq!(taken["registered"], 1, "{taken}");
    assert_eq!(listed(&hub, "bob")[0].1, "none");
}
