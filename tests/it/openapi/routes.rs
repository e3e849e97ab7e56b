//! Routes, contract and description say the same.

use std::collections::{BTreeMap, BTreeSet};

use beckon::clock::Clock;
use serde_json::{Value, json};

use super::description::{Description, ask, filled, members};
use crate::{isolation::ROUTES, support::TestHub};

/// The calls of the contract's section 2.
const CONTRACT: [(&str, &str); 40] = [
    ("POST", "/v1/users/{user}/notifications"),
    ("GET", "/v1/users/{user}/notifications"),
    ("GET", "/v1/users/{user}/notifications/{id}"),
    ("DELETE", "/v1/users/{user}/notifications/{id}"),
    ("GET", "/v1/users/{user}/notifications/{id}/deliveries"),
    ("GET", "/v1/users/{user}/endpoints"),
    ("PUT", "/v1/users/{user}/endpoints/{endpoint}"),
    ("DELETE", "/v1/users/{user}/endpoints/{endpoint}"),
    ("POST", "/v1/users/{user}/endpoints/{endpoint}/test"),
    ("POST", "/v1/users/{user}/tokens"),
    ("DELETE", "/v1/users/{user}/tokens"),
    ("DELETE", "/v1/users/{user}"),
    ("GET", "/v1/users/{user}/export"),
    ("POST", "/beta/me/notifications"),
    ("POST", "/beta/me/notifications/"),
    ("POST", "/v1/notifications"),
    ("GET", "/v1/notifications/{id}"),
    ("DELETE", "/v1/notifications/{id}"),
    ("POST", "/oauth2/v2.0/token"),
    ("POST", "/{tenant}/oauth2/v2.0/token"),
    ("PUT", "/v1/me/endpoints/{endpoint}"),
    ("GET", "/v1/me/endpoints"),
    ("DELETE", "/v1/me/endpoints/{endpoint}"),
    ("GET", "/v1/me/notifications"),
    ("GET", "/v1/me/notifications/{id}"),
    ("GET", "/v1/me/notifications/delta"),
    ("GET", "/v1/me/notifications/stream"),
    ("POST", "/v1/me/notifications/stream/ticket"),
    ("PATCH", "/v1/me/notifications/{id}"),
    ("POST", "/v1/me/notifications/state"),
    ("POST", "/v1/me/notifications/receipts"),
    ("DELETE", "/v1/me/notifications/{id}"),
    ("POST", "/v1/me/token"),
    ("GET", "/v1/apps/{host}/webpush"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/docs/{page}"),
];

/// The codes of the contract, each with its status.
const CODES: [(u16, &str); 13] = [
    (400, "invalidRequest"),
    (401, "unauthenticated"),
    (403, "accessDenied"),
    (404, "itemNotFound"),
    (404, "endpointNotFound"),
    (405, "methodNotAllowed"),
    (409, "conflict"),
    (410, "syncStateNotFound"),
    (413, "payloadTooLarge"),
    (415, "unsupportedMediaType"),
    (429, "tooManyRequests"),
    (429, "limitReached"),
    (503, "serviceUnavailable"),
];

const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE",
];

