//! Apple Push Notification service: HTTP/2, with a signed token or a client certificate (Apple, "Sending notification
//! requests to APNs", "Establishing a token-based connection to APNs", "Handling notification responses from APNs").
//!
//! The token is signed once and kept for 50 minutes: APNs refuses one older than an hour, and blocks a connection
//! that brings new ones more often than every 20 minutes. So an error never makes us sign anew, except the one that
//! says that the token has expired; and a push takes the token only as it leaves, by a connection that takes no other
//! for as long.

use std::{fmt, sync::Arc, time::Duration};

use serde::Deserialize;
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;

use super::{
    answer::{self, Attempt, Step, retry_after, unanswered, unsent, words},
    message::{ApnsMessage, ApnsPushType},
    outcome::{Again, Outcome, Scope, Verdict},
};
use crate::{
    config::apps::{self, ApnsLogin},
    egress::{Answer, Client, Protocol, Reach, Request, Resolver, Settings},
    model::{ApnsEnvironment, DeviceToken, ServiceAnswer, Timestamp},
};

use signer::Signer;

mod signer;

/// Seconds of a day.
const DAY_SECS: u64 = 24 * 3600;

/// The wait after too many new tokens: those held are as good then, and none is signed meanwhile.
const TOKENS_WAIT: Duration = Duration::from_secs(60);

/// APNs for one team, key and environment: one adapter, one connection, since APNs binds a connection to all three.
pub struct Apns {
    settings: Arc<apps::Apns>,
    base: Url,
    client: Client,
    /// None, with a certificate.
    signer: Option<Arc<Signer>>,
}

/// Whom a push is for.
#[derive(Debug, Clone, Copy)]
pub struct Device<'a> {
    /// Its token.
    pub token: &'a DeviceToken,
    /// The bundle id that the token belongs to, where it is not the app's own.
    pub topic: Option<&'a str>,
}

/// The body of a refusal.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    reason: Option<String>,
    /// Milliseconds; with 410 alone.
    timestamp: Option<u64>,
}

impl Apns {
    /// Prepares the adapter; opens no connection yet.
    ///
    /// # Errors
    /// A sentence that begins with the setting at fault: `key_file` (no PKCS#8 PEM of a P-256 key), `certificate_file`,
    /// `endpoint` (not https) or `ca_file`.
    pub fn new(settings: Arc<apps::Apns>, environment: ApnsEnvironment) -> Result<Self, String> {
        Self::with_resolver(settings, environment, Resolver::System)
    }

