//! A post: JSON into a [`Draft`], with every check of the contract.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    fields::{Faults, Fields, whole},
    schema::{self, Shapes, absent, object, optional, said, with},
};
use crate::{
    config::Limits,
    hub,
    model::{AppHost, Draft, Fallback, Platform, Priority, Timestamp, Ttl, VisualContent},
};

const PLATFORMS: &str = "platformTypes";
const DELAY: &str = "fallbackDelayInSeconds";
/// The longest delay of a fallback.
const MAX_DELAY: Duration = Duration::from_secs(600);

/// The numbers from 1 to 2147483647 as text, which may stand between blanks.
const TTL_DIGITS: &str = "^ *\\+?0*([1-9][0-9]{0,8}|1[0-9]{9}|20[0-9]{8}|21[0-3][0-9]{7}|214[0-6][0-9]{6}|2147[0-3][0-9]{5}|21474[0-7][0-9]{4}|214748[0-2][0-9]{3}|2147483[0-5][0-9]{2}|21474836[0-3][0-9]|214748364[0-7]) *$";

/// What a post is checked against.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct DraftRules<'a> {
    /// Whose post it is.
    pub(in super::super) app: &'a AppHost,
    /// The limits of texts.
    pub(in super::super) limits: &'a Limits,
    /// The shortest delay of a fallback.
    pub(in super::super) min_delay: Duration,
    /// The present moment.
    pub(in super::super) now: Timestamp,
}

/// Reads a post.
///
/// # Errors
/// `Forbidden` where it names another app; `Invalid` with all its faults.
pub(in super::super) fn draft(
    body: &Map<String, Value>,
    rules: &DraftRules<'_>,
) -> Result<Draft, hub::Error> {
    let faults = Faults::default();
    let draft = read(&Fields::of(body, &faults), rules)?;
    faults.finish(Some(draft))
}

/// What [`draft()`] takes, by the limits in force.
pub(in super::super) fn draft_schema(
    limits: &Limits,
    min_delay: Duration,
    shapes: &mut Shapes,
) -> Value {
    let ids = ("server.limits.app_id", limits.app_id);
    let visual = shapes.named("DraftVisual", visual_schema(limits));
    let payload = json!({
        "rawContent": optional(schema::filled_text(("server.limits.raw_content", limits.raw_content))),
        "visualContent": optional(visual.clone()),
    });
    let payload = schema::either(
        object(&[], payload),
        "rawContent",
        ("visualContent", "object"),
    );
    let payload = said(payload, "Raw content, visual content, or both.");
    let named = object(&[], json!({ PLATFORMS: optional(platforms_schema()) }));
    let target = said(named, "For which platforms; left out for all.");
    let fallback = fallback_schema(visual, min_delay, shapes);
    let members = json!({
        "targetHostName": said(optional(schema::text()), "The app's own host; another is `403`."),
        "appNotificationId": said(
            optional(schema::filled_text(ids)),
            &format!("The app's own id, at most {} bytes (`{}`). The same again replaces what was posted by it.", ids.1, ids.0),
        ),
        "groupName": optional(schema::text_within(ids)),
        "targetPolicy": optional(shapes.named("DraftTarget", target)),
        "payload": shapes.named("DraftPayload", payload),
        "displayTimeToLive": optional(display_ttl_schema()),
        "expirationDateTime": optional(schema::moment("in the future, at most 30 days ahead; 7 days where it is left out")),
        "priority": optional(schema::word(&Priority::ALL.map(Priority::as_str))),
        "fallbackPolicy": optional(shapes.named("DraftFallbackPolicy", fallback)),
    });
    let raw_alone = json!({ "properties": { "visualContent": absent() } });
    let high = schema::word(&[Priority::High.as_str()]);
    schema::where_so(
        object(&["payload"], members),
        with("fallbackPolicy", json!({ "type": "object" })),
        object(
            &["priority"],
            json!({ "priority": high, "payload": raw_alone }),
        ),
    )
}

