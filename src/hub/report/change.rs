//! What became of the tap that tells an endpoint that something changed about what it has heard of.

use super::{
    super::due::{Decision, Verdict},
    Case,
};
use crate::model::{
    Change, ChangeKind, ChannelKind, DeliveryStatus, OwedPush, Platform, Reason, Removal, Telling,
    Timestamp, ToldChange,
};

impl Telling {
    /// When the hub does something about it by itself.
    pub(super) fn next(&self, verdict: &Verdict) -> Option<Timestamp> {
        match (self, &verdict.decision) {
            (Self::Owed(push), Decision::Wait(_, until)) => {
                Some(*until).filter(|_| push.refused.is_none())
            }
            (Self::Tapped { .. }, _) => verdict.look,
            (Self::Owed(_) | Self::Skipped(_), _) => None,
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
        use DeliveryStatus::{Acted, Fetched, Shown, Tapped};
        let heard = matches!(status, Tapped | Fetched | Shown | Acted);
        let change = self.change.filter(|_| heard)?;
        let endpoint = &self.level.endpoint;
        let is_told = !matches!(
            change.kind,
            ChangeKind::Created | ChangeKind::Removed(Removal::Expired)
        );
        let knows = self.level.mark.position >= change.position
            || self.receipt.fetched.is_some() && self.receipt.held >= change.position;
        if !is_told || knows || change.is_by(endpoint) || self.it.expires <= self.now {
            return None;
        }
        let telling = self.untellable().map(Telling::Skipped);
        let telling = telling.or_else(|| self.telling(change, verdict))?;
        let at = change.at;
        Some(ToldChange { at, telling })
    }

    /// Why no tap tells of it.
    fn untellable(&self) -> Option<Reason> {
        let endpoint = &self.level.endpoint;
        if endpoint.gone.is_some() {
            return Some(Reason::ChannelGone);
        }
        if endpoint.channel.kind() == ChannelKind::None {
            return Some(Reason::NoChannel);
        }
        if endpoint.expires <= self.now {
            return Some(Reason::EndpointExpired);
        }
        let wants = endpoint.platform != Platform::WebPush || endpoint.state_sync;
        (!wants && self.pushes.told.is_none()).then_some(Reason::NoStateSync)
    }

    fn telling(&self, change: &Change, verdict: &Verdict) -> Option<Telling> {
        if let Some(push) = &self.pushes.told {
            let (at, answer) = (push.at, push.answer.clone());
            return Some(Telling::Tapped { at, answer });
        }
        if let Some(push) = &self.pushes.untold {
            return Some(Telling::Owed(OwedPush {
                refused: Some(push.at),
                reason: None,
                attempts: push.attempts,
                answer: Some(push.answer.clone()),
            }));
        }
        // What is settled without a push needed none.
        if self.level.base() >= change.position {
            return None;
        }
        let reason = match verdict.decision {
            Decision::Wait(reason, _) => Some(reason),
            Decision::Push(_) | Decision::Idle => None,
        };
        let state = self.level.current_state();
        let tried = state.tried_at >= change.at;
        Some(Telling::Owed(OwedPush {
            refused: None,
            reason,
            attempts: if tried { state.attempts } else { 0 },
            answer: self.refusal(reason),
        }))
    }
}
