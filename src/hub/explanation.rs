//! One plain sentence for a line of the ladder: what happened on an endpoint, in the order that it happened, and why
//! nothing more did. The API and `beckon explain` tell the same.

use crate::model::{
    ChangeKind, ChannelKind, Delivery, DeliveryStatus, Handling, OwedPush, Platform, Reason,
    ServiceAnswer, Telling, Timestamp,
};

/// What happened to a notification on an endpoint, and why, in words for people. Times are RFC 3339, UTC.
pub fn explanation(it: &Delivery) -> String {
    let happened = [
        (it.tapped, tapped(it)),
        (
            it.fell_back,
            said(it.fell_back, "fell back to a visible push"),
        ),
        (it.fetched, said(it.fetched, "the device fetched it")),
        (it.shown, said(it.shown, "it was shown")),
        (it.acted, said(it.acted, "the person acted on it there")),
    ];
    let mut happened: Vec<_> = happened
        .into_iter()
        .filter_map(|(at, text)| at.zip(text))
        .collect();
    for it_was in owed(it) {
        happened.extend(it_was.1.refused.map(|at| (at, untaken(it, it_was))));
    }
    // What happened at one time stays in the order of the ladder.
    happened.sort_by_key(|(at, _)| *at);
    let mut steps: Vec<String> = happened.into_iter().map(|(_, text)| text).collect();
    let waiting = owed(it).filter(|(_, owed)| owed.refused.is_none());
    steps.extend(waiting.map(|owed| untaken(it, owed)));
    steps.extend(standing(it));
    steps.extend(changed(it));
    steps.extend(next(it));
    steps.join("; ")
}

/// When it is tried again, or that its time is over before that.
fn next(it: &Delivery) -> Option<String> {
    let waits = it.status == DeliveryStatus::Pending && it.reason.is_some();
    match it.next_attempt {
        Some(at) => Some(format!("next attempt at {at}")),
        None if waits => Some(String::from("its time is over before the next attempt")),
        None => None,
    }
}

fn said(at: Option<Timestamp>, what: &str) -> Option<String> {
    at.map(|at| format!("{what} at {at}"))
}

const ONCE_IT_RUNS: &str = "leaves once the hub runs";

/// When what is due leaves.
fn leaving(it: &Delivery) -> &'static str {
    match it.leaves {
        true => "is about to leave, or under way",
        false => ONCE_IT_RUNS,
    }
}

/// What else left or is to leave, and was not taken: what it is called, and how it stands.
fn owed(it: &Delivery) -> impl Iterator<Item = (&'static str, &OwedPush)> {
    let fallback = it.fallback.as_ref().map(|it| ("its fallback", it));
    let repeat = it.repeat.as_ref().map(|it| ("another tap", it));
    fallback.into_iter().chain(repeat)
}

/// A push that is due beside a tap that was taken, and that itself was not.
fn untaken(it: &Delivery, (name, owed): (&str, &OwedPush)) -> String {
    let alone = Delivery {
        status: owed.status(),
        reason: owed.reason,
        attempts: owed.attempts,
        answer: owed.answer.clone(),
        ..it.clone()
    };
    let answer = in_brackets(&alone);
    let dropped = owed.answer.as_ref().is_some_and(ServiceAnswer::is_dropped);
    match (owed.refused, owed.reason) {
        (Some(at), _) if dropped => {
            format!("the push service took {name} at {at} and dropped it{answer}")
        }
        (Some(at), _) => format!("the push service refused {name} for good at {at}{answer}"),
        (None, None) => format!("{name} {}", leaving(it)),
        (None, Some(reason)) => {
            let stands = match owed.attempts {
                0 => String::from("waits"),
                _ => format!("was tried {}", often(&alone)),
            };
            format!("{name} {stands}: {}{answer}", why(reason, &alone))
        }
    }
}

/// The tap that the push service took for it.
fn tapped(it: &Delivery) -> Option<String> {
    let at = it.tapped?;
    let answer = answered(it).map_or(String::new(), |answer| format!(", {answer}"));
    Some(match it.reason {
        Some(Reason::Coalesced) => format!("covered by a later tap at {at}{answer}"),
        _ => format!("tapped at {at}{answer}"),
    })
}

