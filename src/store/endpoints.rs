//! Questions about endpoints, their channels, and what dispatch knows of them.

use std::{
    collections::HashMap,
    ops::{Bound, ControlFlow},
};

use super::{
    Error, Reader,
    engine::Order,
    keys::{self, UserKey},
    records::{self, Record},
};
use crate::model::{
    AppHost, Channel, Endpoint, EndpointId, FeedPosition, FetchMark, Owner, Push, Subject,
    SubscriptionId, TapState, User,
};

/// So many rows are looked for one by one.
const FEW: usize = 2;

impl Reader {
    /// The user's endpoints, expired ones too, each with its channel as it stands: `None` where another endpoint
    /// has taken it over, or its push service called it dead.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn endpoints(&self, subject: &Subject) -> Result<Vec<Endpoint>, Error> {
        let with_states = self.endpoints_with_states(subject)?;
        Ok(with_states.into_iter().map(|(it, _)| it).collect())
    }

    /// The same, each with what dispatch knows of it.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn endpoints_with_states(
        &self,
        subject: &Subject,
    ) -> Result<Vec<(Endpoint, TapState)>, Error> {
        let prefix = keys::endpoints(&keys::user_key(subject));
        let stored = self.collect(&prefix, |_, value| Endpoint::decode(value))?;
        let user = keys::user_key(subject);
        let ids = || stored.iter().map(|it| &it.id);
        let mut states = self.of_endpoints(&keys::tap_states(&user), ids())?;
        stored
            .into_iter()
            .map(|endpoint| {
                let state = states.remove(&endpoint.id).unwrap_or_default();
                Ok((self.with_channel(subject, endpoint, &state)?, state))
            })
            .collect()
    }

    /// How far each of these has pulled, of endpoints of the user.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn fetch_marks(
        &self,
        subject: &Subject,
        endpoints: &[(Endpoint, TapState)],
    ) -> Result<HashMap<EndpointId, FetchMark>, Error> {
        let prefix = keys::fetch_marks(&keys::user_key(subject));
        self.of_endpoints(&prefix, endpoints.iter().map(|(it, _)| &it.id))
    }

    /// The rows of a user's endpoints under `prefix`. Of many they are walked through: each that is looked for by itself
    /// costs as much as several that follow each other.
    fn of_endpoints<'a, T: Record>(
        &self,
        prefix: &[u8],
        ids: impl ExactSizeIterator<Item = &'a EndpointId>,
    ) -> Result<HashMap<EndpointId, T>, Error> {
        let mut found = HashMap::new();
        if ids.len() <= FEW {
            for id in ids {
                let key = [prefix, id.as_str().as_bytes()].concat();
                found.extend(self.record(&key)?.map(|record| (id.clone(), record)));
            }
            return Ok(found);
        }
        self.scan_prefix(prefix, Order::Ascending, &mut |key, value| {
            let id = keys::endpoint_text(key.get(prefix.len()..).unwrap_or_default())?;
            found.insert(id, T::decode(value)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// Whether the user has any endpoint, be it one that is over.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn has_endpoints(&self, subject: &Subject) -> Result<bool, Error> {
        let mut found = false;
        let prefix = keys::endpoints(&keys::user_key(subject));
        self.scan_prefix(&prefix, Order::Ascending, &mut |_, _| {
            found = true;
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// One endpoint, with its channel as it stands.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn endpoint(&self, subject: &Subject, id: &EndpointId) -> Result<Option<Endpoint>, Error> {
        let key = keys::endpoint(&keys::user_key(subject), id);
        let stored: Option<Endpoint> = self.record(&key)?;
        let Some(endpoint) = stored else {
            return Ok(None);
        };
        let state = self.tap_state(subject, id)?;
        self.with_channel(subject, endpoint, &state).map(Some)
    }

    /// One endpoint as it was registered, whatever has become of its channel since.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn registered_endpoint(
        &self,
        subject: &Subject,
        id: &EndpointId,
    ) -> Result<Option<Endpoint>, Error> {
        self.record(&keys::endpoint(&keys::user_key(subject), id))
    }

    fn with_channel(
        &self,
        subject: &Subject,
        mut endpoint: Endpoint,
        state: &TapState,
    ) -> Result<Endpoint, Error> {
        let is_over = endpoint.told_until.is_some();
        let identity = endpoint.channel.identity();
        if identity.is_none() && !is_over {
            return Ok(endpoint);
        }
        if state.generation == endpoint.generation && state.gone.is_some() {
            endpoint.gone = state.gone;
            endpoint.channel = Channel::None;
            return Ok(endpoint);
        }
        let Some(identity) = identity else {
            return Ok(endpoint);
        };
        let owns = |owner: &Owner| {
            owner.endpoint == endpoint.id
                && owner.generation == endpoint.generation
                && owner.subject == *subject
        };
        if !self.owners(&subject.app, &identity)?.iter().any(owns) {
            endpoint.channel = Channel::None;
        }
        Ok(endpoint)
    }

    /// Who owns the channel of this identity within an app.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn owners(&self, app: &AppHost, identity: &[u8]) -> Result<Vec<Owner>, Error> {
        let row = self.engine.get(&keys::channel(app, identity))?;
        row.map_or(Ok(Vec::new()), |bytes| records::decode_owners(&bytes))
    }

    /// What dispatch knows of an endpoint.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn tap_state(&self, subject: &Subject, endpoint: &EndpointId) -> Result<TapState, Error> {
        let key = keys::tap_state(&keys::user_key(subject), endpoint);
        Ok(self.record(&key)?.unwrap_or_default())
    }

    /// Shows the pushes to an endpoint that cover `position`, one after another, in the order of what they cover.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn each_push_from(
        &self,
        subject: &Subject,
        endpoint: &EndpointId,
        position: FeedPosition,
        take: &mut dyn FnMut(Push),
    ) -> Result<(), Error> {
        let prefix = keys::pushes(&keys::user_key(subject), endpoint);
        let from = [&prefix[..], &position.0.to_be_bytes()].concat();
        let bounds = (Bound::Included(from), Bound::Excluded(keys::after(&prefix)));
        self.engine
            .scan(bounds.0, bounds.1, Order::Ascending, &mut |_, value| {
                take(Push::decode(value)?);
                Ok(ControlFlow::Continue(()))
            })
    }

    /// Up to `most` of the user's pushes that cover nothing from `position` on, of all endpoints: their time is over.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn pushes_before(
        &self,
        subject: &Subject,
        position: FeedPosition,
        most: usize,
    ) -> Result<Vec<(EndpointId, Push)>, Error> {
        let user = keys::user_key(subject);
        let prefix = keys::pushes_of(&user);
        let (mut from, after) = (Some(prefix.clone()), keys::after(&prefix));
        let mut found = Vec::new();
        // Those of an endpoint stand in the order of what they cover: after the first that stays comes the next endpoint.
        while let Some(first) = from.take() {
            let bounds = (Bound::Included(first), Bound::Excluded(after.clone()));
            self.engine
                .scan(bounds.0, bounds.1, Order::Ascending, &mut |key, value| {
                    let endpoint = keys::push_endpoint(key)?;
                    if keys::push_covers(key)? >= position {
                        from = Some(keys::after(&keys::pushes(&user, &endpoint)));
                        return Ok(ControlFlow::Break(()));
                    }
                    found.push((endpoint, Push::decode(value)?));
                    Ok(match found.len() < most {
                        true => ControlFlow::Continue(()),
                        false => ControlFlow::Break(()),
                    })
                })?;
        }
        Ok(found)
    }

    /// All pushes to one endpoint.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn pushes_of(&self, subject: &Subject, id: &EndpointId) -> Result<Vec<Push>, Error> {
        let prefix = keys::pushes(&keys::user_key(subject), id);
        self.collect(&prefix, |_, value| Push::decode(value))
    }

    /// Whom a subscription id (UNSID) names: the user, and the endpoint that it was given to.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn subscriber(&self, id: SubscriptionId) -> Result<Option<(Subject, EndpointId)>, Error> {
        let Some(bytes) = self.engine.get(&keys::subscription(id))? else {
            return Ok(None);
        };
        let user = keys::user_at(&bytes, 0)?;
        let endpoint = keys::endpoint_text(bytes.get(keys::USER..).unwrap_or_default())?;
        Ok(self.subject_of(&user)?.map(|subject| (subject, endpoint)))
    }

    /// The users of an app, in no order of meaning: up to `most`, after `after`.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn users(
        &self,
        app: &AppHost,
        after: Option<&Subject>,
        most: usize,
    ) -> Result<Vec<User>, Error> {
        let prefix = keys::users_of(app);
        let from = match after {
            Some(subject) => Bound::Excluded(keys::user(&keys::user_key(subject))),
            None => Bound::Included(prefix.clone()),
        };
        let mut found = Vec::new();
        self.engine.scan(
            from,
            Bound::Excluded(keys::after(&prefix)),
            Order::Ascending,
            &mut |_, value| {
                found.push(User::decode(value)?);
                Ok(if found.len() < most {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                })
            },
        )?;
        Ok(found)
    }

    /// The user behind a key of ours.
    pub(super) fn subject_of(&self, user: &UserKey) -> Result<Option<Subject>, Error> {
        let row: Option<User> = self.record(&keys::user(user))?;
        Ok(row.map(|user| user.subject))
    }
}
