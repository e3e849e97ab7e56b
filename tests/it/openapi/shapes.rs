//! The shapes are such that generators of clients make types of them, and say no less for it.

use serde_json::{Value, json};

use super::description::{Description, ask, members};
use crate::support::TestHub;

/// Every schema within this value, and where it stands.
fn schemas<'a>(value: &'a Value, at: &str, found: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Object(parts) => {
            found.push((at.to_owned(), value));
            for (name, part) in parts {
                if !matches!(name.as_str(), "example" | "examples" | "enum" | "const") {
                    schemas(part, &format!("{at}/{name}"), found);
                }
            }
        }
        Value::Array(parts) => {
            for (nth, part) in parts.iter().enumerate() {
                schemas(part, &format!("{at}/{nth}"), found);
            }
        }
        _ => {}
    }
}

fn is_of(schema: &Value, kind: &str) -> bool {
    match &schema["type"] {
        Value::Array(kinds) => kinds.iter().any(|it| it == kind),
        only => only == kind,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn generators_of_clients_make_types_of_every_shape() {
    let hub = TestHub::start().await;
    let description = Description::of(&hub).await;
    let mut found = Vec::new();
    schemas(&description.0, "", &mut found);
    let (mut alternatives, mut conditions) = (0, 0);
    for (at, schema) in found {
        if is_of(schema, "array") {
            assert!(schema["items"].is_object(), "{at}: a list of what?");
        }
        let or_null = is_of(schema, "object") && is_of(schema, "null");
        assert!(!or_null, "{at}: an object or null, without a name");
        for one_of in ["anyOf", "oneOf"] {
            let Some(branches) = schema[one_of].as_array() else {
                continue;
            };
            for beside in ["properties", "required", "type"] {
                assert!(schema[beside].is_null(), "{at}: {beside} beside {one_of}");
            }
            for (nth, branch) in branches.iter().enumerate() {
                let kinds = ["string", "integer", "number", "boolean", "null"];
                let is_plain = kinds.iter().any(|kind| is_of(branch, kind));
                let has_name = branch["$ref"].is_string();
                assert!(is_plain || has_name, "{at}/{one_of}/{nth} has no name");
                alternatives += 1;
            }
        }
        // Generators pass over conditions, so these may name no member that is told nowhere else.
        for part in ["if", "then"] {
            for (name, _) in members(&schema[part]["properties"]) {
                assert!(schema["properties"][name].is_object(), "{at}: {name}");
                conditions += 1;
            }
        }
        assert!(schema["else"].is_null(), "{at}");
    }
    assert!(alternatives > 50, "{alternatives}");
    assert!(conditions > 8, "{conditions}");
    hub.finish().await;
}

const POST: (&str, &str) = ("POST", "/v1/users/{user}/notifications");
const MANY: (&str, &str) = ("POST", "/v1/notifications");
const REGISTER: (&str, &str) = ("PUT", "/v1/me/endpoints/{endpoint}");
const STATE: (&str, &str) = ("POST", "/v1/me/notifications/state");
const RECEIPTS: (&str, &str) = ("POST", "/v1/me/notifications/receipts");
const CHANGE: (&str, &str) = ("PATCH", "/v1/me/notifications/{id}");

/// Posts whose members depend on each other.
fn drafts() -> Vec<Value> {
    let falls = json!({"endpointFallback": {
        "platformTypes": ["iOS"], "fallbackDelayInSeconds": 600, "visualContent": {"title": "t"},
    }});
    let raw = json!({"rawContent": "r", "visualContent": null});
    let both = json!({"rawContent": "r", "visualContent": {"title": "t"}});
    vec![
        json!({"fallbackPolicy": falls, "priority": "high", "payload": raw}),
        json!({"fallbackPolicy": falls, "priority": "Low", "payload": raw}),
        json!({"fallbackPolicy": falls, "priority": null, "payload": raw}),
        json!({"fallbackPolicy": falls, "priority": "High", "payload": both}),
        json!({"fallbackPolicy": null, "priority": "High", "payload": both}),
        json!({"fallbackPolicy": "no", "priority": "High", "payload": raw}),
        json!({"fallbackPolicy": falls, "payload": both}),
        json!({"payload": {"visualContent": {"title": "t"}}}),
        json!({"payload": {"rawContent": null, "visualContent": null}}),
        json!({"payload": {"rawContent": "r", "visualContent": "t"}}),
        json!({"payload": {}}),
        json!({}),
    ]
}

fn posts_to_many() -> Vec<Value> {
    let audiences = [
        json!({"users": ["ada"]}),
        json!({"users": ["ada"], "all": null}),
        json!({"all": true, "users": null}),
        json!({"all": true, "users": ["ada"]}),
        json!({"all": false}),
        json!({"all": false, "users": ["ada"]}),
        json!({}),
    ];
    let to =
        |audience| json!({"audience": audience, "notification": {"payload": {"rawContent": "r"}}});
    audiences.map(to).into()
}

fn registrations() -> Vec<Value> {
    let fcm = json!({"type": "fcm", "registrationToken": "t"});
    let apns = json!({"type": "apns", "deviceToken": "00ff"});
    vec![
        json!({"channel": {"type": "none"}, "platform": "windows"}),
        json!({"channel": {"type": "NONE"}, "platform": "IOS"}),
        json!({"channel": {"type": "none"}}),
        json!({"channel": {"type": "none"}, "platform": null}),
        json!({"channel": {"type": "fcm"}}),
        json!({"channel": fcm}),
        json!({"channel": fcm, "platform": "Android"}),
        json!({"channel": fcm, "platform": "iOS"}),
        json!({"channel": apns, "platform": null}),
        json!({"channel": apns, "platform": "webPush"}),
        json!({"channel": apns, "displayName": 1}),
        json!({"platform": "windows"}),
    ]
}

fn changes_of_many() -> Vec<Value> {
    let read = json!({"readState": "read"});
    vec![
        json!({"all": true, "set": read}),
        json!({"all": true, "ids": null, "groupName": null, "set": read}),
        json!({"ids": ["a"], "set": read}),
        json!({"groupName": "g", "set": read}),
        json!({"groupName": "g", "ids": [], "set": read}),
        json!({"all": false, "set": read}),
        json!({"all": true, "set": {}}),
        json!({"all": true, "set": {"readState": null, "userActionState": "SNOOZED"}}),
        json!({"all": true}),
        json!({"set": read}),
    ]
}

fn changes() -> Vec<Value> {
    vec![
        json!({"readState": "read"}),
        json!({"readState": null, "userActionState": "activated"}),
        json!({"readState": 1}),
        json!({"readState": null}),
        json!({}),
    ]
}

fn receipts() -> Vec<Value> {
    vec![
        json!({"shown": []}),
        json!({"shown": null}),
        json!({"shown": "a"}),
        json!({}),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_depends_on_other_members_is_told_as_the_hub_takes_it() {
    let hub = TestHub::start().await;
    let description = Description::of(&hub).await;
    let posted = hub.post("ada", "to be changed").await;
    let values = [
        ("user", "ada"),
        ("endpoint", "desk"),
        ("id", posted["id"].as_str().unwrap()),
    ];
    let device = hub.registered("ada", "desk").await;
    let (mut taken, mut refused) = (0, 0);
    let bodies = [
        (POST, drafts()),
        (MANY, posts_to_many()),
        (REGISTER, registrations()),
        (STATE, changes_of_many()),
        (CHANGE, changes()),
        (RECEIPTS, receipts()),
    ];
    let bodies = bodies.into_iter();
    for (call, body) in
        bodies.flat_map(|(call, bodies)| bodies.into_iter().map(move |it| (call, it)))
    {
        let (method, path) = call;
        let operation = &description.0["paths"][path][method.to_lowercase()];
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let told = description.validator(schema).is_valid(&body);
        let client = match path.starts_with("/v1/me/") {
            true => &device,
            false => &hub.app(),
        };
        let answer = ask(client, call, &values, Some(body.clone())).await;
        let status = answer.status.as_u16();
        assert!(matches!(status, 200..=204 | 400), "{body}: {answer:?}");
        assert_eq!(told, status != 400, "{method} {path}: {body}: {answer:?}");
        *(if told { &mut taken } else { &mut refused }) += 1;
    }
    assert!(taken > 15 && refused > 15, "{taken} and {refused}");
    hub.finish().await;
}
