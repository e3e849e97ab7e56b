//! Rarer things that happen: the operator and the app's server do something for many, or look after one device.

use std::{sync::Arc, time::Duration};

use rand::{
    Rng as _,
    seq::{IndexedRandom as _, IteratorRandom as _},
};

use super::{
    device::Device,
    doubt::Touches,
    weather::Weather,
    world::{PEOPLE, World, listed, subject},
};
use crate::{
    doubles::{DevicePatch, Service},
    hub::{Error, Hub},
    model::{
        Audience, BroadcastId, BroadcastStatus, Draft, Fallback, NotificationId, Platform,
        Priority, VisualContent,
    },
};

/// How long a job may take: it yields to taps, and the disk is slow.
const PATIENCE: Duration = Duration::from_mins(30);

/// A post to everybody that is under way.
#[derive(Debug, Clone)]
pub(super) struct Job {
    /// What it posts: no other has this title.
    title: String,
    /// What it was acknowledged as, and for how many.
    acknowledged: Option<(BroadcastId, u64)>,
}

impl World {
    /// The app's server posts to everybody, and waits until it is done.
    pub(super) async fn post_to_all(&mut self, hub: &Hub) {
        let mut draft = self.draft(hub);
        (draft.app_id, draft.expires) = (None, None);
        let title = format!("title {}", self.posted);
        self.note(hub.now(), format!("post to all: {draft:?}"));
        let posts = Touches {
            posts: Some(title.clone()),
            ..Touches::default()
        };
        self.begin(&PEOPLE, &posts);
        let mut job = Job {
            title,
            acknowledged: None,
        };
        self.set_job(Some(job.clone()));
        let app = subject(PEOPLE[0]).app;
        let accepted = hub.broadcast(app, Audience::All, draft, None).await;
        let accepted = match accepted {
            Ok(accepted) => accepted,
            // Nobody has registered yet.
            Err(Error::Invalid { .. }) => {
                self.set_job(None);
                return self.end();
            }
            Err(other) => panic!("{other}"),
        };
        job.acknowledged = Some((accepted.id, accepted.accepted));
        self.set_job(Some(job));
        self.end_job(hub).await;
        self.end();
    }

    /// A service is slow, so that pushes wait in its lane; devices are away or keep silent ones back; and people look at what they are
    /// about before these leave.
    pub(super) async fn jam(&mut self, hub: &Hub) {
        let service = self.pick(&Service::ALL);
        let weather = Weather {
            latency_ms: 40_000,
            ..Weather::FAIR
        };
        self.note(hub.now(), format!("{service:?} is jammed"));
        self.network.set_weather(service, weather);
        let of_it = |device: &&Arc<Device>| device.service == service;
        let devices: Vec<_> = self.devices.iter().filter(of_it).cloned().collect();
        for device in &devices {
            let away = self.chance(40);
            let sleepy = DevicePatch {
                online: away.then_some(false),
                low_power: (service == Service::Apns).then_some(true),
                doze: (service == Service::Fcm).then_some(true),
                ..DevicePatch::default()
            };
            if away {
                device.break_stream();
                device.set_online(false);
            }
            self.patch(device, sleepy);
        }
        for user in PEOPLE {
            let draft = self.draft(hub);
            let draft = if self.chance(60) {
                self.urgent(draft)
            } else {
                draft
            };
            self.post(hub, user, draft).await;
        }
        for _ in 0..8 {
            let ms = self.random.random_range(0..20_000);
            tokio::time::sleep(Duration::from_millis(ms)).await;
            if let Some(device) = devices.choose(&mut self.random) {
                self.visit(hub, device).await;
            }
        }
    }

    /// The same as one that falls back soon.
    pub(super) fn urgent(&mut self, draft: Draft) -> Draft {
        let title = format!("title {}", self.posted);
        let visual = VisualContent {
            title: title.clone(),
            body: None,
        };
        let delay = Duration::from_secs(self.random.random_range(1..5));
        Draft {
            platforms: None,
            raw: Some(title),
            visual: None,
            priority: Priority::High,
            fallback: Some(Fallback {
                platforms: Platform::ALL.to_vec(),
                delay,
                visual,
            }),
            ..draft
        }
    }

    /// The person opens the app, or only what came last.
    async fn visit(&mut self, hub: &Hub, device: &Device) {
        if !device.can_call() {
            return;
        }
        let newest = self.kept[Self::user_of(device)].keys().last().copied();
        if let Some(id) = newest.filter(|_| self.chance(60)) {
            return self.read(hub, device, id).await;
        }
        self.note(hub.now(), format!("{} is opened", device.name()));
        device.pull(hub, 0).await;
    }

    fn set_job(&self, job: Option<Job>) {
        *self.job.lock().unwrap() = job;
    }

    /// A job that is under way comes to its end, and everybody has its notification once; where it was not
    /// acknowledged, nobody may.
    pub(super) async fn end_job(&mut self, hub: &Hub) {
        let Some(job) = self.job.lock().unwrap().clone() else {
            return;
        };
        let done = match job.acknowledged {
            Some((id, accepted)) => self.wait_for(hub, id, accepted).await,
            None => {
                tokio::time::sleep(PATIENCE).await;
                None
            }
        };
        let mut got = 0;
        for user in PEOPLE {
            let there = listed(hub, user).await;
            let of_it = there.iter().filter(|(_, it)| it.title == job.title);
            let of_it: Vec<NotificationId> = of_it.map(|(id, _)| *id).collect();
            assert!(of_it.len() <= 1, "{user} got {job:?} as {of_it:?}");
            got += of_it.len() as u64;
            self.adopt(hub, user, there);
            for id in &of_it {
                let expires = self.kept[user][id].expires;
                self.network.expires(id.to_string(), expires);
                self.network
                    .promises(|promises| promises.posted(&id.to_string()));
            }
        }
        if let Some(done) = done {
            assert_eq!(got, done, "{job:?}");
        }
        self.set_job(None);
    }

