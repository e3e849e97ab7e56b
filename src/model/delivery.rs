//! The fate of one notification on one endpoint.

use super::{ChangeKind, ChannelKind, EndpointId, Handling, Platform, Timestamp};

/// How far a notification has come on one endpoint. Each later rung of the ladder raises the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeliveryStatus {
    /// Nothing has left yet.
    Pending,
    /// Nothing will leave; the reason says why.
    Skipped,
    /// The push service refused it for good.
    Failed,
    /// The channel is dead.
    Gone,
    /// The push service took a tap at or after it.
    Tapped,
    /// The endpoint pulled past it.
    Fetched,
    /// The endpoint put it before the person's eyes.
    Shown,
    /// The person did something with it there.
    Acted,
    /// Its time was over first.
    Expired,
}

impl DeliveryStatus {
    /// All there are.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Skipped,
        Self::Failed,
        Self::Gone,
        Self::Tapped,
        Self::Fetched,
        Self::Shown,
        Self::Acted,
        Self::Expired,
    ];

    /// The name as the contract writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Gone => "gone",
            Self::Tapped => "tapped",
            Self::Fetched => "fetched",
            Self::Shown => "shown",
            Self::Acted => "acted",
            Self::Expired => "expired",
        }
    }
}

/// Why a delivery stands where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The notification was not meant for this platform.
    NotTargeted,
    /// The endpoint has no push channel.
    NoChannel,
    /// The endpoint itself did it.
    OwnChange,
    /// The endpoint was not heard of for too long.
    EndpointExpired,
    /// Its push service called the channel dead, or nothing came of it for days.
    ChannelGone,
    /// It was dealt with elsewhere before a tap was taken, so there is nothing to show.
    Handled,
    /// It waits for a tap that is about to leave, or under way.
    Coalescing,
    /// The endpoint has an open stream.
    Streaming,
    /// An earlier tap has not been answered yet.
    Unanswered,
    /// The platform allows no more silent pushes for now.
    SilentBudget,
    /// The push service asked to wait, or failed.
    Retry,
    /// The lane to the push service stands still.
    ServiceStopped,
    /// A later tap covers it.
    Coalesced,
    /// The endpoint did not ask to be tapped for changes of state.
    NoStateSync,
}

impl Reason {
    /// Whether it is told also of what came to the device all the same: not what it waited for, or that its time is over
    /// since.
    pub fn stays(self) -> bool {
        !matches!(
            self,
            Self::EndpointExpired
                | Self::Coalescing
                | Self::Streaming
                | Self::Unanswered
                | Self::SilentBudget
                | Self::Retry
                | Self::ServiceStopped
        )
    }

    /// All there are.
    pub const ALL: [Self; 14] = [
        Self::NotTargeted,
        Self::NoChannel,
        Self::OwnChange,
        Self::EndpointExpired,
        Self::ChannelGone,
        Self::Handled,
        Self::Coalescing,
        Self::Streaming,
        Self::Unanswered,
        Self::SilentBudget,
        Self::Retry,
        Self::ServiceStopped,
        Self::Coalesced,
        Self::NoStateSync,
    ];

    /// The name as the contract writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotTargeted => "notTargeted",
            Self::NoChannel => "noChannel",
            Self::OwnChange => "ownChange",
            Self::EndpointExpired => "endpointExpired",
            Self::ChannelGone => "channelGone",
            Self::Handled => "handled",
            Self::Coalescing => "coalescing",
            Self::Streaming => "streaming",
            Self::Unanswered => "unanswered",
            Self::SilentBudget => "silentBudget",
            Self::Retry => "retry",
            Self::ServiceStopped => "serviceStopped",
            Self::Coalesced => "coalesced",
            Self::NoStateSync => "noStateSync",
        }
    }
}

/// The push service's own words about one push.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceAnswer {
    /// The HTTP status; 0 where no answer came.
    pub status: u16,
    /// The reason as the service (or, without an answer, the connection) gave it; at most 200 bytes.
    pub reason: Option<String>,
    /// The service's id of the push.
    pub id: Option<String>,
}

