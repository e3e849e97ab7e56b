//! One row for every sentence of the ladder; `T3` is the time of second 3.

use super::*;
use crate::model::{
    ChannelKind,
    DeliveryStatus::{Acted, Expired, Failed, Fetched, Gone, Pending, Shown, Skipped, Tapped},
    EndpointId, Handling, OwedPush, Telling, Timestamp, ToldChange,
};

type Row = (Delivery, &'static str);

fn at(second: u64) -> Option<Timestamp> {
    Some(Timestamp::from_millis(second * 1000))
}

fn line(status: DeliveryStatus, reason: Option<Reason>) -> Delivery {
    Delivery {
        endpoint: EndpointId::parse("phone").unwrap(),
        platform: Platform::Ios,
        channel: ChannelKind::Apns,
        status,
        reason,
        handling: None,
        late: false,
        pending: Timestamp::from_millis(0),
        tapped: None,
        fetched: None,
        shown: None,
        acted: None,
        fell_back: None,
        fallback: None,
        repeat: None,
        change: None,
        last_fetched: None,
        gone: None,
        attempts: 0,
        next_attempt: None,
        answer: None,
        of_others: false,
        alone: false,
        leaves: true,
    }
}

fn handled(how: Handling) -> Delivery {
    Delivery {
        handling: Some(how),
        ..line(Skipped, Some(Reason::Handled))
    }
}

fn pending(reason: Reason) -> Delivery {
    Delivery {
        next_attempt: at(9),
        ..line(Pending, Some(reason))
    }
}

fn tried(attempts: u32, reason: Reason) -> Delivery {
    Delivery {
        attempts,
        ..pending(reason)
    }
}

fn answered(mut it: Delivery, status: u16, reason: &str) -> Delivery {
    it.answer = Some(ServiceAnswer {
        status,
        reason: Some(reason.to_owned()).filter(|reason| !reason.is_empty()),
        id: None,
    });
    it
}

/// Where what was said was said of others, for which all wait.
fn behind(it: Delivery) -> Delivery {
    Delivery {
        of_others: true,
        ..it
    }
}

fn of(mut it: Delivery, platform: Platform) -> Delivery {
    it.platform = platform;
    it
}

fn tapped(reason: Option<Reason>) -> Delivery {
    let it = Delivery {
        tapped: at(1),
        ..line(Tapped, reason)
    };
    answered(it, 200, "")
}

/// A fallback as it stands beside a raw tap that APNs took.
fn owed(
    refused: Option<u64>,
    (reason, attempts): (Option<Reason>, u32),
    said: (u16, &str),
) -> Delivery {
    let fallback = OwedPush {
        refused: refused.and_then(at),
        reason,
        attempts,
        answer: answered(line(Pending, None), said.0, said.1).answer,
    };
    Delivery {
        fallback: Some(fallback),
        ..tapped(None)
    }
}

#[rustfmt::skip]
fn fallbacks() -> Vec<Row> {
    let waits = |reason, attempts, said| Delivery { next_attempt: at(9), ..owed(None, (Some(reason), attempts), said) };
    let mut leaves = owed(None, (None, 0), (200, ""));
    leaves.fallback.as_mut().unwrap().answer = None;
    vec![
        (leaves, "tapped at T1, APNs answered 200; its fallback is about to leave, or under way; not fetched yet; the device has never fetched anything"),
        (waits(Reason::Retry, 2, (503, "ServiceUnavailable")),
            "tapped at T1, APNs answered 200; its fallback was tried 2 times: the push service could not take it (APNs answered 503 ServiceUnavailable); not fetched yet; the device has never fetched anything; next attempt at T9"),
        (behind(waits(Reason::Retry, 0, (503, "Shutdown"))),
            "tapped at T1, APNs answered 200; its fallback waits: the hub waits with all pushes to this service (APNs answered 503 Shutdown); not fetched yet; the device has never fetched anything; next attempt at T9"),
        (waits(Reason::Retry, 0, (500, "InternalServerError")),
            "tapped at T1, APNs answered 200; its fallback waits: held back, an earlier tap was not taken (APNs answered 500 InternalServerError); not fetched yet; the device has never fetched anything; next attempt at T9"),
        (waits(Reason::ServiceStopped, 0, (0, "the app has no settings for apns")),
            "tapped at T1, APNs answered 200; its fallback waits: pushes to this service stand still until the operator acts (the app has no settings for apns); not fetched yet; the device has never fetched anything; next attempt at T9"),
        (owed(Some(3), (None, 1), (400, "BadPriority")),
            "tapped at T1, APNs answered 200; the push service refused its fallback for good at T3 (APNs answered 400 BadPriority); not fetched yet; the device has never fetched anything"),
        (of(Delivery { fetched: at(4), status: Fetched, ..owed(Some(3), (None, 1), (200, "dropped")) }, Platform::Windows),
            "tapped at T1, WNS answered 200; the push service took its fallback at T3 and dropped it (WNS answered 200 dropped); the device fetched it at T4"),
    ]
}

#[rustfmt::skip]
fn waiting() -> Vec<Row> {
    vec![
        (line(Pending, None), "waiting for a tap since T0: it is about to leave, or under way"),
        (Delivery { leaves: false, ..line(Pending, None) }, "waiting for a tap since T0: it leaves once the hub runs"),
        (pending(Reason::Coalescing), "waiting for a tap since T0: it is about to leave, together with others; next attempt at T9"),
        (pending(Reason::Streaming), "waiting for a tap since T0: held by its open stream, on which it is given a moment to fetch; next attempt at T9"),
        (pending(Reason::Unanswered), "waiting for a tap since T0: held back, an earlier tap has not been answered yet; next attempt at T9"),
        (pending(Reason::SilentBudget), "waiting for a tap since T0: held by the budget, the platform allows no more silent pushes for now; next attempt at T9"),
        (pending(Reason::Retry), "waiting for a tap since T0: held back, many others wait for the push service; next attempt at T9"),
        (answered(behind(pending(Reason::Retry)), 503, "ServiceUnavailable"),
            "waiting for a tap since T0: the hub waits with all pushes to this service (APNs answered 503 ServiceUnavailable); next attempt at T9"),
        (answered(behind(pending(Reason::Retry)), 0, "connection: refused"),
            "waiting for a tap since T0: the hub waits with all pushes to this service (APNs did not answer: connection: refused); next attempt at T9"),
        (answered(pending(Reason::Retry), 429, "TooManyRequests"),
            "waiting for a tap since T0: held back, an earlier tap was not taken (APNs answered 429 TooManyRequests); next attempt at T9"),
        (answered(tried(1, Reason::Retry), 503, "ServiceUnavailable"),
            "waiting since T0 for a tap that was tried once: the push service could not take it (APNs answered 503 ServiceUnavailable); next attempt at T9"),
        (answered(of(tried(2, Reason::Retry), Platform::Android), 0, "timeout"),
            "waiting since T0 for a tap that was tried 2 times: nobody knows whether it arrived (FCM did not answer: timeout); next attempt at T9"),
        (answered(of(tried(1, Reason::Retry), Platform::WebPush), 0, ""),
            "waiting since T0 for a tap that was tried once: nobody knows whether it arrived (the browser's push service did not answer); next attempt at T9"),
        (answered(of(pending(Reason::Retry), Platform::Windows), 200, "dropped"),
            "waiting for a tap since T0: the push service took it and dropped it (WNS answered 200 dropped); next attempt at T9"),
        (Delivery { next_attempt: None, ..pending(Reason::SilentBudget) },
            "waiting for a tap since T0: held by the budget, the platform allows no more silent pushes for now; its time is over before the next attempt"),
        (answered(of(tried(1, Reason::Retry), Platform::Android), 0, "connection: refused"),
            "waiting since T0 for a tap that was tried once: the push service could not take it (FCM did not answer: connection: refused); next attempt at T9"),
        (answered(of(tried(1, Reason::Retry), Platform::WebPush), 0, "not sent: no key"),
            "waiting since T0 for a tap that was tried once: it could not leave (not sent: no key); next attempt at T9"),
        (answered(of(tried(1, Reason::Retry), Platform::Android), 200, "<html>Sign in"),
            "waiting since T0 for a tap that was tried once: the push service could not take it (FCM answered 200 <html>Sign in); next attempt at T9"),
        (answered(pending(Reason::ServiceStopped), 403, "InvalidProviderToken"),
            "waiting for a tap since T0: pushes to this service stand still until the operator acts, `beckon check` says why (APNs answered 403 InvalidProviderToken); next attempt at T9"),
        (answered(Delivery { alone: true, ..tried(1, Reason::ServiceStopped) }, 403, "InvalidProviderToken"),
            "waiting since T0 for a tap that was tried once: the push service refuses the hub's settings for this push, though it has taken others by them (APNs answered 403 InvalidProviderToken); next attempt at T9"),
        (answered(pending(Reason::ServiceStopped), 0, "the app has no settings for apns"),
            "waiting for a tap since T0: pushes to this service stand still until the operator acts (the app has no settings for apns); next attempt at T9"),
    ]
}

#[rustfmt::skip]
fn ended() -> Vec<Row> {
    let gone = Delivery { gone: at(5), ..line(Gone, Some(Reason::ChannelGone)) };
    vec![
        (line(Skipped, Some(Reason::NotTargeted)), "no tap: not targeted, targetPolicy does not name iOS"),
        (line(Skipped, Some(Reason::NoChannel)), "no tap: the endpoint has no push channel, it streams or pulls"),
        (line(Skipped, Some(Reason::OwnChange)), "no tap: the endpoint itself made the change"),
        (line(Skipped, Some(Reason::EndpointExpired)), "no tap: the endpoint is over, since it was not heard of for too long or asked for that end"),
        (handled(Handling::Read), "no tap: it was read before the push service took one"),
        (handled(Handling::Activated), "no tap: it was activated before the push service took one"),
        (Delivery { late: true, ..handled(Handling::Activated) }, "no tap: it was activated before the endpoint was registered"),
        (handled(Handling::Dismissed), "no tap: it was dismissed before the push service took one"),
        (handled(Handling::Snoozed), "no tap: it was snoozed before the push service took one"),
        (handled(Handling::TakenBack), "no tap: it was taken back before the push service took one"),
        (answered(Delivery { attempts: 2, ..handled(Handling::Read) }, 503, "ServiceUnavailable"),
            "no tap: it was read before the push service took one, which was tried 2 times (APNs answered 503 ServiceUnavailable)"),
        (answered(Delivery { attempts: 1, ..handled(Handling::Read) }, 0, "timeout"),
            "no tap: it was read before the push service took one, which was tried once (APNs did not answer: timeout); nobody knows whether it arrived"),
        (line(Skipped, None), "no tap: none was due"),
        (line(Failed, None), "the push service refused the tap for good"),
        (answered(line(Failed, None), 400, "BadPriority"), "the push service refused the tap for good (APNs answered 400 BadPriority)"),
        (answered(gone, 410, "Unregistered"), "the channel is gone since T5 (APNs answered 410 Unregistered); the app has to register again"),
        (line(Gone, Some(Reason::ChannelGone)), "the channel is gone; the app has to register again"),
        (line(Expired, None), "its time was over first"),
        (answered(Delivery { attempts: 2, ..line(Expired, None) }, 503, "ServiceUnavailable"),
            "the push service had not taken a tap that was tried 2 times (APNs answered 503 ServiceUnavailable); its time was over first"),
        (Delivery { status: Expired, ..tapped(None) }, "tapped at T1, APNs answered 200; its time was over first"),
    ]
}

#[rustfmt::skip]
fn accepted() -> Vec<Row> {
    let windows = Delivery { last_fetched: at(0), ..of(tapped(None), Platform::Windows) };
    vec![
        (tapped(None), "tapped at T1, APNs answered 200; not fetched yet; the device has never fetched anything"),
        (answered(windows, 200, "received"), "tapped at T1, WNS answered 200 received; not fetched yet; the device last fetched anything at T0"),
        (Delivery { next_attempt: at(61), ..tapped(None) },
            "tapped at T1, APNs answered 200; not fetched yet; the device has never fetched anything; next attempt at T61"),
        (Delivery { last_fetched: at(0), ..tapped(Some(Reason::Coalesced)) },
            "covered by a later tap at T1, APNs answered 200; not fetched yet; the device last fetched anything at T0"),
        (Delivery { gone: at(5), channel: ChannelKind::None, ..tapped(None) },
            "tapped at T1, APNs answered 200; not fetched yet; the device has never fetched anything; the channel is gone since T5, the app has to register again"),
        (Delivery { channel: ChannelKind::None, ..tapped(None) },
            "tapped at T1, APNs answered 200; not fetched yet; the device has never fetched anything; the endpoint has no push channel any more"),
        (Delivery { handling: Some(Handling::TakenBack), ..tapped(None) },
            "tapped at T1, APNs answered 200; not fetched yet; the device has never fetched anything; it was taken back meanwhile"),
        (Delivery { fell_back: at(61), ..tapped(None) },
            "tapped at T1, APNs answered 200; fell back to a visible push at T61; not fetched yet; the device has never fetched anything"),
    ]
}

#[rustfmt::skip]
fn arrived() -> Vec<Row> {
    vec![
        (Delivery { fetched: at(0), fell_back: at(3), shown: at(2), status: Shown, ..tapped(None) },
            "the device fetched it at T0; tapped at T1, APNs answered 200; it was shown at T2; fell back to a visible push at T3"),
        (Delivery { fetched: at(2), status: Fetched, ..tapped(None) }, "tapped at T1, APNs answered 200; the device fetched it at T2"),
        (Delivery { fetched: at(2), ..line(Fetched, Some(Reason::NoChannel)) },
            "the device fetched it at T2; no tap left: the endpoint has no push channel, it streams or pulls"),
        (Delivery { fetched: at(2), ..line(Fetched, Some(Reason::ChannelGone)) },
            "the device fetched it at T2; no tap left: the channel is dead"),
        (Delivery { fetched: at(2), status: Fetched, ..handled(Handling::Read) },
            "the device fetched it at T2; no tap: it was read before the push service took one"),
        (line(Fetched, None), "the device holds it already"),
        (answered(Delivery { fetched: at(2), attempts: 1, ..line(Fetched, None) }, 400, "BadPriority"),
            "the device fetched it at T2; the push service had not taken a tap that was tried once (APNs answered 400 BadPriority)"),
        (answered(Delivery { fetched: at(2), attempts: 4, ..of(line(Fetched, None), Platform::Windows) }, 200, "dropped"),
            "the device fetched it at T2; the push service had not taken a tap that was tried 4 times (WNS answered 200 dropped)"),
        (Delivery { fetched: at(2), shown: at(3), status: Shown, ..tapped(None) },
            "tapped at T1, APNs answered 200; the device fetched it at T2; it was shown at T3"),
        (Delivery { fetched: at(2), shown: at(3), acted: at(4), status: Acted, ..tapped(None) },
            "tapped at T1, APNs answered 200; the device fetched it at T2; it was shown at T3; the person acted on it there at T4"),
    ]
}

/// Of something that was dismissed elsewhere since the device fetched it.
fn changed(telling: Telling) -> Delivery {
    let since = Timestamp::from_millis(3000);
    Delivery {
        fetched: at(2),
        status: Fetched,
        handling: Some(Handling::Dismissed),
        change: Some(ToldChange {
            at: since,
            kind: ChangeKind::Changed,
            telling,
        }),
        ..tapped(None)
    }
}

#[rustfmt::skip]
fn changes() -> Vec<Row> {
    let said = |status, reason| answered(line(Pending, None), status, reason).answer;
    let owed = |refused: Option<u64>, reason, attempts, answer| {
        Telling::Owed(OwedPush { refused: refused.and_then(at), reason, attempts, answer })
    };
    let told = Telling::Tapped { at: Timestamp::from_millis(4000), answer: said(200, "").unwrap() };
    let waits = |it| Delivery { next_attempt: at(9), ..changed(it) };
    vec![
        (waits(told.clone()),
            "tapped at T1, APNs answered 200; the device fetched it at T2; it was dismissed by T3; tapped for that at T4, APNs answered 200; not fetched since; next attempt at T9"),
        (waits(owed(None, Some(Reason::SilentBudget), 0, None)),
            "tapped at T1, APNs answered 200; the device fetched it at T2; it was dismissed by T3; the tap for that waits: held by the budget, the platform allows no more silent pushes for now; next attempt at T9"),
        (waits(owed(None, Some(Reason::Retry), 2, said(503, "Shutdown"))),
            "tapped at T1, APNs answered 200; the device fetched it at T2; it was dismissed by T3; the tap for that was tried 2 times: the push service could not take it (APNs answered 503 Shutdown); next attempt at T9"),
        (changed(owed(None, None, 0, None)),
            "tapped at T1, APNs answered 200; the device fetched it at T2; it was dismissed by T3; the tap for that is about to leave, or under way"),
        (changed(owed(Some(4), None, 1, said(400, "BadPriority"))),
            "tapped at T1, APNs answered 200; the device fetched it at T2; it was dismissed by T3; the push service refused the tap for that for good at T4 (APNs answered 400 BadPriority)"),
        (of(Delivery { handling: None, ..changed(Telling::Skipped(Reason::NoStateSync)) }, Platform::WebPush),
            "tapped at T1, the browser's push service answered 200; the device fetched it at T2; it was changed at T3; no tap for that: the endpoint did not register with stateSync"),
        (Delivery { fetched: None, status: Tapped, ..changed(told) },
            "tapped at T1, APNs answered 200; not fetched yet; the device has never fetched anything; it was dismissed by T3; tapped for that at T4, APNs answered 200; not fetched since"),
    ]
}

fn rows() -> Vec<Row> {
    [
        waiting(),
        ended(),
        accepted(),
        fallbacks(),
        arrived(),
        changes(),
    ]
    .concat()
}

#[test]
fn every_standing_has_its_sentence() {
    for (it, expected) in rows() {
        let mut found = explanation(&it);
        for second in [61, 9, 5, 4, 3, 2, 1, 0] {
            let time = Timestamp::from_millis(second * 1000).to_string();
            found = found.replace(&time, &format!("T{second}"));
        }
        assert_eq!(found, expected, "{it:?}");
        assert!(!found.contains("delivered"), "{found}");
    }
}

#[test]
fn the_table_has_every_status_and_every_reason() {
    let rows = rows();
    for status in DeliveryStatus::ALL {
        assert!(rows.iter().any(|(it, _)| it.status == status), "{status:?}");
    }
    for reason in Reason::ALL {
        let of = |it: &Delivery| {
            let change = it.change.as_ref();
            [it.reason, change.and_then(|it| it.telling.told_reason())]
        };
        let found = rows.iter().any(|(it, _)| of(it).contains(&Some(reason)));
        assert!(found, "{reason:?}");
    }
}
