//! Keys, tokens and tickets: mint, check, revoke. Secrets are shown once and kept as hashes.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::{
    constant_time,
    digest::{SHA256, digest},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Error, Hub, erase::is_from_before, tokens::end};
use crate::{
    config::Identity,
    model::{
        AppHost, AppKey, EndpointId, Scope, Secret, Subject, SubscriptionId, Timestamp, UserToken,
    },
    store::AppRow,
};

/// How long an access token of `/oauth2` lives, in seconds.
pub const ACCESS_SECS: u64 = 3599;

const KEY_PREFIX: &str = "bk_";
const ACCESS_PREFIX: &str = "ba_";
pub(super) const TOKEN_PREFIX: &str = "bu_";

/// Whether a text has what proves who one is in it: a key or a token of ours, or a JWT.
pub(super) fn looks_secret(text: &str) -> bool {
    /// No secret is shorter.
    const LEAST: usize = 24;
    const JWT: &str = "eyj";
    let lower = text.to_ascii_lowercase();
    let begin = [KEY_PREFIX, ACCESS_PREFIX, TOKEN_PREFIX, JWT];
    lower.len() >= LEAST && begin.iter().any(|begin| lower.contains(begin))
}

/// Who calls, as proved by a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// An app server.
    App(AppCaller),
    /// An app's client, for one person.
    User(UserCaller),
}

/// An app server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppCaller {
    /// Its app.
    pub app: AppHost,
    /// The key that it holds, or that its token was got with.
    pub key_id: String,
    /// What the key may do.
    pub scope: Scope,
}

/// An app's client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserCaller {
    /// The person.
    pub subject: Subject,
    /// The endpoint that the token is bound to.
    pub endpoint: Option<EndpointId>,
    /// When the token ends.
    pub expires: Timestamp,
    /// By what.
    pub proof: Proof,
}

/// What proves who a user's client speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// A token of the hub's, by what names it in the store.
    Token([u8; 32]),
    /// One of the app's own identity provider.
    Foreign {
        /// The settings that it is trusted by.
        by: Arc<Identity>,
        /// When it was issued.
        issued: Timestamp,
    },
}

/// A minted credential, shown this once.
#[derive(Debug)]
pub struct Minted<T> {
    /// What the hub keeps of it.
    pub kept: T,
    /// What the holder keeps.
    pub secret: Secret<String>,
}

pub(super) const REVOKED: Error = Error::Unauthenticated("this credential was revoked");

pub(super) fn hash(secret: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    hash
}

pub(super) fn random_text(bytes: usize) -> String {
    let drawn = std::iter::repeat_with(rand::random::<u8>).take(bytes);
    URL_SAFE_NO_PAD.encode(drawn.collect::<Vec<u8>>())
}

impl Hub {
    /// Makes an app key.
    ///
    /// # Errors
    /// `NotFound` where the config has no such app; `Store`.
    pub async fn create_key(
        &self,
        app: &AppHost,
        name: Option<String>,
        scope: Scope,
    ) -> Result<Minted<AppKey>, Error> {
        let unknown = Error::NotFound("app; add it to the config first");
        self.app(app).ok_or(unknown)?;
        self.create_key_ahead(app, name, scope).await
    }

    /// Makes an app key of an app that the config may have yet to get.
    pub(super) async fn create_key_ahead(
        &self,
        app: &AppHost,
        name: Option<String>,
        scope: Scope,
    ) -> Result<Minted<AppKey>, Error> {
        let id: String = random_text(9).replace(['-', '_'], "x");
        let secret = format!("{KEY_PREFIX}{id}_{}", random_text(32));
        let key = AppKey {
            id,
            app: app.clone(),
            name,
            scope,
            hash: hash(&secret),
            created: self.now(),
            revoked: None,
        };
        self.store.commit_app(AppRow::Key(key.clone())).await?;
        Ok(Minted {
            kept: key,
            secret: Secret::new(secret),
        })
    }

    /// All app keys, or one app's, in the order they were made.
    ///
    /// # Errors
    /// `Store`.
    pub async fn keys(&self, app: Option<AppHost>) -> Result<Vec<AppKey>, Error> {
        let mut keys = self
            .store
            .ask(|reader| Ok::<_, Error>(reader.app_keys()?))
            .await?;
        keys.retain(|key| app.as_ref().is_none_or(|app| key.app == *app));
        keys.sort_by_key(|key| key.created);
        Ok(keys)
    }

    /// Ends a key, what it got from `/oauth2`, and, if asked, the user tokens that it minted.
    ///
    /// # Errors
    /// `NotFound`; `Store`.
    pub async fn revoke_key(&self, id: &str, with_tokens: bool) -> Result<(), Error> {
        let asked = id.to_owned();
        let key = self
            .store
            .ask(move |reader| Ok::<_, Error>(reader.app_key(&asked)?))
            .await?;
        // A revoked one is asked for again where its tokens are to end as well.
        let mut key = key
            .filter(|key| key.revoked.is_none() || with_tokens)
            .ok_or(Error::NotFound("key"))?;
        if key.revoked.is_none() {
            key.revoked = Some(self.now());
            self.store.commit_app(AppRow::Key(key)).await?;
        }
        if !with_tokens {
            return Ok(());
        }
        // Until none is left: one may be renewed while the others end.
        loop {
            let minted_by = id.to_owned();
            let tokens: Vec<UserToken> = self
                .store
                .ask(move |reader| Ok::<_, Error>(reader.tokens_minted_by(&minted_by)?))
                .await?;
            if tokens.is_empty() {
                return Ok(());
            }
            for token in tokens {
                self.end_token(token).await?;
            }
        }
    }

