//! What the streams of one user are told of a change: written once, however many listen.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use actix_web::web::Bytes;

use crate::model::{FeedPosition, Subject};

/// How many bytes of events are kept for others.
const SMALL: usize = 4096;

/// What comes after a position, as events.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// After which position.
    pub(super) from: FeedPosition,
    /// What the feed's bell said before it was read.
    pub(super) heard: u64,
    pub(super) text: Bytes,
    /// Up to which position it tells.
    pub(super) position: FeedPosition,
    /// Whether there is more.
    pub(super) more: bool,
}

/// The last piece that a user's streams were told, for as long as one of them is open.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Option<Piece>>>);

impl Shared {
    /// What comes after `from`, where it was read since the feed last moved.
    pub(super) fn piece(&self, from: FeedPosition, heard: u64) -> Option<Piece> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |it: &&Piece| (it.from, it.heard) == (from, heard);
        last.as_ref().filter(fits).cloned()
    }

    /// Keeps a piece for the others, if it is small: it stays for as long as they are open.
    pub(super) fn keep(&self, piece: Piece) {
        let small = Some(piece).filter(|piece| piece.text.len() <= SMALL);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = small;
    }
}

/// Those of all users who have a stream open.
#[derive(Debug, Clone, Default)]
pub struct Pieces(Arc<Mutex<Users>>);

#[derive(Debug, Default)]
struct Users {
    all: HashMap<Subject, Weak<Mutex<Option<Piece>>>>,
    /// At how many those are dropped whose streams have ended.
    tidy_at: usize,
}

impl Pieces {
    /// What the streams of a user share.
    pub(super) fn of(&self, subject: &Subject) -> Shared {
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = users.all.get(subject).and_then(Weak::upgrade) {
            return Shared(shared);
        }
        if users.all.len() >= users.tidy_at {
            users.all.retain(|_, shared| shared.strong_count() > 0);
            users.tidy_at = 2 * users.all.len().max(32);
        }
        let shared = Shared::default();
        users.all.insert(subject.clone(), Arc::downgrade(&shared.0));
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AppHost, UserId};

    fn piece(from: u64, heard: u64) -> Piece {
        Piece {
            from: FeedPosition(from),
            heard,
            text: Bytes::from_static(b"event: change\n\n"),
            position: FeedPosition(from + 1),
            more: false,
        }
    }

    fn subject(user: &str) -> Subject {
        Subject {
            app: AppHost::parse("todo.example").unwrap(),
            user: UserId::parse(user).unwrap(),
        }
    }

    #[test]
    fn a_piece_is_for_those_of_the_same_user_who_stand_where_it_begins_until_the_feed_moves() {
        let pieces = Pieces::default();
        let (phone, desk) = (pieces.of(&subject("ada")), pieces.of(&subject("ada")));
        phone.keep(piece(4, 1));
        assert_eq!(
            desk.piece(FeedPosition(4), 1).unwrap().position,
            FeedPosition(5)
        );
        assert!(
            desk.piece(FeedPosition(3), 1).is_none(),
            "it stands elsewhere"
        );
        assert!(
            desk.piece(FeedPosition(4), 2).is_none(),
            "the feed has moved"
        );
        assert!(
            pieces
                .of(&subject("bob"))
                .piece(FeedPosition(4), 1)
                .is_none()
        );
    }

    #[test]
    fn nothing_is_kept_of_who_has_no_stream_open() {
        let pieces = Pieces::default();
        let ada = pieces.of(&subject("ada"));
        for nth in 0..1000 {
            drop(pieces.of(&subject(&format!("user-{nth}"))));
        }
        let users = pieces.0.lock().unwrap();
        assert!(users.all.len() <= 64, "{}", users.all.len());
        assert!(users.all.contains_key(&subject("ada")));
        drop(ada);
    }
}
