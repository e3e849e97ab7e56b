//! Values of the domain: no I/O, no async, no serialisation, and no idea of the time of day.
//!
//! A value that exists is valid: `parse` and `new` are the only ways in. Everything else in the crate
//! may name this room; it names nothing of ours.

pub mod access;
pub mod audit;
pub mod broadcast;
pub mod delivery;
pub mod endpoint;
pub mod erasure;
pub mod fault;
pub mod feed;
pub mod id;
pub mod notification;
pub mod secret;
pub mod service;
pub mod tap;
pub mod time;
pub mod user;

pub use access::{AppKey, Once, OnceAnswer, Scope, UserToken};
pub use audit::{Act, ActOutcome, Actor, Deed, Whom};
pub use broadcast::{Audience, Broadcast, BroadcastStatus, ListPlace, Listed};
pub use delivery::{
    Delivery, DeliveryStatus, OwedPush, Reason, ServiceAnswer, Telling, ToldChange,
};
pub use endpoint::{
    ApnsEnvironment, Channel, ChannelKind, DeviceToken, Endpoint, Owner, Platform, WebPushKeys,
};
pub use erasure::Erasure;
pub use fault::Fault;
pub use feed::{Change, ChangeKind, FeedPosition, Removal};
pub use id::{
    AppHost, BroadcastId, EndpointId, NotificationId, Subject, SubscriptionId, TapId, UserId,
};
pub use notification::{
    ActionState, Draft, Fallback, Handling, Notification, Priority, ReadState, StateChange,
    VisualContent,
};
pub use secret::Secret;
pub use service::{AppService, Demand, Drops, LaneName};
pub use tap::{
    Failing, FetchMark, Marker, Passing, Push, Receipt, Tap, TapKind, TapRules, TapState,
};
pub use time::{Timestamp, Ttl};
pub use user::User;
