//! Compacting makes the store's file small again, and nothing else.

use std::fs;

use super::{phone, post, pull, pulled_from};
use crate::support::ChildHub;

fn db_bytes(hub: &ChildHub) -> u64 {
    fs::metadata(hub.data().join("db")).unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn compacting_keeps_every_row_and_every_cursor() {
    let mut hub = ChildHub::start().await;
    let phone = phone(&hub).await;
    let mut ids = Vec::new();
    for nth in 0..400 {
        ids.push(post(&hub, &format!("title {nth}")).await);
    }
    for id in &ids[5..] {
        let path = format!("/v1/users/ada/notifications/{id}");
        hub.app().delete(&path).await.expect(204);
    }
    let (titles, cursor) = pull(&phone).await;
    let said = hub.refused(&["store", "compact"]);
    assert!(said.contains("stop it first"), "{said}");
    hub.stop().await;
    let before = db_bytes(&hub);
    let told = hub.json(&["store", "compact"]);
    let after = db_bytes(&hub);
    // It keeps itself small: there may be nothing to gain. Opening it may add a piece.
    assert!(after <= before + (512 << 10), "{before} → {after}: {told}");
    assert_eq!(fs::read_dir(hub.data().join("blobs")).unwrap().count(), 0);
    let aside = fs::read_dir(hub.data()).unwrap();
    let aside = aside.filter(|it| {
        let name = it.as_ref().unwrap().file_name();
        name.to_string_lossy().contains("before-")
    });
    assert_eq!(aside.count(), 0, "the old file is gone");
    hub.verify();

    for more in [&[][..], &["--compact"]] {
        hub.begin_with(more).await;
        let phone = hub.client().bearer(phone.bearer.clone().unwrap());
        assert_eq!(pulled_from(&phone, &cursor).await, 200);
        assert_eq!(pull(&phone).await.0, titles);
        hub.verify();
        hub.stop().await;
    }
    assert!(
        hub.log().contains("the store was compacted"),
        "{}",
        hub.log()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_erased_is_in_no_byte_of_the_new_file() {
    let mut hub = ChildHub::start().await;
    let _phone = phone(&hub).await;
    for nth in 0..20 {
        post(&hub, &format!("diagnosis {nth}")).await;
        let theirs = serde_json::json!({"payload": {"rawContent": "kept"}});
        let posted = hub.app().post("/v1/users/eve/notifications", theirs).await;
        posted.expect(201);
    }
    hub.app().delete("/v1/users/ada").await.expect(204);
    hub.stop().await;
    let count = |hub: &ChildHub, what: &str| {
        let bytes = fs::read(hub.data().join("db")).unwrap();
        let what = what.as_bytes();
        bytes.windows(what.len()).filter(|it| *it == what).count()
    };
    assert!(count(&hub, "diagnosis") > 0, "until it is written over");
    hub.json(&["store", "compact"]);
    assert_eq!(count(&hub, "diagnosis"), 0);
    assert!(count(&hub, "kept") >= 20);
    hub.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_compacted() {
    let mut hub = ChildHub::start().await;
    hub.stop().await;
    let nowhere = hub.folder.path().join("nowhere");
    let data = nowhere.to_string_lossy().into_owned();
    let said = hub.refused(&["store", "compact", "--data", &data]);
    assert!(said.contains("there is no store"), "{said}");
    assert!(!nowhere.exists());
}
