//! The retired service's call, unchanged: `POST /beta/me/notifications`.

use actix_web::{
    HttpRequest,
    http::header::{self, HeaderValue},
    web::Data,
};

use super::{
    Answer, Context,
    app_server::{self, Asked},
    auth::Poster,
    body::Body,
    error::joined,
    links, wire,
};
use crate::{
    hub::{self, Asker, Hub},
    model::Fault,
};

const SUBSCRIPTION: &str = "X-UNS-ID";

/// `POST /beta/me/notifications`, with a slash at the end or without.
pub(super) async fn create(
    poster: Poster,
    request: HttpRequest,
    body: Body,
    context: Data<Context>,
) -> Answer {
    let asked = match &poster {
        Poster::App(server) => Asked::of(&context, &request, &server.caller.app, &body),
        Poster::User(client) => Asked::by_user(&context, &request, &client.subject(), &body),
    };
    let mut faults = conditions(&request);
    let unsid = request.headers().get(SUBSCRIPTION);
    if unsid.is_none() && matches!(poster, Poster::App(_)) {
        faults.push(Fault::new(SUBSCRIPTION, "is missing; it names the user"));
    }
    if !faults.is_empty() {
        return Err(joined(asked.checked(), hub::Error::Invalid(faults).into()));
    }
    let asker = addressee(&context.hub, poster, unsid)?;
    let user = links::escaped(&asker.subject().user.as_str().replace('\'', "''"));
    let posted = app_server::post(&context, asker, asked).await?;
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

/// To whom it is posted: whom the subscription id names, who is the caller itself where a user asks.
fn addressee(hub: &Hub, poster: Poster, unsid: Option<&HeaderValue>) -> Result<Asker, hub::Error> {
    let unsid = unsid.map(|unsid| unsid.to_str().unwrap_or_default());
    match poster {
        Poster::App(server) => {
            let named = hub.subscriber(&server.caller.app, unsid.unwrap_or_default())?;
            Ok(named.into())
        }
        Poster::User(client) => {
            let own = client.subject();
            match unsid
                .map(|unsid| hub.subscriber(&own.app, unsid))
                .transpose()?
            {
                Some(named) if named != own => Err(hub::Error::Forbidden(
                    "a user token posts to its own user alone",
                )),
                _ => Ok(client.caller.into()),
            }
        }
    }
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
