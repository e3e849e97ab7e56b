//! Pushes that a service took or refused for good.

use serde::{Deserialize, Serialize};

use super::{
    super::{Error, codec, keys::broken},
    Record,
    tap::{StoredAnswer, answer, stored_answer},
    time,
};
use crate::model::{FeedPosition, NotificationId, Push, ServiceAnswer, TapKind};

/// The form of version 2: that of version 1, and whether it speaks for what it showed alone.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct SecondPush(StoredPush, bool);

#[derive(Serialize, Deserialize)]
pub(in crate::store) struct StoredPush {
    covers: u64,
    at: u64,
    kind: u8,
    shows: Option<[u8; 16]>,
    accepted: bool,
    attempts: u32,
    size_bytes: u32,
    answer: StoredAnswer,
}

/// Of a push that was taken and dropped version 1 kept what was said beside that alone.
fn dropped(mut first: StoredPush) -> StoredPush {
    let StoredAnswer(status, reason, _) = &mut first.answer;
    if !first.accepted && (200..300).contains(status) {
        let beside = reason.take().unwrap_or_default();
        *reason = Some(format!("{}: {beside}", ServiceAnswer::DROPPED));
    }
    first
}

impl Record for Push {
    type Stored = SecondPush;
    const VERSION: u8 = 2;

    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_stored(match bytes.first() {
            Some(1) => SecondPush(dropped(codec::decode(1, bytes)?), false),
            _ => codec::decode(Self::VERSION, bytes)?,
        })
    }

    fn to_stored(&self) -> SecondPush {
        let before = StoredPush {
            covers: self.covers.0,
            at: self.at.as_millis(),
            kind: match self.kind {
                TapKind::Created => 1,
                TapKind::Changed => 2,
                TapKind::Fallback => 3,
                TapKind::Test => 4,
            },
            shows: self.shows.map(NotificationId::to_bytes),
            accepted: self.accepted,
            attempts: self.attempts,
            size_bytes: self.size_bytes,
            answer: stored_answer(&self.answer),
        };
        SecondPush(before, self.alone)
    }

    fn from_stored(SecondPush(stored, alone): SecondPush) -> Result<Self, Error> {
        Ok(Self {
            alone,
            covers: FeedPosition(stored.covers),
            at: time(stored.at),
            kind: match stored.kind {
                1 => TapKind::Created,
                2 => TapKind::Changed,
                3 => TapKind::Fallback,
                4 => TapKind::Test,
                _ => return Err(broken("a tap's kind")),
            },
            shows: stored.shows.map(NotificationId::from_bytes),
            accepted: stored.accepted,
            attempts: stored.attempts,
            size_bytes: stored.size_bytes,
            answer: answer(stored.answer),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn what_was_dropped_is_told_so_from_older_rows_too() {
        let read_back = |status: u16, accepted: bool| {
            let answer = ServiceAnswer {
                status,
                reason: Some("OK".into()),
                id: None,
            };
            let push = Push {
                covers: FeedPosition(1),
                alone: false,
                at: Timestamp::from_millis(1),
                kind: TapKind::Created,
                shows: None,
                accepted,
                attempts: 1,
                size_bytes: 1,
                answer,
            };
            let SecondPush(first, _) = push.to_stored();
            let bytes = codec::encode(1, &first).unwrap();
            let found = Push::decode(&bytes).unwrap();
            assert!(!found.alone);
            found.answer.is_dropped()
        };
        assert!(read_back(200, false));
        assert!(!read_back(200, true));
        assert!(!read_back(400, false));
    }
}
