//! What can go wrong in the doubles themselves. A refused push is not an error: it is an answer.

use std::io;
use std::path::PathBuf;

/// Why the doubles could not start, or why an order given to them could not be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of the doubles' folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the doubles' folder is there but is not what the doubles wrote.
    #[error("{} is damaged ({what}); remove it and a new one is made", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Other doubles run in this folder.
    #[error("other doubles run in {}; stop them or choose another folder", .0.display())]
    InUse(PathBuf),
    /// A port cannot be opened.
    #[error("cannot listen on 127.0.0.1:{port}: {source}")]
    Listen {
        /// The port asked for; 0 is any.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// A key or certificate could not be made.
    #[error("cannot make {what}: {why}")]
    Key {
        /// Which key or certificate.
        what: &'static str,
        /// What the library said.
        why: String,
    },
    /// A Web Push device was asked for with a key that is none.
    #[error(
        "vapidPublicKey must be 65 bytes of an uncompressed P-256 point in base64url without padding"
    )]
    VapidPublicKey,
    /// A client certificate was asked for without a topic.
    #[error("topics is empty; name what the certificate is for, the base topic first")]
    Topics,
    /// There is no such device, or it was removed.
    #[error("there is no device {0}")]
    NoSuchDevice(String),
    /// A name that is too long for a list.
    #[error("name is {0} characters; the limit is 100")]
    NameTooLong(usize),
}

impl Error {
    /// Ties a failure of the file system to its file.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    /// Says that a file of ours is not what we wrote.
    pub(crate) fn damaged(path: impl Into<PathBuf>, what: impl ToString) -> Self {
        Self::Damaged {
            path: path.into(),
            what: what.to_string(),
        }
    }

    /// Ties a failure to make a key to what it was for.
    pub(crate) fn key<E: ToString>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |why| Self::Key {
            what,
            why: why.to_string(),
        }
    }
}
