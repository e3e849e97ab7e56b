//! What an app's client on a device may ask.

use serde_json::json;

use super::super::{
    super::wire::{self, Delta, History, List},
    examples,
    operation::{Credential, Describer, Operation},
    refusal::Refusal,
};

const TAG: &str = "App client";

/// `GET /v1/me/endpoints`.
pub(in crate::http) fn endpoints(with: &mut Describer<'_>) -> Operation {
    let shape = with.shape::<List<wire::Endpoint<'_>>>();
    Operation::new(TAG, "listEndpoints", "The user's devices")
        .client()
        .answers(200, "All of them.", &shape, examples::endpoints())
}

/// `PUT /v1/me/endpoints/{endpoint}`.
pub(in crate::http) fn register(with: &mut Describer<'_>) -> Operation {
    let registration = wire::registration_schema(&mut with.shapes);
    let registration = with.named("Registration", registration);
    let shape = with.shape::<wire::Endpoint<'_>>();
    Operation::new(TAG, "registerEndpoint", "Register or refresh this device")
        .says("A channel belongs to one device: registering it elsewhere takes it from there, unless both say `shared`. A channel that the app has no push service for is `400`. Over `server.limits.endpoints_per_user` the device that was longest unseen goes.")
        .takes(Credential::User)
        .header("X-Endpoint-Id")
        .body(&registration, &examples::registrations())
        .answers(201, "Registered.", &shape, examples::endpoint())
        .leads(201, "signOut", json!({ "endpoint": "$request.path.endpoint" }))
        .answers(200, "Refreshed.", &shape, examples::endpoint())
        .refuses(&[Refusal::EndpointNotFound])
}

/// `DELETE /v1/me/endpoints/{endpoint}`.
pub(in crate::http) fn sign_out(_: &mut Describer<'_>) -> Operation {
    Operation::new(TAG, "signOut", "Sign a device out")
        .says("Its tokens and its stream end with it.")
        .client()
        .empty(204, "It is gone.")
        .refuses(&[Refusal::NotFound])
}

/// `POST /v1/me/token`.
pub(in crate::http) fn renew(with: &mut Describer<'_>) -> Operation {
    let shape = with.shape::<wire::Token<'_>>();
    Operation::new(TAG, "renewToken", "A new token like the caller's own")
        .says("Bound to the same device, with its full life: how a device stays signed in.")
        .client()
        .optional_body(&json!({ "type": "object" }), &[])
        .answers(
            201,
            "Minted; it is shown this once.",
            &shape,
            examples::token(),
        )
}

/// `GET /v1/me/notifications`.
pub(in crate::http) fn history(with: &mut Describer<'_>) -> Operation {
    let shape = with.shape::<History<'_>>();
    Operation::new(TAG, "listNotifications", "The user's notifications")
        .says("Newest first, those dismissed and read among them. What is in it counts as fetched.")
        .client()
        .query(&[
            "$top",
            "$skiptoken",
            "readState",
            "userActionState",
            "groupName",
        ])
        .answers(200, "A page.", &shape, examples::history())
}

/// `GET /v1/me/notifications/delta`.
pub(in crate::http) fn delta(with: &mut Describer<'_>) -> Operation {
    let shape = with.shape::<Delta<'_>>();
    Operation::new(TAG, "listChanges", "What changed since a cursor")
        .says("Without one, all that is there. Ends with `@odata.nextLink` where more is right now, else with `@odata.deltaLink`, to ask again later.")
        .client()
        .query(&["$deltatoken", "$top", "$digest"])
        .answers(200, "A page.", &shape, examples::delta())
        .refuses(&[Refusal::CursorTooOld])
}

