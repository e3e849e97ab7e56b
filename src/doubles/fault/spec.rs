//! What can be asked of a fault.

use serde::{Deserialize, Serialize};

use super::super::device::Service;
use super::{At, FaultKind, Moment};

/// A fault to be scripted. In JSON each field but `service` and `kind` may be absent; one that does not go with the kind is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "Asked")]
pub struct FaultSpec {
    /// The service that fails.
    pub service: Service,
    /// Only for this device (the double's id of it); absent: for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// What happens.
    pub kind: FaultKind,
    /// The `Retry-After` of an error, in seconds. Absent: what the service is known to say, for most errors nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
    /// Whether `Retry-After` is written as a date (RFC 9110, section 10.2.3).
    #[serde(skip_serializing_if = "is_false")]
    pub retry_after_date: bool,
    /// How many requests it strikes; absent: all until it is cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Which door.
    pub at: At,
    /// Faults that leave the outcome open: the push reaches its device all the same.
    #[serde(skip_serializing_if = "is_false")]
    pub delivered: bool,
    /// `slow`: how long the answer takes, in milliseconds. Absent: 30 000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// APNs' 410: when the token was found dead, in milliseconds since 1970. Absent: now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp_ms: Option<i64>,
    /// `streamLimit`: how many streams at once. Absent: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streams: Option<u32>,
    /// `goAway…`: the `reason` of APNs' JSON in the frame. Absent: the frame carries none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `redirect`: where to. Absent: another path of the same service, where a sender that follows is seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// `shortLife`: how many seconds the token lives. Absent: 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub life_seconds: Option<i64>,
}

impl FaultSpec {
    /// A fault that strikes every push to a service until it is cleared.
    #[must_use]
    pub fn always(service: Service, kind: FaultKind) -> Self {
        Self {
            service,
            device: None,
            kind,
            retry_after_seconds: None,
            retry_after_date: false,
            times: None,
            at: At::Push,
            delivered: false,
            delay_ms: None,
            timestamp_ms: None,
            streams: None,
            reason: None,
            location: None,
            life_seconds: None,
        }
    }

    /// A fault that strikes the next push to a service only.
    #[must_use]
    pub fn once(service: Service, kind: FaultKind) -> Self {
        Self {
            times: Some(1),
            ..Self::always(service, kind)
        }
    }

    /// The first field that does not go with the kind, and what is wrong with it.
    fn misplaced(&self) -> Option<String> {
        let own = [
            ("delayMs", self.delay_ms.is_some(), FaultKind::Slow),
            ("streams", self.streams.is_some(), FaultKind::StreamLimit),
            ("location", self.location.is_some(), FaultKind::Redirect),
            (
                "lifeSeconds",
                self.life_seconds.is_some(),
                FaultKind::ShortLife,
            ),
        ];
        let own = own
            .into_iter()
            .filter(|(_, given, of)| *given && *of != self.kind);
        let own = own.map(|(field, _, of)| (field, of.name()));
        let (field, with) = own.chain(self.misplaced_with_several()).next()?;
        Some(format!(
            "{field}: goes with {with} only; leave it out or ask for another fault"
        ))
    }

    /// Fields that go with several kinds: those that do not go with this one, and with which they go.
    fn misplaced_with_several(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let kind = self.kind;
        let go_away = matches!(kind, FaultKind::GoAway | FaultKind::GoAwayUnprocessed);
        let anonymous = kind.moment(self.at) == Moment::Handshake || self.at == At::Token;
        let is_410 = matches!(kind, FaultKind::Gone)
            || matches!(kind, FaultKind::Says(saying) if saying.status() == 410);
        let dies = is_410 && self.service == Service::Apns;
        let open = kind.leaves_the_outcome_open() && self.at == At::Push;
        let waits = self.retry_after_seconds.is_some();
        let of_pushes = "faults of pushes";
        let of_open_ones = "faults of pushes that leave the outcome open";
        let of_going_away = "goAway and goAwayUnprocessed";
        let fields = [
            (self.times == Some(0), false, ("times", "1 or more")),
            (self.device.is_some(), !anonymous, ("device", of_pushes)),
            (
                self.retry_after_date,
                waits,
                ("retryAfterDate", "retryAfterSeconds"),
            ),
            (self.delivered, open, ("delivered", of_open_ones)),
            (
                self.timestamp_ms.is_some(),
                dies,
                ("timestampMs", "APNs' 410"),
            ),
            (self.reason.is_some(), go_away, ("reason", of_going_away)),
        ];
        let wrong = fields
            .into_iter()
            .filter(|(given, fits, _)| *given && !fits);
        wrong.map(|(_, _, words)| words)
    }
}

/// A fault as it is asked for, its kind still a name.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    service: Service,
    kind: String,
    #[serde(default)]
    at: At,
    device: Option<String>,
    retry_after_seconds: Option<u64>,
    #[serde(default)]
    retry_after_date: bool,
    times: Option<u32>,
    #[serde(default)]
    delivered: bool,
    delay_ms: Option<u64>,
    timestamp_ms: Option<i64>,
    streams: Option<u32>,
    reason: Option<String>,
    location: Option<String>,
    life_seconds: Option<i64>,
}

impl TryFrom<Asked> for FaultSpec {
    type Error = String;

    fn try_from(asked: Asked) -> Result<Self, String> {
        let spec = Self {
            service: asked.service,
            kind: FaultKind::named(asked.service, asked.at, &asked.kind)?,
            at: asked.at,
            device: asked.device,
            retry_after_seconds: asked.retry_after_seconds,
            retry_after_date: asked.retry_after_date,
            times: asked.times,
            delivered: asked.delivered,
            delay_ms: asked.delay_ms,
            timestamp_ms: asked.timestamp_ms,
            streams: asked.streams,
            reason: asked.reason,
            location: asked.location,
            life_seconds: asked.life_seconds,
        };
        match spec.misplaced() {
            Some(fault) => Err(fault),
            None => Ok(spec),
        }
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A scripted fault. One that holds requests stays listed with `times` 0 until it is cleared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// Its number, to clear it by.
    pub id: u64,
    /// What was asked for; `times` counts down.
    #[serde(flatten)]
    pub spec: FaultSpec,
}