impl ServiceAnswer {
    /// How the reason begins where the service took a push and dropped it.
    pub const DROPPED: &str = "dropped";
    /// How the reason begins where the service was asked, or its token endpoint, and did not answer.
    const UNANSWERED: [&str; 4] = ["timeout", Self::LOST, "connection:", Self::LOGIN];
    /// How it begins where the token endpoint said so: what it refuses, it refuses for all.
    const LOGIN: &str = "token endpoint:";
    /// How it begins where the certificate that the hub shows has ended.
    pub const ENDED: &str = "the certificate in certificate_file ended";
    /// Apple's words for a certificate that it does not take, whatever device a push is for.
    const CERTIFICATE: [&str; 2] = ["BadCertificate", "BadCertificateEnvironment"];
    /// How it begins where the connection broke before the answer was there.
    pub const LOST: &str = "answer lost:";

    /// Whether the service was not asked at all: the reason says why.
    pub fn is_unsent(&self) -> bool {
        let asked = Self::UNANSWERED.iter().any(|words| self.begins_with(words));
        self.status == 0 && self.reason.is_some() && !asked
    }

    /// Whether it is about what the hub signs in with, whatever channel a push is for: the token endpoint said it, to
    /// which no channel is known, or it is about the certificate of the connection.
    pub fn is_of_login(&self) -> bool {
        let reason = self.reason.as_deref().unwrap_or_default();
        let refuses = self.status == 403 && Self::CERTIFICATE.contains(&reason);
        let has_ended = self.status == 0 && self.begins_with(Self::ENDED);
        self.begins_with(Self::LOGIN) || refuses || has_ended
    }

    /// Whether no answer came to a push that the service may have read.
    pub fn is_lost(&self) -> bool {
        self.status == 0
            && (self.reason.is_none()
                || self.begins_with("timeout")
                || self.begins_with(Self::LOST))
    }

    /// Whether the service said of a push that was not accepted that it took it (WNS answers 200 and `dropped`). Somebody
    /// else's page with a good status says nothing of the kind.
    pub fn is_dropped(&self) -> bool {
        (200..300).contains(&self.status) && self.begins_with(Self::DROPPED)
    }

    fn begins_with(&self, words: &str) -> bool {
        self.reason
            .as_deref()
            .unwrap_or_default()
            .starts_with(words)
    }

    /// The reason as far as it may stand in a log: the service's code, or our own words about a connection. What else a
    /// service says may quote what it was sent.
    pub fn code(&self) -> &str {
        let text = self.reason.as_deref().unwrap_or_default();
        if self.status == 0 {
            return text;
        }
        let code = text.split(':').next().unwrap_or_default();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if code.len() <= MAX_CODE_BYTES && code.bytes().all(fits) {
            code
        } else {
            ""
        }
    }
}

/// Longer words are no code of any service.
const MAX_CODE_BYTES: usize = 40;

/// A push that is due beside a tap that was taken, and that itself was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwedPush {
    /// When the service refused it for good, where it did.
    pub refused: Option<Timestamp>,
    /// What it waits for, where it does any more.
    pub reason: Option<Reason>,
    /// How often it was tried.
    pub attempts: u32,
    /// What the push service said last.
    pub answer: Option<ServiceAnswer>,
}

impl OwedPush {
    /// How it stands, in the contract's word.
    pub fn status(&self) -> DeliveryStatus {
        match self.refused {
            Some(_) => DeliveryStatus::Failed,
            None => DeliveryStatus::Pending,
        }
    }

    /// The reason as it is told: what waits for nothing any more is about to leave, or under way.
    pub fn told_reason(&self) -> Option<Reason> {
        told(self.status(), self.reason)
    }
}

fn told(status: DeliveryStatus, reason: Option<Reason>) -> Option<Reason> {
    let leaves = status == DeliveryStatus::Pending;
    reason.or(leaves.then_some(Reason::Coalescing))
}

/// How an endpoint is told of a change that it does not know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldChange {
    /// When it changed.
    pub at: Timestamp,
    /// What happened.
    pub kind: ChangeKind,
    /// What became of the tap for it.
    pub telling: Telling,
}

