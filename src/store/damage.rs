//! What is said of files that cannot be read: which they are, and what to do.

use std::{fs, path::Path};

use super::Error;

/// What the engine's `conf` holds before its sum of 4 bytes: settings of the engine's that we leave as they are.
const CONF: &[u8] = b"segment_size: 524288\nuse_compression: false\nversion: 0.34\n";
const CONF_SUM: usize = 4;

const RESTORE: &str = "put back the last backup with `beckon store restore FILE --force`, which keeps this folder's files aside";

/// Of a `conf` or a `snap.*` file that is damaged the engine says no more than of a damaged `db`. It can do without either.
/// But to open without a snapshot may change a `db` that is damaged itself, so that is for a copy to try; a `conf` is read
/// before all else, and the same in every store.
pub(super) fn damaged(folder: &Path) -> Error {
    let folder_name = folder.display();
    Error::Corrupt(if has_damaged_conf(folder) {
        format!(
            "the file `conf` in {folder_name} is damaged, which the store can do without: it holds nothing of yours and is the same in every store. Move it out of {folder_name} and start again: it is made anew"
        )
    } else if has_snapshots(folder) {
        format!(
            "the file `db` in {folder_name} is damaged and cannot be read, or a `snap.*` file beside it, which the store can do without: copy the folder, move the `snap.*` files out of the copy, and let `beckon store verify --data COPY` say whether the store is sound without them; if it is, move them out of {folder_name}, too. If not, {RESTORE}"
        )
    } else {
        format!("the file `db` in {folder_name} is damaged and cannot be read; {RESTORE}")
    })
}

/// A part of `db` cannot be read; `said` is what the engine says.
pub(super) fn unreadable(folder: &Path, said: &str) -> Error {
    Error::Unreadable(format!(
        "a part of the file `db` in {} cannot be read ({said}); stop the hub and {RESTORE}",
        folder.display()
    ))
}

/// The engine goes on without a `conf`, and with one that is too short to be one.
fn has_damaged_conf(folder: &Path) -> bool {
    let is_sound = |conf: &[u8]| {
        let sum = conf.strip_prefix(CONF);
        conf.len() <= 8 || sum.is_some_and(|sum| sum.len() == CONF_SUM)
    };
    fs::read(folder.join("conf")).is_ok_and(|conf| !is_sound(&conf))
}

fn has_snapshots(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| {
        entries.any(|entry| {
            entry.is_ok_and(|entry| entry.file_name().as_encoded_bytes().starts_with(b"snap."))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, tests};

    #[tokio::test]
    async fn a_damaged_conf_is_named_and_the_store_is_whole_without_it() {
        let folder = tempfile::tempdir().unwrap();
        let user = tests::subject("ada");
        let store = Store::open(&tests::options(folder.path())).unwrap();
        let (unit, posted) = tests::post(&user, 1, String::from("r"));
        store.commit(unit).await.unwrap();
        store.close();
        drop(store);
        let path = folder.path().join("conf");
        let sound = fs::read(&path).unwrap();
        assert!(!has_damaged_conf(folder.path()), "as the engine wrote it");

        let mut damages: Vec<Vec<u8>> = (0..CONF.len()).map(|at| sound[..at].to_vec()).collect();
        damages.extend((0..sound.len()).map(|at| {
            let mut flipped = sound.clone();
            flipped[at] ^= 0x10;
            flipped
        }));
        damages.push([&sound[..], b"more"].concat());
        damages.push(vec![0; sound.len()]);
        let mut named = 0;
        for damage in damages {
            let shown = String::from_utf8_lossy(&damage).into_owned();
            fs::write(&path, damage).unwrap();
            let opened = Store::open(&tests::options(folder.path())).or_else(|refused| {
                let said = refused.to_string();
                assert!(said.contains("the file `conf` in "), "{shown:?}: {said}");
                assert!(said.contains("Move it out"), "{shown:?}: {said}");
                named += 1;
                fs::remove_file(&path).unwrap();
                Store::open(&tests::options(folder.path()))
            });
            let store = opened.unwrap();
            let found = store.reader().notification(&user, posted.number).unwrap();
            assert_eq!(found.as_ref(), Some(&posted), "{shown:?}");
            store.close();
        }
        assert!(named > CONF.len(), "{named}");
    }
}
