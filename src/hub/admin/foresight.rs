//! What becomes of a device of a file, judged by how it stands; and the same foreseen for a whole file.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::{
    super::{
        Registration,
        channels::{ChannelHash, SHARERS, hash, too_many_share},
    },
    AdminError, Device,
};
use crate::{
    hub::Error,
    model::{Subject, Timestamp},
    store::Reader,
};

/// How a device stands, or why it would be refused however it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Looked {
    /// How it stands in the store.
    Stands(Standing),
    /// What is wrong, and what to do; may be several lines.
    Refused(String),
}

/// What became of a device, or would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "became",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Became {
    /// It is new.
    Registered,
    /// It was known, and is as the file says now.
    Overwritten,
    /// It was known, and is as it was.
    Left {
        /// Who has its channel, where it is known by that alone.
        held_by: Option<Whose>,
    },
    /// It is not registered.
    Refused {
        /// What is wrong, and what to do; may be several lines.
        message: String,
    },
}

impl Became {
    pub(super) fn refused(why: impl Into<AdminError>) -> Self {
        Self::Refused {
            message: why.into().message,
        }
    }

    /// Whether it is now as the file says.
    pub(super) fn is_taken_in(&self) -> bool {
        matches!(self, Self::Registered | Self::Overwritten)
    }
}

/// An endpoint of some user.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Whose {
    /// The user.
    pub user: String,
    /// The endpoint's id.
    pub endpoint: String,
}

/// How a device stands in the store: all that its fate hangs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// Whether its endpoint is registered.
    known: bool,
    /// How many endpoints its user has.
    endpoints: usize,
    /// How many they may have.
    max: usize,
    /// The channel that it asks for.
    channel: Option<ChannelHash>,
    /// Whether it would share that.
    shared: bool,
    /// Who else has that channel.
    holders: Vec<Holder>,
    /// The channel that its endpoint registered before.
    had: Option<ChannelHash>,
}

/// An endpoint that has a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Holder {
    #[serde(flatten)]
    whose: Whose,
    shared: bool,
    /// It has not expired, and its push service has not called the channel dead.
    live: bool,
}

impl Standing {
    /// Asked under the locks of the user and the channel, this holds until they are let go of.
    pub(super) fn of(
        reader: &Reader,
        subject: &Subject,
        asked: &Registration,
        (now, max): (Timestamp, usize),
    ) -> Result<Self, Error> {
        let mut endpoints = reader.endpoints(subject)?;
        endpoints.retain(|endpoint| endpoint.expires > now);
        let identity = asked.channel.identity();
        let had = reader.registered_endpoint(subject, &asked.id)?;
        let owners = match &identity {
            Some(identity) => reader.owners(&subject.app, identity)?,
            None => Vec::new(),
        };
        let mut holders = Vec::new();
        for owner in owners {
            if owner.subject == *subject && owner.endpoint == asked.id {
                continue;
            }
            let endpoint = reader.endpoint(&owner.subject, &owner.endpoint)?;
            let live = endpoint.filter(|it| it.expires > now).map(|it| it.at(now));
            holders.push(Holder {
                whose: Whose {
                    user: owner.subject.user.as_str().to_owned(),
                    endpoint: owner.endpoint.as_str().to_owned(),
                },
                shared: owner.shared,
                live: live.is_some_and(|it| it.channel.identity() == identity),
            });
        }
        Ok(Self {
            known: endpoints.iter().any(|endpoint| endpoint.id == asked.id),
            endpoints: endpoints.len(),
            max,
            channel: identity.as_deref().map(hash),
            shared: asked.shared,
            holders,
            had: had
                .and_then(|it| it.channel.identity())
                .as_deref()
                .map(hash),
        })
    }