    /// Waits for the end of a job, and says how many have got it; nothing, where its time is over by the hub's clock.
    async fn wait_for(&self, hub: &Hub, id: BroadcastId, accepted: u64) -> Option<u64> {
        let (app, began) = (subject(PEOPLE[0]).app, tokio::time::Instant::now());
        loop {
            let stands = hub.broadcast_of(&app, id).await;
            if matches!(stands, Err(Error::NotFound(_))) && self.belief.ahead_ms() > 0 {
                return None;
            }
            let stands = stands.expect("it is known");
            if stands.expires <= hub.now() {
                return None;
            }
            if stands.status == BroadcastStatus::Completed {
                assert_eq!((stands.done, stands.failed), (accepted, 0), "{stands:?}");
                return Some(stands.done);
            }
            assert!(began.elapsed() < PATIENCE, "it does not end: {stands:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Somebody wants to know whether a device can be reached.
    pub(super) async fn test_a_device(&mut self, hub: &Hub) {
        let device = self.any_device();
        self.note(hub.now(), format!("{} is tested", device.name()));
        let (subject, endpoint) = (device.subject.clone(), device.endpoint.clone());
        let tested = match hub.test_endpoint(subject, endpoint).await {
            Ok(tested) => tested,
            Err(Error::NotFound(_) | Error::EndpointNotFound | Error::Conflict(_)) => return,
            Err(other) => panic!("{other}"),
        };
        let Some(answer) = &tested.answer else {
            return;
        };
        let was = self
            .network
            .answers(|answers| answers.tested(device.service, device.name(), answer));
        assert!(was, "{}: that was not answered: {tested:#?}", device.name());
        let status = (answer.status != 0).then(|| answer.status.to_string());
        let mut words = status.into_iter().chain(answer.reason.clone());
        let said = &tested.explanation;
        // One that did not leave tells until when.
        let tells = said.contains("until") || words.all(|it| said.contains(&it));
        assert!(tells, "{tested:#?}");
    }

    /// The operator has the channels tried again that were called dead.
    pub(super) async fn revive(&mut self, hub: &Hub) {
        self.note(hub.now(), "dead channels are revived");
        for device in &self.devices {
            self.network
                .answers(|answers| answers.begins_anew(device.name()));
        }
        let now = self.moment().truth;
        self.network.promises(|promises| promises.revived(now));
        let revived = hub.revive(&subject(PEOPLE[0]).app, None, None).await;
        revived.expect("channels can be revived");
        // One that was called dead meanwhile may have been among them.
        let now = self.moment().truth;
        self.network.promises(|promises| promises.revived(now));
        for device in &self.devices {
            // One that is over by a clock that has leapt is left alone.
            let all = hub.endpoints(device.subject.clone()).await.unwrap();
            let is_there = all.iter().any(|it| it.id == device.endpoint);
            if is_there {
                self.network
                    .answers(|answers| answers.has_begun(device.name(), now));
            }
        }
    }

    /// A device tells what it showed, or how far it has got.
    pub(super) async fn send_receipts(&mut self, hub: &Hub) {
        let Some(device) = self.caller() else {
            return;
        };
        device.is_about_to_call();
        if self.chance(50) {
            return self.send_position(hub, &device).await;
        }
        // Of what was ever replaced the hub believes it only where it knows that the device has it as it is.
        let reader = hub.store().reader();
        let was_replaced = |id: &NotificationId| {
            let it = reader.notification_of(&device.subject, *id).unwrap();
            it.is_some_and(|it| it.was_replaced())
        };
        let held: Vec<NotificationId> = device.with(|memory| memory.held.keys().copied().collect());
        let held = held.into_iter().filter(|id| !was_replaced(id));
        let most = self.random.random_range(1..4);
        let ids = held.choose_multiple(&mut self.random, most);
        self.note(hub.now(), format!("{} has shown {ids:?}", device.name()));
        let (subject, endpoint) = (device.subject.clone(), device.endpoint.clone());
        let shown = hub.shown(subject, endpoint, (ids.clone(), None)).await;
        shown.expect("a receipt can be written down");
        let now = self.moment().truth;
        self.network.promises(|promises| {
            let ids = ids.iter().map(NotificationId::to_string);
            ids.for_each(|id| promises.has_shown(device.name(), &id, now));
        });
        self.check_shown(hub, &device, &ids).await;
    }

    async fn send_position(&mut self, hub: &Hub, device: &Arc<Device>) {
        let Some(position) = device.position() else {
            return;
        };
        self.note(
            hub.now(),
            format!("{} is up to {position:?}", device.name()),
        );
        let (subject, endpoint) = (device.subject.clone(), device.endpoint.clone());
        let held = hub.holds(subject, endpoint, position).await;
        held.expect("a receipt can be written down");
        let now = self.moment().truth;
        self.network
            .promises(|promises| promises.holds(device.name(), position, now));
    }

    /// What was told to be shown is told so.
    async fn check_shown(&self, hub: &Hub, device: &Device, ids: &[NotificationId]) {
        for id in ids {
            let Ok(lines) = hub.deliveries(device.subject.clone(), *id).await else {
                continue;
            };
            let mine = lines.iter().find(|line| line.endpoint == device.endpoint);
            let is_told = mine.is_none_or(|line| line.shown.is_some());
            assert!(is_told, "{} has shown {id}: {mine:#?}", device.name());
        }
    }
}
