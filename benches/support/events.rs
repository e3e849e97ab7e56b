//! A client of Server-Sent Events with next to nothing around it.

use std::{net::SocketAddr, time::Instant};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::http::request;

/// Room for an event or two.
const READ_BYTES: usize = 1024;

/// An open stream.
pub(crate) struct EventStream {
    stream: TcpStream,
    /// What came and may be the beginning of what is waited for.
    received: Vec<u8>,
}

impl EventStream {
    /// Opens a stream, and returns once the server has said its first word on it.
    pub(crate) async fn open(addr: SocketAddr, path: &str, credential: &str) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut it = Self {
            stream,
            received: Vec::new(),
        };
        let opening = request("GET", path, credential, "");
        it.stream.write_all(&opening).await.unwrap();
        it.until(b": beckon\n\n").await;
        it
    }

    /// Reads until these bytes have come; says when. All that came up to then is forgotten.
    pub(crate) async fn until(&mut self, wanted: &[u8]) -> Instant {
        let mut at = Instant::now();
        loop {
            let mut windows = self.received.windows(wanted.len());
            if let Some(found) = windows.position(|window| window == wanted) {
                self.received.drain(..found + wanted.len());
                return at;
            }
            // What came with a heartbeat, say, is of no use.
            let useless = self.received.len().saturating_sub(wanted.len() - 1);
            self.received.drain(..useless);
            self.received.reserve(READ_BYTES);
            let read = self.stream.read_buf(&mut self.received).await.unwrap();
            at = Instant::now();
            assert!(read > 0, "the server has ended a stream");
        }
    }
}
