//! The retired service's call, unchanged: `POST /beta/me/notifications`.

use actix_web::{HttpRequest, http::header, web::Data};

use super::{
    Answer, Context, Error,
    app_server::{self, Asked},
    auth::{AppServer, Send},
    body::Body,
    error::joined,
    links, wire,
};
use crate::{hub, model::Fault};

const SUBSCRIPTION: &str = "X-UNS-ID";

/// `POST /beta/me/notifications`, with a slash at the end or without.
pub(super) async fn create(
    caller: AppServer<Send>,
    request: HttpRequest,
    _accepted: Unconditional,
    body: Body,
    context: Data<Context>,
) -> Answer {
    let app = &caller.caller.app;
    let asked = Asked::of(&context, &request, app, &body);
    let Some(unsid) = request.headers().get(SUBSCRIPTION) else {
        let missing = hub::Error::invalid(SUBSCRIPTION, "is missing; it names the user");
        return Err(joined(asked.checked(), missing.into()));
    };
    let subject = context
        .hub
        .subscriber(app, unsid.to_str().unwrap_or_default())?;
    let user = links::escaped(&subject.user.as_str().replace('\'', "''"));
    let posted = app_server::post(&context, subject, asked).await?;
    let mut answer = app_server::begin(&posted);
    let Some(it) = &posted.notification else {
        return Ok(answer.json(wire::Gone::of(posted.id)));
    };
    let base = context.base(&request);
    let metadata = format!("{base}/beta/$metadata#users('{user}')/notifications/$entity");
    Ok(answer
        .insert_header(("OData-Version", "4.0"))
        .insert_header((
            header::LOCATION,
            format!("{base}/beta/me/activities/{}", it.id),
        ))
        .json(wire::GraphNotification::of(it, metadata)))
}

/// A request without the two conditional headers that the retired service refused.
#[derive(Debug)]
pub(super) struct Unconditional;

impl actix_web::FromRequest for Unconditional {
    type Error = Error;
    type Future = std::future::Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut actix_web::dev::Payload) -> Self::Future {
        let refused = [header::IF_MODIFIED_SINCE, header::IF_RANGE]
            .into_iter()
            .find(|name| request.headers().contains_key(name));
        std::future::ready(match refused {
            None => Ok(Self),
            Some(name) => {
                let fault = Fault::new(name.to_string(), "is not accepted here");
                Err(hub::Error::Invalid(vec![fault]).into())
            }
        })
    }
}
