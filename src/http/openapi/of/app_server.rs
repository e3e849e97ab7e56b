//! What an app's server may ask.

use serde_json::{Value, json};

use super::super::{
    super::wire::{self, GraphNotification, History, List},
    examples, export,
    operation::{Credential, Describer, Operation},
    refusal::Refusal,
};
use crate::model::Scope;

const TAG: &str = "App server";
const SEND: Credential = Credential::App(Scope::Send);
const USERS: Credential = Credential::App(Scope::Users);

fn draft(with: &mut Describer<'_>) -> Value {
    let shape = wire::draft_schema(with.limits, with.min_delay, &mut with.shapes);
    with.named("Draft", shape)
}

/// What was posted; what is gone meanwhile has no more than its id.
fn posted<T: schemars::JsonSchema>(with: &mut Describer<'_>) -> Value {
    json!({ "anyOf": [with.shape::<T>(), with.shape::<wire::Gone>()] })
}

/// `POST /v1/users/{user}/notifications`.
pub(in crate::http) fn create(with: &mut Describer<'_>) -> Operation {
    let (draft, posted) = (draft(with), posted::<wire::Notification<'_>>(with));
    let here = |name: &str| json!({ "user": "$request.path.user", name: "$response.body#/id" });
    Operation::new(TAG, "postNotification", "Post to a user")
        .says("It is on disk when `201` comes. An `appNotificationId` that is there already answers `200`: the same content again changes nothing, other content replaces what was posted. Over `server.limits.notifications_per_user` the oldest that is dealt with goes first; where none is, `429` `limitReached`.")
        .takes(SEND)
        .header("Idempotency-Key")
        .body(&draft, &examples::drafts())
        .answers(201, "Posted.", &posted, examples::notification())
        .with(201, "Location")
        .leads(201, "getUserNotification", here("id"))
        .leads(201, "getDeliveries", here("id"))
        .leads(201, "retractNotification", here("id"))
        .answers(200, "Known already.", &posted, examples::notification())
        .refuses(&[Refusal::Conflict])
}

/// `GET /v1/users/{user}/notifications`.
pub(in crate::http) fn history(with: &mut Describer<'_>) -> Operation {
    let shape = with.shape::<History<'_>>();
    Operation::new(TAG, "listUserNotifications", "A user's notifications")
        .says("Newest first, those dismissed and read among them. Of nobody it is empty.")
        .takes(SEND)
        .query(&[
            "$top",
            "$skiptoken",
            "readState",
            "userActionState",
            "groupName",
        ])
        .answers(200, "A page.", &shape, examples::history())
}

/// `GET /v1/users/{user}/notifications/{id}`.
pub(in crate::http) fn one(with: &mut Describer<'_>) -> Operation {
    let shape = with.shape::<wire::Notification<'_>>();
    Operation::new(TAG, "getUserNotification", "One notification")
        .takes(SEND)
        .answers(200, "There it is.", &shape, examples::notification())
        .refuses(&[Refusal::NotFound])
}

/// `DELETE /v1/users/{user}/notifications/{id}`.
pub(in crate::http) fn retract(_: &mut Describer<'_>) -> Operation {
    Operation::new(TAG, "retractNotification", "Retract a notification")
        .says("It is taken off the devices.")
        .takes(SEND)
        .empty(204, "It is gone.")
        .refuses(&[Refusal::NotFound])
}

/// `GET /v1/users/{user}/notifications/{id}/deliveries`.
pub(in crate::http) fn deliveries(with: &mut Describer<'_>) -> Operation {
    let shape = with.shape::<List<wire::Delivery>>();
    Operation::new(TAG, "getDeliveries", "What became of it on each device")
        .takes(SEND)
        .answers(
            200,
            "A line for each device.",
            &shape,
            examples::deliveries(),
        )
        .refuses(&[Refusal::NotFound])
}

/// `GET /v1/users/{user}/export`.
pub(in crate::http) fn export(with: &mut Describer<'_>) -> Operation {
    let shape = export::schema(with);
    let shape = with.named("Export", shape);
    Operation::new(TAG, "exportUser", "All that is held about a user")
        .says("It comes as it is read. If the connection ends before the closing bracket, something went wrong: ask again.")
        .takes(USERS)
        .query(&["content"])
        .answers(200, "All of it.", &shape, examples::export())
        .refuses(&[Refusal::NotFound])
}

/// `DELETE /v1/users/{user}`.
pub(in crate::http) fn erase(_: &mut Describer<'_>) -> Operation {
    Operation::new(TAG, "eraseUser", "Erase a user")
        .says("All that `exportUser` tells goes, for good, with what waits to be tapped; tokens from before are dead, those of the app's identity provider too.")
        .takes(USERS)
        .empty(204, "All of it is gone.")
        .refuses(&[Refusal::NotFound])
}

/// `GET /v1/users/{user}/endpoints`.
pub(in crate::http) fn endpoints(with: &mut Describer<'_>) -> Operation {
    let shape = with.shape::<List<wire::Endpoint<'_>>>();
    Operation::new(TAG, "listUserEndpoints", "A user's devices")
        .takes(USERS)
        .answers(200, "All of them.", &shape, examples::endpoints())
}

/// `PUT /v1/users/{user}/endpoints/{endpoint}`.
pub(in crate::http) fn register(with: &mut Describer<'_>) -> Operation {
    let registration = wire::registration_schema(&mut with.shapes);
    let registration = with.named("Registration", registration);
    let shape = with.shape::<wire::Endpoint<'_>>();
    let here = json!({ "user": "$request.path.user", "endpoint": "$request.path.endpoint" });
    Operation::new(TAG, "registerUserEndpoint", "Register a device for a user")
        .says("For apps whose server holds the channels.")
        .takes(USERS)
        .body(&registration, &examples::registrations())
        .answers(201, "Registered.", &shape, examples::endpoint())
        .leads(201, "testEndpoint", here.clone())
        .leads(201, "removeUserEndpoint", here)
        .answers(200, "Refreshed.", &shape, examples::endpoint())
}

/// `DELETE /v1/users/{user}/endpoints/{endpoint}`.
pub(in crate::http) fn remove_endpoint(_: &mut Describer<'_>) -> Operation {
    Operation::new(TAG, "removeUserEndpoint", "Sign a device out")
        .says("Its tokens and its stream end with it.")
        .takes(USERS)
        .empty(204, "It is gone.")
        .refuses(&[Refusal::NotFound])
}

/// `POST /v1/users/{user}/endpoints/{endpoint}/test`.
pub(in crate::http) fn test_endpoint(with: &mut Describer<'_>) -> Operation {
    let shape = with.shape::<wire::Tested>();
    Operation::new(TAG, "testEndpoint", "Tap one device now")
        .says("Waits for the push service's answer for at most 30 s. A device without a channel is `409`.")
        .takes(USERS)
        .optional_body(&json!({ "type": "object" }), &[])
        .answers(200, "What the push service said.", &shape, examples::tested())
        .refuses(&[Refusal::NotFound, Refusal::Conflict])
}

/// `POST /v1/users/{user}/tokens`.
pub(in crate::http) fn mint(with: &mut Describer<'_>) -> Operation {
    let wanted = with.named("TokenRequest", wire::token_schema());
    let shape = with.shape::<wire::Token<'_>>();
    Operation::new(TAG, "mintToken", "Mint a user token")
        .says("What the app's client signs in with. Over `server.limits.tokens_per_user`, of those that are bound to no device, `429` `limitReached`.")
        .takes(USERS)
        .optional_body(&wanted, &[("bound", json!({ "endpointId": "phone", "expiresInSeconds": 3600 }))])
        .answers(201, "Minted; it is shown this once.", &shape, examples::token())
}

/// `DELETE /v1/users/{user}/tokens`.
pub(in crate::http) fn revoke(_: &mut Describer<'_>) -> Operation {
    Operation::new(TAG, "revokeTokens", "Revoke a user's tokens")
        .says("At once, open streams included. A parameter that is not known is `400` here: a slip would revoke them all.")
        .takes(USERS)
        .query(&["endpointId"])
        .empty(204, "None is good any more.")
        .refuses(&[Refusal::NotFound])
}

/// `POST /v1/notifications`.
pub(in crate::http) fn post_to_many(with: &mut Describer<'_>) -> Operation {
    let draft = draft(with);
    let wanted = wire::broadcast_schema(with.limits.audience, draft, &mut with.shapes);
    let wanted = with.named("PostToMany", wanted);
    let shape = with.shape::<wire::Accepted>();
    let job = json!({ "id": "$response.body#/id" });
    Operation::new(TAG, "postToMany", "Post to many users")
        .says("A job on disk: nobody is skipped or posted to twice. Over `server.limits.broadcasts_per_app` that run at once, `429` `limitReached`.")
        .takes(SEND)
        .header("Idempotency-Key")
        .long_body(&wanted, &examples::posts_to_many())
        .answers(202, "Accepted.", &shape, examples::accepted())
        .with(202, "Location")
        .leads(202, "getJob", job.clone())
        .leads(202, "cancelJob", job)
        .refuses(&[Refusal::Conflict])
}

/// `GET /v1/notifications/{id}`.
pub(in crate::http) fn job(with: &mut Describer<'_>) -> Operation {
    let shape = with.shape::<wire::Broadcast>();
    Operation::new(TAG, "getJob", "How far a post to many is")
        .says("`done` counts users whose notification is on disk, not pushes.")
        .takes(SEND)
        .answers(200, "So far.", &shape, examples::job())
        .refuses(&[Refusal::NotFound])
}

/// `DELETE /v1/notifications/{id}`.
pub(in crate::http) fn cancel(_: &mut Describer<'_>) -> Operation {
    Operation::new(TAG, "cancelJob", "Cancel a post to many")
        .says("What was posted by it stays. One that is completed is `409`.")
        .takes(SEND)
        .empty(204, "It goes no further.")
        .refuses(&[Refusal::NotFound, Refusal::Conflict])
}

/// `POST /beta/me/notifications`.
pub(in crate::http) fn graph(with: &mut Describer<'_>) -> Operation {
    let (draft, posted) = (draft(with), posted::<GraphNotification<'_>>(with));
    Operation::new(TAG, "postAsGraph", "Post as to Microsoft Graph")
        .says("The retired service's call, unchanged. An app's server names the user by `X-UNS-ID`; a user token, where the app has `delegated_post`, posts to its own user. `If-Modified-Since` and `If-Range` are refused with `400`, as they were.")
        .takes(SEND)
        .client()
        .header("X-UNS-ID")
        .header("Idempotency-Key")
        .body(&draft, &examples::drafts())
        .answers(201, "Posted.", &posted, examples::graph_notification())
        .with(201, "Location")
        .with(201, "OData-Version")
        .answers(200, "Known already.", &posted, examples::graph_notification())
        .with(200, "Location")
        .with(200, "OData-Version")
        .refuses(&[Refusal::Conflict])
}