    /// What becomes of the device, which is this user's.
    pub(super) fn becomes(&self, user: &str, overwrite: bool) -> Became {
        let taken = || {
            self.holders
                .iter()
                .find(|it| it.live && !self.joins(user, it))
        };
        match (self.known, overwrite) {
            (true, false) => return Became::Left { held_by: None },
            (false, false) => {
                if let Some(holder) = taken() {
                    let held_by = Some(holder.whose.clone());
                    return Became::Left { held_by };
                }
            }
            (_, true) => {}
        }
        if !self.known && self.endpoints >= self.max {
            let message = format!(
                "the user has {} endpoints; server.limits.endpoints_per_user allows {}, and none gives way to a file",
                self.endpoints, self.max
            );
            return Became::Refused { message };
        }
        if self.sharers(user).count() >= SHARERS {
            return Became::refused(too_many_share());
        }
        match self.known {
            true => Became::Overwritten,
            false => Became::Registered,
        }
    }

    /// Whether the device would have its channel beside this holder, rather than take it.
    fn joins(&self, user: &str, holder: &Holder) -> bool {
        self.shared && holder.shared && holder.whose.user != user
    }

    fn sharers(&self, user: &str) -> impl Iterator<Item = &Holder> {
        self.holders.iter().filter(move |it| self.joins(user, it))
    }
}

/// What a file would come to: each of its devices judged by how it stands in the store, and by those before it in the file.
#[derive(Debug, Default)]
pub struct Foresight {
    /// The channels of the endpoints that the file registers.
    registered: HashMap<Whose, Option<ChannelHash>>,
    /// How many of those are new, by user.
    added: HashMap<String, usize>,
    /// Who has each channel that the file touches.
    holders: HashMap<ChannelHash, Vec<Holder>>,
    /// Who has let go of a channel that nobody of the file asked for.
    let_go: HashSet<(ChannelHash, Whose)>,
}

impl Foresight {
    /// What would become of the next device of the file, as it was looked at in the store.
    pub fn next(&mut self, device: &Device, looked: Looked, overwrite: bool) -> Became {
        let mut standing = match looked {
            Looked::Stands(standing) => standing,
            Looked::Refused(message) => return Became::Refused { message },
        };
        let whose = Whose {
            user: device.user.clone(),
            endpoint: device.endpoint.clone(),
        };
        self.bring_up_to_date(&whose, &mut standing);
        let became = standing.becomes(&whose.user, overwrite);
        if became.is_taken_in() {
            self.take_in(whose, &standing);
        }
        became
    }

    /// The standing that it would have once those before it were registered.
    fn bring_up_to_date(&self, whose: &Whose, standing: &mut Standing) {
        standing.endpoints += self.added.get(&whose.user).copied().unwrap_or_default();
        if let Some(channel) = self.registered.get(whose) {
            standing.known = true;
            standing.had.clone_from(channel);
        }
        let Some(channel) = &standing.channel else {
            return;
        };
        match self.holders.get(channel) {
            Some(holders) => standing.holders.clone_from(holders),
            None => standing
                .holders
                .retain(|it| !self.let_go.contains(&(channel.clone(), it.whose.clone()))),
        }
        standing.holders.retain(|it| it.whose != *whose);
    }

    fn take_in(&mut self, whose: Whose, standing: &Standing) {
        if let Some(had) = &standing.had {
            match self.holders.get_mut(had) {
                Some(holders) => holders.retain(|it| it.whose != whose),
                None => {
                    self.let_go.insert((had.clone(), whose.clone()));
                }
            }
        }
        if let Some(channel) = &standing.channel {
            let mut holders: Vec<Holder> = standing.sharers(&whose.user).cloned().collect();
            holders.push(Holder {
                whose: whose.clone(),
                shared: standing.shared,
                live: true,
            });
            self.holders.insert(channel.clone(), holders);
        }
        if !standing.known {
            *self.added.entry(whose.user.clone()).or_default() += 1;
        }
        self.registered.insert(whose, standing.channel.clone());
    }
}

#[cfg(test)]
#[path = "foresight_tests.rs"]
mod tests;
