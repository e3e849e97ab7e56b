//! One request on one connection, and its answer.

use std::error::Error as _;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::{
    Response, Version,
    body::Incoming,
    client::conn::TrySendError,
    ext::ReasonPhrase,
    header::{HOST, HeaderValue},
};
use std::sync::atomic::Ordering;
use tokio::time::{Instant, timeout_at};

use super::{
    Answer, Failure, MAX_REQUEST, Request,
    authority::{Own, Shared},
    credential::Kept,
};

type Wire = hyper::Request<Full<Bytes>>;
type Sent = Result<Response<Incoming>, TrySendError<Wire>>;

/// Why no answer came.
pub(super) enum Broken {
    /// The server said, or it is certain, that the request was not looked at: it may be sent again at once.
    Unprocessed(String),
    /// Anything else.
    Failed(Failure),
}

/// Sends on a shared HTTP/2 connection. With `first_alone`, a request waits until an earlier one has been taken, at most
/// until `deadline`; it does not leave where that was refused. No answer, where the connection is of no use to it, since
/// it has ended meanwhile or keeps to another credential: nothing has left, and the connection is retired.
pub(super) async fn on_shared(
    shared: &Shared,
    request: &Request,
    first_alone: bool,
    deadline: Instant,
) -> Result<Option<Answer>, Broken> {
    if !first_alone || shared.proven.load(Ordering::Acquire) {
        return send_shared(shared, request).await;
    }
    let refusals = shared.refusals.load(Ordering::Acquire);
    let alone = timeout_at(deadline, shared.alone.lock()).await;
    let alone = alone.map_err(|_| Broken::Failed(Failure::Crowded))?;
    if shared.proven.load(Ordering::Acquire) {
        drop(alone);
        return send_shared(shared, request).await;
    }
    if shared.refusals.load(Ordering::Acquire) != refusals {
        return Err(Broken::Failed(Failure::Held));
    }
    if !shared.is_usable() {
        return Ok(None);
    }
    let Some(answer) = send_shared(shared, request).await? else {
        return Ok(None);
    };
    // 403 is what a refused credential looks like; any other answer means that the credential was taken.
    if answer.status == 403 {
        shared.refusals.fetch_add(1, Ordering::Release);
    } else {
        shared.proven.store(true, Ordering::Release);
    }
    Ok(Some(answer))
}

/// Sends on a connection of its own; gives it back where it can be used again.
pub(super) async fn on_own(
    mut own: Own,
    request: &Request,
) -> Result<(Answer, Option<Own>), Broken> {
    let deadline = Instant::now() + MAX_REQUEST;
    let mut wire = wire(request, Version::HTTP_11)?;
    let host = HeaderValue::from_str(&request.authority()).map_err(invalid)?;
    wire.headers_mut().insert(HOST, host);
    let credential = request.authorize(wire.headers_mut());
    let credential = credential.map_err(Broken::Failed)?;
    let response = timeout_at(deadline, own.sender.try_send_request(wire)).await;
    let response = response.map_err(|_| Broken::Failed(Failure::Timeout))?;
    let response = response.map_err(broken)?;
    let mut answer = read(response, request.max_answer, deadline).await?;
    answer.credential = credential.map_or(0, |credential| credential.number);
    let own = answer.whole.then_some(own);
    Ok((answer, own))
}

async fn send_shared(shared: &Shared, request: &Request) -> Result<Option<Answer>, Broken> {
    let Some((response, credential)) = hand_in(shared, request)? else {
        shared.retire();
        return Ok(None);
    };
    let sent = Instant::now();
    let deadline = sent + MAX_REQUEST;
    let Ok(response) = timeout_at(deadline, response).await else {
        if shared.silent_since(sent) {
            shared.retire();
        }
        return Err(Broken::Failed(Failure::Timeout));
    };
    let response = response.map_err(|error| {
        if !ends_stream_alone(error.error()) {
            shared.retire();
        }
        broken(error)
    })?;
    shared.hear();
    let mut answer = read(response, request.max_answer, deadline).await?;
    answer.connection = shared.number;
    answer.credential = credential;
    Ok(Some(answer))
}