/// What became of the tap for a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Telling {
    /// The push service took one.
    Tapped {
        /// When.
        at: Timestamp,
        /// What it said.
        answer: ServiceAnswer,
    },
    /// It took none yet.
    Owed(OwedPush),
    /// None leaves.
    Skipped(Reason),
}

impl Telling {
    /// How it stands, in the contract's word.
    pub fn status(&self) -> DeliveryStatus {
        match self {
            Self::Tapped { .. } => DeliveryStatus::Tapped,
            Self::Owed(push) => push.status(),
            Self::Skipped(_) => DeliveryStatus::Skipped,
        }
    }

    /// When the push service took the tap.
    pub fn tapped(&self) -> Option<Timestamp> {
        match self {
            Self::Tapped { at, .. } => Some(*at),
            Self::Owed(_) | Self::Skipped(_) => None,
        }
    }

    /// Why it stands there, as it is told.
    pub fn told_reason(&self) -> Option<Reason> {
        match self {
            Self::Tapped { .. } => None,
            Self::Owed(push) => push.told_reason(),
            Self::Skipped(reason) => Some(*reason),
        }
    }

    /// What the push service said last.
    pub fn answer(&self) -> Option<&ServiceAnswer> {
        match self {
            Self::Tapped { answer, .. } => Some(answer),
            Self::Owed(push) => push.answer.as_ref(),
            Self::Skipped(_) => None,
        }
    }

    /// How often one was tried that was not taken.
    pub fn attempts(&self) -> Option<u32> {
        match self {
            Self::Owed(push) => Some(push.attempts),
            Self::Tapped { .. } | Self::Skipped(_) => None,
        }
    }
}

/// One line of a delivery report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Which endpoint.
    pub endpoint: EndpointId,
    /// Its platform.
    pub platform: Platform,
    /// Its kind of channel.
    pub channel: ChannelKind,
    /// How far it has come.
    pub status: DeliveryStatus,
    /// Why it stands there; none, where it is pending and waits for nothing any more.
    pub reason: Option<Reason>,
    /// How it was dealt with, wherever that was.
    pub handling: Option<Handling>,
    /// Whether that was before the endpoint was there.
    pub late: bool,
    /// Since when it is owed.
    pub pending: Timestamp,
    /// When the push service took a tap at or after it.
    pub tapped: Option<Timestamp>,
    /// When the endpoint pulled past it.
    pub fetched: Option<Timestamp>,
    /// When the endpoint showed it.
    pub shown: Option<Timestamp>,
    /// When the person acted on it there.
    pub acted: Option<Timestamp>,
    /// When its fallback was sent.
    pub fell_back: Option<Timestamp>,
    /// Its fallback, where that is due and was not taken.
    pub fallback: Option<OwedPush>,
    /// Another tap, where one is due since and was not taken: the endpoint did not answer the first, or has a new channel.
    pub repeat: Option<OwedPush>,
    /// How the endpoint is told of the last change of it, where it has heard of it and does not know.
    pub change: Option<ToldChange>,
    /// When the endpoint last fetched anything at all.
    pub last_fetched: Option<Timestamp>,
    /// Since when its channel is dead.
    pub gone: Option<Timestamp>,
    /// How many pushes were tried.
    pub attempts: u32,
    /// When the next one is due.
    pub next_attempt: Option<Timestamp>,
    /// What the push service said last.
    pub answer: Option<ServiceAnswer>,
    /// Whether it said so of others, where it did not take a push: all to the service wait, and none to the endpoint was
    /// tried since one was taken.
    pub of_others: bool,
    /// Whether, as far as that is known, settings that its push service refuses are refused for it alone.
    pub alone: bool,
    /// Whether the hub runs, so that what is due leaves.
    pub leaves: bool,
}

impl Delivery {
    /// The reason as it is told: what waits for nothing any more is about to leave, or under way.
    pub fn told_reason(&self) -> Option<Reason> {
        told(self.status, self.reason)
    }
}