/// Reads a post that may be a part of a body, whose faults it adds to.
pub(super) fn read(fields: &Fields<'_>, rules: &DraftRules<'_>) -> Result<Draft, hub::Error> {
    if let Some(host) = fields.text("targetHostName") {
        own_host(host, rules.app)?;
    }
    let ids = ("server.limits.app_id", rules.limits.app_id);
    let policy = fields.object("targetPolicy");
    let (raw, visual) = payload(fields, rules);
    let draft = Draft {
        app_id: owned(fields.filled_text("appNotificationId", ids)),
        group: owned(fields.text_within("groupName", ids)),
        platforms: policy
            .and_then(|policy| platforms(&policy, "leave it out to mean all platforms")),
        raw,
        visual,
        display_ttl: display_ttl(fields),
        expires: expires(fields, rules.now),
        priority: fields
            .word("priority", "one of None, High, Low", Priority::parse)
            .unwrap_or_default(),
        fallback: None,
    };
    let fallback = fallback(fields, &draft, rules);
    Ok(Draft { fallback, ..draft })
}

fn own_host(host: &str, app: &AppHost) -> Result<(), hub::Error> {
    match AppHost::parse(host) {
        Ok(host) if host == *app => Ok(()),
        _ => Err(hub::Error::Forbidden(
            "targetHostName is another app than this credential's",
        )),
    }
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

/// The platforms that are named, each once and in one order, since another order says nothing else; `empty` says what
/// to do about none.
fn platforms(fields: &Fields<'_>, empty: &str) -> Option<Vec<Platform>> {
    let names = fields.entries(PLATFORMS)?;
    if names.is_empty() {
        fields.fault(PLATFORMS, format!("is empty; {empty}"));
    }
    let mut found = Vec::new();
    for (at, name) in names.iter().enumerate() {
        match name.as_str().and_then(Platform::parse) {
            Some(platform) if !found.contains(&platform) => found.push(platform),
            Some(_) => {}
            None => fields.fault(
                &format!("{PLATFORMS}[{at}]"),
                "is none of windows, iOS, android, webPush",
            ),
        }
    }
    found.sort();
    Some(found)
}

fn platforms_schema() -> Value {
    let names = schema::word(&Platform::ALL.map(Platform::as_str));
    json!({ "type": "array", "minItems": 1, "items": names })
}

fn payload(fields: &Fields<'_>, rules: &DraftRules<'_>) -> (Option<String>, Option<VisualContent>) {
    fields.require("payload");
    let Some(payload) = fields.object("payload") else {
        return (None, None);
    };
    if !payload.has("rawContent") && !payload.has("visualContent") {
        fields.fault("payload", "has neither rawContent nor visualContent");
    }
    let limit = ("server.limits.raw_content", rules.limits.raw_content);
    let raw = owned(payload.filled_text("rawContent", limit));
    (raw, visual(&payload, rules.limits))
}

fn visual(fields: &Fields<'_>, limits: &Limits) -> Option<VisualContent> {
    let content = fields.object("visualContent")?;
    content.require("title");
    let title = content.filled_text("title", ("server.limits.title", limits.title));
    let body = content.text_within("body", ("server.limits.visual_body", limits.visual_body));
    Some(VisualContent {
        title: title?.to_owned(),
        body: owned(body),
    })
}

fn visual_schema(limits: &Limits) -> Value {
    let members = json!({
        "title": schema::filled_text(("server.limits.title", limits.title)),
        "body": optional(schema::text_within(("server.limits.visual_body", limits.visual_body))),
    });
    object(&["title"], members)
}

/// The retired service took a number, and its samples sent a string.
fn display_ttl(fields: &Fields<'_>) -> Option<Ttl> {
    let what = "a whole number of seconds from 1 to 2147483647";
    fields.typed("displayTimeToLive", what, |value| {
        let secs = match value {
            Value::Number(number) => whole(number),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        secs.and_then(Ttl::from_secs)
    })
}

fn display_ttl_schema() -> Value {
    json!({
        "description": "How long it stays on the screen: a whole number of seconds, or the digits of one.",
        "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": i32::MAX },
            { "type": "string", "pattern": TTL_DIGITS },
        ],
    })
}

