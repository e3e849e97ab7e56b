//! The open stream: what it tells, where it begins, when it ends, and that it stands in for a tap.

mod begin;
mod end;
mod grace;
mod tells;

use serde_json::{Value, json};

use crate::support::{Client, TestHub};

const POST: &str = "/v1/users/ada/notifications";
const STREAM: &str = "/v1/me/notifications/stream";
const TICKET: &str = "/v1/me/notifications/stream/ticket";
const DELTA: &str = "/v1/me/notifications/delta";

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

async fn post(hub: &TestHub, content: &str) -> Value {
    let body = json!({"payload": {"rawContent": content}});
    hub.app().post(POST, body).await.expect(201)
}

fn content(event: &Value) -> String {
    text(&event["payload"]["rawContent"])
}

/// The cursor at the end of the feed.
async fn here(client: &Client) -> String {
    let page = client.get(DELTA).await.expect(200);
    crate::support::device::token_of(page["@odata.deltaLink"].as_str().unwrap())
}

async fn ticket(client: &Client, body: Value) -> String {
    text(&client.post(TICKET, body).await.expect(201)["ticket"])
}
