//! Windows Push Notification Services: HTTP/1.1 with a token of Entra ID for apps of the Windows App SDK, of the older
//! login for those whose credentials come from the Partner Center (Microsoft, "Push notification service request and
//! response headers", "Quickstart: push notifications in the Windows App SDK", "Windows Push Notification Services
//! overview"). The two are not interchangeable: channels of one kind of app take tokens of its own login alone.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use bytes::Bytes;
use url::Url;
use uuid::Uuid;

use super::{
    answer::{self, Attempt, Step, dropped, retry_after, unanswered, unsent, words},
    message::{WnsKind, WnsMessage},
    outcome::{Again, Outcome, Scope, Verdict},
    token::{self, Ask, Tokens},
};
use crate::{
    config::apps,
    egress::{Answer, Client, Policy, Protocol, Reach, Request, Resolver, Settings},
    model::{ServiceAnswer, Timestamp},
};

/// The only hosts that Microsoft's channels have. Whoever else got our access token could push to all our users.
pub(super) const KNOWN_HOSTS: [&str; 1] = ["*.notify.windows.com"];

/// What the token is for, at Entra and at the older login.
const SCOPE: &str = "https://wns.windows.com/.default";
const OLDER_SCOPE: &str = "notify.windows.com";

/// Where the older login gives tokens.
const OLDER_LOGIN: &str = "https://login.live.com/accesstoken.srf";

/// What WNS puts on its answers, each time at least one of them.
const ANSWER_HEADERS: [&str; 6] = [
    "x-wns-status",
    "x-wns-notificationstatus",
    "x-wns-msg-id",
    "x-wns-deviceconnectionstatus",
    "x-wns-debug-trace",
    "x-wns-error-description",
];

/// The wait after `channelthrottled`, which names none.
const CHANNEL_WAIT: Duration = Duration::from_secs(600);

/// The wait after a throttled app, where the answer names none.
const APP_WAIT: Duration = Duration::from_secs(300);

/// WNS for one app.
pub struct Wns {
    client: Client,
    tokens: Tokens,
    /// Whether a push was ever taken: then a 403 is about the channel and not about the app.
    proven: AtomicBool,
    /// Whether the credentials are the Partner Center's.
    older: bool,
}

impl Wns {
    /// Prepares the adapter; opens no connection yet.
    ///
    /// # Errors
    /// A sentence that begins with the setting at fault: `tenant_id`, `token_endpoint` (not https), or `ca_file`.
    pub fn new(settings: Arc<apps::Wns>) -> Result<Self, String> {
        Self::with_resolver(settings, Resolver::System)
    }

    /// As [`Wns::new`], with look-ups of Microsoft's names and of channels' hosts answered by `resolver`.
    ///
    /// # Errors
    /// As [`Wns::new`].
    pub fn with_resolver(settings: Arc<apps::Wns>, resolver: Resolver) -> Result<Self, String> {
        let ca = settings.ca.as_ref().map(|pem| pem.as_slice());
        let login = Settings {
            protocol: Protocol::Either,
            reach: Reach::Trusted,
            resolver: resolver.clone(),
            first_alone: false,
        };
        let channels = Settings {
            protocol: Protocol::Http1,
            reach: Reach::Checked(Policy::new(&KNOWN_HOSTS, &settings.allowed_hosts)),
            resolver,
            first_alone: false,
        };
        let login = Client::new(login, ca)?;
        let client = Client::new(channels, ca)?;
        let url = token_url(&settings)?;
        login
            .admits(&url)
            .map_err(|fault| format!("token_endpoint {fault}"))?;
        Ok(Self {
            client,
            older: settings.tenant_id.is_none(),
            tokens: Tokens::new(login, ask(settings, url)),
            proven: AtomicBool::new(false),
        })
    }

