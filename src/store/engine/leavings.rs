//! What sled leaves in the folder and stumbles over at its next start.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

use crate::store::Error;

/// The length of the pieces that sled's file consists of, and by which it grows.
pub(in crate::store) const PIECE_BYTES: u64 = 512 << 10;

/// Clears the folder of a store that nobody has open.
pub(super) fn clear(folder: &Path) -> Result<(), Error> {
    remove_half_written(folder)?;
    cut_empty_end(&folder.join("db"))
}

/// Removes what a start left that was cut short: sled writes a `snap.*` file then, under another name until it is whole, but
/// at the next start takes one of these for whole, too. It can do without.
fn remove_half_written(folder: &Path) -> Result<(), Error> {
    let cannot = || Error::io(format!("cannot look through {}", folder.display()));
    for entry in fs::read_dir(folder).map_err(cannot())? {
        let entry = entry.map_err(cannot())?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path()).map_err(cannot())?;
        }
    }
    Ok(())
}

/// Cuts off the pieces at the end that hold nothing but zeros. At each start sled writes zeros over all that is free, and
/// cuts the end off before it comes to the last piece, which it so makes the file as long again with: a hole that the next
/// start would fill, for which a disk that is nearly full has no room.
fn cut_empty_end(path: &Path) -> Result<(), Error> {
    let cut = || -> io::Result<()> {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        let length = file.metadata()?.len();
        let full = full_length(&file, length)?;
        if full < length {
            file.set_len(full)?;
        }
        Ok(())
    };
    cut().map_err(Error::io(format!(
        "cannot cut the empty end off {}",
        path.display()
    )))
}

/// Where the pieces end of which each that follows is empty.
fn full_length(file: &File, length: u64) -> io::Result<u64> {
    let mut piece = vec![0; PIECE_BYTES as usize];
    let mut end = length;
    while end > 0 {
        let start = (end - 1) / PIECE_BYTES * PIECE_BYTES;
        let read = &mut piece[..(end - start) as usize];
        file.read_exact_at(read, start)?;
        if read.iter().any(|&byte| byte != 0) {
            break;
        }
        end = start;
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(bytes: &[(u64, u8)], length: u64) -> u64 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let file = File::create(&path).unwrap();
        file.set_len(length).unwrap();
        for &(at, byte) in bytes {
            file.write_all_at(&[byte], at).unwrap();
        }
        clear(folder.path()).unwrap();
        fs::metadata(path).unwrap().len()
    }

    #[test]
    fn only_whole_pieces_of_zeros_at_the_end_are_cut_off() {
        let piece = PIECE_BYTES;
        assert_eq!(cut(&[], 0), 0);
        assert_eq!(cut(&[], 3 * piece), 0);
        assert_eq!(cut(&[(0, 1)], 3 * piece), piece);
        assert_eq!(cut(&[(piece - 1, 1)], 3 * piece + 7), piece);
        assert_eq!(cut(&[(piece, 1)], 30 * piece), 2 * piece);
        assert_eq!(cut(&[(3 * piece - 1, 1)], 3 * piece), 3 * piece);
        assert_eq!(cut(&[(piece, 1)], piece + 9), piece + 9);
        assert_eq!(cut(&[(0, 1)], piece + 9), piece);
    }

    #[test]
    fn a_folder_without_a_store_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        clear(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
