//! Units as the hub's operations write them, made without the hub: to fill a store, and to see what the store does
//! with them by itself. [`check`] holds them against what the hub writes.

use std::{collections::VecDeque, path::Path, time::Duration};

use beckon::{
    clock::Clock,
    config::Apps,
    hub::{Hub, Registration},
    model::{
        ActionState, Change, ChangeKind, Endpoint, EndpointId, FeedPosition, Marker, Notification,
        NotificationId, Owner, Push, ReadState, Receipt, ServiceAnswer, StateChange, Subject,
        SubscriptionId, TapId, TapKind, TapState, Timestamp, User,
    },
    store::{Expiring, Options, Reader, Row, Store, Submitted, Unit, backup},
};
use uuid::Uuid;

use super::{draft, subject};

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
/// How many rows are under way at a time where a store is filled: in a group of many more the engine keeps old copies of
/// its pages by the gigabyte.
const UNDER_WAY: usize = 4096;

pub(crate) fn open_store(folder: &Path) -> Store {
    Store::open(&Options {
        folder: folder.to_owned(),
        min_free_bytes: 0,
        cache_bytes: 64 << 20,
        accept_loss: false,
    })
    .unwrap()
}

/// A hub on a store, without doors: for the time, and to do what it does to the store.
pub(crate) fn hub_of(store: &Store) -> Hub {
    let rules = Default::default();
    Hub::new(store.clone(), Apps::default(), rules, Clock::system())
}

/// Someone as they are written to the store; what is not written yet waits.
pub(crate) struct Person {
    reader: Reader,
    user: User,
    rows: Vec<Row>,
    /// What was posted last.
    last: Option<Notification>,
}

impl Person {
    pub(crate) fn new(store: &Store, subject: Subject) -> Self {
        Self {
            reader: store.reader().clone(),
            user: User::new(subject),
            rows: Vec::new(),
            last: None,
        }
    }

    pub(crate) fn subject(&self) -> &Subject {
        &self.user.subject
    }

    /// Registers a device, as `PUT /v1/me/endpoints/…` does.
    pub(crate) fn register(&mut self, registration: Registration, now: Timestamp) {
        let endpoint = endpoint(registration, self.user.head, now);
        let owner = Owner {
            subject: self.user.subject.clone(),
            endpoint: endpoint.id.clone(),
            generation: endpoint.generation,
            shared: false,
        };
        let identity = endpoint.channel.identity();
        self.rows.extend([
            Row::Subscription(endpoint.subscription, endpoint.id.clone()),
            Row::Expiry(endpoint.expires, Expiring::Endpoint(endpoint.id.clone())),
            Row::Endpoint(Box::new(endpoint)),
        ]);
        self.rows
            .extend(identity.map(|identity| Row::Owners(identity, vec![owner])));
    }

    /// Posts a notification, as `POST /v1/users/…/notifications` does, but for the marker.
    pub(crate) fn post(&mut self, now: Timestamp) {
        self.user.head = self.user.head.next();
        self.user.live += 1;
        self.user.unread += 1;
        let id = self.reader.new_id(&self.user.subject, self.user.head);
        let it = notification((id.unwrap(), self.user.head), now);
        let change = Change {
            position: it.number,
            number: it.number,
            notification: it.id,
            kind: ChangeKind::Created,
            replaced: false,
            at: now,
            by: None,
        };
        self.rows.extend([
            Row::Notification(Box::new(it.clone())),
            Row::Content(Box::new(it.clone())),
            Row::Id(it.id, it.number),
            Row::Expiry(it.expires, Expiring::Notification(it.number)),
            Row::Change(change),
        ]);
        self.last = Some(it);
    }

    /// Has a device mark what was posted last as read, or as unread again, as its `PATCH` does, but for the marker.
    pub(crate) fn turn(&mut self, by: &EndpointId, now: Timestamp) {
        let it = self.last.as_mut().unwrap();
        self.rows.push(Row::DropChange(it.changed_at));
        self.user.head = self.user.head.next();
        it.changed_at = self.user.head;
        it.version += 1;
        it.modified = now;
        (it.read, self.user.unread) = match it.read {
            ReadState::Unread => (ReadState::Read, self.user.unread - 1),
            ReadState::Read => (ReadState::Unread, self.user.unread + 1),
        };
        it.handled = true;
        it.handled_since = it.handling().map(|_| now);
        let change = Change {
            position: it.changed_at,
            number: it.number,
            notification: it.id,
            kind: ChangeKind::Changed,
            replaced: false,
            at: now,
            by: Some(by.clone()),
        };
        let receipt = Receipt {
            by: Some(TapId::from_bytes([0; 16])),
            acted: Some(now),
            ..Receipt::default()
        };
        self.rows.extend([
            Row::Notification(Box::new(it.clone())),
            Row::Change(change),
            Row::Receipt(it.number, by.clone(), receipt),
        ]);
    }

    /// Has dispatch look, as a post does.
    pub(crate) fn mark(&mut self, now: Timestamp) -> Marker {
        let marker = Marker {
            due: now,
            subject: self.user.subject.clone(),
            tag: rand::random(),
        };
        self.rows.push(Row::Marker(marker.clone()));
        marker
    }

