//! Endpoints: register, refresh, list, remove. A channel belongs to one endpoint of an app, or is shared.

use std::{convert::Infallible, ops::ControlFlow, sync::Arc, time::Duration};

use uuid::Uuid;

use super::{
    Asker, Error, Hub,
    changes::Changes,
    channels::{bound, claim, is_same, let_go},
    retire::retire,
};
use crate::{
    config::apps::App,
    model::{
        Channel, Endpoint, EndpointId, FeedPosition, Platform, Subject, SubscriptionId, TapId,
        Timestamp,
    },
    store::{Expiring, LEFT_BY_AN_ENDPOINT, Reader, Row, Unit},
};

/// How often an endpoint's `lastSeenDateTime` moves at most.
const SEEN_EVERY: Duration = Duration::from_secs(3600);

/// A checked registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Which endpoint.
    pub id: EndpointId,
    /// Its kind of device.
    pub platform: Platform,
    /// How to reach it.
    pub channel: Channel,
    /// The app's present VAPID key (65 bytes): a subscription that names none was made with it.
    pub present_vapid: Option<Vec<u8>>,
    /// What the person calls it.
    pub display_name: Option<String>,
    /// The language that it shows.
    pub locale: Option<String>,
    /// Whether it wants silent pushes of state changes (web).
    pub state_sync: bool,
    /// Whether it shares its channel with other people.
    pub shared: bool,
    /// When it wants to be forgotten, if earlier than the hub would.
    pub expires: Option<Timestamp>,
}

/// What registering came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The endpoint as stored.
    pub endpoint: Endpoint,
    /// Whether it is new.
    pub created: bool,
}

/// What a plan needs to know beside the store.
#[derive(Debug, Clone)]
struct Rules {
    app: Option<Arc<App>>,
    now: Timestamp,
    believed: Timestamp,
    expiry: Duration,
    max: usize,
    grace: Duration,
}

impl Hub {
    /// Registers a device of a user, or refreshes it.
    ///
    /// # Errors
    /// `Unauthenticated` where the word of the user's client, who asks, has ended meanwhile; `Limit` where too many people share the channel; `Store`.
    pub async fn register(
        &self,
        asker: impl Into<Asker>,
        registration: Registration,
    ) -> Result<Registered, Error> {
        let asker = asker.into();
        let judged = self.register_if(asker, registration, |_, _| Ok(ControlFlow::Continue(())));
        let ControlFlow::<Infallible, _>::Continue(((), registered)) = judged.await?;
        Ok(registered)
    }

    /// The same, where the judge has it go on; asked under the locks of the user and the channel.
    pub(super) async fn register_if<Stops: Send + 'static, Goes: Send + 'static>(
        &self,
        asker: Asker,
        registration: Registration,
        judge: impl FnOnce(&Reader, &Registration) -> Result<ControlFlow<Stops, Goes>, Error>
        + Send
        + 'static,
    ) -> Result<ControlFlow<Stops, (Goes, Registered)>, Error> {
        let subject = asker.subject().clone();
        let rules = Rules {
            app: self.app(&subject.app),
            now: self.now(),
            believed: self.believed(),
            expiry: self.delivery().endpoint_expiry,
            max: self.limits().endpoints_per_user,
            grace: self.delivery().stream_grace,
        };
        let channel = registration.channel.clone();
        let plan = move |reader: &Reader, changes: Changes| {
            asker.must_still_be_good(reader)?;
            let goes = match judge(reader, &registration)? {
                ControlFlow::Continue(goes) => goes,
                ControlFlow::Break(stops) => {
                    return Ok((changes.into_nothing(), ControlFlow::Break(stops)));
                }
            };
            let (unit, registered) = plan(reader, changes, registration, rules)?;
            Ok((unit, ControlFlow::Continue((goes, registered))))
        };
        let whose = subject.clone();
        let done = self.change_channels(subject, Some(&channel), plan).await?;
        if let ControlFlow::Continue((_, registered)) = &done
            && registered.created
        {
            self.pulls.forget(&whose, &registered.endpoint.id);
        }
        Ok(done)
    }

    /// The user's live endpoints, first registered first.
    ///
    /// # Errors
    /// `Store`.
    pub async fn endpoints(&self, subject: Subject) -> Result<Vec<Endpoint>, Error> {
        let now = self.now();
        self.store
            .ask(move |reader| {
                let endpoints = reader.endpoints(&subject)?.into_iter();
                let live = endpoints.filter(|endpoint| endpoint.expires > now);
                let mut endpoints: Vec<_> = live.map(|endpoint| endpoint.at(now)).collect();
                endpoints.sort_by_key(|endpoint| endpoint.created);
                Ok(endpoints)
            })
            .await
    }

