//! When a page counts as fetched: once its last byte was handed to the socket.
//!
//! The answer's body is one that knows when it is done. It yields the page, lets the connection flush, and only then
//! reports; a connection that breaks first drops the body, and nothing is reported. Reports go through a queue to a
//! task of their own, so that a client that closes right after reading loses none.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context as Task, Poll},
};

use actix_web::{
    HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    web::Bytes,
};
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    hub::{self, Answered, Hub},
    model::{EndpointId, FeedPosition, NotificationId, Subject, Timestamp},
};

/// How many reports may wait; who comes with the next one waits until there is room.
const QUEUE: usize = 4096;
/// How many are taken from the queue at once, and written beside each other.
const AT_ONCE: usize = 256;

/// An endpoint's fetch, to be written down.
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) subject: Subject,
    pub(super) endpoint: EndpointId,
    pub(super) what: Fetched,
    /// When it was answered: reports are written down a moment later.
    pub(super) at: Timestamp,
    /// Has who would send a fallback wait until it is written down.
    pub(super) page: Answered,
}

/// What was fetched.
#[derive(Debug)]
pub(super) enum Fetched {
    /// The feed up to here.
    UpTo(FeedPosition),
    /// These, each as its latest change left it, which moves no position.
    Ones(Vec<(NotificationId, FeedPosition)>),
}

/// Where fetches are reported; cheap to clone.
#[derive(Debug, Clone)]
pub struct Fetches(mpsc::Sender<Fetch>);

/// Writes down what was reported. It runs beside the server and must outlive it.
#[derive(Debug)]
pub struct FetchRecorder {
    hub: Hub,
    reports: mpsc::Receiver<Fetch>,
}

/// A queue for fetches, and who empties it.
pub fn fetches(hub: Hub) -> (Fetches, FetchRecorder) {
    let (sender, reports) = mpsc::channel(QUEUE);
    (Fetches(sender), FetchRecorder { hub, reports })
}

impl FetchRecorder {
    /// Writes until `stop`, and then what still waits. Stop it after the server, whose last answers report too.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::new();
        loop {
            let taken = tokio::select! {
                taken = self.reports.recv_many(&mut batch, AT_ONCE) => taken,
                () = stop.cancelled(), if !self.reports.is_closed() => {
                    self.reports.close();
                    continue;
                }
            };
            if taken == 0 {
                return;
            }
            self.record(batch.drain(..)).await;
        }
    }

    /// Fetches of one endpoint are written in order, those of different ones beside each other, so that they share
    /// a sync of the disk.
    async fn record(&self, batch: impl Iterator<Item = Fetch>) {
        let mut by_endpoint: HashMap<(Subject, EndpointId), Vec<_>> = HashMap::new();
        for fetch in batch {
            let key = (fetch.subject, fetch.endpoint);
            let of_one = by_endpoint.entry(key).or_default();
            of_one.push((fetch.what, fetch.at, fetch.page));
        }
        futures_util::stream::iter(by_endpoint)
            .for_each_concurrent(AT_ONCE, |((subject, endpoint), all)| async move {
                for (what, at, page) in all {
                    let whose = (subject.clone(), endpoint.clone());
                    let written = self.write(whose, what, at).await;
                    drop(page);
                    if let Err(error) = written {
                        tracing::error!(%error, "a fetch was not written down; the endpoint may be tapped again");
                    }
                }
            })
            .await;
    }

    async fn write(
        &self,
        (subject, endpoint): (Subject, EndpointId),
        what: Fetched,
        at: Timestamp,
    ) -> Result<(), hub::Error> {
        match what {
            Fetched::UpTo(position) => self.hub.fetched(subject, endpoint, position, at).await,
            Fetched::Ones(read) => self.hub.fetched_ones(subject, endpoint, read, at).await,
        }
    }
}

impl Fetches {
    /// The same answer, with a body that reports the fetch once it has left.
    pub(super) fn after(&self, answer: HttpResponse, fetch: Fetch) -> HttpResponse {
        let sender = self.0.clone();
        answer.map_body(|_, body| match body.try_into_bytes() {
            Ok(bytes) => BoxBody::new(Page(State::Whole(bytes, Box::new(fetch), sender))),
            Err(body) => body,
        })
    }
}

type Reporting = Pin<Box<dyn Future<Output = ()>>>;

/// The body of an answer that counts as a fetch.
struct Page(State);

enum State {
    Whole(Bytes, Box<Fetch>, mpsc::Sender<Fetch>),
    Flushing(Reporting),
    Reporting(Reporting),
    Done,
}

impl MessageBody for Page {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        match &self.0 {
            State::Whole(bytes, ..) => BodySize::Sized(bytes.len() as u64),
            _ => BodySize::Sized(0),
        }
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        match std::mem::replace(&mut self.0, State::Done) {
            State::Whole(bytes, fetch, sender) => {
                let report = async move {
                    fetch.page.handed_over();
                    // Nobody hears it only when the process ends, and then the next pull says the same.
                    let _ = sender.send(*fetch).await;
                };
                self.0 = State::Flushing(Box::pin(report));
                Poll::Ready(Some(Ok(bytes)))
            }
            State::Flushing(report) => {
                // The connection writes out what it holds when a body has nothing more for the moment.
                self.0 = State::Reporting(report);
                task.waker().wake_by_ref();
                Poll::Pending
            }
            State::Reporting(mut report) => match report.as_mut().poll(task) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => {
                    self.0 = State::Reporting(report);
                    Poll::Pending
                }
            },
            State::Done => Poll::Ready(None),
        }
    }
}
