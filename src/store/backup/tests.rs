use std::ops::Bound;

use proptest::prelude::*;

use super::{
    format::{Encoder, VERSION},
    *,
};
use crate::store::{
    Options, Restore, Store,
    engine::{Op, Order},
    keys, restore, tests,
};

fn header() -> Header {
    Header {
        format: 1,
        epoch: 7,
        commits: 8,
        taken: Timestamp::from_millis(1_800_000_000_000),
    }
}

/// All that a backup says, or what is wrong with it.
fn read(bytes: &[u8]) -> Result<(Header, Vec<Frame>), Fault> {
    let (header, mut decoder) = Decoder::begin(bytes)?;
    let mut frames = Vec::new();
    loop {
        let frame = decoder.next()?;
        let is_last = matches!(frame, Frame::End(..));
        frames.push(frame);
        if is_last {
            return Ok((header, frames));
        }
    }
}

/// A backup of these frames: of changes where the flag is set.
fn written(frames: &[(bool, Vec<Op>)]) -> Vec<u8> {
    let (mut encoder, mut bytes) = Encoder::begin(&header());
    for (changes, ops) in frames {
        bytes.extend(if *changes {
            encoder.changes(ops)
        } else {
            encoder.rows(ops)
        });
    }
    bytes.extend(encoder.end());
    bytes
}

fn some() -> Vec<(bool, Vec<Op>)> {
    let put = |key: u8| Op::Put(vec![key; 9], vec![key; 40]);
    vec![
        (false, vec![put(1), put(2)]),
        (true, vec![put(1), Op::Remove(vec![2; 9])]),
        (false, vec![put(3)]),
    ]
}

prop_compose! {
    fn ops()(rows in proptest::collection::vec(
        (any::<bool>(), proptest::collection::vec(any::<u8>(), 0..40), proptest::collection::vec(any::<u8>(), 0..200)), 0..20,
    )) -> Vec<Op> {
        let op = |(put, key, value)| if put { Op::Put(key, value) } else { Op::Remove(key) };
        rows.into_iter().map(op).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_back(frames in proptest::collection::vec((any::<bool>(), ops()), 0..6)) {
        let (found, mut read) = read(&written(&frames)).unwrap();
        prop_assert_eq!(found, header());
        let count = |changes| frames.iter().filter(|it| it.0 == changes).map(|it| it.1.len() as u64).sum();
        prop_assert_eq!(read.pop(), Some(Frame::End(count(false), count(true))));
        let wanted: Vec<Frame> = frames
            .into_iter()
            .map(|(changes, ops)| if changes { Frame::Changes(ops) } else { Frame::Rows(ops) })
            .collect();
        prop_assert_eq!(read, wanted);
    }

    #[test]
    fn what_is_no_backup_is_never_read_as_one(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), begins in any::<bool>()) {
        if begins {
            bytes.splice(0..0, written(&some())[..60].iter().copied());
        }
        prop_assert!(read(&bytes).is_err());
    }
}

prop_compose! {
    /// A store's rows in frames, in the order of their keys, with frames of changes between them.
    fn backups()(
        rows in proptest::collection::btree_map(proptest::collection::vec(any::<u8>(), 0..3), proptest::collection::vec(any::<u8>(), 0..9), 0..40),
        a_frame in 1usize..9,
        changes in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..3), proptest::collection::vec(any::<u8>(), 0..9)), 0..30),
    ) -> Vec<(bool, Vec<Op>)> {
        let rows: Vec<Op> = rows.into_iter().map(|(key, value)| Op::Put(key, value)).collect();
        let op = |(put, key, value)| if put { Op::Put(key, value) } else { Op::Remove(key) };
        let changes: Vec<Op> = changes.into_iter().map(op).collect();
        let mut changed = changes.chunks(7).map(|ops| (true, ops.to_vec()));
        let mut frames = Vec::new();
        for ops in rows.chunks(a_frame) {
            frames.push((false, ops.to_vec()));
            frames.extend(changed.next());
        }
        frames.extend(changed);
        frames
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_view_of_a_backup_has_the_rows_that_it_would_be_put_back_as(
        frames in backups(),
        ends in (proptest::collection::vec(any::<u8>(), 0..3), proptest::collection::vec(any::<u8>(), 0..3)),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("backup");
        std::fs::write(&file, written(&frames)).unwrap();
        let view = Engine::Backup(View::read(&file, &mut |_| {}).unwrap().1);
        let whole = Engine::memory();
        for changes in [false, true] {
            let ops = frames.iter().filter(|it| it.0 == changes).flat_map(|it| it.1.clone());
            whole.commit(ops.collect()).unwrap();
        }
        let (from, to) = ends;
        for bounds in [
            (Bound::Unbounded, Bound::Unbounded),
            (Bound::Included(from.clone()), Bound::Excluded(to.clone())),
            (Bound::Excluded(from.clone()), Bound::Included(to)),
        ] {
            for order in [Order::Ascending, Order::Descending] {
                let scanned = |engine: &Engine| {
                    let mut found = Vec::new();
                    let (from, to) = bounds.clone();
                    engine.scan(from, to, order, &mut |key, value| {
                        found.push((key.to_vec(), value.to_vec()));
                        Ok(std::ops::ControlFlow::Continue(()))
                    }).unwrap();
                    found
                };
                prop_assert_eq!(scanned(&view), scanned(&whole), "{:?}", bounds);
            }
        }
        prop_assert_eq!(view.get(&from).unwrap(), whole.get(&from).unwrap());
    }
}