/// Why it stands where it stands, where the steps alone do not say so.
fn standing(it: &Delivery) -> Option<String> {
    let because = it.reason.map(|reason| why(reason, it));
    let answer = in_brackets(it);
    match it.status {
        DeliveryStatus::Pending => {
            let because = because.unwrap_or_else(|| format!("it {}", leaving(it)));
            Some(format!("{}: {because}{answer}", waiting(it)))
        }
        DeliveryStatus::Skipped => {
            let because = because.unwrap_or_else(|| String::from("none was due"));
            let tried = match it.attempts {
                0 => String::new(),
                _ => format!(", which was tried {}{answer}", often(it)) + in_doubt(it),
            };
            Some(format!("no tap: {because}{tried}"))
        }
        DeliveryStatus::Failed => {
            Some(format!("the push service refused the tap for good{answer}"))
        }
        DeliveryStatus::Gone => {
            let since = it.gone.map_or(String::new(), |at| format!(" since {at}"));
            Some(format!(
                "the channel is gone{since}{answer}; the app has to register again"
            ))
        }
        DeliveryStatus::Expired => Some(in_vain(it) + "its time was over first"),
        DeliveryStatus::Tapped => Some(last_fetched(it) + &handled(it) + &lost(it)),
        DeliveryStatus::Fetched | DeliveryStatus::Shown | DeliveryStatus::Acted => held(it),
    }
}

/// What happened since with what the endpoint has heard of, and how it is told.
fn changed(it: &Delivery) -> Option<String> {
    let change = it.change.as_ref()?;
    // Of several changes the last one may have been another.
    let how = match it.handling {
        _ if matches!(change.kind, ChangeKind::Removed(_)) => {
            format!("{} at", Handling::TakenBack.as_str())
        }
        _ if change.kind == ChangeKind::Created => String::from("replaced at"),
        Some(how) => format!("{} by", how.as_str()),
        None => String::from("changed at"),
    };
    let telling = match &change.telling {
        Telling::Tapped { at, answer } => {
            let alone = Delivery {
                answer: Some(answer.clone()),
                ..it.clone()
            };
            let answer = answered(&alone).unwrap_or_default();
            let lost = match it.status {
                DeliveryStatus::Tapped => String::new(),
                _ => lost(it),
            };
            format!("tapped for that at {at}, {answer}; not fetched since{lost}")
        }
        Telling::Owed(push) => untaken(it, ("the tap for that", push)),
        Telling::Skipped(reason) => format!("no tap for that: {}", why(*reason, it)),
    };
    Some(format!("it was {how} {}; {telling}", change.at))
}

/// That one of them may have arrived, where no answer came.
fn in_doubt(it: &Delivery) -> &'static str {
    match it.answer.as_ref().is_some_and(ServiceAnswer::is_lost) {
        true => "; nobody knows whether it arrived",
        false => "",
    }
}

/// That a tap was tried before, where none was taken.
fn in_vain(it: &Delivery) -> String {
    let unsaid = it.tapped.is_none() && it.attempts > 0;
    match answered(it).filter(|_| unsaid) {
        Some(answer) => format!("{}; ", not_taken(it, &answer)),
        None => String::new(),
    }
}

fn not_taken(it: &Delivery, answer: &str) -> String {
    let often = often(it);
    format!("the push service had not taken a tap that was tried {often} ({answer})")
}

/// Since when it waits, and how often the tap was tried that it waits for; that one may have been about others first.
fn waiting(it: &Delivery) -> String {
    let since = it.pending;
    match it.attempts {
        0 => format!("waiting for a tap since {since}"),
        _ => format!(
            "waiting since {since} for a tap that was tried {}",
            often(it)
        ),
    }
}

fn often(it: &Delivery) -> String {
    match it.attempts {
        1 => String::from("once"),
        many => format!("{many} times"),
    }
}

/// That somebody has dealt with it since it was tapped: the device need not fetch it any more.
fn handled(it: &Delivery) -> String {
    let untold = it.handling.filter(|_| it.change.is_none());
    untold.map_or(String::new(), |how| {
        format!("; it was {} meanwhile", how.as_str())
    })
}

/// That the endpoint has lost its channel since it was tapped.
fn lost(it: &Delivery) -> String {
    match (it.gone, it.channel) {
        (Some(at), _) => format!("; the channel is gone since {at}, the app has to register again"),
        (None, ChannelKind::None) => String::from("; the endpoint has no push channel any more"),
        (None, _) => String::new(),
    }
}

/// Accepted is not arrived: how long the device has been silent tells which of the two is at fault.
fn last_fetched(it: &Delivery) -> String {
    match it.last_fetched {
        Some(at) => format!("not fetched yet; the device last fetched anything at {at}"),
        None => String::from("not fetched yet; the device has never fetched anything"),
    }
}

