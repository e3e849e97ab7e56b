//! The answers' JSON: the API's names, members without a value left out.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::{LaneName, LaneState, Minted, Tested, explanation};
use crate::{
    config::apps::App,
    model::{
        AppKey, Broadcast, Change, ChangeKind, ChannelKind, Delivery, Endpoint, EndpointId,
        Notification, OwedPush, Platform, Push, Reason, ServiceAnswer, Timestamp, ToldChange, User,
        UserToken, VisualContent,
    },
    store::{Depth, Finding, Held, Stats},
};

/// A list as the API writes it.
pub(super) fn list(items: impl Iterator<Item = Value>) -> Value {
    json!({ "value": items.collect::<Vec<Value>>() })
}

/// A key that was just made, with its secret.
pub(super) fn new_key(minted: &Minted<AppKey>) -> Value {
    json!({
        "id": minted.kept.id,
        "app": minted.kept.app.as_str(),
        "key": minted.secret.expose(),
    })
}

/// A key as the hub keeps it.
pub(super) fn key(key: &AppKey) -> Value {
    present([
        ("id", json!(key.id)),
        ("app", json!(key.app.as_str())),
        ("name", json!(key.name)),
        ("scope", json!(key.scope.as_str())),
        ("createdDateTime", time(key.created)),
        ("revokedDateTime", maybe(key.revoked)),
    ])
}

/// A token that was just minted, with its secret.
pub(super) fn new_token(minted: &Minted<UserToken>) -> Value {
    let endpoint = minted.kept.endpoint.as_ref().map(|id| id.as_str());
    present([
        ("token", json!(minted.secret.expose())),
        ("expiresDateTime", time(minted.kept.expires)),
        ("endpointId", json!(endpoint)),
    ])
}

/// A token as the hub keeps it.
pub(super) fn token(it: &UserToken) -> Value {
    let endpoint = it.endpoint.as_ref().map(|id| id.as_str());
    present([
        ("expiresDateTime", time(it.expires)),
        ("endpointId", json!(endpoint)),
    ])
}

/// A push that left for an endpoint.
pub(super) fn push(endpoint: &EndpointId, it: &Push) -> Value {
    present([
        ("endpointId", json!(endpoint.as_str())),
        ("dateTime", time(it.at)),
        ("kind", json!(it.kind.as_str())),
        ("notificationId", json!(it.shows.map(|id| id.to_string()))),
        ("accepted", json!(it.accepted)),
        ("attempts", json!(it.attempts)),
        ("sizeBytes", json!(it.size_bytes)),
        ("pushService", push_service(&it.answer)),
    ])
}

/// How far a post to many is.
pub(super) fn broadcast(it: &Broadcast) -> Value {
    present([
        ("id", json!(it.id.to_string())),
        ("status", json!(it.status.as_str())),
        ("accepted", json!(it.accepted)),
        ("done", json!(it.done)),
        ("failed", json!(it.failed)),
        ("createdDateTime", time(it.created)),
        ("completedDateTime", maybe(it.completed)),
    ])
}

/// A notification.
pub(super) fn notification(it: &Notification) -> Value {
    let draft = &it.draft;
    let payload = present([
        ("visualContent", json!(draft.visual.as_ref().map(visual))),
        ("rawContent", json!(draft.raw)),
    ]);
    let target = draft.platforms.as_deref().map(|platforms| {
        let names = platforms.iter().copied().map(Platform::as_str);
        json!({ "platformTypes": names.collect::<Vec<_>>() })
    });
    let fallback = draft.fallback.as_ref().map(|fallback| {
        let names = fallback.platforms.iter().copied().map(Platform::as_str);
        json!({ "endpointFallback": {
            "platformTypes": names.collect::<Vec<_>>(),
            "fallbackDelayInSeconds": seconds(fallback.delay),
            "visualContent": visual(&fallback.visual),
        } })
    });
    present([
        ("id", json!(it.id.to_string())),
        ("appNotificationId", json!(draft.app_id)),
        ("groupName", json!(draft.group)),
        ("priority", json!(draft.priority.as_str())),
        (
            "displayTimeToLive",
            json!(draft.display_ttl.map(|ttl| ttl.as_secs())),
        ),
        ("payload", payload),
        ("targetPolicy", json!(target)),
        ("fallbackPolicy", json!(fallback)),
        ("createdDateTime", time(it.created)),
        ("lastModifiedDateTime", time(it.modified)),
        ("expirationDateTime", time(it.expires)),
        ("readState", json!(it.read.as_str())),
        ("userActionState", json!(it.action.as_str())),
        ("status", json!("active")),
        ("version", json!(it.version)),
    ])
}

/// A whole number where it is one.
fn seconds(span: Duration) -> Value {
    match span.subsec_nanos() {
        0 => json!(span.as_secs()),
        _ => json!(span.as_secs_f64()),
    }
}

fn visual(content: &VisualContent) -> Value {
    present([
        ("title", json!(content.title)),
        ("body", json!(content.body)),
    ])
}

/// An endpoint, without its channel's secrets.
pub(super) fn endpoint(it: &Endpoint) -> Value {
    present([
        ("id", json!(it.id.as_str())),
        ("platform", json!(it.platform.as_str())),
        ("channel", json!({ "type": it.channel.kind().as_str() })),
        ("channelGoneDateTime", maybe(it.gone)),
        ("displayName", json!(it.display_name)),
        ("locale", json!(it.locale)),
        ("stateSync", json!(it.state_sync.then_some(true))),
        ("shared", json!(it.shared.then_some(true))),
        (
            "userNotificationSubscriptionId",
            json!(it.subscription.to_string()),
        ),
        ("tapId", json!(it.tap_id.to_string())),
        ("createdDateTime", time(it.created)),
        ("lastSeenDateTime", time(it.last_seen)),
        ("expirationDateTime", time(it.expires)),
    ])
}

