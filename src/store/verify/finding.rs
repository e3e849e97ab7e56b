//! What a walk through the store finds.

use std::fmt;

use super::Check;

use crate::{
    model::Subject,
    store::{
        Error, Reader,
        keys::{self, UserKey},
    },
};

/// One disagreement. It names rows by their keys' own hashes, so it can be shown and sent to anyone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The user's rows, as hex of the hash in their keys.
    pub user: String,
    /// What disagrees.
    pub message: String,
    /// Whether it is about what many rows come to: of someone who is written to, that can look wrong the same way twice.
    pub is_sum: bool,
    /// The key of the row that was looked at, where it was one: the same is said of others. It is for comparing, and not
    /// shown.
    pub row: Vec<u8>,
}

impl Finding {
    /// About the rows of a user.
    pub fn of(subject: &Subject, message: impl Into<String>) -> Self {
        Self::about(&keys::user_key(subject), message)
    }

    pub(super) fn about(user: &UserKey, message: impl Into<String>) -> Self {
        Self {
            user: user.iter().map(|byte| format!("{byte:02x}")).collect(),
            message: message.into(),
            is_sum: false,
            row: Vec::new(),
        }
    }
}

impl Check<'_> {
    /// Says of a row, or of one that it leads to, that it cannot be read.
    pub(super) fn say_unreadable(&mut self, key: &[u8], what: &str) {
        let user = match key.first() {
            Some(b'm') => keys::marker_parts(key).map(|(_, user, _)| user),
            Some(
                b'n' | b'p' | b'a' | b'f' | b't' | b'g' | b'l' | b'r' | b'e' | b'q' | b'u' | b'E',
            ) => keys::user_at(key, 1),
            _ => Ok([0; keys::USER]),
        };
        let letter = key.first().map(|letter| letter.escape_ascii().to_string());
        let number = match key.first() {
            Some(b'n' | b'p' | b'f') => keys::u64_at(key, 1 + keys::USER).ok(),
            _ => None,
        };
        let number = number
            .map(|number| format!(" {number}"))
            .unwrap_or_default();
        let row = format!("`{}`{number}", letter.unwrap_or_default());
        self.say(
            &user.unwrap_or_default(),
            format!("the row {row} or what it leads to: {what}"),
        );
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {}: {}", self.user, self.message)
    }
}

impl Reader {
    /// What the rows of one user come to, against what their own row says. Nobody may write to them meanwhile.
    ///
    /// # Errors
    /// As [`Reader::verify`].
    pub fn verify_sums(&self, subject: &Subject) -> Result<Vec<Finding>, Error> {
        let user = keys::user_key(subject);
        let mut check = Check::new(self, || true);
        let prefix = |letter: u8| [&[letter][..], &user].concat();
        check.rows(&prefix(b'n'), Check::notification)?;
        check.rows(&prefix(b'f'), Check::change)?;
        check.rows(&prefix(b'u'), Check::user)?;
        check.nobodys();
        let mut findings = check.findings;
        findings.retain(|it| it.is_sum);
        Ok(findings)
    }

    /// Whom a finding is about; none, where the user has no row.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn named(&self, user: &str) -> Result<Option<Subject>, Error> {
        let digits = user.as_bytes().chunks(2);
        let bytes: Option<Vec<u8>> = digits
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok())
            .collect();
        let Some(key) = bytes.and_then(|bytes| UserKey::try_from(bytes).ok()) else {
            return Ok(None);
        };
        self.subject_of(&key)
    }
}
