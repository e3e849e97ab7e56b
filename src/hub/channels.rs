//! Changes to who has which channel. Users take channels from each other, so each channel has a lock of its own beside the
//! users'.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tokio::sync::OwnedMutexGuard;

use super::{Error, Hub, changes::Changes};
use crate::{
    config::apps::App,
    model::{AppHost, Channel, Endpoint, EndpointId, Owner, Subject},
    store::{Reader, Row, Unit},
};

/// How many people may share one channel.
pub(super) const SHARERS: usize = 5;

/// A channel of an app: SHA-256 of what makes it this one.
pub(super) type ChannelKey = (AppHost, [u8; 32]);
/// The same within one app, in base64url: tells channels apart where none may be named.
pub(super) type ChannelHash = String;

impl Hub {
    /// Plans and commits a change of a user by which their endpoints may get or lose channels: `asked`, and any that they
    /// have.
    pub(super) async fn change_channels<T: Send + 'static>(
        &self,
        subject: Subject,
        asked: Option<&Channel>,
        plan: impl FnOnce(&Reader, Changes) -> Result<(Unit, T), Error> + Send + 'static,
    ) -> Result<T, Error> {
        let mut locks = vec![self.locks.lock(&subject).await];
        locks.extend(self.lock_channels_of(&subject, asked).await?);
        self.change_holding(subject, locks, plan).await
    }

    /// The locks of the channels that a user's endpoints registered, and of `asked`; under the user's own.
    pub(super) async fn lock_channels_of(
        &self,
        subject: &Subject,
        asked: Option<&Channel>,
    ) -> Result<Vec<OwnedMutexGuard<()>>, Error> {
        let of = subject.clone();
        let mut channels = self
            .store
            .ask(move |reader| registered(reader, &of))
            .await?;
        channels.extend(asked.cloned());
        Ok(self.lock_channels(&subject.app, &channels).await)
    }

    /// Always in the same order, and after the user's own lock, so that nobody waits for each other.
    async fn lock_channels(&self, app: &AppHost, channels: &[Channel]) -> Vec<OwnedMutexGuard<()>> {
        let identities = channels.iter().filter_map(Channel::identity);
        let mut keys: Vec<[u8; 32]> = identities.map(|it| sha256(&it)).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut locks = Vec::new();
        for key in keys {
            locks.push(self.channels.lock(&(app.clone(), key)).await);
        }
        locks
    }
}

/// The channels that a user's endpoints registered, whosever they are by now.
fn registered(reader: &Reader, subject: &Subject) -> Result<Vec<Channel>, Error> {
    let mut channels = Vec::new();
    for endpoint in reader.endpoints(subject)? {
        let registered = reader.registered_endpoint(subject, &endpoint.id)?;
        channels.extend(registered.map(|it| it.channel));
    }
    Ok(channels)
}

fn sha256(identity: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, identity).as_ref());
    hash
}

/// What tells a channel of this identity from others.
pub(super) fn hash(identity: &[u8]) -> ChannelHash {
    URL_SAFE_NO_PAD.encode(sha256(identity))
}

/// The channel, bound to a key where it is a subscription that names none: the one that it was registered with first, by
/// whomever.
pub(super) fn bound(
    reader: &Reader,
    app: &AppHost,
    mut asked: Channel,
    present: Option<Vec<u8>>,
) -> Result<Channel, Error> {
    let Some(identity) = asked.identity() else {
        return Ok(asked);
    };
    let mut key = present;
    for owner in reader.owners(app, &identity)? {
        let known = reader.registered_endpoint(&owner.subject, &owner.endpoint)?;
        if let Some(Channel::WebPush {
            vapid_public_key, ..
        }) = known.map(|known| known.channel)
        {
            key = vapid_public_key;
        }
    }
    if let Channel::WebPush {
        vapid_public_key: named @ None,
        ..
    } = &mut asked
    {
        *named = key;
    }
    Ok(asked)
}

/// Whether two channels lead to the same place in the same way, be it that one names what the other leaves to the app's
/// settings, or lasts longer.
pub(super) fn is_same(app: Option<&App>, one: &Channel, other: &Channel) -> bool {
    let way = |channel: &Channel| {
        let mut channel = channel.clone();
        match (&mut channel, app.and_then(|app| app.apns.as_ref())) {
            (
                Channel::Apns {
                    topic, environment, ..
                },
                Some(apns),
            ) => {
                topic.get_or_insert_with(|| apns.topic.clone());
                environment.get_or_insert(apns.environment);
            }
            (Channel::WebPush { expires, .. }, _) => *expires = None,
            _ => {}
        }
        channel
    };
    way(one) == way(other)
}

/// Makes the endpoint the owner of its channel: the only one, unless all concerned share it. Those who share are several
/// people: two endpoints of one person would be one device that is tapped twice.
pub(super) fn claim(
    reader: &Reader,
    changes: &mut Changes,
    endpoint: &Endpoint,
) -> Result<(), Error> {
    let Some(identity) = endpoint.channel.identity() else {
        return Ok(());
    };
    let subject = changes.user().subject.clone();
    let mut owners = others(reader, changes, &identity, &endpoint.id)?;
    owners.retain(|owner| endpoint.shared && owner.shared && owner.subject != subject);
    if owners.len() >= SHARERS {
        return Err(too_many_share());
    }
    owners.push(Owner {
        subject,
        endpoint: endpoint.id.clone(),
        generation: endpoint.generation,
        shared: endpoint.shared,
    });
    changes.also(Row::Owners(identity, owners));
    Ok(())
}

pub(super) fn too_many_share() -> Error {
    Error::Limit {
        name: "a shared channel",
        max: SHARERS,
        advice: "sign one of the people on this installation out first",
    }
}

/// Gives up the channel of an endpoint, where it still is its own.
pub(super) fn let_go(
    reader: &Reader,
    changes: &mut Changes,
    endpoint: &Endpoint,
) -> Result<(), Error> {
    let Some(identity) = endpoint.channel.identity() else {
        return Ok(());
    };
    let owners = others(reader, changes, &identity, &endpoint.id)?;
    changes.also(Row::Owners(identity, owners));
    Ok(())
}

fn others(
    reader: &Reader,
    changes: &Changes,
    identity: &[u8],
    id: &EndpointId,
) -> Result<Vec<Owner>, Error> {
    let subject = &changes.user().subject;
    // Several endpoints of one person may have had the same channel.
    let mut owners = match changes.owners(identity) {
        Some(owners) => owners.to_vec(),
        None => reader.owners(&subject.app, identity)?,
    };
    owners.retain(|owner| owner.endpoint != *id || owner.subject != *subject);
    Ok(owners)
}
