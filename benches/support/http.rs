//! HTTP/1.1 with next to nothing around it: a whole request goes out in one write, a whole answer comes in. So what is
//! measured is the hub.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A connection that is kept.
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            received: Vec::with_capacity(64 * 1024),
        }
    }

    /// Sends a request and reads its answer: the status, and the body.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> (u16, &[u8]) {
        self.stream.write_all(request).await.unwrap();
        self.received.clear();
        let (status, body, length) = loop {
            self.read().await;
            if let Some(head) = head(&self.received) {
                break head;
            }
        };
        while self.received.len() < body + length {
            self.read().await;
        }
        (status, &self.received[body..])
    }

    async fn read(&mut self) {
        let read = self.stream.read_buf(&mut self.received).await.unwrap();
        assert!(read > 0, "the hub has closed the connection");
    }
}

/// The status, where the body begins, and how long it is; none, where the head is not all there.
fn head(received: &[u8]) -> Option<(u16, usize, usize)> {
    let end = received.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&received[..end]).unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = text.lines().filter_map(|line| line.split_once(": "));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    Some((status, end + 4, length.unwrap().1.parse().unwrap()))
}

/// A request with a credential, ready to be sent.
pub(crate) fn request(method: &str, path: &str, credential: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {credential}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
