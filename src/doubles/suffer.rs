//! What a request suffers that a scripted fault strikes.

use std::future::Future;

use h2::Reason;
use hyper::StatusCode;
use hyper::body::Bytes;
use serde_json::json;
use tokio::time::Duration;

use super::clock::http_date;
use super::device::Service;
use super::exchange::{Answer, Link, Request};
use super::fault::{FaultKind, Struck};
use super::journal::Arrival;
use super::passage::Ending;
use super::state::State;
use super::tally::Event;
use super::{apns, fcm, web_push, wns};

/// What comes out of a slow service unless another time is scripted: longer than any sender should wait.
const SLOW_MS: u64 = 30_000;
const OVERSIZED_BYTES: usize = 1024 * 1024;
const NO_HTTP: &[u8] = b"\x00\x00\x07\xff\xfe\xfd no HTTP is spoken here\r\n\r\n\x80\x81\x82";
const NO_TEXT: &[u8] = b"{\"error\":\x00\xff\xfe\x80 \xc3\x28 [[[[";
const PROXY_PAGE: &str = "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>";

/// Whether anything is left of a request.
pub(crate) enum Suffered {
    /// It goes on as if nothing had been.
    GoesOn,
    /// It ends.
    Ends(Ending),
}

/// A request's place: everything, the connection, the number of the stream.
type Way<'a> = (&'a State, &'a Link, u32);

/// Strikes a push. Where it has reached its device the answer that is lost is given.
pub(crate) async fn suffer(
    way: Way<'_>,
    struck: &Struck,
    (arrival, request, lost): (Arrival, &Request, Option<Answer>),
) -> Suffered {
    let (state, link, _) = way;
    let answer = match (struck.kind(), lost) {
        (kind, Some(lost)) if kind.breaks_an_answer() => lost,
        _ => waiting(state, struck, spoken(state, link.service, request, struck)),
    };
    strike(way, struck, (arrival, answer)).await
}

/// Strikes a request for an access token.
pub(crate) async fn suffer_at_token(
    way: Way<'_>,
    struck: &Struck,
    (arrival, granted): (Arrival, &Answer),
) -> Suffered {
    let (state, link, _) = way;
    let kind = struck.kind();
    let answer = if kind.breaks_an_answer() {
        granted.clone()
    } else {
        let shaped = shapeless(state, link.service, struck);
        let said = match kind {
            FaultKind::Says(saying) => Some(saying.answer(None)),
            FaultKind::ShortLife => Some(short_life(state, &arrival, struck)),
            _ => shaped,
        };
        let said = said.unwrap_or_else(|| match link.service {
            Service::Wns => wns::Login::at(&arrival.path).fault(kind),
            _ => fcm::token_fault(kind),
        });
        waiting(state, struck, said)
    };
    strike(way, struck, (arrival, answer)).await
}

async fn strike(way: Way<'_>, struck: &Struck, (arrival, answer): (Arrival, Answer)) -> Suffered {
    let (state, link, stream) = way;
    state.tally.count(link.service, Event::Faulted);
    state.journal.arrived(Arrival {
        status: answered(struck.kind()).then(|| answer.status.as_u16()),
        reason: Some(format!("scripted fault {}", struck.kind().name())),
        fault: Some(struck.kind()),
        ..arrival
    });
    let cleared = &struck.cleared;
    // HTTP/1.1 has no streams: there the connection ends.
    let kind = match struck.kind() {
        kind if stream == 0 && kind.is_of_http2() => FaultKind::Cut,
        kind => kind,
    };
    match kind {
        FaultKind::HandedOverTwice => Suffered::GoesOn,
        FaultKind::Silence => goes_on_after(cleared.cancelled()).await,
        FaultKind::Slow => {
            let delay = Duration::from_millis(struck.spec.delay_ms.unwrap_or(SLOW_MS));
            let late = cleared.run_until_cancelled(tokio::time::sleep(delay));
            goes_on_after(late).await
        }
        FaultKind::StreamLimit => {
            let streams = struck.spec.streams.unwrap_or(1);
            link.stream_limit
                .store(streams, std::sync::atomic::Ordering::Release);
            goes_on_after(link.orders.limit_streams(streams)).await
        }
        FaultKind::GoAway => {
            go_away(link, struck, stream).await;
            Suffered::GoesOn
        }
        FaultKind::GoAwayUnprocessed => {
            let last = go_away(link, struck, stream.saturating_sub(2)).await;
            if stream <= last {
                return Suffered::GoesOn;
            }
            Suffered::Ends(Ending::Never)
        }
        FaultKind::Cut => ends_connection(link, async {}).await,
        FaultKind::ConnectionReset => ends_connection(link, link.orders.reset_at_end()).await,
        FaultKind::Garbage => ends_connection(link, link.orders.write(NO_HTTP)).await,
        FaultKind::HalfOpen => {
            link.orders.freeze();
            ends_connection(link, cleared.cancelled()).await
        }
        kind => Suffered::Ends(ending(kind, answer, struck)),
    }
}

/// The endings that need nothing of the connection.
fn ending(kind: FaultKind, answer: Answer, struck: &Struck) -> Ending {
    match kind {
        FaultKind::RefusedStream => Ending::Reset(Reason::REFUSED_STREAM),
        FaultKind::Reset => Ending::Reset(Reason::INTERNAL_ERROR),
        FaultKind::CutMidAnswer => Ending::BreaksOff {
            answer,
            reset: false,
        },
        FaultKind::ResetMidAnswer => Ending::BreaksOff {
            answer,
            reset: true,
        },
        FaultKind::Endless => Ending::Endless {
            answer,
            until: struck.cleared.clone(),
        },
        _ => Ending::Whole(answer),
    }
}

