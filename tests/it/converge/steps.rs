//! What can happen in a walk.

use std::sync::Arc;

use beckon::doubles::{At, DevicePatch, FaultKind, FaultSpec, Service};
use hyper::Method;
use serde_json::{Value, json};

use super::{PEOPLE, World, phone::Phone, phone::essence, place::Place};

const NAMES: [&str; 3] = ["order-1", "order-2", "order-3"];
const GROUPS: [&str; 2] = ["news", "chat"];

impl World {
    /// One thing happens.
    pub(super) async fn step(&mut self) {
        let user = *self.random.pick(&PEOPLE).unwrap();
        match self.random.below(100) {
            0..=33 => {
                let body = self.draft();
                self.post(user, body).await;
            }
            34..=48 => self.change_one().await,
            49..=53 => self.change_many().await,
            54..=60 => self.delete_one(user).await,
            61..=66 => self.come_and_go().await,
            67..=74 => self.open_an_app().await,
            75..=80 => self.stream().await,
            81..=89 => self.switch().await,
            90..=95 => self.fault(),
            96..=97 => self.die_while_posting(user).await,
            _ => {
                self.note("restart");
                self.restart().await;
            }
        }
        self.place.nobody_is_forgotten(&PEOPLE).await;
        if self.random.chance(10) {
            self.check().await;
        }
    }

    fn note(&mut self, what: impl Into<String>) {
        self.trail.push(what.into());
    }

    /// Something to post, of any kind.
    fn draft(&mut self) -> Value {
        let random = &mut self.random;
        let mut body = json!({});
        self.posted += 1;
        let title = format!("no. {}", self.posted);
        body["priority"] = json!(*random.pick(&["None", "High", "Low"]).unwrap());
        match random.below(4) {
            0 | 1 => body["payload"] = json!({"visualContent": {"title": title, "body": "b"}}),
            2 => body["payload"] = json!({"rawContent": title}),
            _ => {
                body["priority"] = json!("High");
                body["payload"] = json!({"rawContent": title});
                let fallback = json!({
                    "platformTypes": ["iOS", "android", "windows", "webPush"],
                    "fallbackDelayInSeconds": 1 + random.below(3),
                    "visualContent": {"title": title}
                });
                body["fallbackPolicy"] = json!({"endpointFallback": fallback});
            }
        }
        if random.chance(30) {
            body["appNotificationId"] = json!(*random.pick(&NAMES).unwrap());
        }
        if random.chance(40) {
            body["groupName"] = json!(*random.pick(&GROUPS).unwrap());
        }
        if random.chance(15) && body.get("fallbackPolicy").is_none() {
            body["targetPolicy"] = json!({"platformTypes": ["iOS", "webPush"]});
        }
        body
    }

    pub(super) async fn post(&mut self, user: &'static str, body: Value) {
        self.note(format!("post to {user}: {body}"));
        let path = format!("/v1/users/{user}/notifications");
        let answer = self.place.app().post(&path, body.clone()).await;
        let name = &body["appNotificationId"];
        let kept = self.kept.get_mut(user).unwrap();
        let known = kept
            .iter()
            .find(|(_, it)| !name.is_null() && it["appNotificationId"] == *name);
        let status = if known.is_some() { 200 } else { 201 };
        let posted = answer.expect(status);
        let id = posted["id"].as_str().unwrap().to_owned();
        if let Some((known, _)) = known {
            assert_eq!(*known, id, "it keeps its id");
        }
        assert_eq!(posted["readState"], "unread");
        kept.insert(id, essence(&posted));
    }

    /// A device that is there and can call.
    async fn reachable(&mut self) -> Option<Arc<Phone>> {
        let phone = self.random.pick(&self.phones).cloned()?;
        (phone.is_signed_in().await && phone.is_online().await).then_some(phone)
    }

    fn state(&mut self) -> Value {
        let all = [
            json!({"readState": "read"}),
            json!({"userActionState": "dismissed"}),
            json!({"userActionState": "activated", "readState": "read"}),
            json!({"readState": "unread"}),
            json!({"userActionState": "snoozed"}),
        ];
        self.random.pick(&all).cloned().unwrap()
    }

    async fn change_one(&mut self) {
        let state = self.state();
        let Some(phone) = self.reachable().await else {
            return;
        };
        let mut me = phone.me().await;
        let ids: Vec<String> = me.held.keys().cloned().collect();
        let Some(id) = self.random.pick(&ids) else {
            return;
        };
        self.note(format!("{} sets {id}: {state}", phone.endpoint));
        let there = phone.set(&mut me, id, state.clone()).await;
        let kept = self.kept.get_mut(phone.user.as_str()).unwrap();
        assert_eq!(there, kept.contains_key(id), "{id}");
        if let Some(it) = kept.get_mut(id) {
            apply(it, &state);
            assert_eq!(me.held[id], *it, "the answer says how it is");
        }
    }

    async fn change_many(&mut self) {
        let state = self.state();
        let group = self.random.pick(&GROUPS).unwrap();
        let all = self.random.chance(40);
        let Some(phone) = self.reachable().await else {
            return;
        };
        let body = if all {
            json!({"all": true, "set": state})
        } else {
            json!({"groupName": group, "set": state})
        };
        self.note(format!("{} sets many: {body}", phone.endpoint));
        let mut me = phone.me().await;
        let answered = phone.set_many(&mut me, body).await;
        let kept = self.kept.get_mut(phone.user.as_str()).unwrap();
        let mut changed = 0;
        for it in kept
            .values_mut()
            .filter(|it| all || it["groupName"] == **group)
        {
            let before = it.clone();
            apply(it, &state);
            changed += u32::from(*it != before);
        }
        assert_eq!(answered, changed);
    }

