//! The app server's door: `/v1/users/…`.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::header,
    web::{Bytes, Data},
};
use aws_lc_rs::digest::{Context as Digest, SHA256};

use futures_util::{StreamExt as _, stream};

use super::{
    Answer, Context, Error, app_client,
    auth::{AppServer, Send, Users},
    body::{Body, OptionalBody},
    error::{and_also, both},
    path,
    query::Query,
    reading, wire,
};
use crate::{
    hub::{self, AppAct, Asker, Hub, OnceKey, Posted, admin::Place},
    model::{AppHost, Draft, Subject},
};

/// Where the id of a notification or endpoint stands in `/v1/users/{user}/…/{id}`.
const ID: usize = 4;
/// Makes a post safe to retry.
const ONCE_HEADER: &str = "Idempotency-Key";

/// `POST /v1/users/{user}/notifications`.
pub(super) async fn create(
    caller: AppServer<Send>,
    request: HttpRequest,
    body: Body,
    context: Data<Context>,
) -> Answer {
    let asked = Asked::of(&context, &request, &caller.caller.app, &body);
    let subject = match path::user(&request) {
        Ok(user) => caller.subject(user),
        Err(error) => return Err(and_also(error, asked.checked())),
    };
    let posted = post(&context, subject.into(), asked).await?;
    let mut answer = begin(&posted);
    let Some(it) = &posted.notification else {
        return Ok(answer.json(wire::Gone::of(posted.id)));
    };
    if !posted.created {
        return Ok(answer.json(wire::Notification::from(it)));
    }
    let location = format!(
        "{}{}/{}",
        context.base(&request),
        request.uri().path(),
        it.id
    );
    Ok(answer
        .insert_header((header::LOCATION, location))
        .json(wire::Notification::from(it)))
}

/// The status of what posting came to.
pub(super) fn begin(posted: &Posted) -> HttpResponseBuilder {
    if posted.created {
        HttpResponse::Created()
    } else {
        HttpResponse::Ok()
    }
}

/// What a request asks to be posted, once for an `Idempotency-Key`; right or wrong.
pub(super) struct Asked {
    once: Result<Option<OnceKey>, Error>,
    draft: Result<Draft, hub::Error>,
}

impl Asked {
    /// Reads a request.
    pub(super) fn of(context: &Context, request: &HttpRequest, app: &AppHost, body: &Body) -> Self {
        Self {
            once: once_key(request, body),
            draft: wire::draft(&body.object, &rules(&context.hub, app)),
        }
    }

    /// Reads a request of a user's own client, whose `Idempotency-Key`s are not those of others.
    pub(super) fn by_user(
        context: &Context,
        request: &HttpRequest,
        subject: &Subject,
        body: &Body,
    ) -> Self {
        let asked = Self::of(context, request, &subject.app, body);
        let own = |once: OnceKey| OnceKey {
            key: sha256(&[
                b"user\n",
                subject.user.as_str().as_bytes(),
                b"\n",
                &once.key,
            ]),
            ..once
        };
        Self {
            once: asked.once.map(|once| once.map(own)),
            ..asked
        }
    }

    /// All its faults at once.
    pub(super) fn checked(self) -> Result<(Option<OnceKey>, Draft), Error> {
        both(self.once, self.draft)
    }
}

/// Posts what was asked for. What its `Idempotency-Key` was used for before comes before its faults: what was good
/// then may be too late by now.
pub(super) async fn post(context: &Context, asker: Asker, asked: Asked) -> Result<Posted, Error> {
    if let Ok(Some(once)) = asked.once
        && let Some(known) = context.hub.posted_before(asker.subject(), once).await?
    {
        return Ok(known);
    }
    let (once, draft) = asked.checked()?;
    Ok(context.hub.create(asker, draft, once).await?)
}

/// What posts of an app are checked against.
pub(super) fn rules<'a>(hub: &'a Hub, app: &'a AppHost) -> wire::DraftRules<'a> {
    wire::DraftRules {
        app,
        limits: hub.limits(),
        min_delay: hub.delivery().min_fallback_delay,
        now: hub.now(),
    }
}

