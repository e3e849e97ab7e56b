//! What is wrong is refused clearly, with its code and each fault's path; nothing is written, and the hub goes on.

mod bodies;
mod codes;
mod fields;
mod names;

use serde_json::json;

use crate::support::{Answer, TestHub};

/// A good post, to be made bad.
const POST: &str = "/v1/users/ada/notifications";

fn commits(hub: &TestHub) -> u64 {
    hub.running().hub.store().stats().commits
}

/// Ends a test in which everything was refused: nothing was written, and a good request succeeds.
async fn unharmed(hub: TestHub, commits_before: u64) {
    assert_eq!(
        commits(&hub),
        commits_before,
        "a refused request wrote something"
    );
    let good = json!({"payload": {"rawContent": "good"}});
    hub.app().post(POST, good).await.expect(201);
    hub.finish().await;
}

/// The answer has this status, code and these faults, in any order, in the shape of the contract.
#[track_caller]
fn assert_refused(what: &str, answer: &Answer, (status, code): (u16, &str), faults: &[&str]) {
    let shown = format!("{what}: {answer:?}");
    assert_eq!(answer.status.as_u16(), status, "{shown}");
    let error = &answer.json()["error"];
    assert_eq!(error["code"], code, "{shown}");
    assert!(!error["message"].as_str().unwrap().is_empty(), "{shown}");
    let id = answer.header("request-id").unwrap();
    assert_eq!(error["innerError"]["request-id"], id, "{shown}");
    assert!(error["innerError"]["date"].is_string(), "{shown}");
    let details = error["details"].as_array().cloned().unwrap_or_default();
    let target = |fault: &serde_json::Value| fault["target"].as_str().unwrap().to_owned();
    let mut found: Vec<String> = details.iter().map(target).collect();
    let mut expected = faults.to_vec();
    found.sort();
    expected.sort_unstable();
    assert_eq!(found, expected, "{shown}");
}
