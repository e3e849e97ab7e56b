//! A backup is taken while the hub works, disturbs nobody, and holds what was acknowledged before it began.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, atomic::Ordering},
};

use crate::{
    durability::{Ledger, missing, write},
    support::{ChildHub, eventually},
};

const WRITERS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_under_load_holds_all_that_was_acknowledged_before_it_began() {
    let mut hub = ChildHub::start().await;
    let ledger = Arc::new(Ledger::default());
    let writers: Vec<_> = (0..WRITERS)
        .map(|nth| tokio::spawn(write(hub.app(), format!("user-{nth}"), Arc::clone(&ledger))))
        .collect();
    let mut taken = Vec::new();
    for nth in 1..=3 {
        eventually("some is written", || async {
            (ledger.len() >= nth * 200).then_some(())
        })
        .await;
        let before = ledger.acknowledged.lock().unwrap().clone();
        let file = hub.folder.path().join(format!("backup-{nth}"));
        let path = file.to_string_lossy().into_owned();
        let told = tokio::task::block_in_place(|| hub.json(&["store", "backup", &path]));
        assert!(
            told["rows"].as_u64().unwrap() >= 4 * before.len() as u64,
            "{told}"
        );
        assert_eq!(
            told["sizeBytes"],
            fs::metadata(&file).unwrap().len(),
            "{told}"
        );
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = hub.refused(&["store", "backup", &path]);
        assert!(again.contains("is there already"), "{again}");
        taken.push((path, before));
    }
    ledger.enough.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    hub.stop().await;
    for (nth, (path, before)) in taken.iter().enumerate() {
        let folder = hub.folder.path().join(format!("restored-{nth}"));
        let data = folder.to_string_lossy().into_owned();
        let told = hub.json(&["store", "restore", path, "--data", &data]);
        assert_eq!(told["findings"], 0, "{told}");
        assert!(told["keptAs"].is_null(), "{told}");
        let verified = hub.json(&["store", "verify", "--data", &data]);
        assert_eq!(verified, serde_json::json!({"value": []}));
        assert_eq!(
            missing(&folder, before),
            0,
            "backup {nth} of {}",
            before.len()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_hubs_store_is_backed_up_and_a_store_that_is_not_there_is_none() {
    let mut hub = ChildHub::start().await;
    super::post(&hub, "kept").await;
    hub.stop().await;
    let file = hub.folder.path().join("backup");
    let path = file.to_string_lossy().into_owned();
    let told = hub.command(&["store", "backup", &path]);
    let said = String::from_utf8_lossy(&told.stdout);
    assert!(said.contains("read back and whole"), "{told:?}");
    assert!(said.contains("keys"), "{said}");
    let nowhere = hub.folder.path().join("nowhere");
    let data = nowhere.to_string_lossy().into_owned();
    let other = format!("{path}-2");
    let refused = hub.refused(&["store", "backup", &other, "--data", &data]);
    assert!(refused.contains("there is no store"), "{refused}");
    assert!(!nowhere.exists(), "asking made a store");
    let unwritable = hub.refused(&["store", "backup", "/nowhere/backup"]);
    assert!(unwritable.contains("/nowhere/backup"), "{unwritable}");
    let left = fs::read_dir(hub.folder.path()).unwrap();
    let unfinished = left.filter(|it| {
        let name = it.as_ref().unwrap().file_name();
        name.to_string_lossy().contains("unfinished")
    });
    assert_eq!(unfinished.count(), 0);
}
