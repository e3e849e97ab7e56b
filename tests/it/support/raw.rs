//! A connection on which a test writes what no client would.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
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
