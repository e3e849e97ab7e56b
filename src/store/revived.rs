//! What a restored backup brings back that had ended since it was taken.

use std::ops::ControlFlow;

use super::{
    Error, Reader,
    engine::Order,
    keys::{self, UserKey},
    records::{self, Record},
};
use crate::model::{
    AppHost, BroadcastId, BroadcastStatus, Channel, Endpoint, EndpointId, NotificationId, Owner,
    Subject, Timestamp, User, UserToken,
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
    /// Users whom the old store does not know, or who were erased in it since and are there again.
    pub users: Vec<Subject>,
    /// Devices that are tapped again: they signed out since or made room for others, or their channel died, was let go
    /// or went to another device, perhaps another person's.
    pub endpoints: Vec<(Subject, EndpointId)>,
    /// How many notifications that were deleted or retracted since, or gave way to newer ones.
    pub notifications: usize,
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
            let erased_since = old.erasure(&user.subject)? != restored.erasure(&user.subject)?;
            if erased_since || old.known_user(&user.subject)?.is_none() {
                it.users.push(user.subject);
            }
            Ok(())
        })?;
        it.endpoints = endpoints(restored, old, now)?;
        it.notifications = notifications(restored, old, now)?;
        it.broadcasts = broadcasts(restored, old)?;
        Ok(it)
    }
}

/// Of somebody whom the old store does not know, all are back.
fn endpoints(
    restored: &Reader,
    old: &Reader,
    now: Timestamp,
) -> Result<Vec<(Subject, EndpointId)>, Error> {
    let mut found = Vec::new();
    restored.each(b"e", |key, endpoint: Endpoint| {
        let user: UserKey = keys::user_at(key, 1)?;
        let subject = restored.subject_of(&user)?;
        if let Some(subject) = subject.filter(|_| endpoint.expires > now)
            && is_back(restored, old, (&subject, &endpoint.id), now)?
        {
            found.push((subject, endpoint.id));
        }
        Ok(())
    })?;
    Ok(found)
}

/// Whether an endpoint of the restored store had ended in the old one, or has a channel that was not its own any more.
fn is_back(
    restored: &Reader,
    old: &Reader,
    (subject, id): (&Subject, &EndpointId),
    now: Timestamp,
) -> Result<bool, Error> {
    let Some(was) = old.endpoint(subject, id)?.filter(|was| was.expires > now) else {
        return Ok(true);
    };
    let is = restored.endpoint(subject, id)?;
    let Some(identity) = is.and_then(|is| is.channel.identity()) else {
        return Ok(false);
    };
    if was.channel == Channel::None {
        return Ok(true);
    }
    // It may have another channel by now, while this one reaches somebody else.
    let owners = old.owners(&subject.app, &identity)?;
    let own = |owner: &Owner| owner.subject == *subject && owner.endpoint == *id;
    Ok(!owners.is_empty() && !owners.iter().any(own))
}

/// Of one that the old store does not know, the removal is forgotten already.
fn notifications(restored: &Reader, old: &Reader, now: Timestamp) -> Result<usize, Error> {
    let mut found = 0;
    restored.scan_prefix(b"n", Order::Ascending, &mut |key, value| {
        let it = records::decode_row(value)?.standing();
        if !it.removed && it.expires > now {
            let user = keys::user_at(key, 1)?;
            found += usize::from(was_removed(old, &user, it.id)?);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

fn was_removed(old: &Reader, user: &UserKey, id: NotificationId) -> Result<bool, Error> {
    let Some(number) = old.number_at(user, id)? else {
        return Ok(true);
    };
    let row = old.engine.get(&keys::notification(user, number))?;
    let row = row.as_deref().map(records::decode_row).transpose()?;
    Ok(row.is_none_or(|row| row.standing().removed))
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
        model::{
            Broadcast, DeviceToken, FeedPosition, ListPlace, Platform, SubscriptionId, TapId,
            TapState,
        },
        store::{AppRow, Batch, Row, Store, Unit, tests},
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
    fn taken() -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000)
    }

    fn channel(token: &str) -> Channel {
        Channel::Apns {
            device_token: DeviceToken::parse(token).unwrap(),
            topic: None,
            environment: None,
        }
    }

    /// Adds what a person's phone leaves in a store: its registration, who owns its channel, and whether that died.
    async fn register(store: &Store, user: &str, (channel, died): (Channel, bool)) {
        let (subject, id) = (tests::subject(user), EndpointId::parse("phone").unwrap());
        let owner = Owner {
            subject: subject.clone(),
            endpoint: id.clone(),
            generation: 1,
            shared: false,
        };
        let mut unit = Unit::of(subject.clone());
        if let Some(identity) = channel.identity() {
            unit.push(Row::Owners(identity, vec![owner]));
        }
        let state = TapState {
            generation: 1,
            gone: died.then(taken),
            ..TapState::default()
        };
        unit.push(Row::TapState(id.clone(), Box::new(state)));
        unit.push(Row::Endpoint(Box::new(Endpoint {
            id,
            platform: Platform::Ios,
            channel,
            generation: 1,
            tap_id: TapId::from_bytes([1; 16]),
            subscription: SubscriptionId::from_bytes([2; 16]),
            display_name: None,
            locale: None,
            state_sync: false,
            shared: false,
            created: taken(),
            registered: taken(),
            last_seen: taken(),
            expires: taken().plus(std::time::Duration::from_secs(60)),
            asked_expires: None,
            told_until: None,
            gone: None,
            registered_at: FeedPosition(1),
        })));
        unit.push(Row::User(User::new(subject)));
        store.commit(unit).await.unwrap();
    }

    #[tokio::test]
    async fn a_device_whose_channel_died_or_changed_hands_since_is_named() {
        let alive = |token| (channel(token), false);
        let dead = |token| (channel(token), true);
        let none = (Channel::None, false);
        for (then, since, bobs, named) in [
            (alive("0a"), alive("0a"), None, 0),
            (alive("0a"), alive("0b"), None, 0),
            (alive("0a"), dead("0a"), None, 1),
            (alive("0a"), none.clone(), None, 1),
            (alive("0a"), alive("0a"), Some("0a"), 1),
            (alive("0a"), alive("0b"), Some("0a"), 1),
            (dead("0a"), dead("0a"), None, 0),
            (dead("0a"), alive("0b"), Some("0a"), 0),
            (none.clone(), none, None, 0),
        ] {
            let stores = [(); 2].map(|()| Store::in_memory().unwrap());
            let [restored, old] = &stores;
            register(restored, "ada", then.clone()).await;
            register(old, "ada", since.clone()).await;
            if let Some(token) = bobs {
                register(old, "bob", alive(token)).await;
            }
            let found = Revived::of(restored.reader(), old.reader(), taken()).unwrap();
            let phone = EndpointId::parse("phone").unwrap();
            let expected = vec![(tests::subject("ada"), phone); named];
            assert_eq!(found.endpoints, expected, "{then:?} {since:?} {bobs:?}");
            let later = taken().plus(std::time::Duration::from_secs(60));
            let found = Revived::of(restored.reader(), old.reader(), later).unwrap();
            assert_eq!(found.endpoints, [], "it is over by now");
        }
    }
}