/// `GET /v1/me/notifications/stream`.
pub(in crate::http) fn stream(with: &mut Describer<'_>) -> Operation {
    let change = with.shape::<wire::DeltaItem<'_>>();
    let data = json!({ "type": "string", "contentMediaType": "application/json", "contentSchema": change });
    let event = json!({
        "type": "object",
        "description": "An event by its fields, as OpenAPI 3.2 tells of items: `data` is a DeltaItem, `id` a cursor. Between the events stands a comment, at least every 15 s.",
        "required": ["event", "id", "data"],
        "properties": { "event": { "type": "string", "const": "change" }, "id": { "type": "string" }, "data": data },
    });
    let example = json!({
        "event": "change",
        "id": "AAAAAAAAAF4",
        "data": "{\"id\":\"0193a2f0-77aa-7d03-8a51-0c9be2f4d615\",\"@removed\":{\"reason\":\"deleted\"}}",
    });
    let content = json!({ "schema": event, "example": example });
    Operation::new(TAG, "openStream", "Changes as they come")
        .says("A ticket stands in the place of `Authorization` and `X-Endpoint-Id`. Begins at `Last-Event-ID`, else at `$deltatoken`, else where the ticket says, else now. Ends within a second of its token's end. Over `server.limits.streams_per_user` open ones, `429` `limitReached`.")
        .client()
        .takes(Credential::Ticket)
        .query(&["$deltatoken"])
        .header("Last-Event-ID")
        .typed(200, "It is open.", ("text/event-stream", content))
        .with(200, "X-Accel-Buffering")
        .refuses(&[Refusal::CursorTooOld])
}

/// `POST /v1/me/notifications/stream/ticket`.
pub(in crate::http) fn ticket(with: &mut Describer<'_>) -> Operation {
    let wanted = with.named("TicketRequest", wire::ticket_schema());
    let shape = with.shape::<wire::Ticket<'_>>();
    Operation::new(TAG, "mintTicket", "A ticket for one stream")
        .says("For `EventSource`, which can send no headers: good for 60 s and one stream.")
        .client()
        .optional_body(&wanted, &[("from now", json!({}))])
        .answers(
            201,
            "Minted; it is shown this once.",
            &shape,
            examples::ticket(),
        )
        .refuses(&[Refusal::CursorTooOld])
}

/// `POST /v1/me/notifications/state`.
pub(in crate::http) fn set_many(with: &mut Describer<'_>) -> Operation {
    let wanted = wire::many_schema(with.limits.batch_ids, &mut with.shapes);
    let wanted = with.named("ChangeOfMany", wanted);
    let shape = with.shape::<wire::Changed>();
    Operation::new(TAG, "changeMany", "Change many")
        .says("With `upTo`, those posted at or before that cursor.")
        .client()
        .body(
            &wanted,
            &[(
                "all read",
                json!({ "all": true, "set": { "readState": "read" } }),
            )],
        )
        .answers(200, "Done.", &shape, json!({ "changed": 12 }))
        .refuses(&[Refusal::CursorTooOld])
}

/// `POST /v1/me/notifications/receipts`.
pub(in crate::http) fn receipts(with: &mut Describer<'_>) -> Operation {
    let wanted = wire::receipts_schema(with.limits.batch_ids);
    let wanted = with.named("Receipts", wanted);
    Operation::new(TAG, "postReceipts", "What this device showed, and holds")
        .says("Takes a token that is bound to a device, or `X-Endpoint-Id`.")
        .client()
        .body(
            &wanted,
            &[(
                "shown",
                json!({ "shown": ["0193a2f1-6b1e-7c40-9d2a-5f0c8e1b7a42"] }),
            )],
        )
        .empty(204, "Noted.")
        .refuses(&[Refusal::CursorTooOld])
}

/// `GET /v1/me/notifications/{id}`.
pub(in crate::http) fn one(with: &mut Describer<'_>) -> Operation {
    let shape = with.shape::<wire::Notification<'_>>();
    Operation::new(TAG, "getNotification", "One notification")
        .says("It counts as fetched.")
        .client()
        .answers(200, "There it is.", &shape, examples::notification())
        .refuses(&[Refusal::NotFound])
}

/// `PATCH /v1/me/notifications/{id}`.
pub(in crate::http) fn set(with: &mut Describer<'_>) -> Operation {
    let wanted = with.named("Change", wire::patch_schema());
    let shape = with.shape::<wire::Notification<'_>>();
    Operation::new(TAG, "changeNotification", "Read, dismiss, open, put off")
        .says("With `upTo`, an act on what was replaced since changes nothing.")
        .client()
        .body(
            &wanted,
            &[("dismissed", json!({ "userActionState": "dismissed" }))],
        )
        .answers(200, "As it is now.", &shape, examples::notification())
        .refuses(&[Refusal::NotFound, Refusal::CursorTooOld])
}

/// `DELETE /v1/me/notifications/{id}`.
pub(in crate::http) fn delete(_: &mut Describer<'_>) -> Operation {
    Operation::new(TAG, "deleteNotification", "Delete for all devices")
        .client()
        .empty(204, "It is gone.")
        .refuses(&[Refusal::NotFound])
}
