//! A device that behaves as a good client does: registers, gets its pushes from its double, pulls, acts.

use std::collections::BTreeMap;

use beckon::doubles::{Device, HandedOver, Handle, NewDevice, Push, Service};
use serde_json::{Value, json};
use std::sync::Arc;

use super::{Client, TestHub, wait::DEADLINE};

/// One device of one person.
#[derive(Debug, Clone)]
pub struct TestDevice {
    pub endpoint: String,
    pub service: Service,
    pub device: Device,
    /// Calls as this device.
    pub client: Client,
    /// The registration's answer.
    pub registered: Value,
    /// What it holds, by notification id.
    pub held: BTreeMap<String, Value>,
    /// Where it stands.
    pub cursor: Option<String>,
    handle: Handle,
    /// Pushes before this were seen.
    pub seen: u64,
}

impl TestDevice {
    pub async fn register(hub: &TestHub, user: &str, service: Service) -> Self {
        let wanted = match service {
            Service::WebPush => {
                let found = hub
                    .client()
                    .get(&format!("/v1/apps/{}/webpush", super::hub::APP))
                    .await
                    .expect(200);
                NewDevice::browser(found["publicKey"].as_str().unwrap())
            }
            other => NewDevice::of(other),
        };
        Self::register_as(hub, user, wanted).await
    }

    /// The same for a device of this make.
    pub async fn register_as(hub: &TestHub, user: &str, wanted: NewDevice) -> Self {
        let handle = hub.doubles().clone();
        let service = wanted.service;
        let device = handle.add_device(wanted).unwrap();
        Self::register_at(hub, user, (service, device, |channel| channel)).await
    }

    /// The same for a device that is there, whose channel is named otherwise.
    pub async fn register_at(
        hub: &TestHub,
        user: &str,
        (service, device, named): (Service, Device, fn(String) -> String),
    ) -> Self {
        let handle = hub.doubles().clone();
        let endpoint = format!(
            "{service:?}-{}",
            device.id.replace(|c: char| !c.is_ascii_alphanumeric(), "")
        );
        let minted = hub
            .app()
            .post(
                &format!("/v1/users/{user}/tokens"),
                json!({"endpointId": endpoint}),
            )
            .await
            .expect(201);
        let client = hub.client().bearer(minted["token"].as_str().unwrap());
        let channel = named(serde_json::to_string(&device.channel).unwrap());
        let channel: Value = serde_json::from_str(&channel).unwrap();
        let body = json!({"channel": channel, "displayName": "a device", "stateSync": true});
        let registered = client
            .put(&format!("/v1/me/endpoints/{endpoint}"), body)
            .await
            .expect(201);
        let seen = handle.place();
        Self {
            endpoint,
            service,
            device,
            client,
            registered,
            held: BTreeMap::new(),
            cursor: None,
            handle,
            seen,
        }
    }

    /// Waits for the next push that its double hands over, after those seen, of which `fits` is true.
    pub async fn push(&mut self, what: &str, fits: impl Fn(&Push) -> bool) -> Arc<HandedOver> {
        let found = self
            .handle
            .await_handed_over(&self.device.id, self.seen, DEADLINE, fits)
            .await;
        let found = found.unwrap_or_else(|| {
            let arrivals = self.handle.arrivals(0);
            panic!(
                "{:?} got no push: {what}; arrived: {arrivals:#?}",
                self.service
            )
        });
        self.seen = found.seq;
        found
    }

    /// Waits for any next push.
    pub async fn next_push(&mut self, what: &str) -> Arc<HandedOver> {
        self.push(what, |_| true).await
    }

    /// Those that it was handed since it last looked, which are seen with this.
    pub fn all_unseen(&mut self) -> Vec<Arc<HandedOver>> {
        let unseen = self.handle.handed_over(self.seen, &self.device.id);
        self.seen = unseen.last().map_or(self.seen, |last| last.seq);
        unseen
    }

    /// How many pushes it was handed since it last looked.
    pub fn unseen(&self) -> usize {
        self.handle.handed_over(self.seen, &self.device.id).len()
    }

    /// Pulls everything that is new and holds it.
    pub async fn pull(&mut self) {
        loop {
            let path = match &self.cursor {
                Some(cursor) => format!("/v1/me/notifications/delta?$deltatoken={cursor}"),
                None => String::from("/v1/me/notifications/delta"),
            };
            let page = self.client.get(&path).await.expect(200);
            for item in page["value"].as_array().unwrap() {
                let id = item["id"].as_str().unwrap().to_owned();
                if item.get("@removed").is_some() {
                    self.held.remove(&id);
                } else {
                    self.held.insert(id, item.clone());
                }
            }
            let link = |name: &str| page[name].as_str().map(token_of);
            self.cursor = link("@odata.deltaLink").or(link("@odata.nextLink"));
            if page.get("@odata.deltaLink").is_some() {
                return;
            }
        }
    }

    /// What it would have on its screen: unread and untouched.
    pub fn shade(&self) -> Vec<String> {
        let open =
            |it: &&Value| it["readState"] == "unread" && it["userActionState"] == "noInteraction";
        let title = |it: &Value| {
            it["payload"]["visualContent"]["title"]
                .as_str()
                .unwrap_or("raw")
                .to_owned()
        };
        self.held.values().filter(open).map(title).collect()
    }

    /// Changes the state of one notification.
    pub async fn set(&self, id: &str, state: Value) -> Value {
        self.client
            .patch(&format!("/v1/me/notifications/{id}"), state)
            .await
            .expect(200)
    }
}

/// The token in a link.
pub fn token_of(link: &str) -> String {
    let (_, query) = link.split_once('?').unwrap();
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs
        .filter(|(name, _)| name.ends_with("token"))
        .map(|(_, value)| value.into_owned())
        .next()
        .unwrap()
}

/// The `beckon` object of a push, wherever its service carries it.
pub fn beckon_of(push: &Push) -> Value {
    let body = push.body.as_ref().expect("a push without a body");
    let text = String::from_utf8(body.bytes()).unwrap();
    if let Some(rest) = text.strip_prefix("<toast launch=\"") {
        let launch = rest.split('"').next().unwrap().replace("&quot;", "\"");
        return serde_json::from_str::<Value>(&launch).unwrap()["beckon"].clone();
    }
    let body: Value = serde_json::from_str(&text).unwrap();
    match body.get("message") {
        Some(message) => message["data"].clone(),
        None if body.get("data").is_some() => body["data"].clone(),
        None => body["beckon"].clone(),
    }
}
