//! One provider: its keys are held as long as it says, fetched anew for one that is not known, by one caller at a time,
//! and kept when it is down.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::sync::watch;
use url::Url;

use super::{
    Refusal,
    keys::{self, Key},
};
use crate::{
    clock::Clock,
    config::{KeySource, SigningAlgorithm},
    egress::{Answer, Client, Protocol, Reach, Request, Resolver, Settings},
    model::{AppHost, Timestamp},
};

/// How long keys are held whose answer does not say.
const USUAL_LIFE: Duration = Duration::from_secs(600);
/// Between what their answer may say.
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How often they are fetched at most, however many unknown ones are named.
const PAUSE: Duration = Duration::from_secs(60);
/// The same while there are none.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// How much of an answer is read, in bytes.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// The keys of one app's provider.
pub(super) struct Provider {
    host: AppHost,
    pub(super) source: KeySource,
    clock: Clock,
    /// Who asks it; none where the keys are in a file.
    remote: Option<(Client, Url)>,
    held: Mutex<Held>,
}

#[derive(Clone, Default)]
struct Held {
    keys: Arc<Vec<Arc<Key>>>,
    /// Whether there ever were any.
    there: bool,
    /// Until when they are not asked for again of themselves.
    fresh: Timestamp,
    /// When it was over that they were asked for last.
    asked: Timestamp,
    /// Whether they could not be had then.
    failed: bool,
    /// Ends when they are there that are being asked for.
    asking: Option<watch::Receiver<()>>,
}

/// Which key a token was signed with, as it says itself.
pub(super) type Wanted<'a> = (Option<&'a str>, SigningAlgorithm);

impl Held {
    fn has(&self, wanted: Wanted<'_>) -> bool {
        self.keys.iter().any(|key| key.fits(wanted))
    }

    /// Whether one of them fits that may be gone on with: their time is not over, or the provider was down a moment ago.
    fn is_good(&self, wanted: Wanted<'_>, now: Timestamp) -> bool {
        self.has(wanted) && (now < self.fresh || (self.failed && self.was_just_asked(now)))
    }

    fn was_just_asked(&self, now: Timestamp) -> bool {
        let pause = if self.there { PAUSE } else { FIRST_PAUSE };
        self.asked > Timestamp::default() && now < self.asked.plus(pause)
    }

    /// Whether they are to be asked for: their time is over, or none of them fits. Not again in a moment, whoever asks.
    fn is_due(&self, wanted: Wanted<'_>, now: Timestamp) -> bool {
        !self.was_just_asked(now) && (now >= self.fresh || !self.has(wanted))
    }
}

impl Provider {
    /// Prepares it; asks for nothing yet.
    ///
    /// # Errors
    /// A sentence that begins with the setting at fault.
    pub(super) fn new(
        host: AppHost,
        source: KeySource,
        (resolver, clock): (Resolver, Clock),
    ) -> Result<Self, String> {
        let mut held = Held::default();
        let remote = match &source {
            KeySource::File(set) => {
                held.keys = Arc::new(keys::usable(set));
                held.there = true;
                held.fresh = Timestamp::MAX;
                None
            }
            KeySource::Url { url, ca } => {
                let rules = Settings {
                    protocol: Protocol::Either,
                    reach: Reach::Trusted,
                    resolver,
                    first_alone: false,
                };
                let client = Client::new(rules, ca.as_ref().map(|pem| pem.as_slice()))?;
                client
                    .admits(url)
                    .map_err(|fault| format!("jwks_url {fault}"))?;
                Some((client, url.clone()))
            }
        };
        Ok(Self {
            host,
            source,
            clock,
            remote,
            held: Mutex::new(held),
        })
    }

    /// Goes on with the keys of another one, where both have them from the same address.
    pub(super) fn inherit(&self, other: &Self) {
        if let (KeySource::Url { url, .. }, KeySource::Url { url: same, .. }) =
            (&self.source, &other.source)
            && url == same
        {
            let theirs = other.held().clone();
            *self.held() = Held {
                asking: None,
                ..theirs
            };
        }
    }

