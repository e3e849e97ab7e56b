//! Where clients of OpenID Connect look for the token endpoint (OpenID Connect Discovery 1.0, section 4; RFC 8414), as
//! Entra's lie: under a tenant, or without one. Any tenant is the hub's own.

use actix_web::{HttpRequest, HttpResponse, http::header::CACHE_CONTROL, web::Data};

use super::{Answer, Context, links, wire};

/// Without `server.public_url` it names the host that was asked for, so nobody keeps it for others.
const KEPT: &str = "private, max-age=300";

/// `GET /v2.0/.well-known/openid-configuration`, with a tenant before it or without.
pub(super) async fn configuration(request: HttpRequest, context: Data<Context>) -> Answer {
    let tenant = request.match_info().get("tenant");
    let base = context.base(&request);
    let base = match tenant {
        Some(tenant) => format!("{base}/{}", links::escaped(tenant)),
        None => base,
    };
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, KEPT))
        .json(described(&base)))
}

/// What there is: one grant. Clients ask for the rest to be named as well, though nobody signs in here.
fn described(base: &str) -> wire::Configuration {
    wire::Configuration {
        issuer: format!("{base}/v2.0"),
        token_endpoint: format!("{base}/oauth2/v2.0/token"),
        authorization_endpoint: format!("{base}/oauth2/v2.0/authorize"),
        jwks_uri: format!("{base}/discovery/v2.0/keys"),
        grant_types_supported: ["client_credentials"],
        token_endpoint_auth_methods_supported: ["client_secret_post", "client_secret_basic"],
        response_types_supported: ["none"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: ["RS256"],
    }
}

/// `GET /discovery/v2.0/keys`, likewise: the hub's tokens are its own affair, so that there is no key to check them by.
pub(super) async fn keys() -> Answer {
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, KEPT))
        .json(wire::KeySet { keys: [] }))
}