    async fn end_token(&self, token: UserToken) -> Result<(), Error> {
        // Under `expects`, so that the person's open streams hear of it.
        self.change(token.subject.clone(), move |_, mut changes| {
            end(&mut changes, token);
            Ok((changes.into_unit(), ()))
        })
        .await
    }

    /// Says who holds a bearer credential.
    ///
    /// # Errors
    /// `Unauthenticated` where it is unknown, forged, revoked or over; `Store`.
    pub fn authenticate(&self, bearer: &str) -> Result<Caller, Error> {
        if bearer.starts_with(KEY_PREFIX) {
            return self.key_caller(bearer).map(Caller::App);
        }
        if let Some(access) = bearer.strip_prefix(ACCESS_PREFIX) {
            return self.access_caller(access).map(Caller::App);
        }
        let hash = hash(bearer);
        let token = self.store.reader().token(&hash)?;
        let token = token
            .filter(|token| token.expires > self.now() && bearer.starts_with(TOKEN_PREFIX))
            .filter(|token| self.app(&token.subject.app).is_some())
            .ok_or(Error::Unauthenticated(
                "this token is unknown, or its time is over",
            ))?;
        Ok(Caller::User(UserCaller {
            subject: token.subject,
            endpoint: token.endpoint,
            expires: token.expires,
            proof: Proof::Token(hash),
        }))
    }

    /// Who holds a token of an app's identity provider that was found good, as the hub knows them.
    ///
    /// # Errors
    /// `Unauthenticated` where the person was erased after it was issued; `Store`.
    pub fn foreign_caller(
        &self,
        subject: Subject,
        expires: Timestamp,
        proof: (Arc<Identity>, Timestamp),
    ) -> Result<Caller, Error> {
        let (by, issued) = proof;
        let erasure = self.store.reader().erasure(&subject)?;
        if is_from_before(erasure.as_ref(), issued) {
            return Err(Error::Unauthenticated(
                "this token was issued before its person was erased; sign in anew",
            ));
        }
        Ok(Caller::User(UserCaller {
            subject,
            endpoint: None,
            expires,
            proof: Proof::Foreign { by, issued },
        }))
    }

    fn key_caller(&self, secret: &str) -> Result<AppCaller, Error> {
        const BAD: Error = Error::Unauthenticated("this app key is unknown, or was revoked");
        let id = secret[KEY_PREFIX.len()..]
            .split('_')
            .next()
            .unwrap_or_default();
        let key = self.store.reader().app_key(id)?.ok_or(BAD)?;
        constant_time::verify_slices_are_equal(&hash(secret), &key.hash).map_err(|_| BAD)?;
        self.caller_of(key).ok_or(BAD)
    }

    fn access_caller(&self, access: &str) -> Result<AppCaller, Error> {
        const BAD: Error = Error::Unauthenticated("this access token is not good (any more)");
        let (app, key_id, expires) = self.seal.open_access(access).ok_or(BAD)?;
        let key = self
            .store
            .reader()
            .app_key(&key_id)?
            .filter(|key| key.app == app)
            .ok_or(BAD)?;
        if expires <= self.now() {
            return Err(BAD);
        }
        self.caller_of(key).ok_or(BAD)
    }

    fn caller_of(&self, key: AppKey) -> Option<AppCaller> {
        let alive = key.revoked.is_none() && self.app(&key.app).is_some();
        alive.then_some(AppCaller {
            app: key.app,
            key_id: key.id,
            scope: key.scope,
        })
    }

    /// An access token for the holder of an app key (OAuth 2.0 client credentials, RFC 6749 section 4.4).
    ///
    /// # Errors
    /// `Unauthenticated` where the key is not this client's; `Store`.
    pub fn access_token(&self, client_id: &str, client_secret: &str) -> Result<String, Error> {
        const BAD: Error = Error::Unauthenticated("client_id or client_secret is wrong");
        if !client_secret.starts_with(KEY_PREFIX) {
            return Err(BAD);
        }
        let caller = self.key_caller(client_secret)?;
        if AppHost::parse(client_id).ok().as_ref() != Some(&caller.app) {
            return Err(BAD);
        }
        let expires = self.now().plus(Duration::from_secs(ACCESS_SECS));
        let access = self.seal.access(&caller.app, &caller.key_id, expires);
        Ok(format!("{ACCESS_PREFIX}{access}"))
    }

    /// The VAPID key (PKCS#8) that was made for an app.
    ///
    /// # Errors
    /// `Store`.
    pub fn kept_vapid(&self, app: &AppHost) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.store.reader().vapid(app)?)
    }

    /// Keeps the VAPID key (PKCS#8) that was made for an app; subscriptions are bound to it for life.
    ///
    /// # Errors
    /// `Store`.
    pub async fn keep_vapid(&self, app: &AppHost, pkcs8: Vec<u8>) -> Result<(), Error> {
        Ok(self
            .store
            .commit_app(AppRow::Vapid(app.clone(), pkcs8))
            .await?)
    }

    /// Whose a subscription id (UNSID) is.
    ///
    /// # Errors
    /// `Forbidden` where it is unknown or another app's, alike; `Store`.
    pub fn subscriber(&self, app: &AppHost, unsid: &str) -> Result<Subject, Error> {
        let (reader, now) = (self.store.reader(), self.now());
        let found = match SubscriptionId::parse(unsid) {
            Some(id) => reader.subscriber(id)?,
            None => None,
        };
        let found = match found.filter(|(subject, _)| subject.app == *app) {
            Some((subject, id)) => {
                let endpoint = reader.registered_endpoint(&subject, &id)?;
                endpoint.filter(|it| it.expires > now).map(|_| subject)
            }
            None => None,
        };
        found.ok_or(Error::Forbidden(
            "X-UNS-ID names no subscription of this app; the client gets one by registering",
        ))
    }
}
