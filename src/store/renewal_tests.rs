use std::{
    collections::BTreeMap,
    fs,
    ops::ControlFlow,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::*;
use crate::store::{
    engine::Order,
    guard::{FolderLock, HeadFile},
    parts, tests as store,
};

const MARK: u64 = 64 << 20;
const ROWS: u64 = 3000;
/// Of the rows that are there one in so many stays.
const KEPT: u64 = 12;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// A store of which most was taken away, on a disk of which a test says what is free.
struct Emptied {
    state: State,
    free: Arc<AtomicU64>,
    rows: Rows,
    size_bytes: u64,
}

impl Emptied {
    fn new(folder: &Path) -> Self {
        let mut options = store::options(folder);
        options.min_free_bytes = MARK;
        let free = Arc::new(AtomicU64::new(u64::MAX));
        let lock = FolderLock::take(folder).unwrap();
        let engine = Engine::open(folder, options.cache_bytes, lock).unwrap();
        let on_disk = Some((HeadFile::new(folder), &options));
        let space = Space::told(Arc::clone(&free), MARK);
        let (state, _) = parts::begin(Arc::new(engine), on_disk, space).unwrap();
        let rows = all(&state.reader.engine);
        let mut it = Self {
            state,
            free,
            rows,
            size_bytes: 0,
        };
        for first in (0..ROWS).step_by(100) {
            it.put(first..first + 100, 3000);
        }
        let gone = (0..ROWS).filter(|nth| nth % KEPT != 0).map(key);
        it.write(gone.map(Op::Remove).collect());
        it.size_bytes = it.state.reader.engine.size_bytes();
        it.is_free(MARK - 1);
        it
    }

    fn is_free(&mut self, bytes: u64) {
        self.free.store(bytes, Ordering::SeqCst);
        self.state.look();
    }

    fn write(&mut self, ops: Vec<Op>) {
        for op in &ops {
            match op {
                Op::Put(key, value) => self.rows.insert(key.clone(), value.clone()),
                Op::Remove(key) => self.rows.remove(key),
            };
        }
        self.state.write(ops).unwrap();
    }

    fn put(&mut self, numbers: impl Iterator<Item = u64>, bytes: usize) {
        let put = |nth: u64| Op::Put(key(nth), vec![u8::try_from(nth % 251).unwrap(); bytes]);
        self.write(numbers.map(put).collect());
    }

    fn has_moved(&self) -> bool {
        self.state.reader.engine.size_bytes() < self.size_bytes / 2
    }

    /// Goes on until it has come so far; fails where it never does.
    fn until(&mut self, what: &str, mut so: impl FnMut(&mut Self) -> bool) {
        for _ in 0..1000 {
            if so(self) {
                return;
            }
            self.state.renew().unwrap();
        }
        panic!("never: {what}");
    }

    fn until_copied(&mut self) {
        self.until("copied", |it| {
            matches!(it.state.renewal.phase, Phase::Comparing(..))
        });
    }

    #[track_caller]
    fn is_whole(&self) {
        assert_eq!(all(&self.state.reader.engine), self.rows);
    }
}

fn key(nth: u64) -> Vec<u8> {
    [&b"z"[..], &nth.to_be_bytes()].concat()
}

fn all(engine: &Engine) -> Rows {
    let mut rows = Rows::new();
    let visit = &mut |key: &[u8], value: &[u8]| {
        rows.insert(key.to_vec(), value.to_vec());
        Ok(ControlFlow::Continue(()))
    };
    engine
        .scan(Bound::Unbounded, Bound::Unbounded, Order::Ascending, visit)
        .unwrap();
    rows
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.starts_with("snap.")).collect()
}

#[track_caller]
fn is_tidy(folder: &Path) {
    let mut names = names(folder);
    names.sort();
    assert_eq!(names, ["blobs", "conf", "db", "head"]);
}

#[test]
fn a_file_that_is_mostly_empty_gives_way_while_rows_come_go_and_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut it = Emptied::new(folder.path());
    let (mut turn, mut kinds) = (0, [false; 3]);
    it.until("moved", |it| {
        turn += 1;
        match it.state.renewal.phase {
            Phase::Counting(_) => kinds[0] = true,
            Phase::Copying(..) => kinds[1] = true,
            Phase::Comparing(..) => kinds[2] = true,
            _ => {}
        }
        // Before, at and beyond where the copy stands: new ones, changed ones, and some that go.
        it.put((0..3).map(|nth| turn * 977 * (nth + 1) % (2 * ROWS)), 500);
        let gone = (0..2).map(|nth| key(turn * 499 * (nth + 1) % (2 * ROWS)));
        it.write(gone.map(Op::Remove).collect());
        it.has_moved()
    });
    assert_eq!(kinds, [true; 3]);
    it.is_whole();
    it.put(9000..9100, 300);
    it.is_whole();
    is_tidy(folder.path());
    let rows = it.rows.clone();
    drop(it);
    let lock = FolderLock::take(folder.path()).unwrap();
    let engine = Engine::open(folder.path(), 8 << 20, lock).unwrap();
    assert_eq!(all(&engine), rows);
}

