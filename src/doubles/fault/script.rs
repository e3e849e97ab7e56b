//! The script: faults in the order of scripting.

use std::sync::{Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::super::device::Service;
use super::{Fault, FaultKind, FaultSpec, Moment};

/// A fault that has struck.
#[derive(Debug, Clone)]
pub(crate) struct Struck {
    /// What was scripted.
    pub(crate) spec: FaultSpec,
    /// Ends what it holds.
    pub(crate) cleared: CancellationToken,
}

impl Struck {
    /// What happens.
    pub(crate) fn kind(&self) -> FaultKind {
        self.spec.kind
    }
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

    /// Takes the faults away that fit and ends what they hold; says how many.
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

    /// The first fault in force at such a moment, counted down.
    pub(crate) fn strike(
        &self,
        service: Service,
        moment: Moment,
        device: Option<&str>,
    ) -> Option<Struck> {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        let place = script
            .lines
            .iter()
            .position(|(fault, _)| strikes(&fault.spec, service, moment, device))?;
        let (fault, cleared) = &mut script.lines[place];
        let struck = Struck {
            spec: fault.spec.clone(),
            cleared: cleared.clone(),
        };
        if let Some(times) = fault.spec.times.as_mut() {
            *times -= 1;
            if *times == 0 && !struck.kind().holds() {
                script.lines.remove(place);
            }
        }
        Some(struck)
    }
}

fn strikes(spec: &FaultSpec, service: Service, moment: Moment, device: Option<&str>) -> bool {
    spec.service == service
        && spec.kind.moment(spec.at) == moment
        && spec.times != Some(0)
        && spec
            .device
            .as_deref()
            .is_none_or(|wanted| device == Some(wanted))
}
