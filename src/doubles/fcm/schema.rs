//! The fields of a send request and their types, as in the discovery document of the FCM API (v1).
//!
//! Proto3 JSON reads `snake_case` and `camelCase` alike, and refuses what it does not know.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Violation;

/// What a field may hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Text,
    Bool,
    Int,
    Number,
    /// One of these, in any case.
    Choice(&'static [&'static str]),
    /// A map of strings to strings.
    Texts,
    /// A list of strings.
    List,
    /// Any JSON object.
    Any,
    /// An object with these fields.
    Fields(&'static [(&'static str, Kind)]),
}

use Kind::{Any, Bool, Choice, Fields, Int, List, Number, Text, Texts};

/// A whole request.
pub(super) const REQUEST: Kind = Fields(&[("validate_only", Bool), ("message", Fields(MESSAGE))]);

const MESSAGE: &[(&str, Kind)] = &[
    ("name", Text),
    ("token", Text),
    ("fid", Text),
    ("topic", Text),
    ("condition", Text),
    ("data", Texts),
    (
        "notification",
        Fields(&[("title", Text), ("body", Text), ("image", Text)]),
    ),
    ("android", Fields(ANDROID)),
    (
        "webpush",
        Fields(&[
            ("headers", Texts),
            ("data", Texts),
            ("notification", Any),
            (
                "fcm_options",
                Fields(&[("link", Text), ("analytics_label", Text)]),
            ),
        ]),
    ),
    (
        "apns",
        Fields(&[
            ("headers", Texts),
            ("payload", Any),
            ("live_activity_token", Text),
            (
                "fcm_options",
                Fields(&[("analytics_label", Text), ("image", Text)]),
            ),
        ]),
    ),
    ("fcm_options", Fields(&[("analytics_label", Text)])),
];

const ANDROID: &[(&str, Kind)] = &[
    ("collapse_key", Text),
    ("priority", Choice(&["normal", "high"])),
    ("ttl", Text),
    ("restricted_package_name", Text),
    ("data", Texts),
    ("notification", Fields(ANDROID_NOTIFICATION)),
    ("fcm_options", Fields(&[("analytics_label", Text)])),
    ("direct_boot_ok", Bool),
    ("bandwidth_constrained_ok", Bool),
    ("restricted_satellite_ok", Bool),
];

const ANDROID_NOTIFICATION: &[(&str, Kind)] = &[
    ("title", Text),
    ("body", Text),
    ("icon", Text),
    ("color", Text),
    ("sound", Text),
    ("tag", Text),
    ("click_action", Text),
    ("body_loc_key", Text),
    ("body_loc_args", List),
    ("title_loc_key", Text),
    ("title_loc_args", List),
    ("channel_id", Text),
    ("ticker", Text),
    ("sticky", Bool),
    ("event_time", Text),
    ("local_only", Bool),
    (
        "notification_priority",
        Choice(&[
            "priority_unspecified",
            "priority_min",
            "priority_low",
            "priority_default",
            "priority_high",
            "priority_max",
        ]),
    ),
    ("default_sound", Bool),
    ("default_vibrate_timings", Bool),
    ("default_light_settings", Bool),
    ("vibrate_timings", List),
    (
        "visibility",
        Choice(&["visibility_unspecified", "private", "public", "secret"]),
    ),
    ("notification_count", Int),
    (
        "light_settings",
        Fields(&[
            (
                "color",
                Fields(&[
                    ("red", Number),
                    ("green", Number),
                    ("blue", Number),
                    ("alpha", Number),
                ]),
            ),
            ("light_on_duration", Text),
            ("light_off_duration", Text),
        ]),
    ),
    ("image", Text),
    ("bypass_proxy_notification", Bool),
    (
        "proxy",
        Choice(&["proxy_unspecified", "allow", "deny", "if_priority_lowered"]),
    ),
];

/// Looks for everything in the value that the API would not take.
pub(super) fn check(value: &Value, kind: Kind, path: &str, found: &mut Vec<Violation>) {
    let fits = match kind {
        Text => value.is_string(),
        Bool => value.is_boolean(),
        Int => value.is_i64(),
        Number => value.is_number(),
        Any => value.is_object(),
        Choice(names) => value
            .as_str()
            .is_some_and(|text| names.iter().any(|name| name.eq_ignore_ascii_case(text))),
        List => value
            .as_array()
            .is_some_and(|items| items.iter().all(Value::is_string)),
        Texts => return check_texts(value, path, found),
        Fields(fields) => return check_fields(value, fields, path, found),
    };
    // Proto3 JSON takes null for the absence of a field.
    if !fits && !value.is_null() {
        found.push((
            path.to_owned(),
            format!("Invalid value at '{path}', {value}"),
        ));
    }
}

fn check_texts(value: &Value, path: &str, found: &mut Vec<Violation>) {
    let Some(map) = value.as_object() else {
        return found.push((
            path.to_owned(),
            format!("Invalid value at '{path}' (Map), {value}"),
        ));
    };
    for (key, value) in map.iter().filter(|(_, value)| !value.is_string()) {
        found.push((
            path.to_owned(),
            format!("Invalid value at '{path}[{key}]' (TYPE_STRING), {value}"),
        ));
    }
}

fn check_fields(value: &Value, fields: &[(&str, Kind)], path: &str, found: &mut Vec<Violation>) {
    let Some(map) = value.as_object() else {
        return found.push((
            path.to_owned(),
            format!("Invalid value at '{path}', {value}"),
        ));
    };
    let mut set = BTreeSet::new();
    for (key, value) in map {
        let at = if path.is_empty() {
            snake_case(key)
        } else {
            format!("{path}.{}", snake_case(key))
        };
        if !value.is_null() && !set.insert(snake_case(key)) {
            let text =
                format!("Invalid value at '{at}', the field is already set by its other name");
            found.push((at.clone(), text));
        }
        match fields.iter().find(|(name, _)| *name == snake_case(key)) {
            Some((_, kind)) => check(value, *kind, &at, found),
            None => {
                let place = if path.is_empty() {
                    String::new()
                } else {
                    format!(" at '{path}'")
                };
                let text = format!(
                    "Invalid JSON payload received. Unknown name \"{key}\"{place}: Cannot find field."
                );
                found.push((path.to_owned(), text));
            }
        }
    }
}

/// A field of a checked object, under either of its names.
pub(super) fn field<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.iter()
        .find(|(key, value)| snake_case(key) == name && !value.is_null())
        .map(|(_, value)| value)
}

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
