//! What stands behind the `?`: read as strictly as a body.

use actix_web::HttpRequest;
use serde_json::{Value, json};

use super::{
    Error, path,
    wire::schema::{self, said},
};
use crate::{
    hub::{self, Filter},
    model::{ActionState, EndpointId, Fault, ReadState},
};

/// How many entries a page has where nobody says.
const DEFAULT_TOP: usize = 100;
/// How many at most.
const MAX_TOP: usize = 1000;

/// The parameters that mean something; others are ignored.
const KNOWN: [&str; 10] = [
    "$top",
    "$skiptoken",
    "$deltatoken",
    "$digest",
    "readState",
    "userActionState",
    "groupName",
    "ticket",
    "endpointId",
    "content",
];

/// What is told of a parameter.
pub(super) fn parameter(name: &str) -> Value {
    let (schema, words) = match name {
        "$top" => (
            json!({ "type": "integer", "minimum": 1, "maximum": MAX_TOP, "default": DEFAULT_TOP }),
            "How many entries the page has at most.",
        ),
        "$skiptoken" => (
            json!({ "type": "string" }),
            "Where the page begins: as `@odata.nextLink` has it.",
        ),
        "$deltatoken" => (
            json!({ "type": "string" }),
            "The cursor: as `@odata.nextLink`, `@odata.deltaLink` or a stream's `id` has it. One that is too old, or none of this user's feed, is `410`.",
        ),
        "$digest" => (
            flag(false),
            "Whether the last page says what a client holds then.",
        ),
        "readState" => (
            schema::word(&ReadState::ALL.map(ReadState::as_str)),
            "Only what is in this state.",
        ),
        "userActionState" => (
            schema::word(&ActionState::ALL.map(ActionState::as_str)),
            "Only what this was done with.",
        ),
        "groupName" => (json!({ "type": "string" }), "Only what is of this group."),
        "endpointId" => (
            schema::endpoint_id(),
            "Only the tokens that are bound to this device.",
        ),
        "content" => (flag(true), "Whether what was posted is in it."),
        _ => (
            json!({ "type": "string" }),
            "A ticket, in place of a credential.",
        ),
    };
    said(
        json!({ "name": name, "in": "query", "schema": schema }),
        words,
    )
}

fn flag(usual: bool) -> Value {
    json!({ "type": "boolean", "default": usual })
}

/// The decoded parameters, in the order they were sent.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the query of a request.
    pub(super) fn of(request: &HttpRequest) -> Result<Self, Error> {
        let text = request.uri().query().unwrap_or_default();
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let decoded = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decode = |raw: &str| path::decode(&raw.replace('+', " "));
            Some((decode(name)?, decode(value)?))
        });
        let decoded: Option<Vec<_>> = decoded.collect();
        let decoded =
            decoded.ok_or_else(|| hub::Error::invalid("query", "does not decode to UTF-8"))?;
        Self(decoded).without_repeats()
    }

    /// Which of two values would count is nothing to guess.
    fn without_repeats(self) -> Result<Self, Error> {
        let count = |name: &str| self.0.iter().filter(|(key, _)| key == name).count();
        let repeated = KNOWN.iter().filter(|name| count(name) > 1);
        let faults: Vec<_> = repeated
            .map(|name| Fault::new(*name, "is given more than once"))
            .collect();
        if faults.is_empty() {
            Ok(self)
        } else {
            Err(hub::Error::Invalid(faults).into())
        }
    }

    /// The value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Refuses what is none of these, for a call where a slip would do far more than was meant.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Error> {
        let unknown = self
            .0
            .iter()
            .filter(|(name, _)| !known.contains(&name.as_str()));
        let message = || format!("is not known here; write {}", known.join(", "));
        let faults: Vec<_> = unknown
            .map(|(name, _)| Fault::new(name.clone(), message()))
            .collect();
        if faults.is_empty() {
            Ok(())
        } else {
            Err(hub::Error::Invalid(faults).into())
        }
    }

    /// `endpointId`.
    pub(super) fn endpoint(&self) -> Result<Option<EndpointId>, Error> {
        let id = self.get("endpointId").map(EndpointId::parse).transpose();
        id.map_err(|why| hub::Error::invalid("endpointId", why).into())
    }

    /// `$top`.
    pub(super) fn top(&self) -> Result<usize, Error> {
        let Some(text) = self.get("$top") else {
            return Ok(DEFAULT_TOP);
        };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let top = text
            .parse()
            .ok()
            .filter(|top| digits && (1..=MAX_TOP).contains(top));
        top.ok_or_else(|| {
            let message = format!("is not a whole number from 1 to {MAX_TOP}");
            hub::Error::invalid("$top", message).into()
        })
    }

    /// `$digest`: whether the last page of a delta is to say what a client holds then.
    pub(super) fn digest(&self) -> Result<bool, Error> {
        self.flag("$digest", false)
    }

    /// `content`: whether an export is to have what was posted.
    pub(super) fn content(&self) -> Result<bool, Error> {
        self.flag("content", true)
    }

    fn flag(&self, name: &'static str, usual: bool) -> Result<bool, Error> {
        match self.get(name) {
            None => Ok(usual),
            Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(hub::Error::invalid(name, "is none of true, false").into()),
        }
    }

    /// The filters of a history; all faults at once.
    pub(super) fn filter(&self) -> Result<Filter, Error> {
        let mut faults = Vec::new();
        let mut unknown = |name: &'static str, words: &str| {
            faults.push(Fault::new(name, format!("is none of {words}")));
        };
        let filter = Filter {
            read: self.get("readState").and_then(|text| {
                let state = ReadState::parse(text);
                state
                    .is_none()
                    .then(|| unknown("readState", "unread, read"));
                state
            }),
            action: self.get("userActionState").and_then(|text| {
                let state = ActionState::parse(text);
                let words = "noInteraction, activated, dismissed, snoozed";
                state.is_none().then(|| unknown("userActionState", words));
                state
            }),
            group: self.get("groupName").map(str::to_owned),
        };
        if faults.is_empty() {
            Ok(filter)
        } else {
            Err(hub::Error::Invalid(faults).into())
        }
    }

    /// The same parameters but `without`, each as `name=value&`, to begin the query of a link with.
    pub(super) fn kept(&self, without: &str) -> String {
        let kept = self.0.iter().filter(|(name, _)| name != without);
        kept.map(|(name, value)| {
            format!(
                "{}={}&",
                super::links::escaped(name),
                super::links::escaped(value)
            )
        })
        .collect()
    }
}
