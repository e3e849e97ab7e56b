//! What an outcome says about the service as a whole: pure.

use std::time::Duration;

use crate::push::outcome::{Outcome, Scope, Verdict};

/// What an outcome says about the service as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// Nothing: the push did not reach it.
    Nothing,
    /// It answers, and took the push or not.
    Alive { took: bool },
    /// It failed, and is to be asked again after so long at the earliest.
    Failing { after: Duration },
    /// It wants to be left alone for so long.
    Demanded(Duration),
    /// It wants to be left alone for so long with what is for one channel.
    Busy(Duration),
    /// It refuses the settings.
    Refused,
}

/// Reads it.
pub(super) fn signal(outcome: &Outcome) -> Signal {
    let status = outcome.answer.status;
    match outcome.verdict {
        Verdict::Held => Signal::Nothing,
        Verdict::Rejected if status == 0 => Signal::Nothing,
        Verdict::Accepted | Verdict::Dropped => Signal::Alive { took: true },
        Verdict::Gone { .. } | Verdict::Rejected => Signal::Alive { took: false },
        Verdict::Misconfigured => Signal::Refused,
        Verdict::Retry {
            after: Some(after),
            scope: Scope::Lane,
        } => Signal::Demanded(after),
        Verdict::Retry {
            scope: Scope::Channel,
            ..
        } => match status {
            0 => Signal::Nothing,
            _ => Signal::Alive { took: false },
        },
        Verdict::Retry { scope, after } if scope == Scope::Lane || status == 0 || status >= 500 => {
            let after = after.unwrap_or_default();
            Signal::Failing { after }
        }
        Verdict::Retry { after, .. } => after.map_or(Signal::Alive { took: false }, Signal::Busy),
    }
}
