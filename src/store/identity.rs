//! What a store is known by: its format, its epoch, its secret; read at the start, or made.

use super::{
    Error, Options,
    engine::{Engine, Op},
    guard::{self, Head, HeadFile},
    ids::Ids,
    keys,
};

/// The layout of keys and records that this version writes.
pub(super) const FORMAT: u32 = 2;

/// What a store is known by.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) epoch: u64,
    pub(super) secret: [u8; 32],
}

/// Reads what the store is known by, or makes it; checks it against the `head` file.
pub(super) fn begin(
    engine: &Engine,
    mut on_disk: Option<&mut (HeadFile, &Options)>,
) -> Result<(Head, [u8; 32]), Error> {
    let number = |name: &str| number(engine, name);
    let format = number("format")?;
    if let Some(found) = format.filter(|found| *found > u64::from(FORMAT)) {
        return Err(Error::TooNew {
            found: u32::try_from(found).unwrap_or(u32::MAX),
            known: FORMAT,
        });
    }
    let mut head = Head {
        epoch: number("epoch")?.unwrap_or(0),
        commits: number("commits")?.unwrap_or(0),
    };
    let noted = on_disk.as_deref().map(|(file, _)| file.read());
    let noted = noted.transpose()?.flatten();
    let missing = noted.map_or(0, |noted| noted.commits.saturating_sub(head.commits));
    // A store that was just made may have been killed before its head was written.
    let unguarded = on_disk.is_some() && noted.is_none() && head.commits > 1;
    if let Some((_, options)) = &on_disk
        && !options.accept_loss
    {
        let folder = options.folder.clone();
        match missing {
            0 if unguarded => return Err(Error::NoHead { folder }),
            0 => {}
            _ => return Err(Error::Lost { folder, missing }),
        }
    }
    upgrade(engine, format)?;
    let secret = engine
        .get(&keys::meta("secret"))?
        .and_then(|bytes| bytes.try_into().ok());
    let is_whole = missing == 0 && !unguarded;
    if let (Some(secret), Some(_), true) = (secret, format, is_whole) {
        begin_head(on_disk, noted, head)?;
        return Ok((head, secret));
    }
    if !is_whole {
        tracing::warn!(
            missing,
            "the store has lost its end, or may have: going on with what is there, and with a new epoch"
        );
    }
    head.epoch = epoch_after(head.epoch.max(noted.map_or(0, |noted| noted.epoch)));
    head.commits = head.commits.max(noted.map_or(0, |noted| noted.commits)) + 1;
    let secret = secret.unwrap_or_else(rand::random);
    engine.commit(rows(head, &secret))?;
    begin_head(on_disk.take(), noted, head)?;
    Ok((head, secret))
}

/// Writes what a store of an earlier format, or a new one, does not have. Of the rows themselves each says its version.
pub(super) fn upgrade(engine: &Engine, format: Option<u64>) -> Result<(), Error> {
    let mut rows = Vec::new();
    if engine.get(&keys::meta(Ids::NAME))?.is_none() {
        let secret: [u8; 32] = rand::random();
        rows.push(Op::Put(keys::meta(Ids::NAME), secret.to_vec()));
    }
    if format.is_some_and(|found| found < u64::from(FORMAT)) {
        rows.push(format_row());
    }
    if rows.is_empty() {
        return Ok(());
    }
    engine.commit(rows)
}

fn format_row() -> Op {
    Op::Put(
        keys::meta("format"),
        u64::from(FORMAT).to_be_bytes().to_vec(),
    )
}

/// Writes the `head` file where it says something else, or is not there; its name reaches the disk with it.
fn begin_head(
    on_disk: Option<&mut (HeadFile, &Options)>,
    noted: Option<Head>,
    head: Head,
) -> Result<(), Error> {
    let Some((file, options)) = on_disk else {
        return Ok(());
    };
    if noted != Some(head) {
        file.write(head)?;
        guard::sync_folder(&options.folder)?;
    }
    Ok(())
}

/// A number that the store keeps about itself.
pub(super) fn number(engine: &Engine, name: &str) -> Result<Option<u64>, Error> {
    engine
        .get(&keys::meta(name))?
        .map(|bytes| keys::u64_at(&bytes, 0))
        .transpose()
}

/// What a backup says of the store that it is of: epoch, commits, secret.
///
/// # Errors
/// `Corrupt` where it does not.
pub(super) fn known(engine: &Engine) -> Result<(u64, u64, [u8; 32]), Error> {
    let (Some(epoch), Some(commits), Some(secret)) = (
        number(engine, "epoch")?,
        number(engine, "commits")?,
        engine.get(&keys::meta("secret"))?,
    ) else {
        return Err(Error::Corrupt(String::from(
            "the backup does not say which store it is of",
        )));
    };
    let secret = secret.try_into().map_err(|_| keys::broken("the secret"))?;
    Ok((epoch, commits, secret))
}

/// An epoch that no other life of the store has had or will have: two that go on from the same copy each get their
/// own, so that a cursor of the one never means anything in the other.
pub(super) fn epoch_after(last: u64) -> u64 {
    last.saturating_add(1 + u64::from(rand::random::<u32>()))
}

/// The rows that say what a store is known by.
pub(super) fn rows(head: Head, secret: &[u8; 32]) -> Vec<Op> {
    let put = |name: &str, value: &[u8]| Op::Put(keys::meta(name), value.to_vec());
    vec![
        format_row(),
        put("epoch", &head.epoch.to_be_bytes()),
        put("commits", &head.commits.to_be_bytes()),
        put("secret", secret),
    ]
}

#[cfg(test)]
mod tests {
    use crate::store::Store;

    use super::*;

    #[test]
    fn a_folder_of_a_later_format_is_refused_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            folder: folder.path().to_owned(),
            min_free_bytes: 0,
            cache_bytes: 8 << 20,
            accept_loss: false,
        };
        let store = Store::open(&options).unwrap();
        let later = u64::from(FORMAT + 1).to_be_bytes().to_vec();
        let put = Op::Put(keys::meta("format"), later);
        store.reader().engine.commit(vec![put]).unwrap();
        store.close();
        drop(store);
        for _ in 0..2 {
            let error = Store::open(&options).unwrap_err();
            assert!(
                matches!(error, Error::TooNew { found, known } if (found, known) == (FORMAT + 1, FORMAT)),
                "{error}"
            );
            assert!(error.to_string().contains("use a later beckon"));
        }
    }
}
