//! OAuth 2.0 client credentials (RFC 6749, section 4.4): an app key against a short-lived access token. Errors are
//! written as section 5.2 says.

use std::collections::BTreeMap;

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    body::BoxBody,
    http::{StatusCode, header},
    web::{Data, Payload},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use url::form_urlencoded;

use super::{Context, Error, body, wire};
use crate::{hub, model::Secret};

/// Whether a path is one of these doors, whose errors are OAuth's whatever came about.
pub(super) fn is_door(path: &str) -> bool {
    let mut parts = path.split('/').skip(1);
    let (first, second) = (parts.next(), parts.next());
    first == Some("oauth2") || second == Some("oauth2") && first != Some("v1")
}

const FORM: &str = "application/x-www-form-urlencoded";

/// `POST /oauth2/v2.0/token`, with a tenant before it or without.
pub(super) async fn token(
    request: HttpRequest,
    payload: Payload,
    context: Data<Context>,
) -> Result<HttpResponse, Refusal> {
    let body = body::read(&request, payload.into_inner(), &context.hub).await?;
    let form = Form::read(&request, &body)?;
    if form.get("grant_type") != Some("client_credentials") {
        let message = "grant_type is not client_credentials";
        return Err(match form.get("grant_type") {
            Some(_) => Refusal::bad("unsupported_grant_type", message),
            None => Refusal::bad("invalid_request", message),
        });
    }
    let (id, secret) = client(&request, &form)?;
    let access = context.hub.access_token(&id, secret.expose())?;
    Ok(HttpResponse::Ok()
        .insert_header((header::PRAGMA, "no-cache"))
        .json(wire::AccessToken {
            token_type: "Bearer",
            expires_in: hub::ACCESS_SECS,
            access_token: access,
        }))
}

/// The parameters of the body.
struct Form(BTreeMap<String, Secret<String>>);

impl Form {
    fn read(request: &HttpRequest, body: &[u8]) -> Result<Self, Refusal> {
        let media_type = request.headers().get(header::CONTENT_TYPE);
        let media_type = media_type
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case(FORM) {
            return Err(Refusal::bad(
                "invalid_request",
                "Content-Type is not application/x-www-form-urlencoded",
            ));
        }
        let mut form = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(body) {
            let value = Secret::new(value.into_owned());
            // Whatever it is called (section 3.2).
            if form.insert(name.into_owned(), value).is_some() {
                return Err(Refusal::bad("invalid_request", "a parameter is repeated"));
            }
        }
        Ok(Self(form))
    }

    /// A parameter; one without a value is left out (section 3.2).
    fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).map(|value| value.expose().as_str());
        value.filter(|value| !value.is_empty())
    }
}

/// Who the client says that it is, in the body or by HTTP Basic (section 2.3.1), not both.
fn client(request: &HttpRequest, form: &Form) -> Result<(String, Secret<String>), Refusal> {
    let in_body = (form.get("client_id"), form.get("client_secret"));
    let header = request.headers().get(header::AUTHORIZATION);
    match (header, in_body) {
        (None, (Some(id), Some(secret))) => Ok((id.to_owned(), Secret::new(secret.to_owned()))),
        (None, _) => Err(Refusal::bad(
            "invalid_request",
            "client_id or client_secret is missing",
        )),
        (Some(_), (_, Some(_))) => Err(Refusal::bad(
            "invalid_request",
            "the client is named in the header and in the body",
        )),
        (Some(header), (id, None)) => {
            let named = header.to_str().ok().and_then(basic);
            let named = named.ok_or_else(Refusal::unknown_client)?;
            if id.is_some_and(|id| id != named.0) {
                return Err(Refusal::bad(
                    "invalid_request",
                    "client_id is another than the header's",
                ));
            }
            Ok(named)
        }
    }
}

fn basic(header: &str) -> Option<(String, Secret<String>)> {
    let (scheme, credential) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = Secret::new(String::from_utf8(STANDARD.decode(credential.trim()).ok()?).ok()?);
    let (id, secret) = text.expose().split_once(':')?;
    // Both were form-encoded before they were joined.
    let decoded = |part: &str| super::path::decode(&part.replace('+', " "));
    Some((decoded(id)?, Secret::new(decoded(secret)?)))
}

/// A refusal in OAuth's words.
#[derive(Debug, thiserror::Error)]
#[error("{description}")]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    description: String,
}

impl Refusal {
    fn bad(code: &'static str, description: &str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code,
            description: description.to_owned(),
        }
    }

    fn unknown_client() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            code: "invalid_client",
            description: String::from("client_id or client_secret is wrong"),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Hub(hub::Error::Unauthenticated(_)) => Self::unknown_client(),
            Error::Hub(hub::Error::Store(cause)) => {
                tracing::error!(%cause, "no access token could be given");
                Self {
                    status: StatusCode::SERVICE_UNAVAILABLE,
                    code: "temporarily_unavailable",
                    description: String::from(
                        "the hub cannot reach its store; try again in a moment",
                    ),
                }
            }
            Error::TooLarge { .. } => Self {
                status: StatusCode::PAYLOAD_TOO_LARGE,
                code: "invalid_request",
                description: error.to_string(),
            },
            other => Self::bad("invalid_request", &other.to_string()),
        }
    }
}

impl From<hub::Error> for Refusal {
    fn from(error: hub::Error) -> Self {
        Error::from(error).into()
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = HttpResponse::build(self.status);
        match self.status {
            StatusCode::UNAUTHORIZED => {
                response.insert_header((header::WWW_AUTHENTICATE, "Basic realm=\"beckon\""));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                response.insert_header((header::RETRY_AFTER, "5"));
            }
            StatusCode::PAYLOAD_TOO_LARGE => {
                response.force_close();
            }
            _ => {}
        }
        response
            .insert_header((header::PRAGMA, "no-cache"))
            .json(wire::OAuthError {
                error: self.code,
                error_description: &self.description,
            })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::http::error::Complaint;

    #[test]
    fn whatever_goes_wrong_at_its_doors_is_told_in_oauths_words() {
        for door in [
            "/oauth2/v2.0/token",
            "/common/oauth2/v2.0/token",
            "/oauth2/x",
        ] {
            assert!(is_door(door), "{door}");
        }
        for other in [
            "/",
            "/v1/me/token",
            "/v1/oauth2/x",
            "/v1/users/oauth2/tokens",
        ] {
            assert!(!is_door(other), "{other}");
        }
        for (error, expected) in [
            (Error::Unavailable, "temporarily_unavailable"),
            (Error::Method(String::from("POST")), "invalid_request"),
        ] {
            let response = error.error_response();
            let complaint = response.extensions().get::<Complaint>().cloned().unwrap();
            let body = complaint.write_for_oauth(response.status());
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["error"], expected, "{body}");
            assert!(body["error_description"].is_string(), "{body}");
        }
    }
}
