//! What people do with what they have: read, dismiss, act, put off, delete; for one notification or many.

use std::collections::BTreeMap;

use rand::seq::IndexedRandom as _;

use super::{
    device::{Device, Essence, essence},
    doubt::Touches,
    steps::GROUPS,
    world::{PEOPLE, World, listed, subject},
};
use crate::{
    hub::{Error, Hub, Selection},
    model::{ActionState, NotificationId, ReadState, StateChange},
};

const CHANGES: [StateChange; 5] = [
    StateChange {
        read: Some(ReadState::Read),
        action: None,
    },
    StateChange {
        read: None,
        action: Some(ActionState::Dismissed),
    },
    StateChange {
        read: Some(ReadState::Read),
        action: Some(ActionState::Activated),
    },
    StateChange {
        read: Some(ReadState::Unread),
        action: None,
    },
    StateChange {
        read: None,
        action: Some(ActionState::Snoozed),
    },
];

impl World {
    fn held_by(&mut self, device: &Device) -> Option<NotificationId> {
        let held: Vec<_> = device.with(|memory| memory.held.keys().copied().collect());
        held.choose(&mut self.random).copied()
    }

    pub(super) async fn change_one(&mut self, hub: &Hub) {
        let change = self.pick(&CHANGES);
        let Some(device) = self.caller() else {
            return;
        };
        let Some(id) = self.held_by(&device) else {
            return;
        };
        let user = Self::user_of(&device);
        self.note(
            hub.now(),
            format!("{} sets {id}: {change:?}", device.name()),
        );
        let expected = self.kept[user].get(&id).map(|it| it.set(change));
        let each = expected.iter().map(|it| (id, Some(it.clone())));
        let sets = Touches {
            each: each.collect(),
            posts: None,
        };
        self.begin(&[user], &sets);
        let call = device.calls();
        let by = Some(device.endpoint.clone());
        let set = hub
            .set(device.subject.clone(), id, change, (None, by))
            .await;
        match set {
            Ok(it) => {
                let is = essence(&it);
                assert_eq!(Some(&is), expected.as_ref(), "{id} after {change:?}");
                self.kept.get_mut(user).unwrap().insert(id, is.clone());
                device.acted(id, Some(is));
            }
            Err(Error::NotFound(_)) => {
                let known = self.kept[user].get(&id);
                assert!(
                    known.is_none_or(|it| it.expires <= hub.now()),
                    "{id} is lost"
                );
            }
            Err(other) => panic!("{other}"),
        }
        call.ended();
        self.end();
    }

    pub(super) async fn change_many(&mut self, hub: &Hub) {
        let change = self.pick(&CHANGES);
        let group = self.chance(50).then(|| self.pick(&GROUPS));
        let Some(device) = self.caller() else {
            return;
        };
        let user = Self::user_of(&device);
        self.note(
            hub.now(),
            format!("{} sets {group:?}: {change:?}", device.name()),
        );
        let selection = match group {
            Some(group) => Selection::Group(group.to_owned()),
            None => Selection::All,
        };
        let before = hub.now();
        let fits = |it: &Essence| {
            it.expires > before && group.is_none_or(|group| it.group.as_deref() == Some(group))
        };
        let fitting = self.kept[user].iter().filter(|(_, it)| fits(it));
        let changes = fitting.map(|(id, it)| (*id, it.set(change)));
        let changes = changes.filter(|(id, it)| self.kept[user].get(id) != Some(it));
        let changes: BTreeMap<_, _> = changes.collect();
        let each = changes.iter().map(|(id, it)| (*id, Some(it.clone())));
        let sets = Touches {
            each: each.collect(),
            posts: None,
        };
        self.begin(&[user], &sets);
        let call = device.calls();
        let by = Some(device.endpoint.clone());
        let changed = hub.set_many(device.subject.clone(), selection, change, (None, by));
        let changed = changed.await.expect("many can be changed");
        let there = listed(hub, user).await;
        // What was over meanwhile may have been changed, or not.
        self.look_up(hub, user, before);
        let sure = changes.values().filter(|it| it.expires > hub.now()).count();
        assert!(
            (sure..=changes.len()).contains(&changed),
            "{changed} changed of {changes:#?}"
        );
        let kept = self.kept.get_mut(user).unwrap();
        kept.extend(changes.into_iter().filter(|(_, it)| it.expires > hub.now()));
        let mut expected = kept.clone();
        expected.retain(|_, it| it.expires > hub.now());
        assert_eq!(there, expected, "{user} after {change:?} of {group:?}");
        self.end();
        device.pull(hub, 0).await;
        call.ended();
    }

    pub(super) async fn delete(&mut self, hub: &Hub) {
        let user = self.pick(&PEOPLE);
        let ids: Vec<_> = self.kept[user].keys().copied().collect();
        let Some(id) = ids.choose(&mut self.random).copied() else {
            return;
        };
        let by = self.caller().filter(|device| Self::user_of(device) == user);
        self.note(hub.now(), format!("{user}'s {id} is deleted"));
        let takes = Touches {
            each: [(id, None)].into(),
            posts: None,
        };
        self.begin(&[user], &takes);
        let call = by.as_ref().map(|device| device.calls());
        let whose = by.as_ref().map(|device| device.endpoint.clone());
        match hub.delete(subject(user), id, whose).await {
            Ok(()) => {}
            Err(Error::NotFound(_)) => {
                // What may still come back can still be taken back.
                self.belief.see(self.moment());
                let expires = self.kept[user][&id].expires;
                assert!(expires <= self.belief.ever(), "{id} is lost");
            }
            Err(other) => panic!("{other}"),
        }
        self.kept.get_mut(user).unwrap().remove(&id);
        by.as_ref().inspect(|device| device.acted(id, None));
        if let Some(call) = call {
            call.ended();
        }
        self.end();
    }
}
