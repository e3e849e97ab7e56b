//! The doubles without their doors: a simulation asks their rules in process, on its own clock.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::body::Bytes;
use hyper::header::HeaderMap;
use hyper::{Method, StatusCode, Uri};
use tokio_util::sync::CancellationToken;

use super::device::Service;
use super::error::Error;
use super::exchange::{Answer, Link, Request};
use super::folder::Folder;
use super::handle::Handle;
use super::settings::Ports;
use super::state::State;
use super::{
    passage::{self, Ending, Stream},
    state_of, web_push,
};

/// Ports that nobody listens at: they tell the services apart in a URL.
const PORTS: Ports = Ports {
    apns: 1,
    fcm: 2,
    web_push: 3,
    wns: 4,
    api: 5,
};

/// The four services, each with one connection that never fails but by a fault.
pub(crate) struct Inside {
    state: Arc<State>,
    links: Mutex<Vec<Arc<Link>>>,
}

impl Inside {
    /// The services over a folder, whose keys are made if they are not there.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let state = Arc::new(state_of(Folder::open(folder)?, PORTS)?);
        let links = Service::ALL.map(|service| Arc::new(link(service)));
        Ok(Self {
            state,
            links: Mutex::new(links.into()),
        })
    }

    /// To look at the doubles and to drive them.
    pub(crate) fn handle(&self) -> Handle {
        Handle {
            state: Arc::clone(&self.state),
        }
    }

    /// Says what time it is, in milliseconds since 1970.
    pub(crate) fn set_time(&self, now_ms: i64) {
        self.state.clock.simulate_ms(now_ms);
    }

    /// The service that a URL with this port leads to.
    pub(crate) fn service_at(port: u16) -> Option<Service> {
        let ports = [PORTS.apns, PORTS.fcm, PORTS.web_push, PORTS.wns];
        let at = ports.iter().position(|known| *known == port)?;
        Service::ALL.get(at).copied()
    }

    /// What a Web Push tells its browser; none where the body cannot be opened, or nobody is there.
    pub(crate) fn plaintext(&self, path: &str, body: &[u8]) -> Option<Vec<u8>> {
        web_push::opened(&self.state, path, body)
    }

    /// The answer to a POST: status, headers, body. None, where the connection was cut instead.
    pub(crate) async fn answer(
        &self,
        service: Service,
        (uri, headers, body): (Uri, HeaderMap, Bytes),
    ) -> Option<(StatusCode, HeaderMap, Bytes)> {
        let request = Request {
            method: Method::POST,
            uri,
            headers,
            body: Some(body),
        };
        let link = self.link_to(service);
        let stream = Stream::begin(&link, 0);
        let ending = tokio::select! {
            biased;
            () = link.cut.cancelled() => return None,
            ending = passage::exchange(&self.state, &stream, &request) => ending,
        };
        match ending {
            Ending::Whole(answer) => Some(parts(answer)),
            Ending::Never => std::future::pending().await,
            Ending::BreaksOff { .. } | Ending::Endless { .. } | Ending::Reset(_) => None,
        }
    }

    /// The connection to a service, a new one where the last was cut.
    fn link_to(&self, service: Service) -> Arc<Link> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|link| !link.cut.is_cancelled());
        if let Some(link) = links.iter().find(|link| link.service == service) {
            return Arc::clone(link);
        }
        let fresh = Arc::new(link(service));
        links.push(Arc::clone(&fresh));
        fresh
    }
}

fn link(service: Service) -> Link {
    Link::new(0, service, CancellationToken::new())
}

fn parts(answer: Answer) -> (StatusCode, HeaderMap, Bytes) {
    let mut headers = HeaderMap::new();
    for (name, value) in answer.headers {
        let value = value.parse().expect("the doubles answer with good headers");
        headers.append(name, value);
    }
    (answer.status, headers, answer.body)
}
