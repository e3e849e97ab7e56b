//! A store whose end was cut off, and one that cannot tell, are refused; a store is its owner's alone.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use super::super::{
    Error, Store,
    tests::{copy_folder, options, post, subject},
};

#[tokio::test]
async fn a_store_whose_end_was_cut_off_is_refused_until_the_loss_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let user = subject("ada");
    let epoch = {
        let store = Store::open(&options(folder.path())).unwrap();
        store.commit(post(&user, 1, "a".into()).0).await.unwrap();
        store.close();
        store.epoch()
    };
    copy_folder(folder.path(), copy.path());
    {
        let store = Store::open(&options(folder.path())).unwrap();
        store.commit(post(&user, 2, "b".into()).0).await.unwrap();
        store.close();
    }
    // An older copy of the store beside the newer head file is what a cut looks like.
    fs::copy(folder.path().join("head"), copy.path().join("head")).unwrap();
    let refused = Store::open(&options(copy.path()));
    assert!(
        matches!(refused, Err(Error::Lost { missing: 1, .. })),
        "{refused:?}"
    );
    let mut accepting = options(copy.path());
    accepting.accept_loss = true;
    let store = Store::open(&accepting).unwrap();
    assert!(
        store.epoch() > epoch,
        "cursors of before must not be good any more"
    );
    store.close();
}

#[tokio::test]
async fn a_store_without_a_head_that_can_be_read_is_refused_until_that_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let epoch = {
        let store = Store::open(&options(folder.path())).unwrap();
        assert!(folder.path().join("head").exists(), "from the first moment");
        let ada = subject("ada");
        store.commit(post(&ada, 1, "a".into()).0).await.unwrap();
        store.close();
        store.epoch()
    };
    let head = folder.path().join("head");
    let mut flipped = fs::read(&head).unwrap();
    flipped[3] ^= 1;
    for damaged in [Some(&flipped[..]), Some(&flipped[..5]), Some(b""), None] {
        match damaged {
            Some(bytes) => fs::write(&head, bytes).unwrap(),
            None => fs::remove_file(&head).unwrap(),
        }
        for _ in 0..2 {
            let refused = Store::open(&options(folder.path()));
            assert!(matches!(refused, Err(Error::NoHead { .. })), "{refused:?}");
        }
    }
    let mut accepting = options(folder.path());
    accepting.accept_loss = true;
    let store = Store::open(&accepting).unwrap();
    assert!(store.epoch() > epoch, "cursors of before may lie");
    store.close();
    drop(store);
    let store = Store::open(&options(folder.path())).unwrap();
    assert!(store.reader().user(&subject("ada")).unwrap().live == 1);
    store.close();
}

#[test]
fn a_folder_that_was_open_to_others_is_closed_with_all_that_lies_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
    let open_up = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    open_up(folder.path(), 0o755).unwrap();
    // Once as it is made, and once as an earlier version left it.
    for _ in 0..2 {
        let store = Store::open(&options(folder.path())).unwrap();
        store.close();
        drop(store);
        assert_eq!(mode(folder.path()), 0o700);
        let mut files = 0;
        for entry in fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            let owner_only = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode(&path), owner_only, "{}", path.display());
            let left_open = if path.is_dir() { 0o755 } else { 0o644 };
            open_up(&path, left_open).unwrap();
            files += 1;
        }
        assert!(files >= 3, "db, conf and head at least");
        open_up(folder.path(), 0o755).unwrap();
    }
}

#[tokio::test]
async fn a_folder_of_other_things_is_left_as_it_is() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(folder.path().join("lost+found")).unwrap();
    fs::create_dir(folder.path().join("conf")).unwrap();
    let refused = Store::open(&options(folder.path()));
    assert!(matches!(refused, Err(Error::NotAStore(_))), "{refused:?}");
    let mode = fs::metadata(folder.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    fs::remove_dir(folder.path().join("conf")).unwrap();
    Store::open(&options(folder.path())).unwrap().close();
}
