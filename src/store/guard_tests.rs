//! A store whose end was cut off, and one that cannot tell, are refused; a store is its owner's alone.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    super::{
        Error, Store,
        tests::{copy_folder, options, post, subject},
    },
    Space, Turn,
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

#[test]
fn a_disk_that_fills_up_is_told_of_once_when_it_begins_and_once_when_it_ends() {
    const MARK: u64 = 1600;
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let mut space = Space::told(Arc::clone(&free), MARK);
    for (now, told) in [
        (MARK, None),
        (MARK - 1, Some(Turn::Full)),
        (0, None),
        (MARK, None),
        (MARK - 1, None),
        (MARK + 100, Some(Turn::Roomy)),
        (MARK, None),
        (MARK - 1, Some(Turn::Full)),
    ] {
        free.store(now, Ordering::SeqCst);
        space.look();
        assert_eq!(space.turn(), told, "{now}");
    }
}

#[test]
fn on_a_full_disk_as_much_may_come_as_was_taken_away() {
    const MARK: u64 = 64 << 20;
    let free = Arc::new(AtomicU64::new(MARK - 1));
    let mut space = Space::told(Arc::clone(&free), MARK);
    space.look();
    assert_eq!(space.room(0), (false, true));
    assert_eq!(space.turn(), Some(Turn::Full));
    space.note(0, 5 << 20);
    assert_eq!(space.room((5 << 20) - 1), (true, true));
    assert_eq!(space.room(5 << 20), (false, true), "no more than that");
    assert_eq!(space.turn(), Some(Turn::Roomy));
    assert!(space.is_short() && space.may_tidy());
    for (left, room, may_tidy) in [
        (MARK / 2, (true, true), true),
        (MARK / 2 - 1, (false, true), true),
        (MARK / 16, (false, true), true),
        (MARK / 16 - 1, (false, false), true),
        (MARK / 32 - 1, (false, false), false),
    ] {
        free.store(left, Ordering::SeqCst);
        space.look();
        assert_eq!(space.room(0), room, "{left}");
        assert_eq!(space.may_tidy(), may_tidy, "{left}");
    }
    assert_eq!(space.turn(), Some(Turn::Full));
    free.store(MARK / 2, Ordering::SeqCst);
    space.look();
    space.note(6 << 20, 0);
    assert_eq!(space.room(0), (false, true), "others came in its place");
    assert_eq!(space.turn(), None);
}
