//! Beckon: a self-hosted, human-centric notification hub. An app server posts a notification to a person; the hub keeps
//! it, taps every device of that person through the platform's own push service, the devices pull, and what the person
//! does on one device reaches all the others.
//!
//! # The rooms
//!
//! Two doors around one hub: [`http`] lets requests in, [`dispatch`] lets pushes out. Both know the hub; the hub knows
//! neither. Data flows one way: `http → hub → store`, and `outbox → dispatch → push`.
//!
//! | room | is | may name |
//! |---|---|---|
//! | [`model`] | values: no I/O, no async, no serialisation, no time of day | – |
//! | [`config`] | what the operator set, typed | model |
//! | [`store`] | what is kept, in the hub's words; sled in one file | model, config |
//! | [`egress`] | the only way out over HTTP; checks where it goes | config |
//! | [`push`] | one adapter a push service: a request out, an answer in | egress, model, config |
//! | [`identity`] | who a token of an app's own identity provider speaks for | egress, model, config |
//! | [`hub`] | the rules: check, plan (pure), one unit of work | store, model, config |
//! | [`dispatch`] | takes markers from the outbox, composes and sends taps, settles them | hub, push, model, config |
//! | [`http`] | the route table, callers, bodies, streams | identity, hub, store, model, config |
//! | [`doubles`] | strict stand-ins for the push services, sharing no code with `push` | – |
//! | [`serve`], [`demo`], [`cli`] | the wiring, the demo, the command line | what they wire |
//!
//! [`clock`] is the one place that asks the time, [`metrics`] and [`log`] are open to all but `model`, [`task`] runs what
//! runs in the background; `simulation`, in tests alone, runs all of it on virtual time. `tests/it/tidy.rs` holds this picture against the sources.
//!
//! What is absent: the hub never sends, an adapter never reads the store, `model` never asks the time, and nothing but a
//! marker in the outbox has a timer, so that a restart is the normal path.
//!
//! # Three walks
//!
//! 1. **Post.** `http::app_server::create` → [`hub::Hub::create`] → one unit of work: notification, feed, expiry, marker →
//!    on disk → 201. The bell wakes [`dispatch`], which has [`hub::Hub::look_at`] compare levels (the feed, what each endpoint
//!    fetched, what the push services took), composes, sends, and settles.
//! 2. **Tap → delta.** `http::app_client::delta` → [`hub::Hub::delta`] → the page leaves → [`hub::Hub::fetched`].
//! 3. **State → the others.** `http::app_client::set` → [`hub::Hub::set`] → one unit with a marker → as in 1.
//!
//! # Invariants
//!
//! * What was acknowledged is on disk: [`store::Store::commit`] returns after the sync.
//! * Nobody is forgotten: an endpoint that lacks something has an unanswered tap, a marker, or a reason
//!   ([`hub::Hub::forgotten`] finds none).
//! * Every kind of row has one writer.

pub mod model;

pub mod config;

pub mod store;

pub mod hub;

pub mod egress;

pub mod push;

pub mod identity;

pub mod dispatch;

pub mod http;

pub mod doubles;

pub mod serve;

pub mod demo;

pub mod cli;

pub mod clock;
pub mod log;
pub mod metrics;
pub mod task;

#[cfg(test)]
mod simulation;
