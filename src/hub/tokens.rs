//! User tokens: minted, renewed, bounded in number.

use std::time::Duration;

use super::{
    Error, Hub,
    access::{Minted, Proof, REVOKED, TOKEN_PREFIX, UserCaller, hash, random_text},
    changes::Changes,
    erase::is_from_before,
};
use crate::{
    model::{EndpointId, Secret, Subject, Timestamp, UserToken},
    store::{Expiring, Reader, Row, Unit},
};

/// How many user tokens an endpoint has at a time; another ends the one that was minted first.
const TOKENS: usize = 100;
/// How many of them end at once at most: a unit stays small.
const TOKENS_ENDED: usize = 200;

/// Asked under the user's lock, so that a revocation and a minting cannot pass each other by.
fn may_mint(reader: &Reader, token: &UserToken, renews: Option<[u8; 32]>) -> Result<(), Error> {
    if let Some(renewed) = renews {
        reader.token(&renewed)?.ok_or(REVOKED)?;
        return Ok(());
    }
    match &token.minted_by {
        Some(id) => {
            let key = reader.app_key(id)?;
            key.filter(|key| key.revoked.is_none()).ok_or(REVOKED)?;
            Ok(())
        }
        None => Ok(()),
    }
}

/// Refuses one more that is bound to no endpoint beside as many as there may be: whoever holds those may be at work.
fn must_have_room(
    reader: &Reader,
    token: &UserToken,
    (max, now): (usize, Timestamp),
) -> Result<(), Error> {
    if token.endpoint.is_some() || reader.count_unbound_tokens(&token.subject, max)? < max {
        return Ok(());
    }
    // Some may be over that the sweep has not come to.
    let all = reader.tokens_of(&token.subject, None)?;
    if all.len() < 2 * max && all.iter().filter(|it| it.expires > now).count() < max {
        return Ok(());
    }
    Err(Error::Limit {
        name: "server.limits.tokens_per_user",
        max,
        advice: "mint one token a sign-in rather than one a page, or ask for a shorter life (`expiresInSeconds`)",
    })
}

/// Where an endpoint has as many as there may be, ends the first ones but for the one that is renewed; says whether it ended
/// any.
fn make_room(
    reader: &Reader,
    changes: &mut Changes,
    endpoint: Option<&EndpointId>,
    renews: Option<[u8; 32]>,
) -> Result<bool, Error> {
    let Some(endpoint) = endpoint else {
        return Ok(false);
    };
    let mut tokens = reader.tokens_of(&changes.user().subject, Some(endpoint))?;
    let over = (tokens.len() + 1).saturating_sub(TOKENS).min(TOKENS_ENDED);
    tokens.retain(|token| Some(token.hash) != renews);
    tokens.sort_by_key(minted);
    tokens.truncate(over);
    for token in tokens {
        end(changes, token);
    }
    Ok(over > 0)
}

/// When a token was minted.
pub(super) fn minted(token: &UserToken) -> Timestamp {
    token.expires.minus(token.life)
}

/// Takes a token away with its expiry.
pub(super) fn end(changes: &mut Changes, token: UserToken) {
    changes.also(Row::DropExpiry(token.expires, Expiring::Token(token.hash)));
    changes.also(Row::DropToken(token));
}

impl Hub {
    /// Mints a user token; the user exists from then on.
    ///
    /// # Errors
    /// `Limit` where the user has too many that are bound to no endpoint; `Store`.
    pub async fn mint_token(
        &self,
        subject: Subject,
        endpoint: Option<EndpointId>,
        life: Option<Duration>,
        minted_by: Option<String>,
    ) -> Result<Minted<UserToken>, Error> {
        self.mint((subject, endpoint), life, minted_by, None).await
    }

