//! An endpoint that goes: with it what hangs on it, and after it, step by step, what is left of its pushes.

use std::ops::ControlFlow;

use super::{
    Error,
    changes::Changes,
    channels::let_go,
    tokens::{end, minted},
};
use crate::{
    model::{Endpoint, EndpointId, Timestamp},
    store::{Expiring, LEFT_BY_AN_ENDPOINT, Reader, Row},
};

/// How many rows of pushes go at once: a unit stays small.
const PUSHES_DROPPED: usize = 200;

/// Ends an endpoint whose time is over. What became of notifications there is told on as long as one of them may last.
pub(super) fn end_endpoint(
    reader: &Reader,
    changes: &mut Changes,
    endpoint: Endpoint,
    now: Timestamp,
) -> Result<(), Error> {
    let mut tells = false;
    reader.oldest_first(&changes.user().subject, &mut |_| {
        tells = true;
        ControlFlow::Break(())
    })?;
    if !tells {
        return retire(reader, changes, &endpoint);
    }
    cut_off(reader, changes, &endpoint)?;
    let over = endpoint.over(now);
    changes.also(Row::Expiry(
        over.swept(),
        Expiring::Endpoint(over.id.clone()),
    ));
    changes.also(Row::Endpoint(Box::new(over)));
    Ok(())
}

/// Takes an endpoint away with all that hangs on it. What it leaves has an expiry, so that the sweep finds it: pushes that
/// were too many for one unit, or on their way to the disk.
pub(super) fn retire(
    reader: &Reader,
    changes: &mut Changes,
    endpoint: &Endpoint,
) -> Result<(), Error> {
    let id = endpoint.id.clone();
    cut_off(reader, changes, endpoint)?;
    drop_pushes(reader, changes, &id)?;
    changes.also(Row::Expiry(
        LEFT_BY_AN_ENDPOINT,
        Expiring::Endpoint(id.clone()),
    ));
    changes.also(Row::DropFetchMark(id.clone()));
    changes.also(Row::DropTapState(id.clone()));
    changes.also(Row::DropEndpoint(id));
    Ok(())
}

/// Takes away what leads to an endpoint: its channel, tokens, subscription id and expiry. Tokens that were minted when its
/// time was over are for the one that is to come.
fn cut_off(reader: &Reader, changes: &mut Changes, endpoint: &Endpoint) -> Result<(), Error> {
    let_go(reader, changes, endpoint)?;
    for token in reader.tokens_of(&changes.user().subject, Some(&endpoint.id))? {
        if minted(&token) < endpoint.expires {
            end(changes, token);
        }
    }
    changes.also(Row::DropExpiry(
        endpoint.swept(),
        Expiring::Endpoint(endpoint.id.clone()),
    ));
    changes.also(Row::DropSubscription(endpoint.subscription));
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