fn expires(fields: &Fields<'_>, now: Timestamp) -> Option<Timestamp> {
    const NAME: &str = "expirationDateTime";
    let expires = fields.moment(NAME)?;
    let latest = now.plus(hub::MAX_EXPIRY);
    if expires <= now {
        fields.fault(NAME, "is not in the future");
    } else if expires > latest {
        fields.fault(
            NAME,
            format!("is more than 30 days ahead; the latest is {latest}"),
        );
    }
    Some(expires)
}

fn fallback(fields: &Fields<'_>, draft: &Draft, rules: &DraftRules<'_>) -> Option<Fallback> {
    let policy = fields.object("fallbackPolicy")?;
    policy.require("endpointFallback");
    let endpoint = policy.object("endpointFallback")?;
    if draft.priority != Priority::High {
        fields.fault("fallbackPolicy", "needs priority High");
    }
    let shows_by_itself = fields
        .value("payload")
        .and_then(|payload| payload.get("visualContent"))
        .is_some_and(|content| !content.is_null());
    if shows_by_itself {
        fields.fault(
            "fallbackPolicy",
            "is for raw notifications, without payload.visualContent",
        );
    }
    endpoint.require("visualContent");
    Some(Fallback {
        platforms: fallback_platforms(&endpoint, draft),
        delay: delay(&endpoint, rules.min_delay).unwrap_or(MAX_DELAY),
        visual: visual(&endpoint, rules.limits)?,
    })
}

fn fallback_schema(visual: Value, min_delay: Duration, shapes: &mut Shapes) -> Value {
    let delay = match min_delay < Duration::from_secs(1) {
        true => json!({ "type": "number", "minimum": min_delay.as_secs_f64() }),
        false => json!({ "type": "integer", "minimum": min_delay.as_secs_f64().ceil() as u64 }),
    };
    let mut delay = said(
        delay,
        "Counted from the posting; the least is `delivery.min_fallback_delay`.",
    );
    delay["maximum"] = MAX_DELAY.as_secs().into();
    let members = json!({
        PLATFORMS: said(platforms_schema(), "Where; no platform that targetPolicy does not name."),
        DELAY: delay,
        "visualContent": visual,
    });
    let endpoint = object(&[PLATFORMS, DELAY, "visualContent"], members);
    let endpoint = shapes.named("DraftEndpointFallback", endpoint);
    let policy = object(
        &["endpointFallback"],
        json!({ "endpointFallback": endpoint }),
    );
    said(
        policy,
        "What is shown where raw content is not fetched in time; with priority High alone, and without visual content in the payload.",
    )
}

fn fallback_platforms(endpoint: &Fields<'_>, draft: &Draft) -> Vec<Platform> {
    endpoint.require(PLATFORMS);
    let platforms = platforms(endpoint, "name those that fall back").unwrap_or_default();
    if platforms.iter().any(|platform| !draft.targets(*platform)) {
        endpoint.fault(PLATFORMS, "names a platform that targetPolicy does not");
    }
    platforms
}

/// Fractions of a second are for tests that lower the bound below one.
fn delay(endpoint: &Fields<'_>, min: Duration) -> Option<Duration> {
    endpoint.require(DELAY);
    let least = min.as_secs_f64();
    let what =
        format!("a whole number of seconds from {least} (delivery.min_fallback_delay) to 600");
    endpoint.typed(DELAY, &what, |value| {
        let number = value.as_number()?;
        let delay = match whole(number) {
            Some(secs) => Duration::from_secs(u64::try_from(secs).ok()?),
            None if min < Duration::from_secs(1) => {
                Duration::try_from_secs_f64(number.as_f64()?).ok()?
            }
            None => return None,
        };
        (min..=MAX_DELAY).contains(&delay).then_some(delay)
    })
}

#[cfg(test)]
#[path = "draft_tests.rs"]
mod tests;
