//! Faults that are scripted from outside, taken in the order of scripting.
//!
//! A fault strikes a push that would have been accepted; one that breaks a rule is refused for what it is, so that no fault hides a mistake.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::device::Service;

/// What goes wrong. The status and the words are those of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
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
}

/// Which of a service's two doors a fault is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum At {
    /// Where pushes arrive.
    #[default]
    Push,
    /// Where FCM and WNS hand out access tokens.
    Token,
}

/// A fault to be scripted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultSpec {
    /// The service that fails.
    pub service: Service,
    /// Only for this device (the double's id of it); absent: for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// What happens.
    pub kind: FaultKind,
    /// The `Retry-After` of `throttled` and `serverError`, in seconds. Absent: 60 with `throttled` at FCM, Web Push and WNS, else no header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
    /// How many requests it strikes; absent: all until it is cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Which door.
    #[serde(default)]
    pub at: At,
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
            times: None,
            at: At::Push,
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
}

/// A scripted fault. One that holds silent requests stays listed with `times` 0 until it is cleared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// Its number, to clear it by.
    pub id: u64,
    /// What was asked for; `times` counts down.
    #[serde(flatten)]
    pub spec: FaultSpec,
}

/// A fault that has struck one request.
#[derive(Debug, Clone)]
pub(crate) struct Struck {
    /// What happens to the request.
    pub(crate) kind: FaultKind,
    /// The wait that is demanded, if one is.
    pub(crate) retry_after_seconds: Option<u64>,
    /// Ends a silence.
    pub(crate) cleared: CancellationToken,
}

/// The script.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    script: Mutex<Script>,
}

#[derive(Debug, Default)]
struct Script {
    last_id: u64,
    lines: Vec<(Fault, CancellationToken)>,
}

impl Faults {
    /// Appends a fault; gives its number.
    pub(crate) fn add(&self, spec: FaultSpec) -> Fault {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        script.last_id += 1;
        let fault = Fault {
            id: script.last_id,
            spec,
        };
        script.lines.push((fault.clone(), CancellationToken::new()));
        fault
    }

    /// The script as it stands.
    pub(crate) fn list(&self) -> Vec<Fault> {
        let script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        script
            .lines
            .iter()
            .map(|(fault, _)| fault.clone())
            .collect()
    }

    /// Takes the faults away that fit and ends their silence; says how many.
    pub(crate) fn clear(&self, fits: impl Fn(&Fault) -> bool) -> usize {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        let before = script.lines.len();
        script.lines.retain(|(fault, cleared)| {
            let goes = fits(fault);
            if goes {
                cleared.cancel();
            }
            !goes
        });
        before - script.lines.len()
    }

    /// The first fault in force for such a request, counted down.
    pub(crate) fn strike(&self, service: Service, at: At, device: Option<&str>) -> Option<Struck> {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        let place = script
            .lines
            .iter()
            .position(|(fault, _)| strikes(&fault.spec, service, at, device))?;
        let (fault, cleared) = &mut script.lines[place];
        let struck = Struck {
            kind: fault.spec.kind,
            retry_after_seconds: fault.spec.retry_after_seconds,
            cleared: cleared.clone(),
        };
        if let Some(times) = fault.spec.times.as_mut() {
            *times -= 1;
            if *times == 0 && struck.kind != FaultKind::Silence {
                script.lines.remove(place);
            }
        }
        Some(struck)
    }
}

fn strikes(spec: &FaultSpec, service: Service, at: At, device: Option<&str>) -> bool {
    spec.service == service
        && spec.at == at
        && spec.times != Some(0)
        && spec
            .device
            .as_deref()
            .is_none_or(|wanted| device == Some(wanted))
}