    /// What a lane leaves of a tap for what was posted last, which the service of `device` took.
    pub(crate) fn tapped(&self, device: &EndpointId, now: Timestamp) -> Unit {
        let it = self.last.as_ref().unwrap();
        let answer = ServiceAnswer {
            status: 200,
            reason: None,
            id: Some(Uuid::new_v4().to_string()),
        };
        let push = Push {
            covers: it.number,
            alone: false,
            at: now,
            kind: TapKind::Created,
            shows: Some(it.id),
            accepted: true,
            attempts: 1,
            size_bytes: 250,
            answer: answer.clone(),
        };
        let state = TapState {
            generation: now.as_millis(),
            covered: it.number,
            tapped: it.number,
            tapped_at: now,
            tap_expires: it.expires,
            last_push: now,
            burst: 1,
            burst_at: now,
            noticed: it.number,
            answer: Some(answer),
            ..TapState::default()
        };
        let mut unit = Unit::of(self.user.subject.clone());
        unit.push(Row::Push(device.clone(), push));
        unit.push(Row::TapState(device.clone(), Box::new(state)));
        unit
    }

    /// Has a look at the person end: its marker goes, and one for the next is left.
    pub(crate) fn looked(&self, taken: Marker, next: Timestamp) -> Unit {
        let subject = self.user.subject.clone();
        let mut unit = Unit::of(subject.clone());
        unit.push(Row::DropMarker(taken));
        unit.push(Row::Marker(Marker {
            due: next,
            subject,
            tag: 0,
        }));
        unit
    }

    /// All that waits, as one unit with the person's row in it.
    pub(crate) fn unit(&mut self) -> Unit {
        let mut unit = Unit::of(self.user.subject.clone());
        unit.rows = std::mem::take(&mut self.rows);
        unit.push(Row::User(self.user.clone()));
        unit
    }
}

fn endpoint(asked: Registration, head: FeedPosition, now: Timestamp) -> Endpoint {
    let random = || Uuid::new_v4().into_bytes();
    Endpoint {
        id: asked.id,
        platform: asked.platform,
        channel: asked.channel,
        generation: now.as_millis(),
        tap_id: TapId::from_bytes(random()),
        subscription: SubscriptionId::from_bytes(random()),
        display_name: None,
        locale: None,
        state_sync: false,
        shared: false,
        created: now,
        registered: now,
        last_seen: now,
        expires: now.plus(WEEK),
        asked_expires: None,
        told_until: None,
        gone: None,
        registered_at: head,
    }
}

fn notification((id, number): (NotificationId, FeedPosition), now: Timestamp) -> Notification {
    Notification {
        id,
        number,
        changed_at: number,
        version: 1,
        draft: draft(),
        created: now,
        posted: now,
        modified: now,
        expires: now.plus(WEEK),
        read: ReadState::Unread,
        action: ActionState::NoInteraction,
        handled: false,
        handled_since: None,
        removed: None,
        broadcast: None,
    }
}

/// Writes units, many a group, and returns once all are on disk.
pub(crate) async fn write_all(store: &Store, units: impl Iterator<Item = Unit>) {
    let (mut under_way, mut rows) = (VecDeque::new(), 0);
    for unit in units {
        rows += unit.rows.len();
        under_way.push_back((unit.rows.len(), store.submit(unit).await.unwrap()));
        while rows > UNDER_WAY {
            rows -= written(under_way.pop_front()).await;
        }
    }
    while !under_way.is_empty() {
        written(under_way.pop_front()).await;
    }
}

/// Waits until a unit is on disk; gives back how many rows it has.
async fn written(under_way: Option<(usize, Submitted)>) -> usize {
    let (rows, submitted) = under_way.unwrap();
    submitted.written().await.unwrap();
    rows
}

/// Ends the bench where a registration, a post or an act writes other rows than are made here: as many, and as
/// many bytes but for a few that times take more or less.
pub(crate) async fn check(registration: Registration) {
    let folder = tempfile::tempdir().unwrap();
    let someone = subject("someone");

    let store = open_store(&folder.path().join("hub"));
    let hub = hub_of(&store);
    hub.register(someone.clone(), registration.clone())
        .await
        .unwrap();
    let posted = hub.create(someone.clone(), draft(), None).await.unwrap();
    let (id, by) = (posted.id, registration.id.clone());
    let read = StateChange {
        read: Some(ReadState::Read),
        action: None,
    };
    hub.set(someone.clone(), id, read, (None, Some(by.clone())))
        .await
        .unwrap();
    let by_hub = contents(&store, &folder.path().join("by-hub")).await;

    let store = open_store(&folder.path().join("rows"));
    let now = hub_of(&store).now();
    let mut person = Person::new(&store, someone);
    person.register(registration, now);
    person.post(now);
    person.mark(now);
    store.commit(person.unit()).await.unwrap();
    person.turn(&by, now);
    person.mark(now);
    store.commit(person.unit()).await.unwrap();
    let by_rows = contents(&store, &folder.path().join("by-rows")).await;
    assert_eq!(
        by_hub.rows, by_rows.rows,
        "the bench's rows are not the hub's"
    );
    let apart = by_hub.bytes.abs_diff(by_rows.bytes);
    assert!(
        apart <= 16,
        "the bench's rows are not as large: {by_hub:?} {by_rows:?}"
    );
}

/// What a backup of the store holds.
async fn contents(store: &Store, file: &Path) -> backup::Contents {
    let mut backup = store.backup(Timestamp::default()).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(piece) = backup.next().await {
        bytes.extend(piece);
    }
    store.close();
    std::fs::write(file, bytes).unwrap();
    backup::check(file, &mut |_| {}).unwrap()
}
