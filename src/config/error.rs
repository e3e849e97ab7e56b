//! Why a config was not taken.

use std::{fmt, io, path::PathBuf};

/// Why a config was not taken. Its text is meant for the operator, whole and readable alone.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read at all.
    #[error("{}: cannot be read ({source}); write --config with the path of a readable file", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// What it says cannot be used: at least one problem, in the order of the sections; one a line.
    #[error("{}", lines(.0))]
    Invalid(Vec<Problem>),
}

/// One fault of a config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: `config.toml:7`, or the environment variable.
    pub place: String,
    /// The key with its sections, e.g. `delivery.stream_grace`; empty where there is none.
    pub key: String,
    /// What is wrong and what to write instead; holds no secret.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.place, &self.key] {
            if !part.is_empty() {
                write!(f, "{part}: ")?;
            }
        }
        f.write_str(&self.reason)
    }
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}
