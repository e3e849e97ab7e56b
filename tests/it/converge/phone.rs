//! A device that behaves, in the background: on a push, or on an event of its stream, it pulls.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use beckon::doubles::{Device, DevicePatch, Handle, NewDevice, Service};
use http_body_util::BodyExt as _;
use hyper::{Method, body::Bytes};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::{Answer, Client, device::token_of, eventually, hub::APP, wait::DEADLINE};

/// What a notification is to the person: the rest may differ from device to device.
pub fn essence(it: &Value) -> Value {
    let fields = [
        "payload",
        "readState",
        "userActionState",
        "appNotificationId",
        "groupName",
        "priority",
    ];
    let of = |name: &&str| {
        (
            (*name).to_owned(),
            it.get(*name).cloned().unwrap_or_default(),
        )
    };
    Value::Object(fields.iter().map(of).collect())
}

/// One device of one person.
#[derive(Debug)]
pub struct Phone {
    pub user: String,
    pub endpoint: String,
    pub service: Service,
    hub: Arc<Mutex<SocketAddr>>,
    app_key: String,
    handle: Handle,
    me: tokio::sync::Mutex<Me>,
    stream: Mutex<Option<JoinHandle<()>>>,
}

/// What it has and knows. Its pulls and its person's acts come one after the other.
#[derive(Debug)]
pub struct Me {
    device: Device,
    token: String,
    pub signed_in: bool,
    pub held: BTreeMap<String, Value>,
    cursor: Option<String>,
}

impl Phone {
    /// A device, signed in, and what it does in the background.
    pub async fn unpack(
        (hub, app_key): (&Arc<Mutex<SocketAddr>>, &str),
        handle: &Handle,
        (user, service): (&str, Service),
    ) -> (Arc<Self>, JoinHandle<()>) {
        let addr = *hub.lock().unwrap();
        let device = make(addr, handle, service).await;
        let phone = Arc::new(Self {
            user: user.to_owned(),
            endpoint: format!("{user}-{service:?}"),
            service,
            hub: Arc::clone(hub),
            app_key: app_key.to_owned(),
            handle: handle.clone(),
            me: tokio::sync::Mutex::new(Me {
                device,
                token: String::new(),
                signed_in: false,
                held: BTreeMap::new(),
                cursor: None,
            }),
            stream: Mutex::default(),
        });
        phone.sign_in().await;
        let task = tokio::spawn(Arc::clone(&phone).run(handle.place()));
        (phone, task)
    }

    /// Pulls whenever its double hands something over.
    async fn run(self: Arc<Self>, mut seen: u64) {
        loop {
            for entry in self.handle.next_entries(seen, DEADLINE).await {
                seen = seen.max(entry.seq());
                let Some(handed) = entry.handed_over() else {
                    continue;
                };
                let mut me = self.me.lock().await;
                if handed.device == me.device.id && me.signed_in {
                    self.pull_as(&mut me).await;
                }
            }
        }
    }