/// How it came to an endpoint that no tap or fetch of its own speaks of.
fn held(it: &Delivery) -> Option<String> {
    if it.fetched.is_none() && it.status == DeliveryStatus::Fetched {
        return Some(String::from("the device holds it already"));
    }
    if it.tapped.is_some() || it.fell_back.is_some() {
        return None;
    }
    match it.reason {
        // One may have left.
        Some(Reason::Handled) => return Some(format!("no tap: {}", why(Reason::Handled, it))),
        Some(because) => return Some(format!("no tap left: {}", why(because, it))),
        None => {}
    }
    let answer = answered(it).filter(|_| it.attempts > 0)?;
    Some(not_taken(it, &answer))
}

fn why(reason: Reason, it: &Delivery) -> String {
    let says = |what: fn(&ServiceAnswer) -> bool| it.answer.as_ref().is_some_and(what);
    let text = match reason {
        Reason::NotTargeted => {
            return format!(
                "not targeted, targetPolicy does not name {}",
                it.platform.as_str()
            );
        }
        Reason::NoChannel => "the endpoint has no push channel, it streams or pulls",
        Reason::OwnChange => "the endpoint itself made the change",
        Reason::EndpointExpired => {
            "the endpoint is over, since it was not heard of for too long or asked for that end"
        }
        Reason::ChannelGone => "the channel is dead",
        Reason::Handled => {
            let how = it.handling.map_or("dealt with", Handling::as_str);
            return match it.late {
                true => format!("it was {how} before the endpoint was registered"),
                false => format!("it was {how} before the push service took one"),
            };
        }
        Reason::Coalescing if !it.leaves => return format!("it {ONCE_IT_RUNS}"),
        Reason::Coalescing => "it is about to leave, together with others",
        Reason::Streaming => "held by its open stream, on which it is given a moment to fetch",
        Reason::Unanswered => "held back, an earlier tap has not been answered yet",
        Reason::SilentBudget => {
            "held by the budget, the platform allows no more silent pushes for now"
        }
        Reason::Retry if says(ServiceAnswer::is_dropped) => {
            "the push service took it and dropped it"
        }
        Reason::Retry if it.attempts > 0 && says(ServiceAnswer::is_lost) => {
            "nobody knows whether it arrived"
        }
        Reason::Retry if it.attempts == 0 && it.answer.is_none() => {
            "held back, many others wait for the push service"
        }
        Reason::Retry if it.attempts == 0 && it.of_others => {
            "the hub waits with all pushes to this service"
        }
        Reason::Retry if it.attempts == 0 => "held back, an earlier tap was not taken",
        Reason::Retry if says(ServiceAnswer::is_unsent) => "it could not leave",
        Reason::Retry => "the push service could not take it",
        Reason::ServiceStopped if it.alone && it.leaves && !says(is_ours) => {
            "the push service refuses the hub's settings for this push, though it has taken others by them"
        }
        Reason::ServiceStopped if says(is_ours) => {
            "pushes to this service stand still until the operator acts"
        }
        Reason::ServiceStopped => {
            "pushes to this service stand still until the operator acts, `beckon check` says why"
        }
        Reason::Coalesced => "a later tap covers it",
        Reason::NoStateSync => "the endpoint did not register with stateSync",
    };
    String::from(text)
}

/// Whether the words are the hub's own, since no service answered.
fn is_ours(answer: &ServiceAnswer) -> bool {
    answer.status == 0 && answer.reason.is_some()
}

fn in_brackets(it: &Delivery) -> String {
    answered(it).map_or(String::new(), |answer| format!(" ({answer})"))
}

/// The service's own words; the hub's, where the settings let nothing leave.
fn answered(it: &Delivery) -> Option<String> {
    let answer = it.answer.as_ref()?;
    let is_ours = it.reason == Some(Reason::ServiceStopped) && is_ours(answer);
    if is_ours || answer.is_unsent() {
        return answer.reason.clone();
    }
    let ServiceAnswer { status, reason, .. } = answer;
    // A channel that is gone is `none` by now; its platform says whose it was.
    let service = match it.platform {
        Platform::Ios => "APNs",
        Platform::Android => "FCM",
        Platform::WebPush => "the browser's push service",
        Platform::Windows => "WNS",
    };
    Some(match (status, reason) {
        (0, Some(reason)) => format!("{service} did not answer: {reason}"),
        (0, None) => format!("{service} did not answer"),
        (status, Some(reason)) => format!("{service} answered {status} {reason}"),
        (status, None) => format!("{service} answered {status}"),
    })
}

#[cfg(test)]
#[path = "explanation_tests.rs"]
mod tests;
