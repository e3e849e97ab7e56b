//! A restore changes nothing unless all of the file is good, and says what it brings back.

use std::{fs, path::PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::json;

use super::{phone, post, pull, pulled_from};
use crate::support::ChildHub;

fn backup(hub: &ChildHub) -> String {
    let file = hub.folder.path().join("backup");
    let path = file.to_string_lossy().into_owned();
    hub.json(&["store", "backup", &path]);
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_begins_a_new_epoch_and_says_what_it_revives() {
    let mut hub = ChildHub::start().await;
    let phone = phone(&hub).await;
    post(&hub, "before").await;
    let retracted = post(&hub, "retracted since").await;
    let (_, of_before) = pull(&phone).await;
    let revoked = hub.json(&["key", "create", "todo.example"]);
    let revoked_key = hub.client().bearer(revoked["key"].as_str().unwrap());
    let path = backup(&hub);

    hub.json(&["key", "revoke", revoked["id"].as_str().unwrap()]);
    let made = hub.json(&["key", "create", "todo.example"]);
    post(&hub, "since").await;
    let retracted = format!("/v1/users/ada/notifications/{retracted}");
    hub.app().delete(&retracted).await.expect(204);
    phone.delete("/v1/me/endpoints/phone").await.expect(204);
    let running = hub.refused(&["store", "restore", &path, "--force"]);
    assert!(running.contains("stop it first"), "{running}");
    hub.stop().await;
    let there = hub.refused(&["store", "restore", &path]);
    assert!(there.contains("--force"), "{there}");

    let told = hub.json(&["store", "restore", &path, "--force"]);
    assert_eq!(told["revived"]["keys"], json!([revoked["id"]]), "{told}");
    assert_eq!(told["revived"]["keysLost"], json!([made["id"]]), "{told}");
    assert_eq!(told["revived"]["tokens"], 1, "{told}");
    assert_eq!(told["revived"]["users"], json!([]), "{told}");
    let back = json!([{"app": "todo.example", "user": "ada", "endpoint": "phone"}]);
    assert_eq!(told["revived"]["endpoints"], back, "{told}");
    assert_eq!(told["revived"]["notifications"], 1, "{told}");
    assert_eq!(told["revived"]["broadcasts"], json!([]), "{told}");
    let kept = PathBuf::from(told["keptAs"].as_str().unwrap());
    assert!(kept.starts_with(hub.data()), "{told}");
    assert!(kept.join("db").exists() && kept.join("head").exists());

    hub.begin().await;
    let phone = hub.client().bearer(phone.bearer.clone().unwrap());
    assert_eq!(pulled_from(&phone, &of_before).await, 410);
    let up_to = json!({"all": true, "upTo": of_before, "set": {"readState": "read"}});
    let set = phone.post("/v1/me/notifications/state", up_to).await;
    assert_eq!(set.refused(410), "syncStateNotFound");
    let (titles, second_life) = pull(&phone).await;
    assert_eq!(titles, ["before", "retracted since"]);
    hub.app().delete(&retracted).await.expect(204);
    assert_eq!(pulled_from(&phone, &second_life).await, 200);
    let revived = hub.client().bearer(revoked_key.bearer.unwrap());
    revived.get("/v1/users/ada/notifications").await.expect(200);
    let lost = hub.client().bearer(made["key"].as_str().unwrap());
    assert_eq!(lost.get("/v1/users/ada/notifications").await.status, 401);
    hub.verify();

    // The same backup once more: cursors of the life between mean nothing, and now all tokens end.
    hub.stop().await;
    hub.json(&["store", "restore", &path, "--force", "--new-secrets"]);
    hub.begin().await;
    let phone = hub.client().bearer(phone.bearer.unwrap());
    assert_eq!(pulled_from(&phone, &second_life).await, 401);
    let phone = hub.client().bearer(mint(&hub).await);
    assert_eq!(pulled_from(&phone, &second_life).await, 410);
    assert_eq!(pull(&phone).await.0, ["before", "retracted since"]);
    hub.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_erased_since_is_named_also_where_they_came_back() {
    let mut hub = ChildHub::start().await;
    post(&hub, "before").await;
    let body = json!({"payload": {"rawContent": "hush"}});
    let eve = "/v1/users/eve/notifications";
    hub.app().post(eve, body.clone()).await.expect(201);
    let path = backup(&hub);
    for user in ["ada", "eve"] {
        hub.json(&["user", "erase", "todo.example", user]);
    }
    post(&hub, "anew").await;
    hub.stop().await;
    let told = hub.json(&["store", "restore", &path, "--force"]);
    let mut named = told["revived"]["users"].as_array().unwrap().clone();
    named.sort_by_key(|it| it["user"].to_string());
    let back = |user: &str| json!({"app": "todo.example", "user": user});
    assert_eq!(named, [back("ada"), back("eve")], "{told}");
    // What the answer tells to do, before the hub starts.
    hub.json(&["user", "erase", "todo.example", "eve"]);
    hub.begin().await;
    let exported = hub.app().get("/v1/users/eve/export").await;
    assert_eq!(exported.refused(404), "itemNotFound");
    hub.app().get("/v1/users/ada/export").await.expect(200);
    hub.verify();
}

async fn mint(hub: &ChildHub) -> String {
    let minted = hub.app().post("/v1/users/ada/tokens", json!({})).await;
    minted.expect(201)["token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_ends_with_the_other_secrets() {
    let mut hub = ChildHub::start().await;
    post(&hub, "one").await;
    let token = access_token(&hub).await;
    let path = backup(&hub);
    for (more, status) in [(None, 200), (Some("--new-secrets"), 401)] {
        hub.stop().await;
        let mut args = vec!["store", "restore", &path, "--force"];
        args.extend(more);
        let said = hub.command(&args);
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(
            said.contains("tokens") && said.contains("kept in"),
            "{said}"
        );
        hub.begin().await;
        let list = hub.client().bearer(&token);
        let list = list.get("/v1/users/ada/notifications").await;
        assert_eq!(list.status, status, "{more:?}");
    }
}

async fn access_token(hub: &ChildHub) -> String {
    let form = format!(
        "grant_type=client_credentials&client_id=todo.example&client_secret={}",
        hub.key
    );
    let client = hub
        .client()
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = client
        .send(hyper::Method::POST, "/oauth2/v2.0/token", form.into())
        .await;
    answer.expect(200)["access_token"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_good_backup_is_refused_and_nothing_is_changed() {
    let mut hub = ChildHub::start().await;
    post(&hub, "before").await;
    let path = backup(&hub);
    post(&hub, "since").await;
    hub.stop().await;
    let whole = fs::read(&path).unwrap();
    let mut later = whole.clone();
    later[14..18].copy_from_slice(&2u32.to_be_bytes());
    // The store's format stands behind the backup's version, and all of the header is summed up.
    let mut later_store = whole.clone();
    later_store[18..22].copy_from_slice(&3u32.to_be_bytes());
    let sum = digest(&SHA256, &later_store[..46]);
    later_store[46..54].copy_from_slice(&sum.as_ref()[..8]);
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let longer = [&whole[..], b"more"].concat();
    let cases: [(&[u8], &str); 8] = [
        (&whole[..whole.len() / 2], "is cut off"),
        (&whole[..whole.len() - 1], "is cut off"),
        (&flipped, "is damaged"),
        (&longer, "is damaged"),
        (
            &later,
            "of version 2, this version knows 1; use a later beckon",
        ),
        (
            &later_store,
            "of a store of format 3, this version knows 2; use a later beckon",
        ),
        (b"something else", "is no backup"),
        (b"", "is no backup"),
    ];
    let bad = hub.folder.path().join("bad");
    let bad_path = bad.to_string_lossy().into_owned();
    let empty = hub.folder.path().join("empty");
    let empty_path = empty.to_string_lossy().into_owned();
    for (bytes, says) in cases {
        fs::write(&bad, bytes).unwrap();
        let said = hub.refused(&["store", "restore", &bad_path, "--force"]);
        assert!(said.contains(says), "{says}: {said}");
        assert!(said.contains("nothing was changed"), "{said}");
        hub.refused(&["store", "restore", &bad_path, "--data", &empty_path]);
        assert!(!empty.exists(), "{says}: a folder was made");
    }
    let said = hub.refused(&["store", "restore", "/nowhere/at-all"]);
    assert!(said.contains("/nowhere/at-all"), "{said}");
    let left: Vec<_> = fs::read_dir(hub.data()).unwrap().collect();
    let aside = left.iter().any(|it| {
        let name = it.as_ref().unwrap().file_name();
        let name = name.to_string_lossy();
        name.contains("before-") || name.contains("making")
    });
    assert!(!aside, "{left:?}");
    hub.begin().await;
    let phone = phone(&hub).await;
    assert_eq!(pull(&phone).await.0, ["before", "since"]);
    hub.verify();
}
