//! Faults that are scripted from outside, taken in the order of scripting.
//!
//! A fault strikes a push that would have been accepted; one that breaks a rule is refused for what it is, so that no fault hides a mistake.
//! Those of [`FaultKind`] that every service shares are worn in the dress of each; what only one service says stands in its list
//! of sayings and is scripted by its name there. What a struck request suffers is in `suffer`.

mod script;
mod spec;

use serde::{Serialize, Serializer};

use super::device::Service;
use super::saying::Saying;

pub(crate) use script::{Faults, Struck};
pub use spec::{Fault, FaultSpec};

/// What goes wrong. The status and the words are those of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The channel is gone: APNs 410 `Unregistered`, FCM 404 `UNREGISTERED`, Web Push 410 errno 106, WNS 410.
    Gone,
    /// Too many: 429, at WNS 406; with `Retry-After`.
    Throttled,
    /// The service is ill: 500.
    ServerError,
    /// The sender's credential is refused: APNs 403 `InvalidProviderToken`, FCM 401, Web Push 401 errno 109, WNS 401.
    CredentialRefused,
    /// No answer until the fault is cleared (the push is then answered as if nothing had been) or the connection ends.
    Silence,
    /// The connection is closed once the request has been read.
    Cut,
    /// The connection is torn down with a TCP reset.
    ConnectionReset,
    /// The connection stays open and nothing is read from it or written to it any more, until the fault is cleared; then it ends.
    HalfOpen,
    /// Bytes that are no HTTP, then the end of the connection.
    Garbage,
    /// The push is taken; the connection ends in the middle of the answer.
    CutMidAnswer,
    /// The push is taken; the stream is reset in the middle of the answer (HTTP/2).
    ResetMidAnswer,
    /// The stream is reset with `INTERNAL_ERROR` (HTTP/2).
    Reset,
    /// The stream is refused unread with `REFUSED_STREAM` (HTTP/2).
    RefusedStream,
    /// GOAWAY whose last stream is this one: it and those before it are answered, those after it never (HTTP/2).
    GoAway,
    /// GOAWAY whose last stream is the one before this: this one is never answered (HTTP/2).
    GoAwayUnprocessed,
    /// From now on the connection takes only so many streams at once, and says so in SETTINGS (HTTP/2). This request is answered.
    StreamLimit,
    /// The push is taken, and its device is handed it twice.
    HandedOverTwice,
    /// The answer comes late.
    Slow,
    /// A page of HTML from a proxy in front of the service: 502.
    HtmlError,
    /// 503 with a body that is neither text nor JSON.
    GarbageBody,
    /// The service is ill and says so in a megabyte.
    Oversized,
    /// The service is ill and never stops saying so.
    Endless,
    /// 301 to another address.
    Redirect,
    /// New connections are shown the certificate of a stranger.
    WrongCertificate,
    /// New connections are shown a certificate that ended long ago.
    ExpiredCertificate,
    /// New connections are shown a certificate for another name.
    MisnamedCertificate,
    /// The TLS handshake of new connections is never answered.
    HandshakeSilence,
    /// New connections are closed in place of a TLS handshake.
    HandshakeCut,
    /// New connections get bytes that are no TLS.
    HandshakeGarbage,
    /// The token endpoint grants a token that lives for a few seconds.
    ShortLife,
    /// What only this service says.
    Says(&'static Saying),
}

/// When a fault can strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// At the handshake of a new connection.
    Handshake,
    /// At a request to one of the two doors.
    Request(At),
}

/// Which of a service's two doors a fault is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum At {
    /// Where pushes arrive.
    #[default]
    Push,
    /// Where FCM and WNS hand out access tokens.
    Token,
}

/// The kinds that are not one service's own, by name.
const SHARED: [(&str, FaultKind); 30] = [
    ("gone", FaultKind::Gone),
    ("throttled", FaultKind::Throttled),
    ("serverError", FaultKind::ServerError),
    ("credentialRefused", FaultKind::CredentialRefused),
    ("silence", FaultKind::Silence),
    ("cut", FaultKind::Cut),
    ("connectionReset", FaultKind::ConnectionReset),
    ("halfOpen", FaultKind::HalfOpen),
    ("garbage", FaultKind::Garbage),
    ("cutMidAnswer", FaultKind::CutMidAnswer),
    ("resetMidAnswer", FaultKind::ResetMidAnswer),
    ("reset", FaultKind::Reset),
    ("refusedStream", FaultKind::RefusedStream),
    ("goAway", FaultKind::GoAway),
    ("goAwayUnprocessed", FaultKind::GoAwayUnprocessed),
    ("streamLimit", FaultKind::StreamLimit),
    ("handedOverTwice", FaultKind::HandedOverTwice),
    ("slow", FaultKind::Slow),
    ("htmlError", FaultKind::HtmlError),
    ("garbageBody", FaultKind::GarbageBody),
    ("oversized", FaultKind::Oversized),
    ("endless", FaultKind::Endless),
    ("redirect", FaultKind::Redirect),
    ("wrongCertificate", FaultKind::WrongCertificate),
    ("expiredCertificate", FaultKind::ExpiredCertificate),
    ("misnamedCertificate", FaultKind::MisnamedCertificate),
    ("handshakeSilence", FaultKind::HandshakeSilence),
    ("handshakeCut", FaultKind::HandshakeCut),
    ("handshakeGarbage", FaultKind::HandshakeGarbage),
    ("shortLife", FaultKind::ShortLife),
];