    /// As [`Apns::new`], with look-ups of Apple's name answered by `resolver`.
    ///
    /// # Errors
    /// As [`Apns::new`].
    pub fn with_resolver(
        settings: Arc<apps::Apns>,
        environment: ApnsEnvironment,
        resolver: Resolver,
    ) -> Result<Self, String> {
        let host = match environment {
            ApnsEnvironment::Production => "https://api.push.apple.com",
            ApnsEnvironment::Sandbox => "https://api.sandbox.push.apple.com",
        };
        let base = match &settings.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => Url::parse(host).map_err(|e| e.to_string())?,
        };
        let (client, signer) = connect(&settings, resolver)?;
        client
            .admits(&base)
            .map_err(|fault| format!("endpoint {fault}"))?;
        Ok(Self {
            settings,
            base,
            client,
            signer,
        })
    }

    /// Sends one push to `device`. `id` becomes `apns-id`.
    pub async fn send(
        &self,
        device: Device<'_>,
        message: &ApnsMessage,
        id: Uuid,
        now: Timestamp,
    ) -> Outcome {
        let topic = device.topic.unwrap_or(&self.settings.topic);
        let request = self
            .request(device.token, topic, (message, now))
            .header("apns-id", id.to_string());
        // An expiration of 0 means "now or never", which is no time that is over.
        let request = match message.ttl {
            none if none.is_zero() => request,
            ttl => request.within(ttl),
        };
        let request = self.authorized(request, now);
        let first = self.attempt(&request, now).await;
        let again = async |_| self.attempt(&request, now).await;
        let mut outcome = answer::twice(first, again).await;
        // A topic that the client named is the client's fault, and no reason to stop everyone's pushes.
        let about_topic = matches!(
            outcome.answer.reason.as_deref(),
            Some("BadTopic" | "TopicDisallowed" | "MissingTopic")
        );
        if about_topic && topic != self.settings.topic {
            outcome.verdict = Verdict::Rejected;
        }
        outcome
    }

    /// Proves key, team and topic by a push to a device token that Apple cannot have issued: only a sender whose
    /// token is in order is told `BadDeviceToken`. Gives a line that says what was proved.
    ///
    /// # Errors
    /// What is wrong and what to do about it.
    pub async fn check(&self, now: Timestamp) -> Result<String, String> {
        self.ended(now)?;
        let token = DeviceToken::parse(&"00".repeat(32)).ok_or("no device token to check with")?;
        let device = Device {
            token: &token,
            topic: None,
        };
        let message = ApnsMessage {
            push_type: ApnsPushType::Background,
            priority: 5,
            collapse_id: String::from("check"),
            ttl: Duration::ZERO,
            payload: bytes::Bytes::from_static(br#"{"aps":{"content-available":1}}"#),
        };
        let outcome = self.send(device, &message, Uuid::new_v4(), now).await;
        let host = self.base.host_str().unwrap_or_default();
        match outcome.answer.reason.as_deref() {
            Some("BadDeviceToken") => match &self.settings.login {
                ApnsLogin::Token { .. } => Ok(format!("{host} took the key and the topic")),
                ApnsLogin::Certificate(certificate) => Ok(format!(
                    "{host} took the certificate and the topic; the certificate ends at {}, in {} days",
                    certificate.facts.expires,
                    certificate.facts.expires.since(now).as_secs() / DAY_SECS
                )),
            },
            _ => {
                let port = self.base.port_or_known_default().unwrap_or_default();
                let place = format!("{host}:{port}");
                Err(answer::complaint(
                    &outcome,
                    (&place, "endpoint"),
                    remedy(&outcome),
                ))
            }
        }
    }

    fn request(
        &self,
        device: &DeviceToken,
        topic: &str,
        (message, now): (&ApnsMessage, Timestamp),
    ) -> Request {
        let expiration = match message.ttl {
            none if none.is_zero() => 0,
            ttl => now.plus(ttl).as_secs(),
        };
        let mut url = self.base.clone();
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{path}/3/device/{}", device.as_hex()));
        Request::post(url, message.payload.clone())
            .header("apns-topic", topic)
            .header("apns-push-type", message.push_type.as_str())
            .header("apns-priority", message.priority.to_string())
            .header("apns-expiration", expiration.to_string())
            .header("apns-collapse-id", &message.collapse_id)
    }

    /// Has the request ask for the token as it leaves.
    fn authorized(&self, request: Request, now: Timestamp) -> Request {
        let Some(signer) = self.signer.clone() else {
            return request;
        };
        let began = Instant::now();
        request.authorized_by(move || signer.token(now.plus(began.elapsed())))
    }

    /// Says so if the certificate has ended. Apple breaks off the handshake then, which would look like any lost connection.
    fn ended(&self, now: Timestamp) -> Result<(), String> {
        match &self.settings.login {
            ApnsLogin::Certificate(certificate) if certificate.facts.expires <= now => {
                Err(format!(
                    "{} at {}; make a new one at developer.apple.com",
                    ServiceAnswer::ENDED,
                    certificate.facts.expires
                ))
            }
            _ => Ok(()),
        }
    }

    async fn attempt(&self, request: &Request, now: Timestamp) -> Attempt {
        self.ended(now)
            .map_err(|fault| unsent(Verdict::Misconfigured, &fault))?;
        let answer = self.client.send(request).await;
        let answer = answer.map_err(|failure| unanswered(&failure, Scope::Lane))?;
        let (step, said) = read(&answer, now);
        if ends_connection(answer.status, said.reason.as_deref()) {
            self.client.retire(request.url(), answer.connection);
        }
        // Called too old though it is young: the clock is wrong, and signing on and on would not mend it.
        let renewed = match &self.signer {
            _ if step != Step::Again(Again::NewCredential) => true,
            Some(signer) => signer.discard(answer.credential, now),
            None => false,
        };
        if renewed {
            Ok((step, said))
        } else {
            Ok((Step::Done(Verdict::Misconfigured), said))
        }
    }
}

