//! One client that writes without a pause and knows what was acknowledged to it.

use std::{collections::BTreeMap, net::SocketAddr};

use hyper::Method;
use serde_json::{Value, json};

use crate::support::{Answer, ChildHub, Client, Random, device::token_of};

/// How many notifications it keeps at most.
const KEPT: usize = 40;

/// What it asks.
#[derive(Debug, Clone)]
enum Ask {
    Post(String),
    /// The only one of its name.
    Replace(String),
    Read(String),
    Delete(String),
}

/// A title, and whether it was read.
type Known = (String, bool);

pub struct Worker {
    user: String,
    app_key: String,
    token: String,
    random: Random,
    known: BTreeMap<String, Known>,
    named: Option<String>,
    asked: u64,
    /// Asked and not answered.
    open: Option<Ask>,
    /// How many requests were answered with success.
    pub acknowledged: u64,
    /// As a device holds it that pulls now and then.
    held: BTreeMap<String, Known>,
    cursor: Option<String>,
}

fn known(it: &Value) -> (String, Known) {
    let title = it["payload"]["visualContent"]["title"].as_str().unwrap();
    let read = it["readState"] == "read";
    (
        it["id"].as_str().unwrap().to_owned(),
        (title.to_owned(), read),
    )
}

impl Worker {
    pub async fn new(hub: &ChildHub, nth: usize) -> Self {
        let user = format!("user-{nth}");
        let path = format!("/v1/users/{user}/tokens");
        let minted = hub
            .app()
            .post(&path, json!({"expiresInSeconds": 86400}))
            .await
            .expect(201);
        Self {
            user,
            app_key: hub.key.clone(),
            token: minted["token"].as_str().unwrap().to_owned(),
            random: Random::new(nth as u64),
            known: BTreeMap::new(),
            named: None,
            asked: 0,
            open: None,
            acknowledged: 0,
            held: BTreeMap::new(),
            cursor: None,
        }
    }

    /// Asks one thing after the other until there is no answer any more.
    pub async fn work(mut self, addr: SocketAddr) -> Self {
        loop {
            let ask = self.think();
            self.open = Some(ask.clone());
            let Some(answer) = self.ask(addr, &ask).await else {
                return self;
            };
            self.open = None;
            if answer.status == 503 {
                return self;
            }
            assert!(answer.status.is_success(), "{ask:?}: {answer:?}");
            self.acknowledged += 1;
            self.note(&ask, &answer.json());
        }
    }

    fn think(&mut self) -> Ask {
        self.asked += 1;
        let title = format!("{} no. {}", self.user, self.asked);
        let ids: Vec<String> = self.known.keys().cloned().collect();
        let picked = self.random.pick(&ids).cloned();
        match (self.random.below(10), picked) {
            (0..=1, _) => Ask::Replace(title),
            (2..=4, Some(id)) => Ask::Read(id),
            (5..=6, Some(id)) => Ask::Delete(id),
            (_, Some(id)) if ids.len() > KEPT => Ask::Delete(id),
            _ => Ask::Post(title),
        }
    }

    async fn ask(&self, addr: SocketAddr, ask: &Ask) -> Option<Answer> {
        let app = Client::new(addr).bearer(&self.app_key);
        let me = Client::new(addr).bearer(&self.token);
        let post = format!("/v1/users/{}/notifications", self.user);
        match ask {
            Ask::Post(title) => {
                let body = json!({"payload": {"visualContent": {"title": title, "body": "x".repeat(200)}}});
                app.attempt(Method::POST, &post, Some(body)).await
            }
            Ask::Replace(title) => {
                let body = json!({"appNotificationId": "it", "payload": {"visualContent": {"title": title}}});
                app.attempt(Method::POST, &post, Some(body)).await
            }
            Ask::Read(id) => {
                let path = format!("/v1/me/notifications/{id}");
                me.attempt(Method::PATCH, &path, Some(json!({"readState": "read"})))
                    .await
            }
            Ask::Delete(id) => {
                me.attempt(Method::DELETE, &format!("/v1/me/notifications/{id}"), None)
                    .await
            }
        }
    }

    fn note(&mut self, ask: &Ask, answer: &Value) {
        match ask {
            Ask::Post(_) | Ask::Replace(_) => {
                let (id, it) = known(answer);
                if matches!(ask, Ask::Replace(_)) {
                    self.named = Some(id.clone());
                }
                self.known.insert(id, it);
            }
            Ask::Read(id) => {
                if let Some(it) = self.known.get_mut(id) {
                    it.1 = true;
                }
            }
            Ask::Delete(id) => {
                self.known.remove(id);
                self.named.take_if(|named| named == id);
            }
        }
    }

    /// After a restart: what was acknowledged is there, and nothing that was not asked for; a device that comes back
    /// with its cursor holds the same. Says whether what was open had happened.
    pub async fn check(&mut self, hub: &ChildHub, round: u32) -> bool {
        let path = format!("/v1/users/{}/notifications?$top=1000", self.user);
        let page = hub.app().get(&path).await.expect(200);
        let there: BTreeMap<String, Known> = page["value"]
            .as_array()
            .unwrap()
            .iter()
            .map(known)
            .collect();
        let open = self.open.take();
        let done = there != self.known;
        if done {
            let open = open
                .unwrap_or_else(|| panic!("round {round}: {there:#?} is not {:#?}", self.known));
            self.suppose(&open, &there);
            assert_eq!(
                there, self.known,
                "round {round}, {}, with {open:?} open",
                self.user
            );
        }
        let unread = there.values().filter(|it| !it.1).count();
        let me = hub.client().bearer(&self.token);
        let history = me.get("/v1/me/notifications?$top=1").await.expect(200);
        assert_eq!(
            history["unreadCount"], unread,
            "round {round}, {}",
            self.user
        );
        self.pull(&me).await;
        assert_eq!(
            self.held, self.known,
            "round {round}: what a device of {} holds",
            self.user
        );
        done
    }

    /// What was open has happened, then.
    fn suppose(&mut self, open: &Ask, there: &BTreeMap<String, Known>) {
        let title = match open {
            Ask::Post(title) | Ask::Replace(title) => title,
            Ask::Read(_) | Ask::Delete(_) => return self.note(open, &Value::Null),
        };
        let (id, it) = there
            .iter()
            .find(|(_, it)| it.0 == *title)
            .unwrap_or_else(|| {
                panic!("{there:#?} is not {:#?}, nor was {open:?} done", self.known)
            });
        if matches!(open, Ask::Replace(_)) {
            let named = self.named.replace(id.clone());
            assert!(named.is_none_or(|named| named == *id), "it keeps its id");
        }
        self.known.insert(id.clone(), it.clone());
    }

    async fn pull(&mut self, me: &Client) {
        loop {
            let path = match &self.cursor {
                Some(cursor) => format!("/v1/me/notifications/delta?$deltatoken={cursor}"),
                None => String::from("/v1/me/notifications/delta"),
            };
            let page = me.get(&path).await.expect(200);
            for item in page["value"].as_array().unwrap() {
                if item.get("@removed").is_some() {
                    self.held.remove(item["id"].as_str().unwrap());
                } else {
                    self.held.extend([known(item)]);
                }
            }
            let link = |name: &str| page[name].as_str().map(token_of);
            self.cursor = link("@odata.deltaLink").or(link("@odata.nextLink"));
            if page.get("@odata.deltaLink").is_some() {
                return;
            }
        }
    }
}
