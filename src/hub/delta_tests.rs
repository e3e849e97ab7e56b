//! A client that applies every page holds what the digest says, whatever happens between and during its pulls.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use proptest::prelude::*;

use super::{due::testing, *};
use crate::{
    config::{Delivery, Limits},
    model::{Draft, NotificationId, Priority, ReadState, StateChange, UserId},
};

/// What happens; a number picks one of those that are there.
#[derive(Debug, Clone)]
enum Act {
    Post {
        name: Option<u8>,
        minutes: u64,
    },
    Read(u8),
    Unread(u8),
    Delete(u8),
    Wait(u64),
    /// The wall says something else from now on.
    Leap(i64),
    Sweep,
    /// A page of the client at this place, of at most so many; the client begins anew first, where it is told.
    Pull {
        client: u8,
        top: usize,
        anew: bool,
    },
}

fn acts() -> impl Strategy<Value = Act> {
    let name = proptest::option::of(0u8..4);
    prop_oneof![
        4 => (name, 1u64..40).prop_map(|(name, minutes)| Act::Post { name, minutes }),
        2 => any::<u8>().prop_map(Act::Read),
        1 => any::<u8>().prop_map(Act::Unread),
        2 => any::<u8>().prop_map(Act::Delete),
        2 => (1u64..15).prop_map(Act::Wait),
        1 => (-40i64..40).prop_map(Act::Leap),
        1 => Just(Act::Sweep),
        6 => (0u8..3, 1usize..6, proptest::bool::weighted(0.1))
            .prop_map(|(client, top, anew)| Act::Pull { client, top, anew }),
    ]
}

/// A client as the docs describe it.
#[derive(Debug, Default)]
struct Client {
    held: BTreeMap<String, u64>,
    token: Option<String>,
    checked: usize,
}

impl Client {
    /// What it holds, digested by its own arithmetic.
    fn digest(&self) -> [u8; 16] {
        let mut sum = 0u128;
        for (id, version) in &self.held {
            let text = format!("{id}|{version}");
            let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
            sum ^= u128::from_be_bytes(hash.as_ref()[..16].try_into().unwrap());
        }
        sum.to_be_bytes()
    }

    async fn pull(&mut self, hub: &Hub, top: usize) {
        let since = match &self.token {
            None => None,
            Some(token) => match hub.open_since(&ada(), token).await {
                Ok(since) => Some(since),
                Err(Error::CursorTooOld) => return self.begin_anew(),
                Err(error) => panic!("{error}"),
            },
        };
        let page = match hub.delta_with_digest(ada(), since, top).await {
            Ok(page) => page,
            Err(Error::CursorTooOld) => return self.begin_anew(),
            Err(error) => panic!("{error}"),
        };
        for item in &page.items {
            match item {
                Item::Present(it) => {
                    let before = self.held.insert(it.id.to_string(), it.version);
                    assert!(before.is_none_or(|before| before < it.version), "{it:?}");
                }
                Item::Removed(id, ..) => {
                    self.held.remove(&id.to_string());
                }
            }
        }
        self.token = Some(hub.after(&ada(), &page));
        assert_eq!(page.digest.is_none(), page.more);
        if let Some(digest) = page.digest {
            assert_eq!(digest.0, self.digest(), "{:#?}\n{:#?}", self.held, page);
            self.checked += 1;
        }
    }

    fn begin_anew(&mut self) {
        self.held.clear();
        self.token = None;
    }
}

fn ada() -> Subject {
    Subject {
        app: testing::app().host,
        user: UserId::parse("ada").unwrap(),
    }
}

fn hub() -> Hub {
    let limits = Limits {
        notifications_per_user: 12,
        ..Limits::default()
    };
    let clock = Clock::manual(Timestamp::from_millis(1_800_000_000_000));
    let apps = Apps::new(vec![Arc::new(testing::app())]);
    let store = Store::in_memory().unwrap();
    Hub::new(store, apps, (Delivery::default(), limits), clock)
}

