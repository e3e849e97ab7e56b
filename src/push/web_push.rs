//! Web Push (RFC 8030), encrypted (RFC 8291) and signed (RFC 8292), as four families of services speak it: Mozilla's
//! autopush, FCM, Apple and Windows. Each refuses in its own words; `step` knows them all.

use std::{fmt, sync::Arc, time::Duration};

use serde::Deserialize;
use url::Url;

pub use super::vapid::VapidKey;
use super::{
    answer::{self, Attempt, Step, dropped, retry_after, unanswered, unsent, words},
    encrypt::encrypt,
    message::WebPushMessage,
    outcome::{Again, Outcome, Scope, Verdict},
    vapid::{Credential, Credentials, origin},
};
use crate::{
    config::{apps, is_contact},
    egress::{Answer, Client, Failure, Policy, Protocol, Reach, Request, Resolver, Settings},
    model::{Passing, ServiceAnswer, Timestamp, WebPushKeys},
};

/// The push services of the browsers; others need the operator's word (`allowed_hosts`).
pub(super) const KNOWN_HOSTS: [&str; 5] = [
    "fcm.googleapis.com",
    // Chromium built without Google's keys.
    "jmt17.google.com",
    "*.push.services.mozilla.com",
    "*.push.apple.com",
    "*.notify.windows.com",
];

/// The status of a push that is too long for the service.
const TOO_LONG: u16 = 413;

/// FCM's words for a subscription that it does not take, for a while or for good.
const INVALID_ENDPOINT: &str = "invalid push subscription endpoint";

/// The wait after Windows' `channelthrottled`, which names none.
const THROTTLED_WAIT: Duration = Duration::from_secs(600);

/// Web Push for one app.
pub struct WebPush {
    subject: String,
    key: VapidKey,
    older: Vec<VapidKey>,
    client: Client,
    credentials: Credentials,
}

/// A browser's subscription.
#[derive(Debug, Clone, Copy)]
pub struct Subscription<'a> {
    /// The push resource.
    pub endpoint: &'a str,
    /// The user agent's keys.
    pub keys: &'a WebPushKeys,
    /// The VAPID key that the subscription was made with, where it is not the present one.
    pub vapid_public_key: Option<&'a [u8]>,
}

impl WebPush {
    /// Prepares the adapter; opens no connection yet. `key` signs for new subscriptions; `older` ones for those that
    /// were made with them.
    ///
    /// # Errors
    /// A sentence that begins with the setting at fault: `subject` (neither `mailto:` nor `https:`, or one that push
    /// services refuse) or `ca_file`.
    pub fn new(
        settings: Arc<apps::WebPush>,
        key: VapidKey,
        older: Vec<VapidKey>,
    ) -> Result<Self, String> {
        Self::with_resolver(settings, key, older, Resolver::System)
    }

    /// As [`WebPush::new`], with look-ups of names answered by `resolver`.
    ///
    /// # Errors
    /// As [`WebPush::new`].
    pub fn with_resolver(
        settings: Arc<apps::WebPush>,
        key: VapidKey,
        older: Vec<VapidKey>,
        resolver: Resolver,
    ) -> Result<Self, String> {
        check_subject(&settings.subject)?;
        let client = Client::new(
            Settings {
                protocol: Protocol::Either,
                reach: Reach::Checked(policy(&settings)),
                resolver,
                first_alone: false,
            },
            settings.ca.as_ref().map(|pem| pem.as_slice()),
        )?;
        Ok(Self {
            subject: settings.subject.clone(),
            key,
            older,
            client,
            credentials: Credentials::default(),
        })
    }

    /// Sends one push to a subscription. A service may take less than RFC 8030 says, above all one that hands it on to
    /// another: what it finds too long goes out once more without title and body, which the device pulls.
    pub async fn send(
        &self,
        to: Subscription<'_>,
        message: &WebPushMessage,
        now: Timestamp,
    ) -> Outcome {
        let outcome = self.send_body(to, (message, &message.plaintext), now).await;
        let bare = message.bare.as_ref();
        let Some(bare) = bare.filter(|_| outcome.answer.status == TOO_LONG) else {
            return outcome;
        };
        Outcome {
            again: Some(Again::WithoutText),
            ..self.send_body(to, (message, bare), now).await
        }
    }

    async fn send_body(
        &self,
        to: Subscription<'_>,
        (message, plaintext): (&WebPushMessage, &[u8]),
        now: Timestamp,
    ) -> Outcome {
        let (key, request) = match self.seal(to, (message, plaintext)) {
            Ok(sealed) => sealed,
            Err(outcome) => return outcome,
        };
        let topic = message.topic.as_deref();
        let first = self.attempt(key, &with_topic(&request, topic), now).await;
        let second = async |again| {
            let topic = topic.filter(|_| again != Again::WithoutTopic);
            self.attempt(key, &with_topic(&request, topic), now).await
        };
        let mut outcome = answer::twice(first, second).await;
        let said = outcome.answer.reason.as_deref().unwrap_or_default();
        if is_called_invalid(outcome.answer.status, said) {
            outcome.passing = Some(Passing::Invalid);
        }
        outcome
    }

