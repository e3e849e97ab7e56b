//! The bytes of one connection, below HTTP: where frames that no server library sends can be slipped in between its own.
//!
//! Orders are carried out when the connection's task next reads, writes or flushes, which giving an order makes it do. In HTTP/2 they
//! wait for the end of the frame that is being written (RFC 9113, section 4.1).

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::server::TlsStream;

const HEAD_BYTES: usize = 9;
const PREFACE_BYTES: usize = 24;
const SETTINGS: u8 = 4;
const GO_AWAY: u8 = 7;
const ACK: u8 = 1;
const MAX_CONCURRENT_STREAMS: u16 = 3;

/// What a connection can be told to do. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Orders(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    open: VecDeque<(Order, oneshot::Sender<()>)>,
    frozen: bool,
    waker: Option<Waker>,
}

/// One thing to do.
enum Order {
    /// These bytes go out.
    Write(Bytes),
    /// The same; it is a SETTINGS frame whose acknowledgement the server library must not see, since it did not send it.
    WriteSettings(Bytes),
    /// The end of the connection will be a TCP reset.
    ResetAtEnd,
}

impl fmt::Debug for Orders {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Orders")
    }
}

impl Orders {
    /// Sends GOAWAY (RFC 9113, section 6.8).
    pub(crate) async fn go_away(&self, last_stream: u32, error: u32, debug: &[u8]) {
        let mut payload = Vec::from(last_stream.to_be_bytes());
        payload.extend(error.to_be_bytes());
        payload.extend(debug);
        self.carry_out(Order::Write(frame(GO_AWAY, &payload))).await;
    }

    /// Changes `SETTINGS_MAX_CONCURRENT_STREAMS` (RFC 9113, section 6.5.2).
    pub(crate) async fn limit_streams(&self, streams: u32) {
        self.carry_out(stream_limit(streams)).await;
    }

    /// The same, without waiting until it is out; it goes ahead of all that is written from now on.
    pub(crate) fn announce_streams(&self, streams: u32) {
        let _nobody_waits = self.note(stream_limit(streams));
    }

    /// Sends bytes as they are.
    pub(crate) async fn write(&self, bytes: &'static [u8]) {
        self.carry_out(Order::Write(Bytes::from_static(bytes)))
            .await;
    }

    /// Lets the connection end with a TCP reset.
    pub(crate) async fn reset_at_end(&self) {
        self.carry_out(Order::ResetAtEnd).await;
    }

    /// From now on nothing is read or written.
    pub(crate) fn freeze(&self) {
        self.book().frozen = true;
    }

    /// Waits until it is done, or for as long as a live connection takes: one that is gone carries nothing out.
    async fn carry_out(&self, order: Order) {
        let wait = self.note(order);
        let _gone_or_slow = tokio::time::timeout(Duration::from_secs(2), wait).await;
    }

