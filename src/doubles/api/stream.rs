//! What happens at the doubles, as server-sent events (WHATWG HTML, section 9.2).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::StatusCode;
use hyper::body::{Bytes, Frame, Incoming};

use super::super::handle::Handle;
use super::super::journal::Entry;
use super::{Refusal, Response, dressed};

/// A comment is sent so often when nothing happens, so that a reader notices a connection that is gone.
const ALIVE: Duration = Duration::from_secs(15);

/// Where a reader is in the record, and what it wants of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    /// After which entry; `None` if the reader did not say.
    pub(super) after: Option<u64>,
    device: Option<String>,
}

impl Place {
    /// Reads `?after=`, `?device=` and `Last-Event-ID`, which counts more, since a browser sends it when it comes back.
    ///
    /// # Errors
    /// A 400 if a place is no number.
    pub(super) fn of(request: &hyper::Request<Incoming>) -> Result<Self, Refusal> {
        let mut place = Self::default();
        let mut after = None;
        for (name, value) in
            url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
        {
            match &*name {
                "after" => after = Some(value.into_owned()),
                "device" => place.device = Some(value.into_owned()),
                _ => {}
            }
        }
        let last = request
            .headers()
            .get("last-event-id")
            .and_then(|value| value.to_str().ok());
        if let Some(text) = last.map(str::to_owned).or(after) {
            let number = text.parse().map_err(|_| bad_place(&text))?;
            place.after = Some(number);
        }
        Ok(place)
    }

    /// Whether the entry is about the device that the reader follows.
    pub(super) fn is_about(&self, entry: &Entry) -> bool {
        self.device
            .as_deref()
            .is_none_or(|device| entry.device() == Some(device))
    }
}

fn bad_place(text: &str) -> Refusal {
    (
        StatusCode::BAD_REQUEST,
        "badRequest",
        format!("after must be a seq, not {text:?}"),
    )
}

/// A reader's way through the record.
struct Reader {
    handle: Handle,
    place: Place,
    after: u64,
    pending: VecDeque<Entry>,
}

/// Answers with a stream that ends when the doubles stop.
pub(super) fn open(handle: &Handle, place: Place) -> Response {
    let after = place.after.unwrap_or_else(|| handle.place());
    let reader = Reader {
        handle: handle.clone(),
        place,
        after,
        pending: VecDeque::new(),
    };
    // The first comment makes the headers leave at once, so that a page knows that it is connected.
    let hello = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from_static(
        b": connected\n\n",
    )))]);
    let events = stream::unfold(reader, |mut reader| async move {
        let text = reader.next().await;
        Some((Ok(Frame::data(Bytes::from(text))), reader))
    });
    let body = StreamBody::new(futures_util::StreamExt::chain(hello, events)).boxed_unsync();
    dressed(StatusCode::OK, "text/event-stream", body)
}

impl Reader {
    /// The next event as text, or a comment when nothing happened for a while.
    async fn next(&mut self) -> String {
        loop {
            if let Some(entry) = self.pending.pop_front() {
                self.after = entry.seq();
                if self.place.is_about(&entry) {
                    return event(&entry);
                }
                continue;
            }
            self.pending = self.handle.next_entries(self.after, ALIVE).await.into();
            if self.pending.is_empty() {
                return ": alive\n\n".to_owned();
            }
        }
    }
}

fn event(entry: &Entry) -> String {
    let (name, data) = match entry {
        Entry::Arrival(arrival) => ("arrival", serde_json::to_string(arrival.as_ref())),
        Entry::HandedOver(handed) => ("push", serde_json::to_string(handed.as_ref())),
    };
    format!(
        "id: {}\nevent: {name}\ndata: {}\n\n",
        entry.seq(),
        data.unwrap_or_default()
    )
}
