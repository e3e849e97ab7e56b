//! Backups: a copy of all rows in a file of ours, taken while the store is written to or while it rests.
//!
//! The rows are read in slices, one after another, while what is committed meanwhile is noted; both go into the copy.
//! So nothing waits for a backup, and it is the store as it was when the backup ended (see `format`).

mod changes;
mod copy;
mod format;
mod view;

use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
    sync::Arc,
};

pub(super) use changes::ChangeLog;
pub use copy::Backup;
pub(super) use format::{Decoder, Fault, Frame, Header};
use view::Place;
pub(super) use view::View;

use super::{
    Error, Finding, Reader,
    engine::Engine,
    identity::{self, FORMAT},
};
use crate::model::Timestamp;

/// What a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// When it was begun.
    pub taken: Timestamp,
    /// How many rows were copied.
    pub rows: u64,
    /// How many changes were made meanwhile.
    pub changes: u64,
    /// How many bytes it takes.
    pub bytes: u64,
}

/// Reads a backup from its first byte to its last and says what it holds; `progress` hears how many rows were read.
///
/// # Errors
/// `Backup` where it is none, cut off, damaged or of a later version, or its store is; `Io` where it cannot be opened.
pub fn check(file: &Path, progress: &mut dyn FnMut(u64)) -> Result<Contents, Error> {
    walk(file, progress, &mut |_, _| Ok(()))
}

/// The same; says, too, what disagrees or cannot be read in the store that it would be put back as.
///
/// # Errors
/// As [`check`]; `Corrupt` where it does not say which store it is of, so that it could not be put back.
pub fn examine(
    file: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<(Contents, Vec<Finding>), Error> {
    let (contents, view) = View::read(file, progress)?;
    let engine = Engine::Backup(view);
    identity::known(&engine)?;
    let findings = Reader::over(Arc::new(engine)).verify()?;
    Ok((contents, findings))
}

/// Hands out each frame of a backup, and where its body stands.
fn walk(
    file: &Path,
    progress: &mut dyn FnMut(u64),
    visit: &mut dyn FnMut(Frame, Place) -> Result<(), Fault>,
) -> Result<Contents, Error> {
    let bytes = open(file)?.metadata().map_or(0, |it| it.len());
    let faulty = |fault| broken(file, &fault);
    let (header, mut decoder) = decoder(file)?;
    let mut read = 0;
    loop {
        let frame = decoder.next().map_err(faulty)?;
        if let Frame::End(rows, changes) = frame {
            return Ok(Contents {
                taken: header.taken,
                rows,
                changes,
                bytes,
            });
        }
        if let Frame::Rows(rows) = &frame {
            read += rows.len() as u64;
            progress(read);
        }
        visit(frame, decoder.body()).map_err(faulty)?;
    }
}

pub(super) fn open(file: &Path) -> Result<File, Error> {
    File::open(file).map_err(Error::io(format!(
        "cannot open the backup {}",
        file.display()
    )))
}

pub(super) fn decoder(file: &Path) -> Result<(Header, Decoder<impl Read>), Error> {
    let faulty = |fault| broken(file, &fault);
    let (header, decoder) = Decoder::begin(BufReader::new(open(file)?)).map_err(faulty)?;
    if header.format > FORMAT {
        return Err(faulty(Fault::StoreTooNew {
            found: header.format,
            known: FORMAT,
        }));
    }
    Ok((header, decoder))
}

pub(super) fn broken(file: &Path, fault: &Fault) -> Error {
    Error::Backup {
        file: file.to_owned(),
        fault: fault.to_string(),
    }
}

#[cfg(test)]
mod tests;
