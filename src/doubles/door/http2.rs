//! HTTP/2, spoken with the library below hyper: it gives the streams their numbers, which GOAWAY needs, and lets an answer break off.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use hyper::body::Bytes;
use hyper::header::{DATE, HeaderValue};
use tokio_util::task::TaskTracker;

use super::super::apns;
use super::super::clock::http_date;
use super::super::exchange::{Answer, Link};
use super::super::passage::{Ending, MAX_BODY_BYTES, Stream, respond};
use super::super::state::State;
use super::wire::Wire;

/// What each connection is told in SETTINGS but those that have yet to prove themselves; in the benches' mode ten times as many.
pub(crate) const MAX_CONCURRENT_STREAMS: u32 = 100;
const WINDOW_BYTES: u32 = 1024 * 1024;
/// How long the first half of an answer has to get out before the rest breaks off.
const WAY_OUT: Duration = Duration::from_millis(20);
const CHUNK: &[u8] = &[b'x'; 16 * 1024];

/// Serves a connection until it ends.
pub(super) async fn serve(state: Arc<State>, link: Arc<Link>, wire: Wire, tasks: TaskTracker) {
    let mut builder = h2::server::Builder::new();
    if state.strict && apns::is_unproven(&link) {
        // The library tells a limit once and for all. So it is left out there, and ours goes out ahead of its own SETTINGS.
        link.orders.announce_streams(1);
    } else {
        let times = if state.strict { 1 } else { 10 };
        builder.max_concurrent_streams(times * MAX_CONCURRENT_STREAMS);
    }
    let handshake = builder
        .initial_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .handshake::<_, Bytes>(wire)
        .await;
    let Ok(mut connection) = handshake else {
        return;
    };
    while let Some(Ok((request, reply))) = connection.accept().await {
        let stream = Stream::begin(&link, reply.stream_id().into());
        tasks.spawn(answer(Arc::clone(&state), stream, request, reply));
    }
}

/// Answers one request, unless the sender gives it up or the connection ends.
async fn answer(
    state: Arc<State>,
    stream: Stream,
    request: hyper::Request<RecvStream>,
    mut reply: SendResponse<Bytes>,
) {
    let link = stream.link();
    let date = http_date(state.clock.now_ms());
    let (head, body) = request.into_parts();
    let ending = tokio::select! {
        biased;
        () = link.cut.cancelled() => return,
        _given_up = poll_fn(|cx| reply.poll_reset(cx)) => return,
        ending = respond(state, stream, head, read(body)) => ending,
    };
    tokio::select! {
        () = link.cut.cancelled() => {}
        _written_or_given_up = end(ending, &mut reply, (&link, &date)) => {}
    }
}

/// The body; `None` if it is longer than any service takes, or broke off.
async fn read(mut body: RecvStream) -> Option<Bytes> {
    let mut whole = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.ok()?;
        if whole.len() + chunk.len() > MAX_BODY_BYTES {
            return None;
        }
        whole.extend_from_slice(&chunk);
        body.flow_control().release_capacity(chunk.len()).ok()?;
    }
    Some(whole.into())
}

async fn end(
    ending: Ending,
    reply: &mut SendResponse<Bytes>,
    (link, date): (&Link, &str),
) -> Result<(), h2::Error> {
    match ending {
        Ending::Whole(answer) => {
            let empty = answer.body.is_empty();
            let mut body = reply.send_response(head(&answer, date), empty)?;
            if !empty {
                write(&mut body, answer.body, true).await?;
            }
        }
        Ending::BreaksOff { answer, reset } => {
            let mut body = reply.send_response(head(&answer, date), false)?;
            let half = answer.body.slice(..answer.body.len() / 2);
            write(&mut body, half, false).await?;
            tokio::time::sleep(WAY_OUT).await;
            if reset {
                body.send_reset(Reason::INTERNAL_ERROR);
            } else {
                link.cut.cancel();
            }
        }
        Ending::Endless { answer, until } => {
            let mut body = reply.send_response(head(&answer, date), false)?;
            while !until.is_cancelled() {
                write(&mut body, Bytes::from_static(CHUNK), false).await?;
            }
            body.send_data(Bytes::new(), true)?;
        }
        Ending::Reset(reason) => reply.send_reset(reason),
        Ending::Never => link.cut.cancelled().await,
    }
    Ok(())
}

/// Writes as fast as the receiver's windows allow; an error once the receiver takes no more.
async fn write(
    body: &mut SendStream<Bytes>,
    mut bytes: Bytes,
    last: bool,
) -> Result<(), h2::Error> {
    while !bytes.is_empty() {
        body.reserve_capacity(bytes.len());
        let Some(room) = poll_fn(|cx| body.poll_capacity(cx)).await else {
            // The receiver has given it up.
            return Err(Reason::CANCEL.into());
        };
        let part = bytes.split_to(room?.min(bytes.len()));
        let is_end = last && bytes.is_empty();
        body.send_data(part, is_end)?;
    }
    Ok(())
}

fn head(answer: &Answer, date: &str) -> hyper::Response<()> {
    let mut response = hyper::Response::new(());
    *response.status_mut() = answer.status;
    answer.fill(response.headers_mut());
    if let Ok(date) = HeaderValue::from_str(date) {
        response.headers_mut().insert(DATE, date);
    }
    response
}
