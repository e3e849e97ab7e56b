//! The retired service's call, unchanged: `POST /beta/me/notifications`.

use actix_web::{HttpRequest, http::header, web::Data};

use super::{
    Answer, Context,
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
    body: Body,
    context: Data<Context>,
) -> Answer {
    let app = &caller.caller.app;
    let asked = Asked::of(&context, &request, app, &body);
    let mut faults = conditions(&request);
    let unsid = request.headers().get(SUBSCRIPTION);
    if unsid.is_none() {
        faults.push(Fault::new(SUBSCRIPTION, "is missing; it names the user"));
    }
    let Some(unsid) = unsid.filter(|_| faults.is_empty()) else {
        return Err(joined(asked.checked(), hub::Error::Invalid(faults).into()));
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

/// What is wrong with the conditional headers, which the retired service refused.
fn conditions(request: &HttpRequest) -> Vec<Fault> {
    let refused = [header::IF_MODIFIED_SINCE, header::IF_RANGE];
    let found = refused
        .iter()
        .filter(|name| request.headers().contains_key(*name));
    found
        .map(|name| Fault::new(name.to_string(), "is not accepted here"))
        .collect()
}
