//! `init`: a config for one app, and its first key.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::Value;

use super::{CommandContext, door::Door, environment, output};
use crate::{
    config::{self, init},
    hub::admin::Request,
    model::AppHost,
};

const DEFAULT_FILE: &str = "config.toml";

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The app's name, such as todo.example.com.
    host: AppHost,
    /// Write over a config that is there.
    #[arg(long)]
    force: bool,
}

/// Runs `beckon init`.
///
/// The key is made on a draft of the file, which takes its name at the end: what fails leaves nothing half done, and
/// `init` can be typed again.
pub(super) async fn run(args: InitArgs, context: &CommandContext) -> anyhow::Result<ExitCode> {
    let named = context.common.config.clone();
    let file = named.unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    if file.exists() && !args.force {
        bail!(
            "{} is there already; write --force to replace it, or --config with another path",
            file.display()
        );
    }
    let text = text(&args.host, context.common.data.as_deref())?;
    let mut draft = file.clone().into_os_string();
    draft.push(".new");
    let draft = PathBuf::from(draft);
    fs::write(&draft, text).with_context(|| format!("cannot write {}", draft.display()))?;
    let made = first_key(&args.host, &draft).await.and_then(|made| {
        fs::rename(&draft, &file).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(made)
    });
    if made.is_err() {
        // The first failure is the one to tell.
        let _ = fs::remove_file(&draft);
    }
    let (mut made, is_unread) = made?;
    made["config"] = file.to_string_lossy().into();
    context
        .output
        .show(&made, |made| next_steps(made, &args.host, context))?;
    if is_unread {
        context.output.note(&format!(
            "a hub runs on that data folder and has not read {} yet: send it SIGHUP if it reads that file, else stop it and start it as above",
            file.display()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// The starter, with the operator's data folder in the place of its own.
fn text(host: &AppHost, data: Option<&Path>) -> anyhow::Result<String> {
    let starter = init::starter(host);
    let Some(data) = data else {
        return Ok(starter);
    };
    let data = std::path::absolute(data).context("--data")?;
    let data = data
        .to_str()
        .context("--data is not UTF-8; a config cannot hold it")?;
    let line = format!("path = {}", toml::Value::String(data.to_owned()));
    Ok(starter.replacen(r#"path = "data""#, &line, 1))
}

/// The key, and whether a hub runs that has not read the app yet.
async fn first_key(host: &AppHost, draft: &Path) -> anyhow::Result<(Value, bool)> {
    let config = config::load(Some(draft), environment())?;
    let door = Door::open_or_make(&config, host.as_str()).await?;
    let made = key_by(&door, host).await;
    door.close().await;
    made
}

async fn key_by(door: &Door, host: &AppHost) -> anyhow::Result<(Value, bool)> {
    let request = Request::CreateKey {
        app: host.to_string(),
        name: Some("first".to_owned()),
        scope: "all".to_owned(),
        ahead: true,
    };
    let made = door.ask(request).await?;
    if !door.is_running() {
        return Ok((made, false));
    }
    let health = door.ask(Request::Health).await?;
    let apps = health["apps"].as_array().map_or(&[][..], Vec::as_slice);
    let known = apps.iter().any(|app| app["host"] == host.as_str());
    Ok((made, !known))
}

fn next_steps(made: &Value, host: &AppHost, context: &CommandContext) -> String {
    let file = output::text(made, "/config");
    let named = context.common.config.is_some();
    let config = if named {
        format!(" --config {}", quoted(&file))
    } else {
        String::new()
    };
    format!(
        "wrote {file}\n\n\
         the first key of {host}, shown this once:\n\
         {key}\n\n\
         next, in two terminals:\n  \
         beckon serve{config}\n  \
         beckon send {host} ada --title 'Hello'{config}",
        key = output::text(made, "/key"),
    )
}

/// As a shell takes it for one word.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_folder_of_the_flag_stands_in_the_config() {
        let host = AppHost::parse("todo.example.com").unwrap();
        assert_eq!(text(&host, None).unwrap(), init::starter(&host));
        let text = text(&host, Some(Path::new("/srv/a \"b\""))).unwrap();
        let read: toml::Table = text.parse().unwrap();
        assert_eq!(read["store"]["path"].as_str(), Some("/srv/a \"b\""));
    }

    #[test]
    fn a_path_is_one_word_for_the_shell() {
        assert_eq!(quoted("etc/config.toml"), "etc/config.toml");
        assert_eq!(quoted("my config"), "'my config'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
