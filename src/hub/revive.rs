//! Bringing back channels that were called dead for a wrong setting of ours, and not for a fault of theirs.

use super::{Error, Hub, changes::Changes};
use crate::{
    model::{AppHost, Channel, Endpoint, Subject, TapState, Timestamp, UserId},
    store::{Reader, Row, Unit},
};

/// How many users one step looks at.
const PAGE: usize = 500;

/// What one step came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revived {
    /// How many endpoints have their channel back.
    pub endpoints: usize,
    /// The last user looked at, where there may be more.
    pub next: Option<UserId>,
}

impl Hub {
    /// Gives endpoints of an app the channels back that were dropped at `since` or later: those of up to 500 users
    /// behind `after`. What such an endpoint lacks is due at once. A channel that another endpoint has taken over
    /// meanwhile, or that was registered anew, is left alone.
    ///
    /// # Errors
    /// `Invalid` where `since` lies in the future; `Store`.
    pub async fn revive(
        &self,
        app: &AppHost,
        since: Option<Timestamp>,
        after: Option<UserId>,
    ) -> Result<Revived, Error> {
        let now = self.now();
        if since.is_some_and(|since| since > now) {
            let message = "lies in the future; write when the channels were dropped";
            return Err(Error::invalid("--since", message));
        }
        let since = since.unwrap_or_default();
        let of = |user| Subject {
            app: app.clone(),
            user,
        };
        let (host, after) = (app.clone(), after.map(of));
        let users = self
            .store
            .ask(move |reader| Ok::<_, Error>(reader.users(&host, after.as_ref(), PAGE)?))
            .await?;
        let next = users.last().filter(|_| users.len() == PAGE);
        let next = next.map(|user| user.subject.user.clone());
        let mut endpoints = 0;
        for user in users {
            endpoints += self
                .change(user.subject, move |reader, changes| {
                    plan(reader, changes, since, now)
                })
                .await?;
        }
        Ok(Revived { endpoints, next })
    }
}

fn plan(
    reader: &Reader,
    mut changes: Changes,
    since: Timestamp,
    now: Timestamp,
) -> Result<(Unit, usize), Error> {
    let subject = changes.user().subject.clone();
    let mut revived = 0;
    for endpoint in reader.endpoints(&subject)? {
        let state = reader.tap_state(&subject, &endpoint.id)?;
        let Some(gone) = endpoint.gone.filter(|gone| *gone >= since) else {
            continue;
        };
        if endpoint.expires <= now || !still_owns(reader, &subject, &endpoint)? {
            continue;
        }
        // The push that learnt of it settled nothing after all.
        for push in reader.pushes_of(&subject, &endpoint.id)? {
            if push.at == gone && !push.accepted {
                changes.also(Row::DropPush(endpoint.id.clone(), push.covers, push.at));
            }
        }
        let state = TapState {
            gone: None,
            attempts: 0,
            failing: None,
            not_before: Timestamp::default(),
            stopped: None,
            ..state
        };
        changes.also(Row::TapState(endpoint.id.clone(), Box::new(state)));
        revived += 1;
    }
    if revived > 0 {
        changes.look(now);
    }
    Ok((changes.into_quiet_unit(), revived))
}

/// Whether the channel as registered is still the endpoint's own.
fn still_owns(reader: &Reader, subject: &Subject, endpoint: &Endpoint) -> Result<bool, Error> {
    let registered = reader.registered_endpoint(subject, &endpoint.id)?;
    let channel = registered.map_or(Channel::None, |registered| registered.channel);
    let Some(identity) = channel.identity() else {
        return Ok(false);
    };
    let owners = reader.owners(&subject.app, &identity)?;
    Ok(owners.iter().any(|owner| {
        owner.endpoint == endpoint.id
            && owner.generation == endpoint.generation
            && owner.subject == *subject
    }))
}
