//! Who calls. Every handler behind a door names its caller in its signature, so none runs without one.
//!
//! A credential that is good for the other door is 403, one that is unknown or dead 401. The scope of an app key is
//! part of the type, the rule about the calling device too.

use std::marker::PhantomData;

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header};

use super::{Context, Error, body::Extracting};
use crate::{
    hub::{self, AppCaller, Caller, Hub, UserCaller},
    identity::{self, Refusal},
    model::{AppHost, EndpointId, Scope, Subject, UserId},
};

/// Names the device that calls.
const ENDPOINT_HEADER: &str = "x-endpoint-id";

/// What a handler asks of an app key.
pub(super) trait Right {
    /// The scope that must be included.
    const SCOPE: Scope;
}

/// Post, retract, read notifications and deliveries.
#[derive(Debug)]
pub(super) struct Send;

/// Tokens and endpoints.
#[derive(Debug)]
pub(super) struct Users;

impl Right for Send {
    const SCOPE: Scope = Scope::Send;
}

impl Right for Users {
    const SCOPE: Scope = Scope::Users;
}

/// An app server whose key has the right `R`.
#[derive(Debug)]
pub(super) struct AppServer<R> {
    /// Who it is.
    pub(super) caller: AppCaller,
    right: PhantomData<R>,
}

impl<R> AppServer<R> {
    /// A user of the caller's app.
    pub(super) fn subject(&self, user: UserId) -> Subject {
        Subject {
            app: self.caller.app.clone(),
            user,
        }
    }
}

/// The caller's app, left with the request for the layer that names browser origins.
#[derive(Debug, Clone)]
pub(super) struct CallerApp(pub(super) AppHost);

/// How the calling device is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// It must be registered, however it was named.
    Registered,
    /// It must be registered where a header names it; the one that the token is bound to may be yet to come.
    Named,
    /// It is about to be registered, or to go.
    Unchecked,
}

/// What a handler asks of the calling device.
pub(super) trait Device: 'static {
    /// The check.
    const CHECK: Check;
}

/// See [`Check::Registered`].
#[derive(Debug)]
pub(super) struct Registered;
/// See [`Check::Named`].
#[derive(Debug)]
pub(super) struct Named;
/// See [`Check::Unchecked`].
#[derive(Debug)]
pub(super) struct Unchecked;

impl Device for Registered {
    const CHECK: Check = Check::Registered;
}

impl Device for Named {
    const CHECK: Check = Check::Named;
}

impl Device for Unchecked {
    const CHECK: Check = Check::Unchecked;
}

/// An app's client, for one person.
#[derive(Debug)]
pub(super) struct AppClient<D = Registered> {
    /// Who it is.
    pub(super) caller: UserCaller,
    /// The device that calls, where one is named or bound.
    pub(super) endpoint: Option<EndpointId>,
    device: PhantomData<D>,
}

impl<D> AppClient<D> {
    /// A client that a stream's ticket speaks for.
    pub(super) fn by_ticket(caller: UserCaller) -> Self {
        Self {
            endpoint: caller.endpoint.clone(),
            caller,
            device: PhantomData,
        }
    }

    /// The person.
    pub(super) fn subject(&self) -> Subject {
        self.caller.subject.clone()
    }

    /// Holds the token to the one endpoint that it may be bound to.
    pub(super) fn may_name(&self, endpoint: &EndpointId) -> Result<(), Error> {
        only_bound(&self.caller, endpoint)
    }

    /// Refuses a device that says it is another one.
    pub(super) fn must_be(&self, endpoint: &EndpointId) -> Result<(), Error> {
        match &self.endpoint {
            Some(named) if named != endpoint => Err(hub::Error::Forbidden(
                "X-Endpoint-Id names another endpoint than the path; a device registers itself",
            )
            .into()),
            _ => Ok(()),
        }
    }
}

impl<R: Right + 'static> FromRequest for AppServer<R> {
    type Error = Error;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { app_server(&request, authenticate(&request).await?) })
    }
}

/// Who calls: by a credential of the hub's, or by a token of the app's own identity provider.
async fn authenticate(request: &HttpRequest) -> Result<Caller, Error> {
    let context = Context::of(request)?;
    let (hub, bearer) = (&context.hub, bearer(request)?);
    if !identity::is_jwt(bearer) {
        return Ok(hub.authenticate(bearer)?);
    }
    let apps = hub.apps().all();
    match context.identities.speaker(&apps, bearer).await {
        Ok(it) => Ok(hub.foreign_caller(it.subject, it.expires, (it.by, it.issued))?),
        Err(Refusal::Bad(why)) => Err(hub::Error::Unauthenticated(why).into()),
        Err(Refusal::NoKeys) => Err(Error::NoKeys),
    }
}

