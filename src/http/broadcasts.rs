//! The app server's door to many people at once: `/v1/notifications`.

use actix_web::{HttpRequest, HttpResponse, http::header, web::Data};

use super::{
    Answer, Context, app_server,
    auth::{AppServer, Send},
    body::AudienceBody,
    error::joined,
    path, wire,
};

/// Where the id stands in `/v1/notifications/{id}`.
const ID: usize = 2;

/// `POST /v1/notifications`.
pub(super) async fn post(
    caller: AppServer<Send>,
    request: HttpRequest,
    AudienceBody(body): AudienceBody,
    context: Data<Context>,
) -> Answer {
    let (hub, app) = (&context.hub, caller.caller.app);
    let rules = app_server::rules(hub, &app);
    let once = match app_server::once_key(&request, &body) {
        Ok(once) => once,
        Err(fault) => {
            return Err(match wire::broadcast(&body.object, &rules) {
                Ok(_) => fault,
                Err(more) => joined(Err::<(), _>(fault), more.into()),
            });
        }
    };
    let known = match once {
        Some(once) => hub.accepted_before(&app, once).await?,
        None => None,
    };
    let accepted = match known {
        Some(known) => known,
        None => {
            let (audience, draft) = wire::broadcast(&body.object, &rules)?;
            hub.broadcast(app, audience, draft, once).await?
        }
    };
    let location = format!(
        "{}/v1/notifications/{}",
        context.base(&request),
        accepted.id
    );
    Ok(HttpResponse::Accepted()
        .insert_header((header::LOCATION, location))
        .json(wire::Accepted::from(&accepted)))
}

/// `GET /v1/notifications/{id}`.
pub(super) async fn one(
    caller: AppServer<Send>,
    request: HttpRequest,
    context: Data<Context>,
) -> Answer {
    let id = path::broadcast(&request, ID)?;
    let it = context.hub.broadcast_of(&caller.caller.app, id).await?;
    Ok(HttpResponse::Ok().json(wire::Broadcast::from(&it)))
}

/// `DELETE /v1/notifications/{id}`.
pub(super) async fn cancel(
    caller: AppServer<Send>,
    request: HttpRequest,
    context: Data<Context>,
) -> Answer {
    let id = path::broadcast(&request, ID)?;
    context.hub.cancel_broadcast(&caller.caller.app, id).await?;
    Ok(HttpResponse::NoContent().finish())
}