/// Puts the request in the connection's line; gives what becomes of it, and the number of its credential. None, where
/// the connection keeps to another one.
fn hand_in(
    shared: &Shared,
    request: &Request,
) -> Result<Option<(impl Future<Output = Sent> + use<>, u64)>, Broken> {
    let mut wire = wire(request, Version::HTTP_2)?;
    let mut sender = shared.sender.clone();
    // Held until it stands in the line, so that none with an earlier credential comes behind one with a later.
    let mut kept = request.source.is_some().then(|| shared.kept.lock());
    let credential = request.authorize(wire.headers_mut());
    let credential = credential.map_err(Broken::Failed)?;
    if let (Some(kept), Some(credential)) = (&mut kept, &credential)
        && !Kept::takes(kept, credential)
    {
        return Ok(None);
    }
    let number = credential.map_or(0, |credential| credential.number);
    Ok(Some((sender.try_send_request(wire), number)))
}

/// The request as hyper wants it: absolute for HTTP/2, where it becomes `:scheme` and `:authority`; the path alone
/// for HTTP/1.1 (RFC 9112, section 3.2.1).
fn wire(request: &Request, version: Version) -> Result<Wire, Broken> {
    let url = &request.url;
    let target = match (version, url.query()) {
        (Version::HTTP_11, Some(query)) => format!("{}?{query}", url.path()),
        (Version::HTTP_11, None) => url.path().to_owned(),
        _ => url.as_str().to_owned(),
    };
    let mut wire = hyper::Request::builder()
        .method(request.method.clone())
        .uri(target)
        .version(version)
        // A body of known length, so Content-Length and never chunks: WNS refuses those.
        .body(Full::new(request.body.clone()))
        .map_err(invalid)?;
    *wire.headers_mut() = request.headers.clone();
    Ok(wire)
}

/// Reads at most `max` bytes of the body.
async fn read(
    response: Response<Incoming>,
    max: usize,
    deadline: Instant,
) -> Result<Answer, Broken> {
    let (head, mut body) = response.into_parts();
    let mut answer = Answer {
        status: head.status.as_u16(),
        phrase: phrase(&head.extensions),
        headers: head.headers,
        body: Bytes::new(),
        whole: true,
        connection: 0,
        credential: 0,
    };
    let mut read = BytesMut::new();
    loop {
        let frame = match timeout_at(deadline, body.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame,
            // The status of success says all; what is missing is only its decoration.
            _ if head.status.is_success() => {
                answer.whole = false;
                break;
            }
            Ok(Some(Err(e))) => return Err(Broken::Failed(Failure::Lost(words(&e)))),
            Err(_) => return Err(Broken::Failed(Failure::Timeout)),
        };
        let data = frame.into_data().unwrap_or_default();
        let room = max - read.len();
        read.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            answer.whole = false;
            break;
        }
    }
    answer.body = read.freeze();
    Ok(answer)
}

fn phrase(extensions: &hyper::http::Extensions) -> Option<String> {
    extensions
        .get::<ReasonPhrase>()
        .map(|phrase| String::from_utf8_lossy(phrase.as_bytes()).into_owned())
}

fn broken(mut error: TrySendError<Wire>) -> Broken {
    let unsent = error.take_message().is_some();
    let error = error.into_error();
    if unsent || was_refused(&error) {
        Broken::Unprocessed(words(&error))
    } else {
        Broken::Failed(Failure::Lost(words(&error)))
    }
}

/// Whether the server vouches for not having processed the request (RFC 9113, section 8.7): it refused the stream,
/// or it left with a GOAWAY that counts the stream out. `h2` reports a stream by GOAWAY only if it is above the
/// last one counted in.
fn was_refused(error: &hyper::Error) -> bool {
    let Some(h2) = error.source().and_then(|e| e.downcast_ref::<h2::Error>()) else {
        return false;
    };
    let refused = h2.is_reset() && h2.reason() == Some(h2::Reason::REFUSED_STREAM);
    h2.is_remote() && (refused || h2.is_go_away())
}

/// Whether only the stream was reset, so that the connection serves on. One that says GOAWAY may look alive for a
/// moment more, but takes nothing new (RFC 9113, section 6.8).
fn ends_stream_alone(error: &hyper::Error) -> bool {
    let h2 = error.source().and_then(|e| e.downcast_ref::<h2::Error>());
    h2.is_some_and(h2::Error::is_reset)
}

fn words(error: &hyper::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn invalid(error: impl std::fmt::Display) -> Broken {
    Broken::Failed(Failure::Invalid(error.to_string()))
}
