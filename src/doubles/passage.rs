//! The way of one request: it is read whole, judged by its service's rules, struck by a fault if one is scripted and it had
//! passed, delivered, and written down.
//!
//! A request that was held in silence and then let go is written down twice: when it was struck and when it was answered.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use tokio_util::sync::CancellationToken;

use super::device::{Body, Service};
use super::exchange::{Accepted, Answer, Judged, Link, Request};
use super::fault::{At, FaultKind, Moment, Struck};
use super::journal::Arrival;
use super::retention::Fate;
use super::state::State;
use super::suffer::{Suffered, suffer, suffer_at_token};
use super::tally::Event;
use super::{apns, fcm, web_push, wns};

/// Longer bodies are not read to their end; no service takes a tenth of it.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024;
/// What the journal keeps of a body: more than any service takes.
const MAX_KEPT_BYTES: usize = 8 * 1024;
/// Apple is a network away: on a connection without an accepted token an answer takes this long, so that a sender that does not
/// wait for it is found out. A double on loopback would else answer the first request before the second one is there.
const WAY_TO_APPLE: Duration = Duration::from_millis(5);

/// How a request ends.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It is answered.
    Whole(Answer),
    /// Half of the answer comes; then the stream is reset, or the connection ends.
    BreaksOff {
        /// The answer.
        answer: Answer,
        /// Only the stream.
        reset: bool,
    },
    /// The answer's head comes, and a body without end.
    Endless {
        /// The head.
        answer: Answer,
        /// Ends it after all.
        until: CancellationToken,
    },
    /// The stream is reset (HTTP/2).
    Reset(h2::Reason),
    /// There is no answer, for as long as the connection is there.
    Never,
}

/// A request on its way over a connection; counted from its first header on, and as long as this lives.
pub(crate) struct Stream {
    link: Arc<Link>,
    /// Its number in HTTP/2, else 0.
    id: u32,
    surplus: Option<&'static str>,
}

impl Stream {
    /// Counts a request the moment its headers are there, before any task runs for it.
    pub(crate) fn begin(link: &Arc<Link>, id: u32) -> Self {
        let earlier = link.streams.fetch_add(1, Ordering::AcqRel);
        let limit =
            usize::try_from(link.stream_limit.load(Ordering::Acquire)).unwrap_or(usize::MAX);
        let surplus = if earlier > 0 && apns::is_unproven(link) {
            Some("a second stream before a token was accepted")
        } else {
            (earlier >= limit).then_some("more streams than SETTINGS allow")
        };
        Self {
            link: Arc::clone(link),
            id,
            surplus,
        }
    }

