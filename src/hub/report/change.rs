//! What became of the tap that tells an endpoint that something changed about what it has heard of.

use super::{
    super::due::{Decision, Step, Verdict},
    Case,
};
use crate::model::{
    Change, ChangeKind, ChannelKind, DeliveryStatus, OwedPush, Platform, Push, Reason, Removal,
    Telling, ToldChange,
};

impl Telling {
    /// Whether something more leaves for it in its time.
    pub(super) fn goes_on(&self) -> bool {
        match self {
            Self::Tapped { .. } => true,
            Self::Owed(push) => push.refused.is_none(),
            Self::Skipped(_) => false,
        }
    }
}

impl Case<'_> {
    /// How the endpoint is told of the last change of what it was tapped for, or has; nothing, once it knows.
    pub(super) fn told_change(
        &self,
        status: DeliveryStatus,
        verdict: &Verdict,
    ) -> Option<ToldChange> {
        use DeliveryStatus::{Acted, Fetched, Shown, Skipped, Tapped};
        // What it was before it was replaced may stand on a screen.
        let heard = matches!(status, Tapped | Fetched | Shown | Acted)
            || status == Skipped && self.it.was_replaced();
        let change = self.change.filter(|_| heard)?;
        let is_told = match change.kind {
            // What takes its place may be meant for others.
            ChangeKind::Created => {
                let targets = self.it.draft.targets(self.level.endpoint.platform);
                self.it.was_replaced() && !targets
            }
            ChangeKind::Changed => true,
            ChangeKind::Removed(removal) => removal != Removal::Expired,
        };
        let knows = self.level.mark.position >= change.position
            || self.receipt.fetched.is_some() && self.receipt.held >= change.position;
        let own = change.is_by(&self.level.endpoint);
        if !is_told || knows || own || self.it.expires <= self.now {
            return None;
        }
        let telling = self.telling(change, verdict)?;
        Some(ToldChange {
            at: change.at,
            kind: change.kind,
            telling,
        })
    }

    fn telling(&self, change: &Change, verdict: &Verdict) -> Option<Telling> {
        let state = self.level.current_state();
        // With a channel that is registered anew all of it begins anew.
        let tapped = state.tapped >= change.position;
        if let Some(push) = self.pushes.told.as_ref().filter(|_| tapped) {
            let (at, answer) = (push.at, push.answer.clone());
            return Some(Telling::Tapped { at, answer });
        }
        if let Some(reason) = self.unreachable() {
            return Some(Telling::Skipped(reason));
        }
        let settled = self.level.base() >= change.position;
        if let Some(push) = self.pushes.untold.as_ref().filter(|_| settled) {
            return Some(Telling::Owed(untaken(push)));
        }
        if settled || !self.is_due(change) {
            let endpoint = &self.level.endpoint;
            let wants = endpoint.platform != Platform::WebPush || endpoint.state_sync;
            return (!wants).then_some(Telling::Skipped(Reason::NoStateSync));
        }
        let reason = match verdict.decision {
            Decision::Wait(reason, _) => Some(reason),
            Decision::Push(_) | Decision::Idle => None,
        };
        let tried = state.tried_at >= change.at;
        Some(Telling::Owed(OwedPush {
            refused: None,
            reason,
            attempts: if tried { state.attempts } else { 0 },
            answer: self.refusal(reason),
        }))
    }

    /// Why no tap can.
    fn unreachable(&self) -> Option<Reason> {
        let endpoint = &self.level.endpoint;
        if endpoint.gone.is_some() {
            return Some(Reason::ChannelGone);
        }
        if endpoint.channel.kind() == ChannelKind::None {
            return Some(Reason::NoChannel);
        }
        (endpoint.expires <= self.now).then_some(Reason::EndpointExpired)
    }

    /// Whether the endpoint is due a tap for the change.
    fn is_due(&self, change: &Change) -> bool {
        let step = Step {
            change: change.clone(),
            notification: Some(self.it.clone()),
        };
        let rules = self.rules;
        let by = (&**rules.app, rules.delivery, rules.configured);
        self.level.is_due(&step, by, self.now)
    }
}

/// A push that was not taken, and is not sent again but where its service dropped it: that counts as one that is not
/// answered.
fn untaken(push: &Push) -> OwedPush {
    let dropped = push.answer.is_dropped();
    OwedPush {
        refused: Some(push.at).filter(|_| !dropped),
        reason: dropped.then_some(Reason::Retry),
        attempts: push.attempts,
        answer: Some(push.answer.clone()),
    }
}
