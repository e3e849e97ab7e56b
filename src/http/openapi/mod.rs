//! The description of the API as OpenAPI 3.1, made from the code when the hub starts: the paths and methods are those
//! of the route table, whose lines name what describes them; the shapes of answers come of the types that write them,
//! those of requests stand beside what reads them; the refusals are the errors themselves; the limits are those in
//! force.

mod examples;
mod export;
mod headers;
mod limits;
pub(super) mod of;
mod operation;
mod packed;
mod paths;
pub(super) mod reference;
mod refusal;

use std::collections::BTreeMap;

use actix_web::{
    HttpRequest,
    http::header::{CACHE_CONTROL, HeaderValue},
    web::Data,
};
use schemars::{Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Map, Value, json};

use super::{Answer, Context, Error, error::Envelope, table::Line, wire::schema::Shapes};
use packed::Packed;
use refusal::Refusal;

pub(super) use operation::{Describer, Operation};

/// The standard that it follows.
const VERSION: &str = "3.1.0";
/// It changes with the binary and the config alone; a proxy may keep it for a while.
const KEPT: &str = "public, max-age=300";
/// What the words about the hub as a whole are.
const WORDS: &str = include_str!("words.md");

/// The description as it is served.
#[derive(Debug)]
pub(super) struct Description(Packed);

impl Description {
    /// Of these lines.
    pub(super) fn of(lines: &[Line], context: &Context) -> Self {
        let document = document(lines, context);
        // Maps with strings for names cannot fail to be written.
        Self(Packed::pack(
            &serde_json::to_vec(&document).unwrap_or_default(),
        ))
    }
}

/// `GET /openapi.json`.
pub(super) async fn description(request: HttpRequest, description: Data<Description>) -> Answer {
    let mut answer = description.0.answer(&request, "application/json")?;
    let kept = HeaderValue::from_static(KEPT);
    answer.headers_mut().insert(CACHE_CONTROL, kept);
    Ok(answer)
}

/// What the code of an error is.
pub(super) fn code(_: &mut SchemaGenerator) -> Schema {
    let mut codes: Vec<&str> = Vec::new();
    for refusal in Refusal::ALL {
        let code = refusal.code();
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    json_schema!({ "type": "string", "enum": codes })
}

fn document(lines: &[Line], context: &Context) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let hub = &context.hub;
    let mut with = Describer {
        limits: hub.limits(),
        min_delay: hub.delivery().min_fallback_delay,
        generator: settings.for_serialize().into_generator(),
        shapes: Shapes::default(),
        responses: Map::new(),
    };
    let _ = with.shape::<Envelope<'_>>();
    let (mut paths, mut seen) = (Map::new(), BTreeMap::new());
    for line in lines {
        let mut methods = Map::new();
        for (method, describe) in line.taken() {
            let operation = describe(&mut with);
            let nth: &mut usize = seen.entry((*method, operation.id())).or_default();
            let operation = operation.finished((line.path(), method, *nth), &mut with);
            *nth += 1;
            methods.insert(method.to_ascii_lowercase(), operation);
        }
        paths.insert(line.path().to_owned(), methods.into());
    }
    // Every path answers so to a method that it does not take, which is of no operation.
    let refused = refusal::answers(&[Refusal::Method].into(), with.limits);
    with.responses.extend(refused.into_values());
    let mut schemas = with.generator.take_definitions(true);
    schemas.append(&mut with.shapes.0);
    let public_url = context.public_url.as_ref();
    let server = public_url.map_or("/", |url| url.as_str().trim_end_matches('/'));
    json!({
        "openapi": VERSION,
        "info": {
            "title": "Beckon",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A self-hosted notification hub that thinks in people, not devices.",
            "description": format!("{WORDS}{}", limits::table(hub.limits())),
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": server }],
        "tags": tags(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "headers": headers::components(),
            "responses": with.responses,
            "securitySchemes": credentials(),
        },
    })
}

fn tags() -> Value {
    json!([
        { "name": "App server", "description": "For the server of an app: an app key, or an access token that was got for one." },
        { "name": "App client", "description": "For the app on a person's device: a user token, minted by the hub or by the app's own identity provider." },
        { "name": "Tokens", "description": "An app key against a short-lived access token, and where libraries look for that." },
        { "name": "Open to anyone", "description": "Without a credential." },
        { "name": "Docs", "description": "What you read." },
    ])
}

fn credentials() -> Value {
    json!({
        "appKey": {
            "type": "http",
            "scheme": "bearer",
            "description": "An app key (`beckon key create`). Its scope is `send` (post, retract, read notifications and deliveries), `users` (tokens, endpoints, export) or `all`; each operation names the one that it takes.",
        },
        "accessToken": {
            "type": "oauth2",
            "description": "Got for an app key at the token endpoint; may what the key may.",
            "flows": { "clientCredentials": { "tokenUrl": "/oauth2/v2.0/token", "scopes": {} } },
        },
        "userToken": {
            "type": "http",
            "scheme": "bearer",
            "description": "A user's token: minted by the hub (`mintToken`), bound to one device or to none, or by the app's own identity provider.",
        },
        "streamTicket": {
            "type": "apiKey",
            "in": "query",
            "name": "ticket",
            "description": "A ticket for one stream (`mintTicket`).",
        },
    })
}
