//! What a bench says: Markdown tables, ratios with their targets, and the same as one JSON value in
//! `target/bench/NAME.json`:
//!
//! | member | is |
//! |---|---|
//! | `bench` | the bench's name |
//! | `machine` | `cores` and the model of the `cpu` |
//! | `runs` | how often each figure was taken |
//! | `tables` | `title` and `rows`: `case`, and `figures` by name, unit included |
//! | `ratios` | `what` is compared, `of` what, the `ratio`, and where there is one its `target` (`atLeast` or `atMost`) and whether it was `met` |
//!
//! A figure or ratio is `{"median", "least", "most"}` of all runs.

use std::{fmt, fs, path::Path};

use serde_json::{Map, Value, json};

use super::{cores, cpu_model};

/// A figure as it came out of several runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Of at least one value.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Self {
            median: sorted[sorted.len() / 2],
            least: sorted[0],
            most: sorted[sorted.len() - 1],
        }
    }

    fn json(self) -> Value {
        json!({"median": self.median, "least": self.least, "most": self.most})
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, least, most] = [self.median, self.least, self.most].map(number);
        write!(f, "{median} ({least} – {most})")
    }
}

/// Three digits that count.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

/// What a ratio should be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
    None,
}

/// One line of a table: what was measured, and its figures, each with its unit in the name.
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) figures: Vec<(&'static str, Spread)>,
}

/// What a bench has found out so far.
pub(crate) struct Report {
    bench: &'static str,
    runs: usize,
    tables: Vec<Value>,
    ratios: Vec<Value>,
}

impl Report {
    /// Begins a report, whose figures are each of so many runs.
    pub(crate) fn begin(bench: &'static str, runs: usize) -> Self {
        println!("machine: {} cores, {}", cores(), cpu_model());
        println!(
            "median (least – most) of {runs} runs; whatever else the machine does shows in them: take the ratios"
        );
        println!();
        Self {
            bench,
            runs,
            tables: Vec::new(),
            ratios: Vec::new(),
        }
    }

    /// Shows rows that all have the same figures.
    pub(crate) fn table(&mut self, title: &str, rows: &[Row]) {
        let names: Vec<&str> = rows[0].figures.iter().map(|(name, _)| *name).collect();
        println!("| {title} | {} |", names.join(" | "));
        println!("|---|{}", "---|".repeat(names.len()));
        for row in rows {
            let figures: Vec<String> = row.figures.iter().map(|(_, it)| it.to_string()).collect();
            println!("| {} | {} |", row.case, figures.join(" | "));
        }
        println!();
        let rows = rows.iter().map(|row| {
            let figures = row.figures.iter();
            let figures: Map<String, Value> = figures
                .map(|(name, it)| ((*name).to_owned(), it.json()))
                .collect();
            json!({"case": row.case, "figures": figures})
        });
        self.tables
            .push(json!({"title": title, "rows": rows.collect::<Vec<_>>()}));
    }

    /// Shows a ratio: `what` is so much `of` something.
    pub(crate) fn ratio(&mut self, (what, of): (&str, &str), ratio: Spread, target: Target) {
        let mut entry = json!({"what": what, "of": of, "ratio": ratio.json()});
        let said = match target {
            Target::None => String::new(),
            Target::AtLeast(least) => {
                entry["target"] = json!({"atLeast": least});
                entry["met"] = (ratio.median >= least).into();
                format!(" (target ≥ {least})")
            }
            Target::AtMost(most) => {
                entry["target"] = json!({"atMost": most});
                entry["met"] = (ratio.median <= most).into();
                format!(" (target ≤ {most})")
            }
        };
        println!("- {what}: {ratio} {of}{said}");
        self.ratios.push(entry);
    }

    /// Writes the JSON.
    pub(crate) fn finish(self) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
        fs::create_dir_all(&folder).unwrap();
        let value = json!({
            "bench": self.bench,
            "machine": {"cores": cores(), "cpu": cpu_model()},
            "runs": self.runs,
            "tables": self.tables,
            "ratios": self.ratios,
        });
        let name = format!("{}.json", self.bench);
        fs::write(folder.join(&name), format!("{value:#}\n")).unwrap();
        println!("\nthe same as JSON: target/bench/{name}");
    }
}