impl FaultKind {
    /// The kinds that a door of a service knows, the shared ones first.
    #[must_use]
    pub fn known(service: Service, at: At) -> Vec<Self> {
        let shared = SHARED.into_iter().map(|(_, kind)| kind);
        let own = Saying::all(service)
            .iter()
            .filter(|saying| saying.at() == at)
            .map(Self::Says);
        shared
            .filter(|kind| kind.suits(service, at))
            .chain(own)
            .collect()
    }

    /// The kind of this name at a door of a service.
    ///
    /// # Errors
    /// A sentence that says where the name is known, if anywhere, and lists those known here.
    pub fn named(service: Service, at: At, name: &str) -> Result<Self, String> {
        let known = Self::known(service, at);
        if let Some(kind) = known.iter().find(|kind| kind.name() == name) {
            return Ok(*kind);
        }
        let elsewhere: Vec<&str> = Service::ALL
            .into_iter()
            .filter(|other| {
                *other != service && Self::known(*other, at).iter().any(|it| it.name() == name)
            })
            .map(Service::name)
            .collect();
        let other_door = match at {
            At::Push => At::Token,
            At::Token => At::Push,
        };
        let names: Vec<&str> = known.iter().map(|kind| kind.name()).collect();
        let place = place(service, at);
        let hint = if Self::known(service, other_door)
            .iter()
            .any(|it| it.name() == name)
        {
            format!("; it is known {}", self::place(service, other_door))
        } else if elsewhere.is_empty() {
            String::new()
        } else {
            format!("; it is a fault of {}", elsewhere.join(", "))
        };
        let list = match names.as_slice() {
            [] => String::from("there is no such door"),
            names => format!("known there: {}", names.join(", ")),
        };
        Err(format!("kind: no fault {name:?} {place}{hint}; {list}"))
    }

    /// Its name in the script.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Says(saying) => saying.name(),
            shared => SHARED
                .iter()
                .find(|(_, kind)| *kind == shared)
                .map_or("", |(name, _)| name),
        }
    }

    /// When it strikes, if it is scripted for this door.
    pub(crate) fn moment(self, at: At) -> Moment {
        match self {
            Self::WrongCertificate
            | Self::ExpiredCertificate
            | Self::MisnamedCertificate
            | Self::HandshakeSilence
            | Self::HandshakeCut
            | Self::HandshakeGarbage => Moment::Handshake,
            _ => Moment::Request(at),
        }
    }

    /// Whether it holds requests or connections until it is cleared.
    pub(crate) fn holds(self) -> bool {
        matches!(
            self,
            Self::Silence | Self::Slow | Self::HalfOpen | Self::Endless | Self::HandshakeSilence
        )
    }

    /// Whether a push can reach its device although the fault strikes.
    pub(crate) fn leaves_the_outcome_open(self) -> bool {
        matches!(
            self,
            Self::Cut | Self::ConnectionReset | Self::HalfOpen | Self::Garbage | Self::Reset
        ) || self.breaks_an_answer()
    }

    /// Whether the push is taken and the answer to it broken off.
    pub(crate) fn breaks_an_answer(self) -> bool {
        matches!(self, Self::CutMidAnswer | Self::ResetMidAnswer)
    }

    /// Whether only HTTP/2 can express it. On a connection of HTTP/1.1 it ends the connection.
    pub(crate) fn is_of_http2(self) -> bool {
        matches!(
            self,
            Self::ResetMidAnswer
                | Self::Reset
                | Self::RefusedStream
                | Self::GoAway
                | Self::GoAwayUnprocessed
                | Self::StreamLimit
        )
    }

    fn suits(self, service: Service, at: At) -> bool {
        let has_token_door = matches!(service, Service::Fcm | Service::Wns);
        if at == At::Token && !has_token_door {
            return false;
        }
        match self {
            // WNS speaks HTTP/1.1.
            _ if self.is_of_http2() => service != Service::Wns,
            Self::ShortLife => at == At::Token,
            Self::HandedOverTwice => at == At::Push,
            // One listener serves both doors.
            _ => self.moment(at) != Moment::Handshake || at == At::Push,
        }
    }
}

impl Serialize for FaultKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

fn place(service: Service, at: At) -> String {
    match at {
        At::Push => format!("of {}", service.name()),
        At::Token => format!("at the token endpoint of {}", service.name()),
    }
}
