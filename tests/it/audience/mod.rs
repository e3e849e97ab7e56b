//! Posting to many: accepted once it is on disk, worked off person by person, exactly once each.

mod faults;
mod life;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Client, eventually};

const MANY: &str = "/v1/notifications";

fn raw(text: &str) -> Value {
    json!({"payload": {"rawContent": text}})
}

fn to_users(users: &[String], notification: Value) -> Value {
    json!({"audience": {"users": users}, "notification": notification})
}

fn to_all(notification: Value) -> Value {
    json!({"audience": {"all": true}, "notification": notification})
}

fn people(count: usize) -> Vec<String> {
    (0..count).map(|nth| format!("person-{nth}")).collect()
}

fn job(accepted: &Value) -> String {
    format!("{MANY}/{}", accepted["id"].as_str().unwrap())
}

/// The job once it has this status.
async fn reached(app: &Client, job: &str, status: &str) -> Value {
    eventually(&format!("the job is {status}"), || async {
        let it = app.get(job).await.expect(200);
        (it["status"] == status).then_some(it)
    })
    .await
}

/// The job once it has done something.
async fn begun(app: &Client, job: &str) -> Value {
    eventually("the job has begun", || async {
        let it = app.get(job).await.expect(200);
        (it["done"].as_u64().unwrap() > 0).then_some(it)
    })
    .await
}

/// How often each of these people has a notification of this content.
async fn copies(app: &Client, users: &[String], content: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for user in users {
        let path = format!("/v1/users/{user}/notifications");
        let page = app.get(&path).await.expect(200);
        let items = page["value"].as_array().unwrap();
        let same = items
            .iter()
            .filter(|it| it["payload"]["rawContent"] == content)
            .count();
        found.insert(user.clone(), same);
    }
    found
}
