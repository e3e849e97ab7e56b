//! What requests and answers look like.

use serde_json::{Value, json};

const ID: &str = "0193a2f1-6b1e-7c40-9d2a-5f0c8e1b7a42";
const NOON: &str = "2026-11-24T12:00:00Z";
const LATER: &str = "2026-12-01T12:00:00Z";

fn visual() -> Value {
    json!({ "title": "Lunch?", "body": "12:30, the usual corner" })
}

pub(super) fn drafts() -> [(&'static str, Value); 2] {
    let shown = json!({
        "appNotificationId": "order-7",
        "priority": "High",
        "displayTimeToLive": 60,
        "payload": { "visualContent": visual() },
        "targetPolicy": { "platformTypes": ["iOS", "android"] },
    });
    let raw = json!({
        "priority": "High",
        "payload": { "rawContent": "{\"order\":7}" },
        "fallbackPolicy": { "endpointFallback": {
            "platformTypes": ["iOS"],
            "fallbackDelayInSeconds": 600,
            "visualContent": { "title": "Order 7 is ready" },
        } },
    });
    [
        ("a title and a body", shown),
        ("raw content with a fallback", raw),
    ]
}

pub(super) fn posts_to_many() -> [(&'static str, Value); 2] {
    let notification = json!({ "payload": { "visualContent": visual() } });
    let named = json!({ "audience": { "users": ["ada", "grace"] }, "notification": notification });
    let all = json!({ "audience": { "all": true }, "notification": notification });
    [("to those named", named), ("to all", all)]
}

pub(super) fn registrations() -> [(&'static str, Value); 1] {
    let without = json!({
        "platform": "windows",
        "channel": { "type": "none" },
        "displayName": "The dashboard in the hall",
    });
    [("without push", without)]
}

pub(super) fn notification() -> Value {
    json!({
        "id": ID,
        "appNotificationId": "order-7",
        "priority": "High",
        "displayTimeToLive": 60,
        "payload": { "visualContent": visual() },
        "targetPolicy": { "platformTypes": ["iOS", "android"] },
        "createdDateTime": NOON,
        "lastModifiedDateTime": NOON,
        "expirationDateTime": LATER,
        "readState": "unread",
        "userActionState": "noInteraction",
        "status": "active",
        "version": 1,
    })
}

pub(super) fn graph_notification() -> Value {
    json!({
        "@odata.context": "https://hub.example.com/beta/$metadata#users('ada')/notifications/$entity",
        "displayTimeToLive": 60,
        "expirationDateTime": LATER,
        "groupName": null,
        "id": ID,
        "priority": "High",
        "payload": { "visualContent": visual() },
    })
}

pub(super) fn history() -> Value {
    json!({ "value": [notification()], "unreadCount": 1 })
}

pub(super) fn delta() -> Value {
    let gone = json!({ "id": "0193a2f0-77aa-7d03-8a51-0c9be2f4d615", "@removed": { "reason": "deleted" } });
    let link = "https://hub.example.com/v1/me/notifications/delta?$deltatoken=c2F5";
    json!({ "value": [notification(), gone], "@odata.deltaLink": link })
}

pub(super) fn endpoint() -> Value {
    json!({
        "id": "phone",
        "platform": "iOS",
        "channel": { "type": "apns" },
        "displayName": "Ada's phone",
        "userNotificationSubscriptionId": "5d3c1a1e-0f53-4d7b-9a64-b7c2d8e0f1a3",
        "tapId": "a8f5f167-2c3b-4d0e-8b9a-6f1d2c3b4a59",
        "createdDateTime": NOON,
        "lastSeenDateTime": NOON,
        "expirationDateTime": "2027-02-22T12:00:00Z",
    })
}

pub(super) fn endpoints() -> Value {
    json!({ "value": [endpoint()] })
}

fn delivery() -> Value {
    json!({
        "endpointId": "phone",
        "platform": "iOS",
        "channel": "apns",
        "status": "tapped",
        "explanation": "tapped at 2026-11-24T12:00:00Z; the device has not fetched it yet",
        "pendingDateTime": NOON,
        "tappedDateTime": NOON,
        "attempts": 1,
        "pushService": { "status": 200, "id": "EC1BF194-B3B2-424A-89A9-5A918A6E6B5D" },
    })
}

pub(super) fn deliveries() -> Value {
    json!({ "value": [delivery()] })
}

pub(super) fn tested() -> Value {
    json!({
        "endpointId": "phone",
        "result": "accepted",
        "explanation": "the push service took the tap",
        "pushService": { "status": 200 },
    })
}

pub(super) fn token() -> Value {
    json!({ "token": "bu_…", "expiresDateTime": LATER, "endpointId": "phone" })
}

pub(super) fn ticket() -> Value {
    json!({ "ticket": "…", "expiresDateTime": "2026-11-24T12:01:00Z" })
}

pub(super) fn accepted() -> Value {
    json!({ "id": ID, "accepted": 2 })
}

pub(super) fn job() -> Value {
    json!({
        "id": ID,
        "status": "running",
        "accepted": 100_000,
        "done": 41_200,
        "failed": 0,
        "createdDateTime": NOON,
    })
}

pub(super) fn access_token() -> Value {
    json!({ "token_type": "Bearer", "expires_in": crate::hub::ACCESS_SECS, "access_token": "…" })
}

pub(super) fn configuration() -> Value {
    let base = "https://hub.example.com";
    json!({
        "issuer": format!("{base}/v2.0"),
        "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
        "jwks_uri": format!("{base}/discovery/v2.0/keys"),
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "response_types_supported": ["none"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    })
}

pub(super) fn public_key() -> Value {
    json!({ "publicKey": "BIoTrfJbYR6uLp9pZkb3jYhYbJcJzqUoZQ2tZ1kq0q3nYx1Zz6mT0l4jv3Tg0kq8z2tq5m3n7v9wX1yB2cD4eF8" })
}

pub(super) fn export() -> Value {
    let mut kept = notification();
    kept["deliveries"] = json!([delivery()]);
    json!({
        "app": "todo.example.com",
        "user": { "id": "ada", "notificationCount": 1, "unreadCount": 1 },
        "exportedDateTime": NOON,
        "endpoints": [endpoint()],
        "tokens": [{ "expiresDateTime": LATER, "endpointId": "phone" }],
        "notifications": [kept],
        "removed": [{ "id": ID, "removedDateTime": NOON, "reason": "expired" }],
        "pushes": [{
            "endpointId": "phone",
            "dateTime": NOON,
            "kind": "created",
            "accepted": true,
            "attempts": 1,
            "sizeBytes": 118,
            "pushService": { "status": 200 },
        }],
        "acts": [{
            "number": 7,
            "dateTime": NOON,
            "by": "key 7Yq2",
            "act": "user export",
            "app": "todo.example.com",
            "user": "ada",
            "outcome": "done",
        }],
    })
}
