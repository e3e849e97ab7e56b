//! From a file and the environment to a [`Config`].
//!
//! First the text is parsed; then the variables are laid into the same table, as texts with a place of their own;
//! then the table must have the shape of [`raw`]; then each value is read. Each step stops the next, since a fault
//! of an earlier one makes the later ones guess.

use std::{
    borrow::Cow,
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeTable, DeValue, Deserializer},
};

use super::{
    Config, Error, Problem, raw,
    reader::{Reader, Source},
    sections, tenants,
};

const DEFAULT_FILE: &str = "config.toml";
const PREFIX: &str = "BECKON_";
const SEPARATOR: &str = "__";

/// Reads the config: `file`, else `config.toml` in the current folder if there is one, else the defaults; then
/// each variable `BECKON_<SECTION>__<KEY>` of `environment` in place of what the file says. Other variables are
/// passed over. Relative paths, also those of variables, begin at the file's folder, without a file at the current
/// one. The files that the apps name are read.
///
/// # Errors
/// [`Error::Unreadable`] when the file is named and cannot be read, or is there and cannot; [`Error::Invalid`] with
/// all that is wrong.
pub fn load(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Config, Error> {
    let source = match file {
        Some(path) => read(path)?,
        None => match read(Path::new(DEFAULT_FILE)) {
            Err(Error::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Source::default()
            }
            other => other?,
        },
    };
    parse(source, environment)
}

fn read(path: &Path) -> Result<Source, Error> {
    let unreadable = |source| Error::Unreadable {
        path: path.to_owned(),
        source,
    };
    let text = fs::read_to_string(path).map_err(unreadable)?;
    Ok(Source {
        name: path.display().to_string(),
        text,
        folder: path.parent().map(PathBuf::from).unwrap_or_default(),
        variables: Vec::new(),
    })
}

/// The config that `source` and the variables of `environment` say.
///
/// # Errors
/// [`Error::Invalid`].
pub(super) fn parse(
    mut source: Source,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Config, Error> {
    let (names, values) = overrides(environment)?;
    source.variables = names;
    let file = shape(&source, values)?;
    let mut reader = Reader::new(&source);
    let config = Config {
        server: sections::server(&mut reader, file.server),
        store: sections::store(&mut reader, file.store),
        delivery: sections::delivery(&mut reader, file.delivery),
        log: sections::log(&mut reader, file.log),
        apps: tenants::apps(&mut reader, file.app),
    };
    match reader.into_problems() {
        problems if problems.is_empty() => Ok(config),
        problems => Err(Error::Invalid(problems)),
    }
}

/// The names and values of the variables that are ours, in the order of their names, so that messages keep theirs.
fn overrides(
    environment: impl Iterator<Item = (String, String)>,
) -> Result<(Vec<String>, Vec<String>), Error> {
    let mut ours: Vec<(String, String)> = environment
        .filter(|(name, _)| {
            name.strip_prefix(PREFIX)
                .is_some_and(|rest| rest.contains(SEPARATOR))
        })
        .collect();
    ours.sort();
    let refused: Vec<Problem> = ours
        .iter()
        .filter(|(name, _)| key_path(name).next().as_deref() == Some("app"))
        .map(|(name, _)| Problem {
            place: name.clone(),
            key: String::new(),
            reason: "apps stand in the file alone; write an [[app]] there and unset the variable"
                .into(),
        })
        .collect();
    if refused.is_empty() {
        Ok(ours.into_iter().unzip())
    } else {
        Err(Error::Invalid(refused))
    }
}

/// The sections and the key that a variable names: `BECKON_SERVER__LISTEN` is `server`, `listen`.
fn key_path(variable: &str) -> impl Iterator<Item = String> {
    variable
        .strip_prefix(PREFIX)
        .unwrap_or(variable)
        .split(SEPARATOR)
        .map(str::to_ascii_lowercase)
}

/// The file's table with the variables laid over it, in the shape of [`raw::File`].
fn shape(source: &Source, values: Vec<String>) -> Result<raw::File, Error> {
    let invalid = |error| Error::Invalid(vec![misshapen(source, &error)]);
    let mut table = DeTable::parse(&source.text).map_err(invalid)?;
    for (index, (name, value)) in source.variables.iter().zip(values).enumerate() {
        let path: Vec<String> = key_path(name).collect();
        let span = source.variable_span(index);
        lay(table.get_mut(), &path, value, &span).map_err(|section| {
            let reason = format!("{section} is not a section in the config, so it has no keys");
            Error::Invalid(vec![source.problem(span.start, "", reason)])
        })?;
    }
    raw::File::deserialize(Deserializer::from(table)).map_err(invalid)
}

/// Puts `value` at `path`.
///
/// # Errors
/// The name that should be a section and is a value.
fn lay(
    table: &mut DeTable<'_>,
    path: &[String],
    value: String,
    span: &Range<usize>,
) -> Result<(), String> {
    let Some((first, rest)) = path.split_first() else {
        return Ok(());
    };
    let name = Spanned::new(span.clone(), Cow::Owned(first.clone()));
    if rest.is_empty() {
        // The key goes too, so that its place is the variable's.
        table.remove(first.as_str());
        let value = DeValue::String(Cow::Owned(value));
        table.insert(name, Spanned::new(span.clone(), value));
        return Ok(());
    }
    let section = table
        .entry(name)
        .or_insert_with(|| Spanned::new(span.clone(), DeValue::Table(DeTable::new())));
    match section.get_mut() {
        DeValue::Table(section) => lay(section, rest, value, span),
        _ => Err(first.clone()),
    }
}

/// What the parser says, in our words: its own name the type that it wanted, and may show a value.
fn misshapen(source: &Source, error: &toml::de::Error) -> Problem {
    let message = error.message();
    let wanted = message.split_once(", expected ").map(|(_, wanted)| wanted);
    let reason = match wanted {
        Some(wanted) if message.starts_with("unknown field") => {
            let known = wanted
                .trim_start_matches("one of ")
                .replace('`', "")
                .replace(" or ", ", ");
            format!("is not a known key; known here: {known}")
        }
        Some(wanted) if message.starts_with("invalid type") => format!("is not {wanted}"),
        _ => message.replace('\n', "; "),
    };
    let Some(span) = error.span() else {
        return source.problem(0, "", reason);
    };
    if message == "duplicate key"
        && let Some((key, first)) = twice(&source.text, span.start)
    {
        let reason = format!("is in the file twice, first in line {first}; keep one of them");
        return source.problem(span.start, &key, reason);
    }
    let key = DeTable::parse(&source.text)
        .ok()
        .and_then(|table| key_at(table.get_ref(), &span))
        .unwrap_or_default();
    source.problem(span.start, &key, reason)
}

/// The section or key whose line is at `offset`, and the number of the line before it that has the same one.
fn twice(text: &str, offset: usize) -> Option<(String, usize)> {
    let name = |line: &str| {
        let line = line.trim();
        match line.strip_prefix('[') {
            Some(section) => section.split(']').next().map(|name| format!("[{name}]")),
            None => line.split_once('=').map(|(key, _)| key.trim().to_owned()),
        }
    };
    let at = text.get(..offset)?.matches('\n').count();
    let wanted = name(text.lines().nth(at)?)?;
    let before: Vec<&str> = text.lines().take(at).collect();
    let is_section = wanted.starts_with('[');
    let mut earlier = before.iter().enumerate().rev();
    let found = earlier.find_map(|(number, line)| match name(line) {
        Some(name) if name == wanted => Some(Some(number + 1)),
        // A key of another section is another key.
        Some(name) if !is_section && name.starts_with('[') => Some(None),
        _ => None,
    });
    Some((wanted, found.flatten()?))
}

/// The key, with its sections, that stands at `span` or whose value does.
fn key_at(table: &DeTable<'_>, span: &Range<usize>) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        if key.span() == *span || value.span() == *span {
            return Some(key.get_ref().to_string());
        }
        let below = match value.get_ref() {
            DeValue::Table(section) => key_at(section, span),
            DeValue::Array(entries) => entries
                .iter()
                .filter_map(|entry| entry.get_ref().as_table())
                .find_map(|section| key_at(section, span)),
            _ => None,
        };
        below.map(|below| format!("{}.{below}", key.get_ref()))
    })
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