    /// The connection.
    pub(crate) fn link(&self) -> Arc<Link> {
        Arc::clone(&self.link)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.link.streams.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Answers one request.
pub(crate) async fn respond(
    state: Arc<State>,
    stream: Stream,
    head: hyper::http::request::Parts,
    body: impl Future<Output = Option<Bytes>>,
) -> Ending {
    let link = &stream.link;
    state.tally.count(link.service, Event::Request);
    let mut request = Request {
        method: head.method,
        uri: head.uri,
        headers: head.headers,
        body: Some(Bytes::new()),
    };
    if !state.strict {
        let _unseen = body.await;
        return Ending::Whole(wave_through(&state, link, &request));
    }
    if let Some(why) = stream.surplus {
        return reset(&state, link, &request, why);
    }
    if apns::is_unproven(link) {
        tokio::time::sleep(WAY_TO_APPLE).await;
    }
    request.body = body.await;
    exchange(&state, &stream, &request).await
}

/// Refuses a stream unread: the sender may repeat it at once (RFC 9113, section 8.7).
fn reset(state: &State, link: &Link, request: &Request, why: &str) -> Ending {
    state.tally.count(link.service, Event::Refused);
    state.journal.arrived(Arrival {
        reason: Some(format!("REFUSED_STREAM: {why}")),
        ..sketch(state, link, request)
    });
    Ending::Reset(h2::Reason::REFUSED_STREAM)
}

/// Judges, strikes, delivers and writes down one request.
pub(super) async fn exchange(state: &State, stream: &Stream, request: &Request) -> Ending {
    let link = &stream.link;
    let judged = match link.service {
        Service::Apns => apns::judge(state, link, request),
        Service::Fcm => fcm::judge(state, request),
        Service::WebPush => web_push::judge(state, request),
        Service::Wns => wns::judge(state, request),
    };
    let arrival = sketch(state, link, request);
    match judged {
        Judged::Answered(answer) => refuse(state, arrival, answer),
        Judged::AnsweredFor(device, answer) => refuse(
            state,
            Arrival {
                device: Some(device),
                ..arrival
            },
            answer,
        ),
        Judged::Token(answer) => grant(state, stream, arrival, answer).await,
        Judged::Accepted(accepted) => take(state, stream, request, (arrival, *accepted)).await,
    }
}

fn refuse(state: &State, arrival: Arrival, answer: Answer) -> Ending {
    if answer.reason.is_some() {
        state.tally.count(arrival.service, Event::Refused);
    }
    state.journal.arrived(Arrival {
        status: Some(answer.status.as_u16()),
        reason: answer.reason.clone(),
        ..arrival
    });
    Ending::Whole(answer)
}

async fn grant(state: &State, stream: &Stream, arrival: Arrival, answer: Answer) -> Ending {
    let service = stream.link.service;
    let moment = Moment::Request(At::Token);
    if let Some(struck) = state.faults.strike(service, moment, None) {
        let (way, arrival) = ((state, &*stream.link, stream.id), arrival.clone());
        if let Suffered::Ends(ending) = suffer_at_token(way, &struck, (arrival, &answer)).await {
            return ending;
        }
    }
    refuse(state, arrival, answer)
}

async fn take(
    state: &State,
    stream: &Stream,
    request: &Request,
    (arrival, accepted): (Arrival, Accepted),
) -> Ending {
    let link = &stream.link;
    let device = accepted.device.as_ref().map(|device| device.id.clone());
    let arrival = Arrival {
        device: device.clone(),
        plaintext: accepted.plaintext.clone(),
        ..arrival
    };
    let moment = Moment::Request(At::Push);
    let struck = state.faults.strike(link.service, moment, device.as_deref());
    let twice = struck
        .as_ref()
        .is_some_and(|struck| struck.kind() == FaultKind::HandedOverTwice);
    if let Some(struck) = struck {
        if struck.spec.delivered || struck.kind().breaks_an_answer() {
            return take_and_suffer(state, stream, request, (arrival, accepted, struck)).await;
        }
        let way = (state, &**link, stream.id);
        let suffered = suffer(way, &struck, (arrival.clone(), request, None)).await;
        if let Suffered::Ends(ending) = suffered {
            return ending;
        }
    }
    if !link.processes(stream.id) {
        state.journal.arrived(Arrival {
            reason: Some("after the last stream of GOAWAY: not processed".to_owned()),
            ..arrival
        });
        return Ending::Never;
    }
    let (answer, fate) = deliver(state, link.service, request, &accepted);
    let Some(fate) = fate else {
        return refuse(state, arrival, answer);
    };
    state.tally.count(link.service, Event::Accepted);
    state.journal.arrived(Arrival {
        status: Some(answer.status.as_u16()),
        fate: Some(fate),
        ..arrival
    });
    if twice {
        hand_over(state, &accepted, fate);
    }
    hand_over(state, &accepted, fate);
    Ending::Whole(answer)
}

/// The device gets the push, and the sender never learns of it.
async fn take_and_suffer(
    state: &State,
    stream: &Stream,
    request: &Request,
    (arrival, accepted, struck): (Arrival, Accepted, Struck),
) -> Ending {
    let link = &stream.link;
    let (answer, fate) = deliver(state, link.service, request, &accepted);
    let arrival = Arrival { fate, ..arrival };
    if let Some(fate) = fate {
        hand_over(state, &accepted, fate);
    }
    let way = (state, &**link, stream.id);
    match suffer(way, &struck, (arrival, request, Some(answer))).await {
        Suffered::Ends(ending) => ending,
        Suffered::GoesOn => Ending::Never,
    }
}

/// Offers a push to its device: the answer, and what became of it; no fate if the device cannot be had.
fn deliver(
    state: &State,
    service: Service,
    request: &Request,
    accepted: &Accepted,
) -> (Answer, Option<Fate>) {
    // Judged again, since others may have come between: a fault can hold a push for long.
    if service == Service::Fcm
        && let Err(refusal) = fcm::count(state, accepted)
    {
        return (refusal, None);
    }
    let offered = match (&accepted.device, &accepted.item) {
        (Some(device), Some(item)) => state.devices.offer(&device.id, item, state.clock.now_ms()),
        _ => Ok(Fate::NotForDevice),
    };
    match offered {
        Ok(fate) => (
            success(state, service, request, (accepted, fate)),
            Some(fate),
        ),
        // Removed between the check and now, or the file cannot be written: in either case the sender must try again and see.
        Err(error) => (
            Answer::empty(hyper::StatusCode::SERVICE_UNAVAILABLE).because(error.to_string()),
            None,
        ),
    }
}

fn hand_over(state: &State, accepted: &Accepted, fate: Fate) {
    if let (Fate::HandedOver, Some(device), Some(item)) = (fate, &accepted.device, &accepted.item) {
        state.hand_over(device.service, &device.id, false, item.push.clone());
    }
}

fn success(
    state: &State,
    service: Service,
    request: &Request,
    (accepted, fate): (&Accepted, Fate),
) -> Answer {
    match service {
        Service::Apns => apns::success(&accepted.message_id),
        Service::Fcm => fcm::success(&accepted.message_id),
        Service::WebPush => web_push::success(state, request, &accepted.message_id),
        Service::Wns => wns::success(request, accepted, fate),
    }
}

/// The benches' mode: everything is accepted, nothing is looked at, only counted.
fn wave_through(state: &State, link: &Link, request: &Request) -> Answer {
    let id = uuid::Uuid::new_v4().to_string();
    if is_token_request(link.service, request) {
        state.tally.count(link.service, Event::TokenRequest);
        return match link.service {
            Service::Wns => wns::Login::at(request.uri.path()).grant(state),
            _ => fcm::grant(state),
        };
    }
    state.tally.count(link.service, Event::Accepted);
    match link.service {
        Service::Apns => apns::success(&id),
        Service::Fcm => fcm::success(&id),
        Service::WebPush => web_push::success(state, request, &id),
        Service::Wns => wns::waved_through(),
    }
}

/// Whether the request is for the service's token endpoint.
pub(crate) fn is_token_request(service: Service, request: &Request) -> bool {
    match service {
        Service::Fcm => request.uri.path() == fcm::TOKEN_PATH,
        Service::Wns => request.uri.path() != "/",
        Service::Apns | Service::WebPush => false,
    }
}

/// What the journal keeps of a request before it is answered.
fn sketch(state: &State, link: &Link, request: &Request) -> Arrival {
    let secret = is_token_request(link.service, request);
    let body = match request.bytes() {
        [] => None,
        _ if secret => Some(Body::Text(super::token::without_secrets(request))),
        bytes => Some(Body::of(&bytes[..bytes.len().min(MAX_KEPT_BYTES)])),
    };
    Arrival {
        seq: 0,
        at_ms: state.clock.now_ms(),
        service: link.service,
        device: None,
        connection: link.id,
        method: request.method.to_string(),
        path: request
            .uri
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default(),
        headers: request.headers.iter().map(shown).collect(),
        body,
        plaintext: None,
        status: None,
        reason: None,
        fault: None,
        fate: None,
    }
}

/// A header for the journal; of a credential its scheme only.
fn shown((name, value): (&HeaderName, &HeaderValue)) -> (String, String) {
    let text = String::from_utf8_lossy(value.as_bytes());
    let text = match name.as_str() {
        "authorization" => text.split(' ').next().unwrap_or_default().to_owned() + " …",
        _ => text.into_owned(),
    };
    (name.to_string(), text)
}