/// The `Idempotency-Key` of a request, if it has one.
pub(super) fn once_key(request: &HttpRequest, body: &Body) -> Result<Option<OnceKey>, Error> {
    let Some(key) = request.headers().get(ONCE_HEADER) else {
        return Ok(None);
    };
    let key = key.as_bytes();
    let printable = key.iter().all(|byte| (b' '..=b'~').contains(byte));
    if !printable || !(1..=255).contains(&key.len()) {
        return Err(
            hub::Error::invalid(ONCE_HEADER, "is not 1 to 255 printable ASCII characters").into(),
        );
    }
    let method = request.method().as_str();
    Ok(Some(OnceKey {
        key: sha256(&[key]),
        request: sha256(&[
            method.as_bytes(),
            b" ",
            request.uri().path().trim_end_matches('/').as_bytes(),
            b"\n",
            &body.bytes,
        ]),
    }))
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Digest::new(&SHA256);
    parts.iter().for_each(|part| digest.update(part));
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.finish().as_ref());
    hash
}

/// `GET /v1/users/{user}/notifications`.
pub(super) async fn history(
    caller: AppServer<Send>,
    request: HttpRequest,
    context: Data<Context>,
) -> Answer {
    let subject = caller.subject(path::user(&request)?);
    let (_, answer) = reading::history(&context, &request, &subject).await?;
    Ok(answer)
}

/// `GET /v1/users/{user}/notifications/{id}`.
pub(super) async fn one(
    caller: AppServer<Send>,
    request: HttpRequest,
    context: Data<Context>,
) -> Answer {
    let subject = caller.subject(path::user(&request)?);
    let id = path::notification(&request, ID)?;
    let it = context.hub.notification(subject, id).await?;
    Ok(HttpResponse::Ok().json(wire::Notification::from(&it)))
}

