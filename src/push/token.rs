//! Access tokens of OAuth 2.0 (RFC 6749), as FCM and WNS want them: asked for once, kept, and renewed by one caller
//! while the others go on with the old one. A refresh that failed is not tried again at once, whoever asks.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Deserialize;

use super::{
    answer::{retry_after, unsent, words},
    outcome::{Outcome, Scope, Verdict},
};
use crate::{
    egress::{Answer, Client, Request},
    model::{Secret, ServiceAnswer, Timestamp},
};

/// How long before its end a token is renewed; a tenth of its life, where that is shorter.
const RENEW_BEFORE: Duration = Duration::from_secs(300);

/// The life of a token whose answer names none (`expires_in` is only recommended, RFC 6749, section 5.1).
const UNNAMED_LIFE: Duration = Duration::from_secs(300);

/// How much of a token's answer is read, in bytes.
const MAX_ANSWER_BYTES: usize = 16 * 1024;

/// The longest wait after failed refreshes.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// What a check calls the place that is asked for a token, and the setting that names it.
pub(super) const PLACE: (&str, &str) = ("the token endpoint", "token_endpoint");

/// Writes the request for a new token at a given time.
pub(super) type Ask = Box<dyn Fn(Timestamp) -> Result<Request, String> + Send + Sync>;

/// The access token of one account.
pub(super) struct Tokens {
    client: Client,
    ask: Ask,
    refreshing: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

/// A token as used by one request.
#[derive(Clone)]
pub(super) struct Token {
    /// The value of `Authorization`.
    pub(super) bearer: Arc<Secret<String>>,
    /// Which token it is, for [`Tokens::discard`].
    pub(super) number: u64,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    given: u64,
    failures: u32,
    /// Since when and until when none is asked for, and what was said.
    refused: Option<(Timestamp, Timestamp, Outcome)>,
}

#[derive(Clone)]
struct Held {
    token: Token,
    renew: Timestamp,
    ends: Timestamp,
}

impl Tokens {
    /// A cache without a token in it yet; `ask` writes the request that `client` sends.
    pub(super) fn new(client: Client, ask: Ask) -> Self {
        Self {
            client,
            ask,
            refreshing: tokio::sync::Mutex::default(),
            state: Mutex::default(),
        }
    }

    /// A token that is valid at `now`.
    ///
    /// # Errors
    /// The outcome of the push that wanted it: `Misconfigured` when the account is refused, else `Retry`.
    pub(super) async fn get(&self, now: Timestamp) -> Result<Token, Outcome> {
        let Some(old) = self.held(now) else {
            let _one = self.refreshing.lock().await;
            return match self.held(now) {
                Some(held) => Ok(held.token),
                None => self.renew(now).await,
            };
        };
        if now < old.renew {
            return Ok(old.token);
        }
        let Ok(_one) = self.refreshing.try_lock() else {
            return Ok(old.token);
        };
        match self.held(now) {
            Some(held) if now < held.renew => Ok(held.token),
            _ => Ok(self.renew(now).await.unwrap_or(old.token)),
        }
    }

    /// Forgets token `number`, since the service refused it; does nothing if a newer one has taken its place.
    pub(super) fn discard(&self, number: u64) {
        let mut state = self.state();
        state.held.take_if(|held| held.token.number == number);
    }

    /// Forgets that none is to be asked for.
    pub(super) fn try_again(&self) {
        let mut state = self.state();
        state.refused = None;
        state.failures = 0;
    }

    /// Asks for a new token whatever is kept; gives its life.
    ///
    /// # Errors
    /// As [`Tokens::get`].
    pub(super) async fn check(&self, now: Timestamp) -> Result<Duration, Outcome> {
        let _one = self.refreshing.lock().await;
        self.fetch(now).await?;
        Ok(self
            .held(now)
            .map_or(Duration::ZERO, |held| held.ends.since(now)))
    }

    fn held(&self, now: Timestamp) -> Option<Held> {
        self.state().held.clone().filter(|held| now < held.ends)
    }

    async fn renew(&self, now: Timestamp) -> Result<Token, Outcome> {
        // What was refused in a time that has not come was so while the clock was wrong.
        if let Some((since, until, outcome)) = &self.state().refused
            && now < *until
            && !since.is_to_come(now)
        {
            return Err(outcome.clone());
        }
        self.fetch(now).await
    }

