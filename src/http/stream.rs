//! Server-Sent Events: the changes of a feed as they come (WHATWG HTML, section 9.2).
//!
//! A stream holds a position in the feed and never a queue: it is woken by the feed's bell, reads from its position,
//! and writes only what the connection asks for. An event's id is a cursor.

use std::{convert::Infallible, fmt::Write as _, time::Duration};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    dev::Payload,
    http::header,
    web::{Bytes, Data},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Answer, Context, Error, READER_PATIENCE, app_client,
    auth::{self, AppClient},
    body::{Extracting, OptionalBody},
    pieces::{Piece, Shared},
    query::Query,
    wire,
};
use crate::{
    hub::{self, Hub, Item, Listener, Since, UserCaller},
    model::{EndpointId, FeedPosition, Timestamp},
    store::FeedBell,
};

/// How often a comment says that the stream is alive.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How many changes are read, and written in one piece, at a time.
const PIECE: usize = 16;

/// `POST /v1/me/notifications/stream/ticket`.
pub(super) async fn ticket(
    client: AppClient,
    body: OptionalBody,
    context: Data<Context>,
) -> Answer {
    let from = wire::ticket(&body.0)?;
    let from = app_client::cursor(&context, &client.caller.subject, from).await?;
    let caller = UserCaller {
        endpoint: client.endpoint,
        ..client.caller
    };
    let (ticket, expires) = context.hub.ticket(caller, from);
    Ok(HttpResponse::Created().json(wire::Ticket::of(&ticket, expires)))
}

/// Who opens a stream, by its credential or by a ticket, counted in.
#[derive(Debug)]
pub(super) struct Opener {
    client: AppClient,
    listener: Listener,
    from: Option<FeedPosition>,
}

impl FromRequest for Opener {
    type Error = Error;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let by_credential = AppClient::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let query = Query::of(&request)?;
            let hub = &Context::of(&request)?.hub;
            let Some(ticket) = query.get("ticket") else {
                let client = by_credential.await?;
                let listener = hub.listen(&client.caller.subject, client.endpoint.clone())?;
                return Ok(Self {
                    client,
                    listener,
                    from: None,
                });
            };
            // Counted before it is used up, so that who comes too often may come again with it.
            let holder = hub.ticket_holder(ticket)?;
            auth::leave_app(&request, &holder.subject.app);
            auth::count(&request, &holder)?;
            let (ticket, listener) = hub.listen_by_ticket(ticket)?;
            let client = AppClient::by_ticket(ticket.caller);
            if let Some(endpoint) = &client.endpoint {
                hub.seen(&client.caller.subject, endpoint).await?;
            }
            Ok(Self {
                client,
                listener,
                from: ticket.from,
            })
        })
    }
}

/// `GET /v1/me/notifications/stream`.
pub(super) async fn open(opener: Opener, request: HttpRequest, context: Data<Context>) -> Answer {
    let hub = &context.hub;
    let subject = opener.client.subject();
    // Before the head is read, so that nothing falls between the two.
    let bell = hub.watch(&subject);
    let position = match asked_from(&request)? {
        Some(cursor) => hub.open_cursor(&subject, &cursor).await?,
        None => match opener.from {
            Some(from) => from,
            None => hub.head(subject).await?,
        },
    };
    // Boxed, since each future of the next piece would else hold it twice.
    let events = Box::new(Events::new(
        &context,
        opener.client,
        (bell, opener.listener),
        position,
    ));
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(futures_util::stream::unfold(events, Events::next)))
}

/// The cursor that a request names: where a stream broke off wins over where it was to begin.
fn asked_from(request: &HttpRequest) -> Result<Option<String>, Error> {
    let last = request.headers().get("last-event-id");
    match last.filter(|id| !id.is_empty()) {
        // What is no text is none of our cursors, and is refused as any other that is not.
        Some(last) => Ok(Some(last.to_str().unwrap_or("?").to_owned())),
        None => Ok(Query::of(request)?.get("$deltatoken").map(str::to_owned)),
    }
}

/// An open stream.
struct Events {
    hub: Hub,
    stop: CancellationToken,
    caller: UserCaller,
    endpoint: Option<EndpointId>,
    bell: FeedBell,
    reloads: watch::Receiver<()>,
    /// Counts the stream in for as long as it lives.
    _listener: Listener,
    /// What the user's other streams were told last.
    shared: Shared,
    position: FeedPosition,
    behind: Behind,
    beat_at: Timestamp,
    /// When the calling endpoint is over, as it was asked last.
    ends: Timestamp,
    /// When the last piece was handed to the connection, which asks for the next once it has room.
    handed: Option<Timestamp>,
}

/// Whether there may be something after a stream's position.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    No,
    /// What was committed just now, and is in memory.
    Fresh,
    /// What may be as old as the feed.
    Any,
}

/// Why a resting stream goes on.
enum Woken {
    Ended,
    Moved,
    Reloaded,
    Beat,
}

