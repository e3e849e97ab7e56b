//! JSON in and out: requests into values of the model with all their faults at once, and the shapes of the answers.
//! Nothing here decides anything, and nothing here is stored.

mod answer;
mod broadcast;
mod delivery;
mod draft;
mod fields;
mod registration;
mod requests;

pub(super) use answer::{
    Delta, DeltaItem, Endpoint, Gone, GraphNotification, History, List, Notification, Ticket, Token,
};
pub(super) use broadcast::{Accepted, Broadcast, broadcast};
pub(super) use delivery::{Delivery, Tested};
pub(super) use draft::{DraftRules, draft};
pub(super) use registration::{RegistrationRules, registration};
pub(super) use requests::{many, patch, receipts, ticket, token};