    async fn fetch(&self, now: Timestamp) -> Result<Token, Outcome> {
        let granted = self.grant(now).await;
        let mut state = self.state();
        match granted {
            Ok((text, life)) => {
                state.given += 1;
                let token = Token {
                    bearer: Arc::new(Secret::new(format!("Bearer {text}"))),
                    number: state.given,
                };
                state.held = Some(Held {
                    token: token.clone(),
                    renew: now.plus(life - RENEW_BEFORE.min(life / 10)),
                    ends: now.plus(life),
                });
                state.failures = 0;
                state.refused = None;
                Ok(token)
            }
            Err(outcome) => {
                let wait = backoff(state.failures).max(demanded(&outcome));
                state.failures = state.failures.saturating_add(1);
                state.refused = Some((now, now.plus(wait), outcome.clone()));
                tracing::warn!(
                    status = outcome.answer.status,
                    verdict = outcome.verdict.as_str(),
                    "no access token from the push service's token endpoint"
                );
                Err(outcome)
            }
        }
    }

    async fn grant(&self, now: Timestamp) -> Result<(String, Duration), Outcome> {
        let request = (self.ask)(now).map_err(|e| unsent(Verdict::Misconfigured, &e))?;
        match self
            .client
            .send(&request.max_answer(MAX_ANSWER_BYTES))
            .await
        {
            Ok(answer) => read(&answer, now),
            Err(failure) if failure.is_final() => Err(unsent(
                Verdict::Misconfigured,
                &format!("token endpoint: {failure}"),
            )),
            Err(failure) => Err(unsent(LATER, &format!("token endpoint: {failure}"))),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const LATER: Verdict = Verdict::Retry {
    after: None,
    scope: Scope::Lane,
};

/// The body of both kinds of answer (RFC 6749, sections 5.1 and 5.2).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    access_token: Option<String>,
    expires_in: Option<Seconds>,
    error: Option<String>,
    error_description: Option<String>,
}

/// Entra writes numbers as strings.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(u64),
    Text(String),
}

impl Seconds {
    fn life(&self) -> Option<Duration> {
        let secs = match self {
            Self::Number(secs) => *secs,
            Self::Text(text) => text.parse().ok()?,
        };
        Some(Duration::from_secs(secs))
    }
}

/// Reads the answer of a token endpoint: the token and its life.
fn read(answer: &Answer, now: Timestamp) -> Result<(String, Duration), Outcome> {
    let body: Body = serde_json::from_slice(&answer.body).unwrap_or_default();
    if answer.status == 200
        && let Some(token) = body.access_token
    {
        let life = body.expires_in.and_then(|secs| secs.life());
        return Ok((token, life.unwrap_or(UNNAMED_LIFE)));
    }
    let reason = match (&body.error, &body.error_description) {
        (Some(error), Some(description)) => format!("token endpoint: {error}: {description}"),
        (Some(error), None) => format!("token endpoint: {error}"),
        _ => String::from("token endpoint: an answer without a token or an OAuth error"),
    };
    let verdict = match verdict(answer.status, body.error.as_deref()) {
        Verdict::Retry { scope, .. } => Verdict::Retry {
            after: retry_after(answer, now),
            scope,
        },
        settled => settled,
    };
    let answer = ServiceAnswer {
        status: answer.status,
        reason: words(&reason),
        id: None,
    };
    Err(Outcome::new(verdict, answer))
}

/// What the refusal of a token means (RFC 6749, section 5.2).
fn verdict(status: u16, error: Option<&str>) -> Verdict {
    match (status, error) {
        (_, Some("temporarily_unavailable" | "server_error" | "slow_down")) => LATER,
        (_, Some("invalid_grant" | "invalid_client" | "unauthorized_client" | "invalid_scope")) => {
            Verdict::Misconfigured
        }
        // A 200 that cannot be read comes from something in between, such as a sign-in page.
        (200 | 408 | 429 | 500.., _) => LATER,
        _ => Verdict::Misconfigured,
    }
}

fn demanded(outcome: &Outcome) -> Duration {
    match outcome.verdict {
        Verdict::Retry { after, .. } => after.unwrap_or_default(),
        _ => Duration::ZERO,
    }
}

/// The wait after one more failure than `failures`: 1 s, doubling to a minute.
fn backoff(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.min(6)).min(MAX_BACKOFF)
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(…)")
    }
}

#[cfg(test)]
mod tests;