    /// Signs a device out: its channel, tokens and streams end with it.
    ///
    /// # Errors
    /// `NotFound`; `Store`.
    pub async fn remove_endpoint(&self, subject: Subject, id: EndpointId) -> Result<(), Error> {
        // Also one that is over by a time that is doubted, or it would be tapped again when that turns out wrong.
        let believed = self.believed();
        self.change_channels(subject, None, move |reader, mut changes| {
            let subject = changes.user().subject.clone();
            let old = reader.registered_endpoint(&subject, &id)?;
            let old = old.ok_or(Error::NotFound("endpoint"))?;
            if old.expires <= believed {
                return Err(Error::NotFound("endpoint"));
            }
            retire(reader, &mut changes, &old)?;
            Ok((changes.into_unit(), ()))
        })
        .await
    }

    /// Notes that a device called; writes at most once an hour, or as often as it takes to keep the device where
    /// `delivery.endpoint_expiry` is short.
    ///
    /// # Errors
    /// `EndpointNotFound` where it is not registered, or expired; `Store`.
    pub async fn seen(&self, subject: &Subject, id: &EndpointId) -> Result<Endpoint, Error> {
        let now = self.now();
        let (asked, asked_id) = (subject.clone(), id.clone());
        let endpoint = self
            .store
            .ask(move |reader| live(reader, &asked, &asked_id, now))
            .await?;
        let expiry = self.delivery().endpoint_expiry;
        if !is_news(&endpoint, now, expiry) {
            return Ok(endpoint);
        }
        let id = id.clone();
        self.change(subject.clone(), move |reader, mut changes| {
            let subject = changes.user().subject.clone();
            let answered = live(reader, &subject, &id, now)?;
            let Some(mut stored) = reader.registered_endpoint(&subject, &id)? else {
                return Err(Error::EndpointNotFound);
            };
            changes.also(Row::DropExpiry(
                stored.expires,
                Expiring::Endpoint(id.clone()),
            ));
            if now >= stored.last_seen.plus(SEEN_EVERY) {
                stored.last_seen = now;
            }
            let latest = now.plus(expiry);
            stored.expires = stored.expires.max(end(stored.asked_expires, latest));
            changes.also(Row::Expiry(stored.expires, Expiring::Endpoint(id)));
            changes.also(Row::Endpoint(Box::new(stored)));
            Ok((changes.into_quiet_unit(), answered))
        })
        .await
    }

    /// The same for a device that stays connected; says until when it is kept if nothing is heard of it. Looks on the calling thread, since what is looked at again and again is in
    /// memory.
    ///
    /// # Errors
    /// As [`Hub::seen`].
    pub async fn still_seen(&self, subject: &Subject, id: &EndpointId) -> Result<Timestamp, Error> {
        let now = self.now();
        let endpoint = live(self.store.reader(), subject, id, now)?;
        if !is_news(&endpoint, now, self.delivery().endpoint_expiry) {
            return Ok(endpoint.expires);
        }
        // Boxed, since it is rare and would make every open stream larger.
        Box::pin(self.seen(subject, id)).await?;
        Ok(live(self.store.reader(), subject, id, now)?.expires)
    }
}

/// Whether a call of the device is to be written down: an hour after the last one, and before half of its time is over.
fn is_news(endpoint: &Endpoint, now: Timestamp, expiry: Duration) -> bool {
    let latest = now.plus(expiry);
    let ends_soon = endpoint.expires < now.plus(expiry / 2);
    now >= endpoint.last_seen.plus(SEEN_EVERY)
        || ends_soon && endpoint.expires < end(endpoint.asked_expires, latest)
}

/// When a device is forgotten: a device that asked for an earlier end is, at its own.
fn end(asked: Option<Timestamp>, latest: Timestamp) -> Timestamp {
    asked.map_or(latest, |asked| asked.min(latest))
}

fn live(
    reader: &Reader,
    subject: &Subject,
    id: &EndpointId,
    now: Timestamp,
) -> Result<Endpoint, Error> {
    let found = reader
        .endpoint(subject, id)?
        .filter(|endpoint| endpoint.expires > now);
    found.ok_or(Error::EndpointNotFound)
}