fn draft(name: Option<u8>, title: usize, expires: Timestamp) -> Draft {
    Draft {
        app_id: name.map(|name| name.to_string()),
        group: None,
        platforms: None,
        raw: Some(title.to_string()),
        visual: None,
        display_ttl: None,
        expires: Some(expires),
        priority: Priority::None,
        fallback: None,
    }
}

/// Someone's notification, if there is any.
async fn pick(hub: &Hub, number: u8) -> Option<NotificationId> {
    let page = hub.history(ada(), Filter::default(), 1000, None).await;
    let items = page.unwrap().items;
    let at = usize::from(number).checked_rem(items.len())?;
    items.get(at).map(|it| it.id)
}

async fn set(hub: &Hub, number: u8, read: ReadState) {
    let change = StateChange {
        read: Some(read),
        action: None,
    };
    if let Some(id) = pick(hub, number).await {
        hub.set(ada(), id, change, (None, None)).await.unwrap();
    }
}

async fn run(acts: Vec<Act>) -> usize {
    let hub = hub();
    let mut clients: [Client; 3] = Default::default();
    for (number, act) in acts.into_iter().enumerate() {
        match act {
            Act::Post { name, minutes } => {
                let expires = hub.now().plus(Duration::from_secs(60 * minutes));
                // Where there is no room, nothing happens.
                match hub.create(ada(), draft(name, number, expires), None).await {
                    Ok(_) | Err(Error::Limit { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Act::Read(number) => set(&hub, number, ReadState::Read).await,
            Act::Unread(number) => set(&hub, number, ReadState::Unread).await,
            Act::Delete(number) => {
                if let Some(id) = pick(&hub, number).await {
                    hub.delete(ada(), id, None).await.unwrap();
                }
            }
            Act::Wait(minutes) => hub.clock().advance(Duration::from_secs(60 * minutes)),
            Act::Leap(minutes) => {
                let wall = hub.clock().wall().as_millis();
                let wall = Timestamp::from_millis(wall.saturating_add_signed(minutes * 60_000));
                hub.clock().set_wall(wall);
            }
            Act::Sweep => {
                hub.sweep().await.unwrap();
            }
            Act::Pull { client, top, anew } => {
                let client = &mut clients[usize::from(client)];
                if anew {
                    client.begin_anew();
                }
                client.pull(&hub, top).await;
            }
        }
    }
    for client in &mut clients {
        let before = client.checked;
        while client.checked == before {
            client.pull(&hub, 3).await;
        }
    }
    clients.iter().map(|client| client.checked).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn after_every_delta_a_client_holds_what_the_digest_says(acts in proptest::collection::vec(acts(), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        prop_assert!(runtime.block_on(run(acts)) >= 3);
    }
}

#[tokio::test]
async fn what_is_removed_between_two_pages_of_a_first_delta_is_said() {
    let hub = hub();
    let soon = hub.now().plus(Duration::from_secs(3600));
    for number in 0..3 {
        let draft = draft(None, number, soon);
        hub.create(ada(), draft, None).await.unwrap();
    }
    let mut client = Client::default();
    client.pull(&hub, 1).await;
    let first = client.held.keys().next().unwrap().parse().unwrap();
    let first = NotificationId::from_bytes(uuid::Uuid::into_bytes(first));
    hub.delete(ada(), first, None).await.unwrap();
    while client.checked == 0 {
        client.pull(&hub, 1).await;
    }
    assert_eq!(client.held.len(), 2, "{client:?}");
}

#[test]
fn the_digest_is_as_the_docs_define_it() {
    let id = NotificationId::from_bytes([0; 16]);
    let mut sum = Digest::default();
    sum.toggle(id, 1);
    let one = "00000000-0000-0000-0000-000000000000|1";
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, one.as_bytes());
    assert_eq!(sum.0, hash.as_ref()[..16]);
    sum.toggle(id, 1);
    assert_eq!(sum, Digest::default());
}
