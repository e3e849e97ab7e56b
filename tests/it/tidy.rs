//! The sources keep to the picture in `src/lib.rs`: who may name whom, which crate is named where, nothing unfinished.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// What each room may name. `clock`, `metrics` and `log` are open to all but `model`.
const ARROWS: [(&str, &[&str]); 20] = [
    ("web", &[]),
    ("model", &[]),
    ("config", &["model"]),
    ("clock", &["model"]),
    ("log", &["config"]),
    ("metrics", &[]),
    ("store", &["model", "config"]),
    ("egress", &["config"]),
    ("push", &["egress", "model", "config"]),
    ("identity", &["egress", "model", "config"]),
    ("hub", &["store", "model", "config"]),
    ("doubles", &[]),
    ("dispatch", &["hub", "push", "model", "config"]),
    ("http", &["identity", "hub", "store", "model", "config"]),
    ("task", &["hub", "model"]),
    (
        "serve",
        &[
            "clock", "config", "dispatch", "http", "hub", "identity", "model", "push", "store",
            "task",
        ],
    ),
    (
        "demo",
        &["config", "doubles", "http", "hub", "model", "serve"],
    ),
    (
        "cli",
        &[
            "config", "demo", "dispatch", "doubles", "http", "hub", "identity", "model", "push",
            "serve", "store",
        ],
    ),
    ("main", &["cli"]),
    ("lib", &[]),
];
const OPEN_TO_ALL: [&str; 3] = ["clock", "metrics", "log"];

/// Which crate may be named only in which places.
const CRATES: [(&str, &[&str]); 7] = [
    ("pulldown_cmark", &["http/docs.rs"]),
    ("sled", &["store/engine/disk.rs"]),
    ("actix_web", &["http/", "serve.rs"]),
    ("ece", &["doubles/"]),
    ("rcgen", &["doubles/", "egress/"]),
    ("clap", &["cli/"]),
    ("bincode", &["store/codec.rs"]),
];

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path
                    .strip_prefix(&root)
                    .unwrap()
                    .to_string_lossy()
                    .into_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 50, "the sources are elsewhere: {found:?}");
    found
}

fn room(file: &str) -> &str {
    let first = file.split('/').next().unwrap();
    first.strip_suffix(".rs").unwrap_or(first)
}

fn is_test(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap();
    let whole_rooms = file.contains("tests/") || file.starts_with("simulation/");
    whole_rooms || name.ends_with("tests.rs") || name == "testing.rs"
}

/// The code of a file without comments and without its test module.
fn code(text: &str) -> String {
    let body = text.split("#[cfg(test)]").next().unwrap();
    body.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The rooms that a piece of code names: `crate::room` and `crate::{room::…, room, …}`.
fn named(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let Some(list) = rest.strip_prefix('{') else {
            rooms.insert(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut start = true;
        for (at, char) in list.char_indices() {
            match char {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                other if start && depth == 0 && !other.is_whitespace() => {
                    rooms.insert(word(&list[at..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    rooms
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_ascii_lowercase() || *c == '_')
        .collect()
}

#[test]
fn every_room_names_only_those_that_it_may() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.into();
    let mut wrong = Vec::new();
    for (file, text) in sources().iter().filter(|(file, _)| !is_test(file)) {
        let from = room(file);
        let may = allowed
            .get(from)
            .unwrap_or_else(|| panic!("{from} is no room of the picture"));
        for to in named(&code(text)) {
            let open = from != "model" && OPEN_TO_ALL.contains(&to.as_str());
            if to != from && !open && !may.contains(&to.as_str()) {
                wrong.push(format!("{file} names {to}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_two_rooms_name_each_other() {
    for (from, may) in ARROWS {
        for to in may {
            let back = ARROWS.iter().find(|(room, _)| room == to).unwrap().1;
            assert!(!back.contains(&from), "{from} and {to} name each other");
        }
    }
}

#[test]
fn a_crate_is_named_only_where_it_belongs() {
    let mut wrong = Vec::new();
    for (file, text) in sources().iter().filter(|(file, _)| !is_test(file)) {
        let code = code(text);
        for (name, places) in CRATES {
            let named = code.contains(&format!("{name}::"));
            if named && !places.iter().any(|place| file.starts_with(place)) {
                wrong.push(format!("{file} names {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nothing_is_left_unfinished() {
    let marks = ["TO", "FIX", "XX"].map(|half| match half {
        "TO" => "TODO",
        "FIX" => "FIXME",
        _ => "XXX",
    });
    for (file, text) in sources() {
        for mark in marks {
            assert!(!text.contains(mark), "{file} holds {mark}");
        }
        assert!(!text.contains("#[ignore"), "{file} leaves a test out");
    }
}

#[test]
fn no_file_is_too_long_to_hold_in_the_head() {
    for (file, text) in sources().iter().filter(|(file, _)| !is_test(file)) {
        let lines = text.lines().count();
        assert!(lines <= 400, "{file} has {lines} lines");
    }
}

/// Licences that every dependency must offer one of; sources and banned crates beside it.
#[test]
fn the_dependencies_are_free_from_the_registry_and_of_one_tls_stack() {
    let lock =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    for banned in [
        "openssl",
        "openssl-sys",
        "native-tls",
        "reqwest",
        "actix-governor",
    ] {
        assert!(
            !lock.contains(&format!("name = \"{banned}\"\n")),
            "{banned} is in the tree"
        );
    }
    for line in lock.lines().filter(|line| line.starts_with("source = ")) {
        assert!(line.contains("registry+"), "{line}");
    }
    let rustls = lock.matches("name = \"rustls\"\n").count();
    assert_eq!(rustls, 1, "one TLS stack");
}
