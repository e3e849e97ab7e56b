//! JSON in and out: requests into values of the model with all their faults at once, and the shapes of the answers.
//! Nothing here decides anything, and nothing here is stored.

mod answer;
mod broadcast;
mod delivery;
mod device;
mod draft;
mod fields;
mod open;
mod registration;
mod requests;
pub(super) mod schema;

pub(super) use answer::{Delta, DeltaItem, Gone, GraphNotification, History, List, Notification};
pub(super) use broadcast::{Accepted, Broadcast, broadcast, broadcast_schema};
pub(super) use delivery::{Delivery, Tested};
pub(super) use device::{Endpoint, Ticket, Token};
pub(super) use draft::{DraftRules, draft, draft_schema};
pub(super) use open::{AccessToken, Changed, Configuration, KeySet, OAuthError, PublicKey, Status};
pub(super) use registration::{RegistrationRules, registration, registration_schema};
pub(super) use requests::{
    many, many_schema, patch, patch_schema, receipts, receipts_schema, ticket, ticket_schema,
    token, token_schema,
};
