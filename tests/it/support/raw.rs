//! A connection on which a test writes what no client would.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::wait::DEADLINE;

/// How a test leaves its side of the connection after it has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It says that no more comes.
    Shut,
    /// It keeps it open.
    Wait,
}

/// Writes bytes and reads until the hub closes the connection, which it must.
pub async fn exchange(addr: SocketAddr, sent: &[u8], then: Then) -> String {
    let mut tcp = TcpStream::connect(addr).await.unwrap();
    // The hub may close before all is written.
    let _ = tcp.write_all(sent).await;
    if then == Then::Shut {
        let _ = tcp.shutdown().await;
    }
    let mut read = Vec::new();
    let ended = timeout(DEADLINE, tcp.read_to_end(&mut read)).await;
    let text = String::from_utf8_lossy(&read).into_owned();
    assert!(ended.is_ok(), "the hub left the connection open: {text}");
    text
}

/// A connection that is kept open, for one request after the other.
#[derive(Debug)]
pub struct Kept(TcpStream);

impl Kept {
    pub async fn connect(addr: SocketAddr) -> Self {
        Self(TcpStream::connect(addr).await.unwrap())
    }

    /// One whose reader takes next to nothing, so that a long answer is stuck on its way.
    pub async fn narrow(addr: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        Self(socket.connect(addr).await.unwrap())
    }

    /// Reads the first byte of an answer.
    pub async fn first_byte(&mut self) {
        let byte = timeout(DEADLINE, self.0.read_u8()).await;
        byte.expect("an answer in time").unwrap();
    }

    /// Sends a request's head and what there is of its body; `headers` end with a line break each.
    pub async fn send(&mut self, line: &str, headers: &str, body: &str) {
        let sent = format!("{line} HTTP/1.1\r\nhost: hub\r\n{headers}\r\n{body}");
        self.0.write_all(sent.as_bytes()).await.unwrap();
    }

    /// Sends the rest of a body.
    pub async fn finish(&mut self, rest: &str) {
        self.0.write_all(rest.as_bytes()).await.unwrap();
    }

    /// Waits until the hub asks for the body that was promised (RFC 9110 section 10.1.1).
    pub async fn asked_for_the_body(&mut self) {
        let interim = self.head().await;
        assert!(interim.starts_with("HTTP/1.1 100"), "{interim}");
    }

    /// Reads one answer, as text.
    pub async fn answer(&mut self) -> String {
        let head = self.head().await;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.trim().parse::<usize>().unwrap())
        });
        let mut body = vec![0; length.unwrap_or(0)];
        let read = timeout(DEADLINE, self.0.read_exact(&mut body)).await;
        read.expect("a body in time").unwrap();
        head + &String::from_utf8_lossy(&body)
    }

    async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = timeout(DEADLINE, self.0.read_u8()).await;
            head.push(byte.expect("a head in time").unwrap());
        }
        String::from_utf8(head).unwrap()
    }
}
