use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::{Space, Turn};

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
        let lacking = if now < MARK { MARK + 100 - now } else { 0 };
        assert_eq!(space.lacking_bytes(), lacking, "{now}");
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

#[test]
fn a_copy_leaves_what_taking_away_needs() {
    for mark in [1 << 20, 16 << 20, 256 << 20] {
        let free = Arc::new(AtomicU64::new(mark));
        let mut space = Space::told(Arc::clone(&free), mark);
        space.look();
        free.fetch_sub(space.room_for_copy(), Ordering::SeqCst);
        space.look();
        assert_eq!(space.room_for_copy(), 0);
        assert!(space.room(0).1, "with a mark of {mark}");
    }
}