#[tokio::test]
async fn a_backup_is_whole_only_where_its_rows_agree() {
    let store = Store::in_memory().unwrap();
    for number in 1..=40 {
        let raw = "r".repeat(number as usize * 200);
        let unit = tests::post(&tests::subject("ada"), number, raw).0;
        store.commit(unit).await.unwrap();
    }
    let engine = &store.reader().engine;
    let rows = engine.slice(Bound::Unbounded, (10_000, 1 << 24)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup");
    let examined = |rows: &[Op]| {
        let frames: Vec<_> = rows.chunks(9).map(|ops| (false, ops.to_vec())).collect();
        std::fs::write(&file, written(&frames)).unwrap();
        examine(&file, &mut |_| {})
    };
    let (contents, findings) = examined(&rows).unwrap();
    assert_eq!((contents.rows, findings), (rows.len() as u64, Vec::new()));
    // What is owed a tap does not say so in a row of its own.
    let is_missed = |nth: &usize| !matches!(rows[*nth].key()[0], b'M' | b'm');
    for nth in (0..rows.len()).filter(is_missed) {
        let mut fewer = rows.clone();
        let gone = fewer.remove(nth);
        let (_, findings) = examined(&fewer).unwrap();
        assert!(!findings.is_empty(), "without {gone:?}");
    }
    let nobodys: Vec<Op> = rows
        .iter()
        .filter(|op| *op.key() != keys::meta("secret"))
        .cloned()
        .collect();
    let refused = examined(&nobodys).unwrap_err().to_string();
    assert!(refused.contains("which store it is of"), "{refused}");
}

#[test]
fn every_cut_and_every_flipped_bit_is_noticed() {
    let whole = written(&some());
    assert!(read(&whole).is_ok());
    for cut in 0..whole.len() {
        let fault = read(&whole[..cut]).unwrap_err();
        let named = if cut < 14 {
            matches!(fault, Fault::Foreign)
        } else {
            matches!(fault, Fault::Cut)
        };
        assert!(named, "cut at {cut}: {fault}");
    }
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            assert!(read(&flipped).is_err(), "bit {bit} of byte {at}");
        }
    }
    let longer = [&whole[..], b"x"].concat();
    assert!(matches!(read(&longer), Err(Fault::Damaged(_))));
}

#[test]
fn frames_left_out_moved_repeated_or_of_another_backup_are_noticed() {
    let (mut encoder, head) = Encoder::begin(&header());
    let mut parts: Vec<Vec<u8>> = some().iter().map(|(_, ops)| encoder.rows(ops)).collect();
    parts.push(encoder.end());
    let (mut other, _) = Encoder::begin(&Header {
        epoch: 8,
        ..header()
    });
    let foreign = other.rows(&some()[0].1);
    let orders: [&[&Vec<u8>]; 5] = [
        &[&parts[0], &parts[2], &parts[3]],
        &[&parts[1], &parts[0], &parts[2], &parts[3]],
        &[&parts[0], &parts[1], &parts[1], &parts[2], &parts[3]],
        &[&foreign, &parts[1], &parts[2], &parts[3]],
        &[&parts[3]],
    ];
    for (nth, order) in orders.iter().enumerate() {
        let mut bytes = head.clone();
        for part in *order {
            bytes.extend_from_slice(part);
        }
        assert!(read(&bytes).is_err(), "order {nth}");
    }
}

