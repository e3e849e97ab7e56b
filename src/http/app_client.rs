//! The client's door: `/v1/me/…`, but for its streams.

use actix_web::{HttpRequest, HttpResponse, web::Data};

use super::{
    Answer, Context, Error,
    auth::{AppClient, Named, Unchecked},
    body::{Body, OptionalBody},
    error::both,
    fetch::{Fetch, Fetched},
    path, reading, wire,
};
use crate::{
    hub::{self, Asker},
    model::{EndpointId, FeedPosition, Subject},
};

/// Where the id of a notification or endpoint stands in `/v1/me/…/{id}`.
const ID: usize = 3;

/// `PUT /v1/me/endpoints/{endpointId}`.
pub(super) async fn register(
    client: AppClient<Unchecked>,
    request: HttpRequest,
    body: Body,
    context: Data<Context>,
) -> Answer {
    let id = path::new_endpoint(&request, ID)?;
    client.may_name(&id)?;
    client.must_be(&id)?;
    register_as(&context, client.caller.into(), id, &body).await
}

/// Registers or refreshes a device of a user, whoever asks for it.
pub(super) async fn register_as(
    context: &Context,
    asker: Asker,
    id: EndpointId,
    body: &Body,
) -> Answer {
    let app = context
        .hub
        .app(asker.app())
        .ok_or(hub::Error::NotFound("app"))?;
    let rules = wire::RegistrationRules {
        app: &app,
        check_channel: context.check_channel,
        vapid: (context.vapid)(&app.host),
        now: context.hub.now(),
    };
    let registration = wire::registration(id, &body.object, &rules)?;
    let registered = context.hub.register(asker, registration).await?;
    let mut answer = if registered.created {
        HttpResponse::Created()
    } else {
        HttpResponse::Ok()
    };
    Ok(answer.json(wire::Endpoint::from(&registered.endpoint)))
}

/// `GET /v1/me/endpoints`.
pub(super) async fn endpoints(client: AppClient, context: Data<Context>) -> Answer {
    let endpoints = context.hub.endpoints(client.subject()).await?;
    let endpoints = endpoints.iter().map(wire::Endpoint::from);
    Ok(HttpResponse::Ok().json(wire::List::of(endpoints)))
}

/// `DELETE /v1/me/endpoints/{endpointId}`.
pub(super) async fn sign_out(
    client: AppClient<Unchecked>,
    request: HttpRequest,
    context: Data<Context>,
) -> Answer {
    let id = path::endpoint(&request, ID)?;
    client.may_name(&id)?;
    context.hub.remove_endpoint(client.subject(), id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /v1/me/token`.
pub(super) async fn renew(
    client: AppClient<Named>,
    _body: OptionalBody,
    context: Data<Context>,
) -> Answer {
    let minted = context.hub.renew_token(client.caller).await?;
    Ok(HttpResponse::Created().json(wire::Token::from(&minted)))
}

/// `GET /v1/me/notifications`.
pub(super) async fn history(
    client: AppClient,
    request: HttpRequest,
    context: Data<Context>,
) -> Answer {
    let (page, answer) = reading::history(&context, &request, &client.caller.subject).await?;
    let read = page.items.iter().map(|it| (it.id, it.changed_at)).collect();
    Ok(fetched(&context, client, answer, Fetched::Ones(read)))
}

/// `GET /v1/me/notifications/{id}`.
pub(super) async fn one(client: AppClient, request: HttpRequest, context: Data<Context>) -> Answer {
    let id = path::notification(&request, ID)?;
    let it = context.hub.notification(client.subject(), id).await?;
    let answer = HttpResponse::Ok().json(wire::Notification::from(&it));
    let read = vec![(it.id, it.changed_at)];
    Ok(fetched(&context, client, answer, Fetched::Ones(read)))
}

/// `GET /v1/me/notifications/delta`.
pub(super) async fn delta(
    client: AppClient,
    request: HttpRequest,
    context: Data<Context>,
) -> Answer {
    let (page, answer) = reading::delta(&context, &request, &client.caller.subject).await?;
    Ok(fetched(
        &context,
        client,
        answer,
        Fetched::UpTo(page.position),
    ))
}

/// The answer, which counts as the calling endpoint's fetch once it has left; without one it is nobody's.
fn fetched(
    context: &Context,
    client: AppClient,
    answer: HttpResponse,
    what: Fetched,
) -> HttpResponse {
    let subject = client.subject();
    match client.endpoint {
        None => answer,
        Some(endpoint) => context.fetches.after(
            answer,
            Fetch {
                page: context.hub.answered(&subject, &endpoint),
                subject,
                endpoint,
                what,
                at: context.hub.now(),
            },
        ),
    }
}

/// `PATCH /v1/me/notifications/{id}`.
pub(super) async fn set(
    client: AppClient,
    request: HttpRequest,
    body: Body,
    context: Data<Context>,
) -> Answer {
    let id = path::notification(&request, ID)?;
    let subject = client.subject();
    let (change, up_to) = wire::patch(&body.object)?;
    let up_to = cursor(&context, &subject, up_to).await?;
    let it = context
        .hub
        .set(subject, id, change, (up_to, client.endpoint))
        .await?;
    Ok(HttpResponse::Ok().json(wire::Notification::from(&it)))
}

/// `DELETE /v1/me/notifications/{id}`.
pub(super) async fn delete(
    client: AppClient,
    request: HttpRequest,
    context: Data<Context>,
) -> Answer {
    let id = path::notification(&request, ID)?;
    context
        .hub
        .delete(client.subject(), id, client.endpoint)
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /v1/me/notifications/state`.
pub(super) async fn set_many(client: AppClient, body: Body, context: Data<Context>) -> Answer {
    let hub = &context.hub;
    let subject = client.subject();
    let (selection, change, up_to) = wire::many(&body.object, hub.limits().batch_ids)?;
    let up_to = cursor(&context, &subject, up_to).await?;
    let changed = hub
        .set_many(subject, selection, change, (up_to, client.endpoint))
        .await?;
    Ok(HttpResponse::Ok().json(wire::Changed { changed }))
}

/// `POST /v1/me/notifications/receipts`.
pub(super) async fn receipts(client: AppClient, body: Body, context: Data<Context>) -> Answer {
    let hub = &context.hub;
    let subject = client.subject();
    let endpoint = client.endpoint.ok_or_else(|| {
        hub::Error::invalid("X-Endpoint-Id", "is missing; receipts are one device's").into()
    });
    let asked = wire::receipts(&body.object, hub.limits().batch_ids);
    let (endpoint, (shown, up_to)) = both(endpoint, asked)?;
    // Before anything is written, so that a bad cursor leaves nothing half done.
    let up_to = cursor(&context, &subject, up_to).await?;
    if !shown.is_empty() {
        hub.shown(subject.clone(), endpoint.clone(), (shown, up_to))
            .await?;
    }
    if let Some(up_to) = up_to {
        hub.holds(subject, endpoint, up_to).await?;
    }
    Ok(HttpResponse::NoContent().finish())
}

/// The position that a cursor names.
pub(super) async fn cursor(
    context: &Context,
    subject: &Subject,
    text: Option<String>,
) -> Result<Option<FeedPosition>, Error> {
    match text {
        None => Ok(None),
        Some(text) => Ok(Some(context.hub.open_cursor(subject, &text).await?)),
    }
}
