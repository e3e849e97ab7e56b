//! The form of a backup: a header, frames of rows and of changes, and an end that counts them.
//!
//! | part | bytes |
//! |---|---|
//! | header | `beckon backup\n`, version (4), the store's format (4), epoch (8), commits (8), when it was taken (8), sum (8) |
//! | frame | kind (1), length of the body (4), body, sum (8) |
//! | body of `r`, `c` | for each row: 1, length of the key (4), length of the value (4), key, value; or 2, length of the key (4), key: taken away |
//! | body of `e`, the last frame | rows (8), changes (8) |
//! | body of `!` | why the backup was given up; never in a finished one |
//!
//! Numbers are big-endian. Each sum is the beginning of a SHA-256 over all that stands before it but sums, so that a
//! frame that was changed, left out, moved or repeated is noticed. The rows are no snapshot: a store that is written to
//! has them read one after another. The changes are all that was committed meanwhile, in order, so that **first all
//! rows, then all changes** give the store as it was at one moment, the last commit among the changes.

use std::io::{self, Read};

use aws_lc_rs::digest::{Context, SHA256};

use super::{
    super::{engine::Op, keys},
    view::Place,
};
use crate::model::Timestamp;

const MAGIC: &[u8; 14] = b"beckon backup\n";
const HEADER_BYTES: usize = MAGIC.len() + 32;
const SUM_BYTES: usize = 8;
/// The form that this version writes.
pub(in crate::store) const VERSION: u32 = 1;
/// How long the body of a frame may be; longer is no frame of ours.
const MAX_BODY_BYTES: usize = 16 << 20;

/// What stands at the head of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Header {
    /// The layout of the rows.
    pub(in crate::store) format: u32,
    pub(in crate::store) epoch: u64,
    /// How many groups the store had committed when the backup began.
    pub(in crate::store) commits: u64,
    pub(in crate::store) taken: Timestamp,
}

/// What a frame holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) enum Frame {
    Rows(Vec<Op>),
    Changes(Vec<Op>),
    /// How many rows and changes came before.
    End(u64, u64),
}

/// What is wrong with a backup.
#[derive(Debug, thiserror::Error)]
pub(in crate::store) enum Fault {
    #[error("is no backup of beckon")]
    Foreign,
    #[error("is a backup of version {0}, this version knows {VERSION}; use a later beckon")]
    TooNew(u32),
    #[error("is of a store of format {found}, this version knows {known}; use a later beckon")]
    StoreTooNew { found: u32, known: u32 },
    #[error("is cut off")]
    Cut,
    #[error("is damaged {0} bytes from its start")]
    Damaged(u64),
    #[error("was not finished: {0}")]
    GivenUp(String),
    #[error("cannot be read: {0}")]
    Io(io::Error),
}

/// The running sum.
#[derive(Clone)]
struct Sum(Context);

impl Sum {
    fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// Takes the bytes in and says the sum of all so far.
    fn over(&mut self, bytes: &[u8]) -> [u8; SUM_BYTES] {
        self.0.update(bytes);
        let mut sum = [0; SUM_BYTES];
        sum.copy_from_slice(&self.0.clone().finish().as_ref()[..SUM_BYTES]);
        sum
    }
}

/// Writes the parts of a backup, one after another.
pub(in crate::store) struct Encoder {
    sum: Sum,
    rows: u64,
    changes: u64,
}

impl Encoder {
    /// Begins, and gives the header's bytes.
    pub(in crate::store) fn begin(header: &Header) -> (Self, Vec<u8>) {
        let mut it = Self {
            sum: Sum::new(),
            rows: 0,
            changes: 0,
        };
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend(header.format.to_be_bytes());
        bytes.extend(header.epoch.to_be_bytes());
        bytes.extend(header.commits.to_be_bytes());
        bytes.extend(header.taken.as_millis().to_be_bytes());
        let sum = it.sum.over(&bytes);
        bytes.extend(sum);
        (it, bytes)
    }

    pub(in crate::store) fn rows(&mut self, rows: &[Op]) -> Vec<u8> {
        self.rows += rows.len() as u64;
        self.frame(b'r', &body_of(rows))
    }

    pub(in crate::store) fn changes(&mut self, changes: &[Op]) -> Vec<u8> {
        self.changes += changes.len() as u64;
        self.frame(b'c', &body_of(changes))
    }

    pub(in crate::store) fn end(&mut self) -> Vec<u8> {
        let body = [self.rows.to_be_bytes(), self.changes.to_be_bytes()].concat();
        self.frame(b'e', &body)
    }

    pub(in crate::store) fn given_up(&mut self, why: &str) -> Vec<u8> {
        self.frame(b'!', why.as_bytes())
    }

    fn frame(&mut self, kind: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(5 + body.len() + SUM_BYTES);
        bytes.push(kind);
        bytes.extend(length(body));
        bytes.extend_from_slice(body);
        let sum = self.sum.over(&bytes);
        bytes.extend(sum);
        bytes
    }
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes()
}

