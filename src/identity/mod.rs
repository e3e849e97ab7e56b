//! The users of an app's own identity provider: who a token (JWT, RFC 7519) speaks for.
//!
//! A token is taken where its issuer and audience are an app's, its signature is by a key of the provider that is for
//! its algorithm, and its time is now. What else its provider says in it is not looked at.

mod claims;
mod keys;
mod provider;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use jsonwebtoken::{Algorithm, decode_header};
use thiserror::Error;

use self::{claims::Claims, provider::Provider};
use crate::{
    clock::Clock,
    config::{Identity, SigningAlgorithm, apps::App},
    egress::Resolver,
    model::{AppHost, Subject, Timestamp},
};

/// Who a token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speaker {
    /// The person.
    pub subject: Subject,
    /// Until when, the skew of clocks included.
    pub expires: Timestamp,
    /// When the token was issued.
    pub issued: Timestamp,
    /// The settings that it is trusted by.
    pub by: Arc<Identity>,
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The token is not good; it says why.
    #[error("{0}")]
    Bad(&'static str),
    /// Nobody can tell now: the provider's keys were never to be had.
    #[error("the keys of the app's identity provider cannot be fetched; try again in a moment")]
    NoKeys,
}

/// The providers of all apps, each with its keys.
#[derive(Clone)]
pub struct Identities(Arc<Inner>);

struct Inner {
    resolver: Resolver,
    clock: Clock,
    providers: Mutex<HashMap<AppHost, Arc<Provider>>>,
}

/// Whether a credential looks like a JWT: three parts with dots between (RFC 7515, section 7.1).
pub fn is_jwt(credential: &str) -> bool {
    credential.bytes().filter(|byte| *byte == b'.').count() == 2
}

impl Identities {
    /// None yet; names of providers are looked up by `resolver`.
    pub fn new(resolver: Resolver, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            resolver,
            clock,
            providers: Mutex::default(),
        }))
    }

    /// Whether the providers of the apps can be used as the config names them. Changes nothing.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn check_settings(&self, apps: &[Arc<App>]) -> Result<(), String> {
        for app in apps {
            if let Some(settings) = &app.identity {
                self.make(&app.host, settings)
                    .map_err(|fault| format!("{}: app.identity {fault}", app.host))?;
            }
        }
        Ok(())
    }

    /// Says who a token of one of the apps' providers speaks for.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn speaker(&self, apps: &[Arc<App>], token: &str) -> Result<Speaker, Refusal> {
        let header = decode_header(token).map_err(|_| {
            Refusal::Bad("this token is no JWT that is signed by RS256, PS256, ES256 or EdDSA")
        })?;
        if header.crit.is_some() {
            return Err(Refusal::Bad("this token has a header of the kind crit"));
        }
        let algorithm = signing(header.alg).ok_or(Refusal::Bad(
            "this token is signed by an algorithm that is not taken",
        ))?;
        let claims = Claims::unproved(token)?;
        let (app, settings) = owner(apps, &claims)?;
        if !settings.algorithms.contains(&algorithm) {
            return Err(Refusal::Bad(
                "this token is signed by an algorithm that its app does not take",
            ));
        }
        let provider = self
            .provider(&app.host, settings)
            .map_err(|_| Refusal::NoKeys)?;
        let kid = header.kid.as_deref();
        let keys = provider.keys_for((kid, algorithm)).await?;
        if !keys.iter().any(|key| key.signed(token, algorithm)) {
            return Err(Refusal::Bad("the signature of this token is not good"));
        }
        let (issued, expires) = claims.check(self.0.clock.now())?;
        let user = claims.user(&settings.user_claim)?;
        let app = app.host.clone();
        Ok(Speaker {
            subject: Subject { app, user },
            expires,
            issued,
            by: Arc::clone(settings),
        })
    }

    /// Fetches the keys of an app's provider, whatever is held; says how many are of use.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn check(&self, host: &AppHost, settings: &Identity) -> Result<usize, String> {
        self.make(host, settings)?.fetch().await
    }

    /// The provider of an app, with the keys that are held as long as they come from the same place.
    fn provider(&self, host: &AppHost, settings: &Identity) -> Result<Arc<Provider>, String> {
        // Held meanwhile, or of several who come first each would have one of their own.
        let providers = &self.0.providers;
        let mut providers = providers.lock().unwrap_or_else(PoisonError::into_inner);
        let before = providers.get(host);
        if let Some(held) = before.filter(|it| it.source == settings.keys) {
            return Ok(Arc::clone(held));
        }
        let made = Arc::new(self.make(host, settings)?);
        if let Some(before) = before {
            made.inherit(before);
        }
        providers.insert(host.clone(), Arc::clone(&made));
        Ok(made)
    }

    fn make(&self, host: &AppHost, settings: &Identity) -> Result<Provider, String> {
        let world = (self.0.resolver.clone(), self.0.clock.clone());
        Provider::new(host.clone(), settings.keys.clone(), world)
    }
}

/// Whose provider made a token, as far as it says itself.
fn owner<'a>(
    apps: &'a [Arc<App>],
    claims: &Claims,
) -> Result<(&'a App, &'a Arc<Identity>), Refusal> {
    let with_one = apps
        .iter()
        .filter_map(|app| Some((&**app, app.identity.as_ref()?)));
    let (mut issuer_known, mut found) = (false, None);
    for (app, settings) in with_one {
        if claims.is_by(&settings.issuer) {
            issuer_known = true;
            if claims.is_for(&settings.audience) && found.replace((app, settings)).is_some() {
                return Err(Refusal::Bad("this token is for several apps here"));
            }
        }
    }
    found.ok_or(Refusal::Bad(match issuer_known {
        true => "this token is for another audience",
        false => "this token is unknown, or by an issuer that no app here has",
    }))
}

fn signing(algorithm: Algorithm) -> Option<SigningAlgorithm> {
    match algorithm {
        Algorithm::RS256 => Some(SigningAlgorithm::Rs256),
        Algorithm::PS256 => Some(SigningAlgorithm::Ps256),
        Algorithm::ES256 => Some(SigningAlgorithm::Es256),
        Algorithm::EdDSA => Some(SigningAlgorithm::EdDsa),
        _ => None,
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identities")
    }
}