    /// Sends one push to a channel URI. `id` becomes the correlation vector.
    pub async fn send(
        &self,
        channel_uri: &str,
        message: &WnsMessage,
        id: Uuid,
        now: Timestamp,
    ) -> Outcome {
        let request = match Url::parse(channel_uri) {
            Ok(url) => request(url, message),
            Err(e) => return unsent(Verdict::Rejected, &format!("the channel URI: {e}")),
        };
        let numbered = |attempt| request.clone().header("ms-cv", correlation(id, attempt));
        let first = self.attempt(numbered(0), now).await;
        answer::twice(first, async |_| self.attempt(numbered(1), now).await).await
    }

    /// Asks for a token again, whatever was said before.
    pub(super) fn try_again(&self) {
        self.tokens.try_again();
    }

    /// Fetches an access token, which proves tenant, client and secret; gives a line that says so.
    ///
    /// # Errors
    /// What is wrong and what to do about it.
    pub async fn check(&self, now: Timestamp) -> Result<String, String> {
        match self.tokens.check(now).await {
            Ok(life) => Ok(format!(
                "{} gave an access token for {} s",
                if self.older {
                    "Microsoft's older login"
                } else {
                    "Entra"
                },
                life.as_secs()
            )),
            Err(outcome) if self.older => Err(answer::complaint(
                &outcome,
                token::PLACE,
                "compare client_id (the Package SID) and the secret with the Partner Center; an app of the Windows App SDK needs Entra's credentials and tenant_id",
            )),
            Err(outcome) => Err(answer::complaint(
                &outcome,
                token::PLACE,
                "compare tenant_id, client_id and the secret (it may have expired) with Entra's app registration",
            )),
        }
    }

    async fn attempt(&self, request: Request, now: Timestamp) -> Attempt {
        let token = self.tokens.get(now).await?;
        let request = request.header("authorization", token.bearer.expose());
        // The client looks at the host again before it sends. The URI came from outside: what its host does concerns
        // this channel alone, until it has answered as WNS.
        let answer = self.client.send(&request).await;
        let answer = answer.map_err(|failure| unanswered(&failure, Scope::Unsaid))?;
        let (step, said) = read(&answer, self.proven.load(Ordering::Relaxed), now);
        match step {
            Step::Again(Again::NewCredential) => self.tokens.discard(token.number),
            Step::Done(Verdict::Accepted) => self.proven.store(true, Ordering::Relaxed),
            _ => {}
        }
        Ok((step, said))
    }
}

/// Where tokens are asked for (Microsoft, "Quickstart: push notifications in the Windows App SDK").
fn token_url(settings: &apps::Wns) -> Result<Url, String> {
    if let Some(endpoint) = &settings.token_endpoint {
        return Ok(endpoint.clone());
    }
    let Some(tenant) = &settings.tenant_id else {
        return Url::parse(OLDER_LOGIN).map_err(|e| e.to_string());
    };
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
    if tenant.is_empty() || !tenant.bytes().all(fits) {
        return Err(String::from("tenant_id is neither a GUID nor a domain"));
    }
    let url = format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token");
    Url::parse(&url).map_err(|e| format!("tenant_id: {e}"))
}

/// Writes the token request (RFC 6749, section 4.4, in the dress of Entra ID or of the older login).
fn ask(settings: Arc<apps::Wns>, url: Url) -> Ask {
    let scope = match settings.tenant_id {
        Some(_) => SCOPE,
        None => OLDER_SCOPE,
    };
    Box::new(move |_| {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &settings.client_id)
            .append_pair("client_secret", settings.client_secret.expose())
            .append_pair("scope", scope)
            .finish();
        Ok(Request::post(url.clone(), Bytes::from(form))
            .header("content-type", "application/x-www-form-urlencoded"))
    })
}

