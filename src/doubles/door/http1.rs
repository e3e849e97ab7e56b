//! HTTP/1.1, spoken with hyper.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};

use super::super::exchange::{Answer, Link};
use super::super::passage::{Ending, MAX_BODY_BYTES, Stream, respond};
use super::super::state::State;
use super::wire::Wire;

/// How long the first half of an answer has to get out before the rest breaks off.
const WAY_OUT: Duration = Duration::from_millis(20);
const CHUNK: &[u8] = &[b'x'; 16 * 1024];

type Response = hyper::Response<UnsyncBoxBody<Bytes, io::Error>>;

/// Serves a connection until it ends.
pub(super) async fn serve(state: Arc<State>, link: Arc<Link>, wire: Wire) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (state, link) = (Arc::clone(&state), Arc::clone(&link));
        async move {
            let stream = Stream::begin(&link, 0);
            let (head, body) = request.into_parts();
            let ending = respond(state, stream, head, read(body)).await;
            Ok::<_, Infallible>(response(ending, &link).await)
        }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new());
    let _ = http.serve_connection(TokioIo::new(wire), service).await;
}

/// The body; `None` if it is longer than any service takes, or broke off.
async fn read(body: Incoming) -> Option<Bytes> {
    let whole = Limited::new(body, MAX_BODY_BYTES).collect().await;
    whole.ok().map(http_body_util::Collected::to_bytes)
}

async fn response(ending: Ending, link: &Link) -> Response {
    match ending {
        Ending::Whole(answer) => {
            let body = Full::new(answer.body.clone());
            dressed(&answer, body.map_err(|never| match never {}).boxed_unsync())
        }
        Ending::BreaksOff { answer, .. } => {
            // With nothing to break off, one byte is promised that never comes.
            let promised = answer.body.len().max(1);
            let half = answer.body.slice(..answer.body.len() / 2);
            let parts = stream::unfold(Some(half), |half| async move {
                match half {
                    Some(half) if !half.is_empty() => {
                        Some((Ok(Frame::data(half)), Some(Bytes::new())))
                    }
                    _ => {
                        tokio::time::sleep(WAY_OUT).await;
                        Some((Err(io::Error::from(io::ErrorKind::BrokenPipe)), None))
                    }
                }
            });
            let mut response = dressed(&answer, StreamBody::new(parts).boxed_unsync());
            response
                .headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from(promised));
            response
        }
        Ending::Endless { answer, until } => {
            let parts = stream::unfold((), move |()| {
                let until = until.clone();
                async move {
                    let part = Ok(Frame::data(Bytes::from_static(CHUNK)));
                    (!until.is_cancelled()).then_some((part, ()))
                }
            });
            dressed(&answer, StreamBody::new(parts).boxed_unsync())
        }
        // HTTP/1.1 has no streams: what would end one ends the connection.
        Ending::Reset(_) | Ending::Never => {
            link.cut.cancel();
            std::future::pending().await
        }
    }
}

fn dressed(answer: &Answer, body: UnsyncBoxBody<Bytes, io::Error>) -> Response {
    let mut response = hyper::Response::new(body);
    *response.status_mut() = answer.status;
    answer.fill(response.headers_mut());
    response
}
