//! An app server that asks a hub many things at once, over connections that it keeps.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures_util::future::join_all;

use super::http::{Connection, request};

/// An app server.
pub(crate) struct Poster {
    addr: SocketAddr,
    connections: Vec<Connection>,
}

impl Poster {
    pub(crate) async fn open(addr: SocketAddr, connections: usize) -> Self {
        let connections = (0..connections).map(|_| Connection::open(addr));
        Self {
            addr,
            connections: join_all(connections).await,
        }
    }

    /// Asks for all this to be created, each connection its share, one after another; gives back the bodies of the answers.
    async fn create(&mut self, requests: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let shares = requests.chunks(requests.len().div_ceil(self.connections.len()));
        let asking = self.connections.iter_mut().zip(shares);
        let asking = asking.map(async |(connection, requests)| {
            let mut bodies = Vec::new();
            for request in requests {
                let (status, body) = connection.ask(request).await;
                assert_eq!(status, 201, "{}", String::from_utf8_lossy(body));
                bodies.push(body.to_vec());
            }
            bodies
        });
        join_all(asking).await.concat()
    }

    /// Posts all this.
    pub(crate) async fn post(&mut self, posts: &[Vec<u8>]) {
        self.create(posts).await;
    }

    /// Gets a token for each of so many people.
    pub(crate) async fn mint(&mut self, key: &str, people: usize) -> Vec<String> {
        let mint = |nth| {
            let path = format!("/v1/users/person-{nth}/tokens");
            request("POST", &path, key, "{}")
        };
        let minting: Vec<_> = (0..people).map(mint).collect();
        let answers = self.create(&minting).await;
        let token = |body: &Vec<u8>| {
            let minted: serde_json::Value = serde_json::from_slice(body).unwrap();
            minted["token"].as_str().unwrap().to_owned()
        };
        answers.iter().map(token).collect()
    }

    /// Waits until the hub has no stream open.
    pub(crate) async fn until_closed(&self, patience: Duration) {
        let began = Instant::now();
        let mut connection = Connection::open(self.addr).await;
        loop {
            let (_, body) = connection.ask(&request("GET", "/metrics", "", "")).await;
            let text = String::from_utf8_lossy(body);
            if text.lines().any(|line| line == "beckon_streams_open 0") {
                return;
            }
            assert!(began.elapsed() < patience, "streams stay open");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
