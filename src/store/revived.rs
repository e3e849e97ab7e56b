//! What a restored backup brings back that had ended since it was taken.

use std::ops::ControlFlow;

use super::{
    Error, Reader,
    engine::Order,
    keys::{self, UserKey},
    records::Record,
};
use crate::model::{
    AppHost, BroadcastId, BroadcastStatus, Endpoint, EndpointId, Subject, Timestamp, User,
    UserToken,
};

/// What had ended since the backup and is good again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Revived {
    /// Ids of keys that were revoked since.
    pub keys: Vec<String>,
    /// Ids of keys that were made since, and so are not known any more.
    pub keys_lost: Vec<String>,
    /// How many user tokens.
    pub tokens: usize,
    /// Users that were erased since.
    pub users: Vec<Subject>,
    /// Devices that signed out since, or made room for others: they are tapped again.
    pub endpoints: Vec<(Subject, EndpointId)>,
    /// Broadcasts that were cancelled since: they run on.
    pub broadcasts: Vec<(AppHost, BroadcastId)>,
}

impl Revived {
    /// What is good in the restored store and was not any more in the old one.
    pub(super) fn of(restored: &Reader, old: &Reader, now: Timestamp) -> Result<Self, Error> {
        let mut it = Self::default();
        for key in restored.app_keys()? {
            let known = old.app_key(&key.id)?;
            if key.revoked.is_none() && known.is_none_or(|known| known.revoked.is_some()) {
                it.keys.push(key.id);
            }
        }
        for key in old.app_keys()? {
            if key.revoked.is_none() && restored.app_key(&key.id)?.is_none() {
                it.keys_lost.push(key.id);
            }
        }
        restored.each(&keys::tokens(), |_, token: UserToken| {
            if token.expires > now && old.token(&token.hash)?.is_none() {
                it.tokens += 1;
            }
            Ok(())
        })?;
        restored.each(b"u", |_, user: User| {
            if old.known_user(&user.subject)?.is_none() {
                it.users.push(user.subject);
            }
            Ok(())
        })?;
        it.endpoints = endpoints(restored, old, now)?;
        it.broadcasts = broadcasts(restored, old)?;
        Ok(it)
    }
}

/// Of somebody who was erased since, all are back.
fn endpoints(
    restored: &Reader,
    old: &Reader,
    now: Timestamp,
) -> Result<Vec<(Subject, EndpointId)>, Error> {
    let mut found = Vec::new();
    restored.each(b"e", |key, endpoint: Endpoint| {
        let is_back = endpoint.expires > now && old.engine.get(key)?.is_none();
        let user: UserKey = keys::user_at(key, 1)?;
        if let Some(subject) = restored.subject_of(&user)?.filter(|_| is_back) {
            found.push((subject, endpoint.id));
        }
        Ok(())
    })?;
    Ok(found)
}

fn broadcasts(restored: &Reader, old: &Reader) -> Result<Vec<(AppHost, BroadcastId)>, Error> {
    let unfinished = restored.collect(&keys::all_unfinished(), |key, _| {
        Ok(keys::unfinished_parts(key)?.1)
    })?;
    let mut found = Vec::new();
    for id in unfinished {
        let was = old.broadcast(id)?;
        if was.is_some_and(|it| it.status == BroadcastStatus::Cancelled)
            && let Some(it) = restored.broadcast(id)?
        {
            found.push((it.app, id));
        }
    }
    Ok(found)
}

impl Reader {
    fn each<T: Record>(
        &self,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.scan_prefix(prefix, Order::Ascending, &mut |key, value| {
            visit(key, T::decode(value)?)?;
            Ok(ControlFlow::Continue(()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Broadcast, ListPlace},
        store::{AppRow, Batch, Store, tests},
    };

    async fn with(status: BroadcastStatus) -> Store {
        let store = Store::in_memory().unwrap();
        let (_, posted) = tests::post(&tests::subject("ada"), 1, "r".into());
        let job = Broadcast {
            id: BroadcastId::from_bytes([1; 16]),
            app: tests::subject("ada").app,
            draft: posted.draft.clone(),
            status,
            accepted: 1,
            done: 0,
            failed: 0,
            rows: 1,
            next: ListPlace::default(),
            created: posted.created,
            completed: None,
            expires: posted.expires,
        };
        let batch = Batch {
            rows: vec![
                AppRow::Content(job.id, Box::new(posted.draft)),
                AppRow::Broadcast(Box::new(job)),
            ],
            ..Batch::default()
        };
        store.commit_batch(batch, Vec::new()).await.unwrap();
        store
    }

    #[tokio::test]
    async fn a_broadcast_that_was_cancelled_since_is_named_and_one_that_was_not_is_none() {
        use BroadcastStatus::{Cancelled, Completed, Running};
        for (then, since, named) in [
            (Running, Cancelled, 1),
            (Running, Completed, 0),
            (Running, Running, 0),
            (Cancelled, Cancelled, 0),
        ] {
            let (restored, old) = (with(then).await, with(since).await);
            let now = Timestamp::default();
            let found = Revived::of(restored.reader(), old.reader(), now).unwrap();
            assert_eq!(found.broadcasts.len(), named, "{then:?} {since:?}");
        }
    }
}
