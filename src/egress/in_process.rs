//! Lets a simulation stand in for the network of its own thread: requests are answered in process, by its rules and on
//! its clock.

use std::{
    cell::RefCell,
    future::{Future, ready},
    pin::Pin,
};

use bytes::Bytes;
use hyper::header::HeaderMap;
use url::Url;

use super::{Answer, Failure, Request};

/// A request that would have left.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What comes of it.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Answer, Failure>> + Send>>;

type Network = Box<dyn Fn(Sent) -> Answering>;

thread_local! {
    static NETWORK: RefCell<Option<Network>> = const { RefCell::new(None) };
}

/// From now on this thread's requests go to `network`, until [`unplug`].
pub(crate) fn plug_in(network: impl Fn(Sent) -> Answering + 'static) {
    NETWORK.set(Some(Box::new(network)));
}

/// This thread's requests leave by the real network again.
pub(crate) fn unplug() {
    NETWORK.set(None);
}

pub(super) fn answer(request: &Request) -> Option<Answering> {
    NETWORK.with_borrow(|network| {
        let network = network.as_ref()?;
        let mut headers = request.headers.clone();
        let credential = match request.authorize(&mut headers) {
            Ok(credential) => credential.map_or(0, |credential| credential.number),
            Err(failure) => return Some(Box::pin(ready(Err(failure))) as Answering),
        };
        let answering = network(Sent {
            url: request.url.clone(),
            headers,
            body: request.body.clone(),
        });
        Some(Box::pin(async move {
            let answer = answering.await?;
            Ok(Answer {
                credential,
                ..answer
            })
        }))
    })
}
