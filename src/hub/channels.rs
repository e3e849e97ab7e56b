//! Changes to who has which channel. Users take channels from each other, so each channel has a lock of its own beside the
//! users'.

use aws_lc_rs::digest::{SHA256, digest};
use tokio::sync::OwnedMutexGuard;

use super::{Error, Hub, changes::Changes};
use crate::{
    model::{AppHost, Channel, Subject},
    store::{Reader, Unit},
};

/// A channel of an app: SHA-256 of what makes it this one.
pub(super) type ChannelKey = (AppHost, [u8; 32]);

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
        let of = subject.clone();
        let mut channels = self
            .store
            .ask(move |reader| registered(reader, &of))
            .await?;
        channels.extend(asked.cloned());
        locks.extend(self.lock_channels(&subject.app, &channels).await);
        self.change_holding(subject, locks, plan).await
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
