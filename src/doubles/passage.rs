//! The way of one request: it is read whole, judged by its service's rules, struck by a fault if one is scripted and it had
//! passed, delivered, and written down.
//!
//! A request that was held in silence and then let go is written down twice: when it was struck and when it was answered.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderName, HeaderValue};

use super::device::{Body, Service};
use super::exchange::{Accepted, Answer, Judged, Link, Request};
use super::fault::{At, FaultKind, Struck};
use super::journal::Arrival;
use super::retention::Fate;
use super::state::State;
use super::tally::Event;
use super::{apns, fcm, web_push, wns};

/// Longer bodies are not read to their end; no service takes a tenth of it.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// What the journal keeps of a body: more than any service takes.
const MAX_KEPT_BYTES: usize = 8 * 1024;
/// Apple is a network away: on a connection without an accepted token an answer takes this long, so that a sender that does not
/// wait for it is found out. A double on loopback would else answer the first request before the second one is there.
const WAY_TO_APPLE: Duration = Duration::from_millis(5);

/// A request on its way over a connection; counted from its first header on, and as long as this lives.
pub(crate) struct Stream {
    link: Arc<Link>,
    surplus: bool,
}

impl Stream {
    /// Counts a request the moment its headers are there, before any task runs for it.
    pub(crate) fn begin(link: &Arc<Link>) -> Self {
        let earlier = link.streams.fetch_add(1, Ordering::AcqRel);
        Self {
            link: Arc::clone(link),
            surplus: earlier > 0 && apns::is_unproven(link),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.link.streams.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Answers one request. The error is a stream reset with its reason, which only HTTP/2 can express.
pub(crate) async fn respond(
    state: Arc<State>,
    stream: Stream,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, h2::Error> {
    let link = &stream.link;
    state.tally.count(link.service, Event::Request);
    let (head, body) = request.into_parts();
    let mut request = Request {
        method: head.method,
        uri: head.uri,
        headers: head.headers,
        body: Some(Bytes::new()),
    };
    if stream.surplus && state.strict {
        return Err(reset(&state, link, &request));
    }
    if state.strict && apns::is_unproven(link) {
        tokio::time::sleep(WAY_TO_APPLE).await;
    }
    let body = Limited::new(body, MAX_BODY_BYTES).collect().await;
    request.body = body.ok().map(|body| body.to_bytes());
    let answer = if state.strict {
        exchange(&state, link, &request).await
    } else {
        wave_through(&state, link, &request)
    };
    Ok(into_response(answer))
}

/// Refuses a stream unread: the sender may repeat it at once (RFC 9113, section 8.7).
fn reset(state: &State, link: &Link, request: &Request) -> h2::Error {
    state.tally.count(link.service, Event::Refused);
    let reason = "REFUSED_STREAM: a second stream before a token was accepted".to_owned();
    state.journal.arrived(Arrival {
        reason: Some(reason),
        ..sketch(state, link, request)
    });
    h2::Error::from(h2::Reason::REFUSED_STREAM)
}

/// Judges, strikes, delivers and writes down one request.
async fn exchange(state: &State, link: &Link, request: &Request) -> Answer {
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
        Judged::Token(answer) => grant(state, link, arrival, answer).await,
        Judged::Accepted(accepted) => take(state, link, request, (arrival, *accepted)).await,
    }
}

fn refuse(state: &State, arrival: Arrival, answer: Answer) -> Answer {
    if answer.reason.is_some() {
        state.tally.count(arrival.service, Event::Refused);
    }
    state.journal.arrived(Arrival {
        status: Some(answer.status.as_u16()),
        reason: answer.reason.clone(),
        ..arrival
    });
    answer
}

async fn grant(state: &State, link: &Link, arrival: Arrival, answer: Answer) -> Answer {
    match state.faults.strike(link.service, At::Token, None) {
        Some(struck) => {
            let faulty = match link.service {
                Service::Wns => wns::token_fault(&struck),
                _ => fcm::token_fault(&struck),
            };
            suffer(state, link, (arrival, &struck), faulty)
                .await
                .unwrap_or(answer)
        }
        None => refuse(state, arrival, answer),
    }
}

async fn take(
    state: &State,
    link: &Link,
    request: &Request,
    (arrival, accepted): (Arrival, Accepted),
) -> Answer {
    let device = accepted.device.as_ref().map(|device| device.id.clone());
    let arrival = Arrival {
        device: device.clone(),
        plaintext: accepted.plaintext.clone(),
        ..arrival
    };
    if let Some(struck) = state
        .faults
        .strike(link.service, At::Push, device.as_deref())
    {
        let faulty = fault_answer(state, link.service, request, &struck);
        if let Some(answer) = suffer(state, link, (arrival.clone(), &struck), faulty).await {
            return answer;
        }
    }
    deliver(state, request, arrival, accepted)
}

/// What a struck request gets: the faulty answer, nothing ever, or, once a silence was cleared, `None`: go on as if nothing had been.
async fn suffer(
    state: &State,
    link: &Link,
    (arrival, struck): (Arrival, &Struck),
    faulty: Answer,
) -> Option<Answer> {
    state.tally.count(link.service, Event::Faulted);
    let answered = !matches!(struck.kind, FaultKind::Silence | FaultKind::Cut);
    let status = answered.then(|| faulty.status.as_u16());
    state.journal.arrived(Arrival {
        status,
        reason: faulty.reason.clone(),
        fault: Some(struck.kind),
        ..arrival
    });
    match struck.kind {
        FaultKind::Silence => {
            struck.cleared.cancelled().await;
            None
        }
        FaultKind::Cut => {
            link.cut.cancel();
            std::future::pending().await
        }
        _ => Some(faulty),
    }
}

fn fault_answer(state: &State, service: Service, request: &Request, struck: &Struck) -> Answer {
    match service {
        Service::Apns => apns::fault(state, request, struck),
        Service::Fcm => fcm::fault(struck),
        Service::WebPush => web_push::fault(struck),
        Service::Wns => wns::fault(request, struck),
    }
}

fn deliver(state: &State, request: &Request, arrival: Arrival, accepted: Accepted) -> Answer {
    let service = arrival.service;
    let offered = match (&accepted.device, &accepted.item) {
        (Some(device), Some(item)) => state.devices.offer(&device.id, item),
        _ => Ok(Fate::NotForDevice),
    };
    let fate = match offered {
        Ok(fate) => fate,
        // Removed between the check and now, or the file cannot be written: in either case the sender must try again and see.
        Err(error) => {
            return refuse(
                state,
                arrival,
                Answer::empty(hyper::StatusCode::SERVICE_UNAVAILABLE).because(error.to_string()),
            );
        }
    };
    let answer = success(state, service, request, (&accepted, fate));
    state.tally.count(service, Event::Accepted);
    state.journal.arrived(Arrival {
        status: Some(answer.status.as_u16()),
        fate: Some(fate),
        ..arrival
    });
    if let (Fate::HandedOver, Some(device), Some(item)) = (fate, accepted.device, accepted.item) {
        state.hand_over(service, &device.id, false, item.push);
    }
    answer
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
            Service::Wns => wns::grant(state),
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

fn into_response(answer: Answer) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::new(Full::new(answer.body));
    *response.status_mut() = answer.status;
    for (name, value) in answer.headers {
        // A value that is no header value cannot be sent; all ours are ASCII but what is echoed, which came in as one.
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