#[test]
fn a_later_version_and_one_that_was_given_up_say_so() {
    let mut later = written(&some());
    later[14..18].copy_from_slice(&(VERSION + 1).to_be_bytes());
    assert!(matches!(read(&later), Err(Fault::TooNew(found)) if found == VERSION + 1));
    let (mut encoder, mut bytes) = Encoder::begin(&header());
    bytes.extend(encoder.given_up("no room"));
    assert!(matches!(read(&bytes), Err(Fault::GivenUp(why)) if why == "no room"));
}

/// What a slice is for: every row once, in order, however small the slices.
#[test]
fn slices_walk_every_row_once() {
    let engine = crate::store::engine::Engine::memory();
    let rows: Vec<Op> = (0..50u8)
        .map(|nth| Op::Put(vec![nth], vec![nth; usize::from(nth)]))
        .collect();
    engine.commit(rows.clone()).unwrap();
    for most in [(1, u64::MAX), (7, u64::MAX), (100, 1), (100, 60)] {
        let (mut found, mut from) = (Vec::new(), Bound::Unbounded);
        loop {
            let slice = engine.slice(from, most).unwrap();
            let Some(Op::Put(last, _)) = slice.last() else {
                break;
            };
            from = Bound::Excluded(last.clone());
            found.extend(slice);
        }
        assert_eq!(found, rows, "{most:?}");
    }
}

#[tokio::test]
async fn a_backup_from_before_ids_led_anywhere_by_themselves_is_restored() {
    let store = Store::in_memory().unwrap();
    let ada = tests::subject("ada");
    let (unit, it) = tests::post(&ada, 1, "a".into());
    store.commit(unit).await.unwrap();
    let engine = &store.reader().engine;
    let mut rows = engine.slice(Bound::Unbounded, (1000, 1 << 20)).unwrap();
    let made_since = keys::meta("ids");
    let is_known = |op: &Op| !matches!(op, Op::Put(key, _) if *key == made_since);
    rows.retain(is_known);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup");
    std::fs::write(&file, written(&[(false, rows)])).unwrap();
    let into = Options {
        folder: folder.path().join("store"),
        min_free_bytes: 0,
        cache_bytes: 8 << 20,
        accept_loss: false,
    };
    let asked = Restore {
        file,
        into: into.clone(),
        force: false,
        new_secrets: false,
        now: Timestamp::default(),
    };
    let restored = restore(&asked, &mut |_| {}).unwrap();
    assert_eq!(restored.findings, 0);
    let store = Store::open(&into).unwrap();
    let found = store.reader().number_of(&ada, it.id).unwrap();
    assert_eq!(found, Some(it.number));
    store.close();
}

#[tokio::test]
async fn a_backup_is_put_back_also_where_the_old_store_cannot_be_compared() {
    let folder = tempfile::tempdir().unwrap();
    let into = tests::options(folder.path());
    let store = Store::open(&into).unwrap();
    let ada = tests::subject("ada");
    let (unit, it) = tests::post(&ada, 1, "a".into());
    store.commit(unit).await.unwrap();
    let engine = &store.reader().engine;
    let rows = engine.slice(Bound::Unbounded, (1000, 1 << 20)).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("backup");
    std::fs::write(&file, written(&[(false, rows)])).unwrap();
    let damage = Op::Put(keys::user(&keys::user_key(&ada)), vec![255]);
    engine.commit(vec![damage]).unwrap();
    store.close();
    drop(store);
    let asked = Restore {
        file,
        into: into.clone(),
        force: true,
        new_secrets: false,
        now: Timestamp::default(),
    };
    let restored = restore(&asked, &mut |_| {}).unwrap();
    assert_eq!((restored.findings, restored.revived), (0, None));
    let store = Store::open(&into).unwrap();
    let found = store.reader().notification(&ada, it.number).unwrap();
    assert_eq!(found, Some(it));
    store.close();
}
