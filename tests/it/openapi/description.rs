//! What the tests read in a description.

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::support::{Client, TestHub, http::Answer};

/// The description of a hub.
pub struct Description(pub Value);

impl Description {
    pub async fn of(hub: &TestHub) -> Self {
        Self(hub.client().get("/openapi.json").await.expect(200))
    }

    /// Each operation: its path, its method, and what is told of it.
    pub fn operations(&self) -> Vec<(&str, String, &Value)> {
        let paths = self.0["paths"].as_object().unwrap();
        let mut found = Vec::new();
        for (path, methods) in paths {
            for (method, operation) in methods.as_object().unwrap() {
                found.push((path.as_str(), method.to_uppercase(), operation));
            }
        }
        found
    }

    /// What stands there, or what it refers to.
    pub fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => {
                let pointer = reference.strip_prefix('#').unwrap();
                let found = self.0.pointer(pointer);
                found.unwrap_or_else(|| panic!("nothing is at {reference}"))
            }
            None => value,
        }
    }

    /// What checks values by a schema of the description.
    pub fn validator(&self, schema: &Value) -> Validator {
        let whole = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [schema],
            "components": self.0["components"],
        });
        let options = jsonschema::options().should_validate_formats(true);
        options.build(&whole).unwrap()
    }

    #[track_caller]
    pub fn must_fit(&self, schema: &Value, value: &Value, what: &str) {
        let validator = self.validator(schema);
        let faults: Vec<String> = validator
            .iter_errors(value)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{what}: {faults:#?} in {value:#}");
    }

    /// An answer must be as the description has it: its status, its headers, its type and its shape.
    #[track_caller]
    pub fn must_tell_of(&self, method: &str, path: &str, answer: &Answer) {
        let what = format!("{method} {path}: {}", answer.status);
        let operation = &self.0["paths"][path][method.to_lowercase()];
        let told = &operation["responses"][answer.status.as_str()];
        assert!(!told.is_null(), "{what} is not told: {answer:?}");
        let told = self.resolved(told);
        for (name, header) in members(&told["headers"]) {
            let header = self.resolved(header);
            match answer.header(name) {
                Some(text) => {
                    let value = match header["schema"]["type"].as_str() {
                        Some("integer") => text.parse::<u64>().unwrap().into(),
                        _ => Value::from(text),
                    };
                    self.must_fit(&header["schema"], &value, &format!("{what}: {name}"));
                }
                None => assert_ne!(header["required"], true, "{what} has no {name}"),
            }
        }
        let content = members(&told["content"]);
        if content.is_empty() {
            assert!(answer.body.is_empty(), "{what}: {answer:?}");
            return;
        }
        let kind = answer.header("content-type").unwrap();
        let essence = kind.split(';').next().unwrap();
        let fits = |name: &str| name.split(';').next() == Some(essence);
        let shape = content.into_iter().find(|(name, _)| fits(name));
        let (_, shape) = shape.unwrap_or_else(|| panic!("{what} has the type {kind}"));
        if essence == "application/json" {
            self.must_fit(&shape["schema"], &answer.json(), &what);
        }
    }
}

/// The members of an object, where there is one.
pub fn members(value: &Value) -> Vec<(&str, &Value)> {
    let members = value.as_object().map(Map::iter).into_iter().flatten();
    members
        .map(|(name, value)| (name.as_str(), value))
        .collect()
}

/// The path of an operation with these in its place.
pub fn filled(path: &str, values: &[(&str, &str)]) -> String {
    let mut filled = path.to_owned();
    for (name, value) in values {
        filled = filled.replace(&format!("{{{name}}}"), value);
    }
    filled
}

/// A caller, and what it asked with and was answered.
pub async fn ask(
    client: &Client,
    (method, path): (&str, &str),
    values: &[(&str, &str)],
    body: Option<Value>,
) -> Answer {
    let method = method.parse().unwrap();
    client.call(method, &filled(path, values), body).await
}
