//! A body without an announced length that nobody read to its end. The server would discard it for as long as it
//! comes once nobody holds it, so it is held until the answer has left: the connection is closed then.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context as Task, Poll},
};

use actix_web::{
    HttpMessage as _,
    body::{BodySize, BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::PayloadError,
    http::header,
    web::Bytes,
};
use futures_util::Stream;

/// A request's body, which its reader and its answer hold together.
#[derive(Clone)]
pub(super) struct Unread(Rc<RefCell<Payload>>);

impl Unread {
    /// Takes hold of a request's body; nothing, where its length is known.
    pub(super) fn hold(request: &mut ServiceRequest) -> Option<Self> {
        if !request.headers().contains_key(header::TRANSFER_ENCODING) {
            return None;
        }
        let held = Self(Rc::new(RefCell::new(request.take_payload())));
        request.set_payload(Payload::Stream {
            payload: Box::pin(held.clone()),
        });
        Some(held)
    }

    /// Has the answer hold the body until it has left.
    pub(super) fn until_answered(self, answer: ServiceResponse<BoxBody>) -> ServiceResponse {
        answer.map_body(|_, body| BoxBody::new(Holding { body, _held: self }))
    }
}

impl Stream for Unread {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_next(task)
    }
}

/// The body of an answer, and with it the body of its request.
struct Holding {
    body: BoxBody,
    _held: Unread,
}

impl MessageBody for Holding {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(task)
    }
}