#[test]
fn who_reads_as_it_moves_reads_on_and_the_folder_stays_held() {
    let folder = tempfile::tempdir().unwrap();
    let mut it = Emptied::new(folder.path());
    it.until_copied();
    let (reader, mut read) = (it.state.reader.clone(), Rows::new());
    let expected = it.rows.clone();
    let visit = &mut |key: &[u8], value: &[u8]| {
        it.until("moved", |it| it.has_moved());
        assert_eq!(reader.engine.get(key).unwrap().as_deref(), Some(value));
        read.insert(key.to_vec(), value.to_vec());
        Ok(ControlFlow::Continue(()))
    };
    reader
        .engine
        .scan(Bound::Unbounded, Bound::Unbounded, Order::Ascending, visit)
        .unwrap();
    assert_eq!(read, expected);
    let taken = FolderLock::take(folder.path());
    assert!(matches!(taken, Err(Error::InUse(_))), "{taken:?}");
    assert_eq!(it.state.reader.engine.stray_files(), 0);
}

#[test]
fn where_there_is_no_room_for_a_copy_or_it_would_be_no_smaller_nothing_is_copied() {
    let folder = tempfile::tempdir().unwrap();
    let mut it = Emptied::new(folder.path());
    let rests = |it: &mut Emptied| matches!(it.state.renewal.phase, Phase::Resting(_));
    it.is_free(MARK / 16);
    it.until("no room", rests);
    assert!(!names(folder.path()).contains(&String::from("making")));
    // Only once more was taken away, or there is more room, is it asked again.
    it.state.renew().unwrap();
    assert!(rests(&mut it));
    it.state.renewal.note(LEAST_GONE, 0);
    it.until("counted again", |it| !rests(it));
    it.until("no room", rests);
    it.is_free(MARK - 1);
    it.until("asked again", |it| it.state.renewal.is_under_way());
    it.until("moved", |it| it.has_moved());
    it.state.renewal.phase = Phase::Counting(Walk::default());
    it.until("no smaller", rests);
    it.is_free(2 * MARK);
    it.state.renewal.phase = Phase::Counting(Walk::default());
    it.state.renew().unwrap();
    assert!(matches!(&it.state.renewal.phase, Phase::Counting(walk) if walk.rows == 0));
}

#[test]
fn a_copy_that_has_no_room_any_more_or_is_not_the_same_goes_and_the_store_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut it = Emptied::new(folder.path());
    it.until("begun", |it| it.state.renewal.is_under_way());
    // The copy looks at the real disk; here it is told what a full one would have it say.
    let full = Failure::Copy(Error::NoRoomForCopy(folder.path().to_owned()));
    it.state.renewal.failed(full).unwrap();
    is_tidy(folder.path());
    it.state.renewal.phase = Phase::Counting(Walk::default());
    it.until_copied();
    if let Phase::Comparing(_, fresh) = &mut it.state.renewal.phase {
        let other = Op::Put(key(0), b"another".to_vec());
        fresh.load_beside(vec![other]).unwrap();
    }
    it.until("given up", |it| {
        matches!(it.state.renewal.phase, Phase::Done)
    });
    is_tidy(folder.path());
    it.put(0..10, 20);
    it.is_whole();
    assert!(!it.has_moved());
}

#[test]
fn a_store_that_was_found_damaged_stays_in_its_file() {
    for begun in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut it = Emptied::new(folder.path());
        if begun {
            it.until_copied();
        }
        it.state.progress.damaged.store(true, Ordering::Relaxed);
        for _ in 0..1000 {
            it.state.renew().unwrap();
        }
        assert!(!it.has_moved());
        assert!(!folder.path().join("making").exists());
        it.is_whole();
    }
}

#[test]
fn what_a_kill_leaves_of_it_is_gone_with_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut it = Emptied::new(folder.path());
    it.until_copied();
    let killed = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), killed.path());
    fs::create_dir(killed.path().join("replaced")).unwrap();
    fs::write(killed.path().join("replaced/db"), "old").unwrap();
    let store = crate::store::Store::open(&store::options(killed.path())).unwrap();
    assert_eq!(all(&store.reader().engine), it.rows);
    store.close();
    is_tidy(killed.path());
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy_folder(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
