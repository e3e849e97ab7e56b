//! What an operation makes of what is kept: reckoned apart from the hub, which is held to it, also where it was killed in
//! the midst of one.

use std::collections::BTreeMap;

use super::{
    device::{Essence, essence},
    world::{PEOPLE, World, listed, subject},
};
use crate::{
    hub::Hub,
    model::{ActionState, Draft, NotificationId, ReadState, StateChange, Timestamp},
};

/// What one operation may do to a person's notifications.
#[derive(Debug, Clone, Default)]
pub(super) struct Touches {
    /// What it makes of these, each by itself; none, where it takes it away.
    pub(super) each: BTreeMap<NotificationId, Option<Essence>>,
    /// What it posts, anew or in the place of another: no other post has this title.
    pub(super) posts: Option<String>,
}

/// What was begun and not answered when the process was killed: it has happened, or it has not.
#[derive(Debug, Clone)]
pub(super) struct Doubt {
    before: BTreeMap<NotificationId, Essence>,
    touches: Touches,
}

impl Doubt {
    /// What is not so, whether it has happened or not. Of `limit` that a person may have one makes room.
    fn faults(&self, there: &BTreeMap<NotificationId, Essence>, limit: usize) -> Vec<String> {
        let Self { before, touches } = self;
        let mut posts = usize::from(touches.posts.is_some());
        let mut room = posts * usize::from(before.len() >= limit);
        let mut faults = Vec::new();
        let all = before
            .keys()
            .chain(there.keys().filter(|id| !before.contains_key(id)));
        for id in all {
            let (was, is) = (before.get(id), there.get(id));
            let may = touches.each.get(id);
            if was == is || may.is_some_and(|may| may.as_ref() == is) {
                continue;
            }
            let is_posted =
                is.is_some_and(|is| is.is_open() && touches.posts.as_ref() == Some(&is.title));
            let left = match is {
                Some(_) if is_posted => &mut posts,
                None => &mut room,
                Some(_) => &mut 0,
            };
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => faults.push(format!("{id} was {was:?} and is {is:?}")),
            }
        }
        faults
    }
}

impl Essence {
    /// The same with its state set.
    pub(super) fn set(&self, change: StateChange) -> Self {
        let mut it = self.clone();
        it.read = change.read.unwrap_or(it.read);
        it.action = change.action.unwrap_or(it.action);
        it.handled |= it.is_dealt_with();
        if it != *self {
            it.version += 1;
        }
        it
    }

    /// What a draft is as it is posted, in the place of what was there, if anything was.
    pub(super) fn posted(draft: &Draft, expires: Timestamp, version: u64) -> Self {
        let visual = draft.visual.as_ref().map(|visual| visual.title.clone());
        Self {
            title: visual.or_else(|| draft.raw.clone()).unwrap_or_default(),
            group: draft.group.clone(),
            read: ReadState::Unread,
            action: ActionState::NoInteraction,
            handled: false,
            expires,
            platforms: draft.platforms.clone(),
            version,
        }
    }
}