async fn goes_on_after(what: impl Future) -> Suffered {
    what.await;
    Suffered::GoesOn
}

async fn ends_connection(link: &Link, first: impl Future) -> Suffered {
    first.await;
    link.cut.cancel();
    Suffered::Ends(Ending::Never)
}

/// Sends GOAWAY; gives the last stream that is processed.
async fn go_away(link: &Link, struck: &Struck, stream: u32) -> u32 {
    let last = link.stop_after(stream);
    let reason = struck.spec.reason.as_ref();
    let debug = reason.map(|reason| json!({ "reason": reason }).to_string());
    let debug = debug.unwrap_or_default();
    link.orders
        .go_away(last, Reason::NO_ERROR.into(), debug.as_bytes())
        .await;
    last
}

/// Whether the journal tells a status: where the sender gets to see one whole.
fn answered(kind: FaultKind) -> bool {
    !matches!(
        kind,
        FaultKind::Silence
            | FaultKind::Slow
            | FaultKind::StreamLimit
            | FaultKind::GoAway
            | FaultKind::GoAwayUnprocessed
            | FaultKind::Cut
            | FaultKind::ConnectionReset
            | FaultKind::Garbage
            | FaultKind::HalfOpen
            | FaultKind::RefusedStream
            | FaultKind::Reset
    ) && !kind.breaks_an_answer()
}

/// The answer to a struck push, in the dress of its service.
fn spoken(state: &State, service: Service, request: &Request, struck: &Struck) -> Answer {
    if let Some(shapeless) = shapeless(state, service, struck) {
        return shapeless;
    }
    if let FaultKind::Says(saying) = struck.kind() {
        let died_at_ms = struck.spec.timestamp_ms.unwrap_or(state.clock.now_ms());
        let answer = saying.answer((service == Service::Apns).then_some(died_at_ms));
        return match service {
            Service::Apns if !saying.is_bare() => apns::dressed(request, answer),
            Service::Wns if !saying.is_bare() => wns::dressed(request, answer),
            _ => answer,
        };
    }
    match service {
        Service::Apns => apns::fault(state, request, struck),
        Service::Fcm => fcm::fault(struck.kind()),
        Service::WebPush => web_push::fault(struck.kind()),
        Service::Wns => wns::fault(request, struck.kind()),
    }
}

/// Answers that are not in the form of any service.
fn shapeless(state: &State, service: Service, struck: &Struck) -> Option<Answer> {
    let with_body = |status: StatusCode, media_type: &str, body: Bytes| {
        Some(
            Answer {
                body,
                ..Answer::empty(status)
            }
            .with("content-type", media_type),
        )
    };
    match struck.kind() {
        FaultKind::HtmlError => with_body(
            StatusCode::BAD_GATEWAY,
            "text/html",
            Bytes::from_static(PROXY_PAGE.as_bytes()),
        ),
        FaultKind::GarbageBody => with_body(
            StatusCode::SERVICE_UNAVAILABLE,
            "application/json",
            Bytes::from_static(NO_TEXT),
        ),
        FaultKind::Oversized => with_body(
            StatusCode::INTERNAL_SERVER_ERROR,
            "application/json",
            Bytes::from(vec![b'x'; OVERSIZED_BYTES]),
        ),
        FaultKind::Endless => Some(
            Answer::empty(StatusCode::INTERNAL_SERVER_ERROR)
                .with("content-type", "application/json"),
        ),
        FaultKind::Redirect => {
            let elsewhere = || format!("{}/redirected", origin(state, service));
            let location = struck.spec.location.clone().unwrap_or_else(elsewhere);
            Some(Answer::empty(StatusCode::MOVED_PERMANENTLY).with("location", location))
        }
        _ => None,
    }
}

fn origin(state: &State, service: Service) -> String {
    let settings = &state.settings;
    match service {
        Service::Apns => settings.apns.endpoint.clone(),
        Service::Fcm => settings.fcm.endpoint.clone(),
        Service::WebPush => format!("https://{}", settings.web_push.host),
        Service::Wns => format!("https://{}", settings.wns.host),
    }
}

fn short_life(state: &State, arrival: &Arrival, struck: &Struck) -> Answer {
    let seconds = struck.spec.life_seconds.unwrap_or(5);
    match arrival.service {
        Service::Wns => wns::Login::at(&arrival.path).grant_for(state, seconds),
        _ => fcm::grant_for(state, seconds),
    }
}

/// The same with the wait that was scripted, else that which goes with the fault.
fn waiting(state: &State, struck: &Struck, answer: Answer) -> Answer {
    let usual = match (struck.kind(), struck.spec.service) {
        (FaultKind::Says(saying), _) => saying.retry_after_seconds(),
        // Apple documents none.
        (FaultKind::Throttled, service) if service != Service::Apns => {
            (struck.spec.at == super::fault::At::Push).then_some(60)
        }
        _ => None,
    };
    let scripted = struck
        .spec
        .retry_after_seconds
        .filter(|_| answer.status.is_client_error() || answer.status.is_server_error());
    let Some(seconds) = scripted.or(usual) else {
        return answer;
    };
    if struck.spec.retry_after_date {
        let wait_ms = i64::try_from(seconds)
            .unwrap_or(i64::MAX)
            .saturating_mul(1000);
        let at = state.clock.now_ms().saturating_add(wait_ms);
        return answer.with("retry-after", http_date(at));
    }
    answer.with("retry-after", seconds)
}
