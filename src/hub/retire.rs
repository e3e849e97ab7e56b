//! An endpoint that goes: with it what hangs on it, and after it, step by step, what is left of its pushes.

use super::{Error, changes::Changes, channels::let_go, tokens::end};
use crate::{
    model::{Endpoint, EndpointId},
    store::{Expiring, LEFT_BY_AN_ENDPOINT, Reader, Row},
};

/// How many rows of pushes go at once: a unit stays small.
const PUSHES_DROPPED: usize = 200;

/// Takes an endpoint away with all that hangs on it. What it leaves has an expiry, so that the sweep finds it: pushes that
/// were too many for one unit, or on their way to the disk.
pub(super) fn retire(
    reader: &Reader,
    changes: &mut Changes,
    endpoint: &Endpoint,
) -> Result<(), Error> {
    let subject = changes.user().subject.clone();
    let id = endpoint.id.clone();
    let_go(reader, changes, endpoint)?;
    for token in reader.tokens_of(&subject, Some(&id))? {
        end(changes, token);
    }
    drop_pushes(reader, changes, &id)?;
    changes.also(Row::DropExpiry(
        endpoint.expires,
        Expiring::Endpoint(id.clone()),
    ));
    changes.also(Row::Expiry(
        LEFT_BY_AN_ENDPOINT,
        Expiring::Endpoint(id.clone()),
    ));
    changes.also(Row::DropSubscription(endpoint.subscription));
    changes.also(Row::DropFetchMark(id.clone()));
    changes.also(Row::DropTapState(id.clone()));
    changes.also(Row::DropEndpoint(id));
    Ok(())
}

/// Takes away some of what an endpoint left that is gone, and its last trace with the last of it.
pub(super) fn drop_left(
    reader: &Reader,
    changes: &mut Changes,
    id: &EndpointId,
) -> Result<(), Error> {
    if drop_pushes(reader, changes, id)? < PUSHES_DROPPED {
        changes.also(Row::DropExpiry(
            LEFT_BY_AN_ENDPOINT,
            Expiring::Endpoint(id.clone()),
        ));
    }
    Ok(())
}

fn drop_pushes(reader: &Reader, changes: &mut Changes, id: &EndpointId) -> Result<usize, Error> {
    let subject = changes.user().subject.clone();
    let mut pushes = reader.pushes_of(&subject, id)?;
    pushes.truncate(PUSHES_DROPPED);
    let dropped = pushes.len();
    for push in pushes {
        changes.also(Row::DropPush(id.clone(), push.covers, push.at));
    }
    Ok(dropped)
}