fn app_server<R: Right>(request: &HttpRequest, caller: Caller) -> Result<AppServer<R>, Error> {
    let hub = &Context::of(request)?.hub;
    let Caller::App(caller) = caller else {
        return Err(hub::Error::Forbidden("a user token is good for /v1/me alone").into());
    };
    leave_app(request, &caller.app);
    if let Some(app) = hub.app(&caller.app) {
        let rates = &Context::of(request)?.rates;
        rates.count_key(request, &app, &caller.key_id)?;
    }
    if !caller.scope.includes(R::SCOPE) {
        return Err(
            hub::Error::Forbidden("the scope of this app key does not include this").into(),
        );
    }
    Ok(AppServer {
        caller,
        right: PhantomData,
    })
}

impl<D: Device> FromRequest for AppClient<D> {
    type Error = Error;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { client(&request, authenticate(&request).await?).await })
    }
}

/// Who posts by the retired service's call: an app server, or a user's client where the app lets it.
#[derive(Debug)]
pub(super) enum Poster {
    App(AppServer<Send>),
    User(AppClient),
}

impl FromRequest for Poster {
    type Error = Error;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let caller = authenticate(&request).await?;
            if let Caller::User(user) = &caller {
                may_post(&request, user)?;
                return client(&request, caller).await.map(Self::User);
            }
            app_server(&request, caller).map(Self::App)
        })
    }
}

/// Refuses a user's client whose app does not let it post.
fn may_post(request: &HttpRequest, caller: &UserCaller) -> Result<(), Error> {
    let hub = &Context::of(request)?.hub;
    leave_app(request, &caller.subject.app);
    let app = hub.app(&caller.subject.app);
    if app.is_some_and(|app| app.delegated_post) {
        return Ok(());
    }
    count(request, caller)?;
    Err(hub::Error::Forbidden(
        "this app takes posts by its server's key alone; its operator sets `delegated_post`",
    )
    .into())
}

/// A user's client, its device checked.
async fn client<D: Device>(request: &HttpRequest, caller: Caller) -> Result<AppClient<D>, Error> {
    let client = app_client(request, caller)?;
    check_device(&Context::of(request)?.hub, &client).await?;
    Ok(client)
}

fn app_client<D: Device>(request: &HttpRequest, caller: Caller) -> Result<AppClient<D>, Error> {
    let caller = match caller {
        Caller::User(caller) => caller,
        Caller::App(_) => {
            return Err(hub::Error::Forbidden(
                "an app key is not good for /v1/me; use a user token",
            )
            .into());
        }
    };
    leave_app(request, &caller.subject.app);
    count(request, &caller)?;
    let named = named_endpoint(request)?;
    if let Some(named) = &named {
        only_bound(&caller, named)?;
    }
    Ok(AppClient {
        endpoint: named.or_else(|| caller.endpoint.clone()),
        caller,
        device: PhantomData,
    })
}

/// Leaves the caller's app with the request, so that the answer may name its browser origins.
pub(super) fn leave_app(request: &HttpRequest, app: &AppHost) {
    request.extensions_mut().insert(CallerApp(app.clone()));
}

/// Counts a request of a user's device against the user's rate.
pub(super) fn count(request: &HttpRequest, caller: &UserCaller) -> Result<(), Error> {
    let context = Context::of(request)?;
    match context.hub.app(&caller.subject.app) {
        Some(app) => context
            .rates
            .count_user(request, &app, &caller.subject.user),
        None => Ok(()),
    }
}

async fn check_device<D: Device>(hub: &Hub, client: &AppClient<D>) -> Result<(), Error> {
    let Some(endpoint) = &client.endpoint else {
        return Ok(());
    };
    let wanted = match D::CHECK {
        Check::Registered => true,
        Check::Named => client.caller.endpoint.is_none(),
        Check::Unchecked => false,
    };
    if wanted {
        hub.seen(&client.caller.subject, endpoint).await?;
    }
    Ok(())
}

fn only_bound(caller: &UserCaller, endpoint: &EndpointId) -> Result<(), Error> {
    match &caller.endpoint {
        Some(bound) if bound != endpoint => {
            Err(hub::Error::Forbidden("this token is bound to another endpoint").into())
        }
        _ => Ok(()),
    }
}

/// An id that cannot be is one that is not registered.
fn named_endpoint(request: &HttpRequest) -> Result<Option<EndpointId>, Error> {
    let Some(value) = request.headers().get(ENDPOINT_HEADER) else {
        return Ok(None);
    };
    let id = value
        .to_str()
        .ok()
        .and_then(|text| EndpointId::parse(text).ok());
    id.map(Some).ok_or(hub::Error::EndpointNotFound.into())
}

fn bearer(request: &HttpRequest) -> Result<&str, Error> {
    const MISSING: hub::Error =
        hub::Error::Unauthenticated("send a credential: Authorization: Bearer …");
    let value = request
        .headers()
        .get(header::AUTHORIZATION)
        .ok_or(MISSING)?;
    let (scheme, credential) = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or(MISSING)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(credential.trim())
    } else {
        Err(MISSING.into())
    }
}
