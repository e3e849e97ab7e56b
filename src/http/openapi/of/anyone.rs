//! What anyone on the listener may ask.

use serde_json::{Value, json};

use super::super::{
    super::{meta, wire},
    VERSION, examples,
    operation::{Describer, Operation},
    refusal::Refusal,
};

const TOKENS: &str = "Tokens";
const OPEN: &str = "Open to anyone";
const DOCS: &str = "Docs";

/// `POST /oauth2/v2.0/token`.
pub(in crate::http) fn access_token(with: &mut Describer<'_>) -> Operation {
    let _ = with.shape::<wire::OAuthError<'_>>();
    let shape = with.shape::<wire::AccessToken>();
    let filled = |words: &str| json!({ "type": "string", "minLength": 1, "description": words });
    let form = json!({
        "type": "object",
        "required": ["grant_type", "client_id", "client_secret"],
        "properties": {
            "grant_type": { "type": "string", "const": "client_credentials" },
            "client_id": filled("The app's host."),
            "client_secret": filled("An app key."),
            "scope": { "type": "string", "description": "Passed over: the token may what its key may." },
        },
        "additionalProperties": { "type": "string" },
    });
    Operation::new(TOKENS, "getAccessToken", "An access token for an app key")
        .says("OAuth 2.0 client credentials (RFC 6749, section 4.4). Instead of standing in the body, `client_id` and `client_secret` may come by HTTP Basic. Errors are OAuth's. The token dies with its key.")
        .oauth()
        .form(&form)
        .answers(200, "Good for an hour.", &shape, examples::access_token())
}

/// `GET /v2.0/.well-known/openid-configuration`.
pub(in crate::http) fn configuration(with: &mut Describer<'_>) -> Operation {
    let shape = with.shape::<wire::Configuration>();
    Operation::new(TOKENS, "getConfiguration", "Where the token endpoint is")
        .says("OpenID Connect Discovery 1.0, for clients that look there.")
        .answers(200, "There.", &shape, examples::configuration())
}

/// `GET /discovery/v2.0/keys`.
pub(in crate::http) fn keys(with: &mut Describer<'_>) -> Operation {
    let shape = with.shape::<wire::KeySet>();
    Operation::new(TOKENS, "getKeys", "The keys to check tokens by")
        .says("There are none: the hub's tokens are its own affair.")
        .answers(200, "None.", &shape, json!({ "keys": [] }))
}

/// `GET /v1/apps/{host}/webpush`.
pub(in crate::http) fn web_push(with: &mut Describer<'_>) -> Operation {
    let shape = with.shape::<wire::PublicKey>();
    Operation::new(OPEN, "getVapidKey", "What browsers subscribe with")
        .answers(
            200,
            "The app's VAPID public key.",
            &shape,
            examples::public_key(),
        )
        .refuses(&[Refusal::NotFound])
}

/// `GET /healthz`.
pub(in crate::http) fn health(with: &mut Describer<'_>) -> Operation {
    let shape = with.shape::<wire::Status>();
    Operation::new(OPEN, "getHealth", "Whether the process answers")
        .probe()
        .answers(200, "It does.", &shape, json!({ "status": "ok" }))
}

/// `GET /readyz`.
pub(in crate::http) fn ready(with: &mut Describer<'_>) -> Operation {
    let shape = with.shape::<wire::Status>();
    Operation::new(OPEN, "getReadiness", "Whether the hub takes requests")
        .says("`degraded` where something is amiss that its operator should look at.")
        .probe()
        .answers(
            200,
            "It does: `ready` or `degraded`.",
            &shape,
            json!({ "status": "ready" }),
        )
        .refuses(&[Refusal::Unavailable])
}

/// `GET /metrics`.
pub(in crate::http) fn metrics(_: &mut Describer<'_>) -> Operation {
    let content = json!({ "schema": { "type": "string" } });
    Operation::new(OPEN, "getMetrics", "Figures for Prometheus")
        .probe()
        .typed(200, "The figures.", (meta::OPEN_METRICS, content))
        .refuses(&[Refusal::Unavailable])
}

/// `GET /openapi.json`.
pub(in crate::http) fn description(_: &mut Describer<'_>) -> Operation {
    let shape = json!({
        "type": "object",
        "required": ["openapi", "info", "paths", "components"],
        "properties": { "openapi": { "type": "string", "const": VERSION } },
    });
    let example = json!({ "openapi": VERSION, "info": {}, "paths": {}, "components": {} });
    Operation::new(DOCS, "getDescription", "This description").answers(
        200,
        "OpenAPI 3.1.",
        &shape,
        example,
    )
}

fn page(id: &'static str, summary: &'static str, (kind, schema): (&str, Value)) -> Operation {
    Operation::new(DOCS, id, summary).typed(200, "The page.", (kind, json!({ "schema": schema })))
}

fn html(id: &'static str, summary: &'static str) -> Operation {
    page(id, summary, ("text/html", json!({ "type": "string" })))
        .with(200, "Content-Security-Policy")
}

/// `GET /docs`.
pub(in crate::http) fn docs(_: &mut Describer<'_>) -> Operation {
    html("getDocs", "The docs' first page")
}

/// `GET /docs/{page}`.
pub(in crate::http) fn docs_page(_: &mut Describer<'_>) -> Operation {
    html("getDocsPage", "A page of the docs").refuses(&[Refusal::NotFound])
}

/// `GET /docs/docs.css`.
pub(in crate::http) fn docs_style(_: &mut Describer<'_>) -> Operation {
    let style = ("text/css", json!({ "type": "string" }));
    page("getDocsStyle", "The docs' stylesheet", style)
}

/// `GET /docs/api`.
pub(in crate::http) fn reference(_: &mut Describer<'_>) -> Operation {
    html("getReference", "This description as a page")
}

/// `GET /docs/api/{file}`.
pub(in crate::http) fn reference_file(_: &mut Describer<'_>) -> Operation {
    let text = || json!({ "schema": { "type": "string" } });
    let mut file = page(
        "getReferenceFile",
        "A file of that page",
        ("text/css", json!({ "type": "string" })),
    );
    file = file.also(200, ("text/javascript", text()));
    file.refuses(&[Refusal::NotFound])
}

/// The demo's pages, which are in no description.
pub(in crate::http) fn of_the_demo(_: &mut Describer<'_>) -> Operation {
    Operation::new("Demo", "demo", "Of the demo alone")
}