impl Events {
    fn new(
        context: &Context,
        client: AppClient,
        (bell, listener): (FeedBell, Listener),
        position: FeedPosition,
    ) -> Self {
        let shared = context.pieces.of(&client.caller.subject);
        Self {
            hub: context.hub.clone(),
            reloads: context.hub.reconfigurations(),
            stop: context.stop.clone(),
            caller: client.caller,
            endpoint: client.endpoint,
            bell,
            _listener: listener,
            shared,
            position,
            behind: Behind::Any,
            beat_at: context.hub.now(),
            ends: Timestamp::MAX,
            handed: None,
        }
    }

    /// The next piece; nothing, where the stream ends.
    async fn next(mut self: Box<Self>) -> Option<(Result<Bytes, Infallible>, Box<Self>)> {
        let now = self.hub.now();
        let blocked = self
            .handed
            .is_some_and(|at| now.since(at) > READER_PATIENCE);
        if blocked {
            return None;
        }
        // The first comes at once, so that the client sees that the stream is open.
        let piece = if self.handed.is_none() {
            self.beat()
        } else {
            self.piece().await?
        };
        self.handed = Some(self.hub.now());
        Some((Ok(piece), self))
    }

    async fn piece(&mut self) -> Option<Bytes> {
        loop {
            if self.behind != Behind::No {
                if !self.may_go_on().await {
                    return None;
                }
                let events = self.read().await?;
                if !events.is_empty() {
                    return Some(events);
                }
                continue;
            }
            match self.rest().await {
                Woken::Ended => return None,
                Woken::Moved => self.behind = Behind::Fresh,
                Woken::Reloaded if self.may_go_on().await => {}
                Woken::Reloaded => return None,
                Woken::Beat => return self.may_go_on().await.then(|| self.beat()),
            }
        }
    }

    async fn rest(&mut self) -> Woken {
        let clock = self.hub.clock();
        tokio::select! {
            () = self.stop.cancelled() => Woken::Ended,
            () = self.bell.moved() => Woken::Moved,
            // Its app may be gone.
            Ok(()) = self.reloads.changed() => Woken::Reloaded,
            // A token that is over ends the stream in place of the beat, and an endpoint that is.
            () = clock.sleep_until(self.beat_at.min(self.caller.expires).min(self.ends)) => Woken::Beat,
        }
    }

    fn beat(&mut self) -> Bytes {
        self.beat_at = self.hub.now().plus(HEARTBEAT);
        Bytes::from_static(b": beckon\n\n")
    }

    /// Whether the credential, the endpoint, the app and the hub are still there.
    async fn may_go_on(&mut self) -> bool {
        let subject = &self.caller.subject;
        if self.stop.is_cancelled()
            || self.hub.app(&subject.app).is_none()
            || !self.hub.still_good(&self.caller)
        {
            return false;
        }
        let Some(endpoint) = &self.endpoint else {
            return true;
        };
        let seen = self.hub.still_seen(subject, endpoint).await;
        self.ends = seen.as_ref().copied().unwrap_or(self.ends);
        seen.is_ok()
    }

    /// What comes after the position, as events.
    async fn read(&mut self) -> Option<Bytes> {
        let heard = self.bell.hear();
        let piece = match self.shared.piece(self.position, heard) {
            Some(told) => told,
            None => {
                let piece = self.read_piece(heard).await?;
                self.shared.keep(piece.clone());
                piece
            }
        };
        self.position = piece.position;
        self.behind = if piece.more { Behind::Any } else { Behind::No };
        Some(piece.text)
    }

    /// Reads it. A feed that reaches no longer back to the position ends the stream: the client learns the rest when it
    /// comes again.
    async fn read_piece(&self, heard: u64) -> Option<Piece> {
        let subject = &self.caller.subject;
        let since = Some(Since::Cursor(self.position));
        let page = match self.behind {
            Behind::Fresh => self.hub.fresh_delta(subject, since, PIECE).await,
            // Boxed, so that a stream at rest is small.
            _ => Box::pin(self.hub.delta(subject.clone(), since, PIECE)).await,
        };
        let page = match page {
            Ok(page) => page,
            Err(hub::Error::CursorTooOld) => return None,
            Err(error) => {
                tracing::error!(%error, "a stream ends since its feed cannot be read");
                return None;
            }
        };
        let mut text = String::new();
        for item in &page.items {
            self.write(&mut text, item)?;
        }
        Some(Piece {
            from: self.position,
            heard,
            text: text.into(),
            position: page.position,
            more: page.more,
        })
    }

    fn write(&self, text: &mut String, item: &Item) -> Option<()> {
        let id = self.hub.cursor(&self.caller.subject, item.position());
        // JSON holds no line break, so it is one line of data.
        let data = serde_json::to_string(&wire::DeltaItem::from(item)).ok()?;
        writeln!(text, "event: change\nid: {id}\ndata: {data}\n").ok()
    }
}
