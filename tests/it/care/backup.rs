//! A backup is taken while the hub works, disturbs nobody, and holds what was acknowledged before it began.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, atomic::Ordering},
};

use rustix::{fs::FlockOperation, process::Signal};

use crate::{
    durability::{Ledger, missing, write},
    support::{ChildHub, child::signal, eventually},
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
            told["rows"].as_u64().unwrap() >= 3 * before.len() as u64,
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

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_stopped_or_killed_leaves_nothing_for_long() {
    let hub = ChildHub::start().await;
    let folder = hub.folder.path().join("backups");
    fs::create_dir(&folder).unwrap();
    let path = folder.join("backup").to_string_lossy().into_owned();
    let left = || {
        let entries = fs::read_dir(&folder).unwrap();
        let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
        names.collect::<Vec<_>>()
    };
    // A hub that does not answer keeps each of them waiting.
    hub.signal(Signal::STOP);
    for which in [Signal::INT, Signal::TERM, Signal::KILL] {
        let mut backup = hub.spawn(&["store", "backup", &path]);
        eventually("it has begun", || async {
            (left().len() == 1).then_some(())
        })
        .await;
        signal(&backup, which);
        let ended = tokio::task::spawn_blocking(move || backup.wait().unwrap());
        assert!(!ended.await.unwrap().success());
        assert_eq!(
            left().len(),
            usize::from(which == Signal::KILL),
            "{which:?}"
        );
    }
    // That of one which is still under way stays.
    let running = folder.join("backup.1.unfinished");
    let held = fs::File::create(&running).unwrap();
    rustix::fs::flock(&held, FlockOperation::LockExclusive).unwrap();
    fs::write(folder.join("backup.of-mine.unfinished"), "").unwrap();
    hub.signal(Signal::CONT);
    // It still has to learn that those who asked before are gone.
    eventually("it takes one", || async {
        let taken = hub.command(&["store", "backup", &path]);
        taken.status.success().then_some(())
    })
    .await;
    let mut names = left();
    names.sort();
    assert_eq!(
        names,
        ["backup", "backup.1.unfinished", "backup.of-mine.unfinished"]
    );
}
