//! The limits in force, wherever a description names one.

use std::fmt::Write as _;

use crate::config::{Limits, Rate};

/// Each by its key in `[server.limits]`, and its value.
fn all(limits: &Limits) -> [(&'static str, String); 18] {
    let rate = |rate: Option<Rate>| rate.map_or(String::from("none"), |rate| rate.to_string());
    [
        ("body", limits.body.to_string()),
        ("audience_body", limits.audience_body.to_string()),
        ("nesting", limits.nesting.to_string()),
        ("endpoints_per_user", limits.endpoints_per_user.to_string()),
        ("streams_per_user", limits.streams_per_user.to_string()),
        (
            "notifications_per_user",
            limits.notifications_per_user.to_string(),
        ),
        ("tokens_per_user", limits.tokens_per_user.to_string()),
        ("batch_ids", limits.batch_ids.to_string()),
        ("audience", limits.audience.to_string()),
        ("broadcasts_per_app", limits.broadcasts_per_app.to_string()),
        ("raw_content", limits.raw_content.to_string()),
        ("title", limits.title.to_string()),
        ("visual_body", limits.visual_body.to_string()),
        ("app_id", limits.app_id.to_string()),
        ("connections", limits.connections.to_string()),
        ("requests_per_address", rate(limits.requests_per_address)),
        ("requests_per_key", rate(limits.requests_per_key)),
        ("requests_per_user", rate(limits.requests_per_user)),
    ]
}

/// The same words, with its value behind each key that stands in them.
pub(super) fn told(words: &str, limits: &Limits) -> String {
    let mut told = words.to_owned();
    for (key, value) in all(limits) {
        let named = format!("`server.limits.{key}`");
        told = told.replace(&named, &format!("{named} = {value}"));
    }
    told
}

/// All of them as a table in Markdown.
pub(super) fn table(limits: &Limits) -> String {
    let mut table = String::from("\n| limit of `[server.limits]` | here |\n|---|---|\n");
    for (key, value) in all(limits) {
        // Writing to a String cannot fail.
        let _ = writeln!(table, "| `{key}` | {value} |");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_with_its_value() {
        let limits = Limits::default();
        let told = told("Over `server.limits.streams_per_user`, `429`.", &limits);
        assert_eq!(told, "Over `server.limits.streams_per_user` = 20, `429`.");
        assert!(table(&limits).contains("| `requests_per_key` | none |"));
    }
}
