//! What the pushes to an endpoint come to for one notification. They may be thousands, so none is kept but those that
//! tell something.

use crate::{
    model::{Endpoint, Notification, Push, Subject, TapKind, Timestamp},
    store::{self, Reader},
};

/// The pushes that count for one notification.
#[derive(Debug, Default)]
pub(super) struct Pushes {
    /// The first that the service took at or after it; none of what left once it was over, unless it was about this very
    /// one.
    pub(super) accepted: Option<Push>,
    /// The first that the service took and that was about this very one.
    pub(super) own: Option<Push>,
    /// Its fallback.
    pub(super) fell_back: Option<Push>,
    /// The last that the service did not take. What an earlier registration was refused says nothing of this one.
    pub(super) refused: Option<Push>,
    /// The last of its fallbacks that the service refused for good.
    pub(super) refused_fallback: Option<Push>,
    /// The one by which its channel was found dead.
    pub(super) died: Option<Push>,
    /// The first that the service took at or after its last change.
    pub(super) told: Option<Push>,
    /// The last such that it did not take.
    pub(super) untold: Option<Push>,
}

impl Pushes {
    /// Those to an endpoint from where `it` was posted on; `over` is when nobody was to be tapped for it any more.
    pub(super) fn read(
        (reader, subject): (&Reader, &Subject),
        endpoint: &Endpoint,
        it: &Notification,
        over: Option<Timestamp>,
    ) -> Result<Self, store::Error> {
        let mut found = Self::default();
        reader.each_push_from(subject, &endpoint.id, it.number, &mut |push| {
            found.take_in(&push, endpoint, it, over);
        })?;
        Ok(found)
    }

    /// Those alone that tell of its last change.
    pub(super) fn for_the_change(self) -> Self {
        Self {
            told: self.told,
            untold: self.untold,
            ..Self::default()
        }
    }

    fn take_in(
        &mut self,
        push: &Push,
        endpoint: &Endpoint,
        it: &Notification,
        over: Option<Timestamp>,
    ) {
        let mine = push.shows == Some(it.id);
        // They come in the order of what they cover, which is not always that in which they left.
        let last = |place: &mut Option<Push>, counts: bool| {
            if counts && place.as_ref().is_none_or(|last| last.at <= push.at) {
                *place = Some(push.clone());
            }
        };
        if !push.accepted && endpoint.gone == Some(push.at) {
            self.died = Some(push.clone());
        }
        if push.alone && !mine {
            return;
        }
        let its_fallback = mine && push.kind == TapKind::Fallback;
        let first = |place: &mut Option<Push>, counts: bool| {
            if counts && place.is_none() {
                *place = Some(push.clone());
            }
        };
        let in_time = mine || over.is_none_or(|over| push.at <= over);
        first(&mut self.accepted, push.accepted && in_time);
        first(&mut self.own, push.accepted && mine);
        first(&mut self.fell_back, push.accepted && its_fallback);
        let refused = !push.accepted && push.at > endpoint.registered;
        last(&mut self.refused, refused);
        let tells = push.covers >= it.changed_at && !push.alone;
        first(&mut self.told, push.accepted && tells);
        last(&mut self.untold, !push.accepted && tells);
        // With a channel that is dead it was not refused for good, since a new one is tapped.
        let for_good = refused && endpoint.gone.is_none();
        last(&mut self.refused_fallback, for_good && its_fallback);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        hub::due::testing::{at, due},
        model::{FeedPosition, Platform, ServiceAnswer},
    };

    fn refused(status: u16, covers: u64, seconds: u64) -> Push {
        Push {
            covers: FeedPosition(covers),
            alone: false,
            at: at(seconds),
            kind: TapKind::Created,
            shows: None,
            accepted: false,
            attempts: 1,
            size_bytes: 100,
            answer: ServiceAnswer {
                status,
                ..ServiceAnswer::default()
            },
        }
    }

    #[test]
    fn a_channel_died_by_the_push_that_ended_as_it_did_whatever_others_cover() {
        let it = due(Platform::Android, true);
        let (mut endpoint, shown) = (it.level.endpoint, it.notification.unwrap());
        endpoint.gone = Some(at(20));
        let mut found = Pushes::default();
        // By what they cover, not by time; the last one left in a leap that was undone.
        for push in [
            refused(400, 1, 10),
            refused(404, 2, 20),
            refused(405, 3, 30),
        ] {
            found.take_in(&push, &endpoint, &shown, None);
        }
        assert_eq!(found.died.unwrap().answer.status, 404);
        assert_eq!(found.refused.unwrap().answer.status, 405);
    }
}
