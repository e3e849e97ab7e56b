//! Firebase Cloud Messaging, HTTP v1 (Firebase, "projects.messages", "ErrorCode"; Google, "Using OAuth 2.0 for Server
//! to Server Applications").

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use url::Url;

use super::{
    answer::{self, Attempt, Step, retry_after, unanswered, unsent, words},
    message::FcmMessage,
    outcome::{Again, Outcome, Scope, Verdict},
    token::{self, Ask, Tokens},
};
use crate::{
    config::apps,
    egress::{Answer, Client, Failure, Protocol, Reach, Request, Resolver, Settings},
    model::{ServiceAnswer, Timestamp},
};

use error::ErrorBody;

mod error;

/// What the token is for.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";

/// How long the assertion is good for: no more than an hour is allowed, and it is used at once.
const ASSERTION_LIFE: Duration = Duration::from_secs(3600);

/// The wait that FCM wants after a quota is spent, where it names none (Firebase, "ErrorCode": QUOTA_EXCEEDED).
const QUOTA_WAIT: Duration = Duration::from_secs(60);

/// How an answer begins that names a message.
const NAMED: &[u8] = br#"{"name":"#;

/// FCM for one project.
#[derive(Debug)]
pub struct Fcm {
    url: Url,
    client: Client,
    tokens: Tokens,
    /// Whether a push was ever taken: then a 404 without an error code is about the token and not about the project.
    proven: AtomicBool,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
}

#[derive(Serialize)]
struct Body<'a> {
    message: Envelope<'a>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    token: &'a str,
    data: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notification: Option<Shown<'a>>,
    android: Android<'a>,
}

/// What Android shows by itself, in the form that all platforms share.
#[derive(Serialize)]
struct Shown<'a> {
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
}

#[derive(Serialize)]
struct Android<'a> {
    priority: &'static str,
    ttl: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    notification: Option<Placing<'a>>,
}

/// Where Android shows it.
#[derive(Serialize)]
struct Placing<'a> {
    tag: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_id: Option<&'a str>,
}

impl Fcm {
    /// Prepares the adapter; opens no connection yet.
    ///
    /// # Errors
    /// A sentence that begins with the setting at fault: `private_key` (no PKCS#8 PEM of an RSA key), `token_uri` (not
    /// Google's, and no `token_endpoint` says where else to go), `endpoint`, or `ca_file`.
    pub fn new(settings: Arc<apps::Fcm>) -> Result<Self, String> {
        Self::with_resolver(settings, Resolver::System)
    }

    /// As [`Fcm::new`], with look-ups of Google's names answered by `resolver`.
    ///
    /// # Errors
    /// As [`Fcm::new`].
    pub fn with_resolver(settings: Arc<apps::Fcm>, resolver: Resolver) -> Result<Self, String> {
        let base = match &settings.endpoint {
            Some(endpoint) => endpoint.as_str().trim_end_matches('/'),
            None => "https://fcm.googleapis.com",
        };
        let target = format!("{base}/v1/projects/{}/messages:send", settings.project_id);
        let url = Url::parse(&target).map_err(|e| format!("endpoint or project_id: {e}"))?;
        let client = Client::new(
            Settings {
                protocol: Protocol::Either,
                reach: Reach::Trusted,
                resolver,
                first_alone: false,
            },
            settings.ca.as_ref().map(|pem| pem.as_slice()),
        )?;
        client
            .admits(&url)
            .map_err(|fault| format!("endpoint {fault}"))?;
        let tokens = Tokens::new(client.clone(), ask(settings)?);
        Ok(Self {
            url,
            client,
            tokens,
            proven: AtomicBool::new(false),
        })
    }

    /// Sends one push to a registration token.
    pub async fn send(&self, registration: &str, message: &FcmMessage, now: Timestamp) -> Outcome {
        let body = match serde_json::to_vec(&body(registration, message)) {
            Ok(body) => Bytes::from(body),
            Err(e) => return unsent(Verdict::Rejected, &e.to_string()),
        };
        let request = Request::post(self.url.clone(), body)
            .header("content-type", "application/json")
            .within(message.ttl);
        let first = self.attempt(&request, now).await;
        answer::twice(first, async |_| self.attempt(&request, now).await).await
    }

    /// Asks for a token again, whatever was said before.
    pub(super) fn try_again(&self) {
        self.tokens.try_again();
    }

    /// Fetches an access token, which proves the service account's key; gives a line that says so.
    ///
    /// # Errors
    /// What is wrong and what to do about it.
    pub async fn check(&self, now: Timestamp) -> Result<String, String> {
        match self.tokens.check(now).await {
            Ok(life) => Ok(format!(
                "Google gave an access token for {} s",
                life.as_secs()
            )),
            Err(outcome) => Err(answer::complaint(
                &outcome,
                token::PLACE,
                "see that this machine's clock is right and that the service account and its key still exist",
            )),
        }
    }

    async fn attempt(&self, request: &Request, now: Timestamp) -> Attempt {
        let token = self.tokens.get(now).await?;
        let request = request
            .clone()
            .header("authorization", token.bearer.expose());
        let answer = self.client.send(&request).await;
        let answer = answer.map_err(|failure: Failure| unanswered(&failure, Scope::Lane))?;
        let proven = self.proven.load(Ordering::Relaxed);
        let (step, said) = read(&answer, proven, now);
        match step {
            Step::Again(Again::NewCredential) => self.tokens.discard(token.number),
            Step::Done(Verdict::Accepted) => self.proven.store(true, Ordering::Relaxed),
            _ => {}
        }
        Ok((step, said))
    }
}

