//! The shape of an export, which is the operators' as well: what its members hold is told in the room that writes it.

use serde_json::{Value, json};

use super::{
    super::wire::{Delivery, Endpoint, Notification},
    operation::Describer,
};

/// The shape.
pub(super) fn schema(with: &mut Describer<'_>) -> Value {
    let notification = with.shape::<Notification<'_>>();
    let (endpoint, delivery) = (with.shape::<Endpoint<'_>>(), with.shape::<Delivery>());
    let time = json!({ "type": "string", "format": "date-time" });
    let text = json!({ "type": "string" });
    let count = json!({ "type": "integer", "minimum": 0 });
    // Those kept are whole; of one that was deleted, and without content, less is left.
    let notification = json!({
        "type": "object",
        "description": "A Notification with its deliveries; without content where it was deleted or none was asked for.",
        "required": ["id", "createdDateTime", "expirationDateTime", "status", "deliveries"],
        "properties": {
            "id": text,
            "createdDateTime": time,
            "expirationDateTime": time,
            "status": { "type": "string", "enum": ["active", "deleted"] },
            "deliveries": { "type": "array", "items": delivery },
        },
        "anyOf": [notification, { "properties": { "status": { "const": "deleted" } } }, { "not": { "required": ["payload"] } }],
    });
    let token = json!({
        "type": "object",
        "required": ["expiresDateTime"],
        "properties": { "expiresDateTime": time, "endpointId": text },
    });
    let push = json!({
        "type": "object",
        "required": ["endpointId", "dateTime", "kind", "accepted", "attempts", "sizeBytes", "pushService"],
        "properties": {
            "endpointId": text,
            "dateTime": time,
            "kind": text,
            "notificationId": text,
            "accepted": { "type": "boolean" },
            "attempts": count,
            "sizeBytes": count,
            "pushService": { "type": "object" },
        },
    });
    let user = json!({
        "type": "object",
        "required": ["id", "notificationCount", "unreadCount"],
        "properties": { "id": text, "notificationCount": count, "unreadCount": count },
    });
    json!({
        "type": "object",
        "required": ["app", "user", "exportedDateTime", "endpoints", "tokens", "notifications", "removed", "pushes", "acts"],
        "properties": {
            "app": text,
            "user": user,
            "exportedDateTime": time,
            "endpoints": { "type": "array", "items": endpoint },
            "tokens": { "type": "array", "items": token },
            "notifications": { "type": "array", "items": notification },
            "removed": { "type": "array", "items": removed(&text, &time) },
            "pushes": { "type": "array", "items": push },
            "acts": { "type": "array", "items": act(&text, &time, &count) },
        },
    })
}

fn removed(text: &Value, time: &Value) -> Value {
    json!({
        "type": "object",
        "required": ["id", "removedDateTime", "reason"],
        "properties": {
            "id": text,
            "removedDateTime": time,
            "reason": { "type": "string", "enum": ["deleted", "expired"] },
        },
    })
}

fn act(text: &Value, time: &Value, count: &Value) -> Value {
    json!({
        "type": "object",
        "required": ["number", "dateTime", "by", "act", "app", "user", "outcome"],
        "properties": {
            "number": count,
            "dateTime": time,
            "by": text,
            "act": text,
            "app": text,
            "user": text,
            "of": text,
            "outcome": { "type": "string", "enum": ["begun", "done", "refused"] },
            "reason": text,
        },
    })
}
