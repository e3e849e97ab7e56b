//! A reader of an event stream.

use http_body_util::BodyExt as _;
use hyper::{HeaderMap, Method, body::Bytes, body::Incoming};
use serde_json::Value;
use tokio::time::timeout;

use super::{Client, wait::DEADLINE};

/// An open stream of changes.
#[derive(Debug)]
pub struct Sse {
    pub headers: HeaderMap,
    body: Incoming,
    text: String,
}

/// One block of a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    Comment(String),
    Event { id: String, data: Value },
}

impl Sse {
    /// Opens a stream that must open; its first block, which says so, is read.
    pub async fn open(client: &Client, path: &str) -> Self {
        let (status, headers, body) = client.open(Method::GET, path, Bytes::new()).await;
        let mut it = Self {
            headers,
            body,
            text: String::new(),
        };
        if status != 200 {
            panic!("{path}: {status} {}", it.rest().await);
        }
        assert!(
            matches!(it.block().await, Some(Block::Comment(_))),
            "a stream says at once that it is open"
        );
        it
    }

    /// The next block; nothing, where the stream ended.
    pub async fn block(&mut self) -> Option<Block> {
        while !self.text.contains("\n\n") {
            let chunk = self.chunk().await?;
            self.text.push_str(&chunk);
        }
        let (block, rest) = self.text.split_once("\n\n").unwrap();
        let (block, rest) = (block.to_owned(), rest.to_owned());
        self.text = rest;
        Some(parse(&block))
    }

    /// The next event, past all comments.
    pub async fn event(&mut self) -> (String, Value) {
        loop {
            match self.block().await {
                Some(Block::Event { id, data }) => return (id, data),
                Some(Block::Comment(_)) => {}
                None => panic!("the stream ended where an event was to come"),
            }
        }
    }

    /// What comes until the stream ends, which it must.
    pub async fn rest(&mut self) -> String {
        let mut rest = std::mem::take(&mut self.text);
        while let Some(chunk) = self.chunk().await {
            rest.push_str(&chunk);
        }
        rest
    }

    async fn chunk(&mut self) -> Option<String> {
        let frame = timeout(DEADLINE, self.body.frame());
        let frame = frame.await.unwrap_or_else(|_| {
            panic!(
                "nothing came for {DEADLINE:?}, and no end; so far: {:?}",
                self.text
            )
        });
        let bytes = frame?.ok()?.into_data().unwrap_or_default();
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    }
}

fn parse(block: &str) -> Block {
    if let Some(comment) = block.strip_prefix(':') {
        return Block::Comment(comment.trim().to_owned());
    }
    let (mut id, mut data, mut event) = (None, None, None);
    for line in block.lines() {
        match line.split_once(": ") {
            Some(("id", value)) => id = Some(value.to_owned()),
            Some(("data", value)) => data = Some(serde_json::from_str(value).unwrap()),
            Some(("event", value)) => event = Some(value.to_owned()),
            _ => panic!("no line of an event: {line}"),
        }
    }
    assert_eq!(event.as_deref(), Some("change"), "{block}");
    Block::Event {
        id: id.unwrap_or_else(|| panic!("an event without id: {block}")),
        data: data.unwrap_or_else(|| panic!("an event without data: {block}")),
    }
}
