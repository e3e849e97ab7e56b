//! What a command prints: for people, or with `--json` one value. Errors go to stderr, each line as `error: …`.

use std::io::{self, IsTerminal as _, Write as _};

use comfy_table::{Table, presets};
use serde_json::Value;

/// Where and how a command prints.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    json: bool,
    pretty: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self {
            json,
            pretty: io::stdout().is_terminal(),
        }
    }

    /// Prints a value: as it is for programs, as `people` words it for people.
    pub(super) fn show(
        self,
        value: &Value,
        people: impl FnOnce(&Value) -> String,
    ) -> anyhow::Result<()> {
        let text = match (self.json, self.pretty) {
            (true, true) => format!("{value:#}"),
            (true, false) => value.to_string(),
            (false, _) => people(value),
        };
        print(format!("{}\n", text.trim_end()).as_bytes())
    }

    /// Shows on a terminal how far long work is, in place of what it last showed; programs and files are spared it.
    pub(super) fn progress(self, text: &str) {
        if !self.json && io::stderr().is_terminal() {
            // Nobody to tell is no reason to fail. The line is cleared to its end.
            let _ = write!(io::stderr(), "\r{text}\x1b[K");
        }
    }

    /// Takes what [`Output::progress`] showed off the terminal.
    pub(super) fn progress_ends(self) {
        self.progress("");
    }

    /// Tells people something beside the answer; programs are spared it.
    pub(super) fn note(self, text: &str) {
        if !self.json {
            // Nobody to tell is no reason to fail.
            let _ = writeln!(io::stderr(), "note: {text}");
        }
    }
}

/// Writes to stdout at once. A reader who has gone (`| head`) is no failure.
pub(super) fn print(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context("cannot write to stdout"))
        }
        _ => Ok(()),
    }
}

/// Says why a command failed.
pub(super) fn failure(error: &anyhow::Error) {
    let _ = io::stderr().write_all(failure_text(error).as_bytes());
}

fn failure_text(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        // Some messages end with their cause already.
        if !told.contains(&cause) {
            let joint = if told.is_empty() { "" } else { ": " };
            told = format!("{told}{joint}{cause}");
        }
    }
    told.lines()
        .map(|line| format!("error: {}\n", plain(line)))
        .collect()
}

/// A table of the entries of a list: each column has a title and where its value lies in an entry (a JSON pointer).
pub(super) fn table(list: &Value, columns: &[(&str, &str)], nothing: &str) -> String {
    let rows = list["value"].as_array().map_or(&[][..], Vec::as_slice);
    if rows.is_empty() {
        return nothing.to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(columns.iter().map(|(title, _)| *title));
    for row in rows {
        table.add_row(columns.iter().map(|(_, pointer)| text(row, pointer)));
    }
    lines(&table)
}

/// Names and values, one a line.
pub(super) fn fields(value: &Value, names: &[(&str, &str)]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for (name, pointer) in names {
        table.add_row([(*name).to_owned(), text(value, pointer)]);
    }
    lines(&table)
}

fn lines(table: &Table) -> String {
    let unpadded = |line: String| {
        line.strip_prefix(' ')
            .unwrap_or(&line)
            .trim_end()
            .to_owned()
    };
    let lines: Vec<String> = table.lines().map(unpadded).collect();
    lines.join("\n")
}

/// What lies at `pointer`, fit for a terminal; a dash where there is nothing.
pub(super) fn text(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => plain(text),
        Some(Value::Array(entries)) => {
            let entries: Vec<String> = entries.iter().map(|entry| text(entry, "")).collect();
            entries.join(", ")
        }
        Some(other) => other.to_string(),
    }
}

/// A path as programs read it; what of it is no text cannot be told in JSON.
pub(super) fn path(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Without control characters and those that turn the direction of writing (Unicode Annex 9, section 2): what apps and
/// devices wrote must not steer the operator's terminal, nor seem to stand where it does not.
pub(super) fn plain(text: &str) -> String {
    let steers = |c: char| {
        let turns = matches!(
            c,
            '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        );
        turns || c.is_control()
    };
    text.chars()
        .map(|c| if steers(c) { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;
    use serde_json::json;

    #[test]
    fn lists_become_tables() {
        let list = json!({ "value": [
            { "id": "phone", "channel": { "type": "apns" }, "seen": 3 },
            { "id": "a\u{1b}[2J\u{202e}b", "channel": { "type": "none" } },
        ] });
        let columns = [
            ("ID", "/id"),
            ("CHANNEL", "/channel/type"),
            ("SEEN", "/seen"),
        ];
        let text = table(&list, &columns, "none");
        let rows: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(rows[0], ["ID", "CHANNEL", "SEEN"], "{text}");
        assert_eq!(rows[1], ["phone", "apns", "3"], "{text}");
        assert_eq!(rows[2], ["a\u{fffd}[2J\u{fffd}b", "none", "-"], "{text}");
        assert_eq!(table(&json!({ "value": [] }), &columns, "none"), "none");
    }

    #[test]
    fn every_line_of_a_failure_says_that_it_is_one() {
        let error = Err::<(), _>(anyhow::anyhow!("one\ntwo"))
            .context("first")
            .unwrap_err();
        assert_eq!(failure_text(&error), "error: first: one\nerror: two\n");
        let told = anyhow::anyhow!("gone").context("cannot read (gone)");
        assert_eq!(failure_text(&told), "error: cannot read (gone)\n");
    }
}
