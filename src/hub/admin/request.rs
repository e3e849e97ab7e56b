//! What an operator may ask.

use serde::{Deserialize, Serialize};

use super::{Device, Place, Post};

/// One request of an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "op",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Request {
    /// Makes an app key; answers `{"id","app","key"}`.
    CreateKey {
        /// The app.
        app: String,
        /// What the operator calls the key.
        name: Option<String>,
        /// `send`, `users` or `all`.
        scope: String,
        /// The app is in a config that a running hub has yet to read.
        #[serde(default)]
        ahead: bool,
    },
    /// Lists the keys of all apps, or of one, revoked ones too.
    ListKeys {
        /// The app.
        app: Option<String>,
    },
    /// Ends a key.
    RevokeKey {
        /// Its id.
        id: String,
        /// Whether the user tokens that it minted end too.
        with_tokens: bool,
    },
    /// Mints a user token; answers `{"token","expiresDateTime","endpointId"?}`.
    MintToken {
        /// The app.
        app: String,
        /// The user.
        user: String,
        /// The endpoint that it is bound to.
        endpoint: Option<String>,
        /// How long it lives; 1 to 31 536 000.
        expires_secs: Option<u64>,
    },
    /// Ends a user's tokens; answers `{"revoked"}`, how many.
    RevokeTokens {
        /// The app.
        app: String,
        /// The user.
        user: String,
        /// Those alone that are bound to this endpoint.
        endpoint: Option<String>,
    },
    /// Posts a notification; answers it as stored.
    Send {
        /// The app.
        app: String,
        /// The user.
        user: String,
        /// What to post.
        post: Box<Post>,
    },
    /// Posts a notification to many; answers the job as it stands.
    SendMany {
        /// The app.
        app: String,
        /// The users; all of the app without it.
        users: Option<Vec<String>>,
        /// What to post.
        post: Box<Post>,
    },
    /// How far a post to many is.
    Broadcast {
        /// The app.
        app: String,
        /// The job's id.
        id: String,
    },
    /// Lists users, at most 1000; `next` in the answer is the `after` of the next page.
    UserList {
        /// The app.
        app: String,
        /// The last user of the page before.
        after: Option<String>,
    },
    /// Shows a user: counts, endpoints, the newest notifications.
    UserShow {
        /// The app.
        app: String,
        /// The user.
        user: String,
    },
    /// A piece of all that is held about a user; answers a [`Piece`](super::Piece).
    UserExport {
        /// The app.
        app: String,
        /// The user.
        user: String,
        /// With what was posted.
        content: bool,
        /// Where the piece begins.
        place: Place,
    },
    /// Erases a user; answers `{"id"}`.
    UserErase {
        /// The app.
        app: String,
        /// The user.
        user: String,
    },
    /// Lists a user's endpoints.
    EndpointList {
        /// The app.
        app: String,
        /// The user.
        user: String,
    },
    /// Signs a device out.
    EndpointRemove {
        /// The app.
        app: String,
        /// The user.
        user: String,
        /// The endpoint.
        endpoint: String,
    },
    /// Sends a test tap to a device; answers what the push service said.
    EndpointTest {
        /// The app.
        app: String,
        /// The user.
        user: String,
        /// The endpoint.
        endpoint: String,
    },
    /// Brings dropped channels back, of at most 500 users; answers `{"revived","next"?}`, `next` being the `after` of
    /// the next step.
    EndpointRevive {
        /// The app.
        app: String,
        /// Those dropped then or later, RFC 3339; all without it.
        since: Option<String>,
        /// The last user of the step before.
        after: Option<String>,
    },
    /// Registers devices; answers `{"value":[…]}` with a [`Became`](super::Became) for each, in their order.
    EndpointImport {
        /// The app.
        app: String,
        /// The devices.
        devices: Vec<Device>,
        /// Registers those anew that are known: they may have registered themselves since.
        overwrite: bool,
    },
    /// Says how devices stand; answers `{"value":[…]}` with a [`Looked`](super::Looked) for each, in their order.
    EndpointLook {
        /// The app.
        app: String,
        /// The devices.
        devices: Vec<Device>,
    },
    /// What became of a notification on each device, and why.
    Explain {
        /// Its id.
        notification: String,
    },
    /// Walks every row of the store and lists what disagrees.
    StoreVerify,
    /// Figures of the store.
    StoreStats,
    /// Ends what is over; answers `{"ended"}`, and until when nothing is, where the clock has leapt.
    StoreExpire {
        /// Even where the clock has leapt: the time is right.
        now: bool,
    },
    /// Lists the administrative acts, newest first, at most 1000; `next` in the answer is the `before` of the next page.
    Audit {
        /// Those about this app.
        app: Option<String>,
        /// Those then or later, RFC 3339.
        since: Option<String>,
        /// Those whose number is less.
        before: Option<u64>,
    },
    /// What `/readyz` keeps to itself: apps, their services, the outbox.
    Health,
}
