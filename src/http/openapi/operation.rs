//! What is told of one operation: of a method at a path.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::{
    super::{cors, query, wire::schema::Shapes},
    headers, limits,
    refusal::{self, Refusal},
};
use crate::{config::Limits, model::Scope};

/// What bodies are.
const COMMON_BODY: &str = "A JSON object in UTF-8; unknown members are passed over, and `null` is the same as left out. After inflating it has at most as many bytes as `server.limits.body`, and is nested at most as deep as `server.limits.nesting`.";
/// The same of one that may name many.
const LONG_BODY: &str = "A JSON object in UTF-8; unknown members are passed over, and `null` is the same as left out. After inflating it has at most as many bytes as `server.limits.audience_body`, and is nested at most as deep as `server.limits.nesting`.";

/// What operations describe themselves with.
pub(in super::super) struct Describer<'a> {
    /// The limits in force.
    pub(super) limits: &'a Limits,
    /// The shortest delay of a fallback.
    pub(super) min_delay: Duration,
    /// Knows the shapes of answers.
    pub(super) generator: SchemaGenerator,
    /// The shapes of requests.
    pub(super) shapes: Shapes,
    /// The answers that operations share, by name.
    pub(super) responses: Map<String, Value>,
}

impl Describer<'_> {
    /// The shape of an answer.
    pub(super) fn shape<T: JsonSchema>(&mut self) -> Value {
        self.generator.subschema_for::<T>().to_value()
    }

    /// Keeps the shape of a request under a name.
    pub(super) fn named(&mut self, name: &str, shape: Value) -> Value {
        self.shapes.named(name, shape)
    }
}

/// By what an operation knows its caller; any of an operation's will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credential {
    /// An app key of this scope, or an access token that was got for one.
    App(Scope),
    /// A user's token.
    User,
    /// A ticket for one stream.
    Ticket,
}

impl Credential {
    fn requirements(self) -> Vec<Value> {
        match self {
            Self::App(scope) => vec![
                json!({ "appKey": [scope.as_str()] }),
                json!({ "accessToken": [] }),
            ],
            Self::User => vec![json!({ "userToken": [] })],
            Self::Ticket => vec![json!({ "streamTicket": [] })],
        }
    }
}

/// An operation.
pub(in super::super) struct Operation {
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    words: String,
    takes: Vec<Credential>,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: BTreeMap<u16, Value>,
    refusals: BTreeSet<Refusal>,
    oauth: bool,
}