fn plan(
    reader: &Reader,
    mut changes: Changes,
    mut asked: Registration,
    rules: Rules,
) -> Result<(Unit, Registered), Error> {
    let subject = changes.user().subject.clone();
    let stored = reader.registered_endpoint(&subject, &asked.id)?;
    let old = match stored {
        Some(expired) if expired.expires <= rules.believed => {
            retire(reader, &mut changes, &expired)?;
            None
        }
        other => other,
    };
    if old.is_none() {
        make_room(reader, &mut changes, &asked.id, rules.max)?;
    }
    let present = asked.present_vapid.take();
    asked.channel = bound(reader, &subject.app, asked.channel, present)?;
    let live = match &old {
        Some(old) => reader.endpoint(&subject, &old.id)?,
        None => None,
    };
    let endpoint = renew((old.as_ref(), live.as_ref()), asked, &changes, &rules);
    if let Some(old) = &old {
        changes.also(Row::DropExpiry(
            old.expires,
            Expiring::Endpoint(old.id.clone()),
        ));
        if old.channel.identity() != endpoint.channel.identity() {
            let_go(reader, &mut changes, old)?;
        }
    } else {
        // What was left of an earlier one is this one's now.
        changes.also(Row::DropExpiry(
            LEFT_BY_AN_ENDPOINT,
            Expiring::Endpoint(endpoint.id.clone()),
        ));
        changes.also(Row::Subscription(
            endpoint.subscription,
            endpoint.id.clone(),
        ));
    }
    claim(reader, &mut changes, &endpoint)?;
    changes.also(Row::Expiry(
        endpoint.expires,
        Expiring::Endpoint(endpoint.id.clone()),
    ));
    changes.also(Row::Endpoint(Box::new(endpoint.clone())));
    if changes.user().head > FeedPosition::START {
        // A client pulls right after registering; only one that does not is tapped for what waits.
        changes.look(rules.now.plus(rules.grace));
    }
    let created = old.is_none();
    Ok((changes.into_unit(), Registered { endpoint, created }))
}

/// The endpoint as it is from now on. A channel that changed, or was dead or lost, starts a new generation.
fn renew(
    (old, live): (Option<&Endpoint>, Option<&Endpoint>),
    asked: Registration,
    changes: &Changes,
    rules: &Rules,
) -> Endpoint {
    let same = |live: &&Endpoint| is_same(rules.app.as_deref(), &live.channel, &asked.channel);
    let kept = live.filter(|live| live.gone.is_none()).filter(same);
    let generation = match (kept, old) {
        (Some(kept), _) => kept.generation,
        (None, old) => rules
            .now
            .as_millis()
            .max(old.map_or(0, |old| old.generation) + 1),
    };
    let latest = rules.now.plus(rules.expiry);
    Endpoint {
        id: asked.id,
        platform: asked.platform,
        channel: asked.channel,
        generation,
        tap_id: old.map_or_else(|| TapId::from_bytes(random_id()), |old| old.tap_id),
        subscription: old.map_or_else(
            || SubscriptionId::from_bytes(random_id()),
            |old| old.subscription,
        ),
        display_name: asked.display_name,
        locale: asked.locale,
        state_sync: asked.state_sync,
        shared: asked.shared,
        created: old.map_or(rules.now, |old| old.created),
        registered: rules.now,
        last_seen: rules.now,
        expires: end(asked.expires, latest),
        asked_expires: asked.expires,
        told_until: None,
        gone: None,
        registered_at: old.map_or(changes.user().head, |old| old.registered_at),
    }
}

fn random_id() -> [u8; 16] {
    Uuid::new_v4().into_bytes()
}

/// Where the user has as many as there may be, retires one: that is over, or else the one longest unseen.
fn make_room(
    reader: &Reader,
    changes: &mut Changes,
    asked: &EndpointId,
    max: usize,
) -> Result<(), Error> {
    let mut all = reader.endpoints(&changes.user().subject)?;
    all.retain(|endpoint| endpoint.id != *asked);
    all.sort_by_key(|endpoint| {
        let lasts = endpoint.told_until.is_none();
        (lasts, endpoint.last_seen, endpoint.created)
    });
    let surplus = (all.len() + 1).saturating_sub(max);
    for endpoint in all.iter().take(surplus) {
        let stored = reader.registered_endpoint(&changes.user().subject, &endpoint.id)?;
        if let Some(stored) = stored {
            retire(reader, changes, &stored)?;
        }
    }
    Ok(())
}