/// `DELETE /v1/users/{user}/notifications/{id}`.
pub(super) async fn retract(
    caller: AppServer<Send>,
    request: HttpRequest,
    context: Data<Context>,
) -> Answer {
    let subject = caller.subject(path::user(&request)?);
    let id = path::notification(&request, ID)?;
    context.hub.delete(subject, id, None).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `GET /v1/users/{user}/notifications/{id}/deliveries`.
pub(super) async fn deliveries(
    caller: AppServer<Send>,
    request: HttpRequest,
    context: Data<Context>,
) -> Answer {
    let subject = caller.subject(path::user(&request)?);
    let id = path::notification(&request, ID)?;
    let lines = context.hub.deliveries(subject, id).await?;
    let lines = lines.into_iter().map(wire::Delivery::from);
    Ok(HttpResponse::Ok().json(wire::List::of(lines)))
}

/// `GET /v1/users/{user}/export`: all that is held about a user, as it is read.
pub(super) async fn export(
    caller: AppServer<Users>,
    request: HttpRequest,
    context: Data<Context>,
) -> Answer {
    let subject = caller.subject(path::user(&request)?);
    let content = Query::of(&request)?.content()?;
    let hub = context.hub.clone();
    // The first piece says whether there is anything.
    let what = (subject.clone(), AppAct::Export);
    let head = hub.export(subject.clone(), content, Place::Start);
    let head = hub
        .audited_of_app(&caller.caller.key_id, what, head)
        .await?;
    let rest = stream::try_unfold(head.next, move |place| {
        let (hub, subject) = (hub.clone(), subject.clone());
        async move {
            let Some(place) = place else {
                return Ok::<_, Error>(None);
            };
            let piece = hub.export(subject, content, place).await?;
            Ok(Some((Bytes::from(piece.text), piece.next)))
        }
    });
    let head = stream::once(async { Ok(Bytes::from(head.text)) });
    Ok(HttpResponse::Ok()
        .content_type(header::ContentType::json())
        .streaming(head.chain(rest)))
}

/// `DELETE /v1/users/{user}`: all that is held about a user goes.
pub(super) async fn erase(
    caller: AppServer<Users>,
    request: HttpRequest,
    context: Data<Context>,
) -> Answer {
    let subject = caller.subject(path::user(&request)?);
    let (hub, key) = (context.hub.clone(), caller.caller.key_id);
    // Goes on, and is noted as done, where the caller does not wait for it.
    let erased = tokio::spawn(async move {
        let what = (subject.clone(), AppAct::Erase);
        hub.audited_of_app(&key, what, hub.erase_user(subject))
            .await
    });
    erased.await.map_err(|_| Error::Unavailable)??;
    Ok(HttpResponse::NoContent().finish())
}

/// `GET /v1/users/{user}/endpoints`.
pub(super) async fn endpoints(
    caller: AppServer<Users>,
    request: HttpRequest,
    context: Data<Context>,
) -> Answer {
    let subject = caller.subject(path::user(&request)?);
    let endpoints = context.hub.endpoints(subject).await?;
    let endpoints = endpoints.iter().map(wire::Endpoint::from);
    Ok(HttpResponse::Ok().json(wire::List::of(endpoints)))
}

/// `PUT /v1/users/{user}/endpoints/{endpoint}`: for an app whose server holds the channels.
pub(super) async fn register(
    caller: AppServer<Users>,
    request: HttpRequest,
    body: Body,
    context: Data<Context>,
) -> Answer {
    let (user, endpoint) = both(path::user(&request), path::new_endpoint(&request, ID))?;
    app_client::register_as(&context, caller.subject(user).into(), endpoint, &body).await
}

/// `DELETE /v1/users/{user}/endpoints/{endpoint}`.
pub(super) async fn remove_endpoint(
    caller: AppServer<Users>,
    request: HttpRequest,
    context: Data<Context>,
) -> Answer {
    let subject = caller.subject(path::user(&request)?);
    let endpoint = path::endpoint(&request, ID)?;
    let what = (subject.clone(), AppAct::RemoveEndpoint(endpoint.clone()));
    let removal = context.hub.remove_endpoint(subject, endpoint);
    let key = &caller.caller.key_id;
    context.hub.audited_of_app(key, what, removal).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /v1/users/{user}/endpoints/{endpoint}/test`.
pub(super) async fn test_endpoint(
    caller: AppServer<Users>,
    request: HttpRequest,
    _body: OptionalBody,
    context: Data<Context>,
) -> Answer {
    let subject = caller.subject(path::user(&request)?);
    let endpoint = path::endpoint(&request, ID)?;
    let tested = context.hub.test_endpoint(subject, endpoint.clone()).await?;
    Ok(HttpResponse::Ok().json(wire::Tested::of(&endpoint, tested)))
}

/// `POST /v1/users/{user}/tokens`.
pub(super) async fn mint(
    caller: AppServer<Users>,
    request: HttpRequest,
    body: OptionalBody,
    context: Data<Context>,
) -> Answer {
    let (user, (endpoint, life)) = both(path::user(&request), wire::token(&body.0))?;
    let subject = caller.subject(user);
    let minted_by = Some(caller.caller.key_id);
    let minted = context
        .hub
        .mint_token(subject, endpoint, life, minted_by)
        .await?;
    Ok(HttpResponse::Created().json(wire::Token::from(&minted)))
}

/// `DELETE /v1/users/{user}/tokens`: all of them, or by `?endpointId=` those that are bound to one device.
pub(super) async fn revoke(
    caller: AppServer<Users>,
    request: HttpRequest,
    context: Data<Context>,
) -> Answer {
    let query = Query::of(&request)?;
    query.only(&["endpointId"])?;
    let (user, endpoint) = both(path::user(&request), query.endpoint())?;
    let subject = caller.subject(user);
    let what = (subject.clone(), AppAct::RevokeTokens(endpoint.clone()));
    let revocation = context.hub.revoke_tokens(subject, endpoint);
    let key = &caller.caller.key_id;
    context.hub.audited_of_app(key, what, revocation).await?;
    Ok(HttpResponse::NoContent().finish())
}
