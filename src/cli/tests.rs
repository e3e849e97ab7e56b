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
fn send_shows_its_arguments_in_the_order_in_which_it_takes_them() {
    let mut command = Cli::command();
    let send = command.find_subcommand_mut("send").unwrap();
    let usage = send.render_usage().to_string();
    let places = ["<HOST>", "<USER|--all|--users <FILE>>"].map(|it| usage.find(it));
    assert!(places[0].is_some() && places[0] < places[1], "{usage}");
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
    check("store backup file", true);
    check("store backup", false);
    check("store restore file --force --new-secrets", true);
    check("store restore", false);
    check("store compact", true);
    check("store expire", true);
    check("store", false);
    check("completions zsh", true);
    check("completions csh", false);
    check("init todo.example.com --force --config c.toml", true);
    check("doubles --dir d --ports-from 9000", true);
    check("doubles --behaviour", true);
    check("", false);
}

fn context(folder: &std::path::Path) -> CommandContext {
    CommandContext {
        common: Common {
            config: Some(folder.join("config.toml")),
            data: None,
            json: true,
        },
        output: Output::new(true),
    }
}

async fn typed(line: &str, context: &CommandContext) -> anyhow::Result<ExitCode> {
    let words = std::iter::once("beckon").chain(line.split_whitespace());
    match Cli::try_parse_from(words)?.command {
        Command::Maintain(command) => maintain(command, context).await,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn init_makes_a_config_and_a_key_and_never_overwrites() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(folder.path());
    typed("init todo.example.com", &context).await.unwrap();
    let written = std::fs::read_to_string(folder.path().join("config.toml")).unwrap();
    let keys = async || context.ask(Request::ListKeys { app: None }).await.unwrap();
    assert_eq!(keys().await["value"][0]["app"], "todo.example.com");

    let refused = typed("init other.example.com", &context).await.unwrap_err();
    assert!(refused.to_string().contains("--force"), "{refused}");
    let kept = std::fs::read_to_string(folder.path().join("config.toml")).unwrap();
    assert_eq!(kept, written);

    typed("init other.example.com --force", &context)
        .await
        .unwrap();
    assert_eq!(keys().await["value"][1]["app"], "other.example.com");
    let names: BTreeSet<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, BTreeSet::from(["config.toml".into(), "data".into()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_and_verify_fail_by_their_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(folder.path());
    let check = async |line: &str, good: bool| {
        let code = typed(line, &context).await.unwrap();
        assert_eq!(code == ExitCode::SUCCESS, good, "{line}");
    };
    check("check", false).await;
    typed("init todo.example.com", &context).await.unwrap();
    check("check", true).await;
    check("store verify", true).await;
    std::fs::write(folder.path().join("config.toml"), "[server]\nport = 1").unwrap();
    check("check", false).await;
}