    /// Mints a token, unless the key that mints it, or the token that it renews, was revoked meanwhile.
    async fn mint(
        &self,
        (subject, endpoint): (Subject, Option<EndpointId>),
        life: Option<Duration>,
        minted_by: Option<String>,
        renews: Option<[u8; 32]>,
    ) -> Result<Minted<UserToken>, Error> {
        let life = life.unwrap_or_else(|| UserToken::usual_life(endpoint.as_ref()));
        let secret = format!("{TOKEN_PREFIX}{}", random_text(32));
        let token = UserToken {
            hash: hash(&secret),
            subject: subject.clone(),
            endpoint,
            minted_by,
            expires: self.now().plus(life),
            life,
        };
        let kept = token.clone();
        let room = (self.limits().tokens_per_user, self.now());
        self.change(subject, move |reader, mut changes| {
            may_mint(reader, &token, renews)?;
            must_have_room(reader, &token, room)?;
            let known = reader.known_user(&changes.user().subject)?.is_some();
            let ended = make_room(reader, &mut changes, token.endpoint.as_ref(), renews)?;
            let rows = [
                Row::Expiry(token.expires, Expiring::Token(token.hash)),
                Row::Token(token),
            ];
            // A known user's row stays as it is, so their streams need not wake for this.
            if known && !ended {
                let mut unit = Unit::of(changes.user().subject.clone());
                rows.into_iter().for_each(|row| unit.push(row));
                return Ok((unit, ()));
            }
            rows.into_iter().for_each(|row| changes.also(row));
            Ok((changes.into_unit(), ()))
        })
        .await?;
        Ok(Minted {
            kept,
            secret: Secret::new(secret),
        })
    }

    /// Mints a token like the caller's own: bound to the same endpoint, revoked with the same key, with as long a life.
    ///
    /// # Errors
    /// `Unauthenticated` where the caller's own was revoked meanwhile; `Forbidden` where it is none of the hub's; `Limit` as for
    /// one that is minted; `Store`.
    pub async fn renew_token(&self, caller: UserCaller) -> Result<Minted<UserToken>, Error> {
        let Proof::Token(hash) = caller.proof else {
            return Err(Error::Forbidden(
                "this token is one of the app's identity provider, which renews it",
            ));
        };
        let own = self.store.reader().token(&hash)?;
        let own = own.ok_or(REVOKED)?;
        let whose = (own.subject, own.endpoint);
        self.mint(whose, Some(own.life), own.minted_by, Some(hash))
            .await
    }

    /// Ends the tokens of a user, or those alone that are bound to one endpoint, and with them the streams that they opened;
    /// says how many. Who has the right may mint new ones at any time.
    ///
    /// # Errors
    /// `NotFound` where there are none; `Store`.
    pub async fn revoke_tokens(
        &self,
        subject: Subject,
        endpoint: Option<EndpointId>,
    ) -> Result<usize, Error> {
        let mut ended = 0;
        // Until none is left: one may be renewed while the others end.
        loop {
            let endpoint = endpoint.clone();
            let plan = move |reader: &Reader, mut changes: Changes| {
                let subject = changes.user().subject.clone();
                let mut tokens = match &endpoint {
                    Some(endpoint) => reader.tokens_of(&subject, Some(endpoint))?,
                    None => reader.all_tokens_of(&subject, TOKENS_ENDED)?,
                };
                tokens.truncate(TOKENS_ENDED);
                if tokens.is_empty() {
                    return Ok((changes.into_nothing(), 0));
                }
                let found = tokens.len();
                tokens.into_iter().for_each(|it| end(&mut changes, it));
                Ok((changes.into_unit(), found))
            };
            match self.change(subject.clone(), plan).await? {
                0 if ended == 0 => return Err(Error::NotFound("token")),
                0 => return Ok(ended),
                found => ended += found,
            }
        }
    }

    /// Whether a user token is still good: asked again by what lives longer than a request.
    pub fn still_good(&self, caller: &UserCaller) -> bool {
        let known = match &caller.proof {
            Proof::Token(hash) => {
                let token = self.store.reader().token(hash);
                token.is_ok_and(|token| token.is_some())
            }
            // Other settings may trust others, or other keys.
            Proof::Foreign { by, issued } => {
                let app = self.app(&caller.subject.app);
                let erasure = self.store.reader().erasure(&caller.subject);
                app.is_some_and(|app| app.identity.as_ref() == Some(by))
                    && erasure.is_ok_and(|it| !is_from_before(it.as_ref(), *issued))
            }
        };
        known && caller.expires > self.now()
    }
}
