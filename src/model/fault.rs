//! What is wrong with which field of a request.

use std::borrow::Cow;

/// One fault of a request: which field, and what to do about it.
///
/// All faults of a body are gathered and answered together, so that a caller mends them in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The field's path as the caller wrote it, e.g. `payload.visualContent.title`.
    pub target: Cow<'static, str>,
    /// What is wrong, with the limit and what would be right; lower case, no full stop.
    pub message: String,
}

impl Fault {
    /// A fault of the field at `target`.
    pub fn new(target: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            message: message.into(),
        }
    }
}
