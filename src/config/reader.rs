//! Reads leaves one after another and gathers what is wrong with them, so that the operator mends all in one go.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use toml::{Spanned, Value};

use super::{Problem, raw::Leaf};

/// What was read: the file's text and, behind its end, the variables that override it.
///
/// A place is an offset: within the text it is a line of the file, beyond it the variable of that number. So one
/// kind of span serves both, and nothing that reads a value needs to know where it came from.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// The file as the operator named it; none without a file.
    pub(super) name: String,
    /// Its text.
    pub(super) text: String,
    /// The folder that relative paths begin at.
    pub(super) folder: PathBuf,
    /// The names of the variables.
    pub(super) variables: Vec<String>,
}

impl Source {
    /// The span that stands for the variable of number `index`.
    pub(super) fn variable_span(&self, index: usize) -> Range<usize> {
        let offset = self.text.len() + 1 + index;
        offset..offset
    }

    /// The variable at `offset`, if it is one.
    pub(super) fn variable_at(&self, offset: usize) -> Option<&str> {
        let index = offset.checked_sub(self.text.len() + 1)?;
        self.variables.get(index).map(String::as_str)
    }

    /// The fault of `key` at `offset`.
    pub(super) fn problem(&self, offset: usize, key: &str, reason: String) -> Problem {
        let place = match self.variable_at(offset) {
            Some(variable) => variable.to_owned(),
            None if self.name.is_empty() => String::new(),
            None => {
                let before = self.text.bytes().take(offset);
                let line = 1 + before.filter(|byte| *byte == b'\n').count();
                format!("{}:{line}", self.name)
            }
        };
        let key = match self.variable_at(offset) {
            Some(_) => String::new(),
            None => key.to_owned(),
        };
        Problem { place, key, reason }
    }
}

/// A key that has to be there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needed {
    /// Where its section begins.
    pub(super) section_at: usize,
    /// The key with its sections.
    pub(super) key: &'static str,
    /// What to write where it is missing.
    pub(super) write: &'static str,
}

/// Makes [`Needed`] keys of the section `raw`.
pub(super) fn needs<T>(raw: &Spanned<T>) -> impl Fn(&'static str, &'static str) -> Needed + use<T> {
    let section_at = raw.span().start;
    move |key, write| Needed {
        section_at,
        key,
        write,
    }
}

/// Reads leaves and gathers faults.
pub(super) struct Reader<'a> {
    source: &'a Source,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// Reads what came from `source`.
    pub(super) fn new(source: &'a Source) -> Self {
        Self {
            source,
            problems: Vec::new(),
        }
    }

    /// The folder that relative paths begin at.
    pub(super) fn folder(&self) -> &'a Path {
        &self.source.folder
    }

    /// The value of `key`, if it is there and good.
    pub(super) fn optional<T>(
        &mut self,
        key: &str,
        leaf: Leaf,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        let leaf = leaf?;
        read(leaf.get_ref())
            .map_err(|reason| self.fault(leaf.span().start, key, reason))
            .ok()
    }

    /// Sets `target` to the value of `key`, if it is there and good; else it stays what it is.
    pub(super) fn set<T>(
        &mut self,
        target: &mut T,
        key: &str,
        leaf: Leaf,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) {
        if let Some(value) = self.optional(key, leaf, read) {
            *target = value;
        }
    }

    /// The value of a key that has to be there. None is a fault that has been noted.
    pub(super) fn required<T>(
        &mut self,
        needed: Needed,
        leaf: Leaf,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        if leaf.is_none() {
            let reason = format!("is missing; write {}", needed.write);
            self.fault(needed.section_at, needed.key, reason);
        }
        self.optional(needed.key, leaf, read)
    }

    /// Notes a fault of `key` at `offset`.
    pub(super) fn fault(&mut self, offset: usize, key: &str, reason: impl Into<String>) {
        let problem = self.source.problem(offset, key, reason.into());
        self.problems.push(problem);
    }

    /// All faults, in the order in which they were found.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}
