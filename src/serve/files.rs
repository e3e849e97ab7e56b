//! How many files the process may have open, and how many of them are for connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Limits;

/// How many files are kept for the store, the commands and the pushes where connections would take them all: a quarter of
/// those that there may be, and in any case these.
const FILES_KEPT: u64 = 256;
const MOST_FILES_KEPT: u64 = 4096;

/// How many files the process may have open: as many as the system lets it, whatever it was started with.
pub(super) fn open_files() -> u64 {
    let granted = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: granted.maximum,
        ..granted
    };
    let files = match setrlimit(Resource::Nofile, most) {
        Ok(()) => granted.maximum,
        Err(error) => {
            tracing::debug!(%error, "the limit of open files stays as it is");
            granted.current
        }
    };
    files.unwrap_or(u64::MAX)
}

/// The limits, with no more connections than there are files for, beside those of the store and of pushes.
pub(super) fn seated(limits: Limits, files: u64) -> Limits {
    let kept = (files / 4)
        .clamp(FILES_KEPT, MOST_FILES_KEPT)
        .min(files / 2);
    // A tenth more are taken, to be told that there are too many; of as many silent ones there is a second handle.
    let room = usize::try_from((files - kept) / 12 * 10).unwrap_or(usize::MAX);
    if limits.connections > room {
        tracing::warn!(
            asked = limits.connections,
            granted = room,
            files,
            "server.limits.connections is more than the limit of open files allows; raise that (LimitNOFILE, ulimit -n)"
        );
    }
    Limits {
        connections: limits.connections.min(room),
        ..limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_to_the_store_and_the_pushes() {
        let granted = |asked: usize, files: u64| {
            let limits = Limits {
                connections: asked,
                ..Limits::default()
            };
            seated(limits, files).connections
        };
        assert_eq!(granted(10_000, u64::MAX), 10_000);
        assert_eq!(granted(10_000, 20_000), 10_000);
        assert_eq!(granted(10_000, 1024), 640);
        assert_eq!(granted(10_000, 64), 20);
        assert_eq!(granted(10, 1024), 10);
    }
}