    pub async fn me(&self) -> tokio::sync::MutexGuard<'_, Me> {
        self.me.lock().await
    }

    pub async fn is_signed_in(&self) -> bool {
        self.me().await.signed_in
    }

    /// Whether it can be reached, and can call.
    pub async fn is_online(&self) -> bool {
        let me = self.me().await;
        self.handle.device(&me.device.id).unwrap().switches.online
    }

    /// The person opens the app: it registers and pulls.
    pub async fn sign_in(&self) {
        let mut me = self.me().await;
        if !me.signed_in {
            let path = format!("/v1/users/{}/tokens", self.user);
            let body = json!({"endpointId": self.endpoint});
            let minted = self
                .call(&self.app_key, Method::POST, &path, Some(body))
                .await;
            me.token = minted.expect(201)["token"].as_str().unwrap().to_owned();
        }
        let body = json!({"channel": me.device.channel, "stateSync": true});
        let path = format!("/v1/me/endpoints/{}", self.endpoint);
        let answer = self.call(&me.token, Method::PUT, &path, Some(body)).await;
        assert_eq!(
            answer.status.as_u16(),
            if me.signed_in { 200 } else { 201 },
            "{answer:?}"
        );
        me.signed_in = true;
        self.pull_as(&mut me).await;
    }

    /// It gets another channel from its push service, as happens, and says so.
    pub async fn change_channel(&self) {
        let mut me = self.me().await;
        let addr = *self.hub.lock().unwrap();
        let fresh = make(addr, &self.handle, self.service).await;
        let old = std::mem::replace(&mut me.device, fresh);
        drop(me);
        self.sign_in().await;
        self.handle.remove_device(&old.id).unwrap();
    }

    /// The person signs out, here or at the app's server.
    pub async fn sign_out(&self, at_the_server: bool) {
        let mut me = self.me().await;
        let (credential, path) = if at_the_server {
            let path = format!("/v1/users/{}/endpoints/{}", self.user, self.endpoint);
            (&self.app_key, path)
        } else {
            (&me.token, format!("/v1/me/endpoints/{}", self.endpoint))
        };
        self.call(credential, Method::DELETE, &path, None)
            .await
            .expect(204);
        me.signed_in = false;
        me.held.clear();
        me.cursor = None;
        self.break_stream();
    }

    /// The person opens the app, which pulls.
    pub async fn pull(&self) {
        let mut me = self.me().await;
        if me.signed_in {
            self.pull_as(&mut me).await;
        }
    }

    async fn pull_as(&self, me: &mut Me) {
        loop {
            let path = match &me.cursor {
                Some(cursor) => format!("/v1/me/notifications/delta?$deltatoken={cursor}&$top=7"),
                None => String::from("/v1/me/notifications/delta?$top=7"),
            };
            let page = self
                .call(&me.token, Method::GET, &path, None)
                .await
                .expect(200);
            for item in page["value"].as_array().unwrap() {
                let id = item["id"].as_str().unwrap().to_owned();
                if item.get("@removed").is_some() {
                    me.held.remove(&id);
                } else {
                    me.held.insert(id, essence(item));
                }
            }
            let link = |name: &str| page[name].as_str().map(token_of);
            me.cursor = link("@odata.deltaLink").or(link("@odata.nextLink"));
            if page.get("@odata.deltaLink").is_some() {
                return;
            }
        }
    }

    /// Sets the state of one notification that it holds; whether it was there.
    pub async fn set(&self, me: &mut Me, id: &str, state: Value) -> bool {
        let path = format!("/v1/me/notifications/{id}");
        let answer = self
            .call(&me.token, Method::PATCH, &path, Some(state))
            .await;
        if answer.status == 404 {
            return false;
        }
        me.held.insert(id.to_owned(), essence(&answer.expect(200)));
        true
    }

    /// Sets the state of many, and pulls.
    pub async fn set_many(&self, me: &mut Me, body: Value) -> Value {
        let path = "/v1/me/notifications/state";
        let answer = self
            .call(&me.token, Method::POST, path, Some(body))
            .await
            .expect(200);
        self.pull_as(me).await;
        answer["changed"].clone()
    }

    /// Deletes one that it holds; whether it was there.
    pub async fn delete(&self, me: &mut Me, id: &str) -> bool {
        let path = format!("/v1/me/notifications/{id}");
        let answer = self.call(&me.token, Method::DELETE, &path, None).await;
        me.held.remove(id);
        answer.status == 204
    }

    /// Flips switches at its double.
    pub async fn switch(&self, patch: DevicePatch) {
        let id = self.me().await.device.id.clone();
        self.handle.patch_device(&id, patch).unwrap();
    }

    /// Opens a stream; each event has it pull.
    pub async fn open_stream(self: &Arc<Self>) {
        let (path, token) = {
            let me = self.me().await;
            let from = me
                .cursor
                .as_ref()
                .map(|cursor| format!("?$deltatoken={cursor}"));
            let path = format!("/v1/me/notifications/stream{}", from.unwrap_or_default());
            (path, me.token.clone())
        };
        let addr = *self.hub.lock().unwrap();
        let client = Client::new(addr).bearer(token);
        let (status, _, mut body) = client.open(Method::GET, &path, Bytes::new()).await;
        assert_eq!(status, 200);
        let phone = Arc::clone(self);
        let reading = tokio::spawn(async move {
            while let Some(Ok(frame)) = body.frame().await {
                let data = frame.into_data().unwrap_or_default();
                if String::from_utf8_lossy(&data).contains("event: change") {
                    phone.pull().await;
                }
            }
        });
        let old = self.stream.lock().unwrap().replace(reading);
        old.inspect(JoinHandle::abort);
    }

    pub fn break_stream(&self) {
        self.stream
            .lock()
            .unwrap()
            .take()
            .inspect(JoinHandle::abort);
    }

    /// Calls the hub, wherever it listens now, until it answers.
    async fn call(
        &self,
        credential: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        eventually("the hub answers a device", || async {
            let addr = *self.hub.lock().unwrap();
            let client = Client::new(addr).bearer(credential);
            let asked = client.attempt(method.clone(), path, body.clone());
            let answer = tokio::time::timeout(Duration::from_secs(5), asked)
                .await
                .ok()??;
            (answer.status != 503).then_some(answer)
        })
        .await
    }
}

async fn make(hub: SocketAddr, handle: &Handle, service: Service) -> Device {
    let wanted = match service {
        Service::WebPush => {
            let found = Client::new(hub)
                .get(&format!("/v1/apps/{APP}/webpush"))
                .await
                .expect(200);
            NewDevice::browser(found["publicKey"].as_str().unwrap())
        }
        other => NewDevice::of(other),
    };
    handle.add_device(wanted).unwrap()
}