    /// All that [`WebPush::send`] does before a push leaves: the request, encrypted and signed. So that a bench can
    /// measure it without a network.
    ///
    /// # Errors
    /// What becomes of a push that cannot leave.
    pub fn prepare(
        &self,
        to: Subscription<'_>,
        message: &WebPushMessage,
        now: Timestamp,
    ) -> Result<Request, Outcome> {
        let (key, request) = self.seal(to, (message, &message.plaintext))?;
        let request = with_topic(&request, message.topic.as_deref());
        let origin = origin(request.url());
        let (request, _) = self.sign((key, &origin), &request, now)?;
        Ok(request)
    }

    /// Signs a VAPID token; sends nothing, since without a subscription there is nobody to ask. Gives a line that
    /// says what was proved.
    ///
    /// # Errors
    /// What is wrong and what to do about it.
    pub fn check(&self, now: Timestamp) -> Result<String, String> {
        self.credentials
            .get(&self.key, "https://push.example.net", &self.subject, now)?;
        Ok(format!(
            "the VAPID key signs, for {}, as {}",
            self.subject,
            self.key.public_key_base64url()
        ))
    }

    fn key_of(&self, to: Subscription<'_>) -> Option<&VapidKey> {
        let Some(public) = to.vapid_public_key else {
            return Some(&self.key);
        };
        let mut keys = std::iter::once(&self.key).chain(&self.older);
        keys.find(|key| key.public_key() == public)
    }

    /// All of a request but topic and credential, and the key that its credential is signed with.
    fn seal(
        &self,
        to: Subscription<'_>,
        message: (&WebPushMessage, &[u8]),
    ) -> Result<(&VapidKey, Request), Outcome> {
        let key = self.key_of(to).ok_or_else(|| {
            // Its service takes no other. The operator may give the key again; it says nothing of other subscriptions.
            let wait = Verdict::Retry {
                after: None,
                scope: Scope::Channel,
            };
            unsent(wait, "not sent: the subscription was made with a VAPID key that the settings have no longer; the device has to subscribe again")
        })?;
        let request = request(to, message).map_err(|fault| unsent(Verdict::Rejected, &fault))?;
        Ok((key, request))
    }

    /// Adds the credential.
    fn sign(
        &self,
        (key, origin): (&VapidKey, &str),
        request: &Request,
        now: Timestamp,
    ) -> Result<(Request, Credential), Outcome> {
        let credential = self.credentials.get(key, origin, &self.subject, now);
        let credential = credential.map_err(|fault| unsent(Verdict::Misconfigured, &fault))?;
        let request = request
            .clone()
            .header("authorization", credential.header.expose());
        Ok((request, credential))
    }

    async fn attempt(&self, key: &VapidKey, request: &Request, now: Timestamp) -> Attempt {
        let origin = origin(request.url());
        let (request, credential) = self.sign((key, &origin), request, now)?;
        // A host that came from outside: what it does concerns its own channels alone.
        let answer = self.client.send(&request).await;
        let answer = answer.map_err(|failure| Outcome {
            passing: matches!(failure, Failure::NoWay(_)).then_some(Passing::NoWay),
            ..unanswered(&failure, Scope::Unsaid)
        })?;
        let (step, said) = read(&answer, credential.proven, now);
        match step {
            Step::Again(Again::NewCredential) => {
                self.credentials.discard(key, &origin, &credential);
            }
            Step::Done(Verdict::Accepted) => self.credentials.prove(key, &origin),
            _ => {}
        }
        Ok((step, said))
    }
}

fn check_subject(subject: &str) -> Result<(), String> {
    if is_contact(subject) {
        return Ok(());
    }
    Err(String::from(
        "subject must be mailto:someone@example.com or an https: address, at a host that the internet can reach",
    ))
}

/// Where subscriptions of an app may lead.
pub(super) fn policy(settings: &apps::WebPush) -> Policy {
    Policy::new(&KNOWN_HOSTS, &settings.allowed_hosts).and(settings.hosts)
}

/// All of the request but credential and topic (RFC 8030, section 5; RFC 8188, section 2).
fn request(
    to: Subscription<'_>,
    (message, plaintext): (&WebPushMessage, &[u8]),
) -> Result<Request, String> {
    let url = Url::parse(to.endpoint).map_err(|e| format!("the subscription's endpoint: {e}"))?;
    let body = encrypt(to.keys, plaintext)?;
    Ok(Request::post(url, body)
        .within(message.ttl)
        .header("ttl", message.ttl.as_secs().to_string())
        .header("urgency", message.urgency.as_str())
        .header("content-encoding", "aes128gcm")
        .header("content-type", "application/octet-stream"))
}

