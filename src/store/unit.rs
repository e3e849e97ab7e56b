//! A unit of work: the rows that one operation writes, as typed data. All of it becomes durable, or none.

use crate::model::{
    Act, AppHost, AppKey, AppService, Broadcast, BroadcastId, Change, Demand, Draft, Drops,
    Endpoint, EndpointId, Erasure, FeedPosition, FetchMark, LaneName, Listed, Marker, Notification,
    NotificationId, Once, Owner, Push, Receipt, Subject, SubscriptionId, TapRules, TapState,
    Timestamp, User, UserToken,
};

/// What one operation writes about one user; at most some hundred rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// About whom.
    pub subject: Subject,
    /// The head of the feed that the plan was made on; the commit answers `Conflict` if it has moved.
    pub expects: Option<FeedPosition>,
    /// What to write, in order.
    pub rows: Vec<Row>,
}

impl Unit {
    /// Nothing yet, about `subject`.
    pub fn of(subject: Subject) -> Self {
        Self {
            subject,
            expects: None,
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether it brings what was not there: content, an endpoint, a token. What settles, changes or takes away may go on
    /// for longer where room is short.
    pub(super) fn brings_new(&self) -> bool {
        let is_new =
            |row: &Row| matches!(row, Row::Content(_) | Row::Subscription(..) | Row::Token(_));
        self.rows.iter().any(is_new)
    }
}

impl Unit {
    /// How much content it takes away.
    pub(super) fn let_go_bytes(&self) -> u64 {
        let content = |row: &Row| match row {
            Row::DropNotification(it) if it.broadcast.is_none() => it.content_bytes() as u64,
            _ => 0,
        };
        self.rows.iter().map(content).sum()
    }
}

/// Units about several users, and rows of none, that become durable together, or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// At most one for each user.
    pub units: Vec<Unit>,
    /// Rows that belong to no user.
    pub rows: Vec<AppRow>,
    /// Whether it lets everything else that waits go first, for a while.
    pub patient: bool,
}

impl Batch {
    pub(super) fn brings_new(&self) -> bool {
        let brings = |row: &AppRow| match row {
            AppRow::Key(key) => key.revoked.is_none(),
            AppRow::Content(..) | AppRow::Listed(..) => true,
            _ => false,
        };
        self.units.iter().any(Unit::brings_new) || self.rows.iter().any(brings)
    }
}

impl From<AppRow> for Batch {
    fn from(row: AppRow) -> Self {
        Self {
            rows: vec![row],
            ..Self::default()
        }
    }
}

/// One row to write or to take away. Every kind of row has one writer: the hub's operations, or dispatch
/// (`TapState`, `Push`, and the markers that it took), or the recording of fetches (`FetchMark`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each row is the model's value of the same name"
)]
pub enum Row {
    User(User),
    DropUser,
    /// That the user is being erased, or was.
    Erasure(Erasure),
    /// The state of a notification, and its content where that is small.
    Notification(Box<Notification>),
    /// The content, where it is too long for one row, or one more who shares that of a broadcast; goes with
    /// `Notification` when the content is new.
    Content(Box<Notification>),
    /// The notification's row and all of its content, or its share in that of a broadcast.
    DropNotification(Box<Notification>),
    /// Where the notification with this id stands; no row, where the id says so itself.
    Id(NotificationId, FeedPosition),
    DropId(NotificationId, FeedPosition),
    Name(String, FeedPosition),
    DropName(String),
    Change(Change),
    DropChange(FeedPosition),
    Expiry(Timestamp, Expiring),
    DropExpiry(Timestamp, Expiring),
    Marker(Marker),
    DropMarker(Marker),
    TapState(EndpointId, Box<TapState>),
    DropTapState(EndpointId),
    FetchMark(EndpointId, FetchMark),
    DropFetchMark(EndpointId),
    Push(EndpointId, Push),
    DropPush(EndpointId, FeedPosition, Timestamp),
    Receipt(FeedPosition, EndpointId, Receipt),
    DropReceipt(FeedPosition, EndpointId),
    Endpoint(Box<Endpoint>),
    DropEndpoint(EndpointId),
    /// Who owns the channel of this identity from now on; nobody, where empty.
    Owners(Vec<u8>, Vec<Owner>),
    Subscription(SubscriptionId, EndpointId),
    DropSubscription(SubscriptionId),
    Token(UserToken),
    DropToken(UserToken),
    Once(Once),
    DropOnce(AppHost, [u8; 32]),
}

/// What ends at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expiring {
    /// A notification, by its number.
    Notification(FeedPosition),
    /// The memory of a removal, by its place in the feed.
    Removal(FeedPosition),
    /// An endpoint.
    Endpoint(EndpointId),
    /// A user token, by its hash.
    Token([u8; 32]),
    /// An `Idempotency-Key`, by app and hash.
    Once(AppHost, [u8; 32]),
    /// The memory that the user was erased.
    Erasure,
}

/// When the expiry stands of an endpoint that is gone and may have left pushes behind: at once.
pub const LEFT_BY_AN_ENDPOINT: Timestamp = Timestamp::EPOCH;

/// A row that belongs to no user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppRow {
    /// An app key.
    Key(AppKey),
    /// An entry of the audit log.
    Act(Box<Act>),
    /// The same, by its number, once it makes room for others.
    DropAct(u64),
    /// How many channels in a row a service called dead: the guard against wrong settings, through restarts.
    Guard(AppService, Drops),
    /// The same, after a success.
    DropGuard(AppService),
    /// A wait that the service at the end of a lane demanded of everyone.
    Demand(LaneName, Demand),
    /// The same, once it is over.
    DropDemand(LaneName),
    /// By which rules everybody of an app was looked at.
    Rules(AppHost, TapRules),
    /// Everybody of the app is to be looked at, once it is back.
    DropRules(AppHost),
    /// An app's VAPID key (PKCS#8).
    Vapid(AppHost, Vec<u8>),
    /// What time it is, so that a leap of the clock is seen through a stop.
    Time(Timestamp),
    /// Up to which time things were done by a clock that was doubted.
    Doubt(Timestamp),
    /// The same, once the time is believed.
    DropDoubt,
    /// The content of a broadcast, which counts as the first that shares it.
    Content(BroadcastId, Box<Draft>),
    /// A broadcast, whose content stands by itself; with its expiry, and its place among the unfinished ones.
    Broadcast(Box<Broadcast>),
    /// A broadcast, and its share in its content; its list goes before it.
    DropBroadcast(Box<Broadcast>),
    /// Some of those whom a broadcast is for.
    Listed(BroadcastId, u32, Vec<Listed>),
    /// The same people, of whom somebody's name is gone: it brings nothing new.
    Struck(BroadcastId, u32, Vec<Listed>),
    /// The same, once nothing is left to do for them.
    DropListed(BroadcastId, u32),
    /// That someone was erased, with its expiry, once it is forgotten: when, and who, as keys name them.
    DropErasure(Timestamp, [u8; 24]),
    /// An `Idempotency-Key` that was used for a broadcast, with its expiry.
    Once(Box<Once>),
    /// The same, by its expiry, the hash of the app and that of the key.
    DropOnce(Timestamp, [u8; 8], [u8; 32]),
}