/// The client, and who signs its tokens where it has no certificate.
fn connect(
    settings: &apps::Apns,
    resolver: Resolver,
) -> Result<(Client, Option<Arc<Signer>>), String> {
    let ca = settings.ca.as_ref().map(|pem| pem.as_slice());
    let rules = |first_alone| Settings {
        protocol: Protocol::Http2,
        reach: Reach::Trusted,
        resolver,
        first_alone,
    };
    match &settings.login {
        ApnsLogin::Certificate(certificate) => {
            let client = Client::with_certificate(rules(false), ca, certificate)?;
            Ok((client, None))
        }
        ApnsLogin::Token {
            key,
            key_id,
            team_id,
        } => {
            let signer = Signer::new(key, key_id, team_id)?;
            Ok((Client::new(rules(true), ca)?, Some(Arc::new(signer))))
        }
    }
}

fn read(answer: &Answer, now: Timestamp) -> (Step, ServiceAnswer) {
    let refusal: Refusal = serde_json::from_slice(&answer.body).unwrap_or_default();
    let reason = refusal.reason.as_deref().unwrap_or_default();
    let step = match step(answer.status, reason) {
        Step::Done(Verdict::Gone { .. }) => Step::Done(Verdict::Gone {
            since: refusal.timestamp.map(Timestamp::from_millis),
        }),
        Step::Done(Verdict::Retry { after, scope }) => {
            answer::retry(retry_after(answer, now).or(after), scope)
        }
        // Apple names each push that it takes: this is somebody else's page.
        Step::Done(Verdict::Accepted) if answer.header("apns-id").is_none() => {
            answer::retry(retry_after(answer, now), Scope::Lane)
        }
        settled => settled,
    };
    // Something between us and Apple may answer in its own words.
    let said = refusal
        .reason
        .unwrap_or_else(|| String::from_utf8_lossy(&answer.body).into_owned());
    let said = ServiceAnswer {
        status: answer.status,
        reason: words(&said),
        id: answer.header("apns-id").and_then(words),
    };
    (step, said)
}

/// The table of Apple's answers ("Handling notification responses from APNs").
fn step(status: u16, reason: &str) -> Step {
    let unsaid = answer::retry(None, Scope::Unsaid);
    let lane = answer::retry(None, Scope::Lane);
    let gone = Step::Done(Verdict::Gone { since: None });
    match (status, reason) {
        (200, _) => Step::Done(Verdict::Accepted),
        (400, "BadDeviceToken" | "DeviceTokenNotForTopic") => gone,
        (400, "BadTopic" | "MissingTopic" | "TopicDisallowed") => {
            Step::Done(Verdict::Misconfigured)
        }
        (400, "IdleTimeout") => unsaid,
        (403, "ExpiredProviderToken") => Step::Again(Again::NewCredential),
        (403, "UnrelatedKeyIdInToken") => Step::Again(Again::NewConnection),
        (403, _) => Step::Done(Verdict::Misconfigured),
        // Only with Apple's own word: a gateway's bare 410 says nothing about the token.
        (410, "Unregistered" | "ExpiredToken") => gone,
        (429, "TooManyProviderTokenUpdates") => answer::retry(Some(TOKENS_WAIT), Scope::Lane),
        (429, "TooManyRequests") => answer::retry(None, Scope::Channel),
        (408 | 429 | 500, _) => unsaid,
        (501.., _) => lane,
        _ => Step::Done(Verdict::Rejected),
    }
}

/// After which answers the connection is of no more use: the token's, the key's and the server's own farewells.
fn ends_connection(status: u16, reason: Option<&str>) -> bool {
    status == 503
        || matches!(
            reason,
            Some("ExpiredProviderToken" | "UnrelatedKeyIdInToken" | "IdleTimeout" | "Shutdown")
        )
}

fn remedy(outcome: &Outcome) -> &'static str {
    match outcome.answer.reason.as_deref().unwrap_or_default() {
        "InvalidProviderToken" => {
            "compare key_file, key_id and team_id with Apple's developer site"
        }
        "ExpiredProviderToken" => "set this machine's clock right",
        "BadTopic" | "TopicDisallowed" | "MissingTopic" | "DeviceTokenNotForTopic" => {
            "set topic to the app's bundle id"
        }
        "BadEnvironmentKeyIdInToken" | "BadEnvironmentKeyInToken" => {
            "the key is for the other environment: use another key or set environment"
        }
        "BadCertificate" | "BadCertificateEnvironment" | "Forbidden" => {
            "see that the certificate is for this topic and environment, and not revoked"
        }
        _ => "see Apple's page on handling notification responses",
    }
}

impl fmt::Debug for Apns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Apns({})", self.base)
    }
}

#[cfg(test)]
mod tests;
