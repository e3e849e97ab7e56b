//! The taps that wait in a lane: what goes ahead leaves before the rest, but not to the end of it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::mpsc;

use crate::hub::DueTap;

/// How many may go ahead in a row while others wait.
const IN_A_ROW: usize = 8;

/// How many wait that do not go ahead, and that do.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting(Arc<[AtomicUsize; 2]>);

impl Waiting {
    /// How many wait in all.
    pub(super) fn all(&self) -> usize {
        self.of(false).load(Ordering::Relaxed) + self.of(true).load(Ordering::Relaxed)
    }

    fn of(&self, ahead: bool) -> &AtomicUsize {
        &self.0[usize::from(ahead)]
    }
}

/// Where taps come in. They leave in the order of their coming, but for those that go ahead.
#[derive(Debug)]
pub(super) struct Entrance {
    ahead: mpsc::UnboundedSender<Box<DueTap>>,
    rest: mpsc::UnboundedSender<Box<DueTap>>,
    waiting: Waiting,
}

/// Where they leave.
#[derive(Debug)]
pub(super) struct Exit {
    ahead: mpsc::UnboundedReceiver<Box<DueTap>>,
    rest: mpsc::UnboundedReceiver<Box<DueTap>>,
    waiting: Waiting,
    in_a_row: usize,
}

/// An empty queue.
pub(super) fn queue() -> (Entrance, Exit) {
    let (ahead, ahead_leaves) = mpsc::unbounded_channel();
    let (rest, rest_leaves) = mpsc::unbounded_channel();
    let waiting = Waiting::default();
    let entrance = Entrance {
        ahead,
        rest,
        waiting: waiting.clone(),
    };
    let exit = Exit {
        ahead: ahead_leaves,
        rest: rest_leaves,
        waiting,
        in_a_row: 0,
    };
    (entrance, exit)
}

impl Entrance {
    /// How many wait that go ahead, or that do not.
    pub(super) fn waiting(&self, ahead: bool) -> usize {
        self.waiting.of(ahead).load(Ordering::Relaxed)
    }

    /// How many wait in all, also later.
    pub(super) fn counted(&self) -> Waiting {
        self.waiting.clone()
    }

    /// Takes a tap in; says whether it did, which it does as long as there is an exit.
    pub(super) fn take(&self, due: DueTap) -> bool {
        let line = if due.tap.ahead {
            &self.ahead
        } else {
            &self.rest
        };
        let count = self.waiting.of(due.tap.ahead);
        count.fetch_add(1, Ordering::Relaxed);
        let taken = line.send(Box::new(due)).is_ok();
        if !taken {
            count.fetch_sub(1, Ordering::Relaxed);
        }
        taken
    }
}

impl Exit {
    /// The next to leave; none, once the entrance is gone and all have left.
    pub(super) async fn next(&mut self) -> Option<Box<DueTap>> {
        let turn = match self.in_a_row >= IN_A_ROW {
            true => self.rest.try_recv().ok(),
            false => None,
        };
        let next = match turn {
            Some(due) => Some(due),
            None => tokio::select! {
                biased;
                Some(due) = self.ahead.recv() => Some(due),
                Some(due) = self.rest.recv() => Some(due),
                else => None,
            },
        }?;
        self.in_a_row = if next.tap.ahead { self.in_a_row + 1 } else { 0 };
        let count = self.waiting.of(next.tap.ahead);
        count.fetch_sub(1, Ordering::Relaxed);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{hub::due::testing::due, model::Platform};

    #[tokio::test]
    async fn what_goes_ahead_leaves_first_and_the_rest_gets_its_turn() {
        let (entrance, mut exit) = queue();
        for ahead in std::iter::repeat_n(false, 2).chain(std::iter::repeat_n(true, 10)) {
            let mut due = due(Platform::Ios, true);
            due.tap.ahead = ahead;
            assert!(entrance.take(due));
        }
        assert_eq!((entrance.waiting(true), entrance.waiting(false)), (10, 2));
        drop(entrance);
        let mut order = String::new();
        while let Some(due) = exit.next().await {
            order.push(if due.tap.ahead { 'a' } else { 'r' });
        }
        assert_eq!(order, "aaaaaaaaraar");
    }
}
