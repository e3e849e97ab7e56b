//! What can happen in a simulation.

use std::{sync::Arc, time::Duration};

use rand::{Rng as _, seq::IndexedRandom as _};

use super::{
    device::{Device, Essence, essence},
    doubt::Touches,
    world::{self, PEOPLE, World, listed, subject},
};
use crate::{
    hub::{Error, Hub},
    model::{Draft, Fallback, NotificationId, Platform, Priority, VisualContent},
};

const NAMES: [&str; 3] = ["order-1", "order-2", "order-3"];
pub(super) const GROUPS: [&str; 2] = ["news", "chat"];
impl World {
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    pub(super) fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        *all.choose(&mut self.random).expect("some to pick from")
    }

    pub(super) fn any_device(&mut self) -> Arc<Device> {
        let at = self.random.random_range(0..self.devices.len());
        Arc::clone(&self.devices[at])
    }

    /// A pause: mostly none to speak of, sometimes hours.
    pub(super) async fn pause(&mut self) {
        let longest_ms: u64 = match self.random.random_range(0..100) {
            0..=54 => 60,
            55..=84 => 8_000,
            85..=96 => 600_000,
            _ => 3 * 3_600_000,
        };
        let ms = self.random.random_range(0..longest_ms);
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    /// One thing happens.
    pub(super) async fn step(&mut self, hub: &Hub) {
        if self.belief.ahead_ms() != 0 && self.chance(8) {
            self.set_right(hub).await;
        }
        match self.random.random_range(0..126) {
            0..=29 => self.post_something(hub).await,
            30..=44 => self.change_one(hub).await,
            45..=49 => self.change_many(hub).await,
            50..=56 => self.delete(hub).await,
            57..=61 => self.open_an_app(hub).await,
            62..=66 => self.come_and_go(hub).await,
            67..=70 => self.change_channel(hub).await,
            71..=80 => self.switch(hub),
            81..=84 => self.stream(hub),
            85..=92 => self.fault(hub),
            93..=95 => self.leap(hub).await,
            96..=102 => self.turn_the_weather(hub),
            103..=105 => self.post_to_all(hub).await,
            106..=108 => self.test_a_device(hub).await,
            109..=110 => self.revive(hub).await,
            111..=119 => self.jam(hub).await,
            _ => self.send_receipts(hub).await,
        }
    }

    pub(super) fn draft(&mut self, hub: &Hub) -> Draft {
        self.posted += 1;
        let title = format!("title {}", self.posted);
        let visual = VisualContent {
            title: title.clone(),
            body: None,
        };
        let fallback = self.chance(30);
        let seen = !fallback && self.chance(70);
        let platforms =
            (!fallback && self.chance(15)).then(|| vec![Platform::Ios, Platform::WebPush]);
        let lives = self.chance(25).then(|| self.random.random_range(1..1_200));
        let delay = Duration::from_secs(self.random.random_range(1..120));
        Draft {
            app_id: self.chance(30).then(|| self.pick(&NAMES).to_owned()),
            group: self.chance(40).then(|| self.pick(&GROUPS).to_owned()),
            platforms,
            raw: (!seen).then_some(title),
            visual: seen.then(|| visual.clone()),
            display_ttl: None,
            expires: lives.map(|secs| hub.now().plus(Duration::from_secs(secs))),
            priority: if fallback {
                Priority::High
            } else {
                self.pick(&[Priority::High, Priority::None, Priority::Low])
            },
            fallback: fallback.then_some(Fallback {
                platforms: Platform::ALL.to_vec(),
                delay,
                visual,
            }),
        }
    }

    async fn post_something(&mut self, hub: &Hub) {
        let user = self.pick(&PEOPLE);
        let draft = self.draft(hub);
        self.post(hub, user, draft).await;
    }

    pub(super) async fn post(&mut self, hub: &Hub, user: &'static str, draft: Draft) {
        self.note(hub.now(), format!("post to {user}: {draft:?}"));
        let name = draft.app_id.clone();
        let expires = draft
            .expires
            .unwrap_or(hub.now().plus(crate::hub::DEFAULT_EXPIRY));
        let posts = Touches {
            posts: Some(format!("title {}", self.posted)),
            ..Touches::default()
        };
        self.begin(&[user], &posts);
        let known = name
            .as_ref()
            .and_then(|name| self.names.get(&(user, name.clone())));
        let known = known.map(NotificationId::to_string);
        if name.is_some() && known.is_none() {
            // Which one has that name was in doubt when the process was killed.
            for (id, it) in &self.kept[user] {
                let (id, network) = (id.to_string(), &self.network);
                network.promises(|promises| promises.may_be_posted(&id));
                // Those that a job posted may not be known there yet.
                network.expires(id, expires.max(it.expires));
            }
        }
        if let Some(known) = &known {
            self.network.expires(known.clone(), expires);
            self.network.promises(|promises| promises.posted(known));
        }
        let (posting, began) = (draft.clone(), self.moment().truth);
        let posted = hub.create(subject(user), draft, None).await;
        let stored = posted.as_ref().ok().and_then(|it| it.notification.as_ref());
        let id = stored.map(|it| it.id.to_string());
        self.network.promises(|promises| {
            if id != known {
                known.iter().for_each(|known| promises.not_posted(known));
                id.iter().for_each(|id| promises.posted(id));
            }
            stored.inspect(|it| promises.is_numbered(&it.id.to_string(), it.number));
        });
        let posted = match posted {
            Ok(posted) => posted,
            Err(Error::Limit { .. }) => return self.end(),
            Err(other) => panic!("{other}"),
        };
        let it = posted.notification.expect("it was just stored");
        self.network.expires(it.id.to_string(), it.expires);
        let version = self.kept[user].get(&it.id).map_or(1, |old| old.version + 1);
        let expected = Essence::posted(&posting, expires, version);
        assert_eq!(essence(&it), expected, "{}", it.id);
        self.owes(user, (it.id, &posting), began);
        if let Some(name) = name {
            self.names.insert((user, name), it.id);
        }
        let kept = self.kept.get_mut(user).unwrap();
        kept.insert(it.id, expected);
        // One more may have been retired to make room.
        let there = listed(hub, user).await;
        let limit = self.config.server.limits.notifications_per_user;
        if there.len() >= limit.min(kept.len()) {
            kept.retain(|id, it| there.contains_key(id) || it.expires <= hub.now());
        }
        self.end();
    }

    pub(super) fn caller(&mut self) -> Option<Arc<Device>> {
        let device = self.any_device();
        device.can_call().then_some(device)
    }

    pub(super) fn user_of(device: &Device) -> &'static str {
        let user = PEOPLE
            .iter()
            .find(|user| **user == device.subject.user.as_str());
        user.copied().expect("a device is somebody's")
    }

    async fn open_an_app(&mut self, hub: &Hub) {
        if let Some(device) = self.caller() {
            if self.chance(40) {
                return self.read_one(hub, &device).await;
            }
            self.note(hub.now(), format!("{} is opened", device.name()));
            device.pull(hub, 0).await;
        }
    }

    /// A device reads a single notification, whether it had it or not.
    async fn read_one(&mut self, hub: &Hub, device: &Device) {
        let there: Vec<_> = self.kept[Self::user_of(device)].keys().copied().collect();
        if let Some(id) = there.choose(&mut self.random).copied() {
            self.read(hub, device, id).await;
        }
    }

    pub(super) async fn read(&mut self, hub: &Hub, device: &Device, id: NotificationId) {
        self.note(hub.now(), format!("{} reads {id}", device.name()));
        let Ok(it) = hub.notification(device.subject.clone(), id).await else {
            return;
        };
        device.is_about_to_call();
        let (subject, endpoint) = (device.subject.clone(), device.endpoint.clone());
        let read = vec![(id, it.changed_at)];
        let fetched = hub.fetched_ones(subject, endpoint, read, hub.now());
        fetched.await.expect("a fetch can be written down");
        let now = self.moment().truth;
        self.network
            .promises(|promises| promises.read(device.name(), it.number, now));
        device.acted(id, Some(essence(&it)));
    }

    /// A person signs in or out.
    async fn come_and_go(&mut self, hub: &Hub) {
        let device = self.any_device();
        if !device.with(|memory| memory.online) {
            return;
        }
        if device.can_call() && self.chance(60) {
            self.note(hub.now(), format!("{} signs out", device.name()));
            device.forget();
            self.network
                .promises(|promises| promises.forgets(device.name()));
            device.break_stream();
            let gone = hub.remove_endpoint(device.subject.clone(), device.endpoint.clone());
            let gone = gone.await;
            assert!(matches!(gone, Ok(()) | Err(Error::NotFound(_))), "{gone:?}");
        } else {
            self.sign_in(hub, &device).await;
        }
    }

    pub(super) async fn sign_in(&mut self, hub: &Hub, device: &Arc<Device>) {
        self.note(hub.now(), format!("{} registers", device.name()));
        device.register(hub).await;
        device.pull(hub, 0).await;
    }

    /// A device gets another channel from its service; the old one is dead. It tells the hub now or when it is opened.
    async fn change_channel(&mut self, hub: &Hub) {
        let device = self.any_device();
        if !device.can_call() {
            return;
        }
        self.note(hub.now(), format!("{} gets another channel", device.name()));
        let fresh = world::make(&self.network.handle(), device.service, &self.vapid);
        let old = device.with(|memory| std::mem::replace(&mut memory.double, fresh));
        device.is_about_to_call();
        self.network.set_time(self.moment().truth);
        self.network.handle().remove_device(&old.id).unwrap();
        self.connect(&device);
        if self.chance(60) {
            self.sign_in(hub, &device).await;
        }
    }

    fn stream(&mut self, hub: &Hub) {
        let Some(device) = self.caller() else {
            return;
        };
        if self.chance(60) {
            self.note(hub.now(), format!("{} opens a stream", device.name()));
            device.open_stream(hub);
        } else {
            self.note(hub.now(), format!("{}'s stream breaks", device.name()));
            device.break_stream();
        }
    }
}