    async fn delete_one(&mut self, user: &'static str) {
        if self.random.chance(50) {
            let ids: Vec<String> = self.kept[user].keys().cloned().collect();
            let Some(id) = self.random.pick(&ids) else {
                return;
            };
            self.note(format!("{user}'s {id} is retracted"));
            let path = format!("/v1/users/{user}/notifications/{id}");
            self.place.app().delete(&path).await.expect(204);
            self.kept.get_mut(user).unwrap().remove(id);
            return;
        }
        let Some(phone) = self.reachable().await else {
            return;
        };
        let mut me = phone.me().await;
        let ids: Vec<String> = me.held.keys().cloned().collect();
        let Some(id) = self.random.pick(&ids) else {
            return;
        };
        self.note(format!("{} deletes {id}", phone.endpoint));
        let there = phone.delete(&mut me, id).await;
        let kept = self.kept.get_mut(phone.user.as_str()).unwrap();
        assert_eq!(there, kept.remove(id).is_some(), "{id}");
    }

    async fn come_and_go(&mut self) {
        let phone = self.random.pick(&self.phones).cloned().unwrap();
        if !phone.is_online().await {
            return;
        }
        let at_the_server = self.random.chance(50);
        match (phone.is_signed_in().await, self.random.below(3)) {
            (true, 0) => {
                self.note(format!("{} signs out", phone.endpoint));
                phone.sign_out(at_the_server).await;
            }
            (true, 1) => {
                self.note(format!("{} gets another channel", phone.endpoint));
                phone.change_channel().await;
            }
            _ => {
                self.note(format!("{} registers", phone.endpoint));
                phone.sign_in().await;
            }
        }
    }

    async fn open_an_app(&mut self) {
        if let Some(phone) = self.reachable().await {
            self.note(format!("{} is opened", phone.endpoint));
            phone.pull().await;
        }
    }

    async fn stream(&mut self) {
        if let Some(phone) = self.reachable().await {
            if self.random.chance(60) {
                self.note(format!("{} opens a stream", phone.endpoint));
                phone.open_stream().await;
            } else {
                self.note(format!("{}'s stream breaks", phone.endpoint));
                phone.break_stream();
            }
        }
    }

    async fn switch(&mut self) {
        let phone = self.random.pick(&self.phones).cloned().unwrap();
        let on = self.random.chance(60);
        let patch = match (phone.service, self.random.below(3)) {
            (Service::Apns, 0) => DevicePatch {
                low_power: Some(!on),
                ..DevicePatch::default()
            },
            (Service::Fcm, 0) => DevicePatch {
                doze: Some(!on),
                ..DevicePatch::default()
            },
            _ => {
                phone.break_stream();
                DevicePatch::online(on)
            }
        };
        self.note(format!("{}: {patch:?}", phone.endpoint));
        phone.switch(patch).await;
    }

    fn fault(&mut self) {
        let service = *self.random.pick(&Service::ALL).unwrap();
        let kinds = [FaultKind::ServerError, FaultKind::Throttled, FaultKind::Cut];
        let kind = *self.random.pick(&kinds).unwrap();
        let throttled = kind == FaultKind::Throttled;
        let at_token = self.random.chance(20) && !throttled;
        let spec = FaultSpec {
            times: Some(1 + u32::try_from(self.random.below(4)).unwrap()),
            retry_after_seconds: throttled.then_some(1),
            at: if at_token { At::Token } else { At::Push },
            ..FaultSpec::always(service, kind)
        };
        self.note(format!("{spec:?}"));
        self.place.doubles().script(spec);
    }

    /// The hub goes away while it is asked something: that has happened, or it has not.
    async fn die_while_posting(&mut self, user: &'static str) {
        if matches!(self.place, Place::Inside(_)) {
            return;
        }
        let body = self.draft();
        self.note(format!("dies while posting to {user}: {body}"));
        let (client, path) = (self.place.app(), format!("/v1/users/{user}/notifications"));
        let asked = body.clone();
        let asking =
            tokio::spawn(async move { client.attempt(Method::POST, &path, Some(asked)).await });
        for _ in 0..self.random.below(2000) {
            tokio::task::yield_now().await;
        }
        self.place.restart().await;
        *self.addr.lock().unwrap() = self.place.addr();
        self.restarts += 1;
        let answer = asking.await.unwrap();
        let there = self.list(user).await;
        let kept = self.kept.get_mut(user).unwrap();
        let payload = |it: &Value| it["payload"].clone();
        let same = |it: &Value| {
            let (there, posted) = (payload(it), payload(&body));
            there["rawContent"] == posted["rawContent"]
                && there["visualContent"]["title"] == posted["visualContent"]["title"]
        };
        let found = there.iter().find(|(_, it)| same(it));
        assert!(
            found.is_some() || answer.is_none(),
            "it was acknowledged: {answer:?}"
        );
        if let Some((id, it)) = found {
            kept.insert(id.clone(), it.clone());
        }
        self.check().await;
    }
}

fn apply(it: &mut Value, state: &Value) {
    for (name, value) in state.as_object().unwrap() {
        it[name] = value.clone();
    }
}
