//! The shape of an export, which is the operators' as well: what its members hold is told in the room that writes it.

use serde_json::{Value, json};

use super::{
    super::wire::{Delivery, Endpoint, Notification},
    operation::Describer,
};

/// The shape.
pub(super) fn schema(with: &mut Describer<'_>) -> Value {
    let endpoint = with.shape::<Endpoint<'_>>();
    let notification = notification(with);
    let notification = with.named("ExportedNotification", notification);
    let time = json!({ "type": "string", "format": "date-time" });
    let text = json!({ "type": "string" });
    let count = json!({ "type": "integer", "minimum": 0 });
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

/// A notification with its deliveries: that of answers, but that it may be deleted, or be without its content.
fn notification(with: &mut Describer<'_>) -> Value {
    let delivery = with.shape::<Delivery>();
    let _ = with.shape::<Notification<'_>>();
    let whole = with.generator.definitions().get("Notification");
    let mut shape = whole.cloned().unwrap_or_default();
    shape["description"] =
        "A Notification with its deliveries; without content where it was deleted or none was asked for.".into();
    shape["properties"]["status"] = json!({ "type": "string", "enum": ["active", "deleted"] });
    shape["properties"]["deliveries"] = json!({ "type": "array", "items": delivery });
    if let Some(required) = shape["required"].as_array_mut() {
        required.retain(|name| name != "payload");
        required.push("deliveries".into());
    }
    shape
}