/// Writes the token request (Google, "Using OAuth 2.0 for Server to Server Applications").
fn ask(settings: Arc<apps::Fcm>) -> Result<Ask, String> {
    let key = EncodingKey::from_rsa_pem(settings.private_key.expose())
        .map_err(|e| format!("private_key is not PEM, PKCS#8, RSA: {e}"))?;
    let url = token_url(&settings)?;
    sign(&key, &settings, Timestamp::default())
        .map_err(|e| format!("private_key cannot sign RS256: {e}"))?;
    Ok(Box::new(move |now| {
        let assertion = sign(&key, &settings, now)?;
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
            .append_pair("assertion", &assertion)
            .finish();
        Ok(Request::post(url.clone(), Bytes::from(form))
            .header("content-type", "application/x-www-form-urlencoded"))
    }))
}

/// Where tokens are asked for. The key file names a URL, so a forged file could send us anywhere: other hosts than
/// Google's need the operator's own word, `token_endpoint`.
fn token_url(settings: &apps::Fcm) -> Result<Url, String> {
    if let Some(endpoint) = &settings.token_endpoint {
        let https = endpoint.scheme() == "https";
        return https
            .then(|| endpoint.clone())
            .ok_or_else(|| String::from("token_endpoint must begin with https://"));
    }
    let url = Url::parse(&settings.token_uri).map_err(|e| format!("token_uri: {e}"))?;
    let of_google = url
        .host_str()
        .is_some_and(|host| host.ends_with(".googleapis.com"));
    if url.scheme() == "https" && of_google {
        Ok(url)
    } else {
        Err(String::from(
            "token_uri is not an https address of googleapis.com; set token_endpoint to ask elsewhere",
        ))
    }
}

fn sign(key: &EncodingKey, settings: &apps::Fcm, now: Timestamp) -> Result<String, String> {
    let header = Header {
        kid: Some(settings.private_key_id.clone()),
        ..Header::new(Algorithm::RS256)
    };
    let claims = Claims {
        iss: &settings.client_email,
        scope: SCOPE,
        aud: &settings.token_uri,
        iat: now.as_secs(),
        exp: now.plus(ASSERTION_LIFE).as_secs(),
    };
    jsonwebtoken::encode(&header, &claims, key).map_err(|e| e.to_string())
}

fn body<'a>(registration: &'a str, message: &'a FcmMessage) -> Body<'a> {
    let shown = message.notification.as_ref();
    Body {
        message: Envelope {
            token: registration,
            data: message
                .data
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect(),
            notification: shown.map(|shown| Shown {
                title: &shown.title,
                body: shown.body.as_deref(),
            }),
            android: Android {
                priority: if message.high { "high" } else { "normal" },
                ttl: format!("{}s", message.ttl.as_secs()),
                notification: shown.map(|shown| Placing {
                    tag: &shown.tag,
                    channel_id: shown.channel_id.as_deref(),
                }),
            },
        },
    }
}

fn read(answer: &Answer, proven: bool, now: Timestamp) -> (Step, ServiceAnswer) {
    let error = ErrorBody::read(&answer.body);
    let (step, reason, id) = if answer.status == 200 && (error.name.is_some() || is_cut(answer)) {
        (Step::Done(Verdict::Accepted), None, error.name)
    } else {
        let step = match step(answer.status, &error, proven) {
            Step::Done(Verdict::Retry { after, scope }) => {
                answer::retry(retry_after(answer, now).or(after), scope)
            }
            settled => settled,
        };
        // A proxy's page says something, too.
        let page = || String::from_utf8_lossy(&answer.body).into_owned();
        (step, Some(error.words().unwrap_or_else(page)), None)
    };
    let answer = ServiceAnswer {
        status: answer.status,
        reason: reason.as_deref().and_then(words),
        id: id.as_deref().and_then(words),
    };
    (step, answer)
}

/// Whether the body names a message as far as it goes, and breaks off. The status has said that it was taken; only its
/// name is not known.
fn is_cut(answer: &Answer) -> bool {
    let body = &answer.body;
    let said = body.iter().filter(|byte| !byte.is_ascii_whitespace());
    let names = said.zip(NAMED).all(|(byte, named)| byte == named);
    let read = serde_json::from_slice::<serde::de::IgnoredAny>(body);
    let breaks_off = read.is_err_and(|error| error.is_eof());
    // Without a word of it, one that is whole is somebody else's.
    names && breaks_off && !(body.is_empty() && answer.whole)
}

/// The table of FCM's answers: the error code first, then the status (Firebase, "ErrorCode"). `proven` says whether
/// this project ever took a push.
fn step(status: u16, error: &ErrorBody, proven: bool) -> Step {
    let gone = Step::Done(Verdict::Gone { since: None });
    let misconfigured = Step::Done(Verdict::Misconfigured);
    match (status, error.code.as_deref().unwrap_or_default()) {
        (400, _) if error.blames_token() => gone,
        (401, "THIRD_PARTY_AUTH_ERROR") => misconfigured,
        (401, _) => Step::Again(Again::NewCredential),
        (403, "SENDER_ID_MISMATCH") | (404, "UNREGISTERED") => gone,
        (404, _) if proven => gone,
        (403 | 404, _) => misconfigured,
        (429, _) if error.spent_by_device => answer::retry(Some(QUOTA_WAIT), Scope::Channel),
        (429, _) => answer::retry(Some(QUOTA_WAIT), Scope::Lane),
        (408 | 500, _) => answer::retry(None, Scope::Unsaid),
        // Google names each message that it takes: this is somebody else's page.
        (200, _) => answer::retry(None, Scope::Lane),
        (501.., _) => answer::retry(None, Scope::Lane),
        _ => Step::Done(Verdict::Rejected),
    }
}

#[cfg(test)]
mod tests;
