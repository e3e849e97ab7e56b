//! What a store and its committer share, put together when it is opened.

use std::{
    sync::{Arc, Mutex, Weak, atomic::Ordering},
    thread::JoinHandle,
};

use super::{
    Bells, Error, Options, Reader, Store,
    commit::{Committer, Progress, State},
    engine::Engine,
    guard::HeadFile,
    identity::{self, Identity},
    renewal::Renewal,
    space::Space,
    stamps::Stamps,
    tidying::Tidying,
};

/// A store that has no committer yet.
pub(super) struct Parts {
    reader: Reader,
    progress: Arc<Progress>,
    bells: Arc<Bells>,
    stamps: Arc<Stamps>,
    identity: Identity,
}

/// Reads what the store is known by; gives the committer's state, and the rest.
pub(super) fn begin(
    engine: Arc<Engine>,
    mut on_disk: Option<(HeadFile, &Options)>,
    space: Space,
) -> Result<(State, Parts), Error> {
    let options = on_disk.as_ref().map(|(_, options)| (*options).clone());
    let (head, secret) = identity::begin(&engine, on_disk.as_mut())?;
    let reader = Reader::over(engine);
    let parts = Parts {
        reader,
        progress: Arc::default(),
        bells: Arc::default(),
        stamps: Arc::default(),
        identity: Identity {
            epoch: head.epoch,
            secret,
        },
    };
    parts
        .progress
        .commits
        .store(head.commits, Ordering::Relaxed);
    let state = State {
        reader: parts.reader.clone(),
        progress: Arc::clone(&parts.progress),
        bells: Arc::clone(&parts.bells),
        stamps: Arc::clone(&parts.stamps),
        space,
        head_file: on_disk.map(|(file, _)| file),
        head,
        tidying: Tidying::of(parts.reader.engine.size_bytes()),
        renewal: Renewal::of(options),
        log: Weak::new(),
    };
    Ok((state, parts))
}

impl Parts {
    /// The store, with its committer and the thread that it runs on.
    pub(super) fn into_store(self, committer: Committer, thread: Option<JoinHandle<()>>) -> Store {
        Store {
            reader: self.reader,
            committer,
            progress: self.progress,
            bells: self.bells,
            stamps: self.stamps,
            thread: Arc::new(Mutex::new(thread)),
            identity: Arc::new(self.identity),
            patience: Arc::default(),
            backing_up: Arc::default(),
        }
    }
}