/// A line of the ladder.
pub(super) fn delivery(it: &Delivery) -> Value {
    present([
        ("endpointId", json!(it.endpoint.as_str())),
        ("platform", json!(it.platform.as_str())),
        ("channel", json!(it.channel.as_str())),
        ("status", json!(it.status.as_str())),
        ("reason", json!(it.told_reason().map(Reason::as_str))),
        ("explanation", json!(explanation(it))),
        ("pendingDateTime", time(it.pending)),
        ("tappedDateTime", maybe(it.tapped)),
        ("fetchedDateTime", maybe(it.fetched)),
        ("shownDateTime", maybe(it.shown)),
        ("actedDateTime", maybe(it.acted)),
        ("fellBackDateTime", maybe(it.fell_back)),
        ("fallback", json!(it.fallback.as_ref().map(owed_push))),
        ("repeat", json!(it.repeat.as_ref().map(owed_push))),
        ("change", json!(it.change.as_ref().map(told_change))),
        ("lastFetchedDateTime", maybe(it.last_fetched)),
        ("channelGoneDateTime", maybe(it.gone)),
        ("attempts", json!(it.attempts)),
        ("nextAttemptDateTime", maybe(it.next_attempt)),
        ("pushService", json!(it.answer.as_ref().map(push_service))),
    ])
}

/// A push that is due beside a tap that was taken, and that itself was not.
fn owed_push(it: &OwedPush) -> Value {
    present([
        ("status", json!(it.status().as_str())),
        ("reason", json!(it.told_reason().map(Reason::as_str))),
        ("attempts", json!(it.attempts)),
        ("pushService", json!(it.answer.as_ref().map(push_service))),
    ])
}

/// How an endpoint is told of a change.
fn told_change(it: &ToldChange) -> Value {
    let telling = &it.telling;
    present([
        ("dateTime", time(it.at)),
        ("status", json!(telling.status().as_str())),
        ("reason", json!(telling.told_reason().map(Reason::as_str))),
        ("tappedDateTime", maybe(telling.tapped())),
        ("attempts", json!(telling.attempts())),
        ("pushService", json!(telling.answer().map(push_service))),
    ])
}

/// What came of a test.
pub(super) fn tested(endpoint: &EndpointId, it: &Tested) -> Value {
    present([
        ("endpointId", json!(endpoint.as_str())),
        ("result", json!(it.result.as_str())),
        ("explanation", json!(it.explanation)),
        ("pushService", json!(it.answer.as_ref().map(push_service))),
    ])
}

/// What a push service said; without a status, where no answer came.
fn push_service(answer: &ServiceAnswer) -> Value {
    let status = Some(answer.status).filter(|status| *status != 0);
    present([
        ("status", json!(status)),
        ("reason", json!(answer.reason)),
        ("id", json!(answer.id)),
    ])
}

/// A user with their counts.
pub(super) fn user(user: &User) -> Value {
    json!({
        "id": user.subject.user.as_str(),
        "notificationCount": user.live,
        "unreadCount": user.unread,
    })
}

/// A disagreement in the store.
pub(super) fn finding(finding: &Finding) -> Value {
    json!({ "user": finding.user, "message": finding.message })
}

/// Figures of the store.
pub(super) fn stats(stats: Stats, (depth, held): (Depth, Held), now: Timestamp) -> Value {
    let mut shown = outbox(depth, now);
    shown["sizeBytes"] = stats.size_bytes.into();
    shown["commits"] = stats.commits.into();
    shown["full"] = stats.full.into();
    shown["users"] = held.users.into();
    shown["notifications"] = held.notifications.into();
    shown["unread"] = held.unread.into();
    shown["endpoints"] = held.endpoints.into();
    shown
}

/// Figures of the outbox. A marker of the future, such as a fallback's, is not due yet.
pub(super) fn outbox(depth: Depth, now: Timestamp) -> Value {
    present([
        ("outboxDepth", json!(depth.markers)),
        (
            "outboxOldestDueDateTime",
            maybe(depth.oldest_due.filter(|due| *due <= now)),
        ),
    ])
}

/// An app and the push services that it has.
pub(super) fn services(app: &App) -> Value {
    let configured = ChannelKind::SERVICES
        .into_iter()
        .filter(|kind| app.reaches(*kind));
    json!({
        "host": app.host.as_str(),
        "services": configured.map(ChannelKind::as_str).collect::<Vec<_>>(),
    })
}

/// A lane that stands still.
pub(super) fn lane(name: &LaneName, state: &LaneState) -> Value {
    let answer = &state.answer;
    json!({
        "app": name.app.as_str(),
        "service": name.service.as_str(),
        "lane": name.authority,
        "status": state.fault.as_str(),
        "since": time(state.since),
        "nextAttemptDateTime": time(state.until),
        "pushService": {
            "status": answer.status, "reason": answer.reason, "dateTime": maybe(state.answered),
        },
    })
}

pub(super) fn present<const N: usize>(members: [(&str, Value); N]) -> Value {
    let there = members.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(
        there
            .map(|(name, value)| (name.to_owned(), value))
            .collect::<Map<_, _>>(),
    )
}

fn time(at: Timestamp) -> Value {
    at.to_string().into()
}

fn maybe(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, time)
}

/// A notification that is gone, as the feed remembers it; nothing, where a change is another one.
pub(super) fn removed(change: &Change) -> Option<Value> {
    let ChangeKind::Removed(why) = change.kind else {
        return None;
    };
    Some(json!({
        "id": change.notification.to_string(),
        "removedDateTime": change.at.to_string(),
        "reason": why.as_str(),
    }))
}