fn request(url: Url, message: &WnsMessage) -> Request {
    let request = Request::post(url, message.body.clone())
        .within(message.ttl)
        .header("x-wns-priority", message.priority.to_string())
        .header("x-wns-ttl", message.ttl.as_secs().to_string())
        .header("x-wns-requestforstatus", "true");
    match message.kind {
        WnsKind::Raw => request
            .header("x-wns-type", "wns/raw")
            .header("x-wns-cache-policy", "cache")
            .header("content-type", "application/octet-stream"),
        WnsKind::Toast => request
            .header("x-wns-type", "wns/toast")
            .header("content-type", "text/xml"),
    }
}

/// A correlation vector: 22 characters of base64 that stay the same for one push, and the number of its attempt.
fn correlation(id: Uuid, attempt: u8) -> String {
    format!("{}.{attempt}", STANDARD_NO_PAD.encode(id.as_bytes()))
}

fn read(answer: &Answer, proven: bool, now: Timestamp) -> (Step, ServiceAnswer) {
    let status = answer
        .header("x-wns-status")
        .or_else(|| answer.header("x-wns-notificationstatus"))
        .unwrap_or_default();
    let said = answer
        .header("x-wns-error-description")
        .or(answer.phrase.as_deref())
        .unwrap_or(status);
    let page = String::from_utf8_lossy(&answer.body);
    let (step, said) = match step(answer.status, status, said, proven) {
        Step::Done(Verdict::Retry { after, scope }) => {
            let step = answer::retry(retry_after(answer, now).or(after), scope);
            (step, said)
        }
        // WNS says who it is, and its bodies are empty: this is somebody else's page.
        Step::Done(Verdict::Accepted) if !is_of_wns(answer) => {
            (answer::retry(retry_after(answer, now), Scope::Lane), &*page)
        }
        settled => (settled, said),
    };
    if !matches!(step, Step::Done(Verdict::Accepted)) {
        // What Microsoft's support asks for.
        let header = |name| answer.header(name).and_then(words);
        tracing::info!(
            status = answer.status,
            msg_id = header("x-wns-msg-id"),
            debug_trace = header("x-wns-debug-trace"),
            ms_cv = header("ms-cv"),
            device = header("x-wns-deviceconnectionstatus"),
            "what WNS said besides"
        );
    }
    let answer = ServiceAnswer {
        status: answer.status,
        reason: match step {
            Step::Done(Verdict::Dropped) => dropped(answer.header("x-wns-error-description")),
            _ => words(said),
        },
        id: answer.header("x-wns-msg-id").and_then(words),
    };
    (step, answer)
}

fn is_of_wns(answer: &Answer) -> bool {
    let mut headers = ANSWER_HEADERS.iter();
    headers.any(|name| answer.header(name).is_some())
}

/// The table of WNS's answers (Microsoft, "Push notification service request and response headers"). `status` is
/// `X-WNS-Status`, `said` the error's description, `proven` whether WNS ever took a push of this app.
fn step(http: u16, status: &str, said: &str, proven: bool) -> Step {
    let gone = Step::Done(Verdict::Gone { since: None });
    let misconfigured = Step::Done(Verdict::Misconfigured);
    match (http, status) {
        (200, "dropped") => Step::Done(Verdict::Dropped),
        (200, "channelthrottled") => answer::retry(Some(CHANNEL_WAIT), Scope::Channel),
        (200..=204, _) => Step::Done(Verdict::Accepted),
        (401, _) => Step::Again(Again::NewCredential),
        (403, _) if proven => gone,
        (403, _) => misconfigured,
        // Our sending domain is blocked for abuse: the channels are well.
        (410, _) if said.to_ascii_lowercase().contains("domain blocked") => misconfigured,
        (404 | 410, _) => gone,
        (406 | 429, _) => answer::retry(Some(APP_WAIT), Scope::Lane),
        (408 | 412 | 500, _) => answer::retry(None, Scope::Unsaid),
        (501.., _) => answer::retry(None, Scope::Lane),
        _ => Step::Done(Verdict::Rejected),
    }
}

impl fmt::Debug for Wns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wns(…)")
    }
}

#[cfg(test)]
mod tests;