const VALUES: [(&str, &str); 7] = [
    ("user", "ada"),
    ("id", "0193a2f1-6b1e-7c40-9d2a-5f0c8e1b7a42"),
    ("endpoint", "desk"),
    ("host", "todo.example"),
    ("tenant", "common"),
    ("page", "limits"),
    ("file", "reference.js"),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_described_is_there_and_nothing_else() {
    let hub = TestHub::start().await;
    let description = Description::of(&hub).await;
    let operations = description.operations();
    // The list of routes is held against the route table by a test of its own.
    let mut told: Vec<_> = operations
        .iter()
        .map(|(path, method, _)| (method.as_str(), *path))
        .collect();
    let mut routes: Vec<_> = ROUTES
        .iter()
        .map(|(verb, path, _)| (*verb, *path))
        .collect();
    told.sort_unstable();
    routes.sort_unstable();
    assert_eq!(told, routes, "a route is not described");
    for (method, path) in CONTRACT {
        let told = operations
            .iter()
            .any(|(at, with, _)| *at == path && with == method);
        assert!(told, "{method} {path} is not described");
    }
    let mut by_path: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (path, method, _) in &operations {
        by_path.entry(path).or_default().insert(method.clone());
    }
    for (path, described) in &by_path {
        for method in METHODS {
            let answer = ask(&hub.client(), (method, path), &VALUES, None).await;
            let status = answer.status.as_u16();
            if described.contains(method) {
                let shown = String::from_utf8_lossy(&answer.body).into_owned();
                assert_ne!(status, 405, "{method} {path}");
                assert!(!shown.contains("nothing at this path"), "{method} {path}");
                continue;
            }
            // The router's own word for what a path takes: the table knows no method that is not described.
            assert_eq!(status, 405, "{method} {path}");
            let allowed = answer.header("allow").unwrap().split(", ");
            let allowed: BTreeSet<String> = allowed.map(str::to_owned).collect();
            assert_eq!(allowed, *described, "{path}");
        }
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_told_in_full() {
    let hub = TestHub::start().await;
    let description = Description::of(&hub).await;
    assert_eq!(description.0["openapi"], "3.1.0");
    let (mut ids, mut tags) = (BTreeSet::new(), BTreeSet::new());
    for (path, method, operation) in description.operations() {
        let what = format!("{method} {path}");
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "{what} is called as another is");
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{what}");
        tags.insert(operation["tags"][0].as_str().unwrap().to_owned());
        let parameters = operation["parameters"].as_array().unwrap();
        let in_path: Vec<String> = parameters
            .iter()
            .filter(|it| it["in"] == "path")
            .map(|it| format!("{{{}}}", it["name"].as_str().unwrap()))
            .collect();
        let in_template: Vec<&str> = path
            .split('/')
            .filter(|part| part.starts_with('{'))
            .collect();
        assert_eq!(in_path, in_template, "{what}");
        let behind_a_door = path.starts_with("/v1/users/")
            || path.starts_with("/v1/notifications")
            || path.starts_with("/v1/me/")
            || path.starts_with("/beta/");
        let needs = operation["security"].as_array().unwrap();
        assert_eq!(!needs.is_empty(), behind_a_door, "{what}");
        for status in ["401", "403"] {
            let told = !operation["responses"][status].is_null();
            let is_oauth = path.contains("/oauth2/") && status == "401";
            assert_eq!(told, behind_a_door || is_oauth, "{what}: {status}");
        }
        let takes_body = !operation["requestBody"].is_null();
        let too_large = !operation["responses"]["413"].is_null();
        assert_eq!(takes_body, too_large, "{what}");
    }
    let known = description.0["tags"].as_array().unwrap();
    let known: BTreeSet<String> = known
        .iter()
        .map(|tag| tag["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(tags, known);
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_code_of_the_contract_is_told_with_its_status() {
    let hub = TestHub::start().await;
    let description = Description::of(&hub).await;
    let responses = &description.0["components"]["responses"];
    let mut told = BTreeSet::new();
    for (_, response) in members(responses) {
        let content = &response["content"]["application/json"];
        for (code, example) in members(&content["examples"]) {
            assert_eq!(example["value"]["error"]["code"], code);
            told.insert(code);
        }
    }
    let expected: BTreeSet<&str> = CODES.iter().map(|(_, code)| *code).collect();
    assert_eq!(told, expected);
    let shape = &description.0["components"]["schemas"]["ErrorContent"];
    let codes = shape["properties"]["code"]["enum"].as_array().unwrap();
    let codes: BTreeSet<&str> = codes.iter().map(|code| code.as_str().unwrap()).collect();
    assert_eq!(codes, expected);
    for (_, _, operation) in description.operations() {
        for (status, response) in members(&operation["responses"]) {
            let response = description.resolved(response);
            let content = &response["content"]["application/json"];
            for (code, _) in members(&content["examples"]) {
                let status = status.parse().unwrap();
                assert!(CODES.contains(&(status, code)), "{status} {code}");
            }
        }
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_told_are_those_in_force() {
    let hub = TestHub::with(Clock::system(), |config| {
        config.server.limits.title = 77;
        config.server.limits.batch_ids = 5;
        config.server.limits.audience = 12;
        config.server.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    let description = Description::of(&hub).await;
    let schemas = &description.0["components"]["schemas"];
    let title = &schemas["DraftVisual"]["properties"]["title"];
    assert_eq!(title["maxLength"], 77);
    let ids = &schemas["Receipts"]["properties"]["shown"];
    assert_eq!(ids["maxItems"], 5);
    let users = &schemas["AudienceOfNamed"]["properties"]["users"];
    let words = users["description"].as_str().unwrap();
    assert!(words.contains("At most 12 users"), "{words}");
    let many = &description.0["paths"]["/v1/notifications"]["post"]["requestBody"]["description"];
    let many = many.as_str().unwrap();
    assert!(many.contains("audience_body` = 4194304"), "{many}");
    // All of them, as the operator writes them.
    let table = description.0["info"]["description"].as_str().unwrap();
    let example = include_str!("../../../config.example.toml");
    let section = example.split("[server.limits]").nth(1).unwrap();
    let section = section.split("\n\n").next().unwrap();
    let keys = section.lines().filter_map(|line| line.split_once(" = "));
    let keys = keys.map(|(key, _)| key.trim_start_matches('#'));
    let keys: Vec<&str> = keys.filter(|key| !key.contains(' ')).collect();
    assert_eq!(keys.len(), 18);
    for key in keys {
        assert!(table.contains(&format!("| `{key}` | ")), "{key}");
    }
    assert!(table.contains("| `title` | 77 |"), "{table}");
    assert!(description.0["paths"]["/metrics"].is_null());
    hub.finish().await;
}

/// Each example of the description: what it is of, its schema, and itself.
fn examples(description: &Description) -> Vec<(String, Value, Value)> {
    let mut found = Vec::new();
    let mut add = |what: String, schema: &Value, holder: &Value| {
        let named = members(&holder["examples"]).into_iter();
        let named = named.map(|(_, example)| &example["value"]);
        let single = holder.get("example");
        for example in named.chain(single) {
            found.push((what.clone(), schema.clone(), example.clone()));
        }
    };
    for (path, method, operation) in description.operations() {
        for parameter in operation["parameters"].as_array().unwrap() {
            let what = format!("{method} {path}: {}", parameter["name"]);
            add(what, &parameter["schema"], parameter);
        }
        let body = members(&operation["requestBody"]["content"]);
        for (_, content) in body {
            add(format!("{method} {path}"), &content["schema"], content);
        }
        for (status, response) in members(&operation["responses"]) {
            let response = description.resolved(response);
            for (_, content) in members(&response["content"]) {
                let what = format!("{method} {path}: {status}");
                add(what, &content["schema"], content);
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_is_of_its_own_shape() {
    let hub = TestHub::start().await;
    let description = Description::of(&hub).await;
    let examples = examples(&description);
    assert!(examples.len() > 100, "{}", examples.len());
    for (what, schema, example) in examples {
        description.must_fit(&schema, &example, &what);
    }
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_of_a_request_is_taken() {
    let hub = TestHub::start().await;
    let description = Description::of(&hub).await;
    let device = hub.registered("ada", "desk").await;
    let posted = hub.post("ada", "to be changed").await;
    let registered = device.get("/v1/me/endpoints").await.expect(200);
    let unsid = registered["value"][0]["userNotificationSubscriptionId"].clone();
    let server = hub.app().header("x-uns-id", unsid.as_str().unwrap());
    let mut values = VALUES;
    values[1].1 = posted["id"].as_str().unwrap();
    let mut taken = 0;
    for (path, method, operation) in description.operations() {
        let content = &operation["requestBody"]["content"]["application/json"];
        for (name, example) in members(&content["examples"]) {
            let client = match path.starts_with("/v1/me/") {
                true => &device,
                false => &server,
            };
            let body = Some(example["value"].clone());
            let answer = ask(client, (&method, path), &values, body).await;
            assert!(
                answer.status.is_success(),
                "{method} {path}: {name}: {answer:?}"
            );
            description.must_tell_of(&method, path, &answer);
            taken += 1;
        }
    }
    assert!(taken >= 14, "{taken}");
    let form = format!(
        "grant_type=client_credentials&client_id=todo.example&client_secret={}",
        hub.key
    );
    for path in ["/oauth2/v2.0/token", "/{tenant}/oauth2/v2.0/token"] {
        let client = hub
            .client()
            .header("content-type", "application/x-www-form-urlencoded");
        let at = filled(path, &VALUES);
        let answer = client
            .send("POST".parse().unwrap(), &at, form.clone().into())
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        description.must_tell_of("POST", path, &answer);
    }
    let odd = json!({"audience": {"users": ["."]}, "notification": {}});
    let schema = json!({ "$ref": "#/components/schemas/PostToMany" });
    assert!(!description.validator(&schema).is_valid(&odd));
    hub.finish().await;
}