fn with_topic(request: &Request, topic: Option<&str>) -> Request {
    let request = request.clone();
    match topic {
        Some(topic) => request.header("topic", topic),
        None => request,
    }
}

/// The JSON of Apple (`reason`) and of autopush (`errno`, `error`, `message`).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    reason: Option<String>,
    message: Option<String>,
}

fn read(answer: &Answer, proven: bool, now: Timestamp) -> (Step, ServiceAnswer) {
    let said = said(answer);
    let status_of_windows = answer.header("x-wns-status");
    let step = match (step(answer.status, &said, proven), status_of_windows) {
        (Step::Done(Verdict::Accepted), Some("dropped")) => Step::Done(Verdict::Dropped),
        (Step::Done(Verdict::Accepted), Some("channelthrottled")) => {
            let wait = retry_after(answer, now).unwrap_or(THROTTLED_WAIT);
            answer::retry(Some(wait), Scope::Channel)
        }
        (Step::Done(Verdict::Retry { scope, .. }), _) => {
            answer::retry(retry_after(answer, now), scope)
        }
        (Step::Done(Verdict::Accepted), None) if is_a_page(answer) => {
            answer::retry(retry_after(answer, now), Scope::Unsaid)
        }
        (settled, _) => settled,
    };
    let id = ["apns-id", "location", "x-wns-msg-id"]
        .iter()
        .find_map(|name| answer.header(name));
    let accepted = step == Step::Done(Verdict::Accepted);
    let answer = ServiceAnswer {
        status: answer.status,
        reason: match step {
            Step::Done(Verdict::Dropped) => dropped(answer.header("x-wns-error-description")),
            _ => words(&said).filter(|_| !accepted),
        },
        id: id.and_then(words),
    };
    (step, answer)
}

/// Whether somebody else answered: what took a push made a resource of it (201, 202), and has no page to show.
fn is_a_page(answer: &Answer) -> bool {
    let media = answer.header("content-type").unwrap_or_default();
    let html = media
        .get(..9)
        .is_some_and(|it| it.eq_ignore_ascii_case("text/html"));
    html && !matches!(answer.status, 201 | 202)
}

/// What the service says about it: in JSON, in Windows' header, or in plain text.
fn said(answer: &Answer) -> String {
    let refusal: Refusal = serde_json::from_slice(&answer.body).unwrap_or_default();
    let header = ["x-wns-error-description", "x-wns-status"]
        .iter()
        .find_map(|name| answer.header(name));
    refusal
        .reason
        .or(refusal.message)
        .or_else(|| header.map(str::to_owned))
        .or_else(|| answer.phrase.clone().filter(|_| answer.body.is_empty()))
        .unwrap_or_else(|| String::from_utf8_lossy(&answer.body).into_owned())
}

/// Whether FCM calls the subscription invalid.
fn is_called_invalid(status: u16, said: &str) -> bool {
    status == 403 && said.to_ascii_lowercase().contains(INVALID_ENDPOINT)
}

/// The table of answers (RFC 8030, sections 5 and 7.3; the words of Apple, autopush, FCM and Windows). `proven` says
/// whether the service ever took a push signed with this key. A wait concerns one
/// subscription, or the service does not say whom: then many of them in a row speak for the host.
fn step(status: u16, said: &str, proven: bool) -> Step {
    let says = |text: &str| said.to_ascii_lowercase().contains(text);
    let other_key = says("vapidpkhashmismatch")
        || says("vapid public key mismatch")
        || says("do not correspond");
    match status {
        200..=204 => Step::Done(Verdict::Accepted),
        410 if says("domain blocked") => Step::Done(Verdict::Misconfigured),
        404 | 410 => Step::Done(Verdict::Gone { since: None }),
        // A subscription made with another key is dead for us, unless it is our key that is the wrong one.
        400 | 401 | 403 if other_key && proven => Step::Done(Verdict::Gone { since: None }),
        400 | 401 | 403 if other_key => Step::Done(Verdict::Misconfigured),
        400 if says("badwebpushtopic") => Step::Again(Again::WithoutTopic),
        400 if says("unauthorizedregistration") => Step::Done(Verdict::Misconfigured),
        // FCM says so now and then of subscriptions that are well.
        403 if is_called_invalid(status, said) => answer::retry(None, Scope::Channel),
        401 | 403 => Step::Again(Again::NewCredential),
        // Nobody was seen lately at the other end of this one subscription (ntfy).
        507 => answer::retry(None, Scope::Channel),
        // Windows throttles with 406.
        406 | 408 | 429 | 500.. => answer::retry(None, Scope::Unsaid),
        // Redirects, too: they are foreseen for subscribing alone.
        _ => Step::Done(Verdict::Rejected),
    }
}

impl fmt::Debug for WebPush {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebPush({:?})", self.key)
    }
}

#[cfg(test)]
mod tests;