impl World {
    /// Says what is in doubt until it is answered.
    pub(super) fn begin(&self, users: &[&'static str], touches: &Touches) {
        let doubts = users.iter().map(|user| {
            let before = self.kept[user].clone();
            let touches = touches.clone();
            (*user, Doubt { before, touches })
        });
        *self.doubt.lock().unwrap() = doubts.collect();
        self.touches(touches);
        if touches.posts.is_some() {
            users.iter().for_each(|user| self.is_posted_to(user));
        }
        self.begun.notify_waiters();
    }

    pub(super) fn end(&self) {
        let doubts = std::mem::take(&mut *self.doubt.lock().unwrap());
        for (user, doubt) in doubts {
            self.has_touched(user, &doubt.touches);
        }
    }

    /// A post to many may reach somebody while the clock has leapt so far that it is over at once: it is seen when the leap
    /// is undone, and as the hub says.
    pub(super) async fn uncover(&mut self, hub: &Hub) {
        let latest = self.belief.latest();
        for user in PEOPLE {
            let mut hidden = listed(hub, user).await;
            hidden.retain(|_, it| it.expires <= latest);
            let kept = self.kept.get_mut(user).expect("one of ours");
            for (id, it) in hidden {
                kept.entry(id).or_insert(it);
            }
        }
    }

    /// After a start: what was acknowledged is there. What was in doubt may be or not; from now on it is as the hub
    /// says.
    pub(super) async fn check_kept(&mut self, hub: &Hub) {
        let doubt = std::mem::take(&mut *self.doubt.lock().unwrap());
        self.doubted += u64::from(!doubt.is_empty());
        let limit = self.config.server.limits.notifications_per_user;
        self.uncover(hub).await;
        for user in PEOPLE {
            let there = listed(hub, user).await;
            let until = hub.now().max(self.belief.ever());
            // What was over once may be deleted, though the stored time be earlier.
            let may_be_over =
                |id: &NotificationId, it: &Essence| it.expires <= until && !there.contains_key(id);
            let Some(mut doubt) = doubt.get(user).cloned() else {
                self.forget_what_was_ended(hub, user, &there);
                let mut expected = self.kept[user].clone();
                expected.retain(|id, it| it.expires > hub.now() || there.contains_key(id));
                assert_eq!(there, expected, "{user}");
                continue;
            };
            doubt.before.retain(|id, it| !may_be_over(id, it));
            let kept = self.kept[user].iter();
            for (id, it) in kept.filter(|(id, _)| there.contains_key(id)) {
                doubt.before.entry(*id).or_insert_with(|| it.clone());
            }
            let faults = doubt.faults(&there, limit);
            assert!(faults.is_empty(), "{user}: {faults:#?}\n{doubt:#?}");
            self.look_up(hub, user, Timestamp::default());
            self.adopt(hub, user, there);
            self.has_touched(user, &doubt.touches);
            self.names.retain(|(whose, _), _| *whose != user);
        }
        self.end_job(hub).await;
    }

    /// Takes what the hub says for what is kept; what it does not show by a time that is doubted stays as it was, if it
    /// is there.
    pub(super) fn adopt(
        &mut self,
        hub: &Hub,
        user: &'static str,
        mut there: BTreeMap<NotificationId, Essence>,
    ) {
        for (id, it) in &self.kept[user] {
            if it.expires <= hub.now() && stored(hub, user, *id).is_some() {
                there.entry(*id).or_insert_with(|| it.clone());
            }
        }
        self.kept.insert(user, there);
    }

    /// What was over in an earlier life, and is gone, does not come back where the clock stands before its end again.
    fn forget_what_was_ended(
        &mut self,
        hub: &Hub,
        user: &'static str,
        there: &BTreeMap<NotificationId, Essence>,
    ) {
        let until = self.belief.ever();
        let kept = self.kept.get_mut(user).expect("one of ours");
        kept.retain(|id, it| {
            it.expires > until || there.contains_key(id) || stored(hub, user, *id).is_some()
        });
    }

    /// Looks up in the store what became of what the hub does not show any more, of that which was over only after
    /// `since`: nobody else can say.
    pub(super) fn look_up(&mut self, hub: &Hub, user: &'static str, since: Timestamp) {
        let kept = self.kept.get_mut(user).expect("one of ours");
        kept.retain(|id, it| {
            if it.expires <= since || it.expires > hub.now() {
                return true;
            }
            let stored = stored(hub, user, *id);
            stored.map(|stored| *it = stored).is_some()
        });
    }
}

/// One notification as the store has it, whatever the time.
fn stored(hub: &Hub, user: &str, id: NotificationId) -> Option<Essence> {
    let (reader, subject) = (hub.store().reader(), subject(user));
    let number = reader.number_of(&subject, id).unwrap()?;
    let it = reader.notification(&subject, number).unwrap()?;
    it.removed.is_none().then(|| essence(&it))
}
