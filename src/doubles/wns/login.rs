//! The two endpoints that give out access tokens for WNS: Entra's, for apps of the Windows App SDK, and the older login, for apps
//! whose credentials are the Partner Center's. Neither's tokens are good for channels of the other's apps.

use hyper::StatusCode;
use serde_json::json;
use subtle::ConstantTimeEq as _;

use super::super::exchange::{Answer, Request};
use super::super::fault::FaultKind;
use super::super::state::State;
use super::super::token;
use super::{CLIENT_ID, OLDER_TOKEN_PATH, PACKAGE_SID, token_path};

const SCOPE: &str = "https://wns.windows.com/.default";
const OLDER_SCOPE: &str = "notify.windows.com";
const TOKEN_LIFE_SECS: i64 = 86_399;
const OLDER_TOKEN_LIFE_SECS: i64 = 86_400;

/// Whose credentials an app of Windows has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Login {
    /// Entra's.
    Entra,
    /// The Partner Center's.
    PartnerCenter,
}

impl Login {
    /// The one whose endpoint a path is; that of a path that is none's is Entra's, which says so.
    pub(crate) fn at(path: &str) -> Self {
        if path.split('?').next() == Some(OLDER_TOKEN_PATH) {
            Self::PartnerCenter
        } else {
            Self::Entra
        }
    }

    /// Who gave out a token, if it is good now.
    pub(crate) fn that_gave(state: &State, token: &str) -> Option<Self> {
        let now_secs = state.clock.now_secs();
        if state.wns_tokens.holds(token, now_secs) {
            Some(Self::Entra)
        } else {
            let older = state.wns_older_tokens.holds(token, now_secs);
            older.then_some(Self::PartnerCenter)
        }
    }

    /// What is wrong with a request for a token, if anything is.
    pub(crate) fn refusal(self, state: &State, request: &Request) -> Option<Answer> {
        let path = request.uri.path();
        if self == Self::Entra && !path.ends_with("/oauth2/v2.0/token") {
            return Some(
                Answer::empty(StatusCode::NOT_FOUND)
                    .because("the path is neither a channel's nor that of a token endpoint"),
            );
        }
        if let Some(refusal) = token::check_form(request) {
            return Some(refusal);
        }
        match self {
            Self::Entra => entra_refusal(state, request),
            Self::PartnerCenter => older_refusal(state, request),
        }
    }

    /// A new access token.
    pub(crate) fn grant(self, state: &State) -> Answer {
        match self {
            Self::Entra => self.grant_for(state, TOKEN_LIFE_SECS),
            Self::PartnerCenter => self.grant_for(state, OLDER_TOKEN_LIFE_SECS),
        }
    }

    /// The same with a life of so many seconds: in Entra's dress its numbers are strings.
    pub(crate) fn grant_for(self, state: &State, life_secs: i64) -> Answer {
        let until = state.clock.now_secs().saturating_add(life_secs);
        let tokens = match self {
            Self::Entra => &state.wns_tokens,
            Self::PartnerCenter => &state.wns_older_tokens,
        };
        let token = match tokens.issue(until) {
            Ok(token) => token,
            Err(error) => {
                return Answer::empty(StatusCode::INTERNAL_SERVER_ERROR).because(error.to_string());
            }
        };
        let body = match self {
            Self::Entra => json!({
                "token_type": "Bearer",
                "expires_in": life_secs.to_string(),
                "ext_expires_in": life_secs.to_string(),
                "expires_on": until.to_string(),
                "access_token": token,
            }),
            Self::PartnerCenter => {
                json!({ "access_token": token, "token_type": "bearer", "expires_in": life_secs })
            }
        };
        Answer::json(StatusCode::OK, &body)
    }

    /// A scripted fault.
    pub(crate) fn fault(self, kind: FaultKind) -> Answer {
        let refuse = |status, error: &str| token::refusal(status, error, "scripted fault");
        match (kind, self) {
            (FaultKind::Gone, _) => refuse(StatusCode::BAD_REQUEST, "unauthorized_client"),
            (FaultKind::Throttled, _) => {
                refuse(StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable")
            }
            (FaultKind::CredentialRefused, Self::Entra) => {
                refuse(StatusCode::UNAUTHORIZED, "invalid_client")
            }
            (FaultKind::CredentialRefused, Self::PartnerCenter) => {
                refuse(StatusCode::BAD_REQUEST, "invalid_client")
            }
            _ => refuse(StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        }
    }
}

fn entra_refusal(state: &State, request: &Request) -> Option<Answer> {
    let form = request.form();
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let (status, error, code, text) = if request.uri.path() != token_path() {
        (400, "invalid_request", 90_002, "the tenant is unknown")
    } else if field("grant_type") != "client_credentials" {
        (
            400,
            "unsupported_grant_type",
            70_003,
            "grant_type must be client_credentials",
        )
    } else if field("client_id") != CLIENT_ID {
        (
            400,
            "unauthorized_client",
            700_016,
            "the application is not in this tenant",
        )
    } else if !same(field("client_secret"), &state.folder.wns_secret) {
        (
            401,
            "invalid_client",
            7_000_215,
            "the client secret is wrong",
        )
    } else if field("scope") != SCOPE {
        (
            400,
            "invalid_scope",
            1_002_012,
            "scope must be https://wns.windows.com/.default",
        )
    } else {
        return None;
    };
    let body = json!({ "error": error, "error_description": format!("AADSTS{code}: {text}"), "error_codes": [code] });
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    Some(Answer::json(status, &body).because(format!("{error}: {text}")))
}

fn older_refusal(state: &State, request: &Request) -> Option<Answer> {
    let form = request.form();
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let (error, text) = if field("grant_type") != "client_credentials" {
        (
            "unsupported_grant_type",
            "grant_type must be client_credentials",
        )
    } else if field("client_id") != PACKAGE_SID {
        ("invalid_client", "client_id is not the Package SID")
    } else if !same(field("client_secret"), &state.folder.wns_package_secret) {
        ("invalid_client", "the client secret is wrong")
    } else if field("scope") != OLDER_SCOPE {
        ("invalid_scope", "scope must be notify.windows.com")
    } else {
        return None;
    };
    Some(token::refusal(StatusCode::BAD_REQUEST, error, text))
}

fn same(given: &str, secret: &str) -> bool {
    bool::from(given.as_bytes().ct_eq(secret.as_bytes()))
}