    /// The keys that may have signed a token which names such a key.
    ///
    /// # Errors
    /// `Bad` where there is none; `NoKeys` where there never were any.
    pub(super) async fn keys_for(
        self: &Arc<Self>,
        wanted: Wanted<'_>,
    ) -> Result<Vec<Arc<Key>>, Refusal> {
        const UNKNOWN: Refusal =
            Refusal::Bad("this token is signed with a key that its issuer does not have");
        let asking = self.ask_where_due(wanted);
        // Who has what it needs goes on with that; not so once its time is over, since it may have been taken away.
        if !self.held().is_good(wanted, self.clock.now())
            && let Some(mut asking) = asking
        {
            let _over_either_way = asking.changed().await;
        }
        let held = self.held().clone();
        if !held.there {
            return Err(Refusal::NoKeys);
        }
        let fitting = held.keys.iter().filter(|key| key.fits(wanted));
        let fitting: Vec<_> = fitting.cloned().collect();
        if fitting.is_empty() {
            Err(UNKNOWN)
        } else {
            Ok(fitting)
        }
    }

    /// Has the keys asked for where they are due, by a task of its own: who began it may go away. Gives what says that they
    /// are there, where they are being asked for.
    fn ask_where_due(self: &Arc<Self>, wanted: Wanted<'_>) -> Option<watch::Receiver<()>> {
        self.remote.as_ref()?;
        let mut held = self.held();
        // One whose task has died says nothing any more.
        let running = held.asking.clone().filter(|it| it.has_changed().is_ok());
        if running.is_some() || !held.is_due(wanted, self.clock.now()) {
            return running;
        }
        let (done, asking) = watch::channel(());
        held.asking = Some(asking.clone());
        drop(held);
        let provider = Arc::clone(self);
        tokio::spawn(async move {
            let app = &provider.host;
            match provider.fetch().await {
                Ok(count) => {
                    tracing::info!(%app, count, "fetched the keys of the identity provider");
                }
                Err(reason) => {
                    tracing::warn!(%app, reason, "the keys of the identity provider cannot be fetched; those held stay");
                }
            }
            drop(done);
        });
        Some(asking)
    }

    /// Fetches the keys; says how many are of use.
    pub(super) async fn fetch(&self) -> Result<usize, String> {
        let Some((client, url)) = &self.remote else {
            return Ok(self.held().keys.len());
        };
        let request = Request::get(url.clone())
            .header("accept", "application/json")
            .max_answer(MAX_ANSWER_BYTES);
        let answer = client.send(&request).await.map_err(|it| it.to_string());
        let read = answer.and_then(|answer| Ok((read(&answer)?, life(&answer))));
        let now = self.clock.now();
        let mut held = self.held();
        held.asked = now;
        held.asking = None;
        held.failed = read.is_err();
        let (keys, life) = read?;
        held.keys = Arc::new(keys);
        held.there = true;
        held.fresh = now.plus(life);
        Ok(held.keys.len())
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(answer: &Answer) -> Result<Vec<Arc<Key>>, String> {
    if answer.status != 200 {
        return Err(format!("jwks_url answers {}", answer.status));
    }
    let set: Value = serde_json::from_slice(&answer.body)
        .map_err(|error| format!("what jwks_url answers is no JSON: {error}"))?;
    let keys = keys::usable(set["keys"].as_array().map_or(&[][..], Vec::as_slice));
    match keys.is_empty() {
        true => Err(String::from(
            "jwks_url names no key for RS256, PS256, ES256 or EdDSA",
        )),
        false => Ok(keys),
    }
}

/// How long they may be held (RFC 9111, section 5.2.2).
fn life(answer: &Answer) -> Duration {
    let control = answer.header("cache-control").unwrap_or_default();
    let parts = control.split(',').map(str::trim);
    let mut said = None;
    for part in parts {
        match part.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("max-age") => {
                said = value
                    .trim_matches('"')
                    .parse()
                    .ok()
                    .map(Duration::from_secs)
                    .or(said);
            }
            None if part.eq_ignore_ascii_case("no-cache")
                || part.eq_ignore_ascii_case("no-store") =>
            {
                return SHORTEST;
            }
            _ => {}
        }
    }
    said.unwrap_or(USUAL_LIFE).clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_held_as_long_as_their_answer_says() {
        let check = |control: &str, secs: u64| {
            let mut answer = Answer {
                status: 200,
                phrase: None,
                headers: Default::default(),
                body: Default::default(),
                whole: true,
                connection: 0,
                credential: 0,
            };
            if !control.is_empty() {
                answer
                    .headers
                    .insert("cache-control", control.parse().unwrap());
            }
            assert_eq!(life(&answer).as_secs(), secs, "{control}");
        };
        check("", 600);
        check("public", 600);
        check("public, max-age=3600, must-revalidate", 3600);
        check("Max-Age=\"120\"", 120);
        check("max-age=0", 60);
        check("max-age=99999999", 86_400);
        check("max-age=soon", 600);
        check("no-store, max-age=3600", 60);
    }
}
