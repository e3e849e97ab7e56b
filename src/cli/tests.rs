//! The command line as typed.

use std::collections::BTreeSet;

use clap::{CommandFactory as _, Parser as _};

use super::*;

#[test]
fn the_definition_is_sound() {
    help::grouped(Cli::command()).debug_assert();
}

#[test]
fn every_command_stands_in_one_group() {
    let command = Cli::command();
    let names: BTreeSet<&str> = command
        .get_subcommands()
        .map(clap::Command::get_name)
        .collect();
    let grouped: Vec<&str> = help::GROUPS
        .iter()
        .flat_map(|(_, names)| *names)
        .copied()
        .collect();
    let once: BTreeSet<&str> = grouped.iter().copied().collect();
    assert_eq!(once.len(), grouped.len(), "a command stands twice");
    assert!(names.is_subset(&once), "{names:?} {once:?}");
}

#[test]
fn help_says_one_sentence_for_each_command() {
    let help = help::grouped(Cli::command()).render_help().to_string();
    for command in Cli::command().get_subcommands() {
        let about = command.get_about().unwrap().to_string();
        assert!(help.contains(&about), "{help}");
        assert!(!about.ends_with('.'), "{about}");
    }
    assert!(help.contains("Examples:"), "{help}");
}

#[test]
fn command_lines_are_understood_or_not() {
    let check = |line: &str, good: bool| {
        let words = std::iter::once("beckon").chain(line.split_whitespace());
        let parsed = Cli::try_parse_from(words);
        assert_eq!(parsed.is_ok(), good, "{line}: {:?}", parsed.err());
        if let Err(error) = parsed {
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    };
    check("check --json --data d --config c", true);
    check(
        "--json key create todo.example.com --name ci --scope send",
        true,
    );
    check("key create todo.example.com --scope root", false);
    check("key create https://todo.example.com", false);
    check("key list", true);
    check("key list todo.example.com", true);
    check("key revoke abc --with-tokens", true);
    check(
        "token mint a.example.com ada --endpoint phone --expires 1h",
        true,
    );
    check("token mint a.example.com ada --expires 1", false);
    check("token mint a.example.com ada --expires 500ms", false);
    check("token mint a.example.com ada --endpoint a/b", false);
    check("token mint a.example.com .", false);
    check(
        "send a.example.com ada --title T --body B --priority high --group G --id I --platform ios --platform webPush --expires 7d",
        true,
    );
    check("send a.example.com ada --raw R", true);
    check("send a.example.com ada", false);
    check("send a.example.com ada --raw R --body B", false);
    check("send a.example.com ada --title T --platform tv", false);
    check("user list a.example.com", true);
    check("user show a.example.com ada", true);
    check("endpoint list a.example.com ada", true);
    check("endpoint remove a.example.com ada phone", true);
    check("store stats", true);
    check("store verify", true);
    check("store", false);
    check("completions zsh", true);
    check("completions csh", false);
    check("init todo.example.com --force --config c.toml", true);
    check("doubles --dir d --ports-from 9000", true);
    check("", false);
}