fn body_of(ops: &[Op]) -> Vec<u8> {
    let mut body = Vec::new();
    for op in ops {
        match op {
            Op::Put(key, value) => {
                body.push(1);
                body.extend(length(key));
                body.extend(length(value));
                body.extend_from_slice(key);
                body.extend_from_slice(value);
            }
            Op::Remove(key) => {
                body.push(2);
                body.extend(length(key));
                body.extend_from_slice(key);
            }
        }
    }
    body
}

/// Reads the parts of a backup, one after another.
pub(in crate::store) struct Decoder<R> {
    source: R,
    sum: Sum,
    at: u64,
    body: Place,
    rows: u64,
    changes: u64,
}

impl<R: Read> Decoder<R> {
    /// Reads the header.
    pub(in crate::store) fn begin(source: R) -> Result<(Header, Self), Fault> {
        let mut it = Self {
            source,
            sum: Sum::new(),
            at: 0,
            body: Place { at: 0, bytes: 0 },
            rows: 0,
            changes: 0,
        };
        // Little by little, so that a file of something else is known as such however short it is.
        let magic = match it.take(MAGIC.len()) {
            Ok(magic) if magic == MAGIC => magic,
            Err(Fault::Io(error)) => return Err(Fault::Io(error)),
            _ => return Err(Fault::Foreign),
        };
        let version = it.take(4)?;
        let found = u32_at(&version, 0);
        if found > VERSION {
            return Err(Fault::TooNew(found));
        }
        let rest = it.take(HEADER_BYTES - MAGIC.len() - 4)?;
        it.check(&[&magic[..], &version, &rest].concat())?;
        let header = Header {
            format: u32_at(&rest, 0),
            epoch: u64_at(&rest, 4),
            commits: u64_at(&rest, 12),
            taken: Timestamp::from_millis(u64_at(&rest, 20)),
        };
        Ok((header, it))
    }

    /// The next frame. Nothing may stand after the end.
    pub(in crate::store) fn next(&mut self) -> Result<Frame, Fault> {
        let from = self.at;
        let head = self.take(5)?;
        let length = u32_at(&head, 1) as usize;
        if length > MAX_BODY_BYTES {
            return Err(Fault::Damaged(from));
        }
        self.body = Place {
            at: self.at,
            bytes: length,
        };
        let body = self.take(length)?;
        self.check(&[&head[..], &body].concat())?;
        let damaged = || Fault::Damaged(from);
        match head[0] {
            b'r' => {
                let rows = ops_of(&body).ok_or_else(damaged)?;
                self.rows += rows.len() as u64;
                Ok(Frame::Rows(rows))
            }
            b'c' => {
                let changes = ops_of(&body).ok_or_else(damaged)?;
                self.changes += changes.len() as u64;
                Ok(Frame::Changes(changes))
            }
            b'e' if body.len() == 16 => {
                let (rows, changes) = (u64_at(&body, 0), u64_at(&body, 8));
                if (rows, changes) == (self.rows, self.changes) && self.is_over()? {
                    Ok(Frame::End(rows, changes))
                } else {
                    Err(damaged())
                }
            }
            b'!' => Err(Fault::GivenUp(String::from_utf8_lossy(&body).into_owned())),
            _ => Err(damaged()),
        }
    }

    /// Where the body of the last frame stands.
    pub(super) fn body(&self) -> Place {
        self.body
    }

    fn take(&mut self, wanted: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        let read = (&mut self.source)
            .take(wanted as u64)
            .read_to_end(&mut bytes)
            .map_err(Fault::Io)?;
        self.at += read as u64;
        if read == wanted {
            Ok(bytes)
        } else {
            Err(Fault::Cut)
        }
    }

    fn check(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let from = self.at - bytes.len() as u64;
        let sum = self.sum.over(bytes);
        if self.take(SUM_BYTES)? == sum {
            Ok(())
        } else {
            Err(Fault::Damaged(from))
        }
    }

    fn is_over(&mut self) -> Result<bool, Fault> {
        let mut more = [0];
        match self.source.read(&mut more) {
            Ok(read) => Ok(read == 0),
            Err(error) => Err(Fault::Io(error)),
        }
    }
}

/// The rows of a body; none, where it is none of ours.
pub(super) fn ops_of(mut body: &[u8]) -> Option<Vec<Op>> {
    let mut ops = Vec::new();
    while let Some((tag, rest)) = body.split_first() {
        let (key_length, rest) = rest.split_at_checked(4)?;
        let key_length = u32_at(key_length, 0) as usize;
        match tag {
            1 => {
                let (value_length, rest) = rest.split_at_checked(4)?;
                let (key, rest) = rest.split_at_checked(key_length)?;
                let (value, rest) = rest.split_at_checked(u32_at(value_length, 0) as usize)?;
                ops.push(Op::Put(key.to_vec(), value.to_vec()));
                body = rest;
            }
            2 => {
                let (key, rest) = rest.split_at_checked(key_length)?;
                ops.push(Op::Remove(key.to_vec()));
                body = rest;
            }
            _ => return None,
        }
    }
    Some(ops)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let raw = bytes.get(at..at + 4).and_then(|raw| raw.try_into().ok());
    raw.map_or(0, u32::from_be_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    keys::u64_at(bytes, at).unwrap_or(0)
}