    fn note(&self, order: Order) -> oneshot::Receiver<()> {
        let (done, wait) = oneshot::channel();
        let waker = {
            let mut book = self.book();
            book.open.push_back((order, done));
            book.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        wait
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stream_limit(streams: u32) -> Order {
    let mut payload = Vec::from(MAX_CONCURRENT_STREAMS.to_be_bytes());
    payload.extend(streams.to_be_bytes());
    Order::WriteSettings(frame(SETTINGS, &payload))
}

fn frame(kind: u8, payload: &[u8]) -> Bytes {
    let size = u32::try_from(payload.len()).unwrap_or_default();
    let mut frame = Vec::from(&size.to_be_bytes()[1..]);
    frame.extend([kind, 0, 0, 0, 0, 0]);
    frame.extend(payload);
    Bytes::from(frame)
}

/// The stream that a server library reads and writes.
pub(super) struct Wire {
    tls: TlsStream<TcpStream>,
    orders: Orders,
    /// In HTTP/2: where frames begin and end, out and in.
    frames: Option<(Track, Incoming)>,
    writing: Option<(Bytes, oneshot::Sender<()>)>,
}

/// Follows the frames in a run of bytes.
#[derive(Default)]
struct Track {
    head: Vec<u8>,
    left: usize,
}

/// What came in, without the acknowledgements of our own SETTINGS.
#[derive(Default)]
struct Incoming {
    preface: usize,
    track: Track,
    /// The SETTINGS that are not yet acknowledged, in the order in which they went out: whether they are ours.
    awaited: VecDeque<bool>,
    ready: VecDeque<u8>,
}

impl Track {
    fn at_a_boundary(&self) -> bool {
        self.left == 0 && self.head.is_empty()
    }

    /// Takes the next bytes; gives how many belong to what is going on, and the frame head if one is complete now.
    fn step(&mut self, bytes: &[u8]) -> (usize, Option<Vec<u8>>) {
        if self.left > 0 {
            let taken = self.left.min(bytes.len());
            self.left -= taken;
            return (taken, None);
        }
        let taken = (HEAD_BYTES - self.head.len()).min(bytes.len());
        self.head.extend(&bytes[..taken]);
        if self.head.len() < HEAD_BYTES {
            return (taken, None);
        }
        let head = std::mem::take(&mut self.head);
        self.left = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        (taken, Some(head))
    }

    /// Takes bytes that went out; gives how many SETTINGS that want an acknowledgement began in them.
    fn pass(&mut self, mut bytes: &[u8]) -> usize {
        let mut settings = 0;
        while !bytes.is_empty() {
            let (taken, head) = self.step(bytes);
            settings +=
                usize::from(head.is_some_and(|head| head[3] == SETTINGS && head[4] & ACK == 0));
            bytes = &bytes[taken..];
        }
        settings
    }
}

impl Incoming {
    fn take(&mut self, mut bytes: &[u8]) {
        let preface = (PREFACE_BYTES - self.preface).min(bytes.len());
        self.preface += preface;
        self.ready.extend(&bytes[..preface]);
        bytes = &bytes[preface..];
        while !bytes.is_empty() {
            let in_payload = self.track.left > 0;
            let (taken, head) = self.track.step(bytes);
            match head {
                Some(head) if self.is_for_us(&head) => {}
                Some(head) => self.ready.extend(head),
                None if in_payload => self.ready.extend(&bytes[..taken]),
                // Half a head: it goes on when it is whole.
                None => {}
            }
            bytes = &bytes[taken..];
        }
    }

    /// Acknowledgements come in the order of the SETTINGS (RFC 9113, section 6.5.3).
    fn is_for_us(&mut self, head: &[u8]) -> bool {
        let acknowledges = head[3] == SETTINGS && head[4] & ACK != 0;
        acknowledges && self.awaited.pop_front().unwrap_or_default()
    }
}

impl Wire {
    pub(super) fn new(tls: TlsStream<TcpStream>, orders: Orders, http2: bool) -> Self {
        Self {
            tls,
            orders,
            frames: http2.then(Default::default),
            writing: None,
        }
    }

    /// Notes whom to wake for an order; whether the connection is frozen.
    fn look(&self, cx: &Context<'_>) -> bool {
        let mut book = self.orders.book();
        book.waker = Some(cx.waker().clone());
        book.frozen
    }

    /// Does what was ordered, as far as it can now.
    fn obey(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(&self.frames, Some((out, _)) if !out.at_a_boundary()) {
            return Poll::Ready(Ok(()));
        }
        loop {
            if let Some((bytes, _)) = &mut self.writing {
                while !bytes.is_empty() {
                    let written = ready!(Pin::new(&mut self.tls).poll_write(cx, bytes))?;
                    let _gone = bytes.split_to(written);
                }
                ready!(Pin::new(&mut self.tls).poll_flush(cx))?;
                if let Some((_, done)) = self.writing.take() {
                    let _nobody_waits = done.send(());
                }
            }
            let Some((order, done)) = self.orders.book().open.pop_front() else {
                return Poll::Ready(Ok(()));
            };
            match order {
                Order::Write(bytes) => self.writing = Some((bytes, done)),
                Order::WriteSettings(bytes) => {
                    if let Some((_, incoming)) = &mut self.frames {
                        incoming.awaited.push_back(true);
                    }
                    self.writing = Some((bytes, done));
                }
                Order::ResetAtEnd => {
                    self.tls.get_ref().0.set_zero_linger()?;
                    let _nobody_waits = done.send(());
                }
            }
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.look(cx) {
            return Poll::Pending;
        }
        if let Poll::Ready(Err(error)) = this.obey(cx) {
            return Poll::Ready(Err(error));
        }
        let Some((_, incoming)) = &mut this.frames else {
            return Pin::new(&mut this.tls).poll_read(cx, buf);
        };
        while incoming.ready.is_empty() {
            let mut space = [0; 16 * 1024];
            let mut read = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut this.tls).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            incoming.take(read.filled());
        }
        let (front, _) = incoming.ready.as_slices();
        let taken = front.len().min(buf.remaining());
        buf.put_slice(&front[..taken]);
        incoming.ready.drain(..taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.look(cx) {
            return Poll::Pending;
        }
        ready!(this.obey(cx))?;
        let written = ready!(Pin::new(&mut this.tls).poll_write(cx, bytes))?;
        if let Some((out, incoming)) = &mut this.frames {
            let settings = out.pass(&bytes[..written]);
            incoming
                .awaited
                .extend(std::iter::repeat_n(false, settings));
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.look(cx) {
            return Poll::Pending;
        }
        ready!(this.obey(cx))?;
        Pin::new(&mut this.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}