impl Operation {
    /// An operation that anyone may call, and that can be refused whoever calls.
    pub(super) fn new(tag: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            tag,
            summary,
            words: String::new(),
            takes: Vec::new(),
            parameters: Vec::new(),
            body: None,
            answers: BTreeMap::new(),
            refusals: BTreeSet::from([Refusal::TooMany, Refusal::Limit, Refusal::Unavailable]),
            oauth: false,
        }
    }

    /// With more to say.
    pub(super) fn says(mut self, words: &str) -> Self {
        self.words = words.to_owned();
        self
    }

    /// A probe, which is answered whatever the hub does, and counted by none.
    pub(super) fn probe(mut self) -> Self {
        self.refusals.clear();
        self
    }

    /// Whose errors are OAuth's.
    pub(super) fn oauth(mut self) -> Self {
        self.oauth = true;
        self
    }

    /// Behind a door.
    pub(super) fn takes(mut self, credential: Credential) -> Self {
        self.takes.push(credential);
        self.refuses(&[Refusal::Unauthenticated, Refusal::Forbidden])
    }

    /// For a user's client, of a device that is registered where one is named.
    pub(super) fn client(self) -> Self {
        self.takes(Credential::User)
            .header("X-Endpoint-Id")
            .refuses(&[Refusal::EndpointNotFound])
    }

    /// With a header.
    pub(super) fn header(mut self, name: &str) -> Self {
        self.parameters.push(headers::parameter(name));
        self
    }

    /// With parameters behind the `?`.
    pub(super) fn query(mut self, names: &[&'static str]) -> Self {
        self.parameters
            .extend(names.iter().map(|name| query::parameter(name)));
        self.refuses(&[Refusal::Invalid])
    }

    /// With a body of JSON; `examples` by name.
    pub(super) fn body(self, schema: &Value, examples: &[(&str, Value)]) -> Self {
        self.json(schema, examples, (true, COMMON_BODY))
    }

    /// With a body of JSON that may be as long as one that names many.
    pub(super) fn long_body(self, schema: &Value, examples: &[(&str, Value)]) -> Self {
        self.json(schema, examples, (true, LONG_BODY))
    }

    /// With a body that may be left out.
    pub(super) fn optional_body(self, schema: &Value, examples: &[(&str, Value)]) -> Self {
        self.json(schema, examples, (false, COMMON_BODY))
    }

    fn json(
        mut self,
        schema: &Value,
        examples: &[(&str, Value)],
        (required, words): (bool, &str),
    ) -> Self {
        let named: Map<String, Value> = examples
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!({ "value": value })))
            .collect();
        let mut content = json!({ "schema": schema });
        if !named.is_empty() {
            content["examples"] = named.into();
        }
        self.body = Some(json!({
            "required": required,
            "description": words,
            "content": { "application/json": content },
        }));
        self.header("Content-Encoding").refuses(&[
            Refusal::Invalid,
            Refusal::TooLarge,
            Refusal::MediaType,
        ])
    }

    /// With a body of another type.
    pub(super) fn form(mut self, schema: &Value) -> Self {
        self.body = Some(json!({
            "required": true,
            "description": "At most as many bytes as `server.limits.body`.",
            "content": { "application/x-www-form-urlencoded": { "schema": schema } },
        }));
        self
    }

    /// Answers without a body.
    pub(super) fn empty(mut self, status: u16, words: &str) -> Self {
        let answer = json!({ "description": words, "headers": headers::of(&[]) });
        self.answers.insert(status, answer);
        self
    }

    /// Answers with JSON.
    pub(super) fn answers(self, status: u16, words: &str, schema: &Value, example: Value) -> Self {
        let content = json!({ "schema": schema, "example": example });
        self.typed(status, words, ("application/json", content))
    }

    /// Answers with content of a type.
    pub(super) fn typed(
        mut self,
        status: u16,
        words: &str,
        (kind, content): (&str, Value),
    ) -> Self {
        let answer = json!({
            "description": words,
            "headers": headers::of(&[]),
            "content": { kind: content },
        });
        self.answers.insert(status, answer);
        self
    }

    /// With content of another type in the answer of this status.
    pub(super) fn also(mut self, status: u16, (kind, content): (&str, Value)) -> Self {
        if let Some(answer) = self.answers.get_mut(&status) {
            answer["content"][kind] = content;
        }
        self
    }

    /// With a header in the answer of this status.
    pub(super) fn with(mut self, status: u16, name: &str) -> Self {
        if let Some(answer) = self.answers.get_mut(&status) {
            answer["headers"][name] = headers::reference(name);
        }
        self
    }

    /// What can be asked with what the answer says: the operation, and which of its parameters is what of this call.
    pub(super) fn leads(mut self, status: u16, to: &str, parameters: Value) -> Self {
        if let Some(answer) = self.answers.get_mut(&status) {
            answer["links"][to] = json!({ "operationId": to, "parameters": parameters });
        }
        self
    }

    /// Can be refused so.
    pub(super) fn refuses(mut self, refusals: &[Refusal]) -> Self {
        self.refusals.extend(refusals);
        self
    }

    /// What it is called.
    pub(super) fn id(&self) -> &'static str {
        self.id
    }

    /// As the description has it, at its path; `nth` counts the paths that led to it before.
    pub(super) fn finished(
        mut self,
        (path, method, nth): (&str, &str, usize),
        with: &mut Describer<'_>,
    ) -> Value {
        let in_path = super::paths::parameters(path);
        if in_path.iter().any(super::paths::is_decoded) {
            self.refusals.insert(Refusal::Invalid);
        }
        self.parameters.splice(0..0, in_path);
        self.parameters
            .push(headers::parameter("client-request-id"));
        let refused = match self.oauth {
            true => refusal::oauth_answers(),
            false => refusal::answers(&self.refusals, with.limits),
        };
        let to_pages = cors::is_read_by_pages(path);
        let adapt = |answer: &mut Value| {
            if to_pages {
                headers::readable_by_pages(answer);
            }
            if method == "HEAD" {
                remove(answer, "content");
            }
        };
        self.answers.values_mut().for_each(adapt);
        for (status, (name, mut answer)) in refused {
            adapt(&mut answer);
            let name = match (to_pages, method) {
                (true, _) => format!("{name}.toPages"),
                (false, "HEAD") => format!("{name}.head"),
                (false, _) => name,
            };
            let shared = json!({ "$ref": format!("#/components/responses/{name}") });
            with.responses.insert(name, answer);
            self.answers.entry(status).or_insert(shared);
        }
        let id = match (method, nth) {
            ("HEAD", _) => format!("{}Head", self.id),
            (_, 0) => self.id.to_owned(),
            (_, nth) => format!("{}{}", self.id, nth + 1),
        };
        let needs = self.takes.iter().flat_map(|it| it.requirements());
        let answers = self.answers.iter();
        let answers = answers.map(|(status, answer)| (status.to_string(), answer.clone()));
        let mut operation = json!({
            "operationId": id,
            "tags": [self.tag],
            "summary": self.summary,
            "parameters": self.parameters,
            "responses": answers.collect::<Map<_, _>>(),
            "security": needs.collect::<Vec<_>>(),
        });
        if !self.words.is_empty() {
            operation["description"] = limits::told(&self.words, with.limits).into();
        }
        if let Some(mut body) = self.body {
            let words = body["description"].as_str().unwrap_or_default();
            body["description"] = limits::told(words, with.limits).into();
            operation["requestBody"] = body;
        }
        operation
    }
}

fn remove(value: &mut Value, name: &str) {
    if let Some(members) = value.as_object_mut() {
        members.remove(name);
    }
}
