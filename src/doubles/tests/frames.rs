//! HTTP/2 frame by frame, for a client that keeps no rule (RFC 9113, section 4.1; headers after RFC 7541, section 6.2.3).

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::support::*;

const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const GO_AWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// A connection.
pub(super) struct Frames(TlsStream<TcpStream>);

impl Frames {
    /// Opens it and gets the SETTINGS of both sides over with.
    pub(super) async fn open(rig: &Rig, draft: &Draft) -> Self {
        let mut stream = rig.tls(draft.authority(), &["h2"]).await.unwrap();
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        let mut frames = Self(stream);
        frames.write(SETTINGS, 0, 0, &[]).await;
        frames.next(SETTINGS, 0).await;
        frames
    }

    /// A whole request on this stream.
    pub(super) async fn request(&mut self, stream: u32, draft: &Draft) {
        let (_, path) = draft.uri.split_once(draft.authority()).unwrap();
        let pseudo = [
            (":method", draft.method),
            (":scheme", "https"),
            (":authority", draft.authority()),
            (":path", path),
        ];
        let own = draft
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()));
        let mut block = Vec::new();
        for (name, value) in pseudo.into_iter().chain(own) {
            block.push(0x10);
            text(&mut block, name);
            text(&mut block, value);
        }
        self.write(HEADERS, END_HEADERS, stream, &block).await;
        self.write(DATA, END_STREAM, stream, &draft.body).await;
    }

    /// The payload of the next frame of this kind on this stream; SETTINGS are acknowledged, others passed over.
    pub(super) async fn next(&mut self, kind: u8, stream: u32) -> Vec<u8> {
        let reading = async {
            loop {
                let mut head = [0; 9];
                self.0.read_exact(&mut head).await.unwrap();
                let size = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                let mut payload = vec![0; usize::try_from(size).unwrap()];
                self.0.read_exact(&mut payload).await.unwrap();
                let acknowledges = head[3] == SETTINGS && head[4] & ACK != 0;
                if head[3] == SETTINGS && !acknowledges {
                    self.write(SETTINGS, ACK, 0, &[]).await;
                }
                let at = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                if (head[3], at) == (kind, stream) && !acknowledges {
                    return payload;
                }
                assert!(
                    at != stream || stream == 0 || head[3] != RST_STREAM,
                    "stream {at} was reset: {payload:?}"
                );
            }
        };
        let read = tokio::time::timeout(SOON, reading).await;
        read.unwrap_or_else(|_| panic!("no frame {kind} on stream {stream}"))
    }

    /// The payload of the next SETTINGS that limit the streams, and nothing else.
    pub(super) async fn next_limit(&mut self) -> Vec<u8> {
        loop {
            let settings = self.next(SETTINGS, 0).await;
            if settings.starts_with(&[0, 3]) {
                return settings;
            }
        }
    }

    async fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![size[1], size[2], size[3], kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.write_all(&frame).await.unwrap();
    }
}

/// A string without Huffman coding (RFC 7541, section 5.2).
fn text(block: &mut Vec<u8>, text: &str) {
    let mut size = text.len();
    if size < 127 {
        block.push(u8::try_from(size).unwrap());
    } else {
        block.push(127);
        size -= 127;
        while size >= 128 {
            block.push(u8::try_from(size % 128 + 128).unwrap());
            size /= 128;
        }
        block.push(u8::try_from(size).unwrap());
    }
    block.extend(text.as_bytes());
}
