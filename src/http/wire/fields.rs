//! A typed cursor over a JSON object. It gathers faults, so that one answer names them all.

use std::{borrow::Cow, cell::RefCell};

use serde_json::{Map, Number, Value};

use crate::{
    hub,
    model::{Fault, Timestamp},
};

/// The faults of one body.
#[derive(Debug, Default)]
pub(super) struct Faults(RefCell<Vec<Fault>>);

impl Faults {
    fn add(&self, target: impl Into<Cow<'static, str>>, message: impl Into<String>) {
        self.0.borrow_mut().push(Fault::new(target, message));
    }

    /// Notes faults that were found elsewhere.
    pub(super) fn extend(&self, found: Vec<Fault>) {
        self.0.borrow_mut().extend(found);
    }

    /// `value`, where the body has no fault. Nothing without a fault cannot be: what is missing was noted.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, hub::Error> {
        let faults = self.0.into_inner();
        match value {
            Some(value) if faults.is_empty() => Ok(value),
            _ => Err(hub::Error::Invalid(faults)),
        }
    }
}

/// An object within a body. A member that is `null` is one that is not there.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    path: String,
    members: &'a Map<String, Value>,
    faults: &'a Faults,
}

impl<'a> Fields<'a> {
    /// The body itself.
    pub(super) fn of(members: &'a Map<String, Value>, faults: &'a Faults) -> Self {
        Self {
            path: String::new(),
            members,
            faults,
        }
    }

    /// Notes a fault of a member.
    pub(super) fn fault(&self, name: &str, message: impl Into<String>) {
        self.faults.add(self.target(name), message);
    }

    fn target(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }

    /// A member of any type.
    pub(super) fn value(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// Whether there is such a member, of whatever type.
    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// Notes a fault where there is no such member.
    pub(super) fn require(&self, name: &str) {
        if !self.has(name) {
            self.fault(name, "is missing");
        }
    }

    /// What `read` makes of a member; where it makes nothing, the member is not `what`.
    pub(super) fn typed<T>(
        &self,
        name: &str,
        what: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let found = read(self.value(name)?);
        if found.is_none() {
            self.fault(name, format!("is not {what}"));
        }
        found
    }

    /// A string.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.typed(name, "a string", Value::as_str)
    }

    /// A string of at most `max` bytes, as `key` allows.
    pub(super) fn text_within(&self, name: &str, (key, max): (&str, usize)) -> Option<&'a str> {
        let text = self.text(name)?;
        if text.len() > max {
            let len = text.len();
            self.fault(name, format!("is {len} bytes long; {key} allows {max}"));
            return None;
        }
        Some(text)
    }

    /// The same, and not empty.
    pub(super) fn filled_text(&self, name: &str, limit: (&str, usize)) -> Option<&'a str> {
        let text = self.text_within(name, limit)?;
        if text.is_empty() {
            self.fault(name, "is empty");
            return None;
        }
        Some(text)
    }

    /// A string that `parse` reads; where it does not, the member is not `what`.
    pub(super) fn word<T>(
        &self,
        name: &str,
        what: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let found = parse(self.text(name)?);
        if found.is_none() {
            self.fault(name, format!("is not {what}"));
        }
        found
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.typed(name, "true or false", Value::as_bool)
    }

    /// A moment.
    pub(super) fn moment(&self, name: &str) -> Option<Timestamp> {
        match self.text(name)?.parse() {
            Ok(moment) => Some(moment),
            Err(message) => {
                self.fault(name, message);
                None
            }
        }
    }

    /// An object.
    pub(super) fn object(&self, name: &str) -> Option<Fields<'a>> {
        let members = self.typed(name, "an object", Value::as_object)?;
        Some(Self {
            path: self.target(name),
            members,
            faults: self.faults,
        })
    }

    /// An array, whatever its entries are.
    pub(super) fn entries(&self, name: &str) -> Option<&'a [Value]> {
        self.typed(name, "an array", Value::as_array)
            .map(Vec::as_slice)
    }

    /// An array of strings; none, where one entry is something else.
    pub(super) fn texts(&self, name: &str) -> Option<Vec<&'a str>> {
        let entries = self.typed(name, "an array", Value::as_array)?;
        let texts: Vec<&str> = entries.iter().filter_map(Value::as_str).collect();
        if texts.len() < entries.len() {
            self.fault(name, "is not an array of strings");
            return None;
        }
        Some(texts)
    }
}

/// A whole number, also one written as `60.0`.
pub(super) fn whole(number: &Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        let float = number.as_f64()?;
        // Up to here a float holds every whole number exactly.
        (float.fract() == 0.0 && float.abs() < 9.0e15).then_some(float as i64)
    })
}
