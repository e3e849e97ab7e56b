//! The hub's everyday: posting, reading, changing; endpoints, tokens, and browsers.

mod again;
mod browsers;
mod changing;
mod claims;
mod create;
mod delegated;
mod endpoints;
mod oauth;
mod once;
mod partly;
mod reading;
mod tokens;

use std::time::Duration;

use beckon::{clock::Clock, model::Timestamp};
use serde_json::{Value, json};

use crate::support::TestHub;

const POST: &str = "/v1/users/ada/notifications";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A hub at a standstill that keeps this many notifications of a person, and remembers as many removals.
async fn small_hub<const KEPT: usize>() -> TestHub {
    TestHub::with(Clock::manual(Clock::system().now()), |config| {
        config.server.limits.notifications_per_user = KEPT;
    })
    .await
}

fn raw(text: &str) -> Value {
    json!({"payload": {"rawContent": text}})
}

/// The same under an id of the app's own.
fn named(name: &str, text: &str) -> Value {
    json!({"appNotificationId": name, "payload": {"rawContent": text}})
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

/// What the notifications of a page say, in its order; a removal by its reason.
fn contents(page: &Value) -> Vec<String> {
    let items = page["value"]
        .as_array()
        .unwrap_or_else(|| panic!("no list: {page}"));
    let said = |it: &Value| match it["@removed"]["reason"].as_str() {
        Some(reason) => reason.to_owned(),
        None => text(&it["payload"]["rawContent"]),
    };
    items.iter().map(said).collect()
}

fn moment(value: &Value) -> Timestamp {
    text(value)
        .parse()
        .unwrap_or_else(|error| panic!("{value}: {error}"))
}

fn commits(hub: &TestHub) -> u64 {
    hub.running().hub.store().stats().commits
}
